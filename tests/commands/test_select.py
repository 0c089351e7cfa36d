"""``maury select`` on the command line: options, formats, interrupts and mistakes."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict

import pytest
from typer.testing import CliRunner

from maury.cli import app
from maury.errors import TargetError
from maury.study import selection
from maury.study.selection import SEARCHES, SearchedTrial, Selection

GOOD = SearchedTrial(
    0, 9, "complete", 1, 4, 0.0152, 0.001, 0.03, None, True, "out/0000/ae-mix.json", None
)
BAD = SearchedTrial(1, 20, "failed", 1, None, None, None, None, None, False, None, "It is nan.")


@pytest.fixture
def asked(monkeypatch):
    """What the search was asked for; it finds the trials that a test says."""
    calls = {"trials": (GOOD, BAD)}

    def select(parameter, scale, folder, **options):
        calls.update(parameter=parameter, scale=scale, folder=folder, options=options)
        options["report"]("simulated-val", 3, 3)
        options["say"]("Trial 1 of 2.")
        if isinstance(calls["trials"], BaseException):
            raise calls["trials"]
        return Selection(SEARCHES[parameter], calls["trials"])

    monkeypatch.setattr(selection, "select", select)
    return calls


def run(*options):
    return CliRunner().invoke(app, ["select", *options])


def test_options_reach_the_search(asked):
    options = ["--scale", "tiny", "--trials", "7", "--out", "there", "--by", "true-rvis", "--free"]
    result = run("kl-weight", *options, "--observed", "archive", "--set", "epochs=2")
    assert result.exit_code == 0
    assert (asked["parameter"], asked["scale"]) == ("kl-weight", "tiny")
    assert str(asked["folder"]) == "there"
    given = {name: asked["options"][name] for name in ("trials", "by", "free", "overrides")}
    assert given == {"trials": 7, "by": "true_rvis", "free": True, "overrides": ["epochs=2"]}
    assert str(asked["options"]["archive"]) == "archive"


def test_the_default_folder_tells_scale_and_parameter(asked):
    assert run("mmd-weight", "--scale", "tiny").exit_code == 0
    assert asked["folder"].parts == ("select", "tiny", "mmd-weight")
    assert asked["options"]["by"] == "rvis" and asked["options"]["trials"] == 10


def test_trials_come_as_table_json_and_csv(asked):
    table = run("bottleneck")
    assert "model.nodes" in table.stdout and "0.01520" in table.stdout
    assert "Best: model.nodes = 9, out/0000/ae-mix.json." in table.stderr
    records = json.loads(run("bottleneck", "--format", "json").stdout)
    assert records == [asdict(GOOD), asdict(BAD)]
    rows = list(csv.DictReader(io.StringIO(run("bottleneck", "--format", "csv").stdout)))
    assert [row["state"] for row in rows] == ["complete", "failed"]
    assert rows[1]["rvis"] == "" and rows[1]["error"] == "It is nan."


def test_an_interrupt_says_how_to_go_on(asked):
    asked["trials"] = KeyboardInterrupt()
    result = run("bottleneck")
    assert result.exit_code == 130
    assert "the same command goes on where it ended" in result.stderr


def test_a_search_without_a_complete_trial_is_no_success(asked):
    asked["trials"] = (BAD,)
    result = run("bottleneck", "--out", "there")
    assert isinstance(result.exception, TargetError) and result.exception.exit_code
    assert str(result.exception).startswith("None of the 1 trials in there was completed")


@pytest.mark.parametrize(
    "options", [["nodes"], ["bottleneck", "--trials", "0"], ["bottleneck", "--scale", "huge"]]
)
def test_impossible_options_are_refused(asked, options):
    assert run(*options).exit_code == 2
    assert "parameter" not in asked
