"""What must not be written into: other files, other settings, other spectra."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from maury.datasets.shards import PARTIAL
from maury.datasets.store import CATALOGUE, SETTINGS, SPECTRA
from maury.errors import TargetError

__all__ = ["LOCK", "refuse_other_contents", "refuse_other_rows", "refuse_other_settings"]

LOCK = ".lock"


def refuse_other_contents(path: Path) -> None:
    """Leave a folder alone that holds anything else."""
    if path.exists() and not path.is_dir():
        raise TargetError(f"{path} is a file; name a new folder.")
    if not path.exists() or (path / SETTINGS).exists():
        return
    # A kill before the settings were there leaves an array without any row.
    names = {entry.name for entry in path.iterdir() if entry.suffix != PARTIAL}
    if others := sorted(names - {LOCK, SPECTRA, CATALOGUE}):
        raise TargetError(f"{path} holds other files ({others[0]}); name a new folder.")


def refuse_other_settings(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """A store holds spectra of one kind of making."""
    # As JSON has them: a tuple comes back as a list.
    for name, value in json.loads(json.dumps(ours)).items():
        if theirs.get(name) != value:
            raise TargetError(
                f"{path} was begun with {name} = {_brief(theirs.get(name))}, not {_brief(value)}: "
                "give the same, or another folder."
            )


def _brief(value: Any) -> str:
    if isinstance(value, dict) and "step" in value:
        stop = value["start"] + value["step"] * (value["size"] - 1)
        return f"{value['start']:g}-{stop:g} A in steps of {value['step']:g} A ({value['medium']})"
    return str(value)


def refuse_other_rows(
    path: Path, catalogue: pa.Table, done: set[int], rows: Sequence[Mapping[str, Any] | None]
) -> None:
    """What is there must be what is planned, where the plan says anything of it."""
    planned = {i: row for i in sorted(done) if (row := rows[i]) is not None}
    if not planned:
        return
    there = catalogue.filter(pa.array([i in planned for i in catalogue["index"].to_pylist()]))
    for name in set().union(*planned.values()) & set(catalogue.column_names):
        ours = pa.array((row.get(name) for row in planned.values()), there[name].type)
        pairs = zip(planned, ours.to_pylist(), there[name].to_pylist(), strict=True)
        for index, our, their in pairs:
            # NaN is not equal to itself.
            if our != their and not (our != our and their != their):
                raise TargetError(
                    f"Spectrum {index} of {path} was made with {name} = {their}, not {our}: give "
                    "the same, or another folder."
                )
