"""The verb: every card that can be evaluated is, and the others are told in a sentence."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from maury.cli import app, main
from maury.datasets.archive import MockArchive, simulate_archive
from maury.datasets.exposures import EtcSimulation, simulate_exposures
from maury.evaluation.metrics import Estimate
from maury.grid import HARPS_SMALL, HARPS_TINY, WavelengthGrid
from maury.labels import LabelSet, Normalizer
from maury.models.weights import save_network
from maury.models.zoo import build
from maury.study import evaluate
from maury.synthesis.emulator import Emulator
from maury.training.data import emulated_ranges

NAMES = ("teff", "rv")
STATISTICS = {"mae": 1.0, "bias": 0.0, "sigma": 1.0}


def write(path: Path, model: str, grid: WavelengthGrid = HARPS_TINY) -> Path:
    torch.manual_seed(1)
    normalizer = Normalizer((5800.0, 0.0), (600.0, 20.0), NAMES)
    labels = LabelSet.from_names(NAMES)
    network = build(model, grid=grid, labels=labels, normalizer=normalizer)
    validation = dict.fromkeys(NAMES, STATISTICS) if "encoder" in network.parts else {}
    return save_network(path, network, validation=validation, training={})


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks, and the stores that they are evaluated on."""
    folder = tmp_path_factory.mktemp("evaluate")
    for model in ("encoder", "cnn-decoder"):
        write(folder / f"{model}.json", model)
    write(folder / "coarse.json", "encoder", HARPS_SMALL)
    ranges = emulated_ranges(Emulator.load())
    simulation = EtcSimulation(n=3, grid=HARPS_TINY, ranges=ranges, solver="emulator")
    simulate_exposures(simulation, folder / "etc", workers=0)
    archive = MockArchive(stars=4, exposures=1, grid=HARPS_TINY, solver="emulator")
    simulate_archive(archive, folder / "archive", workers=0)
    return folder


@pytest.fixture
def files(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(prepared)
    return prepared


def run(*options: str) -> Result:
    return CliRunner().invoke(app, ["evaluate", *options])


def test_records_come_as_json_and_csv_and_alone_on_stdout(files: Path) -> None:
    cards = ("encoder.json", "cnn-decoder.json")
    result = run(*cards, "--simulated", "etc", "--format", "json")
    assert (result.exit_code, result.stderr) == (0, "")
    records = json.loads(result.stdout)
    assert list(dict.fromkeys(record["card"] for record in records)) == list(cards)
    by_metric = {record["metric"]: record for record in records}
    teff = by_metric["teff, simulated"]
    assert teff["unit"] == "K" and (teff["count"], teff["missing"]) == (3, 0)
    assert teff["value"] > 0 and teff["error"] > 0
    assert by_metric["reconstruction, noise-free"]["card"] == "cnn-decoder.json"
    rows = list(
        csv.DictReader(io.StringIO(run(*cards, "--simulated", "etc", "--format", "csv").stdout))
    )
    assert [row["metric"] for row in rows] == [record["metric"] for record in records]
    assert float(rows[0]["value"]) == records[0]["value"]


def test_each_network_has_a_table(files: Path) -> None:
    result = run("encoder.json", "--simulated", "etc", "--observed", "archive", "--all")
    assert result.exit_code == 0
    for told in ("encoder.json; ", "teff, simulated", "rv, observed", "km/s", " ± "):
        assert told in result.stdout


def test_what_is_not_a_number_is_null(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [("teff, observed", Estimate(12.5, float("nan"), 1), "K")]
    monkeypatch.setattr(evaluate, "evaluate", lambda card, exposures: iter(told))
    result = run("encoder.json", "--simulated", "etc", "--format", "json")
    (record,) = json.loads(result.stdout)
    assert (record["value"], record["error"], record["count"]) == (12.5, None, 1)
    table = run("encoder.json", "--simulated", "etc")
    assert table.exit_code == 0 and "12.5" in table.stdout


def test_a_value_of_zero_is_shown(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [("RVIS", Estimate(0.0, 0.0, 3), "")]
    monkeypatch.setattr(evaluate, "evaluate", lambda card, exposures: iter(told))
    result = run("encoder.json", "--simulated", "etc")
    assert result.exit_code == 0
    assert "nan" not in result.stdout.lower() and "0" in result.stdout.split("RVIS")[1]


def test_a_card_that_fails_leaves_the_others(files: Path) -> None:
    (files / "text.json").write_text("no card")
    cards = ("none.json", "encoder.json", "text.json", "coarse.json", "cnn-decoder.json")
    result = run(*cards, "--simulated", "etc", "--format", "json")
    assert result.exit_code == 1
    done = {record["card"] for record in json.loads(result.stdout)}
    assert done == {"encoder.json", "cnn-decoder.json"}
    complaints = result.stderr.splitlines()
    assert len(complaints) == 3
    for complaint, card in zip(complaints, ("none", "text", "coarse"), strict=True):
        assert f"{card}.json" in complaint and complaint.endswith(".")
    assert "is for 32,768 pixels" in complaints[2] and "etc has 16,384" in complaints[2]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "There is nothing to evaluate on: name a store by --observed"),
        (["--observed", "nowhere"], "nowhere holds no spectra: it has no settings.json."),
        (["--observed", "etc"], "etc is of the kind 'etc', but must be 'observed' or 'mock'."),
        (["--simulated", "archive"], "archive is of the kind 'mock', but must be 'etc'."),
        (["--generative", "etc"], "etc is of the kind 'etc', but must be 'generative'."),
        (["--observed", "archive"], "archive has no exposures of test stars; --all takes"),
        (["--simulated", "encoder.json"], "encoder.json"),
    ],
)
def test_stores_that_do_not_serve_are_told_in_a_sentence(
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    told: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["maury", "evaluate", "encoder.json", *options])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    sentence = err.rstrip("\n")
    assert (end.value.code, out) == (1, "")
    assert told in sentence and "\n" not in sentence and sentence.endswith(".")


@pytest.mark.parametrize("options", [[], ["encoder.json", "--format", "xml"]])
def test_impossible_options_are_refused(options: list[str]) -> None:
    assert run(*options).exit_code == 2
