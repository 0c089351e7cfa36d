"""Sets of parameters."""

import numpy as np
import pytest
from scipy.stats import kstest, qmc

from maury.datasets.sampling import Range, sample
from maury.errors import SynthesisError

RANGES = {"teff": Range(4000, 7000), "logg": Range(4.4, 4.4), "mh": Range(-1, 0.5)}


@pytest.mark.parametrize("sampling", ["uniform", "sobol"])
def test_they_fill_the_ranges_and_a_smaller_set_begins_a_larger_one(sampling: str) -> None:
    stars = sample(RANGES, sampling, 300, seed=5)
    assert stars.shape == (300, 3)
    for column, interval in zip(stars.T, RANGES.values(), strict=True):
        if not interval.fixed:
            scale = interval.high - interval.low
            assert kstest(column, "uniform", args=(interval.low, scale)).pvalue > 0.01
    assert (stars[:, 1] == 4.4).all()
    np.testing.assert_array_equal(sample(RANGES, sampling, 100, seed=5), stars[:100])
    assert not np.allclose(sample(RANGES, sampling, 300, seed=6), stars)


def test_sobol_leaves_fewer_holes() -> None:
    ranges = {name: Range(0, 1) for name in "abc"}
    holes = {name: qmc.discrepancy(sample(ranges, name, 128)) for name in ("uniform", "sobol")}
    assert holes["sobol"] < 0.1 * holes["uniform"]


def test_steps_make_a_grids_nodes() -> None:
    ranges = {"teff": Range(5000, 6000, 250), "vmic": Range(0.1, 0.3, 0.1), "logg": Range(4, 4)}
    stars = sample(ranges, "grid")
    assert len(stars) == 15
    np.testing.assert_allclose(np.unique(stars[:, 0]), [5000, 5250, 5500, 5750, 6000])
    np.testing.assert_allclose(np.unique(stars[:, 1].round(9)), [0.1, 0.2, 0.3])


@pytest.mark.parametrize(("n", "counts"), [(500, (5, 5, 5, 4)), (7, (2, 2, 1, 1)), (1, (1,) * 4)])
def test_a_grid_shares_out_what_n_allows(n: int, counts: tuple[int, ...]) -> None:
    ranges = {name: Range(0, 2) for name in "abcd"}
    stars = sample(ranges, "grid", n)
    assert len(stars) == np.prod(counts)
    assert tuple(np.unique(column).size for column in stars.T) == counts
    for column, count in zip(stars.T, counts, strict=True):
        # Both ends, or the middle where there is one node alone.
        assert (column.min(), column.max()) == ((0, 2) if count > 1 else (1, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hot", "'hot' is not VALUE, LOW:HIGH or LOW:HIGH:STEP"),
        ("1:2:3:4", "'1:2:3:4' is not"),
        ("7000:4000", "7000:4000 must go from a number to one no smaller"),
        ("0:nan", "must go from"),
        ("1:2:0", "must have a positive step"),
    ],
)
def test_a_range_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(SynthesisError, match=message):
        Range.parse(text)


@pytest.mark.parametrize(
    ("ranges", "sampling", "n", "message"),
    [
        (RANGES, "uniform", None, "n is missing: uniform"),
        (RANGES, "grid", None, "n is missing: a grid needs .* a step for teff, mh"),
        (RANGES, "sobol", 0, "n = 0 is not allowed; it must be 1 to 1,000,000"),
        ({"teff": Range(1, 9, 1)}, "uniform", 3, "teff = 1:9:1 has a step"),
        ({"teff": Range(1, 9, 1)}, "grid", 8, "make 9 spectra or more, but n allows 8"),
        ({"teff": Range(1, 9, 1e-9)}, "grid", None, "allows 1,000,000"),
        (RANGES, "random", 3, "not 'random'"),
    ],
)
def test_a_set_that_cannot_be_is_refused(ranges, sampling, n, message) -> None:
    with pytest.raises(SynthesisError, match=message):
        sample(ranges, sampling, n)
