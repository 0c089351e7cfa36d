"""An exposure-time calculator: spectra of stars in, terms and noisy exposures of Appendix A out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from maury.errors import GridError, SpectrumError
from maury.grid import WavelengthGrid
from maury.instrument.echelle import HARPS, Echelle
from maury.instrument.effective_depth import effective_depths
from maury.instrument.exposure_kernels import CELL, LINES, OXYGEN, WATER, Depths, expose
from maury.instrument.normals import NormalSource
from maury.instrument.photoelectrons import Photoelectrons, mean_flux, variance
from maury.instrument.photometry import V_ZERO_POINT, v_weights
from maury.instrument.resampling import shifted
from maury.instrument.settings import Settings
from maury.instrument.site import LA_SILLA, PHOTON_ENERGY, Site, fibre_coupling
from maury.wavelength import SPEED_OF_LIGHT, doppler_factor

__all__ = ["ExposureCalculator"]

_LEAST_V = 0.5  # share of the V band that a grid must hold to take a magnitude from


class ExposureCalculator(torch.nn.Module):
    """Exposures of stars after Appendix A of Cvrcek et al. 2024, computed instead of asked for.

    The star is shifted by its radial velocity first, and then dimmed by atmosphere, fibre and
    spectrograph, none of which move with it. All that stands still at the observatory (telluric
    lines, extinction, blaze, ends of orders, the gap) is shifted by 1 + BERV/c, for the result is
    in the barycentric frame.

    Spectra come in at the spectrograph's resolution, on the grid, in the star's rest frame; see
    `maury.instrument.resampling.at_resolution`. Their lines and the telluric ones are multiplied
    after each was smoothed. As in the paper, every pixel of the grid has the signal-to-noise ratio
    of a detector pixel, independently of its neighbours: on pixels finer than the detector's a
    spectrum tells more than was received.

    Parameters
    ----------
    grid : WavelengthGrid
        Pixels of spectra in and out, at least two to the resolution.
    echelle : Echelle
        The spectrograph.
    site : Site
        The night.
    readout : str, optional
        Readout mode; by default the echelle's usual one.
    Raises
    ------
    GridError
        If the grid is not in the medium of the echelle or too coarse for it.
    SpectrumError
        If the echelle has no such readout mode.

    Examples
    --------
    >>> grid = WavelengthGrid(start=5480.0, step=0.01, size=4096)
    >>> calculator = ExposureCalculator(grid)
    >>> terms = calculator.photoelectrons(torch.ones(1, grid.size), Settings(), flux_v=1.0)
    >>> round(terms.signal_to_noise[0, 3487].item())
    110
    """

    v_response: Tensor
    lines: Tensor
    light_weight: Tensor
    detector_weight: Tensor

    def __init__(
        self,
        grid: WavelengthGrid,
        echelle: Echelle = HARPS,
        site: Site = LA_SILLA,
        *,
        readout: str | None = None,
    ) -> None:
        super().__init__()
        self.grid, self.echelle, self.site = grid, echelle, site
        if grid.medium != echelle.medium:
            raise GridError(
                f"{echelle.name} is calibrated in {echelle.medium}, the grid in {grid.medium}."
            )
        widest = echelle.widest_pixel(grid.start)
        if grid.step > widest:
            raise GridError(
                f"Pixels of {grid.step:g} A are too coarse for {echelle.name}: at most "
                f"{widest:.4f} A."
            )
        modes = echelle.readout_noise
        if readout is not None and readout not in modes:
            raise SpectrumError(
                f"{echelle.name} has no readout mode {readout!r}; it has {', '.join(modes)}."
            )
        self.readout_noise = modes[readout or next(iter(modes))]
        wave = grid.wavelength
        self.coarse = grid.start + grid.step * CELL * np.arange(-(-grid.size // CELL) + 1)
        self.depths = effective_depths(wave, echelle.resolving_power)
        response, self.v_share = v_weights(wave)
        even, odd = echelle.halves(wave)
        weights = [half.blaze * half.dispersion for half in (even, odd)]
        count = np.maximum(even.covered.astype(float) + odd.covered, 1.0)
        inverse = [np.divide(1, w, out=np.zeros_like(w), where=w > 0) for w in weights]
        buffers = {
            "v_response": response,
            "lines": site.sky_lines(wave),
            "blaze_a": even.blaze,
            "blaze_b": odd.blaze,
            "dispersion_a": even.dispersion,
            "dispersion_b": odd.dispersion,
            # Light times the first plus n times the second is Eq. A.2 again, for both orders have
            # the same throughput per h.
            "light_weight": (inverse[0] + inverse[1]) / count**2,
            "detector_weight": (inverse[0] ** 2 + inverse[1] ** 2) / count**2,
        }
        for name, value in buffers.items():
            tensor = torch.tensor(value, dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)
        for name, depths in self.depths.items():
            tensor = torch.from_numpy(depths.depth)
            self.register_buffer(f"{name}_depth", tensor, persistent=False)
        self.cells = self._cells()
        there = np.flatnonzero(self.light_weight.numpy())
        self.observed = (int(there[0]), int(there[-1]) + 1) if there.size else (0, 0)

    def _cells(self) -> NDArray[np.uint8]:
        """What there is in each cell of `CELL` pixels: most hold neither lines nor molecules."""
        there = np.zeros((3, CELL * (len(self.coarse) - 1)), dtype=bool)
        for row, name in zip(there, ("oxygen", "water"), strict=False):
            depths = self.depths[name]
            row[depths.first : self.grid.size] = depths.depth.any(axis=0)
        there[2, : self.grid.size] = self.lines.numpy() > 0
        bits = there.reshape(3, -1, CELL).any(axis=2)
        return np.dot([OXYGEN, WATER, LINES], bits).astype(np.uint8)

    def photoelectrons(
        self, sed: Tensor, settings: Settings, *, flux_v: Tensor | float | None = None
    ) -> Photoelectrons:
        """Every term of Appendix A's list.

        Parameters
        ----------
        sed : Tensor
            Flux density of stars in any unit, [batch, pixel].
        settings : Settings
            How they are observed.
        flux_v : Tensor or float, optional
            What a star of the given magnitude has as mean flux density over the V band, in the
            unit of `sed`; by default the mean of `sed` itself.

        Returns
        -------
        Photoelectrons
            On the grid, barycentric frame.
        """
        columns = settings.columns(len(sed))
        sed = sed if sed.is_floating_point() else sed.float()
        earth = torch.as_tensor(1 + columns["berv"] / SPEED_OF_LIGHT, device=sed.device)
        star = torch.as_tensor(doppler_factor(columns["rv"]), device=sed.device)
        smooth, sky, sky_lines = self._smooth(columns)
        atmosphere = self._air(columns, sed.device)
        light, continuum, per_radiance = (
            self._upsample(x, sed.device) for x in (smooth, sky, sky_lines)
        )
        scale = torch.as_tensor(self._scale(sed, columns, flux_v)).to(sed)[:, None]
        target = shifted(sed * scale, star, self.grid)
        throughput = shifted(light * atmosphere, earth, self.grid)
        # The frame of the Earth again; the ends of orders are sharp, so the nearest pixel counts.
        frame = self._nearest(earth)
        background = (continuum + per_radiance * self.lines).gather(1, frame)
        blaze_a, blaze_b, dispersion_a, dispersion_b = (
            getattr(self, name).expand(len(sed), -1).gather(1, frame)
            for name in ("blaze_a", "blaze_b", "dispersion_a", "dispersion_b")
        )
        extinction = self.site.extinction_at(self.coarse)
        air = np.exp(-0.4 * np.log(10) * columns["airmass"][:, None] * extinction)
        return Photoelectrons(
            target_sed=target,
            signal_a=target * throughput * blaze_a * dispersion_a,
            signal_b=target * throughput * blaze_b * dispersion_b,
            sky_a=background * blaze_a * dispersion_a,
            sky_b=background * blaze_b * dispersion_b,
            atmosphere=shifted(self._upsample(air, sed.device) * atmosphere, earth, self.grid),
            blaze_a=blaze_a,
            blaze_b=blaze_b,
            dispersion_a=dispersion_a,
            dispersion_b=dispersion_b,
            readout_noise=torch.tensor([[self.readout_noise]]).to(sed),
            ndit=torch.tensor([[float(settings.ndit)]]).to(sed),
            dark=torch.tensor([[self.echelle.dark_current / 3600.0]]).to(sed),
            dit=torch.as_tensor(columns["exposure"] / settings.ndit).to(sed)[:, None],
            spatial_pixels=self.echelle.spatial_pixels,
            spectral_pixels=1.0,
        )

    @torch.no_grad()
    def forward(
        self,
        sed: Tensor,
        settings: Settings,
        *,
        flux_v: Tensor | float | None = None,
        generator: torch.Generator | None = None,
        seeds: Sequence[int] | None = None,
        noise: bool = True,
        uncertainty: bool = True,
        out: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Noisy exposures and their standard deviation, by `mean_flux` and `variance`.

        On a CPU the same sums are done by compiled loops, which pass over memory once.

        Parameters
        ----------
        sed, settings, flux_v
            As in `photoelectrons`; `sed` may be of any real type, whole numbers too.
        generator : torch.Generator, optional
            Source of the noise, on the device of `sed`.
        seeds : sequence of int, optional
            One for the noise of each star, instead: so an exposure is the same in any batch.
        noise : bool
            Whether to add it.
        uncertainty : bool
            Whether to keep the standard deviation; without it `sigma` has no pixels.
        out : Tensor, optional
            Contiguous float32 [batch, pixel] on the CPU that the flux is written to, which saves
            the time of fetching memory.

        Returns
        -------
        flux, sigma : Tensor
            Electrons/A at the peak of the blaze, [batch, pixel]; zero where there is no order.
        """
        if sed.device.type != "cpu":
            terms = self.photoelectrons(sed, settings, flux_v=flux_v)
            mean, spread = mean_flux(terms), torch.sqrt(variance(terms))
            if noise:
                normal = torch.empty_like(mean)
                if seeds is None:
                    normal.normal_(generator=generator)
                else:
                    for row, seed in zip(normal, seeds, strict=True):
                        row.normal_(generator=torch.Generator(sed.device).manual_seed(seed))
                mean = torch.addcmul(mean, normal, spread)
            return mean, spread if uncertainty else spread[:, :0]
        if seeds is None and noise:
            seeds = torch.randint(2**63 - 1, (len(sed),), generator=generator).tolist()
        columns = settings.columns(len(sed))
        smooth, sky, sky_lines = (x.astype(np.float32) for x in self._smooth(columns))
        smooth *= self._scale(sed, columns, flux_v).astype(np.float32)[:, None]
        detector = self.echelle.spatial_pixels * (
            columns["exposure"] * self.echelle.dark_current / 3600.0
            + settings.ndit * self.readout_noise**2
        )
        star_slope = 1 / doppler_factor(columns["rv"]) - 1
        earth_slope = 1 / (1 + columns["berv"] / SPEED_OF_LIGHT) - 1
        stars = sed.numpy() if sed.dtype is torch.int16 else sed.float().numpy()
        flux = np.empty(sed.shape, np.float32) if out is None else out.numpy()
        sigma = np.empty(sed.shape if uncertainty else (len(sed), 0), np.float32)
        fixed = self.lines.numpy(), self.light_weight.numpy(), self.detector_weight.numpy()
        lines, light_weight, detector_weight = fixed
        for i, star in enumerate(stars):
            amounts = self._amounts(columns["airmass"][i], columns["pwv"][i])
            source = NormalSource(seeds[i] if seeds is not None and noise else 0)
            expose(
                np.ascontiguousarray(star), smooth[i], sky[i], sky_lines[i], self.cells, lines,
                amounts["oxygen"], amounts["water"], light_weight, detector_weight,
                float(detector[i]), self.observed, self.grid.start / self.grid.step,
                float(star_slope[i]), float(earth_slope[i]),
                source.state if noise else source.state[:0], source.room, flux[i], sigma[i],
            )  # fmt: skip
        return torch.from_numpy(flux), torch.from_numpy(sigma)

    def _scale(
        self, sed: Tensor, columns: dict[str, NDArray[np.float64]], flux_v: Tensor | float | None
    ) -> NDArray[np.float64]:
        """What turns the unit of the spectra into erg/s/cm2/A at the magnitude, [batch]."""
        if flux_v is None:
            if self.v_share < _LEAST_V:
                raise GridError(
                    f"The grid holds {100 * self.v_share:.0f}% of the V band, too little to take a "
                    "magnitude from: give flux_v."
                )
            flux_v = sed.detach().float() @ self.v_response
        mean = np.asarray(torch.as_tensor(flux_v).cpu(), dtype=np.float64)
        if not (mean > 0).all():
            raise SpectrumError("A star without light in the V band has no magnitude there.")
        return np.asarray(V_ZERO_POINT * 10 ** (-0.4 * columns["magnitude"]) / mean)

    def _smooth(self, columns: dict[str, NDArray[np.float64]]) -> tuple[NDArray[np.float64], ...]:
        """What varies slowly: electrons/A for a unit flux; of the sky; for a unit of its lines."""
        wave, echelle = self.coarse, self.echelle
        air = 10 ** (-0.4 * columns["airmass"][:, None] * self.site.extinction_at(wave))
        coupling = fibre_coupling(
            wave,
            seeing=columns["seeing"][:, None],
            airmass=columns["airmass"][:, None],
            diameter=echelle.fibre,
        )
        received = columns["exposure"][:, None] * echelle.collecting_area * echelle.efficiency(wave)
        star = received * air * coupling * wave / PHOTON_ENERGY
        per_radiance = received * np.pi / 4 * echelle.fibre**2
        sky = per_radiance * self.site.sky_continuum(wave, columns["moon"])
        return star, sky, per_radiance

    def _amounts(self, airmass: float, pwv: float) -> dict[str, Depths]:
        """Depths below and above each molecule's amount, and their weights."""
        amounts: dict[str, Depths] = {}
        for name, amount in (("oxygen", airmass), ("water", airmass * pwv)):
            depths = self.depths[name]
            node, share = depths.position(amount)
            below, above = depths.depth[node], depths.depth[node + 1]
            amounts[name] = (depths.first, below, above, amount * (1 - share), amount * share)
        return amounts

    def _air(self, columns: dict[str, NDArray[np.float64]], device: torch.device) -> Tensor:
        """Transmission of oxygen and water, observatory frame, [batch, pixel]."""
        airmass = columns["airmass"]
        result = torch.ones(len(airmass), self.grid.size, device=device)
        for name, amounts in (("oxygen", airmass), ("water", airmass * columns["pwv"])):
            table, depths = getattr(self, f"{name}_depth"), self.depths[name]
            node, share = zip(*(depths.position(amount) for amount in amounts), strict=True)
            places = torch.tensor(node, device=device)
            weight = torch.tensor(share, dtype=torch.float32, device=device)[:, None]
            depth = torch.lerp(table[places], table[places + 1], weight)
            amount = torch.tensor(amounts, dtype=torch.float32, device=device)[:, None]
            result[:, depths.first :] *= torch.exp(-amount * depth)
        return result

    def _upsample(self, coarse: NDArray[np.float64], device: torch.device) -> Tensor:
        """From every `CELL`-th pixel to all, linearly, [batch, pixel]."""
        rows = torch.as_tensor(coarse, dtype=torch.float32, device=device)[:, None]
        size = CELL * (len(self.coarse) - 1) + 1
        fine = functional.interpolate(rows, size=size, mode="linear", align_corners=True)
        return fine[:, 0, : self.grid.size]

    def _nearest(self, factor: Tensor) -> Tensor:
        """Pixel of the observatory frame that is nearest to each pixel, [batch, pixel]."""
        pixel = torch.arange(self.grid.size, device=factor.device)
        offset = (self.grid.start / self.grid.step + pixel.double()) * (1 / factor - 1)[:, None]
        return (pixel + torch.floor(offset + 0.5).long()).clamp(0, self.grid.size - 1)
