"""Molecules as published, brought to one form: equilibrium constants and partition functions.

An equilibrium constant is log10 of the product of the atoms' number densities over that of the
molecule, n(A) n(B) .. / n(AB..), in cm-3 to the power of the number of atoms less one.
"""

from pathlib import Path

import h5py
import numpy as np
from scipy.interpolate import CubicSpline

from maury.synthesis.constants import ATOMIC_MASS, BOLTZMANN, BOLTZMANN_EV, PLANCK
from maury.synthesis.elements import MASSES, constituents

__all__ = ["DIATOMIC", "POLYATOMIC", "diatomic", "polyatomic"]

#: Diatomic molecules by the names that Barklem & Collet 2016 give their equilibrium constants.
DIATOMIC = {
    "H2": "HH", "CH": "HC", "NH": "HN", "OH": "HO", "C2": "CC", "CN": "CN", "CO": "CO", "N2": "NN",
    "NO": "NO", "O2": "OO", "MgH": "HMg", "AlH": "HAl", "SiH": "HSi", "CaH": "HCa", "CrH": "HCr",
    "FeH": "HFe", "TiO": "OTi", "VO": "OV", "ZrO": "OZr", "SiO": "OSi", "AlO": "OAl", "ScO": "OSc",
    "YO": "OY", "LaO": "OLa", "SH": "HS", "SiS": "SiS",
}  # fmt: skip
# Changes (eV) of dissociation energies. C2: 6.371 in Barklem & Collet, 6.24 by Visser et al. 2019,
# Mol. Phys. 117, 1645, which Aquilina et al. 2024, MNRAS 531, 4538, find to be needed. CaH: 2.281
# there, by thermochemistry; 1.70 by spectroscopy (Huber & Herzberg 1979, in their Table 1 too).
CORRECTION = {"C2": -0.131, "CaH": -0.581}

#: Larger molecules by their names in the table of ExoMol partition functions, with the energy that
#: takes them apart into atoms at 0 K (kJ/mol; H2O and H2S: NIST CCCBDB, as in Korg.jl, Wheeler et
#: al. 2023; HCN: Ruscic et al., Active Thermochemical Tables 1.110) and the statistical weight of
#: their nuclear spins, which ExoMol's functions hold.
POLYATOMIC = {"H2O": ("HHO", 917.7, 4), "H2S": ("HHS", 724.6, 4), "HCN": ("HCN", 1268.0, 6)}
KILOJOULE_PER_MOL = 1.0364269e-2  # eV


def diatomic(source: Path, temperature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equilibrium constants and log10 of partition functions, shape (molecule, temperature)."""
    tables = source / "tables"
    with h5py.File(tables / "barklem_collet_ks.h5") as file:
        names = [name.decode() for name in file["mols"][()]]
        rows = [names.index(formula) for formula in DIATOMIC.values()]
        nodes, pressures = np.exp(file["lnTs"][()].T[rows]), file["logKs"][()].T[rows]
    constants = []
    for name, t, log_k in zip(DIATOMIC, nodes, pressures, strict=True):
        known = np.isfinite(log_k) & np.isfinite(t)
        t, log_k = t[known], log_k[known]
        # The coldest node tells the energy; without its exponential the rest is almost a power law.
        energy = -log_k[0] * t[0]
        hot = t > 250.0
        rest = CubicSpline(np.log(t[hot]), (log_k + energy / t)[hot])
        lowered = CORRECTION.get(name, 0.0) / (BOLTZMANN_EV * np.log(10))
        constants.append(rest(np.log(temperature)) - (energy + lowered) / temperature)
    functions = {}
    text = (tables / "BarklemCollet2016-molecular_partition.dat").read_text()
    for line in text.splitlines():
        words = line.split()
        if line.startswith("# T [K]"):
            at = np.array(words[3:], float)
        elif words and not line.startswith("#") and words[0].isalnum():
            functions[frozenset(constituents(words[0]).items())] = np.array(words[1:], float)
    warm = at > 250.0
    partition = [
        CubicSpline(
            np.log(at[warm]), np.log10(functions[frozenset(constituents(n).items())][warm])
        )(np.log(temperature))
        for n in DIATOMIC
    ]
    return np.array(constants) - np.log10(BOLTZMANN * temperature), np.array(partition)


def polyatomic(
    source: Path, temperature: np.ndarray, atomic: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The same of larger molecules, by statistical mechanics (e.g. Tatum 1966, PDAO 13, 1).

    ``atomic`` holds the partition functions of the neutral atoms at the temperatures.
    """
    constants, partition = [], []
    with h5py.File(source / "tables/polyatomic_partition_funcs.h5") as file:
        for name, (group, energy, spins) in POLYATOMIC.items():
            nodes, values = file[group]["temp"][()], file[group]["partition_function"][()] / spins
            known = nodes > 250.0
            x, y = np.log(nodes[known]), np.log10(values[known])
            # Beyond the table, where these molecules are gone, its last slope in logarithms holds.
            ln_t = np.log(temperature)
            log_q = np.interp(ln_t, x, y)
            beyond = ln_t > x[-1]
            slope = (y[-1] - y[-100]) / (x[-1] - x[-100])
            log_q[beyond] = y[-1] + slope * (ln_t[beyond] - x[-1])
            atoms = constituents(name)
            log_k = -log_q - energy * KILOJOULE_PER_MOL / (BOLTZMANN_EV * temperature * np.log(10))
            mass = 1.0
            for atom, count in atoms.items():
                log_k += count * np.log10(atomic[atom])
                mass *= MASSES[atom] ** count
            mass /= sum(MASSES[atom] * count for atom, count in atoms.items())
            order = sum(atoms.values()) - 1
            free = (2 * np.pi * ATOMIC_MASS * BOLTZMANN * temperature / PLANCK**2) ** 1.5
            constants.append(log_k + order * np.log10(free) + 1.5 * np.log10(mass))
            partition.append(log_q)
    return np.array(constants), np.array(partition)
