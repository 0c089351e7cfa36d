"""Echelles from tables: HARPS as measured, FEROS as designed, and tables that cannot be."""

import numpy as np
import pytest

from maury.errors import GridError
from maury.instrument import spectrograph
from maury.instrument.echelle import COLUMNS, FAINTEST_BLAZE, FEROS, HARPS, Echelle
from maury.instrument.site import LA_SILLA, fibre_coupling, lunar_illumination

ECHELLES = {"HARPS": HARPS, "FEROS": FEROS}


@pytest.mark.parametrize("echelle", ECHELLES.values(), ids=ECHELLES.keys())
def test_every_wavelength_between_gaps_lies_in_an_order(echelle: Echelle) -> None:
    first, last = echelle.coverage
    wave = np.arange(first, last, 0.5)
    even, odd = echelle.halves(wave)
    gap = np.zeros(wave.shape, bool)
    for lower, upper in echelle.gaps:
        gap |= (wave > lower) & (wave < upper)
    assert np.array_equal(even.covered | odd.covered, ~gap)
    for half in (even, odd):
        assert np.array_equal(half.covered, half.blaze > 0)
        assert half.blaze.max() == pytest.approx(1.0, abs=1e-3)
    both = even.covered & odd.covered
    assert both.mean() > 0.05
    assert min(even.blaze[both].min(), odd.blaze[both].min()) >= FAINTEST_BLAZE


def test_harps_orders() -> None:
    orders = HARPS.orders
    assert orders["order"].tolist() == [m for m in range(161, 88, -1) if m != 115]
    # The grating's constant (README of the tables): order times wavelength.
    constant = orders["order"] * orders["centre"]
    assert constant == pytest.approx(612_172, rel=2e-4)
    velocity = orders["dispersion_centre"] / orders["centre"] * 299792.458
    assert velocity == pytest.approx(0.82, rel=0.01)
    # 4096 pixels; the dispersion at three places must add up to the length of the order.
    mean = (
        orders["dispersion_lower"] + 4 * orders["dispersion_centre"] + orders["dispersion_upper"]
    ) / 6
    assert 4096 * mean == pytest.approx(orders["upper"] - orders["lower"], rel=0.01)


def test_harps_agrees_with_its_one_dimensional_spectra() -> None:
    one = spectrograph.HARPS
    assert HARPS.coverage == pytest.approx(one.coverage, abs=3.0)
    assert HARPS.gaps[0] == pytest.approx(one.gaps[0], abs=0.1)
    assert HARPS.readout_noise["normal"] == one.readout_noise


def test_feros_is_as_published() -> None:
    # 39 orders from 3500 to 9200 A, 20% efficient with its telescope (ESO, FEROS overview).
    assert FEROS.orders["order"].size == 39
    assert FEROS.coverage == pytest.approx((3500, 9200), rel=0.02)
    assert 0.12 < FEROS.efficiency(5500.0) < 0.22


def test_relative_throughput_is_that_measured_in_the_light_of_ganymede() -> None:
    """Smoothed and freed of air and colour; the way back must lead to what was measured."""
    centre = HARPS.orders["centre"]
    air = 10 ** (-0.4 * 1.043 * LA_SILLA.extinction_at(centre))
    # Ganymede is redder than the Sun by 0.18 in B-V and 0.33 in U-B.
    colour = 10 ** (-0.4 * np.interp(centre, (3600, 4400, 5500), (0.511, 0.177, 0.0)))
    predicted = HARPS.efficiency(centre) * air * colour
    predicted /= np.interp(5514.865, centre, predicted)
    ratio = predicted / HARPS.orders["measured_throughput"]
    inner = centre > 4000
    assert np.std(ratio[inner]) < 0.06
    assert np.std(ratio) < 0.10
    assert np.median(ratio) == pytest.approx(1.0, abs=0.03)


def table(**changes: list[float]) -> np.ndarray:
    rows = {name: [1.0, 1.0, 1.0] for name in COLUMNS} | {
        "order": [102.0, 101.0, 100.0],
        "lower": [5000.0, 5040.0, 5080.0],
        "centre": [5030.0, 5070.0, 5110.0],
        "upper": [5060.0, 5100.0, 5140.0],
    }
    return np.array(list((rows | changes).values()))


OTHER = {
    "resolving_power": 1e5,
    "fibre": 1.0,
    "collecting_area": 1.0,
    "spatial_pixels": 1.0,
    "readout_noise": {"only": 3.0},
    "dark_current": 0.0,
}


def test_tables_that_cannot_be() -> None:
    assert Echelle.from_table("fine", table(), **OTHER).gaps == ()
    with pytest.raises(GridError, match="Orders 102 and 100 of crowded overlap"):
        Echelle.from_table("crowded", table(upper=[5090.0, 5100.0, 5140.0]), **OTHER)
    with pytest.raises(GridError, match="must have 10 rows"):
        Echelle.from_table("short", table()[:4], **OTHER)
    with pytest.raises(GridError, match="lacks efficiency"):
        orders = dict(zip(COLUMNS, table(), strict=True))
        del orders["efficiency"]
        Echelle("thin", orders, **OTHER)


def test_fibre_coupling_is_the_integral_of_a_gaussian() -> None:
    sigma = 1.3 * 1.5**0.6 * (6500 / 5000) ** -0.2 / np.sqrt(8 * np.log(2))
    radius = np.linspace(0, 0.5, 20001)
    profile = np.exp(-0.5 * (radius / sigma) ** 2) * radius / sigma**2
    expected = np.trapezoid(profile, radius)
    share = fibre_coupling(6500.0, seeing=1.3, airmass=1.5, diameter=1.0)
    assert share == pytest.approx(expected, rel=1e-6)


def test_sky_is_as_bright_as_skycalc_says() -> None:
    """AB magnitudes a square arcsec at 5470 A, 0 to 14 days from new moon."""
    moon = lunar_illumination([0, 3, 7, 10, 14])
    photons = LA_SILLA.sky_continuum(np.array([5470.0]), moon)[:, 0]
    frequency_flux = photons * 6.62607e-27 * 5470.0
    assert -2.5 * np.log10(frequency_flux) - 48.6 == pytest.approx(
        [22.1, 21.9, 20.6, 19.6, 18.0], abs=0.06
    )


def test_night_sky_shines_in_its_lines() -> None:
    """[O I] 5577.34 and 6300.30 A (air, NIST), and places beside them."""
    wave = np.array([5577.34, 6300.30, 5570.0, 6290.0])
    ratio = LA_SILLA.sky_lines(wave) / LA_SILLA.sky_continuum(wave, 0.0)
    assert np.all(ratio[:2] > 300)
    assert np.all(ratio[2:] == 0)
