"""Files come whole or not at all, several at once, and a kill costs next to nothing."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import keyring
import pyarrow as pa
import pytest
from astropy.io import fits
from filelock import FileLock
from keyring.backend import KeyringBackend
from keyring.errors import PasswordSetError
from outside import Outside
from stand_in import failures
from stand_in.message import Answer

from maury.archive import eso, manifest
from maury.archive.download import Progress, download
from maury.errors import ArchiveError, MauryError, TargetError


class Ring(KeyringBackend):
    """A keyring that has the passwords of the stand-in's users."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        passwords = {"astronomer": "correct horse", "guest": "battery staple"}
        return passwords.get(username) if service == "astroquery:www.eso.org" else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise PasswordSetError("It has what it has.")


@pytest.fixture
def ring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def wanted(services: Outside) -> pa.Table:
    """Six spectra."""
    return found(services, 6)


def found(services: Outside, limit: int | None = None, public: bool = True) -> pa.Table:
    query = eso.Query(instrument="HARPS", public=public)
    return eso.search(query, services.services, services.session, limit=limit)


def fetch(services: Outside, table: pa.Table | None, folder: Path, **options) -> pa.Table:
    options = {"pause": 0.01} | options
    return download(table, folder, services.services, services.session, **options)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in (folder / "spectra").iterdir())


def statuses(table: pa.Table) -> list[str]:
    return table["status"].to_pylist()


def large(services: Outside, table: pa.Table, row: int = 0, blocks: int = 1000) -> str:
    """Let a product be a file of megabytes, and tell its identifier."""
    dp_id = table["dp_id"][row].as_py()
    buffer = io.BytesIO()
    fits.PrimaryHDU(data=None).writeto(buffer)
    noise = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(90 * blocks))
    services.eso.files[dp_id] = buffer.getvalue() + noise
    return dp_id


def test_files_are_the_archives_byte_for_byte(services, wanted, tmp_path):
    result = fetch(services, wanted, tmp_path)
    assert statuses(result) == ["done"] * 6
    for row in result.to_pylist():
        content = (tmp_path / "spectra" / row["file"]).read_bytes()
        assert content == services.eso.content(row["dp_id"])
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert (row["bytes"], row["file"]) == (len(content), f"{row['dp_id']}.fits")
    assert len(names(tmp_path)) == 6
    assert manifest.read(tmp_path).equals(result)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        ".lock",
        "manifest.parquet",
        "spectra",
    ]


def test_what_is_here_is_not_fetched_again(services, wanted, tmp_path):
    fetch(services, wanted, tmp_path)
    asked = len(services.asked("eso_files"))
    for again in (wanted, None):
        assert statuses(fetch(services, again, tmp_path)) == ["done"] * 6
    assert len(services.asked("eso_files")) == asked == 6


def test_a_second_query_adds_to_the_first_and_fetches_no_more_than_it_asks(services, tmp_path):
    every = found(services, 8)
    fetch(services, every.slice(0, 2), tmp_path)
    table = fetch(services, every.slice(1, 3), tmp_path)
    assert table["dp_id"].to_pylist() == every.slice(1, 3)["dp_id"].to_pylist()
    assert statuses(manifest.read(tmp_path)) == ["done"] * 4
    assert len(services.asked("eso_files")) == 4


def test_a_file_that_changed_is_fetched_anew(services, wanted, tmp_path):
    result = fetch(services, wanted, tmp_path)
    files = [tmp_path / "spectra" / name for name in result["file"].to_pylist()]
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-1])
    rotten = bytearray(files[2].read_bytes())
    rotten[5000] ^= 1
    files[2].write_bytes(rotten)
    before = len(services.asked("eso_files"))
    fetch(services, None, tmp_path)
    assert len(services.asked("eso_files")) == before + 2
    fetch(services, None, tmp_path, verify=True)
    assert len(services.asked("eso_files")) == before + 3
    for row, file in zip(result.to_pylist(), files, strict=True):
        assert hashlib.sha256(file.read_bytes()).hexdigest() == row["sha256"]


def test_a_manifest_that_tells_of_files_elsewhere_is_not_believed(services, wanted, tmp_path):
    victim = tmp_path / "victim.fits"
    victim.write_bytes(b"precious")
    for name in (None, "../victim.fits", str(victim), ".."):
        claim = {"status": "done", "file": name, "bytes": 8, "sha256": "00"}
        rows = [row | claim for row in wanted.to_pylist()]
        table = pa.Table.from_pylist(rows, manifest.MANIFEST)
        folder = tmp_path / f"of {str(name)[:4]}".replace("/", "")
        assert statuses(fetch(services, table, folder)) == ["done"] * 6
        assert len(names(folder)) == 6
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_files_are_asked_for_at_once_than_allowed(services, tmp_path, workers):
    services.fail("eso_files", failures.slow(0.05), times=None)
    fetch(services, found(services, 12), tmp_path, workers=workers)
    assert services.most_at_once("eso_files") == workers


@pytest.mark.parametrize("workers", [0, 11])
def test_more_than_ten_at_once_are_refused(services, wanted, tmp_path, workers):
    with pytest.raises(TargetError, match="1 to 10"):
        fetch(services, wanted, tmp_path, workers=workers)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "failure",
    [
        failures.busy(0),
        failures.unavailable(),
        failures.broken(),
        failures.dropped(),
        failures.cut(0.5),
        failures.cut(0.0),
        failures.web_page(),
        failures.shortened(),
        failures.lengthened(),
        failures.shortened(2880),
        failures.empty(),
    ],
)
def test_a_passing_failure_costs_only_time(services, wanted, tmp_path, failure):
    dp_id = wanted["dp_id"][2].as_py()
    services.fail("eso_files", failure, times=2, matching=dp_id)
    result = fetch(services, wanted, tmp_path)
    assert statuses(result) == ["done"] * 6
    assert (tmp_path / "spectra" / f"{dp_id}.fits").read_bytes() == services.eso.content(dp_id)
    assert len(names(tmp_path)) == 6


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (failures.unavailable(), "503"),
        (failures.busy(0), "429"),
        (failures.dropped(), "gives no answer"),
        (failures.cut(0.0), "breaks off"),
        (failures.web_page(), "sends a web page instead"),
        (failures.shortened(), "no multiple of 2880"),
        (failures.shortened(2880), "the archive's table has"),
        (failures.lengthened(5760), "the archive's table has"),
        (failures.empty(), "no FITS file"),
        (lambda *_: Answer(200, b"<html>Log in</html>" * 300, "application/fits"), "no FITS file"),
        (failures.refused(401), "to everybody; name the account"),
        (failures.refused(404), "has no ADP"),
    ],
)
def test_a_failure_that_stays_is_told_and_the_rest_goes_on(
    services, wanted, tmp_path, failure, told
):
    dp_id = wanted["dp_id"][2].as_py()
    services.fail("eso_files", failure, times=None, matching=dp_id)
    result = fetch(services, wanted, tmp_path)
    assert statuses(result) == ["done", "done", "failed", "done", "done", "done"]
    row = result.to_pylist()[2]
    assert told in row["error"] and row["error"].endswith(".") and "\n" not in row["error"]
    assert (row["file"], row["bytes"], row["sha256"]) == (None, None, None)
    assert f"{dp_id}.fits" not in names(tmp_path)
    services.heal()
    assert statuses(fetch(services, None, tmp_path)) == ["done"] * 6


def test_what_came_before_a_line_broke_is_not_asked_for_again(services, wanted, tmp_path):
    dp_id = large(services, wanted)
    content = services.eso.content(dp_id)
    services.fail("eso_files", failures.cut(0.4), matching=dp_id)
    services.fail("eso_files", failures.cut(0.5), after=1, matching=dp_id)
    result = fetch(
        services, wanted.slice(0, 1).set_column(15, "estimated_bytes", [[None]]), tmp_path
    )
    assert statuses(result) == ["done"]
    assert (tmp_path / "spectra" / f"{dp_id}.fits").read_bytes() == content
    asked = services.asked("eso_files")
    starts = [request.header("Range") for request in asked]
    assert starts[0] is None and len(starts) == 3
    # What the client had not taken in when the line broke comes twice: less than 64 KiB.
    assert len(content) <= sum(request.sent for request in asked) < len(content) + 2 * 65536
    assert int(starts[1][6:-1]) > int(0.4 * len(content)) - 65536


def test_a_part_of_another_version_is_thrown_away(services, wanted, tmp_path):
    dp_id = wanted["dp_id"][0].as_py()
    folder = tmp_path / "spectra"
    folder.mkdir()
    (folder / f"{dp_id}.fits.part").write_bytes(b"old bytes" * 1000)
    (folder / f"{dp_id}.fits.part.etag").write_text('"another"')
    fetch(services, wanted, tmp_path)
    assert (folder / f"{dp_id}.fits").read_bytes() == services.eso.content(dp_id)
    assert len(names(tmp_path)) == 6


@pytest.mark.parametrize("part", [b"", b"SIMPLE  =", b"x" * 10**6])
def test_a_part_that_nothing_is_known_of_is_thrown_away(services, wanted, tmp_path, part):
    dp_id = wanted["dp_id"][0].as_py()
    folder = tmp_path / "spectra"
    folder.mkdir()
    (folder / f"{dp_id}.fits.part").write_bytes(part)
    fetch(services, wanted, tmp_path)
    assert (folder / f"{dp_id}.fits").read_bytes() == services.eso.content(dp_id)


def test_a_part_that_is_all_gets_its_name_without_another_byte(services, wanted, tmp_path):
    dp_id = wanted["dp_id"][0].as_py()
    content = services.eso.content(dp_id)
    folder = tmp_path / "spectra"
    folder.mkdir()
    (folder / f"{dp_id}.fits.part").write_bytes(content)
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    (folder / f"{dp_id}.fits.part.etag").write_text(tag)
    assert statuses(fetch(services, wanted.slice(0, 1), tmp_path)) == ["done"]
    assert [request.sent for request in services.asked("eso_files")] == [0]
    assert (folder / f"{dp_id}.fits").read_bytes() == content


def test_a_part_that_is_longer_than_the_file_is_thrown_away(services, wanted, tmp_path):
    dp_id = wanted["dp_id"][0].as_py()
    content = services.eso.content(dp_id)
    folder = tmp_path / "spectra"
    folder.mkdir()
    (folder / f"{dp_id}.fits.part").write_bytes(content + b"more")
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    (folder / f"{dp_id}.fits.part.etag").write_text(tag)
    fetch(services, wanted.slice(0, 1), tmp_path)
    assert (folder / f"{dp_id}.fits").read_bytes() == content


def test_a_service_that_knows_no_parts_sends_the_whole(services, wanted, tmp_path):
    dp_id = large(services, wanted)
    content = services.eso.content(dp_id)
    services.fail("eso_files", failures.cut(0.4), matching=dp_id)
    services.fail(
        "eso_files", lambda *_: Answer(200, content, "application/fits"), after=1, matching=dp_id
    )
    table = wanted.slice(0, 1).set_column(15, "estimated_bytes", [[None]])
    assert statuses(fetch(services, table, tmp_path)) == ["done"]
    assert (tmp_path / "spectra" / f"{dp_id}.fits").read_bytes() == content


def test_a_name_from_the_network_is_not_used(services, wanted, tmp_path):
    services.fail("eso_files", failures.named("../../escaped.fits"), times=None)
    fetch(services, wanted, tmp_path / "inner" / "folder")
    assert not list(tmp_path.rglob("escaped*"))
    assert all(name.startswith("ADP.") for name in names(tmp_path / "inner" / "folder"))


def test_a_manifest_with_a_path_for_a_name_is_refused(services, wanted, tmp_path):
    ids = pa.array(["../../../escaped", *wanted["dp_id"].to_pylist()[1:]])
    with pytest.raises(MauryError, match=r"'../../../escaped'"):
        fetch(services, wanted.set_column(0, "dp_id", ids), tmp_path)
    assert services.asked("eso_files") == [] and not list(tmp_path.iterdir())


def test_a_file_that_is_compressed_is_kept_so(services, wanted, tmp_path):
    dp_id = wanted["dp_id"][0].as_py()
    packed = gzip.compress(services.eso.content(dp_id))
    services.eso.files[dp_id] = packed
    result = fetch(services, found(services, 1), tmp_path)
    assert result["file"].to_pylist() == [f"{dp_id}.fits.gz"]
    assert (tmp_path / "spectra" / f"{dp_id}.fits.gz").read_bytes() == packed
    assert statuses(fetch(services, None, tmp_path)) == ["done"]
    assert len(services.asked("eso_files")) == 1


@pytest.mark.parametrize("kilobyte", [1000.0, 1024.0])
def test_sizes_agree_whatever_the_archive_calls_a_kilobyte(services, tmp_path, kilobyte):
    services.eso.kilobyte = kilobyte
    assert statuses(fetch(services, found(services, 2), tmp_path)) == ["done"] * 2


def test_proprietary_files_are_told_from_failures(services, tmp_path, ring):
    table = found(services, public=False)
    hidden = table.filter(pa.array([date > "2090" for date in table["release_date"].to_pylist()]))
    dp_id = hidden["dp_id"][0].as_py()
    told = {}
    for user in (None, "guest", "astronomer"):
        told[user] = fetch(services, hidden, tmp_path, user=user)["error"][0].as_py()
    assert f"does not give {dp_id} to everybody until 2099-01-01" in told[None]
    assert told["guest"].endswith(f"does not let guest have {dp_id}.")
    assert told["astronomer"] is None
    assert names(tmp_path) == [f"{dp_id}.fits"]


def test_a_page_to_log_in_on_is_not_taken_for_a_failure_that_passes(services, tmp_path):
    table = found(services, public=False)
    hidden = table.filter(pa.array([date > "2090" for date in table["release_date"].to_pylist()]))
    services.fail("eso_files", failures.web_page("Log in"), times=None)
    row = fetch(services, hidden, tmp_path).to_pylist()[0]
    assert "to everybody until 2099-01-01; name the account" in row["error"]
    assert len(services.asked("eso_files")) == 1


def test_a_token_that_expires_on_the_way_is_renewed(services, tmp_path, ring):
    table = found(services, 6, public=False)
    services.fail("eso_files", failures.refused(401), times=1, after=3)
    result = fetch(services, table, tmp_path, user="astronomer", workers=1)
    assert statuses(result) == ["done"] * 6
    assert len(services.asked("eso_token")) == 2


def test_a_service_that_is_away_is_not_asked_for_each_file(services, tmp_path):
    table = found(services, 18)
    services.fail("eso_files", failures.unavailable(), times=None, after=5)
    with pytest.raises(ArchiveError, match=r"503 .*, and so 10 times in a row; .* goes on later\."):
        fetch(services, table, tmp_path, workers=1)
    kept = statuses(manifest.read(tmp_path))
    assert (kept.count("done"), kept.count("failed")) == (5, 10)
    services.heal()
    assert set(statuses(fetch(services, None, tmp_path))) == {"done"}


def test_two_do_not_fill_a_folder_at_once(services, wanted, tmp_path):
    with FileLock(tmp_path / ".lock"), pytest.raises(TargetError, match="Another process"):
        fetch(services, wanted, tmp_path)
    assert services.asked("eso_files") == []


def test_a_folder_that_is_a_file_is_a_sentence(services, wanted, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TargetError, match="file cannot be used"):
        fetch(services, wanted, tmp_path / "file")


def test_progress_counts_files_and_bytes(services, wanted, tmp_path):
    seen: list[Progress] = []
    services.fail("eso_files", failures.refused(404), matching=wanted["dp_id"][1].as_py())
    services.fail("eso_files", failures.cut(0.5), matching=wanted["dp_id"][3].as_py())
    result = fetch(services, wanted, tmp_path, report=seen.append)
    last = seen[-1]
    assert (last.files, last.failed, last.all_files) == (5, 1, 6)
    assert last.bytes == sum(filter(None, result["bytes"].to_pylist()))
    assert all(a.files <= b.files for a, b in pairwise(seen))
    fetch(services, wanted, tmp_path, report=seen.append)
    assert (seen[-1].files, seen[-1].failed, seen[-1].before) == (6, 0, 5)


def test_an_interruption_keeps_what_is_here_and_ends_soon(services, wanted, tmp_path):
    dp_id = large(services, wanted, row=5)
    services.fail("eso_files", failures.dripping(2e5), times=None, matching=dp_id)

    def interrupt(progress: Progress) -> None:
        if progress.files == 5 and progress.bytes > sum(sizes[:5]) + 50_000:
            raise KeyboardInterrupt

    sizes = [len(services.eso.content(one)) for one in wanted["dp_id"].to_pylist()]
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch(services, found(services, 6), tmp_path, report=interrupt)
    assert time.monotonic() - started < 8
    assert statuses(manifest.read(tmp_path)) == ["done"] * 5 + ["listed"]
    assert f"{dp_id}.fits.part" in names(tmp_path)
    services.heal()
    assert statuses(fetch(services, None, tmp_path)) == ["done"] * 6
    assert services.asked("eso_files")[-1].header("Range") is not None


SCRIPT = """
import sys
from maury.archive.download import download
from maury.archive.services import Services
from maury.archive.session import ArchiveSession

download(None, sys.argv[1], Services.from_environment(), ArchiveSession(), workers=2)
"""


def test_a_kill_at_any_time_costs_no_byte(services, wanted, tmp_path):
    big = large(services, wanted, row=4)
    table = found(services, 6)
    manifest.write(table, tmp_path / "manifest.parquet")
    services.fail("eso_files", failures.dripping(1e6), times=1, matching=big)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], env=os.environ | services.environment
    )
    part = tmp_path / "spectra" / f"{big}.fits.part"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (part.exists() and part.stat().st_size > 500_000):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = part.stat().st_size
    assert 500_000 < there < len(services.eso.content(big))
    # Killed without a word: what is done is in the journal, and is known from there.
    done = statuses(manifest.read(tmp_path)).count("done")
    assert done == len([name for name in names(tmp_path) if name.endswith(".fits")]) >= 4
    before = len(services.asked("eso_files"))
    assert statuses(fetch(services, None, tmp_path)) == ["done"] * 6
    again = services.asked("eso_files")[before:]
    assert len(again) == 6 - done
    resumed = next(request for request in again if big in request.url)
    assert resumed.header("Range") == f"bytes={there}-"
    assert (tmp_path / "spectra" / f"{big}.fits").read_bytes() == services.eso.content(big)


def test_a_file_that_no_one_noted_is_known_by_its_content(services, wanted, tmp_path):
    result = fetch(services, wanted, tmp_path)
    # As a kill between a file's name and the note of it leaves it.
    manifest.write(wanted, tmp_path / "manifest.parquet")
    (tmp_path / "spectra" / result["file"][1].as_py()).write_bytes(b"SIMPLE  =" + bytes(100))
    before = len(services.asked("eso_files"))
    assert fetch(services, None, tmp_path).equals(result)
    assert len(services.asked("eso_files")) == before + 1


def largest_file(size: int) -> None:
    """Let no file grow further; the error is like that of a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.fixture
def small_disk() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    largest_file(1_000_000)
    yield
    largest_file(before)


def test_a_full_disk_stops_all_with_a_sentence(services, wanted, tmp_path, small_disk):
    big = large(services, wanted, row=3)
    with pytest.raises(MauryError) as error:
        fetch(services, found(services, 6), tmp_path, workers=2)
    part = tmp_path / "spectra" / f"{big}.fits.part"
    assert str(error.value) == f"{part} cannot be written (File too large)."
    table = manifest.read(tmp_path)
    assert table["status"][3].as_py() == "listed"
    assert not [name for name in names(tmp_path) if big in name]
    for row in table.to_pylist():
        if row["status"] == "done":
            assert (tmp_path / "spectra" / row["file"]).stat().st_size == row["bytes"]
    largest_file(100_000_000)
    assert statuses(fetch(services, None, tmp_path)) == ["done"] * 6
