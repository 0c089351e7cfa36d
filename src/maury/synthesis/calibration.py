"""Line strengths and widths fitted to an observed star whose parameters are known: the Sun."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise

import numpy as np
from numba import njit
from scipy import sparse
from scipy.sparse.linalg import lsmr

from maury.synthesis.atmosphere import Atmosphere
from maury.synthesis.broadening import broaden
from maury.synthesis.constants import ATOMIC_MASS, BOLTZMANN, KILOMETRE
from maury.synthesis.continuum import continuum_opacity
from maury.synthesis.equation_of_state import Gas, solve
from maury.synthesis.linelist import LineList
from maury.synthesis.lines import CLASSICAL, vdw_perturbers, voigt
from maury.synthesis.synthesize import surface_flux

__all__ = ["Calibration", "Flag", "ReferenceStar", "calibrate"]

HALF_WINDOW = 0.8  # Angstrom around a line within which its strength is felt
HALF_WINDOW_STRONG = 8.0  # the same for lines with wings
FAINTEST = 0.004  # lines that change no pixel by more per dex keep their strength
NEGLIGIBLE = 5e-4  # of the continuum's opacity: lines that are not even tried
FORMATION_TEMPERATURE = 0.92  # of Teff: the layer whose opacities share out the blends
# Lines whose opacity at the centre is so many times the continuum's show damping wings.
STRONG = 300.0
LOG_GF_RANGE = (-3.0, 1.0)  # dex that a strength may be corrected by
LOG_VDW_RANGE = (-0.5, 0.5)  # dex that a van der Waals width may be corrected by
DAMPING_STEP = 0.05  # dex, of the finite difference
ABSENT, TOO_WEAK = -1.0, 0.5  # dex of correction from which on a line is flagged
CLEAR = 0.97  # of the continuum: pixels above it tell where the observed continuum is
FEWEST_PIXELS = 60  # of 15 A that must be left to tell that
SEEN = 0.02  # of the continuum: a line that was computed as deep as that ought to be there


class Flag(IntEnum):
    """What the observed spectrum says of a line."""

    UNTESTED = 0  # too faint to matter, or outside what was observed
    FITTED = 1
    ABSENT = 2  # computed to be seen, and not there
    TOO_WEAK = 3  # much stronger than listed: another line that the list lacks may sit there
    AT_LIMIT = 4  # a correction ends at the range it may have


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
    delta_log_gf, delta_log_vdw
        Corrections of each line's log gf and, for strong lines, of the logarithm of its van der
        Waals width, dex.
    flag
        One `Flag` for each line.
    before, after
        Observed minus computed flux with the original and the corrected lines.
    """

    delta_log_gf: np.ndarray
    delta_log_vdw: np.ndarray
    flag: np.ndarray
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


@dataclass(frozen=True, eq=False)
class _FormingLayer:
    """The layer of the reference star whose opacities tell which line a pixel belongs to."""

    star: ReferenceStar
    gas: Gas
    layer: int
    continuum: float

    @classmethod
    def of(cls, star: ReferenceStar, gas: Gas) -> "_FormingLayer":
        target = FORMATION_TEMPERATURE * star.atmosphere.teff
        layer = int(np.argmin(np.abs(gas.temperature - target)))
        middle = np.array([star.wavelength[star.wavelength.size // 2]])
        return cls(star, gas, layer, float(continuum_opacity(middle, gas)[layer, 0]))

    def opacity(self, lines: LineList, half_window: float) -> sparse.csc_matrix:
        """Every line's own opacity, cm-1, (pixel, line)."""
        star, gas, d = self.star, self.gas, self.layer
        per_species = np.array(
            [gas.per_state(s)[d] if s in gas.number else 0.0 for s in lines.species]
        )
        step = float(star.wavelength[1] - star.wavelength[0])
        width = int(2 * half_window / step) + 3
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
            half_window, pixel, value, count,
        )  # fmt: skip
        inside = np.arange(width) < count[:, None]
        rows = (pixel[:, None] + np.arange(width))[inside]
        of_line = np.repeat(np.arange(len(lines)), count)
        return sparse.csc_matrix(
            (value[inside], (rows, of_line)), shape=(star.wavelength.size, len(lines))
        )

    def strength(self, lines: LineList) -> np.ndarray:
        """Opacity at the centre of each line over the continuum's; 0 outside the spectrum."""
        return self.opacity(lines, 0.05).max(axis=0).toarray().ravel() / self.continuum

    def shares(
        self, lines: LineList, strong: np.ndarray
    ) -> tuple[sparse.csc_matrix, sparse.csc_matrix]:
        """Parts of the line opacity: of each line, and of each strong line's width.

        The first holds the fraction of a pixel's line opacity that is the line's, (pixel, line);
        the second by how much that opacity changes, relative to it, when the van der Waals width
        of a strong line grows, per dex and divided by ln 10, (pixel, strong line).
        """
        wide = lines.select(strong)
        narrow = np.setdiff1d(np.arange(len(lines)), strong)
        own_wide = self.opacity(wide, HALF_WINDOW_STRONG)
        own = sparse.hstack(
            [self.opacity(lines.select(narrow), HALF_WINDOW), own_wide], format="csc"
        )[:, np.argsort(np.concatenate([narrow, strong]))]
        broader = replace(wide, gamma_vdw=wide.gamma_vdw * 10.0**DAMPING_STEP)
        change = self.opacity(broader, HALF_WINDOW_STRONG) - own_wide
        per_total = sparse.diags_array(1 / np.maximum(np.asarray(own.sum(axis=1)).ravel(), 1e-30))
        return per_total @ own, per_total @ change / (DAMPING_STEP * np.log(10))


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
    """Slowly varying observed-over-computed level, from the pixels that are nearest to continuum.

    These are the ones above 0.97, or the highest tenth where lines leave too few of them.
    """
    edges = np.arange(wavelength[0], wavelength[-1] + 15.0, 15.0)
    centres, levels = [], []
    for low, high in pairwise(edges):
        inside = (wavelength >= low) & (wavelength < high) & (weight > 0)
        if inside.sum() < FEWEST_PIXELS:
            continue
        clear = inside & (model >= min(CLEAR, float(np.quantile(model[inside], 0.9))))
        centres.append((low + high) / 2)
        levels.append(float(np.median(ratio[clear])))
    if not centres:
        return np.ones(wavelength.size)
    smooth = np.convolve(np.pad(levels, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    return np.interp(wavelength, centres, smooth)


def calibrate(
    star: ReferenceStar,
    lines: LineList,
    *,
    spread: float = 0.15,
    damping_spread: float = 0.08,
    noise: float = 0.01,
    iterations: int = 6,
    report: Callable[[int, float], None] | None = None,
) -> Calibration:
    """Fit log gf of every line that shows, and van der Waals widths of the strong, to a spectrum.

    Parameters
    ----------
    star
        The reference spectrum.
    lines
        The lines with their original strengths.
    spread, damping_spread
        Scales in dex of the priors on a correction of log gf and of the width; heavy-tailed
        (Cauchy), so that a line that is not there can be taken out while most stay where the
        laboratory has them.
    noise
        Scale of the residuals, heavy-tailed likewise: a line missing from the list must not be
        made up for by its neighbours.
    iterations
        Gauss-Newton steps, two syntheses each.
    report
        Called after each synthesis of the corrected lines with the number of steps done and the
        median of the absolute residuals.

    Returns
    -------
    Calibration

    Notes
    -----
    The derivatives: that of the flux for all lines being stronger alike is computed by a second
    synthesis; it is shared out among the lines by their part of the opacity where the lines form,
    and blurred as the star's lines are. The residuals that the steps lessen are exact.
    """
    gas = solve(
        star.atmosphere.temperature, star.atmosphere.pressure, star.abundance,
        electrons=star.atmosphere.electron_density,
    )  # fmt: skip
    layer = _FormingLayer.of(star, gas)
    strength = layer.strength(lines)
    tried = np.flatnonzero(strength > NEGLIGIBLE)
    strong = np.flatnonzero((strength[tried] > STRONG) & (lines.gamma_vdw[tried] > 0))
    number = tried.size
    # All log gf first, then the widths of the strong lines.
    delta = np.zeros(number + strong.size)
    scale = np.concatenate([np.full(number, spread), np.full(strong.size, damping_spread)])
    lowest = np.concatenate(
        [np.full(number, LOG_GF_RANGE[0]), np.full(strong.size, LOG_VDW_RANGE[0])]
    )
    highest = np.concatenate(
        [np.full(number, LOG_GF_RANGE[1]), np.full(strong.size, LOG_VDW_RANGE[1])]
    )

    def corrected(more: float = 0.0) -> LineList:
        log_gf, width = lines.log_gf + more, lines.gamma_vdw.copy()
        log_gf[tried] += delta[:number]
        width[tried[strong]] *= 10.0 ** delta[number:]
        return replace(lines, log_gf=log_gf, gamma_vdw=width)

    def relative(changed: LineList) -> np.ndarray:
        flux, continuum = surface_flux(
            star.wavelength, star.atmosphere, star.abundance, changed, star.vmic
        )
        return flux / continuum

    before = depth = np.empty(0)
    fitted = np.zeros(delta.size, bool)
    for iteration in range(iterations + 1):
        sharp = relative(corrected())
        model = star.observed(sharp)
        level = local_continuum(star.wavelength, star.flux / model, model, star.weight)
        residual = star.flux / level - model
        if report is not None:
            report(iteration, float(np.median(np.abs(residual[star.weight > 0]))))
        if iteration == iterations:
            break
        response = sparse.diags_array((relative(corrected(0.05)) - sharp) / 0.05)
        own, width = layer.shares(corrected().select(tried), strong)
        jacobian = sparse.hstack([response @ own, response @ width], format="csc")
        seen = sparse.diags_array((star.weight > 0).astype(float)) @ jacobian
        chosen = np.flatnonzero(np.abs(seen).max(axis=0).toarray().ravel() > FAINTEST)
        if iteration == 0:
            before = residual
            shown = sparse.diags_array(1 - sharp) @ own
            depth = shown.max(axis=0).toarray().ravel()
        fitted[chosen] = True
        blurred = _blurred(jacobian, star, chosen)
        current = delta[chosen]
        weight = np.sqrt(star.weight / (noise**2 + residual**2))
        prior = 1 / np.sqrt(scale[chosen] ** 2 + current**2)
        system = sparse.vstack(
            [sparse.diags_array(weight) @ blurred, sparse.diags_array(prior)], format="csr"
        )
        # Pixels of 0.01 A within a resolution element are not independent of each other.
        target = np.concatenate([weight * residual, -prior * current])
        step = lsmr(system, target, atol=1e-6, btol=1e-6, maxiter=200)[0]
        limit = 3 * scale[chosen]
        moved = current + np.clip(step, -limit, limit)
        delta[chosen] = np.clip(moved, lowest[chosen], highest[chosen])
    at_limit = (delta <= lowest) | (delta >= highest)
    at_limit[strong] |= at_limit[number:]
    found = np.where(fitted[:number], Flag.FITTED, Flag.UNTESTED)
    found[at_limit[:number]] = Flag.AT_LIMIT
    found[delta[:number] >= TOO_WEAK] = Flag.TOO_WEAK
    found[(delta[:number] <= ABSENT) & (depth > SEEN)] = Flag.ABSENT
    result = Calibration(
        np.zeros(len(lines)), np.zeros(len(lines)), np.zeros(len(lines), np.uint8), before, residual
    )
    result.delta_log_gf[tried] = delta[:number]
    result.delta_log_vdw[tried[strong]] = delta[number:]
    result.flag[tried] = found
    return result
