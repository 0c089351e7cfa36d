"""How figures look, what their axes are called, and how they are written."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from maury.errors import MauryError
from maury.files import write_whole
from maury.labels import LABELS

__all__ = [
    "COLOURS",
    "COLUMN",
    "GREY",
    "INK",
    "PAGE",
    "STYLE",
    "draw_legend",
    "finite",
    "label_title",
    "line_styles",
    "new_figure",
    "number_panel",
    "save",
    "tick_logarithms",
]

COLUMN = 3.5
"""Width of a journal's column, inches."""
PAGE = 7.1
"""Width of a journal's page, inches."""

INK = "#1f2933"
GREY = "#8a94a0"
# Okabe & Ito (2008), https://jfly.uni-koeln.de/color/, without its yellow, too light for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", (0, (1, 1)), (0, (6, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (3, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# Of an entry of a legend, in font sizes: its line with gaps, and a letter.
LEGEND_ROOM, LETTER = 5.6, 0.58
LEGEND_LINE = 0.15  # inches

# Typed loosely, since only the newest matplotlib knows its parameters' names as types.
STYLE: Any = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "figure.titlesize": 8.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
    "axes.formatter.use_mathtext": True,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "image.cmap": "viridis",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,  # Type 42 fonts, so that text in a PDF stays text
}
"""What matplotlib is set to while a figure is made and while it is written."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure with a canvas, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def line_styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, dashes and marker for each name, by its place.

    After seven names the colours start again with the next dashes, so that 49 differ.
    """
    styles = {}
    for place, name in enumerate(names):
        turn, colour = divmod(place, len(COLOURS))
        styles[name] = {
            "color": COLOURS[colour],
            "linestyle": DASHES[(colour + turn) % len(DASHES)],
            "marker": MARKERS[(colour + turn) % len(MARKERS)],
        }
    return styles


def label_title(name: str, prefix: str = "", suffix: str = "") -> str:
    r"""Title of an axis that shows a label, with symbol and unit.

    Parameters
    ----------
    name : str
        One of `maury.labels.LABELS`; any other name is written as it is.
    prefix, suffix : str
        What stands around the symbol.

    Examples
    --------
    >>> label_title("teff"), label_title("rv", r"$\Delta$"), label_title("u1")
    ('$T_\\mathrm{eff}$ (K)', '$\\Delta$$v_\\mathrm{r}$ (km/s)', 'u1')
    """
    if name not in LABELS:
        return f"{prefix}{name}{suffix}"
    label = LABELS[name]
    unit = f" ({label.unit})" if label.unit else ""
    return f"{prefix}{label.symbol}{suffix}{unit}"


def finite(values: ArrayLike) -> NDArray[np.float64]:
    """The finite ones of some values, in one dimension."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[np.isfinite(array)]


def draw_legend(figure: Figure, handles: Sequence[Artist], names: Sequence[str]) -> None:
    """Put names above all panels, in as many columns as the figure has room for.

    The figure grows by the lines of the legend, but for two, so that the panels keep their room.
    """
    if names:
        entry = (LEGEND_ROOM + LETTER * max(map(len, names))) * STYLE["legend.fontsize"] / 72
        columns = int(np.clip(figure.get_figwidth() // entry, 1, len(names)))
        lines = -(-len(names) // columns)
        figure.set_figheight(figure.get_figheight() + LEGEND_LINE * max(lines - 2, 0))
        figure.legend(handles, names, loc="outside upper center", ncols=columns)


def number_panel(axes: Axes, text: str) -> None:
    """Write a short remark into the upper right corner of a panel."""
    axes.text(
        0.98,
        0.98,
        text,
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=7,
        bbox={"facecolor": "white", "alpha": 0.85, "linewidth": 0, "pad": 1},
    )


def tick_logarithms(axis: Axis, lower: float, upper: float) -> None:
    """Give a logarithmic axis plain numbers, few enough to be read also within a decade."""
    steps = (1, 2, 5) if upper < 10 * lower else (1, 3) if upper < 100 * lower else (1,)
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_formatter(NullFormatter())


def save(figure: Figure, folder: str | Path, name: str) -> tuple[Path, Path]:
    """Write NAME.png (200 dots an inch) and NAME.pdf, each whole or not at all.

    The same figure gives the same bytes: no times are written.

    Raises
    ------
    MauryError
        If the name is no name for a file.
    TargetError
        If a file cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise MauryError(f"A figure cannot be called {name!r}; use letters, digits, '-' and '_'.")
    formats: Mapping[str, dict[str, Any]] = {
        "png": {"dpi": 200},
        "pdf": {"dpi": 300, "metadata": {"CreationDate": None}},
    }
    paths = []
    with mpl.rc_context(STYLE):
        for kind, options in formats.items():
            file = io.BytesIO()
            figure.savefig(file, format=kind, **options)
            paths.append(write_whole(Path(folder) / f"{name}.{kind}", file.getvalue()))
    return paths[0], paths[1]
