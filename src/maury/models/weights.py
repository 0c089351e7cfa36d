"""Networks on disk: safetensors for the weights, and a JSON card that says what they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from maury.errors import MauryError, WeightsError
from maury.grid import WavelengthGrid
from maury.labels import LabelSet, Normalizer
from maury.models.encoder import Encoder
from maury.models.latent_statistics import LatentStatistics
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing
from maury.models.zoo import PARTS

__all__ = ["Card", "LabelStatistics", "load_network", "save_network"]

MAGIC = "maury-network"
FORMAT_VERSION = 2
LARGEST_GRID = 2**24  # pixels; a damaged card must not ask for more memory than there is


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


class _Part(_Entries):
    architecture: str
    architecture_version: int
    hyperparameters: dict[str, Any]


class Card(_Entries):
    """All that is needed to use a file of weights, and where they come from.

    Parameters
    ----------
    magic, format_version
        Tell a card from other JSON files, and this format from others.
    parts
        Encoder, decoder and readout, as far as there are any: architecture, its version, and its
        keyword arguments.
    variational, supervised
        As in `maury.models.network.Network`.
    grid, labels, normalizer, preprocessing
        What goes in and what comes out.
    weights
        Name of the file of weights, beside the card, and its SHA-256.
    validation
        Residuals of each label that the network predicts.
    training
        Recipe, seed and the like, for the reader.
    code_version
        Version of maury that wrote the card.
    latents
        How latents and reconstructions of the training spectra are distributed, if measured.
    ranges
        Smallest and largest value of each label in training, as far as they are told.
    """

    magic: str
    format_version: int
    parts: dict[str, _Part] = Field(min_length=1)
    variational: bool
    supervised: bool
    grid: dict[str, Any]
    labels: tuple[str, ...]
    normalizer: dict[str, Any]
    preprocessing: dict[str, Any]
    weights: _File
    validation: dict[str, LabelStatistics]
    training: dict[str, Any]
    code_version: str
    latents: LatentStatistics | None = None
    ranges: dict[str, tuple[FiniteFloat, FiniteFloat]] = Field(default_factory=dict)


def save_network(
    path: str | Path,
    network: Network,
    *,
    validation: Mapping[str, Mapping[str, float]],
    training: Mapping[str, Any],
    latents: LatentStatistics | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> Path:
    """Write a network as card and weights.

    Parameters
    ----------
    path : str or Path
        The card, ending in ``.json``; the weights go beside it, ending in ``.safetensors``.
    network : Network
        The network.
    validation : mapping
        `mae`, `bias` and `sigma` of each label that it predicts.
    training : mapping
        Where the weights come from, as values that JSON can hold.
    latents : LatentStatistics, optional
        Of the training spectra, for drawing unknown factors and for telling anomalies.
    ranges : mapping, optional
        Smallest and largest value of each label in training, in its unit.

    Returns
    -------
    Path
        The card.

    Raises
    ------
    WeightsError
        If the path does not end in ``.json``, cannot be written, a label has no statistics, or
        those of the latents are of another network.
    """
    path = Path(path)
    if path.suffix != ".json":
        raise WeightsError(f"A card's name must end in .json, which {path} does not.")
    missing = _predicted(network) - set(validation)
    if missing:
        raise WeightsError(f"{path}: label {min(missing)!r} has no validation statistics.")
    if not _belong(latents, network):
        raise WeightsError(f"{path}: the statistics of latents are those of another network.")
    state = network.parts.state_dict()
    # Layout in memory is the model's affair; the file wants plain order.
    data = save_tensors({name: value.cpu().contiguous() for name, value in state.items()})
    file = path.with_suffix(".safetensors")
    card = Card(
        magic=MAGIC,
        format_version=FORMAT_VERSION,
        parts={name: _describe(part) for name, part in network.parts.items()},
        variational=network.variational,
        supervised=network.supervised,
        grid=network.grid.to_dict(),
        labels=network.labels.names,
        normalizer=network.normalizer.to_dict(),
        preprocessing=network.preprocessing.hyperparameters,
        weights=_File(file=file.name, sha256=hashlib.sha256(data).hexdigest()),
        validation={name: LabelStatistics(**values) for name, values in validation.items()},
        training=dict(training),
        code_version=version("maury"),
        latents=latents,
        ranges=dict(ranges or {}),
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
        tensors = load_tensors(data)
        if card.format_version == 1:
            tensors = {f"encoder.{name}": tensor for name, tensor in tensors.items()}
        network = _rebuild(card, tensors)
        if not _predicted(network) <= set(card.validation):
            raise WeightsError("a label has no validation statistics")
        if not _belong(card.latents, network):
            raise WeightsError("its statistics of latents are those of another network")
        if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
            raise WeightsError("a weight is not finite")
    except (
        MauryError,
        TypeError,
        ValueError,
        RuntimeError,
        MemoryError,
        OverflowError,
        SafetensorError,
    ) as error:
        reason = str(error).splitlines()[0].rstrip(".:") if str(error) else type(error).__name__
        raise WeightsError(f"{path} cannot be used: {reason}.") from None
    network.requires_grad_(False)
    return network.eval(), card


def _rebuild(card: Card, tensors: Mapping[str, Tensor]) -> Network:
    grid = WavelengthGrid.from_dict(card.grid)
    if grid.size > LARGEST_GRID:
        raise WeightsError(f"its grid has {grid.size} pixels, more than {LARGEST_GRID}")
    grid_and_labels = {
        "pixels": grid.size,
        "start": grid.start,
        "step": grid.step,
        "labels": list(card.labels),
        "center": list(card.normalizer.get("center", ())),
        "scale": list(card.normalizer.get("scale", ())),
    }
    for part in card.parts.values():
        shared = part.hyperparameters.keys() & grid_and_labels.keys()
        if any(part.hyperparameters[key] != grid_and_labels[key] for key in shared):
            raise WeightsError("its grid, labels and hyperparameters contradict each other")
    # On the meta device nothing is allocated, whatever size a damaged card asks for; the weights
    # must then agree with that size before anything else is made in it.
    with torch.device("meta"):
        parts = {
            name: PARTS[part.architecture](**part.hyperparameters)
            for name, part in card.parts.items()
        }
    labels = LabelSet.from_names(card.labels)
    network = Network(
        grid,
        labels,
        Normalizer.from_dict(card.normalizer),
        Preprocessing(grid, **card.preprocessing),
        **parts,
        variational=card.variational,
        supervised=card.supervised,
    )
    network.parts.load_state_dict(tensors, assign=True)
    for module in network.parts.values():
        if isinstance(module, Encoder):
            module.features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _predicted(network: Network) -> set[str]:
    """Names of the labels that a network predicts."""
    known = "encoder" in network.parts and (network.supervised or "readout" in network.parts)
    return set(network.labels.names) if known else set()


def _belong(latents: LatentStatistics | None, network: Network) -> bool:
    """Whether statistics have as many nodes as the network, and errors only with a decoder."""
    if latents is None:
        return True
    parts = {"encoder"} if latents.errors is None else {"encoder", "decoder"}
    return len(latents.mean) == network.nodes and set(network.parts) - {"readout"} == parts


def _describe(part: Any) -> _Part:
    return _Part(
        architecture=part.architecture,
        architecture_version=part.architecture_version,
        hyperparameters=part.hyperparameters,
    )


def _read_card(path: Path) -> Card:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"Card {path} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise WeightsError(f"Card {path} is not JSON ({error}).") from None
    if not isinstance(values, dict) or values.get("magic") != MAGIC:
        raise WeightsError(f"{path} is not the card of a maury network.")
    found = values.get("format_version")
    if found == 1:
        values = _from_first_format(values)
    elif found != FORMAT_VERSION:
        raise WeightsError(
            f"Card {path} has format_version {found!r}, but this maury knows {FORMAT_VERSION}."
        )
    try:
        card = Card.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        entry = ".".join(str(part) for part in first["loc"])
        raise WeightsError(f"Card {path}: entry {entry}: {first['msg']}.") from None
    for name, part in card.parts.items():
        _check_part(path, name, part)
    return card


def _check_part(path: Path, name: str, part: _Part) -> None:
    suffix = {"encoder": "encoder", "decoder": "-decoder", "readout": "-readout"}.get(name)
    known = [key for key in PARTS if suffix is not None and key.endswith(suffix)]
    if part.architecture not in known:
        raise WeightsError(
            f"Card {path} has a part {name!r} of architecture {part.architecture!r}, but this "
            f"maury knows {', '.join(known) or 'no such part'}."
        )
    ours = PARTS[part.architecture].architecture_version
    if part.architecture_version != ours:
        raise WeightsError(
            f"Card {path} has architecture_version {part.architecture_version!r} of the {name}, "
            f"but this maury knows {ours}."
        )


def _from_first_format(values: dict[str, Any]) -> dict[str, Any]:
    """The card of an encoder, which is all that the first format knew, in the present one."""
    keys = ("architecture", "architecture_version", "hyperparameters")
    encoder = {key: values[key] for key in keys if key in values}
    rest = {key: value for key, value in values.items() if key not in keys}
    return rest | {"parts": {"encoder": encoder}, "variational": False, "supervised": True}


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
