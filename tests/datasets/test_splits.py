"""Parts of an archive share no star."""

from types import SimpleNamespace

import numpy as np
import pytest

from maury.datasets.splits import split_by_star, split_of


def archive(stars: int, exposures: int) -> SimpleNamespace:
    """A store with so many stars, each exposed so often, one after the other."""
    rows = np.arange(stars * exposures).reshape(exposures, stars).T
    return SimpleNamespace(stars=lambda: {f"star {i}": row for i, row in enumerate(rows)})


def test_shares_are_those_of_the_paper() -> None:
    names = [split_of(f"HD {number}") for number in range(20_000)]
    for split, share in (("train", 0.90), ("val", 0.05), ("test", 0.05)):
        spread = (share * (1 - share) / len(names)) ** 0.5
        assert names.count(split) / len(names) == pytest.approx(share, abs=5 * spread)


def test_all_exposures_of_a_star_are_in_one_part() -> None:
    parts = split_by_star(archive(300, 4))
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(1200))
    of = {name: {int(index) % 300 for index in indices} for name, indices in parts.items()}
    assert not of["train"] & of["val"] and not of["train"] & of["test"]
    assert not of["val"] & of["test"]
    assert all((np.diff(indices) > 0).all() for indices in parts.values())


def test_no_star_changes_sides_when_the_archive_grows() -> None:
    small, large = split_by_star(archive(100, 1)), split_by_star(archive(200, 1))
    for split, indices in small.items():
        assert set(indices.tolist()) == {i for i in large[split].tolist() if i < 100}
    other = split_by_star(archive(100, 1), seed=1)
    assert set(other["train"].tolist()) != set(small["train"].tolist())
