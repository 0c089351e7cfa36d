"""Trained networks, quicker: the same results without gradients."""

from __future__ import annotations

import importlib.util
import threading
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from maury.models.network import Network

__all__ = ["FastPart", "fast", "has_openvino"]

Precision = Literal["float32", "bfloat16"]

# To compile a part takes a second, which so many pixels pay for; other parts gain nothing by it.
WORTH = {
    "encoder": 2**25,
    "cnn-decoder": 2**22,
    "film-decoder": 2**22,
    "resnet-decoder": 2**22,
}
PIECE = 4  # spectra that go through PyTorch at once on a CPU, for its cache's sake


def has_openvino() -> bool:
    """Whether OpenVINO is installed (``pip install 'maury[fast]'``)."""
    return importlib.util.find_spec("openvino") is not None


def fast(network: Network, *, at_once: bool = False, precision: Precision = "float32") -> Network:
    """The same network for use alone: encoder and decoder without gradients, and quicker.

    On a CPU they run in OpenVINO, in float32, if that is installed; else, and on a GPU, in PyTorch.
    Outputs agree with those of the network to 1e-4. Weights are shared.

    Parameters
    ----------
    network : Network
        A trained network, on its device.
    at_once : bool
        Compile for OpenVINO with the first spectrum. By default that happens, once for each part,
        when so many spectra have been asked for that it pays.
    precision : {"float32", "bfloat16"}
        The latter is for a GPU and stays in PyTorch; outputs are then wrong by 1e-2.

    Returns
    -------
    Network
        With the same methods.

    Examples
    --------
    >>> from maury.grid import HARPS_TINY
    >>> from maury.labels import LabelSet, Normalizer
    >>> from maury.models.zoo import build
    >>> labels = LabelSet.from_names(["teff"])
    >>> normalizer = Normalizer((5500.0,), (1000.0,), labels.names)
    >>> network = build("ae-cnn", grid=HARPS_TINY, labels=labels, normalizer=normalizer)
    >>> nodes = torch.randn(2, 9)
    >>> torch.allclose(fast(network).decode(nodes), network.decode(nodes), atol=1e-4)
    True
    """
    parts: dict[str, Any] = dict(network.parts)
    for name in parts.keys() & {"encoder", "decoder"}:
        parts[name] = FastPart(parts[name], at_once=at_once, precision=precision)
    quick = Network(
        network.grid,
        network.labels,
        network.normalizer,
        network.preprocessing,
        **parts,
        variational=network.variational,
        supervised=network.supervised,
    )
    return quick.eval()


class FastPart(nn.Module):
    """An encoder or decoder of a `fast` network.

    Parameters
    ----------
    part : nn.Module
        The encoder or decoder, whose attributes this one has too.
    at_once, precision
        See `fast`.
    """

    def __init__(
        self, part: Any, *, at_once: bool = False, precision: Precision = "float32"
    ) -> None:
        super().__init__()
        self.part = part
        self.at_once, self.precision = at_once, precision
        self.seen = 0
        """Pixels of all spectra so far."""
        self._request: Any = None
        self._turn = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("part"), name)

    def __reduce__(self) -> tuple[Any, ...]:
        # What is compiled cannot be copied to another process.
        return _restored, (self.part, self.at_once, self.precision)

    @property
    def compiled(self) -> bool:
        """Whether OpenVINO computes it."""
        return self._request is not None

    @torch.no_grad()
    def forward(self, inputs: Float[Tensor, "batch input"]) -> Float[Tensor, "batch output"]:
        """What the part gives; without gradients."""
        if self._to_be_compiled(inputs):
            return self._by_openvino(inputs)
        device = inputs.device.type
        pieces = inputs.split(PIECE) if device == "cpu" else (inputs,)
        with torch.autocast(device, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return torch.cat([self.part(piece) for piece in pieces])

    def _to_be_compiled(self, inputs: Tensor) -> bool:
        worth = WORTH.get(self.part.architecture)
        on_cpu = inputs.device.type == "cpu" and self.precision == "float32"
        if worth is None or not on_cpu or not has_openvino():
            return False
        self.seen += len(inputs) * self.part.pixels
        return self.at_once or self.seen > worth

    def _by_openvino(self, inputs: Tensor) -> Tensor:
        rows = inputs.float().contiguous().numpy()
        outputs = []
        # One spectrum at a time, whose features then stay in the cache; threads take turns.
        with self._turn:
            if self._request is None:
                # Imported late: it may be missing, and it is large.
                from maury.inference.graph import compile_part

                self._request = compile_part(self.part)
            for row in rows:
                output = self._request.infer({0: row[None]}, share_inputs=True)[0]
                outputs.append(torch.from_numpy(output))
        return torch.cat(outputs) if outputs else self.part(inputs)


def _restored(part: nn.Module, at_once: bool, precision: Precision) -> FastPart:
    return FastPart(part, at_once=at_once, precision=precision)
