"""A hyperparameter is chosen by RVIS; a search that was killed goes on as if it had not been."""

from __future__ import annotations

import csv
import json
import math
import shutil
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._base import BaseJournalSnapshot

from maury.datasets.splits import split_of
from maury.datasets.store import SpectrumStore
from maury.errors import MauryError, RecipeError, TargetError
from maury.evaluation.interventions import velocity_intervention_scores
from maury.study import selection
from maury.study.measure import FASTEST
from maury.study.networks import StudiedNetwork
from maury.study.selection import select
from maury.study.settings import SETTINGS
from maury.study.validation import Score, ValidationExposures
from maury.training import scale
from maury.training.recipe_file import read_recipe
from maury.training.run import TrainingError

SMALL = ["model.name=ae-cnn", "decoder.run=cnn-decoder", "labels=[teff, rv, berv]"]


@pytest.fixture(autouse=True)
def few_exposures(monkeypatch):
    """The smallest scale, made smaller: two steps an epoch, two epochs."""
    tiny = replace(scale.SCALES["tiny"], spectra=8, validation=8, stars=40, exposures=1.0)
    short = ("epochs=2", "training.batch=4", "optimizer.lr=1e-3")
    settings = replace(SETTINGS["tiny"], overrides=short, stars=8, shifted=3)
    for module in ("training.scale", "training.recipe", "study.exposures"):
        monkeypatch.setattr(f"maury.{module}.SCALES", {"tiny": tiny})
    for module in ("exposures", "plan", "selection"):
        monkeypatch.setattr(f"maury.study.{module}.SETTINGS", {"tiny": settings})


def search(folder, trials, parameter="bottleneck", **options):
    return select(
        parameter,
        "tiny",
        folder,
        trials=trials,
        say=lambda line: None,
        report=lambda what, done, total: None,
        progress=False,
        **options,
    )


class MadeUp:
    """Trainings that take no time, and scores that are known beforehand."""

    def __init__(self, monkeypatch):
        # Figures take longer than all else here.
        self.write = selection.Selection.write
        monkeypatch.setattr(selection.Selection, "write", lambda *_: None)
        monkeypatch.setattr("os.fsync", lambda _: None)
        self.scores = {"rvis": None, "true_rvis": lambda value, epoch: 1.0}
        self.exposures = SimpleNamespace(hash="one")
        self.trained = []
        monkeypatch.setattr(selection, "training_stores", lambda *_: ())
        monkeypatch.setattr(selection, "train_missing", lambda *_, **__: None)
        monkeypatch.setattr(ValidationExposures, "open", lambda *_: self.exposures)
        monkeypatch.setattr(selection, "velocity_score", self.score)
        monkeypatch.setattr(selection, "train", self.train)

    def train(self, recipe, folder, *, beside, resume, progress, watch):
        value = recipe.loss.kl_weight if recipe.name == "beta-vae-mix" else recipe.model.nodes
        self.trained.append((value, recipe.seed))
        for epoch in range(1, recipe.number_of_epochs + 1):
            network = SimpleNamespace(value=value, epoch=epoch)
            watch(epoch, network)
        return SimpleNamespace(network=network)

    def score(self, network, exposures, by):
        return Score(self.scores[by](network.value, network.epoch), 0.001)


@pytest.fixture
def made_up(monkeypatch):
    return MadeUp(monkeypatch)


def at_ten(nodes, epoch):
    return 0.015 + 0.001 * abs(nodes - 10)


def at_1e_5(weight, epoch):
    return 0.02 + 0.01 * (math.log10(weight) + 5) ** 2


def test_the_minimum_of_a_convex_curve_is_found(tmp_path, made_up):
    made_up.scores["rvis"] = at_ten
    found = search(tmp_path / "nodes", 20)
    assert found.best.value == 10 and found.best.rvis == 0.015
    assert all(7 <= trial.value <= 20 for trial in found.trials)
    made_up.scores["rvis"] = at_1e_5
    found = search(tmp_path / "weight", 20, "kl-weight")
    assert abs(math.log10(found.best.value) + 5) < 0.2
    # The sampler has learned: later values are nearer than the first, which are drawn at random.
    distance = [abs(math.log10(trial.value) + 5) for trial in found.trials]
    assert np.mean(distance[10:]) < 0.5 * np.mean(distance[:5])


def test_true_rvis_can_be_minimised_instead(tmp_path, made_up):
    made_up.scores = {"rvis": at_ten, "true_rvis": lambda nodes, epoch: 0.1 - 0.001 * nodes}
    found = search(tmp_path, 20, by="true_rvis")
    assert found.best.true_rvis == min(trial.true_rvis for trial in found.trials if trial.true_rvis)
    assert found.best.value == 20 and found.best.rvis == at_ten(20, 1)


def test_trials_that_do_worse_than_half_of_the_others_are_given_up(tmp_path, made_up):
    made_up.scores["rvis"] = lambda weight, epoch: at_1e_5(weight, epoch) + 0.1 / epoch
    found = search(tmp_path, 20, "kl-weight", overrides=["epochs=8"])
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned and all(trial.trial >= 5 and 2 <= trial.epochs < 8 for trial in pruned)
    best = min(found.trials, key=lambda trial: at_1e_5(trial.value, 1))
    assert best == found.best and best.epochs == 8 and best.state == "complete"
    for trial in pruned:
        earlier = [one for one in found.trials[: trial.trial] if one.state == "complete"]
        assert trial.rvis > np.median(
            [made_up.scores["rvis"](one.value, trial.epochs) for one in earlier]
        )
        assert trial.card is None and trial.true_rvis is None


def test_the_same_seed_gives_the_same_values_wherever_a_search_is_stopped(tmp_path, made_up):
    made_up.scores["rvis"] = at_1e_5
    whole = search(tmp_path / "whole", 9, "kl-weight")
    for number in range(1, 10, 2):
        parts = search(tmp_path / "parts", number, "kl-weight")
    values = [trial.value for trial in whole.trials]
    assert values == [trial.value for trial in parts.trials]
    assert len(set(values)) == 9
    other = search(tmp_path / "other", 3, "kl-weight", overrides=["seed=2"])
    assert not set(values) & {trial.value for trial in other.trials}


def test_a_search_that_has_its_trials_does_nothing(tmp_path, made_up):
    made_up.scores["rvis"] = at_ten
    first = search(tmp_path, 3)
    made_up.exposures = None
    assert search(tmp_path, 3) == search(tmp_path, 2) == first
    assert len(made_up.trained) == 3


def test_a_value_that_comes_again_is_trained_from_another_seed(tmp_path, made_up):
    made_up.scores["rvis"] = at_ten
    found = search(tmp_path, 20)
    # There are 14 whole numbers for 20 trials.
    assert len({value for value, _ in made_up.trained}) < 20
    assert len(set(made_up.trained)) == 20
    assert [(trial.value, trial.seed) for trial in found.trials] == made_up.trained


def test_the_journal_is_json_and_is_never_unpickled(tmp_path, made_up, monkeypatch):
    made_up.scores["rvis"] = at_ten
    monkeypatch.setattr("pickle.loads", None)
    monkeypatch.setattr("pickle.dumps", None)
    first = search(tmp_path, 2)
    lines = (tmp_path / "journal.log").read_text().splitlines()
    assert len(lines) > 10 and all(isinstance(json.loads(line), dict) for line in lines)
    assert not issubclass(JournalFileBackend, BaseJournalSnapshot)
    assert search(tmp_path, 3).trials[0].rvis == first.trials[0].rvis


def test_a_line_that_was_not_finished_is_dropped(tmp_path, made_up):
    made_up.scores["rvis"] = at_ten
    first = search(tmp_path, 2)
    with (tmp_path / "journal.log").open("a") as file:
        file.write('{"op_code": 4, "wor')
    (tmp_path / "journal.log.lock").symlink_to(tmp_path / "journal.log")
    assert search(tmp_path, 3).trials[0] in first.trials
    assert len(search(tmp_path, 3).trials) == 3


def test_a_training_that_fails_is_told_and_the_search_goes_on(tmp_path, made_up, monkeypatch):
    made_up.scores["rvis"] = lambda nodes, epoch: math.nan if len(made_up.trained) == 2 else 0.5
    found = search(tmp_path, 3)
    assert [trial.state for trial in found.trials] == ["complete", "failed", "complete"]
    assert found.trials[1].error == "The network's RVIS is not a finite number."

    def diverged(*_, **__):
        raise TrainingError("The loss became nan.")

    monkeypatch.setattr(selection, "train", diverged)
    nothing = search(tmp_path / "nothing", 2)
    assert nothing.best is None and nothing.trials[0].error == "The loss became nan."
    made_up.write(nothing, tmp_path)
    assert (tmp_path / "trials.csv").exists() and not (tmp_path / "rvis.png").exists()


def test_results_are_written_as_table_and_figure(tmp_path, made_up):
    made_up.scores["rvis"] = at_ten
    found = search(tmp_path, 4)
    made_up.write(found, tmp_path)
    with (tmp_path / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    written = [
        {key: "" if value is None else str(value) for key, value in asdict(trial).items()}
        for trial in found.trials
    ]
    assert rows == written
    assert (tmp_path / "rvis.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "rvis.pdf").read_bytes().startswith(b"%PDF")


def test_folders_that_hold_something_else_are_refused(tmp_path, made_up):
    made_up.scores["rvis"] = at_ten
    search(tmp_path, 1)
    for options, message in (
        ({"parameter": "kl-weight"}, "with parameter = 'model.nodes', not 'loss.kl_weight'"),
        ({"by": "true_rvis"}, "with by = 'rvis', not 'true_rvis'"),
        ({"overrides": ["epochs=3"]}, "with epochs = 2, not 3"),
        ({"free": True}, "with free = False, not True"),
    ):
        with pytest.raises(TargetError, match=message):
            search(tmp_path, 2, **options)
    made_up.exposures = SimpleNamespace(hash="another")
    with pytest.raises(TargetError, match="exposures have changed"):
        search(tmp_path, 2)
    with FileLock(tmp_path / ".lock"), pytest.raises(TargetError, match="Another process"):
        search(tmp_path, 2)
    for content in ("no journal\n", "[]\n", '{"op_code": 4}\n'):
        (tmp_path / "journal.log").write_text(content)
        with pytest.raises(TargetError, match=r"journal.log is not the journal of a search"):
            search(tmp_path, 2)
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match="cannot be used"):
        search(tmp_path / "file", 2)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.nodes=9", "model.nodes is what is searched for"),
        ("scale=small", "cannot be set to small"),
        ("labels=[teff, mh]", "needs the label rv"),
        ("training.devices=2", "one device"),
        ("model.name=beta-vae-unsupervised", "no autoencoder whose nodes are labels"),
        ("loss.label_weight=none", "loss.label_weight is 'none'"),
    ],
)
def test_recipes_that_cannot_be_searched_are_refused(tmp_path, monkeypatch, override, message):
    known = dict.fromkeys(("tiny", "small"), scale.SCALES["tiny"])
    monkeypatch.setattr("maury.training.recipe.SCALES", known)
    with pytest.raises(RecipeError, match=message):
        search(tmp_path / "none", 1, overrides=[override])
    assert not (tmp_path / "none").exists()


def killed(monkeypatch, at):
    """Let the search be killed when so many scores have been taken."""
    score, count = selection.velocity_score, 0

    def counted(*arguments):
        nonlocal count
        count += 1
        if count == at:
            raise KeyboardInterrupt
        return score(*arguments)

    monkeypatch.setattr(selection, "velocity_score", counted)


def test_networks_are_trained_and_judged_and_a_killed_search_goes_on_to_the_same(
    tmp_path, monkeypatch
):
    # Two epochs and a true RVIS make three scores a trial: killed in the first epoch of a trial,
    # and, with its second epoch settled, behind the last step of the next.
    for at in (1, 5):
        with monkeypatch.context() as patch:
            killed(patch, at)
            with pytest.raises(KeyboardInterrupt):
                search(tmp_path, 2, overrides=SMALL)
    found = search(tmp_path, 2, overrides=SMALL)
    assert [trial.state for trial in found.trials] == ["complete"] * 2
    assert all(trial.epochs == 2 for trial in found.trials)
    decoder = (tmp_path / "runs" / "cnn-decoder" / "cnn-decoder.safetensors").stat()

    (tmp_path / "journal.log").unlink()
    shutil.rmtree(tmp_path / "trials")
    assert search(tmp_path, 2, overrides=SMALL) == found
    again = (tmp_path / "runs" / "cnn-decoder" / "cnn-decoder.safetensors").stat()
    assert again.st_mtime_ns == decoder.st_mtime_ns

    # Judged on validation exposures alone, as can be done from the card.
    store = SpectrumStore(tmp_path / "runs" / "mock-archive")
    row = read_recipe(tmp_path / "trials" / "0000" / "recipe.yaml")
    exposures = ValidationExposures.open(row, 3)
    stars = {
        r["star"] for r in store.catalogue.to_pylist() if r["index"] in exposures.observed.indices
    }
    assert stars and {split_of(star) for star in stars} == {"val"}
    simulated = exposures.simulated
    assert simulated.store.settings["split"] == "val"
    assert max(abs(simulated.rows[n]["rv"]) for n in exposures.numbers) <= FASTEST
    network = StudiedNetwork.load(tmp_path / "trials" / "0000" / "ae-mix.json")
    batch = exposures.observed.at(exposures.observed.indices)
    scores = velocity_intervention_scores(
        network.decode,
        network.encode(network.normalize(batch.flux, batch.valid)),
        network.network.grid.wavelength,
        node=1,
        scale=network.scale[1],
        valid=batch.valid.numpy(),
    )
    assert found.trials[0].rvis == pytest.approx(scores.mean(), rel=1e-4)
    assert found.trials[0].true_rvis > 0


def test_an_archive_without_validation_stars_is_refused(tmp_path, monkeypatch):
    recipe = SimpleNamespace(
        data=read_recipe(
            "ae-mix",
            ["data.observed.store=a", "data.simulated.store=b", "data.simulated.validation=c"],
            scale="tiny",
        ).data
    )
    monkeypatch.setattr(
        "maury.study.validation.SpectrumStore",
        lambda path: SimpleNamespace(path=path, stars=lambda: {"HD 10700": np.array([0])}),
    )
    with pytest.raises(MauryError, match="a has no star in the validation part"):
        ValidationExposures.open(recipe, 3)
