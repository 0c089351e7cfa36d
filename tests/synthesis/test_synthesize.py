"""Whole spectra: what must hold whatever the star, and how mistakes are told."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u

from maury.errors import MauryError, SynthesisError
from maury.spectrum import Spectrum
from maury.synthesis.linelist import standard_lines
from maury.synthesis.synthesize import synthesize
from maury.wavelength import air_to_vacuum

SUN = {"teff": 5777.0, "logg": 4.44}
WINDOW = np.arange(5180.0, 5187.0, 0.01)


@pytest.fixture(scope="module")
def sun() -> Spectrum:
    """Mg b in the Sun."""
    return synthesize(**SUN, wavelength=WINDOW, normalized=True)


def depth_of(spectrum: Spectrum) -> float:
    return float(1 - spectrum.flux.min())


def equivalent_width(spectrum: Spectrum) -> float:
    """Of all lines in the window, Angstrom."""
    return float(np.trapezoid(1 - spectrum.flux, spectrum.wavelength))


def test_a_spectrum_tells_its_frame_medium_and_star(sun: Spectrum) -> None:
    assert (sun.frame, sun.medium) == ("rest", "air")
    assert "5777" in (sun.meta.object or "")
    assert not sun.mask.any()
    assert sun.uncertainty is None
    np.testing.assert_array_equal(sun.wavelength, WINDOW)


def test_magnesium_b_is_deep_where_it_should_be(sun: Spectrum) -> None:
    assert sun.wavelength[np.argmin(sun.flux)] == pytest.approx(5183.604, abs=0.02)
    assert depth_of(sun) > 0.9
    assert 0 < sun.flux.min() < sun.flux.max() < 1


def test_vacuum_wavelengths_give_the_same_spectrum_elsewhere(sun: Spectrum) -> None:
    vacuum = synthesize(**SUN, wavelength=air_to_vacuum(WINDOW), medium="vacuum", normalized=True)
    assert vacuum.medium == "vacuum"
    np.testing.assert_allclose(vacuum.wavelength, air_to_vacuum(WINDOW))
    np.testing.assert_allclose(vacuum.flux, sun.flux, atol=1e-6)


def test_quantities_are_taken_in_any_unit(sun: Spectrum) -> None:
    same = synthesize(
        teff=5777 * u.K,
        logg=4.44,
        vmic=1000 * u.m / u.s,
        vsini=0 * u.km / u.s,
        wavelength=WINDOW / 10 * u.nm,
        normalized=True,
    )
    # The Voigt function has steps of 1e-4 where its approximations meet.
    np.testing.assert_allclose(same.flux, sun.flux, atol=5e-5)
    np.testing.assert_allclose(same.wavelength, WINDOW)


def test_flux_is_the_normalised_one_times_the_continuum(sun: Spectrum) -> None:
    absolute = synthesize(**SUN, wavelength=WINDOW)
    continuum = absolute.flux / sun.flux
    assert u.Unit(absolute.meta.flux_unit) == u.erg / u.s / u.cm**2 / u.AA
    assert sun.meta.flux_unit is None
    # The Sun's irradiance there is 1.9 W m-2 nm-1 (Kurucz et al. 1984), a tenth lost in lines.
    at_surface = 1.9 * 100 * (149597870.7 / 695700) ** 2
    assert continuum.mean() == pytest.approx(at_surface / 0.88, rel=0.06)
    assert np.ptp(continuum) / continuum.mean() < 0.005


def test_a_narrow_window_is_cut_from_a_wide_synthesis(sun: Spectrum) -> None:
    wide = synthesize(**SUN, wavelength=np.arange(5150.0, 5230.0, 0.01), normalized=True)
    there = np.interp(WINDOW, wide.wavelength, wide.flux)
    np.testing.assert_allclose(sun.flux, there, atol=1e-3)


def test_a_narrow_window_of_a_broadened_star_knows_the_lines_outside() -> None:
    broad = {"vsini": 30.0, "vmac": 4.0, "resolving_power": 60_000, "normalized": True}
    narrow = synthesize(**SUN, **broad, wavelength=WINDOW)
    wide = synthesize(**SUN, **broad, wavelength=np.arange(5150.0, 5230.0, 0.01))
    there = np.interp(WINDOW, wide.wavelength, wide.flux)
    np.testing.assert_allclose(narrow.flux, there, atol=2e-3)


def test_any_sampling_gives_the_same_flux(sun: Spectrum) -> None:
    rng = np.random.default_rng(3)
    chosen = np.sort(rng.choice(WINDOW.size, 60, replace=False))
    uneven = synthesize(**SUN, wavelength=WINDOW[chosen], normalized=True)
    np.testing.assert_allclose(uneven.flux, sun.flux[chosen], atol=1e-3)


@pytest.mark.parametrize(
    "broadening", [{"vsini": 6.0}, {"vmac": 5.0}, {"resolving_power": 50_000.0}]
)
def test_broadening_makes_lines_shallow_and_keeps_their_area(broadening) -> None:
    """6173.3 A, the line of helioseismology, in a clean stretch."""
    window = {"wavelength": np.arange(6171.5, 6175.2, 0.01), "normalized": True}
    sharp, broad = synthesize(**SUN, **window), synthesize(**SUN, **window, **broadening)
    assert depth_of(broad) < 0.95 * depth_of(sharp)
    assert equivalent_width(broad) == pytest.approx(equivalent_width(sharp), rel=0.01)


def test_lines_grow_with_metals_and_microturbulence_and_fade_with_heat() -> None:
    window = {"wavelength": np.arange(6245.0, 6255.0, 0.02), "normalized": True}
    base = equivalent_width(synthesize(**SUN, **window))
    assert equivalent_width(synthesize(**SUN, mh=-0.5, **window)) < 0.85 * base
    assert equivalent_width(synthesize(**SUN, vmic=2.0, **window)) > 1.03 * base
    assert equivalent_width(synthesize(teff=7500, logg=4.44, **window)) < 0.6 * base


def test_alpha_elements_are_apart_from_iron() -> None:
    """Ca I 6162.2 grows with [alpha/M], Fe I 6173.3 does not."""
    calcium = {"wavelength": np.arange(6161.8, 6162.6, 0.01), "normalized": True}
    iron = {"wavelength": np.arange(6173.0, 6173.7, 0.01), "normalized": True}
    for window, least, most in ((calcium, 1.15, 1.6), (iron, 0.9, 1.02)):
        ratio = equivalent_width(synthesize(**SUN, alpha=0.4, **window)) / equivalent_width(
            synthesize(**SUN, **window)
        )
        assert least < ratio < most


def test_mg_b_wings_tell_gravity() -> None:
    window = {"wavelength": np.arange(5182.0, 5185.0, 0.02), "normalized": True}
    low, high = (equivalent_width(synthesize(teff=5000, logg=g, **window)) for g in (3.5, 5.0))
    assert high > 1.2 * low


def test_another_line_list_is_taken() -> None:
    lines = standard_lines()
    none = synthesize(
        **SUN,
        wavelength=WINDOW,
        normalized=True,
        lines=replace(lines, log_gf=np.full(len(lines), -30.0)),
    )
    # What is left are the far wings of the Balmer lines, which no list takes away.
    np.testing.assert_allclose(none.flux, 1, atol=1e-4)


@pytest.mark.parametrize("teff", [3000.0, 11500.0])
@pytest.mark.parametrize("mh", [-1.5, 0.5])
def test_the_corners_of_the_grid_are_computed(teff: float, mh: float) -> None:
    spectrum = synthesize(
        teff=teff, logg=5.0, mh=mh, wavelength=np.arange(4855.0, 4868.0, 0.05), normalized=True
    )
    assert np.isfinite(spectrum.flux).all()
    assert 0 < spectrum.flux.min() < 0.9 < 1.001 > spectrum.flux.max()


def with_nan() -> np.ndarray:
    wavelength = WINDOW.copy()
    wavelength[7] = np.nan
    return wavelength


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teff": 2000}, "Teff = 2000 K"),
        ({"teff": np.nan}, "Teff = nan"),
        ({"teff": 5 * u.km}, "teff"),
        ({"teff": "hot"}, "teff"),
        ({"logg": 1.0}, "log g = 1"),
        ({"logg": np.nan}, "log g = nan"),
        ({"mh": -3.0}, "M/H"),
        ({"mh": np.nan}, "M/H"),
        ({"vmic": -1.0}, "vmic"),
        ({"vmic": np.nan}, "vmic"),
        ({"vmic": 50 * u.km / u.s}, "vmic"),
        ({"vmic": 3 * u.K}, "vmic"),
        ({"alpha": np.nan}, "alpha"),
        ({"alpha": 4.0}, "alpha"),
        ({"vsini": -2.0}, "vsini"),
        ({"vsini": np.nan}, "vsini"),
        ({"vmac": np.inf}, "vmac"),
        ({"resolving_power": 0.0}, "resolving power"),
        ({"resolving_power": np.nan}, "resolving power"),
        ({"resolving_power": -5e4}, "resolving power"),
        ({"medium": "water"}, "medium"),
        ({"wavelength": WINDOW[::-1]}, "increas"),
        ({"wavelength": WINDOW - 2000}, "3770"),
        ({"wavelength": WINDOW + 2000}, "6925"),
        ({"wavelength": WINDOW[:1]}, "wavelength"),
        ({"wavelength": []}, "wavelength"),
        ({"wavelength": with_nan()}, "wavelength"),
        ({"wavelength": WINDOW.reshape(2, -1)}, "wavelength"),
        ({"wavelength": WINDOW * u.K}, "wavelength"),
    ],
)
def test_mistakes_are_told_in_one_sentence(change: dict, message: str) -> None:
    with pytest.raises(MauryError, match=message) as caught:
        synthesize(**({**SUN, "wavelength": WINDOW} | change))
    assert isinstance(caught.value, SynthesisError)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
