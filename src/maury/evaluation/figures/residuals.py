"""Residuals of predicted labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from maury.errors import MauryError
from maury.evaluation.figures.style import (
    COLUMN,
    INK,
    PAGE,
    STYLE,
    label_title,
    new_figure,
    number_panel,
)

__all__ = ["residual_grid"]

MANY = 1000  # spectra from which on their density is drawn
REACH = 2.0  # residuals beyond so many times the middle model's 99th percentile are only counted


class _Panel(NamedTuple):
    """True values and residuals of one label by one model, and the limits of its column."""

    true: NDArray[np.float64]
    residual: NDArray[np.float64]
    range: tuple[tuple[float, float], tuple[float, float]]

    @property
    def outside(self) -> int:
        return int(np.sum(np.abs(self.residual) > self.range[1][1]))

    def counts(self, bins: int) -> NDArray[np.float64]:
        return np.histogram2d(self.true, self.residual, bins=bins, range=self.range)[0]


@mpl.rc_context(STYLE)
def residual_grid(
    true: Mapping[str, ArrayLike], predicted: Mapping[str, Mapping[str, ArrayLike]]
) -> Figure:
    """Residuals against true labels, a row a model, a column a label, like Fig. 4 of the paper.

    Up to a thousand spectra are points; of more, the density is drawn. Panels of a column share
    their axes; residuals that lie outside of them are counted. Predicted minus true is positive.

    Parameters
    ----------
    true : mapping of str to array_like, float[spectrum]
        True values by label, in its unit; NaN where unknown.
    predicted : mapping of str to mapping of str to array_like
        Predicted values by model and label, in the order of the true ones.

    Raises
    ------
    MauryError
        If a model lacks a label, or has another number of values than there are true ones.
    """
    if not true or not predicted:
        raise MauryError("Residuals need at least one label and one model.")
    columns = {label: _panels(label, values, predicted) for label, values in true.items()}
    panels = [panel for column in columns.values() for panel in column]
    many = max(panel.true.size for panel in panels) > MANY
    width = PAGE if len(true) > 1 else COLUMN
    figure = new_figure(width, 0.6 + 1.25 * len(predicted) + 0.35 * many)
    grid = figure.subplots(len(predicted), len(true), squeeze=False, sharex="col", sharey="col")
    bins = int(np.clip(150 / len(true), 25, 60))
    norm = LogNorm(1, max(2.0, max(panel.counts(bins).max() for panel in panels)))
    for axes, label in zip(grid.T, columns, strict=True):
        for below, panel in zip(axes, columns[label], strict=True):
            _draw_panel(below, panel, bins, norm if many else None)
            below.locator_params(axis="x", nbins=4 if len(true) < 4 else 2)
        axes[-1].set_xlabel(label_title(label))
    for axes, model in zip(grid[:, 0], predicted, strict=True):
        axes.set_ylabel(model)
    figure.supylabel("predicted − true value", fontsize=8)
    figure.supxlabel("true value", fontsize=8)
    if many:
        figure.colorbar(
            grid[0, 0].collections[0], ax=grid, location="top", label="spectra", aspect=60, pad=0.01
        )
    return figure


def _panels(
    label: str, true: ArrayLike, predicted: Mapping[str, Mapping[str, ArrayLike]]
) -> list[_Panel]:
    """One panel a model, all with the same limits."""
    x = np.asarray(true, dtype=np.float64).ravel()
    pairs = []
    for model, values in predicted.items():
        if label not in values:
            raise MauryError(f"Model {model!r} has no predictions of label {label!r}.")
        y = np.asarray(values[label], dtype=np.float64).ravel()
        if y.size != x.size:
            raise MauryError(
                f"Model {model!r} has {y.size} predictions of label {label!r} for {x.size} spectra."
            )
        known = np.isfinite(x) & np.isfinite(y)
        pairs.append((x[known], (y - x)[known]))
    reaches = [float(np.percentile(np.abs(r), 99)) for _, r in pairs if r.size]
    limit = 1.1 * min(max(reaches), REACH * float(np.median(reaches))) if reaches else 0.0
    places = np.concatenate([x for x, _ in pairs])
    ends = (float(places.min()), float(places.max())) if places.size else (0.0, 1.0)
    margin = 0.03 * (ends[1] - ends[0]) or 0.5
    limits = ((ends[0] - margin, ends[1] + margin), (-(limit or 1.0), limit or 1.0))
    return [_Panel(x, residual, limits) for x, residual in pairs]


def _draw_panel(axes: Axes, panel: _Panel, bins: int, norm: LogNorm | None) -> None:
    axes.set_xlim(panel.range[0])
    axes.set_ylim(panel.range[1])
    if norm is None:
        axes.scatter(
            panel.true,
            panel.residual,
            s=float(np.clip(1500 / max(panel.true.size, 1), 2, 10)),
            alpha=0.6,
            linewidths=0,
            color="#0072B2",
            rasterized=True,
        )
    else:
        counts = panel.counts(bins)
        edges = [np.linspace(*limits, bins + 1) for limits in panel.range]
        axes.pcolormesh(
            *edges, np.ma.masked_equal(counts.T, 0), norm=norm, rasterized=True, linewidth=0
        )
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.locator_params(axis="y", nbins=4)
    if panel.outside:
        number_panel(axes, f"{panel.outside} outside")
