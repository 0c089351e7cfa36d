"""Damping constants of lines, and the conventions in which line lists state them."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma

from maury.synthesis.constants import ATOMIC_MASS, BOLTZMANN

__all__ = [
    "anstee_barklem_omara",
    "classical_radiative",
    "stark_and_unsold",
    "van_der_waals",
]

BOHR_RADIUS = 5.29177210903e-9  # cm
RYDBERG_EV = 13.605693122994
EV_ANGSTROM = 12398.419843320026
#: By which Unsold's widths are enlarged where nothing better is known of a line.
ENHANCEMENT = 2.5
UNSOLD_EXPONENT = 0.3


def classical_radiative(wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Classical radiative damping, 2.223e15 / lambda^2 s-1 (Gray 2005, Eq. 11.13).

    Parameters
    ----------
    wavelength
        Angstrom.
    """
    return 2.223e15 / wavelength**2


def stark_and_unsold(
    stage: NDArray[np.int64],
    wavelength: NDArray[np.float64],
    excitation: NDArray[np.float64],
    ionization: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Stark and van der Waals damping at 10,000 K from the levels' energies alone.

    Parameters
    ----------
    stage
        1 for atoms, 2 for ions of one charge.
    wavelength
        Angstrom.
    excitation
        Energy of the lower level, eV.
    ionization
        Energy that ionises the species, eV; minus infinity where there is none to speak of, as in
        molecules.

    Returns
    -------
    stark
        s-1 cm3 per electron: Cowley 1971, Observatory 91, 139, Eqs. 5 and 6 with the mean speed of
        electrons.
    unsold
        s-1 cm3 per hydrogen atom: Unsold's approximation as in Gray 2005, Eqs. 11.29-11.30, not
        enlarged. Both are 0 where the upper level is above the ionisation energy.
    """
    up = excitation + EV_ANGSTROM / wavelength
    bound = up < ionization
    gap_up = np.where(bound, ionization - up, 1.0)
    n_star4 = (stage**2 * RYDBERG_EV / gap_up) ** 2
    stark = np.where(
        stage == 1, 2.25910152e-7 * n_star4, 5.42184365e-7 * n_star4 / (stage + 1.0) ** 2
    )
    gap_low = np.maximum(ionization - excitation, 1e-3)
    radius2 = 2.5 * RYDBERG_EV**2 * stage**2 * (1 / gap_up**2 - 1 / gap_low**2)
    unsold = 10**6.33 * np.maximum(radius2, 1e-3) ** 0.4 * 1e4**0.3 * BOLTZMANN
    # An autoionising upper level has no Stark or van der Waals width of this kind.
    return np.where(bound, stark, 0.0), np.where(bound, unsold, 0.0)


def anstee_barklem_omara(
    code: NDArray[np.float64], mass: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Van der Waals width from sigma.alpha at 10,000 K and its temperature exponent.

    Anstee & O'Mara 1995, MNRAS 276, 859, Eq. 1.

    Parameters
    ----------
    code
        Cross-section at 10 km/s in atomic units, a whole number, plus its velocity exponent.
    mass
        Of the absorber, atomic mass units.

    Returns
    -------
    width, exponent
        s-1 cm3 per hydrogen atom at 10,000 K, and the power of T it changes with.
    """
    sigma, alpha = np.floor(code) * BOHR_RADIUS**2, code - np.floor(code)
    reduced = 1 / (1.008 * ATOMIC_MASS) + 1 / (mass * ATOMIC_MASS)
    speed = np.sqrt(8 * BOLTZMANN * 1e4 / np.pi * reduced)
    width = 2 * (4 / np.pi) ** (alpha / 2) * gamma((4 - alpha) / 2) * 1e6 * sigma
    return width * (speed / 1e6) ** (1 - alpha), (1 - alpha) / 2


def van_der_waals(
    code: NDArray[np.float64], unsold: NDArray[np.float64], mass: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Van der Waals damping from the number that VALD and Turbospectrum write.

    Parameters
    ----------
    code
        Above 20 sigma.alpha of the theory of Anstee, Barklem and O'Mara; from 0 to 20 a factor to
        Unsold's width; below 0 log10 of the width at 10,000 K; 0 where nothing is known, which is
        taken as Unsold's width times 2.5.
    unsold
        Unsold's width, s-1 cm3 per hydrogen atom.
    mass
        Atomic mass units.

    Returns
    -------
    width, exponent
        s-1 cm3 per hydrogen atom at 10,000 K, and the power of T it changes with.

    Examples
    --------
    >>> import numpy as np
    >>> width, exponent = van_der_waals(np.array([-7.5, 2.0]), np.full(2, 1e-8), np.full(2, 56.0))
    >>> [f"{w:.2e}" for w in width], exponent.tolist()
    (['3.16e-08', '2.00e-08'], [0.3, 0.3])
    """
    theory, theory_exponent = anstee_barklem_omara(np.where(code > 20, code, 300.25), mass)
    enlarged = unsold * np.where((code > 0) & (code <= 20), code, ENHANCEMENT)
    width = np.where(code > 20, theory, np.where(code < 0, 10.0 ** np.minimum(code, 0.0), enlarged))
    return width, np.where(code > 20, theory_exponent, UNSOLD_EXPONENT)
