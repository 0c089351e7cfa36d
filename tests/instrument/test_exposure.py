"""Exposures: what moves with the star and what with the Earth, and the noise."""

import numpy as np
import pytest
import torch

from maury.errors import GridError, SpectrumError
from maury.grid import HARPS_SMALL, WavelengthGrid
from maury.instrument import ExposureSimulator, Telluric, simulate_exposure
from maury.instrument.spectrograph import HARPS
from maury.spectrum import Spectrum
from maury.wavelength import SPEED_OF_LIGHT, doppler_factor

QUIET = WavelengthGrid(start=5100.0, step=0.06, size=1024)  # no telluric line above 0.5% here
B_BAND = WavelengthGrid(start=6862.0, step=0.06, size=800)
GAP = WavelengthGrid(start=5290.0, step=0.06, size=1024)


def log_wavelength(grid: WavelengthGrid) -> np.ndarray:
    start, stop = grid.start - 15, grid.stop + 15
    return start * np.exp(np.arange(np.log(stop / start) * SPEED_OF_LIGHT) / SPEED_OF_LIGHT)


def expose(
    grid: WavelengthGrid, flux: np.ndarray | None = None, **labels: float
) -> tuple[np.ndarray, np.ndarray]:
    wavelength = log_wavelength(grid)
    values = {"rv": 0, "berv": 0, "airmass": 1, "pwv": 0, "vsini": 0, "vmac": 0} | labels
    intrinsic = np.ones_like(wavelength) if flux is None else flux
    result, valid = ExposureSimulator(grid, wavelength)(
        torch.tensor(intrinsic, dtype=torch.float32)[None],
        **{name: torch.tensor([float(value)]) for name, value in values.items()},
    )
    return result[0].double().numpy(), valid[0].numpy()


def line(grid: WavelengthGrid, centre: float) -> np.ndarray:
    velocity = np.log(log_wavelength(grid) / centre) * SPEED_OF_LIGHT
    return 1 - 0.6 * np.exp(-0.5 * (velocity / 2.0) ** 2)


def depth(grid: WavelengthGrid, flux: np.ndarray, centre: float) -> np.ndarray:
    """Depth near a line; the rounding of single precision elsewhere would have a long lever."""
    return np.where(np.abs(grid.wavelength - centre) < 1.5, 1 - flux, 0.0)


@pytest.mark.parametrize("rv", [-180.0, -22.9, 0.4, 75.0])
def test_star_moves_by_its_velocity_and_not_by_the_berv(rv: float) -> None:
    flux = line(QUIET, 5130.0)
    for berv in (0.0, 25.0):
        # Airmass zero: an exposure from above the atmosphere, so that nothing else is there.
        seen, _ = expose(QUIET, flux, rv=rv, berv=berv, airmass=0.0, vsini=5.0)
        expected = 5130.0 * doppler_factor(rv)
        weight = depth(QUIET, seen, expected)
        centroid = (weight * QUIET.wavelength).sum() / weight.sum()
        assert abs(centroid / expected - 1) * SPEED_OF_LIGHT < 1e-3


def test_equivalent_width_is_conserved() -> None:
    flux = line(QUIET, 5130.0)
    width = (1 - flux).sum() * 5130.0 / SPEED_OF_LIGHT
    for labels in ({}, {"vsini": 30.0}, {"vmac": 6.0, "rv": 40.0}):
        seen, _ = expose(QUIET, flux, airmass=0.0, **labels)
        # A shift in the logarithm stretches widths in Angstrom by the Doppler factor.
        factor = doppler_factor(labels.get("rv", 0.0))
        seen_width = depth(QUIET, seen, 5130.0 * factor).sum() * QUIET.step
        assert seen_width == pytest.approx(width * factor, rel=2e-5)


@pytest.mark.parametrize("berv", [-28.0, 17.5])
def test_telluric_lines_move_by_the_berv_and_not_by_the_star(berv: float) -> None:
    seen, valid = expose(B_BAND, berv=berv, airmass=1.6, rv=50.0)
    expected = Telluric.load().transmission(
        B_BAND.wavelength / (1 + berv / SPEED_OF_LIGHT), 1.6, 0.0, resolving_power=105_000
    )
    still = Telluric.load().transmission(B_BAND.wavelength, 1.6, 0.0, resolving_power=105_000)
    assert valid.all()
    assert np.corrcoef(seen, expected)[0, 1] > 0.998
    assert np.corrcoef(seen, still)[0, 1] < 0.9


def test_star_is_absorbed_before_the_instrument_blurs() -> None:
    """Against the same light in double precision on a grid 20 times finer."""
    labels = {"rv": 11.3, "berv": -17.3, "airmass": 1.9, "pwv": 6.0}
    rng = np.random.default_rng(3)
    centres, depths = rng.uniform(6850, 6920, 60), rng.uniform(0.05, 0.8, 60)
    step = 0.05
    start, stop = B_BAND.start - 15, B_BAND.stop + 15
    fine = start * np.exp(
        np.arange(np.log(stop / start) * SPEED_OF_LIGHT / step) * step / SPEED_OF_LIGHT
    )

    def star(wavelength: np.ndarray) -> np.ndarray:
        velocity = np.log(wavelength[:, None] / centres) * SPEED_OF_LIGHT
        return np.prod(1 - depths * np.exp(-0.5 * (velocity / 1.8) ** 2), axis=1)

    telluric = Telluric.load()
    oxygen, water = telluric.optical_depth(fine / (1 + labels["berv"] / SPEED_OF_LIGHT))
    light = star(fine / doppler_factor(labels["rv"]))
    light *= np.exp(-labels["airmass"] * (oxygen + labels["pwv"] * water))
    sigma = SPEED_OF_LIGHT / HARPS.resolving_power / 2.3548 / step
    kernel = np.exp(-0.5 * (np.arange(-150, 151) / sigma) ** 2)
    blurred = np.convolve(light, kernel / kernel.sum(), mode="same")
    integral = np.concatenate([[0], np.cumsum((blurred[1:] + blurred[:-1]) / 2 * np.diff(fine))])
    expected = np.diff(np.interp(B_BAND.edges, fine, integral)) / B_BAND.step
    seen, _ = expose(B_BAND, star(log_wavelength(B_BAND)), **labels)
    assert np.std(seen - expected) < 1e-3
    np.testing.assert_allclose(seen, expected, atol=6e-3)


@pytest.mark.parametrize("berv", [-30.0, 0.0, 30.0])
def test_gap_and_coverage_move_by_the_berv(berv: float) -> None:
    _, valid = expose(GAP, berv=berv)
    dark = GAP.wavelength[~valid]
    first, last = np.array(HARPS.gaps[0]) * (1 + berv / SPEED_OF_LIGHT)
    assert abs(dark[0] - first) < GAP.step and abs(dark[-1] - last) < GAP.step
    edge = WavelengthGrid(start=6890.0, step=0.06, size=512)
    _, valid = expose(edge, berv=berv)
    expected = HARPS.coverage[1] * (1 + berv / SPEED_OF_LIGHT)
    assert 0 <= expected - edge.edges[1:][valid][-1] < edge.step


def test_gaps_of_the_grid_have_no_signal() -> None:
    wavelength = 5250 * np.exp(np.arange(9000) / SPEED_OF_LIGHT)
    simulator = ExposureSimulator(HARPS_SMALL, wavelength)
    valid = simulator.valid(rv=torch.zeros(1), berv=torch.zeros(1))[0].numpy()
    assert not valid[~HARPS_SMALL.valid].any()
    covered = HARPS_SMALL.wavelength[valid]
    assert covered[0] == pytest.approx(wavelength[0], abs=0.1)
    assert covered[-1] == pytest.approx(wavelength[-1], abs=0.1)


@pytest.mark.parametrize("step", [0.01, 0.06])
@pytest.mark.parametrize(("snr", "depth"), [(20.0, 0.0), (150.0, 0.0), (150.0, 0.75)])
def test_noise_has_the_asked_ratio(step: float, snr: float, depth: float) -> None:
    grid = WavelengthGrid(start=5100.0, step=step, size=3000)
    wavelength = log_wavelength(grid)
    simulator = ExposureSimulator(grid, wavelength)
    batch = 8
    zero = torch.zeros(batch)
    seen, _ = simulator(
        torch.full((batch, len(wavelength)), 1 - depth),
        rv=zero, berv=zero, airmass=zero, pwv=zero, vsini=zero, vmac=zero,
        snr=torch.full((batch,), snr), generator=torch.Generator().manual_seed(4),
    )  # fmt: skip
    # Worked by hand: N electrons with N / sqrt(N + r) = snr, then (f N + r) of them vary.
    readout = HARPS.readout_variance(grid.wavelength).mean()
    electrons = (snr**2 + np.sqrt(snr**4 + 4 * snr**2 * readout)) / 2
    assert electrons / np.sqrt(electrons + readout) == pytest.approx(snr)
    expected = np.sqrt(((1 - depth) * electrons + readout) / (step / 0.01)) / electrons
    assert float(seen.std()) == pytest.approx(expected, rel=0.02)
    assert float(seen.mean()) == pytest.approx(1 - depth, abs=4 * expected / np.sqrt(8 * 3000))


def test_noise_refers_to_the_median_continuum() -> None:
    simulator = ExposureSimulator(QUIET, log_wavelength(QUIET))
    continuum = torch.linspace(50.0, 150.0, QUIET.size)[None]
    snr = torch.tensor([100.0])
    plain = simulator.noise(torch.ones(1, QUIET.size), snr=snr)
    shaped = simulator.noise(continuum, snr=snr, continuum=continuum)
    middle = QUIET.size // 2
    assert float(shaped[0, middle] / plain[0, middle]) == pytest.approx(100.0, rel=0.05)
    assert float(shaped[0, -1] / shaped[0, 0]) == pytest.approx(np.sqrt(3), rel=0.05)


def test_same_seed_same_noise_and_infinite_ratio_none() -> None:
    wavelength = log_wavelength(QUIET)
    star = Spectrum(wavelength, line(QUIET, 5130.0), frame="rest")
    runs = [simulate_exposure(star, seed=s, grid=QUIET).flux for s in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
    clean = simulate_exposure(star, snr=np.inf, seed=1, grid=QUIET)
    assert not clean.uncertainty.any()
    np.testing.assert_array_equal(
        clean.flux, simulate_exposure(star, snr=np.inf, seed=2, grid=QUIET).flux
    )


def test_simulated_exposure_tells_what_it_is() -> None:
    wavelength = log_wavelength(GAP)
    star = Spectrum(wavelength, np.full_like(wavelength, 7.0), frame="rest")
    exposure = simulate_exposure(
        star, rv=12, berv=-9, airmass=1.7, snr=80, seed=5, grid=GAP, level=7.0
    )
    assert (exposure.medium, exposure.frame) == ("air", "barycentric")
    meta = exposure.meta
    assert (meta.berv, meta.airmass, meta.snr, meta.rv) == (-9.0, 1.7, 80.0, 12.0)
    good = exposure.valid
    assert 0.4 < good.mean() < 0.6
    pull = (exposure.flux[good] - 7.0) / exposure.uncertainty[good]
    assert np.std(pull) == pytest.approx(1.0, abs=0.15)


def test_vacuum_input_is_brought_to_air() -> None:
    wavelength = log_wavelength(QUIET)
    star = Spectrum(wavelength, line(QUIET, 5130.0), frame="rest")
    direct = simulate_exposure(star, snr=np.inf, grid=QUIET).flux
    through = simulate_exposure(star.to_medium("vacuum"), snr=np.inf, grid=QUIET).flux
    np.testing.assert_allclose(through, direct, atol=2e-5)


def test_gradients_reach_every_label() -> None:
    wavelength = log_wavelength(B_BAND)
    flux = torch.tensor(line(B_BAND, 6880.0), dtype=torch.float32)[None].requires_grad_()
    labels = {
        name: torch.tensor([value], requires_grad=True)
        for name, value in {
            "rv": 3.0, "berv": 9.3, "airmass": 1.3, "pwv": 2.0, "vsini": 4.0, "vmac": 2.0
        }.items()
    }  # fmt: skip
    seen, _ = ExposureSimulator(B_BAND, wavelength)(flux, **labels, snr=torch.tensor([50.0]))
    (seen**2).sum().backward()
    for tensor in (flux, *labels.values()):
        assert torch.isfinite(tensor.grad).all() and (tensor.grad != 0).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"airmass": 0.5}, "airmass"),
        ({"berv": 300.0}, "berv"),
        ({"snr": 0.0}, "snr"),
        ({"rv": float("nan")}, "rv"),
    ],
)
def test_parameters_out_of_range_are_one_sentence(change: dict, words: str) -> None:
    star = Spectrum(log_wavelength(QUIET), line(QUIET, 5130.0), frame="rest")
    with pytest.raises(SpectrumError, match=words):
        simulate_exposure(star, grid=QUIET, **change)


def test_unfit_wavelengths_are_one_sentence() -> None:
    with pytest.raises(SpectrumError, match="rest frame"):
        simulate_exposure(Spectrum([5000.0, 5001.0], [1.0, 1.0]))
    with pytest.raises(GridError, match="uniform"):
        ExposureSimulator(QUIET, np.arange(5080.0, 5200.0, 0.015))
    with pytest.raises(GridError, match="coarse"):
        ExposureSimulator(QUIET, 5080 * np.exp(np.arange(3000) * 2 / SPEED_OF_LIGHT))
    with pytest.raises(GridError, match="miss"):
        ExposureSimulator(QUIET, 6000 * np.exp(np.arange(3000) / SPEED_OF_LIGHT))
    vacuum = WavelengthGrid(start=5100.0, step=0.06, size=64, medium="vacuum")
    with pytest.raises(GridError, match="air"):
        ExposureSimulator(vacuum, log_wavelength(QUIET))
