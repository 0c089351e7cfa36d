"""Linear regression against scikit-learn's and NumPy's."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge

from maury.errors import MauryError
from maury.models.downstream import LinearReadout

RNG = np.random.default_rng(0)
NODES = RNG.normal(2.0, 1.0, (60, 5))
LABELS = NODES @ RNG.normal(size=(5, 3)) + RNG.normal(size=3) + RNG.normal(0, 0.1, (60, 3))


def fit(nodes, labels, **options):
    return LinearReadout.fit(torch.tensor(nodes).float(), torch.tensor(labels).float(), **options)


@pytest.mark.parametrize(
    ("ridge", "reference"), [(0.0, LinearRegression()), (4.0, Ridge(4.0)), (500.0, Ridge(500.0))]
)
def test_weights_are_those_of_scikit_learn(ridge, reference):
    reference.fit(NODES, LABELS)
    readout = fit(NODES, LABELS, ridge=ridge)
    np.testing.assert_allclose(readout.weight, reference.coef_, atol=1e-4)
    np.testing.assert_allclose(readout.bias, reference.intercept_, atol=1e-4)
    predicted = readout(torch.tensor(NODES).float())
    np.testing.assert_allclose(predicted, reference.predict(NODES), atol=1e-3)


def test_each_label_is_fitted_to_the_spectra_that_have_it():
    labels = LABELS.copy()
    labels[:30, 1] = np.nan
    readout = fit(NODES, labels)
    np.testing.assert_allclose(readout.weight[0], fit(NODES, LABELS).weight[0], atol=1e-6)
    half = fit(NODES[30:], LABELS[30:])
    np.testing.assert_allclose(readout.weight[1], half.weight[1], atol=1e-5)


def test_collinear_nodes_get_the_smallest_weights():
    nodes = np.repeat(NODES[:, :1], 2, axis=1)
    readout = fit(nodes, 3 * nodes[:, :1] + 1)
    np.testing.assert_allclose(readout.weight, [[1.5, 1.5]], atol=1e-5)


def test_an_intervention_gives_the_labels_and_moves_as_little_as_can_be():
    readout = fit(NODES, LABELS)
    nodes, labels = torch.randn(4, 5), torch.randn(4, 3)
    labels[1, 2] = torch.nan
    moved = readout.intervene(nodes, labels)
    expected = torch.where(torch.isnan(labels), readout(nodes), labels)
    torch.testing.assert_close(readout(moved), expected, rtol=1e-3, atol=1e-3)
    # The least change is a combination of the weights.
    remainder = np.linalg.lstsq(readout.weight.numpy().T, (moved - nodes)[0].numpy(), rcond=None)
    assert remainder[1].sum() < 1e-6


def test_what_cannot_be_fitted_is_refused():
    labels = LABELS.copy()
    labels[:, 2] = np.nan
    with pytest.raises(MauryError, match=r"Label 2 .* is known for no spectrum"):
        fit(NODES, labels)
    with pytest.raises(MauryError, match="must not be negative"):
        fit(NODES, LABELS, ridge=-1.0)


def test_hyperparameters_rebuild_it():
    assert LinearReadout(**fit(NODES, LABELS).hyperparameters).weight.shape == (3, 5)
