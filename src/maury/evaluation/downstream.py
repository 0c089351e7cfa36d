"""Labels from the nodes of any encoder by linear regression, and nodes from labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score

from maury.errors import MauryError

__all__ = ["LinearLabels"]

SMALLEST_SINGULAR_VALUE = 1e-10  # of the largest: labels whose weights agree better are the same


@dataclass(frozen=True, eq=False)
class LinearLabels:
    r"""Labels that are linear in the nodes of a bottleneck.

    .. math:: \hat l = \sum_{k=1}^{B} w_k b_k + w_0

    (Eq. 6 of Cvrcek et al. 2024, Sect. 2.5.3), the downstream task of unsupervised networks.

    Parameters
    ----------
    weight : float64[label, node]
        In the units of each label.
    bias : float64[label]
        Labels where all nodes are zero.

    Examples
    --------
    >>> nodes = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> linear = LinearLabels.fit(nodes, 2 * nodes[:, :1] + 3)
    >>> linear.predict(np.array([[2.0, 7.0]])).round(6).tolist()
    [[7.0]]
    >>> linear.invert(np.array([[2.0, 7.0]]), np.array([[5.0]])).round(6).tolist()
    [[1.0, 7.0]]
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def fit(cls, nodes: ArrayLike, labels: ArrayLike, *, ridge: float = 0.0) -> LinearLabels:
        """Fit each label to the spectra that have it, by ordinary least squares.

        Parameters
        ----------
        nodes : array_like, float[spectrum, node]
            Nodes, the mean where they have a distribution.
        labels : array_like, float[spectrum, label]
            In any units; NaN where missing.
        ridge : float
            Penalty of the squared weights, in the squared units of the nodes. With none, the
            smallest weights that fit are taken where nodes depend on each other linearly.

        Raises
        ------
        MauryError
            If a label is known for no spectrum, the penalty is negative, or shapes do not fit.
        """
        if not ridge >= 0:
            raise MauryError(f"The ridge of a linear regression must not be negative, as {ridge}.")
        values, targets = np.asarray(nodes, np.float64), np.asarray(labels, np.float64)
        if values.ndim != 2 or targets.ndim != 2 or len(values) != len(targets):
            raise MauryError(
                "A linear regression needs nodes [spectrum, node] and labels [spectrum, label] of "
                f"the same spectra, not {values.shape} and {targets.shape}."
            )
        weights, biases = [], []
        for k, column in enumerate(targets.T):
            known = np.isfinite(column)
            if not known.any():
                raise MauryError(f"Label {k} of a linear regression is known for no spectrum.")
            model = Ridge(alpha=ridge) if ridge else LinearRegression()
            model.fit(values[known], column[known])
            weights.append(model.coef_)
            biases.append(model.intercept_)
        return cls(np.array(weights), np.array(biases))

    def predict(self, nodes: ArrayLike) -> NDArray[np.float64]:
        """Labels [spectrum, label] of nodes [spectrum, node]."""
        return np.asarray(nodes, dtype=np.float64) @ self.weight.T + self.bias

    def invert(self, nodes: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
        r"""The nearest nodes at which the regression gives these labels (Sect. 2.3).

        .. math:: b' = b + W^+ (l - \hat l(b))

        with the pseudo-inverse of the weights. A label that is NaN stays what it is at `nodes`.
        Where labels contradict each other, since the weights of some are combinations of others',
        they come as near as they can, each in units of the length of its weights.

        Parameters
        ----------
        nodes : array_like, float[spectrum, node]
            Where to start from: of observed spectra, or the mean of all.
        labels : array_like, float[spectrum, label]
            What is wanted.

        Returns
        -------
        float64[spectrum, node]
        """
        start = np.asarray(nodes, dtype=np.float64)
        wanted = np.asarray(labels, dtype=np.float64)
        length = np.linalg.norm(self.weight, axis=1)
        # A label that no node tells of cannot be changed, and must not divide by zero.
        length = np.where(length > 0, length, 1.0)
        change = np.where(np.isnan(wanted), 0.0, wanted - self.predict(start)) / length
        inverse = np.linalg.pinv(self.weight / length[:, None], rcond=SMALLEST_SINGULAR_VALUE)
        return start + change @ inverse.T

    def r_squared(self, nodes: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
        """Part of the variance of each label that is explained; give spectra not fitted to.

        Parameters
        ----------
        nodes : array_like, float[spectrum, node]
            Nodes.
        labels : array_like, float[spectrum, label]
            Their labels; NaN where missing.

        Returns
        -------
        float64[label]
            1 for perfect predictions, 0 for those no better than the mean, less for worse ones;
            NaN for a label that is known for fewer than two spectra.
        """
        predicted, targets = self.predict(nodes), np.asarray(labels, dtype=np.float64)
        found = np.full(targets.shape[1], np.nan)
        for k, column in enumerate(targets.T):
            known = np.isfinite(column)
            if known.sum() > 1:
                found[k] = r2_score(column[known], predicted[known, k])
        return found
