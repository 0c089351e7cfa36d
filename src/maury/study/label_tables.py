"""Tables 3 to 6 of the study: how well labels are predicted, by model and by groups of models."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from maury.evaluation.metrics import estimate, mean_absolute_error
from maury.evaluation.significance import compare
from maury.evaluation.tables import Cell, Table
from maury.labels import LABELS
from maury.models.zoo import ZOO
from maury.study.measure import Measurements
from maury.study.paper import LABEL_COLUMNS, PAPER_TABLES
from maury.study.plan import ITEMS, MODELS, SEDAGHAT, StudiedModel
from maury.study.results import group_error
from maury.training.recipe_file import read_recipe

__all__ = ["label_table", "missing_models", "summary_table"]

Models = Mapping[str, Measurements]  # by recipe
Array = NDArray[np.float64]

ALPHA = 0.01
GROUPS = {
    f"All ({group})": (group, tuple(name for name in LABEL_COLUMNS if LABELS[name].group == group))
    for group in ("intrinsic", "extrinsic")
}
LABEL_OF = {header: name for name, (header, _) in LABEL_COLUMNS.items()}

SUMMARY = (
    ("supervised and semi-supervised", 100.0, "mixed", ("cnn-mix", "ae-mix", "info-vae-mix")),
    ("supervised", 1.0, "real", ("cnn-real-1percent",)),
    ("semi-supervised", 1.0, "mixed", ("ae-mix-1percent",)),
    (
        "unsupervised",
        0.0,
        "real",
        (SEDAGHAT, "beta-vae-unsupervised-real", "info-vae-unsupervised-real"),
    ),
)

OBSERVED = "On observed test spectra."
INDEPENDENT = (
    "± is the standard error of the mean, as if spectra were independent, which those of one star "
    "are not."
)
OVERALL = (
    "All is the mean over the labels of MAE over the standard deviation of the true labels of the "
    "test set; it cannot be set beside the paper's, which divides by numbers that it does not give."
)
BOLD = (
    f"Bold: better than all other rows at the {ALPHA:.0%} level by Mann-Whitney U tests with the "
    "correction of Holm; All by the spectra that have all labels of the group."
)


def summary_table(models: Models) -> Table:
    """Table 3: errors of labels by groups of models, the mean over the models of each group.

    Parameters
    ----------
    models : mapping of Measurements
        By recipe.
    """
    rows = []
    for legend, available, dataset, recipes in SUMMARY:
        there = [name for name in recipes if name in models]
        if there:
            # Models are judged by the same spectra, so these are averaged over models first.
            means = (
                estimate(np.mean([_errors(models[model], name) for model in there], axis=0))
                for name in ("teff", "mh", "logg")
            )
            details = ", ".join(MODELS[name].legend for name in there)
            cells = [
                *(Cell(mean.value, mean.error) for mean in means),
                Cell(available),
                Cell(dataset),
                Cell(details),
            ]
            rows.append((legend, cells))
    wanted = [name for *_, recipes in SUMMARY for name in recipes]
    notes = ["MAE, the mean of the models under details.", OBSERVED, INDEPENDENT]
    paper = PAPER_TABLES["table3"]
    notes += missing_models(wanted, models)
    return Table(
        "table3", f"Table 3: {ITEMS['table3'].title}", paper.columns, rows, notes, paper.corner
    )


def label_table(item: str, models: Models) -> Table:
    """Tables 4 to 6: mean absolute errors of labels on observed spectra.

    Parameters
    ----------
    item : {"table4", "table5", "table6"}
        Which.
    models : mapping of Measurements
        By recipe.

    Raises
    ------
    MauryError
        If some predictions of a label are not finite.
    """
    wanted, columns = ITEMS[item].models, PAPER_TABLES[item].columns
    there = {MODELS[name]: models[name] for name in wanted if name in models}
    cells = [
        _label_column(header, there)
        if header in LABEL_OF or header in GROUPS
        else [_description(header, model) for model in there]
        for header, _ in columns
    ]
    rows = [(model.legend, [column[i] for column in cells]) for i, model in enumerate(there)]
    notes = [OBSERVED, *_counts(there.values()), INDEPENDENT, OVERALL, BOLD]
    return Table(
        item,
        f"Table {item[-1]}: {ITEMS[item].title}",
        columns,
        rows,
        [*notes, *missing_models(wanted, models)],
    )


def missing_models(wanted: Sequence[str], models: Models) -> list[str]:
    """A sentence that names the models that were not trained, or none.

    Parameters
    ----------
    wanted : sequence of str
        Recipes.
    models : mapping of Measurements
        By recipe.
    """
    legends = [MODELS[name].legend for name in wanted if name not in models]
    return [f"Not trained: {', '.join(legends)}."] if legends else []


def _label_column(header: str, models: Mapping[StudiedModel, Measurements]) -> list[Cell]:
    """Errors of a label or a group, the best bold if it beats the others."""
    if header in GROUPS:
        group, names = GROUPS[header]
        values = [group_error(found, group) for found in models.values()]
        known = [name for name in names if any(_count(found, name) for found in models.values())]
        errors = [_overall(found, known or names) for found in models.values()]
    else:
        values = [mean_absolute_error(*_pair(found, LABEL_OF[header])) for found in models.values()]
        errors = [_errors(found, LABEL_OF[header]) for found in models.values()]
    tested = compare(
        {model.legend: each for model, each in zip(models, errors, strict=True)}, ALPHA
    )
    rivals = [
        value.value for value, each in zip(values, errors, strict=True) if not np.isnan(each).all()
    ]
    # Spectra that lack labels count for the mean of a group alone, so that the two may disagree.
    return [
        Cell(
            value.value,
            value.error,
            tested.significant and model.legend == tested.best and value.value == min(rivals),
        )
        for model, value in zip(models, values, strict=True)
    ]


def _pair(found: Measurements, name: str) -> tuple[Array, Array]:
    """True and predicted label, NaN throughout if the network does not have it."""
    assert found.true is not None and found.predicted is not None
    if name not in found.names:
        return np.full(len(found.true), np.nan), np.full(len(found.true), np.nan)
    column = found.names.index(name)
    return found.true[:, column], found.predicted[:, column]


def _count(found: Measurements, name: str) -> int:
    """How many spectra have the label."""
    return int(np.isfinite(_pair(found, name)[0]).sum())


def _errors(found: Measurements, name: str) -> Array:
    """Absolute errors of a label, NaN where it is not known or not predicted."""
    true, predicted = _pair(found, name)
    return np.abs(true - predicted)


def _overall(found: Measurements, names: Sequence[str]) -> Array:
    """Mean of the normalised errors of labels; NaN for spectra that lack any of them."""
    scales = [np.nanstd(_pair(found, name)[0]) if _count(found, name) else np.nan for name in names]
    errors = [_errors(found, name) / scale for name, scale in zip(names, scales, strict=True)]
    return np.mean(errors, axis=0)


def _description(header: str, model: StudiedModel) -> Cell:
    """What a column that describes models says of one."""
    recipe = read_recipe(model.recipe)
    nodes = recipe.model.nodes or ZOO[recipe.model.name].nodes or len(recipe.labels)
    values: dict[str, str | float] = {
        "model type": model.kind,
        "learning paradigm": model.paradigm,
        "architecture": model.architecture,
        "bottleneck": nodes,
        "dataset": model.dataset,
        "available labels": 100.0 * recipe.data.observed.known,
    }
    return Cell(values[header])


def _counts(models: Collection[Measurements]) -> list[str]:
    """How many spectra have each label, told in a sentence."""
    if not models:
        return []
    counts = {
        header: max(_count(found, name) for found in models)
        for name, (header, _) in LABEL_COLUMNS.items()
    }
    return [f"Spectra with each label: {', '.join(f'{h} {n}' for h, n in counts.items())}."]
