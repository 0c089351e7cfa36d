"""Which model is the best, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import mannwhitneyu
from statsmodels.stats.multitest import multipletests

from maury.errors import MauryError

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """The best of several models, against each of the others.

    Parameters
    ----------
    best : str or None
        The model of the lowest mean error; None if no model has errors.
    p_values : dict of float
        Of the two-sided Mann-Whitney U test of the best against each other model, by its name.
    adjusted : dict of float
        The same, corrected for the number of comparisons.
    significant : bool
        Whether the best beats all others, so that a table sets it in bold.
    """

    best: str | None
    p_values: Mapping[str, float]
    adjusted: Mapping[str, float]
    significant: bool


def compare(errors: Mapping[str, ArrayLike], alpha: float = 0.01) -> Comparison:
    """Compare the errors of models as Tables 4 to 6 of Cvrcek et al. (2024) do.

    Mann-Whitney U tests of the best model against each other (Mann & Whitney 1947, Ann. Math.
    Stat. 18, 50), with the step-down correction of Holm (1979, Scand. J. Stat. 6, 65). The best is
    that of the lowest mean, the test is one of ranks: where errors of the other model tend to be
    smaller and its mean is higher by outliers alone, the best does not beat it, however small p.
    The tests take all errors for independent, although models see the same spectra.

    Parameters
    ----------
    errors : mapping of str to array_like
        Absolute errors of each spectrum by the name of the model; NaN is left out, and so is a
        model with nothing else.
    alpha : float
        Level of significance, of all the comparisons together.

    Returns
    -------
    Comparison
        Not significant if there is no other model.

    Raises
    ------
    MauryError
        If `alpha` is not between 0 and 1.

    Examples
    --------
    >>> low, high = np.linspace(0.0, 1.0, 30), np.linspace(2.0, 3.0, 30)
    >>> found = compare({"CNN": high, "AE": low, "other": high + 1})
    >>> found.best, found.significant
    ('AE', True)
    """
    if not 0 < alpha < 1:
        raise MauryError(f"A level of significance lies between 0 and 1, which {alpha} does not.")
    samples = {}
    for name, values in errors.items():
        array = np.asarray(values, dtype=np.float64).ravel()
        array = array[~np.isnan(array)]
        if array.size:
            samples[name] = array
    if not samples:
        return Comparison(None, {}, {}, False)
    best = min(samples, key=lambda name: samples[name].mean())
    lowest = samples.pop(best)
    if not samples:
        return Comparison(best, {}, {}, False)
    tests = {name: mannwhitneyu(lowest, other) for name, other in samples.items()}
    p_values = {name: float(test.pvalue) for name, test in tests.items()}
    corrected = multipletests(list(p_values.values()), alpha=alpha, method="holm")[1]
    adjusted = dict(zip(p_values, corrected.tolist(), strict=True))
    smaller = all(
        test.statistic < lowest.size * samples[name].size / 2 for name, test in tests.items()
    )
    return Comparison(best, p_values, adjusted, smaller and max(adjusted.values()) <= alpha)
