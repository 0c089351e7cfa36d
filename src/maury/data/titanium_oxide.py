"""Lines of 48TiO from those of the four rarer isotopologues, which are the ones that are listed.

The lists of 46TiO, 47TiO, 49TiO and 50TiO hold the same transitions with the same gf, and a
transition's wavenumber and lower energy are straight lines in rho = mu^(-1/2), mu being the reduced
mass, to the lists' own rounding: an oscillator's energies go as rho, a rotator's as rho^2, and
rho changes by 0.3% from one isotope to the next. So a transition that is found in at least three of
the lists gives its own place in 48TiO, which stands in their midst.

linemake names HITRAN as the source, which has no TiO; the 8 million transitions it speaks of, those
unresolved lambda doublets that are one line with both components' weight, and the gf (they give the
alpha system an electronic oscillator strength of 0.105) are those of Plez 1998, A&A 337, 495, in
VALD. It kept lines above a thousandth of the strongest within 10 A at 3360 K, and did not scale
them by isotope.
"""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from maury.wavelength import air_to_vacuum

__all__ = ["Isotopologue", "interpolate", "listed_isotopologues", "match", "rho"]

OXYGEN = 15.9949  # u
LISTED = (46, 47, 49, 50)
FARTHEST = 60.0  # cm-1 that a line moves from 46TiO to 50TiO
ROUNDING = (0.1, 0.003, 0.0016)  # cm-1, eV and dex to which the lists agree with one another


@dataclass(frozen=True, eq=False)
class Isotopologue:
    """Lines of one isotopologue, shape (line,) each: cm-1 (vacuum), eV and log10."""

    wavenumber: np.ndarray
    excitation: np.ndarray
    log_gf: np.ndarray

    def columns(self) -> np.ndarray:
        """The three columns, shape (line, 3)."""
        return np.stack([self.wavenumber, self.excitation, self.log_gf], axis=1)


def rho(mass: float) -> float:
    """One over the square root of the reduced mass of titanium's isotope with oxygen."""
    return ((mass + OXYGEN) / (mass * OXYGEN)) ** 0.5


def listed_isotopologues(source: Path) -> dict[int, Isotopologue]:
    """The lists of linemake by the mass number of titanium."""
    with np.load(source / "linelists/compact_lines_3770_6925.npz") as archive:
        wavelength, code, low, log_gf = (archive[f"moogtio_{c}"] for c in "wsef")
    return {
        mass: Isotopologue(1e8 / air_to_vacuum(wavelength[mine]), low[mine], log_gf[mine])
        for mass in LISTED
        for mine in [code == f"822.016{mass}"]
    }


def _pairs(a: np.ndarray, b: np.ndarray, change: float) -> tuple[np.ndarray, np.ndarray]:
    """Lines of two isotopologues that may be one transition; ``change`` of rho over rho."""
    reach = np.array([FARTHEST, 0.012, ROUNDING[2] / 1.5])
    centre = a * [1.0, 1.0 + change, 1.0]
    near = cKDTree(b / reach).query_ball_point(centre / reach, 1.0, p=np.inf)
    i = np.repeat(np.arange(len(a)), [len(n) for n in near])
    j = np.concatenate([np.array(n, dtype=np.int64) for n in near])
    # Vibration moves a level by rho, rotation by rho^2, and an electron's energy not at all.
    shift, most = b[j, 1] - a[i, 1], 2 * change * a[i, 1]
    likely = (shift > np.minimum(most, 0) - 0.002) & (shift < np.maximum(most, 0) + 0.002)
    return i[likely], j[likely]


def match(lists: dict[int, Isotopologue]) -> np.ndarray:
    """Find which lines of the isotopologues are one transition.

    Two lists give a straight line in rho; where a third has a line upon it, the three are taken for
    one transition, the closest agreement first and every line once.

    Returns
    -------
    ndarray
        Row numbers, shape (transition, list), in the order of ``lists``; -1 where a list has no
        such line.
    """
    masses = list(lists)
    columns = [lists[m].columns() for m in masses]
    free = [np.ones(len(c), bool) for c in columns]
    found = []
    # The widest pair that encloses 48 and has close neighbours outside comes first.
    for first, second in sorted(
        combinations(range(len(masses)), 2), key=lambda p: abs(masses[p[1]] - masses[p[0]] - 2)
    ):
        rows = [np.flatnonzero(f) for f in free]
        a, b = columns[first][rows[first]], columns[second][rows[second]]
        start, span = rho(masses[first]), rho(masses[second]) - rho(masses[first])
        i, j = _pairs(a, b, span / start)
        slope = (b[j] - a[i]) / span
        chosen = np.full((i.size, len(masses)), -1)
        chosen[:, first], chosen[:, second] = rows[first][i], rows[second][j]
        score = np.zeros(i.size)
        for k in set(range(len(masses))) - {first, second}:
            expected = a[i] + slope * (rho(masses[k]) - start)
            expected[:, 2] = (a[i, 2] + b[j, 2]) / 2
            tree = cKDTree(columns[k][rows[k]] / ROUNDING)
            distance, at = tree.query(expected / ROUNDING, distance_upper_bound=1.0, p=np.inf)
            there = np.isfinite(distance)
            chosen[there, k] = rows[k][at[there]]
            away = np.abs(columns[k][chosen[there, k], 0] - expected[there, 0]) / ROUNDING[0]
            score[there] += away - 1.0
        for n in np.argsort(score):
            if score[n] >= 0:
                break
            listed = [(k, row) for k, row in enumerate(chosen[n]) if row >= 0]
            if all(free[k][row] for k, row in listed):
                found.append(chosen[n])
                for k, row in listed:
                    free[k][row] = False
    return np.array(found)


def interpolate(lists: dict[int, Isotopologue], rows: np.ndarray, mass: int) -> Isotopologue:
    """The lines of another isotopologue: a straight line in rho through each transition's."""
    values = np.stack([lists[m].columns()[rows[:, k]] for k, m in enumerate(lists)])
    weight = (rows.T >= 0).astype(float)
    x = np.array([rho(m) for m in lists])[:, None] - rho(mass)
    total = weight.sum(axis=0)
    mean = (weight * x).sum(axis=0) / total
    spread = weight * (x - mean)
    slope = (spread[..., None] * values).sum(axis=0) / (spread * (x - mean)).sum(axis=0)[:, None]
    centre = (weight[..., None] * values).sum(axis=0) / total[:, None]
    at = centre - slope * mean[:, None]
    return Isotopologue(at[:, 0], at[:, 1].clip(0.0), centre[:, 2])
