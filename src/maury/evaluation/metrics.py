"""Errors of labels and of reconstructions, with their standard errors and distributions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import gaussian_kde

from maury.errors import MauryError

__all__ = [
    "PAPER_DIVISORS",
    "Density",
    "Estimate",
    "density",
    "estimate",
    "mean_absolute_error",
    "normalized_mean_absolute_error",
    "paper_overall_error",
    "reconstruction_errors",
]

PAPER_DIVISORS: Mapping[str, float] = {
    "teff": 401.2,
    "mh": 0.1855,
    "logg": 0.1325,
    "rv": 15.64,
    "berv": 11.26,
    "airmass": 0.1375,
}
"""By what Cvrcek et al. (2024) divide the mean absolute errors for their column "All".

In K, dex and km/s; see `paper_overall_error`.
"""

CLIP = (1.0, 99.0)  # percentiles between which a density is told (Fig. 3)


@dataclass(frozen=True)
class Estimate:
    """A mean of a sample and how well it is known.

    Parameters
    ----------
    value : float
        The mean; NaN if there is nothing to take it of.
    error : float
        Its standard error, as if all values were independent; NaN for fewer than two.
    count : int
        Number of values used.
    missing : int
        Number of values left out because they are not known.
    """

    value: float
    error: float
    count: int
    missing: int = 0


def estimate(values: ArrayLike) -> Estimate:
    """Mean of values and its standard error; NaN is left out and counted.

    Parameters
    ----------
    values : array_like, float
        Of any shape.

    Examples
    --------
    >>> estimate([1.0, 2.0, 3.0, float("nan")])
    Estimate(value=2.0, error=0.5773502691896258, count=3, missing=1)
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    known = array[~np.isnan(array)]
    count = known.size
    value = float(known.mean()) if count else np.nan
    error = float(known.std(ddof=1) / np.sqrt(count)) if count > 1 else np.nan
    return Estimate(value, error, count, array.size - count)


def mean_absolute_error(true: ArrayLike, predicted: ArrayLike) -> Estimate:
    r"""Mean absolute error of a label.

    .. math:: \mathrm{MAE} = \frac{1}{D} \sum_{i=1}^{D} |l_i - \hat l_i|

    (Eq. 12 of Cvrcek et al. 2024), where D counts the spectra whose label is known. The standard
    error takes spectra for independent, which those of one star are not.

    Parameters
    ----------
    true : array_like, float[spectrum]
        Labels; NaN where missing.
    predicted : array_like, float[spectrum]
        Predictions in the same units; NaN throughout for a model that does not predict the label.

    Returns
    -------
    Estimate
        In the same units; value and error are NaN if the label is known or predicted for none.

    Raises
    ------
    MauryError
        If the shapes differ, or a prediction is not a finite number for some of the spectra whose
        label is known.

    Examples
    --------
    >>> mean_absolute_error([5000.0, 6000.0, float("nan")], [5100.0, 5700.0, 5500.0])
    Estimate(value=200.0, error=100.0, count=2, missing=1)
    """
    labels, found = _paired(true, predicted, dimensions=1)
    known = np.isfinite(labels)
    wrong = int(np.count_nonzero(~np.isfinite(found[known])))
    missing = int(np.count_nonzero(~known))
    if wrong == known.sum():
        return Estimate(np.nan, np.nan, 0, missing)
    if wrong:
        raise MauryError(
            f"{wrong} of {known.sum()} predictions of a label are not finite numbers; "
            "a label must be predicted for all spectra or for none."
        )
    used = estimate(np.abs(labels[known] - found[known]))
    return Estimate(used.value, used.error, used.count, missing)


def normalized_mean_absolute_error(
    true: ArrayLike, predicted: ArrayLike, scale: ArrayLike
) -> Estimate:
    r"""Normalised mean absolute error of a group of labels.

    .. math:: \mathrm{NMAE} = \frac{1}{K} \sum_{k=1}^{K} m_k, \quad
              m_k = \frac{1}{D_k} \sum_{i=1}^{D_k} e_{ik}, \quad
              e_{ik} = \frac{|l_{ik} - \hat l_{ik}|}{\sigma_k}

    the mean over K labels of Eq. 13 of Cvrcek et al. (2024). A label that is known or predicted
    for no spectrum is left out, as BERV is for CNN (ETC) in Table 4: do not compare groups of
    different labels. `paper_overall_error` tells by what the paper divides.

    Errors of several labels of one spectrum are correlated, those of different spectra are taken
    for independent. To first order NMAE is a sum over spectra, so that

    .. math:: \sigma^2_\mathrm{NMAE} = \sum_i \left( \frac{1}{K}
              \sum_{k\ \mathrm{known}} \frac{e_{ik} - m_k}{\sqrt{D_k (D_k - 1)}} \right)^2 .

    Its squares are the variances of the :math:`m_k`, its cross terms their covariances over the
    spectra that have both labels. For a single label, or where none is missing, it is the standard
    error of the mean of the spectra's own means, exactly.

    Parameters
    ----------
    true, predicted : array_like, float[spectrum, label]
        As `mean_absolute_error` takes them.
    scale : array_like, float[label]
        Standard deviations :math:`\sigma_k` of the labels, in their units.

    Returns
    -------
    Estimate
        Without unit; count and missing are of labels, not of spectra.

    Raises
    ------
    MauryError
        As of `mean_absolute_error`, or if a scale is not positive.
    """
    labels, found = _paired(true, predicted, dimensions=2)
    sigma = np.asarray(scale, dtype=np.float64)
    if sigma.shape != labels.shape[1:]:
        raise MauryError(f"{labels.shape[1]} labels need as many scales, not {sigma.size}.")
    singles = [mean_absolute_error(*columns) for columns in zip(labels.T, found.T, strict=True)]
    used = np.array([single.count > 0 for single in singles], dtype=bool)
    missing = sum(single.missing for single in singles)
    if not used.any():
        return Estimate(np.nan, np.nan, 0, missing)
    sigma = sigma[used]
    if not (np.isfinite(sigma) & (sigma > 0)).all():
        raise MauryError(f"Labels are normalised by positive numbers, not by {sigma.tolist()}.")
    normalized = np.abs(labels - found)[:, used] / sigma
    means = np.array([single.value for single in singles])[used] / sigma
    counts = np.array([single.count for single in singles])[used]
    error = np.nan
    if counts.min() > 1:
        shares = (normalized - means) / np.sqrt(counts * (counts - 1.0))
        error = float(np.sqrt((np.nansum(shares, axis=1) ** 2).sum()) / used.sum())
    return Estimate(float(means.mean()), error, int(counts.sum()), missing)


def paper_overall_error(estimates: Mapping[str, Estimate]) -> float:
    r"""What Cvrcek et al. (2024) call "All" in Tables 4 to 6, from mean absolute errors.

    It is the mean over the labels of MAE divided by `PAPER_DIVISORS`; labels without an error are
    left out of it. The paper gives neither the divisors nor that mean: a least-squares fit to its
    30 rows gives the divisors and leaves less than 0.04 %, and the row of CNN (ETC), whose BERV is
    missing, fits a mean and not a sum. The divisors can hardly be the standard deviations that
    Eq. 13 names. A constant errs by no more than a standard deviation on average, but the linear
    regressions of Table 6 err by more than the divisors: 990 K in Teff, 16 km/s in BERV. So a value
    of `normalized_mean_absolute_error` is not to be set beside the paper's.

    Parameters
    ----------
    estimates : mapping of str to Estimate
        Mean absolute errors by the names of a group's labels; K, dex and km/s.

    Returns
    -------
    float
        Without unit; NaN if no label has an error.

    Raises
    ------
    MauryError
        If the paper has no such label.

    Examples
    --------
    CNN (mix) of Table 4, for which the paper has 0.1793:

    >>> errors = {"teff": 50.21, "mh": 0.02118, "logg": 0.03957}
    >>> estimates = {name: Estimate(error, 0.0, 1) for name, error in errors.items()}
    >>> round(paper_overall_error(estimates), 4)
    0.1793
    """
    unknown = sorted(set(estimates) - set(PAPER_DIVISORS))
    if unknown:
        raise MauryError(
            f"The paper's overall errors have no label {unknown[0]!r}; "
            f"they have {', '.join(PAPER_DIVISORS)}."
        )
    ratios = [single.value / PAPER_DIVISORS[name] for name, single in estimates.items()]
    return estimate(ratios).value


def reconstruction_errors(
    spectra: NDArray[np.floating],
    reconstructed: NDArray[np.floating],
    valid: NDArray[np.bool_],
    pixels: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    r"""Mean absolute error of each reconstructed spectrum.

    .. math:: \mathrm{MAE}'_i = \frac{1}{N_i} \sum_{j=1}^{N_i} |s_{ij} - \hat s_{ij}|

    (Eq. 14 of Cvrcek et al. 2024 before its mean over spectra, which `estimate` takes), where
    N counts the valid pixels alone.

    Parameters
    ----------
    spectra, reconstructed : float[spectrum, pixel]
        Relative flux; anything where it is not valid.
    valid : bool[spectrum, pixel]
        Which pixels count.
    pixels : bool[spectrum, pixel], optional
        Take only these of the valid pixels, as of `maury.evaluation.lines.line_pixels`.

    Returns
    -------
    float64[spectrum]
        NaN for a spectrum that has no such pixel.

    Raises
    ------
    MauryError
        If a flux that counts is not a finite number.

    Examples
    --------
    >>> spectrum, valid = np.array([[1.0, 0.5, 9.0]]), np.array([[True, True, False]])
    >>> reconstruction_errors(spectrum, np.ones((1, 3)), valid).tolist()
    [0.25]
    """
    mask = valid if pixels is None else valid & pixels
    # Unlike a difference under a mask, this leaves no NaN of pixels that do not count.
    difference = np.subtract(
        spectra, reconstructed, out=np.zeros(mask.shape, np.result_type(spectra, reconstructed)),
        where=mask,
    )  # fmt: skip
    sums = np.abs(difference, out=difference).sum(axis=1, dtype=np.float64)
    wrong = int(np.count_nonzero(~np.isfinite(sums)))
    if wrong:
        raise MauryError(
            f"{wrong} of {len(sums)} spectra or their reconstructions are not finite numbers at "
            "some valid pixels."
        )
    counts = mask.sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def density(values: ArrayLike, points: int = 256) -> Density:
    """Distribution of values by Gaussian kernels with Scott's bandwidth (Fig. 3, Sect. 3.4).

    Parameters
    ----------
    values : array_like, float
        All of them count; NaN is left out.
    points : int
        Where the density is told, evenly from the 1st to the 99th percentile of the values.

    Raises
    ------
    MauryError
        If fewer than two values are different.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    known = array[~np.isnan(array)]
    if known.size < 2 or not np.ptp(known) > 0:
        raise MauryError("A density needs at least two values that differ.")
    lower, upper = np.percentile(known, CLIP)
    x = np.linspace(float(lower), float(upper), points)
    return Density(x, gaussian_kde(known, bw_method="scott")(x))


class Density(NamedTuple):
    """A probability density.

    Attributes
    ----------
    x : float64[point]
        Values.
    y : float64[point]
        Their density, one over the unit of the values.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]


def _paired(
    true: ArrayLike, predicted: ArrayLike, dimensions: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    labels = np.asarray(true, dtype=np.float64)
    found = np.asarray(predicted, dtype=np.float64)
    if labels.shape != found.shape or labels.ndim != dimensions:
        raise MauryError(
            f"True and predicted labels must have the same shape of {dimensions} axes, "
            f"not {labels.shape} and {found.shape}."
        )
    return labels, found
