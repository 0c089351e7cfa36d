"""What differs between a simulated and a real spectrum, drawn at random for each exposure.

Sect. 8 of the project's specification found what a network must be made insensitive to before it
can be trusted on real spectra: above all lines that the model has too strong or that do not
exist, then the shape of the continuum and missing or damaged pixels.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from maury.grid import WavelengthGrid

__all__ = [
    "ContinuumShape",
    "Damage",
    "ExposureNuisances",
    "LineStrengthErrors",
    "ModelErrors",
    "StrengthField",
]

# Order number times central wavelength in A: of HARPS, from its thorium-argon solutions.
ORDER_CONSTANT = 612_172.0


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StrengthField(_Settings):
    """A random error of ln(line strength) that varies along the spectrum.

    Its values at knots a correlation length apart follow Student's t distribution with two
    degrees of freedom, heavy in the tails, scaled by `sigma`; between knots it is linear.
    """

    sigma: float = Field(ge=0, le=2)
    correlation: float = Field(gt=0, description="distance of the knots in km/s")


class LineStrengthErrors(_Settings):
    r"""Wrong and missing lines: the intrinsic flux f becomes :math:`f^{g(\lambda)}`.

    In a weak line this multiplies the optical depth, hence the strength, by g.

    Parameters
    ----------
    overall : float
        Standard deviation of an error of ln g common to all lines of a spectrum.
    fields : tuple of StrengthField
        Errors that vary along the spectrum and add up in ln g.
    spread : (float, float)
        Every spectrum has its fields multiplied by a factor that is log-uniform in this range.
    deletions : float
        Mean number of places per 1000 km/s (about 18 A at 5500 A) where lines are all but gone.
    deletion_width : float
        Width of such a place, in km/s.
    limit : float
        Largest absolute value of ln g, apart from deletions.
    """

    overall: float = Field(default=0.03, ge=0, le=1)
    fields: tuple[StrengthField, ...] = ()
    spread: tuple[float, float] = (1.0, 1.0)
    deletions: float = Field(default=0.0, ge=0)
    deletion_width: float = Field(default=20.0, gt=0)
    limit: float = Field(default=1.5, gt=0)

    def apply(self, flux: Tensor, velocity_step: float, generator: torch.Generator) -> Tensor:
        """Disturb intrinsic spectra.

        Parameters
        ----------
        flux : Tensor, float[batch, pixel]
            Continuum-normalised flux in the rest frame, on wavelengths uniform in their
            logarithm.
        velocity_step : float
            Distance of the pixels, in km/s.
        generator : torch.Generator
            Source of the random numbers, on the device of `flux`.

        Returns
        -------
        Tensor, float[batch, pixel]
            Disturbed fluxes; pixels in the continuum do not change.
        """
        batch, pixels = flux.shape
        length = pixels * velocity_step
        device = flux.device
        lengths = [field.correlation for field in self.fields]
        if self.deletions > 0:
            lengths.append(self.deletion_width)
        knots = max(2, round(length / min(lengths, default=length)) + 1)
        low, high = self.spread
        exponent = torch.rand(batch, 1, generator=generator, device=device)
        factor = low * (high / low) ** exponent
        overall = torch.randn(batch, 1, generator=generator, device=device)
        strength = (self.overall * overall).expand(batch, knots)
        for field in self.fields:
            size = max(2, round(length / field.correlation) + 1)
            uniform = torch.rand(batch, size, generator=generator, device=device)
            values = field.sigma * factor * _student(uniform)
            strength = strength + _stretch(values, knots)
        strength = strength.clamp(-self.limit, self.limit).exp()
        probability = self.deletions / 1000 * length / (knots - 1)
        if probability > 0:
            # Wide places reach over the neighbouring knots, narrow ones are one knot.
            reach = round(self.deletion_width / (2 * length / (knots - 1)))
            deleted = torch.rand(batch, knots, generator=generator, device=device) < probability
            if reach > 0:
                spread = functional.max_pool1d(deleted.float()[:, None], 2 * reach + 1, 1, reach)
                deleted = spread[:, 0] > 0
            remainder = 0.3 * torch.rand(batch, knots, generator=generator, device=device)
            strength = torch.where(deleted, remainder, strength)
        return torch.pow(flux.clamp(min=1e-6), _stretch(strength, pixels))


class ModelErrors(_Settings):
    r"""What the model is known to get wrong, where it gets it wrong.

    The intrinsic flux is multiplied by :math:`\exp(e(\lambda) t(\lambda))`, where e is the size of
    the model's residual for the Sun at that wavelength and t follows Student's t distribution
    with two degrees of freedom at knots a correlation length apart. Pixels that the model cannot
    explain in the Sun thus say little about any star, and those it explains well say much.

    Parameters
    ----------
    factor : float
        What the size of the residuals is multiplied by; 0 for none.
    correlation : float
        Distance of the knots in km/s.
    unknown : float
        Size of the residual where the Sun tells nothing, in units of the continuum.
    limit : float
        Largest absolute value of e t.
    """

    factor: float = Field(default=0.0, ge=0)
    correlation: float = Field(default=20.0, gt=0)
    unknown: float = Field(default=0.02, ge=0)
    limit: float = Field(default=0.5, gt=0)

    def apply(
        self, flux: Tensor, error: Tensor, velocity_step: float, generator: torch.Generator
    ) -> Tensor:
        """Disturb intrinsic spectra.

        Parameters
        ----------
        flux : Tensor, float[batch, pixel]
            As for `LineStrengthErrors`.
        error : Tensor, float[pixel]
            Standard deviation of the residuals; infinite where nothing is known.
        velocity_step : float
            Distance of the pixels, in km/s.
        generator : torch.Generator
            Source of the random numbers, on the device of `flux`.
        """
        if self.factor == 0:
            return flux
        batch, pixels = flux.shape
        knots = max(2, round(pixels * velocity_step / self.correlation) + 1)
        size = self.factor * torch.where(torch.isfinite(error), error, self.unknown)
        uniform = torch.rand(batch, knots, generator=generator, device=flux.device)
        change = _stretch(_student(uniform), pixels).mul_(size).clamp_(-self.limit, self.limit)
        return change.exp_().mul_(flux)


class ContinuumShape(_Settings):
    r"""The smooth shape left by the instrument and by the star's own colour.

    Parameters
    ----------
    slope : float
        Standard deviation of the change of ln(flux) from one end of the grid to the other.
    ripple : float
        Standard deviation of ln(flux) at knots `ripple_length` apart, linear between them.
    ripple_length : float
        Distance of the knots in Angstrom.
    orders : float
        Size of what the merging of the orders leaves: in each order ln(flux) has an offset, a
        tilt and a curvature of its own, normal with this standard deviation times a factor that
        is uniform between 0 and 1 for each spectrum, and jumps where the orders meet.
    """

    slope: float = Field(default=0.5, ge=0)
    ripple: float = Field(default=0.02, ge=0)
    ripple_length: float = Field(default=40.0, gt=0)
    orders: float = Field(default=0.0, ge=0)

    def sample(self, size: int, grid: WavelengthGrid, generator: torch.Generator) -> Tensor:
        """Continua, float[size, grid.size], of order one."""
        device = generator.device
        knots = max(2, round(grid.size * grid.step / self.ripple_length) + 1)
        slope = self.slope * torch.randn(size, 1, generator=generator, device=device)
        ripple = self.ripple * torch.randn(size, knots, generator=generator, device=device)
        position = torch.linspace(-0.5, 0.5, knots, device=device)
        shape = slope * position + ripple
        if self.orders > 0:
            shape = self._orders(size, grid, generator) + _stretch(
                shape, round(grid.size * grid.step)
            )
        return _stretch(shape.exp(), grid.size)

    def _orders(self, size: int, grid: WavelengthGrid, generator: torch.Generator) -> Tensor:
        """ln(flux) left by merged orders, [size, knot], at knots about 1 A apart."""
        device = generator.device
        knots = round(grid.size * grid.step)
        wavelength = torch.linspace(grid.start, grid.stop, knots, device=device)
        # Where orders meet differs from pipeline to pipeline, hence the phase.
        number = ORDER_CONSTANT / wavelength + torch.rand(
            size, 1, generator=generator, device=device
        )
        order = number.floor().long()
        within = 2 * (number - order) - 1
        first, last = int(order.min()), int(order.max())
        factor = self.orders * torch.rand(size, 1, 1, generator=generator, device=device)
        coefficients = factor * torch.randn(
            3, size, last - first + 1, generator=generator, device=device
        ).swapaxes(0, 1)
        offset, tilt, curvature = (c.gather(1, order - first) for c in coefficients.unbind(1))
        return offset + tilt * within + curvature * (1.5 * within**2 - 0.5)


class Damage(_Settings):
    """Pixels that are missing or hit by cosmic rays.

    Parameters
    ----------
    chunks : int
        Largest number of missing pieces in a spectrum; the number is uniform from zero.
    chunk_length : (float, float)
        Range of the length of a missing piece in Angstrom; the logarithm is uniform.
    crop : float
        Part of the spectra that miss a piece at an end, as from another spectrograph.
    crop_length : float
        Largest length of that piece in Angstrom; the length is uniform.
    cosmics : int
        Largest number of pixels that are too bright without being flagged; the number is uniform
        from zero, the excess 5% to five times the mean flux.
    bad_pixels : int
        Largest number of pixels that have lost light without being flagged; the number is uniform
        from zero, and so is what is left of the light.
    """

    chunks: int = Field(default=2, ge=0, le=20)
    chunk_length: tuple[float, float] = (1.0, 60.0)
    crop: float = Field(default=0.1, ge=0, le=1)
    crop_length: float = Field(default=300.0, ge=0)
    cosmics: int = Field(default=4, ge=0, le=1000)
    bad_pixels: int = Field(default=0, ge=0, le=1000)

    def apply(
        self, flux: Tensor, valid: Tensor, grid: WavelengthGrid, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Damage a batch of fluxes and their valid masks, both [batch, pixel]."""
        batch, pixels = flux.shape
        device = flux.device

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, device=device)

        pixel = torch.arange(pixels, device=device)
        count = (uniform(batch, 1) * (self.chunks + 1)).floor()
        low, high = (length / grid.step for length in self.chunk_length)
        for chunk in range(self.chunks):
            length = low * (high / low) ** uniform(batch, 1)
            start = uniform(batch, 1) * pixels
            hit = (pixel >= start) & (pixel < start + length) & (count > chunk)
            valid = valid & ~hit
        lost = uniform(batch, 1) * self.crop_length / grid.step
        lost = torch.where(uniform(batch, 1) < self.crop, lost, 0.0)
        at_start = uniform(batch, 1) < 0.5
        valid = valid & torch.where(at_start, pixel >= lost, pixel < pixels - lost)
        if self.cosmics:
            number = (uniform(batch, 1) * (self.cosmics + 1)).floor()
            active = torch.arange(self.cosmics, device=device) < number
            where = (uniform(batch, self.cosmics) * pixels).long().clamp(max=pixels - 1)
            height = 0.05 * 100.0 ** uniform(batch, self.cosmics)
            level = flux.abs().mean(dim=-1, keepdim=True)
            flux = flux.scatter_add(-1, where, level * height * active)
        if self.bad_pixels:
            number = (uniform(batch, 1) * (self.bad_pixels + 1)).floor()
            active = torch.arange(self.bad_pixels, device=device) < number
            where = (uniform(batch, self.bad_pixels) * pixels).long().clamp(max=pixels - 1)
            left = torch.where(active, uniform(batch, self.bad_pixels), 1.0)
            flux = flux.scatter(-1, where, flux.gather(-1, where) * left)
        return flux, valid


class ExposureNuisances(_Settings):
    """What sets of exposures may have beyond the paper's simulation; nothing by default.

    Parameters
    ----------
    line_strengths : LineStrengthErrors, optional
        Of the star.
    continuum : ContinuumShape, optional
        What calibration and merging leave of the spectrograph's response.
    damage : Damage, optional
        Cosmic rays, bad and missing pixels.
    wavelength_offset : float
        Standard deviation of a shift of the whole wavelength scale, km/s.
    """

    line_strengths: LineStrengthErrors | None = None
    continuum: ContinuumShape | None = None
    damage: Damage | None = None
    wavelength_offset: float = Field(default=0.0, ge=0, le=100)

    def offset(self, size: int, generator: torch.Generator) -> Tensor:
        """Shifts of the wavelength scale, km/s, float32[size]."""
        normal = torch.randn(size, generator=generator, device=generator.device)
        return self.wavelength_offset * normal

    @property
    def disturb(self) -> bool:
        """Whether `apply` does anything."""
        return self.continuum is not None or self.damage is not None

    def apply(
        self,
        flux: Tensor,
        sigma: Tensor,
        valid: Tensor,
        grid: WavelengthGrid,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Disturb exposures by all but the shift.

        Parameters
        ----------
        flux, sigma, valid : Tensor
            The exposures, the standard deviation of their noise, and where they are valid,
            [batch, pixel].
        grid : WavelengthGrid
            Their pixels.
        generator : torch.Generator
            On their device.
        """
        if self.continuum is not None:
            shape = self.continuum.sample(len(flux), grid, generator)
            flux, sigma = flux * shape, sigma * shape
        if self.damage is not None:
            flux, valid = self.damage.apply(flux, valid, grid, generator)
        return flux, sigma, valid


def _student(uniform: Tensor) -> Tensor:
    """Student's t with two degrees of freedom, from its quantile function in closed form."""
    uniform = uniform.clamp(1e-6, 1 - 1e-6)
    return (2 * uniform - 1) / (2 * uniform * (1 - uniform)).sqrt()


def _stretch(knots: Tensor, size: int) -> Tensor:
    """Linear interpolation of [batch, knots] to [batch, size], end on end."""
    if knots.shape[-1] == size:
        return knots
    return functional.interpolate(knots[:, None], size=size, mode="linear", align_corners=True)[
        :, 0
    ]
