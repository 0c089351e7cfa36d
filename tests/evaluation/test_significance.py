"""Comparisons of models: against counting, published examples and Holm's procedure by hand."""

from itertools import combinations

import numpy as np
import pytest

from maury.errors import MauryError
from maury.evaluation.significance import compare

NAN = float("nan")

# Ages at the diagnosis of diabetes, from SciPy's description of `mannwhitneyu`.
WOMEN, MEN = [20.0, 11.0, 17.0, 12.0], [19.0, 22.0, 16.0, 29.0, 24.0]


def exact_p_value(first, second):
    """Share of the ways to deal out the values in which U is as far from its middle."""
    values, half = np.array([*first, *second]), len(first) * len(second) / 2

    def distance(chosen):
        others = np.delete(values, chosen)
        return abs((values[list(chosen)][:, None] > others).sum() - half)

    found = distance(range(len(first)))
    dealt = [distance(chosen) for chosen in combinations(range(len(values)), len(first))]
    return np.mean(np.array(dealt) >= found)


def test_the_p_value_is_that_of_a_published_example_and_of_counting():
    found = compare({"men": MEN, "women": WOMEN})
    assert found.best == "women" and not found.significant
    assert found.p_values["men"] == pytest.approx(1 / 9)
    assert exact_p_value(WOMEN, MEN) == pytest.approx(1 / 9)


def test_the_p_value_of_separate_samples_is_that_of_mann_and_whitney():
    # Mann & Whitney (1947), Table I: with n = m = 4, U = 0 has a probability of 0.014 = 1 / 70.
    found = compare({"a": [1.0, 2.0, 3.0, 4.0], "b": [5.0, 6.0, 7.0, 8.0]})
    assert found.p_values["b"] == pytest.approx(2 / 70)


@pytest.mark.parametrize("others", [2, 3, 4, 5, 6])
def test_adjusted_p_values_are_those_of_the_procedure_of_holm(others):
    random = np.random.default_rng(others)
    errors = {f"model {k}": np.abs(random.normal(size=12)) + 0.3 * k for k in range(others + 1)}
    found = compare(errors, alpha=0.05)
    # The smallest p counts m times, the next m - 1 times, and none less than one before.
    expected, least = {}, 0.0
    for rank, name in enumerate(sorted(found.p_values, key=found.p_values.__getitem__)):
        least = max(least, min(1.0, (others - rank) * found.p_values[name]))
        expected[name] = least
    assert found.adjusted == pytest.approx(expected)


def test_the_best_must_beat_all_others():
    random = np.random.default_rng(1)
    best, near, far = (np.abs(random.normal(size=300)) * s for s in (1.0, 1.02, 3.0))
    assert compare({"best": best, "far": far}).significant
    assert not compare({"best": best, "near": near, "far": far}).significant


def test_correction_for_many_comparisons_can_take_significance_away():
    # U = 0 of 4 and 6 values: p = 2 / 210, and twice that for two comparisons.
    low, high = np.arange(4.0), np.arange(6.0) + 10
    assert compare({"low": low, "high": high}).significant
    assert compare({"low": low, "high": high, "other": high + 0.5}).adjusted == pytest.approx(
        {"high": 4 / 210, "other": 4 / 210}
    )
    assert not compare({"low": low, "high": high, "other": high + 0.5}).significant


def test_the_lower_mean_is_not_better_where_the_other_model_errs_less_but_for_outliers():
    steady, wild = np.linspace(0.9, 1.1, 100), np.linspace(0.1, 0.3, 100)
    wild[-5:] = 100.0
    found = compare({"wild": wild, "steady": steady})
    assert found.best == "steady" and found.adjusted["wild"] < 1e-6
    assert not found.significant


def test_missing_errors_and_models_without_errors_are_left_out():
    found = compare({"men": [*MEN, NAN], "none": [NAN, NAN], "women": [NAN, *WOMEN]})
    assert found == compare({"men": MEN, "women": WOMEN})
    alone = compare({"men": MEN, "none": []})
    assert (alone.best, alone.p_values, alone.significant) == ("men", {}, False)
    assert compare({"none": [NAN]}).best is None


def test_an_impossible_level_is_refused():
    with pytest.raises(MauryError, match=r"1\.5"):
        compare({"men": MEN}, alpha=1.5)
