"""Continuous opacity between 3600 and 7100 A."""

from functools import cache

import numpy as np

from maury.data import load_table
from maury.synthesis.constants import (
    BOLTZMANN,
    BOLTZMANN_EV,
    ELECTRON_MASS,
    LIGHT,
    PLANCK,
    RYDBERG_H_EV,
    SECOND_RADIATION,
    THOMSON,
)
from maury.synthesis.equation_of_state import Gas
from maury.synthesis.hydrogen import dissolved_opacity, occupation

__all__ = ["continuum_opacity", "hydrogen_photoionization", "scattering_opacity"]

HIGHEST_LEVEL = 15  # of hydrogen whose photoionisation is counted
H_MINUS_AFFINITY = 0.754204  # eV, as in McLaughlin et al. 2017
THETA = np.array([0.5, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.8, 3.6])
# H- free-free, 1e-26 cm4 dyn-1 per H I in its ground state: Bell & Berrington 1987, J. Phys. B 20,
# 801, Table 1, over the wavelengths that matter here.
H_MINUS_FF_WAVELENGTH = np.array([3038, 3645, 4557, 5063, 5696, 6510, 7595], float)
H_MINUS_FF = np.array(
    [
        [0.0364, 0.0447, 0.0616, 0.0789, 0.0966, 0.114, 0.132, 0.150, 0.169, 0.243, 0.318],
        [0.0520, 0.0633, 0.0859, 0.108, 0.131, 0.154, 0.178, 0.201, 0.225, 0.321, 0.418],
        [0.0791, 0.0959, 0.129, 0.161, 0.194, 0.227, 0.260, 0.293, 0.327, 0.463, 0.602],
        [0.0965, 0.117, 0.157, 0.195, 0.234, 0.272, 0.311, 0.351, 0.390, 0.549, 0.711],
        [0.121, 0.146, 0.195, 0.241, 0.288, 0.334, 0.381, 0.428, 0.475, 0.667, 0.861],
        [0.154, 0.188, 0.249, 0.309, 0.367, 0.424, 0.482, 0.539, 0.597, 0.830, 1.07],
        [0.208, 0.250, 0.332, 0.409, 0.484, 0.557, 0.630, 0.702, 0.774, 1.06, 1.36],
    ]
)
# He- free-free, same units per He I: John 1994, MNRAS 269, 871, Table 2.
HE_MINUS_FF_WAVELENGTH = np.array([5063, 5695, 6509, 7594], float)
HE_MINUS_FF = np.array(
    [
        [0.033, 0.036, 0.043, 0.049, 0.055, 0.061, 0.066, 0.072, 0.078, 0.100, 0.121],
        [0.041, 0.045, 0.053, 0.061, 0.067, 0.074, 0.081, 0.087, 0.094, 0.120, 0.145],
        [0.053, 0.059, 0.069, 0.077, 0.086, 0.094, 0.102, 0.109, 0.117, 0.148, 0.178],
        [0.072, 0.079, 0.092, 0.103, 0.114, 0.124, 0.133, 0.143, 0.152, 0.190, 0.227],
    ]
)


@cache
def _table(name: str) -> dict[str, np.ndarray]:
    return load_table(name)


def _bilinear(
    x: np.ndarray, y: np.ndarray, table: np.ndarray, at_x: np.ndarray, at_y: np.ndarray
) -> np.ndarray:
    """Interpolate ``table[x, y]``, clamped to its edges; ``at_x`` and ``at_y`` broadcast."""
    at_x, at_y = np.clip(at_x, x[0], x[-1]), np.clip(at_y, y[0], y[-1])
    i = np.clip(np.searchsorted(x, at_x) - 1, 0, x.size - 2)
    j = np.clip(np.searchsorted(y, at_y) - 1, 0, y.size - 2)
    f, g = (at_x - x[i]) / (x[i + 1] - x[i]), (at_y - y[j]) / (y[j + 1] - y[j])
    return (table[i, j] * (1 - f) + table[i + 1, j] * f) * (1 - g) + (
        table[i, j + 1] * (1 - f) + table[i + 1, j + 1] * f
    ) * g


def continuum_opacity(wavelength: np.ndarray, gas: Gas) -> np.ndarray:
    """Continuous absorption coefficient, scattering included.

    Parameters
    ----------
    wavelength
        Vacuum wavelengths in Angstrom, 3600-7100, shape (point,).
    gas
        The gas at each layer.

    Returns
    -------
    ndarray
        cm-1, shape (layer, point), corrected for stimulated emission.

    Notes
    -----
    H- bound-free (McLaughlin et al. 2017) and free-free (Bell & Berrington 1987); H I bound-free
    (Nahar 2021), dissolved levels included (see `maury.synthesis.hydrogen`), and free-free with
    Gaunt factors (van Hoof et al. 2014); He- free-free (John 1994); Rayleigh scattering by H and He
    (Colgan et al. 2016, ApJ 817, 116, Eqs. 6 and 7) and H2 (Dalgarno & Williams 1962, ApJ 136, 690,
    Eq. 3); Thomson scattering; photoionisation of C I, Mg I, Al I, Si I, Ca I and Fe I and the
    continua of CH, OH and H2+ as compiled in Turbospectrum (``data/make_photoionization.py`` names
    the sources), which rule below 4200 A.
    """
    table = _table("continuum")
    temperature, electrons = gas.temperature[:, None], gas.electrons[:, None]
    frequency = LIGHT * 1e8 / wavelength
    stimulated = 1 - np.exp(-SECOND_RADIATION / (wavelength * temperature))
    ground = 2 * gas.per_state("H I")[:, None]
    theta = 5040.0 / temperature
    electron_pressure = electrons * BOLTZMANN * temperature

    thermal = (2 * np.pi * ELECTRON_MASS * BOLTZMANN * temperature / PLANCK**2) ** 1.5
    h_minus = ground * electrons / (4 * thermal) * np.exp(
        H_MINUS_AFFINITY / (BOLTZMANN_EV * temperature)
    )  # fmt: skip
    total = h_minus * np.interp(wavelength, table["wavelength"], table["h_minus_bf"]) * stimulated
    factor = _bilinear(H_MINUS_FF_WAVELENGTH, THETA, H_MINUS_FF, wavelength[None, :], theta)
    total += 1e-26 * factor * electron_pressure * ground
    factor = _bilinear(HE_MINUS_FF_WAVELENGTH, THETA, HE_MINUS_FF, wavelength[None, :], theta)
    total += 1e-26 * factor * electron_pressure * gas.number["He I"][:, None]

    total += hydrogen_photoionization(wavelength, gas)
    total += dissolved_opacity(wavelength, gas)
    log_u = np.log10(SECOND_RADIATION / (wavelength * temperature))
    log_gamma2 = np.log10(RYDBERG_H_EV / (BOLTZMANN_EV * temperature))
    gaunt = _bilinear(
        table["gaunt_log_u"], table["gaunt_log_gamma2"], table["gaunt"], log_u, log_gamma2
    )
    ions = sum(n for name, n in gas.number.items() if name.endswith(" II"))
    # Kramers' free-free coefficient: Rybicki & Lightman 1979, Eq. 5.18b.
    total += 3.6919e8 * gaunt * electrons * ions[:, None] / (  # type: ignore[index]
        np.sqrt(temperature) * frequency**3
    ) * stimulated  # fmt: skip

    return (
        total + _photoionization(wavelength, gas, stimulated) + scattering_opacity(wavelength, gas)
    )


def hydrogen_photoionization(wavelength: np.ndarray, gas: Gas) -> np.ndarray:
    """The part of `continuum_opacity` that ionises H I, shortward of the edge of each level.

    Parameters
    ----------
    wavelength
        Vacuum wavelengths in Angstrom, 3600-7100, shape (point,).
    gas
        The gas at each layer.

    Returns
    -------
    ndarray
        cm-1, shape (layer, point), corrected for stimulated emission; what there is longward of
        the Balmer edge is in `maury.synthesis.hydrogen.dissolved_opacity`.

    Notes
    -----
    Cross-sections of n = 1 to 6: Nahar 2021, Atoms 9, 73; of the higher levels Kramers' law (Gray
    2005, Eq. 8.2), Gaunt factor 1.
    """
    table = _table("continuum")
    temperature = gas.temperature[:, None]
    frequency = LIGHT * 1e8 / wavelength
    per_state = gas.per_state("H I")[:, None]
    total = np.zeros((gas.temperature.size, wavelength.size))
    for n in range(1, HIGHEST_LEVEL + 1):
        boltzmann = np.exp(-RYDBERG_H_EV * (1 - 1 / n**2) / (BOLTZMANN_EV * temperature))
        if n <= len(table["h_bf"]):
            cross_section = np.interp(wavelength, table["wavelength"], table["h_bf"][n - 1])
            total += boltzmann * 1e-18 * cross_section
        else:
            surviving = 2 * n**2 * boltzmann * occupation(float(n), gas)[:, None]
            total += surviving * 2.815e29 / (n**5 * frequency**3)
    return total * per_state * (1 - np.exp(-SECOND_RADIATION / (wavelength * temperature)))


def _photoionization(
    wavelength: np.ndarray, gas: Gas, stimulated: np.ndarray
) -> np.ndarray:  # fmt: skip
    """Bound-free absorption of metals and the continua of CH, OH and H2+, cm-1."""
    table = _table("photoionization")
    at = (wavelength[None, :], np.log10(gas.temperature)[:, None])
    nodes = (table["wavelength"], table["log_temperature"])
    total = np.zeros((gas.temperature.size, wavelength.size))
    for species, logs in zip(table["species"], table["log_cross_section"], strict=True):
        if species not in gas.number:
            continue
        cross_section = 10.0 ** _bilinear(*nodes, logs.T, *at)
        if " " in species:
            total += gas.per_state(species)[:, None] * cross_section * stimulated
        else:
            # The molecules' tables hold stimulated emission already.
            total += gas.number[species][:, None] * cross_section
    pairs = (gas.number["H I"] * gas.number["H II"])[:, None]
    return total + pairs * 10.0 ** _bilinear(*nodes, table["log_h2_plus"].T, *at) * stimulated


def scattering_opacity(wavelength: np.ndarray, gas: Gas) -> np.ndarray:
    """The part of `continuum_opacity` that scatters: Rayleigh and Thomson.

    Parameters
    ----------
    wavelength
        Vacuum wavelengths in Angstrom, shape (point,).
    gas
        The gas at each layer.

    Returns
    -------
    ndarray
        cm-1, shape (layer, point).
    """
    photon2 = (12398.42 / wavelength / (2 * 13.605693)) ** 2
    hydrogen = 20.24 * photon2**2 + 239.2 * photon2**3 + 2256 * photon2**4
    helium = 1.913 * photon2**2 + 4.52 * photon2**3 + 7.90 * photon2**4
    molecular = 8.14e-13 / wavelength**4 + 1.28e-6 / wavelength**6 + 1.61 / wavelength**8
    return (
        THOMSON * gas.number["H I"][:, None] * hydrogen
        + THOMSON * gas.number["He I"][:, None] * helium
        + gas.number["H2"][:, None] * molecular
        + THOMSON * gas.electrons[:, None]
    )
