"""What the study does at each scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["SETTINGS", "StudySettings"]

# Adam at the paper's constant 1e-4 does little in so few steps.
SHORT = (
    "training.batch=16",
    "optimizer.lr=1e-3",
    "optimizer.warmup=0.05",
    "optimizer.schedule=cosine",
)


@dataclass(frozen=True)
class StudySettings:
    """How the study is cut to a scale; all models are trained alike.

    Parameters
    ----------
    overrides : tuple of str
        Changes of every recipe, as ``maury train --set`` takes them.
    bottlenecks : tuple of int
        Sizes of the bottleneck in Fig. 2.
    label_weights : tuple of float
        Weights of the label loss in Fig. D.1.
    stars : int
        Simulated stars that are trained on, each under ever new skies.
    simulated : int
        Exposures of the simulated test set.
    observed : int
        Observed exposures of the test set, at most.
    cores, variations : int
        Of the generative set (Sect. 3.1).
    shifted : int
        Spectra that are shifted for RVIS.
    timed : int
        Spectra at once when time is measured; 32 in the paper.
    timed_on_own_grid : bool
        Whether that is on the scale's grid rather than the paper's.
    """

    overrides: tuple[str, ...]
    bottlenecks: tuple[int, ...]
    label_weights: tuple[float, ...]
    stars: int
    simulated: int
    observed: int
    cores: int
    variations: int
    shifted: int
    timed: int
    timed_on_own_grid: bool = False


PAPER = StudySettings(
    overrides=("epochs=1000",),
    bottlenecks=(7, 8, 9, 10, 11, 12, 15, 20),
    label_weights=(0.01, 0.1, 1, 5, 10, 20, 50, 100),
    stars=42000,
    simulated=1000,
    observed=100_000,
    cores=20,
    variations=7,
    shifted=100,
    timed=32,
)

SETTINGS: Mapping[str, StudySettings] = MappingProxyType(
    {
        "full": PAPER,
        "half": StudySettings(
            overrides=("epochs=200",),
            bottlenecks=PAPER.bottlenecks,
            label_weights=PAPER.label_weights,
            stars=21000,
            simulated=500,
            observed=100_000,
            cores=20,
            variations=7,
            shifted=100,
            timed=32,
        ),
        "small": StudySettings(
            overrides=("epochs=6", *SHORT),
            bottlenecks=(7, 9, 20),
            label_weights=(0.1, 1, 20),
            stars=4096,
            simulated=256,
            observed=1000,
            cores=10,
            variations=5,
            shifted=50,
            timed=8,
        ),
        "tiny": StudySettings(
            overrides=("epochs=4", *SHORT),
            bottlenecks=(7, 9, 20),
            label_weights=(0.1, 1, 20),
            stars=256,
            simulated=32,
            observed=64,
            cores=2,
            variations=3,
            shifted=8,
            timed=4,
            timed_on_own_grid=True,
        ),
    }
)
"""By the names of `maury.training.scale.SCALES`; "full" is the paper's."""
