"""All that the study has measured, and the numbers that tables, figures and findings share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maury.evaluation.metrics import Estimate, estimate, normalized_mean_absolute_error
from maury.labels import LABELS
from maury.study.measure import Measurements
from maury.study.resources import Resources

__all__ = ["Results", "group_error", "score"]


@dataclass(frozen=True, eq=False)
class Results:
    """All that the study has measured.

    Parameters
    ----------
    models : mapping of Measurements
        By recipe, keys of `maury.study.plan.MODELS`.
    sweeps : mapping of mapping of Measurements
        By recipe and value.
    resources : mapping of Resources
        By architecture.
    """

    models: Mapping[str, Measurements]
    sweeps: Mapping[str, Mapping[Any, Measurements]] = field(default_factory=dict)
    resources: Mapping[str, Resources] = field(default_factory=dict)


def group_error(measurements: Measurements, group: str, *, observed: bool = True) -> Estimate:
    """NMAE of the intrinsic or extrinsic labels, over the spread of the true ones.

    Labels that are known for no spectrum, or alike in all of them, are left out.
    """
    true = measurements.true if observed else measurements.simulated_true
    predicted = measurements.predicted if observed else measurements.simulated_predicted
    assert true is not None and predicted is not None
    columns = [i for i, name in enumerate(measurements.names) if _judged(name, group, true[:, i])]
    return normalized_mean_absolute_error(
        true[:, columns], predicted[:, columns], np.nanstd(true[:, columns], axis=0)
    )


def score(values: NDArray[np.float64]) -> Estimate:
    """Mean of scores [spectrum, velocity]; spectra count as independent, velocities do not."""
    return estimate(np.nanmean(values, axis=1))


def _judged(name: str, group: str, true: NDArray[np.float64]) -> bool:
    # Where all spectra have the same label there is no spread to judge its errors by.
    varies = np.unique(true[np.isfinite(true)]).size > 1
    return LABELS[name].group == group and name != "pwv" and varies
