"""Exposures simulated as they are asked for: no two batches are alike, and all can be repeated."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from maury.datasets.nuisances import ContinuumShape, Damage, LineStrengthErrors, ModelErrors
from maury.datasets.priors import HalfNormal, LogNormal, LogUniform, Prior, Uniform
from maury.errors import RecipeError
from maury.grid import WavelengthGrid
from maury.instrument.exposure import ExposureSimulator
from maury.labels import LabelSet

__all__ = ["ExposureBatch", "IntrinsicModel", "SimulatedExposures", "Simulation"]

# Random streams that never meet, whatever the seed.
STREAMS = ("training", "validation", "test")


class IntrinsicModel(Protocol):
    """What gives the spectrum of a star before rotation: `maury.synthesis.emulator.Emulator`."""

    names: tuple[str, ...]
    lower: Tensor
    upper: Tensor
    wavelength: np.ndarray
    velocity_step: float
    model_error: Tensor

    def flux(self, labels: Tensor) -> Tensor:
        """Continuum-normalised flux, float[batch, n], at physical labels, float[batch, names]."""


class ExposureBatch(NamedTuple):
    """A batch of exposures: flux and valid mask [batch, pixel], labels [batch, label]."""

    flux: Tensor
    valid: Tensor
    labels: Tensor


class Simulation(BaseModel):
    """Distributions of all that varies from one simulated exposure to the next.

    Units: K, dex, km/s, mm of precipitable water; `snr` is per HARPS pixel of 0.01 A.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    teff: Prior = Uniform(kind="uniform", low=4000, high=8000)
    logg: Prior = Uniform(kind="uniform", low=3.5, high=5.0)
    mh: Prior = Uniform(kind="uniform", low=-1.5, high=0.5)
    vmic: Prior = Uniform(kind="uniform", low=0.5, high=2.5)
    rv: Prior = Uniform(kind="uniform", low=-100, high=100)
    berv: Prior = Uniform(kind="uniform", low=-32, high=32)
    airmass: Prior = Uniform(kind="uniform", low=1.0, high=2.9)
    pwv: Prior = LogNormal(kind="log-normal", median=3.0, sigma=0.7, low=0.5, high=20.0)
    vsini: Prior = HalfNormal(kind="half-normal", low=0.0, sigma=8.0, high=40.0)
    vmac: Prior = Uniform(kind="uniform", low=0.0, high=8.0)
    snr: Prior = LogUniform(kind="log-uniform", low=20, high=400)
    line_strengths: LineStrengthErrors = Field(default_factory=LineStrengthErrors)
    model_errors: ModelErrors = Field(default_factory=ModelErrors)
    continuum: ContinuumShape = Field(default_factory=ContinuumShape)
    damage: Damage = Field(default_factory=Damage)


class SimulatedExposures:
    """Batches of simulated exposures, each made from its number alone.

    Parameters
    ----------
    emulator : IntrinsicModel
        Gives intrinsic spectra.
    grid : WavelengthGrid
        Grid of the exposures, barycentric.
    labels : LabelSet
        The labels to return, each among the distributed quantities of `simulation`.
    simulation : Simulation
        The distributions.
    seed : int
        With the stream and the number of a batch it fixes everything in that batch.

    Raises
    ------
    RecipeError
        If a distribution reaches beyond the emulator, or a label is not simulated.
    """

    def __init__(
        self,
        emulator: IntrinsicModel,
        grid: WavelengthGrid,
        labels: LabelSet,
        simulation: Simulation,
        seed: int,
    ) -> None:
        limits = zip(emulator.names, emulator.lower.tolist(), emulator.upper.tolist(), strict=True)
        for name, lower, upper in limits:
            prior = getattr(simulation, name)
            # The emulator's limits are float32.
            margin = 1e-5 * (upper - lower)
            if prior.low < lower - margin or prior.high > upper + margin:
                raise RecipeError(
                    f"The simulation draws {name} from {prior.low:g} to {prior.high:g}, "
                    f"but the emulator knows only {lower:g} to {upper:g}."
                )
        self.parameters = tuple(
            name
            for name in Simulation.model_fields
            if name not in ("line_strengths", "model_errors", "continuum", "damage")
        )
        for name in labels.names:
            if name not in self.parameters:
                raise RecipeError(
                    f"Label {name!r} is not simulated; allowed are {', '.join(self.parameters)}."
                )
        self.emulator = emulator
        self.grid = grid
        self.labels = labels
        self.simulation = simulation
        self.seed = seed
        self.device = emulator.lower.device
        self.simulator = ExposureSimulator(grid, emulator.wavelength).to(self.device)

    @torch.no_grad()
    def batch(self, index: int, size: int, stream: str = "training") -> ExposureBatch:
        """Exposures of batch number `index`.

        Parameters
        ----------
        index : int
            Number of the batch; the same number gives the same batch.
        size : int
            Number of exposures.
        stream : {"training", "validation", "test"}
            Batches of different streams have nothing in common.

        Returns
        -------
        ExposureBatch
            Fluxes in arbitrary units on the grid (air, barycentric) and their labels in physical
            units.
        """
        generator = self._generator(index, stream)
        values = {
            name: getattr(self.simulation, name).sample(size, generator) for name in self.parameters
        }
        intrinsic = self.emulator.flux(
            torch.stack([values[name] for name in self.emulator.names], dim=-1)
        )
        simulation = self.simulation
        intrinsic = simulation.line_strengths.apply(
            intrinsic, self.emulator.velocity_step, generator
        )
        intrinsic = simulation.model_errors.apply(
            intrinsic, self.emulator.model_error, self.emulator.velocity_step, generator
        )
        flux, valid = self.simulator(
            intrinsic,
            rv=values["rv"],
            berv=values["berv"],
            airmass=values["airmass"],
            pwv=values["pwv"],
            vsini=values["vsini"],
            vmac=values["vmac"],
            snr=values["snr"],
            continuum=simulation.continuum.sample(size, self.grid, generator),
            generator=generator,
        )
        flux, valid = simulation.damage.apply(flux, valid, self.grid, generator)
        labels = torch.stack([values[name] for name in self.labels.names], dim=-1)
        return ExposureBatch(flux, valid, labels)

    def describe(self, index: int, size: int) -> list[str]:
        """What the exposures of batch number `index` are called, in its order, for messages."""
        return [
            f"simulated exposure {number} of batch {index} (seed {self.seed})"
            for number in range(size)
        ]

    def sample_labels(self, size: int) -> Tensor:
        """Labels alone, float32[size, label], for measuring their centre and scale."""
        generator = self._generator(0, "validation")
        columns = [
            getattr(self.simulation, name).sample(size, generator) for name in self.labels.names
        ]
        return torch.stack(columns, dim=-1)

    def _generator(self, index: int, stream: str) -> torch.Generator:
        key = [self.seed, STREAMS.index(stream), index]
        state = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
        # PyTorch takes seeds of 63 bits.
        return torch.Generator(self.device).manual_seed(state >> 1)
