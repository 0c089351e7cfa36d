"""Draw mock_archive.png: the stars, nights and spectra of a mock archive.

Run as ``python docs/mock_archive_figure.py``; it takes half a minute.
"""

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from maury.datasets.archive import MockArchive, MockExposure
from maury.datasets.starlight import Starlight
from maury.grid import WavelengthGrid
from maury.instrument.calculator import ExposureCalculator
from maury.instrument.settings import Settings

TARGET = Path(__file__).parent / "figures/mock_archive.png"
STARS = 2000
GRID = WavelengthGrid(start=5290.0, step=0.01, size=7000)
STAR = {"teff": 5500.0, "logg": 4.5, "mh": 0.0}
INK, BLUE, RED, GREY = "#1f2933", "#2563a8", "#c2410c", "#9aa5b1"


def draw_stars(axes: Axes, rows: list[dict]) -> None:
    """Temperature, gravity and metallicity of each exposure, as in the paper's Fig. 1."""
    teff, logg, mh = (np.array([row[name] for row in rows]) for name in ("teff", "logg", "mh"))
    known = np.isfinite(mh)
    axes.plot(teff[~known], logg[~known], ".", ms=2, color=INK, label="[M/H] unknown")
    points = axes.scatter(teff[known], logg[known], s=3, c=mh[known], cmap="viridis")
    axes.figure.colorbar(points, label="[M/H] (dex)")
    axes.set(xlim=(9500, 3000), ylim=(5.05, 3.45), xlabel="Teff (K)", ylabel="log g")
    axes.legend(loc="lower left", frameon=False)


def draw_nights(axes: Axes, rows: list[dict]) -> None:
    """BERV and airmass."""
    berv, airmass = (np.array([row[name] for row in rows]) for name in ("berv", "airmass"))
    axes.plot(berv, airmass, ".", ms=0.6, color=BLUE, rasterized=True)
    axes.set(xlabel="BERV (km/s)", ylabel="airmass", xlim=(-32, 32), ylim=(0.95, 3.0))


def draw_counts(axes: Axes, rows: list[dict]) -> None:
    """Exposures of a star, and signal-to-noise ratio by the plan."""
    names = [row["star"] for row in rows]
    counts = np.sort(np.unique(names, return_counts=True)[1])[::-1]
    axes.loglog(1 + np.arange(counts.size), counts, color=BLUE)
    axes.set(xlabel="star, the most observed first", ylabel="exposures of it")


def spectrum(row: dict, **changes: float) -> np.ndarray:
    """A mock exposure of the star of the figure."""
    star = {f"hidden_{name}": value for name, value in STAR.items()}
    return MockExposure(GRID, "direct", 0)({**row, **star, **changes})[0]


def paper_spectrum(settings: Settings) -> np.ndarray:
    """Of the same star, as ``maury simulate etc`` has it."""
    star = {**STAR, "vmic": 2.0, "vsini": 0.0, "vmac": 0.0, "noise_seed": 0}
    sed, found = Starlight(grid=GRID, solver="direct")(star)
    generator = torch.Generator().manual_seed(1)
    flux, sigma = ExposureCalculator(GRID)(
        torch.from_numpy(sed)[None], settings, flux_v=found["flux_v"], generator=generator
    )
    flux = torch.where(sigma > 0, flux, torch.nan)[0].numpy()
    return flux / np.nanmedian(flux)


def draw_spectra(whole: Axes, part: Axes, row: dict) -> None:
    """The same labels in both domains, and what spots do."""
    night = {"magnitude": 6.0, "exposure": 300.0, "berv": 15.0, "hidden_offset": 0.0}
    star = {"hidden_rv": 10.0, "hidden_vsini": 4.0, "hidden_vmac": 3.0, "hidden_vmic": 0.9}
    plain = spectrum(row, **night, **star, hidden_spots=0.0)
    spotted = spectrum(row, **night, **star, hidden_spots=0.3, hidden_spot_teff=3900.0)
    paper = paper_spectrum(
        Settings(magnitude=6.0, exposure=300.0, rv=10.0, berv=15.0, airmass=row["airmass"])
    )
    lines = ((paper, GREY, "maury simulate etc"), (plain, BLUE, "mock, no spots"),
             (spotted, RED, "mock, 30% spots"))  # fmt: skip
    for axes in (whole, part):
        for flux, colour, label in lines:
            axes.plot(GRID.wavelength, flux, lw=0.7, color=colour, label=label)
        axes.set(xlabel="wavelength (A, air, barycentric)", ylabel="flux over its median")
    whole.set(xlim=(5290, 5360))
    part.set(xlim=(5345.5, 5352.5))
    part.legend(loc="lower right", frameon=False)


def main() -> None:
    """Draw it."""
    rows = MockArchive(stars=STARS, seed=1).rows()
    figure = Figure(figsize=(12, 10), layout="constrained")
    FigureCanvasAgg(figure)
    top, middle, bottom = figure.subfigures(3, 1)
    stars, nights, counts = top.subplots(1, 3, width_ratios=(1.3, 1, 1))
    draw_stars(stars, rows)
    draw_nights(nights, rows)
    draw_counts(counts, rows)
    draw_spectra(middle.subplots(), bottom.subplots(), rows[0])
    figure.savefig(TARGET, dpi=80)


if __name__ == "__main__":
    main()
