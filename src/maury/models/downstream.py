"""Labels from the nodes of an unsupervised network by linear regression."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from maury.errors import MauryError

__all__ = ["LinearReadout"]


class LinearReadout(nn.Module):
    r"""Labels that are linear in the nodes, fitted once the network is trained.

    .. math:: \hat l = \sum_{k=1}^{B} w_k b_k + w_0

    (Eq. 6 of Cvrcek et al. 2024, Sect. 2.5.3), by ordinary least squares. A linear map can be
    inverted, so that spectra can be generated from labels with an unsupervised network too.

    Parameters
    ----------
    inputs : int
        Number B of nodes of the bottleneck.
    outputs : int
        Number of labels.

    Examples
    --------
    >>> nodes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> readout = LinearReadout.fit(nodes, nodes @ torch.tensor([[2.0], [-1.0]]) + 3)
    >>> readout(torch.tensor([[2.0, 2.0]])).round(decimals=4)
    tensor([[5.]])
    """

    architecture = "linear-readout"
    architecture_version = 1
    weight: Tensor
    bias: Tensor

    def __init__(self, *, inputs: int, outputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.outputs = outputs
        # Buffers and not parameters: no gradient trains them.
        self.register_buffer("weight", torch.zeros(outputs, inputs))
        self.register_buffer("bias", torch.zeros(outputs))

    @property
    def hyperparameters(self) -> dict[str, int]:
        """The keyword arguments that make a readout of the same shape."""
        return {"inputs": self.inputs, "outputs": self.outputs}

    @classmethod
    @torch.no_grad()
    def fit(
        cls,
        nodes: Float[Tensor, "spectrum node"],
        labels: Float[Tensor, "spectrum label"],
        *,
        ridge: float = 0.0,
    ) -> LinearReadout:
        """The readout with the least squared error, plus `ridge` times the sum of squared weights.

        Parameters
        ----------
        nodes : Tensor, float[spectrum, node]
            Nodes of the training spectra.
        labels : Tensor, float[spectrum, label]
            Their labels, normalised; NaN where missing. Each label is fitted to the spectra that
            have it.
        ridge : float
            Penalty of the weights; the constant term has none. Where nodes are collinear and there
            is no penalty, the smallest weights that fit are taken.

        Raises
        ------
        MauryError
            If a label is known for no spectrum, or the penalty is negative.
        """
        if ridge < 0:
            raise MauryError(f"The ridge of a linear readout must not be negative, as {ridge} is.")
        readout = cls(inputs=nodes.shape[1], outputs=labels.shape[1])
        penalty = ridge**0.5 * torch.eye(nodes.shape[1], dtype=torch.float64)
        for k, column in enumerate(labels.double().cpu().T):
            known = torch.isfinite(column)
            if not known.any():
                raise MauryError(f"Label {k} of a linear readout is known for no spectrum.")
            inputs, target = nodes.double().cpu()[known], column[known]
            center, middle = inputs.mean(dim=0), target.mean()
            matrix = torch.cat([inputs - center, penalty])
            right = torch.cat([target - middle, target.new_zeros(len(penalty))])
            weight = torch.linalg.lstsq(matrix, right[:, None], driver="gelsd").solution[:, 0]
            readout.weight[k] = weight
            readout.bias[k] = middle - weight @ center
        return readout.to(nodes.device)

    def forward(self, nodes: Float[Tensor, "batch node"]) -> Float[Tensor, "batch label"]:
        """Normalised labels."""
        return torch.addmm(self.bias, nodes, self.weight.mT)

    def intervene(
        self, nodes: Float[Tensor, "batch node"], labels: Float[Tensor, "batch label"]
    ) -> Float[Tensor, "batch node"]:
        """The nearest nodes at which the readout gives these labels; NaN leaves a label as it is.

        Examples
        --------
        >>> readout = LinearReadout(inputs=2, outputs=1)
        >>> readout.weight[:] = torch.tensor([[1.0, 1.0]])
        >>> readout.intervene(torch.zeros(1, 2), torch.tensor([[3.0]]))
        tensor([[1.5000, 1.5000]])
        """
        change = torch.nan_to_num(labels - self(nodes), nan=0.0)
        return nodes + change @ torch.linalg.pinv(self.weight).mT
