"""Networks on disk: safetensors for the weights, and a JSON card that says what they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from maury.errors import MauryError, WeightsError
from maury.grid import WavelengthGrid
from maury.labels import LabelSet, Normalizer
from maury.models.encoder import Encoder
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing

__all__ = ["Card", "LabelStatistics", "load_network", "save_network"]

MAGIC = "maury-network"
FORMAT_VERSION = 1


class _Entries(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelStatistics(_Entries):
    """Residuals of a label on exposures that were not trained on, in its unit.

    Parameters
    ----------
    mae : float
        Mean absolute error.
    bias : float
        Median residual.
    sigma : float
        Robust standard deviation about it.
    """

    mae: float = Field(ge=0)
    bias: float
    sigma: float = Field(ge=0)


class _File(_Entries):
    file: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Card(_Entries):
    """All that is needed to use a file of weights, and where they come from.

    Parameters
    ----------
    magic, format_version
        Tell a card from other JSON files, and this format from later ones.
    architecture, architecture_version, hyperparameters
        Which network, and its arguments.
    grid, labels, normalizer, preprocessing
        What goes in and what comes out.
    weights
        Name of the file of weights, beside the card, and its SHA-256.
    validation
        Residuals of each label.
    training
        Recipe, seed and the like, for the reader.
    code_version
        Version of maury that wrote the card.
    """

    magic: str
    format_version: int
    architecture: Literal["encoder"]
    architecture_version: int
    hyperparameters: dict[str, int]
    grid: dict[str, Any]
    labels: tuple[str, ...] = Field(min_length=1)
    normalizer: dict[str, Any]
    preprocessing: dict[str, Any]
    weights: _File
    validation: dict[str, LabelStatistics]
    training: dict[str, Any]
    code_version: str


def save_network(
    path: str | Path,
    network: Network,
    *,
    validation: Mapping[str, Mapping[str, float]],
    training: Mapping[str, Any],
) -> Path:
    """Write a network as card and weights.

    Parameters
    ----------
    path : str or Path
        The card, ending in ``.json``; the weights go beside it, ending in ``.safetensors``.
    network : Network
        The network.
    validation : mapping
        `mae`, `bias` and `sigma` of each label.
    training : mapping
        Where the weights come from, as values that JSON can hold.

    Returns
    -------
    Path
        The card.

    Raises
    ------
    WeightsError
        If the path does not end in ``.json``, cannot be written, or a label has no statistics.
    """
    path = Path(path)
    if path.suffix != ".json":
        raise WeightsError(f"A card's name must end in .json, which {path} does not.")
    missing = set(network.labels.names) - set(validation)
    if missing:
        raise WeightsError(f"{path}: label {min(missing)!r} has no validation statistics.")
    state = network.encoder.state_dict()
    data = save_tensors({name: value.cpu().contiguous() for name, value in state.items()})
    file = path.with_suffix(".safetensors")
    card = Card(
        magic=MAGIC,
        format_version=FORMAT_VERSION,
        architecture="encoder",
        architecture_version=Encoder.architecture_version,
        hyperparameters=network.encoder.hyperparameters,
        grid=network.grid.to_dict(),
        labels=network.labels.names,
        normalizer=network.normalizer.to_dict(),
        preprocessing=network.preprocessing.hyperparameters,
        weights=_File(file=file.name, sha256=hashlib.sha256(data).hexdigest()),
        validation={name: LabelStatistics(**values) for name, values in validation.items()},
        training=dict(training),
        code_version=version("maury"),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(file, data)
        _write(path, (card.model_dump_json(indent=2) + "\n").encode())
    except OSError as error:
        raise WeightsError(f"{path} cannot be written ({error.strerror}).") from None
    return path


def load_network(path: str | Path) -> tuple[Network, Card]:
    """Read a network and its card.

    Raises
    ------
    WeightsError
        If either file is missing, damaged, of another format or architecture, or if they do not
        belong together.
    """
    path = Path(path)
    card = _read_card(path)
    data = _read_weights(path, card)
    try:
        grid = WavelengthGrid.from_dict(card.grid)
        labels = LabelSet.from_names(card.labels)
        normalizer = Normalizer.from_dict(card.normalizer)
        shape = {"pixels": grid.size, "outputs": len(labels)}
        if card.hyperparameters != shape or normalizer.names != labels.names:
            raise WeightsError("its grid, labels and hyperparameters contradict each other")
        if not set(labels.names) <= set(card.validation):
            raise WeightsError("a label has no validation statistics")
        # On the meta device nothing is allocated, whatever size a damaged card asks for; the
        # weights must then agree with that size before anything else is made in it.
        with torch.device("meta"):
            encoder = Encoder(**card.hyperparameters)
        tensors = load_tensors(data)
        encoder.load_state_dict(tensors, assign=True)
        preprocessing = Preprocessing(grid, **card.preprocessing)
        if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
            raise WeightsError("a weight is not finite")
    except (MauryError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0].rstrip(".:")
        raise WeightsError(f"{path} cannot be used: {reason}.") from None
    encoder.features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder.requires_grad_(False).eval()
    return Network(grid, labels, normalizer, preprocessing, encoder), card


def _read_card(path: Path) -> Card:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"Card {path} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise WeightsError(f"Card {path} is not JSON ({error}).") from None
    if not isinstance(values, dict) or values.get("magic") != MAGIC:
        raise WeightsError(f"{path} is not the card of a maury network.")
    expected = {
        "format_version": FORMAT_VERSION,
        "architecture": Encoder.architecture,
        "architecture_version": Encoder.architecture_version,
    }
    for key, known in expected.items():
        if values.get(key) != known:
            raise WeightsError(
                f"Card {path} has {key} {values.get(key)!r}, but this maury knows {known!r}."
            )
    try:
        return Card.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        entry = ".".join(str(part) for part in first["loc"])
        raise WeightsError(f"Card {path}: entry {entry}: {first['msg']}.") from None


def _read_weights(path: Path, card: Card) -> bytes:
    folder = path.resolve().parent
    file = (folder / card.weights.file).resolve()
    if Path(card.weights.file).name != card.weights.file or file.parent != folder:
        raise WeightsError(
            f"Card {path} names the weights {card.weights.file!r}, but they must lie beside it."
        )
    try:
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        raise WeightsError(f"Weights {file} of card {path} cannot be read ({error}).") from None
    if hashlib.sha256(data).hexdigest() != card.weights.sha256:
        raise WeightsError(f"Weights {file} are not those of card {path}: their SHA-256 differs.")
    return data


def _write(path: Path, data: bytes) -> None:
    """Write a file in one move, so that no reader sees half of it."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
