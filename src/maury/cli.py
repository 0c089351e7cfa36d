"""The command line: one verb a function, results on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from maury import readers
from maury.commands import (
    bench,
    calibrate,
    catalog,
    encode,
    evaluate,
    fetch,
    generate,
    ingest,
    predict,
    select,
    simulate,
    study,
    synthesize,
    train,
)
from maury.commands.options import (
    FilesArgument,
    FormatOption,
    FrameChoice,
    FrameOption,
    MediumChoice,
    MediumOption,
)
from maury.console import (
    Column,
    Format,
    complain,
    print_facts,
    print_records,
    print_table,
    stdout_console,
)
from maury.errors import MauryError
from maury.spectrum import Spectrum

__all__ = ["app", "main"]

# From this width on, each fact about several files has a column of its own.
WIDE = 180

app = typer.Typer(
    name="maury",
    help="Stellar parameters from spectra, and spectra from stellar parameters.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root() -> None:
    pass


@app.command()
def info(
    files: FilesArgument,
    format: FormatOption = Format.TABLE,
    medium: MediumOption = None,
    frame: FrameOption = None,
) -> None:
    """Tell what is in spectra: range, pixels, medium, frame, and the facts of their headers."""
    records: list[dict[str, Any]] = []
    complaints: list[str] = []
    for file in files:
        try:
            spectrum = _read(file, medium, frame)
        except MauryError as error:
            complaints.append(str(error))
            records.append({"file": file, "error": str(error)})
        else:
            records.append({"file": file} | _facts(spectrum))
    good = [record for record in records if "error" not in record]
    if format is not Format.TABLE:
        print_records(records, format)
    elif len(files) == 1 and good:
        print_facts(good[0], _ALL_FACTS)
    elif good:
        caption = "Time (UTC) and airmass at the start of exposure."
        if stdout_console().width < WIDE:
            print_table([_stacked(record) for record in good], _STACKED_FACTS, caption)
        else:
            print_table(good, _CHIEF_FACTS, caption)
    complain(complaints)


@app.command()
def plot(
    file: Annotated[str, typer.Argument(help="A spectrum: FITS or text, plain or gzip.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Figure to write (png, pdf, svg); by default the name with .png, here."),
    ] = None,
    medium: MediumOption = None,
    frame: FrameOption = None,
) -> None:
    """Draw a spectrum, with Ca II H and K, H-beta, Mg b, Na D and H-alpha where it covers them."""
    # Matplotlib takes half a second to load, which no other verb should wait for.
    from maury import figures

    spectrum = _read(file, medium, frame)
    target = out if out is not None else Path(f"{Path(file).name}.png")
    figures.save_figure(figures.plot_spectrum(spectrum), target)
    typer.echo(f"Wrote {target}.", err=True)


app.command()(predict.predict)
app.command()(generate.generate)
app.command()(encode.encode)
app.command()(encode.decode)
app.command()(synthesize.synthesize)
app.command()(calibrate.calibrate)
app.add_typer(simulate.app)
app.command()(fetch.fetch)
app.add_typer(catalog.app)
app.command()(ingest.ingest)
app.command()(train.train)
app.command()(select.select)
app.command()(evaluate.evaluate)
app.command()(study.study)
app.command()(bench.bench)


def main() -> None:
    """Run the command line; a user's mistake becomes one sentence on stderr and its exit code."""
    try:
        app()
    except MauryError as error:
        typer.echo(str(error), err=True)
        sys.exit(error.exit_code)


def _read(file: str, medium: MediumChoice | None, frame: FrameChoice | None) -> Spectrum:
    return readers.read(
        file,
        medium=None if medium is None else medium.value,
        frame=None if frame is None else frame.value,
    )


def _facts(spectrum: Spectrum) -> dict[str, Any]:
    facts = spectrum.meta.to_dict()
    del facts["path"]
    return facts | {
        "pixels": len(spectrum),
        "bad_pixels": int(spectrum.mask.sum()),
        "first": round(float(spectrum.wavelength[0]), 5),
        "last": round(float(spectrum.wavelength[-1]), 5),
        "medium": spectrum.medium,
        "frame": spectrum.frame,
        "uncertainty": "given" if spectrum.uncertainty is not None else None,
    }


def _stacked(record: dict[str, Any]) -> dict[str, Any]:
    """The chief facts in pairs, one above the other, for narrow lines."""
    time = (record["time"] or "-")[:16].replace("T", " ")
    return record | {
        "file": f"{Path(record['file']).name}\n{record['object'] or '-'}",
        "time": f"{time}\n{record['first']:.2f}-{record['last']:.2f}",
        "frame": f"{record['frame']}\n{record['medium']}",
    }


_CHIEF_FACTS = (
    Column("file", "file"),
    Column("object", "object"),
    Column("time", "time"),
    Column("first", "from [Å]", ".2f"),
    Column("last", "to [Å]", ".2f"),
    Column("medium", "medium"),
    Column("frame", "frame"),
    Column("berv", "BERV [km/s]", ".3f"),
    Column("airmass", "airmass", ".3f"),
    Column("snr", "S/N", ".0f"),
)

_STACKED_FACTS = (
    Column("file", "file\nobject"),
    Column("time", "time\nrange [Å]"),
    Column("frame", "frame\nmedium"),
    Column("berv", "BERV\n[km/s]", ".3f"),
    Column("airmass", "air-\nmass", ".3f"),
    Column("snr", "S/N", ".0f"),
)

_ALL_FACTS = (
    Column("file", "file"),
    Column("object", "object"),
    Column("instrument", "instrument"),
    Column("programme", "programme"),
    Column("drs_version", "pipeline"),
    Column("time", "start, UTC"),
    Column("exposure", "exposure [s]", ".1f"),
    Column("snr", "S/N near 5500 Å", ".1f"),
    Column("airmass", "airmass at start", ".3f"),
    Column("airmass_end", "airmass at end", ".3f"),
    Column("berv", "BERV [km/s]", ".4f"),
    Column("rv", "RV by the pipeline [km/s]", ".4f"),
    Column("first", "first pixel [Å]", ".4f"),
    Column("last", "last pixel [Å]", ".4f"),
    Column("medium", "medium"),
    Column("frame", "frame"),
    Column("pixels", "pixels", ","),
    Column("bad_pixels", "bad pixels", ","),
    Column("flux_unit", "flux unit"),
    Column("teff", "Teff by the file [K]", "g"),
    Column("logg", "log g by the file", ".2f"),
    Column("mh", "[M/H] by the file", "+.2f"),
    Column("uncertainty", "uncertainty"),
)


if __name__ == "__main__":
    main()
