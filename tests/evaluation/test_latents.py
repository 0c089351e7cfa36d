"""What nodes hold: against closed forms of normal distributions, NumPy and PyTorch."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from maury.errors import MauryError
from maury.evaluation.latents import (
    active_nodes,
    mutual_information,
    node_correlation,
    node_divergence,
    summarize_latents,
)

NAN = float("nan")


def pairs(correlation, count=2000, seed=0):
    """Two columns of normal numbers of that correlation."""
    first, second = np.random.default_rng(seed).normal(size=(2, count))
    return np.stack([first, correlation * first + np.sqrt(1 - correlation**2) * second], axis=1)


def test_active_nodes_vary_by_more_than_the_variance_of_burda():
    # Standard deviations on both sides of 0.1, about means that do not matter.
    unit = np.array([-1.0, 1.0, -1.0, 1.0])[:, None] * np.sqrt(3 / 4)
    nodes = unit * np.array([0.0, 0.099, 0.101, 2.0]) + np.array([5.0, 0.0, -3.0, 1.0])
    np.testing.assert_allclose(nodes.std(axis=0, ddof=1), [0.0, 0.099, 0.101, 2.0], atol=1e-12)
    assert active_nodes(nodes).tolist() == [False, False, True, True]


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8, -0.95])
def test_mutual_information_of_normal_pairs_is_the_closed_form(correlation):
    columns = pairs(correlation)
    found = mutual_information(columns[:, :1], columns[:, 1:])
    assert found.shape == (1, 1)
    assert found[0, 0] == pytest.approx(-0.5 * np.log(1 - correlation**2), abs=0.07)


def test_mutual_information_takes_any_monotonic_relation_for_what_it_is():
    columns = pairs(0.8)
    plain = mutual_information(columns[:, :1], columns[:, 1:])
    bent = mutual_information(columns[:, :1], np.exp(columns[:, 1:]) * 1000)
    assert bent[0, 0] == pytest.approx(plain[0, 0], abs=0.05)


def test_mutual_information_leaves_out_missing_labels_for_each_label():
    columns = pairs(0.9, 600)
    labels = np.stack([columns[:, 1], columns[:, 1], np.full(600, NAN)], axis=1)
    labels[:300, 1] = NAN
    nodes = np.stack([columns[:, 0], np.zeros(600)], axis=1)
    found = mutual_information(nodes, labels, seed=4)
    assert np.isnan(found[:, 2]).all()
    known = mutual_information(nodes[300:], labels[300:], seed=4)
    np.testing.assert_array_equal(found[:, 1], known[:, 1])
    # A node that is constant tells nothing.
    assert found[0, 0] > 0.7 and found[1, 0] < 0.05


def test_mutual_information_of_many_spectra_is_that_of_some_drawn_by_the_seed():
    columns = pairs(0.8, 4000)
    nodes, labels = columns[:, :1], columns[:, 1:]
    first, again, other = (
        mutual_information(nodes, labels, seed, most=500)[0, 0] for seed in (0, 0, 1)
    )
    assert first == again != other
    assert first == pytest.approx(-0.5 * np.log(1 - 0.64), abs=0.15)


def test_correlation_is_that_of_numpy_and_nan_for_a_constant_node():
    nodes = np.random.default_rng(2).normal(size=(50, 4)) @ np.triu(np.ones((4, 4)))
    found = node_correlation(np.column_stack([nodes, np.full(50, 0.1)]))
    np.testing.assert_allclose(found[:4, :4], np.corrcoef(nodes.T), atol=1e-12)
    assert np.isnan(found[4]).all() and np.isnan(found[:, 4]).all()


def test_divergence_is_that_of_pytorch_and_of_the_hand():
    random = np.random.default_rng(5)
    mean, log_variance = random.normal(size=(2, 30, 3))
    normal = Normal(torch.from_numpy(mean), torch.from_numpy(np.exp(log_variance / 2)))
    expected = kl_divergence(normal, Normal(0.0, 1.0)).mean(dim=0)
    np.testing.assert_allclose(node_divergence(mean, log_variance), expected, rtol=1e-10)
    # N(1, 1/4): (1 + 1/4 + ln 4 - 1) / 2
    quarter = node_divergence([[1.0], [-1.0]], np.log([[0.25], [0.25]]))
    assert quarter[0] == pytest.approx(0.125 + np.log(2))


def test_a_summary_tells_active_nodes_from_collapsed_ones():
    random = np.random.default_rng(6)
    columns = pairs(-0.6, 1500, seed=7)
    noise = 1e-3 * random.normal(size=(1500, 2))
    # Two nodes that vary together, and two that stay at the prior.
    nodes = np.concatenate([columns, noise], axis=1)
    log_variance = np.broadcast_to([-4.0, -4.0, 0.0, 0.01], nodes.shape)
    found = summarize_latents(nodes, columns[:, :1] * 1000 + 5777, log_variance, seed=1)
    assert found.active.tolist() == [True, True, False, False]
    assert found.collapsed.tolist() == [False, False, True, True]
    # The correlation of the two active nodes alone, whatever its sign.
    assert found.mean_correlation == pytest.approx(0.6, abs=0.05)
    assert found.mutual_information.argmax() == 0
    plain = summarize_latents(nodes[:, 2:], columns[:, :1])
    assert plain.divergence is None and plain.collapsed is None
    assert np.isnan(plain.mean_correlation)


def test_nodes_that_cannot_be_summarized_are_refused():
    with pytest.raises(MauryError, match="1 of 3 spectra"):
        active_nodes([[1.0], [NAN], [2.0]])
    with pytest.raises(MauryError, match=r"\(1, 2\)"):
        node_correlation([[1.0, 2.0]])
    with pytest.raises(MauryError, match="same shape"):
        node_divergence(np.ones((3, 2)), np.ones((3, 1)))
    with pytest.raises(MauryError, match=r"\[3, label\]"):
        mutual_information(np.ones((3, 2)), np.ones((2, 2)))
