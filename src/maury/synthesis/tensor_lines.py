"""Voigt profiles of many lines summed on tensors, with the derivatives written by hand."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from maury.synthesis.line_kernels import (
    EXPANSION,
    FAR,
    NODES,
    SCALE,
    WEIGHTS,
    add_lines,
    gradient_of_lines,
)

__all__ = ["Profiles", "hjerting_far", "hjerting_near", "sum_profiles"]

PAIRS = 1 << 22  # (pixel, layer) of all lines that are computed at a time


def hjerting_near(damping: Tensor, away: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The Hjerting function H(a, v) and its derivatives to a and v.

    Parameters
    ----------
    damping, away
        a and v, not negative; they broadcast.

    Returns
    -------
    value, of_damping, of_away
        Within 1e-12.

    Examples
    --------
    >>> import torch
    >>> value, _, _ = hjerting_near(torch.tensor(0.0).double(), torch.tensor(1.5).double())
    >>> bool(abs(value - math.exp(-(1.5**2))) < 1e-12)
    True
    """
    z = torch.complex(*torch.broadcast_tensors(away, damping))
    turned = z * 1j
    inverse = (SCALE - turned).reciprocal_()
    ratio = (SCALE + turned) * inverse
    polynomial = torch.full_like(z, EXPANSION[0])
    for coefficient in EXPANSION[1:]:
        polynomial.mul_(ratio).add_(coefficient)
    w = polynomial.mul_(inverse).mul_(2).add_(1 / math.sqrt(math.pi)).mul_(inverse)
    # w' = 2 i / sqrt(pi) - 2 z w
    slope = z.mul_(w).mul_(-2)
    return w.real, -slope.imag - 2 / math.sqrt(math.pi), slope.real


def hjerting_far(damping: Tensor, away: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`hjerting_near` where v**2 + a**2 is above 36, within 1.2e-5 of the value.

    Examples
    --------
    >>> import torch
    >>> near, far = (f(torch.tensor(0.01).double(), torch.tensor(9.0).double())[0]
    ...              for f in (hjerting_near, hjerting_far))
    >>> bool(abs(far / near - 1) < 1e-6)
    True
    """
    square = damping * damping
    total, of_damping, of_away = (torch.zeros_like(square * away) for _ in range(3))
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        shifted = away - node
        lorentz = (shifted * shifted + square).reciprocal_()
        total.add_(lorentz, alpha=weight / math.pi)
        lorentz.mul_(lorentz)
        of_damping.add_(lorentz, alpha=weight / math.pi)
        of_away.addcmul_(lorentz, shifted, value=-2 * weight / math.pi)
    return (
        total * damping,
        total - 2 * square * of_damping,
        of_away.mul_(damping),
    )


class Profiles(NamedTuple):
    """What the profiles of lines are at each layer, shape (line, layer) each.

    Attributes
    ----------
    peak
        Absorption coefficient at the centre if there were no damping, cm-1.
    per_doppler
        1 over the Doppler width, A-1.
    damping
        Half the Lorentz width over the Doppler width.
    """

    peak: Tensor
    per_doppler: Tensor
    damping: Tensor


class _Stretches(NamedTuple):
    """Runs of pixels that one line adds to: its index, the first pixel, the sum of the lengths."""

    line: Tensor
    first: Tensor
    ends: Tensor

    @classmethod
    def of(cls, line: Tensor, first: Tensor, last: Tensor) -> "_Stretches":
        keep = last > first
        return cls(line[keep], first[keep], (last - first)[keep].cumsum(0))

    def pairs(self, layers: int) -> list[tuple[Tensor, Tensor]]:
        """Line and pixel of all, some at a time."""
        total, size = int(self.ends[-1]) if self.ends.numel() else 0, max(PAIRS // layers, 1)
        return [self._pairs(start, min(start + size, total)) for start in range(0, total, size)]

    def _pairs(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        number = torch.arange(start, stop, device=self.ends.device)
        run = torch.searchsorted(self.ends, number, right=True)
        begin = torch.where(run > 0, self.ends[run - 1], 0)
        return self.line[run], self.first[run] + number - begin


def _near_and_far(ranges: Tensor) -> tuple[tuple, tuple]:
    """The profile for the cores of lines and for their wings, and where each is to be used."""
    first, inner, outer, last = ranges
    line = torch.arange(first.numel(), device=first.device)
    wings = (torch.cat(pair) for pair in ((line, line), (first, outer), (inner, last)))
    near, far = _Stretches.of(line, inner, outer), _Stretches.of(*wings)
    return (hjerting_near, near), (hjerting_far, far)


class _Sum(torch.autograd.Function):
    """The sum of profiles by tensor operations, on any device."""

    @staticmethod
    def forward(ctx, peak, per_doppler, damping, wavelength, centre, ranges):
        ctx.save_for_backward(peak, per_doppler, damping, wavelength, centre, ranges)
        opacity = peak.new_zeros(wavelength.numel(), peak.shape[1])
        for profile, stretches in _near_and_far(ranges):
            for line, pixel in stretches.pairs(peak.shape[1]):
                away = (wavelength[pixel] - centre[line]).abs_()[:, None]
                value, _, _ = profile(damping[line], away * per_doppler[line])
                opacity.index_add_(0, pixel, value * peak[line])
        return opacity

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        peak, per_doppler, damping, wavelength, centre, ranges = ctx.saved_tensors
        of_peak, of_per_doppler, of_damping = (torch.zeros_like(peak) for _ in range(3))
        for profile, stretches in _near_and_far(ranges):
            for line, pixel in stretches.pairs(peak.shape[1]):
                away = (wavelength[pixel] - centre[line]).abs_()[:, None]
                value, by_damping, by_away = profile(damping[line], away * per_doppler[line])
                upstream = grad[pixel]
                of_peak.index_add_(0, line, value * upstream)
                upstream = upstream * peak[line]
                of_damping.index_add_(0, line, by_damping * upstream)
                of_per_doppler.index_add_(0, line, by_away.mul_(away).mul_(upstream))
        return of_peak, of_per_doppler, of_damping, None, None, None


class _SumOnCpu(torch.autograd.Function):
    """The same by compiled loops, some ten times faster there."""

    @staticmethod
    def forward(ctx, peak, per_doppler, damping, wavelength, centre, ranges):
        saved = [x.contiguous() for x in (wavelength, centre, ranges, peak, per_doppler, damping)]
        ctx.save_for_backward(*saved)
        opacity = peak.new_zeros(wavelength.numel(), peak.shape[1])
        add_lines(opacity.numpy(), *(x.detach().numpy() for x in saved))
        return opacity

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        saved = [x.detach() for x in ctx.saved_tensors]
        gradients = [torch.zeros_like(x) for x in saved[3:]]
        arrays = (x.numpy() for x in (grad.contiguous(), *saved, *gradients))
        gradient_of_lines(*arrays)
        return *gradients, None, None, None


def sum_profiles(
    wavelength: Float[Tensor, " pixel"],
    centre: Float[Tensor, " line"],
    reach: Float[Tensor, " line"],
    profiles: Profiles,
) -> Float[Tensor, "pixel layer"]:
    """The absorption coefficient of lines, differentiable in their profiles.

    Parameters
    ----------
    wavelength
        Increasing wavelengths in Angstrom.
    centre
        Of the lines, Angstrom in the same medium.
    reach
        Distance from its centre, in Angstrom, at which a line is cut.
    profiles
        The lines' profiles at each layer.

    Returns
    -------
    Tensor
        cm-1.

    Notes
    -----
    All in float64, which the wings of strong lines need. Only the inputs are kept for the gradient,
    whatever the number of lines and pixels. There are no second derivatives.
    """
    core = torch.minimum(FAR / profiles.per_doppler.detach().amin(dim=1), reach)
    edges = torch.stack([centre - reach, centre - core, centre + core, centre + reach])
    ranges = torch.searchsorted(wavelength, edges)
    add = _SumOnCpu if wavelength.device.type == "cpu" else _Sum
    return add.apply(*profiles, wavelength, centre, ranges)
