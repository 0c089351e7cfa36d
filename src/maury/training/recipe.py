"""Recipes: all that decides a training run, in one YAML file that is checked beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from maury.datasets.simulated import Simulation
from maury.errors import RecipeError
from maury.grid import GRIDS, WavelengthGrid
from maury.labels import HARPS_LABELS, LABELS, LabelSet
from maury.synthesis.emulator import STANDARD

__all__ = ["Optimization", "PreprocessingSettings", "Recipe", "Validation", "read_recipe"]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PreprocessingSettings(_Settings):
    """Arguments of `maury.models.preprocessing.Preprocessing`."""

    continuum: float | None = Field(default=None, gt=0)
    quantile: float = Field(default=0.9, gt=0, le=1)
    bin: int = Field(default=4, ge=1)
    clip: tuple[float, float] | None = None
    ignore: tuple[tuple[float, float], ...] = ()


class Optimization(_Settings):
    """How the weights are found; Adam with the moments of the paper's Sect. 3.3.

    Parameters
    ----------
    steps, batch : int
        Number of batches and of exposures in each.
    learning_rate : float
        Its peak. The paper's is 1e-4, constant over 1000 epochs; a short run wants more.
    warmup : int
        Number of steps in which the rate rises linearly from zero.
    schedule : {"cosine", "constant"}
        What the rate does afterwards: fall to zero by a cosine, or stay.
    averaging : float
        Decay per step of the exponential moving average of the weights that is kept as result;
        0 keeps the last weights.
    clip_gradient : float
        Largest norm of the gradient of a step.
    precision : {"float32", "bfloat16"}
        Arithmetic of the convolutions; weights are float32 throughout.
    checkpoint_every : int
        Number of steps after which the state of the run is written.
    """

    steps: int = Field(ge=1)
    batch: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    warmup: int = Field(default=0, ge=0)
    schedule: Literal["cosine", "constant"] = "constant"
    averaging: float = Field(default=0.0, ge=0, lt=1)
    clip_gradient: float = Field(default=1.0, gt=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpoint_every: int = Field(default=500, ge=1)


class Validation(_Settings):
    """How many exposures that were never trained on judge the run, and every how many steps."""

    every: int = Field(default=500, ge=1)
    exposures: int = Field(default=512, ge=16)


class Recipe(_Settings):
    """One training run.

    Parameters
    ----------
    name : str
        What the result is called.
    seed : int
        Fixes the start of the weights and all exposures.
    grid : str
        Name of a wavelength grid.
    emulator : str
        The emulator of intrinsic spectra: "emulator-fgk" comes with the package, anything else is
        the path of another.
    labels : tuple of str
        Outputs of the network.
    normalization : {"mean-std", "median-mad"}
        How the centre and scale of labels are measured.
    preprocessing, simulation, optimization, validation
        See there.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    description: str = ""
    seed: int = Field(default=1, ge=0)
    grid: str
    emulator: str = STANDARD
    labels: tuple[str, ...] = Field(default=HARPS_LABELS.names, min_length=1)
    normalization: Literal["mean-std", "median-mad"] = "mean-std"
    architecture: Literal["encoder"] = "encoder"
    preprocessing: PreprocessingSettings = Field(default_factory=PreprocessingSettings)
    simulation: Simulation = Field(default_factory=Simulation)
    optimization: Optimization
    validation: Validation = Field(default_factory=Validation)

    @field_validator("grid")
    @classmethod
    def _known_grid(cls, name: str) -> str:
        if name not in GRIDS:
            raise ValueError(f"the grids are {', '.join(GRIDS)}")
        return name

    @field_validator("labels")
    @classmethod
    def _known_labels(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not set(names) <= set(LABELS) or len(set(names)) < len(names):
            raise ValueError(f"the labels are {', '.join(LABELS)}, each at most once")
        return names

    @model_validator(mode="after")
    def _warmup_fits(self) -> Recipe:
        if self.optimization.warmup >= self.optimization.steps:
            raise ValueError("optimization.warmup must be smaller than optimization.steps")
        return self

    @property
    def wavelength_grid(self) -> WavelengthGrid:
        """The grid of that name."""
        return GRIDS[self.grid]

    @property
    def label_set(self) -> LabelSet:
        """The labels of those names."""
        return LabelSet.from_names(self.labels)


def read_recipe(source: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Parameters
    ----------
    source : str or Path
        A YAML file, or the name of a recipe that comes with the package, such as "harps-small".
    overrides : sequence of str
        Changes of single entries, each like ``optimization.steps=100``; the value is YAML.

    Raises
    ------
    RecipeError
        In one sentence with the file, the entry, its value and what is allowed.

    Examples
    --------
    >>> read_recipe("harps-small", ["optimization.steps=1000", "seed=7"]).optimization.steps
    1000
    >>> read_recipe("harps-small", ["optimization.batch=many"])
    Traceback (most recent call last):
    maury.errors.RecipeError: Recipe harps-small: optimization.batch is 'many', but it should be a
    valid integer, unable to parse string as an integer.
    """
    values = _read_mapping(source)
    for override in overrides:
        _override(values, override)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"Recipe {source}: {_sentence(error, Recipe)}") from None


def _read_mapping(source: str | Path) -> dict[str, Any]:
    path = Path(source)
    resource = files("maury") / "recipes" / f"{source}.yaml"
    if not path.exists() and path.name == str(source) and resource.is_file():
        text = resource.read_text(encoding="utf-8")
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            known = sorted(
                item.name.removesuffix(".yaml")
                for item in (files("maury") / "recipes").iterdir()
                if item.name.endswith(".yaml")
            )
            raise RecipeError(
                f"Recipe {source} cannot be read ({error.strerror or error}); "
                f"give a YAML file or one of {', '.join(known)}."
            ) from None
        except UnicodeDecodeError:
            raise RecipeError(f"Recipe {source} is not a text file in UTF-8.") from None
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f" in line {mark.line + 1}"
        problem = getattr(error, "problem", None) or "unreadable"
        raise RecipeError(f"Recipe {source} is not valid YAML{place}: {problem}.") from None
    if not isinstance(values, dict):
        raise RecipeError(
            f"Recipe {source} must be a mapping of entries to values, not {type(values).__name__}."
        )
    return values


def _override(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    parts = key.strip().split(".")
    if not separator or not all(parts):
        raise RecipeError(f"Override {override!r} must look like optimization.steps=100.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"Override {override!r} has a value that is not valid YAML.") from None
    entry = values
    for part in parts[:-1]:
        entry = entry.setdefault(part, {})
        if not isinstance(entry, dict):
            raise RecipeError(
                f"Override {override!r} goes into {part!r}, which has no entries of its own."
            )
    entry[parts[-1]] = value


def _sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """The first mistake of a recipe, as the end of a sentence."""
    first = error.errors()[0]
    # Tags of distributions ("uniform") appear in the location but not in the file.
    location = [part for part in first["loc"] if part not in _TAGS]
    field = ".".join(str(part) for part in location) or "it"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    message = message[0].lower() + message[1:]
    kind = first["type"]
    if kind == "missing":
        return f"{field} is missing."
    if kind == "extra_forbidden":
        known = ", ".join(_entries(model, first["loc"][:-1]))
        return f"{field} is not a known entry; allowed here are {known}."
    if field == "it" or isinstance(first["input"], Mapping | BaseModel):
        return f"{field}: {message}." if field != "it" else f"{message}."
    subject = "it " if message.startswith("should") else ""
    return f"{field} is {first['input']!r}, but {subject}{message}."


_TAGS = ("uniform", "log-uniform", "log-normal", "half-normal")


def _entries(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Names of the entries of the settings at a place in a recipe."""
    current: Any = model
    for part in location:
        if isinstance(part, int):
            current = _settings(current)[0]
        elif part in _TAGS:
            kinds = {
                get_args(kind.model_fields["kind"].annotation): kind for kind in _settings(current)
            }
            current = kinds[(part,)]
        else:
            current = _settings(current)[0].model_fields[part].annotation
    return list(_settings(current)[0].model_fields)


def _settings(annotation: Any) -> list[type[BaseModel]]:
    """The settings classes within a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _settings(argument)]
