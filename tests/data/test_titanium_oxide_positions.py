"""Bands found by their isotope shifts and moved to where a made-up star has them."""

import numpy as np
import pytest

from maury.data.titanium_oxide_positions import (
    OPACITY,
    STEP,
    Bands,
    Star,
    agreement,
    fit_positions,
    groups,
)

ROTATION = (0.535, 0.507)  # cm-1, of the lower and the upper state
WAVELENGTH = 6600.0 + STEP * np.arange(8000)


def sub_band(origin: float, vibration: float) -> np.ndarray:
    """Wavelength, energy, log gf and isotopic power of three branches, J to 80."""
    j, branch = (a.ravel() for a in np.meshgrid(np.arange(3.0, 80.0), [-1.0, 0.0, 1.0]))
    low, up = ROTATION[0] * j * (j + 1), ROTATION[1] * (j + branch) * (j + branch + 1)
    wavenumber = origin + up - low
    power = (vibration + 2 * (up - low)) / wavenumber
    return np.stack([1e8 / wavenumber, low / 8065.544, np.log10(0.02 * j) - 0.3 * branch**2, power])


@pytest.fixture(scope="module")
def bands() -> Bands:
    """Two sub-bands of the gamma system, 70 cm-1 apart."""
    return Bands(*np.concatenate([sub_band(15035.0, 795.0), sub_band(14965.0, 795.0)], axis=1))


def star(bands: Bands, shift: np.ndarray) -> Star:
    """Lines of 0.032 A where they are moved to by ``shift``, under noise of 2%."""
    flux = np.zeros(WAVELENGTH.size)
    place = bands.wavelength / (1 + shift * bands.wavelength * 1e-8)
    for at, strength in zip(place, bands.strength, strict=True):
        near = np.abs(WAVELENGTH - at) < 0.3
        profile = np.exp(-0.5 * ((WAVELENGTH[near] - at) / 0.032) ** 2)
        flux[near] += strength * profile * STEP / 0.032 / np.sqrt(2 * np.pi)
    noise = np.random.default_rng(6651).normal(1.0, 0.02, flux.size)
    return Star(WAVELENGTH, noise / (1 + OPACITY * flux), np.ones(flux.size))


def test_every_line_of_a_sub_band_is_in_one_group(bands: Bands) -> None:
    found = groups(bands)
    half = found.size // 2
    strong = bands.strength > 0.02
    for part in (slice(None, half), slice(half, None)):
        assert np.unique(found[part][strong[part]]).size == 1
    assert found[:half][strong[:half]][0] != found[half:][strong[half:]][0]


def test_bands_are_moved_to_where_the_star_has_them(bands: Bands) -> None:
    half = bands.excitation.size // 2
    truth = np.concatenate([np.full(half, -0.21), 0.86 + 0.4 * (bands.excitation[half:] - 0.1)])
    observed = star(bands, truth)
    found = fit_positions(bands, [observed])
    strong = (bands.strength > 0.02) & (bands.excitation < 0.25)
    assert np.mean(np.abs(found - truth)[strong] < 0.06) > 0.99
    window = ((6650.0, 6740.0),)
    before = agreement(bands, np.zeros(2 * half), observed, window)[0]
    after = agreement(bands, found, observed, window)[0]
    assert before < 0.6
    assert after > 0.95
