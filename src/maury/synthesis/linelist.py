"""The line list: wavelengths, strengths and damping constants of atomic and molecular lines."""

from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np

from maury.data import load_table
from maury.errors import SynthesisError

__all__ = ["LineList", "merge_lines", "standard_lines"]

SAME = 0.01  # Angstrom; as far apart as two lists may have one line


@dataclass(frozen=True, eq=False)
class LineList:
    """Lines sorted by wavelength.

    Parameters
    ----------
    species
        Names that ``species_index`` points to: ``"Fe I"``, ``"CN"``.
    species_index
        Shape (line,).
    wavelength
        Angstrom in air.
    excitation
        Energy of the lower level, eV.
    log_gf
        log10 of statistical weight times oscillator strength, isotope fraction included.
    mass
        Atomic mass units.
    gamma_rad
        Radiative damping, s-1.
    gamma_stark
        Stark damping at 10,000 K, s-1 cm3 per electron.
    gamma_vdw, vdw_exponent
        Van der Waals damping at 10,000 K, s-1 cm3 per hydrogen atom, and its power of T.
    """

    species: tuple[str, ...]
    species_index: np.ndarray
    wavelength: np.ndarray
    excitation: np.ndarray
    log_gf: np.ndarray
    mass: np.ndarray
    gamma_rad: np.ndarray
    gamma_stark: np.ndarray
    gamma_vdw: np.ndarray
    vdw_exponent: np.ndarray

    def __len__(self) -> int:
        return self.wavelength.size

    def select(self, keep: np.ndarray | slice) -> "LineList":
        """The lines that a boolean mask, an index array or a slice picks."""
        columns = {f.name: getattr(self, f.name)[keep] for f in fields(self)[1:]}
        return LineList(self.species, **columns)

    def between(self, lower: float, upper: float) -> "LineList":
        """The lines from ``lower`` to ``upper`` Angstrom (air)."""
        start, stop = np.searchsorted(self.wavelength, [lower, upper])
        return self.select(slice(start, stop))

    def with_log_gf(self, log_gf: np.ndarray) -> "LineList":
        """The same lines with other strengths."""
        return replace(self, log_gf=log_gf)


@cache
def standard_lines(calibrated: bool = True) -> LineList:
    """The embedded line list, 3770-6925 A.

    Parameters
    ----------
    calibrated
        Whether strengths, and widths of strong lines, are those fitted to the Sun's spectrum by
        `maury.synthesis.calibration`, or those of the laboratory and theory.

    Returns
    -------
    LineList
        Gaia-ESO v6 atoms above 4200 A, linemake below, and CH, NH, OH, MgH, SiH, CN and C2.

    Examples
    --------
    >>> lines = standard_lines().between(6562.0, 6563.0)
    >>> "Fe I" in lines.species, bool((np.diff(lines.wavelength) >= 0).all())
    (True, True)
    """
    table = load_table("lines")
    log_gf = table["log_gf"].astype(np.float64)
    log_vdw = table["log_gamma_vdw"].astype(np.float64)
    if calibrated:
        sun = load_table("solar_calibration")
        log_gf = log_gf + sun["delta_log_gf"]
        log_vdw = log_vdw + sun["delta_log_vdw"]
    return LineList(
        species=tuple(str(s) for s in table["species"]),
        species_index=table["species_index"].astype(np.int64),
        wavelength=table["wavelength_1e4"] * 1e-4,
        excitation=table["excitation"].astype(np.float64),
        log_gf=log_gf,
        mass=table["mass"].astype(np.float64),
        gamma_rad=10.0 ** table["log_gamma_rad"].astype(np.float64),
        gamma_stark=10.0 ** table["log_gamma_stark"].astype(np.float64),
        gamma_vdw=10.0**log_vdw,
        vdw_exponent=table["vdw_exponent"].astype(np.float64),
    )


def merge_lines(base: LineList, lines: LineList, mode: str = "replace") -> LineList:
    """A line list with another one put in.

    Parameters
    ----------
    base
        The list to change, such as `standard_lines`; it is left as it is.
    lines
        The lines to put in.
    mode
        ``"add"`` keeps every line of ``base``. ``"replace"`` leaves out those of the species that
        ``lines`` has, from its first wavelength to its last (and 0.01 A beyond, since lists
        differ in their last digit).

    Raises
    ------
    SynthesisError
        If the mode is another one.

    Examples
    --------
    >>> window = standard_lines().between(6000.0, 6010.0)
    >>> len(merge_lines(window, window, "add")) // len(window)
    2
    >>> len(merge_lines(window, window)) == len(window)
    True
    """
    if mode not in ("add", "replace"):
        raise SynthesisError(f"Lines can be put in by 'add' or 'replace', not by {mode!r}.")
    if mode == "replace" and len(lines):
        present = {lines.species[i] for i in np.unique(lines.species_index)}
        affected = np.array([name in present for name in base.species], dtype=bool)
        first, last = lines.wavelength.min(), lines.wavelength.max()
        covered = (base.wavelength >= first - SAME) & (base.wavelength <= last + SAME)
        base = base.select(~(covered & affected[base.species_index]))
    species = tuple(dict.fromkeys(base.species + lines.species))
    number = {name: i for i, name in enumerate(species)}
    columns = {
        f.name: np.concatenate([getattr(base, f.name), getattr(lines, f.name)])
        for f in fields(LineList)[2:]
    }
    columns["species_index"] = np.concatenate(
        [
            np.array([number[name] for name in part.species], dtype=np.int64)[part.species_index]
            for part in (base, lines)
        ]
    )
    merged = LineList(species, **columns)
    return merged.select(np.argsort(merged.wavelength, kind="stable"))
