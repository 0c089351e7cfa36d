"""Physical constants in cgs, electron volts and Angstrom (CODATA 2018)."""

__all__ = [
    "ATOMIC_MASS",
    "BOLTZMANN",
    "BOLTZMANN_EV",
    "ELECTRON_MASS",
    "KILOMETRE",
    "LIGHT",
    "PLANCK",
    "RYDBERG_H_EV",
    "SECOND_RADIATION",
    "THOMSON",
]

BOLTZMANN = 1.380649e-16  # erg / K
BOLTZMANN_EV = 8.617333262e-5  # eV / K
PLANCK = 6.62607015e-27  # erg s
LIGHT = 2.99792458e10  # cm / s
KILOMETRE = 1e5  # cm
ELECTRON_MASS = 9.1093837015e-28  # g
ATOMIC_MASS = 1.66053906660e-24  # g
RYDBERG_H_EV = 13.598287  # eV, of hydrogen
SECOND_RADIATION = 1.438776877e8  # h c / k in A K
THOMSON = 6.6524587321e-25  # cm^2
