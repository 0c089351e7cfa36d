"""A network with all it needs to turn fluxes on a grid into labels in physical units."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from maury.grid import WavelengthGrid
from maury.labels import LabelSet, Normalizer
from maury.models.encoder import Encoder
from maury.models.preprocessing import Preprocessing

__all__ = ["Network"]


@dataclass(frozen=True, eq=False)
class Network:
    """An encoder, the grid that it reads and the labels that it gives.

    Parameters
    ----------
    grid : WavelengthGrid
        The grid of the fluxes.
    labels : LabelSet
        The labels, in the order of the outputs.
    normalizer : Normalizer
        Centre and scale of the labels.
    preprocessing : Preprocessing
        What is done to fluxes before they enter the encoder.
    encoder : Encoder
        The encoder.
    """

    grid: WavelengthGrid
    labels: LabelSet
    normalizer: Normalizer
    preprocessing: Preprocessing
    encoder: Encoder

    @torch.inference_mode()
    def predict(self, flux: Tensor, valid: Tensor) -> Tensor:
        """Labels in physical units.

        Parameters
        ----------
        flux : Tensor, float[batch, pixel]
            Fluxes on the grid, in any unit.
        valid : Tensor, bool[batch, pixel]
            False where there is no signal.

        Returns
        -------
        Tensor, float32[batch, label]
        """
        self.encoder.eval()
        prepared = self.preprocessing(flux.float(), valid)
        return self.normalizer.denormalize(self.encoder(prepared))
