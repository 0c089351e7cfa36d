"""Robust fit of the emulator to a spectrum: parameters, velocity and their uncertainties."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from maury.errors import GridError
from maury.inference.continuum import LocalContinuum
from maury.instrument.telluric import Telluric
from maury.spectrum import Spectrum, doppler_factor, resample, vacuum_to_air
from maury.synthesis.broadening import Broadening, gaussian_width
from maury.synthesis.emulator import Emulator
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["Fit", "Fitter", "macroturbulence"]

# Angstrom between knots of the continuum: the joints of HARPS's orders are that sharp.
KNOT_SPACING = 10.0
MODEL_FLOOR = 0.01  # error of the computed flux where even the Sun shows none
CAUCHY = 2.0  # residuals beyond so many sigma count less and less
DEEPEST_TELLURIC = 0.985  # pixels that the Earth's air may darken below this are left out
MAX_BERV = 35.0  # km/s
MAX_VELOCITY = 400.0  # km/s
MIN_PIXELS = 5000
ROTATION_STEP = 0.3  # km/s: of the difference that stands for a derivative
ITERATIONS = 25
LOWEST_LEVEL = 0.05  # of the flux, relative to its median, that errors are scaled by
# km/s that the Sun's lines are shifted by themselves, gravitational redshift less convective
# blueshift, as measured with this fit on sunlight reflected by Ganymede.
SOLAR_LINE_SHIFT = 0.26


def macroturbulence(teff: float) -> float:
    """Radial-tangential macroturbulence of a dwarf, km/s, near Doyle et al. 2014, MNRAS 444, 3592.

    What a star has more or less of it goes into its fitted rotation.

    Examples
    --------
    >>> macroturbulence(5777.0), macroturbulence(4000.0)
    (3.2, 1.0)
    """
    return max(3.2 + 2.3e-3 * (teff - 5777), 1.0)


@dataclass(frozen=True)
class Fit:
    """The outcome of a fit.

    Attributes
    ----------
    values, errors
        By name: teff (K), logg, mh (dex), vmic, rv, vsini (km/s); errors are one sigma of the
        weighted least squares, the continuum marginalised.
    residual
        Typical absolute residual of the good pixels, relative to the continuum, noise removed.
    snr
        Signal-to-noise ratio per pixel of the emulator's grid that the pixels' scatter shows.
    coverage
        Fraction of the emulator's usable pixels that the spectrum has.
    at_edge
        Names of parameters that ended at the edge of the emulator's box.
    converged
        Whether the last step was small.
    """

    values: dict[str, float]
    errors: dict[str, float]
    residual: float
    snr: float
    coverage: float
    at_edge: tuple[str, ...] = ()
    converged: bool = True
    model: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)


@dataclass
class _State:
    """A point of the descent: parameters, model rows, continuum and their cost."""

    parameters: np.ndarray
    rows: np.ndarray
    coefficients: np.ndarray
    level: np.ndarray
    cost: float = np.inf


class Fitter:
    """Fits spectra of one resolving power.

    The model is the emulator's spectrum, rotated, shifted and multiplied by a cubic spline for the
    continuum. Parameters and spline are solved together by Gauss-Newton steps with Levenberg's
    damping; each pixel's weight is that of a Cauchy distribution whose width combines photon noise
    and the error that the computed Sun has at that pixel.

    Parameters
    ----------
    emulator
        Of the intrinsic spectra.
    resolving_power
        Of the spectra to fit.
    """

    NAMES = ("teff", "logg", "mh", "vmic", "rv", "vsini")
    # Steps that count as small, and scales of Levenberg's damping.
    SCALES = np.array([50.0, 0.1, 0.05, 0.1, 0.2, 1.0])

    def __init__(self, emulator: Emulator, resolving_power: float = 115_000.0) -> None:
        self.emulator, self.resolving_power = emulator, resolving_power
        self.wavelength = emulator.wavelength
        size = self.wavelength.size
        self.broadening = Broadening(size, emulator.velocity_step)
        sigma = gaussian_width(resolving_power) / emulator.velocity_step
        frequency = np.fft.rfftfreq(2 * size)
        transfer = torch.from_numpy(np.exp(-2 * (np.pi * frequency * sigma) ** 2)).float()
        rows = torch.cat([emulator.mean[None], emulator.components])
        padded = torch.cat([rows, rows.flip(1)], dim=1)
        smooth = torch.fft.irfft(torch.fft.rfft(padded) * transfer, n=2 * size)[:, :size]
        self.mean, self.components = smooth[0], smooth[1:].contiguous()
        error = emulator.model_error.numpy()
        self.model_variance = MODEL_FLOOR**2 + np.where(np.isfinite(error), error, 0.0) ** 2
        self.clear = self._free_of_tellurics(resolving_power)
        self.continuum = LocalContinuum(self.wavelength, KNOT_SPACING)

    def _free_of_tellurics(self, resolving_power: float) -> np.ndarray:
        """Pixels that stay clear of telluric lines at any BERV."""
        transmission = Telluric.load().transmission(
            self.wavelength, airmass=2.0, pwv=10.0, resolving_power=resolving_power
        )
        reach = int(np.ceil(MAX_BERV / self.emulator.velocity_step))
        dark = np.convolve(transmission < DEEPEST_TELLURIC, np.ones(2 * reach + 1), mode="same")
        return dark < 0.5

    def prepare(self, spectrum: Spectrum) -> tuple[np.ndarray, float, np.ndarray]:
        """Flux on the emulator's pixels, its noise in a pixel, and which pixels can be used.

        Raises
        ------
        GridError
            If too few pixels of the spectrum lie where the emulator has any.
        """
        wavelength = spectrum.wavelength
        if spectrum.medium == "vacuum":
            wavelength = vacuum_to_air(wavelength)
        low, high = np.searchsorted(wavelength, (self.wavelength[0], self.wavelength[-1]))
        if high - low < 100:
            raise GridError(
                f"the spectrum covers {wavelength[0]:.1f}-{wavelength[-1]:.1f} A; the fit needs "
                f"pixels within {self.wavelength[0]:.0f}-{self.wavelength[-1]:.0f} A (air)"
            )
        part = slice(max(low - 5, 0), high + 5)
        air = Spectrum(
            wavelength=wavelength[part],
            flux=spectrum.flux[part],
            uncertainty=None if spectrum.uncertainty is None else spectrum.uncertainty[part],
            mask=spectrum.mask[part],
            medium="air",
            frame=spectrum.frame,
            meta=spectrum.meta,
        )
        binned = resample(air, self.wavelength)
        usable = ~binned.mask & np.isfinite(binned.flux)
        if usable.sum() < MIN_PIXELS:
            raise GridError(
                f"only {usable.sum()} pixels of 1 km/s between {self.wavelength[0]:.0f} and "
                f"{self.wavelength[-1]:.0f} A hold signal; the fit needs {MIN_PIXELS}"
            )
        level = float(np.median(binned.flux[usable]))
        if not level > 0:
            raise GridError(f"the median flux is {level:g}; the fit needs a positive one")
        flux = np.where(usable, binned.flux / level, 1.0)
        noise = _noise(flux, usable)
        return flux, noise, usable & (flux < 6) & (flux > -1)

    def variance(self, flux: np.ndarray, noise: float, good: np.ndarray) -> np.ndarray:
        """Variance of each pixel: photons, and what the computed Sun is off by there.

        Both scale with the flux's own level: were it the model's continuum, a brighter one would
        pass for a better fit.
        """
        ones = np.ones(flux.size)
        smooth = self.continuum(self.continuum.solve(flux, ones, good.astype(float)))
        level = np.maximum(smooth, LOWEST_LEVEL)
        return self.model_variance * level**2 + noise**2 * level

    def velocity(self, flux: np.ndarray, usable: np.ndarray, labels: np.ndarray) -> float:
        """Radial velocity (km/s) by cross-correlation with the model of these labels."""
        template = self._spectra(labels, derivatives=False)[0].numpy()
        size = flux.size
        reach = 301
        smooth = np.convolve(np.where(usable, flux, 0), np.ones(reach), mode="same")
        count = np.convolve(usable.astype(float), np.ones(reach), mode="same")
        data = np.where(
            usable & self.clear, flux / np.maximum(smooth / np.maximum(count, 1), 1e-3), 1
        )
        data = np.clip(data, 0, 2) - 1
        template = template / np.convolve(template, np.ones(reach) / reach, mode="same") - 1
        template[:reach], template[-reach:] = 0, 0
        length = 2 * size
        correlation = np.fft.irfft(
            np.fft.rfft(data, length) * np.conj(np.fft.rfft(template, length)), length
        )
        limit = int(MAX_VELOCITY / self.emulator.velocity_step)
        lags = np.arange(-limit, limit + 1)
        best = int(np.argmax(correlation[lags]))
        i = lags[min(max(best, 1), lags.size - 2)]
        left, centre, right = correlation[i - 1], correlation[i], correlation[i + 1]
        peak = 0.5 * (left - right) / (left - 2 * centre + right)
        return float(_velocity((i + peak) * self.emulator.velocity_step))

    def _spectra(self, labels: np.ndarray, *, derivatives: bool) -> torch.Tensor:
        """Smoothed spectrum and, on request, its derivatives to the labels, [1 or 5, pixel]."""
        values = torch.tensor(labels, dtype=torch.float32)[None]
        with torch.no_grad():
            amplitudes = self.emulator.amplitudes(values)
            rows = [amplitudes]
            if derivatives:
                step = torch.diag(torch.tensor([10.0, 0.02, 0.02, 0.02]))
                ahead = self.emulator.amplitudes(values + step)
                behind = self.emulator.amplitudes(values - step)
                rows.append((ahead - behind) / (2 * step.diag()[:, None]))
            result = torch.cat(rows) @ self.components
            result[0] += self.mean
        return result

    def _model(self, parameters: np.ndarray) -> np.ndarray:
        """Model and its derivatives to the six parameters, [7, pixel]."""
        teff, rv, vsini = parameters[0], parameters[4], parameters[5]
        rows = self._spectra(parameters[:4], derivatives=True)
        rows = torch.cat([rows, rows[:1]])
        widths = torch.full((6,), float(vsini))
        widths[5] += ROTATION_STEP
        vmac = macroturbulence(teff)
        shift = SPEED_OF_LIGHT * np.log(doppler_factor(rv))
        with torch.no_grad():
            moved = self.broadening(
                rows,
                velocity=torch.full((6,), float(shift)),
                vsini=widths,
                vmac=torch.full((6,), float(vmac)),
            )
        moved = moved.numpy().astype(np.float64)
        to_velocity = -np.gradient(moved[0], self.emulator.velocity_step)
        to_rotation = (moved[5] - moved[0]) / ROTATION_STEP
        return np.concatenate([moved[:5], to_velocity[None], to_rotation[None]])

    def fit(self, spectrum: Spectrum, start: dict[str, float] | None = None) -> Fit:
        """Fit one spectrum.

        Parameters
        ----------
        spectrum
            Any frame and medium; the velocity found is in the spectrum's frame.
        start
            First guess of teff, logg and mh, such as the network's; several are tried where it is
            left out.

        Returns
        -------
        Fit

        Raises
        ------
        GridError
            If too few of its pixels can be used.
        """
        flux, noise, usable = self.prepare(spectrum)
        guesses = [(5500.0, 4.4, 0.0), (4500.0, 4.6, 0.0), (6800.0, 4.2, 0.0)]
        if start is not None:
            guesses = [(start["teff"], start["logg"], start["mh"])]
        fits = []
        for guess in guesses:
            labels = np.array([*guess, 1.0])
            labels = np.clip(labels, self.emulator.lower.numpy(), self.emulator.upper.numpy())
            rv = self.velocity(flux, usable, labels)
            first = np.concatenate([labels, [rv, 4.0]])
            fits.append(self._descend(flux, noise, usable & self.clear, first))
        return min(fits, key=lambda pair: pair[0])[1]

    def _descend(
        self, flux: np.ndarray, noise: float, good: np.ndarray, parameters: np.ndarray
    ) -> tuple[float, Fit]:
        """Gauss-Newton with Levenberg's damping and Cauchy weights."""
        lower = np.append(self.emulator.lower.numpy(), [-2 * MAX_VELOCITY, 0.0]).astype(float)
        upper = np.append(self.emulator.upper.numpy(), [2 * MAX_VELOCITY, 150.0]).astype(float)
        # A pixel beside a bad one may be half bad itself.
        good = good & np.roll(good, 1) & np.roll(good, -1)
        variance = self.variance(flux, noise, good)
        damping, change = 1e-3, np.inf
        coefficients: np.ndarray | None = None
        best: _State | None = None
        for _ in range(ITERATIONS):
            rows = self._model(parameters)
            coefficients = self._level(flux, rows[0], good, variance, coefficients)
            state = _State(parameters, rows, coefficients, self.continuum(coefficients))
            residual = flux - state.level * rows[0]
            state.cost = float(np.log1p(residual**2 / (CAUCHY**2 * variance))[good].mean())
            if best is not None and state.cost > best.cost:
                # A step that made it worse is taken back and shortened.
                coefficients, damping = best.coefficients, damping * 8
                if damping > 1e4:
                    break
            else:
                best, damping = state, max(damping / 4, 1e-6)
                weight = self._weight(residual, good, variance)
                normal, gradient = self.continuum.eliminate(
                    rows[1:] * state.level, rows[0], weight, residual
                )
            scaled = normal * np.outer(self.SCALES, self.SCALES)
            damped = scaled + damping * np.diag(np.diag(scaled))
            step = np.linalg.solve(damped, gradient * self.SCALES) * self.SCALES
            parameters = np.clip(best.parameters + step, lower, upper)
            change = float(np.abs((parameters - best.parameters) / self.SCALES).max())
            if change < 0.01:
                break
        assert best is not None
        level, model = best.level, best.rows[0]
        residual = flux - level * model
        weight = self._weight(residual, good, variance)
        covariance = np.linalg.inv(normal)
        used = weight > 0
        # Neighbouring pixels share a resolution element: their residuals are not independent.
        correlated = _correlation_length(residual, used)
        reduced = float(np.sum((weight * residual**2)[used]) / used.sum())
        errors = np.sqrt(np.maximum(np.diag(covariance), 0) * max(reduced, 1e-3) * correlated)
        relative = residual / np.maximum(level, LOWEST_LEVEL)
        typical = 1.48 * float(np.median(np.abs(relative)[used]))
        span, found = upper - lower, best.parameters
        edges = tuple(
            name
            for name, value, low, high, width in zip(
                self.NAMES[:4], found[:4], lower[:4], upper[:4], span[:4], strict=True
            )
            if value < low + 1e-3 * width or value > high - 1e-3 * width
        )
        values = dict(zip(self.NAMES, map(float, found), strict=True))
        values["rv"] -= SOLAR_LINE_SHIFT
        fit = Fit(
            values=values,
            errors=dict(zip(self.NAMES, map(float, errors), strict=True)),
            residual=float(np.sqrt(max(typical**2 - noise**2, 0.0))),
            snr=1 / max(noise, 1e-6),
            coverage=float((used & self.clear).sum() / self.clear.sum()),
            at_edge=edges,
            converged=change < 0.3,
            model=level * model,
        )
        return best.cost, fit

    def _level(
        self,
        flux: np.ndarray,
        model: np.ndarray,
        good: np.ndarray,
        variance: np.ndarray,
        coefficients: np.ndarray | None,
    ) -> np.ndarray:
        """Continuum coefficients that bring the model to the flux, with Cauchy weights."""
        rounds = 4 if coefficients is None else 1
        for _ in range(rounds):
            weight = good / variance
            if coefficients is not None:
                weight = self._weight(flux - self.continuum(coefficients) * model, good, variance)
            coefficients = self.continuum.solve(flux, model, weight)
        assert coefficients is not None
        return coefficients

    @staticmethod
    def _weight(residual: np.ndarray, good: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """Inverse variance of each pixel, less the more it is off: Cauchy's distribution."""
        return np.where(good, 1 / (variance + residual**2 / CAUCHY**2), 0.0)


def _velocity(log_shift: float) -> float:
    """Radial velocity of a shift c ln(ratio), both km/s: the inverse of `doppler_factor`."""
    return SPEED_OF_LIGHT * np.tanh(log_shift / SPEED_OF_LIGHT)


def _noise(flux: np.ndarray, usable: np.ndarray) -> float:
    """Noise from fourth differences, which any real line is too wide to feel (DER_SNR-like).

    Stoehr et al. 2008, ASP Conf. 394, 505, with differences of pixels two apart.
    """
    pixels = [np.roll(flux, 2 * k)[8:] for k in range(3)]
    good = usable[8:] & np.roll(usable, 2)[8:] & np.roll(usable, 4)[8:]
    difference = np.abs(2 * pixels[1] - pixels[0] - pixels[2])[good]
    return float(0.6052697 * np.median(difference))


def _correlation_length(residual: np.ndarray, used: np.ndarray) -> float:
    """Pixels per independent residual: 1 plus twice the sum of its autocorrelation."""
    centred = np.where(used, np.clip(residual, -0.1, 0.1), 0.0)
    power = float(np.dot(centred, centred))
    lags = [float(np.dot(centred[:-k], centred[k:])) / power for k in range(1, 12)]
    return 1 + 2 * max(sum(lags), 0.0)
