"""What a run says of itself: its CSV file, its events for TensorBoard, its progress bar."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.loggers.tensorboard import TensorBoardLogger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from maury.models.losses import Terms

__all__ = ["MetricsLog", "TermSums", "progress_bar", "residual_statistics"]


class TermSums:
    """Means of a loss and its terms over steps.

    Parameters
    ----------
    sums, count
        Where to go on.

    Examples
    --------
    >>> sums = TermSums()
    >>> sums.add(Terms(torch.tensor(2.0), label=torch.tensor(1.0)))
    >>> sums.add(Terms(torch.tensor(4.0), label=torch.tensor(2.0)))
    >>> sums.means()
    {'loss': 3.0, 'label': 1.5}
    """

    def __init__(self, sums: Mapping[str, float] | None = None, count: int = 0) -> None:
        self.sums, self.count = dict(sums or {}), count

    def add(self, terms: Terms) -> None:
        """The terms of one more step."""
        for name, value in terms._asdict().items():
            if value is not None:
                name = "loss" if name == "total" else name
                self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())
        self.count += 1

    def means(self, prefix: str = "") -> dict[str, float]:
        """By name."""
        return {prefix + name: value / self.count for name, value in self.sums.items()}


class MetricsLog:
    """One row an epoch, in ``metrics.csv`` and for TensorBoard.

    Parameters
    ----------
    folder : Path
        Of the run.
    step : int
        From which it goes on; later rows are dropped.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        self.path = folder / "metrics.csv"
        self.rows: list[dict[str, Any]] = []
        if step > 0 and self.path.exists():
            with self.path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        self.events = TensorBoardLogger(folder, name="tensorboard", version="", purge_step=step)

    def add(self, row: Mapping[str, float]) -> None:
        """Write one more row; the file is there whole at any time."""
        self.rows.append(dict(row))
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=names)
            writer.writeheader()
            writer.writerows(self.rows)
        temporary.replace(self.path)
        scalars = {name: value for name, value in row.items() if name not in ("epoch", "step")}
        self.events.log_metrics(scalars, step=int(row["step"]))
        self.events.save()

    def epochs_without_gain(self) -> int:
        """How many of the last epochs have not brought the validation loss to a new low."""
        losses = [float(row["val_loss"]) for row in self.rows]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    def close(self) -> None:
        """Finish the events' file."""
        self.events.finalize("success")


def residual_statistics(
    predicted: Tensor, true: Tensor, names: Iterable[str]
) -> dict[str, dict[str, float]]:
    """How far predictions lie from the truth, for each label that is known, in its unit.

    Parameters
    ----------
    predicted, true : Tensor
        float[spectrum, label]; a true value is NaN where unknown.
    names
        Of the labels.

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
    for name, column in zip(names, (predicted - true).double().T, strict=True):
        residual = column[torch.isfinite(column)]
        if not residual.numel():
            continue
        bias = residual.median()
        statistics[name] = {
            "mae": round(residual.abs().mean().item(), 6),
            "bias": round(bias.item(), 6),
            "sigma": round(1.4826 * (residual - bias).abs().median().item(), 6),
        }
    return statistics


def progress_bar(visible: bool) -> Progress:
    """A bar on standard error."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(file=sys.stderr),
        disable=not visible,
    )
