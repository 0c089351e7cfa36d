"""Lines of neutral helium from 3770 to 6925 A, in the columns of `maury.data.line_sources`.

Wavelengths, energies and transition probabilities are those of the NIST Atomic Spectra Database
(Wiese & Fuhr 2009, JPCRD 38, 565; energies: Morton, Wu & Drake 2006, Can. J. Phys. 84, 83). Of a
triplet the lower levels J = 1 and 2, 0.08 cm-1 apart, are one line and J = 0 another.

Stark widths: electrons' impact at 10,000 K (Bennett & Griem 1971, University of Maryland report;
Griem 1974, Spectral Line Broadening by Plasmas, for 4026 A; Barnard, Cooper & Smith 1974, JQSRT 14,
1025, for 4471 A), as they are tabulated in the code PoWR. For six lines, the highest of their
series, none was at hand: they follow from the two members before them by a power of the effective
quantum number of the upper level. Ions, the forbidden components next to the diffuse lines and
shifts are left out, so that wings are too weak where electrons are more than some 1e15 per cm3.
"""

import numpy as np
from numpy.typing import NDArray

from maury.synthesis.constants import LIGHT
from maury.synthesis.damping import classical_radiative, stark_and_unsold, van_der_waals
from maury.synthesis.elements import MASSES

__all__ = ["helium"]

IONIZATION = 24.587389  # eV
EV_ANGSTROM = 12398.419843320026
# Lower terms: energy (eV) and radiative width (s-1).
LOWER = {
    "2s 3S": (19.819614, 0.0),
    "2s 1S": (20.615775, 0.0),
    "2p 3P": (20.964091, 1.0e7),
    "2p 1P": (21.218023, 1.80e9),
}
# Upper terms that decay to the ground state, s-1.
RESONANT = {3: 5.8e8, 4: 2.5e8}
UNKNOWN = np.nan
# Series: lower term, then for each member n of the upper level, air wavelength (of J = 0 second),
# A (s-1), ratio of the upper to the lower weight, half width at half maximum (A) at 1e16 electrons.
Member = tuple[int, tuple[float, ...], float, float, float]
SERIES: tuple[tuple[str, tuple[Member, ...]], ...] = (
    ("2s 3S", ((3, (3888.6477, 3888.6046), 9.475e6, 3.0, 0.112),)),
    ("2s 1S", ((3, (5015.6783,), 1.3372e7, 3.0, 0.359), (4, (3964.7291,), 6.95e6, 3.0, 0.966))),
    (
        "2p 3P",
        (
            (4, (4713.1457, 4713.3757), 9.52e6, 1 / 3, 0.394),
            (5, (4120.8154, 4120.9916), 4.45e6, 1 / 3, 0.900),
            (6, (3867.4766, 3867.6316), 2.45e6, 1 / 3, UNKNOWN),
        ),
    ),
    (
        "2p 3P",
        (
            (3, (5875.6210, 5875.9663), 7.070e7, 5 / 3, 0.170),
            (4, (4471.4802, 4471.6833), 2.458e7, 5 / 3, 1.269),
            (5, (4026.1914, 4026.3570), 1.160e7, 5 / 3, 3.49),
            (6, (3819.6074, 3819.7573), 6.435e6, 5 / 3, UNKNOWN),
        ),
    ),
    (
        "2p 1P",
        (
            (4, (5047.7380,), 6.77e6, 1 / 3, 0.704),
            (5, (4437.5510,), 3.27e6, 1 / 3, 1.57),
            (6, (4168.9670,), 1.83e6, 1 / 3, UNKNOWN),
        ),
    ),
    (
        "2p 1P",
        (
            (3, (6678.1510,), 6.371e7, 5 / 3, 0.386),
            (4, (4921.9313,), 1.986e7, 5 / 3, 1.96),
            (5, (4387.9296,), 8.99e6, 5 / 3, 5.15),
            (6, (4143.7610,), 4.88e6, 5 / 3, UNKNOWN),
            (7, (4009.2565,), 2.96e6, 5 / 3, UNKNOWN),
            (8, (3926.5444,), 1.93e6, 5 / 3, UNKNOWN),
        ),
    ),
)
WEIGHTS = {"2s 3S": 3, "2s 1S": 1, "2p 3P": 9, "2p 1P": 3}


def _stark(members: tuple[Member, ...], excitation: float) -> NDArray[np.float64]:
    """Widths (s-1 cm3 per electron at 10,000 K) of a series, the unknown ones extrapolated."""
    wavelength = np.array([waves[0] for _, waves, *_ in members])
    half = np.array([width for *_, width in members])
    gamma = 4 * np.pi * LIGHT * 1e8 * half / wavelength**2 / 1e16
    log_n = -0.5 * np.log(IONIZATION - excitation - EV_ANGSTROM / wavelength)
    for i in np.flatnonzero(np.isnan(half)):
        a, b = i - 2, i - 1
        power = np.log(gamma[b] / gamma[a]) / (log_n[b] - log_n[a])
        gamma[i] = gamma[b] * np.exp(power * (log_n[i] - log_n[b]))
    return gamma


def helium() -> dict[str, NDArray]:
    """The lines as columns.

    Returns
    -------
    dict
        ``species``, ``wavelength`` (A, air), ``excitation`` (eV), ``log_gf``, ``mass`` (u),
        ``gamma_rad`` (s-1), ``gamma_stark``, ``gamma_vdw`` (s-1 cm3 at 10,000 K) and
        ``vdw_exponent``, shape (line,) each.

    Examples
    --------
    >>> lines = helium()
    >>> yellow = abs(lines["wavelength"] - 5875.8) < 0.3
    >>> [f"{w:.2f}" for w in lines["wavelength"][yellow]], lines["log_gf"][yellow].round(2).tolist()
    (['5875.62', '5875.97'], [0.69, -0.21])
    """
    wavelength, excitation, log_gf, rad, stark = [], [], [], [], []
    for lower, members in SERIES:
        energy, width = LOWER[lower]
        for (n, waves, probability, ratio, _), gamma in zip(
            members, _stark(members, energy), strict=True
        ):
            # f = 1.4992e-16 lambda^2 A g_u / g_l, lambda in A.
            gf = WEIGHTS[lower] * 1.4992e-16 * waves[0] ** 2 * probability * ratio
            shares = (1.0,) if len(waves) == 1 else (8 / 9, 1 / 9)
            for w, share in zip(waves, shares, strict=True):
                wavelength.append(w)
                excitation.append(energy)
                log_gf.append(np.log10(gf * share))
                upper = RESONANT[n] if lower == "2s 1S" else float(classical_radiative(np.array(w)))
                rad.append(width + upper)
                stark.append(gamma)
    air, low = np.array(wavelength), np.array(excitation)
    limit, mass = np.full(air.size, IONIZATION), np.full(air.size, MASSES["He"])
    _, unsold = stark_and_unsold(np.ones(air.size, np.int64), air, low, limit)
    vdw, exponent = van_der_waals(np.zeros(air.size), unsold, mass)
    return {
        "species": np.full(air.size, "He I"),
        "wavelength": air,
        "excitation": low,
        "log_gf": np.array(log_gf),
        "mass": mass,
        "gamma_rad": np.array(rad),
        "gamma_stark": np.array(stark),
        "gamma_vdw": vdw,
        "vdw_exponent": exponent,
    }
