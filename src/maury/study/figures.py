"""The figures of the study, from what was measured and from spectra of its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maury.evaluation.figures import (
    Curve,
    kiel_diagram,
    label_error_densities,
    label_title,
    label_weight_curves,
    reconstruction_densities,
    residual_grid,
    save,
    score_boxes,
    score_curves,
)
from maury.evaluation.metrics import Estimate, estimate
from maury.study.drawing import PREDICTED, Drawing
from maury.study.plan import (
    BOTTLENECK,
    BOTTLENECK_FREE,
    ITEMS,
    LABEL_WEIGHT,
    MODELS,
)
from maury.study.results import group_error, score
from maury.study.spectrum_figures import (
    Drawn,
    draw_architectures,
    draw_decoders,
    draw_observed_spectra,
    draw_traversal,
)

__all__ = ["draw"]

INTRINSIC = ("teff", "mh", "logg")


def draw(name: str, drawing: Drawing, folder: Path) -> list[tuple[str, str]]:
    """Draw the figures of an item as PNG and PDF.

    Parameters
    ----------
    name
        Key of `maury.study.plan.ITEMS`.
    drawing
        What from.
    folder
        Where they come to be.

    Returns
    -------
    list of (str, str)
        Name and caption of each; none for a table, and none where nothing of it is trained.
    """
    item, results = ITEMS[name], drawing.results
    lacking = (item.models and not set(item.models) & set(results.models)) or any(
        len(results.sweeps.get(sweep, ())) < 2 for sweep in item.sweeps
    )
    if name not in _FIGURES or lacking:
        return []
    drawn = []
    for part, caption, figure in _FIGURES[name](drawing):
        called = f"{name}-{part}" if part else name
        save(figure, folder, called)
        drawn.append((called, f"{ITEMS[name].title}. {caption}".strip()))
    return drawn


def _catalogue(drawing: Drawing) -> Drawn:
    rows = [row for row in drawing.observed.store.catalogue.to_pylist() if row["status"] == "done"]
    values = {
        name: np.array([row.get(name) for row in rows], dtype=np.float64) for name in INTRINSIC
    }
    kind = "mock" if drawing.exposures.mock else "observed"
    yield (
        "",
        f"Each point is one of the {kind} exposures whose temperature and gravity are known.",
        kiel_diagram(values["teff"], values["logg"], values["mh"]),
    )


def _bottleneck(drawing: Drawing) -> Drawn:
    titles = {BOTTLENECK_FREE: "AE", BOTTLENECK: "AE, u supervised"}
    sweeps = drawing.results.sweeps
    for part, what, values in (
        ("", "RVIS", "rvis"),
        ("true", "true RVIS", "true_rvis"),
    ):
        curves = {
            title: _curve(
                {size: score(getattr(found, values)) for size, found in sweeps[name].items()}
            )
            for name, title in titles.items()
        }
        caption = (
            "Mean over spectra and velocities, and its standard error over spectra."
            if not part
            else "The same against simulated spectra of the other velocity, which a blurry "
            "decoder cannot please."
        )
        yield part, caption, score_curves(curves, y_title=f"mean {what}")


def _label_errors(drawing: Drawing) -> Drawn:
    models = drawing.models("fig3")
    errors = {
        label: {MODELS[name].legend: _errors(found, label) for name, found in models.items()}
        for label in PREDICTED
    }
    yield "", "Kernels of Scott's width, 1st to 99th percentile.", label_error_densities(errors)


def _residuals(drawing: Drawing) -> Drawn:
    models = drawing.models("fig4")
    first = next(iter(models.values()))
    true = {label: first.true[:, first.names.index(label)] for label in INTRINSIC}
    predicted = {
        MODELS[name].legend: {
            label: found.predicted[:, found.names.index(label)] for label in INTRINSIC
        }
        for name, found in models.items()
    }
    yield "", "Observed test exposures; predicted minus true.", residual_grid(true, predicted)


def _reconstruction(drawing: Drawing) -> Drawn:
    models = drawing.models("fig6")
    errors = {MODELS[name].legend: m.reconstruction["observed"] for name, m in models.items()}
    yield "", "Observed test exposures.", reconstruction_densities(errors)


def _velocity_boxes(drawing: Drawing) -> Drawn:
    models = drawing.models("fig7")
    scores = {
        "rv": {
            MODELS[name].legend: {
                kind: np.nanmean(values, axis=1)
                for kind, values in (
                    ("RVIS", m.rvis),
                    ("shifted input", m.shifted_input),
                    ("true RVIS", m.true_rvis),
                )
            }
            for name, m in models.items()
        }
    }
    caption = (
        "RVIS as in the paper compares a network with itself; beside it the shifted input "
        "spectrum, noise included, and simulated spectra of the other velocity."
    )
    yield "", caption, score_boxes(scores, "mean absolute difference of a spectrum")


def _intervention_boxes(drawing: Drawing) -> Drawn:
    models = drawing.models("fig8")
    scores = {
        label: {
            MODELS[name].legend: {"GIS": m.gis[label].constrained, "true GIS": m.gis[label].true}
            for name, m in models.items()
        }
        for label in INTRINSIC
    }
    caption = "Generative set; GIS compares a network with itself, true GIS with the simulation."
    yield "", caption, score_boxes(scores, "mean absolute difference of a spectrum")


def _label_weights(drawing: Drawing) -> Drawn:
    sweep = drawing.results.sweeps[LABEL_WEIGHT]
    intrinsic, extrinsic = (
        _curve({weight: group_error(found, group) for weight, found in sweep.items()})
        for group in ("intrinsic", "extrinsic")
    )
    reconstruction = _curve(
        {weight: estimate(found.reconstruction["observed"]) for weight, found in sweep.items()}
    )
    yield "", "Observed test exposures.", label_weight_curves(intrinsic, extrinsic, reconstruction)


def _kiel(drawing: Drawing) -> Drawn:
    for name, found in drawing.models("kiel").items():
        teff, logg, mh = (found.predicted[:, found.names.index(label)] for label in
                          ("teff", "logg", "mh"))  # fmt: skip
        legend = MODELS[name].legend
        yield (
            f"{name}-mh",
            f"Predictions of {legend}, coloured by predicted [M/H].",
            kiel_diagram(teff, logg, mh, marginals=False),
        )
        yield (
            f"{name}-error",
            f"Predictions of {legend}, coloured by the error of Teff.",
            kiel_diagram(
                teff,
                logg,
                _errors(found, "teff"),
                f"error of {label_title('teff')}",
                marginals=False,
                logarithmic=True,
            ),
        )


_FIGURES: Mapping[str, Callable[[Drawing], Drawn]] = {
    "fig1": _catalogue,
    "fig2": _bottleneck,
    "fig3": _label_errors,
    "fig4": _residuals,
    "fig5": draw_decoders,
    "fig6": _reconstruction,
    "fig7": _velocity_boxes,
    "fig8": _intervention_boxes,
    "figB": draw_architectures,
    "figD1": _label_weights,
    "traversal": draw_traversal,
    "spectra": draw_observed_spectra,
    "kiel": _kiel,
}


def _errors(found: Any, label: str) -> NDArray[np.float64]:
    column = found.names.index(label)
    return np.abs(found.predicted[:, column] - found.true[:, column])


def _curve(values: Mapping[Any, Estimate]) -> Curve:
    x = sorted(values)
    return Curve(x, [values[v].value for v in x], [values[v].error for v in x])
