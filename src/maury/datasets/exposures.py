"""Sets of simulated exposures: which stars, under which skies; kept as intrinsic spectra."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import pyarrow as pa

from maury.datasets.filling import Row, fill
from maury.datasets.nuisances import ExposureNuisances
from maury.datasets.observatory import ExposurePixels
from maury.datasets.sampling import Range, sample
from maury.datasets.starlight import Starlight, StarSolver
from maury.datasets.store import SpectrumStore
from maury.errors import SynthesisError
from maury.grid import HARPS, WavelengthGrid
from maury.instrument.settings import Settings
from maury.labels import LabelSet
from maury.synthesis.emulator_solver import check_emulated, emulator_checksum
from maury.synthesis.opacity import check_vmic
from maury.synthesis.opacity_grid import LOWEST_VMIC
from maury.synthesis.provenance import code_fingerprint, code_version
from maury.synthesis.synthesize import FLUX_UNIT, LineStrengths, check_parameters

__all__ = [
    "ETC_LABELS",
    "NIGHT",
    "STAR",
    "EtcSimulation",
    "ExposureSimulation",
    "GenerativeSimulation",
    "Split",
    "fastest",
    "simulate_exposures",
]

Split = Literal["train", "val", "test"]

STAR: Mapping[str, Range] = MappingProxyType(
    {
        "teff": Range(3000.0, 11000.0),
        "logg": Range(3.5, 5.0),
        "mh": Range(-1.2, 0.4),
        "vmic": Range(2.0, 2.0),
        "vsini": Range(0.0, 0.0),
        "vmac": Range(0.0, 0.0),
    }
)
"""What a star's spectrum depends on, and its ranges in Sect. 3.1 of Cvrcek et al. 2024."""

NIGHT: Mapping[str, Range] = MappingProxyType(
    {
        "magnitude": Range(3.0, 12.0),
        "exposure": Range(10.0, 3600.0),
        "airmass": Range(1.0, 2.9),
        "pwv": Range(0.05, 30.0),
        "moon": Range(0.0, 1.0),
        "seeing": Range(0.5, 2.0),
        "rv": Range(-100.0, 100.0),
        "berv": Range(-30.0, 30.0),
    }
)
"""How it is observed: `maury.instrument.settings.Settings`; rv is that of Sect. 3.2."""

ETC_LABELS = LabelSet.from_names(("rv", "berv", "teff", "mh", "logg", "airmass", "pwv"))
"""The seven labels of the generative set; water vapour is known for simulated spectra alone."""

MOST_SPECTRA = 1_000_000
LARGEST_SEED = 2**63
SHARD = 16  # spectra a file


@dataclass(frozen=True, kw_only=True)
class ExposureSimulation(ABC):
    """What the sets of exposures have in common.

    Parameters
    ----------
    split
        ``"train"``, ``"val"`` or ``"test"``: streams of the seed that have no star in common.
    seed
        With the split and the number of a star it fixes the star and its exposure.
    ranges
        Of some of `STAR` and `NIGHT`, in place of what stands there: K, dex, km/s; mag, s, mm,
        share of the disk, arcsec.
    grid
        Of the exposures, air, barycentric.
    nuisances
        What is left out of the paper's simulation; nothing by default.
    line_strengths, solver
        As of `maury.datasets.starlight.Starlight`.

    Raises
    ------
    SynthesisError
        If a quantity is unknown or can take a value that cannot be computed.
    GridError
        If nothing can be computed on the grid.
    """

    split: Split = "train"
    seed: int = 0
    ranges: Mapping[str, Range] = field(default_factory=dict)
    grid: WavelengthGrid = HARPS
    nuisances: ExposureNuisances = field(default_factory=ExposureNuisances)
    line_strengths: LineStrengths = "calibrated"
    solver: StarSolver = "table"

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        known = {**STAR, **NIGHT}
        unknown = [name for name in self.ranges if name not in known]
        if unknown:
            raise SynthesisError(
                f"No quantity is called {unknown[0]!r}; there are {', '.join(known)}."
            )
        for name, allowed in (
            ("split", get_args(Split)),
            ("solver", get_args(StarSolver)),
            ("line_strengths", get_args(LineStrengths)),
        ):
            if getattr(self, name) not in allowed:
                raise SynthesisError(
                    f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}."
                )
        object.__setattr__(self, "ranges", {**known, **self.ranges})
        for name, interval in self.ranges.items():
            if interval.step is not None:
                raise SynthesisError(f"{name} = {interval} has a step, which has no meaning here.")
            lower, upper = Settings.RANGES.get(name, (-np.inf, np.inf))
            if not lower <= interval.low <= interval.high <= upper:
                raise SynthesisError(
                    f"{name} = {interval} is not allowed; it must be {lower:g} to {upper:g}."
                )
        for end in ("low", "high"):
            star = {name: getattr(self.ranges[name], end) for name in STAR}
            check_parameters(**star)
            if self.solver == "table":
                check_vmic(star["vmic"], LOWEST_VMIC)
            if self.solver == "emulator":
                check_emulated(star)
        ExposurePixels.of(self.grid, fastest(self.ranges))

    @property
    def starlight(self) -> Starlight:
        """What computes a row's spectrum."""
        return Starlight(
            grid=ExposurePixels.of(self.grid, fastest(self.ranges)).wide,
            solver=self.solver,
            line_strengths=self.line_strengths,
            line_errors=self.nuisances.line_strengths,
        )

    @abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """Every exposure: its star, its night and the seed of its noise, in order."""

    def settings(self) -> dict[str, Any]:
        """All that the spectra and exposures depend on, as plain values."""
        return {
            "kind": self.kind,
            "unit": FLUX_UNIT,
            "split": self.split,
            "seed": self.seed,
            **{name: str(interval) for name, interval in self.ranges.items()},
            "exposure_grid": self.grid.to_dict(),
            "nuisances": self.nuisances.model_dump(mode="json"),
            "lines": self.line_strengths,
            "solver": self.solver,
            **({"emulator": emulator_checksum()} if self.solver == "emulator" else {}),
            "version": code_version(),
            "code": code_fingerprint(),
        }

    def _draw(self, n: int) -> list[dict[str, Any]]:
        """Stars and nights, independent and uniform."""
        if not 1 <= n <= MOST_SPECTRA:
            raise SynthesisError(f"n = {n} is not allowed; it must be 1 to {MOST_SPECTRA:,}.")
        stream = (self.seed, *self.kind.encode(), get_args(Split).index(self.split))
        values = sample(self.ranges, "uniform", n, stream)
        return [
            {
                "star": f"{self.split} {number}",
                "split": self.split,
                **dict(zip(self.ranges, row, strict=True)),
                "noise_seed": _number(*stream, number),
            }
            for number, row in enumerate(values.tolist())
        ]


def fastest(ranges: Mapping[str, Range]) -> float:
    """The largest shift by a velocity that there can be, km/s."""
    return max(abs(end) for name in ("rv", "berv") for end in (ranges[name].low, ranges[name].high))


def columns(kind: str) -> pa.Schema:
    """Columns of the catalogue of a set of this kind."""
    numbers = [(name, pa.float64()) for name in (*STAR, *NIGHT)]
    generative = [("core", pa.int64()), ("label", pa.string()), ("variation", pa.int64())]
    return pa.schema(
        [
            ("star", pa.string()),
            ("split", pa.string()),
            *numbers,
            ("noise_seed", pa.int64()),
            *(generative if kind == "generative" else []),
            ("flux_v", pa.float64()),
        ]
    )


@dataclass(frozen=True, kw_only=True)
class EtcSimulation(ExposureSimulation):
    """The paper's "ETC dataset": every star and its exposure independent of all others.

    Parameters
    ----------
    n
        How many; the first of a larger set are a smaller one's. The paper has 42,000, 1000 and
        1000 of the three splits.
    split, seed, ranges, grid, nuisances, line_strengths, solver
        As of `ExposureSimulation`.

    Examples
    --------
    >>> row = EtcSimulation(n=3, split="val", seed=1).rows()[2]
    >>> row["star"], row["vmic"], 3000 <= row["teff"] <= 11000
    ('val 2', 2.0, True)
    """

    n: int

    kind: ClassVar[str] = "etc"

    def rows(self) -> list[dict[str, Any]]:
        """One for each star."""
        return self._draw(self.n)


@dataclass(frozen=True, kw_only=True)
class GenerativeSimulation(ExposureSimulation):
    """The paper's "generative ETC dataset" (Sect. 3.1): one label at a time is changed.

    Of every core, a star under a sky, there is a set for each label, in which that label alone
    takes values that are evenly spaced over its range, ends included; noise is drawn with the
    same numbers throughout a core.

    Parameters
    ----------
    cores, variations
        How many cores, and how many values of a label.
    labels
        The labels that are changed.
    split, seed, ranges, grid, nuisances, line_strengths, solver
        As of `ExposureSimulation`.

    Examples
    --------
    >>> rows = GenerativeSimulation(split="test", cores=20, variations=7).rows()
    >>> len(rows), [row["teff"] for row in rows if row["core"] == 0 and row["label"] == "teff"][:2]
    (980, [3000.0, 4333.333333333333])
    """

    cores: int = 20
    variations: int = 7
    labels: Sequence[str] = ETC_LABELS.names

    kind: ClassVar[str] = "generative"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variations < 2:
            raise SynthesisError(f"variations = {self.variations} is not allowed; at least 2 are.")
        for name in self.labels:
            if name not in self.ranges:
                raise SynthesisError(
                    f"No label {name!r} can be changed; there are {', '.join(self.ranges)}."
                )
            if self.ranges[name].fixed:
                raise SynthesisError(
                    f"The label {name} cannot be changed, for it is fixed at {self.ranges[name]}."
                )

    def rows(self) -> list[dict[str, Any]]:
        """Core by core, label by label."""
        return [
            {**core, name: value, "core": index, "label": name, "variation": number}
            for index, core in enumerate(self._draw(self.cores))
            for name in self.labels
            for number, value in enumerate(
                np.linspace(self.ranges[name].low, self.ranges[name].high, self.variations).tolist()
            )
        ]

    def settings(self) -> dict[str, Any]:
        """See `ExposureSimulation.settings`."""
        return {
            "variations": self.variations,
            "labels": list(self.labels),
            **super().settings(),
        }


def simulate_exposures(
    simulation: ExposureSimulation,
    folder: str | Path,
    *,
    workers: int = 1,
    cluster: str | None = None,
    report: Callable[[int, int], object] | None = None,
    announce: Callable[[str], object] | None = None,
) -> SpectrumStore:
    """Compute the spectra that a folder lacks.

    What is kept is the star's spectrum at the spectrograph's resolution and, in the catalogue, how
    it is observed; `maury.datasets.stored_exposures.StoredExposures` makes the exposures of it.

    Parameters
    ----------
    simulation
        What to compute. The same with more spectra goes on where a smaller set ends.
    folder
        Where to keep it; made where it is missing.
    workers, cluster, report
        As of `maury.datasets.filling.fill`.
    announce
        Called with what is done before the first: opacity tables that are made.

    Raises
    ------
    TargetError
        If the folder belongs to another simulation, or is being filled by another process.
    MauryError
        If it cannot be written, or the processes cannot start.
    """
    starlight = simulation.starlight

    def prepare(missing: list[Row]) -> None:
        # Before several processes want the same table.
        starlight.make_tables([row["mh"] for row in missing], announce)

    return fill(
        folder,
        settings=simulation.settings(),
        grid=starlight.grid,
        frame="rest",
        columns=columns(simulation.kind),
        rows=simulation.rows(),
        compute=starlight,
        shard=SHARD,
        workers=workers,
        cluster=cluster,
        prepare=prepare,
        report=report,
    )


def _number(*key: int) -> int:
    """A seed that the key fixes, below 2^63."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
    return int(state) % LARGEST_SEED
