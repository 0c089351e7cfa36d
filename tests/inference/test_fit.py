"""The fit and the telluric fit against exposures whose truth is known."""

import numpy as np
import pytest
import torch

from maury.errors import GridError
from maury.grid import WavelengthGrid
from maury.inference.fit import SOLAR_LINE_SHIFT, Fitter
from maury.inference.telluric_fit import fit_tellurics
from maury.instrument import simulate_exposure
from maury.spectrum import Observation, Spectrum, air_to_vacuum
from maury.synthesis.emulator import Emulator

GRID = WavelengthGrid(start=4795.0, step=0.02, size=105_800)
TRUTH = {"teff": 5300.0, "logg": 4.3, "mh": -0.25, "vmic": 1.1}
RV, BERV, AIRMASS, PWV, VSINI = -31.4, 14.2, 1.6, 4.0, 5.0


@pytest.fixture(scope="module")
def fitter() -> Fitter:
    torch.set_num_threads(1)
    return Fitter(Emulator.load())


@pytest.fixture(scope="module")
def star(fitter: Fitter) -> Spectrum:
    labels = torch.tensor([[TRUTH[name] for name in fitter.emulator.names]])
    with torch.no_grad():
        flux = fitter.emulator.flux(labels)[0].double().numpy()
    return Spectrum(
        wavelength=fitter.wavelength, flux=flux, uncertainty=None,
        mask=np.zeros(flux.size, bool), medium="air", frame="rest", meta=Observation(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def exposure(star: Spectrum) -> Spectrum:
    return simulate_exposure(
        star, rv=RV, berv=BERV, airmass=AIRMASS, pwv=PWV, vsini=VSINI, vmac=3.0, snr=150, seed=5,
        grid=GRID,
    )  # fmt: skip


@pytest.fixture(scope="module")
def fit(fitter: Fitter, exposure: Spectrum):
    return fitter.fit(exposure, {"teff": 5450.0, "logg": 4.6, "mh": 0.0})


def test_truth_is_found(fit):
    assert fit.converged
    assert fit.at_edge == ()
    assert fit.values["teff"] == pytest.approx(TRUTH["teff"], abs=15)
    assert fit.values["logg"] == pytest.approx(TRUTH["logg"], abs=0.03)
    assert fit.values["mh"] == pytest.approx(TRUTH["mh"], abs=0.015)
    assert fit.values["vmic"] == pytest.approx(TRUTH["vmic"], abs=0.05)
    assert fit.values["rv"] + SOLAR_LINE_SHIFT == pytest.approx(RV, abs=0.02)
    assert fit.values["vsini"] == pytest.approx(VSINI, abs=0.5)
    assert fit.residual < 0.003


def test_start_does_not_matter(fitter, exposure, fit):
    blind = fitter.fit(exposure)
    assert blind.values["teff"] == pytest.approx(fit.values["teff"], abs=2)
    assert blind.values["logg"] == pytest.approx(fit.values["logg"], abs=0.01)


def test_continuum_shape_does_not_matter(fitter, exposure, fit):
    wave = exposure.wavelength
    tilt = 1 + 0.3 * np.sin(wave / 90) + (wave - 5800) / 4000
    bent = fitter.fit(
        Spectrum(
            wavelength=wave, flux=exposure.flux * tilt * 1e4, uncertainty=None,
            mask=exposure.mask, medium="air", frame="barycentric", meta=exposure.meta,
        ),
        {"teff": 5450.0, "logg": 4.6, "mh": 0.0},
    )  # fmt: skip
    assert bent.values["teff"] == pytest.approx(fit.values["teff"], abs=8)
    assert bent.values["logg"] == pytest.approx(fit.values["logg"], abs=0.02)


def test_vacuum_wavelengths_give_the_same(fitter, exposure, fit):
    vacuum = Spectrum(
        wavelength=air_to_vacuum(exposure.wavelength), flux=exposure.flux, uncertainty=None,
        mask=exposure.mask, medium="vacuum", frame="barycentric", meta=exposure.meta,
    )  # fmt: skip
    found = fitter.fit(vacuum, {"teff": 5450.0, "logg": 4.6, "mh": 0.0})
    assert found.values["rv"] == pytest.approx(fit.values["rv"], abs=0.005)
    assert found.values["teff"] == pytest.approx(fit.values["teff"], abs=1)


def test_lines_that_do_not_exist_are_borne(fitter, exposure, fit):
    """1% of the pixels spoilt by deep false lines: robust weights hold, least squares would not."""
    rng = np.random.default_rng(0)
    flux = exposure.flux.copy()
    for centre in rng.uniform(4900, 6800, 120):
        flux *= 1 - 0.6 * np.exp(-0.5 * ((exposure.wavelength - centre) / 0.05) ** 2)
    spoilt = Spectrum(
        wavelength=exposure.wavelength, flux=flux, uncertainty=None, mask=exposure.mask,
        medium="air", frame="barycentric", meta=exposure.meta,
    )  # fmt: skip
    found = fitter.fit(spoilt, {"teff": 5450.0, "logg": 4.6, "mh": 0.0})
    assert found.values["teff"] == pytest.approx(fit.values["teff"], abs=15)
    assert found.values["mh"] == pytest.approx(fit.values["mh"], abs=0.02)


def test_noise_does_not_hold_the_fit_at_its_start(fitter, star):
    """A brighter continuum is noisier; were that not counted, few photons would bias the fit."""
    off = []
    for seed in range(3):
        noisy = simulate_exposure(star, rv=RV, vsini=VSINI, vmac=3.0, snr=6, seed=seed, grid=GRID)
        fit = fitter.fit(noisy, {"teff": 5450.0, "logg": 4.0, "mh": -0.1})
        off.append((fit.values["teff"] - TRUTH["teff"]) / fit.errors["teff"])
    assert abs(np.mean(off)) < 1.5


def test_tellurics_are_found(fitter, exposure, fit):
    found = fit_tellurics(exposure, fit, fitter)
    assert found is not None
    assert found.berv == pytest.approx(BERV, abs=0.05)
    assert found.airmass == pytest.approx(AIRMASS, abs=0.08)
    assert found.pwv == pytest.approx(PWV, abs=0.5)
    assert found.correlation > 0.9


def test_no_tellurics_are_not_invented(fitter, exposure, fit):
    blue = exposure.wavelength < 5850
    part = Spectrum(
        wavelength=exposure.wavelength[blue], flux=exposure.flux[blue], uncertainty=None,
        mask=exposure.mask[blue], medium="air", frame="barycentric", meta=exposure.meta,
    )  # fmt: skip
    partial = fitter.fit(part, {"teff": 5450.0, "logg": 4.6, "mh": 0.0})
    assert partial.coverage < 0.8
    assert partial.values["teff"] == pytest.approx(TRUTH["teff"], abs=25)
    assert fit_tellurics(part, partial, fitter) is None


def test_a_spectrum_elsewhere_is_refused_in_a_sentence(fitter):
    wave = np.arange(3300.0, 4500.0, 0.05)
    blue = Spectrum(
        wavelength=wave, flux=np.ones(wave.size), uncertainty=None, mask=np.zeros(wave.size, bool),
        medium="air", frame="barycentric", meta=Observation(),
    )  # fmt: skip
    with pytest.raises(GridError, match=r"covers 3300\.0-4\d+\.\d A; the fit needs"):
        fitter.fit(blue)
