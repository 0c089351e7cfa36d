"""Model atmospheres: the ATLAS9 grid, interpolated in the logarithms of its columns."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from maury.data import load_table
from maury.errors import SynthesisError

__all__ = ["Atmosphere", "atlas9"]


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
def _grid() -> dict[str, np.ndarray]:
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


def atlas9(teff: float, logg: float, mh: float) -> Atmosphere:
    """Interpolate the ATLAS9 grid (Castelli & Kurucz 2003; vturb 2 km/s).

    Trilinear in Teff, log g and [M/H], in the logarithm of every column at equal layer number.

    Parameters
    ----------
    teff
        Effective temperature, 3500-11500 K.
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
    >>> sun = atlas9(5777, 4.44, 0.0)
    >>> bool(5500 < np.interp(1.1e5, sun.pressure, sun.temperature) < 6800)
    True
    """
    grid = _grid()
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
