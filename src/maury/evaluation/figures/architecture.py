"""Diagrams of networks: one box a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from maury.errors import MauryError
from maury.evaluation.figures.style import PAGE, STYLE, new_figure

__all__ = ["Layer", "network_diagram"]

ACROSS, FEWEST = 16, 10  # places beside each other, at most and at least
THINNEST, THICKEST = 0.25, 0.9  # width of a box, of the place that a layer has
BELOW = -0.06  # where the numbers begin
LETTER = 0.06  # inches that a letter of a name takes
LOWEST = 0.06  # height of the shortest layer's box, of the longest one's


class Layer(NamedTuple):
    """What a layer of a network gives on, and what it learns.

    Parameters
    ----------
    name : str
        What it does.
    channels, length : int
        Shape of its output.
    parameters : int
        Number of trained values.
    """

    name: str
    channels: int
    length: int
    parameters: int


@mpl.rc_context(STYLE)
def network_diagram(layers: Sequence[Layer], title: str = "") -> Figure:
    """A network from input to output, left to right, line by line (Appendix B of the paper).

    The height of a box tells the logarithm of the output's length, its width the logarithm of the
    number of channels, and its shade the logarithm of the number of trained values. Below each
    stand channels, length and trained values.

    Parameters
    ----------
    layers : sequence of Layer
        The layers, in the order of the data.
    title : str
        What the network is called; the sum of its trained values is added.

    Raises
    ------
    MauryError
        If there is no layer, or one has an output without any value.
    """
    if not layers:
        raise MauryError("A network without layers cannot be drawn.")
    empty = [layer.name for layer in layers if layer.channels < 1 or layer.length < 1]
    if empty:
        raise MauryError(f"Layer {empty[0]!r} has an output without any value.")
    lines = -(-len(layers) // ACROSS)
    across = -(-len(layers) // lines)
    names = LETTER * max(len(layer.name) for layer in layers)
    figure = new_figure(PAGE, 0.35 + (1.4 + names) * lines)
    grid = figure.subplots(lines, 1, squeeze=False)[:, 0]
    shape = {
        key: np.log([getattr(layer, key) for layer in layers]) for key in ("channels", "length")
    }
    heights = LOWEST + (1 - LOWEST) * _share(shape["length"])
    widths = THINNEST + (THICKEST - THINNEST) * _share(shape["channels"])
    shades = 0.15 + 0.6 * _share(np.log1p([layer.parameters for layer in layers]))
    for line, axes in enumerate(grid):
        axes.set_xlim(-1.9, max(across, FEWEST) - 0.4)
        axes.set_ylim(-0.62, 1.75)
        axes.axis("off")
        axes.text(-0.6, BELOW, "channels\nlength\ntrained", ha="right", va="top", fontsize=7)
        part = slice(line * across, (line + 1) * across)
        drawn = zip(layers[part], widths[part], heights[part], shades[part], strict=True)
        for place, (layer, width, height, shade) in enumerate(drawn):
            _draw_layer(axes, place, layer, (width, height), shade)
    total = sum(layer.parameters for layer in layers)
    name = f"{title}: " if title else ""
    figure.suptitle(f"{name}{total:,} trained values", x=0.01, ha="left")
    return figure


def _share(values: np.ndarray) -> np.ndarray:
    """Where values lie between the least and the largest; in the middle if all are one."""
    spread = float(np.ptp(values))
    return (values - values.min()) / spread if spread > 0 else np.full(values.shape, 0.5)


def _draw_layer(
    axes: Axes, place: int, layer: Layer, size: tuple[float, float], shade: float
) -> None:
    width, height = size
    colour = mpl.colormaps["Blues"](shade)
    corner = (place - width / 2, 0.5 - height / 2)
    axes.add_patch(Rectangle(corner, width, height, facecolor=colour, linewidth=0.6))
    axes.text(
        place, 0.53 + height / 2, layer.name, rotation=90, ha="center", va="bottom", fontsize=7
    )
    text = f"{layer.channels}\n{layer.length}\n{_short(layer.parameters)}"
    axes.text(place, BELOW, text, ha="center", va="top", fontsize=7)


def _short(number: int) -> str:
    """A count in at most four letters.

    >>> [_short(n) for n in (0, 832, 1_573, 14_123_456)]
    ['0', '832', '1.6k', '14M']
    """
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if number >= unit:
            return (
                f"{number / unit:.2g}{letter}"
                if number < 100 * unit
                else f"{number / unit:.0f}{letter}"
            )
    return str(number)
