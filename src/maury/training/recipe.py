"""Recipes: all that decides a training run, in one YAML file that is checked beforehand."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from maury.datasets.exposures import NIGHT
from maury.datasets.nuisances import ExposureNuisances
from maury.datasets.simulated import Simulation
from maury.labels import LABELS, LabelSet
from maury.models.zoo import ZOO, Model
from maury.synthesis.emulator import STANDARD
from maury.training.scale import SCALES, Scale

__all__ = [
    "Data",
    "DisturbedExposures",
    "EarlyStop",
    "LossWeights",
    "ModelSettings",
    "Observed",
    "Optimizer",
    "PreprocessingSettings",
    "Pretrained",
    "Recipe",
    "SimulatedAsInPaper",
    "Training",
]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSettings(_Settings):
    """A model of `maury.models.zoo.ZOO`.

    Parameters
    ----------
    name : str
        Its key.
    nodes : int, optional
        Size of the bottleneck; by default the model's.
    decoder : mapping
        Further keyword arguments of the decoder.
    """

    name: str
    nodes: int | None = Field(default=None, ge=1, le=4096)
    decoder: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ZOO:
            raise ValueError(f"the models are {', '.join(ZOO)}")
        return name

    @property
    def model(self) -> Model:
        """What it is made of."""
        return ZOO[self.name]


class PreprocessingSettings(_Settings):
    """Arguments of `maury.models.preprocessing.Preprocessing`; by default those of Eq. 2."""

    continuum: float | None = Field(default=None, gt=0)
    quantile: float = Field(default=0.9, gt=0, le=1)
    bin: int = Field(default=4, ge=1)
    clip: tuple[float, float] | None = None
    ignore: tuple[tuple[float, float], ...] = ()


class SimulatedAsInPaper(_Settings):
    """Exposures as Appendix A of the paper makes them.

    Parameters
    ----------
    store, validation : str, optional
        Folders of `maury simulate etc`: stars to train on and others to validate on. Without them
        stars come from the emulator, without end, within its range.
    fresh : tuple of str
        What is drawn anew for each exposure of a store; the paper has radial velocities alone.
    ranges : mapping
        Of what is drawn, in place of the paper's, where there is no store: [low, high].
    nuisances : ExposureNuisances
        What the paper's simulation lacks, where there is no store.
    """

    kind: Literal["paper"] = "paper"
    store: str | None = None
    validation: str | None = None
    fresh: tuple[str, ...] = tuple(NIGHT)
    ranges: dict[str, tuple[float, float]] = Field(default_factory=dict)
    nuisances: ExposureNuisances = Field(default_factory=ExposureNuisances)

    @model_validator(mode="after")
    def _both_or_none(self) -> SimulatedAsInPaper:
        if (self.store is None) != (self.validation is None):
            raise ValueError("store and validation must be given together")
        return self


class DisturbedExposures(_Settings):
    """Exposures whose lines, continua and pixels are wrong in as many ways as real ones.

    Parameters
    ----------
    emulator : str
        Of the stars: "emulator-fgk" comes with the package, anything else is the path of another.
    distributions : Simulation
        Of all that varies.
    """

    kind: Literal["disturbed"]
    emulator: str = STANDARD
    distributions: Simulation = Field(default_factory=Simulation)


class Observed(_Settings):
    """Observed exposures.

    Parameters
    ----------
    store : str, optional
        Folder of `maury ingest` or `maury simulate archive`. Without it a mock archive is made, of
        the size that the scale says.
    known : float
        Share of the known labels that may be used, above 0; 0.01 is the paper's "1%".
    """

    store: str | None = None
    known: float = Field(default=1.0, gt=0, le=1)


class Data(_Settings):
    """What is trained on.

    Parameters
    ----------
    rate : float
        Share of simulated exposures in a batch: 1 for simulated alone, 0 for observed alone.
    simulated, observed
        See there.
    zero_unknown : bool
        Whether the unknown factors of simulated exposures are supervised to be zero (Sect. 3.2).
    """

    rate: float = Field(ge=0, le=1)
    simulated: Annotated[SimulatedAsInPaper | DisturbedExposures, Field(discriminator="kind")] = (
        SimulatedAsInPaper()
    )
    observed: Observed = Observed()
    zero_unknown: bool = True

    @model_validator(mode="before")
    @classmethod
    def _as_in_paper(cls, values: Any) -> Any:
        """The kind of simulated exposures may be left out."""
        if isinstance(values, dict) and isinstance(values.get("simulated"), dict):
            values = {**values, "simulated": {"kind": "paper", **values["simulated"]}}
        return values


class Pretrained(_Settings):
    """The decoder that an autoencoder starts from.

    Parameters
    ----------
    run : str
        Name of a run at the same scale, beside this one; or the path of a card.
    frozen : float
        Share of the epochs in which it does not change.
    """

    run: str
    frozen: float = Field(default=0.1, ge=0, le=1)


class LossWeights(_Settings):
    """Weights of the terms of Eqs. 7 to 11; the defaults are the paper's."""

    label_weight: float = Field(default=1.0, ge=0)
    kl_weight: float = Field(default=3.2e-4, ge=0)
    mmd_weight: float = Field(default=100.0, ge=0)


class Optimizer(_Settings):
    """Adam, and what its rate does; the defaults are those of Sect. 3.3.

    Parameters
    ----------
    lr : float
        The rate's peak.
    betas : (float, float)
        Decay of the moments.
    warmup : float
        Share of the run in which the rate rises linearly from zero.
    schedule : {"constant", "cosine"}
        What it does afterwards: stay, or fall to zero by a cosine.
    averaging : float
        Decay per step of the exponential moving average of the weights that is kept as result; 0
        keeps the last weights.
    clip_gradient : float
        Largest norm of the gradient of a step.
    """

    lr: float = Field(default=1e-4, gt=0, le=1)
    betas: tuple[float, float] = (0.9, 0.999)
    warmup: float = Field(default=0.0, ge=0, lt=1)
    schedule: Literal["constant", "cosine"] = "constant"
    averaging: float = Field(default=0.0, ge=0, lt=1)
    clip_gradient: float = Field(default=1.0, gt=0)


class EarlyStop(_Settings):
    """End when the validation loss has not fallen for so many epochs."""

    patience: int = Field(ge=1)


class Training(_Settings):
    """How the run is carried out.

    Parameters
    ----------
    batch : int
        Exposures in a step, over all devices.
    precision : {"float32", "bfloat16"}
        Arithmetic of the layers; weights are float32 throughout.
    accelerator, devices
        As of Lightning: "auto", "cpu" or "cuda", and how many.
    early_stop : EarlyStop, optional
        Off by default: the paper found no rule that works (Sect. 3.3).
    """

    batch: int = Field(default=32, ge=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(default=1, ge=1)
    early_stop: EarlyStop | None = None

    @model_validator(mode="after")
    def _batch_can_be_shared(self) -> Training:
        if self.batch % self.devices:
            raise ValueError(f"a batch of {self.batch} cannot be shared by {self.devices} devices")
        return self


class Recipe(_Settings):
    """One training run.

    Parameters
    ----------
    name : str
        What the result is called.
    description : str
        Where the run stands in the paper.
    seed : int
        Fixes the start of the weights and all exposures.
    scale : {"full", "half", "small", "tiny"}
        Grid and size; see `maury.training.scale.SCALES`.
    epochs : int or mapping
        Number of epochs; by scale if a mapping.
    model, data, loss, optimizer, training, preprocessing, decoder
        See there.
    labels : tuple of str
        Labels in the order of the nodes.
    normalization : {"mean-std", "median-mad"}
        How their centre and scale are measured.
    sweep : mapping of list
        At most one entry, like ``model.nodes``, and the values that it takes one after the other,
        each in a run of its own.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    description: str = ""
    seed: int = Field(default=1, ge=0, lt=2**32)
    scale: Literal["full", "half", "small", "tiny"] = "full"
    epochs: int | dict[Literal["full", "half", "small", "tiny"], int]
    model: ModelSettings
    labels: tuple[str, ...] = Field(min_length=1)
    normalization: Literal["mean-std", "median-mad"] = "mean-std"
    preprocessing: PreprocessingSettings = Field(default_factory=PreprocessingSettings)
    data: Data
    decoder: Pretrained | None = None
    loss: LossWeights = Field(default_factory=LossWeights)
    optimizer: Optimizer = Field(default_factory=Optimizer)
    training: Training = Field(default_factory=Training)
    sweep: dict[str, list[Any]] = Field(default_factory=dict)

    @field_validator("labels")
    @classmethod
    def _known_labels(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not set(names) <= set(LABELS) or len(set(names)) < len(names):
            raise ValueError(f"the labels are {', '.join(LABELS)}, each at most once")
        return names

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        model = self.model.model
        if isinstance(self.epochs, dict) and self.scale not in self.epochs:
            raise ValueError(
                f"there are no epochs for scale {self.scale}, only for {', '.join(self.epochs)}"
            )
        if self.number_of_epochs < 1:
            raise ValueError(f"epochs is {self.number_of_epochs}, but must be at least 1")
        if not model.encoder and self.data.rate < 1:
            raise ValueError(
                f"data.rate is {self.data.rate:g}, but a decoder alone learns from simulated "
                "exposures, whose labels are all known: 1"
            )
        if self.decoder is not None and not (model.encoder and model.decoder):
            raise ValueError(f"decoder is given, but {self.model.name} is no autoencoder")
        if len(self.sweep) > 1:
            raise ValueError(f"sweep has {len(self.sweep)} entries, but may have one")
        if self.sweep and self.training.devices > 1:
            raise ValueError("a sweep runs on one device; training.devices must be 1")
        return self

    @property
    def settings(self) -> Scale:
        """Those of the scale."""
        return SCALES[self.scale]

    @property
    def number_of_epochs(self) -> int:
        """Epochs at the scale."""
        return self.epochs[self.scale] if isinstance(self.epochs, dict) else self.epochs

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-self.settings.spectra // self.training.batch)

    @property
    def steps(self) -> int:
        """Batches in the run."""
        return self.number_of_epochs * self.steps_per_epoch

    @property
    def label_set(self) -> LabelSet:
        """The labels of those names."""
        return LabelSet.from_names(self.labels)
