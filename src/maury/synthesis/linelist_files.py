"""Line lists of users: MOOG, VALD's long format and Turbospectrum."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maury.data import load_table
from maury.errors import SynthesisError
from maury.synthesis.constants import ATOMIC_MASS, BOLTZMANN
from maury.synthesis.damping import classical_radiative, stark_and_unsold, van_der_waals
from maury.synthesis.elements import MASSES, SYMBOLS, isotope_fraction
from maury.synthesis.linelist import LineList
from maury.synthesis.linelist_archive import load_lines
from maury.synthesis.text_files import read_text
from maury.wavelength import vacuum_to_air

__all__ = ["FORMATS", "read_lines"]

STAGES = ("I", "II", "III")
PER_EV = 8065.543937  # cm-1
Isotopes = tuple[tuple[str, int], ...]
# What a reader yields for each run of lines: species and log10 of the isotopes' fraction, then an
# array (line, 6) of wavelength (A, air), excitation (eV), log gf, radiative (s-1), Stark (s-1 cm3)
# and van der Waals damping (as VALD writes it), the last three 0 where nothing is known.
Runs = list[tuple[str, float, NDArray[np.float64]]]


def read_lines(path: str | Path, format: str | None = None) -> LineList:
    """Read a line list of MOOG, VALD or Turbospectrum, or one that ``maury calibrate`` wrote.

    Parameters
    ----------
    path
        The file, which may be packed by gzip; ending in ``.npz`` where maury wrote it.
    format
        ``"moog"``, ``"vald"`` or ``"turbospectrum"``; found out where it is left out.

    Returns
    -------
    LineList
        Wavelengths in air, sorted; lines of H I are left out, since the synthesis has its own.

    Raises
    ------
    SynthesisError
        If the file is in none of the formats, is cut short, names a species or isotope that is not
        known, or holds an impossible value.

    Notes
    -----
    MOOG: wavelength (A, air), species code, excitation (eV, or cm-1 where any is above 50), log gf,
    van der Waals damping and dissociation energy (not used), in columns of ten or free; the first
    line is a title. The damping follows MOOG's own rule (option 0) except that nothing stands for
    Unsold's width times 2.5, as everywhere here.

    VALD: "extract stellar" or "extract all" in the long format, with wavelengths in Angstrom, air
    or vacuum, and energies in eV or cm-1; gf values are scaled by isotope where VALD has not.

    Turbospectrum: blocks of a species with Elow (eV), log gf, fdamp, g_up, gamma_rad and, where it
    is there, log gamma_Stark; wavelengths in air. ABO theory is used where fdamp states
    sigma.alpha, never from the letters of the orbitals.

    Stark and van der Waals damping that a file lacks are Cowley's and Unsold's times 2.5, radiative
    damping is the classical one; molecules have none of the first two.
    """
    if format is not None and format not in _READERS:
        raise SynthesisError(
            f"{format!r} is no format of line lists: allowed are {', '.join(_READERS)}."
        )
    if Path(path).suffix == ".npz":
        return load_lines(path)
    lines = read_text(path)
    runs = _READERS[format or _detect(lines)](path, lines)
    return _line_list(path, [run for run in runs if len(run[2]) and run[0] != "H I"])


def _detect(lines: list[str]) -> str:
    if any("WL_air(" in line or "WL_vac(" in line for line in lines[:100]):
        return "vald"
    first = next(line for line in lines if line.strip())
    return "turbospectrum" if first.lstrip().startswith("'") else "moog"


@cache
def _molecules() -> dict[tuple[str, ...], str]:
    """Known molecules by their atoms in alphabetical order."""
    names = [str(name) for name in load_table("equation_of_state")["molecules"]]
    return {tuple(sorted(_atoms(name))): name for name in names}


def _atoms(formula: str) -> list[str]:
    """The atoms of a formula.

    >>> _atoms("MgH"), _atoms("C2")
    (['Mg', 'H'], ['C', 'C'])
    """
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    return [symbol for symbol, count in parts for _ in range(int(count or 1))]


def _species(path: str | Path, atoms: list[str], stage: int, written: str) -> str:
    """The name that the equation of state has for a species."""
    if len(atoms) == 1 and 1 <= stage <= len(STAGES) and atoms[0] in _ionization():
        return f"{atoms[0]} {STAGES[stage - 1]}"
    molecule = _molecules().get(tuple(sorted(atoms)))
    if stage != 1 or molecule is None:
        known = ", ".join(sorted(_molecules().values()))
        raise SynthesisError(
            f"{path} has lines of the species {written!r}, which is not known; allowed are the "
            f"elements from H to U, neutral, once or twice ionised, and {known}."
        )
    return molecule


def _log_fraction(path: str | Path, isotopes: Isotopes) -> float:
    total = 0.0
    for symbol, isotope in isotopes:
        try:
            total += np.log10(isotope_fraction(symbol, isotope))
        except KeyError:
            raise SynthesisError(
                f"{path} has lines of the isotope {isotope} of {symbol}, which is not found in "
                "nature; allowed are stable isotopes, and 0 for all of an element's."
            ) from None
    return float(total)


@cache
def _ionization() -> dict[str, tuple[float, ...]]:
    """Energies (eV) that ionise each element's atom, ion and, not tabulated, twice ionised ion."""
    table = load_table("equation_of_state")
    pairs = zip(table["elements"], table["ionization_energy"], strict=True)
    return {str(e): (float(first), float(second), -np.inf) for e, (first, second) in pairs}


def _code(
    path: str | Path, number: str, stage: int, isotopes: str, width: int
) -> tuple[str, float]:
    """Species and log10 of the isotopes' fraction from a code such as 26 or 822."""
    whole = int(number)
    parts = [whole] if whole < 100 else list(divmod(whole, 100))
    possible = all(1 <= z <= len(SYMBOLS) for z in parts)
    atoms = [SYMBOLS[z - 1] for z in parts] if possible else []
    species = _species(path, atoms, stage, f"{number}.{isotopes}")
    digits = isotopes.ljust(width * len(atoms), "0")
    masses = [int(digits[width * i : width * (i + 1)]) for i in range(len(atoms))]
    return species, _log_fraction(path, tuple(zip(atoms, masses, strict=True)))


def _wrong_line(path: str | Path, number: int, line: str, wanted: str) -> SynthesisError:
    return SynthesisError(f"{path}, line {number}, reads {line.strip()[:60]!r}, but {wanted}.")


def _moog(path: str | Path, lines: list[str]) -> Runs:
    found: dict[str, list[list[float]]] = {}
    for i, line in enumerate(lines):
        fields = _moog_fields(line)
        if fields is not None:
            found.setdefault(fields[0], []).append(fields[1])
        elif i > 0 and line.strip():
            wanted = "wavelength, species, excitation and log gf must stand there"
            raise _wrong_line(path, i + 1, line, wanted)
    runs: Runs = []
    for code, rows in found.items():
        table = np.array(rows)
        number, _, digits = code.partition(".")
        width = 3 if int(number) < 100 else 2
        species, fraction = _code(path, number, int(digits[:1] or 0) + 1, digits[1:], width)
        mass = sum(MASSES[atom] for atom in _atoms(species.partition(" ")[0]))
        table[:, 5] = [_moog_damping(number, mass) for number in table[:, 5]]
        runs.append((species, fraction, table))
    if any((table[:, 1] > 50).any() for _, _, table in runs):
        for _, _, table in runs:
            table[:, 1] /= PER_EV
    return runs


def _moog_fields(line: str) -> tuple[str, list[float]] | None:
    """A line's code and numbers, in columns of ten or free; None where it is no line."""
    words = line.split()
    columns = [line[k : k + 10].strip() for k in range(0, 50, 10)]
    fields = columns if words[:4] == columns[:4] else words[:5]
    if len(fields) < 4 or not re.fullmatch(r"\d{1,6}(\.\d*)?", fields[1]):
        return None
    try:
        wavelength, excitation, log_gf = (float(fields[k]) for k in (0, 2, 3))
    except ValueError:
        return None
    # What follows may be a comment as well.
    damping = float(fields[4]) if _is_number(fields[4:5]) else 0.0
    return fields[1], [abs(wavelength), excitation, log_gf, 0.0, 0.0, damping]


def _moog_damping(number: float, mass: float) -> float:
    """MOOG's van der Waals number as VALD would write it (MOOG's Damping.f, option 0)."""
    width = 10.0 ** max(number, -300.0) if number < 0 else number
    if width == 0:
        return 0.0
    if width < 1e-15:  # C6, from which Unsold's formula makes a width
        speed = np.sqrt(8 * BOLTZMANN * 1e4 / (np.pi * ATOMIC_MASS) * (1 / mass + 1 / 1.008))
        return float(np.log10(17.0 * width**0.4 * speed**0.6))
    if width < 1e-4:  # the width at 10,000 K itself
        return float(np.log10(width))
    return float(min(width**0.4, 20.0))  # a factor to Unsold's C6


def _vald(path: str | Path, lines: list[str]) -> Runs:
    head = next((i for i, x in enumerate(lines) if "WL_air(" in x or "WL_vac(" in x), None)
    if head is None:
        raise SynthesisError(f"{path} is no VALD list: there is no line with WL_air or WL_vac.")
    title = lines[head]
    energy = re.search(r"E_low\((eV|cm\^-1)\)", title)
    if energy is None or not re.search(r"WL_(air|vac)\(A\)", title):
        raise SynthesisError(
            f"{path} has the columns {title.strip()[:60]!r}, but VALD's long format is read, with "
            "wavelengths in A and energies in eV or cm^-1."
        )
    scaled = [re.match(r"\* oscillator strengths were (NOT )?scaled", x) for x in lines[head:]]
    notes = [match for match in scaled if match]
    if not notes:
        raise SynthesisError(
            f"{path} is cut short: VALD says below the lines whether gf are scaled by isotope."
        )
    unscaled = notes[0][1] is not None
    found: dict[tuple[str, int, Isotopes], list[list[float]]] = {}
    i = head + 1
    while i < len(lines) and (match := re.match(r"'([A-Z]\w*)\s+(\d+)'\s*,(.*)", lines[i])):
        words = match[3].split(",")
        try:
            values = [float(words[k]) for k in (0, 2, 1, 9, 10, 11)]
        except (ValueError, IndexError):
            raise _wrong_line(path, i + 1, lines[i], "12 numbers must follow the species") from None
        source = lines[i + 3] if i + 3 < len(lines) else ""
        named = re.findall(r"\((\d{1,3})\)([A-Z][a-z]?)", source) if unscaled else []
        isotopes = tuple((symbol, int(isotope)) for isotope, symbol in named)
        found.setdefault((match[1], int(match[2]), isotopes), []).append(values)
        i += 4
    count = sum(map(len, found.values()))
    selected = re.match(r"\s*[\d.]+\s*,\s*[\d.]+\s*,\s*(\d+)\s*,", lines[max(head - 2, 0)])
    if selected and int(selected[1]) != count:
        raise SynthesisError(
            f"{path} announces {selected[1]} lines, but {count} are there before line {i + 1}."
        )
    runs: Runs = []
    for (formula, stage, isotopes), rows in found.items():
        table = np.array(rows)
        if "WL_vac" in title:
            table[:, 0] = vacuum_to_air(table[:, 0])
        if energy[1] != "eV":
            table[:, 1] /= PER_EV
        table[:, 3:5] = np.where(table[:, 3:5] == 0, 0.0, 10.0 ** np.minimum(table[:, 3:5], 30.0))
        species = _species(path, _atoms(formula), stage, f"{formula} {stage}")
        runs.append((species, _log_fraction(path, isotopes), table))
    return runs


def _turbospectrum(path: str | Path, lines: list[str]) -> Runs:
    runs: Runs = []
    i = 0
    while i < len(lines):
        if not lines[i].strip():
            i += 1
            continue
        match = re.match(r"\s*'\s*(\d{1,6})\.(\d*)\s*'\s+(\d+)\s+(\d+)", lines[i])
        if match is None:
            wanted = "a species such as '26.000' with its ionisation and number of lines must"
            raise _wrong_line(path, i + 1, lines[i], f"{wanted} stand there")
        count = int(match[4])
        species, fraction = _code(path, match[1], int(match[3]), match[2], 3)
        if i + 2 + count > len(lines):
            raise SynthesisError(
                f"{path} is cut short: it announces {count} lines of {species}, but holds "
                f"{max(len(lines) - i - 2, 0)}."
            )
        runs.append((species, fraction, _block(path, lines, i + 2, count)))
        i += 2 + count
    return runs


def _block(path: str | Path, lines: list[str], first: int, count: int) -> NDArray[np.float64]:
    """The lines of one species in a Turbospectrum list."""
    rows = lines[first : first + count]
    columns = [0, 1, 2, 5, 3]
    stark = bool(rows) and _is_number(rows[0].split()[6:7])
    if stark:
        columns.append(6)
    if not rows:
        return np.empty((0, 6))
    try:
        if not all(map(str.strip, rows)):
            raise ValueError("a blank line, which loadtxt would pass over")
        values = np.loadtxt(rows, usecols=columns, ndmin=2, comments=None)
    except ValueError:
        parted = [row.split() for row in rows]
        bad = (not all(_is_number(words[c : c + 1]) for c in columns) for words in parted)
        k = next((k for k, wrong in enumerate(bad) if wrong), 0)
        wanted = "wavelength, excitation, log gf, fdamp, g_up and gamma_rad must stand there"
        raise _wrong_line(path, first + k + 1, rows[k], wanted) from None
    table = np.zeros((len(rows), 6))
    table[:, :3] = values[:, :3]
    table[:, 3] = np.where(values[:, 3] > 1e3, values[:, 3], 0.0)
    table[:, 5] = values[:, 4]
    if stark:
        table[:, 4] = np.where(values[:, 5] == 0, 0.0, 10.0 ** np.minimum(values[:, 5], 30.0))
    return table


def _is_number(words: list[str]) -> bool:
    try:
        return bool(words) and np.isfinite(float(words[0]))
    except ValueError:
        return False


_READERS: dict[str, Callable[[str | Path, list[str]], Runs]] = {
    "moog": _moog,
    "vald": _vald,
    "turbospectrum": _turbospectrum,
}
FORMATS = tuple(_READERS)


def _line_list(path: str | Path, runs: Runs) -> LineList:
    if not runs:
        raise SynthesisError(f"{path} holds no line that can be used.")
    names = tuple(sorted({species for species, _, _ in runs}))
    table = np.concatenate([rows for _, _, rows in runs])
    lengths = [len(rows) for _, _, rows in runs]
    _check(path, table)
    stages, limits, masses = [], [], []
    for species, _, _ in runs:
        element, _, numeral = species.partition(" ")
        stage = STAGES.index(numeral) + 1 if numeral else 1
        stages.append(stage)
        limits.append(_ionization()[element][stage - 1] if numeral else -np.inf)
        masses.append(sum(MASSES[atom] for atom in _atoms(element)))
    index = np.repeat([names.index(species) for species, _, _ in runs], lengths)
    mass = np.repeat(np.array(masses, dtype=np.float64), lengths)
    wavelength, excitation, log_gf, radiative, stark, code = table.T
    guessed, unsold = stark_and_unsold(
        np.repeat(stages, lengths), wavelength, excitation, np.repeat(limits, lengths)
    )
    vdw, exponent = van_der_waals(code, unsold, mass)
    order = np.argsort(wavelength, kind="stable")
    return LineList(
        names,
        index,
        wavelength.copy(),
        excitation.copy(),
        log_gf + np.repeat([fraction for _, fraction, _ in runs], lengths),
        mass,
        np.where(radiative > 0, radiative, classical_radiative(wavelength)),
        np.where(stark > 0, stark, guessed),
        vdw,
        exponent,
    ).select(order)


def _check(path: str | Path, table: NDArray[np.float64]) -> None:
    for column, name, unit, lower, upper in (
        (0, "wavelength", " A", 100.0, 1e7),
        (1, "excitation", " eV", -1.0, 200.0),
        (2, "log gf", "", -200.0, 10.0),
        (3, "radiative damping", " s-1", 0.0, 1e16),
        (4, "Stark damping", " s-1 cm3", 0.0, 1.0),
        (5, "van der Waals damping", "", -40.0, 1e5),
    ):
        wrong = np.flatnonzero(~((table[:, column] >= lower) & (table[:, column] <= upper)))
        if wrong.size:
            value = table[wrong[0], column]
            raise SynthesisError(
                f"{path} has a line at {table[wrong[0], 0]:g} A with a {name} of {value:g}{unit}; "
                f"allowed is {lower:g} to {upper:g}{unit}."
            )
