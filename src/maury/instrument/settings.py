"""How exposures are taken: the star's magnitude and velocity, and what the night is like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from maury.errors import SpectrumError

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """How exposures are taken; each is a number or one for each star, [batch].

    Parameters
    ----------
    magnitude : Tensor or float
        Apparent magnitude in V, outside the atmosphere.
    exposure : Tensor or float
        Seconds, of all integrations together.
    airmass : Tensor or float
        Length of the path through the air in units of the vertical one, at least 1.
    pwv : Tensor or float
        Precipitable water vapour at the zenith, mm.
    moon : Tensor or float
        Illuminated share of the Moon's disk, 0 to 1.
    seeing : Tensor or float
        Full width at half maximum at the zenith at 5000 A, arcsec.
    rv, berv : Tensor or float
        Radial velocity of the star and barycentric velocity of the Earth, km/s.
    ndit : int
        Integrations into which the exposure is divided.
    """

    magnitude: Tensor | float = 6.0
    exposure: Tensor | float = 60.0
    airmass: Tensor | float = 1.2
    pwv: Tensor | float = 4.0
    moon: Tensor | float = 0.0
    seeing: Tensor | float = 1.0
    rv: Tensor | float = 0.0
    berv: Tensor | float = 0.0
    ndit: int = 1

    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        "magnitude": (-30.0, 40.0),
        "exposure": (0.0, 1e6),
        "airmass": (1.0, 10.0),
        "pwv": (0.0, 100.0),
        "moon": (0.0, 1.0),
        "seeing": (0.05, 20.0),
        "rv": (-1000.0, 1000.0),
        "berv": (-60.0, 60.0),
    }

    def columns(self, batch: int) -> dict[str, NDArray[np.float64]]:
        """Every setting as float64[batch].

        Raises
        ------
        SpectrumError
            If a setting is out of range or has another length.
        """
        columns = {}
        for name, (lower, upper) in self.RANGES.items():
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.shape not in ((), (1,), (batch,)):
                raise SpectrumError(
                    f"{name} must be one number or {batch}, not of shape {value.shape}."
                )
            wrong = ~((value >= lower) & (value <= upper))
            if wrong.any():
                raise SpectrumError(
                    f"{name} must be between {lower:g} and {upper:g}, "
                    f"not {np.atleast_1d(value)[np.atleast_1d(wrong)][0]:g}."
                )
            columns[name] = np.broadcast_to(value, batch).copy()
        if self.ndit < 1:
            raise SpectrumError(f"ndit must be at least 1, not {self.ndit}.")
        return columns
