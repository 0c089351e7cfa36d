"""The state of a training run on disk: one safetensors file, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from maury.errors import RecipeError
from maury.training.metrics import TermSums

__all__ = ["CHECKPOINT", "Checkpoint"]

CHECKPOINT = "last.safetensors"
MAGIC = "maury-training"
FORMAT_VERSION = 2


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stands after a number of steps.

    Batches are made from their number alone, and the learning rate from the step, so that the
    weights, their average and the optimizer's moments are all that has to be kept.

    Parameters
    ----------
    step : int
        Number of steps done.
    seconds : float
        Time spent on them.
    recipe : dict
        The recipe as plain values; a run goes on only with the same one.
    sums : (dict, int)
        Sums of the terms of the loss since the epoch began, and their number.
    tensors : dict of Tensor
        Weights ("model."), average ("average."), if any, and moments ("optimizer.").
    """

    step: int
    seconds: float
    recipe: dict[str, Any]
    sums: tuple[dict[str, float], int]
    tensors: dict[str, Tensor]

    @classmethod
    def gather(
        cls,
        step: int,
        seconds: float,
        recipe: dict[str, Any],
        sums: TermSums,
        model: nn.Module,
        average: nn.Module | None,
        optimizer: torch.optim.Optimizer,
    ) -> Checkpoint:
        """The present state of a run."""
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        if average is not None:
            tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
        for index, moments in optimizer.state_dict()["state"].items():
            for name, value in moments.items():
                tensors[f"optimizer.{index}.{name}"] = value
        # Layout in memory is the model's affair; the file wants plain order and its own copies.
        tensors = {name: value.detach().contiguous().clone() for name, value in tensors.items()}
        return cls(step, seconds, recipe, (sums.sums, sums.count), tensors)

    def restore(
        self, model: nn.Module, average: nn.Module | None, optimizer: torch.optim.Optimizer
    ) -> None:
        """Put the state back into objects of the same shapes."""
        model.load_state_dict(self._part("model."))
        if average is not None:
            average.load_state_dict(self._part("average."))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in self._part("optimizer.").items():
            index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def _part(self, prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): value
            for name, value in self.tensors.items()
            if name.startswith(prefix)
        }

    def write(self, path: Path) -> None:
        """Write the file in one move, so that a kill leaves either the old or the new one."""
        metadata = {
            "magic": MAGIC,
            "format_version": str(FORMAT_VERSION),
            "step": str(self.step),
            "seconds": str(self.seconds),
            "recipe": json.dumps(self.recipe),
            "sums": json.dumps(self.sums),
        }
        temporary = path.with_suffix(".tmp")
        save_file(self.tensors, temporary, metadata)
        temporary.replace(path)

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read what `write` wrote.

        Raises
        ------
        RecipeError
            If the file is damaged or not the state of a training run.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata: Mapping[str, str] = file.metadata() or {}
                if metadata.get("magic") != MAGIC:
                    raise RecipeError(f"{path} is not the state of a training run.")
                if metadata.get("format_version") != str(FORMAT_VERSION):
                    raise RecipeError(
                        f"{path} has format version {metadata.get('format_version')}, "
                        f"but only {FORMAT_VERSION} is known."
                    )
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return cls(
                int(metadata["step"]),
                float(metadata["seconds"]),
                json.loads(metadata["recipe"]),
                json.loads(metadata["sums"]),
                tensors,
            )
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise RecipeError(f"The training state {path} is damaged ({error}).") from None
