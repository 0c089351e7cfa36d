"""Where exposures are made: starlight in, what a pipeline would deliver out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from maury.datasets.nuisances import ExposureNuisances
from maury.datasets.starlight import exposure_grid
from maury.errors import GridError
from maury.grid import WavelengthGrid
from maury.instrument.calculator import ExposureCalculator
from maury.instrument.echelle import HARPS, Echelle
from maury.instrument.settings import Settings
from maury.synthesis.synthesize import COVERAGE
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["ExposurePixels", "Observatory"]


@dataclass(frozen=True)
class ExposurePixels:
    """Pixels that exposures are computed on, and how those of a grid come of them.

    They are narrow enough for the spectrograph, and go on beyond the grid, so that no star moves
    out of it.

    Parameters
    ----------
    grid : WavelengthGrid
        Of the exposures.
    wide : WavelengthGrid
        Of what they are computed from.
    before : int
        Pixels of `wide` that come before the grid.
    together : int
        Pixels of `wide` whose mean is one of the grid.
    """

    grid: WavelengthGrid
    wide: WavelengthGrid
    before: int
    together: int

    @classmethod
    def of(cls, grid: WavelengthGrid, velocity: float, echelle: Echelle = HARPS) -> ExposurePixels:
        """Pixels for shifts of up to a velocity, km/s, or as far as spectra can be computed.

        Raises
        ------
        GridError
            If there are none, or they are in vacuum.

        Examples
        --------
        >>> pixels = ExposurePixels.of(WavelengthGrid(start=5000.0, step=0.01, size=1000), 100.0)
        >>> pixels.before, pixels.together, pixels.wide.size
        (176, 1, 1352)
        """
        if grid.medium != echelle.medium:
            raise GridError(f"Wavelengths of exposures must be in {echelle.medium}.")
        if grid.start > COVERAGE[1] or grid.stop < COVERAGE[0]:
            raise GridError(
                f"No spectrum can be computed at {grid.start:.1f}-{grid.stop:.1f} A; allowed are "
                f"{COVERAGE[0]:g} to {COVERAGE[1]:g} A."
            )
        fine, together = exposure_grid(grid, echelle)
        # The calculator's interpolation takes some neighbours more.
        most = math.ceil(velocity / SPEED_OF_LIGHT * fine.stop / fine.step) + 8
        before, after = (
            min(max(math.floor(room / fine.step), 0), most)
            for room in (fine.start - COVERAGE[0], COVERAGE[1] - fine.stop)
        )
        wide = replace(
            fine,
            start=round(fine.start - before * fine.step, 9),
            size=before + fine.size + after,
            gaps=(),
            name="",
        )
        return cls(grid, wide, before, together)

    def means(self, values: Tensor) -> Tensor:
        """Values of `wide` on the pixels of the grid, [batch, pixel]."""
        part = values[:, self.before : self.before + self.grid.size * self.together]
        if self.together == 1:
            return part
        return part.unflatten(1, (self.grid.size, self.together)).mean(dim=2)


class Observatory:
    """Makes exposures on a grid, barycentric, of stars' spectra at the resolution.

    Parameters
    ----------
    pixels : ExposurePixels
        Of the spectra and the exposures.
    nuisances : ExposureNuisances
        What the exposures have beyond Appendix A.
    device : torch.device or str
        Where they are made.
    echelle : Echelle
        The spectrograph.
    """

    def __init__(
        self,
        pixels: ExposurePixels,
        nuisances: ExposureNuisances,
        device: torch.device | str = "cpu",
        echelle: Echelle = HARPS,
    ) -> None:
        self.pixels, self.nuisances = pixels, nuisances
        self.device = torch.device(device)
        self.calculator = ExposureCalculator(pixels.wide, echelle).to(self.device)
        self.trusted = torch.tensor(pixels.grid.valid, device=self.device)

    def expose(
        self,
        stars: Tensor,
        settings: Settings,
        flux_v: Tensor,
        *,
        seeds: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
        noise: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Exposures of stars.

        Parameters
        ----------
        stars : Tensor
            [batch, pixel of `wide`]
        settings : Settings
            How they are observed.
        flux_v : Tensor
            Their mean flux over the V band, [batch].
        seeds : sequence of int, optional
            One for each, which makes an exposure independent of the rest of the batch.
        generator : torch.Generator, optional
            Source of all that is random, instead, on the device.
        noise : bool
            Whether to add it.

        Returns
        -------
        flux : Tensor
            Electrons/A, [batch, pixel]; anything where invalid.
        sigma : Tensor
            Standard deviation of its noise.
        valid : Tensor
            bool [batch, pixel]
        """
        sources = self._sources(len(stars), seeds, generator)
        settings = self._offset(settings, len(stars), sources)
        flux, sigma = self.calculator(
            stars, settings, flux_v=flux_v, seeds=seeds, generator=generator, noise=noise
        )
        means, together = self.pixels.means, self.pixels.together
        # Where there is an order there is at least the noise of the readout.
        valid = (means(sigma) > 0) if together == 1 else means((sigma > 0).float()) == 1
        valid &= self.trusted
        flux = means(flux)
        sigma = means(sigma) if together == 1 else (means(sigma.square()) / together).sqrt()
        if not self.nuisances.disturb:
            return flux, sigma, valid
        parts = [
            self.nuisances.apply(flux[rows], sigma[rows], valid[rows], self.pixels.grid, source)
            for rows, source in sources
        ]
        flux, sigma, valid = (torch.cat(rows) for rows in zip(*parts, strict=True))
        return flux, sigma, valid

    def _sources(
        self, batch: int, seeds: Sequence[int] | None, generator: torch.Generator | None
    ) -> list[tuple[slice, torch.Generator]]:
        """Rows of a batch, and what their nuisances are drawn from."""
        if self.nuisances == ExposureNuisances():
            return []
        if seeds is None:
            return [(slice(0, batch), generator or torch.Generator(self.device))]
        return [
            (slice(i, i + 1), torch.Generator(self.device).manual_seed(seed))
            for i, seed in enumerate(seeds)
        ]

    def _offset(
        self, settings: Settings, batch: int, sources: list[tuple[slice, torch.Generator]]
    ) -> Settings:
        """An error of the wavelength scale moves star and Earth alike."""
        if not self.nuisances.wavelength_offset:
            return settings
        shift = torch.cat(
            [self.nuisances.offset(len(range(batch)[rows]), source) for rows, source in sources]
        )
        columns = settings.columns(batch)
        rv, berv = (shift.cpu() + torch.from_numpy(columns[name]) for name in ("rv", "berv"))
        return replace(settings, rv=rv, berv=berv)
