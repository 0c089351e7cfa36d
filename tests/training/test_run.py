"""Runs that are small enough for a test, on exposures by the package's own emulator."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from typer.testing import CliRunner

from maury.cli import app
from maury.datasets.ingest import ingest
from maury.datasets.splits import split_of
from maury.datasets.training_source import MixedExposures
from maury.errors import RecipeError
from maury.grid import GRIDS
from maury.models.losses import Terms
from maury.models.weights import load_network
from maury.training import objective, run, scale
from maury.training.checkpoint import CHECKPOINT, Checkpoint
from maury.training.recipe import Recipe

ENCODER = {"model": {"name": "encoder"}, "data": {"rate": 1}}
DECODER = {"name": "first", "model": {"name": "cnn-decoder"}, "data": {"rate": 1}}
VARIATIONAL = {
    "model": {"name": "info-vae", "nodes": 5},
    "data": {"rate": 0.5, "observed": {"known": 0.5}},
}
UNSUPERVISED = {"model": {"name": "beta-vae-cnn-unsupervised", "nodes": 4}, "data": {"rate": 0}}


@pytest.fixture(autouse=True)
def few_exposures(monkeypatch):
    """The smallest scale, made smaller: two steps an epoch."""
    tiny = replace(scale.SCALES["tiny"], spectra=8, validation=32, stars=40, exposures=1.0)
    monkeypatch.setattr(scale, "SCALES", {"tiny": tiny})
    monkeypatch.setattr("maury.training.recipe.SCALES", {"tiny": tiny})


def recipe(changes=ENCODER, **more):
    values = {
        "name": "run",
        "scale": "tiny",
        "epochs": 3,
        "labels": ["teff", "mh", "rv"],
        "optimizer": {"lr": 1e-3},
        "training": {"batch": 4},
    }
    return Recipe.model_validate(values | changes | more)


def train(settings, folder, **options):
    return run.train(settings, folder, progress=False, **options)


def weights(result):
    return result.network.parts.state_dict()


def read_log(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_a_short_run_beats_the_mean(tmp_path, monkeypatch):
    more = replace(scale.SCALES["tiny"], spectra=512, validation=64)
    monkeypatch.setattr("maury.training.recipe.SCALES", {"tiny": more})
    bright = {"magnitude": [3, 4], "exposure": [600, 3600], "rv": [-1, 1], "berv": [-1, 1]}
    settings = recipe(
        epochs=3,
        labels=["teff", "mh"],
        data={"rate": 1, "simulated": {"ranges": bright}},
        optimizer={"lr": 1e-3, "warmup": 0.1, "schedule": "cosine", "averaging": 0.9},
        training={"batch": 16},
    )
    result = train(settings, tmp_path)
    # Uniform labels are half of 1/sqrt(1/12) standard deviations from their mean, on average.
    center_error = 12**0.5 / 4
    for name, width in zip(
        result.network.labels.names, result.network.normalizer.scale, strict=True
    ):
        assert result.validation[name]["mae"] < 0.8 * center_error * width
    rows = read_log(tmp_path)
    assert [int(row["step"]) for row in rows] == [32, 64, 96]
    assert float(rows[-1]["val_loss"]) == pytest.approx(result.metrics["val_loss"])
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_a_run_folder_says_everything(tmp_path):
    settings = recipe()
    result = train(settings, tmp_path / "run")
    written = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert Recipe.model_validate(written) == settings
    facts = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert facts["recipe"] == settings.model_dump(mode="json")
    assert facts["seed"] == 1 and facts["code"]["version"] and len(facts["data"]["hash"]) == 64
    assert facts["normalization"]["center"] == list(result.network.normalizer.center)
    assert facts["metrics"]["val_loss"] == result.metrics["val_loss"]
    assert facts["ranges"]["teff"] == pytest.approx([4000, 8000], abs=5)
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert b"val_loss" in events.read_bytes()
    network, card = load_network(result.card)
    assert_equal(network.parts.state_dict(), weights(result))
    assert card.training["data"]["hash"] == facts["data"]["hash"]
    assert card.validation["rv"].mae == result.validation["rv"]["mae"]
    assert card.latents is not None


def test_same_seed_same_weights_and_another_seed_others(tmp_path):
    several = [recipe(), recipe(), recipe(seed=2)]
    first, again, other = (train(one, tmp_path / str(i)) for i, one in enumerate(several))
    assert_equal(weights(first), weights(again))
    name = "encoder.head.weight"
    assert not torch.equal(weights(first)[name], weights(other)[name])


@pytest.mark.parametrize(
    "changes",
    [
        ENCODER | {"optimizer": {"lr": 1e-3, "averaging": 0.9, "schedule": "cosine"}},
        VARIATIONAL,
        UNSUPERVISED,
    ],
    ids=["encoder", "variational", "unsupervised"],
)
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, monkeypatch, changes):
    settings = recipe(changes)
    whole = train(settings, tmp_path / "whole")
    batch = MixedExposures.batch

    def killed(self, index, size):
        if index == 5 and size == 4:
            raise KeyboardInterrupt
        return batch(self, index, size)

    with monkeypatch.context() as patch:
        patch.setattr(MixedExposures, "batch", killed)
        # The state is written after every step, so that the run goes on within an epoch.
        patch.setattr(run, "KEEP_EVERY", 0.0)
        with pytest.raises(KeyboardInterrupt):
            train(settings, tmp_path / "killed")
    step = Checkpoint.read(tmp_path / "killed" / CHECKPOINT).step
    assert step == 5
    resumed = train(settings, tmp_path / "killed", resume=True)
    assert_equal(weights(resumed), weights(whole))
    assert resumed.validation == whole.validation
    logs = [read_log(tmp_path / name) for name in ("whole", "killed")]
    for one, other in zip(*logs, strict=True):
        for name in one:
            if name not in ("seconds", "spectra_per_second"):
                assert one[name] == other[name], name


def test_a_finished_run_can_be_asked_again(tmp_path):
    first = train(recipe(), tmp_path)
    again = train(recipe(), tmp_path, resume=True)
    assert_equal(weights(first), weights(again))
    assert first.validation == again.validation


def test_a_loss_that_is_not_finite_stops_the_run_and_names_its_exposures(tmp_path, monkeypatch):
    count = 0

    def broken(predicted, labels):
        nonlocal count
        count += 1
        return predicted.sum() * (torch.inf if count == 4 else 1.0)

    with monkeypatch.context() as patch:
        patch.setattr(objective, "label_loss", broken)
        patch.setattr(run, "KEEP_EVERY", 0.0)
        with pytest.raises(run.TrainingError) as caught:
            train(recipe(), tmp_path)
    message = str(caught.value)
    # The third call was the validation's.
    assert "run run or its gradient became" in message and "in step 3;" in message
    assert message.count("teff = ") == 4 and "\n" not in message
    state = Checkpoint.read(tmp_path / CHECKPOINT)
    assert state.step == 2
    assert all(torch.isfinite(tensor).all() for tensor in state.tensors.values())


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    train(recipe(), tmp_path)
    with pytest.raises(RecipeError, match="holds a run already"):
        train(recipe(), tmp_path)
    with pytest.raises(RecipeError, match="another recipe: its epochs was 3, not 4"):
        train(recipe(epochs=4), tmp_path, resume=True)


def test_a_pretrained_decoder_is_frozen_at_first(tmp_path, monkeypatch):
    first = train(recipe(DECODER), tmp_path / "first")
    assert first.validation == {} and "val_reconstruction" in first.metrics
    changes = {"model": {"name": "ae-cnn", "nodes": 5}, "data": {"rate": 0.5}}
    frozen = train(
        recipe(changes, decoder={"run": "first", "frozen": 1.0}, epochs=1), tmp_path / "frozen"
    )
    free = train(
        recipe(changes, decoder={"run": "first", "frozen": 0.5}, epochs=1), tmp_path / "free"
    )
    assert frozen.network.normalizer == first.network.normalizer
    trained, kept, moved = (weights(one) for one in (first, frozen, free))
    for name in trained:
        start = torch.zeros_like(kept[name])
        start[tuple(slice(n) for n in trained[name].shape)] = trained[name]
        assert torch.equal(kept[name], start), name
        assert not torch.equal(moved[name], start), name
    with pytest.raises(RecipeError, match=r"decoder of run other, but there is no .*other.json"):
        train(recipe(changes, decoder={"run": "other"}), tmp_path / "none")
    with pytest.raises(RecipeError, match="cannot start from the decoder of run first"):
        wrong = changes | {"model": {"name": "ae-resnet", "nodes": 5}}
        train(recipe(wrong, decoder={"run": "first"}), tmp_path / "wrong")


def test_an_unsupervised_network_reads_labels_off_its_nodes(tmp_path):
    result = train(recipe(UNSUPERVISED, epochs=1), tmp_path / "run")
    assert result.network.parts["readout"].weight.abs().sum() > 0
    assert {"teff", "rv"} <= set(result.validation)
    assert "label" not in result.metrics and result.metrics["kl"] > 0


def test_a_run_can_end_early(tmp_path, monkeypatch):
    losses = iter([5.0, 4.0, 4.5, 4.6, 1.0, 1.0])

    def judged(network, objective, data):
        return {"val_loss": next(losses)}, {}

    monkeypatch.setattr(run, "validate", judged)
    stop = {"batch": 4, "early_stop": {"patience": 2}}
    train(recipe(epochs=9, training=stop), tmp_path)
    assert [float(row["val_loss"]) for row in read_log(tmp_path)] == [5.0, 4.0, 4.5, 4.6]


def test_bfloat16_learns_the_same_within_its_rounding(tmp_path):
    exact = train(recipe(epochs=1), tmp_path / "float32")
    rough = train(
        recipe(epochs=1, training={"batch": 4, "precision": "bfloat16"}), tmp_path / "bfloat16"
    )
    assert rough.metrics["loss"] != exact.metrics["loss"]
    assert rough.metrics["loss"] == pytest.approx(exact.metrics["loss"], rel=0.05)
    assert all(tensor.dtype == torch.float32 for tensor in weights(rough).values())


def test_scales_that_need_stores_say_how_to_make_them(tmp_path, monkeypatch):
    full = replace(scale.SCALES["tiny"], needs_stores=True)
    monkeypatch.setattr("maury.training.recipe.SCALES", {"tiny": full})
    with pytest.raises(RecipeError, match=r"needs data.simulated.store .*maury simulate etc"):
        train(recipe(), tmp_path / "a")
    with pytest.raises(RecipeError, match=r"needs data.observed.store; .*maury ingest"):
        train(recipe(UNSUPERVISED), tmp_path / "b")


def test_a_store_without_a_star_to_validate_on_is_told_so(tmp_path):
    grid = GRIDS["harps-tiny"]
    # Both stars are by their names in the training part.
    for star, slope in (("hd10700.txt", 1e-5), ("hd20794.txt", 2e-5)):
        spectrum = np.column_stack([grid.wavelength, 1 + slope * grid.wavelength])
        np.savetxt(tmp_path / star, spectrum, header="medium: air")
    files = sorted(tmp_path.glob("*.txt"))
    assert {split_of(path.name) for path in files} == {"train"}
    ingest(files, tmp_path / "store", grid=grid, instrument=None)
    observed = {"rate": 0, "observed": {"store": str(tmp_path / "store")}}
    with pytest.raises(RecipeError, match="of 2 stars, and none of them is in the validation part"):
        train(recipe(data=observed), tmp_path / "run")


def test_states_that_are_none_are_refused(tmp_path):
    path = tmp_path / CHECKPOINT
    path.write_bytes(b"not a safetensors file")
    with pytest.raises(RecipeError, match="damaged"):
        Checkpoint.read(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(RecipeError, match="not the state of a training run"):
        Checkpoint.read(path)
    save_file({"x": torch.zeros(1)}, path, {"magic": "maury-training", "format_version": "99"})
    with pytest.raises(RecipeError, match="format version 99, but only 2"):
        Checkpoint.read(path)


def test_terms_without_a_part_in_the_loss_are_not_logged():
    sums = run.TermSums()
    sums.add(Terms(torch.tensor(1.0), reconstruction=torch.tensor(1.0)))
    assert set(sums.means()) == {"loss", "reconstruction"}


def test_two_devices_share_the_batches_and_one_writes(tmp_path):
    text = """
name: two
scale: tiny
epochs: 1
model: {name: encoder}
labels: [teff, rv]
data: {rate: 1}
training: {batch: 128, devices: 2, accelerator: cpu}
"""
    (tmp_path / "two.yaml").write_text(text)
    # Each device is a process of its own, started with the same command line.
    command = [sys.executable, "-m", "maury.cli", "train", str(tmp_path / "two.yaml")]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out"), "--format", "json"],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)
    assert record["run"] == "two"
    network, _ = load_network(tmp_path / "out" / "two.json")
    assert network.labels.names == ("teff", "rv")
    rows = read_log(tmp_path / "out")
    assert [row["step"] for row in rows] == ["2"]


def test_an_interrupt_says_how_to_go_on(tmp_path, monkeypatch):
    def interrupted(self, index, size):
        raise KeyboardInterrupt

    monkeypatch.setattr(MixedExposures, "batch", interrupted)
    options = ["train", "cnn-etc", "--scale", "tiny", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 130
    assert "--resume goes on from the last state" in result.stderr


def test_a_run_that_its_watcher_ends_goes_on_to_the_same_weights(tmp_path):
    whole = train(recipe(), tmp_path / "whole")
    seen = []

    def leave(epoch, network):
        seen.append((epoch, network.training))
        if epoch == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(recipe(), tmp_path / "left", watch=leave)
    resumed = train(recipe(), tmp_path / "left", resume=True, watch=leave)
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    assert not any(training for _, training in seen)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(resumed)[name]), name
