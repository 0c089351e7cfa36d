"""Model selection by RVIS (Sect. 3.7 of the paper): one hyperparameter, searched by Optuna."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from maury.errors import RecipeError
from maury.evaluation.figures import Curve, save, score_curves
from maury.files import write_whole
from maury.study.exposures import training_stores
from maury.study.journal import SearchJournal
from maury.study.plan import model_runs
from maury.study.runs import train_missing
from maury.study.settings import SETTINGS
from maury.study.validation import Criterion, Score, ValidationExposures, velocity_score
from maury.training.recipe import Recipe
from maury.training.recipe_file import read_recipe
from maury.training.run import TrainingError, train

__all__ = ["SEARCHES", "Search", "SearchedTrial", "Selection", "select"]

RUNS, TRIALS, FIGURE = "runs", "trials", "rvis"
# What concerns the network that is searched for, and not the decoder that it starts from.
OWN = ("model", "loss", "decoder", "data.rate", "data.zero_unknown")

Report = Callable[[str, int, int], object]
Say = Callable[[str], object]


@dataclass(frozen=True)
class Search:
    """A hyperparameter that can be searched for.

    Parameters
    ----------
    recipe : str
        Of `maury.recipes`.
    entry : str
        The recipe's entry that is searched.
    title : str
        What the figure's axis is called.
    low, high : float
        Smallest and largest value.
    whole : bool
        Whether values are whole numbers; the others are searched by their logarithm.
    """

    recipe: str
    entry: str
    title: str
    low: float
    high: float
    whole: bool = False

    def suggest(self, trial: optuna.Trial) -> float:
        """The value that a trial is to try."""
        if self.whole:
            return trial.suggest_int(self.entry, int(self.low), int(self.high))
        return trial.suggest_float(self.entry, self.low, self.high, log=True)


SEARCHES: Mapping[str, Search] = MappingProxyType(
    {
        "bottleneck": Search("ae-mix", "model.nodes", "size of the bottleneck", 7, 20, whole=True),
        "kl-weight": Search("beta-vae-mix", "loss.kl_weight", r"$\lambda_\mathrm{KL}$", 1e-6, 1e-1),
        "mmd-weight": Search("info-vae-mix", "loss.mmd_weight", r"$\lambda_\mathrm{MMD}$", 1, 1e4),
    }
)
"""By name; around what the paper chose: 9 or 10 nodes, 1e-5 and 100 (Sect. 3.7)."""


@dataclass(frozen=True)
class SearchedTrial:
    """What came of one value.

    Parameters
    ----------
    trial : int
        From zero.
    value : float or None
        Of the hyperparameter.
    state : str
        "complete", "pruned", "failed" or "running".
    seed : int or None
        Of the training.
    epochs : int or None
        After which it was last judged.
    rvis, rvis_error, true_rvis, true_rvis_error : float or None
        Means over validation exposures after these epochs, and their standard errors. A pruned
        trial has only the one that it was judged by.
    best : bool
        Whether it is the best that is complete.
    card : str or None
        Of the network.
    error : str or None
        Why it failed.
    """

    trial: int
    value: float | None
    state: str
    seed: int | None
    epochs: int | None
    rvis: float | None
    rvis_error: float | None
    true_rvis: float | None
    true_rvis_error: float | None
    best: bool
    card: str | None
    error: str | None


@dataclass(frozen=True)
class Selection:
    """The trials of a search.

    Parameters
    ----------
    search : Search
        What was searched for.
    trials : tuple of SearchedTrial
        In the order in which they were made.
    """

    search: Search
    trials: tuple[SearchedTrial, ...]

    @property
    def best(self) -> SearchedTrial | None:
        """The best trial; None where none is complete."""
        return next((trial for trial in self.trials if trial.best), None)

    def write(self, folder: Path) -> None:
        """Write ``trials.csv`` and, where a trial is complete, ``rvis.png`` and ``rvis.pdf``."""
        text = io.StringIO()
        names = [field.name for field in fields(SearchedTrial)]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(trial) for trial in self.trials)
        write_whole(folder / "trials.csv", text.getvalue())
        complete = [trial for trial in self.trials if trial.state == "complete"]
        if not complete:
            return
        values = np.array([trial.value for trial in complete], dtype=float)

        def curve(name: str) -> Curve:
            means, errors = (
                np.array([getattr(trial, key) for trial in complete], dtype=float)
                for key in (name, f"{name}_error")
            )
            return Curve(values, means, errors)

        figure = score_curves(
            {"RVIS": curve("rvis"), "true RVIS": curve("true_rvis")},
            self.search.title,
            "mean over validation spectra",
            logarithmic=not self.search.whole,
        )
        save(figure, folder, FIGURE)


def select(
    parameter: str,
    scale: str,
    folder: Path,
    *,
    trials: int,
    by: Criterion = "rvis",
    free: bool = False,
    archive: Path | None = None,
    overrides: Sequence[str] = (),
    say: Say,
    report: Report,
    progress: bool = True,
) -> Selection:
    """Search for the value of a hyperparameter at which RVIS is smallest.

    Each trial trains a network in a folder of its own below ``trials`` and is judged after each
    epoch on validation exposures; it is given up when it does worse than half of those before.
    What is in the folder already is not done again: a search that was killed goes on within the
    epoch in which that happened.

    The value of trial number i depends on the recipe's seed, on i and on the scores of the trials
    before alone. A whole number that comes again is trained from another seed, to tell by how much
    the score scatters.

    Parameters
    ----------
    parameter
        Key of `SEARCHES`.
    scale
        Key of `maury.study.settings.SETTINGS`.
    folder
        Of the search.
    trials
        How many it is to have, those that are there included.
    by
        What is minimised: RVIS on observed exposures, or true RVIS on simulated ones.
    free
        Whether the unknown factors u of simulated exposures are left free.
    archive
        Store of observed exposures on the scale's grid; by default a mock archive is made.
    overrides
        Further changes of the recipe, as ``maury train --set`` takes them. Those that do not
        concern labels, loss or bottleneck change the pretrained decoder's recipe too.
    say
        Called with a line about what comes next.
    report
        Called with what is being made, how many are done, and of how many.
    progress
        Draw the bar of each training.

    Raises
    ------
    MauryError
        If the recipe cannot be searched, or the folder holds another search or is in use.
    """
    search = SEARCHES[parameter]
    changes = [*SETTINGS[scale].overrides, *overrides]
    changes += ["data.zero_unknown=false"] if free else []
    stored = [] if archive is None else [f"data.observed.store={archive}"]
    recipe = read_recipe(search.recipe, [*changes, *stored], scale=scale)
    _check(search, recipe, scale, overrides)
    facts = {"parameter": search.entry, "by": by, "free": free, **recipe.model_dump(mode="json")}
    warmup = math.ceil(recipe.number_of_epochs / 4)
    with SearchJournal(folder, facts, seed=recipe.seed, warmup=warmup) as journal:
        if journal.left(trials):
            changes += training_stores(scale, folder, archive, report)
            _train_decoder(recipe, scale, folder, changes, say, progress)
            stocked = read_recipe(search.recipe, changes, scale=scale)
            exposures = ValidationExposures.open(stocked, SETTINGS[scale].shifted)
            journal.check_exposures(exposures.hash)
            work = _Work(search, scale, changes, by, folder, exposures, journal.study, progress)
            while journal.left(trials):
                work.run(journal.next(), trials, say)
        selection = Selection(search, _results(journal.study, folder, recipe.name))
        selection.write(folder)
    return selection


@dataclass(frozen=True)
class _Work:
    """All that the trials of a search have in common."""

    search: Search
    scale: str
    changes: Sequence[str]
    by: Criterion
    folder: Path
    exposures: ValidationExposures
    study: optuna.Study
    progress: bool

    def run(self, trial: optuna.Trial, trials: int, say: Say) -> None:
        """Train, judge and settle a trial, which may have been begun before."""
        value = self.search.suggest(trial)
        title = f"Trial {trial.number + 1} of {trials}, {self.search.entry} = {value:.4g}"
        say(f"{title}.")
        try:
            score = self._trained(trial, self._recipe(trial, value))
        except optuna.TrialPruned:
            self.study.tell(trial, state=TrialState.PRUNED)
            say(f"{title}: given up, for others did better.")
        except TrainingError as error:
            trial.set_user_attr("error", str(error))
            self.study.tell(trial, state=TrialState.FAIL)
            say(f"{title} failed: {error}")
        else:
            self.study.tell(trial, score.mean)
            say(f"{title}: {_NAMES[self.by]} {score.mean:.4g}.")

    def _recipe(self, trial: optuna.Trial, value: float) -> Recipe:
        changes = [*self.changes, f"{self.search.entry}={value!r}"]
        recipe = read_recipe(self.search.recipe, changes, scale=self.scale)
        before = self.study.trials[: trial.number]
        repeats = sum(other.params == trial.params for other in before)
        recipe = recipe.model_copy(update={"seed": recipe.seed + repeats})
        trial.set_user_attr("seed", recipe.seed)
        return recipe

    def _trained(self, trial: optuna.Trial, recipe: Recipe) -> Score:
        reported = set(self.study.trials[trial.number].intermediate_values)
        last: list[Score] = []

        def judge(epoch: int, network: Any) -> None:
            score = self._score(network, self.by)
            last[:] = [score]
            if epoch not in reported:
                trial.report(score.mean, epoch)
            trial.set_user_attr("scores", {self.by: score})
            self._prune(trial, epoch, recipe)

        if reported:
            # It may have been killed between being judged and being given up.
            self._prune(trial, max(reported), recipe)
        result = train(
            recipe,
            _folder(self.folder, trial.number),
            beside=self.folder / RUNS,
            resume=True,
            progress=self.progress,
            watch=judge,
        )
        if not last:
            # It was killed behind its last step.
            judge(recipe.number_of_epochs, result.network)
        other: Criterion = "true_rvis" if self.by == "rvis" else "rvis"
        scores = {self.by: last[0], other: self._score(result.network, other)}
        trial.set_user_attr("scores", scores)
        return last[0]

    def _score(self, network: Any, by: Criterion) -> Score:
        score = velocity_score(network, self.exposures, by)
        if not math.isfinite(score.mean):
            raise TrainingError(f"The network's {_NAMES[by]} is not a finite number.")
        return score

    def _prune(self, trial: optuna.Trial, epoch: int, recipe: Recipe) -> None:
        if epoch < recipe.number_of_epochs and trial.should_prune():
            raise optuna.TrialPruned


_NAMES: Mapping[Criterion, str] = {"rvis": "RVIS", "true_rvis": "true RVIS"}
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


def _check(search: Search, recipe: Recipe, scale: str, overrides: Sequence[str]) -> None:
    for override in overrides:
        if override.partition("=")[0].strip() == search.entry:
            raise RecipeError(f"{search.entry} is what is searched for, so it cannot be set.")
    if recipe.scale != scale:
        raise RecipeError(f"The scale is {scale}; it cannot be set to {recipe.scale} by --set.")
    if "rv" not in recipe.labels:
        raise RecipeError("RVIS needs the label rv, which labels leave out.")
    if recipe.training.devices > 1:
        raise RecipeError("A search runs on one device; training.devices must be 1.")
    model = recipe.model.model
    if not (model.encoder and model.decoder and model.supervised):
        raise RecipeError(f"{recipe.model.name} is no autoencoder whose nodes are labels.")
    if search.whole and len(recipe.labels) > search.low:
        raise RecipeError(f"{len(recipe.labels)} labels do not fit into {search.low:g} nodes.")


def _train_decoder(
    recipe: Recipe, scale: str, folder: Path, changes: Sequence[str], say: Say, progress: bool
) -> None:
    """Train the decoder that all trials start from, unless it is there or a card is named."""
    if recipe.decoder is None or recipe.decoder.run.endswith(".json"):
        return
    shared = [change for change in changes if not change.strip().startswith(OWN)]
    name = recipe.decoder.run
    runs = model_runs([name], scale, shared)
    train_missing(list(runs.values()), folder / RUNS, say, progress=progress)


def _folder(folder: Path, number: int) -> Path:
    return folder / TRIALS / f"{number:04d}"


def _results(study: optuna.Study, folder: Path, name: str) -> tuple[SearchedTrial, ...]:
    complete = [trial for trial in study.trials if trial.state is TrialState.COMPLETE]
    best = study.best_trial.number if complete else None
    return tuple(_result(trial, trial.number == best, folder, name) for trial in study.trials)


def _result(trial: FrozenTrial, best: bool, folder: Path, name: str) -> SearchedTrial:
    scores = trial.user_attrs.get("scores", {})
    rvis, true_rvis = (scores.get(kind, (None, None)) for kind in _NAMES)
    card = _folder(folder, trial.number) / f"{name}.json"
    return SearchedTrial(
        trial=trial.number,
        value=next(iter(trial.params.values()), None),
        state=_STATES[trial.state],
        seed=trial.user_attrs.get("seed"),
        epochs=trial.last_step,
        rvis=rvis[0],
        rvis_error=rvis[1],
        true_rvis=true_rvis[0],
        true_rvis_error=true_rvis[1],
        best=best,
        card=str(card) if trial.state is TrialState.COMPLETE else None,
        error=trial.user_attrs.get("error"),
    )
