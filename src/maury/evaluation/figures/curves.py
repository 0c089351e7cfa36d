"""Scores against hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from maury.errors import MauryError
from maury.evaluation.figures.style import COLUMN, GREY, STYLE, draw_legend, line_styles, new_figure

__all__ = ["Curve", "label_weight_curves", "score_curves"]

FEW = 14  # points up to which each whole number on the axis has its tick
RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 9,
    "fillstyle": "none",
    "linestyle": "none",
    "color": GREY,
}


class Curve(NamedTuple):
    """A score against a hyperparameter.

    Parameters
    ----------
    x : array_like, float[point]
        Values of the hyperparameter, in any order; the line goes through the lowest score at each.
    y : array_like, float[point]
        The score; NaN where there is none.
    error : array_like, float[point], optional
        Its standard error.
    """

    x: ArrayLike
    y: ArrayLike
    error: ArrayLike | None = None


@mpl.rc_context(STYLE)
def score_curves(
    curves: Mapping[str, Curve],
    x_title: str = r"bottleneck size ($l$, $u$)",
    y_title: str = "mean RVIS",
    *,
    logarithmic: bool = False,
) -> Figure:
    """Scores against a hyperparameter with each curve's minimum ringed, like Fig. 2 of the paper.

    Parameters
    ----------
    curves : mapping of str to Curve
        Curves by name.
    x_title, y_title : str
        What the axes show, with units.
    logarithmic : bool
        Whether the hyperparameter has a logarithmic axis.

    Raises
    ------
    MauryError
        If no curve has a finite point, or one on a logarithmic axis is not positive.
    """
    figure = new_figure(COLUMN, 2.6)
    axes = figure.add_subplot()
    drawn = []
    for name, style in line_styles(curves).items():
        x, y = _draw_curve(axes, name, curves[name], style, logarithmic)
        drawn.append(x)
        if y.size:
            lowest = int(np.argmin(y))
            axes.plot(x[lowest], y[lowest], **RING | {"color": style["color"]})
    places = np.unique(np.concatenate([np.empty(0), *drawn]))
    if not places.size:
        raise MauryError("No curve has a finite point, so there is nothing to draw.")
    if logarithmic:
        axes.set_xscale("log")
    elif places.size <= FEW and np.all(places == np.round(places)):
        axes.set_xticks(places)
    axes.set_xlabel(x_title)
    axes.set_ylabel(y_title)
    handles, names = axes.get_legend_handles_labels()
    draw_legend(figure, [*handles, Line2D([], [], **RING)], [*names, "minimum"])
    return figure


@mpl.rc_context(STYLE)
def label_weight_curves(intrinsic: Curve, extrinsic: Curve, reconstruction: Curve) -> Figure:
    """Errors against the weight of the labels in the loss, like Fig. D.1 of the paper.

    Parameters
    ----------
    intrinsic, extrinsic : Curve
        Normalised mean absolute error of each group of labels against the weight, left axis.
    reconstruction : Curve
        Mean absolute error of the reconstructed spectra, right axis.

    Raises
    ------
    MauryError
        If a weight is not positive.
    """
    figure = new_figure(COLUMN, 2.8)
    left = figure.add_subplot()
    right = left.twinx()
    right.spines["right"].set_visible(True)
    names = ("intrinsic labels", "extrinsic labels", "reconstruction (right axis)")
    styles = list(line_styles(names).values())
    styles[2]["color"] = "black"
    for axes, name, curve, style in zip(
        (left, left, right), names, (intrinsic, extrinsic, reconstruction), styles, strict=True
    ):
        _draw_curve(axes, name, curve, style, logarithmic=True)
    left.set_xscale("log")
    left.set_xlabel(r"weight of the labels $\lambda_\mathrm{lab}$")
    left.set_ylabel("normalised label error")
    right.set_ylabel("reconstruction error")
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.margins(y=0.1)
    handles = [*left.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    draw_legend(figure, handles, names)
    return figure


def _draw_curve(
    axes: Axes, name: str, curve: Curve, style: dict[str, Any], logarithmic: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the finite points and give back the lowest at each place, from left to right."""
    x, y = (np.asarray(values, dtype=np.float64).ravel() for values in curve[:2])
    error = np.full(x.size, np.nan) if curve.error is None else np.asarray(curve.error, np.float64)
    if not x.size == y.size == error.size:
        raise MauryError(
            f"Curve {name!r} has {x.size} places, {y.size} scores and {error.size} errors."
        )
    order = np.lexsort((y, x))
    order = order[np.isfinite(x[order]) & np.isfinite(y[order])]
    x, y, error = x[order], y[order], error[order]
    if logarithmic and np.any(x <= 0):
        raise MauryError(f"Curve {name!r} has a point at {x[0]:g}, not fit for a logarithmic axis.")
    _, lowest = np.unique(x, return_index=True)
    marks = {"linestyle": "none", "color": style["color"], "marker": style["marker"]}
    axes.plot(np.delete(x, lowest), np.delete(y, lowest), alpha=0.35, **marks)
    x, y, error = x[lowest], y[lowest], error[lowest]
    axes.errorbar(x, y, np.nan_to_num(error), label=name, capsize=2, elinewidth=0.8, **style)
    return x, y
