"""Labels of observed spectra by a trained network alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from maury.errors import GridError, SpectrumError, WeightsError
from maury.models.network import Network
from maury.models.weights import Card, load_network
from maury.spectrum import Spectrum, resample

__all__ = ["NetworkEstimate", "NetworkEstimator"]

# A network that has hardly seen gaps wider than a sixth of its grid has no say below this.
MINIMUM_COVERAGE = 0.5


@dataclass(frozen=True)
class NetworkEstimate:
    """What a network says about a spectrum.

    Parameters
    ----------
    values : dict of float
        Each label in its unit.
    uncertainties : dict of float
        One standard deviation of each label on simulated exposures: the scatter and the bias of
        the validation, in quadrature. It is one number for all spectra.
    coverage : float
        Part of the network's grid, its own gaps left out, where the spectrum has a signal.
    """

    values: dict[str, float]
    uncertainties: dict[str, float]
    coverage: float


class NetworkEstimator:
    """Applies a trained network to spectra.

    Parameters
    ----------
    network : Network
        The network.
    card : Card
        Its card, for the residuals on validation spectra.
    """

    def __init__(self, network: Network, card: Card) -> None:
        self.network = network
        self.card = card
        self.uncertainties = {
            name: float(np.hypot(card.validation[name].sigma, card.validation[name].bias))
            for name in network.labels.names
        }

    @classmethod
    def load(cls, path: str | Path) -> NetworkEstimator:
        """Read the network of a card; raises WeightsError if that cannot be used."""
        network, card = load_network(path)
        if not set(network.labels.names) <= set(card.validation):
            raise WeightsError(f"The network of {path} predicts no labels.")
        return cls(network, card)

    def estimate(self, spectra: Sequence[Spectrum], batch_size: int = 16) -> list[NetworkEstimate]:
        """Labels of spectra in any medium and on any wavelengths that cover the network's grid.

        Velocities come out in the frame of the spectrum: the network was trained on barycentric
        ones, and one in the observatory's frame is to it an exposure of zero BERV.

        Parameters
        ----------
        spectra : sequence of Spectrum
            What was observed.
        batch_size : int
            How many enter the network at once.

        Raises
        ------
        GridError
            If a spectrum covers less than half of the grid.
        SpectrumError
            If a spectrum has no good pixel, or its median flux is not positive.
        """
        estimates = []
        for first in range(0, len(spectra), batch_size):
            prepared = [self.prepare(spectrum) for spectrum in spectra[first : first + batch_size]]
            flux = torch.from_numpy(np.stack([flux for flux, _ in prepared]))
            valid = torch.from_numpy(np.stack([valid for _, valid in prepared]))
            labels = self.network.predict(flux, valid).double().tolist()
            for row, mask in zip(labels, valid, strict=True):
                values = dict(zip(self.network.labels.names, row, strict=True))
                coverage = self._coverage(mask.numpy())
                estimates.append(NetworkEstimate(values, dict(self.uncertainties), coverage))
        return estimates

    def prepare(self, spectrum: Spectrum) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Flux and valid mask of a spectrum on the network's grid.

        Raises
        ------
        GridError
            If the spectrum covers less than half of the grid.
        SpectrumError
            If the spectrum has no good pixel, or its median flux is not positive.
        """
        grid = self.network.grid
        resampled = resample(spectrum, grid)
        valid = resampled.valid & grid.valid
        coverage = self._coverage(valid)
        if coverage < MINIMUM_COVERAGE:
            name = spectrum.meta.path or "A spectrum"
            raise GridError(
                f"{name} has a signal in {coverage:.0%} of the network's range "
                f"{grid.start:.0f}-{grid.stop:.0f} A, of which at least {MINIMUM_COVERAGE:.0%} "
                "is needed."
            )
        # Raw counts and fluxes of 1e-15 erg/s/cm2 alike must survive float32.
        scale = float(np.median(resampled.flux[valid]))
        if scale <= 0:
            raise SpectrumError(
                f"{spectrum.meta.path or 'A spectrum'} has a median flux of {scale:.3g} at "
                f"{grid.start:.0f}-{grid.stop:.0f} A, but the flux of a star is positive."
            )
        return (resampled.flux / scale).astype(np.float32), valid

    def _coverage(self, valid: NDArray[np.bool_]) -> float:
        return float(valid.sum() / self.network.grid.valid.sum())
