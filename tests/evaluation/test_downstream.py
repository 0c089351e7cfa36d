"""Linear labels: against known maps, statsmodels and the equations of least squares."""

import numpy as np
import pytest
import statsmodels.api as sm

from maury.errors import MauryError
from maury.evaluation.downstream import LinearLabels

NAN = float("nan")
WEIGHT = np.array([[800.0, -300.0, 0.0, 100.0], [0.1, 0.2, -0.3, 0.05]])
BIAS = np.array([5777.0, 4.44])


def drawn(count=200, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 4))


@pytest.fixture(scope="module")
def linear():
    return LinearLabels(WEIGHT, BIAS)


def test_a_linear_map_is_found_from_the_spectra_that_have_each_label():
    nodes = drawn()
    labels = nodes @ WEIGHT.T + BIAS
    labels[:150, 0] = labels[100:, 1] = NAN
    found = LinearLabels.fit(nodes, labels)
    np.testing.assert_allclose(found.weight, WEIGHT, atol=1e-8)
    np.testing.assert_allclose(found.bias, BIAS, atol=1e-8)
    np.testing.assert_allclose(found.predict([[1.0, 1.0, 1.0, 1.0]]), [[6377.0, 4.49]])


def test_noisy_labels_have_the_weights_of_statsmodels():
    nodes = drawn()
    label = nodes @ WEIGHT[0] + 300 * np.random.default_rng(1).normal(size=200)
    found = LinearLabels.fit(nodes, label[:, None])
    expected = sm.OLS(label, sm.add_constant(nodes)).fit()
    np.testing.assert_allclose([*found.bias, *found.weight[0]], expected.params, rtol=1e-9)
    score = found.r_squared(nodes, label[:, None])
    assert score[0] == pytest.approx(expected.rsquared, rel=1e-9)


def test_a_ridge_has_the_weights_of_its_equations():
    nodes = drawn(30)
    label = nodes @ WEIGHT[1] + 0.1 * np.random.default_rng(1).normal(size=30)
    found = LinearLabels.fit(nodes, label[:, None], ridge=5.0)
    centered = nodes - nodes.mean(axis=0)
    matrix = centered.T @ centered + 5.0 * np.eye(4)
    expected = np.linalg.solve(matrix, centered.T @ (label - label.mean()))
    np.testing.assert_allclose(found.weight[0], expected, rtol=1e-9)


def test_nodes_that_are_the_same_share_the_weight():
    node = drawn(20)[:, :1]
    found = LinearLabels.fit(np.repeat(node, 2, axis=1), 6 * node + 1)
    np.testing.assert_allclose(found.weight, [[3.0, 3.0]], atol=1e-9)


def test_inverted_labels_are_predicted_from_the_nearest_nodes(linear):
    nodes = drawn(20)
    labels = linear.predict(drawn(20, seed=1))
    found = linear.invert(nodes, labels)
    np.testing.assert_allclose(linear.predict(found), labels, rtol=1e-9)
    # The shortest way has no part along directions that leave the labels as they are.
    idle = np.linalg.svd(WEIGHT)[2][2:]
    np.testing.assert_allclose((found - nodes) @ idle.T, 0.0, atol=1e-9)
    np.testing.assert_allclose(linear.invert(nodes, linear.predict(nodes)), nodes, atol=1e-9)


def test_a_label_that_is_nan_keeps_its_value_when_another_is_inverted(linear):
    nodes = drawn(3)
    labels = np.tile([6000.0, NAN], (3, 1))
    found = linear.predict(linear.invert(nodes, labels))
    np.testing.assert_allclose(found[:, 0], 6000.0)
    np.testing.assert_allclose(found[:, 1], linear.predict(nodes)[:, 1])


def test_the_units_of_labels_do_not_change_what_is_inverted():
    nodes, units = drawn(5), np.array([1e-6, 1e6])
    weight = np.array([[1.0, 2.0, 0.0, 0.0], [2.0, 4.0, 0.0, 0.0]])
    # Both want the same combination of nodes, and different values of it: 1 and 3 halves.
    labels = np.tile([1.0, 3.0], (5, 1))
    plain = LinearLabels(weight, np.zeros(2)).invert(nodes, labels)
    other = LinearLabels(weight * units[:, None], np.zeros(2)).invert(nodes, labels * units)
    np.testing.assert_allclose(other, plain, rtol=1e-9)
    np.testing.assert_allclose(plain @ weight[0], 1.25)


def test_a_label_that_no_node_tells_of_moves_no_node():
    flat = LinearLabels(np.array([[0.0, 0.0], [1.0, 0.0]]), np.zeros(2))
    assert flat.invert([[1.0, 2.0]], [[7.0, 3.0]]).tolist() == [[3.0, 2.0]]


def test_r_squared_of_held_out_spectra_is_one_zero_or_less_than_zero(linear):
    nodes = drawn(100, seed=9)
    labels = linear.predict(nodes)
    labels[:50, 1] = NAN
    np.testing.assert_allclose(linear.r_squared(nodes, labels), [1.0, 1.0])
    mean = LinearLabels(np.zeros((2, 4)), np.nanmean(labels, axis=0))
    np.testing.assert_allclose(mean.r_squared(nodes, labels), [0.0, 0.0], atol=1e-12)
    # Twice the offset from the mean: the residual is as large as the label's spread.
    twice = LinearLabels(3 * WEIGHT, 3 * BIAS - 2 * np.nanmean(labels, axis=0))
    np.testing.assert_allclose(twice.r_squared(nodes, labels), [-3.0, -3.0])
    labels[1:, 0] = NAN
    assert np.isnan(linear.r_squared(nodes, labels)[0])


def test_labels_that_cannot_be_fitted_are_refused():
    with pytest.raises(MauryError, match="Label 1 "):
        LinearLabels.fit(np.ones((2, 1)), [[1.0, NAN], [2.0, NAN]])
    with pytest.raises(MauryError, match=r"-1\.0"):
        LinearLabels.fit(np.ones((2, 1)), np.ones((2, 1)), ridge=-1.0)
    with pytest.raises(MauryError, match=r"\(2, 1\) and \(3, 1\)"):
        LinearLabels.fit(np.ones((2, 1)), np.ones((3, 1)))
