"""The line lists as published, brought to one set of columns.

Each function returns a dictionary of equally long arrays: ``species`` ("Fe I", "CH"),
``wavelength`` (A, air), ``excitation`` (eV, lower level), ``log_gf`` (isotope fraction included),
``mass`` (u), ``gamma_rad`` (s-1), ``gamma_stark`` (s-1 cm3 per electron at 10,000 K), ``gamma_vdw``
(s-1 cm3 per hydrogen atom at 10,000 K) and ``vdw_exponent`` (its power law in T).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from maury.synthesis.damping import classical_radiative, stark_and_unsold, van_der_waals
from maury.synthesis.elements import MASSES, SYMBOLS, isotope_fraction

__all__ = ["atoms_above_4200", "atoms_below_4200", "molecules"]

STAGES = ("I", "II", "III")
# linemake's files begin and end about these wavelengths, and share lines as far as 20 A from them.
FILE_ENDS, OVERLAP = (4000.0, 5000.0, 6000.0), 20.0

# MOOG's codes of the molecules: species, isotopes.
MOLECULES = {
    "106.00112": ("CH", {"C": 12}),
    "106.00113": ("CH", {"C": 13}),
    "107.00114": ("NH", {"N": 14}),
    "107.00115": ("NH", {"N": 15}),
    "108.00116": ("OH", {"O": 16}),
    "112.00124": ("MgH", {"Mg": 24}),
    "112.00125": ("MgH", {"Mg": 25}),
    "112.00126": ("MgH", {"Mg": 26}),
    "114.00128": ("SiH", {"Si": 28}),
    "114.00129": ("SiH", {"Si": 29}),
    "114.00130": ("SiH", {"Si": 30}),
    "607.01214": ("CN", {"C": 12}),
    "607.01314": ("CN", {"C": 13}),
    "606.01212": ("C2", {"C": 12}),
    "606.01213": ("C2", {"C": 13}),
    "126.0": ("FeH", {"Fe": 56}),
}
MOLECULE_MASSES = {
    "CH": 13,
    "NH": 15,
    "OH": 17,
    "MgH": 25.3,
    "SiH": 29,
    "CN": 26,
    "C2": 24,
    "FeH": 57,
}
# A molecular line weaker than its species' strongest by this factor at 4500 K is left out.
WEAKEST_MOLECULAR = 1e-4


def _ionization_energies(source: Path) -> dict[str, tuple[float, float]]:
    """First and second ionisation energy (eV) by element (Barklem & Collet 2016)."""
    result = {}
    path = source / "tables/BarklemCollet2016-ionization_energies.dat"
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            _, symbol, first, second, _ = line.split()
            result[symbol] = (float(first), float(second))
    return result


def _limits(source: Path, element: np.ndarray, stage: np.ndarray) -> np.ndarray:
    """Energy (eV) that ionises each line's species."""
    energies = _ionization_energies(source)
    return np.array([energies[e][s - 1] for e, s in zip(element, stage, strict=True)])


def atoms_above_4200(source: Path) -> dict[str, np.ndarray]:
    """Gaia-ESO list v6 (Heiter et al. 2021)."""
    with np.load(source / "linelists/compact_lines_3770_6925.npz") as archive:
        # Four lines stand there twice.
        table = np.unique(archive["ges"], axis=0)
    wavelength, low, log_gf, code = table[:, 0], table[:, 4], table[:, 5], table[:, 6]
    element = np.array([SYMBOLS[int(z) - 1] for z in table[:, 1]])
    stage = table[:, 3].astype(int)
    mass = np.array([MASSES[e] for e in element])
    fraction = [isotope_fraction(e, int(i)) for e, i in zip(element, table[:, 2], strict=True)]
    stark, unsold = stark_and_unsold(stage, wavelength, low, _limits(source, element, stage))
    vdw, exponent = van_der_waals(code, unsold, mass)
    return {
        "species": np.array([f"{e} {STAGES[s - 1]}" for e, s in zip(element, stage, strict=True)]),
        "wavelength": wavelength,
        "excitation": low,
        "log_gf": log_gf + np.log10(fraction),
        "mass": mass,
        "gamma_rad": np.where(table[:, 8] > 1e3, table[:, 8], classical_radiative(wavelength)),
        "gamma_stark": stark,
        "gamma_vdw": vdw,
        "vdw_exponent": exponent,
    }


def _barklem(source: Path) -> dict[tuple[str, int], tuple[float, float, float]]:
    """Van der Waals and radiative widths by species code and wavelength in 0.01 A."""
    result = {}
    for name in ("BarklemUV.dat", "Barklem.dat"):
        for line in (source / "linelists" / name).read_text().splitlines():
            words = line.split()
            if len(words) >= 5:
                key = (f"{float(words[1]):.1f}", round(float(words[0]) * 100))
                result[key] = (10 ** float(words[2]), float(words[3]), float(words[4]))
    return result


def _once(wavelength: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    """False for the second of two equal lines where linemake's files overlap."""
    once = np.abs(np.subtract.outer(wavelength, FILE_ENDS)).min(axis=1) > OVERLAP
    _, first = np.unique(np.rec.fromarrays([wavelength, *columns]), return_index=True)
    once[first] = True
    return once


def atoms_below_4200(source: Path) -> dict[str, np.ndarray]:
    """linemake (Placco et al. 2021) where the Gaia-ESO list has not begun."""
    with np.load(source / "linelists/compact_lines_3770_6925.npz") as archive:
        wavelength, code = archive["aw"], archive["as_"]
        low, log_gf = archive["ae"], archive["af"]
    once = _once(wavelength, code, low, log_gf)
    wavelength, code, low, log_gf = wavelength[once], code[once], low[once], log_gf[once]
    number = np.array([int(c.split(".")[0]) for c in code])
    ion = np.array([int(c.split(".")[1][0]) for c in code])
    isotope = np.array([int(c.split(".")[1][1:] or 0) for c in code])
    keep = (wavelength < 4200.02) & (number > 1) & (number <= 92) & (ion <= 1)
    wavelength, low, log_gf = wavelength[keep], low[keep], log_gf[keep]
    number, ion, isotope = number[keep], ion[keep], isotope[keep]
    element = np.array([SYMBOLS[z - 1] for z in number])
    mass = np.array([MASSES[e] for e in element])
    fraction = [isotope_fraction(e, i) for e, i in zip(element, isotope, strict=True)]
    limits = _limits(source, element, ion + 1)
    stark, unsold = stark_and_unsold(ion + 1, wavelength, low, limits)
    vdw, exponent = van_der_waals(np.zeros(wavelength.size), unsold, mass)
    rad = classical_radiative(wavelength)
    known = _barklem(source)
    for i, (z, charge, w) in enumerate(zip(number, ion, wavelength, strict=True)):
        for nearby in (0, -1, 1):
            match = known.get((f"{z}.{charge}", round(w * 100) + nearby))
            if match:
                vdw[i], exponent[i] = match[0], (1 - match[1]) / 2
                rad[i] = match[2] if match[2] > 1e3 else rad[i]
                break
    return {
        "species": np.array([f"{e} {STAGES[s]}" for e, s in zip(element, ion, strict=True)]),
        "wavelength": wavelength,
        "excitation": low,
        "log_gf": log_gf + np.log10(fraction),
        "mass": mass,
        "gamma_rad": rad,
        "gamma_stark": stark,
        "gamma_vdw": vdw,
        "vdw_exponent": exponent,
    }


def molecules(source: Path) -> Iterator[dict[str, np.ndarray]]:
    """CH, NH, OH, MgH, SiH, CN, C2, FeH from linemake's lists, their weakest lines left out."""
    with np.load(source / "linelists/compact_lines_3770_6925.npz") as archive:
        for group in ("hyd", "cn", "c2", "sih", "feh"):
            wavelength, code, low, log_gf = (archive[f"moog{group}_{c}"] for c in "wsef")
            known = np.isin(code, list(MOLECULES)) & _once(wavelength, code, low, log_gf)
            species = np.array([MOLECULES[c][0] for c in code[known]])
            share = [
                np.prod([isotope_fraction(e, i) for e, i in MOLECULES[c][1].items()])
                for c in code[known]
            ]
            wavelength, low = wavelength[known], low[known]
            log_gf = log_gf[known] + np.log10(share)
            strength = log_gf - low * 5040 / 4500
            strong = np.zeros(strength.size, bool)
            for name in np.unique(species):
                mine = species == name
                strong |= mine & (strength > strength[mine].max() + np.log10(WEAKEST_MOLECULAR))
            count = int(strong.sum())
            yield {
                "species": species[strong],
                "wavelength": wavelength[strong],
                "excitation": low[strong],
                "log_gf": log_gf[strong],
                "mass": np.array([MOLECULE_MASSES[s] for s in species[strong]], float),
                "gamma_rad": classical_radiative(wavelength[strong]),
                "gamma_stark": np.zeros(count),
                "gamma_vdw": np.zeros(count),
                "vdw_exponent": np.zeros(count),
            }
