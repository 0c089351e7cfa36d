"""Line strengths fitted to an observed spectrum of a star whose parameters are known: the Sun."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit
from scipy import sparse
from scipy.sparse.linalg import lsmr

from maury.synthesis.atmosphere import Atmosphere
from maury.synthesis.broadening import broaden
from maury.synthesis.constants import ATOMIC_MASS, BOLTZMANN, KILOMETRE
from maury.synthesis.equation_of_state import Gas, solve
from maury.synthesis.linelist import LineList
from maury.synthesis.lines import CLASSICAL, vdw_perturbers, voigt
from maury.synthesis.synthesize import surface_flux

__all__ = ["Calibration", "ReferenceStar", "calibrate"]

HALF_WINDOW = 0.8  # Angstrom around a line within which its strength is felt
FAINTEST = 0.004  # lines that change no pixel by more per dex keep their strength
FORMATION_TEMPERATURE = 0.92  # of Teff: the layer whose opacities share out the blends


@dataclass(frozen=True, eq=False)
class ReferenceStar:
    """An observed spectrum and all that is known of its star.

    Parameters
    ----------
    wavelength
        Even steps in Angstrom, air, stellar rest frame, shape (pixel,).
    flux
        Relative to the continuum.
    weight
        0 where the pixel must not be used (telluric lines, gaps), else 1.
    atmosphere, abundance
        The star's model.
    vmic, vmac, vsini
        km/s.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    weight: np.ndarray
    atmosphere: Atmosphere
    abundance: dict[str, float]
    vmic: float
    vmac: float
    vsini: float

    def observed(self, relative_flux: np.ndarray) -> np.ndarray:
        """The model's flux after rotation and macroturbulence."""
        return broaden(self.wavelength, relative_flux, vsini=self.vsini, vmac=self.vmac)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What `calibrate` found.

    Attributes
    ----------
    delta_log_gf
        Correction of each line's log gf, dex.
    before, after
        Observed minus computed flux with the original and the corrected strengths.
    """

    delta_log_gf: np.ndarray
    before: np.ndarray
    after: np.ndarray


@njit(fastmath=True, error_model="numpy")
def _profiles(grid, step, columns, per_state, t, ne, nh, xi2, half_window, pixel, value, count):
    """Each line's own opacity in one layer around its centre."""
    wavelength, strength, excitation, thermal, rad, stark, vdw, exponent = columns
    for i in range(wavelength.size):
        w = wavelength[i]
        doppler = w / 2.99792458e10 * np.sqrt(thermal[i] * t + xi2)
        gamma = rad[i] + stark[i] * ne * (t * 1e-4) ** (1 / 6) + vdw[i] * nh * (
            t * 1e-4
        ) ** exponent[i]  # fmt: skip
        a = gamma * w * w / (4 * np.pi * 2.99792458e18) / doppler
        peak = strength[i] * per_state[i] * np.exp(-excitation[i] / (8.617333262e-5 * t))
        peak *= w * w / 2.99792458e18 / (doppler * 1.772453850905516)
        low = max(int(np.ceil((w - half_window - grid[0]) / step)), 0)
        high = min(int((w + half_window - grid[0]) / step) + 1, grid.size)
        pixel[i] = low
        count[i] = max(high - low, 0)
        for j in range(low, high):
            value[i, j - low] = peak * voigt(a, abs(grid[j] - w) / doppler)


def _shares(star: ReferenceStar, lines: LineList, gas: Gas) -> sparse.csc_matrix:
    """Fraction of the line opacity that each line holds, (pixel, line), at the forming layer."""
    target = FORMATION_TEMPERATURE * star.atmosphere.teff
    d = int(np.argmin(np.abs(gas.temperature - target)))
    per_species = np.array([gas.per_state(s)[d] if s in gas.number else 0.0 for s in lines.species])
    step = float(star.wavelength[1] - star.wavelength[0])
    width = int(2 * HALF_WINDOW / step) + 3
    pixel, count = np.zeros(len(lines), np.int64), np.zeros(len(lines), np.int64)
    value = np.zeros((len(lines), width), np.float32)
    columns = (
        lines.wavelength, CLASSICAL * 10.0**lines.log_gf, lines.excitation,
        2 * BOLTZMANN / (lines.mass * ATOMIC_MASS), lines.gamma_rad, lines.gamma_stark,
        lines.gamma_vdw, lines.vdw_exponent,
    )  # fmt: skip
    _profiles(
        star.wavelength, step, columns, per_species[lines.species_index], gas.temperature[d],
        gas.electrons[d], vdw_perturbers(gas)[d], (star.vmic * KILOMETRE) ** 2,
        HALF_WINDOW, pixel, value, count,
    )  # fmt: skip
    inside = np.arange(width) < count[:, None]
    rows = (pixel[:, None] + np.arange(width))[inside]
    columns_of = np.repeat(np.arange(len(lines)), count)
    opacity = sparse.csc_matrix(
        (value[inside], (rows, columns_of)), shape=(star.wavelength.size, len(lines))
    )
    total = np.asarray(opacity.sum(axis=1)).ravel()
    return sparse.diags_array(1 / np.maximum(total, 1e-30)) @ opacity


def _blurred(
    jacobian: sparse.csc_matrix, star: ReferenceStar, strongest: np.ndarray
) -> sparse.csc_matrix:
    """Rotation and macroturbulence applied to every kept column."""
    step = float(star.wavelength[1] - star.wavelength[0])
    kept = jacobian[:, strongest].tocsc()
    reach = int(0.5 / step)
    columns, rows, values = [], [], []
    edges = np.linspace(star.wavelength[0], star.wavelength[-1], 12)
    kernels = []
    for centre in (edges[:-1] + edges[1:]) / 2:
        spike = np.zeros(4 * reach + 1)
        spike[2 * reach] = 1.0
        local = centre + step * (np.arange(spike.size) - 2 * reach)
        kernels.append(broaden(local, spike, vsini=star.vsini, vmac=star.vmac)[reach:-reach])
    for i in range(kept.shape[1]):
        part = slice(kept.indptr[i], kept.indptr[i + 1])
        first = int(kept.indices[part].min())
        dense = np.zeros(int(kept.indices[part].max()) - first + 1)
        dense[kept.indices[part] - first] = kept.data[part]
        kernel = kernels[min(int(np.searchsorted(edges, star.wavelength[first])), 11) - 1]
        full = np.convolve(dense, kernel)
        at = first - reach + np.arange(full.size)
        good = (at >= 0) & (at < star.wavelength.size) & (np.abs(full) > 1e-5)
        rows.append(at[good])
        columns.append(np.full(int(good.sum()), i))
        values.append(full[good])
    return sparse.csc_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(star.wavelength.size, kept.shape[1]),
    )


def local_continuum(
    wavelength: np.ndarray, ratio: np.ndarray, model: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Slowly varying observed-over-computed level, from the pixels that are nearly continuum."""
    clear = (model > 0.97) & (weight > 0)
    edges = np.arange(wavelength[0], wavelength[-1] + 15.0, 15.0)
    centres, levels = [], []
    for low, high in pairwise(edges):
        inside = clear & (wavelength >= low) & (wavelength < high)
        if inside.sum() > 50:
            centres.append((low + high) / 2)
            levels.append(np.median(ratio[inside]))
    smooth = np.convolve(np.pad(levels, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    return np.interp(wavelength, centres, smooth)


def calibrate(
    star: ReferenceStar,
    lines: LineList,
    *,
    spread: float = 0.15,
    noise: float = 0.01,
    iterations: int = 6,
) -> Calibration:
    """Fit log gf of every line that shows, by damped Gauss-Newton steps.

    Parameters
    ----------
    star
        The reference spectrum.
    lines
        The lines with their original strengths.
    spread
        Scale in dex of the prior on a correction; heavy-tailed (Cauchy), so that a line that is
        not there can be taken out while most stay where the laboratory has them.
    noise
        Scale of the residuals, heavy-tailed likewise: a line missing from the list must not be
        made up for by its neighbours.
    iterations
        Gauss-Newton steps, two syntheses each.

    Returns
    -------
    Calibration

    Notes
    -----
    The flux's response to all lines being stronger alike is computed by a second synthesis; it is
    shared out among the lines by their part of the opacity where the lines form, and blurred as
    the star's lines are. Corrections are kept within -3 and +1 dex.
    """
    gas = solve(
        star.atmosphere.temperature, star.atmosphere.pressure, star.abundance,
        electrons=star.atmosphere.electron_density,
    )  # fmt: skip
    delta = np.zeros(len(lines))
    model_arguments = (star.wavelength, star.atmosphere, star.abundance)

    def relative(strengths: np.ndarray) -> np.ndarray:
        flux, continuum = surface_flux(
            *model_arguments, lines.with_log_gf(strengths), star.vmic
        )  # fmt: skip
        return flux / continuum

    before = np.empty(0)
    for iteration in range(iterations + 1):
        sharp = relative(lines.log_gf + delta)
        model = star.observed(sharp)
        level = local_continuum(star.wavelength, star.flux / model, model, star.weight)
        residual = star.flux / level - model
        if iteration == 0:
            before = residual
        if iteration == iterations:
            break
        response = (relative(lines.log_gf + delta + 0.05) - sharp) / 0.05
        corrected = lines.with_log_gf(lines.log_gf + delta)
        jacobian = (sparse.diags_array(response) @ _shares(star, corrected, gas)).tocsc()
        peak = np.asarray(np.abs(jacobian).max(axis=0).todense()).ravel()
        strongest = np.flatnonzero(peak > FAINTEST)
        blurred = _blurred(jacobian, star, strongest)
        current = delta[strongest]
        weight = np.sqrt(star.weight / (noise**2 + residual**2))
        prior = 1 / np.sqrt(spread**2 + current**2)
        system = sparse.vstack(
            [sparse.diags_array(weight) @ blurred, sparse.diags_array(prior)], format="csr"
        )
        # Pixels of 0.01 A within a resolution element are not independent of each other.
        target = np.concatenate([weight * residual, -prior * current])
        step = lsmr(system, target, atol=1e-6, btol=1e-6, maxiter=200)[0]
        delta[strongest] = np.clip(current + np.clip(step, -0.5, 0.5), -3.0, 1.0)
    return Calibration(delta, before, residual)
