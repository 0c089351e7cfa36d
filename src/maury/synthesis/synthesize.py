"""A star's intrinsic spectrum from first principles."""

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import numpy as np
from astropy import units as u
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from maury.errors import SynthesisError
from maury.grid import Medium
from maury.spectrum import Observation, Spectrum
from maury.synthesis.atmosphere import Atmosphere, model_atmosphere
from maury.synthesis.broadening import broaden, gaussian_width
from maury.synthesis.continuum import continuum_opacity
from maury.synthesis.elements import abundances
from maury.synthesis.equation_of_state import Gas, solve
from maury.synthesis.hydrogen import hydrogen_opacity
from maury.synthesis.linelist import LineList, standard_lines
from maury.synthesis.lines import line_opacity
from maury.synthesis.transfer import emergent_flux
from maury.wavelength import SPEED_OF_LIGHT, air_to_vacuum, vacuum_to_air

__all__ = [
    "LineStrengths",
    "Solver",
    "check_parameters",
    "check_wavelengths",
    "surface_flux",
    "synthesize",
]

LineStrengths = Literal["calibrated", "original"]
Solver = Literal["direct", "table"]

CONTINUUM_STEP = 5.0  # Angstrom; the continuum has no edge between 3650 and 8200 A
COVERAGE = (3770.0, 6925.0)  # Angstrom, air: what the line list covers
PIECE = 65536  # pixels whose opacity is held in memory at once
RESOLVING_STEP = 0.6  # km/s: 0.01 A at 5000 A, a third of a narrow line's Doppler width
FLUX_UNIT = "erg s-1 cm-2 Angstrom-1"
# Unit, lowest and highest of what the tables do not limit.
LIMITS = {
    "vmic": ("km/s", 0.0, 10.0),
    "alpha": ("", -1.0, 1.0),
    "vsini": ("km/s", 0.0, 300.0),
    "vmac": ("km/s", 0.0, 100.0),
    "resolving power": ("", 1e3, 1e7),
}


def surface_flux(
    wavelength: np.ndarray,
    atmosphere: Atmosphere,
    abundance: Mapping[str, float],
    lines: LineList,
    vmic: float,
    *,
    electrons_of_model: bool = False,
    continuous: Callable[[NDArray[np.float64], Gas], NDArray[np.float64]] = continuum_opacity,
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
    electrons_of_model
        Take the electron density from the model atmosphere, and with the abundances given solve
        for the pressure, as Turbospectrum does, instead of the other way round.
    continuous
        The continuous opacity, to compare with codes that have another one.

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
        hold_electrons=electrons_of_model,
    )
    start = np.floor(wavelength[0]) - 2 * CONTINUUM_STEP
    coarse = np.arange(start, wavelength[-1] + 3 * CONTINUUM_STEP, CONTINUUM_STEP)
    continuum = continuous(air_to_vacuum(coarse), gas)
    grid = (continuum, start, CONTINUUM_STEP)
    layers = (atmosphere.rhox, gas.density, atmosphere.temperature)
    flux = np.empty(wavelength.size)
    for first in range(0, wavelength.size, PIECE):
        piece = slice(first, first + PIECE)
        opacity = line_opacity(wavelength[piece], lines, gas, vmic, *grid)
        hydrogen_opacity(opacity, air_to_vacuum(wavelength[piece]), gas, vmic)
        flux[piece] = emergent_flux(wavelength[piece], opacity, *grid, *layers)
    return flux, emergent_flux(wavelength, None, *grid, *layers)


def _number(name: str, quantity: float | u.Quantity, unit: str) -> float:
    try:
        return float(u.Quantity(quantity, unit).value)
    except (TypeError, ValueError):
        wanted = f"a number or a quantity in {unit}" if unit else "a number"
        raise SynthesisError(f"{name} = {quantity} is not {wanted}.") from None


def _checked(
    name: str, quantity: float | u.Quantity, limits: tuple[str, float, float] | None = None
) -> float:
    unit, lower, upper = LIMITS[name] if limits is None else limits
    value = _number(name, quantity, unit)
    if not lower <= value <= upper:
        allowed = f"it must be {lower:g} to {upper:g} {unit}".rstrip() + "."
        raise SynthesisError(f"{name} = {value:g} is not allowed; {allowed}")
    return value


def check_parameters(
    *,
    teff: float | u.Quantity,
    logg: float,
    mh: float,
    resolving_power: float | None = None,
    **others: float | u.Quantity,
) -> None:
    """Find out whether `synthesize` would take these parameters, without the work.

    Parameters
    ----------
    teff, logg, mh, resolving_power, **others
        As of `synthesize`; the others are vmic, alpha, vsini and vmac.

    Raises
    ------
    SynthesisError
        If one is not a number or outside what the tables cover.
    """
    model_atmosphere(_number("teff", teff, "K"), _number("logg", logg, ""), _number("mh", mh, ""))
    if resolving_power is not None:
        _checked("resolving power", resolving_power)
    for name, value in others.items():
        _checked(name, value)


def check_wavelengths(
    wavelength: NDArray[np.float64] | u.Quantity | None, medium: Medium
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The wavelengths asked for, and the same in air.

    Parameters
    ----------
    wavelength, medium
        As of `synthesize`.

    Returns
    -------
    wavelength, air
        Angstrom, shape (pixel,) each.

    Raises
    ------
    SynthesisError
        If they do not increase, or the lines do not cover them.
    """
    if medium not in get_args(Medium):
        raise SynthesisError(f"The medium must be 'air' or 'vacuum', not {medium!r}.")
    if wavelength is None:
        grid = 3785.0 + 0.01 * np.arange(312501, dtype=np.float64)
    else:
        try:
            grid = np.array(u.Quantity(wavelength, "Angstrom").value, dtype=np.float64)
        except (TypeError, ValueError):
            raise SynthesisError("The wavelengths are not numbers or lengths.") from None
    if grid.ndim != 1 or grid.size < 2 or not np.all(np.isfinite(grid)):
        raise SynthesisError("The wavelengths must be a list of at least two finite numbers.")
    if np.any(np.diff(grid) <= 0):
        raise SynthesisError("The wavelengths must increase from each to the next.")
    air = vacuum_to_air(grid) if medium == "vacuum" else grid
    if air[0] < COVERAGE[0] or air[-1] > COVERAGE[1]:
        raise SynthesisError(
            f"Wavelengths from {air[0]:.2f} to {air[-1]:.2f} A (air) cannot be synthesized; "
            f"allowed are {COVERAGE[0]:g} to {COVERAGE[1]:g} A."
        )
    return grid, air


def _sampling(air: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """Wavelengths that resolve the lines, from ``margin`` km/s before to as much after ``air``."""
    first = max(np.log(air[0]) - margin / SPEED_OF_LIGHT, np.log(COVERAGE[0]))
    last = min(np.log(air[-1]) + margin / SPEED_OF_LIGHT, np.log(COVERAGE[1]))
    return np.exp(
        np.linspace(first, last, int((last - first) * SPEED_OF_LIGHT / RESOLVING_STEP) + 8)
    )


def _star(
    atmosphere: Atmosphere | None,
    teff: float | u.Quantity | None,
    logg: float | None,
    mh: float | None,
    alpha: float | None,
) -> tuple[Atmosphere, float, float]:
    """The model atmosphere, [alpha/M] and [M/H] of the abundances."""
    if atmosphere is None:
        if teff is None or logg is None:
            missing = "teff" if teff is None else "logg"
            raise SynthesisError(f"{missing} is missing: give it, or a model atmosphere.")
        temperature, gravity = _number("teff", teff, "K"), _number("logg", logg, "")
        metallicity = 0.0 if mh is None else _number("mh", mh, "")
        enhancement = 0.0 if alpha is None else _checked("alpha", alpha)
        return model_atmosphere(temperature, gravity, metallicity), enhancement, metallicity
    for name, given, unit, own, tolerance in (
        ("teff", teff, "K", atmosphere.teff, 1.0),
        ("logg", logg, "", atmosphere.logg, 0.01),
    ):
        if given is not None and not abs(_number(name, given, unit) - own) <= tolerance:
            raise SynthesisError(
                f"{name} = {given} contradicts the model atmosphere's {own:g}; leave it out or "
                f"give that, since a model atmosphere is taken as it is."
            )
    metallicity = _checked("mh", atmosphere.mh if mh is None else mh, ("", -6.0, 2.0))
    enhancement = _checked("alpha", atmosphere.alpha if alpha is None else alpha)
    return atmosphere, enhancement, metallicity


def synthesize(
    *,
    teff: float | u.Quantity | None = None,
    logg: float | None = None,
    mh: float | None = None,
    vmic: float | u.Quantity = 1.0,
    alpha: float | None = None,
    vsini: float | u.Quantity = 0.0,
    vmac: float | u.Quantity = 0.0,
    resolving_power: float | None = None,
    wavelength: NDArray[np.float64] | u.Quantity | None = None,
    medium: Medium = "air",
    normalized: bool = False,
    lines: LineList | None = None,
    line_strengths: LineStrengths = "calibrated",
    atmosphere: Atmosphere | None = None,
    solver: Solver = "direct",
) -> Spectrum:
    """Compute a star's spectrum: 1D, LTE, plane-parallel.

    Parameters
    ----------
    teff
        Effective temperature, K, 3000-11500; may be left out with an ``atmosphere``.
    logg
        log10 of the surface gravity in cm s-2, 3.5-5.0; may be left out with an ``atmosphere``.
    mh
        [M/H], dex, -1.5 to 0.5, on the scale of Asplund et al. 2009; where it is left out that of
        the ``atmosphere``, or 0.
    vmic
        Microturbulence, km/s.
    alpha
        [alpha/M], dex, -1 to 1; changes the abundances, not the model's structure; where it is
        left out that of the ``atmosphere``, or 0.
    vsini, vmac
        Projected rotation and radial-tangential macroturbulence, km/s.
    resolving_power
        Of the instrument's Gaussian profile, 1e3 to 1e7; None for none.
    wavelength
        Wavelengths in Angstrom within 3770-6925 A, in the stellar rest frame; 3785-6910 A in
        steps of 0.01 A where it is left out.
    medium
        Of ``wavelength``: ``"air"`` or ``"vacuum"``.
    normalized
        Divide by the continuum.
    lines
        A line list; the embedded one where it is left out.
    line_strengths
        Of the embedded list: ``"calibrated"`` on the Sun, best for real stars, or ``"original"``,
        those of the laboratory and theory.
    atmosphere
        A model atmosphere, see `maury.synthesis.atmosphere_files.read_atmosphere`; interpolated
        in the embedded grid where it is left out. Its structure is taken as it is: ``teff`` and
        ``logg`` cannot contradict it, ``mh`` and ``alpha`` change the abundances alone.
    solver
        ``"direct"`` sums the lines in every layer. ``"table"`` interpolates opacity tables: much
        faster once they are there, but each takes two minutes of two cores and 400 MB of disk for
        the whole range, and a star takes three; they are kept. For vmic of 0.5 to 5 km/s and the
        grid's own atmospheres.

    Returns
    -------
    Spectrum
        Frame ``"rest"``; flux in erg s-1 cm-2 A-1 at the stellar surface, or relative to the
        continuum.

    Raises
    ------
    SynthesisError
        If a parameter or a wavelength is outside what the tables cover, or ``teff`` or ``logg`` is
        missing or contradicts the ``atmosphere``.

    Examples
    --------
    >>> import numpy as np
    >>> window = np.arange(6560.0, 6565.0, 0.02)
    >>> sun = synthesize(teff=5777, logg=4.44, wavelength=window, normalized=True)
    >>> f"{window[sun.flux.argmin()]:.1f} A"
    '6562.8 A'
    """
    grid, air = check_wavelengths(wavelength, medium)
    model, enhancement, metallicity = _star(atmosphere, teff, logg, mh, alpha)
    turbulence = _checked("vmic", vmic)
    rotation = _checked("vsini", vsini)
    macroturbulence = _checked("vmac", vmac)
    sigma = 0.0
    if resolving_power is not None:
        sigma = gaussian_width(_checked("resolving power", resolving_power))
    if line_strengths not in get_args(LineStrengths):
        raise SynthesisError(
            f"The line strengths must be 'calibrated' or 'original', not {line_strengths!r}."
        )
    if solver not in get_args(Solver):
        raise SynthesisError(f"The solver must be 'direct' or 'table', not {solver!r}.")
    if lines is None:
        lines = standard_lines(calibrated=line_strengths == "calibrated")
    # As far as light of lines outside the window is carried into it.
    margin = rotation + 4 * macroturbulence + 6 * sigma
    if solver == "table":
        if atmosphere is not None:
            raise SynthesisError(
                "A model atmosphere of one's own needs the direct solver; tables are made for those"
                " of the grid."
            )
        # The tables are made by what stands above.
        from maury.synthesis.table_solver import solve_from_tables

        sampling, flux, continuum = solve_from_tables(
            air, margin / SPEED_OF_LIGHT, lines, teff=model.teff, logg=model.logg, mh=metallicity,
            alpha=enhancement, vmic=turbulence,
        )  # fmt: skip
    else:
        sampling = air if margin == 0 else _sampling(air, margin)
        abundance = abundances(metallicity, enhancement)
        flux, continuum = surface_flux(sampling, model, abundance, lines, turbulence)
    relative = flux / continuum
    if margin > 0:
        relative = broaden(
            sampling,
            relative,
            vsini=rotation,
            vmac=macroturbulence,
            resolving_power=resolving_power,
        )
    if sampling is not air:
        relative = CubicSpline(sampling, relative)(air)
        continuum = np.interp(air, sampling, continuum)
    name = (
        f"Teff {model.teff:g} K, log g {model.logg:g}, [M/H] {metallicity:g}, vmic {turbulence:g}"
    )
    return Spectrum(
        wavelength=grid,
        flux=relative if normalized else relative * continuum,
        medium=medium,
        frame="rest",
        meta=Observation(
            object=name,
            flux_unit=None if normalized else FLUX_UNIT,
            teff=model.teff,
            logg=model.logg,
            mh=metallicity,
            alpha=enhancement,
            vmic=turbulence,
        ),
    )
