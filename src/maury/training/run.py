"""The training loop, from a recipe to a network."""

from __future__ import annotations

import contextlib
import csv
import math
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from maury.datasets.simulated import IntrinsicModel, SimulatedExposures
from maury.errors import MauryError, RecipeError
from maury.labels import Normalizer
from maury.models.encoder import Encoder
from maury.models.losses import label_loss
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing
from maury.synthesis.emulator import STANDARD, Emulator
from maury.training.checkpoint import CHECKPOINT, Checkpoint
from maury.training.recipe import Optimization, Recipe

__all__ = ["TrainingError", "TrainingResult", "learning_rate", "residual_statistics", "train"]

VALIDATION_BATCH = 64
NORMALIZATION_SAMPLE = 10_000
PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}


Batch = tuple[Tensor, Tensor]


class TrainingError(MauryError):
    """A training run that cannot go on."""


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a training run gives.

    Parameters
    ----------
    network : Network
        The trained network.
    recipe : Recipe
        The recipe that was followed.
    validation : dict
        For each label `mae`, `bias` and `sigma`; see `residual_statistics`.
    seconds : float
        Time that the steps took, over all resumptions.
    """

    network: Network
    recipe: Recipe
    validation: dict[str, dict[str, float]]
    seconds: float

    def provenance(self) -> dict[str, Any]:
        """Where the weights come from, as plain values for their card."""
        return {
            "recipe": self.recipe.model_dump(mode="json"),
            "seed": self.recipe.seed,
            "seconds": round(self.seconds, 1),
        }


@contextlib.contextmanager
def _half_of_the_cores() -> Generator[None, None, None]:
    """Leave half of the cores to the threads that simulate."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, _cores() // 2))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@_half_of_the_cores()
def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    emulator: IntrinsicModel | None = None,
    resume: bool = False,
    progress: bool = True,
) -> TrainingResult:
    """Train an encoder on exposures that are simulated as it learns.

    The run leaves ``log.csv`` (one row each time it is validated) and ``last.safetensors`` (its
    state) in `folder`. Batch number i depends on the recipe and i alone, so a run that was killed
    and resumed gives the same weights as one that was not.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    folder : str or Path
        Where to keep log and state; made if absent.
    emulator : IntrinsicModel, optional
        Intrinsic spectra; by default read from the file that the recipe names.
    resume : bool
        Go on from the state in `folder`, or start if there is none.
    progress : bool
        Draw a progress bar on standard error.

    Raises
    ------
    RecipeError
        If the folder holds another run, or the emulator does not serve the recipe.
    TrainingError
        If the loss is no longer finite.
    """
    folder = Path(folder)
    checkpoint = _open_run(recipe, folder, resume)
    fabric = Fabric(
        accelerator="auto",
        devices=1,
        precision=PRECISIONS[recipe.optimization.precision],  # type: ignore[arg-type]
    )
    torch.manual_seed(recipe.seed)

    # What the network reads, and what it learns from.
    grid, labels = recipe.wavelength_grid, recipe.label_set
    if emulator is None:
        emulator = Emulator.load(None if recipe.emulator == STANDARD else recipe.emulator)
    if isinstance(emulator, nn.Module):
        emulator.to(fabric.device)
    exposures = SimulatedExposures(emulator, grid, labels, recipe.simulation, recipe.seed)
    sample = exposures.sample_labels(NORMALIZATION_SAMPLE).cpu().numpy()
    normalizer = Normalizer.fit(sample, labels.names, recipe.normalization)
    preprocessing = Preprocessing(grid, **recipe.preprocessing.model_dump()).to(fabric.device)

    # The network, the average of its weights that will be kept, and the optimizer.
    encoder = Encoder(pixels=grid.size, outputs=len(labels))
    settings = recipe.optimization
    optimizer = torch.optim.Adam(encoder.parameters(), lr=settings.learning_rate)
    model, optimizer = fabric.setup(encoder, optimizer)
    average = AveragedModel(encoder, multi_avg_fn=get_ema_multi_avg_fn(settings.averaging))
    averaged: Encoder = average.module  # type: ignore[assignment]
    network = Network(grid, labels, normalizer, preprocessing, averaged)
    start, spent = 0, 0.0
    if checkpoint is not None:
        checkpoint.restore(encoder, average, optimizer)
        start, spent = checkpoint.step, checkpoint.seconds

    # What the loop reads: spectra that are ready for the network, and their normalised labels.
    @torch.no_grad()
    def prepare(index: int, size: int, stream: str) -> tuple[Tensor, Tensor]:
        batch = exposures.batch(index, size, stream)
        return preprocessing(batch.flux, batch.valid), normalizer.normalize(batch.labels)

    log = _Log(folder / "log.csv", start)
    number = math.ceil(recipe.validation.exposures / VALIDATION_BATCH)
    size = math.ceil(recipe.validation.exposures / number)
    validation = list(_ahead(lambda index: prepare(index, size, "validation"), range(number)))
    batches = _ahead(
        lambda index: prepare(index, settings.batch, "training"), range(start, settings.steps)
    )
    statistics: dict[str, dict[str, float]] = {}
    losses: list[float] = []
    began = time.monotonic() - spent
    with contextlib.closing(batches), _progress_bar(progress) as bar:
        task = bar.add_task(recipe.name, total=settings.steps, completed=start, note="")
        for step, (spectra, known) in enumerate(batches, start):
            model.train()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, settings)
            loss = label_loss(model(spectra), known)
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise TrainingError(
                    f"The loss of run {recipe.name} became {losses[-1]} in step {step + 1}; "
                    "use a smaller optimization.learning_rate, or resume from the last state."
                )
            fabric.backward(loss)
            fabric.clip_gradients(model, optimizer, max_norm=settings.clip_gradient)
            optimizer.step()
            optimizer.zero_grad()
            average.update_parameters(encoder)

            done, last = step + 1, step + 1 == settings.steps
            if done % recipe.validation.every == 0 or last:
                statistics = _validate(network, validation)
                log.add(done, time.monotonic() - began, losses, statistics)
                losses = []
            if done % settings.checkpoint_every == 0 or last:
                seconds = time.monotonic() - began
                values = recipe.model_dump(mode="json")
                Checkpoint.gather(done, seconds, values, encoder, average, optimizer).write(
                    folder / CHECKPOINT
                )
            if losses:
                bar.update(task, note=f"loss {sum(losses[-50:]) / len(losses[-50:]):.3f}")
            bar.advance(task)
    if not statistics:
        statistics = _validate(network, validation)
    average.module.to("cpu").eval()
    preprocessing.to("cpu")
    return TrainingResult(network, recipe, statistics, time.monotonic() - began)


def learning_rate(step: int, settings: Optimization) -> float:
    """Learning rate of a step, counted from zero.

    Examples
    --------
    >>> settings = Optimization(steps=10, warmup=2, learning_rate=0.1, schedule="cosine")
    >>> [round(learning_rate(step, settings), 4) for step in (0, 1, 2, 6, 9)]
    [0.05, 0.1, 0.1, 0.05, 0.0038]
    """
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    progress = (step - settings.warmup) / (settings.steps - settings.warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def residual_statistics(
    predicted: Tensor, true: Tensor, names: Iterable[str]
) -> dict[str, dict[str, float]]:
    """How far predictions lie from the truth, for each label in its unit.

    Returns
    -------
    dict
        For each label `mae`, the mean absolute error; `bias`, the median residual; and `sigma`,
        1.4826 times the median absolute deviation of the residuals, the standard deviation where
        they are normal.

    Examples
    --------
    >>> true = torch.zeros(5, 1)
    >>> predicted = torch.tensor([[-1.0], [0.0], [1.0], [2.0], [100.0]])
    >>> residual_statistics(predicted, true, ["rv"])
    {'rv': {'mae': 20.8, 'bias': 1.0, 'sigma': 1.4826}}
    """
    statistics = {}
    for name, residual in zip(names, (predicted - true).double().T, strict=True):
        bias = residual.median()
        statistics[name] = {
            "mae": round(residual.abs().mean().item(), 6),
            "bias": round(bias.item(), 6),
            "sigma": round(1.4826 * (residual - bias).abs().median().item(), 6),
        }
    return statistics


def _open_run(recipe: Recipe, folder: Path, resume: bool) -> Checkpoint | None:
    path = folder / CHECKPOINT
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"Folder {folder} cannot be made ({error.strerror}).") from None
    if not path.exists():
        return None
    if not resume:
        raise RecipeError(f"Folder {folder} holds a run already; resume it or name another folder.")
    checkpoint = Checkpoint.read(path)
    values = recipe.model_dump(mode="json")
    for key, value in checkpoint.recipe.items():
        if values.get(key) != value:
            raise RecipeError(
                f"The run in {folder} was made by another recipe: its {key} was {value!r}, "
                f"not {values.get(key)!r}."
            )
    return checkpoint


def _ahead(make: Callable[[int], Batch], indices: range) -> Generator[Batch, None, None]:
    """What `make` gives for each index, in order, made in threads while the last is being used.

    On a CPU this takes the place of threads within each operation: their many barriers cost
    more, and on a machine that others use, several times more.
    """
    workers = _cores()
    pending: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(workers, initializer=lambda: torch.set_num_threads(1)) as pool:
        try:
            for index in indices:
                pending.append(pool.submit(make, index))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@torch.inference_mode()
def _validate(
    network: Network, validation: list[tuple[Tensor, Tensor]]
) -> dict[str, dict[str, float]]:
    network.encoder.eval()
    predicted = torch.cat([network.encoder(spectra) for spectra, _ in validation])
    true = torch.cat([labels for _, labels in validation])
    denormalize = network.normalizer.denormalize
    return residual_statistics(denormalize(predicted), denormalize(true), network.labels.names)


class _Log:
    """The run's CSV file; rows beyond the step from which it goes on are dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if step > 0 and path.exists():
            with path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]

    def add(
        self,
        step: int,
        seconds: float,
        losses: list[float],
        statistics: dict[str, dict[str, float]],
    ) -> None:
        row = {"step": step, "seconds": round(seconds, 1), "loss": sum(losses) / len(losses)}
        for name, values in statistics.items():
            row |= {f"{name}_{key}": value for key, value in values.items()}
        self.rows.append(row)
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            writer.writeheader()
            writer.writerows(self.rows)
        temporary.replace(self.path)


def _progress_bar(visible: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        disable=not visible,
    )
