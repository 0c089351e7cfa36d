"""How unlike the training spectra a spectrum is: pure functions of what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from maury.models.latent_statistics import LatentStatistics
from maury.models.reconstruction import Measurement

__all__ = [
    "MEASURES",
    "SCORED",
    "Novelty",
    "judge",
    "measures",
    "rank",
    "share_below",
    "strangeness",
]

MEASURES: dict[str, str] = {
    "reconstruction_error": "errors",
    "misfit": "misfits",
    "dissimilarity": "dissimilarities",
    "latent_distance": "distances",
}
"""What is measured, and the entry of `LatentStatistics` with its quantiles in training."""

SCORED = ("misfit", "dissimilarity", "latent_distance")
"""The measures that an anomaly is told by. The error is not: noise and continuum dominate it."""

# Of any measure: with training spectra that do not differ all would be infinitely strange.
LEAST_SPREAD = 1e-3
WIDTH = 0.8413  # quantile one standard deviation above the median of a normal distribution


@dataclass(frozen=True)
class Novelty:
    """How unlike the training spectra a spectrum is.

    Parameters
    ----------
    values : dict of float
        By `MEASURES`, as far as the network has the parts for them.
    shares : dict of float
        The share of training spectra that are below each value, 0 to 1.
    anomaly : float, optional
        The largest `strangeness` of the `SCORED` measures; None where the card has no statistics.
    because : str, optional
        The measure that has it.
    """

    values: Mapping[str, float]
    shares: Mapping[str, float] = field(default_factory=dict)
    anomaly: float | None = None
    because: str | None = None


def measures(measured: Measurement, statistics: LatentStatistics | None) -> dict[str, float]:
    """What was measured of one spectrum, by the names of `MEASURES`, as far as it is known."""
    of_decoder = {
        "reconstruction_error": measured.error,
        "misfit": measured.misfit,
        "dissimilarity": measured.dissimilarity,
    }
    values = {name: value.item() for name, value in of_decoder.items() if value is not None}
    if statistics is not None:
        values["latent_distance"] = statistics.distance(measured.settled.cpu().numpy()).item()
    return values


def judge(values: Mapping[str, float], statistics: LatentStatistics | None) -> Novelty:
    """Compare what was measured of a spectrum with the training spectra.

    Parameters
    ----------
    values : mapping
        By `MEASURES`.
    statistics : LatentStatistics, optional
        Of the training spectra; without them nothing is compared.

    Examples
    --------
    >>> statistics = LatentStatistics(
    ...     count=9, mean=(0.0,), covariance=((1.0,),), distances=np.linspace(0, 2, 101)
    ... )
    >>> judge({"latent_distance": 3.0}, statistics)
    Novelty(values={'latent_distance': 3.0}, shares={'latent_distance': 1.0}, anomaly=2.93,
            because='latent_distance')
    """
    if statistics is None:
        return Novelty(dict(values))
    known = {
        name: quantiles
        for name, entry in MEASURES.items()
        if name in values and (quantiles := getattr(statistics, entry)) is not None
    }
    shares = {name: share_below(values[name], quantiles) for name, quantiles in known.items()}
    scores = {name: strangeness(values[name], known[name]) for name in SCORED if name in known}
    because = max(scores, key=lambda name: scores[name])
    return Novelty(dict(values), shares, float(f"{scores[because]:.3g}"), because)


def share_below(value: float, quantiles: Sequence[float]) -> float:
    """The share of training spectra that are below a value, between quantiles by interpolation.

    It ends at 1 for all that is beyond the training spectra, and so cannot rank these.

    Examples
    --------
    >>> share_below(1.0, [0.0, 2.0, 4.0]), share_below(9.0, [0.0, 2.0, 4.0])
    (0.25, 1.0)
    """
    return float(np.interp(value, quantiles, np.linspace(0, 1, len(quantiles))))


def strangeness(value: float, quantiles: Sequence[float]) -> float:
    """How far above the training median a value is, in units of the training spectra's spread.

    The spread is the distance from the median to the quantile 0.84, one standard deviation of a
    normal distribution. Neither is moved by a few strange training spectra, and there is no upper
    end, as that of a share.

    Examples
    --------
    >>> strangeness(9.0, np.linspace(0.0, 4.0, 101)).__round__(2)
    5.13
    """
    at = np.linspace(0, 1, len(quantiles))
    median, above = np.interp([0.5, WIDTH], at, quantiles)
    return float((value - median) / max(above - median, LEAST_SPREAD))


def rank(anomalies: Sequence[float | None]) -> list[int | None]:
    """Places of spectra, 1 for the strangest; equal ones share a place.

    Parameters
    ----------
    anomalies : sequence of float
        Infinite for a file that was refused since no detector can have recorded it; None for one
        of which nothing is known.

    Examples
    --------
    >>> rank([2.0, None, math.inf, 7.0, 2.0])
    [3, None, 1, 2, 3]
    """
    known = sorted((score for score in anomalies if score is not None), reverse=True)
    return [None if score is None else known.index(score) + 1 for score in anomalies]


REFUSED = math.inf
"""The anomaly of a file that is refused for what it holds: above that of any spectrum."""
