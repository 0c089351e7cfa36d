"""Velocities of lines that stand where they were put."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maury.errors import SpectrumError
from maury.inference.cross_correlation import HOLE, LineMask, cross_correlate
from maury.inference.fit import SOLAR_LINE_SHIFT
from maury.instrument.telluric import Telluric
from maury.spectrum import SPEED_OF_LIGHT, Spectrum, doppler_shift

LINES = 5000.0 + 3.7 * np.arange(60) + np.random.default_rng(1).uniform(-1, 1, 60)
DEPTHS = np.random.default_rng(2).uniform(0.2, 0.8, 60)
MASK = LineMask(LINES, DEPTHS)
VELOCITY = np.arange(-20.0, 20.1, 0.25)
SIGMA = 3.0


def star(velocity: float = 0.0) -> Spectrum:
    wavelength = np.arange(4990.0, 5240.0, 0.01)
    lines = LINES * (1 + velocity / SPEED_OF_LIGHT)
    offset = (wavelength[:, None] / lines - 1) * SPEED_OF_LIGHT
    flux = 1 - (DEPTHS * np.exp(-0.5 * (offset / SIGMA) ** 2)).sum(axis=1)
    return Spectrum(wavelength, 1000 * flux * (wavelength / 5000) ** 5)


STAR = star()


@settings(max_examples=20, deadline=None)
@given(st.floats(-9, 9))
def test_a_velocity_is_found_to_a_metre_per_second(velocity: float) -> None:
    moved = doppler_shift(STAR, velocity)
    assert cross_correlate(moved, MASK, VELOCITY).rv == pytest.approx(velocity, abs=2e-3)


def test_width_and_contrast_are_those_of_the_lines() -> None:
    found = cross_correlate(star(3.0), MASK, VELOCITY)
    # A hole of width h widens by its variance, h^2 / 12.
    expected = np.sqrt(8 * np.log(2) * (SIGMA**2 + HOLE**2 / 12))
    assert found.fwhm == pytest.approx(expected, rel=0.01)
    mean = (DEPTHS**2).sum() / DEPTHS.sum()
    assert found.contrast == pytest.approx(mean, rel=0.02)
    assert (found.lines, found.profile.max()) == (60, 1.0)


def test_the_shift_of_the_lines_themselves_is_no_velocity() -> None:
    shifted = replace(MASK, shift=0.3)
    assert cross_correlate(STAR, shifted, VELOCITY).rv == pytest.approx(-0.3, abs=2e-3)
    assert LineMask.for_star(5500.0, 4.4, 0.0).shift == SOLAR_LINE_SHIFT


def test_lines_that_sweep_over_bad_pixels_are_left_out() -> None:
    bad = np.abs(STAR.wavelength - LINES[7]) < 0.05
    spoilt = replace(STAR, mask=bad, flux=np.where(bad, 1e6, STAR.flux))
    found = cross_correlate(spoilt, MASK, VELOCITY)
    assert found.lines < 60
    assert found.rv == pytest.approx(0, abs=2e-3)


@pytest.mark.parametrize(
    ("change", "mask", "message"),
    [
        ({"medium": "vacuum"}, MASK, "has wavelengths in vacuum; a mask of lines is in air"),
        ({"path": None}, LineMask(LINES[:9], DEPTHS[:9]), "has 9 lines of the mask in its good"),
        ({"flux": np.linspace(1, 2, 25000)}, MASK, "has no dip in the mean of its lines between"),
    ],
)
def test_what_has_no_velocity_says_so(change: dict, mask: LineMask, message: str) -> None:
    changes = {key: value for key, value in change.items() if key != "path"}
    with pytest.raises(SpectrumError, match=message):
        cross_correlate(replace(STAR, **changes), mask, VELOCITY)


def test_no_line_of_a_mask_can_meet_a_telluric_one() -> None:
    mask = LineMask.for_star(5500.0, 4.4, 0.0)
    assert np.all(np.diff(mask.wavelength) > 0) and mask.wavelength.size > 1000
    transmission = Telluric.load().transmission
    for berv in (-30.0, -11.0, 0.0, 17.0, 30.0):
        here = mask.wavelength / (1 + berv / SPEED_OF_LIGHT)
        assert transmission(here, 1.5, 5.0, resolving_power=115_000).min() > 0.98
