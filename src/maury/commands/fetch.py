"""``maury fetch``: spectra from ESO's archive."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maury.commands.downloads import DownloadBar, print_estimate, print_files
from maury.commands.filling import EXIT_INTERRUPTED
from maury.commands.options import FormatOption, RadiusOption
from maury.console import Format
from maury.errors import MauryError, TargetError

if TYPE_CHECKING:
    import pyarrow as pa

    from maury.archive.eso import Query
    from maury.archive.services import Services
    from maury.archive.session import ArchiveSession
    from maury.archive.sky import Box, Cone

__all__ = ["fetch"]

MUCH = 50e9
"""Bytes from which on is asked whether all of it is meant: a night's download."""


def fetch(
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A star, as SIMBAD knows it; repeatable."),
    ] = None,
    stars: Annotated[
        str | None,
        typer.Option("--list", metavar="FILE", help="Text file with one star a line, - for stdin."),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(metavar="RA1,RA2,DEC1,DEC2", help="A part of the sky, degrees ICRS."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All spectra of the instrument.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder for the files; alone, what was begun there goes on."
        ),
    ] = None,
    instrument: Annotated[str, typer.Option(help="HARPS, FEROS, UVES or ESPRESSO.")] = "HARPS",
    start: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day, such as 2005-07-31.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day.")] = None,
    snr: Annotated[float | None, typer.Option(help="Smallest signal to noise ratio.")] = None,
    programme: Annotated[
        str | None, typer.Option(metavar="ID", help="Observing programme, or one of its runs.")
    ] = None,
    radius: RadiusOption = 30.0,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="No more than so many files.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell how much it is, and write nothing.")
    ] = False,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of ESO's portal, for proprietary spectra too; the password is the keyring's.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=10, help="Files at once.")] = 4,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read files that are here, to see if they are whole.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Fetch more than 50 GB unasked.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Fetch reduced spectra from ESO's archive, several at once, into DIR/spectra.

    DIR/manifest.parquet lists them with what the archive tells of each. Killed at any time, the
    same command goes on where it was, and so does maury fetch --out DIR. The exit code is 0 only if
    all that was asked for is there.
    """
    chosen = sum((bool(target or stars), box is not None, everything))
    limits = (start, end, snr, programme, limit)
    if chosen > 1:
        raise TargetError("Name stars (--target, --list), a --box, or --all: not several of these.")
    if not chosen and (dry_run or out is None or any(value is not None for value in limits)):
        raise TargetError("Name stars by --target or --list, a part of the sky by --box, or --all.")
    if out is None and not dry_run:
        raise TargetError("Name the folder for the files by --out.")
    names = [*(target or []), *_listed(stars)]
    if stars is not None and not names:
        raise MauryError(f"{stars} names no star.")
    _need_libraries()
    from maury.archive import eso
    from maury.archive.download import download
    from maury.archive.services import Services
    from maury.archive.session import ArchiveSession

    query = eso.Query(
        instrument=instrument,
        box=_box(box),
        start=start,
        end=end,
        snr_min=snr,
        programme=programme,
        public=user is None,
    )
    services, session = Services.from_environment(), ArchiveSession()
    try:
        cones = _cones(names, radius, services, session)
        complete = len(cones) == len(set(names))
        if names:
            query = replace(query, cones=tuple(cones.values()))
        if dry_run:
            count = eso.count(query, services, session, limit=limit)
            print_estimate(count, query.instrument.upper(), workers, format)
        else:
            assert out is not None
            wanted = _search(query, limit, services, session) if chosen else _begun(out)
            if limit is None:
                _tell_missing(cones, wanted)
            _confirm(wanted, out, yes)
            options: dict[str, Any] = {"workers": workers, "user": user, "verify": verify}
            with DownloadBar() as bar:
                table = download(wanted, out, services, session, report=bar.report, **options)
            bar.tell(table, out)
            print_files(table, out, format)
            complete &= set(table["status"].to_pylist()) <= {"done"}
    except KeyboardInterrupt:
        begun = out is not None and not dry_run
        typer.echo(f"Stopped; the same command finishes {out}." if begun else "Stopped.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if not complete:
        raise typer.Exit(1)


def _need_libraries() -> None:
    """Tell what to install where what asks services is not."""
    try:
        from maury.archive import download, eso, simbad  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("maury"):
            raise
        raise MauryError(
            f"maury fetch needs {error.name}; pip install 'maury[archive]' brings it."
        ) from None


def _listed(source: str | None) -> list[str]:
    """Names of stars, one a line; what follows # is a comment."""
    if source is None:
        return []
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise MauryError(f"{source} cannot be read as a list of stars ({why}).") from None
    names = (line.split("#")[0].strip() for line in text.splitlines())
    return list(filter(None, names))


def _box(text: str | None) -> Box | None:
    from maury.archive.sky import Box, QuestionError

    if text is None:
        return None
    try:
        west, east, south, north = map(float, text.split(","))
    except ValueError:
        raise QuestionError(
            f"--box {text} is no part of the sky; one is like 10,20.5,-30,-20: two right "
            "ascensions and two declinations, degrees."
        ) from None
    return Box(west, east, south, north)


def _cones(
    names: Sequence[str], radius: float, services: Services, session: ArchiveSession
) -> dict[str, Cone]:
    """Where the telescope pointed at each star, by its name; those that are not known are told."""
    from maury.archive import simbad
    from maury.archive.sky import Cone

    if not names:
        return {}
    found = simbad.resolve(names, services=services, session=session)
    year = float(datetime.now(UTC).year + 1)
    cones = {
        row["name"]: Cone.of_star(
            row["ra"], row["dec"], row["pmra"] or 0.0, row["pmdec"] or 0.0, radius, year
        )
        for row in found.to_pylist()
        if row["ra"] is not None and row["dec"] is not None
    }
    lost = [name for name in dict.fromkeys(names) if name not in cones]
    if not cones:
        raise MauryError(f"SIMBAD knows none of the stars that are named: {_brief(lost)}.")
    if lost:
        typer.echo(
            f"SIMBAD does not know {len(lost):,} of {len(set(names)):,} stars: {_brief(lost)}.",
            err=True,
        )
    return cones


def _begun(out: Path) -> pa.Table:
    from maury.archive import manifest

    if not (out / manifest.NAME).exists():
        raise MauryError(
            f"Nothing was begun in {out}; name stars by --target or --list, a part of the sky by "
            "--box, or --all."
        )
    return manifest.read(out)


def _search(
    query: Query, limit: int | None, services: Services, session: ArchiveSession
) -> pa.Table:
    from rich.console import Console

    from maury.archive import eso

    with Console(stderr=True).status("Asking ESO's archive") as status:
        found = eso.search(
            query,
            services,
            session,
            limit=limit,
            report=lambda rows: status.update(f"{rows:,} spectra listed"),
        )
    if not len(found):
        raise MauryError(
            f"ESO's archive has no spectra of {query.instrument.upper()} within these limits."
        )
    return found


def _tell_missing(cones: Mapping[str, Cone], wanted: pa.Table) -> None:
    """Tell of which stars there are no spectra."""
    ra, dec = (wanted[name].to_numpy(zero_copy_only=False) for name in ("ra", "dec"))
    without = [name for name, cone in cones.items() if not cone.holds(ra, dec).any()]
    if without:
        typer.echo(f"There are no such spectra of {_brief(without)}.", err=True)


def _confirm(wanted: pa.Table, out: Path, yes: bool) -> None:
    """See to it that there is room, and that much is meant.

    Raises
    ------
    MauryError
        If there is no room, or nobody who could be asked.
    """
    coming = _coming(wanted, out)
    place = next(path for path in (out, *out.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if coming > free:
        raise MauryError(
            f"{out} has room for {free / 1e9:,.1f} GB, but {coming / 1e9:,.1f} GB are to come."
        )
    if coming <= MUCH or yes:
        return
    if not sys.stdin.isatty():
        raise TargetError(
            f"{coming / 1e9:,.0f} GB are to come, more than {MUCH / 1e9:.0f} GB; if you mean all "
            "of it, say --yes."
        )
    typer.confirm(f"{coming / 1e9:,.0f} GB are to come. Fetch them?", abort=True, err=True)


def _coming(wanted: pa.Table, out: Path) -> int:
    """Bytes that are not here yet, by the archive."""
    import pyarrow.compute as pc

    from maury.archive import manifest

    if (out / manifest.NAME).exists():
        known = manifest.read(out).select(["dp_id", *manifest.STATE])
        wanted = manifest.update(wanted, known)
    missing = wanted.filter(pc.not_equal(wanted["status"], "done"))
    return int(pc.sum(missing["estimated_bytes"]).as_py() or 0)


def _brief(names: Sequence[str]) -> str:
    """Names, or the first of them."""
    more = f" and {len(names) - 10:,} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more
