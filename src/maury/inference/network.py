"""Trained networks by name, and labels of observed spectra by a network alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from maury.errors import GridError, SpectrumError, WeightsError
from maury.inference.runtime import fast
from maury.labels import LABELS
from maury.models.network import Network
from maury.models.weights import MAGIC, Card, load_network
from maury.spectrum import Spectrum, resample

__all__ = ["STANDARD_NETWORK", "NetworkEstimate", "NetworkEstimator", "embedded_networks"]

STANDARD_NETWORK = "harps-small"
"""The network that comes with the package and is used where none is named."""

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


def embedded_networks() -> dict[str, tuple[str, ...]]:
    """The networks that come with the package, and the parts that each has.

    Examples
    --------
    >>> "encoder" in embedded_networks()[STANDARD_NETWORK]
    True
    """
    found = {}
    for file in sorted(files("maury.data").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            card = json.loads(file.read_text(encoding="utf-8"))
            if card.get("magic") == MAGIC:
                found[file.name.removesuffix(".json")] = tuple(card.get("parts", ("encoder",)))
    return found


class NetworkEstimator:
    """Applies a trained network to spectra.

    Parameters
    ----------
    network : Network
        The network.
    card : Card
        Its card, for the residuals on validation spectra.
    name : str
        What it is called.
    """

    def __init__(self, network: Network, card: Card, name: str = "The network") -> None:
        self.network = fast(network)
        self.card = card
        self.name = name
        self.uncertainties = {
            name: float(np.hypot(statistics.sigma, statistics.bias))
            for name, statistics in card.validation.items()
        }

    @classmethod
    def load(cls, path: str | Path) -> NetworkEstimator:
        """Read the network of a card; raises WeightsError if that cannot be used."""
        network, card = load_network(path)
        return cls(network, card, Path(path).stem)

    @classmethod
    def find(cls, name_or_path: str | Path | None = None) -> NetworkEstimator:
        """The network of a card, or one that comes with the package.

        Parameters
        ----------
        name_or_path : str or Path, optional
            The card (``.json``) or the name; by default `STANDARD_NETWORK`.

        Raises
        ------
        WeightsError
            If there are no such weights or they cannot be used.
        """
        name = STANDARD_NETWORK if name_or_path is None else name_or_path
        if Path(name).suffix == ".json" or Path(name).exists():
            return cls.load(name)
        with as_file(files("maury.data")) as folder:
            card = folder / f"{name}.json"
            if not card.is_file() or Path(name).name != str(name):
                raise WeightsError(
                    f"No network is called {str(name)!r}; name the .json card of one, or "
                    f"{STANDARD_NETWORK}, which comes with maury."
                )
            return cls.load(card)

    def require(self, part: str, purpose: str) -> None:
        """Raise WeightsError, one sentence, unless the network has an encoder or decoder."""
        if part not in self.network.parts:
            raise WeightsError(f"{self.name} cannot {purpose}: it has no {part}.")

    @property
    def trained_ranges(self) -> dict[str, tuple[float, float]]:
        """The range of each label that the network was trained on, as far as its card tells.

        Where it does not, they are those of `maury.labels.LABELS`.
        """
        # Older cards have them in the recipe alone.
        simulation: Any = self.card.training.get("recipe", {}).get("simulation", {})
        ranges = {}
        for name in self.network.labels.names:
            label, prior = LABELS[name], simulation.get(name, {})
            limits = (prior.get("low", label.lower), prior.get("high", label.upper))
            ranges[name] = self.card.ranges.get(name, limits)
        return ranges

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
        WeightsError
            If the network predicts no labels.
        """
        estimates = []
        parts = self.network.parts
        if "encoder" not in parts or not (self.network.supervised or "readout" in parts):
            raise WeightsError(f"{self.name} predicts no labels: it has no {_lack(parts)}.")
        for first in range(0, len(spectra), batch_size):
            prepared = [self.prepare(spectrum) for spectrum in spectra[first : first + batch_size]]
            flux = torch.from_numpy(np.stack([flux for flux, _ in prepared]))
            valid = torch.from_numpy(np.stack([valid for _, valid in prepared]))
            labels = self.network.predict(flux, valid).double().tolist()
            for row, mask in zip(labels, valid, strict=True):
                values = dict(zip(self.network.labels.names, row, strict=True))
                coverage = self.coverage(mask.numpy())
                uncertainties = {name: self.uncertainties[name] for name in values}
                estimates.append(NetworkEstimate(values, uncertainties, coverage))
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
        coverage = self.coverage(valid)
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

    def coverage(self, valid: NDArray[np.bool_]) -> float:
        """Part of the network's grid, its own gaps left out, that is valid."""
        return float(valid.sum() / self.network.grid.valid.sum())


def _lack(parts: Any) -> str:
    return "readout of its latents" if "encoder" in parts else "encoder"
