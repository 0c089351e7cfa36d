"""Equation of state: ionisation and molecular equilibrium of the gas at each layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from maury.data import load_table
from maury.errors import SynthesisError
from maury.synthesis.constants import ATOMIC_MASS, BOLTZMANN, BOLTZMANN_EV, ELECTRON_MASS, PLANCK
from maury.synthesis.elements import MASSES, constituents

__all__ = ["Gas", "solve"]

STAGES = ("I", "II", "III")
H_MINUS_AFFINITY = 0.754204  # eV, as in McLaughlin et al. 2017
WARMING = 12  # steps of fixed-point iteration before Newton's method
ITERATIONS = 60
LONGEST_STEP = 2.0  # of Newton's method, in the logarithm of any density


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
        By species: ``"Fe II"``, ``"CN"`` or ``"H-"``.
    partition
        Partition functions by the same names, without nuclear spin.
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


@cache
def _molecules() -> tuple[list[str], list[str], np.ndarray]:
    """Molecules, the elements they are made of, and how often, shape (element, molecule)."""
    molecules = [str(m) for m in _table()["molecules"]]
    parts = [constituents(m) for m in molecules]
    bound = [str(e) for e in _table()["elements"] if any(str(e) in part for part in parts)]
    return molecules, bound, np.array([[part.get(e, 0) for part in parts] for e in bound], float)


def _interpolated(grid: np.ndarray, table: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``table[..., x]`` on an even grid, linear inside and beyond its ends."""
    position = (x - grid[0]) / (grid[1] - grid[0])
    lower = np.clip(position.astype(int), 0, grid.size - 2)
    part = position - lower
    return table[..., lower] * (1 - part) + table[..., lower + 1] * part


def _saha(temperature: np.ndarray, rows: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """n(II) n_e / n(I) and n(III) n_e / n(II) of the elements, their partition functions, and H-.

    Saha's equation, e.g. Gray 2005, Eq. 1.20; shapes (element, stage, layer), and for H-, where it
    is n(H-) / n(H I) n_e, (layer,).
    """
    table = _table()
    # A partition function does not fall below its ground state's weight at the table's cold end.
    ln_t = np.maximum(np.log(temperature), table["ln_temperature"][0])
    partition = _interpolated(table["ln_temperature"], table["partition"][rows], ln_t)
    free = 2 * (2 * np.pi * ELECTRON_MASS * BOLTZMANN * temperature / PLANCK**2) ** 1.5
    energy = table["ionization_energy"][rows]
    boltzmann = np.exp(-energy[:, :, None] / (BOLTZMANN_EV * temperature))
    ratio = free * partition[:, 1:] / partition[:, :-1] * boltzmann
    ratio[:, 1][energy[:, 1] <= 0] = 0.0
    hydrogen = partition[rows.index(int(np.flatnonzero(table["elements"] == "H")[0])), 0]
    attached = np.exp(H_MINUS_AFFINITY / (BOLTZMANN_EV * temperature)) / (free * hydrogen)
    return ratio, partition, attached


@dataclass(eq=False)
class _Equilibrium:
    """The equations at given temperatures and pressures, and the solution as it stands.

    Unknown are the logarithms of the neutral atoms of every element that molecules bind, of the
    electrons and of the nuclei of hydrogen; all other elements follow from the last two.

    Attributes
    ----------
    once, twice
        Saha's ratios n(II) n_e / n(I) and n(III) n_e^2 / n(I), shape (element, layer).
    attached
        n(H-) / n(H I) n_e, shape (layer,).
    ln_dissociation
        ln of n(A) n(B) .. / n(AB..), shape (molecule, layer).
    epsilon
        Nuclei per hydrogen nucleus, shape (element, 1).
    total
        All particles per cm3, shape (layer,); unused where electrons are held.
    bound, counts
        Rows of the elements that molecules bind, hydrogen first; atoms in each molecule, shape
        (bound, molecule).
    ln_atoms, ln_electrons, ln_nuclei
        The unknowns, shapes (bound, layer), (layer,) and (layer,).
    hold_electrons
        Solve for nuclei that give the electrons there are, not for the number of particles.
    """

    once: np.ndarray
    twice: np.ndarray
    attached: np.ndarray
    ln_dissociation: np.ndarray
    epsilon: np.ndarray
    total: np.ndarray
    bound: np.ndarray
    counts: np.ndarray
    ln_atoms: np.ndarray
    ln_electrons: np.ndarray
    ln_nuclei: np.ndarray
    hold_electrons: bool

    def ions(self) -> tuple[np.ndarray, np.ndarray]:
        """n(II) / n(I) and n(III) / n(I), shape (element, layer)."""
        electrons = np.exp(self.ln_electrons)
        return self.once / electrons, self.twice / electrons**2

    def molecules(self) -> np.ndarray:
        """Number densities of the molecules, shape (molecule, layer)."""
        return np.exp(self.counts.T @ self.ln_atoms - self.ln_dissociation)

    def neutral(self) -> np.ndarray:
        """Number densities of the neutral atoms of all elements, shape (element, layer)."""
        once, twice = self.ions()
        atoms = self.epsilon * np.exp(self.ln_nuclei) / (1 + once + twice)
        atoms[self.bound] = np.exp(self.ln_atoms)
        return atoms

    def warm_up(self) -> None:
        """One step of a damped fixed-point iteration: slow, but it goes the right way."""
        once, twice = self.ions()
        electrons, nuclei = np.exp(self.ln_electrons), np.exp(self.ln_nuclei)
        molecules, free = self.molecules(), np.exp(self.ln_atoms)
        share = (1 + once + twice)[self.bound] + self.counts @ molecules / free
        # The square root damps the swing between an atom and the molecules that hold it.
        self.ln_atoms = (self.ln_atoms + np.log(nuclei * self.epsilon[self.bound] / share)) / 2
        charge = (self.neutral() * (once + 2 * twice)).sum(axis=0)
        if self.hold_electrons:
            self.ln_nuclei += 0.5 * np.log(np.clip(electrons / charge, 0.5, 2.0))
            return
        electrons = np.clip(np.sqrt(charge * electrons), 1e-30 * self.total, 0.6 * self.total)
        self.ln_electrons = np.log(electrons)
        heavy = nuclei * self.epsilon.sum() - (self.counts.sum(axis=0) - 1) @ molecules
        self.ln_nuclei += 0.5 * np.log(np.clip((self.total - electrons) / heavy, 0.5, 2.0))

    def newton(self) -> float:
        """One step of Newton's method; the largest change of a logarithm that it asks for.

        The equations are conservation of each bound element, of charge and of the number of
        particles, all in logarithms: so they are nearly linear over many decades.
        """
        once, twice = self.ions()
        electrons, nuclei = np.exp(self.ln_electrons), np.exp(self.ln_nuclei)
        molecules, free = self.molecules(), np.exp(self.ln_atoms)
        negative = self.attached * free[0] * electrons
        weight, charges, squares = 1 + once + twice, once + 2 * twice, once + 4 * twice
        atoms = free * weight[self.bound]
        held = atoms + self.counts @ molecules
        held[0] += negative
        positive, slope = free * charges[self.bound], free * squares[self.bound]
        rest = np.setdiff1d(np.arange(len(self.epsilon)), self.bound)
        others = self.epsilon[rest] * nuclei
        mean = charges[rest] / weight[rest]
        charge = positive.sum(axis=0) + (others * mean).sum(axis=0)
        lost = electrons + negative
        particles = (
            atoms.sum(axis=0) + molecules.sum(axis=0) + others.sum(axis=0) + lost
        )  # fmt: skip

        size, layers = self.ln_atoms.shape
        e, n = size, size + 1
        residual = np.empty((layers, size + 2))
        residual[:, :size] = np.log(held / (nuclei * self.epsilon[self.bound])).T
        residual[:, e] = np.log(charge / lost)
        residual[:, n] = np.log(particles / self.total)
        jacobian = np.empty((layers, size + 2, size + 2))
        matrix = (self.counts * molecules.T[:, None, :]) @ self.counts.T
        matrix[:, np.arange(size), np.arange(size)] += atoms.T
        matrix[:, 0, 0] += negative
        jacobian[:, :size, :size] = matrix / held.T[:, :, None]
        jacobian[:, :size, e] = -(positive / held).T
        jacobian[:, 0, e] += negative / held[0]
        jacobian[:, :size, n] = -1.0
        jacobian[:, e, :size] = (positive / charge).T
        jacobian[:, e, 0] -= negative / lost
        spread = (others * (mean**2 - squares[rest] / weight[rest])).sum(axis=0)
        jacobian[:, e, e] = (spread - slope.sum(axis=0)) / charge - 1.0
        jacobian[:, e, n] = (others * mean).sum(axis=0) / charge
        jacobian[:, n, :size] = (held / particles).T
        jacobian[:, n, e] = (lost - positive.sum(axis=0)) / particles
        jacobian[:, n, n] = others.sum(axis=0) / particles

        if self.hold_electrons:
            # The pressure is free: charge takes the place of the number of particles.
            residual[:, n], jacobian[:, n] = residual[:, e], jacobian[:, e]
            residual[:, e], jacobian[:, e] = 0.0, np.eye(size + 2)[e]

        step = np.linalg.solve(jacobian, -residual[..., None])[..., 0]
        longest = np.abs(step).max(axis=1)
        step *= (LONGEST_STEP / np.maximum(longest, LONGEST_STEP))[:, None]
        self.ln_atoms = self.ln_atoms + step[:, :size].T
        self.ln_electrons = self.ln_electrons + step[:, e]
        self.ln_nuclei = self.ln_nuclei + step[:, n]
        return float(longest.max())


def solve(
    temperature: np.ndarray,
    pressure: np.ndarray,
    abundance: Mapping[str, float],
    *,
    electrons: np.ndarray | None = None,
    hold_electrons: bool = False,
    tolerance: float = 1e-6,
) -> Gas:
    """Number densities at given temperature and gas pressure.

    Saha ionisation to the second ion, H- and the equilibrium of 29 molecules are solved with
    particle and charge conservation by Newton's method.

    Parameters
    ----------
    temperature, pressure
        K and dyn cm-2, shape (layer,); 1500-30,000 K and 0.01 to 1e8 dyn cm-2 are tested.
    abundance
        Nuclei per hydrogen nucleus, see `maury.synthesis.elements.abundances`.
    electrons
        First guess of the electron density, cm-3; a rough one is made where it is left out.
    hold_electrons
        Keep that density as it is and give the pressure up, which is but a first guess then, as
        Turbospectrum does with the electrons of a model atmosphere.
    tolerance
        Largest relative change in the last iteration, which leaves about its square.

    Raises
    ------
    SynthesisError
        If the iteration does not converge.

    Notes
    -----
    Equilibrium constants and partition functions of diatomic molecules: Barklem & Collet 2016, A&A
    588, A96, which has D(TiO) = 6.87 eV and D(FeH) = 1.50 eV, with D(C2) = 6.24 eV (Visser et al.
    2019) and D(CaH) = 1.70 eV (Huber & Herzberg 1979). H2O, H2S and HCN from ExoMol's partition
    functions. In the atmospheres of the grid no molecule that is left out binds more than 3% of an
    element that has lines, except PO (phosphorus) and AlF (up to 12% of aluminium at 3000 K and
    [M/H] = 0.5). Positive molecular ions are left out.
    """
    table = _table()
    listed = [str(e) for e in table["elements"]]
    elements = [e for e in abundance if e in listed]
    molecules, bound, counts = _molecules()
    ratio, partition, attached = _saha(temperature, [listed.index(e) for e in elements])
    ln_t = np.log(temperature)
    log_k, log_q = (
        _interpolated(table["molecule_ln_temperature"], table[f"molecule_log_{kind}"], ln_t)
        for kind in ("equilibrium", "partition")
    )
    epsilon = np.array([abundance[e] for e in elements])[:, None]
    total = pressure / (BOLTZMANN * temperature)
    if electrons is None:
        hydrogen = ratio[elements.index("H"), 0]
        electrons = np.minimum((np.sqrt(hydrogen**2 + 4 * hydrogen * total) - hydrogen) / 2, total)
        electrons = np.clip(electrons + 1e-4 * total, None, 0.45 * total)
    nuclei = (total - electrons) / epsilon.sum()
    once, twice = ratio[:, 0], ratio[:, 0] * ratio[:, 1]
    rows = np.array([elements.index(e) for e in bound])
    share = (1 + once / electrons + twice / electrons**2)[rows]
    equilibrium = _Equilibrium(
        once, twice, attached, np.log(10) * log_k, epsilon, total, rows, counts,
        np.log(nuclei * epsilon[rows] / share), np.log(electrons), np.log(nuclei),
        hold_electrons,
    )  # fmt: skip
    for _ in range(WARMING):
        equilibrium.warm_up()
    for _ in range(ITERATIONS):
        change = equilibrium.newton()
        if change < tolerance:
            break
    else:
        raise SynthesisError(
            f"the equation of state did not converge at T = {temperature.min():.0f} to "
            f"{temperature.max():.0f} K: the last change is {change:.1e}, allowed is {tolerance:g}"
        )

    electrons, nuclei = np.exp(equilibrium.ln_electrons), np.exp(equilibrium.ln_nuclei)
    neutral, (ionized, doubly) = equilibrium.neutral(), equilibrium.ions()
    number: dict[str, np.ndarray] = {}
    functions: dict[str, np.ndarray] = {}
    ratios = (np.ones_like(ionized), ionized, doubly)
    for i, element in enumerate(elements):
        for j, stage in enumerate(STAGES):
            number[f"{element} {stage}"] = neutral[i] * ratios[j][i]
            functions[f"{element} {stage}"] = partition[i, j]
    number["H-"] = attached * number["H I"] * electrons
    functions["H-"] = np.ones_like(temperature)
    number |= zip(molecules, equilibrium.molecules(), strict=True)
    functions |= zip(molecules, 10.0**log_q, strict=True)
    masses = np.array([MASSES[e] for e in elements])[:, None]
    density = nuclei * (epsilon * masses).sum() * ATOMIC_MASS
    return Gas(temperature, electrons, density, number, functions)
