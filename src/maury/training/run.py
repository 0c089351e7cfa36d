"""The training loop, from a recipe to a run's folder."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.fabric import Fabric
from lightning.fabric.strategies import DDPStrategy
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from maury.datasets.prefetching import ahead
from maury.datasets.training_source import TrainingBatch
from maury.errors import MauryError, RecipeError
from maury.labels import Normalizer
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing
from maury.models.weights import load_network
from maury.models.zoo import build
from maury.training.checkpoint import CHECKPOINT, Checkpoint
from maury.training.data import TrainingData
from maury.training.metrics import MetricsLog, TermSums, progress_bar
from maury.training.objective import Objective
from maury.training.recipe import Optimizer, Recipe
from maury.training.result import TrainingResult, finish
from maury.training.validation import generator_of, validate

__all__ = ["MOCK_ARCHIVE", "TrainingError", "TrainingResult", "learning_rate", "train"]

MOCK_ARCHIVE = "mock-archive"
"""Name of the folder beside a run's that holds the mock archive of its scale."""

TERMS = ("loss", "reconstruction", "label", "kl", "mmd")
PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}
KEEP_EVERY = 600.0  # seconds after which the state is written within an epoch


class TrainingError(MauryError):
    """A training run that cannot go on."""


def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    beside: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    watch: Callable[[int, Network], object] | None = None,
) -> TrainingResult:
    """Train a network, and leave all that is to be known of it in a folder.

    There are ``recipe.yaml`` (as resolved), ``run.yaml`` (code, data, seed, normalisation, result),
    ``metrics.csv`` and ``tensorboard`` (one row an epoch), ``last.safetensors`` (the state), and at
    the end the network as card and weights. Batch number i depends on the recipe and i alone, so
    that a run that was killed and resumed gives the same weights as one that was not.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    folder : str or Path
        Where to keep it; made if absent.
    beside : str or Path, optional
        Folder of the runs at the same scale, by default that of the run's folder: the recipe's
        pretrained decoder is looked for there, and a mock archive is made where the recipe names
        no observed exposures.
    resume : bool
        Go on from the state in `folder`, or start if there is none.
    progress : bool
        Draw a progress bar on standard error.
    watch : callable, optional
        Called after each epoch with its number and the network as it would be kept; what it raises
        ends the run, which can be resumed.

    Raises
    ------
    RecipeError
        If the folder holds another run, or what the recipe names is not there or does not fit.
    TrainingError
        If the loss is no longer finite.
    """
    folder, settings = Path(folder), recipe.training
    beside = folder.parent if beside is None else Path(beside)
    checkpoint = _open_run(recipe, folder, resume)
    fabric = Fabric(
        accelerator=settings.accelerator,
        devices=settings.devices,
        # While a decoder is frozen its parameters have no gradients.
        strategy=DDPStrategy(find_unused_parameters=True) if settings.devices > 1 else "auto",
        precision=PRECISIONS[settings.precision],  # type: ignore[arg-type]
    )
    fabric.launch()
    torch.manual_seed(recipe.seed)

    # What it learns from, and the network.
    preprocessing = Preprocessing(recipe.settings.grid, **recipe.preprocessing.model_dump())
    visible = progress and fabric.is_global_zero
    pretrained = None if recipe.decoder is None else _pretrained(recipe, beside, preprocessing)
    making = progress_bar(visible)

    def report(done: int, total: int) -> None:
        if not making.tasks:
            making.start()
            making.add_task("mock archive", total=total, note="")
        making.update(making.task_ids[0], completed=done)

    try:
        with fabric.rank_zero_first():
            archive = beside / MOCK_ARCHIVE
            data = TrainingData.open(recipe, archive, preprocessing, fabric.device, report)
    finally:
        if making.tasks:
            making.stop()
    network = _network(recipe, pretrained, data, preprocessing)
    loss = recipe.model.model.loss
    objective = Objective(network, loss, recipe.loss, zero_unknown=recipe.data.zero_unknown)
    optimizer = torch.optim.Adam(
        network.parameters(), lr=recipe.optimizer.lr, betas=recipe.optimizer.betas
    )
    model, optimizer = fabric.setup(network, optimizer)
    decay = recipe.optimizer.averaging
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay)) if decay else None
    kept: Network = network if average is None else average.module  # type: ignore[assignment]
    start, spent, sums = 0, 0.0, TermSums()
    if checkpoint is not None:
        checkpoint.restore(network, average, optimizer)
        start, spent, sums = checkpoint.step, checkpoint.seconds, TermSums(*checkpoint.sums)
    log = MetricsLog(folder, start) if fabric.is_global_zero else None

    # Each device has batches of its own.
    def make(step: int) -> TrainingBatch:
        size = settings.batch // fabric.world_size
        return data.training.batch(step * fabric.world_size + fabric.global_rank, size)

    frozen = round(recipe.decoder.frozen * recipe.steps) if recipe.decoder else 0
    began = written = time.monotonic()
    metrics: dict[str, float] = {}
    with (
        contextlib.closing(ahead(make, range(start, recipe.steps))) as batches,
        progress_bar(visible) as bar,
    ):
        task = bar.add_task(recipe.name, total=recipe.steps, completed=start, note="")
        for step, batch in enumerate(batches, start):
            model.train()
            if recipe.decoder is not None:
                network.decoder.requires_grad_(step >= frozen)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, recipe.steps, recipe.optimizer)
            draws = generator_of(recipe.seed, step, fabric.device, fabric.global_rank)
            output = model(objective.inputs(batch), draws)
            terms = objective.terms(output, batch, draws)
            _require_finite(terms.total, recipe, step, batch, data)
            fabric.backward(terms.total)
            norm = fabric.clip_gradients(
                model,
                optimizer,
                max_norm=recipe.optimizer.clip_gradient,
                error_if_nonfinite=False,
            )
            assert norm is not None
            _require_finite(norm, recipe, step, batch, data)
            optimizer.step()
            optimizer.zero_grad()
            if average is not None:
                average.update_parameters(network)
            sums.add(terms)

            done = step + 1
            seconds = spent + time.monotonic() - began
            epoch, rest = divmod(done, recipe.steps_per_epoch)
            if rest == 0:
                metrics = {"epoch": epoch, "step": done, **sums.means()}
                metrics |= validate(kept, objective, data)[0]
                metrics["seconds"] = round(seconds, 1)
                rate = (done - start) * settings.batch / (time.monotonic() - began)
                metrics["spectra_per_second"] = round(rate, 1)
                sums = TermSums()
                if log is not None:
                    log.add(metrics)
            if fabric.is_global_zero and (rest == 0 or time.monotonic() - written > KEEP_EVERY):
                state = Checkpoint.gather(
                    done, seconds, _values(recipe), sums, network, average, optimizer
                )
                state.write(folder / CHECKPOINT)
                written = time.monotonic()
            rate = (done - start) * settings.batch / (time.monotonic() - began)
            bar.update(task, advance=1, note=_note(sums.means() or metrics, rate))
            if watch is not None and rest == 0:
                watch(epoch, kept)
            if settings.early_stop is not None and rest == 0:
                waited = log.epochs_without_gain() if log is not None else 0
                if fabric.broadcast(waited) >= settings.early_stop.patience:
                    break
    seconds = spent + time.monotonic() - began
    if log is not None:
        log.close()
    result = finish(
        recipe,
        folder,
        kept,
        objective,
        data,
        metrics,
        seconds,
        write=fabric.is_global_zero,
    )
    fabric.barrier()
    return result


def _note(losses: Mapping[str, float], rate: float) -> str:
    terms = "  ".join(f"{name} {losses[name]:.4g}" for name in TERMS if name in losses)
    return f"{terms}  {rate:.1f} spectra/s"


def learning_rate(step: int, steps: int, settings: Optimizer) -> float:
    """Learning rate of a step, counted from zero, of so many.

    Examples
    --------
    >>> settings = Optimizer(warmup=0.2, lr=0.1, schedule="cosine")
    >>> [round(learning_rate(step, 10, settings), 4) for step in (0, 1, 2, 6, 9)]
    [0.05, 0.1, 0.1, 0.05, 0.0038]
    """
    warmup = round(settings.warmup * steps)
    if step < warmup:
        return settings.lr * (step + 1) / warmup
    if settings.schedule == "constant":
        return settings.lr
    progress = (step - warmup) / (steps - warmup)
    return settings.lr * 0.5 * (1 + math.cos(math.pi * progress))


def _values(recipe: Recipe) -> dict[str, Any]:
    values: dict[str, Any] = recipe.model_dump(mode="json")
    return values


def _open_run(recipe: Recipe, folder: Path, resume: bool) -> Checkpoint | None:
    """The state to go on from; the recipe as resolved is written where there is none."""
    path, values = folder / CHECKPOINT, _values(recipe)
    if path.exists():
        if not resume:
            raise RecipeError(
                f"Folder {folder} holds a run already; resume it or name another folder."
            )
        checkpoint = Checkpoint.read(path)
        for key, value in checkpoint.recipe.items():
            if values.get(key) != value:
                raise RecipeError(
                    f"The run in {folder} was made by another recipe: its {key} was {value!r}, "
                    f"not {values.get(key)!r}."
                )
        return checkpoint
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(values, sort_keys=False)
        (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"Folder {folder} cannot be made ({error.strerror}).") from None
    return None


def _network(
    recipe: Recipe, pretrained: Network | None, data: TrainingData, preprocessing: Preprocessing
) -> Network:
    """The untrained network, but for a decoder that has been trained before."""
    if pretrained is not None:
        normalizer = pretrained.normalizer
    else:
        normalizer = Normalizer.fit(data.sample_labels(), recipe.labels, recipe.normalization)
    changes = {} if recipe.model.nodes is None else {"nodes": recipe.model.nodes}
    network = build(
        recipe.model.name,
        grid=recipe.settings.grid,
        labels=recipe.label_set,
        normalizer=normalizer,
        preprocessing=preprocessing,
        decoder_settings=recipe.model.decoder,
        **changes,
    )
    if pretrained is not None:
        try:
            network.adopt_decoder(pretrained)
        except MauryError as error:
            assert recipe.decoder is not None
            raise RecipeError(
                f"Recipe {recipe.name} cannot start from the decoder of run "
                f"{recipe.decoder.run}: {error}"
            ) from None
    return network


def _pretrained(recipe: Recipe, runs: Path, preprocessing: Preprocessing) -> Network:
    assert recipe.decoder is not None
    run = recipe.decoder.run
    card = Path(run) if run.endswith(".json") else runs / run / f"{run}.json"
    if not card.is_file():
        raise RecipeError(
            f"Recipe {recipe.name} starts from the decoder of run {run}, but there is no {card}; "
            f"train it first (maury train {run} --scale {recipe.scale}), or name a card by "
            "--set decoder.run=CARD."
        )
    network, _ = load_network(card)
    if network.preprocessing.hyperparameters != preprocessing.hyperparameters:
        raise RecipeError(f"Recipe {recipe.name} prepares spectra in another way than {card}.")
    return network


def _require_finite(
    value: Tensor, recipe: Recipe, step: int, batch: TrainingBatch, data: TrainingData
) -> None:
    if torch.isfinite(value):
        return
    rows = zip(data.training.describe(step, len(batch.labels)), batch.labels.tolist(), strict=True)
    listed = "; ".join(
        f"{name} ({', '.join(f'{k} = {v:.4g}' for k, v in zip(recipe.labels, row, strict=True))})"
        for name, row in rows
    )
    raise TrainingError(
        f"The loss of run {recipe.name} or its gradient became {value.item()} in step {step + 1}; "
        "use a smaller optimizer.lr, or resume from the last state. "
        f"The step's exposures: {listed}."
    )
