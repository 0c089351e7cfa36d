"""Write telluric.npz, the optical depth of the air above La Silla, from the HITRAN2020 lines.

Run as ``python -m maury.data.make_telluric ../shared/data/physics``.

The air is a stack of plane-parallel layers in hydrostatic equilibrium with the temperatures of the
U.S. Standard Atmosphere (1976), taken as isothermal above the tropopause. Each line is a Voigt
profile in each layer, with HITRAN's temperature dependence of intensity and width and with its
pressure shift (Gordon et al. 2022, JQSRT 277, 107949; formulae: hitran.org, "Definitions and
units").
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy import constants
from astropy.io import fits
from astropy.table import Table
from scipy.special import wofz

from maury.wavelength import SPEED_OF_LIGHT, air_to_vacuum

HERE = Path(__file__).parent

FIRST, LAST = 3770.0, 6930.0  # Angstrom in air
VELOCITY_STEP = 0.25  # km/s, a quarter of the width of an O2 line

SITE_ALTITUDE = 2400.0  # m, La Silla (GEOELEV of the HARPS headers)
SITE_PRESSURE = 775.0  # hPa, La Silla
OXYGEN_FRACTION = 0.2095  # by volume, U.S. Standard Atmosphere 1976
AIR_MASS = 28.9644  # atomic mass units, the same source
GRAVITY = 9.79  # m/s2 at latitude -29 deg
SEA_LEVEL_TEMPERATURE, LAPSE_RATE, TROPOPAUSE_TEMPERATURE = 288.15, 6.5e-3, 216.65  # K, K/m, K
WATER_SCALE_HEIGHT = 2000.0  # m; a usual value, which sets only the shape of unresolved lines

REFERENCE_TEMPERATURE = 296.0  # K, of HITRAN
STANDARD_PRESSURE = 1013.25  # hPa in an atmosphere
SECOND_RADIATION_CONSTANT = 1.438776877  # cm K
WING = 10.0  # cm-1 from a line's centre to where its wing is cut
WATER_COLUMN = 0.1 / 18.015 * constants.N_A.value  # molecules/cm2 in 1 mm of precipitable water


class Species(NamedTuple):
    """A molecule: file, molar mass (g), and molecules per cm2 in each layer."""

    file: str
    molar_mass: float
    columns: np.ndarray
    fraction: float
    threshold: float


def layers() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Temperature (K), pressure (hPa), air (molecules/cm2) and share of the water, by layer."""
    edges = np.concatenate([np.arange(0, 12e3, 1e3), np.arange(12e3, 62e3, 5e3)])  # m above site
    fine = np.arange(0, edges[-1] + 1, 100.0)
    temperature = np.maximum(
        SEA_LEVEL_TEMPERATURE - LAPSE_RATE * (SITE_ALTITUDE + fine), TROPOPAUSE_TEMPERATURE
    )
    molecule = AIR_MASS * constants.u.value
    slope = molecule * GRAVITY / (constants.k_B.value * temperature)
    log_pressure = np.log(SITE_PRESSURE) - np.concatenate(
        [[0.0], np.cumsum((slope[1:] + slope[:-1]) / 2 * 100.0)]
    )
    pressure_edges = np.exp(np.interp(edges, fine, log_pressure))
    air = -np.diff(pressure_edges) * 100.0 / (molecule * GRAVITY) * 1e-4
    water = -np.diff(np.exp(-edges / WATER_SCALE_HEIGHT))
    pressure = (pressure_edges[1:] + pressure_edges[:-1]) / 2
    return np.interp(np.log(pressure), log_pressure[::-1], temperature[::-1]), pressure, air, water


def optical_depth(
    path: Path, species: Species, wavenumber: np.ndarray, layer: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Optical depth of all layers at wavenumbers (cm-1, in vacuum, ascending)."""
    with fits.open(path / species.file) as file:
        lines, partition = Table(file[1].data), Table(file[2].data)
    lines = lines[lines["wave_number"] > wavenumber[0] - WING]
    depth = np.zeros_like(wavenumber)
    for temperature, pressure, column in zip(*layer, species.columns, strict=True):
        if column < 1e-4 * species.columns.sum():
            continue
        centre = np.asarray(lines["wave_number"] + lines["delta"] * pressure / STANDARD_PRESSURE)
        strength = column * intensity(lines, partition, temperature)
        lorentz = (
            ((1 - species.fraction) * lines["gamma_air"] + species.fraction * lines["gamma_self"])
            * (pressure / STANDARD_PRESSURE)
            * (REFERENCE_TEMPERATURE / temperature) ** lines["N"]
        )
        thermal = np.sqrt(2 * constants.R.value * temperature / (species.molar_mass * 1e-3))
        doppler = centre * thermal / constants.c.value
        first, last = np.searchsorted(wavenumber, [centre - WING, centre + WING])
        for i in range(len(lines)):
            near = slice(first[i], last[i])
            z = (wavenumber[near] - centre[i] + 1j * lorentz[i]) / doppler[i]
            depth[near] += strength[i] / (np.sqrt(np.pi) * doppler[i]) * wofz(z).real
    return depth


def intensity(lines: Table, partition: Table, temperature: float) -> np.ndarray:
    """Line intensities at a temperature, cm per molecule (HITRAN, Eq. 4 of the definitions)."""
    at, reference = np.interp(
        [temperature, REFERENCE_TEMPERATURE], partition["Temperature"], partition["Qt"]
    )
    c2 = SECOND_RADIATION_CONSTANT
    boltzmann = np.exp(-c2 * lines["Epp"] * (1 / temperature - 1 / REFERENCE_TEMPERATURE))
    emission = np.expm1(-c2 * lines["wave_number"] / temperature) / np.expm1(
        -c2 * lines["wave_number"] / REFERENCE_TEMPERATURE
    )
    return np.asarray(lines["Intensity"] * reference / at * boltzmann * emission)


def main(source: Path) -> None:
    """Write the table beside this script."""
    temperature, pressure, air, water = layers()
    table = {
        "oxygen": Species(
            "hitran2020_O2_12868-17272cm.fits", 31.998, OXYGEN_FRACTION * air, OXYGEN_FRACTION, 1e-5
        ),
        "water": Species(
            "hitran2020_H2O_12500-25225cm.fits", 18.015, WATER_COLUMN * water, 0.0, 1e-6
        ),
    }
    size = int(np.log(LAST / FIRST) * SPEED_OF_LIGHT / VELOCITY_STEP)
    wavelength = FIRST * np.exp(np.arange(size) * VELOCITY_STEP / SPEED_OF_LIGHT)
    wavenumber = (1e8 / air_to_vacuum(wavelength))[::-1]
    depths = {}
    for name, species in table.items():
        depth = optical_depth(
            source / "telluric_sky", species, wavenumber, (temperature, pressure)
        )[::-1]
        # Half precision is 0.05%; what is too faint to matter compresses to nothing as zeros.
        depths[name] = np.where(depth > species.threshold, depth, 0.0).astype(np.float16)
    np.savez_compressed(
        HERE / "telluric.npz",
        oxygen=depths["oxygen"],
        water=depths["water"],
        start=FIRST,
        velocity_step=VELOCITY_STEP,
        citation=(
            "HITRAN2020 O2 and H2O lines: Gordon et al. 2022, JQSRT 277, 107949; air: U.S. "
            f"Standard Atmosphere 1976 above {SITE_PRESSURE:.0f} hPa. Zenith optical depth of "
            "oxygen, and of water per mm of precipitable water, by ln of the wavelength in air "
            "(Angstrom)"
        ),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
