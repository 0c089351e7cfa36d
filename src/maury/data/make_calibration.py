"""Write the Sun's corrections to the line strengths and how well each pixel is understood.

Run as ``python -m maury.data.make_calibration ../shared/data``. The observed Sun is the flux atlas
of Kurucz et al. 1984 (NSO/Kitt Peak FTS). Rerun it whenever ``lines.npz`` or the physics changes.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.ndimage import minimum_filter1d

from maury.instrument.telluric import Telluric
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.calibration import ReferenceStar, calibrate
from maury.synthesis.elements import abundances
from maury.synthesis.linelist import standard_lines
from maury.synthesis.synthesize import surface_flux
from maury.wavelength import SPEED_OF_LIGHT

HERE = Path(__file__).parent

# Teff and log g: IAU 2015 nominal; vsini: Gray 2005; macroturbulence: Doyle et al. 2014.
SUN = {"teff": 5772.0, "logg": 4.438, "mh": 0.0}
VMIC, VMAC, VSINI = 1.0, 3.6, 1.9  # km/s
START, STOP, STEP = 3785.0, 6915.0, 0.01
# From here on the model's continuum and damping are good enough to correct single lines by.
FIRST_TRUSTED = 4200.0


def velocity(wavelength: np.ndarray, flux: np.ndarray, model: np.ndarray) -> float:
    """Shift of the atlas against the model, km/s: gravitational redshift less convection."""
    window = (wavelength > 5400) & (wavelength < 5880)
    trials = np.arange(-1.5, 1.5, 0.01)
    reference = model[window] - model[window].mean()
    score = [
        np.dot(
            np.interp(wavelength[window] * (1 + v / SPEED_OF_LIGHT), wavelength, flux), reference
        )
        for v in trials
    ]
    return float(trials[int(np.argmax(score))])


def main() -> None:
    """Fit and write, from the data folder named on the command line."""
    source = Path(sys.argv[1])
    with np.load(source / "solar_atlas/kurucz1984_flux_3770_6930.npz") as atlas:
        atlas_wavelength = atlas["wave_air"]
        atlas_flux = atlas["residual_flux"].astype(np.float64)
    wavelength = START + STEP * np.arange(round((STOP - START) / STEP) + 1)
    atmosphere, abundance = model_atmosphere(**SUN), abundances()
    lines = standard_lines(calibrated=False)
    flux, continuum = surface_flux(wavelength, atmosphere, abundance, lines, VMIC)
    star = ReferenceStar(
        wavelength, wavelength, wavelength, atmosphere, abundance, VMIC, VMAC, VSINI
    )
    observed = np.interp(wavelength, atlas_wavelength, atlas_flux)
    shift = velocity(wavelength, observed, star.observed(flux / continuum))
    observed = np.interp(wavelength * (1 + shift / SPEED_OF_LIGHT), atlas_wavelength, atlas_flux)
    transmission = Telluric.load().transmission(
        wavelength, airmass=1.5, pwv=6.0, resolving_power=60_000
    )
    clear = minimum_filter1d(transmission, 15) > 0.985
    weight = (clear & (wavelength > FIRST_TRUSTED)).astype(float)
    star = ReferenceStar(
        wavelength, observed, weight, atmosphere, abundance, VMIC, VMAC, VSINI
    )  # fmt: skip
    result = calibrate(star, lines)
    for name, residual in (("before", result.before), ("after", result.after)):
        good = np.abs(residual[weight > 0])
        print(f"{name}: median {np.median(good):.4f}, 95% {np.quantile(good, 0.95):.4f}, "
              f"rms {np.sqrt(np.mean(good**2)):.4f}")  # fmt: skip
    changed = result.delta_log_gf[result.delta_log_gf != 0]
    print(
        f"atlas shift {shift:.2f} km/s, {changed.size} lines changed, rms {changed.std():.3f} dex"
    )
    residual = np.where(weight > 0, result.after, np.nan)
    np.savez_compressed(
        HERE / "solar_calibration.npz",
        delta_log_gf=np.round(result.delta_log_gf, 2).astype(np.float16),
        start=START,
        step=STEP * 2,
        # Thousandths of the continuum in steps of 0.02 A; 127 where the atlas cannot tell.
        residual=np.where(
            np.isfinite(residual), np.clip(np.round(residual * 500), -126, 126), 127
        ).astype(np.int8)[::2],
        residual_unit=1 / 500,
        citation="Kurucz, Furenlid, Brault & Testerman 1984, Solar Flux Atlas from 296 to 1300 nm",
    )


if __name__ == "__main__":
    main()
