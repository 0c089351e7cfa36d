"""Draw sun_exposure.png: a simulated HARPS exposure of the Sun over a real one.

Run as ``python docs/exposure_figure.py [SPECTRUM]``; by default
``../shared/data/spectra/Sun_HARPS.fits``, HARPS's exposure of Ganymede of 2007-04-13 (ESO programme
60.A-9036), which was moved to the rest frame of the Sun: its tellurics stand where a BERV other
than the header's would put them, and that is found from the oxygen.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import maury
from maury.grid import HARPS as GRID
from maury.instrument.calculator import ExposureCalculator
from maury.instrument.echelle import HARPS
from maury.instrument.resampling import at_resolution
from maury.instrument.settings import Settings
from maury.instrument.telluric import Telluric
from maury.wavelength import SPEED_OF_LIGHT

ROOT = Path(__file__).resolve().parents[1]
SPECTRUM = ROOT.parent / "shared/data/spectra/Sun_HARPS.fits"
TARGET = ROOT / "docs/figures/sun_exposure.png"

# The exposure: 300 s at airmass 1.043, 0.58" (header). Ganymede's disk is wider than the fibre, so
# its magnitude is taken such that the order at 5515 A has the header's signal-to-noise ratio.
AIRMASS, SECONDS, SEEING, MAGNITUDE, PWV = 1.043, 300.0, 0.58, 6.08, 3.0
SHIFT = 0.52  # km/s: gravity less granulation, by which the real Sun is redshifted
# How much redder Ganymede is than the Sun: U-B, B-V (Morrison & Morrison 1977), as magnitudes.
GANYMEDE = ((3600.0, 4400.0, 5500.0), (0.511, 0.177, 0.0))
B_BAND = (6867.0, 6909.0)
WINDOWS = (
    ("Ca II H and K", 3925.0, 3977.0),
    ("Mg b", 5160.0, 5187.0),
    ("between the detectors", 5298.0, 5343.0),
    (r"O$_2$, B band", 6862.0, 6899.0),
)
INK, BLUE = "#1f2933", "#2563a8"


def earth_velocity(wavelength: np.ndarray, flux: np.ndarray) -> float:
    """Velocity at which the tellurics of a spectrum stand, km/s."""
    part = (wavelength > B_BAND[0]) & (wavelength < B_BAND[1])
    trials = np.arange(-60.0, 60.0, 0.05)
    model = Telluric.load()
    match = [
        np.corrcoef(
            flux[part],
            model.transmission(
                wavelength[part] / (1 + v / SPEED_OF_LIGHT), AIRMASS, PWV, resolving_power=115_000
            ),
        )[0, 1]
        for v in trials
    ]
    return float(trials[int(np.argmax(match))])


def simulated_sun(berv: float) -> tuple[np.ndarray, np.ndarray]:
    """A noisy exposure of sunlight from Ganymede and its standard deviation, on HARPS's grid."""
    sun = maury.synthesize(teff=5772.0, logg=4.438, mh=0.0, vmic=1.0, vmac=3.6, vsini=1.9)
    sed = at_resolution(sun.wavelength, sun.flux, GRID, 115_000)
    colour = 10 ** (-0.4 * np.interp(GRID.wavelength, *GANYMEDE))
    settings = Settings(
        magnitude=MAGNITUDE, exposure=SECONDS, airmass=AIRMASS, pwv=PWV, seeing=SEEING,
        rv=SHIFT, berv=berv,
    )  # fmt: skip
    flux, sigma = ExposureCalculator(GRID)(
        sed * torch.tensor(colour, dtype=torch.float32),
        settings,
        generator=torch.Generator().manual_seed(1),
    )
    return flux[0].double().numpy(), sigma[0].double().numpy()


def sun_exposure(path: Path) -> Figure:
    """The signal-to-noise ratio of every order, and windows pixel by pixel.

    The pipeline has divided the flux by that of its lamp, so its run along the whole range tells
    nothing of the instrument; the signal-to-noise ratios that it has noted do.
    """
    spectrum = maury.read(path)
    observed = np.interp(GRID.wavelength, spectrum.wavelength, spectrum.flux, left=0, right=0)
    flux, sigma = simulated_sun(earth_velocity(spectrum.wavelength, spectrum.flux))
    there = (flux > 0) & (observed > 0)
    observed, sigma = observed / np.median(observed[there]), sigma / np.median(flux[there])
    flux = flux / np.median(flux[there])

    figure = Figure(figsize=(11.0, 8.5), layout="constrained")
    FigureCanvasAgg(figure)
    mosaic = figure.subplot_mosaic([["orders", "orders"], [0, 1], [2, 3]])
    top, panels = mosaic["orders"], [mosaic[i] for i in range(4)]
    header = fits.getheader(path)
    real = np.array([header[f"ESO DRS SPE EXT SN{i}"] for i in range(72)])
    centre = HARPS.orders["centre"]
    near = np.searchsorted(GRID.wavelength, centre)[:, None] + np.arange(-150, 151)
    ours = np.median(flux[near] / np.maximum(sigma[near], 1e-30), axis=1)
    top.plot(centre, real, "o", color=INK, ms=4, label="HARPS, sunlight from Ganymede")
    top.plot(centre, ours, color=BLUE, lw=1.2, label="simulated")
    top.set_title(
        "signal-to-noise ratio a pixel at the centres of the 72 orders     "
        f"simulated / observed: {np.median(ours / real):.2f} ± {np.std(ours / real):.2f}",
        loc="left",
        fontsize=10,
    )
    top.set_ylabel("S/N", fontsize=9)
    top.legend(frameon=False, loc="lower right")
    for axes, (name, lower, upper) in zip(panels, WINDOWS, strict=True):
        part = (GRID.wavelength >= lower) & (GRID.wavelength <= upper)
        wave, both = GRID.wavelength[part], there[part]
        # The windows compare lines, so the level of each is taken out.
        scale = np.median(flux[part][both]) / np.median(observed[part][both])
        axes.plot(wave, observed[part] * scale, color=INK, lw=1.2)
        axes.plot(wave, flux[part], color=BLUE, lw=0.7)
        match = np.corrcoef(observed[part][both], flux[part][both])[0, 1]
        snr = np.median(flux[part][both] / sigma[part][both])
        axes.set_title(
            f"{name}     correlation {match:.3f}, simulated S/N {snr:.0f}", loc="left", fontsize=10
        )
        axes.set_xlim(lower, upper)
        axes.set_ylabel("flux / median", fontsize=9)
    for axes in (top, *panels):
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    for axes in panels[2:]:
        axes.set_xlabel("wavelength in air [Å], rest frame of the Sun", fontsize=9)
    return figure


def main() -> None:
    """Write the figure."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SPECTRUM
    if not path.is_file():
        sys.exit(f"{path} is not there; name the spectrum on the command line.")
    sun_exposure(path).savefig(TARGET, dpi=80, pil_kwargs={"optimize": True})
    print(f"Wrote {TARGET}, {TARGET.stat().st_size / 1e3:.0f} kB.")


if __name__ == "__main__":
    main()
