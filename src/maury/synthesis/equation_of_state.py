"""Equation of state: ionisation and molecular equilibrium of the gas at each layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.interpolate import CubicSpline

from maury.data import load_table
from maury.errors import SynthesisError
from maury.synthesis.constants import ATOMIC_MASS, BOLTZMANN, BOLTZMANN_EV, ELECTRON_MASS, PLANCK
from maury.synthesis.elements import MASSES, SYMBOLS

__all__ = ["Gas", "solve"]

STAGES = ("I", "II", "III")


@dataclass(frozen=True, eq=False)
class Gas:
    """Number densities (cm-3) of every species, shape (layer,) each.

    Attributes
    ----------
    temperature
        K.
    electrons
        Free electrons per cm3.
    density
        Mass density, g cm-3.
    number
        By species: ``"Fe II"`` or ``"CN"``.
    partition
        Partition functions by the same names.
    """

    temperature: np.ndarray
    electrons: np.ndarray
    density: np.ndarray
    number: Mapping[str, np.ndarray]
    partition: Mapping[str, np.ndarray]

    def per_state(self, species: str) -> np.ndarray:
        """Number density over partition function: n_level = g exp(-E / kT) times this."""
        return self.number[species] / self.partition[species]


@cache
def _table() -> dict[str, np.ndarray]:
    return load_table("equation_of_state")


def _constituents(molecule: str) -> tuple[str, str]:
    """The two atoms of a diatomic molecule.

    >>> _constituents("C2"), _constituents("MgH")
    (('C', 'C'), ('Mg', 'H'))
    """
    if molecule.endswith("2"):
        return molecule[:-1], molecule[:-1]
    first = molecule[:2] if molecule[:2] in SYMBOLS else molecule[0]
    return first, molecule[len(first) :]


def _saha(temperature: np.ndarray, elements: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """n(II) n_e / n(I) and n(III) n_e / n(II), shapes (element, layer), and partition functions.

    Saha's equation, e.g. Gray 2005, Eq. 1.20.
    """
    table = _table()
    names = [str(e) for e in table["elements"]]
    rows = [names.index(e) for e in elements]
    ln_t = np.log(temperature)
    position = (ln_t - table["ln_temperature"][0]) / np.diff(table["ln_temperature"][:2])[0]
    lower = np.clip(position.astype(int), 0, table["ln_temperature"].size - 2)
    part = position - lower
    partition = table["partition"][rows]
    partition = partition[..., lower] * (1 - part) + partition[..., lower + 1] * part
    free = 2 * (2 * np.pi * ELECTRON_MASS * BOLTZMANN * temperature / PLANCK**2) ** 1.5
    energy = table["ionization_energy"][rows]
    boltzmann = np.exp(-energy[:, :, None] / (BOLTZMANN_EV * temperature))
    ratio = free * partition[:, 1:] / partition[:, :-1] * boltzmann
    ratio[:, 1][energy[:, 1] <= 0] = 0.0
    return ratio, partition


def _dissociation(temperature: np.ndarray) -> np.ndarray:
    """n(A) n(B) / n(AB) in cm-3 of each tabulated molecule, shape (molecule, layer)."""
    table = _table()
    rows = []
    for x, y in zip(
        table["molecule_ln_temperature"], table["molecule_log_equilibrium"], strict=True
    ):
        known = np.isfinite(x)
        # The nodes are 1000 K apart and the curve bends: a straight line would bind 2-47% too much.
        ln_t = np.clip(np.log(temperature), x[known][0], x[known][-1])
        rows.append(CubicSpline(x[known], y[known])(ln_t))
    return 10.0 ** np.array(rows) / (BOLTZMANN * temperature)


def solve(
    temperature: np.ndarray,
    pressure: np.ndarray,
    abundance: Mapping[str, float],
    *,
    electrons: np.ndarray | None = None,
    tolerance: float = 1e-6,
) -> Gas:
    """Number densities at given temperature and gas pressure.

    Saha ionisation to the second ion and the equilibrium of 14 diatomic molecules are solved with
    particle and charge conservation, by a damped fixed-point iteration in logarithms.

    Parameters
    ----------
    temperature, pressure
        K and dyn cm-2, shape (layer,).
    abundance
        Nuclei per hydrogen nucleus, see `maury.synthesis.elements.abundances`.
    electrons
        First guess of the electron density, cm-3; a rough one is made where it is left out.
    tolerance
        Largest relative change in the last iteration.

    Raises
    ------
    SynthesisError
        If the iteration does not converge.

    Notes
    -----
    Molecular equilibrium constants: Barklem & Collet 2016, A&A 588, A96. Polyatomic molecules and
    negative ions are left out of the particle count: both matter below 3500 K only.
    """
    table = _table()
    known = {str(e) for e in table["elements"]}
    elements = [e for e in abundance if e in known]
    epsilon = np.array([abundance[e] for e in elements])[:, None]
    saha, partition = _saha(temperature, elements)
    molecules = [str(m) for m in table["molecules"]]
    pairs = [_constituents(m) for m in molecules]
    bound = sorted({atom for pair in pairs for atom in pair}, key=elements.index)
    rows = np.array([elements.index(atom) for atom in bound])
    counts = np.array([[pair.count(atom) for pair in pairs] for atom in bound], float)
    first = np.array([bound.index(a) for a, _ in pairs])
    second = np.array([bound.index(b) for _, b in pairs])
    dissociation = _dissociation(temperature)

    total = pressure / (BOLTZMANN * temperature)
    if electrons is None:
        hydrogen = saha[elements.index("H"), 0]
        electrons = np.minimum((np.sqrt(hydrogen**2 + 4 * hydrogen * total) - hydrogen) / 2, total)
        electrons = np.clip(electrons + 1e-4 * total, None, 0.45 * total)
    nuclei = (total - electrons) / epsilon.sum()
    neutral = epsilon * nuclei / (1 + saha[:, 0] / electrons * (1 + saha[:, 1] / electrons))
    bonded = np.zeros((len(molecules), temperature.size))
    for _ in range(500):
        ionized = saha[:, 0] / electrons
        twice = ionized * saha[:, 1] / electrons
        free = neutral[rows]
        bonded = free[first] * free[second] / dissociation
        share = 1 + ionized + twice
        share[rows] += counts @ bonded / free
        target = nuclei * epsilon / share
        # The square root damps the swing between an atom and the molecules that hold it.
        updated = target.copy()
        updated[rows] = np.sqrt(target[rows] * neutral[rows])
        charge = (updated * (ionized + 2 * twice)).sum(axis=0)
        new_electrons = np.clip(np.sqrt(charge * electrons), 1e-12 * total, 0.6 * total)
        heavy = nuclei * epsilon.sum() - bonded.sum(axis=0)
        new_nuclei = nuclei * np.clip((total - new_electrons) / heavy, 0.5, 2.0) ** 0.5
        change = max(
            float(np.abs(updated / neutral - 1).max()),
            float(np.abs(new_electrons / electrons - 1).max()),
            float(np.abs(new_nuclei / nuclei - 1).max()),
        )
        neutral, electrons, nuclei = updated, new_electrons, new_nuclei
        if change < tolerance:
            break
    else:
        raise SynthesisError(
            f"the equation of state did not converge at T = {temperature.min():.0f} to "
            f"{temperature.max():.0f} K: the last change is {change:.1e}, allowed is {tolerance:g}"
        )

    number: dict[str, np.ndarray] = {}
    functions: dict[str, np.ndarray] = {}
    ratios = (np.ones_like(ionized), ionized, twice)
    for i, element in enumerate(elements):
        for j, stage in enumerate(STAGES):
            number[f"{element} {stage}"] = neutral[i] * ratios[j][i]
            functions[f"{element} {stage}"] = partition[i, j]
    ln_t = np.log(temperature)
    for i, molecule in enumerate(molecules):
        number[molecule] = bonded[i]
        functions[molecule] = np.exp(
            np.interp(
                ln_t,
                table["molecule_partition_ln_temperature"],
                np.log(table["molecule_partition"][i]),
            )
        )
    masses = np.array([MASSES[e] for e in elements])[:, None]
    density = nuclei * (epsilon * masses).sum() * ATOMIC_MASS
    return Gas(temperature, electrons, density, number, functions)
