"""Line strengths recovered from a star that was computed with others."""

from dataclasses import replace

import numpy as np
import pytest

from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.calibration import Flag, ReferenceStar, calibrate, local_continuum
from maury.synthesis.elements import abundances
from maury.synthesis.linelist import standard_lines
from maury.synthesis.synthesize import surface_flux

WAVELENGTH = np.arange(6240.0, 6259.0, 0.01)
#: Lines that are clean in the window, and how far the fake star's strengths are from the list's.
WRONG = {"Fe I 6246.318": -0.3, "Fe I 6252.555": 0.2, "Ti I 6258.102": 0.35, "Sc II 6245.637": -0.2}
ABSENT = "Fe I 6240.646"


def index_of(lines, name: str) -> int:
    species, wavelength = name.rsplit(" ", 1)
    near = np.abs(lines.wavelength - float(wavelength)) < 0.02
    near &= lines.species_index == lines.species.index(species)
    index = np.flatnonzero(near)
    return int(index[np.argmax(lines.log_gf[index])])


@pytest.fixture(scope="module")
def fitted():
    """What was put in and what came out."""
    lines = standard_lines(titanium_oxide=False).between(WAVELENGTH[0] - 5, WAVELENGTH[-1] + 5)
    truth = np.zeros(len(lines))
    for name, change in WRONG.items():
        truth[index_of(lines, name)] = change
    truth[index_of(lines, ABSENT)] = -10.0
    atmosphere, abundance = model_atmosphere(5772, 4.438, 0.0), abundances()
    flux, continuum = surface_flux(
        WAVELENGTH, atmosphere, abundance, lines.with_log_gf(lines.log_gf + truth), 1.0
    )
    blank = ReferenceStar(
        WAVELENGTH, WAVELENGTH, np.ones(WAVELENGTH.size), atmosphere, abundance, 1.0, 3.6, 1.9
    )
    noise = np.random.default_rng(5).normal(0, 0.001, WAVELENGTH.size)
    # The observed continuum is 2% too high: it must be divided out, not fitted by lines.
    observed = 1.02 * blank.observed(flux / continuum) + noise
    star = ReferenceStar(WAVELENGTH, observed, blank.weight, atmosphere, abundance, 1.0, 3.6, 1.9)
    return lines, truth, calibrate(star, lines)


def test_wrong_strengths_are_put_right(fitted) -> None:
    lines, truth, result = fitted
    for name in WRONG:
        i = index_of(lines, name)
        assert result.delta_log_gf[i] == pytest.approx(truth[i], abs=0.05), name


def test_a_line_that_does_not_exist_is_taken_out(fitted) -> None:
    lines, _, result = fitted
    i = index_of(lines, ABSENT)
    assert result.delta_log_gf[i] < -1.2
    assert result.flag[i] == Flag.ABSENT
    assert result.flag[index_of(lines, "Fe I 6252.555")] == Flag.FITTED
    assert result.flag[0] == Flag.UNTESTED


def test_right_strengths_stay(fitted) -> None:
    lines, truth, result = fitted
    # A blend's partners share its correction; what matters is that few lines move far.
    others = (truth == 0) & (result.delta_log_gf != 0)
    assert others.any()
    assert np.quantile(np.abs(result.delta_log_gf[others]), 0.8) < 0.1
    outside = (lines.wavelength < WAVELENGTH[0] - 1) | (lines.wavelength > WAVELENGTH[-1] + 1)
    assert not result.delta_log_gf[outside].any()


def test_residuals_come_down_to_the_noise(fitted) -> None:
    result = fitted[2]
    assert np.sqrt(np.mean(result.before**2)) > 0.02
    assert np.sqrt(np.mean(result.after**2)) < 0.003


def test_continuum_follows_slow_changes_and_not_lines() -> None:
    wavelength = np.arange(5000.0, 5300.0, 0.05)
    model = 1 - 0.5 * np.exp(-(((wavelength % 7) - 3.5) ** 2) / 0.1)
    slope = 1.02 + 1e-4 * (wavelength - 5150)
    weight = np.ones(wavelength.size)
    observed = slope * model
    observed[1000:1300] = 0.0
    weight[1000:1300] = 0.0
    level = local_continuum(wavelength, observed / model, model, weight)
    middle = (wavelength > 5040) & (wavelength < 5260)
    np.testing.assert_allclose(level[middle], slope[middle], atol=5e-4)


def test_damping_of_a_strong_line_is_found_apart_from_its_strength() -> None:
    """Na D2, whose wings tell its width: computed with twice that, and weaker by 0.1 dex."""
    wavelength = np.arange(5882.0, 5894.0, 0.01)
    lines = standard_lines(calibrated=False, titanium_oxide=False).between(5877.0, 5899.0)
    sodium = index_of(lines, "Na I 5889.951")
    log_gf, width = lines.log_gf.copy(), lines.gamma_vdw.copy()
    log_gf[sodium] -= 0.1
    width[sodium] *= 2
    atmosphere, abundance = model_atmosphere(5772, 4.438, 0.0), abundances()
    true = replace(lines, log_gf=log_gf, gamma_vdw=width)
    flux, continuum = surface_flux(wavelength, atmosphere, abundance, true, 1.0)
    ones = np.ones(wavelength.size)
    blank = ReferenceStar(wavelength, ones, ones, atmosphere, abundance, 1.0, 3.6, 1.9)
    observed = blank.observed(flux / continuum)
    star = ReferenceStar(wavelength, observed, ones, atmosphere, abundance, 1.0, 3.6, 1.9)
    result = calibrate(star, lines, spread=0.3, damping_spread=0.3)
    # Wings alone tell the product of the two, the core tells them apart.
    assert result.delta_log_vdw[sodium] == pytest.approx(np.log10(2), abs=0.1)
    assert result.delta_log_gf[sodium] == pytest.approx(-0.1, abs=0.1)
    together = result.delta_log_vdw[sodium] + result.delta_log_gf[sodium]
    assert together == pytest.approx(np.log10(2) - 0.1, abs=0.03)
    strong = result.delta_log_vdw != 0
    assert 1 <= strong.sum() < 6
