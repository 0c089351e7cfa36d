"""Voigt profiles of many lines summed on tensors, with the derivatives written by hand."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["Profiles", "hjerting_far", "hjerting_near", "sum_profiles"]

# The expansion of Weideman 1994, SIAM J. Numer. Anal. 31, 1497, Eqs. 37 and 38: no branches.
TERMS = 32
_ANGLE = np.arange(1 - 2 * TERMS, 2 * TERMS) * np.pi / (2 * TERMS)
SCALE = math.sqrt(TERMS / math.sqrt(2))
_TANGENT = SCALE * np.tan(_ANGLE / 2)
_SAMPLES = np.append(0.0, np.exp(-(_TANGENT**2)) * (SCALE**2 + _TANGENT**2))
EXPANSION = (np.fft.fft(np.fft.fftshift(_SAMPLES)).real[TERMS:0:-1] / (4 * TERMS)).tolist()
# Farther than this from z = 0 four Lorentz profiles, a Gauss-Hermite quadrature of the convolution,
# are within 1.2e-5.
FAR = 6.0
NODES, WEIGHTS = (x.tolist() for x in np.polynomial.hermite.hermgauss(4))
PAIRS = {"cpu": 1 << 15}  # (pixel, layer) at a time: what stays in the cache
PAIRS_ELSEWHERE = 1 << 24


def hjerting_near(damping: Tensor, away: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The Hjerting function H(a, v) and its derivatives to a and v.

    Parameters
    ----------
    damping, away
        a and v, not negative; they broadcast.

    Returns
    -------
    value, of_damping, of_away
        Within 1e-13 in double precision; in single precision within 1e-6 of 1, which is not enough
        for the wings of the strongest lines.

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

    def pairs(self, size: int) -> "list[tuple[Tensor, Tensor]]":
        """Line and pixel of all, at most ``size`` at a time."""
        total = int(self.ends[-1]) if self.ends.numel() else 0
        return [self._pairs(start, min(start + size, total)) for start in range(0, total, size)]

    def _pairs(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        number = torch.arange(start, stop, device=self.ends.device)
        run = torch.searchsorted(self.ends, number, right=True)
        begin = torch.where(run > 0, self.ends[run - 1], 0)
        return self.line[run], self.first[run] + number - begin


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, peak, per_doppler, damping, wavelength, centre, near, far):
        ctx.save_for_backward(peak, per_doppler, damping, wavelength, centre)
        ctx.stretches = ((hjerting_near, near), (hjerting_far, far))
        opacity = peak.new_zeros(wavelength.numel(), peak.shape[1])
        for profile, stretches in ctx.stretches:
            for line, pixel in _chunks(stretches, peak):
                away = (wavelength[pixel] - centre[line]).abs_().to(peak.dtype)[:, None]
                value, _, _ = profile(damping[line], away * per_doppler[line])
                opacity.index_add_(0, pixel, value * peak[line])
        return opacity

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        peak, per_doppler, damping, wavelength, centre = ctx.saved_tensors
        of_peak, of_per_doppler, of_damping = (torch.zeros_like(peak) for _ in range(3))
        for profile, stretches in ctx.stretches:
            for line, pixel in _chunks(stretches, peak):
                away = (wavelength[pixel] - centre[line]).abs_().to(peak.dtype)[:, None]
                value, by_damping, by_away = profile(damping[line], away * per_doppler[line])
                upstream = grad[pixel]
                of_peak.index_add_(0, line, value * upstream)
                upstream = upstream * peak[line]
                of_damping.index_add_(0, line, by_damping * upstream)
                of_per_doppler.index_add_(0, line, by_away.mul_(away).mul_(upstream))
        return of_peak, of_per_doppler, of_damping, None, None, None, None


def _chunks(stretches: _Stretches, peak: Tensor) -> list[tuple[Tensor, Tensor]]:
    return stretches.pairs(max(PAIRS.get(peak.device.type, PAIRS_ELSEWHERE) // peak.shape[1], 1))


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
    Only the inputs are kept for the gradient, whatever the number of lines and pixels.
    """
    edges = (centre - reach, centre + reach)
    first, last = (torch.searchsorted(wavelength, x) for x in edges)
    core = torch.minimum(FAR / profiles.per_doppler.detach().amin(dim=1), reach)
    edges = (centre - core, centre + core)
    inner, outer = (torch.searchsorted(wavelength, x) for x in edges)
    line: Int[Tensor, " line"] = torch.arange(centre.numel(), device=centre.device)
    far = _Stretches.of(
        torch.cat([line, line]), torch.cat([first, outer]), torch.cat([inner, last])
    )
    near = _Stretches.of(line, inner, outer)
    return _Sum.apply(*profiles, wavelength, centre, near, far)
