"""``maury predict``: stellar parameters, velocity, BERV and airmass of spectra."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from maury.commands.options import FilesArgument, FormatOption, FrameOption, MediumOption
from maury.console import Format, complain, print_records, stdout_console

if TYPE_CHECKING:
    from maury.inference.prediction import Prediction

__all__ = ["predict", "prediction_table"]

# From this many files on, several processes are worth the time that they take to start.
MANY = 8
# From this width on, object and flags have columns of their own.
WIDE = 180


def predict(
    files: FilesArgument,
    refine: Annotated[
        bool,
        typer.Option(
            "--refine/--no-refine",
            help="Refine the network's answer by a fit of computed spectra, or give it as it is.",
        ),
    ] = True,
    plot: Annotated[
        Path | None,
        typer.Option(help="Folder for one figure a spectrum, with a computed spectrum over it."),
    ] = None,
    format: FormatOption = Format.TABLE,
    model: Annotated[
        str | None, typer.Option(help="Network: its .json card, or the name of an embedded one.")
    ] = None,
    workers: Annotated[
        int,
        typer.Option(min=0, help=f"Processes; 0 is one a core from {MANY} files on, else one."),
    ] = 0,
    medium: MediumOption = None,
    frame: FrameOption = None,
    resolving_power: Annotated[
        float | None,
        typer.Option(help="Of the spectra, where you know better than the instrument's name."),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of an internal error.")
    ] = False,
) -> None:
    """Predict Teff, log g, [M/H], radial velocity, BERV and airmass of spectra."""
    from maury.inference.batch import Job, predict_files

    job = Job(
        model=model,
        refine=refine,
        plots=plot,
        medium=None if medium is None else medium.value,
        frame=None if frame is None else frame.value,
        resolving_power=resolving_power,
        debug=debug,
    )
    if workers == 0:
        workers = (os.cpu_count() or 1) if len(files) >= MANY else 1
    stderr = Console(stderr=True)
    predictions = list(
        track(
            predict_files(files, job, workers=workers),
            description="Predicting",
            total=len(files),
            console=stderr,
            transient=True,
            disable=len(files) == 1 or not stderr.is_terminal,
        )
    )
    if format is Format.JSON:
        print_records([prediction.to_dict() for prediction in predictions], format)
    elif format is Format.CSV:
        print_records([prediction.to_row() for prediction in predictions], format)
    elif any(prediction.labels for prediction in predictions):
        console = stdout_console()
        console.print(prediction_table(predictions, width=console.width))
    complain([prediction.error for prediction in predictions if prediction.error is not None])


def prediction_table(predictions: Sequence[Prediction], *, width: int = WIDE) -> Table:
    """The predictions that have labels, and below them what their flags mean.

    Parameters
    ----------
    predictions : sequence of Prediction
        What to show.
    width : int
        Characters in a line; in a narrow one the flags stand under the file, and the standard
        deviation under the value.
    """
    from maury.inference.prediction import FLAGS
    from maury.labels import HARPS_LABELS, LABELS

    shown = [prediction for prediction in predictions if prediction.labels]
    names = {Path(prediction.file).name for prediction in shown}
    unique = len(names) == len(shown)
    headings = {
        "teff": "Teff", "logg": "log g", "mh": "[M/H]", "rv": "RV", "berv": "BERV",
        "airmass": "airmass",
    }  # fmt: skip
    wide = width >= WIDE
    table = Table(box=box.SIMPLE_HEAD, caption_justify="left", pad_edge=False)
    table.add_column("spectrum", overflow="fold")
    if wide:
        table.add_column("object", overflow="fold")
    for name in HARPS_LABELS.names:
        unit = LABELS[name].unit
        heading = Text(f"{headings[name]}\n[{unit}]" if unit else headings[name])
        table.add_column(heading, justify="right", no_wrap=True)
    if wide:
        table.add_column("flags", overflow="fold")
    for prediction in shown:
        doubtful = "outside-grid" in prediction.flags
        first = Text(Path(prediction.file).name if unique else prediction.file)
        target = Text(prediction.object or "-")
        flags = Text(", ".join(prediction.flags), style="red" if doubtful else "yellow")
        if not wide and prediction.flags:
            first = Text("\n").join([first, flags])
        cells = []
        for name in HARPS_LABELS.names:
            cell = prediction.show(name)
            style = "red" if name in prediction.at_edge else ""
            cells.append(Text(cell if wide else cell.replace(" ", "\n", 1), style=style))
        row = [first, target, *cells, flags] if wide else [first, *cells]
        table.add_row(*row, style="dim" if doubtful else "")
    refined = [prediction.refined for prediction in shown]
    method = "network alone"
    if any(refined):
        method = "network, refined by a fit of computed spectra"
    caption = [f"Values by the {method}; ± is one standard deviation."]
    for flag, meaning in FLAGS.items():
        if any(flag in prediction.flags for prediction in shown):
            caption.append(f"{flag}: {meaning}")
    table.caption = Text("\n".join(caption))
    return table
