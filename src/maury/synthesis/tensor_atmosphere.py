"""Model atmospheres as tensors that know their derivatives."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from maury.errors import SynthesisError
from maury.synthesis.atmosphere import atmosphere_grid

__all__ = ["interpolate_atmosphere"]


NAMES = {"mh": "[M/H]", "teff": "Teff", "logg": "log g"}


@cache
def _grid(device: torch.device, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    grid = atmosphere_grid()
    nodes = [torch.tensor(grid[name], dtype=dtype, device=device) for name in NAMES]
    # The electron density is left out: the equation of state solves for its own.
    return nodes, torch.tensor(grid["layers"][..., :3], dtype=dtype, device=device)


def _bracket(name: str, nodes: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Lower node and fraction, which alone is differentiable."""
    outside = ~((value >= nodes[0]) & (value <= nodes[-1]))
    if outside.any():
        raise SynthesisError(
            f"{NAMES[name]} = {float(value[outside][0]):g} is outside the atmosphere grid; "
            f"allowed is {float(nodes[0]):g} to {float(nodes[-1]):g}."
        )
    i = torch.searchsorted(nodes, value.detach().contiguous(), right=True) - 1
    i = i.clamp(0, nodes.numel() - 2)
    return i, (value - nodes[i]) / (nodes[i + 1] - nodes[i])


def interpolate_atmosphere(
    teff: Float[Tensor, " batch"], logg: Float[Tensor, " batch"], mh: Float[Tensor, " batch"]
) -> Float[Tensor, "batch layer 3"]:
    """Interpolate the grid of model atmospheres, as `maury.synthesis.atmosphere` does.

    Parameters
    ----------
    teff
        Effective temperature, K.
    logg
        log10 of the surface gravity in cm s-2.
    mh
        Metallicity [M/H], dex.

    Returns
    -------
    Tensor
        Natural logarithms of column mass (g cm-2), temperature (K) and gas pressure (dyn cm-2) of
        each layer from the top down, of the parameters' dtype and on their device.

    Raises
    ------
    SynthesisError
        If a parameter is outside the grid.

    Notes
    -----
    Trilinear, so that the gradient jumps at the grid's nodes; exactly at a node it is the one on
    the side of larger parameters (at the last node the one below).

    Examples
    --------
    >>> teff = torch.tensor([5777.0], requires_grad=True)
    >>> layers = interpolate_atmosphere(teff, torch.tensor([4.44]), torch.tensor([0.1]))
    >>> layers.shape
    torch.Size([1, 72, 3])
    >>> layers[0, 53, 1].backward()  # ln T near an optical depth of 2/3
    >>> bool(0.9 < teff.grad * teff < 1.1)  # which goes about as Teff does
    True
    """
    nodes, layers = _grid(teff.device, teff.dtype)
    brackets = [
        _bracket(name, axis, value)
        for name, axis, value in zip(NAMES, nodes, (mh, teff, logg), strict=True)
    ]
    (m, mf), (t, tf), (g, gf) = brackets
    columns = torch.zeros((), dtype=teff.dtype, device=teff.device)
    for a, metal in ((m, 1 - mf), (m + 1, mf)):
        for b, heat in ((t, 1 - tf), (t + 1, tf)):
            for c, gravity in ((g, 1 - gf), (g + 1, gf)):
                columns = columns + (metal * heat * gravity)[:, None, None] * layers[a, b, c]
    return columns
