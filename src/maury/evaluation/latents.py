"""What the nodes of a bottleneck hold: which vary, what they tell of labels and of each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.feature_selection import mutual_info_regression

from maury.errors import MauryError

__all__ = [
    "LatentSummary",
    "active_nodes",
    "mutual_information",
    "node_correlation",
    "node_divergence",
    "summarize_latents",
]

ACTIVE_VARIANCE = 1e-2  # Burda et al. (2016), Sect. 5.2
LEAST_DIVERGENCE = 1e-2  # nat: a node that tells less of a spectrum has collapsed
NEIGHBORS = 3


@dataclass(frozen=True, eq=False)
class LatentSummary:
    """What the nodes of a bottleneck hold.

    Parameters
    ----------
    active : bool[node]
        See `active_nodes`.
    mutual_information : float64[node, label]
        See `mutual_information`; nat.
    correlation : float64[node, node]
        See `node_correlation`.
    divergence : float64[node] or None
        See `node_divergence`; nat. None for a network whose nodes have no distribution.
    """

    active: NDArray[np.bool_]
    mutual_information: NDArray[np.float64]
    correlation: NDArray[np.float64]
    divergence: NDArray[np.float64] | None = None

    @property
    def mean_correlation(self) -> float:
        """Mean absolute correlation of two different active nodes; NaN for fewer than two."""
        pairs = np.abs(self.correlation[np.ix_(self.active, self.active)])
        different = pairs[~np.eye(len(pairs), dtype=bool)]
        return float(different.mean()) if different.size else np.nan

    @property
    def collapsed(self) -> NDArray[np.bool_] | None:
        """Nodes whose posterior is the prior within 0.01 nat; None without distributions."""
        return None if self.divergence is None else self.divergence < LEAST_DIVERGENCE


def summarize_latents(
    nodes: ArrayLike,
    labels: ArrayLike,
    log_variance: ArrayLike | None = None,
    *,
    seed: int = 0,
    most: int = 2000,
) -> LatentSummary:
    """All that this module tells of a bottleneck.

    Parameters
    ----------
    nodes : array_like, float[spectrum, node]
        Nodes, the mean where they have a distribution.
    labels : array_like, float[spectrum, label]
        NaN where missing.
    log_variance : array_like, float[spectrum, node], optional
        Natural logarithm of the variance of the nodes, where they have a distribution.
    seed, most : int
        Of `mutual_information`.

    Raises
    ------
    MauryError
        If there are fewer than two spectra, shapes do not fit, or a node is not a finite number.
    """
    return LatentSummary(
        active_nodes(nodes),
        mutual_information(nodes, labels, seed, most=most),
        node_correlation(nodes),
        None if log_variance is None else node_divergence(nodes, log_variance),
    )


def active_nodes(nodes: ArrayLike) -> NDArray[np.bool_]:
    """Nodes whose mean has a variance of more than 0.01 over the spectra.

    By Burda et al. (2016, ICLR, Sect. 5.2), for nodes of a prior of unit variance. The scale of an
    autoencoder's nodes that nothing supervises is its own, so that all of them may be active.

    Parameters
    ----------
    nodes : array_like, float[spectrum, node]
        Nodes, the mean where they have a distribution.

    Examples
    --------
    >>> active_nodes([[0.0, 1.0], [1.0, 1.1]]).tolist()
    [True, False]
    """
    return _checked(nodes).var(axis=0, ddof=1) > ACTIVE_VARIANCE


def mutual_information(
    nodes: ArrayLike, labels: ArrayLike, seed: int = 0, *, most: int = 2000
) -> NDArray[np.float64]:
    r"""How much each node tells of each label.

    .. math:: I = \int p(b, l) \ln \frac{p(b, l)}{p(b)\,p(l)}\,\mathrm{d}b\,\mathrm{d}l

    by the three nearest neighbours (Kraskov et al. 2004, Phys. Rev. E 69, 066138), as scikit-learn
    has it: 0 for independent ones, :math:`-\frac12 \ln(1 - \rho^2)` for normal ones of correlation
    :math:`\rho`. From 2000 spectra it is known within about 0.03 nat. Give one spectrum of each
    star: many of the same make nodes tell of labels that only tell the star.

    Parameters
    ----------
    nodes : array_like, float[spectrum, node]
        Nodes, the mean where they have a distribution.
    labels : array_like, float[spectrum, label]
        NaN where missing; each label is compared over the spectra that have it.
    seed : int
        By which spectra are drawn and ties are broken.
    most : int
        Number of spectra of each label, beyond which they are drawn.

    Returns
    -------
    float64[node, label]
        In nat; NaN for a label that three spectra or fewer have.

    Raises
    ------
    MauryError
        If labels and nodes are not of the same spectra, or nodes are not finite numbers.
    """
    values, targets = _checked(nodes), np.asarray(labels, dtype=np.float64)
    if targets.ndim != 2 or len(targets) != len(values):
        raise MauryError(
            f"Labels of {len(values)} spectra must have shape [{len(values)}, label], "
            f"not {targets.shape}."
        )
    found = np.full((values.shape[1], targets.shape[1]), np.nan)
    for k, column in enumerate(targets.T):
        known = np.flatnonzero(np.isfinite(column))
        # Drawn anew for each label, so that one label's gaps do not change another's value.
        random = np.random.default_rng([seed, k])
        if known.size > most:
            known = random.choice(known, most, replace=False)
        if known.size > NEIGHBORS:
            found[:, k] = mutual_info_regression(
                values[known],
                column[known],
                discrete_features=False,
                n_neighbors=NEIGHBORS,
                random_state=seed,
            )
    return found


def node_correlation(nodes: ArrayLike) -> NDArray[np.float64]:
    """Pearson correlation of each two nodes over the spectra; NaN for a node that is constant.

    Parameters
    ----------
    nodes : array_like, float[spectrum, node]
        Nodes, the mean where they have a distribution.

    Returns
    -------
    float64[node, node]
    """
    values = _checked(nodes)
    offset = values - values.mean(axis=0)
    length = np.sqrt((offset**2).sum(axis=0))
    # A constant has offsets by rounding.
    varies = length > 1e-12 * np.abs(values).max(axis=0)
    unit = np.where(varies, offset / np.where(varies, length, 1.0), np.nan)
    return np.clip(unit.T @ unit, -1.0, 1.0)


def node_divergence(nodes: ArrayLike, log_variance: ArrayLike) -> NDArray[np.float64]:
    r"""Kullback-Leibler divergence of each node from the standard normal prior, mean over spectra.

    .. math:: D_\mathrm{KL} = \frac12 (\mu^2 + \sigma^2 - \ln \sigma^2 - 1)

    A node for which it is nearly zero tells nothing of the spectrum: its posterior has collapsed.

    Parameters
    ----------
    nodes : array_like, float[spectrum, node]
        Means.
    log_variance : array_like, float[spectrum, node]
        Natural logarithm of the variance.

    Returns
    -------
    float64[node]
        In nat.

    Raises
    ------
    MauryError
        If the shapes differ or something is not a finite number.

    Examples
    --------
    >>> node_divergence([[0.0, 2.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]).tolist()
    [0.0, 2.0]
    """
    mean, logarithm = _checked(nodes), _checked(log_variance)
    if mean.shape != logarithm.shape:
        raise MauryError(
            f"Means and variances of nodes must have the same shape, not {mean.shape} and "
            f"{logarithm.shape}."
        )
    return 0.5 * (mean**2 + np.expm1(logarithm) - logarithm).mean(axis=0)


def _checked(nodes: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(nodes, dtype=np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise MauryError(
            f"Nodes must have shape [spectrum, node] of at least 2 spectra, not {values.shape}."
        )
    wrong = int(np.count_nonzero(~np.isfinite(values).all(axis=1)))
    if wrong:
        raise MauryError(f"{wrong} of {len(values)} spectra have nodes that are not finite.")
    return values
