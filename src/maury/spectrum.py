"""One spectrum as a value, and what is done to it: shift, resample, normalise, air and vacuum.

A mask is True where a pixel is BAD, as in specutils. Wavelengths are in Angstrom, velocities in
km/s, and neither the medium nor the frame of the wavelengths is ever left unsaid.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from astropy.time import Time
from numpy.typing import ArrayLike, NDArray

from maury.errors import SpectrumError
from maury.grid import Medium, WavelengthGrid
from maury.rebinning import Pixels, rebin
from maury.wavelength import (
    SPEED_OF_LIGHT,
    air_to_vacuum,
    doppler_factor,
    pixel_edges,
    vacuum_to_air,
)

__all__ = [
    "SPEED_OF_LIGHT",
    "Frame",
    "Observation",
    "Spectrum",
    "air_to_vacuum",
    "doppler_factor",
    "doppler_shift",
    "normalize",
    "pixel_edges",
    "resample",
    "vacuum_to_air",
]

Frame = Literal["barycentric", "observatory", "rest"]


@dataclass(frozen=True)
class Observation:
    """What a file's header tells about an exposure; a fact that it does not tell is None.

    Parameters
    ----------
    object : str
        Name of the target.
    berv : float
        Barycentric Earth radial velocity, km/s, positive when the Earth moves towards the star.
    airmass, airmass_end : float
        Airmass when the exposure started and ended.
    time : astropy.time.Time
        UTC at the START of the exposure; `mid_time` is half an exposure later.
    exposure : float
        Exposure time in seconds.
    snr : float
        Signal-to-noise ratio per pixel near 5500 A: of the spectral order nearest to it where the
        pipeline gives one ratio for each order, else the only value in the header.
    programme, instrument, drs_version : str
        Observing programme, spectrograph, and version of the pipeline.
    rv : float
        Barycentric radial velocity by the pipeline's cross-correlation, km/s.
    ra, dec : float
        Where the telescope pointed, degrees.
    resolving_power : float
        Wavelength over the width of the instrument's profile.
    path : str
        The file.
    flux_unit : str
        Unit of the flux as the file writes it.
    teff, logg, mh, alpha, vmic : float
        Parameters of the star by the file, as models have them: effective temperature in K, log of
        the surface gravity in cm/s2, [M/H] and [alpha/M] in dex, microturbulence in km/s.
    """

    object: str | None = None
    berv: float | None = None
    airmass: float | None = None
    airmass_end: float | None = None
    time: Time | None = None
    exposure: float | None = None
    snr: float | None = None
    programme: str | None = None
    instrument: str | None = None
    drs_version: str | None = None
    rv: float | None = None
    ra: float | None = None
    dec: float | None = None
    resolving_power: float | None = None
    path: str | None = None
    flux_unit: str | None = None
    teff: float | None = None
    logg: float | None = None
    mh: float | None = None
    alpha: float | None = None
    vmic: float | None = None

    @property
    def mid_time(self) -> Time | None:
        """UTC at the middle of the exposure, not weighted by flux."""
        if self.time is None or self.exposure is None:
            return None
        return Time(self.time.mjd + self.exposure / 2 / 86400, format="mjd", scale=self.time.scale)

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain values for JSON, the time in ISO format."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return values | {"time": None if self.time is None else self.time.isot}


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A one-dimensional spectrum.

    Parameters
    ----------
    wavelength : array_like, float64[n]
        Wavelengths of the pixel centres, Angstrom, strictly increasing.
    flux : array_like, float64[n]
        Flux density per unit wavelength, in any unit.
    uncertainty : array_like, float64[n], optional
        One standard deviation of the flux.
    mask : array_like, bool[n], optional
        True where a pixel is BAD. Pixels whose flux or uncertainty is not finite are bad without
        being named.
    medium : {"air", "vacuum"}
        Medium of the wavelengths.
    frame : {"barycentric", "observatory", "rest"}
        Rest frame of the wavelengths: the solar system's barycentre, the observatory, the star.
    meta : Observation
        Facts from the header.

    Raises
    ------
    SpectrumError
        If the arrays do not fit together or the wavelengths do not increase.

    Examples
    --------
    >>> spectrum = Spectrum([5000.0, 5000.1, 5000.2], [1.0, float("nan"), 0.9])
    >>> spectrum.mask
    array([False,  True, False])
    """

    wavelength: NDArray[np.float64]
    flux: NDArray[np.float64]
    uncertainty: NDArray[np.float64] | None = None
    mask: NDArray[np.bool_] = None  # type: ignore[assignment]
    medium: Medium = "air"
    frame: Frame = "barycentric"
    meta: Observation = field(default_factory=Observation)

    def __post_init__(self) -> None:
        # Native byte order, too: FITS arrays are big-endian, which torch does not take.
        wavelength = np.ascontiguousarray(self.wavelength, dtype=np.float64)
        flux = np.ascontiguousarray(self.flux, dtype=np.float64)
        if wavelength.ndim != 1 or wavelength.size < 2 or flux.shape != wavelength.shape:
            raise SpectrumError(
                "A spectrum needs wavelength and flux of one and the same length of at least 2, "
                f"not shapes {wavelength.shape} and {flux.shape}."
            )
        if not (np.all(np.isfinite(wavelength)) and np.all(wavelength[1:] > wavelength[:-1])):
            raise SpectrumError("The wavelengths of a spectrum must be finite and increase.")
        if self.medium not in get_args(Medium):
            raise SpectrumError(f"The medium must be 'air' or 'vacuum', not {self.medium!r}.")
        if self.frame not in get_args(Frame):
            raise SpectrumError(
                f"The frame must be 'barycentric', 'observatory' or 'rest', not {self.frame!r}."
            )
        mask = ~np.isfinite(flux)
        if self.mask is not None:
            mask |= self._same_shape("mask", np.asarray(self.mask, dtype=bool), flux)
        object.__setattr__(self, "wavelength", wavelength)
        object.__setattr__(self, "flux", flux)
        object.__setattr__(self, "mask", mask)
        if self.uncertainty is not None:
            uncertainty = np.ascontiguousarray(self.uncertainty, dtype=np.float64)
            mask |= ~np.isfinite(self._same_shape("uncertainty", uncertainty, flux))
            object.__setattr__(self, "uncertainty", uncertainty)

    @staticmethod
    def _same_shape(name: str, array: NDArray[Any], flux: NDArray[np.float64]) -> NDArray[Any]:
        if array.shape != flux.shape:
            raise SpectrumError(
                f"The {name} of a spectrum has shape {array.shape}, its flux {flux.shape}."
            )
        return array

    def __len__(self) -> int:
        return self.wavelength.size

    @property
    def valid(self) -> NDArray[np.bool_]:
        """True where a pixel is good, bool[n]."""
        return ~self.mask

    def between(self, lower: float, upper: float) -> Spectrum:
        """The part from `lower` to `upper`, in Angstrom, both included.

        Raises
        ------
        SpectrumError
            If fewer than two pixels lie there.
        """
        first, last = np.searchsorted(self.wavelength, (lower, np.nextafter(upper, np.inf)))
        part = slice(int(first), int(last))
        return replace(
            self,
            wavelength=self.wavelength[part],
            flux=self.flux[part],
            uncertainty=None if self.uncertainty is None else self.uncertainty[part],
            mask=self.mask[part],
        )

    def to_medium(self, medium: Medium) -> Spectrum:
        """The same spectrum with wavelengths in air or in vacuum; the flux values stay."""
        if medium == self.medium:
            return self
        convert = vacuum_to_air if medium == "air" else air_to_vacuum
        return replace(self, wavelength=convert(self.wavelength), medium=medium)

    def to_specutils(self) -> Any:
        """As a `specutils.Spectrum` (`Spectrum1D` before specutils 2).

        Medium, frame and observation go into its ``meta``, since specutils has no place for them.
        A flux unit that astropy cannot read becomes dimensionless.
        """
        import specutils
        from astropy import units as u
        from astropy.nddata import StdDevUncertainty

        try:
            unit = u.Unit(self.meta.flux_unit or "")
        except (ValueError, TypeError):
            unit = u.dimensionless_unscaled
        kind = getattr(specutils, "Spectrum", None) or specutils.Spectrum1D
        return kind(
            flux=self.flux * unit,
            spectral_axis=self.wavelength * u.AA,
            uncertainty=None if self.uncertainty is None else StdDevUncertainty(self.uncertainty),
            mask=self.mask.copy(),
            meta={"medium": self.medium, "frame": self.frame, "observation": self.meta},
        )

    @classmethod
    def from_specutils(
        cls, spectrum: Any, *, medium: Medium | None = None, frame: Frame | None = None
    ) -> Spectrum:
        """From a one-dimensional specutils spectrum, in any unit of its spectral axis.

        Parameters
        ----------
        spectrum : specutils.Spectrum or specutils.Spectrum1D
            What to convert.
        medium, frame : str, optional
            Medium and frame of its wavelengths; needed unless its ``meta`` has them.

        Raises
        ------
        SpectrumError
            If it is not one-dimensional, or nothing tells the medium or the frame.
        """
        from astropy import units as u
        from astropy.nddata import StdDevUncertainty

        medium = medium or spectrum.meta.get("medium")
        frame = frame or spectrum.meta.get("frame")
        if medium is None or frame is None:
            raise SpectrumError(
                "A specutils spectrum does not say its medium or frame: give medium='air' or "
                "'vacuum' and frame='barycentric', 'observatory' or 'rest'."
            )
        if spectrum.flux.ndim != 1:
            raise SpectrumError(
                f"Only a one-dimensional spectrum can be used, not shape {spectrum.flux.shape}."
            )
        meta = spectrum.meta.get("observation")
        if not isinstance(meta, Observation):
            meta = Observation(flux_unit=str(spectrum.flux.unit) or None)
        wavelength = spectrum.spectral_axis.to_value(u.AA, u.spectral())
        uncertainty = spectrum.uncertainty
        if uncertainty is not None:
            uncertainty = uncertainty.represent_as(StdDevUncertainty).array
        # Frequencies and energies increase where wavelengths decrease.
        order = slice(None, None, -1 if wavelength[0] > wavelength[-1] else 1)
        return cls(
            wavelength=wavelength[order],
            flux=spectrum.flux.value[order],
            uncertainty=None if uncertainty is None else uncertainty[order],
            mask=None if spectrum.mask is None else np.asarray(spectrum.mask)[order],  # type: ignore[arg-type]
            medium=medium,
            frame=frame,
            meta=meta,
        )


def doppler_shift(spectrum: Spectrum, velocity: float, *, frame: Frame | None = None) -> Spectrum:
    """Move a spectrum by a radial velocity, without interpolation.

    Every wavelength is multiplied by `doppler_factor`. The flux values stay as they are: each
    sample keeps its value, as suits relative and continuum-normalised flux, and the integral over
    wavelength grows by the factor. Wavelengths in air are multiplied directly, as the HARPS
    pipeline does; the dispersion of air over the shift is worth less than 1 m/s at 100 km/s.

    Parameters
    ----------
    spectrum : Spectrum
        What to move.
    velocity : float
        km/s; positive moves lines to the red.
    frame : {"barycentric", "observatory", "rest"}, optional
        Frame that the wavelengths are in afterwards; by default the name of the frame is kept.
    """
    return replace(
        spectrum,
        wavelength=spectrum.wavelength * doppler_factor(velocity),
        frame=frame or spectrum.frame,
    )


def resample(
    spectrum: Spectrum,
    grid: WavelengthGrid | ArrayLike,
    *,
    max_bad_fraction: float = 0.01,
) -> Spectrum:
    """Bring a spectrum onto other wavelengths, conserving flux.

    The flux density is integrated from pixel edge to pixel edge, the running integral is
    interpolated by a cubic spline, and the new flux is its difference over the new pixel. The
    integral over any range that ends on edges of both is therefore kept exactly, and the spectrum
    is smoothed far less than by linear interpolation. Bad pixels are bridged linearly first, so
    that their values do not ring, and the new pixels that they touch are bad in turn.

    The variance is the mean variance over the new pixel, divided by the number of old pixels in it
    where that is above one. Sums over many new pixels thus have the right error when pixels are
    not made smaller; the correlation between neighbours is not followed.

    Parameters
    ----------
    spectrum : Spectrum
        What to resample.
    grid : WavelengthGrid or array_like
        New wavelengths. A grid in another medium converts the wavelengths first and masks its own
        gaps; an array is in the medium of the spectrum. The frame is not changed.
    max_bad_fraction : float
        A new pixel is bad when more than this fraction of it comes from bad or absent pixels.

    Returns
    -------
    Spectrum
        Bad pixels, among them all outside the range of the input, have zero flux and infinite
        uncertainty.
    """
    if isinstance(grid, WavelengthGrid):
        spectrum = spectrum.to_medium(grid.medium)
        centers, edges, absent = grid.wavelength, grid.edges, ~grid.valid
    else:
        centers = np.asarray(grid, dtype=np.float64)
        if centers.ndim != 1 or centers.size < 2 or not np.all(np.diff(centers) > 0):
            raise SpectrumError("The wavelengths to resample to must be a list that increases.")
        edges, absent = pixel_edges(centers), np.zeros(centers.size, dtype=bool)
    if spectrum.mask.all():
        raise SpectrumError("A spectrum without any good pixel cannot be resampled.")
    variance = None if spectrum.uncertainty is None else spectrum.uncertainty**2
    pixels = Pixels.from_samples(spectrum.wavelength, spectrum.flux, variance, spectrum.mask)
    result = rebin(pixels, edges, max_bad_fraction)
    mask = absent | result.bad
    uncertainty = None
    if result.variance is not None:
        uncertainty = np.where(mask, np.inf, np.sqrt(result.variance))
    return Spectrum(
        wavelength=centers,
        flux=np.where(mask, 0.0, result.flux),
        uncertainty=uncertainty,
        mask=mask,
        medium=spectrum.medium,
        frame=spectrum.frame,
        meta=spectrum.meta,
    )


def normalize(spectrum: Spectrum) -> Spectrum:
    """Divide by the median flux of the good pixels (Eq. 2 of Cvrcek et al. 2024).

    Raises
    ------
    SpectrumError
        If no pixel is good or the median is not positive.

    Examples
    --------
    >>> normalize(Spectrum([1.0, 2.0, 3.0], [2.0, 4.0, 8.0])).flux
    array([0.5, 1. , 2. ])
    """
    good = spectrum.flux[spectrum.valid]
    median = float(np.median(good)) if good.size else float("nan")
    if not (np.isfinite(median) and median > 0):
        raise SpectrumError(f"A spectrum of median flux {median:g} cannot be normalised.")
    return replace(
        spectrum,
        flux=spectrum.flux / median,
        uncertainty=None if spectrum.uncertainty is None else spectrum.uncertainty / median,
        meta=replace(spectrum.meta, flux_unit=None),
    )
