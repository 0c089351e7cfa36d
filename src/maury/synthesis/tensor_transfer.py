"""Formal solution on tensors, with its adjoint written by hand."""

import itertools
import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from maury.synthesis.constants import SECOND_RADIATION

__all__ = ["emergent_flux"]

# E3(tau) = sum of COEFFICIENTS times the powers 1, 2 and 8 of exp(-RATE tau), within 2.1e-4, and so
# is its integral E4: by Lawson's algorithm on 0 to 30, both exact at 0. Powers of one exponential
# are cheaper than three exponentials.
RATE = 1.17
COEFFICIENTS = (0.29624985, 0.18208368, 0.02166647)
LEAST_EXPONENT = -30.0  # of exp: what lies so deep is not seen
PIECE = {"cpu": 1 << 18}  # elements (layer, pixel) at a time: what stays in the cache
PIECE_ELSEWHERE = 1 << 24
FIRST_RADIATION = 1.191042972e-5  # 2 h c^2, erg cm2 s-1


def _powers(first: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    second = first * first
    # Denormal numbers would be slow: the eighth power ends at 1e-36.
    eighth = second.clamp(min=1e-9).square_().square_()
    return first, second, eighth


def _between(powers: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """The same half way, in optical depth, between each layer and the next."""
    return _powers((powers[0][:, :-1] * powers[0][:, 1:]).sqrt_())


def _e3(powers: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    a, b, c = COEFFICIENTS
    return (a * powers[0]).add_(powers[1], alpha=b).add_(powers[2], alpha=c)


def _e3_slope(powers: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """To the exponent, which is optical depth times minus the rate."""
    a, b, c = COEFFICIENTS
    return (a * powers[0]).add_(powers[1], alpha=2 * b).add_(powers[2], alpha=8 * c)


class _Emergence(torch.autograd.Function):
    """Sum over layers of E3(tau) times weights, piece by piece of pixels.

    ``columns`` takes the layers' opacities to exponents, minus the rate times optical depth; ``at``
    (batch, piece, node, layer) weighs E3 at the layers, ``between`` half way to the next;
    ``colour`` (node, pixel) takes the sums at a piece's nodes of wavelength to its pixels. Only the
    inputs are kept for the adjoint, which computes the rest again.
    """

    @staticmethod
    def forward(ctx, ln_opacity, columns, at, between, colour, pieces):
        flux = ln_opacity.new_empty(ln_opacity.shape[0], ln_opacity.shape[2])
        for i, pixels in enumerate(pieces):
            exponent = torch.bmm(columns, torch.exp(ln_opacity[:, :, pixels]))
            powers = _powers(exponent.clamp_(min=LEAST_EXPONENT).exp_())
            sums = flux.new_zeros(flux.shape[0], colour.shape[0], exponent.shape[2])
            for factor, x, y in zip(COEFFICIENTS, powers, _between(powers), strict=True):
                sums.baddbmm_(at[:, i], x, alpha=factor).baddbmm_(between[:, i], y, alpha=factor)
            flux[:, pixels] = sums.mul_(colour[:, pixels]).sum(dim=1)
        ctx.save_for_backward(ln_opacity, columns, at, between, colour)
        ctx.pieces = pieces
        return flux

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        ln_opacity, columns, at, between, colour = ctx.saved_tensors
        structure = any(ctx.needs_input_grad[1:4])
        of_opacity = torch.empty_like(ln_opacity)
        of_columns = torch.zeros_like(columns)
        of_at, of_between = torch.zeros_like(at), torch.zeros_like(between)
        for i, pixels in enumerate(ctx.pieces):
            opacity = torch.exp(ln_opacity[:, :, pixels])
            exponent = torch.bmm(columns, opacity)
            seen = exponent > LEAST_EXPONENT
            powers = _powers(exponent.clamp_(min=LEAST_EXPONENT).exp_())
            middle = _between(powers)
            upstream = grad[:, None, pixels] * colour[:, pixels]
            of_exponent = torch.bmm(at[:, i].mT, upstream).mul_(_e3_slope(powers))
            half = torch.bmm(between[:, i].mT, upstream).mul_(_e3_slope(middle)).mul_(0.5)
            of_exponent[:, :-1] += half
            of_exponent[:, 1:] += half
            of_exponent.mul_(seen)
            torch.mul(torch.bmm(columns.mT, of_exponent), opacity, out=of_opacity[:, :, pixels])
            if structure:
                of_at[:, i] = torch.bmm(upstream, _e3(powers).mT)
                of_between[:, i] = torch.bmm(upstream, _e3(middle).mT)
                of_columns.baddbmm_(of_exponent, opacity.mT)
        return of_opacity, of_columns, of_at, of_between, None, None


def _columns(rhox: Tensor) -> Tensor:
    """The matrix that takes the opacities of the layers to their optical depths.

    The trapezoidal rule with its end correction, see `maury.synthesis.transfer.column_weights`.
    """
    step = torch.diff(rhox, dim=1)
    before, after = step[:, :-1], step[:, 1:]
    both = before + after
    # Slopes at the layers: of parabolas, at either end of the straight line.
    slope = torch.diag_embed(
        torch.cat([-1 / step[:, :1], (after - before) / (before * after), 1 / step[:, -1:]], dim=1)
    )
    slope = slope + torch.diag_embed(
        torch.cat([1 / step[:, :1], before / (after * both)], dim=1), offset=1
    )
    slope = slope + torch.diag_embed(
        torch.cat([-after / (before * both), -1 / step[:, -1:]], dim=1), offset=-1
    )
    correction = (step**2 / 12)[:, :, None] * (slope[:, :-1] - slope[:, 1:])
    # Above the first layer its opacity holds.
    own = torch.cat([rhox[:, :1], step / 2], dim=1)
    steps = torch.diag_embed(own) + torch.diag_embed(step / 2, offset=-1)
    return (steps + torch.nn.functional.pad(correction, (0, 0, 1, 0))).cumsum(dim=1)


def _pieces(shape: torch.Size, device: torch.device) -> Iterator[slice]:
    batch, layers, pixels = shape
    size = max(PIECE.get(device.type, PIECE_ELSEWHERE) // (batch * layers), 64)
    count = -(-pixels // size)
    edges = [round(i * pixels / count) for i in range(count + 1)]
    return (slice(*pair) for pair in itertools.pairwise(edges))


def _planck(wavelength: Tensor, temperature: Tensor) -> Tensor:
    """B_lambda in erg s-1 cm-2 A-1 sr-1; the arguments broadcast."""
    scale = FIRST_RADIATION * 1e32 / wavelength**5
    return scale / torch.expm1(SECOND_RADIATION / (wavelength * temperature))


def _colours(wavelength: Tensor, pieces: list[slice]) -> tuple[Tensor, Tensor]:
    """Wavelengths (piece, node) to compute Planck's function at, and weights (node, pixel)."""
    first = torch.stack([wavelength[p.start] for p in pieces])
    last = torch.stack([wavelength[p.stop - 1] for p in pieces])
    # Chebyshev's nodes: within 1e-5 from 2500 K up.
    count = 3 + math.ceil(float((last - first).max()) / 250.0)
    angles = (2 * torch.arange(count, dtype=wavelength.dtype, device=wavelength.device) + 1) / count
    nodes = torch.cos(angles * (math.pi / 2))
    centre, half = (first + last) / 2, ((last - first) / 2).clamp(min=1e-6)
    sizes = torch.tensor([p.stop - p.start for p in pieces], device=wavelength.device)
    place = (wavelength - centre.repeat_interleave(sizes)) / half.repeat_interleave(sizes)
    weights = []
    for node in range(count):
        others = torch.cat([nodes[:node], nodes[node + 1 :]])
        weights.append((place - others[:, None]).prod(dim=0) / (nodes[node] - others).prod())
    return centre[:, None] + half[:, None] * nodes, torch.stack(weights)


def emergent_flux(
    ln_opacity: Float[Tensor, "batch layer pixel"],
    rhox: Float[Tensor, "batch layer"],
    temperature: Float[Tensor, "batch layer"],
    wavelength: Float[Tensor, " pixel"],
) -> Float[Tensor, "batch pixel"]:
    """Flux at the stellar surface, differentiable in all but the wavelengths.

    Parameters
    ----------
    ln_opacity
        Natural logarithm of the opacity, cm2 g-1, continuum and lines together.
    rhox
        Column mass of each layer, g cm-2, from the top down.
    temperature
        K.
    wavelength
        Increasing wavelengths in Angstrom; best in float64.

    Returns
    -------
    Tensor
        erg s-1 cm-2 A-1, of ``ln_opacity``'s dtype and on its device.

    Notes
    -----
    The source function is Planck's, linear in optical depth between layers:
    F / pi = S_0 + 2 sum over layers of dS times the mean of E3 between them (e.g. Hubeny & Mihalas
    2014, Sect. 12.4). E3 is a sum of three exponentials and its mean Simpson's, so that nothing
    cancels in thin layers. It differs from `maury.synthesis.transfer.emergent_flux` by less than
    3e-4. The first derivatives are exact and take about two solutions; there are no second ones.

    Examples
    --------
    An isothermal atmosphere shines as a black body, whatever its opacity:

    >>> rhox, temperature = torch.logspace(-3, 1, 60)[None], torch.full((1, 60), 5000.0)
    >>> wave = torch.tensor([5000.0, 5001.0], dtype=torch.float64)
    >>> flux = emergent_flux(torch.zeros(1, 60, 2), rhox, temperature, wave)
    >>> black = 3.14159 * 1.191043e-5 * 1e32 / wave**5 / torch.expm1(1.438777e8 / wave / 5000)
    >>> bool(torch.allclose(flux[0].double(), black, rtol=1e-5))
    True
    """
    pieces = list(_pieces(ln_opacity.shape, ln_opacity.device))
    nodes, colour = _colours(wavelength, pieces)
    dtype = ln_opacity.dtype
    source = math.pi * _planck(nodes.to(dtype)[None, :, :, None], temperature[:, None, None, :])
    rise = torch.diff(source, dim=-1)
    at = (torch.nn.functional.pad(rise, (1, 0)) + torch.nn.functional.pad(rise, (0, 1))) / 3
    colour = colour.to(dtype)
    columns = -RATE * _columns(rhox)
    flux = _Emergence.apply(ln_opacity, columns, at, rise * (4 / 3), colour, pieces)
    sizes = torch.tensor([p.stop - p.start for p in pieces], device=colour.device)
    surface = source[..., 0].repeat_interleave(sizes, dim=1)
    return flux + torch.einsum("bpn,np->bp", surface, colour)
