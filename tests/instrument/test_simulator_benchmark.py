"""The plain NumPy reference and the calculator are the same simulation."""

import tracemalloc

import numpy as np
import torch

from maury.grid import HARPS as GRID
from maury.instrument.benchmark import appendix_a, bench_simulator, stored_terms
from maury.instrument.calculator import ExposureCalculator
from maury.instrument.settings import Settings


def test_reference_is_the_same_simulation() -> None:
    calculator = ExposureCalculator(GRID)
    wave = GRID.wavelength
    star = torch.tensor(1 - 0.5 * np.cos(wave / 0.2) ** 8, dtype=torch.float32)[None]
    terms = calculator.photoelectrons(star, Settings())
    stored = stored_terms(terms, terms.target_sed[0].double().numpy())
    noisy, mean = appendix_a(stored, 50.0, np.random.default_rng(1))
    flux, sigma = calculator(star, Settings(rv=50.0), noise=False)
    there = sigma[0].numpy() > 0
    assert np.array_equal(there[500:-500], ~np.isnan(mean)[500:-500])
    there[:500] = there[-500:] = False
    # Linear interpolation, and a shift without the relativistic term, cost the reference 0.2%.
    assert np.std(flux[0].numpy()[there] / mean[there] - 1) < 3e-3
    pull = (noisy - flux[0].numpy())[there] / sigma[0].numpy()[there]
    assert abs(pull.std() - 1) < 0.02


def test_benchmark_says_what_it_measured() -> None:
    record = bench_simulator(repeats=1).to_dict()
    assert record["name"] == "simulator"
    assert record["unit"] == "exposures/s/core"
    assert record["ratio"] > 3  # of 10 or more on an idle machine


def test_no_more_memory_than_the_spectrum_itself() -> None:
    calculator, stars = ExposureCalculator(GRID), torch.ones(8, GRID.size)
    out, chosen = torch.zeros_like(stars), Settings(rv=20.0)
    keywords = {"flux_v": 1.0, "uncertainty": False, "out": out}
    calculator(stars, chosen, **keywords)
    tracemalloc.start()
    try:
        calculator(stars, chosen, **keywords)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Of one spectrum, while eight are made; compiled loops need some blocks of 2048 pixels more.
    assert most < 4 * GRID.size
