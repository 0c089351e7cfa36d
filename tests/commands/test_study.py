"""The verb: its options reach the study, findings come on stdout, mistakes are one sentence."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from maury.cli import app, main
from maury.evaluation.report import Finding
from maury.study import program
from maury.study.plan import ITEMS

FOUND = [
    Finding("Mixing helps.", True, "NMAE 0.1 and 0.3.", "Table 5"),
    Finding("The sky is green.", False, "It is blue.", "Sect. 9"),
    Finding("It is so.", None, "Not trained yet: ae-mix.", "Fig. 2"),
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the study was asked for; it takes no time."""
    calls: dict[str, Any] = {"raises": None}

    def study(items: Any, scale: str, folder: Path, **options: Any) -> list[Finding]:
        calls.update(items=items, scale=scale, folder=folder, options=options)
        for done in range(3):
            options["report"]("networks measured", done, 2)
        options["say"]("Training cnn-mix, 1 of 2.")
        if calls["raises"] is not None:
            raise calls["raises"]
        return FOUND

    monkeypatch.setattr(program, "study", study)
    return calls


def run(*options: str) -> Result:
    return CliRunner().invoke(app, ["study", *options])


def fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[int, str]:
    """Exit code and the only sentence of a call that fails."""
    monkeypatch.setattr(sys, "argv", ["maury", "study", *options])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    sentence = err.strip("\n")
    assert out == "" and "\n" not in sentence and sentence.endswith(".")
    assert isinstance(end.value.code, int)
    return end.value.code, sentence


def test_options_reach_the_study(asked: dict[str, Any]) -> None:
    options = ["--scale", "tiny", "--out", "there", "--observed", "archive", "--no-train"]
    result = run("table7", "fig2", *options, "--set", "epochs=2", "--set", "seed=3")
    assert result.exit_code == 0
    assert (asked["items"], asked["scale"]) == (["table7", "fig2"], "tiny")
    assert asked["folder"] == Path("there")
    given = {name: asked["options"][name] for name in ("archive", "overrides", "train")}
    expected = {"archive": Path("archive"), "overrides": ["epochs=2", "seed=3"], "train": False}
    assert given == expected


def test_the_default_folder_tells_the_scale(asked: dict[str, Any]) -> None:
    assert run("all").exit_code == 0
    assert asked["items"] == list(ITEMS)
    assert asked["folder"] == Path("study") / "small"
    assert asked["options"]["train"] is True and asked["options"]["archive"] is None


def test_findings_come_as_text_json_and_csv(asked: dict[str, Any]) -> None:
    text = run("table7").stdout
    assert "Holds: Mixing helps.\n  NMAE 0.1 and 0.3." in text
    assert "Does not hold: The sky is green." in text and "Not told: It is so." in text
    records = json.loads(run("table7", "--format", "json").stdout)
    assert records == [
        {"finding": one.claim, "holds": one.holds, "evidence": one.evidence, "source": one.source}
        for one in FOUND
    ]
    rows = list(csv.DictReader(io.StringIO(run("table7", "--format", "csv").stdout)))
    assert [row["holds"] for row in rows] == ["True", "False", ""]


def test_progress_goes_to_stderr_alone(asked: dict[str, Any]) -> None:
    result = run("table7", "--out", "there", "--format", "json")
    json.loads(result.stdout)
    for line in ("Training cnn-mix, 1 of 2.", f"Wrote {Path('there') / 'report.html'}."):
        assert line in result.stderr and line not in result.stdout


def test_an_interrupt_says_how_to_go_on(asked: dict[str, Any]) -> None:
    asked["raises"] = KeyboardInterrupt()
    result = run("table7", "--format", "json")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.endswith("Interrupted; the same command goes on where it ended.\n")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["table4", "table10"], "The study has no 'table10'; there are table3, "),
        (["kiel", "--set", "epochs"], "Override 'epochs' must look like optimizer.lr=1e-3."),
        (["kiel", "--set", "epochs=many"], "'many'"),
        (["kiel", "--set", "color=red"], "color is not a known entry"),
        (["kiel", "--set", "labels=[rv]"], "labels cannot be set to [rv]"),
        (["kiel", "--observed", "nowhere"], "nowhere holds no spectra: it has no settings.json."),
    ],
)
def test_mistakes_are_told_in_a_sentence_before_anything_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, sentence = fail(monkeypatch, capsys, *options, "--scale", "tiny")
    assert code == 1 and told in sentence
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options", [["kiel", "--scale", "huge"], [], ["kiel", "--format", "xml"], ["kiel", "--epochs"]]
)
def test_impossible_options_are_refused(asked: dict[str, Any], options: list[str]) -> None:
    result = run(*options)
    assert result.exit_code == 2 and result.stdout == ""
    assert "items" not in asked
