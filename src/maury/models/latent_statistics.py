"""How the latents and reconstructions of training spectra are distributed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeFloat, model_validator
from torch import Tensor
from torch.nn import functional

from maury.errors import MauryError
from maury.models.network import Network

__all__ = ["QUANTILES", "LatentStatistics", "Measurement"]

QUANTILES = 101
"""Number of quantiles that are kept of each quantity, evenly from the smallest to the largest."""

# Pixels that are nearer share the noise of a detector's pixel, of 0.016 A in HARPS.
INDEPENDENT = 0.02  # Angstrom
CONTINUUM = 20.0  # Angstrom: what varies over more than that is no line
# Of the variance of a spectrum; its noise is not known better than that.
LEAST_STRUCTURE = 0.02
# Variance below this fraction of the mean one does not count as known: the node has collapsed.
LEAST_VARIANCE = 1e-4
DIGITS = 7  # of the numbers in a card

DECODED = ("errors", "misfits", "dissimilarities")

Quantiles = tuple[NonNegativeFloat, ...]


class Measurement(NamedTuple):
    """Latents of spectra and how far they are from being reconstructed.

    Attributes
    ----------
    nodes : Tensor, float32[batch, node]
        All nodes of the bottleneck, the mean where they have a distribution.
    error : Tensor, float32[batch], or None
        Mean absolute difference over valid pixels between a prepared spectrum and its
        reconstruction; None without a decoder.
    misfit : Tensor, float32[batch], or None
        The same of the lines alone, and with the part of white noise taken off; see `of`.
    dissimilarity : Tensor, float32[batch], or None
        One minus the correlation of the lines with those of the reconstruction, with the part of
        white noise taken off: 0 where they agree up to a factor, 1 where they have nothing in
        common.
    """

    nodes: Float[Tensor, "batch node"]
    error: Float[Tensor, " batch"] | None = None
    misfit: Float[Tensor, " batch"] | None = None
    dissimilarity: Float[Tensor, " batch"] | None = None

    @classmethod
    @torch.inference_mode()
    def of(
        cls,
        network: Network,
        prepared: Float[Tensor, "batch pixel"],
        valid: Bool[Tensor, "batch pixel"],
    ) -> Measurement:
        r"""Encode and decode spectra.

        The lines of a spectrum are what differs from its mean over 20 Angstrom, so that a continuum
        of another shape does not count. The noise :math:`\sigma` of a pixel is told by how the
        residual r differs from pixel to pixel, 1.4826 times the median of
        :math:`|r_i - (r_{i-k} + r_{i+k}) / 2| / \sqrt{1.5}`, with k pixels being 0.02 Angstrom or
        one pixel (as in DER_SNR, Stoehr et al. 2008, ASPC 394, 505, but of what the decoder
        leaves). Noise alone makes a mean absolute difference of :math:`\sqrt{2/\pi}\,\sigma`, so
        that the misfit is :math:`\sqrt{\max(e^2 - 2\sigma^2/\pi, 0)}` for a difference of e
        between the lines; and it adds :math:`\sigma^2` to the variance by which the covariance is
        divided for the correlation. Lines that are wrong are wider than a pixel and stay.

        Parameters
        ----------
        network : Network
            With an encoder, in eval mode.
        prepared : Tensor, float[batch, pixel]
            What `network.preprocessing` gives.
        valid : Tensor, bool[batch, pixel]
            Which pixels count.
        """
        nodes = network.posterior(prepared).mean
        if "decoder" not in network.parts:
            return cls(nodes)
        decoded = network.decode(nodes) - network.preprocessing.offset
        step = network.grid.step
        noise = _pixel_noise(decoded - prepared, valid, max(1, round(INDEPENDENT / step)))
        half = max(1, round(CONTINUUM / 2 / step))
        seen, made = _lines(prepared, valid, half), _lines(decoded, valid, half)
        difference = _mean(torch.abs(made - seen), valid)
        misfit = (difference.square() - (2 / np.pi) * noise.square()).clamp(min=0).sqrt()
        return cls(
            nodes,
            _mean(torch.abs(decoded - prepared), valid),
            misfit,
            1 - _correlation(seen, made, valid, noise),
        )


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
        Quantiles of `distance`, the smallest first, the largest last.
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
        distances = _distance(nodes, mean, covariance)
        decoded = {}
        if "decoder" in network.parts:
            columns = zip(*(part[1:] for part in measured), strict=True)
            decoded = {
                name: _quantiles([*column]) for name, column in zip(DECODED, columns, strict=True)
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


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of each spectrum over its valid pixels; zero if it has none."""
    return torch.where(valid, values, 0.0).sum(dim=1) / valid.sum(dim=1).clamp(min=1)


def _lines(spectra: Tensor, valid: Tensor, half: int) -> Tensor:
    """What differs from the mean of the valid pixels within `half` pixels; zero where invalid."""
    values = torch.where(valid, spectra, 0.0)
    level = _window_sum(values, half) / _window_sum(valid.double(), half).clamp(min=1)
    return torch.where(valid, values - level.to(values), 0.0)


def _window_sum(values: Tensor, half: int) -> Tensor:
    total = functional.pad(values.double().cumsum(dim=1), (1, 0))
    size = values.shape[1]
    pixel = torch.arange(size, device=values.device)
    upper, lower = (pixel + half + 1).clamp(max=size), (pixel - half).clamp(min=0)
    return total[:, upper] - total[:, lower]


def _correlation(seen: Tensor, made: Tensor, valid: Tensor, noise: Tensor) -> Tensor:
    """Of observed and decoded lines, noise of the former taken off; zero where there are none."""
    variance = _mean(seen.square(), valid)
    variance = torch.maximum(variance - noise.square(), LEAST_STRUCTURE * variance)
    product = variance * _mean(made.square(), valid)
    correlation = _mean(seen * made, valid) / product.clamp(min=1e-30).sqrt()
    return correlation.clamp(-1, 1)


def _pixel_noise(residual: Tensor, valid: Tensor, apart: int) -> Tensor:
    """Standard deviation of each residual's white noise; zero if no three pixels tell of it."""
    left, middle, right = slice(0, -2 * apart), slice(apart, -apart), slice(2 * apart, None)
    change = residual[:, middle] - (residual[:, left] + residual[:, right]) / 2
    usable = valid[:, middle] & valid[:, left] & valid[:, right]
    typical = torch.where(usable, change.abs(), torch.nan).nanmedian(dim=1).values
    return torch.nan_to_num(1.4826 * typical / 1.5**0.5)


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
