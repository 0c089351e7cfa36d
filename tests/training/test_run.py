"""Training a network that is small enough for a test."""

import csv

import pytest
import torch
from safetensors.torch import save_file

from maury import grid as grids
from maury.datasets.simulated import SimulatedExposures
from maury.errors import RecipeError
from maury.training import run
from maury.training.checkpoint import CHECKPOINT, Checkpoint
from maury.training.recipe import Recipe, Validation

TINY = grids.WavelengthGrid(name="tiny", start=5000.0, step=0.06, size=2**14)


@pytest.fixture(autouse=True)
def tiny_grid(monkeypatch):
    monkeypatch.setitem(grids.GRIDS, TINY.name, TINY)


def recipe(**optimization):
    values = {
        "name": "tiny",
        "grid": "tiny",
        "labels": ["teff", "mh"],
        "preprocessing": {"continuum": 50.0, "clip": [0.0, 1.3]},
        "simulation": {
            "rv": {"kind": "uniform", "low": -1, "high": 1},
            "vsini": {"kind": "uniform", "low": 0, "high": 2},
            "snr": {"kind": "uniform", "low": 200, "high": 200},
        },
        "optimization": {"steps": 6, "batch": 4, "learning_rate": 1e-3, "checkpoint_every": 3}
        | optimization,
        "validation": {"every": 3, "exposures": 16},
    }
    return Recipe.model_validate(values)


def weights(result):
    return result.network.encoder.state_dict()


def read_log(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_a_short_run_beats_the_mean(line_forest, tmp_path):
    settings = recipe(steps=60, batch=16, warmup=10, schedule="cosine", averaging=0.9).model_copy(
        update={"validation": Validation(every=30, exposures=64)}
    )
    result = run.train(settings, tmp_path, emulator=line_forest, progress=False)
    exposures = SimulatedExposures(line_forest, TINY, settings.label_set, settings.simulation, 1)
    batch = exposures.batch(0, 64, "test")
    predicted = result.network.predict(batch.flux, batch.valid)
    center = torch.tensor(result.network.normalizer.center)
    error = (predicted - batch.labels).abs().mean(dim=0)
    error_of_mean = (batch.labels - center).abs().mean(dim=0)
    assert (error < 0.6 * error_of_mean).all()
    # The card's figures are those of other exposures of the same kind.
    for index, name in enumerate(settings.labels):
        assert result.validation[name]["mae"] == pytest.approx(error[index].item(), rel=0.5)
    rows = read_log(tmp_path)
    assert [int(row["step"]) for row in rows] == [30, 60]
    assert float(rows[-1]["teff_mae"]) == result.validation["teff"]["mae"]


def test_same_seed_same_weights_and_another_seed_others(line_forest, tmp_path):
    results = [
        run.train(settings, tmp_path / str(i), emulator=line_forest, progress=False)
        for i, settings in enumerate([recipe(), recipe(), recipe().model_copy(update={"seed": 2})])
    ]
    assert_equal(weights(results[0]), weights(results[1]))
    assert not torch.equal(weights(results[0])["head.weight"], weights(results[2])["head.weight"])


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_a_killed_run_goes_on_to_the_same_weights(line_forest, tmp_path, monkeypatch, averaging):
    settings = recipe(averaging=averaging, precision="bfloat16", schedule="cosine")
    whole = run.train(settings, tmp_path / "whole", emulator=line_forest, progress=False)
    batch = SimulatedExposures.batch

    def killed(self, index, size, stream="training"):
        if index == 4 and stream == "training":
            raise KeyboardInterrupt
        return batch(self, index, size, stream)

    with monkeypatch.context() as patch:
        patch.setattr(SimulatedExposures, "batch", killed)
        with pytest.raises(KeyboardInterrupt):
            run.train(settings, tmp_path / "killed", emulator=line_forest, progress=False)
    assert Checkpoint.read(tmp_path / "killed" / CHECKPOINT).step == 3
    resumed = run.train(
        settings, tmp_path / "killed", emulator=line_forest, resume=True, progress=False
    )
    assert_equal(weights(resumed), weights(whole))
    assert resumed.validation == whole.validation
    assert [int(row["step"]) for row in read_log(tmp_path / "killed")] == [3, 6]


def test_a_finished_run_can_be_asked_again(line_forest, tmp_path):
    first = run.train(recipe(), tmp_path, emulator=line_forest, progress=False)
    again = run.train(recipe(), tmp_path, emulator=line_forest, resume=True, progress=False)
    assert_equal(weights(first), weights(again))
    assert first.validation == again.validation


def test_a_loss_that_is_not_finite_stops_the_run(line_forest, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "label_loss", lambda predicted, labels: predicted.sum() * torch.inf)
    with pytest.raises(run.TrainingError, match=r"loss of run tiny became -?(inf|nan) in step 1;"):
        run.train(recipe(), tmp_path, emulator=line_forest, progress=False)


def test_a_folder_with_a_run_is_not_overwritten(line_forest, tmp_path):
    run.train(recipe(), tmp_path, emulator=line_forest, progress=False)
    with pytest.raises(RecipeError, match="holds a run already"):
        run.train(recipe(), tmp_path, emulator=line_forest, progress=False)
    with pytest.raises(RecipeError, match="another recipe: its optimization was"):
        run.train(recipe(steps=9), tmp_path, emulator=line_forest, resume=True, progress=False)


def test_states_that_are_none_are_refused(tmp_path):
    path = tmp_path / CHECKPOINT
    path.write_bytes(b"not a safetensors file")
    with pytest.raises(RecipeError, match="damaged"):
        Checkpoint.read(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(RecipeError, match="not the state of a training run"):
        Checkpoint.read(path)
    save_file({"x": torch.zeros(1)}, path, {"magic": "maury-training", "format_version": "99"})
    with pytest.raises(RecipeError, match="format version 99, but only 1"):
        Checkpoint.read(path)
