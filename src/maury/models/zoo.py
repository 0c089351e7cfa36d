"""The named models: those of the paper, and the alternatives to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import nn

from maury.errors import MauryError
from maury.grid import WavelengthGrid
from maury.labels import LabelSet, Normalizer
from maury.models.decoder import CNNDecoder, ResNetDecoder
from maury.models.doppler import DopplerDecoder
from maury.models.downstream import LinearReadout
from maury.models.encoder import Encoder
from maury.models.film import FiLMDecoder
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing

__all__ = ["PARTS", "ZOO", "Model", "build"]

PARTS: dict[str, Any] = {
    part.architecture: part
    for part in (Encoder, CNNDecoder, ResNetDecoder, FiLMDecoder, DopplerDecoder, LinearReadout)
}
"""The parts that networks are made of, by the name of their architecture."""

Loss = Literal["label", "pixel", "autoencoder", "beta-vae", "info-vae"]


@dataclass(frozen=True)
class Model:
    """What a named model is made of.

    Parameters
    ----------
    source : str
        Where it is described.
    loss : {"label", "pixel", "autoencoder", "beta-vae", "info-vae"}
        Which function of `maury.models.losses` it is trained with.
    encoder : bool
        Whether it has an encoder.
    decoder : str, optional
        Architecture of its decoder.
    nodes : int, optional
        Number of nodes of the bottleneck; by default that of the labels.
    variational : bool
        Whether the encoder gives a distribution.
    supervised : bool
        Whether the first nodes are labels.
    """

    source: str
    loss: Loss
    encoder: bool = True
    decoder: str | None = None
    nodes: int | None = None
    variational: bool = False
    supervised: bool = True


def _decoder(source: str, decoder: str) -> Model:
    return Model(source, "pixel", encoder=False, decoder=decoder)


def _autoencoder(source: str, decoder: str, **changes: Any) -> Model:
    return replace(Model(source, "autoencoder", decoder=decoder, nodes=9), **changes)


def _variational(source: str, loss: Loss, **changes: Any) -> Model:
    model = Model(source, loss, decoder="resnet-decoder", nodes=32, variational=True)
    return replace(model, **changes)


ZOO: dict[str, Model] = {
    "encoder": Model("Sect. 2.5.1 and Table B.1 of Cvrcek et al. (2024)", "label"),
    "cnn-decoder": _decoder("Sect. 2.5.2 and Table B.2", "cnn-decoder"),
    "resnet-decoder": _decoder("Sect. 2.5.2 and Table B.3", "resnet-decoder"),
    "film-decoder": _decoder("FiLM (Perez et al. 2018), named in Sect. 2.5.2", "film-decoder"),
    "doppler-decoder": _decoder("velocities by construction", "doppler-decoder"),
    "ae-cnn": _autoencoder("Sect. 2.5.4", "cnn-decoder"),
    "ae-resnet": _autoencoder("Sect. 2.5.4", "resnet-decoder"),
    "ae-film": _autoencoder("Sect. 2.5.4 with FiLM", "film-decoder"),
    "ae-doppler": _autoencoder("Sect. 2.5.4, velocities by construction", "doppler-decoder"),
    "ae-unsupervised": _autoencoder("Sect. 2.5.3", "resnet-decoder", nodes=128, supervised=False),
    "beta-vae": _variational("Sect. 2.5.5, Eq. 9", "beta-vae"),
    "info-vae": _variational("Sect. 2.5.5, Eq. 11", "info-vae"),
    "beta-vae-unsupervised": _variational("Eq. 8", "beta-vae", nodes=128, supervised=False),
    "info-vae-unsupervised": _variational("Eq. 10", "info-vae", nodes=128, supervised=False),
    "beta-vae-cnn-unsupervised": _variational(
        "Sedaghat et al. (2021)", "beta-vae", decoder="cnn-decoder", nodes=128, supervised=False
    ),
}
"""The models by name; tables and equations are those of Cvrcek et al. (2024).

The authors' published autoencoder has the encoder of a variational one, whose divergence has no
weight: ``build("ae-resnet", variational=True, ...)`` has the 13.3 million parameters of Table 9.
Here an autoencoder is what Sect. 2.5.3 describes, without log-variances.
"""


def build(
    name: str,
    *,
    grid: WavelengthGrid,
    labels: LabelSet,
    normalizer: Normalizer,
    preprocessing: Preprocessing | None = None,
    decoder_settings: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Network:
    """An untrained network of a named model.

    Parameters
    ----------
    name : str
        A key of `ZOO`.
    grid : WavelengthGrid
        The grid of the spectra.
    labels : LabelSet
        The labels, in the order of the nodes.
    normalizer : Normalizer
        Centre and scale of the labels.
    preprocessing : Preprocessing, optional
        What is done to fluxes; by default they are divided by their median (Eq. 2).
    decoder_settings : mapping, optional
        Further keyword arguments of the decoder.
    **changes
        Entries of `Model` that shall differ, such as ``nodes=12``.

    Raises
    ------
    MauryError
        If no model has that name, or grid and labels do not suit it.

    Examples
    --------
    >>> from maury.grid import HARPS
    >>> from maury.labels import HARPS_LABELS
    >>> normalizer = Normalizer((0.0,) * 6, (1.0,) * 6, HARPS_LABELS.names)
    >>> network = build("encoder", grid=HARPS, labels=HARPS_LABELS, normalizer=normalizer)
    >>> network.nodes
    6
    """
    if name not in ZOO:
        raise MauryError(f"No model is called {name!r}; the models are {', '.join(ZOO)}.")
    try:
        model = replace(ZOO[name], **changes)
    except TypeError:
        raise MauryError(f"Model {name!r} has no entry {min(changes)!r}.") from None
    nodes = len(labels) if model.nodes is None else model.nodes
    encoder = None
    if model.encoder:
        encoder = Encoder(pixels=grid.size, outputs=nodes * (2 if model.variational else 1))
    decoder = None
    if model.decoder is not None:
        supervised = labels if model.supervised else LabelSet([])
        settings = decoder_settings or {}
        decoder = _make_decoder(model.decoder, grid, supervised, normalizer, nodes, settings)
    return Network(
        grid,
        labels,
        normalizer,
        Preprocessing(grid) if preprocessing is None else preprocessing,
        encoder,
        decoder,
        variational=model.variational,
        supervised=model.supervised,
    )


def _make_decoder(
    name: str,
    grid: WavelengthGrid,
    labels: LabelSet,
    normalizer: Normalizer,
    nodes: int,
    settings: Mapping[str, Any],
) -> nn.Module:
    arguments: dict[str, Any] = {"pixels": grid.size, "inputs": nodes}
    if name == DopplerDecoder.architecture:
        arguments |= {"start": grid.start, "step": grid.step, "labels": labels.names}
        arguments |= {"center": normalizer.center, "scale": normalizer.scale}
    decoders = [key for key in PARTS if key.endswith("-decoder")]
    if name not in decoders:
        raise MauryError(f"No decoder is called {name!r}; there are {', '.join(decoders)}.")
    try:
        return PARTS[name](**arguments, **settings)
    except (TypeError, ValueError) as error:
        raise MauryError(f"The {name} cannot be made with {dict(settings)}: {error}.") from None
