"""Spectra around chosen lines: several over each other, or one while a label moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from maury.errors import MauryError
from maury.evaluation.figures.style import (
    COLUMN,
    GREY,
    PAGE,
    STYLE,
    draw_legend,
    label_title,
    line_styles,
    new_figure,
)
from maury.figures import REGIONS, Region

__all__ = ["LINES", "compare_spectra", "latent_traversal"]

LINES: tuple[Region, ...] = tuple(region for region in REGIONS if region.name != r"H$\beta$")
"""Ca II H and K, Mg b, Na D and H-alpha."""

LEAST = 0.7  # share of a window that a grid must cover for the window to be drawn
FEWEST = 8  # pixels in a window
BREAK = 3.0  # a step of so many times the usual one is a gap, over which no line is drawn


@mpl.rc_context(STYLE)
def compare_spectra(
    wavelength: ArrayLike, spectra: Mapping[str, ArrayLike], regions: Sequence[Region] = LINES
) -> Figure:
    """Spectra over each other around chosen lines; below, what differs from the first of them.

    For observed, reconstructed and computed spectra of a star, or the decoders of Fig. 5 of Cvrcek
    et al. (2024). Windows that the grid lacks are left out and named below the figure.

    Parameters
    ----------
    wavelength : array_like, float[pixel]
        Angstrom in air, rising.
    spectra : mapping of str to array_like, float[pixel]
        Normalised flux by name, all in the same frame; NaN where a pixel is not valid. The first
        is what the others are held against.
    regions : sequence of Region
        Windows to draw, side by side; the lines of each are marked at their rest wavelengths.

    Raises
    ------
    MauryError
        If there are fewer than two spectra, one does not fit the wavelengths, or the first covers
        none of the windows.
    """
    grid = np.asarray(wavelength, dtype=np.float64).ravel()
    fluxes = {name: _matching(name, flux, grid) for name, flux in spectra.items()}
    if len(fluxes) < 2:
        raise MauryError("A comparison needs at least two spectra.")
    first, *others = fluxes
    shown = _covered(grid, fluxes[first], regions)
    figure = new_figure(COLUMN if len(shown) == 1 else PAGE, 2.9)
    panels = figure.subplots(
        2, len(shown), squeeze=False, sharex="col", sharey="row", height_ratios=[2.2, 1]
    )
    for (above, below), region in zip(panels.T, shown, strict=True):
        window = _Window(grid, region)
        window.draw(above, fluxes[first], label=first, color="black", linewidth=1.5)
        for name, style in line_styles(others).items():
            look = {key: style[key] for key in ("color", "linestyle")} | {"linewidth": 0.9}
            window.draw(above, fluxes[name], label=name, **look)
            window.draw(below, fluxes[name] - fluxes[first], **look)
        below.axhline(0, color="black", linewidth=0.6)
        window.finish(above)
        below.locator_params(axis="x", nbins=3 if len(shown) > 1 else 6)
    panels[0, 0].set_ylabel("normalised flux")
    panels[1, 0].set_ylabel("difference")
    figure.align_ylabels(panels[:, 0])
    draw_legend(figure, *panels[0, 0].get_legend_handles_labels())
    figure.supxlabel(_wavelength_title(regions, shown), fontsize=8)
    return figure


@mpl.rc_context(STYLE)
def latent_traversal(
    wavelength: ArrayLike,
    spectra: ArrayLike,
    values: ArrayLike,
    label: str,
    regions: Sequence[Region] = LINES,
) -> Figure:
    """How a decoder's spectrum changes around chosen lines while one label moves.

    Parameters
    ----------
    wavelength : array_like, float[pixel]
        Angstrom in air, rising.
    spectra : array_like, float[value, pixel]
        Normalised flux for each value of the label; NaN where a pixel is not valid.
    values : array_like, float[value]
        The values, in the unit of the label.
    label : str
        One of `maury.labels.LABELS`, or what else was moved.
    regions : sequence of Region
        Windows to draw, side by side; the lines of each are marked at their rest wavelengths.
        Windows that the grid lacks are left out and named below the figure.

    Raises
    ------
    MauryError
        If the shapes do not fit or the grid covers none of the windows.
    """
    grid = np.asarray(wavelength, dtype=np.float64).ravel()
    places = np.asarray(values, dtype=np.float64).ravel()
    rows = np.atleast_2d(np.asarray(spectra, dtype=np.float64))
    if rows.shape != (places.size, grid.size) or not places.size:
        raise MauryError(
            f"A traversal of {places.size} values on {grid.size} pixels needs spectra of shape "
            f"({places.size}, {grid.size}), not {rows.shape}."
        )
    shown = _covered(grid, rows[0], regions)
    figure = new_figure(COLUMN if len(shown) == 1 else PAGE, 2.3)
    panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    colours = ScalarMappable(Normalize(places.min(), places.max()), "viridis")
    shades = colours.to_rgba(places)
    for axes, region in zip(panels, shown, strict=True):
        window = _Window(grid, region)
        for row, shade in zip(rows, shades, strict=True):
            window.draw(axes, row, color=shade, linewidth=0.8)
        window.finish(axes)
        axes.locator_params(axis="x", nbins=3 if len(shown) > 1 else 6)
    panels[0].set_ylabel("normalised flux")
    figure.supxlabel(_wavelength_title(regions, shown), fontsize=8)
    figure.colorbar(colours, ax=panels, label=label_title(label), aspect=25)
    return figure


class _Window:
    """The pixels of a window; lines are broken where the grid has a gap."""

    def __init__(self, grid: NDArray[np.float64], region: Region) -> None:
        self.region = region
        self.inside = (grid >= region.lower) & (grid <= region.upper)
        part = grid[self.inside]
        steps = np.diff(part)
        self.gaps = np.flatnonzero(steps > BREAK * np.median(steps)) + 1
        self.wavelength = np.insert(part, self.gaps, np.nan)

    def draw(self, axes: Axes, flux: NDArray[np.float64], **look: Any) -> None:
        axes.plot(self.wavelength, np.insert(flux[self.inside], self.gaps, np.nan), **look)

    def finish(self, axes: Axes) -> None:
        """Mark the lines at rest and name the window."""
        for line in self.region.lines:
            axes.axvline(line, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
        axes.set_xlim(self.region.lower, self.region.upper)
        axes.set_title(self.region.name)


def _matching(name: str, flux: ArrayLike, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    array = np.asarray(flux, dtype=np.float64).ravel()
    if array.size != grid.size:
        raise MauryError(f"Spectrum {name!r} has {array.size} pixels, not {grid.size}.")
    return array


def _covered(
    grid: NDArray[np.float64], flux: NDArray[np.float64], regions: Sequence[Region]
) -> list[Region]:
    shown = []
    for region in regions:
        known = grid[(grid >= region.lower) & (grid <= region.upper) & np.isfinite(flux)]
        wide = LEAST * (region.upper - region.lower)
        if known.size >= FEWEST and np.ptp(known) > wide:
            shown.append(region)
    if not shown:
        names = ", ".join(f"{r.name} ({r.lower:g}-{r.upper:g} Å)" for r in regions)
        raise MauryError(f"The spectrum covers none of the windows {names}.")
    return shown


def _wavelength_title(regions: Sequence[Region], shown: Sequence[Region]) -> str:
    missing = [region.name for region in regions if region not in shown]
    remark = f"    not covered: {', '.join(missing)}" if missing else ""
    return f"wavelength in air (Å){remark}"
