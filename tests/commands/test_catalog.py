"""``maury catalog`` on the command line: build and report, formats, conflicts and mistakes."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.image import imread
from stand_in import failures

from maury.archive import manifest
from maury.archive.catalogue import CATALOGUE, Catalogue
from maury.datasets.filling import fill
from maury.datasets.observed import COLUMNS
from maury.evaluation.availability import PAPER
from maury.grid import GRIDS

STARS = "Name,Teff,logg,[M/H],RV\nHD 1,5000,4.5,-0.1,10\nHD 2,6000,4.2,,\nHD 3,12000,4.2,0,3\n"


@pytest.fixture
def maury(tmp_path, monkeypatch, command_line):
    """Run ``maury catalog`` in a folder with a manifest; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {
            "dp_id": f"ADP.2014-09-16T11:00:0{i}.000",
            "object": name,
            "ra": ra,
            "dec": -29.0,
            "mjd_start": 55100.1,
            "mjd_end": 55100.11,
            "instrument": "HARPS",
            "status": "listed",
        }
        for i, (name, ra) in enumerate(
            [("HD1", 10.0), ("HD 1", 10.001), ("HD2", 15.0), ("HD3", 20.0), ("HD4", 25.0)]
        )
    ]
    Path("spectra").mkdir()
    manifest.write(pa.Table.from_pylist(rows, manifest.MANIFEST), "manifest.parquet")
    Path("stars.csv").write_text(STARS)
    return partial(command_line, "catalog")


def test_a_catalogue_is_built_from_a_table_and_summed_up(maury):
    code, out, err = maury("build", ".", "--source", "stars.csv", "--format", "json")
    record = json.loads(out)
    assert code == 0 and err == ""
    assert record["catalogue"] == "catalogue.parquet"
    assert (record["spectra"], record["kept"], record["stars"]) == (5, 4, 3)
    assert (record["stars_in_stars.csv"], record["outside_teff"]) == (3, 1)
    found = Catalogue.read("catalogue.parquet").table
    assert found["star"].to_pylist() == ["HD 1", "HD 1", "HD 2", "HD 4"]
    assert found["rv"].to_pylist()[:2] == [10.0, 10.0] and np.isnan(found["mh"][2].as_py())
    assert Path("catalogue.conflicts.csv").read_text().startswith("kind,source,reason,star")
    assert {path.name for path in Path().iterdir()} == {
        "catalogue.conflicts.csv", "catalogue.parquet", "manifest.parquet", "spectra", "stars.csv",
    }  # fmt: skip


def test_the_summary_has_three_forms_and_filters_may_be_off(maury):
    arguments = ("build", "manifest.parquet", "--source", "stars.csv", "--no-filter")
    code, out, _ = maury(*arguments, "--out", "all.parquet")
    assert code == 0 and "kept" in out and "all.parquet" in out
    code, out, _ = maury(*arguments, "--out", "all.parquet", "--format", "csv")
    (record,) = csv.DictReader(io.StringIO(out))
    assert (record["kept"], record["conflicts"]) == ("5", "0")
    assert "outside_teff" not in record


def test_conflicts_are_shown_and_written_and_may_be_settled(maury):
    Path("other.txt").write_text("HD1 5900 4.5\nHD2 6010 4.2\n")
    arguments = ["build", ".", "--source", "stars.csv", "--source", "other.txt"]
    for column in ("star=col1", "teff=col2", "logg=col3"):
        arguments += ["--column", f"other.txt:{column}"]
    code, out, err = maury(*arguments, "--format", "json")
    assert code == 0 and json.loads(out)["conflicts"] == 1
    assert "labels-differ (1): two sources disagree about a label." in err
    assert "HD 1: stars.csv, row 1 (HD 1) has teff = 5000 K, other.txt, row 1 (HD1) has " in err
    (row,) = csv.DictReader(io.StringIO(Path("catalogue.conflicts.csv").read_text()))
    assert (row["kind"], row["star"], row["exposures"]) == ("labels-differ", "HD 1", "2")
    assert (row["value"], row["other_value"], row["used"]) == ("5000.0", "5900.0", "False")
    assert np.isnan(Catalogue.read("catalogue.parquet").table["teff"][0].as_py())
    code, out, err = maury(*arguments, "--trust", "order", "--format", "json")
    assert json.loads(out)["conflicts"] == 0 and "labels-differ" not in err
    assert Catalogue.read("catalogue.parquet").table["teff"][0].as_py() == 5000.0


def test_services_are_asked_where_the_environment_says(maury, services, monkeypatch):
    services.mast.busy = 0
    for name, address in services.environment.items():
        monkeypatch.setenv(name, address)
    rows = [
        {
            "dp_id": each["dp_id"],
            "object": each["target_name"],
            "ra": each["s_ra"],
            "dec": each["s_dec"],
            "mjd_start": each["t_min"],
            "mjd_end": each["t_max"],
            "instrument": each["instrument_name"],
            "status": "listed",
        }
        for each in services.eso.products
    ]
    Path("real").mkdir()
    manifest.write(pa.Table.from_pylist(rows, manifest.MANIFEST), "real/manifest.parquet")
    sources = ("--source", "sweetcat", "--source", "tic", "--source", "simbad")
    code, out, err = maury("build", "real", *sources, "--cache", "kept", "--format", "json")
    record = json.loads(out)
    assert code == 0 and (record["spectra"], record["kept"]) == (60, 60)
    assert (record["stars_in_SWEET-Cat"], record["stars_in_TIC"]) == (7, 12)
    assert "name-or-position" in err and "HD 69830" in err
    assert any(Path("kept").iterdir())
    services.fail("simbad_tap", failures.web_page(), times=None)
    code, out, err = maury("build", "real", "--source", "simbad", "--out", "new.parquet")
    assert code == 1 and out == "" and not Path("new.parquet").exists()
    assert "web page" in err.strip().splitlines()[-1] and "Traceback" not in err


def test_an_interrupt_ends_with_one_sentence_and_no_catalogue(maury, services):
    services.fail("simbad_tap", failures.slow(30), times=None)
    command = [sys.executable, "-m", "maury.cli", "catalog", "build", ".", "--source", "simbad"]
    process = subprocess.Popen(
        command,
        env=os.environ | services.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not services.asked("simbad_tap") and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    assert err.strip().splitlines()[-1] == "Stopped; catalogue.parquet was not written."
    assert not Path("catalogue.parquet").exists()


def test_the_report_counts_labels_and_draws_the_stars(maury):
    maury("build", ".", "--source", "stars.csv")
    code, out, err = maury("report", "catalogue.parquet", "--format", "json")
    records = {record["label"]: record for record in json.loads(out)}
    assert code == 0 and err == ""
    # Two spectra of HD 1 have all labels, of four that are kept.
    assert records["teff"] == {
        "label": "teff", "spectra": 3, "stars": 2, "percentage": 75.0,
        "paper_spectra": 168_728, "paper_stars": 4588, "paper_percentage": 63.1,
    }  # fmt: skip
    assert (records["all"]["spectra"], records["all"]["stars"]) == (2, 1)
    assert records["berv"]["percentage"] == 100.0
    code, out, err = maury("report", "catalogue.parquet", "--out", "report")
    assert code == 0 and "Table 1: labels of 4 spectra of 3 unique targets" in out
    assert "Left out of 5: 1" in out and "168,728" in out
    names = {path.name for path in Path("report").iterdir()}
    assert names == {"table1.txt", "table1.csv", "fig1.png", "fig1.pdf"}
    image = imread("report/fig1.png")
    assert image.shape[0] > 400 and np.ptp(image[..., :3]) > 0.9


def test_the_report_takes_a_store_too(maury):
    grid = GRIDS["harps-tiny"]
    rows = [
        {"file": f"{i}.fits", "star": f"HD {i // 2}", "teff": 5000.0 + i, "berv": float(i)}
        for i in range(4)
    ]
    fill(
        "store",
        settings={"kind": "observed", "unit": None, "instrument": "HARPS"},
        grid=grid,
        frame="barycentric",
        columns=COLUMNS,
        rows=rows,
        compute=lambda row: (np.ones(grid.size, np.float32), dict(row)),
        workers=0,
    )
    code, out, err = maury("report", "store", "--format", "csv")
    counts = {row["label"]: row for row in csv.DictReader(io.StringIO(out))}
    assert code == 0 and err == ""
    assert (counts["teff"]["spectra"], counts["teff"]["stars"]) == ("4", "2")
    assert (counts["logg"]["spectra"], counts["all"]["spectra"]) == ("0", "0")


def test_percentages_of_the_paper_are_those_of_its_counts():
    for name, (spectra, _, percentage) in PAPER.items():
        assert 100 * spectra / 267_361 == pytest.approx(percentage, abs=0.06), name


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["build", "none", "--source", "stars.csv"], "There is no manifest none; maury fetch"),
        (["build", ".", "--source", "tik"], "There is no file tik; a source is tic, simbad"),
        (["build", ".", "--source", "manifest.parquet"], "cannot be read as a table"),
        (["build", ".", "--source", "stars.csv", "--out", "manifest.parquet"], "is no catalogue"),
        (["build", ".", "--source", "stars.csv", "--out", "spectra"], "spectra is a folder"),
        (["build", ".", "--source", "stars.csv", "--column", "teff"], "use WHAT=COLUMN"),
        (["build", ".", "--source", "stars.csv", "--column", "b.csv:teff=a"], "not among"),
        (["build", ".", "--source", "stars.csv", "--column", "teff=T"], "has no column 'T'"),
        (
            ["build", ".", "--source", "stars.csv", "--trust", "name", "--trust", "position"],
            "not both",
        ),
        (["report", "manifest.parquet"], "is not a catalogue"),
        (["report", "spectra"], "spectra holds no spectra"),
    ],
)
def test_mistakes_have_one_sentence_and_leave_nothing(maury, arguments, sentence):
    before = sorted(path.name for path in Path().iterdir())
    code, out, err = maury(*arguments)
    assert code in (1, 2) and out == ""
    assert sentence in err and len(err.strip().splitlines()) == 1
    assert sorted(path.name for path in Path().iterdir()) == before


def test_a_catalogue_without_stars_to_draw_says_so(maury):
    pq.write_table(CATALOGUE.empty_table(), "none.parquet")
    Catalogue(CATALOGUE.empty_table(), {
        "spectra": {"listed": 0, "kept": 0}, "sources": [], "filters": {}, "conflicts": {},
    }).write("none.parquet")  # fmt: skip
    code, out, err = maury("report", "none.parquet", "--out", "report")
    assert code == 1 and "0 spectra of 0 unique targets" in out
    assert "No star has both temperature and gravity" in err
