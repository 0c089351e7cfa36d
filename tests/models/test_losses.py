"""The label loss by values worked out by hand."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maury.models.losses import label_loss

NAN = float("nan")


def test_equation_3_by_hand():
    predicted = torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 1.0]])
    labels = torch.tensor([[0.0, 2.0, 0.5], [0.5, 1.5, -1.0]])
    # (1 + 4 + 0 + 0.5 + 0.5 + 2) / 6
    assert label_loss(predicted, labels).item() == torch.tensor(8 / 6).item()


def test_missing_labels_do_not_count():
    predicted = torch.tensor([[1.0, 100.0], [3.0, 5.0]])
    labels = torch.tensor([[0.0, NAN], [NAN, 3.0]])
    assert label_loss(predicted, labels).item() == 1.5


def test_a_batch_without_labels_gives_zero_and_finite_gradients():
    predicted = torch.tensor([[1.0, 2.0]], requires_grad=True)
    loss = label_loss(predicted, torch.full((1, 2), NAN))
    loss.backward()
    assert loss.item() == 0.0
    assert predicted.grad.tolist() == [[0.0, 0.0]]


def test_gradient_is_the_sign_over_the_number_of_labels():
    predicted = torch.tensor([[1.0, 2.0], [5.0, -1.0]], requires_grad=True)
    label_loss(predicted, torch.tensor([[0.0, NAN], [7.0, -3.0]])).backward()
    third = torch.tensor(1.0) / 3
    torch.testing.assert_close(predicted.grad, torch.tensor([[third, 0.0], [-third, third]]))


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    hnp.arrays("float32", (4, 3), elements=st.floats(-100, 100, width=32)),
    hnp.arrays("bool", (4, 3)),
)
def test_a_missing_label_is_as_if_it_were_not_there(values, missing):
    predicted = torch.zeros(4, 3)
    labels = torch.from_numpy(values)
    labels[torch.from_numpy(missing)] = NAN
    present = values[~missing]
    expected = abs(present.astype(float)).mean() if present.size else 0.0
    assert abs(label_loss(predicted, labels).item() - expected) < 1e-4
