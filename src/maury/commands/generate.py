"""``maury generate``: spectra of wanted labels by a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maury.commands.options import FormatOption
from maury.console import Column, Format, print_records, print_table
from maury.errors import TargetError, WeightsError

if TYPE_CHECKING:
    from maury.datasets.store import SpectrumStore
    from maury.inference.generation import Generation

__all__ = ["generate"]

KIND = "generated"
SHARD = 16  # spectra a file of a store
SHOWN = 4  # unknown factors in a table


def _label(help: str) -> Any:
    return typer.Option(help=help, rich_help_panel="Labels")


def generate(
    model: Annotated[
        str | None, typer.Option(help="Network with a decoder: its .json card, or a name.")
    ] = None,
    teff: Annotated[float | None, _label("Effective temperature, K.")] = None,
    logg: Annotated[float | None, _label("log10 of gravity in cm s-2.")] = None,
    mh: Annotated[float | None, _label("Metallicity [M/H], dex.")] = None,
    rv: Annotated[float | None, _label("Radial velocity, barycentric, km/s.")] = None,
    berv: Annotated[float | None, _label("Barycentric Earth radial velocity, km/s.")] = None,
    airmass: Annotated[float | None, _label("Airmass.")] = None,
    pwv: Annotated[float | None, _label("Precipitable water vapour, mm.")] = None,
    n: Annotated[int, typer.Option(min=1, help="Number of spectra, each with its own u.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the unknown factors u.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write (.fits, .txt, .csv; numbered if several), or a folder."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Figure to write (png, pdf, svg).")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Generate spectra that have these labels, by a trained decoder or autoencoder.

    Labels that are not given are taken from the centre of the training labels. What labels do not
    tell, the unknown factors u, is drawn: from the normal prior of a variational network, from the
    latents of the training spectra for any other. Spectra are without noise, in the barycentric
    frame. A folder becomes a store of spectra: in Python, maury.SpectrumStore(DIR).spectrum(0).
    """
    from maury.inference.generation import generate as run
    from maury.inference.network import NetworkEstimator

    if model is None:
        raise WeightsError(_which())
    if out is None and plot is None:
        raise TargetError("Nothing is asked for: give --out, --plot or both.")
    files = _targets(out, n)
    labels = {
        "teff": teff, "logg": logg, "mh": mh, "rv": rv, "berv": berv, "airmass": airmass,
        "pwv": pwv,
    }  # fmt: skip
    estimator = NetworkEstimator.find(model)
    given = {name: value for name, value in labels.items() if value is not None}
    generation = run(estimator, given, n=n, seed=seed)
    if files:
        _write(generation, files)
    elif out is not None:
        _fill(generation, out, estimator.card.weights.sha256, seed)
    if plot is not None:
        from maury.inference.generation_figure import plot_generation

        plot_generation(generation, plot)
        typer.echo(f"Wrote {plot}.", err=True)
    _show(generation, files, out, format)


def _which() -> str:
    """Which networks there are, for who named none."""
    from maury.inference.network import embedded_networks

    networks = embedded_networks()
    able = [name for name, parts in networks.items() if "decoder" in parts]
    if able:
        return f"No --model is named: give {' or '.join(able)}, or the .json card of another one."
    return (
        f"No --model is named, and of the networks that come with maury ({', '.join(networks)}) "
        "none has a decoder: give the .json card of a decoder or autoencoder that you trained."
    )


def _targets(out: Path | None, n: int) -> list[Path]:
    """The files to write, one a spectrum; none where a folder is to be filled."""
    from maury.writers import check_target

    if out is None or not out.suffix:
        return []
    check_target(out)
    if n == 1:
        return [out]
    digits = len(str(n))
    return [out.with_name(f"{out.stem}-{i:0{digits}d}{out.suffix}") for i in range(1, n + 1)]


def _write(generation: Generation, files: list[Path]) -> None:
    from maury.writers import write

    facts: dict[str, float | str | None] = {"PWV": generation.labels.get("pwv")}
    for index, file in enumerate(files):
        write(generation.spectrum(index), file, facts)
    several = f"{files[0]} to {files[-1].name}" if len(files) > 1 else f"{files[0]}"
    typer.echo(f"Wrote {several}.", err=True)


def _fill(generation: Generation, out: Path, weights: str, seed: int) -> None:
    """Keep the spectra in a store; one that has the first of them already is finished."""
    import numpy as np
    import pyarrow as pa

    from maury.commands.filling import show_filling
    from maury.datasets.filling import Row, fill

    labels, names = generation.labels, [f"u_{i + 1}" for i in range(generation.unknown.shape[1])]
    rows = [
        {"number": index, **labels, **dict(zip(names, u.tolist(), strict=True))}
        for index, u in enumerate(generation.unknown)
    ]

    def compute(row: Row) -> tuple[np.ndarray, Row]:
        spectrum = generation.spectrum(int(row["number"]))
        return np.where(spectrum.mask, np.nan, spectrum.flux).astype(np.float32), {}

    numbers = [(name, pa.float64()) for name in (*labels, *names)]

    def work(report: Any) -> SpectrumStore:
        return fill(
            out,
            settings={
                "kind": KIND,
                "unit": None,
                "model": generation.name,
                "weights": weights,
                "labels": labels,
                "unknown": generation.source,
                "seed": seed,
            },
            grid=generation.network.grid,
            frame="barycentric",
            columns=pa.schema([("number", pa.int64()), *numbers]),
            rows=rows,
            compute=compute,
            shard=SHARD,
            # What computes is this process's own network.
            workers=0,
            report=report,
        )

    show_filling(out, work)


def _show(generation: Generation, files: list[Path], out: Path | None, format: Format) -> None:
    unknown = [[float(f"{value:.7g}") for value in u] for u in generation.unknown]
    names: list[str | None] = [str(file) for file in files]
    names = names or [None if out is None else str(out)] * len(unknown)
    heads = [{"spectrum": i + 1, "file": name} for i, name in enumerate(names)]
    model = {"model": generation.name}
    if format is Format.JSON:
        facts = {"labels": generation.labels, "assumed": list(generation.assumed)}
        source = {"source": generation.source}
        print_records(
            [
                head | model | facts | {"unknown": u} | source
                for head, u in zip(heads, unknown, strict=True)
            ],
            format,
        )
        return
    numbered = [f"u_{i + 1}" for i in range(generation.unknown.shape[1])]
    said = {"assumed": " ".join(generation.assumed), "source": generation.source}
    rows = [
        head | model | generation.labels | said | dict(zip(numbered, u, strict=True))
        for head, u in zip(heads, unknown, strict=True)
    ]
    if format is Format.CSV:
        print_records(rows, format)
        return
    columns = [Column("spectrum", "spectrum"), Column("file", "file")]
    columns += [Column(name, name, ".5g") for name in generation.labels]
    columns += [Column(name, name.replace("_", " "), "+.2f") for name in numbered[:SHOWN]]
    left = len(numbered) - SHOWN
    more = f" u has {left} more numbers, which CSV and JSON show." if left > 0 else ""
    print_table(rows, columns, generation.describe() + more)
