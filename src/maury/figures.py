"""Figures of a single spectrum: all of it, and the lines that tell most about a star."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from maury.errors import MauryError, SpectrumError
from maury.spectrum import Spectrum, doppler_factor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["REGIONS", "Region", "plot_spectrum", "save_figure"]

INK = "#1f2933"
BLUE = "#2563a8"
GREY = "#9aa5b1"
RED = "#b42318"


@dataclass(frozen=True)
class Region:
    """A window around lines that tell much about a star.

    Parameters
    ----------
    name : str
        What the lines are called.
    lower, upper : float
        The window, Angstrom in air, rest frame.
    lines : tuple of float
        Rest wavelengths of the lines in air (NIST Atomic Spectra Database).
    """

    name: str
    lower: float
    upper: float
    lines: tuple[float, ...]


REGIONS: tuple[Region, ...] = (
    Region("Ca II H and K", 3923.0, 3980.0, (3933.663, 3968.469)),
    Region(r"H$\beta$", 4841.0, 4881.0, (4861.35,)),
    Region("Mg b", 5155.0, 5195.0, (5167.321, 5172.684, 5183.604)),
    Region("Na D", 5880.0, 5905.0, (5889.951, 5895.924)),
    Region(r"H$\alpha$", 6542.0, 6584.0, (6562.79,)),
)
"""The windows that are drawn where a spectrum covers them."""


def plot_spectrum(spectrum: Spectrum, title: str | None = None) -> Figure:
    """Draw a spectrum over its whole range, and below it the `REGIONS` that it covers.

    The flux is drawn relative to its 95th percentile, so that spikes do not set the scale; bad
    pixels leave gaps. Line positions are marked where a star with the radial velocity of the header
    has them, or at rest when the header has none or the spectrum is in the frame of the star.

    Parameters
    ----------
    spectrum : Spectrum
        What to draw, in any medium; it is drawn in air.
    title : str, optional
        By default the object, instrument and time of the observation.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved; see `save_figure`.

    Examples
    --------
    >>> wavelength = np.arange(5880.0, 6600.0, 0.1)
    >>> figure = plot_spectrum(Spectrum(wavelength, np.ones(wavelength.size)))
    >>> [axes.get_title() for axes in figure.axes[1:]]
    ['Na D', 'H$\\\\alpha$']
    """
    spectrum = spectrum.to_medium("air")
    flux = _relative_flux(spectrum)
    velocity = _expected_velocity(spectrum)
    regions = [region for region in REGIONS if _covers(spectrum, region)]
    columns = max(len(regions), 1)
    figure = Figure(figsize=(13.0, 6.6 if regions else 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    layout = figure.add_gridspec(
        2 if regions else 1, columns, height_ratios=[1, 0.9][: 1 + bool(regions)]
    )
    overview = figure.add_subplot(layout[0, :])
    _draw(overview, spectrum, flux, linewidth=0.35)
    overview.set_ylim(*_limits(flux))
    overview.set_xlim(spectrum.wavelength[0], spectrum.wavelength[-1])
    overview.set_ylabel("flux / 95th percentile")
    overview.set_xlabel(_axis_label(spectrum))
    overview.set_title(title if title is not None else _title(spectrum), loc="left", color=INK)
    if regions:
        where = f"at {velocity:+.2f} km/s" if velocity else "at rest"
        overview.set_title(f"dashed: lines {where}", loc="right", color=RED, fontsize=9)
    for region in regions:
        overview.axvspan(region.lower, region.upper, color=GREY, alpha=0.25, linewidth=0)
    for column, region in enumerate(regions):
        axes = figure.add_subplot(layout[1, column])
        _draw_region(axes, spectrum, flux, region, float(doppler_factor(velocity)))
        if column == 0:
            axes.set_ylabel("flux / 95th percentile")
    return figure


def save_figure(figure: Figure, path: str | Path, dpi: int = 130) -> None:
    """Write a figure; the ending of the name tells the format (png, pdf, svg).

    Raises
    ------
    MauryError
        If the format is unknown or the file cannot be written.
    """
    try:
        figure.savefig(path, dpi=dpi)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MauryError(f"The figure {path} cannot be written ({reason}).") from error


def _expected_velocity(spectrum: Spectrum) -> float:
    """Velocity by the header of the star's lines in the frame of the spectrum, km/s."""
    if spectrum.frame == "rest" or spectrum.meta.rv is None:
        return 0.0
    earth = spectrum.meta.berv or 0.0 if spectrum.frame == "observatory" else 0.0
    return spectrum.meta.rv - earth


def _relative_flux(spectrum: Spectrum) -> NDArray[np.float64]:
    good = spectrum.flux[spectrum.valid]
    if good.size == 0:
        raise SpectrumError("A spectrum without any good pixel cannot be drawn.")
    level = np.percentile(good, 95)
    return np.where(spectrum.valid, spectrum.flux / (level if level > 0 else 1.0), np.nan)


def _limits(flux: NDArray[np.float64]) -> tuple[float, float]:
    lower, upper = np.nanpercentile(flux, (0.2, 99.8))
    margin = 0.1 * (upper - lower) or 0.1
    return float(min(lower, 0.0) - margin / 2), float(upper + margin)


def _covers(spectrum: Spectrum, region: Region) -> bool:
    inside = (spectrum.wavelength >= region.lower) & (spectrum.wavelength <= region.upper)
    good = spectrum.wavelength[inside & spectrum.valid]
    return good.size > 20 and bool(np.ptp(good) > 0.7 * (region.upper - region.lower))


def _draw(
    axes: Axes, spectrum: Spectrum, flux: NDArray[np.float64], linewidth: float = 0.8
) -> None:
    axes.plot(spectrum.wavelength, flux, color=BLUE, linewidth=linewidth, rasterized=True)
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_region(
    axes: Axes, spectrum: Spectrum, flux: NDArray[np.float64], region: Region, shift: float
) -> None:
    inside = (spectrum.wavelength >= region.lower) & (spectrum.wavelength <= region.upper)
    part = spectrum.between(region.lower, region.upper)
    _draw(axes, part, flux[inside])
    for line in region.lines:
        axes.axvline(line * shift, color=RED, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.7)
    axes.set_xlim(region.lower, region.upper)
    axes.set_ylim(*_limits(flux[inside]))
    axes.set_title(region.name, fontsize=10, color=INK)
    axes.locator_params(axis="x", nbins=4)


def _axis_label(spectrum: Spectrum) -> str:
    frames = {"barycentric": "barycentric frame", "observatory": "frame of the observatory"}
    return f"wavelength in air [Å], {frames.get(spectrum.frame, 'rest frame of the star')}"


def _title(spectrum: Spectrum) -> str:
    meta = spectrum.meta
    time = None if meta.time is None else meta.time.isot[:16].replace("T", " ") + " UTC"
    snr = None if meta.snr is None else f"S/N {meta.snr:.0f}"
    words = [meta.object, meta.instrument, time, snr]
    name = None if meta.path is None else Path(meta.path).name
    return ",  ".join(word for word in words if word) or name or "spectrum"
