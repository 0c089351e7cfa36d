"""The verb from the command line: what it fetches, prints and refuses, and how it ends."""

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

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.time import Time
from stand_in import failures

from maury.archive import manifest


@pytest.fixture
def maury(services, tmp_path, monkeypatch, command_line):
    """Run ``maury fetch`` in an empty folder; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for name, address in services.environment.items():
        monkeypatch.setenv(name, address)
    return partial(command_line, "fetch")


def files(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder, "spectra").iterdir())


def test_a_star_is_fetched_with_a_manifest(services, maury):
    code, out, err = maury("--target", "HD 69830", "--out", "stars", "--format", "json")
    records = json.loads(out)
    assert code == 0 and len(records) == 4
    for record in records:
        content = Path(record["file"]).read_bytes()
        assert content == services.eso.content(record["product"])
        assert (record["status"], record["error"]) == ("done", None)
        assert record["bytes"] == len(content)
    assert pq.read_table("stars/manifest.parquet")["status"].to_pylist() == ["done"] * 4
    assert "stars: 4 fetched, 0 already there, 0 failed." in err
    code, out, err = maury("--out", "stars", "--format", "json")
    assert (code, json.loads(out)) == (0, records)
    assert "stars: 0 fetched, 4 already there, 0 failed." in err
    assert len(services.asked("eso_files")) == 4


def test_a_table_fits_a_terminal(services, maury):
    code, out, _ = maury("--target", "HD 69830", "--limit", "2", "--out", "stars")
    lines = [line.rstrip() for line in out.splitlines() if line.strip()]
    assert code == 0 and len(lines) == 4
    assert lines[0].split() == ["product", "object", "start,", "UTC", "S/N", "status"]
    assert max(map(len, lines)) < 80
    assert all("ADP." in line and "HD69830" in line for line in lines[2:])


def test_a_list_of_stars_has_comments_and_unknown_names(services, maury):
    Path("stars.txt").write_text("# mine\nHD 69830\n\nHD 123456789 # a typing error\ntau Cet\n")
    code, out, err = maury("--list", "stars.txt", "--out", "stars", "--format", "csv")
    names = {row["object"] for row in csv.DictReader(io.StringIO(out))}
    assert names == {"HD69830", "HD40307", "HD10700", "TAU-CETI"}
    assert code == 1
    assert "SIMBAD does not know 1 of 3 stars: HD 123456789." in err


def test_a_star_without_spectra_is_told_of(services, maury):
    code, _, err = maury("--target", "Proxima Centauri", "--target", "51 Peg", "--out", "stars")
    assert code == 0 and len(files("stars")) == 3
    assert "There are no such spectra of Proxima Centauri." in err


def test_limits_reach_the_archive(services, maury):
    arguments = ["--all", "--snr", "100", "--from", "2008-01-01", "--to", "2012-12-31"]
    _, out, _ = maury(*arguments, "--out", "stars", "--format", "json")
    found = [record["product"] for record in json.loads(out)]
    first, last = Time(["2008-01-01", "2013-01-01"]).mjd
    rows = [row for row in services.eso.products if row["obs_collection"] == "HARPS"]
    within = [row for row in rows if row["snr"] >= 100 and first <= row["t_min"] < last]
    public = [row["dp_id"] for row in within if row["obs_release_date"] < "2090"]
    assert found == sorted(public) and len(found) > 3
    _, out, _ = maury(*arguments, "--limit", "3", "--out", "few", "--format", "json")
    assert [record["product"] for record in json.loads(out)] == found[:3]


def test_a_part_of_the_sky_is_fetched(services, maury):
    code, out, _ = maury("--box", "20,60,-50,-10", "--out", "sky", "--format", "json")
    table = manifest.read("sky")
    assert code == 0 and len(json.loads(out)) == len(table) > 0
    for name, low, high in (("ra", 20, 60), ("dec", -50, -10)):
        assert all(low <= value <= high for value in table[name].to_pylist())


def test_a_dry_run_counts_and_writes_nothing(services, maury):
    code, out, _ = maury("--all", "--dry-run", "--format", "json", "--out", "none")
    record = json.loads(out)[0]
    rows = [row for row in services.eso.rows() if row["obs_collection"] == "HARPS"]
    public = [row for row in rows if row["obs_release_date"] < "2090"]
    size = sum(row["access_estsize"] for row in public)
    assert code == 0 and not Path("none").exists()
    assert (record["instrument"], record["spectra"]) == ("HARPS", len(public))
    assert record["targets"] == len({row["target_name"] for row in public})
    assert record["gigabytes"] == pytest.approx(size / 1e6, abs=5e-4)
    assert services.asked("eso_files") == []


def test_a_dry_run_of_the_papers_archive_tells_days_and_terabytes(services, maury):
    for row in services.eso.products:
        row["access_estsize"] = 267_361 * 5261 // 52
    _, out, _ = maury("--all", "--dry-run", "--workers", "4")
    # 267,361 spectra of 5.261 MB, at 4 MB a second.
    assert "1.4 TB" in out and "4.1 days at 4 MB/s" in out


def test_what_fails_is_told_and_the_exit_code_is_1(services, maury):
    dp_id = next(row["dp_id"] for row in services.eso.products if row["target_name"] == "HD69830")
    services.fail("eso_files", failures.refused(404), matching=dp_id)
    code, out, err = maury("--target", "HD 69830", "--out", "stars", "--format", "json")
    failed = [record for record in json.loads(out) if record["status"] == "failed"]
    assert code == 1 and [record["product"] for record in failed] == [dp_id]
    assert f"has no {dp_id}." in err and "3 fetched, 0 already there, 1 failed." in err
    assert maury("--out", "stars")[0] == 0


def test_of_many_files_a_table_has_those_that_failed(services, maury, monkeypatch):
    monkeypatch.setattr("maury.commands.downloads.SHOWN", 3)
    services.fail("eso_files", failures.refused(404))
    code, out, _ = maury("--target", "HD 69830", "--out", "stars", "--workers", "1")
    assert code == 1 and out.count("ADP.") == 1 and "failed" in out
    code, out, _ = maury("--out", "stars")
    assert (code, out) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--out", "new"], 1, "Nothing was begun in new"),
        (["--all"], 2, "Name the folder for the files by --out"),
        (["--dry-run"], 2, "--target or --list"),
        (["--snr", "50", "--out", "new"], 2, "--target or --list"),
        (["--all", "--box", "1,2,3,4", "--out", "new"], 2, "not several of these"),
        (["--box", "1,2,3", "--out", "new"], 2, "--box 1,2,3 is no part of the sky"),
        (["--box", "1,2,4,3", "--out", "new"], 2, "There is no box 1,2,4,3"),
        (["--all", "--instrument", "SOPHIE", "--out", "new"], 2, "HARPS, FEROS, UVES, ESPRESSO"),
        (["--all", "--from", "yesterday", "--out", "new"], 2, "'yesterday' is no date"),
        (["--all", "--programme", "' OR 1=1", "--out", "new"], 2, "no observing programme"),
        (["--all", "--snr", "nan", "--out", "new"], 2, "nan"),
        (["--all", "--from", "2098-01-01", "--out", "new"], 1, "no spectra of HARPS within"),
        (["--target", "HD 123456789", "--out", "new"], 1, "knows none of the stars"),
        (["--list", "none.txt", "--out", "new"], 1, "none.txt cannot be read"),
        (["--list", "empty.txt", "--out", "new"], 1, "empty.txt names no star"),
        (["--all", "--user", "nobody", "--out", "new"], 1, "keyring"),
        (["--all", "--out", "empty.txt"], 2, "empty.txt cannot be used"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(services, maury, arguments, code, told):
    Path("empty.txt").write_text("# nothing\n")
    found, out, err = maury(*arguments)
    assert (found, out) == (code, "")
    sentence = err.rstrip("\n").split("\n")[-1]
    assert told in sentence and sentence.endswith(".")
    assert "Traceback" not in err and not Path("new").exists()


def test_much_is_not_fetched_unasked(services, maury, monkeypatch):
    monkeypatch.setattr("maury.commands.fetch.MUCH", 1e5)
    code, _, err = maury("--target", "HD 69830", "--out", "stars")
    assert code == 2 and "if you mean all of it, say --yes" in err and not Path("stars").exists()
    assert maury("--target", "HD 69830", "--out", "stars", "--yes")[0] == 0
    # What is here is not counted.
    assert maury("--target", "HD 69830", "--out", "stars")[0] == 0


def test_what_does_not_fit_on_the_disk_is_not_begun(services, maury):
    for row in services.eso.products:
        row["access_estsize"] = 10**15
    code, _, err = maury("--target", "HD 69830", "--out", "stars", "--yes")
    assert code == 1 and "has room for" in err and not Path("stars").exists()


def test_without_the_libraries_it_tells_what_to_install(services, maury, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] in ("pyvo", "keyring")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("eso", "tap", "login", "transfer", "download", "simbad"):
        monkeypatch.delitem(sys.modules, f"maury.archive.{name}", raising=False)
        monkeypatch.delattr(f"maury.archive.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "keyring", None)
    code, _, err = maury("--all", "--out", "new")
    assert code == 1 and "maury fetch needs keyring; pip install 'maury[archive]'" in err


def test_an_interruption_is_one_sentence_and_the_same_command_goes_on(services, tmp_path):
    services.fail("eso_files", failures.slow(0.3), times=None)
    command = [sys.executable, "-m", "maury.cli", "fetch", "--target", "alf Cen B", "--out", "a"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | services.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(services.asked("eso_files")) < 6:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err.rstrip().endswith("Stopped; the same command finishes a.")
    assert "Traceback" not in err
    table = manifest.read(tmp_path / "a")
    done = table.filter(pa.array([s == "done" for s in table["status"].to_pylist()]))
    assert 0 < len(done) < len(table)
