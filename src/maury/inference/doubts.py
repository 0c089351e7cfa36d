"""Reasons not to trust a prediction; `maury.inference.prediction.FLAGS` says what each means."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.ndimage import uniform_filter1d

from maury.inference.fit import Fit, Fitter
from maury.inference.prediction import Estimate
from maury.spectrum import Spectrum

__all__ = [
    "LARGEST_AIRMASS",
    "POOR_FIT",
    "STELLAR",
    "disagree",
    "doubts_of_fit",
    "doubts_of_pixels",
    "likeness",
]

POOR_FIT = 0.035
"""Residual (of the continuum) above which a fit is poor: the Sun has 0.002, M dwarfs 0.12-0.15."""

LARGEST_AIRMASS = 3.99
"""The fit of telluric lines goes up to 4."""

STELLAR = ("teff", "logg", "mh")
"""The labels that belong to the star."""

LOW_SNR = 20.0
PARTIAL = 0.8
LEAST_LIKENESS = 0.3  # noise has 0.05
DISAGREEMENT = 5.0  # standard deviations between network and fit


def doubts_of_pixels(coverage: float, snr: float | None) -> set[str]:
    """Flags of a spectrum that has few pixels or much noise.

    Examples
    --------
    >>> doubts_of_pixels(0.7, None), doubts_of_pixels(1.0, 12.0)
    ({'partial-coverage'}, {'low-snr'})
    """
    flags = {"partial-coverage"} if coverage < PARTIAL else set()
    if snr is not None and snr < LOW_SNR:
        flags.add("low-snr")
    return flags


def doubts_of_fit(spectrum: Spectrum, fitter: Fitter, fit: Fit) -> set[str]:
    """Flags of a fit that ended badly, or at the edge of what the models cover."""
    checks = {
        "outside-grid": bool(set(fit.at_edge) & set(STELLAR)),
        "not-converged": not fit.converged,
        "no-lines": likeness(spectrum, fitter, fit) < LEAST_LIKENESS,
        "poor-fit": fit.residual > POOR_FIT,
        "vmic-at-edge": "vmic" in fit.at_edge,
    }
    return {flag for flag, holds in checks.items() if holds}


def likeness(spectrum: Spectrum, fitter: Fitter, fit: Fit) -> float:
    """Correlation of observed and computed lines, each relative to 300 km/s around."""
    flux, _, usable = fitter.prepare(spectrum)
    good = usable & fitter.clear
    share = uniform_filter1d(good * 1.0, 301)
    rows = []
    for values in (flux, fit.model):
        kept = np.where(good, np.clip(values, 0.0, 3.0), 0.0)
        level = uniform_filter1d(kept, 301) / np.maximum(share, 1 / 301)
        rows.append((kept - level)[good])
    if min(row.std() for row in rows) < 1e-9:
        return 0.0
    return float(np.corrcoef(rows)[0, 1])


def disagree(labels: Mapping[str, Estimate], network: Mapping[str, Estimate]) -> bool:
    """Whether refined labels of the star lie far from the network's."""
    return any(
        abs(labels[name].value - network[name].value)
        > DISAGREEMENT * math.hypot(labels[name].sigma, network[name].sigma)
        for name in STELLAR
        if name in network
    )
