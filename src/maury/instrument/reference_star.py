"""A reference star's observed spectrum, made ready to fit lines to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d

from maury.errors import SynthesisError
from maury.instrument.telluric import Telluric
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.calibration import ReferenceStar
from maury.synthesis.elements import abundances
from maury.synthesis.linelist import LineList
from maury.synthesis.synthesize import COVERAGE, surface_flux
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["reference_star"]

STEP = 0.01  # Angstrom
WINDOW = 300.0  # Angstrom that the velocity is found from
FASTEST = 1.5  # km/s that gravity, convection and a calibration may shift an atlas by
# The Earth's atmosphere that a pixel must be clear of; a humid night, low in the sky.
AIRMASS, PWV, ATLAS_RESOLUTION = 1.5, 6.0, 60_000
CLEAR = 0.985  # transmission from which on a pixel counts as clear
TELLURIC_MARGIN = 15  # pixels on either side of a telluric line


def reference_star(
    wavelength: NDArray[np.float64],
    flux: NDArray[np.float64],
    lines: LineList,
    *,
    teff: float,
    logg: float,
    mh: float,
    vmic: float,
    vmac: float,
    vsini: float,
    telluric: bool = True,
) -> tuple[ReferenceStar, float]:
    """Bring an atlas to rest and to even steps, and leave out what the Earth's air absorbs.

    Parameters
    ----------
    wavelength
        Angstrom in air, within 1.5 km/s of the star's rest frame, increasing, shape (pixel,).
    flux
        Relative to the continuum, shape (pixel,).
    lines
        Lines that the velocity is found with.
    teff, logg, mh
        The star's parameters: K, log10 of cm s-2, dex.
    vmic, vmac, vsini
        Micro- and macroturbulence and projected rotation, km/s.
    telluric
        Whether the atlas was observed from the ground.

    Returns
    -------
    star : ReferenceStar
        In steps of 0.01 A.
    velocity : float
        What the atlas was shifted by, km/s; positive where it was redshifted.

    Raises
    ------
    SynthesisError
        If the atlas covers less than 20 A of what can be synthesized, or a parameter is outside
        the grid.
    """
    # A little inside, so that the shift to rest leads to no pixel that was not observed.
    first = max(np.ceil(10 * wavelength[0] + 1) / 10, COVERAGE[0] + 5.0)
    last = min(np.floor(10 * wavelength[-1] - 1) / 10, COVERAGE[1] - 5.0)
    if last - first < 20.0:
        raise SynthesisError(
            f"The atlas runs from {wavelength[0]:.1f} to {wavelength[-1]:.1f} A (air); it must "
            f"cover at least 20 A of {COVERAGE[0]:g} to {COVERAGE[1]:g} A."
        )
    grid = first + STEP * np.arange(round((last - first) / STEP) + 1)
    atmosphere, abundance = model_atmosphere(teff, logg, mh), abundances(mh)
    middle = np.clip(5600.0, first + WINDOW / 2, max(last - WINDOW / 2, first + WINDOW / 2))
    window = grid[np.abs(grid - middle) <= WINDOW / 2]
    computed, continuum = surface_flux(window, atmosphere, abundance, lines, vmic)
    blank = ReferenceStar(
        window, window, window, atmosphere, abundance, vmic, vmac, vsini
    )  # fmt: skip
    # A pixel that is missing is no line, and must not spoil the velocity of all the others.
    filled = np.where(np.isfinite(flux), flux, 1.0)
    velocity = _velocity(window, wavelength, filled, blank.observed(computed / continuum))
    observed = np.interp(grid * (1 + velocity / SPEED_OF_LIGHT), wavelength, flux)
    weight = np.ones(grid.size)
    if telluric:
        transmission = Telluric.load().transmission(
            grid, airmass=AIRMASS, pwv=PWV, resolving_power=ATLAS_RESOLUTION
        )
        weight = (minimum_filter1d(transmission, TELLURIC_MARGIN) > CLEAR).astype(float)
    weight[~np.isfinite(observed)] = 0.0
    star = ReferenceStar(
        grid, np.nan_to_num(observed, nan=1.0), weight, atmosphere, abundance, vmic, vmac, vsini
    )
    return star, velocity


def _velocity(
    window: NDArray[np.float64],
    wavelength: NDArray[np.float64],
    flux: NDArray[np.float64],
    model: NDArray[np.float64],
) -> float:
    """Shift of the atlas against the model, km/s: gravitational redshift less convection."""
    trials = np.arange(-FASTEST, FASTEST, 0.01)
    reference = model - model.mean()
    score = [
        np.dot(np.interp(window * (1 + v / SPEED_OF_LIGHT), wavelength, flux), reference)
        for v in trials
    ]
    return float(trials[int(np.argmax(score))])
