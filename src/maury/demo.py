"""What ``make run`` does: predict spectra, compare network and fit, and draw.

The spectra are those that the environment variable SPECTRA names (a folder, a file or a pattern),
else those of ``../shared/data/spectra`` beside the checkout, else one that is simulated first.
Run as ``python -m maury.demo``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from maury.commands.predict import prediction_table
from maury.console import PIPE_WIDTH
from maury.errors import MauryError
from maury.inference.batch import Job, predict_files
from maury.inference.doubts import STELLAR
from maury.inference.example import ExampleStar, write_example
from maury.inference.prediction import Prediction

__all__ = ["find_spectra", "main", "run"]

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "spectra"
ENDINGS = (".fits", ".fit", ".fts", ".txt", ".dat", ".asc")


def find_spectra(choice: str) -> list[str]:
    """The files that a folder, a file or a pattern stands for, sorted.

    Raises
    ------
    MauryError
        If there are none.
    """
    folder = Path(choice)
    if folder.is_dir():
        found = [
            str(path)
            for path in folder.iterdir()
            if path.is_file() and path.name.lower().removesuffix(".gz").endswith(ENDINGS)
        ]
    else:
        pattern = folder.absolute().relative_to(folder.absolute().anchor)
        found = [str(path) for path in Path(folder.absolute().anchor).glob(str(pattern))]
    if not found:
        kind = "The folder holds" if folder.is_dir() else "It matches"
        raise MauryError(f"SPECTRA={choice} names no spectra. {kind} no files that could be read.")
    return sorted(found)


def run(
    environment: Mapping[str, str],
    plots: Path,
    *,
    shared: Path = SHARED,
    star: ExampleStar | None = None,
) -> int:
    """Predict, print and draw.

    Parameters
    ----------
    environment : mapping
        With SPECTRA, or without.
    plots : Path
        Folder for the figures, and for the exposure that is simulated where there is none.
    shared : Path
        Folder of spectra to use without SPECTRA.
    star : ExampleStar, optional
        Which star to simulate.

    Returns
    -------
    int
        Exit status: 0 if at least one spectrum could be predicted.

    Raises
    ------
    MauryError
        If SPECTRA names nothing, or the weights cannot be used.
    """
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else PIPE_WIDTH, highlight=False, soft_wrap=False)
    truth = None
    if environment.get("SPECTRA"):
        paths = find_spectra(environment["SPECTRA"])
        console.print(f"Predicting {len(paths)} files of SPECTRA={environment['SPECTRA']}.")
    elif shared.is_dir():
        paths = find_spectra(str(shared))
        console.print(f"Predicting {len(paths)} files of {shared}.")
    else:
        truth = star or ExampleStar()
        console.print(
            "There are no spectra here: SPECTRA is not set and ../shared/data/spectra does not "
            "exist.\nSimulating an exposure of a star that we compute from physics: "
            f"Teff {truth.teff:.0f} K, log g {truth.logg:.2f}, [M/H] {truth.mh:+.2f}, "
            f"RV {truth.rv:+.2f} km/s, BERV {truth.berv:+.2f} km/s, airmass {truth.airmass:.2f}, "
            f"S/N {truth.snr:.0f}."
        )
        paths = [str(write_example(plots, truth))]
    stderr = Console(stderr=True)
    predictions = list(
        track(
            predict_files(paths, Job(plots=plots), workers=os.cpu_count() or 1),
            description="Predicting",
            total=len(paths),
            console=stderr,
            transient=True,
            disable=not stderr.is_terminal,
        )
    )
    usable = [prediction for prediction in predictions if prediction.labels]
    if usable:
        console.print(prediction_table(usable, width=console.width))
        console.print(_comparison(usable, truth))
        console.print(f"Figures: {plots.resolve()}", soft_wrap=True)
    failed = [prediction.error for prediction in predictions if prediction.error is not None]
    if failed:
        console.print(f"\n{len(failed)} of {len(paths)} files could not be used:")
        for sentence in failed:
            console.print(f"  {sentence}", soft_wrap=True, markup=False)
    return 0 if usable else 1


def _comparison(predictions: Sequence[Prediction], truth: ExampleStar | None) -> Table:
    """For each object the median over its spectra, network alone beside refined."""
    table = Table(
        title="Network alone beside refined: medians over the spectra of an object",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("object")
    table.add_column("spectra", justify="right")
    headings = {"teff": ("Teff [K]", "5.0f"), "logg": ("log g", ".2f"), "mh": ("[M/H]", "+.2f")}
    for heading, _ in headings.values():
        table.add_column(f"{heading}\nnetwork".replace("[", r"\["), justify="right")
        table.add_column("\nrefined", justify="right")
    table.add_column("flags of any", overflow="fold")
    groups: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        groups.setdefault(prediction.object or Path(prediction.file).name, []).append(prediction)
    for name, group in groups.items():
        cells = []
        for label in STELLAR:
            spec = headings[label][1]
            for side in ([one.network for one in group], [one.labels for one in group]):
                values = [labels[label].value for labels in side if label in labels]
                cells.append(format(median(values), spec) if values else "-")
        flags = sorted({flag for one in group for flag in one.flags})
        table.add_row(name, str(len(group)), *cells, ", ".join(flags))
    if truth is not None:
        row = [format(getattr(truth, label), headings[label][1]) for label in STELLAR]
        table.add_row("truth", "", *(cell for value in row for cell in (value, value)), "")
    return table


def main() -> None:
    """Run in the current folder, with the figures in ``plots``."""
    try:
        status = run(os.environ, Path("plots"))
    except MauryError as error:
        print(error, file=sys.stderr)
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
