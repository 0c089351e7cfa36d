"""An exposure-time calculator: spectra of stars in, terms and noisy exposures of Appendix A out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from maury.errors import GridError, SpectrumError
from maury.grid import WavelengthGrid
from maury.instrument.echelle import HARPS, Echelle
from maury.instrument.effective_depth import effective_depths
from maury.instrument.exposure_kernels import Depths, expose, observe
from maury.instrument.normals import NormalSource
from maury.instrument.photoelectrons import Photoelectrons, draw, mean_flux, variance
from maury.instrument.resampling import shifted
from maury.instrument.settings import Settings
from maury.instrument.site import LA_SILLA, PHOTON_ENERGY, Site, fibre_coupling
from maury.wavelength import SPEED_OF_LIGHT, doppler_factor

__all__ = ["V_ZERO_POINT", "ExposureCalculator"]

V_ZERO_POINT = 3.631e-9
"""Mean flux density of a star of V = 0, erg/s/cm2/A (Bessell, Castelli & Plez 1998, A&A 333, 231,
Table A2)."""

# Response in V from 4700 A in steps of 100 A (Bessell 1990, PASP 102, 1181, Table 2).
_V_RESPONSE = (
    *(0.000, 0.030, 0.163, 0.458, 0.780, 0.967, 1.000, 0.973, 0.898, 0.792, 0.684, 0.574),
    *(0.461, 0.359, 0.270, 0.197, 0.135, 0.081, 0.045, 0.025, 0.017, 0.013, 0.009, 0.000),
)
_V_WAVELENGTH = 4700.0 + 100.0 * np.arange(len(_V_RESPONSE))
_LEAST_V = 0.5  # share of the V band that a grid must hold to take a magnitude from

STRIDE = 256  # pixels between the samples of what varies slowly with wavelength


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
        coarsest = 0.5 * grid.start / echelle.resolving_power
        if grid.step > coarsest:
            raise GridError(
                f"Pixels of {grid.step:g} A are too coarse for {echelle.name}: at most "
                f"{coarsest:.4f} A."
            )
        modes = echelle.readout_noise
        if readout is not None and readout not in modes:
            raise SpectrumError(
                f"{echelle.name} has no readout mode {readout!r}; it has {', '.join(modes)}."
            )
        self.readout_noise = modes[readout or next(iter(modes))]
        wave = grid.wavelength
        self.coarse = grid.start + grid.step * STRIDE * np.arange(-(-grid.size // STRIDE) + 1)
        self.depths = effective_depths(wave, echelle.resolving_power)
        response = np.interp(wave, _V_WAVELENGTH, _V_RESPONSE)
        self.v_share = response.sum() * grid.step / (100.0 * sum(_V_RESPONSE))
        even, odd = echelle.halves(wave)
        weights = [half.blaze * half.dispersion for half in (even, odd)]
        count = np.maximum(even.covered.astype(float) + odd.covered, 1.0)
        inverse = [np.divide(1, w, out=np.zeros_like(w), where=w > 0) for w in weights]
        buffers = {
            "v_response": response / max(float(response.sum()), 1e-30),
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
        noise: bool = True,
        out: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Noisy exposures and their standard deviation, by `mean_flux` and `variance`.

        On a CPU the same sums are done by compiled loops, which pass over memory once.

        Parameters
        ----------
        sed, settings, flux_v
            As in `photoelectrons`.
        generator : torch.Generator, optional
            Source of the noise.
        noise : bool
            Whether to add it.
        out : (Tensor, Tensor), optional
            Contiguous float32 [batch, pixel] on the CPU that the results are written to, which
            saves the time of fetching memory.

        Returns
        -------
        flux, sigma : Tensor
            Electrons/A at the peak of the blaze, [batch, pixel]; zero where there is no order.
        """
        if sed.device.type != "cpu":
            terms = self.photoelectrons(sed, settings, flux_v=flux_v)
            flux = draw(terms, generator) if noise else mean_flux(terms)
            return flux, torch.sqrt(variance(terms))
        columns = settings.columns(len(sed))
        smooth, sky, sky_lines = (x.astype(np.float32) for x in self._smooth(columns))
        scale = self._scale(sed, columns, flux_v)
        pixels = self.echelle.spatial_pixels
        detector = pixels * (
            columns["exposure"] * self.echelle.dark_current / 3600.0
            + settings.ndit * self.readout_noise**2
        )
        stars = np.ascontiguousarray(sed.numpy(), dtype=np.float32)
        normal, source = np.zeros(self.grid.size, dtype=np.float32), NormalSource(generator)
        flux, sigma = out or (torch.empty(sed.shape), torch.empty(sed.shape))
        curve, floor, air = np.empty((3, self.grid.size), dtype=np.float32)
        light_weight, detector_weight = self.light_weight.numpy(), self.detector_weight.numpy()
        lines = self.lines.numpy()
        for i, star in enumerate(stars):
            amounts = self._amounts(columns["airmass"][i], columns["pwv"][i])
            observe(
                smooth[i] * np.float32(scale[i]), sky[i], sky_lines[i], STRIDE, lines,
                amounts["oxygen"], amounts["water"],
                light_weight, detector_weight, float(detector[i]), curve, floor, air,
            )  # fmt: skip
            curve *= np.exp(air, out=air)
            if noise:
                source.draw(normal)
            expose(
                star, curve, floor, light_weight, self.grid.start / self.grid.step,
                float(1 / doppler_factor(columns["rv"][i]) - 1),
                float(1 / (1 + columns["berv"][i] / SPEED_OF_LIGHT) - 1),
                normal, flux[i].numpy(), sigma[i].numpy(),
            )  # fmt: skip
        return flux, sigma

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
            flux_v = sed.detach() @ self.v_response.to(sed)
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
        result = torch.ones(len(columns["airmass"]), self.grid.size, device=device)
        for row, airmass, pwv in zip(result, columns["airmass"], columns["pwv"], strict=True):
            for first, below, above, u, v in self._amounts(airmass, pwv).values():
                depth = u * torch.as_tensor(below) + v * torch.as_tensor(above)
                row[first:] *= torch.exp(-depth.to(device))
        return result

    def _upsample(self, coarse: NDArray[np.float64], device: torch.device) -> Tensor:
        """From every `STRIDE`-th pixel to all, linearly, [batch, pixel]."""
        rows = torch.as_tensor(coarse, dtype=torch.float32, device=device)[:, None]
        size = STRIDE * (len(self.coarse) - 1) + 1
        fine = functional.interpolate(rows, size=size, mode="linear", align_corners=True)
        return fine[:, 0, : self.grid.size]

    def _nearest(self, factor: Tensor) -> Tensor:
        """Pixel of the observatory frame that is nearest to each pixel, [batch, pixel]."""
        pixel = torch.arange(self.grid.size, device=factor.device)
        offset = (self.grid.start / self.grid.step + pixel.double()) * (1 / factor - 1)[:, None]
        return (pixel + torch.floor(offset + 0.5).long()).clamp(0, self.grid.size - 1)
