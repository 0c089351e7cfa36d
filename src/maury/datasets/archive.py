"""A mock archive: exposures that stand in for HARPS's own where these are not at hand.

What is in it is made up, and its name says so wherever it goes. It differs on purpose from what
`maury simulate etc` makes: stars are those of a catalogue, with several exposures each and labels
that are known of some; lines are not as strong as in the line list; stars rotate, their continua
have waves and steps; and spots, which no label tells of, come and go.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from maury.data import load_table
from maury.datasets.filling import Row, fill
from maury.datasets.nights import draw_nights
from maury.datasets.nuisances import (
    ContinuumShape,
    Damage,
    ExposureNuisances,
    LineStrengthErrors,
    StrengthField,
)
from maury.datasets.observatory import ExposurePixels, Observatory
from maury.datasets.population import EXPOSURES_PER_STAR, Population, draw_population
from maury.datasets.starlight import Starlight, StarSolver
from maury.datasets.store import SpectrumStore
from maury.errors import SpectrumError, SynthesisError
from maury.grid import HARPS, WavelengthGrid
from maury.instrument.settings import Settings
from maury.synthesis.emulator_solver import emulator_checksum, emulator_limits
from maury.synthesis.provenance import code_fingerprint, code_version

__all__ = ["INSTRUMENT", "MockArchive", "simulate_archive"]

INSTRUMENT = "HARPS (mock)"
"""What the instrument of these spectra is called."""

NUISANCES = ExposureNuisances(
    line_strengths=LineStrengthErrors(
        fields=(
            StrengthField(sigma=0.08, correlation=8.0),
            StrengthField(sigma=0.03, correlation=3000.0),
        ),
        deletions=1.5,
        deletion_width=10.0,
    ),
    continuum=ContinuumShape(slope=0.1, ripple=0.005, ripple_length=40.0, orders=0.01),
    damage=Damage(chunks=0, crop=0.0, cosmics=4),
)
"""The domain gap: lines that differ from the line list, in all stars of an archive alike; what
blaze and merging of orders leave of each exposure's continuum; cosmic rays."""

LEAST_RATIO = 5.0  # of signal to noise: the archive's few failures are left out
OFFSET = 0.05  # km/s, standard deviation of the errors of the wavelength scale
SPOT_VARIATION = 0.5  # of the spots' share, as the star turns
FASTEST = 300.0  # km/s: no star moves out of the grid
SHARD = 16
MOST_STARS, MOST_EXPOSURES = 100_000, 1000.0

COLUMNS = pa.schema(
    [
        ("star", pa.string()),
        ("instrument", pa.string()),
        *(
            (name, pa.float64())
            for name in (
                *("teff", "logg", "mh", "rv", "berv", "airmass", "pwv"),
                *("ra", "dec", "mjd", "exposure", "magnitude", "seeing", "moon", "snr", "level"),
                *("hidden_teff", "hidden_logg", "hidden_mh", "hidden_rv", "hidden_pwv"),
                *("hidden_vmic", "hidden_vmac", "hidden_vsini"),
                *("hidden_spots", "hidden_spot_teff", "hidden_offset"),
            )
        ),
        ("noise_seed", pa.int64()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class MockArchive:
    """Which exposures there are.

    Parameters
    ----------
    stars
        How many.
    exposures
        Mean number of exposures of a star; 36.8, as in the real set, by default. Few stars have
        many, and every star has one at least.
    seed
        With the other settings it fixes everything.
    grid
        Of the exposures, air, barycentric.
    solver
        As of `maury.datasets.starlight.Starlight`. With ``"emulator"`` there are only stars that
        the embedded emulator knows, and spots are no cooler than it allows.

    Raises
    ------
    SynthesisError
        If one of these is not allowed.

    Examples
    --------
    >>> archive = MockArchive(stars=3, exposures=4, seed=1)
    >>> row = archive.rows()[0]
    >>> row["star"], row["instrument"], 3000 <= row["hidden_teff"] <= 11000
    ('mock 00000', 'HARPS (mock)', True)
    """

    stars: int
    exposures: float = EXPOSURES_PER_STAR
    seed: int = 0
    grid: WavelengthGrid = HARPS
    solver: StarSolver = "table"

    def __post_init__(self) -> None:
        if not 1 <= self.stars <= MOST_STARS:
            raise SynthesisError(
                f"stars = {self.stars} is not allowed; it must be 1 to {MOST_STARS:,}."
            )
        if not 1 <= self.exposures <= MOST_EXPOSURES:
            raise SynthesisError(
                f"exposures = {self.exposures:g} a star are not allowed; it must be 1 to "
                f"{MOST_EXPOSURES:g}."
            )
        if self.seed < 0:
            raise SynthesisError(f"seed = {self.seed} is not allowed; it must not be negative.")
        if self.solver not in get_args(StarSolver):
            raise SynthesisError(
                f"No solver is called {self.solver!r}; there are {', '.join(get_args(StarSolver))}."
            )

    def rows(self) -> list[dict[str, Any]]:
        """All that is planned of each exposure, star by star.

        ``teff``, ``logg``, ``mh`` and ``rv`` are NaN where the mock catalogue does not know them,
        ``pwv`` always, as in the real set. What begins with ``hidden_`` is the truth, which no
        model may be trained on.
        """
        random = np.random.default_rng([self.seed, *b"mock"])
        limits = emulator_limits() if self.solver == "emulator" else None
        stars = draw_population(self.stars, self.exposures, random, limits)
        of_star = np.repeat(np.arange(self.stars), stars.exposures)
        nights = draw_nights(stars.ra[of_star], stars.dec[of_star], random)
        size = of_star.size
        ratio = _signal_to_noise(self.stars, random)[of_star] * random.lognormal(0.0, 0.2, size)
        exposure = exposure_time(stars.magnitude[of_star], ratio)
        turned = nights.mjd / stars.period[of_star] + random.random(self.stars)[of_star]
        variation = 1 + SPOT_VARIATION * np.sin(2 * np.pi * turned)
        columns = {
            **{name: np.where(stars.known[name], value, np.nan)[of_star]
               for name, value in _labels(stars).items()},
            "berv": nights.berv,
            "airmass": nights.airmass,
            "pwv": np.full(size, np.nan),
            "ra": stars.ra[of_star],
            "dec": stars.dec[of_star],
            "mjd": nights.mjd - exposure / 2 / 86400,
            "exposure": exposure,
            "magnitude": stars.magnitude[of_star],
            "seeing": np.clip(random.lognormal(math.log(0.9), 0.3, size), 0.4, 2.5),
            "moon": nights.moon,
            **{f"hidden_{name}": value[of_star] for name, value in _labels(stars).items()},
            "hidden_pwv": np.clip(random.lognormal(math.log(3.0), 0.6, size), 0.3, 20.0),
            "hidden_vmic": stars.vmic[of_star],
            "hidden_vmac": stars.vmac[of_star],
            "hidden_vsini": stars.vsini[of_star],
            "hidden_spots": stars.spots[of_star] * variation,
            "hidden_spot_teff": stars.spot_teff[of_star],
            "hidden_offset": OFFSET * random.standard_normal(size),
            "noise_seed": random.integers(0, 2**63, size),
        }  # fmt: skip
        values = zip(
            of_star.tolist(), *(column.tolist() for column in columns.values()), strict=True
        )
        return [
            {"star": f"mock {star:05d}", "instrument": INSTRUMENT,
             **dict(zip(columns, row, strict=True))}
            for star, *row in values
        ]  # fmt: skip

    def settings(self) -> dict[str, Any]:
        """All that the spectra depend on, as plain values."""
        return {
            "kind": "mock",
            "instrument": INSTRUMENT,
            "unit": None,
            "stars": self.stars,
            "exposures": self.exposures,
            "seed": self.seed,
            "solver": self.solver,
            **({"emulator": emulator_checksum()} if self.solver == "emulator" else {}),
            "nuisances": NUISANCES.model_dump(mode="json"),
            "version": code_version(),
            "code": code_fingerprint(),
        }


def simulate_archive(
    archive: MockArchive,
    folder: str | Path,
    *,
    workers: int = 1,
    cluster: str | None = None,
    report: Callable[[int, int], object] | None = None,
    announce: Callable[[str], object] | None = None,
) -> SpectrumStore:
    """Make the exposures that a folder lacks.

    They are what `maury ingest` makes of real ones: barycentric, on the grid, divided by the
    median over valid pixels (Eq. 2 of Cvrcek et al. 2024), which is in the column ``level``, and
    NaN where there is no signal.

    Parameters
    ----------
    archive
        What to make.
    folder, workers, cluster, report
        As of `maury.datasets.filling.fill`.
    announce
        Called with what is done before the first: opacity tables that are made.

    Raises
    ------
    TargetError
        If the folder belongs to another archive, or is being filled by another process.
    SynthesisError
        If the solver does not reach the grid.
    MauryError
        If it cannot be written, or the processes cannot start.
    """
    exposure = MockExposure(archive.grid, archive.solver, archive.seed)
    starlight = exposure.starlight

    def prepare(missing: list[Row]) -> None:
        # Before several processes want the same table.
        starlight.make_tables([row["hidden_mh"] for row in missing], announce)

    return fill(
        folder,
        settings=archive.settings(),
        grid=archive.grid,
        frame="barycentric",
        columns=COLUMNS,
        rows=archive.rows(),
        compute=exposure,
        shard=SHARD,
        workers=workers,
        cluster=cluster,
        prepare=prepare,
        report=report,
    )


def exposure_time(magnitude: NDArray[np.float64], ratio: NDArray[np.float64]) -> NDArray[Any]:
    """Seconds, 15 to 3600, that give about this signal-to-noise ratio.

    ESO's figure is taken, 110 a pixel for V = 6 in 60 s, and that the photons are the noise.

    Examples
    --------
    >>> exposure_time(np.array([6.0, 8.5]), np.array([110.0, 110.0]))
    array([ 60., 600.])
    """
    seconds = 60.0 * (ratio / 110.0) ** 2 * 10 ** (0.4 * (magnitude - 6.0))
    return np.clip(np.rint(seconds), 15.0, 3600.0)


def _labels(stars: Population) -> dict[str, NDArray[np.float64]]:
    return {"teff": stars.teff, "logg": stars.logg, "mh": stars.mh, "rv": stars.rv}


def _signal_to_noise(size: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Of the exposures of each star, as those of ESO's archive are distributed."""
    quantiles = load_table("stars")["signal_to_noise"].astype(np.float64)
    places = (np.arange(quantiles.size) + 0.5) / quantiles.size
    return np.maximum(np.interp(random.random(size), places, quantiles), LEAST_RATIO)


@dataclass(frozen=True)
class MockExposure:
    """What makes a planned row's exposure.

    Parameters
    ----------
    grid
        Of the exposure.
    solver
        Of the stars' spectra.
    seed
        Of the errors of the lines.
    """

    grid: WavelengthGrid
    solver: StarSolver
    seed: int

    def __call__(self, row: Row) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Flux over its median, NaN where there is none; that median, and signal to noise.

        Raises
        ------
        SpectrumError
            If no pixel is valid.
        """
        sed, flux_v = self._star(row)
        settings = Settings(
            magnitude=row["magnitude"],
            exposure=row["exposure"],
            airmass=row["airmass"],
            pwv=row["hidden_pwv"],
            moon=row["moon"],
            seeing=row["seeing"],
            # The error of the wavelength scale moves star and spectrograph alike.
            rv=row["hidden_rv"] + row["hidden_offset"],
            berv=row["berv"] + row["hidden_offset"],
        )
        exposed = _observatory(self.pixels).expose(
            sed, settings, torch.tensor([flux_v]), seeds=[row["noise_seed"]]
        )
        flux, sigma, valid = (term[0].numpy() for term in exposed)
        valid = valid & np.isfinite(flux)
        if not valid.any():
            raise SpectrumError("The exposure has no valid pixel.")
        level = float(np.median(flux[valid]))
        if not level > 0:
            raise SpectrumError("The exposure has no signal.")
        near = valid & (np.abs(self.grid.wavelength - 5500.0) < 50.0)
        near = near if near.any() else valid
        ratio = float(np.median(flux[near] / sigma[near]))
        found = {"level": level, "snr": ratio}
        return np.where(valid, flux / np.float32(level), np.float32(np.nan)), found

    def _star(self, row: Row) -> tuple[Tensor, float]:
        """Star with its spots: flux at the surface, [1, pixel], and its mean over the V band."""
        shared = {"logg": "logg", "mh": "mh", "vmic": "vmic", "vsini": "vsini", "vmac": "vmac"}
        star = {name: row[f"hidden_{column}"] for name, column in shared.items()}
        share = row["hidden_spots"]
        warm, spots = row["hidden_teff"], row["hidden_spot_teff"]
        flux, flux_v = _disks(self, (warm, spots) if share > 0 else (warm,), **star)
        if share == 0:
            return flux, float(flux_v[0])
        return torch.lerp(flux[:1], flux[1:], share), float(flux_v[0] + share * np.diff(flux_v)[0])

    @property
    def pixels(self) -> ExposurePixels:
        """Those that exposures are computed on."""
        return ExposurePixels.of(self.grid, FASTEST)

    @property
    def starlight(self) -> Starlight:
        """What computes the spectra of the stars."""
        return Starlight(
            grid=self.pixels.wide, solver=self.solver, line_errors=NUISANCES.line_strengths
        )


@lru_cache(maxsize=1)
def _disks(
    exposure: MockExposure, teff: tuple[float, ...], **star: float
) -> tuple[Tensor, NDArray[np.float64]]:
    # The exposures of a star follow one another.
    flux, flux_v = exposure.starlight.at_temperatures({**star, "noise_seed": exposure.seed}, teff)
    return torch.from_numpy(flux), flux_v


@lru_cache(maxsize=1)
def _observatory(pixels: ExposurePixels) -> Observatory:
    return Observatory(pixels, NUISANCES)
