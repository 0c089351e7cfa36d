"""Absorption by oxygen and water in the Earth's atmosphere above La Silla."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates
from torch import Tensor
from torch.nn import functional

from maury.data import load_table
from maury.synthesis.broadening import gaussian_width
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["Telluric", "TelluricTransmission"]


@dataclass(frozen=True, eq=False)
class Telluric:
    """Optical depth of oxygen and water vapour, observatory frame, wavelengths in air.

    Computed from the HITRAN2020 lines in a standard atmosphere above 775 hPa by
    `maury.data.make_telluric`. The transmission is exp(-X (oxygen + PWV water)) at airmass X.
    Ozone, aerosols and Rayleigh scattering, which vary slowly with wavelength, are left out.

    Parameters
    ----------
    start : float
        First wavelength, Angstrom.
    velocity_step : float
        Step, c times the logarithm of the wavelength, km/s.
    oxygen : float64[n]
        Optical depth at airmass 1, not yet smoothed by any instrument.
    water : float64[n]
        The same per millimetre of precipitable water vapour at the zenith.

    Examples
    --------
    >>> telluric = Telluric.load()
    >>> wavelength = np.array([6869.95, 6500.0])
    >>> telluric.transmission(wavelength, airmass=1.5, pwv=4.0, resolving_power=115_000).round(2)
    array([0.01, 1.  ])
    """

    start: float
    velocity_step: float
    oxygen: NDArray[np.float64]
    water: NDArray[np.float64]

    @classmethod
    @lru_cache(maxsize=1)
    def load(cls) -> Telluric:
        """The embedded table: 3770-6930 A, steps of 0.25 km/s."""
        table = load_table("telluric")
        return cls(
            start=float(table["start"]),
            velocity_step=float(table["velocity_step"]),
            oxygen=table["oxygen"].astype(np.float64),
            water=table["water"].astype(np.float64),
        )

    @cached_property
    def wavelength(self) -> NDArray[np.float64]:
        """Wavelengths in air, observatory frame, Angstrom, float64[n]."""
        step = self.velocity_step / SPEED_OF_LIGHT
        return self.start * np.exp(step * np.arange(self.oxygen.size))

    def optical_depth(
        self, wavelength: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Optical depth of oxygen at airmass 1, and of water at airmass 1 per mm.

        Parameters
        ----------
        wavelength : array_like
            Wavelengths in air, observatory frame, Angstrom; outside the table the depth is zero.
        """
        log_wave = np.log(np.asarray(wavelength, dtype=np.float64) / self.start)
        position = log_wave * (SPEED_OF_LIGHT / self.velocity_step)
        oxygen, water = (
            map_coordinates(depth, [position], order=3, mode="constant").clip(min=0.0)
            for depth in (self.oxygen, self.water)
        )
        return oxygen, water

    def transmission(
        self,
        wavelength: ArrayLike,
        airmass: float,
        pwv: float,
        *,
        resolving_power: float | None = None,
    ) -> NDArray[np.float64]:
        """Share of the light that reaches the observatory, between 0 and 1.

        Parameters
        ----------
        wavelength : array_like
            Wavelengths in air, observatory frame, Angstrom, increasing. A barycentric wavelength
            is to be divided by 1 + BERV/c first.
        airmass : float
            Length of the path through the air in units of the vertical one.
        pwv : float
            Precipitable water vapour at the zenith, mm (median at La Silla: 3.9 mm, ESO).
        resolving_power : float, optional
            Smooth by a Gaussian of this resolving power. Without it lines keep their own width of
            about 1 km/s.
        """
        wave = np.asarray(wavelength, dtype=np.float64)
        if resolving_power is None:
            oxygen, water = self.optical_depth(wave)
            return np.exp(-airmass * (oxygen + pwv * water))
        sigma = gaussian_width(resolving_power) / self.velocity_step
        reach = int(np.ceil(5 * sigma))
        first, last = np.searchsorted(self.wavelength, (wave.min(), wave.max()))
        part = slice(max(first - reach - 2, 0), last + reach + 2)
        fine = np.exp(-airmass * (self.oxygen[part] + pwv * self.water[part]))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        padded = np.pad(fine, reach, constant_values=1.0)
        smooth = np.convolve(padded, kernel / kernel.sum(), mode="valid")
        return np.interp(wave, self.wavelength[part], smooth, left=1.0, right=1.0)


class TelluricTransmission(torch.nn.Module):
    """Telluric transmission for batches, on logarithmic wavelengths in the barycentric frame.

    The transmission is computed on samples of half the step in the observatory frame, moved by
    ln(1 + BERV/c) and brought to the wavelengths by a windowed sinc, which passes what the step can
    carry and stops what would alias: lines of oxygen are narrower than 1 km/s.

    Parameters
    ----------
    wavelength : float64[n]
        Wavelengths in air, barycentric frame, uniform in their logarithm, Angstrom.
    max_berv : float
        Largest BERV that can be asked for, km/s.
    telluric : Telluric, optional
        Optical depths; by default the embedded ones.
    """

    oxygen: Tensor
    water: Tensor
    taps: Tensor

    OVERSAMPLING = 2
    REACH = 3  # of the windowed sinc to either side, in steps

    def __init__(
        self,
        wavelength: NDArray[np.float64],
        *,
        max_berv: float = 60.0,
        telluric: Telluric | None = None,
    ) -> None:
        super().__init__()
        telluric = telluric or Telluric.load()
        self.size = len(wavelength)
        step = np.log(wavelength[-1] / wavelength[0]) / (self.size - 1)
        self.fine_step = step * SPEED_OF_LIGHT / self.OVERSAMPLING
        self.margin = int(np.ceil(max_berv / self.fine_step)) + self.REACH * self.OVERSAMPLING + 1
        samples = np.arange(-self.margin, self.OVERSAMPLING * self.size + self.margin)
        fine = wavelength[0] * np.exp(samples * step / self.OVERSAMPLING)
        for name, depth in zip(("oxygen", "water"), telluric.optical_depth(fine), strict=True):
            self.register_buffer(name, torch.tensor(depth, dtype=torch.float32), persistent=False)
        reach = self.REACH * self.OVERSAMPLING
        self.register_buffer("taps", torch.arange(-reach + 1.0, reach + 1.0), persistent=False)

    def forward(self, *, berv: Tensor, airmass: Tensor, pwv: Tensor) -> Tensor:
        """Transmission, [batch, n], at BERV (km/s), airmass and zenith water (mm), each [batch]."""
        shift = torch.log1p(berv / SPEED_OF_LIGHT) * (SPEED_OF_LIGHT / self.fine_step)
        whole = torch.floor(-shift.detach())
        fraction = -shift - whole
        count = self.OVERSAMPLING * (self.size - 1) + len(self.taps)
        first = self.margin - len(self.taps) // 2 + 1 + whole.long()
        # One spectrum at a time stays in the processor's cache.
        rows = []
        for i, oxygen, water in zip(first.tolist(), -airmass, -airmass * pwv, strict=True):
            part = slice(i, i + count)
            rows.append(
                torch.exp(torch.addcmul(self.oxygen[part] * oxygen, self.water[part], water))
            )
        fine = torch.stack(rows)
        distance = (self.taps - fraction[:, None]) / self.OVERSAMPLING
        window = torch.cos(torch.pi / 2 * distance / self.REACH).clamp(min=0.0) ** 2
        kernel = torch.sinc(distance) * window
        kernel = kernel / kernel.sum(dim=1, keepdim=True)
        smooth = functional.conv1d(
            fine[None], kernel[:, None], stride=self.OVERSAMPLING, groups=len(kernel)
        )
        return smooth[0]
