"""Wavenumbers of TiO's bands, put right by the spectra of M dwarfs.

Computed lists of TiO place whole bands some tenths of a cm-1 off, 5-15 km/s, because the upper
state's energy or rotation is off. What belongs together shows by itself: for a line of wavenumber
nu whose derivative d ln(nu) / d ln(rho) by isotope is a, nu (1 - a) is the electronic energy up to
a small rotational part, which tells the system, and nu (1 - a/2) is one number for all lines of a
sub-band, rotation going as rho^2 and vibration as rho. Each such group gets two numbers, a shift
and its slope with the lower level's energy, at which the model of the spectrum correlates best.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d

__all__ = ["Bands", "Star", "agreement", "fit_positions", "groups"]

#: nu (1 - a) in cm-1 of the systems gamma, gamma', beta, f-a and alpha, which nothing lies between.
SYSTEMS = ((13900, 15050), (16050, 17050), (17600, 18600), (19050, 19400), (19400, 20900))
STEP = 0.02  # Angstrom
LINE_WIDTH = 0.032  # Angstrom, standard deviation of a line in an M dwarf seen by HARPS
LEVEL_WIDTH = 1.0  # Angstrom, of the running mean that takes the place of a continuum
OPACITY = 20.0  # of TiO over the continuum's, per unit of 10^(log gf - excitation theta)
THETA = 5040.0 / 3100.0  # where lines form
FAINTEST = 0.004  # gf times Boltzmann factor of the lines that are modelled
LEAST = 8.0  # sum of the same over a group that is worth fitting
LEAST_GAIN = 0.004  # of the correlation, below which a group stays where it is
WINDOW = 80.0  # Angstrom, where a group is strongest


@dataclass(frozen=True, eq=False)
class Bands:
    """Lines of 48TiO: air wavelength (A), energy (eV), log gf, and a, shape (line,) each."""

    wavelength: np.ndarray
    excitation: np.ndarray
    log_gf: np.ndarray
    power: np.ndarray

    @property
    def strength(self) -> np.ndarray:
        """Of each line at the temperature where it forms."""
        return 10.0 ** (self.log_gf - THETA * self.excitation)


@dataclass(frozen=True, eq=False)
class Star:
    """Observed flux, and computed relative flux without TiO, every 0.02 A in air, at rest."""

    wavelength: np.ndarray
    flux: np.ndarray
    without: np.ndarray


def groups(bands: Bands) -> np.ndarray:
    """Number of each line's sub-band, or of the few that cannot be told apart; -1 for none."""
    wavenumber = 1e8 / bands.wavelength
    electronic = wavenumber * (1 - bands.power)
    origin = wavenumber * (1 - bands.power / 2)
    result = np.full(origin.size, -1)
    number = 0
    for low, high in SYSTEMS:
        mine = (electronic > low) & (electronic < high) & (bands.strength > FAINTEST)
        if not mine.any():
            continue
        edges = np.arange(origin[mine].min() - 10, origin[mine].max() + 12, 2.0)
        weight, _ = np.histogram(origin[mine], edges, weights=bands.strength[mine])
        smooth = gaussian_filter1d(weight, 1.0)
        inner = smooth[1:-1]
        peaks = 1 + np.flatnonzero(
            (inner >= smooth[:-2]) & (inner > smooth[2:]) & (inner > 0.02 * smooth.max())
        )
        cuts = [edges[p + np.argmin(smooth[p : q + 1])] + 1.0 for p, q in pairwise(peaks)]
        result[mine] = number + np.searchsorted(cuts, origin[mine])
        number += peaks.size
    return result


def contrast(flux: np.ndarray) -> np.ndarray:
    """Flux over its running mean, less 1."""
    return flux / gaussian_filter1d(flux, LEVEL_WIDTH / STEP) - 1


class _Model:
    """Opacity of the lines on a grid, group by group."""

    def __init__(self, bands: Bands, group: np.ndarray, wavelength: np.ndarray) -> None:
        self.bands, self.start, self.size = bands, wavelength[0], wavelength.size
        self.members = [np.flatnonzero(group == g) for g in range(group.max() + 1)]
        self.total = np.zeros(wavelength.size)
        for members in self.members:
            self.add(members, 0.0, 1.0)

    def opacity(self, lines: np.ndarray, shift: np.ndarray | float) -> tuple[int, np.ndarray]:
        """First pixel and opacity of lines moved by ``shift`` cm-1."""
        at = self.bands.wavelength[lines]
        position = (at - shift * at**2 * 1e-8 - self.start) / STEP
        left = np.floor(position).astype(int)
        part, first = position - left, left.min() - 8
        strength, size = self.bands.strength[lines], left.max() - first + 10
        spikes = np.bincount(left - first, strength * (1 - part), size)
        spikes += np.bincount(left - first + 1, strength * part, size)
        return first, gaussian_filter1d(spikes, LINE_WIDTH / STEP, truncate=3.5)

    def add(self, lines: np.ndarray, shift: np.ndarray | float, sign: float) -> None:
        """Add the lines to the total, or with -1 take them away."""
        if lines.size:
            first, opacity = self.opacity(lines, shift)
            low, high = max(first, 0), min(first + opacity.size, self.size)
            if low < high:
                self.total[low:high] += sign * opacity[low - first : high - first]


def _strongest(wavelength: np.ndarray, strength: np.ndarray, lower: float, upper: float) -> float:
    """Where the window begins in which lines are strongest."""
    edges = np.arange(lower, upper + 20.0, 20.0)
    weight, _ = np.histogram(wavelength, edges, weights=strength)
    best = int(np.argmax(np.convolve(weight, np.ones(int(WINDOW / 20.0)), "valid")))
    return float(min(edges[best], upper - WINDOW))


def fit_positions(bands: Bands, stars: list[Star], passes: int = 2) -> np.ndarray:
    """Wavenumbers (cm-1) to add to the lines so that they fall where the stars have them.

    Parameters
    ----------
    bands
        The lines.
    stars
        Spectra on one grid of wavelengths.
    passes
        How often all groups are gone through, the strongest first.

    Returns
    -------
    ndarray
        Shape (line,); 0 where nothing can be told.
    """
    wavelength, without = stars[0].wavelength, stars[0].without
    observed = np.mean([contrast(star.flux).clip(-0.7, 0.7) for star in stars], axis=0)
    seen = (bands.wavelength > wavelength[0] + 5) & (bands.wavelength < wavelength[-1] - 5)
    model = _Model(bands, np.where(seen, groups(bands), -1), wavelength)
    strength, energy = bands.strength, bands.excitation
    sums = np.array([strength[m].sum() for m in model.members])
    result = np.zeros(energy.size)
    for _ in range(passes):
        for g in np.argsort(-sums):
            lines = model.members[g]
            if sums[g] < LEAST:
                continue
            model.add(lines, result[lines], -1.0)
            lower = _strongest(
                bands.wavelength[lines], strength[lines], wavelength[0] + 5, wavelength[-1] - 5
            )
            first = int((lower - wavelength[0]) / STEP)
            window = slice(first, first + int(WINDOW / STEP))
            at = bands.wavelength[lines]
            near = lines[(at > lower - 3) & (at < lower + WINDOW + 3)]
            middle = np.average(energy[near], weights=strength[near])
            rest, target, level = model.total[window].copy(), observed[window], without[window]

            def correlation(
                shift: np.ndarray,
                near: np.ndarray = near,
                rest: np.ndarray = rest,
                target: np.ndarray = target,
                level: np.ndarray = level,
                first: int = first,
            ) -> float:
                begin, opacity = model.opacity(near, shift)
                total = rest.copy()
                low, high = max(begin - first, 0), min(begin - first + opacity.size, rest.size)
                total[low:high] += opacity[low + first - begin : high + first - begin]
                return float(np.corrcoef(contrast(level / (1 + OPACITY * total)), target)[0, 1])

            offset = energy[near] - middle
            best = max(
                (correlation(shift + slope * offset), shift, slope)
                for slope in (-1.0, -0.5, 0.0, 0.5, 1.0)
                for shift in np.arange(-1.2, 1.81, 0.05)
            )
            best = max(
                (correlation(shift + slope * offset), shift, slope)
                for slope in best[2] + np.array([-0.3, -0.15, 0.0, 0.15, 0.3])
                for shift in best[1] + np.arange(-0.06, 0.07, 0.02)
            )
            if best[0] > correlation(result[near]) + LEAST_GAIN:
                # Levels far above those that were seen move no farther.
                away = energy[lines].clip(None, 2 * middle + 0.2) - middle
                result[lines] = best[1] + best[2] * away
            model.add(lines, result[lines], 1.0)
    return result


def agreement(
    bands: Bands, shift: np.ndarray, star: Star, windows: tuple[tuple[float, float], ...]
) -> list[float]:
    """Correlation of observed and computed contrast in windows, lines moved by ``shift`` cm-1."""
    at = bands.wavelength - shift * bands.wavelength**2 * 1e-8
    moved = Bands(at, bands.excitation, bands.log_gf, bands.power)
    opacity = _Model(moved, groups(bands), star.wavelength).total
    computed = contrast(star.without / (1 + OPACITY * opacity))
    observed = contrast(star.flux).clip(-0.7, 0.7)
    inside = [(star.wavelength >= low) & (star.wavelength < high) for low, high in windows]
    return [float(np.corrcoef(computed[part], observed[part])[0, 1]) for part in inside]
