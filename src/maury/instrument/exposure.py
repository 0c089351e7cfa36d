"""An exposure: what a spectrograph delivers of a star, in the barycentric frame."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from torch import Tensor

from maury.errors import GridError, SpectrumError
from maury.grid import HARPS_SMALL, WavelengthGrid
from maury.instrument.spectrograph import HARPS, PixelResponse, Spectrograph
from maury.instrument.telluric import TelluricTransmission
from maury.spectrum import Observation, Spectrum
from maury.synthesis.broadening import Broadening
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["MAX_BERV", "MAX_VELOCITY", "ExposureSimulator", "photon_noise", "simulate_exposure"]

MAX_VELOCITY = 500.0
"""Largest radial velocity that an exposure can have, km/s."""

MAX_BERV = 60.0
"""Largest BERV that an exposure can have, km/s; the Earth moves by less than 32 km/s."""


def photon_noise(level: Tensor, *, snr: Tensor, readout_variance: Tensor, pixels: float) -> Tensor:
    """Standard deviation of a flux from photon and readout noise.

    A pixel of the spectrograph with the flux 1 collects N electrons, where the signal-to-noise
    ratio is N / sqrt(N + r) with the readout variance r. A pixel of `pixels` times that width and
    of the flux f has the variance (f N + r) / (N^2 pixels), in units of the flux.

    Parameters
    ----------
    level : Tensor
        Flux in units of that to which the ratio refers, [batch, pixel].
    snr : Tensor
        Signal-to-noise ratio of a pixel of the spectrograph at the flux 1, [batch]; infinite for
        no noise.
    readout_variance : Tensor
        Readout variance of a pixel of the spectrograph, electrons^2, [pixel].
    pixels : float
        Width of a pixel of the flux, in pixels of the spectrograph.

    Returns
    -------
    Tensor
        [batch, pixel]

    Examples
    --------
    >>> level, none = torch.tensor([[1.0, 0.25]]), torch.zeros(2)
    >>> photon_noise(level, snr=torch.tensor([100.0]), readout_variance=none, pixels=1.0)
    tensor([[0.0100, 0.0050]])
    """
    square = snr[:, None] ** -2
    inverse = 2 * square / (1 + torch.sqrt(1 + 4 * square * readout_variance))
    return torch.sqrt(inverse * (level.clamp(min=0.0) + readout_variance * inverse) / pixels)


class ExposureSimulator(torch.nn.Module):
    """From the intrinsic spectra of stars to noisy exposures on a grid, in batches.

    The steps, in the order in which light meets them: rotation and macroturbulence, radial
    velocity (relativistic), the Earth's atmosphere, the line-spread function together with the
    integration over pixels, the continuum shape, photon and readout noise. The frame of the
    exposure is barycentric: the star is shifted by its radial velocity, and what stands still at
    the observatory (telluric lines, the gap between detectors, the ends of the coverage) by the
    factor 1 + BERV/c. Flux densities keep their values when they are shifted.

    Noise is independent from pixel to pixel; that of a pipeline's rebinned spectrum is not quite.
    Where the intrinsic spectrum does not reach, the exposure is invalid.

    Parameters
    ----------
    grid : WavelengthGrid
        Pixels of the exposure, in air.
    wavelength : float64[n]
        Wavelengths of the intrinsic spectra: air, rest frame of the star, Angstrom, uniform in
        their logarithm with steps of about the Gaussian sigma of the instrument or less.
    resolving_power : float, optional
        Resolving power of the Gaussian line-spread function; by default the spectrograph's.
    spectrograph : Spectrograph
        Coverage, gaps, readout noise and the pixel to which signal-to-noise ratios refer.

    Raises
    ------
    GridError
        If the grid is not in air, the wavelengths are not uniform in their logarithm or too
        coarse, or the two do not overlap.

    Examples
    --------
    >>> grid = WavelengthGrid(start=6870.0, step=0.06, size=256)
    >>> wavelength = 6850 * np.exp(np.arange(3000) / 299792.458)
    >>> simulator = ExposureSimulator(grid, wavelength)
    >>> some = torch.tensor([0.0, 20.0])
    >>> flux, valid = simulator(
    ...     torch.ones(2, 3000), rv=some, berv=some, airmass=1 + some / 20, pwv=some, vsini=some,
    ...     vmac=some, snr=torch.tensor([100.0, 200.0]), generator=torch.Generator().manual_seed(1)
    ... )
    >>> flux.shape, bool(valid.all())
    (torch.Size([2, 256]), True)
    """

    lower: Tensor
    upper: Tensor
    grid_valid: Tensor
    readout_variance: Tensor

    def __init__(
        self,
        grid: WavelengthGrid,
        wavelength: NDArray[np.float64],
        *,
        resolving_power: float | None = None,
        spectrograph: Spectrograph = HARPS,
    ) -> None:
        super().__init__()
        self.grid, self.spectrograph = grid, spectrograph
        steps = np.diff(np.log(wavelength))
        velocity_step = float(steps.mean() * SPEED_OF_LIGHT)
        resolving_power = resolving_power or spectrograph.resolving_power
        if grid.medium != "air":
            raise GridError(f"An exposure needs a grid in air; {grid.name!r} is in {grid.medium}.")
        if not np.allclose(steps, steps.mean(), rtol=1e-4, atol=0):
            raise GridError("An exposure needs wavelengths that are uniform in their logarithm.")
        if velocity_step > 0.5 * SPEED_OF_LIGHT / resolving_power:
            raise GridError(
                f"Steps of {velocity_step:.2f} km/s are too coarse for a resolving power of "
                f"{resolving_power:.0f}: at most half of its resolution is allowed."
            )
        reach = 1 + 1.1 * MAX_VELOCITY / SPEED_OF_LIGHT
        first, last = np.searchsorted(wavelength, (grid.edges[0] / reach, grid.edges[-1] * reach))
        if last - first < 2:
            raise GridError(
                f"Wavelengths {wavelength[0]:.1f}-{wavelength[-1]:.1f} A miss the grid "
                f"{grid.start:.1f}-{grid.stop:.1f} A."
            )
        self.part = slice(int(first), int(last))
        wavelength = wavelength[self.part]
        self.ends = float(wavelength[0]), float(wavelength[-1])
        self.broadening = Broadening(len(wavelength), velocity_step, padding=1.1 * MAX_VELOCITY)
        self.telluric = TelluricTransmission(wavelength, max_berv=MAX_BERV)
        self.response = PixelResponse(grid, wavelength, resolving_power=resolving_power)
        readout = torch.tensor(spectrograph.readout_variance(grid.wavelength), dtype=torch.float32)
        for name, value in (
            ("lower", torch.tensor(grid.edges[:-1])),
            ("upper", torch.tensor(grid.edges[1:])),
            ("grid_valid", torch.tensor(grid.valid)),
            ("readout_variance", readout),
        ):
            self.register_buffer(name, value, persistent=False)

    def forward(
        self,
        flux: Tensor,
        *,
        rv: Tensor,
        berv: Tensor,
        airmass: Tensor,
        pwv: Tensor,
        vsini: Tensor,
        vmac: Tensor,
        snr: Tensor | None = None,
        continuum: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Exposures of stars.

        Parameters
        ----------
        flux : Tensor
            Continuum-normalised intrinsic flux, [batch, n].
        rv, berv : Tensor
            Radial velocity and BERV, km/s, [batch]; at most `MAX_VELOCITY` and `MAX_BERV`.
        airmass : Tensor
            [batch]
        pwv : Tensor
            Precipitable water vapour at the zenith, mm, [batch].
        vsini, vmac : Tensor
            Projected rotation and radial-tangential macroturbulence, km/s, [batch].
        snr : Tensor, optional
            Signal-to-noise ratio of a pixel of the spectrograph (0.01 A for HARPS) where the
            continuum has its median, [batch]; none or infinite for no noise.
        continuum : Tensor, optional
            Smooth factor on the flux, [batch, pixel].
        generator : torch.Generator, optional
            Source of the noise.

        Returns
        -------
        flux : Tensor
            Flux on the grid, [batch, pixel], zero where invalid.
        valid : Tensor
            bool [batch, pixel], False in gaps and outside the coverage.
        """
        velocity = SPEED_OF_LIGHT * torch.atanh(rv / SPEED_OF_LIGHT)
        star = self.broadening(flux[:, self.part], velocity=velocity, vsini=vsini, vmac=vmac)
        result = self.response(star * self.telluric(berv=berv, airmass=airmass, pwv=pwv))
        if continuum is not None:
            result = result * continuum
        if snr is not None:
            noise = torch.empty_like(result).normal_(generator=generator)
            result = result + noise * self.noise(result, snr=snr, continuum=continuum)
        valid = self.valid(rv=rv, berv=berv)
        return torch.where(valid, result, 0.0), valid

    @torch.no_grad()
    def noise(self, flux: Tensor, *, snr: Tensor, continuum: Tensor | None = None) -> Tensor:
        """Standard deviation of noise-free flux, both [batch, pixel]; the rest as in `forward`."""
        scale = None
        if continuum is not None:
            # The continuum is smooth, so a pixel in 64 has its median.
            scale = continuum[:, ::64].median(dim=1, keepdim=True).values
        sigma = photon_noise(
            flux if scale is None else flux / scale,
            snr=snr,
            readout_variance=self.readout_variance,
            pixels=self.grid.step / self.spectrograph.grid.step,
        )
        return sigma if scale is None else sigma * scale

    @torch.no_grad()
    def valid(self, *, rv: Tensor, berv: Tensor) -> Tensor:
        """True where an exposure has signal, bool [batch, pixel]; the grid's own gaps have none."""
        earth = 1 + berv.double()[:, None] / SPEED_OF_LIGHT
        star = torch.exp(torch.atanh(rv.double()[:, None] / SPEED_OF_LIGHT))
        first, last = self.spectrograph.coverage
        start = torch.maximum(first * earth, self.ends[0] * star)
        stop = torch.minimum(last * earth, self.ends[1] * star)
        valid = self.grid_valid & (self.lower >= start) & (self.upper <= stop)
        for first, last in self.spectrograph.gaps:
            valid &= (self.upper <= first * earth) | (self.lower >= last * earth)
        return valid


def simulate_exposure(
    spectrum: Spectrum,
    *,
    rv: float = 0.0,
    berv: float = 0.0,
    airmass: float = 1.2,
    pwv: float = 4.0,
    vsini: float = 0.0,
    vmac: float = 0.0,
    snr: float = 100.0,
    seed: int = 0,
    grid: WavelengthGrid = HARPS_SMALL,
    level: float = 1.0,
    spectrograph: Spectrograph = HARPS,
) -> Spectrum:
    """One exposure of a star whose intrinsic spectrum is known.

    Parameters
    ----------
    spectrum : Spectrum
        Intrinsic spectrum in the rest frame of the star, not broadened by any instrument.
    rv, berv : float
        Radial velocity and BERV, km/s.
    airmass : float
        Airmass, at least 1.
    pwv : float
        Precipitable water vapour at the zenith, mm; its median at La Silla is 3.9 mm (ESO).
    vsini, vmac : float
        Projected rotation and radial-tangential macroturbulence, km/s.
    snr : float
        Signal-to-noise ratio of a pixel of the spectrograph (0.01 A for HARPS) at the flux
        `level`; infinite for no noise.
    seed : int
        Seed of the noise.
    grid : WavelengthGrid
        Pixels of the exposure, in air.
    level : float
        Flux to which `snr` refers: 1 is the continuum of a normalised spectrum.
    spectrograph : Spectrograph
        The spectrograph.

    Returns
    -------
    Spectrum
        Air, barycentric frame, with uncertainties, masked in gaps and outside the coverage.

    Raises
    ------
    SpectrumError
        If the spectrum is not in the rest frame or a parameter is out of range.
    GridError
        If the spectrum misses the grid.

    Examples
    --------
    >>> wavelength = np.arange(6850.0, 6920.0, 0.02)
    >>> star = Spectrum(wavelength, np.ones_like(wavelength), frame="rest")
    >>> grid = WavelengthGrid(start=6870.0, step=0.06, size=512)
    >>> exposure = simulate_exposure(star, berv=12.0, airmass=1.5, grid=grid)
    >>> exposure.frame, exposure.meta.berv, exposure.meta.airmass
    ('barycentric', 12.0, 1.5)
    """
    if spectrum.frame != "rest":
        raise SpectrumError(
            f"An exposure needs a spectrum in the star's rest frame, not {spectrum.frame!r}."
        )
    for name, value, lower, upper in (
        ("rv", rv, -MAX_VELOCITY, MAX_VELOCITY),
        ("berv", berv, -MAX_BERV, MAX_BERV),
        ("airmass", airmass, 1.0, np.inf),
        ("pwv", pwv, 0.0, np.inf),
        ("vsini", vsini, 0.0, MAX_VELOCITY),
        ("vmac", vmac, 0.0, MAX_VELOCITY / 4),
        ("snr", snr, np.finfo(np.float32).tiny, np.inf),
        ("level", level, np.finfo(np.float32).tiny, np.inf),
    ):
        if not lower <= value <= upper:
            raise SpectrumError(f"{name} must be between {lower:g} and {upper:g}, not {value}.")
    star = spectrum.to_medium("air")
    good = star.valid
    if good.sum() < 2:
        raise SpectrumError("A spectrum without good pixels cannot be exposed.")
    wave, flux = np.log(star.wavelength[good]), star.flux[good] / level
    step = 0.25 / spectrograph.resolving_power
    uniform = np.arange(wave[0], wave[-1], step)
    simulator = ExposureSimulator(grid, np.exp(uniform), spectrograph=spectrograph)
    labels = {"rv": rv, "berv": berv, "airmass": airmass, "pwv": pwv, "vsini": vsini, "vmac": vmac}
    intrinsic = torch.tensor(CubicSpline(wave, flux)(uniform), dtype=torch.float32)[None]
    clean, valid = simulator(intrinsic, **{k: torch.tensor([float(v)]) for k, v in labels.items()})
    sigma = simulator.noise(clean, snr=torch.tensor([float(snr)]))
    noise = torch.empty_like(clean).normal_(generator=torch.Generator().manual_seed(seed))
    usable = valid[0].numpy()
    return Spectrum(
        wavelength=grid.wavelength,
        flux=np.where(usable, level * (clean + noise * sigma)[0].numpy(), 0.0),
        uncertainty=np.where(usable, level * sigma[0].numpy(), np.inf),
        mask=~usable,
        medium="air",
        frame="barycentric",
        meta=Observation(
            object=spectrum.meta.object,
            berv=berv,
            airmass=airmass,
            airmass_end=airmass,
            snr=snr,
            rv=rv,
            instrument=f"{spectrograph.name} (simulated)",
            flux_unit=spectrum.meta.flux_unit,
        ),
    )
