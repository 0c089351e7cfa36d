"""How a spectrum is prepared for a network, the same in training and in use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from maury.errors import GridError
from maury.grid import WavelengthGrid

__all__ = ["Preprocessing"]

# A window with a smaller part of its bins valid has no say in the continuum.
MINIMUM_FILLING = 0.25
KNOTS = 8  # for each half width of a window


class Preprocessing(nn.Module):
    r"""Normalises fluxes and sets the pixels without signal to a constant.

    Without `continuum`, fluxes are divided by their median over valid pixels (Eq. 2 of Cvrcek et
    al. 2024) and pixels without signal become zero, as in the paper.

    With `continuum`, fluxes are divided by a local pseudo-continuum and one is subtracted, so
    that zero is the continuum and the value of every pixel without signal, and so that the
    relative precision of bfloat16 is spent on the lines. The pseudo-continuum is an upper
    quantile of the flux in windows that overlap by half. Fluxes are first averaged over bins
    of `bin` pixels, which keeps the quantile from following the noise, and the windows are joined
    by a Gaussian kernel that passes over those with too few valid pixels. Any continuum that is
    smooth over a window cancels, both of the instrument and of an imperfect model; broad wings
    of strong lines are lost in part, for observed and simulated spectra alike.

    Parameters
    ----------
    grid : WavelengthGrid
        The grid of the spectra.
    continuum : float, optional
        Width of the windows in Angstrom; None divides by the median.
    quantile : float
        The quantile that counts as continuum, 0 to 1.
    bin : int
        Number of pixels that are averaged before taking the quantile.
    clip : (float, float), optional
        Normalised fluxes are clipped to this range, against cosmic rays and defects.
    ignore : sequence of (float, float)
        Wavelength intervals in Angstrom, on the grid's scale, which are not trusted and treated
        as pixels without signal.

    Raises
    ------
    GridError
        If the windows or bins do not fit the grid.

    Examples
    --------
    >>> grid = WavelengthGrid(start=5000.0, step=0.1, size=1000)
    >>> flux = torch.linspace(1, 3, 1000)[None]
    >>> flux[0, 500] = 0.5 * flux[0, 500]
    >>> valid = torch.ones(1, 1000, dtype=torch.bool)
    >>> prepared = Preprocessing(grid, continuum=10.0)(flux, valid)
    >>> f"{prepared[0, 500]:.2f} {prepared[0, 400]:.2f}"
    '-0.52 -0.04'
    """

    def __init__(
        self,
        grid: WavelengthGrid,
        *,
        continuum: float | None = None,
        quantile: float = 0.9,
        bin: int = 4,
        clip: Sequence[float] | None = None,
        ignore: Sequence[Sequence[float]] = (),
    ) -> None:
        super().__init__()
        self.grid = grid
        self.continuum = continuum
        self.quantile = quantile
        self.bin = bin
        self.clip = None if clip is None else tuple(clip)
        self.ignore = tuple((float(lower), float(upper)) for lower, upper in ignore)
        trusted = grid.valid.copy()
        for lower, upper in self.ignore:
            trusted &= (grid.wavelength < lower) | (grid.wavelength > upper)
        self.trusted: Tensor
        self.register_buffer("trusted", torch.from_numpy(trusted), persistent=False)
        if continuum is not None:
            self._lay_windows(continuum)

    def _lay_windows(self, continuum: float) -> None:
        grid = self.grid
        if grid.size % self.bin:
            raise GridError(
                f"Bins of {self.bin} pixels do not divide a grid of {grid.size} pixels."
            )
        half = round(continuum / (2 * self.bin * grid.step))
        bins = grid.size // self.bin
        if half < 2 or 2 * half > bins:
            raise GridError(
                f"Continuum windows of {continuum} A do not fit a grid of {grid.size} pixels of "
                f"{grid.step} A binned by {self.bin}."
            )
        # Windows of 2 half-widths each half-width; the last may overlap its neighbour by more.
        starts = np.unique(np.append(np.arange(0, bins - 2 * half + 1, half), bins - 2 * half))
        centers = (starts + half) * self.bin - 0.5
        # The sum of kernels is smooth: evaluate it at knots, interpolate between.
        knots = np.linspace(0, grid.size - 1, KNOTS * -(-bins // half))
        distance = (knots - centers[:, None]) / (half * self.bin)
        # The floor carries the continuum across gaps that are wider than the kernel.
        kernel = np.exp(-0.5 * np.square(distance / 0.6)) + 1e-6 / (1 + np.square(distance))
        self.window: Tensor
        self.kernel: Tensor
        index = starts[:, None] + np.arange(2 * half)
        self.register_buffer("window", torch.from_numpy(index), persistent=False)
        self.register_buffer("kernel", torch.from_numpy(kernel).float(), persistent=False)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The keyword arguments besides the grid, as plain values for a JSON card."""
        return {
            "continuum": self.continuum,
            "quantile": self.quantile,
            "bin": self.bin,
            "clip": None if self.clip is None else list(self.clip),
            "ignore": [list(interval) for interval in self.ignore],
        }

    @property
    def offset(self) -> float:
        """What is subtracted from normalised fluxes: one where they are relative to a continuum."""
        return 0.0 if self.continuum is None else 1.0

    def forward(
        self, flux: Float[Tensor, "batch pixel"], valid: Bool[Tensor, "batch pixel"]
    ) -> Float[Tensor, "batch pixel"]:
        """Prepare a batch of spectra.

        Parameters
        ----------
        flux : Tensor, float[batch, pixel]
            Fluxes on the grid in any unit.
        valid : Tensor, bool[batch, pixel]
            False where there is no signal; the flux there may be anything, NaN included.

        Returns
        -------
        Tensor, float[batch, pixel]
            Finite everywhere.
        """
        valid = valid & self.trusted & torch.isfinite(flux)
        flux = torch.where(valid, flux, 0.0)
        if self.continuum is None:
            scale = _median(flux, valid)
        else:
            scale = self.pseudo_continuum(flux, valid)
        # A spectrum without light has no continuum; it comes out as one without signal.
        valid = valid & (scale > 0)
        normalized = flux / torch.where(valid, scale, 1.0)
        if self.clip is not None:
            normalized = normalized.clamp(*self.clip)
        return torch.where(valid, normalized - self.offset, 0.0)

    def pseudo_continuum(
        self, flux: Float[Tensor, "batch pixel"], valid: Bool[Tensor, "batch pixel"]
    ) -> Float[Tensor, "batch pixel"]:
        """The smooth upper envelope, float[batch, pixel], of fluxes that are zero where invalid.

        Pixels of a spectrum without a usable window come out as zero.
        """
        counts = functional.avg_pool1d(valid.to(flux.dtype)[:, None], self.bin)[:, 0]
        means = functional.avg_pool1d(flux[:, None], self.bin)[:, 0]
        usable = counts >= 0.5
        means = torch.where(usable, means / counts.clamp(min=0.5), -torch.inf)
        filled = usable[:, self.window].sum(dim=-1)
        size = self.window.shape[-1]
        # Invalid bins come last, so the rank of the quantile counts from the brightest.
        last = round((1 - self.quantile) * (size - 1))
        brightest = means[:, self.window].topk(last + 1, dim=-1).values
        rank = ((1 - self.quantile) * (filled - 1)).round().long().clamp(0, last)
        level = brightest.gather(-1, rank[..., None])[..., 0]
        weight = (filled >= MINIMUM_FILLING * size).to(flux.dtype)
        level = torch.where(weight > 0, level, 0.0)
        total = weight @ self.kernel
        envelope = (level @ self.kernel) / torch.where(total > 0, total, 1.0)
        return functional.interpolate(
            envelope[:, None], size=flux.shape[-1], mode="linear", align_corners=True
        )[:, 0]


def _median(flux: Tensor, valid: Tensor) -> Tensor:
    """Median over valid pixels, float[batch, 1]; zero where there are none."""
    median = torch.where(valid, flux, torch.nan).nanmedian(dim=-1, keepdim=True).values
    return torch.nan_to_num(median, nan=0.0)
