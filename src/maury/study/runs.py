"""The study's networks: found where they have been trained, trained where not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from maury.errors import RecipeError
from maury.study.plan import PlannedRun
from maury.training.run import train

__all__ = ["is_trained", "train_missing", "training_seconds"]

# Time of a training step beside an encoder's, to tell how long is left: measured on a CPU.
COSTS = {None: 1.0, "cnn-decoder": 3.0, "film-decoder": 4.0, "doppler-decoder": 4.0}
RESNET, ENCODER = 10.0, 1.0


def is_trained(run: PlannedRun, folder: Path) -> bool:
    """Whether a run has been trained by this very recipe.

    Parameters
    ----------
    run
        What is wanted.
    folder
        Of the study's runs.

    Raises
    ------
    RecipeError
        If the run's folder holds a network by another recipe.
    """
    if not (folder / run.card).is_file():
        return False
    path = folder / run.path / "recipe.yaml"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        found = None
    if not isinstance(found, dict):
        raise RecipeError(f"{path} cannot be read; remove the folder {path.parent}.")
    wanted = run.recipe.model_dump(mode="json")
    for key, value in wanted.items():
        if found.get(key) != value:
            raise RecipeError(
                f"The network in {path.parent} was trained with {key} = {found.get(key)!r}, not "
                f"{value!r}; name another --out, or remove that folder."
            )
    return True


def training_seconds(run: PlannedRun, folder: Path) -> float:
    """Seconds that a run's training took."""
    report = yaml.safe_load((folder / run.path / "run.yaml").read_text(encoding="utf-8"))
    return float(report["seconds"])


def train_missing(
    runs: Sequence[PlannedRun],
    folder: Path,
    say: Callable[[str], object],
    *,
    progress: bool = True,
) -> None:
    """Train those of the runs that are not there yet, one after the other.

    A run that was killed goes on from its last state.

    Parameters
    ----------
    runs
        In an order in which each comes behind those it starts from.
    folder
        Where each has its own.
    say
        Called with a line before each.
    progress
        Draw the bar of each run.

    Raises
    ------
    RecipeError
        If a folder holds something else.
    TrainingError
        If a loss is no longer finite.
    """
    trained = [run for run in runs if is_trained(run, folder)]
    missing = [run for run in runs if run not in trained]
    rates = [training_seconds(run, folder) / _cost(run) for run in trained]
    for number, run in enumerate(missing):
        left = sum(_cost(other) for other in missing[number:])
        rest = f"; training has about {_duration(left * _mean(rates))} to go" if rates else ""
        say(f"Training {run.path}, {number + 1} of {len(missing)}{rest}.")
        began = time.monotonic()
        train(run.recipe, folder / run.path, beside=folder, resume=True, progress=progress)
        rates.append((time.monotonic() - began) / _cost(run))


def _cost(run: PlannedRun) -> float:
    """Time of a run in that of an encoder's epoch of as many exposures."""
    model = run.recipe.model.model
    step = COSTS.get(model.decoder, RESNET) + (ENCODER if model.encoder and model.decoder else 0)
    return step * run.recipe.steps * run.recipe.training.batch


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _duration(seconds: float) -> str:
    """Roughly, for people.

    Examples
    --------
    >>> _duration(40), _duration(500), _duration(9000)
    ('1 min', '8 min', '2 h 30 min')
    """
    hours, minutes = divmod(max(round(seconds / 60), 1), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
