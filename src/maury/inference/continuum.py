"""A local continuum: a cubic spline whose coefficients are solved linearly, or eliminated."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline
from scipy.linalg import cho_solve_banded, cholesky_banded

__all__ = ["LocalContinuum"]

ORDER = 4  # of a cubic spline: pixels between two knots see four basis functions


class LocalContinuum:
    """Cubic splines on even knots over a fixed set of wavelengths.

    A pixel feels four neighbouring splines, and the pixels between two knots the same four; sums
    over pixels are therefore sums over runs, and the normal matrix is a band of width four.

    Parameters
    ----------
    wavelength
        Increasing, Angstrom, shape (pixel,).
    spacing
        Of the knots, Angstrom.

    Examples
    --------
    >>> continuum = LocalContinuum(np.linspace(5000, 5100, 2001), 10.0)
    >>> shape = 1 + 1e-3 * (continuum.wavelength - 5050)
    >>> coefficients = continuum.solve(shape, np.ones(2001), np.ones(2001))
    >>> bool(abs(continuum(coefficients) - shape).max() < 1e-4)
    True
    """

    def __init__(self, wavelength: np.ndarray, spacing: float) -> None:
        self.wavelength = wavelength
        count = int(np.ceil((wavelength[-1] - wavelength[0]) / spacing))
        inner = np.linspace(wavelength[0], wavelength[-1], count + 1)
        knots = np.concatenate([[inner[0]] * 3, inner, [inner[-1]] * 3])
        matrix = BSpline.design_matrix(wavelength, knots, 3)
        self.first = matrix.indices.reshape(-1, ORDER)[:, 0]
        self.basis = np.ascontiguousarray(matrix.data.reshape(-1, ORDER).T)
        self.products = {
            (k, j): self.basis[k] * self.basis[j] for k in range(ORDER) for j in range(k, ORDER)
        }
        self.size = len(knots) - ORDER
        self.starts = np.flatnonzero(np.diff(self.first, prepend=-1))
        self.runs = self.first[self.starts]

    def __call__(self, coefficients: np.ndarray) -> np.ndarray:
        """The continuum at every pixel."""
        return sum(self.basis[k] * coefficients[self.first + k] for k in range(ORDER))

    def project(self, values: np.ndarray) -> np.ndarray:
        """Sum over pixels of each spline times the values, shape (..., spline)."""
        result = np.zeros((*values.shape[:-1], self.size))
        for k in range(ORDER):
            sums = np.add.reduceat(values * self.basis[k], self.starts, axis=-1)
            result[..., self.runs + k] += sums
        return result

    def factor(self, weight: np.ndarray) -> np.ndarray:
        """Cholesky factor, banded, of the splines' normal matrix with these weights.

        A weak first difference ties splines without data (the gap) to their neighbours.
        """
        band = np.zeros((ORDER, self.size))
        for (k, j), product in self.products.items():
            band[j - k, self.runs + k] += np.add.reduceat(weight * product, self.starts)
        tie = 1e-5 * band[0].mean()
        band[0, :-1] += tie
        band[0, 1:] += tie
        band[1, :-1] -= tie
        band[0] += 1e-3 * tie
        return cholesky_banded(band, lower=True)

    def solve(self, flux: np.ndarray, model: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Coefficients of the continuum that brings the model to the flux by least squares."""
        factor = self.factor(weight * model**2)
        return cho_solve_banded((factor, True), self.project(weight * model * flux))

    def eliminate(
        self, jacobian: np.ndarray, model: np.ndarray, weight: np.ndarray, residual: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Normal matrix and gradient of other parameters with the continuum marginalised.

        Parameters
        ----------
        jacobian
            Derivatives of the whole model to the other parameters, shape (parameter, pixel).
        model
            What the continuum multiplies, shape (pixel,).
        weight, residual
            Inverse variance, and observed minus model, shape (pixel,) each.
        """
        weighted = jacobian * weight
        cross = self.project(weighted * model)
        factor = (self.factor(weight * model**2), True)
        eliminated = cho_solve_banded(factor, cross.T)
        normal = weighted @ jacobian.T - cross @ eliminated
        gradient = weighted @ residual - eliminated.T @ self.project(weight * model * residual)
        return normal, gradient
