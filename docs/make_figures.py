"""Draw the figures of the documentation.

Run as ``python docs/make_figures.py [ATLAS]``; the atlas, by default
``../shared/data/solar_atlas/kurucz1984_flux_3770_6930.npz``, holds the Sun's flux spectrum of
Kurucz, Furenlid, Brault & Testerman 1984 (NSO/Kitt Peak FTS): wave_air and residual_flux.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.broadening import broaden
from maury.synthesis.elements import abundances
from maury.synthesis.linelist import standard_lines
from maury.synthesis.synthesize import surface_flux
from maury.wavelength import SPEED_OF_LIGHT

ROOT = Path(__file__).resolve().parents[1]
ATLAS = ROOT.parent / "shared/data/solar_atlas/kurucz1984_flux_3770_6930.npz"
FIGURES = ROOT / "docs/figures"

WINDOWS = (
    (r"H$\beta$", 4851.0, 4872.0),
    ("Mg b, MgH, C$_2$", 5160.0, 5181.0),
    ("Fe I, Cr I and lines that are not there", 5240.0, 5261.0),
    ("Na D", 5880.0, 5901.0),
    (r"H$\alpha$", 6552.0, 6573.0),
)
# Teff, log g, vmic, vmac, vsini, and the shift of the atlas: gravity less granulation, km/s.
SUN = {"teff": 5772.0, "logg": 4.438, "mh": 0.0}
VMIC, VMAC, VSINI, SHIFT = 1.0, 3.6, 1.9, 0.52

INK, BLUE, RED, GREY = "#1f2933", "#2563a8", "#d1495b", "#9aa5b1"


def computed_sun(wavelength: np.ndarray, calibrated: bool) -> np.ndarray:
    """Normalised flux of the Sun as the atlas would see it."""
    margin = 3.0
    step = wavelength[1] - wavelength[0]
    wide = np.arange(wavelength[0] - margin, wavelength[-1] + margin, step)
    lines = standard_lines(calibrated=calibrated)
    flux, continuum = surface_flux(wide, model_atmosphere(**SUN), abundances(), lines, VMIC)
    relative = broaden(wide, flux / continuum, vsini=VSINI, vmac=VMAC)
    return np.interp(wavelength, wide, relative)


def sun_atlas(atlas: Path) -> Figure:
    """Our Sun over the observed one, with residuals below each window."""
    with np.load(atlas) as file:
        wave, observed_flux = file["wave_air"], file["residual_flux"].astype(np.float64)
    figure = Figure(figsize=(11.0, 14.0), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(
        2 * len(WINDOWS), 1, height_ratios=[3, 1] * len(WINDOWS), gridspec_kw={"hspace": 0.0}
    )
    for (name, lower, upper), top, bottom in zip(WINDOWS, rows[::2], rows[1::2], strict=True):
        wavelength = np.arange(lower, upper, 0.01)
        observed = np.interp(wavelength * (1 + SHIFT / SPEED_OF_LIGHT), wave, observed_flux)
        models = {flag: computed_sun(wavelength, flag) for flag in (False, True)}
        top.plot(wavelength, observed, color=INK, lw=1.6, label="observed (Kurucz et al. 1984)")
        top.plot(wavelength, models[False], color=RED, lw=0.7, label="laboratory line strengths")
        top.plot(wavelength, models[True], color=BLUE, lw=0.9, label="calibrated on the Sun")
        top.set_ylim(0, 1.05)
        top.set_ylabel("flux / continuum")
        for flag, colour in ((False, RED), (True, BLUE)):
            bottom.plot(wavelength, observed - models[flag], color=colour, lw=0.7)
        bottom.axhline(0, color=GREY, lw=0.6)
        bottom.set_ylim(-0.22, 0.22)
        bottom.set_yticks([-0.2, 0, 0.2])
        bottom.set_ylabel("O - C")
        medians = [float(np.median(np.abs(observed - models[flag]))) for flag in (False, True)]
        text = f"{name}     median |residual|: {medians[0]:.4f}, calibrated {medians[1]:.4f}"
        top.set_title(text, loc="left", fontsize=10, color=INK)
        for axes in (top, bottom):
            axes.set_xlim(lower, upper - 0.01)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8)
        top.tick_params(labelbottom=False)
    handles, labels = rows[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    figure.align_ylabels()
    rows[-1].set_xlabel("wavelength in air [Å], rest frame of the Sun")
    return figure


def main() -> None:
    """Write every figure."""
    atlas = Path(sys.argv[1]) if len(sys.argv) > 1 else ATLAS
    if not atlas.is_file():
        sys.exit(f"{atlas} is not there; name the solar atlas on the command line.")
    FIGURES.mkdir(parents=True, exist_ok=True)
    target = FIGURES / "sun_atlas.png"
    sun_atlas(atlas).savefig(target, dpi=80, pil_kwargs={"optimize": True})
    print(f"Wrote {target}, {target.stat().st_size / 1e3:.0f} kB.")


if __name__ == "__main__":
    main()
