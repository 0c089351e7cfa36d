"""Exposures straight from physics: of stars that nobody has seen before and nobody will again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maury.datasets.exposures import ETC_LABELS, NIGHT, STAR, fastest
from maury.datasets.nuisances import ExposureNuisances
from maury.datasets.observatory import ExposurePixels, Observatory
from maury.datasets.sampling import Range
from maury.datasets.simulated import ExposureBatch, IntrinsicModel
from maury.datasets.starlight import LEAST_V, StarOptics
from maury.datasets.tensor_continuum import TensorContinuum
from maury.errors import MauryError
from maury.grid import HARPS, WavelengthGrid
from maury.instrument.photometry import V_RESPONSE, V_WAVELENGTH
from maury.instrument.settings import Settings
from maury.labels import LabelSet
from maury.synthesis.low_rank import LowRankOpacity
from maury.wavelength import doppler_factor

__all__ = ["ModelExposures"]

STREAM = 4  # of random numbers; others are those of `maury.datasets.training_source`


class ModelExposures:
    """Exposures of stars whose spectra are computed for them, on the device.

    Stars and nights are independent and uniform over their ranges, by default those of the paper.

    Parameters
    ----------
    model : LowRankOpacity or IntrinsicModel
        Gives spectra: the synthesis in its form for torch, or an emulator. An emulator's spectra
        are relative, and the continuum that `maury.datasets.starlight.Starlight` has is put in.
    grid : WavelengthGrid
        Of the exposures, barycentric, air. Pixels that the model does not reach are invalid.
    labels : LabelSet
        What is returned with the spectra.
    ranges : mapping of Range
        Of some of `STAR` and `NIGHT`.
    nuisances : ExposureNuisances
        What the paper's simulation lacks.
    seed : int
        With the number of a batch it fixes everything in it.
    device : torch.device or str
        Where exposures are made.

    Raises
    ------
    MauryError
        If a range is unknown or reaches beyond the model.
    """

    def __init__(
        self,
        model: LowRankOpacity | IntrinsicModel,
        grid: WavelengthGrid = HARPS,
        labels: LabelSet = ETC_LABELS,
        *,
        ranges: Mapping[str, Range] | None = None,
        nuisances: ExposureNuisances | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        known = {**STAR, **NIGHT}
        for name in ranges or {}:
            if name not in known:
                raise MauryError(f"No quantity is called {name!r}; there are {', '.join(known)}.")
        self.ranges = {**known, **(ranges or {})}
        self.grid, self.labels, self.seed = grid, labels, seed
        self.device = torch.device(device)
        self.nuisances = nuisances or ExposureNuisances()
        pixels = ExposurePixels.of(grid, fastest(self.ranges))
        self.observatory = Observatory(pixels, self.nuisances, device)
        if isinstance(model, LowRankOpacity):
            reached = model.wavelength.cpu().numpy()[2:-2]
            samples = StarOptics(pixels.wide).wavelength
            inside = (samples > reached[0]) & (samples < reached[-1])
            optics = StarOptics(pixels.wide, wavelength=samples[inside])
            model = model.at(optics.wavelength)
        else:
            optics = StarOptics(pixels.wide, wavelength=np.asarray(model.wavelength))
        if isinstance(model, torch.nn.Module):
            model.to(self.device)
        self.model, self.optics = model, optics.to(self.device)
        _check_limits(model, self.ranges)
        self.wavelength = torch.tensor(grid.wavelength, device=self.device)
        # Where the model does not reach there is nothing to be seen.
        self.reached = pixels.wide.wavelength[optics.part][[0, -1]].tolist()
        shown = (optics.wavelength > self.reached[0]) & (optics.wavelength < self.reached[1])
        self.shown = torch.tensor(shown, device=self.device)
        self.v_weight = self._v_weight()
        samples = np.concatenate([optics.wavelength, V_WAVELENGTH])
        self.continuum = TensorContinuum(samples, self.device)

    @torch.no_grad()
    def batch(self, index: int, size: int) -> ExposureBatch:
        """Exposures of batch number `index`: flux (electrons/A), valid mask and labels."""
        random = np.random.default_rng((self.seed, STREAM, index))
        values = {
            name: random.uniform(interval.low, interval.high, size)
            for name, interval in self.ranges.items()
        }
        generator = torch.Generator(self.device).manual_seed(int(random.integers(2**62)))
        star = {
            name: torch.tensor(values[name], dtype=torch.float32, device=self.device)
            for name in STAR
        }
        relative, continuum = self._spectra(star)
        if self.nuisances.line_strengths is not None:
            relative = self.nuisances.line_strengths.apply(
                relative, self.optics.velocity_step, generator
            )
        flux = self.optics(relative, continuum, vsini=star["vsini"], vmac=star["vmac"])
        settings: Any = {name: torch.from_numpy(values[name]) for name in NIGHT}
        exposure, _, valid = self.observatory.expose(
            torch.nan_to_num(flux),
            Settings(**settings),
            self._flux_v(flux, star),
            generator=generator,
        )
        shift = torch.tensor(doppler_factor(values["rv"]), device=self.device)[:, None]
        first, last = (end * shift for end in self.reached)
        valid &= (self.wavelength > first) & (self.wavelength < last)
        columns = np.stack([values[name] for name in self.labels.names], axis=1)
        labels = torch.tensor(columns, dtype=torch.float32, device=self.device)
        return ExposureBatch(exposure, valid, labels)

    def describe(self, index: int, size: int) -> list[str]:
        """What the exposures of batch number `index` are called, in its order, for messages."""
        return [
            f"simulated exposure {number} of batch {index} (seed {self.seed})"
            for number in range(size)
        ]

    def sample_labels(self, size: int) -> Tensor:
        """Labels alone, float32[size, label], distributed as in batches."""
        random = np.random.default_rng((self.seed, STREAM))
        ranges = [self.ranges[name] for name in self.labels.names]
        columns = [random.uniform(interval.low, interval.high, size) for interval in ranges]
        return torch.tensor(np.stack(columns, axis=1), dtype=torch.float32, device=self.device)

    def _spectra(self, star: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Flux over the continuum, and the continuum over its mean, at the samples."""
        labels = torch.stack([star[name] for name in self.model.names], dim=1)
        if isinstance(self.model, LowRankOpacity):
            flux, continuum = self.model.surface_flux(labels)
            return flux / continuum, continuum / continuum.mean(dim=1, keepdim=True)
        continuum, _ = self._computed(star)
        return self.model.flux(labels), continuum / continuum.mean(dim=1, keepdim=True)

    def _v_weight(self) -> Tensor | None:
        """What the pixels count in the mean flux over the V band; None if they hold too little."""
        weight = np.zeros_like(self.optics.v_weight)
        weight[self.optics.part] = self.optics.v_weight[self.optics.part]
        if self.optics.v_share * weight.sum() < LEAST_V:
            return None
        return torch.tensor(weight / weight.sum(), device=self.device)

    def _flux_v(self, flux: Tensor, star: Mapping[str, Tensor]) -> Tensor:
        """Mean flux over the V band; where little of it is there, as `Starlight` has it."""
        if self.v_weight is not None:
            return torch.nan_to_num(flux).double() @ self.v_weight
        here, in_v = (part.double() for part in self._computed(star))
        response = torch.tensor(V_RESPONSE / V_RESPONSE.sum(), device=self.device)
        dimming = flux.nanmean(dim=1).double() / here[:, self.shown].mean(dim=1)
        return dimming * (in_v @ response)

    def _computed(self, star: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Computed continua at the samples and over the V band."""
        both = self.continuum(star["teff"], star["logg"], star["mh"])
        return both[:, : self.shown.numel()], both[:, self.shown.numel() :]


def _check_limits(model: LowRankOpacity | IntrinsicModel, ranges: Mapping[str, Range]) -> None:
    limits = zip(model.names, model.lower.tolist(), model.upper.tolist(), strict=True)
    for name, lower, upper in limits:
        interval = ranges[name]
        # The limits are float32.
        margin = 1e-5 * (upper - lower)
        if interval.low < lower - margin or interval.high > upper + margin:
            raise MauryError(
                f"{name} = {interval} is asked for, but the model knows only {lower:g} to "
                f"{upper:g}."
            )
