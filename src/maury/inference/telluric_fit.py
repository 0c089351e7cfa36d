"""BERV, airmass and water vapour from the lines that the Earth's air leaves in a spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from maury.inference.fit import Fit, Fitter
from maury.instrument.telluric import Telluric
from maury.spectrum import Spectrum
from maury.synthesis.broadening import gaussian_width
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["TelluricFit", "fit_tellurics"]

# Angstrom, air, observatory frame: water at Na D, oxygen gamma, water at H-alpha, oxygen B.
BANDS = ((5880.0, 5990.0), (6274.0, 6330.0), (6465.0, 6600.0), (6864.0, 6921.0))
CHUNK = 25.0  # Angstrom over which the continuum is a straight line
SEARCH = 35.0  # km/s; the Earth's orbit and rotation allow 30.8
SEARCH_MARGIN = SEARCH + 5.0
MIN_PIXELS = 800
MIN_CORRELATION = 0.25
CAUCHY_SCALE = 0.02  # of the residual relative to the continuum


@dataclass(frozen=True)
class TelluricFit:
    """What the Earth's air tells about an exposure; errors are one sigma.

    Attributes
    ----------
    berv, berv_error
        Barycentric Earth radial velocity, km/s: how far the telluric lines are shifted.
    airmass, airmass_error
        From the oxygen column of a standard atmosphere above La Silla.
    pwv, pwv_error
        Precipitable water vapour at the zenith, mm.
    correlation
        Of the observed with the computed telluric lines, at best 1.
    """

    berv: float
    berv_error: float
    airmass: float
    airmass_error: float
    pwv: float
    pwv_error: float
    correlation: float


class _Band:
    """Transmission in one band at the instrument's resolution, quick to shift.

    What is smoothed last is kept: a search in BERV alone need not smooth again.
    """

    def __init__(
        self, low: float, high: float, wavelength: np.ndarray, resolving_power: float
    ) -> None:
        telluric = Telluric.load()
        self.pixels = wavelength[(wavelength > low) & (wavelength < high)]
        sigma = gaussian_width(resolving_power) / telluric.velocity_step
        reach = int(np.ceil(5 * sigma))
        margin = low * SEARCH_MARGIN / SPEED_OF_LIGHT
        first, last = np.searchsorted(telluric.wavelength, (low - margin, high + margin))
        part = slice(max(first - reach, 0), last + reach)
        self.oxygen, self.water = telluric.oxygen[part], telluric.water[part]
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        self.kernel = kernel / kernel.sum()
        inner = telluric.wavelength[part]
        self.fine = inner[reach : inner.size - reach]
        self.state: tuple[float, float] | None = None
        self.smooth = np.empty(0)

    def __call__(self, berv: float, airmass: float, pwv: float) -> np.ndarray:
        if self.state != (airmass, pwv):
            sharp = np.exp(-airmass * (self.oxygen + pwv * self.water))
            self.smooth = np.convolve(sharp, self.kernel, mode="valid")
            self.state = (airmass, pwv)
        return np.interp(self.pixels / (1 + berv / SPEED_OF_LIGHT), self.fine, self.smooth)


def _straight(wavelength: np.ndarray, ratio: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Model times the straight lines, one a chunk, that bring it to the ratio."""
    chunk = (wavelength // CHUNK).astype(int)
    starts = np.flatnonzero(np.diff(chunk, prepend=-1))
    runs = np.diff(np.append(starts, wavelength.size))

    def total(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, starts)

    x = (wavelength - np.repeat(total(wavelength) / runs, runs)) / CHUNK
    weight, result = np.ones(ratio.size), model
    for _ in range(3):
        # Normal equations of a level and a slope; a little ridge for chunks without a signal.
        weighted = weight * model
        a, b = total(weighted * model), total(weighted * model * x)
        c = total(weighted * model * x * x)
        u, v = total(weighted * ratio), total(weighted * ratio * x)
        c = c + 1e-9 * (a + c) + 1e-30
        determinant = a * c - b * b + 1e-30
        level, slope = (c * u - b * v) / determinant, (a * v - b * u) / determinant
        result = model * (np.repeat(level, runs) + np.repeat(slope, runs) * x)
        # Stellar lines that the model lacks must not pull the continuum down.
        weight = 1 / (1 + ((ratio - result) / CAUCHY_SCALE) ** 2)
    return result


def fit_tellurics(spectrum: Spectrum, fit: Fit, fitter: Fitter) -> TelluricFit | None:
    """Fit oxygen and water lines after the star has been divided out.

    Parameters
    ----------
    spectrum
        In the barycentric frame (in another one the shift found is not the BERV).
    fit
        The star's fit, made by ``fitter`` from the same spectrum.
    fitter
        Gives the pixels and the resolving power.

    Returns
    -------
    TelluricFit or None
        None where the spectrum has none of the bands or no telluric line stands out in them.
    """
    flux, _, usable = fitter.prepare(spectrum)
    wavelength = fitter.wavelength
    inside = np.zeros(wavelength.size, bool)
    for low, high in BANDS:
        inside |= (wavelength > low) & (wavelength < high)
    good = inside & usable & (fit.model > 0.05)
    if good.sum() < MIN_PIXELS:
        return None
    bands = [_Band(*band, wavelength[good], fitter.resolving_power) for band in BANDS]

    def transmission(berv: float, airmass: float, pwv: float) -> np.ndarray:
        return np.concatenate([band(berv, airmass, pwv) for band in bands])

    ratio = np.clip(flux[good] / fit.model[good], 0.0, 2.0)
    flat = ratio / _straight(wavelength[good], ratio, np.ones(ratio.size))
    centred = np.clip(flat - 1, -0.6, 0.2)

    def correlation(berv: float, airmass: float = 1.4, pwv: float = 3.0) -> float:
        return float(np.corrcoef(centred, transmission(berv, airmass, pwv))[0, 1])

    trials = np.arange(-SEARCH, SEARCH + 0.5, 1.0)
    scores = [correlation(v) for v in trials]
    best = float(trials[int(np.argmax(scores))])
    if max(scores) < MIN_CORRELATION:
        return None

    def residual(parameters: np.ndarray) -> np.ndarray:
        berv, airmass, log_pwv = parameters
        model = transmission(berv, airmass, np.exp(log_pwv))
        return ratio - _straight(wavelength[good], ratio, model)

    bounds = ([best - 3, 0.5, np.log(0.02)], [best + 3, 4.0, np.log(60.0)])
    solution = least_squares(
        residual, [best, 1.4, np.log(3.0)], bounds=bounds, loss="cauchy", f_scale=CAUCHY_SCALE,
        x_scale=[0.3, 0.2, 0.3], max_nfev=15,
    )  # fmt: skip
    berv, airmass, log_pwv = solution.x
    scatter2 = float(np.median(np.abs(solution.fun)) * 1.48) ** 2
    covariance = np.linalg.pinv(solution.jac.T @ solution.jac) * scatter2
    error = np.sqrt(np.diag(covariance))
    return TelluricFit(
        berv=float(berv),
        berv_error=float(error[0]),
        airmass=float(airmass),
        airmass_error=float(error[1]),
        pwv=float(np.exp(log_pwv)),
        pwv_error=float(np.exp(log_pwv) * error[2]),
        correlation=correlation(berv, airmass, np.exp(log_pwv)),
    )
