"""The exposure calculator against ESO's numbers, limits worked by hand, and plain NumPy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from maury.errors import GridError, SpectrumError
from maury.grid import HARPS as FULL
from maury.grid import WavelengthGrid
from maury.instrument.calculator import ExposureCalculator
from maury.instrument.echelle import FEROS, HARPS
from maury.instrument.photoelectrons import draw, mean_flux, variance
from maury.instrument.photometry import V_ZERO_POINT
from maury.instrument.resampling import at_resolution, shifted
from maury.instrument.settings import Settings
from maury.instrument.site import LA_SILLA
from maury.instrument.telluric import Telluric
from maury.wavelength import SPEED_OF_LIGHT, doppler_factor

PART = WavelengthGrid(start=5480.0, step=0.01, size=8192)
PEAK = 3487  # pixel of PART at the peak of the blaze of order 111
B_BAND = WavelengthGrid(start=6860.0, step=0.01, size=6000)
GAP = WavelengthGrid(start=5290.0, step=0.01, size=7000)


def planck(wavelength: np.ndarray, temperature: float = 5772.0) -> torch.Tensor:
    radiance = wavelength**-5.0 / np.expm1(1.43877688e8 / (wavelength * temperature))
    return torch.tensor(radiance / radiance.max(), dtype=torch.float32)[None]


@pytest.fixture(scope="module")
def full() -> ExposureCalculator:
    return ExposureCalculator(FULL)


@pytest.fixture(scope="module")
def part() -> ExposureCalculator:
    return ExposureCalculator(PART)


def flat(grid: WavelengthGrid, batch: int = 1) -> torch.Tensor:
    return torch.ones(batch, grid.size)


def snr(calculator: ExposureCalculator, **settings: float) -> float:
    chosen = Settings(**({"pwv": 0.0} | settings))
    terms = calculator.photoelectrons(flat(calculator.grid), chosen, flux_v=1.0)
    return terms.signal_to_noise[0, PEAK].item()


def test_signal_to_noise_that_eso_gives(full: ExposureCalculator) -> None:
    """V = 6 G2V, 60 s, airmass 1.2, 1": 110 a pixel at 550 nm."""
    terms = full.photoelectrons(planck(FULL.wavelength), Settings(6.0, 60.0, 1.2))
    near = np.abs(FULL.wavelength - 5500.0) < 20.0
    ratio = terms.signal_to_noise[0].numpy()[near]
    assert ratio.max() == pytest.approx(110.0, rel=0.15)
    assert ratio[np.argmin(np.abs(FULL.wavelength[near] - 5500.0))] == pytest.approx(110, rel=0.15)


def test_electrons_counted_by_hand(part: ExposureCalculator) -> None:
    """Photons of a star of V = 7 that pass 8.86 m2, air, fibre and spectrograph."""
    chosen = Settings(magnitude=7.0, exposure=100.0, airmass=1.0, pwv=0.0)
    terms = part.photoelectrons(flat(PART), chosen, flux_v=1.0)
    wave = PART.wavelength[PEAK]
    photons = V_ZERO_POINT * 10**-2.8 * wave / 1.98645e-8 * 8.8564e4 * 100.0
    fibre = 1 - 2 ** -((wave / 5000) ** 0.4)
    air = 10 ** (-0.4 * 0.11)
    expected = photons * air * fibre * HARPS.efficiency(wave) * 0.015079
    assert terms.signal_a[0, PEAK].item() == 0.0  # order 111 is odd
    assert terms.signal_b[0, PEAK].item() == pytest.approx(expected, rel=2e-3)
    assert terms.target_sed[0, PEAK].item() == pytest.approx(V_ZERO_POINT * 10**-2.8, rel=1e-5)
    assert terms.atmosphere[0, PEAK].item() == pytest.approx(air, rel=1e-4)


def test_photon_limit(part: ExposureCalculator) -> None:
    bright = snr(part, magnitude=2.0, exposure=100.0)
    assert snr(part, magnitude=2.0, exposure=400.0) / bright == pytest.approx(2.0, rel=0.01)
    # Five magnitudes are a factor of 100 in light and 10 in signal-to-noise ratio.
    assert bright / snr(part, magnitude=7.0, exposure=100.0) == pytest.approx(10.0, rel=0.03)


def test_readout_limit(part: ExposureCalculator) -> None:
    faint = snr(part, magnitude=16.0, exposure=10.0)
    assert snr(part, magnitude=16.0, exposure=40.0) / faint == pytest.approx(4.0, rel=0.03)
    assert faint / snr(part, magnitude=18.5, exposure=10.0) == pytest.approx(10.0, rel=0.03)


def test_what_costs_signal_to_noise(part: ExposureCalculator) -> None:
    base = snr(part, magnitude=12.0, exposure=600.0)
    for worse in ({"airmass": 2.5}, {"seeing": 2.0}, {"moon": 1.0}, {"magnitude": 13.0}):
        assert snr(part, **({"magnitude": 12.0, "exposure": 600.0} | worse)) < base
    split = Settings(magnitude=12.0, exposure=600.0, pwv=0.0, ndit=4)
    terms = part.photoelectrons(flat(PART), split, flux_v=1.0)
    whole = part.photoelectrons(flat(PART), replace(split, ndit=1), flux_v=1.0)
    # Four readouts instead of one; signal and dark current stay.
    assert terms.readout_variance.item() == pytest.approx(4 * whole.readout_variance.item())
    assert terms.dark_electrons.item() == pytest.approx(whole.dark_electrons.item())
    slow = ExposureCalculator(PART, readout="slow")
    faint = {"magnitude": 16.0, "exposure": 10.0}
    assert snr(slow, **faint) / snr(part, **faint) == pytest.approx(4.9 / 2.9, rel=0.03)


def settings(batch: int) -> Settings:
    generator = np.random.default_rng(3)
    columns = {
        name: torch.tensor(generator.uniform(*limits, batch))
        for name, limits in {
            "magnitude": (3, 12), "exposure": (10, 3600), "airmass": (1, 2.9), "pwv": (0.05, 30),
            "moon": (0, 1), "seeing": (0.5, 2), "rv": (-100, 100), "berv": (-30, 30),
        }.items()
    }  # fmt: skip
    return Settings(**columns)


@pytest.mark.parametrize("grid", [PART, GAP, B_BAND], ids=["overlap", "gap", "B band"])
def test_compiled_loops_do_appendix_a(grid: WavelengthGrid) -> None:
    calculator, chosen = ExposureCalculator(grid), settings(5)
    stars = 1 - 0.6 * torch.rand(5, grid.size, generator=torch.Generator().manual_seed(1))
    terms = calculator.photoelectrons(stars, chosen, flux_v=0.8)
    flux, sigma = calculator(stars, chosen, flux_v=0.8, noise=False)
    inner = slice(400, -400)  # shifts of 100 km/s leave the ends of a short grid empty
    peak = mean_flux(terms).amax(dim=1, keepdim=True)
    assert ((flux - mean_flux(terms)) / peak)[:, inner].abs().max() < 2e-5
    spread = torch.sqrt(variance(terms))
    assert ((sigma - spread) / spread.amax(dim=1, keepdim=True))[:, inner].abs().max() < 2e-5


def test_whole_numbers_are_spectra_too(part: ExposureCalculator) -> None:
    chosen = settings(3)
    counts = torch.randint(1000, 30000, (3, PART.size), dtype=torch.int16)
    for way in (
        lambda stars: part(stars, chosen, flux_v=2e4, noise=False)[0],
        lambda stars: mean_flux(part.photoelectrons(stars, chosen, flux_v=2e4)),
    ):
        torch.testing.assert_close(way(counts), way(counts.float()))


def test_an_exposure_with_a_seed_of_its_own_is_the_same_in_any_batch(
    part: ExposureCalculator,
) -> None:
    stars, seeds = flat(PART, 3), [4, 5, 2**63 - 1]
    flux, _ = part(stars, Settings(), flux_v=1.0, seeds=seeds)
    alone, sigma = part(stars[2:], Settings(), flux_v=1.0, seeds=seeds[2:])
    assert torch.equal(flux[2], alone[0]) and not torch.equal(flux[1], alone[0])
    kept = torch.empty(3, PART.size)
    same, nothing = part(stars, Settings(), flux_v=1.0, seeds=seeds, uncertainty=False, out=kept)
    assert torch.equal(same, flux) and same.data_ptr() == kept.data_ptr()
    assert nothing.shape == (3, 0) and sigma.shape == alone.shape


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_does_the_same_sums() -> None:
    chosen = settings(3)
    stars = 1 - 0.6 * torch.rand(3, PART.size, generator=torch.Generator().manual_seed(1))
    here = ExposureCalculator(PART)(stars, chosen, flux_v=0.8, noise=False)
    there = ExposureCalculator(PART).cuda()(stars.cuda(), chosen, flux_v=0.8, noise=False)
    for ours, theirs in zip(here, there, strict=True):
        error = (ours - theirs.cpu())[:, 400:-400] / ours.amax(dim=1, keepdim=True)
        assert error.abs().max() < 2e-5


def test_noise_has_the_variance_of_a2(part: ExposureCalculator) -> None:
    chosen, stars = Settings(magnitude=11.0, exposure=100.0, moon=0.9), flat(PART, 64)
    clean, sigma = part(stars, chosen, flux_v=1.0, noise=False)
    flux, _ = part(stars, chosen, flux_v=1.0, generator=torch.Generator().manual_seed(5))
    again, _ = part(stars, chosen, flux_v=1.0, generator=torch.Generator().manual_seed(5))
    pull = ((flux - clean) / sigma)[sigma > 0]
    assert torch.equal(flux, again)
    assert pull.mean().abs() < 5 / pull.numel() ** 0.5
    assert pull.std() == pytest.approx(1.0, abs=5 / (2 * pull.numel()) ** 0.5)
    terms = part.photoelectrons(stars, chosen, flux_v=1.0)
    noisy = draw(terms, torch.Generator().manual_seed(6))
    other = ((noisy - clean) / sigma)[sigma > 0]
    assert other.std() == pytest.approx(1.0, abs=5 / (2 * other.numel()) ** 0.5)


def edges(calculator: ExposureCalculator, berv: float) -> np.ndarray:
    flux, _ = calculator(flat(GAP), Settings(berv=berv), flux_v=1.0, noise=False)
    dark = np.flatnonzero(flux[0].numpy()[100:-100] == 0) + 100
    return GAP.wavelength[dark[[0, -1]]]


@pytest.mark.parametrize("berv", [-29.0, 17.0])
def test_gap_moves_with_the_earth(berv: float) -> None:
    calculator = ExposureCalculator(GAP)
    expected = np.array([5304.343, 5337.251]) * (1 + berv / SPEED_OF_LIGHT)
    assert edges(calculator, berv) == pytest.approx(expected, abs=0.011)
    assert edges(calculator, 0.0) == pytest.approx([5304.343, 5337.251], abs=0.011)


def test_star_moves_by_its_velocity_alone(part: ExposureCalculator) -> None:
    line = 1 - 0.7 * np.exp(-0.5 * ((PART.wavelength - 5515.0) / 0.03) ** 2)
    star = torch.tensor(line, dtype=torch.float32)[None]
    for rv, berv in ((75.0, 0.0), (-42.3, 25.0)):
        chosen = Settings(rv=rv, berv=berv, pwv=0.0)
        seen = part(star, chosen, flux_v=1.0, noise=False)[0][0].double().numpy()
        plain = part(flat(PART), chosen, flux_v=1.0, noise=False)[0][0].double().numpy()
        centre = 5515.0 * float(doppler_factor(rv))
        near = np.abs(PART.wavelength - centre) < 0.3
        depth = 1 - seen[near] / plain[near]
        centroid = (depth * PART.wavelength[near]).sum() / depth.sum()
        assert abs(centroid / centre - 1) * SPEED_OF_LIGHT < 2e-3
        assert depth.max() == pytest.approx(0.7, abs=2e-3)


@pytest.mark.parametrize(("airmass", "pwv"), [(1.0, 0.1), (1.7, 3.0), (2.9, 1.0)])
def test_tellurics_are_those_of_the_line_lists(airmass: float, pwv: float) -> None:
    calculator, berv = ExposureCalculator(B_BAND), 12.3
    chosen = Settings(airmass=airmass, pwv=pwv, berv=berv)
    terms = calculator.photoelectrons(flat(B_BAND), chosen, flux_v=1.0)
    wave = B_BAND.wavelength / (1 + berv / SPEED_OF_LIGHT)
    expected = Telluric.load().transmission(wave, airmass, pwv, resolving_power=115_000)
    air = 10 ** (-0.4 * airmass * LA_SILLA.extinction_at(B_BAND.wavelength[200:-200]))
    error = terms.atmosphere[0].numpy()[200:-200] - air * expected[200:-200]
    assert np.abs(error).max() < 0.01
    assert error.std() < 1e-3


def test_shift_is_exact_for_parabolas() -> None:
    grid = WavelengthGrid(start=5000.0, step=0.01, size=4000)
    x = (grid.wavelength - 5020) / 20
    rows = torch.tensor(1 + x - 0.5 * x**2)[None]
    factor = torch.tensor([1 + 50 / SPEED_OF_LIGHT], dtype=torch.float64)
    moved = shifted(rows, factor, grid)[0, 150:-150].numpy()
    y = (grid.wavelength[150:-150] / factor.item() - 5020) / 20
    assert moved == pytest.approx(1 + y - 0.5 * y**2, abs=1e-10)


def test_resolution_of_a_narrow_line() -> None:
    wave = np.arange(5478.0, 5564.0, 0.002)
    line = 1 - 0.5 * np.exp(-0.5 * ((wave - 5520.0) / 0.01) ** 2)
    seen = 1 - at_resolution(wave, line, PART, 115_000)[0].double().numpy()
    offset = PART.wavelength - 5520.0
    seen = np.where(np.abs(offset) < 0.3, seen, 0.0)
    width = np.sqrt((seen * offset**2).sum() / seen.sum())
    sigma = 5520.0 / 115_000 / np.sqrt(8 * np.log(2))
    assert width == pytest.approx(np.sqrt(sigma**2 + 0.01**2 + 0.01**2 / 12), rel=2e-3)
    assert seen.sum() * PART.step == pytest.approx(0.5 * 0.01 * np.sqrt(2 * np.pi), rel=1e-3)


def test_another_instrument_is_another_table() -> None:
    grid = WavelengthGrid(start=5480.0, step=0.03, size=4096)
    terms = ExposureCalculator(grid, FEROS).photoelectrons(
        flat(grid), Settings(magnitude=10.0, exposure=900.0, airmass=1.0), flux_v=1.0
    )
    # As designed, on the 1.52-m: V = 10 in 15 min gives 100 a pixel; here the mirror is larger.
    expected = 100 * 2.2 / 1.52
    assert terms.signal_to_noise.max().item() == pytest.approx(expected, rel=0.3)


def test_gradients_reach_the_spectrum(part: ExposureCalculator) -> None:
    star = flat(PART).requires_grad_()
    mean_flux(part.photoelectrons(star, Settings(), flux_v=1.0)).sum().backward()
    assert star.grad is not None
    assert star.grad[0, 100:-100].min() > 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"airmass": 0.5}, "airmass must be between 1 and 10, not 0.5"),
        ({"pwv": float("nan")}, "pwv must be between 0 and 100, not nan"),
        ({"moon": torch.tensor([0.1, 0.2])}, "moon must be one number or 1"),
        ({"ndit": 0}, "ndit must be at least 1"),
    ],
)
def test_impossible_settings(part: ExposureCalculator, wrong: dict, says: str) -> None:
    with pytest.raises(SpectrumError, match=says):
        part.photoelectrons(flat(PART), Settings(**wrong), flux_v=1.0)


def test_impossible_calculators(part: ExposureCalculator) -> None:
    with pytest.raises(GridError, match="too coarse for HARPS"):
        ExposureCalculator(WavelengthGrid(start=5000.0, step=0.1, size=100))
    with pytest.raises(GridError, match="calibrated in air"):
        ExposureCalculator(WavelengthGrid(start=5000.0, step=0.01, size=100, medium="vacuum"))
    with pytest.raises(SpectrumError, match="no readout mode 'fast'; it has normal, slow"):
        ExposureCalculator(PART, readout="fast")
    with pytest.raises(GridError, match="too little to take a magnitude from"):
        part(flat(PART), Settings())
    with pytest.raises(SpectrumError, match="without light"):
        part(flat(PART), Settings(), flux_v=0.0)
