"""Scores of models as boxes."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from maury.errors import MauryError
from maury.evaluation.figures.style import (
    COLOURS,
    COLUMN,
    INK,
    PAGE,
    STYLE,
    finite,
    label_title,
    new_figure,
    tick_logarithms,
)

__all__ = ["score_boxes"]

WHISKERS = (5, 95)  # percentiles
ROOM = 0.8  # share of a model's height that its boxes take


@mpl.rc_context(STYLE)
def score_boxes(
    scores: Mapping[str, Mapping[str, Mapping[str, ArrayLike]]],
    x_title: str,
    *,
    logarithmic: bool = False,
) -> Figure:
    """Scores of interventions by label, model and kind, like Figs. 7 and 8 of the paper.

    A box holds the middle half of the scores, its line is the median, its diamond the mean; the
    whiskers go from the 5th to the 95th percentile.

    Parameters
    ----------
    scores : mapping of str to mapping of str to mapping of str to array_like
        Scores by label (one panel each), model (one line each) and kind (one colour each), such as
        "RVIS" and "true RVIS"; NaN is left out, and so may be a model or a kind.
    x_title : str
        What the scores are.
    logarithmic : bool
        Whether the scores have a logarithmic axis.

    Raises
    ------
    MauryError
        If there is nothing to draw.
    """
    models = list(dict.fromkeys(model for panel in scores.values() for model in panel))
    kinds = list(
        dict.fromkeys(
            kind for panel in scores.values() for by_kind in panel.values() for kind in by_kind
        )
    )
    if not kinds:
        raise MauryError("No model has scores, so there is nothing to draw.")
    height = 0.8 + len(models) * max(0.24, 0.16 * len(kinds))
    figure = new_figure(COLUMN if len(scores) == 1 else PAGE, height)
    grid = figure.subplots(1, len(scores), squeeze=False, sharey=True)[0]
    for axes, (label, panel) in zip(grid, scores.items(), strict=True):
        for place, kind in enumerate(kinds):
            values = [finite(panel.get(model, {}).get(kind, ())) for model in models]
            _draw_boxes(axes, values, place, len(kinds))
        if logarithmic:
            axes.set_xscale("log")
            tick_logarithms(axes.xaxis, *axes.get_xlim())
        else:
            axes.set_xlim(left=0)
            axes.locator_params(axis="x", nbins=4)
        axes.set_title(label_title(label).partition(" (")[0])
        axes.grid(axis="x", linewidth=0.3)
        axes.set_axisbelow(True)
    grid[0].set_yticks(range(len(models)), models)
    grid[0].set_ylim(len(models) - 0.5, -0.5)
    figure.supxlabel(x_title, fontsize=8)
    if len(kinds) > 1:
        patches = [
            Patch(color=COLOURS[i % len(COLOURS)], label=kind) for i, kind in enumerate(kinds)
        ]
        figure.legend(handles=patches, loc="outside upper center", ncols=len(kinds))
    return figure


def _draw_boxes(axes: Axes, values: list[np.ndarray], place: int, kinds: int) -> None:
    """One box a model, at the place of its kind within the model's line."""
    rows = [row for row, some in enumerate(values) if some.size]
    if not rows:
        return
    height = ROOM / kinds
    offset = (place - (kinds - 1) / 2) * height
    axes.boxplot(
        [values[row] for row in rows],
        positions=[row + offset for row in rows],
        widths=0.8 * height,
        orientation="horizontal",
        whis=WHISKERS,
        showfliers=False,
        showmeans=True,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": COLOURS[place], "linewidth": 0.6},
        medianprops={"color": "white", "linewidth": 1.2},
        meanprops={
            "marker": "D",
            "markersize": 3,
            "markerfacecolor": "white",
            "markeredgecolor": INK,
            "markeredgewidth": 0.6,
        },
        whiskerprops={"linewidth": 0.6},
        capprops={"linewidth": 0.6},
    )
