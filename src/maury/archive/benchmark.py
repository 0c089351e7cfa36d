"""How long it takes to plan, cross-match and label a whole archive."""

from __future__ import annotations

import platform
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from astropy import units as u
from astropy.coordinates import AltAz, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from numpy.typing import NDArray

from maury.archive import manifest
from maury.archive.catalogue import build
from maury.archive.circumstances import LA_SILLA
from maury.archive.label_rows import LabelRows
from maury.benchmark import Benchmark

__all__ = ["Archive", "bench_archive", "plan"]

SPECTRA, STARS, ROWS = 267_361, 7_274, 10_000
"""Those of Cvrcek et al. (2024), and of a catalogue that is larger than they."""

NIGHTS = (52_936.0, 58_920.0)  # MJD of the first and the last exposure there
BYTES = 5_500_000  # of a product of HARPS
PAGE = 5_000  # products that are asked for at once
REFERENCE_STARS = 25

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Archive:
    """A manifest of random stars, and a catalogue that has them among others.

    Parameters
    ----------
    manifest : pyarrow.Table
        Of the schema `maury.archive.manifest.MANIFEST`.
    rows : LabelRows
        Half of the stars by name, and all of them by position with proper motion.
    star : intp[spectrum]
        Which row each exposure is of.
    """

    manifest: pa.Table
    rows: LabelRows
    star: NDArray[np.intp]

    @classmethod
    def draw(cls, spectra: int, stars: int, rows: int, seed: int = 0) -> Archive:
        """Random stars south of +30 degrees, few of which have most of the exposures.

        Proper motions are up to 3 arcsec a year each way, and the telescope points 6 arcsec beside
        the star on average.
        """
        random = np.random.default_rng(seed)
        ra = random.uniform(0, 360, rows)
        dec = np.degrees(np.arcsin(random.uniform(-1, 0.5, rows)))
        pmra, pmdec = np.clip(random.standard_t(2, (2, rows)) * 100.0, -3000, 3000)
        weight = random.pareto(1.2, stars) + 0.02
        star = np.concatenate(
            [np.arange(stars), random.choice(stars, spectra - stars, p=weight / weight.sum())]
        )
        mjd = random.uniform(*NIGHTS, spectra)
        years = (mjd - 51_544.5) / 365.25
        off = random.normal(0, 5 / 3600, (2, spectra))
        cosine = np.cos(np.radians(dec[star]))
        identifiers = pa.array(
            [
                f"ADP.2014-09-{1 + i // 86_400:02d}T{i // 3600 % 24:02d}:{i // 60 % 60:02d}:"
                f"{i % 60:02d}.000"
                for i in range(spectra)
            ]
        )
        columns: dict[str, Any] = {
            "dp_id": identifiers,
            "instrument": pa.array(["HARPS"] * spectra),
            "object": pa.array([f"HD{100_000 + i}" for i in range(stars)]).take(pa.array(star)),
            "ra": (ra[star] + years * pmra[star] / 3.6e6 / cosine + off[0] / cosine) % 360,
            "dec": dec[star] + years * pmdec[star] / 3.6e6 + off[1],
            "mjd_start": mjd,
            "mjd_end": mjd + 600 / 86_400,
            "exposure": np.full(spectra, 600.0),
            "snr": random.uniform(5, 200, spectra),
            "estimated_bytes": np.full(spectra, BYTES),
            "status": pa.array(["listed"] * spectra),
        }
        table = pa.table(
            [
                pa.array(columns[field.name], field.type)
                if field.name in columns
                else pa.nulls(spectra, field.type)
                for field in manifest.MANIFEST
            ],
            schema=manifest.MANIFEST,
        )
        teff = random.uniform(3500, 7000, rows)
        labels = {
            "teff": np.where(random.random(rows) < 0.7, teff, np.nan),
            "logg": np.where(random.random(rows) < 0.6, 4.4, np.nan),
            "mh": np.where(random.random(rows) < 0.5, random.normal(-0.1, 0.3, rows), np.nan),
            "rv": random.normal(0, 30, rows),
        }
        catalogue = LabelRows(
            source="synthetic",
            titles=[f"row {row}" for row in range(1, rows + 1)],
            names=[(f"HD {100_000 + i}",) if i < stars and i % 2 else () for i in range(rows)],
            ra=ra,
            dec=dec,
            pmra=pmra,
            pmdec=pmdec,
            epoch=np.full(rows, 2000.0),
            values=labels,
        )
        return cls(table, catalogue, star)


def plan(table: pa.Table, snr: float = 10.0) -> dict[str, float]:
    """How much a manifest's spectra above a signal to noise ratio are, and what is left to fetch.

    Parameters
    ----------
    table
        A manifest.
    snr
        The smallest that is wanted.

    Returns
    -------
    dict
        ``spectra``, ``gigabytes`` and ``pages`` of those that are not here.
    """
    wanted = pc.and_(pc.not_equal(table["status"], "done"), pc.greater_equal(table["snr"], snr))
    left = table.filter(wanted)
    size = float(pc.sum(left["estimated_bytes"]).as_py() or 0)
    return {
        "spectra": len(left),
        "gigabytes": size / 1e9,
        "pages": -(-len(left) // PAGE),
    }


def bench_archive(
    *, spectra: int = SPECTRA, stars: int = STARS, rows: int = ROWS, repeats: int = 3
) -> Benchmark:
    """Spectra a second that are planned, cross-matched and labelled, beside astropy star by star.

    The manifest is written, read and planned; its stars are found by name and by position, with
    proper motion to the time of each exposure; BERV and airmass are computed and filters applied.

    Parameters
    ----------
    spectra, stars, rows : int
        Size of the manifest and of the catalogue.
    repeats : int
        Turns, whose median counts.
    """
    archive = Archive.draw(spectra, stars, rows)
    turns, references = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats):
            turns.append(_ours(archive, Path(folder)))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
            references.append(_reference(archive))
    steps = {name: median(turn[name] for turn in turns) for name in turns[0]}
    seconds = sum(steps.values())
    return Benchmark(
        name="archive",
        ours=spectra / seconds,
        reference=median(references),
        unit="spectra/s",
        conditions=f"{spectra:,} spectra of {stars:,} stars, {rows:,} rows: {seconds:.1f} s and "
        f"at most {peak:.2f} GiB, median of {repeats}, processor time of one thread, "
        f"{platform.machine()}; reference: apply_space_motion, separation, "
        f"radial_velocity_correction and AltAz of astropy for each of {REFERENCE_STARS} stars",
        breakdown={name: 1e3 * value for name, value in steps.items()},
    )


def _ours(archive: Archive, folder: Path) -> dict[str, float]:
    """Seconds of each step."""
    path = folder / manifest.NAME
    began = time.process_time()
    manifest.write(archive.manifest, path)
    table = manifest.read(path)
    written = time.process_time()
    plan(table)
    planned = time.process_time()
    catalogue = build(table, [archive.rows])
    built = time.process_time()
    catalogue.write(folder / "catalogue.parquet")
    return {
        "manifest written and read": written - began,
        "plan": planned - written,
        "catalogue": built - planned,
        "catalogue written": time.process_time() - built,
    }


def _reference(archive: Archive) -> float:
    """Exposures a second by astropy, star by star."""
    ra, dec = (archive.manifest[name].to_numpy() for name in ("ra", "dec"))
    mjd = archive.manifest["mjd_start"].to_numpy()
    rows, count = archive.rows, 0
    chosen = np.linspace(0, archive.star.max(), REFERENCE_STARS, dtype=int)
    with iers.earth_orientation_table.set(iers.IERS_A.open(iers.IERS_A_FILE)):
        began = time.process_time()
        for star in chosen:
            here = np.flatnonzero(archive.star == star)
            when = Time(mjd[here], format="mjd", scale="utc")
            there = SkyCoord(
                ra=rows.ra[star] * u.deg,
                dec=rows.dec[star] * u.deg,
                pm_ra_cosdec=rows.pmra[star] * u.mas / u.yr,
                pm_dec=rows.pmdec[star] * u.mas / u.yr,
                distance=50 * u.pc,
                obstime=Time("J2000"),
            ).apply_space_motion(new_obstime=when)
            there.separation(SkyCoord(ra[here] * u.deg, dec[here] * u.deg))
            direction = SkyCoord(there.ra, there.dec)
            direction.radial_velocity_correction(obstime=when, location=LA_SILLA)
            _ = direction.transform_to(AltAz(obstime=when, location=LA_SILLA)).secz
            count += here.size
        return count / (time.process_time() - began)
