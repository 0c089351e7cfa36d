"""Print how far our Sun is from HARPS's, and draw both.

Run as ``python benchmarks/solar_harps.py [SPECTRUM [FIGURE]]``. The spectrum, by default
``../shared/data/spectra/Sun_HARPS.fits``, is the Sun's light from Ganymede (ESO programme
60.A-9036), at rest; the figure is written where its name is given.

Correlation and rms of observed and computed normalised flux, outside telluric lines, with line
strengths as measured and as calibrated on another spectrum of the Sun, the atlas of Kurucz et al.
1984. The observed continuum is matched to the computed one in steps of 15 A.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.ndimage import minimum_filter1d

from maury.instrument.telluric import Telluric
from maury.readers import read
from maury.synthesis.calibration import local_continuum
from maury.synthesis.synthesize import LineStrengths, synthesize
from maury.wavelength import SPEED_OF_LIGHT

SPECTRUM = Path(__file__).resolve().parents[2] / "shared/data/spectra/Sun_HARPS.fits"
# Teff and log g: IAU 2015 nominal; vsini: Gray 2005; macroturbulence: Doyle et al. 2014.
SUN = {"teff": 5772, "logg": 4.438, "mh": 0.0, "vmic": 1.0, "vmac": 3.6, "vsini": 1.9}
RESOLVING_POWER = 115_000
SPAN, TESTED = (3900.0, 6880.0), (4200.0, 6850.0)  # Angstrom
AIRMASS, PWV, CLEAR = 1.05, 6.0, 0.985
MARGIN = 15  # pixels on either side of a telluric line

PANELS = (
    ("Ca II H and K", 3926.0, 3976.0),
    ("G band", 4296.0, 4316.0),
    (r"H$\beta$", 4851.0, 4872.0),
    ("Mg b, MgH", 5164.0, 5186.0),
    ("Na D", 5884.0, 5901.0),
    (r"H$\alpha$", 6552.0, 6574.0),
)
INK, BLUE, RED, GREY = "#1f2933", "#2563a8", "#d1495b", "#c5ccd3"


@dataclass(frozen=True, eq=False)
class Comparison:
    """The observed and the computed Sun, normalised, on the same wavelengths.

    Attributes
    ----------
    wavelength
        Angstrom in air, rest frame, shape (pixel,).
    observed, computed
        Relative to the continuum.
    clear
        Where no telluric line and no bad pixel is.
    """

    wavelength: np.ndarray
    observed: np.ndarray
    computed: np.ndarray
    clear: np.ndarray

    def tested(self, lower: float = TESTED[0], upper: float = TESTED[1]) -> np.ndarray:
        """The clear pixels of a range."""
        return self.clear & (self.wavelength >= lower) & (self.wavelength < upper)

    @property
    def correlation(self) -> float:
        """Pearson's, over all clear pixels of 4200-6850 A."""
        here = self.tested()
        return float(np.corrcoef(self.observed[here], self.computed[here])[0, 1])

    def residual(self, lower: float, upper: float) -> np.ndarray:
        """Observed less computed flux of the clear pixels of a range."""
        here = self.tested(lower, upper)
        return self.observed[here] - self.computed[here]


def best_velocity(
    wavelength: np.ndarray,
    flux: np.ndarray,
    model: Callable[[np.ndarray], np.ndarray],
    trials: np.ndarray,
) -> float:
    """The shift of ``model``, a function of wavelength, that makes it most like ``flux``, km/s."""
    scores = [np.corrcoef(flux, model(wavelength * (1 - v / SPEED_OF_LIGHT)))[0, 1] for v in trials]
    return float(trials[int(np.argmax(scores))])


def compare(path: Path, line_strengths: LineStrengths) -> Comparison:
    """Compute the Sun and bring the observed one beside it."""
    spectrum = read(path)
    inside = (spectrum.wavelength > SPAN[0]) & (spectrum.wavelength < SPAN[1])
    wavelength, flux = spectrum.wavelength[inside], spectrum.flux[inside]
    good = ~spectrum.mask[inside] & (flux > 0)
    # Gravity and granulation shift the lines by some 0.5 km/s: look beyond the ends.
    grid = np.arange(SPAN[0] - 1, SPAN[1] + 1, 0.01)
    computed = synthesize(
        **SUN,
        resolving_power=RESOLVING_POWER,
        wavelength=grid,
        normalized=True,
        line_strengths=line_strengths,
    ).flux

    def model(at: np.ndarray) -> np.ndarray:
        return np.interp(at, grid, computed)

    window = good & (wavelength > 5400) & (wavelength < 5880)
    shift = best_velocity(
        wavelength[window], flux[window], model, np.arange(-3, 3, 0.02)
    )  # fmt: skip
    at_rest = model(wavelength * (1 - shift / SPEED_OF_LIGHT))
    clear = good & ~telluric_lines(wavelength, np.where(good, flux, np.nan) / at_rest)
    level = local_continuum(wavelength, flux / at_rest, at_rest, clear.astype(float))
    return Comparison(wavelength, flux / level, at_rest, clear)


def telluric_lines(wavelength: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Where the Earth's air absorbs; its velocity is found from the B band of oxygen."""
    telluric = Telluric.load()

    def transmission(at: np.ndarray) -> np.ndarray:
        return telluric.transmission(
            at, airmass=AIRMASS, pwv=PWV, resolving_power=RESOLVING_POWER
        )  # fmt: skip

    band = (wavelength > 6866) & (wavelength < 6880) & np.isfinite(ratio)
    shift = best_velocity(wavelength[band], ratio[band], transmission, np.arange(-70, 70, 0.2))
    shifted = transmission(wavelength * (1 - shift / SPEED_OF_LIGHT))
    return minimum_filter1d(shifted, 2 * MARGIN + 1) < CLEAR


def draw(comparison: Comparison) -> Figure:
    """Six windows, with what is left over below each."""
    figure = Figure(figsize=(13.0, 12.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(6, 2, height_ratios=[3, 1] * 3, gridspec_kw={"hspace": 0.0})
    for k, (name, lower, upper) in enumerate(PANELS):
        row, column = 2 * (k // 2), k % 2
        top, bottom = axes[row, column], axes[row + 1, column]
        here = (comparison.wavelength >= lower) & (comparison.wavelength <= upper)
        wavelength, clear = comparison.wavelength[here], comparison.clear[here]
        observed, computed = comparison.observed[here], comparison.computed[here]
        top.plot(wavelength, observed, color=INK, lw=1.7, label="HARPS, Sun by Ganymede")
        top.plot(wavelength, computed, color=RED, lw=0.9, label="computed")
        bottom.plot(wavelength, observed - computed, color=BLUE, lw=0.8)
        bottom.axhline(0, color=INK, lw=0.5)
        for panel in (top, bottom):
            panel.fill_between(
                wavelength, 0, 1, where=~clear, color=GREY, alpha=0.6, lw=0, step="mid",
                transform=panel.get_xaxis_transform(), label="telluric" if panel is top else None,
            )  # fmt: skip
            panel.set_xlim(lower, upper)
            panel.spines[["top", "right"]].set_visible(False)
        rms = np.sqrt(np.mean((observed - computed)[clear] ** 2))
        top.set_title(f"{name}     rms {rms:.3f}", loc="left", fontsize=11)
        top.set_ylim(0, 1.1)
        top.tick_params(labelbottom=False)
        bottom.set_ylim(-0.22, 0.22)
        bottom.set_yticks([-0.2, 0, 0.2])
        if column == 0:
            top.set_ylabel("flux / continuum")
            bottom.set_ylabel("O − C")
        if row == 4:
            bottom.set_xlabel("wavelength in air [Å], rest frame of the Sun")
    handles, labels = axes[4, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    figure.align_ylabels()
    return figure


def main() -> None:
    """Compare, and draw."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SPECTRUM
    if not path.is_file():
        sys.exit(f"{path} is not there; name HARPS's spectrum of the Sun on the command line.")
    ranges = [(low, min(low + 500, TESTED[1])) for low in np.arange(*TESTED, 500)]
    titles = " | ".join(f"{low:.0f}-{high:.0f} A" for low, high in ranges)
    print(f"| line strengths | correlation | rms: {titles} |")
    print("|---" * (len(ranges) + 2) + "|")
    for strengths in ("original", "calibrated"):
        comparison = compare(path, strengths)
        cells = [f"{np.sqrt(np.mean(comparison.residual(a, b) ** 2)):.4f}" for a, b in ranges]
        print(f"| {strengths} | {comparison.correlation:.4f} | {' | '.join(cells)} |", flush=True)
    inside = (comparison.wavelength >= TESTED[0]) & (comparison.wavelength < TESTED[1])
    print(f"{comparison.clear[inside].mean():.1%} of the pixels are clear.", file=sys.stderr)
    if len(sys.argv) > 2:
        draw(comparison).savefig(sys.argv[2], dpi=80, pil_kwargs={"optimize": True})
        print(f"Wrote {sys.argv[2]}.", file=sys.stderr)


if __name__ == "__main__":
    main()
