"""The exposure calculator against HARPS's own exposures: oxygen, colours and electrons."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits

import maury
from maury.grid import WavelengthGrid
from maury.instrument.calculator import ExposureCalculator
from maury.instrument.echelle import HARPS
from maury.instrument.settings import Settings
from maury.wavelength import SPEED_OF_LIGHT

SPECTRA = Path(__file__).parents[2].parent / "shared" / "data" / "spectra"
pytestmark = pytest.mark.skipif(not SPECTRA.exists(), reason="needs ../shared/data")

B_BAND = WavelengthGrid(start=6865.0, step=0.01, size=4600)
# HD 189733 in one night, the airmass falling from 2.07 to 1.63.
NIGHT = (
    "HARPS.2007-08-29T00:02:50.897_s1d_A.fits",
    "HARPS.2007-08-29T00:24:57.238_s1d_A.fits",
    "HARPS.2007-08-29T00:47:02.018_s1d_A.fits",
    "HARPS.2007-08-29T01:53:17.329_s1d_A.fits",
)


def read(name: str) -> maury.Spectrum:
    path = SPECTRA / name
    if not path.exists():
        pytest.skip(f"needs {name}")
    return maury.read(path)


@lru_cache(maxsize=1)
def calculator() -> ExposureCalculator:
    return ExposureCalculator(B_BAND)


def simulated(airmass: float, berv: float) -> np.ndarray:
    """A star without lines, observatory frame as the BERV has it, relative to its median."""
    settings = Settings(airmass=airmass, berv=berv, pwv=3.0)
    flux, _ = calculator()(torch.ones(1, B_BAND.size), settings, flux_v=1.0, noise=False)
    return flux[0].numpy() / np.median(flux[0].numpy())


@pytest.mark.parametrize("name", NIGHT)
def test_oxygen_band_of_hd_189733_shifted_back(name: str) -> None:
    spectrum = read(name)
    meta = spectrum.meta
    inside = slice(200, -200)
    back = 1 + meta.berv / SPEED_OF_LIGHT
    observed = np.interp(B_BAND.wavelength * back, spectrum.wavelength, spectrum.flux)[inside]
    match = np.corrcoef(observed, simulated(meta.airmass, 0.0)[inside])[0, 1]
    assert match > 0.97
    # The same in the file's frame, where the calculator has to shift.
    observed = np.interp(B_BAND.wavelength, spectrum.wavelength, spectrum.flux)[inside]
    moved = np.corrcoef(observed, simulated(meta.airmass, meta.berv)[inside])[0, 1]
    assert moved == pytest.approx(match, abs=0.003)
    assert np.corrcoef(observed, simulated(meta.airmass, 0.0)[inside])[0, 1] < 0.8


def equivalent_width(flux: np.ndarray) -> float:
    """Of the B band from 6867 to 6900 A, above the 90th percentile, Angstrom."""
    part = (B_BAND.wavelength > 6867) & (B_BAND.wavelength < 6900)
    return float((1 - flux[part] / np.quantile(flux[part], 0.9)).sum() * B_BAND.step)


def test_oxygen_band_deepens_with_airmass_as_harps_saw_it() -> None:
    first, last = read(NIGHT[0]), read(NIGHT[-1])
    observed, model = [], []
    for spectrum in (first, last):
        back = 1 + spectrum.meta.berv / SPEED_OF_LIGHT
        seen = np.interp(B_BAND.wavelength * back, spectrum.wavelength, spectrum.flux)
        observed.append(equivalent_width(seen))
        model.append(equivalent_width(simulated(spectrum.meta.airmass, 0.0)))
    assert model[0] > model[1]
    assert observed[0] > observed[1]
    assert model[0] / model[1] == pytest.approx(observed[0] / observed[1], rel=0.05)


def snr_by_order(name: str) -> tuple[np.ndarray, fits.Header]:
    path = SPECTRA / name
    if not path.exists():
        pytest.skip(f"needs {name}")
    header = fits.getheader(path)
    return np.array([header[f"ESO DRS SPE EXT SN{i}"] for i in range(72)]), header


def predicted_snr(header: fits.Header, magnitude: float, teff: float) -> np.ndarray:
    """At the centres of the orders, of a black body of the star's temperature."""
    wave = HARPS.orders["centre"]
    result = []
    settings = Settings(
        magnitude=magnitude,
        exposure=header["EXPTIME"],
        airmass=header["ESO TEL AIRM START"],
        seeing=header["ESO TEL AMBI FWHM START"],
        pwv=0.0,
    )
    for centre in wave[::6]:
        grid = WavelengthGrid(start=centre - 1.0, step=0.01, size=201)
        radiance = grid.wavelength**-5 / np.expm1(1.43878e8 / (grid.wavelength * teff))
        v_band = 5450.0**-5 / np.expm1(1.43878e8 / (5450.0 * teff))
        star = torch.tensor(radiance / v_band, dtype=torch.float32)[None]
        terms = ExposureCalculator(grid).photoelectrons(star, settings, flux_v=1.0)
        result.append(terms.signal_to_noise[0, 100].item())
    return np.array(result)


def test_signal_to_noise_of_a_real_exposure() -> None:
    """HD 189733, V = 7.67, 300 s through a seeing monitor's 0.77"; lines take light in the blue."""
    observed, header = snr_by_order(NIGHT[2])
    ratio = predicted_snr(header, 7.67, 5050.0) / observed[::6]
    red = HARPS.orders["centre"][::6] > 5000
    assert np.median(ratio[red]) == pytest.approx(1.0, abs=0.25)
    assert np.std(ratio[red] / np.median(ratio[red])) < 0.1
