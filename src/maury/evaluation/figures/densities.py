"""Distributions of errors as smooth curves."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from maury.errors import MauryError
from maury.evaluation.figures.style import (
    COLUMN,
    PAGE,
    STYLE,
    draw_legend,
    finite,
    label_title,
    line_styles,
    new_figure,
)
from maury.evaluation.metrics import density

__all__ = ["label_error_densities", "reconstruction_densities"]

# A curve runs out of its panel at so many times the middle one of the curves' ends.
REACH = 2.0


@mpl.rc_context(STYLE)
def label_error_densities(errors: Mapping[str, Mapping[str, ArrayLike]]) -> Figure:
    """Densities of absolute errors, one panel a label, like Fig. 3 of Cvrcek et al. (2024).

    A model that is far worse than most runs out of its panel, so that the others can be told apart.

    Parameters
    ----------
    errors : mapping of str to mapping of str to array_like
        Absolute errors by label and model, in the unit of the label; NaN is left out. A model with
        fewer than two different errors has no curve.

    Raises
    ------
    MauryError
        If there is nothing to draw.
    """
    if not errors:
        raise MauryError("No label has errors, so there is nothing to draw.")
    columns = min(3, len(errors))
    rows = -(-len(errors) // columns)
    models = list(dict.fromkeys(model for panel in errors.values() for model in panel))
    figure = new_figure(PAGE, 0.5 + 1.75 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(errors) :]:
        axes.remove()
    for axes, (label, panel) in zip(grid.flat, errors.items(), strict=False):
        _draw_densities(axes, panel, models)
        axes.set_xlabel(label_title(label, r"$|\Delta$", "$|$"))
    for axes in grid[:, 0]:
        axes.set_ylabel("density")
    draw_legend(figure, *grid[0, 0].get_legend_handles_labels())
    return figure


@mpl.rc_context(STYLE)
def reconstruction_densities(
    errors: Mapping[str, ArrayLike], x_title: str = "mean absolute reconstruction error"
) -> Figure:
    """Densities of the errors of reconstructed spectra by model, like Fig. 6 of the paper.

    Parameters
    ----------
    errors : mapping of str to array_like
        One error a spectrum, by model; NaN is left out.
    x_title : str
        What the errors are.

    Raises
    ------
    MauryError
        If there is nothing to draw.
    """
    if not errors:
        raise MauryError("No model has errors, so there is nothing to draw.")
    figure = new_figure(COLUMN, 2.7)
    axes = figure.add_subplot()
    _draw_densities(axes, errors, list(errors))
    axes.set_xlabel(x_title)
    axes.set_ylabel("density")
    draw_legend(figure, *axes.get_legend_handles_labels())
    return figure


def _draw_densities(axes: Axes, errors: Mapping[str, ArrayLike], models: list[str]) -> None:
    ends: list[float] = []
    for model, style in line_styles(models).items():
        values = finite(errors.get(model, ()))
        # An empty curve keeps the model's name in the legend.
        x, y = density(values) if np.unique(values).size > 1 else (np.empty(0), np.empty(0))
        axes.plot(x, y, label=model, color=style["color"], linestyle=style["linestyle"])
        ends.extend(x[-1:])
    if not ends:
        axes.text(0.5, 0.5, "too few errors", transform=axes.transAxes, ha="center", va="center")
    else:
        axes.set_xlim(0, min(max(ends), REACH * float(np.median(ends))) * 1.02)
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", nbins=5)
