"""A fast stand-in for the synthesis: principal components and a Gaussian process."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from maury.errors import WeightsError
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["STANDARD", "Emulator", "log_wavelength"]

MAGIC = "maury-emulator"
FORMAT_VERSION = 1
CARD_ENTRIES = ("start", "velocity_step", "names", "sha256")
STANDARD = "emulator-fgk"  # the emulator that comes with the package


# Components stored in 16 bits; the later ones are small enough for 8.
WIDE_COMPONENTS = 16


def log_wavelength(start: float, velocity_step: float, size: int) -> np.ndarray:
    """Wavelengths evenly spaced in logarithm.

    Parameters
    ----------
    start
        The first, Angstrom.
    velocity_step
        c times the step of ln(lambda), km/s.
    size
        Number of pixels.

    Examples
    --------
    >>> log_wavelength(5000.0, 299.792458, 3).round(3)
    array([5000.   , 5005.003, 5010.01 ])
    """
    return start * np.exp(np.arange(size) * (velocity_step / SPEED_OF_LIGHT))


class Emulator(torch.nn.Module):
    """Continuum-normalised spectra as a smooth function of the stellar parameters.

    A spectrum is the mean of the training spectra plus principal components, whose amplitudes are
    a quadratic trend plus a Gaussian process of the parameters (as in Czekala et al. 2015, ApJ
    812, 128, Sect. 3). Air wavelengths, stellar rest frame; no rotation, macroturbulence or
    instrument. Differentiable in the parameters.

    Parameters
    ----------
    start, velocity_step
        First wavelength (Angstrom) and step of c ln(lambda) (km/s).
    names
        The parameters in order.
    lower, upper
        The box that the training spectra fill, shape (parameter,).
    mean
        Mean spectrum, shape (pixel,).
    components
        Principal components, shape (component, pixel).
    nodes
        Training parameters scaled to 0..1, shape (node, parameter).
    scales
        Length scales of the process in the scaled parameters, shape (parameter,).
    weights
        The process's weights, shape (node, component).
    trend
        Coefficients of the quadratic trend, shape (term, component).
    model_error
        Standard deviation of observed minus computed solar flux at each pixel, shape (pixel,);
        infinite where nothing is known.
    card
        Where it comes from and how well it does on spectra kept aside.
    """

    mean: Tensor
    components: Tensor
    nodes: Tensor
    scales: Tensor
    weights: Tensor
    trend: Tensor
    lower: Tensor
    upper: Tensor
    model_error: Tensor

    def __init__(
        self,
        *,
        start: float,
        velocity_step: float,
        names: tuple[str, ...],
        lower: Tensor,
        upper: Tensor,
        mean: Tensor,
        components: Tensor,
        nodes: Tensor,
        scales: Tensor,
        weights: Tensor,
        trend: Tensor,
        model_error: Tensor,
        card: dict | None = None,
    ) -> None:
        super().__init__()
        self.start, self.velocity_step, self.names = start, velocity_step, tuple(names)
        self.card = card or {}
        self.wavelength = log_wavelength(start, velocity_step, mean.numel())
        for name, value in (
            ("mean", mean), ("components", components), ("nodes", nodes), ("scales", scales),
            ("weights", weights), ("trend", trend), ("lower", lower), ("upper", upper),
            ("model_error", model_error),
        ):  # fmt: skip
            self.register_buffer(name, value.float())

    def amplitudes(self, labels: Float[Tensor, "batch label"]) -> Float[Tensor, "batch component"]:
        """Amplitudes of the components at labels in physical units."""
        scaled = (labels - self.lower) / (self.upper - self.lower)
        distance = ((scaled[:, None, :] - self.nodes) / self.scales).square().sum(-1)
        return quadratic_terms(scaled) @ self.trend + torch.exp(-0.5 * distance) @ self.weights

    def flux(self, labels: Float[Tensor, "batch label"]) -> Float[Tensor, "batch pixel"]:
        """Continuum-normalised flux.

        Parameters
        ----------
        labels
            Physical units in the order of ``names``; outside the box the result is extrapolated.
        """
        return torch.addmm(self.mean, self.amplitudes(labels), self.components)

    def save(self, path: Path | str) -> None:
        """Write ``path``.safetensors and its card ``path``.json, components in 8 and 16 bits."""
        path = Path(path)
        scale = self.components.abs().amax(dim=1)
        levels = torch.full_like(scale, 127.0)
        levels[:WIDE_COMPONENTS] = 32767.0
        quantised = torch.round(self.components / scale[:, None] * levels[:, None])
        tensors = {
            "mean": torch.round(self.mean * 32767).to(torch.int16),
            "components_wide": quantised[:WIDE_COMPONENTS].to(torch.int16),
            "components_narrow": quantised[WIDE_COMPONENTS:].to(torch.int8),
            "component_step": scale / levels,
            "nodes": self.nodes,
            "scales": self.scales,
            "weights": self.weights,
            "trend": self.trend,
            "lower": self.lower,
            "upper": self.upper,
            "model_error": self.model_error.half(),
        }
        weights = path.with_suffix(".safetensors")
        save_file({k: v.contiguous() for k, v in tensors.items()}, weights)
        card = {
            **self.card,
            "magic": MAGIC,
            "format_version": FORMAT_VERSION,
            "start": self.start,
            "velocity_step": self.velocity_step,
            "names": list(self.names),
            "medium": "air",
            "frame": "rest",
            "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        }
        path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path | str | None = None) -> Emulator:
        """Read an emulator; the one that comes with the package where no path is given.

        Raises
        ------
        WeightsError
            If the files are missing, damaged or of another format.
        """
        if path is None:
            with as_file(files("maury.data")) as folder:
                return cls.load(folder / STANDARD)
        path = Path(path)
        card_path, weights = path.with_suffix(".json"), path.with_suffix(".safetensors")
        if not (card_path.is_file() and weights.is_file()):
            raise WeightsError(f"{path}: an emulator is a .json card and a .safetensors file; "
                               "one of them is missing")  # fmt: skip
        try:
            card = json.loads(card_path.read_text())
        except ValueError as error:
            raise WeightsError(f"{card_path}: the card is not JSON ({error})") from None
        if not isinstance(card, dict):
            raise WeightsError(f"{card_path}: the card is not a JSON object")
        found = (card.get("magic"), card.get("format_version"))
        if found != (MAGIC, FORMAT_VERSION):
            raise WeightsError(
                f"{card_path}: the card says {found[0]} version {found[1]}; "
                f"allowed is {MAGIC} version {FORMAT_VERSION}"
            )
        missing = [key for key in CARD_ENTRIES if key not in card]
        if missing:
            raise WeightsError(f"{card_path}: the card lacks {', '.join(missing)}")
        if hashlib.sha256(weights.read_bytes()).hexdigest() != card["sha256"]:
            raise WeightsError(f"{weights}: the file is damaged: its SHA-256 is not the card's")
        try:
            tensors = load_file(weights)
            quantised = torch.cat(
                [tensors.pop("components_wide").float(), tensors.pop("components_narrow").float()]
            )
            components = quantised * tensors.pop("component_step")[:, None]
            return cls(
                start=card["start"],
                velocity_step=card["velocity_step"],
                names=tuple(card["names"]),
                mean=tensors.pop("mean").float() / 32767,
                components=components,
                card=card,
                **tensors,
            )
        except (SafetensorError, KeyError, TypeError) as error:
            raise WeightsError(f"{weights}: the file holds no emulator ({error})") from None


def quadratic_terms(scaled: Float[Tensor, "batch label"]) -> Float[Tensor, "batch term"]:
    """1, x and the products of x with itself."""
    count = scaled.shape[-1]
    rows, columns = torch.triu_indices(count, count)
    return torch.cat(
        [torch.ones_like(scaled[:, :1]), scaled, scaled[:, rows] * scaled[:, columns]], dim=-1
    )
