"""``maury ingest``: what goes in, what is refused, and what a second call adds."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from maury.cli import app
from maury.datasets.ingest import ingest
from maury.datasets.label_table import LabelTable
from maury.datasets.observed import Exposure
from maury.datasets.store import SpectrumStore
from maury.errors import MauryError, TargetError
from maury.grid import HARPS_SMALL as GRID


def run(*arguments: str | Path) -> Result:
    command = ["ingest", "--grid", "harps-small", "--format", "json"]
    return CliRunner().invoke(app, [*command, *(str(argument) for argument in arguments)])


def contents(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture
def damaged(tmp_path: Path, write_exposure: Callable[..., str]) -> dict[str, str]:
    """Files of every sort that must be refused, and what must be said of them."""
    write_exposure("zero.fits", np.zeros(GRID.size))
    write_exposure("nan.fits", np.full(GRID.size, np.nan))
    write_exposure("length.fits", np.ones(1000))
    write_exposure("unit.fits", CRVAL1=494.4, CDELT1=0.006)
    write_exposure("instrument.fits", INSTRUME="UVES")
    cut = Path(write_exposure("cut.fits"))
    cut.write_bytes(cut.read_bytes()[:60_000])
    (tmp_path / "thesis.pdf").write_bytes(b"%PDF-1.7\0\1\2")
    (tmp_path / "empty.fits").touch()
    return {
        "zero.fits": "has no flux: all 32,768 pixels are zero",
        "nan.fits": "has no finite flux",
        "length.fits": "has good flux in 3.1% of the grid",
        "unit.fits": "look like nanometres",
        "instrument.fits": "is from UVES, not from HARPS",
        "cut.fits": "is truncated",
        "thesis.pdf": "is neither FITS nor text",
        "empty.fits": "is empty",
        "missing.fits": "does not exist",
    }


def test_bad_files_have_a_sentence_each_and_the_rest_goes_through(
    tmp_path: Path, write_exposure: Callable[..., str], damaged: dict[str, str]
) -> None:
    good = [write_exposure(f"good{k}.fits", k, OBJECT=f"HD {k}") for k in range(3)]
    bad = [str(tmp_path / name) for name in damaged]
    result = run(good[0], *bad, *good[1:], "--out", tmp_path / "store")
    assert result.exit_code == 1
    records = json.loads(result.stdout)
    assert [record["file"] for record in records] == [good[0], *bad, *good[1:]]
    assert [record["status"] for record in records] == ["done", *["failed"] * 9, "done", "done"]
    for record, (name, why) in zip(records[1:10], damaged.items(), strict=True):
        assert record["error"].startswith(str(tmp_path / name)) and why in record["error"]
        assert record["error"].endswith(".") and "\n" not in record["error"]
    assert "3 added, 0 already there, 9 failed; it has 3 spectra of 3 stars." in result.stderr
    store = SpectrumStore(tmp_path / "store")
    assert (store.done.tolist(), store.verify()) == ([0, 10, 11], [])
    assert (store.frame, store.grid) == ("barycentric", GRID)
    row = store.catalogue.to_pylist()[10]
    assert row["sha256"] == hashlib.sha256(Path(good[1]).read_bytes()).hexdigest()
    spectrum = store.spectrum(10)
    assert (spectrum.meta.object, spectrum.meta.berv) == ("HD 1", 18.25)
    np.testing.assert_allclose(np.median(spectrum.flux[spectrum.valid]), 1, rtol=1e-6)


def test_what_is_there_is_passed_over_and_the_rest_added_as_if_at_once(
    tmp_path: Path, write_exposure: Callable[..., str]
) -> None:
    names = [write_exposure(f"{k}.fits", k) for k in range(21)]
    copy = tmp_path / "copy.fits"
    copy.write_bytes(Path(names[2]).read_bytes())
    assert run(*names, "--out", tmp_path / "whole").exit_code == 0
    assert run(*names[:18], copy, "--out", tmp_path / "store").exit_code == 0
    result = run(*names, "--out", tmp_path / "store")
    statuses = [record["status"] for record in json.loads(result.stdout)]
    assert statuses == ["skipped"] * 18 + ["done"] * 3
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_stopped_and_taken_up_again_it_is_the_same(
    tmp_path: Path, write_exposure: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [write_exposure(f"{k}.fits", k) for k in range(20)]
    names.insert(4, str(tmp_path / "missing.fits"))
    assert run(*names, "--out", tmp_path / "whole", "--workers", "2").exit_code == 1
    real = Exposure.__call__

    def stopped(self: Exposure, row: dict) -> tuple:
        if row["file"] == names[18]:
            raise KeyboardInterrupt
        return real(self, row)

    monkeypatch.setattr(Exposure, "__call__", stopped)
    result = run(*names, "--out", tmp_path / "store")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == (
        f"Stopped; the same command finishes {tmp_path / 'store'}."
    )
    monkeypatch.undo()
    assert run(*names, "--out", tmp_path / "store").exit_code == 1
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_a_file_that_failed_is_tried_again_in_its_place(
    tmp_path: Path, write_exposure: Callable[..., str]
) -> None:
    names = [write_exposure("a.fits", 1), write_exposure("b.fits", np.zeros(GRID.size))]
    assert run(*names, "--out", tmp_path / "store").exit_code == 1
    more = write_exposure("c.fits", 3)
    assert run(more, "--out", tmp_path / "store").exit_code == 0
    write_exposure("b.fits", 2)
    records = json.loads(run(*names, more, "--out", tmp_path / "store").stdout)
    found = [(record["index"], record["status"]) for record in records]
    assert found == [(0, "skipped"), (1, "done"), (2, "skipped")]


def test_a_table_fills_labels(tmp_path: Path, write_exposure: Callable[..., str]) -> None:
    names = [write_exposure(f"{k}.fits", k, OBJECT=f"HD {k}") for k in (1, 2)]
    table = tmp_path / "labels.csv"
    table.write_text("star,teff,berv,source\nhd1,5772,3.5,me\nHD 3,4000,,\n")
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(names) + "\n")
    assert run("--from", listed, "--labels", table, "--out", tmp_path / "a").exit_code == 0
    rows = SpectrumStore(tmp_path / "a").catalogue.to_pylist()
    assert (rows[0]["teff"], rows[0]["berv"]) == (5772.0, 3.5)
    assert np.isnan(rows[1]["teff"]) and rows[1]["berv"] == 18.25
    table.write_text("file,logg\n2.fits,4.4\n")
    assert run(*names, "--labels", table, "--out", tmp_path / "b").exit_code == 0
    logg = SpectrumStore(tmp_path / "b").catalogue["logg"].to_pylist()
    assert np.isnan(logg[0]) and logg[1] == 4.4
    again = run(*names, "--labels", table, "--out", tmp_path / "b")
    assert "labels of spectra that were already there are as they were" in again.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("star,colour\nHD 1,red\n", "needs a column star or file, and labels among teff"),
        ("name,teff\nHD 1,5000\n", "it has name, teff"),
        ("", "it has none"),
        ("star,teff\nHD 1,5000\nHD 2,warm\n", "line 3: teff = 'warm' is not a number"),
    ],
)
def test_a_table_that_is_none_is_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(MauryError, match=message):
        LabelTable.read(path)
    with pytest.raises(MauryError, match=r"other.csv cannot be read as a table \(No such file"):
        LabelTable.read(tmp_path / "other.csv")


def test_other_settings_and_nothing_to_do_are_refused(
    tmp_path: Path, write_exposure: Callable[..., str]
) -> None:
    name, store = write_exposure("a.fits"), tmp_path / "store"
    ingest([name], store, grid=GRID)
    for changes, message in (
        ({"instrument": "FEROS"}, "was begun with instrument = HARPS, not FEROS"),
        ({}, "was begun with grid = 4944-6910.02 A in steps of 0.06 A .* not 3709.11-6985.9 A"),
    ):
        with pytest.raises(TargetError, match=message):
            ingest([name], store, **changes)
    settings = store / "settings.json"
    settings.write_text(settings.read_text().replace('"observed"', '"seds"'))
    with pytest.raises(TargetError, match="holds spectra of the kind 'seds'"):
        ingest([name], store, grid=GRID)
    for arguments, message in (
        (["--out", store], "No files are named"),
        (["--out", store, "--from", tmp_path / "none.txt"], "cannot be read as a list of files"),
    ):
        result = run(*arguments)
        assert isinstance(result.exception, MauryError) and message in str(result.exception)
