"""Opacity of low rank: spectra of any star from one product of matrices, with gradients."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from maury.errors import SynthesisError, WeightsError
from maury.synthesis.opacity_nodes import LOG_PRESSURE, METALLICITY, TEMPERATURE
from maury.synthesis.tensor_atmosphere import interpolate_atmosphere
from maury.synthesis.tensor_transfer import emergent_flux

__all__ = ["TURBULENCE", "LowRankOpacity", "turbulence_coordinate"]

MAGIC = "maury-opacity"
FORMAT_VERSION = 1
NAMES = ("teff", "logg", "mh", "vmic")
LOWER, UPPER = (3000.0, 3.5, -1.5, 0.5), (11500.0, 5.0, 0.5, 3.0)
# Microturbulence (km/s) of the nodes: even in `turbulence_coordinate`.
TURBULENCE = np.sqrt(np.exp(np.linspace(math.log(1.75), math.log(10.5), 9)) - 1.5)
# Of the atmosphere's 72 layers: every other one above an optical depth of 1e-2, none below 50.
LAYERS = (*range(0, 40, 2), *range(40, 69))
SUPPORT = 16  # splines of [M/H] and microturbulence that are not zero for a star
PIECE = {"cpu": 1 << 22}  # opacities (batch, layer, pixel) at a time
PIECE_ELSEWHERE = 1 << 27
KEPT = 1 << 28  # opacities that a gradient may keep in memory, 1 GiB; more are computed again


def turbulence_coordinate(vmic: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Place among the nodes of microturbulence: ln(1.5 + vmic^2), vmic in km/s, in their steps."""
    low, high = math.log(1.5 + TURBULENCE[0] ** 2), math.log(1.5 + TURBULENCE[-1] ** 2)
    return (torch.log(1.5 + vmic**2) - low) * ((TURBULENCE.size - 1) / (high - low))


def _splines(place: Tensor, size: int) -> Tensor:
    """Cubic B-splines about the nodes -1 to ``size`` at places among them, (..., size + 2)."""
    nodes = torch.arange(-1, size + 1, dtype=place.dtype, device=place.device)
    away = (place.clamp(0, size - 1)[..., None] - nodes).abs()
    return ((2 - away).clamp(min=0) ** 3 - 4 * (1 - away).clamp(min=0) ** 3) / 6


class LowRankOpacity(torch.nn.Module):
    """Flux of any star of the grid, differentiable in Teff, log g, [M/H] and microturbulence.

    ln of the opacity per gram is a mean spectrum plus components over the pixels, whose amplitudes
    are cubic splines of ln T, log P, [M/H] and microturbulence. A spectrum is the product of its
    layers' amplitudes with the components and a formal solution. Air wavelengths, stellar rest
    frame; no rotation, macroturbulence or instrument. `maury.synthesis.low_rank_fit` makes it from
    opacity tables.

    Parameters
    ----------
    wavelength
        Increasing, Angstrom, air, shape (pixel,).
    mean
        Mean of ln opacity (cm2 g-1), shape (pixel,).
    components
        Shape (component, pixel).
    amplitudes
        Coefficients of their splines, shape (mh, vmic, temperature, pressure, component), two more
        along each axis than there are nodes.
    continuum_wavelength, continuum_mean, continuum_components, continuum_amplitudes
        The same of the continuum, at a few wavelengths; without the axis of microturbulence.
    card
        Where it comes from.
    """

    wavelength: Tensor
    mean: Tensor
    components: Tensor
    amplitudes: Tensor
    continuum_wavelength: Tensor
    continuum_mean: Tensor
    continuum_components: Tensor
    continuum_amplitudes: Tensor
    lower: Tensor
    upper: Tensor
    continuum_place: Tensor
    continuum_share: Tensor

    def __init__(
        self,
        *,
        wavelength: Tensor,
        mean: Tensor,
        components: Tensor,
        amplitudes: Tensor,
        continuum_wavelength: Tensor,
        continuum_mean: Tensor,
        continuum_components: Tensor,
        continuum_amplitudes: Tensor,
        card: dict | None = None,
    ) -> None:
        super().__init__()
        self.names = NAMES
        self.card = card or {}
        for name, value in (
            ("wavelength", wavelength.double()),
            ("mean", mean.float()),
            ("components", components.float()),
            ("amplitudes", amplitudes.float()),
            ("continuum_wavelength", continuum_wavelength.double()),
            ("continuum_mean", continuum_mean.float()),
            ("continuum_components", continuum_components.float()),
            ("continuum_amplitudes", continuum_amplitudes.float()),
            ("lower", torch.tensor(LOWER)),
            ("upper", torch.tensor(UPPER)),
        ):
            self.register_buffer(name, value.contiguous())
        coarse = self.continuum_wavelength
        i = torch.searchsorted(coarse, self.wavelength).sub(1).clamp(0, coarse.numel() - 2)
        share = ((self.wavelength - coarse[i]) / (coarse[i + 1] - coarse[i])).float()
        self.register_buffer("continuum_place", i, persistent=False)
        self.register_buffer("continuum_share", share, persistent=False)

    def surface_flux(
        self, labels: Float[Tensor, "batch 4"]
    ) -> tuple[Float[Tensor, "batch pixel"], Float[Tensor, "batch pixel"]]:
        """Flux and continuum flux at the stellar surface.

        Parameters
        ----------
        labels
            Teff (K), log g, [M/H] (dex) and microturbulence (km/s), on the module's device. Of
            float64, all but the components' product is of that.

        Returns
        -------
        flux, continuum
            erg s-1 cm-2 A-1.

        Raises
        ------
        SynthesisError
            If a label is out of range.
        """
        self._check(labels)
        teff, logg, mh, vmic = labels.unbind(dim=1)
        layers = interpolate_atmosphere(teff, logg, mh)[:, list(LAYERS)]
        rhox, temperature = torch.exp(layers[..., 0]), torch.exp(layers[..., 1])
        heat = layers[..., 1] - math.log(TEMPERATURE[0])
        row = _splines(heat / math.log(TEMPERATURE[1] / TEMPERATURE[0]), TEMPERATURE.size)
        push = layers[..., 2] / math.log(10) - LOG_PRESSURE[0]
        column = _splines(push / (LOG_PRESSURE[1] - LOG_PRESSURE[0]), LOG_PRESSURE.size)
        state = (row[..., :, None] * column[..., None, :]).flatten(2)
        step = METALLICITY[1] - METALLICITY[0]
        metal = _splines((mh - METALLICITY[0]) / step, METALLICITY.size)
        turbulent = _splines(turbulence_coordinate(vmic), TURBULENCE.size)
        star = (metal[:, :, None] * turbulent[:, None, :]).flatten(1)
        continuum = self._solve(
            self._mixed(metal, state, self.continuum_amplitudes.flatten(1, 2)),
            self.continuum_mean,
            self.continuum_components,
            self.continuum_wavelength,
            rhox,
            temperature,
        )
        flux = self._solve(
            self._mixed(star, state, self.amplitudes.flatten(0, 1).flatten(1, 2)),
            self.mean,
            self.components,
            self.wavelength,
            rhox,
            temperature,
        )
        return flux, self._to_pixels(continuum)

    def flux(self, labels: Float[Tensor, "batch 4"]) -> Float[Tensor, "batch pixel"]:
        """Continuum-normalised flux; see `surface_flux`."""
        flux, continuum = self.surface_flux(labels)
        return flux / continuum

    forward = flux

    def at(self, wavelength: NDArray[np.float64]) -> LowRankOpacity:
        """The same at other wavelengths, by a cubic through the four nearest pixels.

        Parameters
        ----------
        wavelength
            Increasing, Angstrom, air, at least two pixels inside this one's range; its pixels
            ought to be even in steps and without gaps there.

        Raises
        ------
        SynthesisError
            If a wavelength is out of range.
        """
        target = torch.tensor(
            np.ascontiguousarray(wavelength, float), device=self.wavelength.device
        )
        if not (target[0] >= self.wavelength[1] and target[-1] <= self.wavelength[-2]):
            raise SynthesisError(
                f"wavelengths from {target[0]:.2f} to {target[-1]:.2f} A are not covered; allowed "
                f"are {self.wavelength[1]:.2f} to {self.wavelength[-2]:.2f} A (air)"
            )
        i = torch.searchsorted(self.wavelength, target, right=True) - 1
        i = i.clamp(1, self.wavelength.numel() - 3)
        f = ((target - self.wavelength[i]) / (self.wavelength[i + 1] - self.wavelength[i])).float()
        weights = (
            -f * (f - 1) * (f - 2) / 6,
            (f + 1) * (f - 1) * (f - 2) / 2,
            -(f + 1) * f * (f - 2) / 2,
            (f + 1) * f * (f - 1) / 6,
        )
        mean = torch.zeros_like(f)
        components = mean.repeat(len(self.components), 1)
        for k, weight in enumerate(weights, start=-1):
            mean += weight * self.mean[i + k]
            components += weight * self.components[:, i + k]
        buffers = {name: value for name, value in self.named_buffers() if name in _TENSORS}
        buffers |= {"wavelength": target, "mean": mean, "components": components}
        return LowRankOpacity(**buffers, card=self.card)

    def _check(self, labels: Tensor) -> None:
        inside = (labels >= self.lower) & (labels <= self.upper)
        if not inside.all():
            star, label = torch.nonzero(~inside)[0].tolist()
            raise SynthesisError(
                f"{NAMES[label]} = {float(labels[star, label]):g} is outside the opacities; "
                f"allowed is {LOWER[label]:g} to {UPPER[label]:g}"
            )

    @staticmethod
    def _mixed(star: Tensor, state: Tensor, amplitudes: Tensor) -> Tensor:
        """Amplitudes (batch, layer, component) at the layers of each star."""
        if len(star) < star.shape[1] // SUPPORT:
            # A star takes the few splines that are not zero at its place.
            used = star.any(dim=0)
            star, amplitudes = star[:, used], amplitudes[used]
        amplitudes = amplitudes.to(star.dtype)
        own = (star @ amplitudes.flatten(1)).view(len(star), *amplitudes.shape[1:])
        return torch.bmm(state, own)

    @staticmethod
    def _solve(
        amplitudes: Tensor,
        mean: Tensor,
        components: Tensor,
        wavelength: Tensor,
        rhox: Tensor,
        temperature: Tensor,
    ) -> Tensor:
        dtype = amplitudes.dtype

        def piece(
            amplitudes: Tensor, rhox: Tensor, temperature: Tensor, first: int, last: int
        ) -> Tensor:
            matrix = components[:, first:last].to(dtype)
            product = torch.addmm(mean[first:last].to(dtype), amplitudes.flatten(0, 1), matrix)
            product = product.view(*amplitudes.shape[:2], -1)
            return emergent_flux(product, rhox, temperature, wavelength[first:last])

        limit = PIECE.get(amplitudes.device.type, PIECE_ELSEWHERE)
        size = max(limit // (amplitudes.shape[0] * amplitudes.shape[1]), 64)
        again = torch.is_grad_enabled() and rhox.numel() * mean.numel() > KEPT
        results = []
        for first in range(0, mean.numel(), size):
            inputs = (amplitudes, rhox, temperature, first, min(first + size, mean.numel()))
            if again:
                results.append(
                    checkpoint(piece, *inputs, use_reentrant=False, preserve_rng_state=False)
                )
            else:
                results.append(piece(*inputs))
        return torch.cat(results, dim=1)

    def _to_pixels(self, continuum: Tensor) -> Tensor:
        """Linear interpolation from the continuum's wavelengths."""
        i, share = self.continuum_place, self.continuum_share.to(continuum.dtype)
        return torch.lerp(continuum[:, i], continuum[:, i + 1], share)

    def save(self, path: Path | str) -> Path:
        """Write ``path``.safetensors and its card ``path``.json, components in 16 bits.

        Returns
        -------
        Path
            The card.

        Raises
        ------
        WeightsError
            If they cannot be written.
        """
        path = Path(path)
        tensors = {name: getattr(self, name).cpu() for name in _TENSORS}
        for name, last in _QUANTISED.items():
            values = tensors.pop(name)
            axes = tuple(range(values.dim() - 1)) if last else tuple(range(1, values.dim()))
            step = values.abs().amax(dim=axes, keepdim=True) / 32767
            tensors[f"{name}_step"] = step
            tensors[f"{name}_16"] = torch.round(values / step.clamp(min=1e-30)).to(torch.int16)
        data = save_tensors({name: value.contiguous() for name, value in tensors.items()})
        card = {
            **self.card,
            "magic": MAGIC,
            "format_version": FORMAT_VERSION,
            "names": list(NAMES),
            "medium": "air",
            "frame": "rest",
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for file, content in (
                (path.with_suffix(".safetensors"), data),
                (path.with_suffix(".json"), (json.dumps(card, indent=2) + "\n").encode()),
            ):
                part = file.with_name(file.name + ".part")
                part.write_bytes(content)
                part.replace(file)
        except OSError as error:
            raise WeightsError(f"{path} cannot be written ({error.strerror})") from None
        return path.with_suffix(".json")

    @classmethod
    def load(cls, path: Path | str) -> LowRankOpacity:
        """Read what `save` wrote.

        Raises
        ------
        WeightsError
            If the files are missing, damaged or of another format.
        """
        card_path, weights = Path(path).with_suffix(".json"), Path(path).with_suffix(".safetensors")
        try:
            card, data = json.loads(card_path.read_text(encoding="utf-8")), weights.read_bytes()
        except OSError as error:
            raise WeightsError(f"{error.filename} cannot be read ({error.strerror})") from None
        except ValueError as error:
            raise WeightsError(f"{card_path}: the card is not JSON ({error})") from None
        found = (card.get("magic"), card.get("format_version")) if isinstance(card, dict) else ()
        if found != (MAGIC, FORMAT_VERSION):
            raise WeightsError(
                f"{card_path}: the card says {' version '.join(map(str, found)) or 'nothing'}; "
                f"allowed is {MAGIC} version {FORMAT_VERSION}"
            )
        if hashlib.sha256(data).hexdigest() != card.get("sha256"):
            raise WeightsError(f"{weights}: the file is damaged: its SHA-256 is not the card's")
        try:
            tensors = load_tensors(data)
            for name in _QUANTISED:
                tensors[name] = tensors.pop(f"{name}_16").float() * tensors.pop(f"{name}_step")
            return cls(**tensors, card=card)
        except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise WeightsError(f"{weights}: the file holds no opacities ({reason})") from None


# What is stored, and whether the component is the last axis of what is stored in 16 bits.
_TENSORS = (
    "wavelength", "mean", "components", "amplitudes", "continuum_wavelength", "continuum_mean",
    "continuum_components", "continuum_amplitudes",
)  # fmt: skip
_QUANTISED = {"components": False, "amplitudes": True}
