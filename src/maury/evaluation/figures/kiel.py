"""Kiel diagrams: surface gravity against effective temperature."""

from __future__ import annotations

from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from maury.errors import MauryError
from maury.evaluation.figures.style import (
    COLUMN,
    GREY,
    INK,
    STYLE,
    finite,
    label_title,
    new_figure,
    number_panel,
    tick_logarithms,
)

__all__ = ["kiel_diagram"]

BINS = 30


@mpl.rc_context(STYLE)
def kiel_diagram(
    teff: ArrayLike,
    logg: ArrayLike,
    colour: ArrayLike,
    colour_title: str = label_title("mh"),
    *,
    marginals: bool = True,
    logarithmic: bool = False,
) -> Figure:
    """Stars by effective temperature and surface gravity, like Fig. 1 of Cvrcek et al. (2024).

    Both axes are reversed, as in a Hertzsprung-Russell diagram. Stars without a colour are black.

    Parameters
    ----------
    teff, logg : array_like, float[star]
        Of a catalogue or predicted, K and dex of cgs units; a star with NaN is left out.
    colour : array_like, float[star]
        What the colour tells, such as [M/H] or an error; NaN where it is unknown.
    colour_title : str
        What it is, with its unit.
    marginals : bool
        Whether histograms of temperature and gravity stand beside the diagram.
    logarithmic : bool
        Whether the colour tells the logarithm, as suits errors.

    Raises
    ------
    MauryError
        If the arrays differ in length or no star has both temperature and gravity.
    """
    x, y, c = (np.asarray(values, dtype=np.float64).ravel() for values in (teff, logg, colour))
    if not x.size == y.size == c.size:
        raise MauryError(
            f"A Kiel diagram needs as many gravities and colours as temperatures, {x.size}, "
            f"not {y.size} and {c.size}."
        )
    placed = np.isfinite(x) & np.isfinite(y)
    if not placed.any():
        raise MauryError("No star has both temperature and gravity, so there is nothing to draw.")
    x, y, c = x[placed], y[placed], c[placed]
    figure = new_figure(COLUMN, 3.4 if marginals else 2.9)
    if marginals:
        grid = figure.add_gridspec(2, 2, width_ratios=[4, 1], height_ratios=[1, 4])
        axes = figure.add_subplot(grid[1, 0])
        _draw_histogram(figure.add_subplot(grid[0, 0], sharex=axes), x, "vertical")
        _draw_histogram(figure.add_subplot(grid[1, 1], sharey=axes), y, "horizontal")
    else:
        axes = figure.add_subplot()
    _draw_stars(figure, axes, (x, y, c), colour_title, logarithmic)
    return figure


def _draw_stars(
    figure: Figure,
    axes: Axes,
    stars: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    colour_title: str,
    logarithmic: bool,
) -> None:
    x, y, c = stars
    known = np.isfinite(c) & (c > 0) if logarithmic else np.isfinite(c)
    size = float(np.clip(6000 / x.size, 1.5, 14))
    options: Any = {"s": size, "linewidths": 0, "rasterized": True}
    if not known.all():
        axes.scatter(x[~known], y[~known], color="black", **options)
        number_panel(axes, f"black: unknown ({np.sum(~known)} of {x.size})")
    if known.any():
        # Few outliers must not take the colours of all others.
        lower, upper = np.percentile(finite(c[known]), (1, 99))
        upper = max(upper, np.nextafter(lower, np.inf))
        norm = LogNorm(lower, upper) if logarithmic else Normalize(lower, upper)
        points = axes.scatter(x[known], y[known], c=c[known], norm=norm, **options)
        bar = figure.colorbar(
            points, ax=axes, location="bottom", label=colour_title, extend="both", aspect=30
        )
        if logarithmic:
            tick_logarithms(bar.ax.xaxis, lower, upper)
    axes.set_xlabel(label_title("teff"))
    axes.set_ylabel(label_title("logg"))
    axes.invert_xaxis()
    axes.invert_yaxis()


def _draw_histogram(
    axes: Axes, values: NDArray[np.float64], orientation: Literal["vertical", "horizontal"]
) -> None:
    axes.hist(values, bins=BINS, orientation=orientation, color=GREY, edgecolor=INK, linewidth=0.3)
    along, across = (axes.xaxis, axes.yaxis)[:: 1 if orientation == "vertical" else -1]
    along.set_tick_params(labelbottom=False, labelleft=False)
    across.set_major_locator(MaxNLocator(2, integer=True))
    across.set_label_text("spectra")
