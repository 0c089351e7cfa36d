"""The line list: wavelengths, strengths and damping constants of atomic and molecular lines."""

from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np

from maury.data import load_table
from maury.errors import SynthesisError
from maury.synthesis.damping import classical_radiative
from maury.synthesis.elements import isotope_fraction

__all__ = ["LineList", "merge_lines", "standard_lines", "titanium_oxide_lines"]

SAME = 0.01  # Angstrom; as far apart as two lists may have one line
WEAKEST_TIO = -2.85  # log10 of gf, isotope fraction and Boltzmann factor at 3500 K


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
def titanium_oxide_lines() -> LineList:
    """The embedded lines of TiO: five isotopologues in their terrestrial proportions.

    Plez 1998, A&A 337, 495, for 46, 47, 49 and 50TiO, as collected by linemake (Placco et al.
    2021). 48TiO, three quarters of all, is not in that collection: its lines were interpolated
    between those of the others, which have the same transitions with the same gf. Predicted in the
    same way from three lists, 49TiO comes out with more than 98.5% of its stronger lines within
    0.015 A. Statistical weights count both components of lambda doublets.

    The list's bands are up to 15 km/s off; they were moved to where the M dwarfs Gl 581 and GJ 163
    have them (`maury.data.titanium_oxide_positions`). Heads may be some tenths of an Angstrom off,
    and faint bands stay where they were.

    Returns
    -------
    LineList
        Lines down to a thousandth of a strong one's strength; without Stark and van der Waals
        damping.

    Examples
    --------
    >>> lines = titanium_oxide_lines()  # the head of the alpha system's 0-0 band
    >>> before, after = lines.between(5166.0, 5166.6), lines.between(5166.8, 5167.4)
    >>> [int(10 * (10 ** (p.log_gf - 1.68 * p.excitation)).sum()) for p in (before, after)]
    [9, 161]
    """
    table = load_table("titanium_oxide")
    wavelength = np.cumsum(table["wavelength_step_1e3"]) * 1e-3
    wavelength /= 1 + table["wavenumber_shift_2e2"] * 0.02 * wavelength * 1e-8
    excitation, log_gf = table["excitation_1e3"] * 1e-3, table["log_gf_1e3"] * 1e-3
    power = table["wavenumber_power_1e5"] * 1e-5
    parts = []
    for mass, change in zip(table["isotopes"], table["rho_change"], strict=True):
        # Lower levels are vibration (in proportion to rho) and rotation (rho squared).
        energy = excitation * (1 + 1.3 * change)
        strength = log_gf + np.log10(isotope_fraction("Ti", int(mass)))
        kept = strength - energy * 5040 / 3500 > WEAKEST_TIO
        place = wavelength[kept] / (1 + power[kept] * change)
        parts.append((place, energy[kept], strength[kept], np.full(place.size, mass + 15.995)))
    order = np.argsort(np.concatenate([part[0] for part in parts]), kind="stable")
    place, energy, strength, masses = (
        np.concatenate(column)[order] for column in zip(*parts, strict=True)
    )
    return LineList(
        species=("TiO",),
        species_index=np.zeros(place.size, dtype=np.int64),
        wavelength=place,
        excitation=energy,
        log_gf=strength,
        mass=masses,
        gamma_rad=classical_radiative(place),
        gamma_stark=np.zeros(place.size),
        gamma_vdw=np.zeros(place.size),
        vdw_exponent=np.zeros(place.size),
    )


@cache
def standard_lines(calibrated: bool = True, titanium_oxide: bool = True) -> LineList:
    """The embedded line list, 3770-6925 A.

    Parameters
    ----------
    calibrated
        Whether strengths, and widths of strong lines, are those fitted to the Sun's spectrum by
        `maury.synthesis.calibration`, or those of the laboratory and theory.
    titanium_oxide
        Whether the 850,000 lines of TiO are among them, which show below 5000 K only.

    Returns
    -------
    LineList
        Gaia-ESO v6 atoms above 4200 A, linemake below, CH, NH, OH, MgH, SiH, CN, C2 and FeH, and
        `titanium_oxide_lines`, which keep their own strengths.

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
    lines = LineList(
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
    return merge_lines(lines, titanium_oxide_lines(), "add") if titanium_oxide else lines


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
