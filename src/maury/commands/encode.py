"""``maury encode`` and ``maury decode``: spectra as the few numbers of a bottleneck, and back."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maury.commands.options import FilesArgument, FormatOption, FrameOption, MediumOption
from maury.console import Column, Format, complain, print_records, print_table
from maury.errors import MauryError, TargetError

if TYPE_CHECKING:
    from maury.inference.network import NetworkEstimator

__all__ = ["decode", "encode"]

ModelOption = Annotated[str, typer.Option(help="Network: its .json card, or a name.")]
DebugOption = Annotated[
    bool, typer.Option("--debug", help="Print the traceback of an internal error.")
]
SUFFIXES = (".parquet", ".csv", ".json")


def encode(
    files: FilesArgument,
    model: ModelOption,
    out: Annotated[
        Path | None,
        typer.Option(help="Table to write (.parquet, .csv, .json); Parquet can be decoded."),
    ] = None,
    format: FormatOption = Format.TABLE,
    medium: MediumOption = None,
    frame: FrameOption = None,
    debug: DebugOption = False,
) -> None:
    """Compress spectra to the bottleneck of a network, and rank them by how strange they are.

    A spectrum becomes its labels and the unknown factors u. Reconstruction error, misfit and
    dissimilarity of the lines, and the distance of the latents are compared with those of the
    training spectra; the anomaly is by how many of their spreads the strangest of the last three
    lies above their median. A file that is refused as damaged ranks above all.
    """
    from rich.console import Console
    from rich.progress import track

    from maury.inference.latents import encode_files, latent_names, write_latents
    from maury.inference.network import NetworkEstimator
    from maury.inference.novelty import rank
    from maury.writers import check_target

    if out is not None:
        check_target(out, SUFFIXES)
    estimator = NetworkEstimator.find(model)
    estimator.require("encoder", "compress a spectrum")
    if estimator.card.latents is None:
        typer.echo(
            f"The card of {estimator.name} does not tell how its training spectra are "
            "distributed, so there is nothing to compare with: no shares, no anomaly.",
            err=True,
        )
    stderr = Console(stderr=True)
    found = list(
        track(
            encode_files(
                files,
                estimator,
                medium=None if medium is None else medium.value,
                frame=None if frame is None else frame.value,
                debug=debug,
            ),
            description="Encoding",
            total=len(files),
            console=stderr,
            transient=True,
            disable=len(files) == 1 or not stderr.is_terminal,
        )
    )
    names = latent_names(estimator.network)
    ranks = rank([encoded.anomaly for encoded in found])
    rows = [
        encoded.to_row(names) | {"rank": place} for encoded, place in zip(found, ranks, strict=True)
    ]
    if out is not None:
        if out.suffix == ".parquet":
            write_latents(out, rows, estimator)
        else:
            _write_text(out, rows)
        typer.echo(f"Wrote {out}.", err=True)
    if format is not Format.TABLE:
        print_records(rows, format)
    else:
        _show(rows, estimator, names)
    complain([encoded.error for encoded in found if encoded.error is not None])


def decode(
    latents: Annotated[Path, typer.Argument(help="Parquet table that maury encode wrote.")],
    model: ModelOption,
    out: Annotated[Path, typer.Option(help="Folder for one FITS file a spectrum.", metavar="DIR")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Turn latents back into spectra, by the network that made them.

    Spectra are without noise, on the network's wavelengths, and relative to the continuum or to
    their median, as the network was trained. Rows of files that could not be encoded are left out.
    """
    from maury.inference.latents import decode as run
    from maury.inference.latents import decoded_names, read_latents
    from maury.inference.network import NetworkEstimator
    from maury.writers import write

    estimator = NetworkEstimator.find(model)
    estimator.require("decoder", "turn latents into spectra")
    rows = [row for row in read_latents(latents, estimator) if row.get("error") is None]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(f"The folder {out} cannot be made ({error.strerror}).") from None
    records: list[dict[str, Any]] = []
    for row, name in zip(rows, decoded_names([row["file"] for row in rows]), strict=True):
        record: dict[str, Any] = {"file": row["file"], "decoded": None, "error": None}
        try:
            write(run(row, estimator), out / name)
            record["decoded"] = str(out / name)
        except MauryError as error:
            record["error"] = f"{latents}: {error}"
        records.append(record)
    if format is not Format.TABLE:
        print_records(records, format)
    elif rows:
        print_table(
            [record for record in records if record["error"] is None],
            [Column("file", "file"), Column("decoded", "decoded")],
        )
    complain([record["error"] for record in records if record["error"] is not None])


def _write_text(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    temporary = out.with_name(f".{out.name}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            if out.suffix == ".json":
                json.dump(rows, file, indent=2, ensure_ascii=False, allow_nan=False)
            else:
                writer = csv.DictWriter(file, [*rows[0]], lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
        temporary.replace(out)
    except OSError as error:
        raise TargetError(f"{out} cannot be written ({error.strerror}).") from None
    finally:
        temporary.unlink(missing_ok=True)


def _show(
    rows: Sequence[dict[str, Any]], estimator: NetworkEstimator, names: Sequence[str]
) -> None:
    """The strangest first; what is refused stands at the top."""
    shown = [row for row in rows if row["error"] is None or row["refused"]]
    if not shown:
        return
    measured = [
        row
        | {"file": Path(row["file"]).name}
        | ({"because": "refused: see below"} if row["refused"] else {})
        for row in sorted(shown, key=lambda row: (row["rank"] is None, row["rank"]))
    ]
    labels = names[: len(names) - estimator.network.unknown]
    columns = [
        Column("rank", "rank"),
        Column("file", "spectrum"),
        Column("object", "object"),
        Column("anomaly", "anomaly", ".3g"),
        Column("because", "because of"),
        Column("reconstruction_error", "error", ".4f"),
        Column("misfit", "misfit", ".4f"),
        Column("dissimilarity", "dissim.", ".3f"),
        Column("latent_distance", "distance", ".2f"),
        *(Column(label, label, ".5g") for label in labels[:3]),
    ]
    caption = f"{len(names)} latents a spectrum, by {estimator.name}."
    latents = estimator.card.latents
    if latents is not None:
        caption += (
            f" Anomaly: by how many spreads of the {latents.count:,} training spectra that were "
            "measured it lies above their median."
        )
    print_table(measured, columns, caption)
