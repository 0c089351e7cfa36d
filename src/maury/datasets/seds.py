"""Sets of intrinsic spectra from first principles."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from maury.datasets.filling import Row, fill
from maury.datasets.sampling import Range, Sampling, sample
from maury.datasets.store import SpectrumStore
from maury.errors import SynthesisError
from maury.grid import WavelengthGrid
from maury.synthesis.linelist import LineList, standard_lines
from maury.synthesis.opacity import check_vmic
from maury.synthesis.opacity_grid import LOWEST_VMIC
from maury.synthesis.provenance import code_fingerprint, code_version
from maury.synthesis.synthesize import (
    FLUX_UNIT,
    LineStrengths,
    Solver,
    check_parameters,
    check_wavelengths,
    synthesize,
)
from maury.synthesis.table_solver import tables_for, tables_needed

__all__ = ["PARAMETERS", "SedSimulation", "simulate_seds"]

PARAMETERS: Mapping[str, Range] = MappingProxyType(
    {
        "teff": Range(3000.0, 11000.0),
        "logg": Range(3.5, 5.0),
        "mh": Range(-1.5, 0.5),
        "vmic": Range(0.5, 3.0),
        "alpha": Range(0.0, 0.0),
        "vsini": Range(0.0, 0.0),
        "vmac": Range(0.0, 0.0),
    }
)
"""The parameters of a star, and the ranges that are taken where none are given."""

GRID = WavelengthGrid(start=3785.0, step=0.01, size=312_501)

COLUMNS = pa.schema(
    [
        *((name, pa.float64()) for name in (*PARAMETERS, "resolving_power", "seconds")),
        ("sampling", pa.string()),
        ("seed", pa.int64()),
        *((name, pa.float64()) for name in ("start", "stop", "step")),
        ("medium", pa.string()),
        ("normalized", pa.bool_()),
        *((name, pa.string()) for name in ("solver", "lines", "version", "code")),
    ]
)

# What tables give takes a tenth of a second, a sum of lines several.
SHARDS: Mapping[Solver, int] = MappingProxyType({"direct": 1, "table": 16})


@dataclass(frozen=True, kw_only=True)
class SedSimulation:
    """Which spectra to compute, and how.

    Parameters
    ----------
    n
        How many; see `maury.datasets.sampling.sample`.
    sampling
        ``"uniform"``, ``"sobol"`` or ``"grid"``.
    seed
        Of uniform and sobol.
    ranges
        Of some of `PARAMETERS`, in place of what stands there: K, dex, dex, km/s, dex, km/s, km/s.
    grid
        Wavelengths, in the stellar rest frame.
    normalized
        Divide by the continuum.
    resolving_power
        Of an instrument's Gaussian profile; None for none.
    line_strengths, solver
        As of `maury.synthesis.synthesize.synthesize`.

    Raises
    ------
    SynthesisError
        If a parameter is unknown or can take a value that cannot be computed.

    Examples
    --------
    >>> sun = {"teff": Range(5772, 5772), "logg": Range(4.438, 4.438), "mh": Range(0, 0)}
    >>> star = SedSimulation(n=2, ranges=sun, seed=3).parameters()[1]
    >>> star["teff"], round(star["vmic"], 2), star["vsini"]
    (5772.0, 1.48, 0.0)
    """

    n: int | None = None
    sampling: Sampling = "uniform"
    seed: int = 0
    ranges: Mapping[str, Range] = field(default_factory=dict)
    grid: WavelengthGrid = GRID
    normalized: bool = False
    resolving_power: float | None = None
    line_strengths: LineStrengths = "calibrated"
    solver: Solver = "direct"

    def __post_init__(self) -> None:
        unknown = [name for name in self.ranges if name not in PARAMETERS]
        if unknown:
            raise SynthesisError(
                f"No parameter is called {unknown[0]!r}; there are {', '.join(PARAMETERS)}."
            )
        if self.solver not in get_args(Solver):
            raise SynthesisError(
                f"No solver is called {self.solver!r}; there are {', '.join(get_args(Solver))}."
            )
        if self.line_strengths not in get_args(LineStrengths):
            raise SynthesisError(
                f"The line strengths must be {' or '.join(get_args(LineStrengths))}, not "
                f"{self.line_strengths!r}."
            )
        object.__setattr__(self, "ranges", {**PARAMETERS, **self.ranges})
        check_wavelengths(self.grid.wavelength, self.grid.medium)
        for end in ("low", "high"):
            check_parameters(
                **{name: getattr(interval, end) for name, interval in self.ranges.items()},
                resolving_power=self.resolving_power,
            )
            if self.solver == "table":
                check_vmic(getattr(self.ranges["vmic"], end), LOWEST_VMIC)
        if self.solver == "table" and not self.ranges["alpha"].fixed:
            raise SynthesisError(
                f"alpha = {self.ranges['alpha']} needs the direct solver: opacity tables hold for "
                "one value, each set of them takes minutes and gigabytes."
            )

    @property
    def line_list(self) -> LineList:
        """The lines."""
        return standard_lines(calibrated=self.line_strengths == "calibrated")

    def parameters(self) -> list[dict[str, float]]:
        """Of each star, in order."""
        values = sample(self.ranges, self.sampling, self.n, self.seed)
        return [dict(zip(self.ranges, row, strict=True)) for row in values.tolist()]

    def settings(self) -> dict[str, Any]:
        """All that the spectra depend on, as plain values."""
        return {
            "kind": "seds",
            "n": self.n,
            "sampling": self.sampling,
            "seed": self.seed,
            **{name: str(interval) for name, interval in self.ranges.items()},
            "normalized": self.normalized,
            "unit": None if self.normalized else FLUX_UNIT,
            "resolving_power": self.resolving_power,
            "lines": self.line_strengths,
            "solver": self.solver,
            "version": code_version(),
            "code": code_fingerprint(),
        }


def simulate_seds(
    simulation: SedSimulation,
    folder: str | Path,
    *,
    workers: int = 1,
    cluster: str | None = None,
    report: Callable[[int, int], object] | None = None,
    announce: Callable[[str], object] | None = None,
) -> SpectrumStore:
    """Compute the spectra that a folder lacks.

    Whatever ends it, what is in the folder stays, and the next call with the same simulation
    computes the rest: those that are missing and those that failed. Parameters and spectra depend
    on the simulation alone, not on the number of processes nor on how often it was interrupted.

    Parameters
    ----------
    simulation
        What to compute.
    folder
        Where to keep it; made where it is missing.
    workers
        Processes, each on one core. A script that calls this needs the usual
        ``if __name__ == "__main__":``.
    cluster
        Address of a Ray cluster in the place of the processes; see
        `maury.datasets.cluster.share_on_cluster`.
    report
        Called with the number of spectra that are done or failed and that of all: at the start
        and after each.
    announce
        Called with what is done before the first: opacity tables that are made.

    Returns
    -------
    SpectrumStore
        A spectrum that could not be computed has its reason in the catalogue.

    Raises
    ------
    TargetError
        If the folder belongs to another simulation, or is being filled by another process.
    MauryError
        If it cannot be written, or the processes cannot start.
    """
    settings = simulation.settings()
    grid = simulation.grid
    facts = {
        **{name: settings[name] for name in ("sampling", "seed", "normalized", "resolving_power")},
        **{name: settings[name] for name in ("lines", "solver", "version", "code")},
        **{"start": grid.start, "stop": grid.stop, "step": grid.step, "medium": grid.medium},
    }

    def make_tables(missing: list[Row]) -> None:
        if simulation.solver == "table":
            _make_tables(simulation, [row["mh"] for row in missing], announce)

    return fill(
        folder,
        settings=settings,
        grid=grid,
        frame="rest",
        columns=COLUMNS,
        rows=[{**star, **facts} for star in simulation.parameters()],
        compute=_Synthesis(simulation),
        shard=SHARDS[simulation.solver],
        workers=workers,
        cluster=cluster,
        prepare=make_tables,
        report=report,
    )


def _make_tables(
    simulation: SedSimulation,
    metallicity: list[float],
    announce: Callable[[str], object] | None,
) -> None:
    """Have them on disk before several processes want the same one."""
    _, air = check_wavelengths(simulation.grid.wavelength, simulation.grid.medium)
    tables = tables_for(air, simulation.line_list, simulation.ranges["alpha"].low)
    needed = tables_needed(metallicity)
    for k, mh in enumerate(needed):
        if announce is not None:
            announce(f"Opacity table {k + 1} of {len(needed)}: [M/H] = {mh:+.2f}")
        tables.table(mh)


@dataclass(frozen=True)
class _Synthesis:
    """The spectrum of a star."""

    simulation: SedSimulation

    def __call__(self, row: Row) -> tuple[NDArray[np.float32], Row]:
        start = time.perf_counter()
        spectrum = synthesize(
            **{name: row[name] for name in PARAMETERS},
            resolving_power=self.simulation.resolving_power,
            wavelength=self.simulation.grid.wavelength,
            medium=self.simulation.grid.medium,
            normalized=self.simulation.normalized,
            line_strengths=self.simulation.line_strengths,
            solver=self.simulation.solver,
        )
        if not np.isfinite(spectrum.flux).all():
            raise SynthesisError("The flux is not finite everywhere.")
        return spectrum.flux.astype(np.float32), {"seconds": round(time.perf_counter() - start, 3)}
