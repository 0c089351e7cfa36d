"""The study from nothing to its report: data, training, measurements, tables, figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maury.evaluation.report import Finding, write_markdown, write_report
from maury.files import write_whole
from maury.grid import HARPS
from maury.study.drawing import Drawing
from maury.study.exposures import TestExposures, training_stores
from maury.study.figures import draw
from maury.study.findings import findings
from maury.study.measure import Measurements
from maury.study.measurements import measured
from maury.study.networks import StudiedNetwork
from maury.study.plan import ITEMS, PlannedRun, model_runs, plan, sweep_runs
from maury.study.report import commit, sections
from maury.study.resources import TIMED, Resources, resources
from maury.study.results import Results
from maury.study.runs import is_trained, train_missing, training_seconds
from maury.study.settings import SETTINGS
from maury.study.tables import TABLES
from maury.training.scale import SCALES

__all__ = ["study"]

RUNS, MEASUREMENTS, TIMES = "runs", "measurements", "times.json"

Say = Callable[[str], object]
Report = Callable[[str, int, int], object]


def study(
    items: Sequence[str],
    scale: str,
    folder: Path,
    *,
    archive: Path | None = None,
    overrides: Sequence[str] = (),
    command: str = "",
    say: Say,
    report: Report,
    progress: bool = True,
    train: bool = True,
) -> list[Finding]:
    """Make tables, figures and the report of what is asked for, with all that they need.

    What is there already is not made again, so that a study that was killed goes on, and one that
    is asked for more adds to what it has. In the folder come to be ``runs`` (one folder a network),
    the test exposures, ``measurements``, ``tables`` (CSV and text), ``figures`` (PNG and PDF),
    ``report.html`` and ``README.md``.

    Parameters
    ----------
    items
        Keys of `maury.study.plan.ITEMS`.
    scale
        Key of `SETTINGS`.
    folder
        Of the study.
    archive
        Store of observed exposures on the scale's grid; by default a mock archive is made.
    overrides
        Further changes of all recipes, as ``maury train --set`` takes them.
    command
        What the report says it was made by.
    say
        Called with a line about what comes next.
    report
        Called with what is being made, how many are done, and of how many.
    progress
        Draw the bars of the networks' training.
    train
        Train what is missing; else the report is of what is there.

    Returns
    -------
    list of Finding
        What the paper found, and whether it holds.

    Raises
    ------
    MauryError
        If something asked for does not exist, or something in the folder is not the study's.
    """
    settings = SETTINGS[scale]
    # What cannot be done is told before anything is made.
    plan(items, scale, overrides)
    changes = [*overrides, *training_stores(scale, folder, archive, report)]
    runs = plan(items, scale, changes)
    exposures = TestExposures.open(scale, folder, archive, report)
    if train:
        train_missing(runs, folder / RUNS, say, progress=progress)
    else:
        runs = [run for run in runs if is_trained(run, folder / RUNS)]

    # Each network is measured once, whatever it is shown in.
    found: dict[str, Measurements] = {}
    for number, run in enumerate(runs):
        report("networks measured", number, len(runs))
        found[run.path] = _measured(run, folder, exposures, settings.shifted)
    report("networks measured", len(runs), len(runs))
    results = Results(
        {name: found[run.path] for name, run in model_runs(_models(items), scale, changes).items()
         if run.path in found},
        {
            sweep: {value: found[run.path]
                    for value, run in sweep_runs(sweep, scale, changes).items()
                    if run.path in found}
            for sweep in _sweeps(items)
        },
        _times(scale, folder, report) if {"table9", "architectures"} & set(items) else {},
    )  # fmt: skip

    tables = {name: TABLES[name](results) for name in items if name in TABLES}
    for table in tables.values():
        table.write(folder / "tables")
    drawing = Drawing(results, exposures, folder / RUNS, scale)
    figures = {}
    for number, name in enumerate(items):
        report("figures", number, len(items))
        figures[name] = draw(name, drawing, folder / "figures")
    report("figures", len(items), len(items))
    judged = findings(results)
    hours = sum(training_seconds(run, folder / RUNS) for run in runs) / 3600
    facts = {
        "scale": f"{scale}: {SCALES[scale].grid.size:,} pixels of {SCALES[scale].grid.step:g} Å, "
        f"{SCALES[scale].spectra:,} exposures in an epoch, epochs: "
        f"{runs[0].recipe.number_of_epochs if runs else 'none'} for every model",
        "command": command,
        "commit": commit(),
        "observed exposures": "mock archive" if exposures.mock else "store of --observed",
        "test exposures": f"{len(drawing.observed.indices):,} of "
        f"{len(drawing.observed.stars):,} stars, {len(drawing.simulated):,} simulated",
        "time of training": f"{hours:.1f} h, summed over networks",
    }
    parts = sections(tables, figures, judged, folder / "figures", scale=scale, mock=exposures.mock)
    write_report(folder / "report.html", "The study of Cvrček et al. (2024)", facts, parts)
    write_markdown(folder, "The study of Cvrček et al. (2024)", facts, parts)
    return judged


def _measured(
    run: PlannedRun, folder: Path, exposures: TestExposures, shifted: int
) -> Measurements:
    network = StudiedNetwork.load(folder / RUNS / run.card)
    path = folder / MEASUREMENTS / f"{run.path}.npz"
    # A sweep is judged by labels, reconstruction and RVIS alone.
    return measured(network, exposures, path, shifted, interventions="/" not in run.path)


def _models(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for item in items for name in ITEMS[item].models))


def _sweeps(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for item in items for name in ITEMS[item].sweeps))


def _times(scale: str, folder: Path, report: Report) -> dict[str, Resources]:
    """Time and memory of each architecture; measured once."""
    path = folder / TIMES
    settings = SETTINGS[scale]
    grid = SCALES[scale].grid if settings.timed_on_own_grid else HARPS
    facts: dict[str, Any] = {"pixels": grid.size, "batch": settings.timed}
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept.pop("conditions", None) == facts:
            return {name: Resources(**values) for name, values in kept.items()}
    found = {}
    for number, name in enumerate(TIMED):
        report("architectures timed", number, len(TIMED))
        found[name] = resources(name, grid, batch=settings.timed)
    report("architectures timed", len(TIMED), len(TIMED))
    values = {"conditions": facts} | {name: asdict(times) for name, times in found.items()}
    write_whole(path, json.dumps(values, indent=2))
    return found
