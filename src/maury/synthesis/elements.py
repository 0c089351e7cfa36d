"""Elements: symbols, masses, isotopes and the Sun's abundances."""

import re

import numpy as np

__all__ = [
    "ALPHA_ELEMENTS",
    "ISOTOPES",
    "MASSES",
    "SOLAR_ABUNDANCES",
    "SYMBOLS",
    "abundances",
    "constituents",
    "isotope_fraction",
]

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

_NIST = """
H 1:0.999885 2:0.000115; He 3:1.34e-06 4:0.99999866; Li 6:0.0759 7:0.9241; Be 9:1; B 10:0.199
11:0.801; C 12:0.9893 13:0.0107; N 14:0.99636 15:0.00364; O 16:0.99757 17:0.00038 18:0.00205; F
19:1; Ne 20:0.9048 21:0.0027 22:0.0925; Na 23:1; Mg 24:0.7899 25:0.1 26:0.1101; Al 27:1; Si
28:0.92223 29:0.04685 30:0.03092; P 31:1; S 32:0.9499 33:0.0075 34:0.0425 36:0.0001; Cl 35:0.7576
37:0.2424; Ar 36:0.003336 38:0.000629 40:0.996035; K 39:0.932581 40:0.000117 41:0.067302; Ca
40:0.96941 42:0.00647 43:0.00135 44:0.02086 46:4e-05 48:0.00187; Sc 45:1; Ti 46:0.0825 47:0.0744
48:0.7372 49:0.0541 50:0.0518; V 50:0.0025 51:0.9975; Cr 50:0.04345 52:0.83789 53:0.09501
54:0.02365; Mn 55:1; Fe 54:0.05845 56:0.91754 57:0.02119 58:0.00282; Co 59:1; Ni 58:0.68077
60:0.26223 61:0.011399 62:0.036346 64:0.009255; Cu 63:0.6915 65:0.3085; Zn 64:0.4917 66:0.2773
67:0.0404 68:0.1845 70:0.0061; Ga 69:0.60108 71:0.39892; Ge 70:0.2057 72:0.2745 73:0.0775 74:0.365
76:0.0773; As 75:1; Se 74:0.0089 76:0.0937 77:0.0763 78:0.2377 80:0.4961 82:0.0873; Br 79:0.5069
81:0.4931; Kr 78:0.00355 80:0.02286 82:0.11593 83:0.115 84:0.56987 86:0.17279; Rb 85:0.7217
87:0.2783; Sr 84:0.0056 86:0.0986 87:0.07 88:0.8258; Y 89:1; Zr 90:0.5145 91:0.1122 92:0.1715
94:0.1738 96:0.028; Nb 93:1; Mo 92:0.1453 94:0.0915 95:0.1584 96:0.1667 97:0.096 98:0.2439
100:0.0982; Ru 96:0.0554 98:0.0187 99:0.1276 100:0.126 101:0.1706 102:0.3155 104:0.1862; Rh 103:1;
Pd 102:0.0102 104:0.1114 105:0.2233 106:0.2733 108:0.2646 110:0.1172; Ag 107:0.51839 109:0.48161;
Cd 106:0.0125 108:0.0089 110:0.1249 111:0.128 112:0.2413 113:0.1222 114:0.2873 116:0.0749; In
113:0.0429 115:0.9571; Sn 112:0.0097 114:0.0066 115:0.0034 116:0.1454 117:0.0768 118:0.2422
119:0.0859 120:0.3258 122:0.0463 124:0.0579; Sb 121:0.5721 123:0.4279; Te 120:0.0009 122:0.0255
123:0.0089 124:0.0474 125:0.0707 126:0.1884 128:0.3174 130:0.3408; I 127:1; Xe 124:0.000952
126:0.00089 128:0.019102 129:0.264006 130:0.04071 131:0.212324 132:0.269086 134:0.104357
136:0.088573; Cs 133:1; Ba 130:0.00106 132:0.00101 134:0.02417 135:0.06592 136:0.07854 137:0.11232
138:0.71698; La 138:0.0009 139:0.9991; Ce 136:0.00185 138:0.00251 140:0.8845 142:0.11114; Pr
141:1; Nd 142:0.272 143:0.122 144:0.238 145:0.083 146:0.172 148:0.057 150:0.056; Sm 144:0.0307
147:0.1499 148:0.1124 149:0.1382 150:0.0738 152:0.2675 154:0.2275; Eu 151:0.4781 153:0.5219; Gd
152:0.002 154:0.0218 155:0.148 156:0.2047 157:0.1565 158:0.2484 160:0.2186; Tb 159:1; Dy
156:0.00056 158:0.00095 160:0.02329 161:0.18889 162:0.25475 163:0.24896 164:0.2826; Ho 165:1; Er
162:0.00139 164:0.01601 166:0.33503 167:0.22869 168:0.26978 170:0.1491; Tm 169:1; Yb 168:0.00123
170:0.02982 171:0.1409 172:0.2168 173:0.16103 174:0.32026 176:0.12996; Lu 175:0.97401 176:0.02599;
Hf 174:0.0016 176:0.0526 177:0.186 178:0.2728 179:0.1362 180:0.3508; Ta 180:0.0001201
181:0.9998799; W 180:0.0012 182:0.265 183:0.1431 184:0.3064 186:0.2843; Re 185:0.374 187:0.626; Os
184:0.0002 186:0.0159 187:0.0196 188:0.1324 189:0.1615 190:0.2626 192:0.4078; Ir 191:0.373
193:0.627; Pt 190:0.00012 192:0.00782 194:0.3286 195:0.3378 196:0.2521 198:0.07356; Au 197:1; Hg
196:0.0015 198:0.0997 199:0.1687 200:0.231 201:0.1318 202:0.2986 204:0.0687; Tl 203:0.2952
205:0.7048; Pb 204:0.014 206:0.241 207:0.221 208:0.524; Bi 209:1; Th 232:1; Pa 231:1; U
234:5.4e-05 235:0.007204 238:0.992742
"""
#: Fractions of the elements' nuclei on Earth by mass number: NIST, Atomic Weights and Isotopic
#: Compositions.
ISOTOPES: dict[str, dict[int, float]] = {
    words[0]: {int(i): float(f) for i, f in (word.split(":") for word in words[1:])}
    for words in (entry.split() for entry in _NIST.split(";"))
}


def isotope_fraction(symbol: str, isotope: int) -> float:
    """Terrestrial fraction of an element's nuclei that have a mass number.

    Parameters
    ----------
    symbol
        Of the element.
    isotope
        Mass number; 0 stands for the element with all its isotopes.

    Raises
    ------
    KeyError
        If the isotope is not found in nature.

    Examples
    --------
    >>> isotope_fraction("Ti", 48), isotope_fraction("Fe", 0)
    (0.7372, 1.0)
    """
    return ISOTOPES[symbol][isotope] if isotope else 1.0


def constituents(formula: str) -> dict[str, int]:
    """How often each element stands in a molecule's formula.

    Examples
    --------
    >>> constituents("H2O"), constituents("TiO")
    ({'H': 2, 'O': 1}, {'Ti': 1, 'O': 1})
    """
    result: dict[str, int] = {}
    for symbol, count in re.findall(r"([A-Z][a-z]?)(\d*)", formula):
        result[symbol] = result.get(symbol, 0) + int(count or 1)
    return result


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
