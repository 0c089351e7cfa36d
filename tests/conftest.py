"""Fixtures for the tests of several rooms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from maury.wavelength import SPEED_OF_LIGHT


class LineForest:
    """A stand-in for the emulator: Gaussian lines whose depths follow the labels.

    It has the emulator's interface, takes no time to make, and its spectra determine the labels.
    """

    names = ("teff", "logg", "mh", "vmic")
    velocity_step = 1.0

    def __init__(self, start: float = 4960.0, stop: float = 6040.0, lines: int = 100) -> None:
        self.lower = torch.tensor([4000.0, 3.5, -1.5, 0.5])
        self.upper = torch.tensor([8000.0, 5.0, 0.5, 2.5])
        number = int(np.log(stop / start) * SPEED_OF_LIGHT / self.velocity_step)
        self.wavelength = start * np.exp(np.arange(number) * self.velocity_step / SPEED_OF_LIGHT)
        self.model_error = torch.full((number,), torch.inf)
        rng = np.random.default_rng(1)
        centers = rng.uniform(0, number, lines)
        offset = np.arange(number) - centers[:, None]
        self.profiles = torch.from_numpy(np.exp(-0.5 * (offset / 4) ** 2)).float()
        self.weights = torch.from_numpy(rng.normal(0, 0.7, (lines, 4))).float()
        self.weights[:, 2] += 1.0

    def flux(self, labels: Tensor) -> Tensor:
        position = 2 * (labels - self.lower) / (self.upper - self.lower) - 1
        strength = 0.2 * torch.exp(position @ self.weights.T)
        return torch.exp(-strength @ self.profiles)


@pytest.fixture(scope="session")
def line_forest() -> LineForest:
    """A stand-in for the emulator of intrinsic spectra."""
    return LineForest()
