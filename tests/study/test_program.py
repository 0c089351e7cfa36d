"""A whole study, small: from nothing to its report, killed, asked again, and asked wrongly."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from maury.datasets.splits import split_by_star
from maury.datasets.store import SpectrumStore
from maury.datasets.training_source import MixedExposures
from maury.errors import GridError, MauryError, RecipeError, TargetError
from maury.evaluation.report import Finding
from maury.study import exposures, measurements, program, runs
from maury.study.plan import ITEMS, Item, model_runs
from maury.study.program import study
from maury.training import run as training

pytestmark = pytest.mark.usefixtures("smallest", "cheap")

# Of the paper's models those that are trained in seconds.
CHEAP = {
    **ITEMS,
    "table7": Item("Decoders", ("cnn-decoder", "film-decoder")),
    "fig8": Item("Interventions", ("ae-film-mix",)),
    "kiel": Item("Kiel diagrams", ("cnn-mix",)),
}
Replace = Callable[[pytest.MonkeyPatch, object, object], None]
ASKED = ("table7", "fig8", "kiel")
RUNS = ("cnn-decoder", "film-decoder", "ae-film-mix", "cnn-mix")
PARTS = ("simulated-train", "simulated-val", "simulated-test", "generative-test", "mock-archive")


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch, replaced: Replace) -> None:
    replaced(monkeypatch, ITEMS, CHEAP)


def ask(
    folder: Path, items: Sequence[str] = ASKED, told: list[str] | None = None, **options: Any
) -> list[Finding]:
    return study(
        items,
        "tiny",
        folder,
        say=(told if told is not None else []).append,
        report=lambda what, done, total: None,
        progress=False,
        **options,
    )


def own_recipes(folder: Path) -> None:
    """Let recipes say that they were trained on the stores of this folder, as copies of them."""
    for path in folder.glob("runs/*/recipe.yaml"):
        recipe = yaml.safe_load(path.read_text())
        for part in (recipe["data"]["simulated"], recipe["data"]["observed"]):
            for name in ("store", "validation"):
                if part.get(name) is not None:
                    place = Path(part[name])
                    under = "runs/mock-archive" if place.name == "mock-archive" else place.name
                    part[name] = str(folder / under)
        path.write_text(yaml.safe_dump(recipe, sort_keys=False))


@pytest.fixture
def started(stores: Path, tmp_path: Path) -> Path:
    """A study that has its exposures."""
    return Path(shutil.copytree(stores, tmp_path / "study"))


@pytest.fixture(scope="session")
def whole(
    stores: Path,
    tmp_path_factory: pytest.TempPathFactory,
    shrink: Callable[..., None],
    replaced: Replace,
) -> tuple[Path, list[Finding], list[str]]:
    """A study that was not interrupted, what it found and what it said."""
    folder = tmp_path_factory.mktemp("whole") / "study"
    shutil.copytree(stores, folder)
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        replaced(patch, ITEMS, CHEAP)
        judged = ask(folder, told=told, command="maury study")
    return folder, judged, told


@pytest.fixture
def finished(whole: tuple[Path, list[Finding], list[str]], tmp_path: Path) -> Path:
    """A copy of that study."""
    folder = Path(shutil.copytree(whole[0], tmp_path / "study"))
    own_recipes(folder)
    return folder


def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("That was there already.")

    monkeypatch.setattr(runs, "train", refuse)
    monkeypatch.setattr(measurements, "measure", refuse)


def test_from_nothing_to_the_report(whole: tuple[Path, list[Finding], list[str]]) -> None:
    folder, judged, told = whole
    for name in RUNS:
        assert (folder / "runs" / name / f"{name}.json").is_file()
        assert (folder / "measurements" / f"{name}.npz").is_file()
    assert {path.name for path in (folder / "tables").iterdir()} == {"table7.csv", "table7.txt"}
    figures = {path.stem for path in (folder / "figures").iterdir()}
    assert figures == {"fig8", "kiel-cnn-mix-mh", "kiel-cnn-mix-error"}
    assert [line.split(",")[0] for line in told] == [f"Training {name}" for name in RUNS]
    assert "1 of 4." in told[0] and "to go" in told[3]
    assert all(finding.holds is None for finding in judged)


def test_the_report_has_all_of_it(whole: tuple[Path, list[Finding], list[str]]) -> None:
    folder, judged, _ = whole
    page = (folder / "report.html").read_text()
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
    # Less what keeps characters from being marks.
    markdown = (folder / "README.md").read_text().replace("\\", "")
    for part in (text, " ".join(markdown.split())):
        for finding in judged:
            assert finding.claim in part and finding.evidence in part
        for fact in ("CNN (simulation)", "mock archive", "tiny: 16,384 pixels", "maury study"):
            assert fact in part
        assert "Table 7: Decoders" in part and "Fig. 8: Interventions" in part
        assert "nan" not in part.lower().split()
    # The page needs no other file, the text those beside it.
    sources = re.findall(r'<img[^>]* src="([^"]*)"', page)
    assert len(sources) == 3 and all(source.startswith("data:image/png") for source in sources)
    for name in ("fig8", "kiel-cnn-mix-mh", "kiel-cnn-mix-error"):
        assert f"figures/{name}.png" in markdown and (folder / "figures" / f"{name}.png").is_file()


def test_a_second_call_trains_and_measures_nothing(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_work(monkeypatch)
    monkeypatch.setattr(program, "draw", lambda *_: [])
    before = {path: path.read_bytes() for path in (finished / "tables").iterdir()}
    shutil.rmtree(finished / "tables")
    told: list[str] = []
    ask(finished, ["table7", "fig8"], told)
    assert {path: path.read_bytes() for path in (finished / "tables").iterdir()} == before
    assert told == []


def test_what_else_is_asked_for_is_added(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_work(monkeypatch)
    monkeypatch.setattr(program, "draw", lambda *_: [])
    ask(finished, ["table5", "table7"], train=False)
    written = (finished / "tables" / "table5.csv").read_text()
    assert "CNN (mix)" in written
    notes = (finished / "tables" / "table5.txt").read_text()
    assert "Not trained: " in notes and "AE (real)" in notes


def test_an_interrupted_study_goes_on_to_the_same_tables(
    started: Path, whole: tuple[Path, list[Finding], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = MixedExposures.batch
    trained = runs.train

    def killed(self: MixedExposures, index: int, size: int) -> Any:
        # In the second step of the second network; its validation asks for larger batches.
        if done == ["cnn-decoder"] and index == 1 and size == 4:
            raise KeyboardInterrupt
        return batch(self, index, size)

    done: list[str] = []

    def noted(recipe: Any, *arguments: Any, **options: Any) -> Any:
        result = trained(recipe, *arguments, **options)
        done.append(recipe.name)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(MixedExposures, "batch", killed)
        patch.setattr(runs, "train", noted)
        # Its state is written after every step.
        patch.setattr(training, "KEEP_EVERY", 0.0)
        with pytest.raises(KeyboardInterrupt):
            ask(started, ["table7"])
    assert (started / "runs" / "film-decoder" / "last.safetensors").is_file()
    assert not (started / "runs" / "film-decoder" / "film-decoder.json").exists()
    assert not (started / "tables").exists()
    told: list[str] = []
    ask(started, ["table7"], told)
    assert len(told) == 1 and told[0].startswith("Training film-decoder, 1 of 1; training has")
    for name in ("table7.csv", "table7.txt"):
        ours, theirs = ((folder / "tables" / name).read_bytes() for folder in (started, whole[0]))
        assert ours == theirs


def test_an_interrupt_between_measurements_costs_none_of_them(
    finished: Path, whole: tuple[Path, list[Finding], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    measure = measurements.measure

    def killed(network: Any, *arguments: Any, **options: Any) -> Any:
        if len(measured) == 1:
            raise KeyboardInterrupt
        measured.append(network.sha256)
        return measure(network, *arguments, **options)

    shutil.rmtree(finished / "measurements")
    with monkeypatch.context() as patch:
        patch.setattr(measurements, "measure", killed)
        with pytest.raises(KeyboardInterrupt):
            ask(finished, ["table7"])
        patch.setattr(
            measurements, "measure", lambda *a, **o: measured.append("") or measure(*a, **o)
        )
        ask(finished, ["table7"])
    assert len(measured) == 2
    csv = (finished / "tables" / "table7.csv").read_bytes()
    assert csv == (whole[0] / "tables" / "table7.csv").read_bytes()


def test_a_network_by_another_recipe_is_refused(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_work(monkeypatch)
    for override, told in (
        ("epochs=2", "was trained with epochs = 1, not 2"),
        ("optimizer.lr=0.1", "was trained with optimizer = {"),
    ):
        with pytest.raises(RecipeError) as caught:
            ask(finished, ["kiel"], overrides=[override])
        message = str(caught.value)
        assert told in message and "\n" not in message
        assert message.endswith("; name another --out, or remove that folder.")
        assert str(finished / "runs" / "cnn-mix") in message


def test_a_network_whose_recipe_cannot_be_read_is_refused(finished: Path) -> None:
    path = finished / "runs" / "cnn-mix" / "recipe.yaml"
    for text in ("a: [\n", None):
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
        with pytest.raises(RecipeError, match=r"recipe\.yaml cannot be read; remove the folder"):
            ask(finished, ["kiel"])


def test_without_training_the_report_is_of_what_is_there(
    started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_work(monkeypatch)
    judged = ask(started, ["table7", "fig8", "kiel", "fig2"], train=False)
    assert all(finding.holds is None for finding in judged)
    assert "Not trained: CNN (simulation)" in (started / "tables" / "table7.txt").read_text()
    assert not (started / "figures").exists()
    page = (started / "report.html").read_text()
    assert "Not trained yet" in page and "Fig. 8" not in page


def test_an_observed_store_takes_the_place_of_the_mock_archive(
    started: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "draw", lambda *_: [])
    # With a name that YAML would take for something else.
    archive = tmp_path / "[harps] 2024: real"
    shutil.move(started / "runs" / "mock-archive", archive)
    settings = json.loads((archive / "settings.json").read_text())
    (archive / "settings.json").write_text(json.dumps(settings | {"kind": "observed"}))
    ask(started, ["kiel"], archive=archive)
    assert not (started / "runs" / "mock-archive").exists()
    recipe = yaml.safe_load((started / "runs" / "cnn-mix" / "recipe.yaml").read_text())
    assert recipe["data"]["observed"]["store"] == str(archive)
    page = (started / "report.html").read_text()
    assert "store of --observed" in page and "mock" not in page
    count = len(split_by_star(SpectrumStore(archive))["test"])
    assert f"{min(count, 10)} of" in page


def another_version(path: Path) -> dict[str, Any]:
    """Let a store be one by another version of the code."""
    settings: dict[str, Any] = json.loads((path / "settings.json").read_text())
    changed = settings | {"code": "another", "version": "0.0.1"}
    (path / "settings.json").write_text(json.dumps(changed))
    return changed


def test_finished_stores_by_another_version_are_taken(started: Path) -> None:
    places = {name: started / name for name in PARTS[:-1]}
    places["mock-archive"] = started / "runs" / "mock-archive"
    changed = {path: another_version(path) for path in places.values()}
    before = {path: path.stat().st_mtime_ns for path in started.rglob("catalogue.parquet")}
    assert len(before) == len(PARTS)
    ask(started, ["kiel"], train=False)
    for path, settings in changed.items():
        assert json.loads((path / "settings.json").read_text()) == settings
    after = {path: path.stat().st_mtime_ns for path in started.rglob("catalogue.parquet")}
    assert after == before


def test_unfinished_stores_by_another_version_are_refused(
    started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    another_version(started / "simulated-test")
    larger = replace(exposures.SETTINGS["tiny"], simulated=9)
    monkeypatch.setattr(exposures, "SETTINGS", {"tiny": larger})
    with pytest.raises(TargetError) as caught:
        ask(started, ["kiel"], train=False)
    message = str(caught.value)
    assert str(started / "simulated-test") in message and "was begun with " in message
    assert message.endswith("give the same, or another folder.")


def test_stores_of_other_contents_are_refused(started: Path) -> None:
    path = started / "simulated-test" / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 9}))
    with pytest.raises(TargetError, match="was begun with seed = 9, not 1"):
        ask(started, ["kiel"], train=False)


def test_a_store_that_was_hardly_begun_is_made(started: Path) -> None:
    path = started / "simulated-test"
    shutil.rmtree(path)
    path.mkdir()
    ask(started, ["kiel"], train=False)
    store = SpectrumStore(path)
    assert store.done.size == len(store) == 8


@pytest.mark.parametrize(
    ("items", "overrides", "message"),
    [
        (["kiel", "table12"], [], "has no 'table12'"),
        (["kiel"], ["epochs=none"], "epochs"),
        (["kiel"], ["labels=[teff]"], "labels cannot be set"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_made(
    tmp_path: Path, items: list[str], overrides: list[str], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        ask(tmp_path / "study", items, overrides=overrides)
    assert not (tmp_path / "study").exists()


def test_observed_stores_that_do_not_serve_are_refused_before_anything_is_made(
    started: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_work(monkeypatch)

    def refused(kind: type[MauryError], archive: Path, message: str) -> None:
        with pytest.raises(kind, match=message) as caught:
            ask(tmp_path / "new", ["kiel"], archive=archive)
        assert str(archive) in str(caught.value) and "\n" not in str(caught.value)
        assert not (tmp_path / "new").exists()

    refused(MauryError, tmp_path / "none", "holds no spectra")
    refused(GridError, started / "simulated-train", "but the study's scale has 16,384")
    archive = started / "runs" / "mock-archive"
    path = archive / "settings.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {"frame": "rest"}))
    refused(MauryError, archive, "in the rest frame; observed exposures are barycentric")
    coarse = settings["grid"] | {"step": 2 * settings["grid"]["step"]}
    path.write_text(json.dumps(settings | {"grid": coarse}))
    refused(GridError, archive, "maury ingest --grid harps-tiny")
    path.write_text(json.dumps(settings))
    monkeypatch.setattr("maury.datasets.splits.TRAIN", 0.999)
    refused(MauryError, archive, "has too few stars: none is in the (val|test) part")


def test_times_are_measured_once(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[str] = []

    def made_up(name: str, grid: Any, *, batch: int) -> program.Resources:
        timed.append(name)
        assert (grid.size, batch) == (16_384, 4)
        return program.Resources(None, 2.0, 1.0, 3.5)

    monkeypatch.setattr(program, "resources", made_up)
    monkeypatch.setattr(program, "TIMED", {"encoder": 6, "cnn-decoder": 6})
    ask(started, ["table9"])
    first = (started / "tables" / "table9.csv").read_bytes()
    ask(started, ["table9"])
    assert timed == ["encoder", "cnn-decoder"]
    assert (started / "tables" / "table9.csv").read_bytes() == first
    # For another number of spectra at once they are measured anew.
    path = started / "times.json"
    kept = json.loads(path.read_text())
    kept["conditions"]["batch"] = 5
    path.write_text(json.dumps(kept))
    ask(started, ["table9"])
    assert len(timed) == 4


def test_a_duration_is_told_from_what_was_trained(finished: Path) -> None:
    (run,) = model_runs(["cnn-mix"], "tiny").values()
    seconds = yaml.safe_load((finished / "runs" / "cnn-mix" / "run.yaml").read_text())["seconds"]
    assert runs.training_seconds(run, finished / "runs") == seconds
