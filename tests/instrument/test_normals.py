"""Normal numbers: their distribution, independence and seed."""

import numpy as np
from scipy import stats

from maury.instrument.exposure_kernels import random_bits
from maury.instrument.normals import NormalSource


def draw(size: int, seed: int = 3) -> np.ndarray:
    return NormalSource(seed).draw(size).astype(np.float64)


def test_bits_are_those_of_the_published_generator() -> None:
    """The first numbers from the state 1, 2, 3, 4 (test vector of the rand_xoshiro crate)."""
    state = np.repeat(np.array([[1], [2], [3], [4]], dtype=np.uint32), 8, axis=1)
    bits = np.empty(24, dtype=np.int32)
    random_bits(state, bits)
    assert (
        bits.view(np.uint32)[::8].tolist()
        == bits.view(np.uint32)[7::8].tolist()
        == [641, 1573767, 3222811527]
    )


def test_distribution() -> None:
    normal = draw(4_000_000)
    assert stats.kstest(normal, "norm").pvalue > 0.01
    for order, expected in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0), (6, 15.0)):
        spread = np.sqrt(stats.norm.moment(2 * order) / normal.size)
        assert abs((normal**order).mean() - expected) < 5 * spread
    # As many beyond 4 sigma as there should be.
    tail = (np.abs(normal) > 4).sum()
    assert abs(tail - normal.size * 2 * stats.norm.sf(4)) < 5 * np.sqrt(tail)


def test_independence() -> None:
    normal = draw(1_000_000)
    half = normal.size // 2
    for first, second in (
        (normal[:-1], normal[1:]),
        (normal[:half], normal[half:]),  # sine and cosine of the same angle
        (normal[:half] ** 2, normal[half:] ** 2),
    ):
        assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(half)


def test_seed_and_odd_sizes() -> None:
    assert np.array_equal(draw(1001), draw(1001))
    assert not np.array_equal(draw(1000), draw(1000, seed=4))
    source = NormalSource(3)
    first, second = (source.draw(500) for _ in range(2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.25
