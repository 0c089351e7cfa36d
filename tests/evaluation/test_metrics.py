"""Errors against the equations worked by hand, SciPy, simulation, and the paper's own tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import gaussian_kde, sem

from maury.errors import MauryError
from maury.evaluation.metrics import (
    Estimate,
    density,
    estimate,
    mean_absolute_error,
    normalized_mean_absolute_error,
    paper_overall_error,
    reconstruction_errors,
)

NAN = float("nan")

# Cvrcek et al. (2024), Tables 4, 5 and 6: mean absolute errors and "All".
INTRINSIC = """
978.0 0.1578 0.1798 1.548
50.21 0.02118 0.03957 0.1793
50.32 0.02478 0.03898 0.1844
49.74 0.02292 0.04139 0.1867
43.68 0.03424 0.04005 0.1986
273.1 0.1222 0.4994 1.7029
51.27 0.02109 0.04102 0.1837
154.4 0.049 0.0712 0.3954
108.6 0.04468 0.05083 0.2984
100.2 0.082 0.0848 0.4439
75.2 0.02934 0.0567 0.2578
986.0 0.1579 0.1829 1.563
999.0 0.1529 0.1817 1.562
1017.0 0.154 0.186 1.59
990.0 0.1648 0.1846 1.583
"""
EXTRINSIC = """
31.07 16.01 0.181 1.5751
2.375 0.1671 0.01069 0.0815
1.94 0.1214 0.00885 0.0664
1.918 0.1697 0.0103 0.0709
1.967 0.1855 0.01023 0.0722
25.43 nan 1.6827 6.932
1.994 0.1764 0.01163 0.07591
4.4 0.7122 0.06974 0.2839
3.91 0.787 0.04042 0.2047
5.19 0.4659 0.07247 0.3002
3.53 0.3719 0.05555 0.221
32.15 16.125 0.1827 1.6056
31.26 16.077 0.181 1.5811
31.72 16.265 0.1798 1.5935
31.81 16.39 0.1809 1.6017
"""


def rows(table):
    return [tuple(map(float, line.split())) for line in table.split("\n") if line]


def drawn(count, seed=3):
    """True and predicted labels, the errors of the three labels of a spectrum being correlated."""
    random = np.random.default_rng(seed)
    mixing = np.array([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [-0.7, 0.2, 0.4]])
    true = random.normal(size=(count, 3)) * 10
    return true, true + random.normal(size=(count, 3)) @ mixing.T


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.integers(0, 5))
def test_an_estimate_has_the_mean_and_the_standard_error_of_scipy(values, missing):
    found = estimate([*values, *[NAN] * missing])
    assert (found.count, found.missing) == (len(values), missing)
    assert found.value == pytest.approx(np.mean(values), rel=1e-9, abs=1e-9)
    assert found.error == pytest.approx(sem(values), rel=1e-9, abs=1e-9)


def test_an_estimate_of_one_value_has_no_error_and_of_none_no_value():
    alone, none = estimate([4.0]), estimate([NAN, NAN])
    assert (alone.value, alone.count) == (4.0, 1) and np.isnan(alone.error)
    assert np.isnan([none.value, none.error]).all() and (none.count, none.missing) == (0, 2)


def test_missing_labels_are_left_out_of_a_mean_absolute_error_and_counted():
    # |1|, |-3|, |2|: mean 2, standard deviation 1, and the known label of the last is missing.
    found = mean_absolute_error([10.0, 20.0, 30.0, NAN], [11.0, 17.0, 32.0, 1.0])
    assert (found.value, found.count, found.missing) == (2.0, 3, 1)
    assert found.error == pytest.approx(1 / np.sqrt(3))


def test_a_label_that_is_not_predicted_has_no_error():
    found = mean_absolute_error([1.0, 2.0, NAN], [NAN, NAN, NAN])
    assert np.isnan([found.value, found.error]).all() and (found.count, found.missing) == (0, 1)


def test_a_prediction_that_lacks_for_some_spectra_is_refused_with_their_number():
    with pytest.raises(MauryError, match=r"^2 of 3 predictions"):
        mean_absolute_error([1.0, 2.0, 3.0, NAN], [NAN, 2.0, np.inf, NAN])
    # Nobody can tell whether the prediction of a missing label is wrong.
    assert mean_absolute_error([1.0, NAN], [2.0, NAN]).value == 1.0


def test_labels_and_predictions_of_different_shapes_are_refused():
    with pytest.raises(MauryError, match=r"\(2,\) and \(3,\)"):
        mean_absolute_error([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(MauryError, match="2 labels need as many scales"):
        normalized_mean_absolute_error(np.ones((3, 2)), np.ones((3, 2)), [1.0])
    with pytest.raises(MauryError, match="positive"):
        normalized_mean_absolute_error(np.ones((3, 2)), np.ones((3, 2)), [1.0, 0.0])


def test_the_normalized_error_is_the_mean_of_equation_13_over_labels():
    true = np.array([[0.0, 0.0], [0.0, NAN], [0.0, 0.0], [0.0, NAN]])
    predicted = np.array([[1.0, 10.0], [3.0, 0.0], [1.0, 30.0], [3.0, 0.0]])
    found = normalized_mean_absolute_error(true, predicted, [2.0, 10.0])
    # Labels have 2 / 2 and 20 / 10.
    assert (found.value, found.count, found.missing) == (1.5, 6, 2)


def test_a_label_never_known_or_not_predicted_is_left_out_of_the_normalized_error():
    true, predicted = drawn(20)
    alone = normalized_mean_absolute_error(true[:, :1], predicted[:, :1], [2.0])
    true[:, 1], predicted[:, 2] = NAN, NAN
    found = normalized_mean_absolute_error(true, predicted, [2.0, NAN, 1.0])
    assert (found.value, found.error) == (alone.value, alone.error)
    assert (found.count, found.missing) == (20, 20)
    single = mean_absolute_error(true[:, 0], predicted[:, 0])
    assert alone.error == pytest.approx(single.error / 2)
    none = normalized_mean_absolute_error(true[:, 1:], predicted[:, 1:], [1.0, 1.0])
    assert np.isnan(none.value) and none.count == 0


def test_the_normalized_error_of_complete_labels_has_the_standard_error_of_spectra():
    true, predicted = drawn(50)
    scale = np.array([1.0, 3.0, 0.5])
    found = normalized_mean_absolute_error(true, predicted, scale)
    assert found.error == pytest.approx(sem((np.abs(true - predicted) / scale).mean(axis=1)))


def test_the_error_of_the_normalized_error_is_its_scatter_where_labels_are_missing():
    scale = [1.0, 2.0, 0.5]
    values, errors = [], []
    for seed in range(600):
        true, predicted = drawn(80, seed)
        true[:30, 0] = true[60:, 1] = NAN
        found = normalized_mean_absolute_error(true, predicted, scale)
        values.append(found.value)
        errors.append(found.error)
    # A scatter of 600 values is known within 3%; independent labels would give a quarter less.
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=0.08)


@pytest.mark.parametrize(
    ("names", "row"),
    [(("teff", "mh", "logg"), row) for row in rows(INTRINSIC)]
    + [(("rv", "berv", "airmass"), row) for row in rows(EXTRINSIC)],
)
def test_overall_errors_of_the_paper_follow_from_its_mean_absolute_errors(names, row):
    estimates = {name: Estimate(error, 0.0, 1) for name, error in zip(names, row, strict=False)}
    assert paper_overall_error(estimates) == pytest.approx(row[3], rel=5e-4)


def test_a_label_that_the_paper_does_not_have_is_refused_by_name():
    with pytest.raises(MauryError, match=r"'pwv'.*teff"):
        paper_overall_error({"pwv": Estimate(1.0, 0.1, 5)})


def test_reconstruction_errors_count_the_valid_pixels_that_are_asked_for():
    spectra = np.array([[1.0, 2.0, 3.0, NAN], [1.0, 1.0, 1.0, 1.0]], dtype=np.float32)
    made = np.array([[2.0, 0.0, 3.0, 1.0], [1.0, 1.0, 1.0, NAN]], dtype=np.float32)
    valid = np.array([[True, True, True, False], [False, False, False, False]])
    np.testing.assert_array_equal(reconstruction_errors(spectra, made, valid), [1.0, NAN])
    pixels = np.array([[True, False, True, True], [True, True, True, True]])
    chosen = reconstruction_errors(spectra, made, valid, pixels)
    np.testing.assert_array_equal(chosen, [0.5, NAN])
    others = reconstruction_errors(spectra, made, valid, pixels=~pixels)
    np.testing.assert_array_equal(others, [2.0, NAN])


def test_a_reconstruction_that_is_not_finite_is_refused():
    made = np.array([[1.0, NAN], [1.0, 1.0]])
    with pytest.raises(MauryError, match=r"^1 of 2 spectra"):
        reconstruction_errors(np.ones((2, 2)), made, np.ones((2, 2), dtype=bool))


def test_a_density_is_that_of_scipy_between_the_percentiles():
    values = np.random.default_rng(0).standard_t(2, 4000)
    x, y = density([*values, NAN], points=64)
    assert (x.size, x[0], x[-1]) == (64, *np.percentile(values, [1, 99]))
    # Scott (1992): the kernel's width is the standard deviation over the fifth root of the number.
    width = values.std(ddof=1) * 4000**-0.2
    kernels = np.exp(-0.5 * ((x[:, None] - values) / width) ** 2) / np.sqrt(2 * np.pi) / width
    np.testing.assert_allclose(y, kernels.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(y, gaussian_kde(values)(x), rtol=1e-12)


def test_a_density_of_equal_values_is_refused():
    for values in ([1.0, 1.0, 1.0], [1.0, NAN], []):
        with pytest.raises(MauryError, match="two values"):
            density(values)
