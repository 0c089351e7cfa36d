"""Opacity tables: the opacity of a gas at every pixel, computed once and interpolated for stars."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path

import numpy as np
from astropy.config import get_cache_dir

from maury.errors import SynthesisError
from maury.synthesis.atmosphere import Atmosphere
from maury.synthesis.continuum import continuum_opacity
from maury.synthesis.elements import abundances
from maury.synthesis.equation_of_state import solve
from maury.synthesis.hydrogen import hydrogen_opacity
from maury.synthesis.linelist import LineList, standard_lines
from maury.synthesis.lines import line_opacity
from maury.synthesis.opacity_nodes import coefficient_table, node_states, spline_matrix
from maury.synthesis.opacity_transfer import (
    CONTINUUM_STEP,
    LOG_LEVEL,
    LOG_STEP,
    MARGIN,
    STEP,
    continuum_wavelength,
    emergent_spectrum,
)
from maury.synthesis.synthesize import COVERAGE
from maury.wavelength import air_to_vacuum

__all__ = ["OpacityTable", "check_vmic", "fingerprint"]

HIGHEST_VMIC = 5.0  # km/s
CHUNK = 16  # nodes computed at a time
PARTS = 16  # of a table, written one by one
# Lines are followed to this fraction of the continuum; in cool gas, where molecules are a thousand
# times as opaque, ten times as far would change 1e-4 of the opacity and take twice as long.
CUTOFF, COOL_CUTOFF, COOL = 3e-4, 3e-3, 3000.0
# What a table's content follows from, besides the line list.
PHYSICS = (
    "constants.py", "continuum.py", "elements.py", "equation_of_state.py", "hydrogen.py",
    "lines.py", "opacity.py", "opacity_nodes.py",
)  # fmt: skip
DATA = (
    "continuum.npz",
    "equation_of_state.npz",
    "hydrogen_lines.npz",
    "photoionization.npz",
)


@dataclass(frozen=True, eq=False)
class OpacityTable:
    """ln of the opacity per gram over (ln T, log P) at fixed abundances and microturbulence.

    A star's spectrum then takes the interpolation of its layers' opacities, see `spline_stencil`,
    and a formal solution: no line is summed. The electron density is solved from temperature,
    pressure and abundances, and not taken from the model.

    Parameters
    ----------
    lines
        Coefficients of cubic B-splines, shape (coefficient, pixel), 100 pixels more on either side
        than the table's range: ln of cm2 g-1 from e^3 on in steps of 4e-4, 16-bit integers; may be
        mapped from disk.
    continuum
        The same without lines every 5 A, float32, ln of cm2 g-1, shape (coefficient, point).
    start
        First wavelength, Angstrom in air, stellar rest frame; the steps are 0.01 A.
    mh, alpha, vmic
        What it was computed for: dex, dex, km/s.
    """

    lines: np.ndarray
    continuum: np.ndarray
    start: float
    mh: float
    alpha: float
    vmic: float

    @property
    def wavelength(self) -> np.ndarray:
        """Angstrom in air, shape (pixel,)."""
        return self.start + STEP * np.arange(self.lines.shape[1] - 2 * MARGIN)

    @classmethod
    def cached(
        cls,
        *,
        mh: float = 0.0,
        alpha: float = 0.0,
        vmic: float = 1.0,
        lines: LineList | None = None,
        span: tuple[float, float] = COVERAGE,
        folder: Path | None = None,
    ) -> OpacityTable:
        """The table of these abundances, computed if it is not on disk yet.

        The whole range takes some three minutes of one core, shared by numba's threads, and 400 MB.

        Parameters
        ----------
        mh, alpha
            [M/H] and [alpha/M], dex.
        vmic
            Microturbulence, km/s.
        lines
            The line list; the embedded one, calibrated on the Sun, where it is left out.
        span
            First and last wavelength, Angstrom in air.
        folder
            Where tables are kept; astropy's cache folder where it is left out.

        Raises
        ------
        SynthesisError
            If the folder cannot be written, or the lines do not cover the range.
        """
        if not COVERAGE[0] <= span[0] < span[1] <= COVERAGE[1]:
            raise SynthesisError(
                f"an opacity table from {span[0]:g} to {span[1]:g} A cannot be made; the lines "
                f"cover {COVERAGE[0]:g} to {COVERAGE[1]:g} A (air)"
            )
        lines = standard_lines() if lines is None else lines
        folder = Path(get_cache_dir()) / "maury" if folder is None else folder
        path = folder / f"opacity-{fingerprint(lines, span, mh, alpha, vmic)}.npy"
        side = path.with_suffix(".continuum.npy")
        if not (path.exists() and side.exists()):
            part = path.with_suffix(f".{os.getpid()}.part")
            try:
                folder.mkdir(parents=True, exist_ok=True)
                np.save(side, _compute(part, lines, span, mh, alpha, vmic))
                part.replace(path)
            except OSError as error:
                raise SynthesisError(
                    f"the opacity table {path} cannot be written ({error.strerror})"
                ) from None
            finally:
                if folder.is_dir():
                    part.unlink(missing_ok=True)
        table = np.load(path, mmap_mode="r")
        return cls(table, np.load(side), span[0], mh, alpha, vmic)

    def flux(
        self, atmosphere: Atmosphere, vmic: float | None = None, workers: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Flux and continuum flux at the surface of a star of this table's abundances.

        Parameters
        ----------
        atmosphere
            The model; its [M/H] ought to be the table's.
        vmic
            Microturbulence, km/s, the table's or more; the table's where it is left out.
        workers
            Threads.

        Returns
        -------
        flux, continuum
            erg s-1 cm-2 A-1, float32, shape (pixel,) each, at `wavelength`.

        Raises
        ------
        SynthesisError
            If the atmosphere is unlike those that tables are made for.
        """
        turbulence = self.vmic if vmic is None else check_vmic(vmic, self.vmic)
        return emergent_spectrum([self], [1.0], atmosphere, turbulence, workers)


def check_vmic(vmic: float, lowest: float) -> float:
    """The microturbulence (km/s), if a table made with ``lowest`` can be widened to it.

    Raises
    ------
    SynthesisError
        If it cannot.
    """
    if not lowest <= vmic <= HIGHEST_VMIC:
        raise SynthesisError(
            f"vmic = {vmic:g} km/s is not allowed with opacity tables; it must be {lowest:g} to "
            f"{HIGHEST_VMIC:g} km/s"
        )
    return float(vmic)


def fingerprint(
    lines: LineList, span: tuple[float, float], mh: float, alpha: float, vmic: float
) -> str:
    """A name that changes with all that a table depends on, the physics and its data included."""
    digest = hashlib.sha256()
    for field in fields(lines):
        value = getattr(lines, field.name)
        if isinstance(value, np.ndarray):
            digest.update(np.ascontiguousarray(value).tobytes())
        else:
            digest.update(repr(value).encode())
    for name in PHYSICS:
        digest.update((files("maury.synthesis") / name).read_bytes())
    for name in DATA:
        digest.update((files("maury.data") / name).read_bytes())
    temperature, log_pressure = node_states()
    settings = (
        mh, alpha, vmic, temperature.tolist(), log_pressure.tolist(), span, STEP, MARGIN,
        CONTINUUM_STEP, LOG_LEVEL, LOG_STEP,
    )  # fmt: skip
    digest.update(json.dumps(settings).encode())
    return digest.hexdigest()[:16]


def _compute(
    path: Path,
    lines: LineList,
    span: tuple[float, float],
    mh: float,
    alpha: float,
    vmic: float,
) -> np.ndarray:
    """Write the line table to ``path``; return the continuum's."""
    total, continuum = _at_nodes(lines, span, mh, alpha, vmic)
    matrix = spline_matrix()[coefficient_table().ravel() >= 0]
    total -= LOG_LEVEL
    with path.open("wb") as file:
        shape = (len(matrix), total.shape[1])
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<i2", "fortran_order": False, "shape": shape}
        )
        for part in np.array_split(matrix.astype(np.float32) / np.float32(LOG_STEP), PARTS):
            quantised = np.round(part @ total)
            file.write(np.clip(quantised, -32768, 32767).astype("<i2").tobytes())
    return (matrix @ continuum).astype(np.float32)


def _at_nodes(
    lines: LineList, span: tuple[float, float], mh: float, alpha: float, vmic: float
) -> tuple[np.ndarray, np.ndarray]:
    """ln of the opacity per gram at (node, pixel), and of the continuum's at (node, point)."""
    abundance = abundances(mh, alpha)
    size = round((span[1] - span[0]) / STEP) + 1
    wavelength = span[0] + STEP * np.arange(-MARGIN, size + MARGIN)
    coarse = continuum_wavelength(span[0], size)
    temperature, log_pressure = node_states()
    result = np.empty((temperature.size, wavelength.size), np.float32)
    level = np.empty((temperature.size, coarse.size))
    # Of even sizes: lines are judged by every third state of a chunk.
    for chunk in np.array_split(np.arange(temperature.size), -(-temperature.size // CHUNK)):
        gas = solve(temperature[chunk], 10.0 ** log_pressure[chunk], abundance)
        continuum = continuum_opacity(air_to_vacuum(coarse), gas)
        level[chunk] = np.log(continuum / gas.density[:, None])
        cutoff = COOL_CUTOFF if temperature[chunk].max() < COOL else CUTOFF
        opacity = line_opacity(
            wavelength, lines, gas, vmic, continuum, coarse[0], CONTINUUM_STEP, cutoff
        )
        hydrogen_opacity(opacity, air_to_vacuum(wavelength), gas, vmic)
        for d, node in enumerate(chunk):
            total = opacity[:, d] + np.interp(wavelength, coarse, continuum[d])
            result[node] = np.log(total / gas.density[d])
    return result, level
