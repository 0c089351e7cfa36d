"""Print how far our Sun is from the observed one, with line strengths as measured and calibrated.

Run as ``python benchmarks/solar_atlas.py [ATLAS]``; the atlas, by default
``../shared/data/solar_atlas/kurucz1984_flux_3770_6930.npz``, is the flux spectrum of Kurucz et al.
1984 (NSO/Kitt Peak FTS). Pixels with more than 1.5% of telluric absorption are left out, and a
local continuum is fitted as in the calibration.
"""

import sys
import time
from pathlib import Path

import numpy as np

from maury.instrument.telluric import Telluric
from maury.synthesis.calibration import local_continuum
from maury.synthesis.linelist import standard_lines
from maury.synthesis.synthesize import synthesize
from maury.wavelength import SPEED_OF_LIGHT

ATLAS = (
    Path(__file__).resolve().parents[2]
    / "shared/data/solar_atlas/kurucz1984_flux_3770_6930.npz"
)  # fmt: skip
RANGES = ((3785, 4200), (4200, 4800), (4800, 5300), (5300, 5800), (5800, 6900))
SHIFT = 0.35  # km/s of the atlas, as the calibration finds it


def main() -> None:
    """Compare in each range."""
    atlas = Path(sys.argv[1]) if len(sys.argv) > 1 else ATLAS
    if not atlas.is_file():
        sys.exit(f"{atlas} is not there; name the solar atlas on the command line.")
    wavelength = np.arange(3780.0, 6910.0, 0.01)
    with np.load(atlas) as file:
        shifted = wavelength * (1 + SHIFT / SPEED_OF_LIGHT)
        observed = np.interp(shifted, file["wave_air"], file["residual_flux"].astype(float))
    clear = Telluric.load().transmission(
        wavelength, airmass=1.5, pwv=6.0, resolving_power=60_000
    ) > 0.985  # fmt: skip
    print("| line strengths | " + " | ".join(f"{low}-{high} A" for low, high in RANGES) + " |")
    print("|---" * (len(RANGES) + 1) + "|")
    for calibrated in (False, True):
        start = time.process_time()
        sun = synthesize(
            teff=5772, logg=4.438, vmic=1.0, vmac=3.6, vsini=1.9, wavelength=wavelength,
            normalized=True, lines=standard_lines(calibrated=calibrated),
        )  # fmt: skip
        seconds = time.process_time() - start
        level = local_continuum(wavelength, observed / sun.flux, sun.flux, clear.astype(float))
        residual = observed / level - sun.flux
        cells = []
        for low, high in RANGES:
            part = residual[clear & (wavelength >= low) & (wavelength < high)]
            cells.append(f"{np.median(np.abs(part)):.4f}, rms {np.sqrt(np.mean(part**2)):.4f}")
        name = "calibrated on the Sun" if calibrated else "laboratory and theory"
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
        print(f"{seconds:.1f} s of CPU", file=sys.stderr)


if __name__ == "__main__":
    main()
