"""A figure of generated spectra."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np

from maury.figures import GREY, INK, plot_spectrum, save_figure
from maury.inference.generation import Generation

__all__ = ["plot_generation"]

MOST = 64  # spectra in a figure
TITLE = 130  # letters a line


def plot_generation(generation: Generation, path: Path) -> None:
    """Draw the first spectrum over its range and at well-known lines, and the others behind it.

    Raises
    ------
    MauryError
        If the figure cannot be written.
    """
    first = generation.spectrum(0)
    figure = plot_spectrum(first, "")
    title = textwrap.fill(generation.describe(), TITLE)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    for index in range(1, min(len(generation), MOST)):
        other = generation.spectrum(index)
        flux = other.flux / np.percentile(other.flux[other.valid], 95)
        shown = np.where(other.valid, flux, np.nan)
        for axes in figure.axes:
            low, high = axes.get_xlim()
            inside = (other.wavelength >= low) & (other.wavelength <= high)
            axes.plot(
                other.wavelength[inside], shown[inside], color=GREY, linewidth=0.4, zorder=1,
                rasterized=True,
            )  # fmt: skip
            axes.set_xlim(low, high)
    save_figure(figure, path)
