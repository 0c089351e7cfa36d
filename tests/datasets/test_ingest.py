"""``maury ingest``: what goes in, what is refused, and what a second call adds."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from maury.archive.catalogue import CATALOGUE, Catalogue
from maury.archive.manifest import MANIFEST
from maury.cli import app
from maury.datasets.ingest import ingest
from maury.datasets.label_table import LabelTable
from maury.datasets.observed import COLUMNS, Exposure
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


def test_another_reduction_of_an_exposure_is_flagged_whenever_it_comes(
    tmp_path: Path, write_exposure: Callable[..., str]
) -> None:
    names = [
        write_exposure("old.fits", 1, **{"ESO DRS VERSION": "HARPS_3.5"}),
        write_exposure("broken.fits", np.zeros(GRID.size)),
        # A second later, as the archive's product rounds it, and the next exposure.
        write_exposure("new.fits", 2, **{"DATE-OBS": "2012-03-24T08:37:46"}),
        write_exposure("next.fits", 3, **{"DATE-OBS": "2012-03-24T08:38:27.623"}),
        write_exposure("other.fits", 4, INSTRUME="FEROS"),
        write_exposure("star.fits", 5, OBJECT="HD 2"),
    ]
    assert run(*names, "--instrument", "any", "--out", tmp_path / "whole").exit_code == 1
    rows = SpectrumStore(tmp_path / "whole").catalogue.to_pylist()
    assert [row["flags"] for row in rows] == [[], None, ["duplicate-exposure"], [], [], []]
    again = run(*names, "--instrument", "any", "--out", tmp_path / "whole")
    assert "Noted of 1: duplicate-exposure (the store has the same exposure al" in again.stderr
    store = ["--instrument", "any", "--out", tmp_path / "store"]
    assert run(*names[:2], *store).exit_code == 1
    assert run(*names[2:4], *store).exit_code == 0
    records = json.loads(run(*names, *store).stdout)
    assert [record["flags"] for record in records] == [[], [], ["duplicate-exposure"], [], [], []]
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_a_store_with_fewer_columns_goes_on_with_its_own(
    tmp_path: Path, write_exposure: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [write_exposure(f"{k}.fits", k, OBJECT=f"HD {k}") for k in range(2)]
    later = ("airmass_end", "programme", "drs_version")
    earlier = pa.schema([item for item in COLUMNS if item.name not in later])
    monkeypatch.setattr("maury.datasets.ingest.COLUMNS", earlier)
    assert run(names[0], "--out", tmp_path / "store").exit_code == 0
    monkeypatch.undo()
    assert run(*names, "--out", tmp_path / "store").exit_code == 0
    store = SpectrumStore(tmp_path / "store")
    assert store.done.size == 2
    assert not set(later) & set(store.catalogue.column_names)


def test_what_was_fetched_goes_in_by_its_manifest(
    tmp_path: Path, write_exposure: Callable[..., str]
) -> None:
    (tmp_path / "spectra").mkdir()
    rows = [
        {"dp_id": "ADP.2014-09-16T11:04:46.123", "status": "listed"},
        {"dp_id": "ADP.2014-09-16T11:04:47.123", "status": "done", "file": "b.fits"},
    ]
    for name in ("a.fits", "b.fits"):
        write_exposure(f"spectra/{name}", 4)
    table = pa.Table.from_pylist(rows, MANIFEST)
    pq.write_table(table.slice(0, 1), tmp_path / "manifest.parquet")
    none = run("--from", tmp_path, "--out", tmp_path / "store")
    assert "has no spectra yet" in str(none.exception)
    pq.write_table(table, tmp_path / "manifest.parquet")
    for source in (tmp_path, tmp_path / "manifest.parquet"):
        result = run("--from", source, "--out", tmp_path / "store")
        found = [record["file"] for record in json.loads(result.stdout)]
        assert found == [str(tmp_path / "spectra" / "b.fits")]
    for elsewhere in ("../b.fits", "/etc/passwd", ".."):
        rows[1]["file"] = elsewhere
        pq.write_table(pa.Table.from_pylist(rows, MANIFEST), tmp_path / "manifest.parquet")
        refused = run("--from", tmp_path, "--out", tmp_path / "store")
        assert f"names the file {elsewhere!r}, which is not one in" in str(refused.exception)


def catalogue(path: Path, rows: list[dict]) -> Path:
    """As ``maury catalog`` writes it."""
    Catalogue(pa.Table.from_pylist(rows, CATALOGUE), {}).write(path)
    return path


def test_a_catalogue_names_stars_and_goes_before_headers_but_for_what_it_computed(
    tmp_path: Path, write_exposure: Callable[..., str]
) -> None:
    names = [
        write_exposure("1.fits", 1, OBJECT="alf Cen B", **{"ESO DRS CCF RVC": -22.7}),
        write_exposure("2.fits", 2, OBJECT="HR5460", **{"ESO DRS BERV": None}),
        write_exposure("3.fits", 3, OBJECT="HD 3"),
    ]
    path = catalogue(
        tmp_path / "catalogue.parquet",
        [
            {"file": "2.fits", "star": "HD 128621", "teff": 5231.0, "berv": 17.5, "airmass": 1.5},
            {"file": None, "star": "HD 9", "teff": 9000.0, "rv": 1.0},
            {"file": "1.fits", "star": "HD 128621", "teff": 5232.0, "rv": -22.6, "berv": 17.6},
        ],
    )
    assert run(*names, "--labels", path, "--out", tmp_path / "a").exit_code == 0
    store = SpectrumStore(tmp_path / "a")
    assert {star: rows.tolist() for star, rows in store.stars().items()} == {
        "HD 128621": [0, 1],
        "HD 3": [2],
    }
    found = store.catalogue.select(["teff", "rv", "berv", "airmass"]).to_pylist()
    assert list(found[0].values()) == [5232.0, -22.6, 18.25, 1.213]
    assert found[1]["teff"] == 5231.0 and np.isnan(found[1]["rv"])
    assert (found[1]["berv"], found[1]["airmass"]) == (17.5, 1.213)
    assert np.isnan(found[2]["teff"])


def test_a_users_own_parquet_goes_before_headers_in_all(
    tmp_path: Path, write_exposure: Callable[..., str]
) -> None:
    path = tmp_path / "own.parquet"
    pq.write_table(pa.table({"star": ["hd1", "HD 1"], "berv": [3, 4], "note": ["a", "b"]}), path)
    name = write_exposure("1.fits", 1)
    assert run(name, "--labels", path, "--out", tmp_path / "a").exit_code == 0
    assert SpectrumStore(tmp_path / "a").catalogue["berv"].to_pylist() == [4.0]


def test_a_parquet_file_that_is_no_table_of_labels_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(MauryError, match=r"labels.parquet cannot be read as a table \("):
        LabelTable.read(path)
    for columns, message in (
        ({"star": ["a"], "colour": ["red"]}, "needs a column star or file, and labels among teff"),
        ({"star": ["a"], "teff": ["warm"]}, "column teff is of the type string, not numbers"),
    ):
        pq.write_table(pa.table(columns), path)
        with pytest.raises(MauryError, match=message):
            LabelTable.read(path)


@given(st.lists(st.tuples(st.text(max_size=6), st.floats(allow_nan=False)), max_size=30))
def test_of_equal_keys_the_last_holds_and_no_other_is_found(rows: list[tuple[str, float]]) -> None:
    table = LabelTable.of("star", [name for name, _ in rows], {"teff": [x for _, x in rows]})
    last = {"".join(name.split()).casefold().rstrip("\0"): value for name, value in rows}
    for name, value in last.items():
        assert table.find(star=name.upper() if name.isascii() else name, file="a") == {
            "teff": value
        }
    assert table.find(star="another", file="a") == {}


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
