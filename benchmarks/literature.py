"""Compare predictions of real spectra with the literature, star by star.

Run as ``python benchmarks/literature.py [FOLDER] [--json FILE]``. The folder, by default
``../shared/data/spectra`` beside the checkout, has a ``manifest.csv`` with the columns file, star,
kind, teff_K, logg, mh, rv_drs_ccf_kms, rv_fe_lines_kms, berv_kms and airmass_start.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from maury.errors import MauryError
from maury.inference.batch import Job, predict_files
from maury.inference.prediction import Prediction

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "spectra"
STELLAR = {"teff": ("teff_K", ".0f"), "logg": ("logg", ".2f"), "mh": ("mh", "+.2f")}
TEFF_RANGE = (4000.0, 7500.0)
NATIVE = "HARPS DRS s1d"


def number(text: str) -> float | None:
    """A number of the manifest, or None where the field is empty."""
    return float(text) if text.strip() else None


def stars(rows: list[dict[str, str]], predictions: list[Prediction]) -> list[dict[str, Any]]:
    """For each star the literature, and the medians over its exposures, refined and not."""
    groups: dict[str, list[tuple[dict[str, str], Prediction]]] = {}
    for row, prediction in zip(rows, predictions, strict=True):
        teff = number(row["teff_K"])
        if prediction.labels and teff is not None and TEFF_RANGE[0] <= teff <= TEFF_RANGE[1]:
            groups.setdefault(row["star"], []).append((row, prediction))
    records = []
    for star, group in groups.items():
        record: dict[str, Any] = {"star": star, "spectra": len(group)}
        for name, (column, _) in STELLAR.items():
            record[name] = {
                "literature": number(group[0][0][column]),
                "network": median(one.network[name].value for _, one in group),
                "refined": median(one.labels[name].value for _, one in group),
            }
        record["flags"] = sorted({flag for _, one in group for flag in one.flags})
        records.append(record)
    return records


def exposures(rows: list[dict[str, str]], predictions: list[Prediction]) -> list[dict[str, Any]]:
    """Velocity, BERV and airmass of the files as the pipeline wrote them, beside their headers."""
    records = []
    for row, prediction in zip(rows, predictions, strict=True):
        if not (row["kind"].startswith(NATIVE) and "delivered" in row["kind"]):
            continue
        if not prediction.labels:
            continue
        known = {
            "rv": number(row["rv_drs_ccf_kms"]) or number(row["rv_fe_lines_kms"]),
            "berv": number(row["berv_kms"]),
            "airmass": number(row["airmass_start"]),
        }
        record: dict[str, Any] = {"file": row["file"], "star": row["star"]}
        for name, value in known.items():
            record[name] = {
                "header": value,
                "network": prediction.network[name].value,
                "refined": prediction.labels[name].value,
            }
        records.append(record)
    return records


def stars_table(records: list[dict[str, Any]]) -> Table:
    """Medians, and in brackets how far they are from the literature."""
    table = Table(title="Medians over exposures", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("star", "spectra"):
        table.add_column(heading)
    for name in STELLAR:
        for side in ("literature", "network", "refined"):
            table.add_column(f"{name} {side}", justify="right")
    table.add_column("flags")
    for record in records:
        cells = [record["star"], str(record["spectra"])]
        for name, (_, spec) in STELLAR.items():
            values = record[name]
            cells.append(format(values["literature"], spec))
            for side in ("network", "refined"):
                off = values[side] - values["literature"]
                cells.append(f"{values[side]:{spec}} ({off:+{spec.lstrip('+')}})")
        table.add_row(*cells, ", ".join(record["flags"]))
    return table


def exposures_table(records: list[dict[str, Any]]) -> Table:
    """Largest and median deviations from the header, for each star."""
    table = Table(
        title="Refined less header, files as delivered: median (largest)",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        min_width=80,
    )
    for heading in ("star", "spectra", "RV [km/s]", "BERV [km/s]", "airmass"):
        table.add_column(heading.replace("[", r"\["), justify="right")
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(record["star"], []).append(record)
    for star, group in groups.items():
        cells = [star, str(len(group))]
        for name in ("rv", "berv", "airmass"):
            off = [
                one[name]["refined"] - one[name]["header"]
                for one in group
                if one[name]["header"] is not None
            ]
            cells.append(f"{median(off):+.2f} ({max(off, key=abs):+.2f})" if off else "-")
        table.add_row(*cells)
    return table


def main() -> int:
    """Predict what the manifest lists, print both tables, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    parser.add_argument("--model", help="card of a network, by default the embedded one")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    try:
        with (options.folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        print(
            f"{options.folder / 'manifest.csv'} cannot be read ({error.strerror}).", file=sys.stderr
        )
        return 1
    paths = [str(options.folder / row["file"]) for row in rows]
    try:
        predictions = list(predict_files(paths, Job(options.model), workers=options.workers))
    except MauryError as error:
        print(error, file=sys.stderr)
        return 1
    results = {"stars": stars(rows, predictions), "exposures": exposures(rows, predictions)}
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(stars_table(results["stars"]))
    console.print(exposures_table(results["exposures"]))
    for prediction in predictions:
        if prediction.error is not None:
            console.print(f"Not used: {prediction.error}", markup=False, soft_wrap=True)
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
