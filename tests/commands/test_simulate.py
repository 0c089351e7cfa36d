"""``maury simulate sed``: killed and taken up again, nothing is lost or done twice."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from maury.cli import app
from maury.datasets.store import SpectrumStore
from maury.datasets.workers import Outcome
from maury.errors import SynthesisError, TargetError
from maury.synthesis.synthesize import synthesize

# More than a process computes in the moment that a signal takes to arrive.
SIZE = 20
SET = f"--n {SIZE} --sampling sobol --seed 7 --teff 4500:6500 --start 5150 --stop 5250".split()


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen]]:
    """Start the command as a process of its own, which does not outlive the test."""
    processes = []

    def begin(*arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "maury.cli", "simulate", "sed", *SET, *arguments]
        processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()


def run(*arguments: str):
    return CliRunner().invoke(app, ["simulate", "sed", *arguments])


def rows_in(folder: Path) -> int:
    journal = folder / "catalogue.journal"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def wait_for(condition: Callable[[], bool], process: subprocess.Popen | None = None) -> None:
    """Wait, for as long as a busy machine may take, but not for a process that has ended."""
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end
        assert process is None or process.poll() is None
        time.sleep(0.01)


def children(process: subprocess.Popen) -> list[int]:
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(number) for number in text.split()]


def results(folder: Path) -> tuple[list[dict], np.ndarray]:
    store = SpectrumStore(folder)
    rows = [{**row, "seconds": None} for row in store.catalogue.to_pylist()]
    return rows, store.flux(range(len(store)))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seds") / "whole"
    result = run(*SET, "--out", str(folder), "--workers", "1")
    assert result.exit_code == 0, result.stderr
    assert f"{SIZE} of {SIZE} spectra, 10,001 pixels, 5150.00-5250.00 A in air" in result.stderr
    return folder


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
def test_killed_interrupted_and_resumed_is_as_uninterrupted(
    tmp_path: Path, uninterrupted: Path, start: Callable[..., subprocess.Popen]
) -> None:
    folder = tmp_path / "killed"
    process = start("--out", str(folder), "--workers", "2")
    wait_for(lambda: rows_in(folder) >= 3, process)
    workers = children(process)
    process.kill()
    process.communicate()
    killed = SpectrumStore(folder).catalogue.to_pylist()
    assert 3 <= len(killed) < SIZE
    # The workers notice that they are alone, and go.
    wait_for(lambda: not any(Path(f"/proc/{number}").exists() for number in workers))

    process = start("--out", str(folder), "--workers", "1")
    wait_for(lambda: SpectrumStore(folder).done.size > len(killed), process)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate()
    assert process.returncode == 130
    assert complaints.splitlines()[-1] == f"Stopped; the same command finishes {folder}."
    assert "Traceback" not in complaints
    assert len(killed) < SpectrumStore(folder).done.size < SIZE

    assert run(*SET, "--out", str(folder), "--workers", "1").exit_code == 0
    after = SpectrumStore(folder).catalogue.to_pylist()
    # What had been done was not done again: even the time it took is the same.
    assert [after[row["index"]] for row in killed] == killed
    whole, resumed = results(uninterrupted), results(folder)
    assert resumed[0] == whole[0]
    np.testing.assert_array_equal(resumed[1], whole[1])
    assert not list(folder.rglob("*.partial"))


def test_a_row_tells_how_its_spectrum_was_made(uninterrupted: Path) -> None:
    store = SpectrumStore(uninterrupted)
    row = store.catalogue.to_pylist()[5]
    spectrum = store.spectrum(5)
    star = {name: row[name] for name in ("teff", "logg", "mh", "vmic", "alpha")}
    assert 4500 <= row["teff"] <= 6500
    direct = synthesize(**star, wavelength=row["start"] + row["step"] * np.arange(10_001))
    np.testing.assert_allclose(spectrum.flux, direct.flux, rtol=1e-6)
    assert spectrum.meta.flux_unit == "erg s-1 cm-2 Angstrom-1"
    assert (row["lines"], row["solver"], row["medium"]) == ("calibrated", "direct", "air")
    assert row["seconds"] > 0 and row["version"] and len(row["code"]) == 16


def test_one_star_that_fails_is_told_and_the_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_but_one(function, tasks, workers, cluster):
        for task in tasks:
            if task.shard == 1:
                yield Outcome(task, None, "It is too cold.", 0.1)
            else:
                yield Outcome(task, function(task), None, 0.1)

    flux = SimpleNamespace(flux=np.ones(201))
    monkeypatch.setattr("maury.datasets.seds.synthesize", lambda **_: flux)
    monkeypatch.setattr("maury.datasets.filling.share", all_but_one)
    window = ["--start", "5180", "--stop", "5182"]
    result = run("--n", "3", "--out", str(tmp_path / "seds"), *window)
    assert result.exit_code == 1
    assert "2 of 3 spectra" in result.stderr
    assert result.stderr.splitlines()[-1] == "Spectrum 1 failed: It is too cold."
    assert SpectrumStore(tmp_path / "seds").done.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "n is missing"),
        (["--n", "5", "--teff", "2000:5000"], "Teff = 2000 K is outside .* 3000 to 11500 K"),
        (["--n", "5", "--logg", "4:6"], r"log g = 6 is outside .* 3\.5 to 5"),
        (["--n", "5", "--mh=-3"], r"\[M/H\] = -3 dex is outside"),
        (["--n", "5", "--vmic", "1:20"], "vmic = 20 is not allowed; it must be 0 to 10 km/s"),
        (["--n", "5", "--alpha", "2"], "alpha = 2 is not allowed; it must be -1 to 1"),
        (["--n", "5", "--solver", "table", "--vmic", "0:1"], "vmic = 0 km/s is not allowed with"),
        (["--n", "5", "--solver", "table", "--alpha", "0:0.4"], "alpha = 0:0.4 needs the direct"),
        (["--n", "5", "--vsini", "a:b"], "'a:b' is not VALUE"),
        (["--n", "5", "--resolving-power", "10"], "resolving power = 10 is not allowed"),
        (["--n", "5", "--stop", "8000"], "8000.00 A .* cannot be synthesized; allowed are 3770"),
        (["--n", "5", "--step", "-1"], "must be positive"),
    ],
)
def test_bad_input_is_a_sentence_with_code_2_and_leaves_nothing(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = run("--out", str(tmp_path / "seds"), *arguments)
    assert isinstance(result.exception, SynthesisError)
    assert result.exception.exit_code == 2
    with pytest.raises(SynthesisError, match=message):
        raise result.exception
    assert not list(tmp_path.iterdir())


def test_another_set_in_the_same_folder_is_refused(uninterrupted: Path) -> None:
    before = sorted(path.stat().st_mtime_ns for path in uninterrupted.rglob("*.parquet"))
    result = run("--out", str(uninterrupted), *SET, "--normalized")
    assert isinstance(result.exception, TargetError)
    assert "whole was begun with normalized = False, not True" in str(result.exception)
    assert before == sorted(path.stat().st_mtime_ns for path in uninterrupted.rglob("*.parquet"))
