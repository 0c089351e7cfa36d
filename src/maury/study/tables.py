"""The tables of the study, of the form of those of Cvrcek et al. (2024).

A network that was not trained has no row, and a note says so. Errors are standard errors of means.
What is measured several times on one spectrum, or on pairs of spectra of one core, is averaged over
the spectrum or core first: those are independent, velocities and pairs are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from maury.evaluation.interventions import GeneralScores
from maury.evaluation.metrics import estimate
from maury.evaluation.tables import Cell, Table
from maury.study.label_tables import label_table, missing_models, summary_table
from maury.study.measure import Measurements
from maury.study.paper import LABEL_COLUMNS, PAPER_TABLES
from maury.study.plan import ITEMS, MODELS, SEDAGHAT
from maury.study.resources import TIMED, Resources
from maury.study.results import Results
from maury.training.recipe_file import read_recipe

__all__ = [
    "TABLES",
    "architecture_table",
    "decoder_table",
    "intervention_table",
    "resource_table",
]

Models = Mapping[str, Measurements]  # by recipe
Array = NDArray[np.float64]

NOTHING = Cell(None)
INTERVENED = ("teff", "mh", "logg", "rv")

TIMED_AS = {
    "beta-vae-cnn-unsupervised": SEDAGHAT,
    "info-vae": "info-vae-mix",
    "ae-resnet": "ae-mix",
    "ae-film": "ae-film-mix",
    "ae-doppler": "ae-doppler-mix",
    "encoder": "cnn-mix",
}  # decoders are called alike

BY_SPECTRUM = (
    "± is the standard error of the mean over spectra; velocities of a spectrum are averaged first."
)


def decoder_table(models: Models) -> Table:
    """Table 7: decoders on simulated spectra, of all pixels and in parts.

    Parameters
    ----------
    models : mapping of Measurements
        By recipe.
    """
    keys = {
        "reconstruction error": "simulated",
        "error in lines": "simulated-line",
        "error in continuum": "simulated-continuum",
        "error, noise-free": "noise-free",
    }
    wanted = ITEMS["table7"].models
    values = {
        name: [
            *(models[name].reconstruction.get(key) for key in keys.values()),
            _by_spectrum(models[name].true_rvis),
        ]
        for name in wanted
        if name in models
    }
    rows = []
    for name, scores in values.items():
        model = MODELS[name]
        words = (model.kind, model.paradigm, model.architecture)
        rows.append((model.legend, [*map(Cell, words), *map(_mean, scores)]))
    columns = [*PAPER_TABLES["table7"].columns[:3], *_pure(*keys, "true RVIS")]
    notes = [
        "Mean absolute error of Eq. 14 on simulated test spectra: against the spectra with their "
        "noise, as in the paper, of all pixels, of those in lines and of the others; and against "
        "the spectra without noise.",
        "True RVIS is Eq. 16 against new simulations at the changed velocity, without noise.",
        BY_SPECTRUM,
        f"Spectra: {_size(values, 0)} for errors, {_size(values, -1)} for true RVIS.",
    ]
    notes += missing_models(wanted, models)
    return Table("table7", _title("table7"), columns, rows, notes)


def intervention_table(models: Models) -> Table:
    """Table 8: RVIS, and GIS of each label, beside scores against the true spectra.

    Parameters
    ----------
    models : mapping of Measurements
        By recipe.
    """
    wanted = ITEMS["table8"].models
    values = {}
    for name in (name for name in wanted if name in models):
        found = models[name]
        velocities = map(_by_spectrum, (found.rvis, found.true_rvis, found.shifted_input))
        general = (
            _by_core(found.gis.get(label), true) for label in INTERVENED for true in (False, True)
        )
        values[name] = [*velocities, *general]
    rows = [(MODELS[name].legend, [*map(_mean, scores)]) for name, scores in values.items()]
    headers = [LABEL_COLUMNS[label][0] for label in INTERVENED]
    columns = _pure(
        "RVIS",
        "true RVIS",
        "RVIS to input",
        *(f"{kind} {header}" for header in headers for kind in ("GIS", "true GIS")),
    )
    notes = [
        "RVIS is Eq. 16 on observed spectra. True RVIS is on simulated ones, against new "
        "simulations at the changed velocity, without noise; RVIS to input is against the shifted "
        "observed spectrum, with its noise.",
        "GIS is Eq. 17 on generative spectra, against the model's own reconstruction; true GIS is "
        "against the simulated spectrum without noise.",
        "± is the standard error of the mean over spectra or, for GIS, cores; velocities of a "
        "spectrum and pairs of a core are averaged first.",
        f"Spectra: {_size(values, 0)} for RVIS, {_size(values, 1)} for true RVIS; cores for each "
        f"label: {_size(values, 3)}.",
    ]
    notes += missing_models(wanted, models)
    return Table("table8", _title("table8"), columns, rows, notes)


def resource_table(resources: Mapping[str, Resources]) -> Table:
    """Table 9: time and memory.

    Parameters
    ----------
    resources : mapping of Resources
        By the keys of `maury.study.resources.TIMED`; what is missing has no row.
    """
    rows = []
    for name in (name for name in TIMED if name in resources):
        model, found = MODELS[TIMED_AS.get(name, name)], resources[name]
        numbers = (TIMED[name], found.gpu_ms, found.cpu_ms, found.fast_cpu_ms, found.parameters)
        cells = [Cell(model.kind), Cell(model.architecture), *map(Cell, numbers)]
        rows.append((model.legend, cells))
    columns = [*PAPER_TABLES["table9"].columns]
    columns.insert(-1, ("CPU, fast", "ms"))
    notes = [
        "Time of a batch over its number of spectra; GPU and CPU as the paper has them, the CPU "
        "with one core and PyTorch's plain layout; CPU, fast: one core, as maury runs it.",
        "Networks that encode and decode do both; encoders alone give labels, decoders take nodes.",
    ]
    if resources and all(found.gpu_ms is None for found in resources.values()):
        notes.append("There was no GPU.")
    return Table("table9", _title("table9"), columns, rows, notes)


def architecture_table(models: Models, resources: Mapping[str, Resources]) -> Table:
    """Decoders that the paper does not have, each beside its ratio to the ResNet.

    Parameters
    ----------
    models : mapping of Measurements
        By recipe.
    resources : mapping of Resources
        By the keys of `maury.study.resources.TIMED`; without that of a decoder it has no time.
    """
    rows = []
    wanted = ITEMS["architectures"].models
    for name in (name for name in wanted if name in models):
        model = MODELS[name]
        reference = "resnet-decoder" if model.kind == "decoder" else "ae-mix"
        ours, theirs = _scores(models[name]), _scores(models.get(reference))
        cells = [Cell(model.kind), Cell(model.architecture)]
        for values, others in zip(ours, theirs, strict=True):
            cells += [_mean(values), _ratio(values, others)]
        times = [resources[key].fast_cpu_ms if key in resources else None
                 for key in (_decoder(name), "resnet-decoder")]  # fmt: skip
        cells += [Cell(times[0]), Cell(times[0] / times[1]) if times[0] and times[1] else NOTHING]
        rows.append((model.legend, cells))
    scores = ("true RVIS", "RVIS", "error, observed", "error, noise-free")
    pairs = [header for score in scores for header in (score, f"ratio, {score}")]
    columns = [
        *PAPER_TABLES["table9"].columns[:2],
        *_pure(*pairs),
        ("decoding", "ms"),
        *_pure("ratio, decoding"),
    ]
    notes = [
        "Ratios are to ResNet (simulation) for decoders and to AE (mix) for autoencoders, on the "
        "same spectra; their errors are those of a ratio of means (Cochran 1977, Sampling "
        "Techniques, chapter 6).",
        "RVIS and errors as in Tables 7 and 8; decoding: one core, as maury runs it, for "
        "a spectrum of a batch.",
        BY_SPECTRUM,
    ]
    notes += missing_models(wanted, models)
    return Table("architectures", ITEMS["architectures"].title, columns, rows, notes)


TABLES: Mapping[str, Callable[[Results], Table]] = MappingProxyType(
    {
        "table3": lambda results: summary_table(results.models),
        "table4": lambda results: label_table("table4", results.models),
        "table5": lambda results: label_table("table5", results.models),
        "table6": lambda results: label_table("table6", results.models),
        "table7": lambda results: decoder_table(results.models),
        "table8": lambda results: intervention_table(results.models),
        "table9": lambda results: resource_table(results.resources),
        "architectures": lambda results: architecture_table(results.models, results.resources),
    }
)
"""How each table comes from what was measured, by item of `maury.study.plan.ITEMS`."""


def _decoder(name: str) -> str:
    """The architecture that decodes in a model."""
    recipe = read_recipe(name)
    return name if recipe.decoder is None else recipe.decoder.run


def _scores(found: Measurements | None) -> tuple[Array | None, ...]:
    """What the table of architectures shows, by spectrum."""
    if found is None:
        return (None,) * 4
    return (
        _by_spectrum(found.true_rvis),
        _by_spectrum(found.rvis),
        found.reconstruction.get("observed"),
        found.reconstruction.get("noise-free"),
    )


def _by_spectrum(scores: Array | None) -> Array | None:
    if scores is None:
        return None
    return _unit_means(scores.ravel(), np.repeat(np.arange(len(scores)), scores.shape[1]))


def _by_core(scores: GeneralScores | None, true: bool) -> Array | None:
    if scores is None:
        return None
    values = scores.true if true else scores.constrained
    return None if values is None else _unit_means(values, scores.core)


def _unit_means(values: Array, units: NDArray[np.integer]) -> Array:
    """Mean of the values of each unit, NaN left out."""
    names, index = np.unique(units, return_inverse=True)
    known = ~np.isnan(values)
    sums = np.bincount(index[known], values[known], minlength=names.size)
    counts = np.bincount(index[known], minlength=names.size)
    return np.divide(sums, counts, out=np.full(names.size, np.nan), where=counts > 0)


def _mean(values: Array | None) -> Cell:
    if values is None:
        return NOTHING
    found = estimate(values)
    return Cell(found.value, found.error)


def _ratio(values: Array | None, reference: Array | None) -> Cell:
    """Ratio of two means over the same spectra."""
    if values is None or reference is None:
        return NOTHING
    if np.array_equal(values, reference, equal_nan=True):
        return Cell(1.0)
    both = ~np.isnan(values) & ~np.isnan(reference)
    over, under = estimate(values[both]), estimate(reference[both])
    if not under.value > 0:
        return Cell(np.nan, np.nan)
    ratio = over.value / under.value
    spread = estimate(values[both] - ratio * reference[both])
    return Cell(ratio, spread.error / under.value)


def _size(values: Mapping[str, Sequence[Array | None]], column: int) -> int:
    """Of how many spectra or cores the means in a column are."""
    arrays = [scores[column] for scores in values.values()]
    return max((np.isfinite(array).sum() for array in arrays if array is not None), default=0)


def _title(item: str) -> str:
    return f"Table {item.removeprefix('table')}: {ITEMS[item].title}"


def _pure(*headers: str) -> list[tuple[str, str]]:
    return [(header, "") for header in headers]
