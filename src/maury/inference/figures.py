"""Figures of predictions: the observation with a computed spectrum over it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from maury.figures import BLUE, GREY, INK, RED, REGIONS, Region, save_figure
from maury.inference.fit import SOLAR_LINE_SHIFT, macroturbulence
from maury.inference.prediction import Prediction
from maury.inference.predictor import Predictor
from maury.instrument import Telluric
from maury.labels import HARPS_LABELS, LABELS
from maury.spectrum import Spectrum, doppler_factor
from maury.synthesis.synthesize import synthesize

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Panel", "panels", "plot_prediction"]

Array = NDArray[np.float64]

STEP = 0.01  # Angstrom, of the computed spectrum
MARGIN = 1.0  # Angstrom computed beyond a region, for the broadening
DEGREE = 3  # of the continuum within a region
# What the synthesis can compute: the range of its model atmospheres.
LIMITS = {"teff": (3500.0, 11500.0), "logg": (3.5, 5.0), "mh": (-1.5, 0.5)}

_LEGEND = (
    Line2D([], [], color=INK, label="observed"),
    Line2D([], [], color=RED, label="computed from first principles"),
    Patch(color=GREY, alpha=0.35, label="telluric lines"),
)


@dataclass(frozen=True, eq=False)
class Panel:
    """Observation and computed spectrum in one region.

    Parameters
    ----------
    region : Region
        Where.
    wavelength : array, [n]
        Angstrom, air, rest frame of the star.
    observed, computed : array, [n]
        Flux relative to the continuum; NaN where the observation is bad.
    telluric : array, [n]
        Transmission of the Earth's air, 1 where nothing is known of it.
    """

    region: Region
    wavelength: Array
    observed: Array
    computed: Array
    telluric: Array


def plot_prediction(
    spectrum: Spectrum, prediction: Prediction, predictor: Predictor, path: Path
) -> None:
    """Draw a spectrum with our own first-principles spectrum at the predicted parameters over it.

    Parameters
    ----------
    spectrum : Spectrum
        What was observed.
    prediction : Prediction
        What `predictor` said of it.
    predictor : Predictor
        For the resolving power.
    path : Path
        Figure to write.

    Raises
    ------
    MauryError
        If the figure cannot be written.
    """
    found = panels(spectrum, prediction, predictor)
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(16.0, 9.0), layout=layout)
    FigureCanvasAgg(figure)
    figure.suptitle(_title(prediction), x=0.01, ha="left", fontsize=13, color=INK)
    cells = figure.add_gridspec(2, 3)
    for number, panel in enumerate(found):
        inner = cells[number // 3, number % 3].subgridspec(2, 1, height_ratios=[3, 1], hspace=0.0)
        upper = figure.add_subplot(inner[0])
        lower = figure.add_subplot(inner[1], sharex=upper)
        _draw(panel, upper, lower)
        if number % 3 == 0:
            upper.set_ylabel("flux / continuum")
            lower.set_ylabel("obs. - comp.")
    _describe(figure.add_subplot(cells[len(found) // 3, len(found) % 3]), prediction)
    figure.legend(handles=_LEGEND, loc="upper right", ncols=3, frameon=False, fontsize=11)
    save_figure(figure, path, dpi=100)


def panels(spectrum: Spectrum, prediction: Prediction, predictor: Predictor) -> list[Panel]:
    """Observation and computed spectrum in each of `maury.figures.REGIONS` that is covered.

    The computed spectrum is `maury.synthesize` at the predicted parameters, with the rotation of
    the fit and the instrument's resolving power. The continuum of the observation is the cubic
    that brings the computed spectrum to it, outliers left out.
    """
    spectrum = spectrum.to_medium("air")
    fitter, _ = predictor.fitter(spectrum)
    values = {
        name: float(np.clip(prediction.labels[name].value, *limits))
        for name, limits in LIMITS.items()
    }
    vmac = macroturbulence(values["teff"])
    shift = float(doppler_factor(_velocity(spectrum, prediction)))
    found = []
    for region in REGIONS:
        rest = spectrum.wavelength / shift
        inside = (rest > region.lower) & (rest < region.upper)
        good = rest[inside & spectrum.valid]
        if good.size < 100 or np.ptp(good) < 0.7 * (region.upper - region.lower):
            continue
        rest, flux, usable = rest[inside], spectrum.flux[inside], spectrum.valid[inside]
        star = synthesize(
            teff=values["teff"],
            logg=values["logg"],
            mh=values["mh"],
            vmic=prediction.facts.get("vmic", 1.0),
            vsini=prediction.facts.get("vsini", 2.0),
            vmac=vmac,
            resolving_power=fitter.resolving_power,
            wavelength=np.arange(region.lower - MARGIN, region.upper + MARGIN, STEP),
            normalized=True,
        )
        computed = np.interp(rest, star.wavelength, star.flux)
        flux = np.where(usable, flux, 0.0)
        observed = np.where(usable, flux / _continuum(rest, flux, computed, usable), np.nan)
        telluric = _telluric(spectrum.wavelength[inside], spectrum, prediction)
        found.append(Panel(region, rest, observed, computed, telluric))
    return found


def _velocity(spectrum: Spectrum, prediction: Prediction) -> float:
    """By how much the star's lines are shifted in the frame of the spectrum, km/s."""
    if prediction.fit is not None:
        return prediction.fit.values["rv"] + SOLAR_LINE_SHIFT
    velocity = prediction.labels["rv"].value
    if spectrum.frame == "observatory" and spectrum.meta.berv is not None:
        velocity -= spectrum.meta.berv
    return velocity


def _continuum(wavelength: Array, flux: Array, computed: Array, usable: NDArray[np.bool_]) -> Array:
    """The polynomial that brings the computed flux to the flux, with Cauchy's weights."""
    x = np.interp(wavelength, (wavelength[0], wavelength[-1]), (-1, 1))
    columns = np.polynomial.chebyshev.chebvander(x, DEGREE)
    start = float(np.median((flux / np.maximum(computed, 0.05))[usable]))
    coefficients = np.array([start, *[0.0] * DEGREE])
    for _ in range(8):
        level = columns @ coefficients
        # Cores of strong lines say little about the continuum.
        scale = 0.05 * np.abs(level) + 1e-30
        residual = (flux - level * computed) / scale
        weight = np.where(usable, 1 / (1 + residual**2), 0.0) / scale**2
        rows = columns * computed[:, None]
        coefficients = np.linalg.lstsq(
            rows * np.sqrt(weight)[:, None], flux * np.sqrt(weight), rcond=None
        )[0]
    level = columns @ coefficients
    return np.where(np.abs(level) > 1e-3 * abs(start), level, np.nan)


def _telluric(wavelength: Array, spectrum: Spectrum, prediction: Prediction) -> Array:
    """Transmission at the wavelengths of the spectrum, 1 where the Earth's motion is unknown."""
    berv = 0.0 if spectrum.frame == "observatory" else None
    if spectrum.frame == "barycentric" and "berv" in prediction.labels:
        berv = prediction.labels["berv"].value
    if berv is None:
        return np.ones_like(wavelength)
    airmass = prediction.labels["airmass"].value if "airmass" in prediction.labels else 1.5
    return Telluric.load().transmission(
        wavelength / (1 + berv / 299_792.458),
        airmass=min(max(airmass, 1.0), 4.0),
        pwv=prediction.facts.get("pwv", 3.0),
        resolving_power=100_000,
    )


def _draw(panel: Panel, upper: Axes, lower: Axes) -> None:
    wavelength, observed, computed = panel.wavelength, panel.observed, panel.computed
    upper.plot(wavelength, observed, color=INK, linewidth=0.8)
    upper.plot(wavelength, computed, color=RED, linewidth=0.8, alpha=0.9)
    lower.plot(wavelength, observed - computed, color=BLUE, linewidth=0.6)
    lower.axhline(0.0, color=INK, linewidth=0.5)
    dark = panel.telluric < 0.98
    for axes in (upper, lower):
        axes.fill_between(
            wavelength, 0, 1, where=dark, transform=axes.get_xaxis_transform(), step="mid",
            color=GREY, alpha=0.35, linewidth=0,
        )  # fmt: skip
        axes.tick_params(colors=INK, labelsize=9)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    high = float(np.nanpercentile(observed, 99.5))
    upper.set_ylim(0.0, max(1.15, min(1.1 * high, 2.0)))
    size = float(np.nanpercentile(np.abs(observed - computed), 98))
    bound = min(max(1.3 * size, 0.06), 0.6)
    lower.set_ylim(-bound, bound)
    upper.set_xlim(panel.region.lower, panel.region.upper)
    upper.tick_params(labelbottom=False)
    upper.set_title(panel.region.name, fontsize=11, color=INK, loc="left")
    typical = 1.4826 * float(np.nanmedian(np.abs(observed - computed)))
    upper.set_title(f"typical residual {typical:.3f}", fontsize=9, color=GREY, loc="right")
    lower.set_xlabel("wavelength in air, rest frame of the star [Å]", fontsize=9, color=INK)


def _title(prediction: Prediction) -> str:
    name = Path(prediction.file).name
    return name if prediction.object is None else f"{prediction.object}    {name}"


def _describe(axes: Axes, prediction: Prediction) -> None:
    axes.axis("off")
    source = "network, refined by a fit" if prediction.refined else "network alone"
    lines = [(source, INK)]
    for name in HARPS_LABELS.names:
        if name in prediction.labels:
            text, edge, _ = prediction.show(name).partition(" (edge)")
            unit = prediction.labels[name].unit
            lines.append((f"{LABELS[name].symbol} = {text} {unit}{edge}", INK))
    if "vmic" in prediction.facts:
        vmic, vsini = prediction.facts["vmic"], prediction.facts["vsini"]
        lines.append((rf"$\xi$ = {vmic:.2f} km/s,  $v\,\sin i$ = {vsini:.1f} km/s", INK))
        snr, residual = prediction.facts["snr"], prediction.facts["residual"]
        lines.append((f"S/N = {snr:.0f} per km/s,  residual = {residual:.3f}", INK))
    lines += [(flag, RED) for flag in prediction.flags]
    for number, (text, color) in enumerate(lines):
        axes.text(0.08, 0.95 - 0.075 * number, text, color=color, fontsize=12, va="top")
