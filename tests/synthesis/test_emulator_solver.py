"""Spectra from the embedded emulator against the emulator itself and the synthesis."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maury.errors import SynthesisError
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.elements import abundances
from maury.synthesis.emulator import Emulator
from maury.synthesis.emulator_solver import (
    check_emulated,
    check_emulated_wavelengths,
    continuum_flux,
    emulated_wavelength,
    emulator_limits,
    solve_from_emulator,
)
from maury.synthesis.linelist import standard_lines
from maury.synthesis.synthesize import surface_flux

STAR = {"teff": 5200.0, "logg": 4.5, "mh": -0.2, "vmic": 0.9}


def test_lines_are_the_emulators() -> None:
    emulator = Emulator.load()
    wavelength = emulated_wavelength(6000.0, 6050.0)
    assert 6000.0 <= wavelength[0] < 6000.1 and 6049.9 < wavelength[-1] <= 6050.0
    star = {name: STAR[name] for name in ("logg", "mh", "vmic")}
    flux, continuum = solve_from_emulator(wavelength, teff=(5200.0, 4100.0), **star)
    assert flux.shape == continuum.shape == (2, wavelength.size)
    inside = (emulator.wavelength >= 6000.0) & (emulator.wavelength <= 6050.0)
    for k, teff in enumerate((5200.0, 4100.0)):
        labels = [[{**STAR, "teff": teff}[name] for name in emulator.names]]
        known = emulator.double().flux(torch.tensor(labels, dtype=torch.float64))[0].numpy()
        np.testing.assert_allclose(flux[k] / continuum[k], known[inside], atol=2e-6)


@pytest.mark.parametrize("teff", [4000.0, 5777.0, 8000.0])
def test_the_continuum_is_that_of_the_synthesis(teff: float) -> None:
    wavelength = np.linspace(4790.0, 6920.0, 300)
    models = [model_atmosphere(t, 4.4, 0.1) for t in (teff, 5000.0)]
    found = continuum_flux(wavelength, models, abundances(0.1))
    none = standard_lines().between(0.0, 0.0)
    for model, flux in zip(models, found, strict=True):
        _, continuum = surface_flux(wavelength, model, abundances(0.1), none, 1.0)
        np.testing.assert_allclose(flux, continuum, rtol=1e-3)
        assert (flux / continuum).std() < 2e-4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"teff": 3900.0}, "teff = 3900 is outside what the emulator knows, 4000 to 8000;"),
        ({"teff": 8000.1}, "teff = 8000.1 is outside"),
        ({"logg": 3.0}, "logg = 3 is outside what the emulator knows, 3.5 to 5;"),
        ({"mh": 0.6}, "mh = 0.6 is outside what the emulator knows, -1.5 to 0.5;"),
        ({"vmic": 2.6}, "vmic = 2.6 is outside what the emulator knows, 0.5 to 2.5;"),
        ({"teff": float("nan")}, "teff = nan is outside"),
    ],
)
def test_stars_that_it_does_not_know_are_refused(change: dict[str, float], says: str) -> None:
    with pytest.raises(SynthesisError, match=says):
        check_emulated({**STAR, **change})


def test_what_it_knows_is_taken_to_the_last() -> None:
    for end in (0, 1):
        check_emulated({name: limits[end] for name, limits in emulator_limits().items()})
    check_emulated_wavelengths(4790.0, 6922.0)


@pytest.mark.parametrize(("first", "last"), [(4789.0, 6000.0), (5000.0, 6925.0)])
def test_wavelengths_beyond_it_are_refused(first: float, last: float) -> None:
    with pytest.raises(SynthesisError, match=r"but the emulator covers 4790\.0-6922\.5 A;"):
        check_emulated_wavelengths(first, last)
