"""From a file to a normalised spectrum on the grid."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maury.datasets.observed import COLUMNS, FLAGS, Exposure, on_grid
from maury.errors import MauryError
from maury.grid import HARPS_SMALL, WavelengthGrid
from maury.spectrum import Spectrum
from maury.wavelength import SPEED_OF_LIGHT, air_to_vacuum

GRID = HARPS_SMALL
EXPOSURE = Exposure(GRID, "HARPS")


def test_an_exposure_on_the_grid_is_copied_masked_and_divided_by_its_median(
    write_exposure: Callable[..., str],
) -> None:
    values = 1000 * np.random.default_rng(2).random(GRID.size).astype(np.float32)
    values[[5, 300]] = 0, np.nan
    flux, facts = EXPOSURE({"file": write_exposure("a.fits", values)})
    bad = ~GRID.valid
    bad[[5, 300]] = True
    np.testing.assert_array_equal(np.isnan(flux), bad)
    level = np.median(values[~bad].astype(np.float64))
    np.testing.assert_allclose(flux[~bad], values[~bad] / level, rtol=2e-7)
    assert set(facts) | {"file", "sha256"} == set(COLUMNS.names)
    known = {name: value for name, value in facts.items() if value == value}
    assert known == {
        "star": "HD 1",
        "instrument": "HARPS",
        "mjd": pytest.approx(56010.35955533, abs=1e-8),
        "exposure": 10.0,
        "snr": 343.1,
        "ra": 219.9,
        "dec": -60.8,
        "berv": 18.25,
        "airmass": 1.213,
        "airmass_end": 1.225,
        "programme": "088.C-0011(A)",
        "drs_version": "HARPS_3.8",
        "level": pytest.approx(level),
        "flags": [],
    }


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(1e-3, 1e6),
    offset=st.sampled_from([0.0, 5e-4, -5e-4]) | st.floats(0.01, 0.5) | st.floats(-0.5, -0.01),
    bad=st.lists(st.integers(0, GRID.size - 1), max_size=40),
)
def test_whatever_the_pixels_the_median_is_one_the_bad_are_nan_and_flux_is_kept(
    write_exposure: Callable[..., str], seed: int, scale: float, offset: float, bad: list[int]
) -> None:
    position = np.arange(GRID.size)
    waves = np.random.default_rng(seed).uniform(0, 2 * np.pi, 3)
    # Nothing finer than eight pixels, as in a spectrum that is sampled as it should be.
    smooth = scale * (2 + sum(np.cos(position / 8 * k / 3 + waves[k - 1]) for k in (1, 2, 3)) / 3)
    values = smooth.copy()
    values[bad] = 0
    start = GRID.start + offset * GRID.step
    flux, facts = EXPOSURE({"file": write_exposure("a.fits", values, CRVAL1=start)})
    good = np.isfinite(flux)
    assert np.median(flux[good]) == pytest.approx(1, rel=1e-6)
    assert facts["flags"] == (["resampled"] if abs(offset) > 1e-3 else [])
    assert not good[bad].any()
    # A bad pixel spoils no more than its neighbours.
    spoilt = {index + step for index in bad for step in (-1, 0, 1)} | {0, GRID.size - 1}
    expected = GRID.valid.copy()
    expected[[index for index in spoilt if 0 <= index < GRID.size]] = False
    assert good[expected].all()
    inner = good.copy()
    for shift in range(-6, 7):
        inner &= np.roll(good, shift)
    inner[:8] = inner[-8:] = False
    truth = np.interp(GRID.wavelength, start + GRID.step * position, smooth)
    restored = flux * facts["level"]
    np.testing.assert_allclose(restored[inner], truth[inner], rtol=0.02)
    assert restored[inner].sum() == pytest.approx(truth[inner].sum(), rel=1e-3)


def line_at(flux: np.ndarray) -> float:
    depth = np.where(np.isfinite(flux), 1 - flux, 0)
    return float((depth * GRID.wavelength).sum() / depth.sum())


@pytest.mark.parametrize(
    ("header", "flag", "wavelength"),
    [
        # The Earth moves towards the star by 18.25 km/s.
        ({"SPECSYS": "TOPOCENT"}, "from-observatory", 5200 * (1 + 18.25 / SPEED_OF_LIGHT)),
        ({"CTYPE1": "WAVE"}, "from-vacuum", None),
    ],
)
def test_frame_and_medium_are_converted(
    write_exposure: Callable[..., str], header: dict, flag: str, wavelength: float | None
) -> None:
    line = 1 - 0.5 * np.exp(-0.5 * ((GRID.wavelength - 5200) / 0.3) ** 2)
    flux, facts = EXPOSURE({"file": write_exposure("a.fits", line, **header)})
    assert facts["flags"] == [flag, "resampled"]
    found = line_at(flux)
    if wavelength is None:
        assert air_to_vacuum(np.array([found]))[0] == pytest.approx(5200, abs=2e-3)
    else:
        assert found == pytest.approx(wavelength, abs=2e-3)


def test_pixels_of_the_grid_are_found_anywhere_on_it() -> None:
    flux = np.arange(1.0, 101.0)
    for first in (-30, 0, 1000, GRID.size - 40):
        wavelength = GRID.start + GRID.step * (first + np.arange(100) + 5e-4)
        copied, resampled = on_grid(Spectrum(wavelength, flux), GRID)
        low, high = max(first, 0), min(first + 100, GRID.size)
        assert not resampled
        np.testing.assert_array_equal(copied[low:high], flux[low - first : high - first])
        assert np.isfinite(copied).sum() == high - low
    huge = np.where(flux == 7, 1e300, flux)
    assert not on_grid(Spectrum(wavelength, huge, mask=flux == 7), GRID)[1]
    uneven = np.delete(wavelength, 3)
    assert on_grid(Spectrum(uneven, np.delete(flux, 3)), GRID)[1]


def test_a_header_that_tells_little_leaves_nan_not_zero(write_exposure: Callable[..., str]) -> None:
    names = ("INSTRUME", "OBJECT", "DATE-OBS", "EXPTIME", "RA", "DEC", "ESO DRS BERV")
    bare = dict.fromkeys((*names, "ESO TEL AIRM START", "ESO TEL AIRM END"))
    bare |= dict.fromkeys(("ESO DRS SPE EXT SN50", "ESO OBS PROG ID"))
    _, facts = EXPOSURE({"file": write_exposure("bare.fits", **bare)})
    assert (facts["star"], facts["instrument"]) == ("bare.fits", None)
    assert facts["programme"] is None and facts["drs_version"] == "HARPS_3.8"
    assert facts["flags"] == ["instrument-unknown"] and facts["flags"][0] in FLAGS
    unknown = set(facts) - {"star", "instrument", "programme", "drs_version", "flags", "level"}
    assert all(np.isnan(facts[name]) for name in unknown)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"INSTRUME": "UVES"}, "is from UVES, not from HARPS"),
        ({"SPECSYS": "SOURCE"}, "is in the rest frame of its star"),
        ({"SPECSYS": "TOPOCENT", "ESO DRS BERV": None}, "header has no BERV"),
        ({"CRVAL1": 6000.0}, r"has good flux in 47\.1% of the grid 'harps-small', 4944.00-6910"),
        ({"CRVAL1": 7500.0}, r"has good flux in 0\.0% of the grid"),
        ({"flux": -np.ones(GRID.size)}, "has a median flux of -1, but it must be positive"),
        ({"flux": np.ones(900)}, r"has good flux in 2\.8% of the grid"),
        ({"CUNIT1": "furlong"}, "wavelengths in 'furlong'"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(
    write_exposure: Callable[..., str], header: dict, message: str
) -> None:
    with pytest.raises(MauryError, match=message):
        EXPOSURE({"file": write_exposure("a.fits", **header)})


def test_partial_and_foreign_spectra_are_flagged(write_exposure: Callable[..., str]) -> None:
    path = write_exposure("a.fits", CRVAL1=GRID.start + 300.0, INSTRUME="FEROS")
    assert Exposure(GRID)({"file": path})[1]["flags"] == ["partial"]


def test_a_grid_in_vacuum_is_kept(write_exposure: Callable[..., str]) -> None:
    grid = WavelengthGrid(start=4960.0, step=0.06, size=30_000, medium="vacuum", name="vacuum")
    assert Exposure(grid)({"file": write_exposure("a.fits")})[1]["flags"] == [
        "from-air",
        "resampled",
    ]
