"""Trained networks as the callables that `maury.evaluation` works on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from maury.inference.runtime import fast
from maury.models.latent import Posterior
from maury.models.network import Network
from maury.models.weights import load_network

__all__ = ["StudiedNetwork"]

Array = NDArray[np.float32]


class StudiedNetwork:
    """A network whose first nodes are its labels, however it learned them.

    The nodes of an unsupervised network have its labels by regression put before them, so that an
    intervention is the same for all: to decode, nodes are moved to the nearest at which the
    regression gives these labels (Sect. 2.3 of Cvrcek et al. 2024).

    Parameters
    ----------
    network : Network
        Trained; it is used in eval mode, on its device.

    Attributes
    ----------
    names : tuple of str
        Labels, in the order of the nodes.
    scale : float64[label]
        Physical units for each unit of a label's node.
    sha256 : str
        Of the weights, empty if they are not from a file.
    """

    def __init__(self, network: Network, sha256: str = "") -> None:
        self.network = fast(network.eval())
        self.device = next(network.parameters()).device
        self.names = network.labels.names
        self.scale = np.array(network.normalizer.scale)
        self.sha256 = sha256

    @classmethod
    def load(cls, card: Path) -> StudiedNetwork:
        """The network of a card, on a GPU if there is one.

        Raises
        ------
        MauryError
            If card or weights cannot be read or do not match.
        """
        network, facts = load_network(card)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(network.to(device), facts.weights.sha256)

    @property
    def encodes(self) -> bool:
        """Whether there is an encoder."""
        return "encoder" in self.network.parts

    @property
    def decodes(self) -> bool:
        """Whether there is a decoder."""
        return "decoder" in self.network.parts

    @torch.inference_mode()
    def normalize(self, flux: torch.Tensor, valid: torch.Tensor) -> Array:
        """Fluxes as the other methods take and give them, [batch, pixel]."""
        return self.network.normalize(flux.to(self.device), valid.to(self.device)).cpu().numpy()

    @torch.inference_mode()
    def encode(self, spectra: Array) -> Array:
        """Nodes [batch, node] of normalised spectra; means, never a sample."""
        nodes = self._posterior(spectra).mean
        if self.network.supervised:
            return nodes.cpu().numpy()
        return torch.cat([self._labels(nodes), nodes], dim=1).cpu().numpy()

    @torch.inference_mode()
    def log_variance(self, spectra: Array) -> Array | None:
        """Log-variance of the nodes of a variational network, [batch, node]."""
        variance = self._posterior(spectra).log_variance
        return None if variance is None else variance.cpu().numpy()

    @torch.inference_mode()
    def decode(self, nodes: Array) -> Array:
        """Normalised spectra [batch, pixel] of nodes."""
        given = torch.from_numpy(np.ascontiguousarray(nodes, dtype=np.float32)).to(self.device)
        if not self.network.supervised:
            labels, own = given[:, : len(self.names)], given[:, len(self.names) :]
            given = self.network.parts["readout"].intervene(own, labels)  # type: ignore[operator]
        return self.network.decode(given).cpu().numpy()

    def labels(self, nodes: Array) -> NDArray[np.float64]:
        """Labels in physical units, [batch, label]."""
        known = torch.from_numpy(nodes[:, : len(self.names)])
        return self.network.normalizer.denormalize(known).double().numpy()

    def nodes_of(self, labels: NDArray[np.floating]) -> Array:
        """Nodes of labels in physical units, [batch, label], without unknown factors."""
        known = torch.from_numpy(np.asarray(labels, dtype=np.float32))
        nodes = self.network.normalizer.normalize(known)
        return torch.nn.functional.pad(nodes, (0, self.network.unknown)).numpy()

    def _posterior(self, spectra: Array) -> Posterior:
        prepared = torch.from_numpy(spectra).to(self.device) - self.network.preprocessing.offset
        return self.network.posterior(prepared)

    def _labels(self, nodes: torch.Tensor) -> torch.Tensor:
        known = self.network.normalized_labels(nodes)
        assert known is not None
        return known
