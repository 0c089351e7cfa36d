"""How far spectra are from what a network makes of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from maury.models.network import Network

__all__ = ["Measurement"]

# Pixels that are nearer share the noise of a detector's pixel, of 0.016 A in HARPS.
INDEPENDENT = 0.02  # Angstrom
CONTINUUM = 20.0  # Angstrom: what varies over more than that is no line
LEAST_LEVEL = 0.1  # of a spectrum's mean: its lines are not relative to less
ROUNDS = 2  # in which continua are brought together
# Of the variance of a spectrum; its noise is not known better than that.
LEAST_STRUCTURE = 0.02


class Measurement(NamedTuple):
    """Latents of spectra, and how far these are from being reconstructed.

    Attributes
    ----------
    nodes : Tensor, float32[batch, node]
        All nodes of the bottleneck, the mean where they have a distribution.
    settled : Tensor, float32[batch, node]
        The same of the spectra with the continuum that the decoder gives them; see `of`.
    error : Tensor, float32[batch], or None
        Mean absolute difference over valid pixels between a prepared spectrum and its
        reconstruction; None without a decoder.
    misfit : Tensor, float32[batch], or None
        The same of the lines alone, relative to the continuum, and with the part of white noise
        taken off.
    dissimilarity : Tensor, float32[batch], or None
        One minus the correlation of the lines with those of the reconstruction, with the part of
        white noise taken off: 0 where they agree up to a factor, 1 where they have nothing in
        common.
    """

    nodes: Float[Tensor, "batch node"]
    settled: Float[Tensor, "batch node"]
    error: Float[Tensor, " batch"] | None = None
    misfit: Float[Tensor, " batch"] | None = None
    dissimilarity: Float[Tensor, " batch"] | None = None

    @classmethod
    @torch.inference_mode()
    def of(
        cls,
        network: Network,
        prepared: Float[Tensor, "batch pixel"],
        valid: Bool[Tensor, "batch pixel"],
    ) -> Measurement:
        r"""Encode and decode spectra.

        A spectrum whose continuum is none of those that the network has seen is misread, whatever
        its lines. So, apart from `nodes` and `error`, a spectrum is measured after it was given the
        continuum of its reconstruction: divided by its own mean over 20 Angstrom and multiplied by
        that of the reconstruction, encoded and decoded again, and that twice. Lines are relative to
        this continuum.

        The noise :math:`\sigma` of a pixel is told by how the residual r of the lines differs from
        pixel to pixel, 1.4826 times the median of
        :math:`|r_i - (r_{i-k} + r_{i+k}) / 2| / \sqrt{1.5}`, with k pixels being 0.02 Angstrom or
        one pixel (as in DER_SNR, Stoehr et al. 2008, ASPC 394, 505, but of what the decoder
        leaves). Noise alone makes a mean absolute difference of :math:`\sqrt{2/\pi}\,\sigma`, so
        that the misfit is :math:`\sqrt{\max(e^2 - 2\sigma^2/\pi, 0)}` for a difference of e
        between the lines; and :math:`\sigma^2` is taken off the variance by which the covariance is
        divided for the correlation. Lines that are wrong are wider than a pixel and stay.

        Parameters
        ----------
        network : Network
            With an encoder, in eval mode.
        prepared : Tensor, float[batch, pixel]
            What `network.preprocessing` gives.
        valid : Tensor, bool[batch, pixel]
            Which pixels count.
        """
        nodes = network.posterior(prepared).mean
        if "decoder" not in network.parts:
            return cls(nodes, nodes)
        step, offset = network.grid.step, network.preprocessing.offset
        half = max(1, round(CONTINUUM / 2 / step))
        seen, decoded, settled = prepared + offset, network.decode(nodes), nodes
        error = _mean(torch.abs(decoded - seen), valid)
        for _ in range(ROUNDS):
            seen = seen * (_level(decoded, valid, half) / _level(seen, valid, half))
            settled = network.posterior(torch.where(valid, seen - offset, 0.0)).mean
            decoded = network.decode(settled)
        level = _level(decoded, valid, half)
        lines, made = (
            _without_continuum(spectra / level, valid, half) for spectra in (seen, decoded)
        )
        noise = _pixel_noise(made - lines, valid, max(1, round(INDEPENDENT / step)))
        difference = _mean(torch.abs(made - lines), valid)
        misfit = (difference.square() - (2 / np.pi) * noise.square()).clamp(min=0).sqrt()
        dissimilarity = 1 - _correlation(lines, made, valid, noise)
        return cls(nodes, settled, error, misfit, dissimilarity)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of each spectrum over its valid pixels; zero if it has none."""
    return torch.where(valid, values, 0.0).sum(dim=1) / valid.sum(dim=1).clamp(min=1)


def _level(spectra: Tensor, valid: Tensor, half: int) -> Tensor:
    """The mean of the valid pixels within `half` pixels, positive."""
    least = LEAST_LEVEL * _mean(spectra.abs(), valid).clamp(min=1e-6)
    return torch.maximum(_local_mean(spectra, valid, half), least[:, None])


def _without_continuum(spectra: Tensor, valid: Tensor, half: int) -> Tensor:
    """What differs from the mean of the valid pixels within `half` pixels; zero where invalid."""
    return torch.where(valid, spectra - _local_mean(spectra, valid, half), 0.0)


def _local_mean(spectra: Tensor, valid: Tensor, half: int) -> Tensor:
    values = torch.where(valid, spectra, 0.0)
    mean = _window_sum(values, half) / _window_sum(valid, half).clamp(min=1)
    return mean.to(spectra)


def _window_sum(values: Tensor, half: int) -> Tensor:
    total = functional.pad(values.double().cumsum(dim=1), (1, 0))
    size = values.shape[1]
    pixel = torch.arange(size, device=values.device)
    upper, lower = (pixel + half + 1).clamp(max=size), (pixel - half).clamp(min=0)
    return total[:, upper] - total[:, lower]


def _correlation(seen: Tensor, made: Tensor, valid: Tensor, noise: Tensor) -> Tensor:
    """Of observed and decoded lines, noise of the former taken off; zero where there are none."""
    variance = _mean(seen.square(), valid)
    variance = torch.maximum(variance - noise.square(), LEAST_STRUCTURE * variance)
    product = variance * _mean(made.square(), valid)
    correlation = _mean(seen * made, valid) / product.clamp(min=1e-30).sqrt()
    return correlation.clamp(-1, 1)


def _pixel_noise(residual: Tensor, valid: Tensor, apart: int) -> Tensor:
    """Standard deviation of each residual's white noise; zero if no three pixels tell of it."""
    left, middle, right = slice(0, -2 * apart), slice(apart, -apart), slice(2 * apart, None)
    change = residual[:, middle] - (residual[:, left] + residual[:, right]) / 2
    usable = valid[:, middle] & valid[:, left] & valid[:, right]
    typical = torch.where(usable, change.abs(), torch.nan).nanmedian(dim=1).values
    return torch.nan_to_num(1.4826 * typical / 1.5**0.5)
