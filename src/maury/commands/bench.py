"""``maury bench``: what is measured, beside a reference measured in the same process."""

from __future__ import annotations

import tempfile
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from maury.benchmark import Benchmark
from maury.commands.options import FormatOption
from maury.console import Column, Format, print_facts, print_records
from maury.errors import MauryError
from maury.grid import GRIDS

__all__ = ["BENCHMARKS", "bench"]

BENCHMARKS = {
    "simulator": "exposures a second and core from a spectrum at the star",
    "store": "random batches of full spectra out of a store, beside a memory map (0.4 GB)",
    "archive": "spectra of a whole archive planned, cross-matched and labelled a second (0.6 GB)",
    "ingest": "FITS files a second and core into a store",
    "predict": "spectra a second and core from file to table",
    "encoder": "labels of spectra by the encoder, spectra a second and core",
    "decoder": "spectra by the ResNet decoder and others a second and core (5 GB)",
    "train": "spectra a second and core in the encoder's training",
    "synthesis": "spectra from physics a second and core, from opacity tables (1.9 GB, kept)",
}

NETWORKS = ("encoder", "decoder", "train")


def bench(
    name: Annotated[str, typer.Argument(help=f"What to measure: {', '.join(BENCHMARKS)}.")],
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Spectra to measure on; by default an exposure is simulated."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Turns; their median counts.")] = 3,
    low_rank: Annotated[
        bool,
        typer.Option("--low-rank", help="Of synthesis: its form for torch too (9 tables, 4.6 GB)."),
    ] = False,
    grid: Annotated[
        str | None,
        typer.Option(help=f"Of encoder, decoder, train: {', '.join(GRIDS)}.", show_default="harps"),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Of the same: spectra at a time.", show_default="32"),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Of the same: cpu or cuda.", show_default="cpu")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Measure speed; both sides run in one process, turn about."""
    if name not in BENCHMARKS:
        raise MauryError(f"No benchmark is called {name!r}; there is {', '.join(BENCHMARKS)}.")
    if files and name not in ("predict", "ingest"):
        raise MauryError(f"The benchmark {name!r} takes no files, but {files[0]} was given.")
    if low_rank and name != "synthesis":
        raise MauryError("--low-rank belongs to the benchmark of the synthesis.")
    chosen = {"grid": grid, "batch": batch, "device": device}
    given = {option: value for option, value in chosen.items() if value is not None}
    if given and name not in NETWORKS:
        raise MauryError(f"--{min(given)} belongs to the benchmarks {', '.join(NETWORKS)}.")
    if name == "simulator":
        from maury.instrument.benchmark import bench_simulator

        result = bench_simulator(repeats=repeats)
    elif name == "store":
        from maury.datasets.benchmark import bench_store

        result = bench_store(repeats=repeats)
    elif name == "archive":
        from maury.archive.benchmark import bench_archive

        result = bench_archive(repeats=repeats)
    elif name == "ingest":
        from maury.datasets.benchmark import bench_ingest

        result = bench_ingest(files or (), repeats=repeats)
    elif name == "synthesis":
        from maury.synthesis.benchmark import bench_synthesis

        result = bench_synthesis(low_rank=low_rank, repeats=repeats)
    elif name in NETWORKS:
        result = _network(name, given, repeats)
    else:
        result = _predict(files, repeats)
    record = result.to_dict()
    if json or format is Format.JSON:
        typer.echo(dumps(record, indent=2, ensure_ascii=False, allow_nan=False))
        return
    steps = record.pop("breakdown_ms")
    record |= {f"{step}_ms": value for step, value in steps.items()}
    if format is Format.CSV:
        print_records([record], format)
    else:
        columns = [Column(key, key.replace("_ms", " [ms]")) for key in record]
        print_facts(record, columns)


def _predict(files: list[str] | None, repeats: int) -> Benchmark:
    from maury.inference.benchmark import bench_predict
    from maury.inference.example import write_example
    from maury.inference.predictor import load

    predictor = load()
    with tempfile.TemporaryDirectory() as folder:
        paths = files or [str(write_example(Path(folder)))]
        return bench_predict(predictor, paths, repeats=repeats)


def _network(name: str, given: dict[str, Any], repeats: int) -> Benchmark:
    from maury.inference.network_benchmark import bench_decoder, bench_encoder
    from maury.training.benchmark import bench_train

    if "grid" in given:
        if given["grid"] not in GRIDS:
            raise MauryError(
                f"No grid is called {given['grid']!r}; the grids are {', '.join(GRIDS)}."
            )
        given = given | {"grid": GRIDS[given["grid"]]}
    benches = {"encoder": bench_encoder, "decoder": bench_decoder, "train": bench_train}
    return benches[name](repeats=repeats, **given)
