"""How the latents and reconstructions of training spectra are distributed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeFloat, model_validator
from torch import Tensor

from maury.errors import MauryError
from maury.models.network import Network
from maury.models.reconstruction import Measurement

__all__ = ["QUANTILES", "LatentStatistics"]

QUANTILES = 101
"""Number of quantiles that are kept of each quantity, evenly from the smallest to the largest."""

# Variance below this fraction of the mean one does not count as known: the node has collapsed.
LEAST_VARIANCE = 1e-4
DIGITS = 7  # of the numbers in a card

DECODED = ("errors", "misfits", "dissimilarities")

Quantiles = tuple[NonNegativeFloat, ...]


class LatentStatistics(BaseModel):
    """Latents of the training spectra, and how well they were reconstructed.

    Parameters
    ----------
    count : int
        Number of spectra.
    mean : tuple of float, [node]
        Mean of each node of the bottleneck; labels among them are normalised.
    covariance : tuple of tuple of float, [node, node]
        Their covariance.
    distances : tuple of float
        Quantiles of the `distance` of what `Measurement` calls settled nodes, the smallest first,
        the largest last.
    errors, misfits, dissimilarities : tuple of float, optional
        Quantiles of what `Measurement` tells; None for a network without a decoder.

    Examples
    --------
    >>> statistics = LatentStatistics(
    ...     count=3, mean=(0.0, 1.0), covariance=((1.0, 0.0), (0.0, 4.0)), distances=(0.0, 3.0)
    ... )
    >>> statistics.distance(np.array([[0.0, 1.0], [0.0, 7.0], [3.0, 1.0]])).round(2).tolist()
    [0.0, 3.0, 3.0]
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(ge=2)
    mean: tuple[FiniteFloat, ...] = Field(min_length=1)
    covariance: tuple[tuple[FiniteFloat, ...], ...]
    distances: Quantiles = Field(min_length=2)
    errors: Quantiles | None = Field(default=None, min_length=2)
    misfits: Quantiles | None = Field(default=None, min_length=2)
    dissimilarities: Quantiles | None = Field(default=None, min_length=2)

    @model_validator(mode="after")
    def _consistent(self) -> LatentStatistics:
        nodes = len(self.mean)
        if len(self.covariance) != nodes or any(len(row) != nodes for row in self.covariance):
            raise ValueError(f"the covariance of {nodes} nodes must have {nodes} rows and columns")
        matrix = np.array(self.covariance)
        lowest = float(np.linalg.eigvalsh(matrix)[0])
        size = float(np.abs(matrix).max())
        if not np.allclose(matrix, matrix.T, rtol=1e-5, atol=1e-6 * size) or lowest < -1e-5 * size:
            raise ValueError("the covariance must be symmetric and not negative")
        if not np.trace(matrix) > 0:
            raise ValueError("the covariance must not be zero")
        if len({getattr(self, name) is None for name in DECODED}) > 1:
            raise ValueError(f"{', '.join(DECODED)} come together")
        for name in ("distances", *DECODED):
            quantiles = getattr(self, name)
            if quantiles is not None and np.any(np.diff(quantiles) < 0):
                raise ValueError(f"the quantiles of {name} must not fall")
        return self

    @classmethod
    def measure(
        cls, network: Network, batches: Iterable[tuple[Tensor, Tensor]]
    ) -> LatentStatistics | None:
        """Measure training spectra; runs in eval mode and leaves the network as it was.

        Parameters
        ----------
        network : Network
            The network.
        batches : iterable of (Tensor, Tensor)
            Spectra [batch, pixel] as `network.preprocessing` leaves them, and their valid pixels,
            bool[batch, pixel]. A thousand spectra tell enough.

        Returns
        -------
        LatentStatistics or None
            None for a network without an encoder, which has no latents.

        Raises
        ------
        MauryError
            If there are fewer than two spectra, or something measured is not finite.
        """
        if "encoder" not in network.parts:
            return None
        training = network.training
        network.eval()
        try:
            measured = [Measurement.of(network, prepared, valid) for prepared, valid in batches]
        finally:
            network.train(training)
        nodes = _gather([part.nodes for part in measured])
        if len(nodes) < 2:
            raise MauryError(f"Statistics of latents need at least 2 spectra, not {len(nodes)}.")
        if not np.isfinite(nodes).all():
            raise MauryError("A training spectrum has latents that are not finite.")
        mean, covariance = nodes.mean(axis=0), np.atleast_2d(np.cov(nodes.T))
        distances = _distance(_gather([part.settled for part in measured]), mean, covariance)
        decoded = {}
        if "decoder" in network.parts:
            decoded = {
                "errors": _quantiles([part.error for part in measured]),
                "misfits": _quantiles([part.misfit for part in measured]),
                "dissimilarities": _quantiles([part.dissimilarity for part in measured]),
            }
        return cls(
            count=len(nodes),
            mean=_rounded(mean),
            covariance=tuple(_rounded(row) for row in covariance),
            distances=_rounded(np.quantile(distances, np.linspace(0, 1, QUANTILES))),
            **decoded,
        )

    def distance(self, nodes: NDArray[np.floating]) -> NDArray[np.float64]:
        r"""Mahalanobis distance of latents from those of the training spectra.

        .. math:: d^2 = (b - \mu)^T \Sigma^{-1} (b - \mu)

        A direction in which the training spectra hardly differ, since a node has collapsed, has its
        variance raised to 1e-4 of the nodes' mean variance.

        Parameters
        ----------
        nodes : float[batch, node]
            Nodes of the bottleneck.

        Returns
        -------
        float64[batch]
        """
        return _distance(np.asarray(nodes), np.array(self.mean), np.array(self.covariance))

    def draw(
        self, count: int, random: np.random.Generator, known: NDArray[np.floating] | None = None
    ) -> NDArray[np.float64]:
        r"""Nodes of a normal distribution with the mean and covariance of the training spectra.

        Where the first nodes are given, the others come from the conditional distribution

        .. math:: \mu_u + \Sigma_{ul} \Sigma_{ll}^{-1} (l - \mu_l), \quad
                  \Sigma_{uu} - \Sigma_{ul} \Sigma_{ll}^{-1} \Sigma_{lu}

        (Bishop 2006, Eqs. 2.81 and 2.82), so that what goes with the labels comes along.

        Parameters
        ----------
        count : int
            How many; the first of many are those of few.
        random : numpy.random.Generator
            Where random numbers come from.
        known : float[node], optional
            The first nodes: labels, normalised.

        Returns
        -------
        float64[draw, node]
        """
        mean = np.array(self.mean)
        covariance = _floored(np.array(self.covariance))
        given = np.empty(0) if known is None else np.asarray(known, dtype=np.float64)
        first, rest = slice(0, given.size), slice(given.size, None)
        slope = np.linalg.solve(covariance[first, first], covariance[first, rest]).T
        center = mean[rest] + slope @ (given - mean[first])
        spread = covariance[rest, rest] - slope @ covariance[first, rest]
        values, vectors = np.linalg.eigh(spread)
        root = vectors * np.sqrt(values.clip(min=0))
        drawn = center + random.standard_normal((count, center.size)) @ root.T
        return np.concatenate([np.broadcast_to(given, (count, given.size)), drawn], axis=1)


def _gather(parts: list[Tensor]) -> NDArray[np.float64]:
    return torch.cat(parts).double().cpu().numpy() if parts else np.empty((0, 0))


def _quantiles(parts: list[Tensor | None]) -> tuple[float, ...]:
    values = _gather([part for part in parts if part is not None])
    if not np.isfinite(values).all():
        raise MauryError("A training spectrum has a reconstruction that is not finite.")
    return _rounded(np.quantile(values, np.linspace(0, 1, QUANTILES)))


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)


def _floored(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The covariance with no direction of less than `LEAST_VARIANCE` of the mean variance."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, LEAST_VARIANCE * np.trace(covariance) / len(values))
    return (vectors * values) @ vectors.T


def _distance(
    nodes: NDArray[np.floating], mean: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    offset = nodes - mean
    solved = np.linalg.solve(_floored(covariance), offset.T).T
    return np.sqrt((offset * solved).sum(axis=1).clip(min=0))
