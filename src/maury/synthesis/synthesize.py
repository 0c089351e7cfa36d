"""A star's intrinsic spectrum from first principles."""

from collections.abc import Mapping

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from maury.errors import SynthesisError
from maury.grid import Medium
from maury.spectrum import Observation, Spectrum
from maury.synthesis.atmosphere import Atmosphere, atlas9
from maury.synthesis.broadening import broaden
from maury.synthesis.continuum import continuum_opacity
from maury.synthesis.elements import abundances
from maury.synthesis.equation_of_state import solve
from maury.synthesis.hydrogen import hydrogen_opacity
from maury.synthesis.linelist import LineList, standard_lines
from maury.synthesis.lines import line_opacity
from maury.synthesis.transfer import emergent_flux
from maury.wavelength import air_to_vacuum, vacuum_to_air

__all__ = ["surface_flux", "synthesize"]

CONTINUUM_STEP = 5.0  # Angstrom; the continuum has no edge between 3650 and 8200 A
COVERAGE = (3770.0, 6925.0)  # Angstrom, air: what the line list covers
PIECE = 65536  # pixels whose opacity is held in memory at once


def surface_flux(
    wavelength: np.ndarray,
    atmosphere: Atmosphere,
    abundance: Mapping[str, float],
    lines: LineList,
    vmic: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Flux and continuum flux at the stellar surface.

    Parameters
    ----------
    wavelength
        Increasing wavelengths in Angstrom, air, stellar rest frame, shape (pixel,).
    atmosphere
        The model atmosphere.
    abundance
        Nuclei per hydrogen nucleus.
    lines
        The line list.
    vmic
        Microturbulent velocity, km/s.

    Returns
    -------
    flux, continuum
        erg s-1 cm-2 A-1, shape (pixel,) each; no rotation, macroturbulence or instrument.
    """
    gas = solve(
        atmosphere.temperature,
        atmosphere.pressure,
        abundance,
        electrons=atmosphere.electron_density,
    )
    start = np.floor(wavelength[0]) - 2 * CONTINUUM_STEP
    coarse = np.arange(start, wavelength[-1] + 3 * CONTINUUM_STEP, CONTINUUM_STEP)
    continuum = continuum_opacity(air_to_vacuum(coarse), gas)
    grid = (continuum, start, CONTINUUM_STEP)
    layers = (atmosphere.rhox, gas.density, atmosphere.temperature)
    flux = np.empty(wavelength.size)
    for first in range(0, wavelength.size, PIECE):
        piece = slice(first, first + PIECE)
        opacity = line_opacity(wavelength[piece], lines, gas, vmic, *grid)
        hydrogen_opacity(opacity, air_to_vacuum(wavelength[piece]), gas, vmic)
        flux[piece] = emergent_flux(wavelength[piece], opacity, *grid, *layers)
    return flux, emergent_flux(wavelength, None, *grid, *layers)


def _value(quantity: float | u.Quantity, unit: str) -> float:
    return float(u.Quantity(quantity, unit).value)


def synthesize(
    *,
    teff: float | u.Quantity,
    logg: float,
    mh: float = 0.0,
    vmic: float | u.Quantity = 1.0,
    alpha: float = 0.0,
    vsini: float | u.Quantity = 0.0,
    vmac: float | u.Quantity = 0.0,
    resolving_power: float | None = None,
    wavelength: NDArray[np.float64] | u.Quantity | None = None,
    medium: Medium = "air",
    normalized: bool = False,
    lines: LineList | None = None,
) -> Spectrum:
    """Compute a star's spectrum: 1D, LTE, plane-parallel.

    Parameters
    ----------
    teff
        Effective temperature, K, 3500-11500.
    logg
        log10 of the surface gravity in cm s-2, 3.5-5.0.
    mh
        [M/H], dex, -1.5 to 0.5, on the scale of Asplund et al. 2009.
    vmic
        Microturbulence, km/s.
    alpha
        [alpha/M], dex; changes the abundances, not the model's structure.
    vsini, vmac
        Projected rotation and radial-tangential macroturbulence, km/s.
    resolving_power
        Of the instrument's Gaussian profile; None for none.
    wavelength
        Wavelengths in Angstrom within 3770-6925 A, in the stellar rest frame; 3785-6910 A in
        steps of 0.01 A where it is left out.
    medium
        Of ``wavelength``: ``"air"`` or ``"vacuum"``.
    normalized
        Divide by the continuum.
    lines
        A line list; the embedded one, calibrated on the Sun, where it is left out.

    Returns
    -------
    Spectrum
        Frame ``"rest"``; flux in erg s-1 cm-2 A-1 at the stellar surface, or relative to the
        continuum.

    Raises
    ------
    SynthesisError
        If a parameter or a wavelength is outside what the tables cover.

    Examples
    --------
    >>> import numpy as np
    >>> window = np.arange(6560.0, 6565.0, 0.02)
    >>> sun = synthesize(teff=5777, logg=4.44, wavelength=window, normalized=True)
    >>> f"{window[sun.flux.argmin()]:.1f} A"
    '6562.8 A'
    """
    if wavelength is None:
        grid = (3785.0 + 0.01 * np.arange(312501)).astype(np.float64)
    else:
        grid = np.asarray(u.Quantity(wavelength, "Angstrom").value, np.float64)
    air = vacuum_to_air(grid) if medium == "vacuum" else grid
    if air.size < 2 or air[0] < COVERAGE[0] or air[-1] > COVERAGE[1] or (np.diff(air) <= 0).any():
        raise SynthesisError(
            f"wavelengths from {air.min():.2f} to {air.max():.2f} A (air) cannot be synthesized; "
            f"allowed are at least two, increasing, from {COVERAGE[0]:g} to {COVERAGE[1]:g} A"
        )
    for name, value, upper in (("vmic", vmic, 10), ("vsini", vsini, 300), ("vmac", vmac, 100)):
        if not 0 <= _value(value, "km/s") <= upper:
            raise SynthesisError(f"{name} = {value} is not allowed; it must be 0 to {upper} km/s")
    flux, continuum = surface_flux(
        air,
        atlas9(_value(teff, "K"), float(logg), float(mh)),
        abundances(float(mh), float(alpha)),
        standard_lines() if lines is None else lines,
        _value(vmic, "km/s"),
    )
    relative = broaden(
        air,
        flux / continuum,
        vsini=_value(vsini, "km/s"),
        vmac=_value(vmac, "km/s"),
        resolving_power=resolving_power,
    )
    return Spectrum(
        wavelength=grid,
        flux=relative if normalized else relative * continuum,
        uncertainty=None,
        mask=np.zeros(grid.size, bool),
        medium=medium,
        frame="rest",
        meta=Observation(object=f"Teff={teff} logg={logg} [M/H]={mh} vmic={vmic}"),
    )
