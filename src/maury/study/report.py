"""The study's report: our tables beside the paper's, figures, and what holds."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from maury.evaluation.report import Comparison, Finding, Picture, Section
from maury.evaluation.tables import Table
from maury.study.paper import PAPER_TABLES
from maury.study.plan import ITEMS

__all__ = ["commit", "sections"]


def sections(
    tables: Mapping[str, Table],
    figures: Mapping[str, Sequence[tuple[str, str]]],
    findings: Sequence[Finding],
    folder: Path,
    *,
    scale: str,
    mock: bool,
) -> list[Section]:
    """The parts of the report, first what was found.

    Parameters
    ----------
    tables
        By item; those that the paper has too stand beside the paper's.
    figures
        Name and caption of those of each item, in the order of the report.
    findings
        What the paper found, and whether it holds.
    folder
        Where the figures are.
    scale
        Of the study.
    mock
        Whether the observed exposures are mock ones.
    """
    parts = [Section("What the paper found", findings=findings)]
    difference = _difference(scale, mock)
    for name, drawn in figures.items():
        ours = tables.get(name)
        shown: list[Table | Comparison] = []
        if ours is not None and name in PAPER_TABLES:
            shown.append(Comparison(ours, PAPER_TABLES[name], difference))
        elif ours is not None:
            shown.append(ours)
        pictures = [Picture(folder / f"{called}.png", caption) for called, caption in drawn]
        if shown or pictures:
            parts.append(Section(_heading(name), tables=shown, figures=pictures))
    return parts


def commit() -> str:
    """The commit that the package's code is at, and whether it was changed; else "not known"."""
    where = ["git", "-C", str(Path(__file__).parent)]
    try:
        name, changes = (
            subprocess.run(
                [*where, *arguments], capture_output=True, text=True, check=True, timeout=10
            ).stdout.strip()
            for arguments in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "."))
        )
    except (OSError, subprocess.SubprocessError):
        return "not known"
    return f"{name}, with changes" if changes else name


def _heading(name: str) -> str:
    for prefix, word in (("table", "Table"), ("fig", "Fig.")):
        if name.startswith(prefix):
            return f"{word} {name.removeprefix(prefix)}: {ITEMS[name].title}"
    return ITEMS[name].title


def _difference(scale: str, mock: bool) -> str:
    observed = (
        "Our observed spectra are simulated ones with the flaws of real ones (the mock archive)"
        if mock
        else "Our observed spectra are those of the store that was named"
    )
    size = "" if scale == "full" else f", and at scale {scale} grid, sets and training are smaller"
    return f"{observed}; the paper's are 267,361 of HARPS{size}."
