"""Model atmospheres: MARCS and ATLAS9 in one grid, interpolated in logarithms."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from maury.data import load_table
from maury.errors import SynthesisError

__all__ = ["Atmosphere", "atmosphere_grid", "model_atmosphere"]


@dataclass(frozen=True, eq=False)
class Atmosphere:
    """A plane-parallel atmosphere, from the top down.

    Parameters
    ----------
    rhox
        Column mass, g cm-2, shape (layer,).
    temperature
        Temperature, K.
    pressure
        Gas pressure, dyn cm-2.
    electron_density
        Electrons per cm3 as the model has them; the synthesis solves for its own.
    teff, logg, mh
        What the model was interpolated to or computed for: K, log10 of cm s-2, dex.
    alpha
        [alpha/M] of the model, dex.
    vmic
        Microturbulence that the model's own opacity has, km/s, where that is known.
    """

    rhox: np.ndarray
    temperature: np.ndarray
    pressure: np.ndarray
    electron_density: np.ndarray
    teff: float
    logg: float
    mh: float
    alpha: float = 0.0
    vmic: float | None = None


@cache
def atmosphere_grid() -> dict[str, np.ndarray]:
    """The embedded grid of model atmospheres.

    Returns
    -------
    dict
        ``mh`` (dex), ``teff`` (K) and ``logg``, increasing nodes; ``layers``, the natural logarithm
        of (rhox, temperature, pressure, electron density) in the units of `Atmosphere`, shape
        (mh, teff, logg, layer, column), from the top down.
    """
    table = load_table("atmospheres")
    return {**table, "layers": np.log(table["layers"].astype(np.float64))}


def _bracket(name: str, nodes: np.ndarray, value: float, unit: str) -> tuple[int, float]:
    if not nodes[0] <= value <= nodes[-1]:
        raise SynthesisError(
            f"{name} = {value:g}{unit} is outside the atmosphere grid; "
            f"allowed is {nodes[0]:g} to {nodes[-1]:g}{unit}."
        )
    i = int(np.clip(np.searchsorted(nodes, value, side="right") - 1, 0, nodes.size - 2))
    return i, float((value - nodes[i]) / (nodes[i + 1] - nodes[i]))


def model_atmosphere(teff: float, logg: float, mh: float) -> Atmosphere:
    """Interpolate the grid of model atmospheres.

    ATLAS9 from 4000 K up (Castelli & Kurucz 2003; vturb 2 km/s), MARCS from 3500 K down (Gustafsson
    et al. 2008, A&A 486, 951; plane-parallel). Trilinear in Teff, log g and [M/H], in the logarithm
    of every column at equal layer number. Both are scaled solar at every [M/H]: the electrons of
    these MARCS models are those of [alpha/M] = 0 to 0.006 dex, where 0.2 would give 0.05 to 0.1.

    The grid has one set of 72 layers, ATLAS9's, at Rosseland optical depths from 1e-6.875 to 100.
    The MARCS models were brought to these depths when the table was made; above tau = 1e-5, where
    they end, their columns go on as power laws of tau. The node at 3750 K is the mean of both, so
    that from 3500 to 4000 K the one passes into the other without a jump: at 4000 K the two are
    5-90 K apart where the continuum and most lines form, at 3500 K 50-250 K.

    Parameters
    ----------
    teff
        Effective temperature, 3000-11500 K.
    logg
        log10 of the surface gravity in cm s-2, 3.5-5.0.
    mh
        Metallicity [M/H], -1.5 to 0.5 dex.

    Raises
    ------
    SynthesisError
        If a parameter is outside the grid.

    Examples
    --------
    >>> sun = model_atmosphere(5777, 4.44, 0.0)
    >>> bool(5500 < np.interp(1.1e5, sun.pressure, sun.temperature) < 6800)
    True
    """
    grid = atmosphere_grid()
    result = np.zeros(grid["layers"].shape[-2:])
    brackets = [
        _bracket("[M/H]", grid["mh"], mh, " dex"),
        _bracket("Teff", grid["teff"], teff, " K"),
        _bracket("log g", grid["logg"], logg, ""),
    ]
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod([f if c else 1 - f for c, (_, f) in zip(corner, brackets, strict=True)])
        if weight:
            index = tuple(i + c for c, (i, _) in zip(corner, brackets, strict=True))
            result += weight * grid["layers"][index]
    # Each column by itself in memory: numba compiles once for all atmospheres.
    rhox, temperature, pressure, electrons = np.exp(result).T.copy()
    return Atmosphere(rhox, temperature, pressure, electrons, teff, logg, mh)
