"""The losses of Sect. 2.5, each beside its equation."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["label_loss"]


def label_loss(predicted: Tensor, labels: Tensor) -> Tensor:
    r"""Mean absolute error of the labels that are known.

    .. math:: L_\mathrm{lab} = E_{(s, l)} \frac{1}{K} \sum_{k=1}^{K} |l_k - q_{c,k}(s)|

    (Eq. 3 of Cvrcek et al. 2024), where sums and K run over the labels present: NaN means that a
    label is missing. A batch in which none is present contributes zero, with zero gradient.

    Parameters
    ----------
    predicted, labels : Tensor, float[batch, labels]
        Normalised labels.

    Returns
    -------
    Tensor
        The loss, a scalar.

    Examples
    --------
    >>> nan = float("nan")
    >>> label_loss(torch.tensor([[1.0, 2.0], [0.0, 5.0]]), torch.tensor([[0.0, 4.0], [nan, nan]]))
    tensor(1.5000)
    """
    present = ~torch.isnan(labels)
    # Missing labels are replaced before the subtraction: NaN times zero would still be NaN.
    difference = torch.where(present, predicted, 0.0) - torch.where(present, labels, 0.0)
    return difference.abs().sum() / present.sum().clamp(min=1)
