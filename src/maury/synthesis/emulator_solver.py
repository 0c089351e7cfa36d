"""Spectra of stars from the embedded emulator, for the sets of simulated exposures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from maury.errors import SynthesisError
from maury.synthesis.atmosphere import Atmosphere, model_atmosphere
from maury.synthesis.continuum import continuum_opacity
from maury.synthesis.elements import abundances
from maury.synthesis.emulator import Emulator
from maury.synthesis.equation_of_state import solve
from maury.synthesis.transfer import emergent_flux
from maury.wavelength import air_to_vacuum

__all__ = [
    "check_emulated",
    "check_emulated_wavelengths",
    "continuum_flux",
    "emulated_wavelength",
    "emulator_checksum",
    "emulator_limits",
    "solve_from_emulator",
]

CONTINUUM_STEP = 40.0  # Angstrom; straight lines between are 8e-5 off (rms), 8e-4 at most


@cache
def _emulator() -> Emulator:
    emulator = Emulator.load()
    # Sums over the process's large weights lose 2e-4 of the flux in single precision.
    for name in ("lower", "upper", "nodes", "scales", "weights", "trend"):
        setattr(emulator, name, getattr(emulator, name).double())
    return emulator


def emulator_limits() -> dict[str, tuple[float, float]]:
    """Lowest and highest of each parameter that the embedded emulator knows, by name.

    Examples
    --------
    >>> emulator_limits()["teff"]
    (4000.0, 8000.0)
    """
    emulator = _emulator()
    limits = zip(emulator.lower.tolist(), emulator.upper.tolist(), strict=True)
    return dict(zip(emulator.names, limits, strict=True))


def emulator_checksum() -> str:
    """SHA-256 of the embedded emulator's numbers."""
    return str(_emulator().card["sha256"])


def check_emulated(star: Mapping[str, float]) -> None:
    """Find out whether the emulator knows a star.

    Parameters
    ----------
    star
        Its teff (K), logg, mh (dex) and vmic (km/s), at least.

    Raises
    ------
    SynthesisError
        If one of them is outside what the emulator knows.
    """
    for name, (lower, upper) in emulator_limits().items():
        if not lower <= star[name] <= upper:
            raise SynthesisError(
                f"{name} = {star[name]:g} is outside what the emulator knows, {lower:g} to "
                f"{upper:g}; the solver 'direct' or 'table' takes it."
            )


def check_emulated_wavelengths(first: float, last: float) -> None:
    """Find out whether the emulator reaches all wavelengths of an interval, Angstrom in air.

    Raises
    ------
    SynthesisError
        If it does not.
    """
    lower, upper = _emulator().wavelength[[0, -1]]
    if first < lower or last > upper:
        raise SynthesisError(
            f"Stars' spectra are needed at {first:.1f}-{last:.1f} A, but the emulator covers "
            f"{lower:.1f}-{upper:.1f} A; take such a grid as harps-small, or another solver."
        )


def emulated_wavelength(first: float, last: float) -> NDArray[np.float64]:
    """The emulator's samples within an interval, Angstrom in air, uniform in their logarithm."""
    wavelength = _emulator().wavelength
    return np.asarray(wavelength[(wavelength >= first) & (wavelength <= last)])


@torch.no_grad()
def solve_from_emulator(
    wavelength: NDArray[np.float64],
    *,
    teff: Sequence[float],
    logg: float,
    mh: float,
    vmic: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Flux and continuum at the surface of stars that differ in temperature alone.

    The lines are the emulator's, which has learned those that are calibrated on the Sun; the
    continuum is computed.

    Parameters
    ----------
    wavelength
        Some that follow one another of the emulator's samples; see `emulated_wavelength`.
    teff, logg, mh, vmic
        K, log10 of cm s-2, dex, km/s.

    Returns
    -------
    flux, continuum
        erg s-1 cm-2 A-1, [star, pixel]; no rotation, macroturbulence or instrument.

    Raises
    ------
    SynthesisError
        If the emulator does not know a star.
    """
    stars = [{"teff": t, "logg": logg, "mh": mh, "vmic": vmic} for t in teff]
    for star in stars:
        check_emulated(star)
    emulator = _emulator()
    first = int(np.searchsorted(emulator.wavelength, wavelength[0]))
    part = slice(first, first + wavelength.size)
    labels = [[star[name] for name in emulator.names] for star in stars]
    amplitudes = emulator.amplitudes(torch.tensor(labels, dtype=torch.float64)).float()
    relative = torch.addmm(emulator.mean[part], amplitudes, emulator.components[:, part])
    models = [model_atmosphere(t, logg, mh) for t in teff]
    continuum = continuum_flux(wavelength, models, abundances(mh))
    return relative.numpy() * continuum, continuum


def continuum_flux(
    wavelength: NDArray[np.float64],
    atmospheres: Sequence[Atmosphere],
    abundance: Mapping[str, float],
) -> NDArray[np.float64]:
    """Flux at the stellar surface as it would be without lines, erg s-1 cm-2 A-1, [star, pixel].

    Parameters
    ----------
    wavelength
        Increasing, Angstrom in air, 3650 to 8200: there the continuum has no edge.
    atmospheres
        Model atmospheres of stars.
    abundance
        Nuclei per hydrogen nucleus, alike in all of them.
    """
    temperature, pressure, electrons = (
        np.concatenate([getattr(model, name) for model in atmospheres])
        for name in ("temperature", "pressure", "electron_density")
    )
    # Layers know nothing of each other, so those of all stars are solved at once.
    gas = solve(temperature, pressure, abundance, electrons=electrons)
    start = float(wavelength[0])
    count = max(math.ceil((wavelength[-1] - start) / CONTINUUM_STEP) + 1, 2)
    coarse = start + CONTINUUM_STEP * np.arange(count)
    opacity = continuum_opacity(air_to_vacuum(coarse), gas)
    flux = np.empty((len(atmospheres), wavelength.size))
    first = 0
    for k, model in enumerate(atmospheres):
        layers = slice(first, first := first + model.rhox.size)
        structure = (model.rhox, gas.density[layers], model.temperature)
        known = emergent_flux(coarse, None, opacity[layers], start, CONTINUUM_STEP, *structure)
        flux[k] = np.interp(wavelength, coarse, known)
    return flux
