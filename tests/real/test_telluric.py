"""The telluric model against HARPS's own spectra and against the HITRAN lines it comes from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from scipy.constants import N_A, g
from scipy.ndimage import median_filter
from scipy.optimize import minimize_scalar

import maury
from maury.grid import HARPS_SMALL
from maury.instrument import ExposureSimulator, Telluric
from maury.instrument.spectrograph import HARPS
from maury.spectrum import Spectrum
from maury.wavelength import SPEED_OF_LIGHT, air_to_vacuum, vacuum_to_air

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")

B_BAND = (6867.5, 6909.5)
# file, least correlation in the B band
EXPOSURES = {
    "HD 189733, airmass 2.07": ("HARPS.2007-08-29T00:02:50.897_s1d_A.fits", 0.97),
    "HD 189733, airmass 1.63": ("HARPS.2007-08-29T01:53:17.329_s1d_A.fits", 0.97),
    "alpha Cen B, BERV 15": ("HARPS.2012-04-07T03:02:01.124_s1d_A.fits", 0.97),
    "alpha Cen B, BERV 3": ("HARPS.2012-05-12T05:30:49.219_s1d_A.fits", 0.97),
}


def read(name: str) -> Spectrum:
    path = SHARED / "spectra" / name
    if not path.exists():
        pytest.skip(f"needs {path.name}")
    return maury.read(path)


def transmission(wavelength: np.ndarray, berv: float, airmass: float) -> np.ndarray:
    return Telluric.load().transmission(
        wavelength / (1 + berv / SPEED_OF_LIGHT), airmass, 3.0, resolving_power=115_000
    )


@pytest.mark.parametrize(("name", "least"), EXPOSURES.values(), ids=EXPOSURES.keys())
def test_oxygen_band_as_harps_sees_it(name: str, least: float) -> None:
    spectrum = read(name).between(*B_BAND)
    meta = spectrum.meta
    shifts = np.arange(-40.0, 40.0, 0.1)
    match = [
        np.corrcoef(spectrum.flux, transmission(spectrum.wavelength, v, meta.airmass))[0, 1]
        for v in shifts
    ]
    assert max(match) > least
    assert shifts[np.argmax(match)] == pytest.approx(meta.berv, abs=0.25)


def test_oxygen_band_in_the_light_of_ganymede() -> None:
    """Few solar lines and much light; the file is shifted to the Sun's frame, so fit the shift."""
    spectrum = read("Sun_HARPS.fits").between(*B_BAND)
    match = [
        np.corrcoef(spectrum.flux, transmission(spectrum.wavelength, v, 1.046))[0, 1]
        for v in np.arange(15.0, 25.0, 0.2)
    ]
    assert max(match) > 0.99


@pytest.mark.parametrize(("name", "least"), EXPOSURES.values(), ids=EXPOSURES.keys())
def test_oxygen_band_tells_the_airmass(name: str, least: float) -> None:
    spectrum = read(name).between(*B_BAND)
    wavelength, flux = spectrum.wavelength, spectrum.flux / np.median(spectrum.flux)
    offset = (wavelength - wavelength.mean()) / np.ptp(wavelength)

    def misfit(airmass: float) -> float:
        model = transmission(wavelength, spectrum.meta.berv, airmass)
        design = np.stack([model, model * offset, model * offset**2], axis=1)
        weight = np.ones_like(flux)
        # Cauchy weights against the stellar lines between the telluric ones.
        for _ in range(8):
            solution = np.linalg.lstsq(design * weight[:, None], flux * weight, rcond=None)[0]
            residual = (flux - design @ solution) / 0.03
            weight = 1 / np.sqrt(1 + residual**2)
        return np.log1p(residual**2).sum()

    best = minimize_scalar(misfit, bounds=(0.8, 3.5), method="bounded").x
    header = (spectrum.meta.airmass + spectrum.meta.airmass_end) / 2
    assert best == pytest.approx(header, abs=0.06)


@pytest.mark.parametrize(
    "name",
    ["HARPS.2010-09-18T23:42:36.178_s1d_A.fits", "HARPS.2012-03-24T08:37:45.581_s1d_A.fits"],
)
def test_gap_is_where_the_file_has_none(name: str) -> None:
    spectrum = read(name).between(5250.0, 5390.0)
    dark = spectrum.wavelength[spectrum.flux == 0]
    edges = np.array([dark[0] - 0.005, dark[-1] + 0.005])
    expected = np.array(HARPS.gaps[0]) * (1 + spectrum.meta.berv / SPEED_OF_LIGHT)
    np.testing.assert_allclose(edges, expected, atol=0.015)


def test_simulated_oxygen_band_is_the_one_of_harps() -> None:
    """The whole simulator, on a featureless star, against the exposure of HD 189733."""
    exposure = read("HARPS.2007-08-29T01:53:17.329_s1d_A.fits")
    seen = maury.resample(exposure, HARPS_SMALL).flux
    wavelength = 6800 * np.exp(np.arange(5700) / SPEED_OF_LIGHT)
    zero = torch.zeros(1)
    simulated, valid = ExposureSimulator(HARPS_SMALL, wavelength)(
        torch.ones(1, len(wavelength)), rv=zero, berv=torch.tensor([exposure.meta.berv]),
        airmass=torch.tensor([exposure.meta.airmass]), pwv=zero, vsini=zero, vmac=zero,
    )  # fmt: skip
    band = (HARPS_SMALL.wavelength > B_BAND[0]) & (HARPS_SMALL.wavelength < B_BAND[1])
    assert valid[0].numpy()[band].all()
    assert np.corrcoef(seen[band], simulated[0].numpy()[band])[0, 1] > 0.97


def test_optical_depth_integrates_to_the_hitran_intensities() -> None:
    """Over the B band: integral of tau d(wavenumber) = column x sum of intensities.

    Intensities at 255 K, near the mean temperature of the oxygen, by the HITRAN formula.
    """
    with fits.open(SHARED / "physics/telluric_sky/hitran2020_O2_12868-17272cm.fits") as file:
        lines, partition = file[1].data, file[2].data
    lines = lines[(lines["wave_number"] > 14440) & (lines["wave_number"] < 14700)]
    ratio = np.divide(*np.interp([296.0, 255.0], partition["Temperature"], partition["Qt"]))
    boltzmann = np.exp(-1.4387769 * lines["Epp"] * (1 / 255.0 - 1 / 296.0))
    # Pressure over weight of a molecule: 775 hPa on 28.96 g/mol, a fifth of it oxygen, per cm2.
    column = 0.2095 * 77500.0 / (28.96e-3 / N_A * g) * 1e-4
    expected = column * (lines["Intensity"] * ratio * boltzmann).sum()
    telluric = Telluric.load()
    wavenumber = 1e8 / air_to_vacuum(telluric.wavelength)
    band = (wavenumber > 14440) & (wavenumber < 14700)
    integral = -np.trapezoid(telluric.oxygen[band], wavenumber[band])
    assert integral == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("molecule", "lower", "upper"),
    [("O2", 6867, 6925), ("O2", 6276, 6320), ("H2O", 5885, 5990), ("H2O", 6470, 6580)],
)
def test_bands_equal_independent_templates(molecule: str, lower: float, upper: float) -> None:
    """The template transmissions of ../shared, smoothed to about R = 115,000."""
    with fits.open(SHARED / f"physics/telluric_sky/{molecule}.fits") as file:
        wavelength = vacuum_to_air(np.asarray(file[1].data["wave"], dtype=np.float64))
        template = np.asarray(file[1].data["flux"], dtype=np.float64)
    band = (wavelength > lower) & (wavelength < upper)
    ours = Telluric.load().transmission(wavelength[band], 1.2, 5.0, resolving_power=115_000)
    assert np.corrcoef(template[band], ours)[0, 1] > 0.99


@pytest.mark.parametrize(("lower", "upper"), [(5885.0, 5990.0), (6470.0, 6580.0)])
def test_water_as_harps_sees_it(lower: float, upper: float) -> None:
    """The ratio of two exposures of one star at different BERV has telluric lines only.

    Both bands ask for 4 and 3 mm of water, near the median of La Silla.
    """
    wavelength = np.arange(lower, upper, 0.01)
    log_flux, log_model = [], []
    for name, pwv in (
        ("HARPS.2012-03-24T08:37:45.581_s1d_A.fits", 4.0),
        ("HARPS.2012-05-12T05:30:49.219_s1d_A.fits", 3.0),
    ):
        spectrum = read(name)
        log_flux.append(np.log(np.interp(wavelength, spectrum.wavelength, spectrum.flux)))
        at_rest = wavelength / (1 + spectrum.meta.berv / SPEED_OF_LIGHT)
        model = Telluric.load().transmission(
            at_rest, spectrum.meta.airmass, pwv, resolving_power=115_000
        )
        log_model.append(np.log(model))
    ratio = log_flux[0] - log_flux[1]
    ratio -= median_filter(ratio, 2001)
    expected = log_model[0] - log_model[1]
    assert np.corrcoef(ratio, expected)[0, 1] > 0.9
    assert np.std(ratio - expected) < 0.4 * np.std(ratio)
