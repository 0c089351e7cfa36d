"""Broadening by rotation, macroturbulence and the instrument, and a velocity, in Fourier space.

On wavelengths that are uniform in their logarithm a velocity is a shift and broadening is a
convolution with one kernel, so each is a factor on the Fourier transform (Gray 2005, "The
Observation and Analysis of Stellar Photospheres", 3rd ed., chapters 17 and 18). As usual, the
macroturbulence of a point of the disc is taken independent of where rotation moves that point.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.interpolate import CubicSpline
from scipy.special import dawsn, erf, j1, spherical_jn
from torch import Tensor
from torch.nn import functional

from maury.errors import SynthesisError
from maury.wavelength import SPEED_OF_LIGHT

__all__ = [
    "LIMB_DARKENING",
    "Broadening",
    "broaden",
    "gaussian_width",
    "macroturbulence_transfer",
    "rotation_transfer",
]

LIMB_DARKENING = 0.6
"""Linear limb-darkening coefficient of the Sun in visible light (Gray 2005, Eq. 17.11)."""


def rotation_transfer(cycles: ArrayLike, epsilon: float = LIMB_DARKENING) -> NDArray[np.float64]:
    """Fourier transform of the rotation profile of a limb-darkened disc.

    The transform of Gray (2005), Eq. 18.14, in closed form: with q = 2 pi `cycles`, the uniform
    disc gives 2 J1(q) / q and the limb darkening 3 j1(q) / q, j1 being the spherical Bessel
    function, mixed in the ratio of the light that each carries.

    Parameters
    ----------
    cycles : array_like
        Frequency (cycles per km/s) times v sin i (km/s), not negative.
    epsilon : float
        Linear limb-darkening coefficient.

    Returns
    -------
    float64 array
        Real factors; 1 at zero.

    Examples
    --------
    >>> rotation_transfer([0.0, 0.5, 2.0]).round(4)
    array([ 1.    ,  0.2426, -0.0218])
    """
    q = np.maximum(2 * np.pi * np.asarray(cycles, dtype=np.float64), 1e-9)
    uniform, darkened = 2 * j1(q) / q, 3 * spherical_jn(1, q) / q
    return ((1 - epsilon) * uniform + 2 / 3 * epsilon * darkened) / (1 - epsilon / 3)


def macroturbulence_transfer(
    cycles: ArrayLike, epsilon: float = LIMB_DARKENING
) -> NDArray[np.float64]:
    """Fourier transform of the radial-tangential macroturbulence profile.

    Half of each point's light comes from cells that move radially and half from cells that move
    tangentially, with velocities exp(-(v / vmac)^2); the profile is their integral over the
    limb-darkened disc (Gray 2005, Eq. 17.6). Its transform follows point by point, as the mean of
    exp(-a cos^2) and exp(-a sin^2) of the heliocentric angle with a = (pi `cycles`)^2.

    Parameters
    ----------
    cycles : array_like
        Frequency (cycles per km/s) times vmac (km/s), not negative.
    epsilon : float
        Linear limb-darkening coefficient.

    Returns
    -------
    float64 array
        Real factors; 1 at zero.

    Examples
    --------
    >>> macroturbulence_transfer([0.0, 0.1, 0.5]).round(4)
    array([1.    , 0.9522, 0.3685])
    """
    root = np.maximum(np.pi * np.asarray(cycles, dtype=np.float64), 1e-2)
    a = root**2
    uniform = -np.expm1(-a) / a
    radial = np.sqrt(np.pi) * erf(root) / (2 * root**3) - np.exp(-a) / a
    tangential = 1 / a - dawsn(root) / root**3
    factor = ((1 - epsilon) * uniform + epsilon * (radial + tangential) / 2) / (1 - epsilon / 3)
    # Below the floor set on the root the closed form cancels and the series has converged.
    small = (np.pi * np.asarray(cycles, dtype=np.float64)) ** 2
    return np.where(small < 1e-4, 1 - small / 2, factor)


def gaussian_width(resolving_power: float) -> float:
    """Standard deviation (km/s) of a Gaussian whose full width at half maximum is c / R.

    Examples
    --------
    >>> round(gaussian_width(115_000), 4)
    1.107
    """
    return SPEED_OF_LIGHT / resolving_power / (2 * math.sqrt(2 * math.log(2)))


class Broadening(torch.nn.Module):
    """Rotation, macroturbulence and a velocity for batches of spectra on logarithmic wavelengths.

    The ends of each spectrum are joined by a straight line in the padding. The transfer functions
    are read from tables, linearly; their error is below 1e-4 for widths up to 100 km/s.

    Parameters
    ----------
    size : int
        Number of pixels of a spectrum.
    velocity_step : float
        Width of a pixel, km/s: c times the step in the logarithm of the wavelength.
    padding : float
        Padding at the end, km/s; velocity and widths must stay below it in sum.
    epsilon : float
        Linear limb-darkening coefficient.

    Examples
    --------
    >>> broadening = Broadening(1024, velocity_step=1.0)
    >>> flux = torch.ones(2, 1024)
    >>> flux[:, 500] = 0.0
    >>> velocity, none = torch.tensor([3.0, -7.0]), torch.zeros(2)
    >>> broadening(flux, velocity=velocity, vsini=none, vmac=none).argmin(dim=1)
    tensor([503, 493])
    """

    frequency: Tensor
    nodes: Tensor
    rotation: Tensor
    macroturbulence: Tensor

    TABLE_STEP = 1 / 512
    TABLE_SIZE = 2**16

    def __init__(
        self,
        size: int,
        velocity_step: float,
        *,
        padding: float = 600.0,
        epsilon: float = LIMB_DARKENING,
    ) -> None:
        super().__init__()
        self.size = size
        self.length = next_fast_len(size + int(np.ceil(padding / velocity_step)), real=True)
        count = self.length // 2 + 1
        frequency = np.arange(count) / (self.length * velocity_step)
        # The transfer functions are smooth in frequency: evaluate every few, interpolate between.
        self.stride = max(1, int(5e-5 * self.length * velocity_step))
        nodes = np.arange(-(-(count - 1) // self.stride) + 1) * self.stride * frequency[1]
        cycles = self.TABLE_STEP * np.arange(self.TABLE_SIZE)
        for name, table in (
            ("frequency", frequency),
            ("nodes", nodes),
            ("rotation", rotation_transfer(cycles, epsilon)),
            ("macroturbulence", macroturbulence_transfer(cycles, epsilon)),
        ):
            self.register_buffer(name, torch.tensor(table, dtype=torch.float32), persistent=False)

    def forward(self, flux: Tensor, *, velocity: Tensor, vsini: Tensor, vmac: Tensor) -> Tensor:
        """Broadened and shifted flux, [batch, size], of flux [batch, size].

        Parameters
        ----------
        flux : Tensor
            Any flux density; its mean level is kept.
        velocity : Tensor
            Shift to the red, [batch], km/s of the logarithm of the wavelength: c ln(ratio).
        vsini, vmac : Tensor
            Projected rotation and radial-tangential macroturbulence, [batch], km/s, not negative.
        """
        weight = torch.linspace(0, 1, self.length - self.size + 2, device=flux.device)[1:-1]
        join = torch.lerp(flux[:, -1:], flux[:, :1], weight.to(flux))
        spectrum = torch.fft.rfft(torch.cat([flux, join], dim=1))
        transfer = self._lookup(self.rotation, vsini) * self._lookup(self.macroturbulence, vmac)
        transfer = functional.interpolate(
            transfer[:, None],
            size=(transfer.shape[1] - 1) * self.stride + 1,
            mode="linear",
            align_corners=True,
        )[:, 0, : len(self.frequency)]
        angle = self.frequency * (-2 * torch.pi * velocity)[:, None]
        factor = torch.complex(transfer * angle.cos(), transfer * angle.sin())
        return torch.fft.irfft(spectrum * factor, n=self.length)[:, : self.size]

    def _lookup(self, table: Tensor, width: Tensor) -> Tensor:
        """Table at the product of node frequency and width, [batch, nodes]."""
        position = self.nodes * (width / self.TABLE_STEP)[:, None]
        position = position.clamp(max=self.TABLE_SIZE - 2)
        index = position.detach().int()
        lower = table.index_select(0, index.flatten()).view_as(position)
        upper = table.index_select(0, (index + 1).flatten()).view_as(position)
        return torch.lerp(lower, upper, position - index)


def broaden(
    wavelength: ArrayLike,
    flux: ArrayLike,
    *,
    vsini: float = 0.0,
    vmac: float = 0.0,
    resolving_power: float | None = None,
    epsilon: float = LIMB_DARKENING,
) -> NDArray[np.float64]:
    """Broaden a spectrum of any sampling by rotation, macroturbulence and an instrument.

    The flux goes by cubic splines to logarithmic wavelengths of twice its finest sampling (no finer
    than 0.05 km/s) and back. At either end the spectrum is continued on a straight line to its
    other end.

    Parameters
    ----------
    wavelength : array_like, float64[n]
        Wavelengths, strictly increasing, in any unit and medium.
    flux : array_like, float64[n]
        Flux density or continuum-normalised flux, finite.
    vsini : float
        Projected rotational velocity, km/s.
    vmac : float
        Radial-tangential macroturbulence, km/s.
    resolving_power : float, optional
        Resolving power R of a Gaussian instrument whose full width at half maximum is c / R.
    epsilon : float
        Linear limb-darkening coefficient.

    Returns
    -------
    float64[n]
        Broadened flux at the same wavelengths.

    Raises
    ------
    SynthesisError
        If the arrays do not fit, or a width is negative.

    Examples
    --------
    >>> wavelength = np.linspace(5000, 5010, 2001)
    >>> flux = 1 - 0.8 * np.exp(-0.5 * ((wavelength - 5005) / 0.02) ** 2)
    >>> broadened = broaden(wavelength, flux, vsini=10.0)
    >>> print(f"{(1 - flux).sum() * 0.005:.5f} {(1 - broadened).sum() * 0.005:.5f}")
    0.04011 0.04011
    """
    wave = np.asarray(wavelength, dtype=np.float64)
    values = np.asarray(flux, dtype=np.float64)
    if wave.ndim != 1 or wave.size < 4 or wave.shape != values.shape:
        raise SynthesisError(
            "Broadening needs wavelength and flux of one and the same length of at least 4, "
            f"not shapes {wave.shape} and {values.shape}."
        )
    if not (np.all(np.diff(wave) > 0) and wave[0] > 0 and np.all(np.isfinite(values))):
        raise SynthesisError("Broadening needs wavelengths that increase and finite flux.")
    for name, value in (("vsini", vsini), ("vmac", vmac), ("epsilon", epsilon)):
        if not (np.isfinite(value) and value >= 0):
            raise SynthesisError(f"{name} must be a number of zero or more, not {value}.")
    if resolving_power is not None and not resolving_power > 0:
        raise SynthesisError(f"The resolving power must be positive, not {resolving_power}.")
    if vsini == 0 and vmac == 0 and resolving_power is None:
        return values.copy()
    sigma = 0.0 if resolving_power is None else gaussian_width(resolving_power)
    log_wave = np.log(wave)
    finest = max(np.diff(log_wave).min() / 2, 0.05 / SPEED_OF_LIGHT)
    size = int(np.ceil((log_wave[-1] - log_wave[0]) / finest)) + 1
    uniform, step = np.linspace(log_wave[0], log_wave[-1], size, retstep=True)
    velocity_step = step * SPEED_OF_LIGHT
    padding = 2 * (vsini + 4 * vmac + 6 * sigma) / velocity_step
    length = next_fast_len(size + int(np.ceil(padding)) + 1, real=True)
    fine = CubicSpline(log_wave, values)(uniform)
    join = np.linspace(fine[-1], fine[0], length - size + 2)[1:-1]
    frequency = rfftfreq(length, velocity_step)
    transfer = np.exp(-2 * (np.pi * frequency * sigma) ** 2)
    transfer *= rotation_transfer(frequency * vsini, epsilon)
    transfer *= macroturbulence_transfer(frequency * vmac, epsilon)
    result = irfft(rfft(np.concatenate([fine, join])) * transfer, n=length)[:size]
    return CubicSpline(uniform, result)(log_wave)
