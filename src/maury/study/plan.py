"""Which networks each table and figure of the study needs, and in which order they are trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from maury.errors import RecipeError
from maury.study.settings import SETTINGS
from maury.training.recipe import Recipe
from maury.training.recipe_file import read_recipe

__all__ = ["ITEMS", "MODELS", "Item", "PlannedRun", "StudiedModel", "model_runs", "plan"]

Paradigm = Literal["supervised", "semi-supervised", "unsupervised"]
Dataset = Literal["real", "mixed", "ETC"]


@dataclass(frozen=True)
class StudiedModel:
    """A row of the paper's tables, or one that stands beside them.

    Parameters
    ----------
    recipe : str
        Of `maury.recipes`; its name is that of the run.
    legend : str
        What the tables call it.
    kind, architecture : str
        Model type and architecture, as in the tables.
    paradigm : str
        How it learns.
    dataset : str
        What it is trained on.
    """

    recipe: str
    legend: str
    kind: str
    architecture: str
    paradigm: Paradigm
    dataset: Dataset


MODELS: Mapping[str, StudiedModel] = MappingProxyType(
    {
        model.recipe: model
        for model in (
            StudiedModel("cnn-real", "CNN (real)", "encoder", "CNN", "supervised", "real"),
            StudiedModel("cnn-mix", "CNN (mix)", "encoder", "CNN", "supervised", "mixed"),
            StudiedModel("cnn-etc", "CNN (ETC)", "encoder", "CNN", "supervised", "ETC"),
            StudiedModel(
                "cnn-real-1percent", "CNN 0.01 (real)", "encoder", "CNN", "supervised", "real"
            ),
            StudiedModel(
                "cnn-mix-1percent", "CNN 0.01 (mix)", "encoder", "CNN", "supervised", "mixed"
            ),
            StudiedModel("ae-real", "AE (real)", "AE", "CNN-ResNet", "semi-supervised", "real"),
            StudiedModel("ae-mix", "AE (mix)", "AE", "CNN-ResNet", "semi-supervised", "mixed"),
            StudiedModel(
                "ae-real-1percent", "AE 0.01 (real)", "AE", "CNN-ResNet", "semi-supervised", "real"
            ),
            StudiedModel(
                "ae-mix-1percent", "AE 0.01 (mix)", "AE", "CNN-ResNet", "semi-supervised", "mixed"
            ),
            StudiedModel(
                "info-vae-mix", "infoVAE (mix)", "infoVAE", "CNN-ResNet", "semi-supervised", "mixed"
            ),
            StudiedModel(
                "ae-film-mix", "AE FiLM (mix)", "AE", "CNN-FiLM", "semi-supervised", "mixed"
            ),
            StudiedModel(
                "ae-doppler-mix",
                "AE Doppler (mix)",
                "AE",
                "CNN-Doppler",
                "semi-supervised",
                "mixed",
            ),
            StudiedModel(
                "beta-vae-cnn-unsupervised-real",
                "betaVAE (U*)",
                "betaVAE",
                "CNN-CNN",
                "unsupervised",
                "real",
            ),
            StudiedModel(
                "beta-vae-unsupervised-real",
                "betaVAE (U)",
                "betaVAE",
                "CNN-ResNet",
                "unsupervised",
                "real",
            ),
            StudiedModel(
                "info-vae-unsupervised-real",
                "infoVAE (U)",
                "infoVAE",
                "CNN-ResNet",
                "unsupervised",
                "real",
            ),
            StudiedModel(
                "beta-vae-unsupervised-mix",
                "betaVAE (mix, U)",
                "betaVAE",
                "CNN-ResNet",
                "unsupervised",
                "mixed",
            ),
            StudiedModel(
                "info-vae-unsupervised-mix",
                "infoVAE (mix, U)",
                "infoVAE",
                "CNN-ResNet",
                "unsupervised",
                "mixed",
            ),
            StudiedModel("cnn-decoder", "CNN (simulation)", "decoder", "CNN", "supervised", "ETC"),
            StudiedModel(
                "resnet-decoder", "ResNet (simulation)", "decoder", "ResNet", "supervised", "ETC"
            ),
            StudiedModel(
                "film-decoder", "FiLM (simulation)", "decoder", "FiLM", "supervised", "ETC"
            ),
            StudiedModel(
                "doppler-decoder", "Doppler (simulation)", "decoder", "Doppler", "supervised", "ETC"
            ),
        )
    }
)
"""By the name of their recipe: Tables 4 to 8, and the two architectures the paper does not have."""

DECODERS = ("cnn-decoder", "resnet-decoder", "film-decoder", "doppler-decoder")
SEMI_SUPERVISED = ("ae-real", "ae-mix", "info-vae-mix", "ae-film-mix", "ae-doppler-mix")
UNSUPERVISED = tuple(name for name, model in MODELS.items() if model.paradigm == "unsupervised")
LABELLED = ("cnn-mix", *SEMI_SUPERVISED, "cnn-etc")
LABEL_QUANTITY = tuple(
    f"{architecture}-{dataset}{share}"
    for architecture in ("cnn", "ae")
    for dataset in ("real", "mix")
    for share in ("", "-1percent")
)
SEDAGHAT = "beta-vae-cnn-unsupervised-real"
BOTTLENECK, BOTTLENECK_FREE = "sweep-bottleneck", "sweep-bottleneck-free"
LABEL_WEIGHT = "sweep-label-weight"
SWEEPS = {
    BOTTLENECK: "model.nodes",
    BOTTLENECK_FREE: "model.nodes",
    LABEL_WEIGHT: "loss.label_weight",
}


# What the tables and figures take for granted.
FIXED = ("name", "scale", "labels", "model", "sweep")


@dataclass(frozen=True)
class Item:
    """A table or a figure, and what it needs.

    Parameters
    ----------
    title : str
        What it shows.
    models : tuple of str
        Recipes, keys of `MODELS`.
    sweeps : tuple of str
        Recipes with a sweep.
    """

    title: str
    models: tuple[str, ...] = ()
    sweeps: tuple[str, ...] = ()


ITEMS: Mapping[str, Item] = MappingProxyType(
    {
        "table3": Item("Summary of label prediction", (*LABELLED, *LABEL_QUANTITY, *UNSUPERVISED)),
        "table4": Item("Label prediction by learning paradigm", (SEDAGHAT, *LABELLED)),
        "table5": Item("Label prediction by quantity of labels and data", LABEL_QUANTITY),
        "table6": Item("Label prediction with unsupervised models", UNSUPERVISED),
        "table7": Item("Decoders on simulated spectra", DECODERS),
        "table8": Item("Interventions", (SEDAGHAT, *SEMI_SUPERVISED)),
        "table9": Item("Time and memory"),
        "fig1": Item("Labels of the observed spectra"),
        "fig2": Item("RVIS and size of the bottleneck", (), (BOTTLENECK, BOTTLENECK_FREE)),
        "fig3": Item("Distribution of label errors", (SEDAGHAT, "cnn-real", *LABELLED[:-1])),
        "fig4": Item("Residuals of labels", ("cnn-mix", *SEMI_SUPERVISED)),
        "fig5": Item("Spectra by the decoders", DECODERS),
        "fig6": Item("Distribution of reconstruction errors", (SEDAGHAT, *SEMI_SUPERVISED)),
        "fig7": Item("RVIS by model", (SEDAGHAT, *SEMI_SUPERVISED)),
        "fig8": Item("GIS by model", SEMI_SUPERVISED),
        "figB": Item("Architectures"),
        "figD1": Item("Weight of the label loss", (), (LABEL_WEIGHT,)),
        "architectures": Item(
            "Decoders that the paper does not have",
            (*DECODERS, "ae-mix", "ae-film-mix", "ae-doppler-mix"),
        ),
        "traversal": Item("Spectra while one label moves", ("ae-mix", "ae-doppler-mix")),
        "spectra": Item("Observed and reconstructed spectra", ("ae-mix", "ae-doppler-mix")),
        "kiel": Item("Kiel diagrams of predictions", ("cnn-mix",)),
    }
)
"""What ``maury study`` can be asked for; the last four are not in the paper."""


@dataclass(frozen=True)
class PlannedRun:
    """A network to be trained.

    Parameters
    ----------
    path : str
        Its folder, below that of the study's runs.
    recipe : Recipe
        How.
    """

    path: str
    recipe: Recipe

    @property
    def card(self) -> str:
        """Where its card comes to be, below the folder of the study's runs."""
        return f"{self.path}/{self.recipe.name}.json"


def model_runs(
    recipes: Iterable[str], scale: str, overrides: Sequence[str] = ()
) -> dict[str, PlannedRun]:
    """The run of each model, by its recipe.

    Parameters
    ----------
    recipes
        Keys of `MODELS`.
    scale
        Key of `SETTINGS`.
    overrides
        Further changes of all recipes, like ``epochs=2``.

    Raises
    ------
    RecipeError
        If an override is not allowed.
    """
    return {name: PlannedRun(name, _recipe(name, scale, overrides)) for name in recipes}


def sweep_runs(name: str, scale: str, overrides: Sequence[str] = ()) -> dict[Any, PlannedRun]:
    """The run for each value of a sweep; one that is like that of a model is that model's.

    Examples
    --------
    >>> runs = sweep_runs("sweep-bottleneck", "small")
    >>> {nodes: run.path for nodes, run in runs.items()}
    {7: 'sweep-bottleneck/model.nodes=7', 9: 'ae-mix', 20: 'sweep-bottleneck/model.nodes=20'}
    """
    settings = SETTINGS[scale]
    entry = SWEEPS[name]
    values: Sequence[Any] = settings.label_weights if name == LABEL_WEIGHT else settings.bottlenecks
    models = model_runs(("ae-mix",), scale, overrides)
    runs = {}
    for value in values:
        recipe = _recipe(name, scale, [*overrides, "sweep={}", f"{entry}={value}"])
        same = [run for run in models.values() if _substance(run.recipe) == _substance(recipe)]
        runs[value] = same[0] if same else PlannedRun(f"{name}/{entry}={value}", recipe)
    return runs


def plan(items: Iterable[str], scale: str, overrides: Sequence[str] = ()) -> list[PlannedRun]:
    """All runs that items need, each once and behind those that it starts from.

    Parameters
    ----------
    items
        Keys of `ITEMS`.
    scale
        Key of `SETTINGS`.
    overrides
        Further changes of all recipes.

    Raises
    ------
    RecipeError
        If an item is unknown or an override is not allowed.

    Examples
    --------
    >>> [run.path for run in plan(["table7", "fig7"], "tiny")][:6]
    ['cnn-decoder', 'resnet-decoder', 'film-decoder', 'doppler-decoder',
     'beta-vae-cnn-unsupervised-real', 'ae-real']
    """
    _require_free(overrides)
    runs: dict[str, PlannedRun] = {}

    def add(run: PlannedRun) -> None:
        start = run.recipe.decoder
        if start is not None and start.run not in runs:
            add(model_runs((start.run,), scale, overrides)[start.run])
        runs.setdefault(run.path, run)

    for name in items:
        if name not in ITEMS:
            raise RecipeError(f"The study has no {name!r}; there are {', '.join(ITEMS)}.")
        item = ITEMS[name]
        for run in model_runs(item.models, scale, overrides).values():
            add(run)
        for sweep in item.sweeps:
            for run in sweep_runs(sweep, scale, overrides).values():
                add(run)
    return list(runs.values())


def _require_free(overrides: Sequence[str]) -> None:
    for override in overrides:
        entry, _, value = (part.strip() for part in override.partition("="))
        if entry.partition(".")[0] in FIXED:
            raise RecipeError(
                f"{entry} cannot be set to {value}: the study sets it, as all of "
                f"{', '.join(FIXED)}."
            )


def _recipe(name: str, scale: str, overrides: Sequence[str]) -> Recipe:
    return read_recipe(name, [*SETTINGS[scale].overrides, *overrides], scale=scale)


def _substance(recipe: Recipe) -> dict[str, Any]:
    """All of a recipe that its weights depend on."""
    return recipe.model_dump(exclude={"name", "description"})
