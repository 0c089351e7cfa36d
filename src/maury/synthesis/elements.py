"""Elements: symbols, masses, isotopes and the Sun's abundances."""

import numpy as np

__all__ = ["ALPHA_ELEMENTS", "ISOTOPES", "MASSES", "SOLAR_ABUNDANCES", "SYMBOLS", "abundances"]

SYMBOLS: tuple[str, ...] = tuple(
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As "
    "Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu "
    "Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U".split()
)

_MASS_VALUES = (
    "1.008 4.0026 6.94 9.0122 10.81 12.011 14.007 15.999 18.998 20.180 22.990 24.305 26.982 "
    "28.085 30.974 32.06 35.45 39.95 39.098 40.078 44.956 47.867 50.942 51.996 54.938 55.845 "
    "58.933 58.693 63.546 65.38 69.723 72.630 74.922 78.971 79.904 83.798 85.468 87.62 88.906 "
    "91.224 92.906 95.95 98 101.07 102.91 106.42 107.87 112.41 114.82 118.71 121.76 127.60 "
    "126.90 131.29 132.91 137.33 138.91 140.12 140.91 144.24 145 150.36 151.96 157.25 158.93 "
    "162.50 164.93 167.26 168.93 173.05 174.97 178.49 180.95 183.84 186.21 190.23 192.22 "
    "195.08 196.97 200.59 204.38 207.2 208.98 209 210 222 223 226 227 232.04 231.04 238.03"
)
#: Standard atomic weights in unified atomic mass units (IUPAC).
MASSES: dict[str, float] = dict(zip(SYMBOLS, map(float, _MASS_VALUES.split()), strict=True))

_ASPLUND_2009 = (
    "12.00 10.93 1.05 1.38 2.70 8.43 7.83 8.69 4.56 7.93 6.24 7.60 6.45 7.51 5.41 7.12 5.50 "
    "6.40 5.03 6.34 3.15 4.95 3.93 5.64 5.43 7.50 4.99 6.22 4.19 4.56 3.04 3.65 2.30 3.34 "
    "2.54 3.25 2.52 2.87 2.21 2.58 1.46 1.88 nan 1.75 0.91 1.57 0.94 1.71 0.80 2.04 1.01 2.18 "
    "1.55 2.24 1.08 2.18 1.10 1.58 0.72 1.42 nan 0.96 0.52 1.07 0.30 1.10 0.48 0.92 0.10 0.84 "
    "0.10 0.85 -0.12 0.85 0.26 1.40 1.38 1.62 0.92 1.17 0.90 1.75 0.65 nan nan nan nan nan "
    "nan 0.02 nan -0.54"
)
#: log10(n_X / n_H) + 12 of the Sun: Asplund et al. 2009, ARA&A 47, 481, Table 1 (meteoritic where
#: the photosphere has no value). Elements without stable isotopes are left out.
SOLAR_ABUNDANCES: dict[str, float] = {
    symbol: value
    for symbol, value in zip(SYMBOLS, map(float, _ASPLUND_2009.split()), strict=True)
    if np.isfinite(value)
}

#: Elements that [alpha/M] scales.
ALPHA_ELEMENTS: tuple[str, ...] = ("O", "Ne", "Mg", "Si", "S", "Ar", "Ca", "Ti")

#: Terrestrial isotope fractions of the elements whose lines are listed by isotope (NIST).
ISOTOPES: dict[str, dict[int, float]] = {
    "H": {1: 0.999885, 2: 0.000115},
    "Li": {6: 0.0759, 7: 0.9241},
    "C": {12: 0.9893, 13: 0.0107},
    "N": {14: 0.99636, 15: 0.00364},
    "O": {16: 0.99757, 17: 0.00038, 18: 0.00205},
    "Mg": {24: 0.7899, 25: 0.1000, 26: 0.1101},
    "Si": {28: 0.92223, 29: 0.04685, 30: 0.03092},
    "Cu": {63: 0.6915, 65: 0.3085},
    "Ba": {130: 0.00106, 132: 0.00101, 134: 0.02417, 135: 0.06592, 136: 0.07854, 137: 0.11232,
           138: 0.71698},
    "La": {138: 0.00090, 139: 0.99910},
    "Pr": {141: 1.0},
    "Nd": {142: 0.272, 143: 0.122, 144: 0.238, 145: 0.083, 146: 0.172, 148: 0.057, 150: 0.056},
    "Sm": {144: 0.0307, 147: 0.1499, 148: 0.1124, 149: 0.1382, 150: 0.0738, 152: 0.2675,
           154: 0.2275},
    "Eu": {151: 0.4781, 153: 0.5219},
}  # fmt: skip


def abundances(mh: float = 0.0, alpha: float = 0.0) -> dict[str, float]:
    """Number of nuclei of each element per hydrogen nucleus.

    Parameters
    ----------
    mh
        [M/H] in dex: scales every element but hydrogen and helium.
    alpha
        [alpha/M] in dex: scales O, Ne, Mg, Si, S, Ar, Ca and Ti on top of that.

    Examples
    --------
    >>> round(abundances(mh=-1.0)["Fe"] / abundances()["Fe"], 6)
    0.1
    """
    result = {}
    for symbol, log_epsilon in SOLAR_ABUNDANCES.items():
        shift = 0.0 if symbol in ("H", "He") else mh
        if symbol in ALPHA_ELEMENTS:
            shift += alpha
        result[symbol] = 10.0 ** (log_epsilon - 12.0 + shift)
    return result
