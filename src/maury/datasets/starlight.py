"""Intrinsic spectra at a spectrograph's resolution, on the pixels that exposures are made from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from torch import Tensor

from maury.datasets.nuisances import LineStrengthErrors
from maury.errors import SynthesisError
from maury.grid import WavelengthGrid
from maury.instrument.echelle import HARPS, Echelle
from maury.instrument.photometry import V_RESPONSE, V_WAVELENGTH, v_weights
from maury.instrument.spectrograph import PixelResponse
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.broadening import Broadening
from maury.synthesis.elements import abundances
from maury.synthesis.emulator_solver import (
    check_emulated_wavelengths,
    emulated_wavelength,
    solve_from_emulator,
)
from maury.synthesis.linelist import standard_lines
from maury.synthesis.synthesize import COVERAGE, LineStrengths, surface_flux
from maury.synthesis.table_solver import solve_from_tables, tables_for, tables_needed
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["LEAST_V", "StarOptics", "StarSolver", "Starlight", "exposure_grid"]

StarSolver = Literal["direct", "table", "emulator"]
"""Those of `maury.synthesis.synthesize.synthesize`, and the embedded emulator."""

SAMPLES = 4  # of the spectrum before the instrument, to a resolution element
MARGIN = 60.0  # km/s beyond the grid from which rotation may carry lines into it
SPARE = 0.1  # Angstrom that the samples keep from the ends of what can be computed
LEAST_V = 0.5  # share of the V band that is enough to take its mean from
STAR_STREAM = 0x5DEECE66D  # keeps what a star and what its exposure draw of one seed apart


def exposure_grid(grid: WavelengthGrid, echelle: Echelle = HARPS) -> tuple[WavelengthGrid, int]:
    """The grid on which exposures are computed, and how many of its pixels are one of the grid.

    Pixels too wide for the spectrograph are the mean of several; of as many as there are detector
    pixels in one, where these are narrow enough.

    Examples
    --------
    >>> fine, together = exposure_grid(WavelengthGrid(start=4944.0, step=0.06, size=2**15))
    >>> fine.start, fine.step, fine.size, together
    (4943.9775, 0.015, 131072, 4)
    """
    needed = math.ceil(grid.step / echelle.widest_pixel(grid.start) - 1e-9)
    middle = (grid.start + grid.stop) / 2
    detector = np.interp(middle, echelle.orders["centre"], echelle.orders["dispersion_centre"])
    together = max(needed, round(grid.step / detector), 1)
    if together == 1:
        return grid, 1
    step = grid.step / together
    fine = WavelengthGrid(
        start=round(float(grid.edges[0]) + step / 2, 9),
        step=step,
        size=grid.size * together,
        medium=grid.medium,
        gaps=grid.gaps,
    )
    return fine, together


@dataclass(frozen=True, kw_only=True)
class Starlight:
    """Spectra of stars as a spectrograph would show them without air, noise and blaze.

    A call takes a row with teff, logg, mh, vmic, vsini, vmac and noise_seed, and gives a spectrum
    and the columns that belong to it.

    Parameters
    ----------
    grid
        Pixels, stellar rest frame, air.
    solver
        ``"direct"`` sums the lines of each star, ``"table"`` interpolates opacity tables, and
        ``"emulator"`` takes the lines from the embedded emulator, which needs some 20 ms a star,
        and computes the continuum; see `maury.synthesis.emulator_solver` for what it knows.
    line_strengths
        As of `maury.synthesis.synthesize.synthesize`; the emulator's are calibrated.
    line_errors
        Errors of the line strengths, another one for each star.
    resolving_power
        Of the Gaussian that lines are convolved with.

    Raises
    ------
    SynthesisError
        If the emulator does not reach the pixels or has not the line strengths.
    """

    grid: WavelengthGrid
    solver: StarSolver = "table"
    line_strengths: LineStrengths = "calibrated"
    line_errors: LineStrengthErrors | None = None
    resolving_power: float = HARPS.resolving_power

    def __post_init__(self) -> None:
        if self.solver != "emulator":
            return
        if self.line_strengths != "calibrated":
            raise SynthesisError(
                f"Line strengths {self.line_strengths!r} need the solver 'direct' or 'table'; the "
                "emulator's are 'calibrated'."
            )
        edges = self.grid.edges
        check_emulated_wavelengths(edges[0] - SPARE, edges[-1] + SPARE)

    @property
    def optics(self) -> StarOptics:
        """What makes the pixels of the spectra."""
        return _optics(self.grid, self.resolving_power, self.solver)

    def __call__(self, row: Mapping[str, Any]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Flux, erg s-1 cm-2 A-1 at the surface, NaN where nothing can be computed; and `flux_v`.

        The column is the mean flux over the V band, which a magnitude refers to. Where the grid
        holds less than half of the band, the continuum there is taken, dimmed by as much as the
        lines take from the grid.

        Raises
        ------
        SynthesisError
            If the parameters are out of range or the flux is not finite.
        """
        flux, flux_v = self.at_temperatures(row, (row["teff"],))
        return flux[0].copy(), {"flux_v": float(flux_v[0])}

    def at_temperatures(
        self, row: Mapping[str, Any], teff: tuple[float, ...]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Spectra of stars that differ in their effective temperature alone, K, such as spots.

        Together they take less time. Flux, [star, pixel], and `flux_v`, [star], as of a call.

        Raises
        ------
        SynthesisError
            If the parameters are out of range or the flux is not finite.
        """
        names = ("logg", "mh", "vmic", "vsini", "vmac", "noise_seed")
        return _starlight(self, teff, *(row[name] for name in names))

    def make_tables(
        self, metallicity: Sequence[float], announce: Callable[[str], object] | None = None
    ) -> None:
        """Have the opacity tables that stars of these [M/H] take, if any, on disk.

        Parameters
        ----------
        metallicity
            dex.
        announce
            Called with what is being made.
        """
        if self.solver != "table":
            return
        lines = standard_lines(calibrated=self.line_strengths == "calibrated")
        tables = tables_for(self.optics.wavelength, lines)
        needed = tables_needed(metallicity)
        for k, mh in enumerate(needed):
            if announce is not None:
                announce(f"Opacity table {k + 1} of {len(needed)}: [M/H] = {mh:+.2f}")
            tables.table(mh)

    def solve(
        self,
        wavelength: NDArray[np.float64],
        *,
        teff: Sequence[float],
        logg: float,
        mh: float,
        vmic: float,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Flux and continuum at the surface, [star, pixel], not broadened.

        Parameters
        ----------
        wavelength
            Those of `optics`.
        teff, logg, mh, vmic
            Of stars that differ in temperature alone: K, log10 of cm s-2, dex, km/s.

        Raises
        ------
        SynthesisError
            If the parameters are out of range.
        """
        if self.solver == "emulator":
            return solve_from_emulator(wavelength, teff=teff, logg=logg, mh=mh, vmic=vmic)
        spectra = [self._solve(wavelength, t, logg, mh, vmic) for t in teff]
        flux, continuum = (np.stack(part) for part in zip(*spectra, strict=True))
        return flux, continuum

    def _solve(
        self, wavelength: NDArray[np.float64], teff: float, logg: float, mh: float, vmic: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        lines = standard_lines(calibrated=self.line_strengths == "calibrated")
        if self.solver == "direct":
            model = model_atmosphere(teff, logg, mh)
            return surface_flux(wavelength, model, abundances(mh), lines, vmic)
        known, flux, continuum = solve_from_tables(
            wavelength, 0.0, lines, teff=teff, logg=logg, mh=mh, alpha=0.0, vmic=vmic
        )
        relative = CubicSpline(known, flux / continuum)(wavelength)
        continuum = np.interp(wavelength, known, continuum)
        return relative * continuum, continuum


@lru_cache(maxsize=1)
def _starlight(
    light: Starlight,
    teff: tuple[float, ...],
    logg: float,
    mh: float,
    vmic: float,
    vsini: float,
    vmac: float,
    noise_seed: int,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    # A generative set has one star many times running; it is computed once.
    optics = light.optics
    star = {"logg": logg, "mh": mh, "vmic": vmic}
    flux, continuum = light.solve(optics.wavelength, teff=teff, **star)
    if not np.isfinite(flux).all():
        raise SynthesisError("The flux is not finite everywhere.")
    relative = torch.tensor(flux / continuum, dtype=torch.float32)
    if light.line_errors is not None:
        # The same errors for all.
        relative = torch.cat(
            [
                light.line_errors.apply(
                    spectrum[None],
                    optics.velocity_step,
                    torch.Generator().manual_seed(noise_seed ^ STAR_STREAM),
                )
                for spectrum in relative
            ]
        )
    level = np.median(continuum, axis=1)
    shape = torch.tensor(continuum / level[:, None], dtype=torch.float32)
    widths = torch.tensor([[vsini], [vmac]]).expand(2, len(teff))
    seen = optics(relative, shape, vsini=widths[0], vmac=widths[1])
    result = level.astype(np.float32)[:, None] * seen.numpy()
    if optics.v_share >= LEAST_V:
        return result, np.nan_to_num(result.astype(np.float64)) @ optics.v_weight
    dimming = np.nanmean(result, axis=1) / continuum.mean(axis=1)
    return result, dimming * [_continuum_v({"teff": t, **star}) for t in teff]


def _continuum_v(star: Mapping[str, float]) -> float:
    """Mean of the continuum over the V band."""
    no_lines, abundance = standard_lines().between(0.0, 0.0), abundances(star["mh"])
    model = model_atmosphere(star["teff"], star["logg"], star["mh"])
    _, continuum = surface_flux(V_WAVELENGTH, model, abundance, no_lines, star["vmic"])
    return float(continuum @ V_RESPONSE / V_RESPONSE.sum())


class StarOptics(torch.nn.Module):
    """From the spectra of stars as they are to pixels at a spectrograph's resolution.

    Parameters
    ----------
    grid : WavelengthGrid
        The pixels, stellar rest frame, air.
    resolving_power : float
        Of the Gaussian that lines are convolved with.
    wavelength : float64[n], optional
        Samples that spectra come on, uniform in their logarithm; by default as far as lines can be
        carried into the grid and spectra can be computed.

    Attributes
    ----------
    wavelength : float64[n]
        The samples, Angstrom in air.
    velocity_step : float
        Their distance, c times that of their logarithms, km/s.
    part : slice
        Pixels into which no light comes from beyond the samples.

    Raises
    ------
    SynthesisError
        If there are no such pixels.
    """

    def __init__(
        self,
        grid: WavelengthGrid,
        resolving_power: float = HARPS.resolving_power,
        wavelength: NDArray[np.float64] | None = None,
    ) -> None:
        super().__init__()
        if wavelength is None:
            first, last = _reach(grid)
            count = max(math.ceil(math.log(last / first) * SAMPLES * resolving_power), 1)
            wavelength = np.geomspace(first, last, count + 1)
        self.wavelength, self.size = wavelength, grid.size
        first, last = float(wavelength[0]), float(wavelength[-1])
        self.velocity_step = math.log(last / first) / (len(wavelength) - 1) * SPEED_OF_LIGHT
        reach = 2 / resolving_power
        edges = np.searchsorted(grid.edges, (first * (1 + reach), last * (1 - reach)))
        self.part = slice(int(edges[0]), int(edges[1]) - 1)
        if not self.part.start < self.part.stop:
            raise SynthesisError(
                f"Spectra of {first:.1f}-{last:.1f} A do not cover the pixels of "
                f"{grid.start:.1f}-{grid.stop:.1f} A."
            )
        inside = WavelengthGrid(
            start=float(grid.wavelength[self.part][0]),
            step=grid.step,
            size=self.part.stop - self.part.start,
            medium=grid.medium,
        )
        self.response = PixelResponse(inside, wavelength, resolving_power=resolving_power)
        self.broadening = Broadening(wavelength.size, self.velocity_step)
        self.v_weight, self.v_share = v_weights(grid.wavelength)

    def forward(
        self, relative: Tensor, continuum: Tensor, *, vsini: Tensor, vmac: Tensor
    ) -> Tensor:
        """Flux in the pixels, [batch, pixel], NaN where the samples do not reach.

        Parameters
        ----------
        relative, continuum : Tensor
            Flux over the continuum, and the continuum, at the samples, [batch, n].
        vsini, vmac : Tensor
            Projected rotation and macroturbulence, km/s, [batch].
        """
        if (vsini > 0).any() or (vmac > 0).any():
            still = torch.zeros_like(vsini)
            relative = self.broadening(relative, velocity=still, vsini=vsini, vmac=vmac)
        result = relative.new_full((len(relative), self.size), torch.nan)
        result[:, self.part] = self.response(relative * continuum)
        return result


@lru_cache(maxsize=2)
def _optics(grid: WavelengthGrid, resolving_power: float, solver: StarSolver) -> StarOptics:
    wavelength = emulated_wavelength(*_reach(grid)) if solver == "emulator" else None
    return StarOptics(grid, resolving_power, wavelength)


def _reach(grid: WavelengthGrid) -> tuple[float, float]:
    """From where to where lines can be carried into the grid, and spectra can be computed, A."""
    beyond = MARGIN / SPEED_OF_LIGHT
    first = max(grid.edges[0] * (1 - beyond), COVERAGE[0] + SPARE)
    last = min(grid.edges[-1] * (1 + beyond), COVERAGE[1] - SPARE)
    return float(first), float(last)
