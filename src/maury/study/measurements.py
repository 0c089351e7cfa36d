"""Measurements on disk: made once for a network and its test exposures."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maury.evaluation.interventions import GeneralScores
from maury.evaluation.latents import LatentSummary
from maury.files import write_whole
from maury.study.exposures import TestExposures
from maury.study.measure import Measurements, measure
from maury.study.networks import StudiedNetwork

__all__ = ["measured"]

FORMAT = 1
SINGLE = (
    "true", "predicted", "simulated_true", "simulated_predicted", "rvis", "shifted_input",
    "true_rvis",
)  # fmt: skip
# What NumPy and zipfile raise of a file that was cut short or is another's.
DAMAGED = (
    OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


def measured(
    network: StudiedNetwork,
    exposures: TestExposures,
    path: Path,
    shifted: int,
    *,
    interventions: bool = True,
) -> Measurements:
    """The measurements of a network, from a file if they were made before.

    Parameters
    ----------
    network, exposures, shifted, interventions
        As of `measure`.
    path
        Of the file, ``.npz``; written whole, and anew if it is of other weights or exposures.
    """
    facts = {
        "format": FORMAT,
        "weights": network.sha256,
        "exposures": exposures.hash,
        "shifted": shifted,
        "interventions": interventions,
    }
    found = _read(path, facts)
    if found is None:
        found = measure(network, exposures, shifted, interventions=interventions)
        _write(path, facts, found)
    return found


def _write(path: Path, facts: Mapping[str, Any], found: Measurements) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "facts": np.array(json.dumps(facts, sort_keys=True)),
        "names": np.array(found.names),
    }
    for name in SINGLE:
        values = getattr(found, name)
        if values is not None:
            arrays[name] = values
    arrays |= {f"reconstruction/{kind}": values for kind, values in found.reconstruction.items()}
    for label, scores in found.gis.items():
        parts = scores._asdict().items()
        arrays |= {f"gis/{label}/{part}": values for part, values in parts if values is not None}
    if found.latents is not None:
        parts = vars(found.latents).items()
        arrays |= {f"latents/{part}": values for part, values in parts if values is not None}
    memory = io.BytesIO()
    np.savez_compressed(memory, allow_pickle=False, **arrays)
    write_whole(path, memory.getvalue())


def _read(path: Path, facts: Mapping[str, Any]) -> Measurements | None:
    """What was kept, if it is of these facts and not damaged."""
    if not path.is_file():
        return None
    try:
        # NumPy would leave a damaged file open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            if json.loads(str(file["facts"])) != dict(facts):
                return None
            return _gathered({name: file[name] for name in file.files})
    except DAMAGED:
        return None


def _gathered(arrays: Mapping[str, NDArray[Any]]) -> Measurements:
    gis: dict[str, dict[str, Any]] = {}
    reconstruction: dict[str, NDArray[np.float64]] = {}
    latents: dict[str, Any] = {}
    for name, values in arrays.items():
        kind, _, rest = name.partition("/")
        if kind == "gis":
            label, _, part = rest.partition("/")
            gis.setdefault(label, {})[part] = values
        elif kind == "reconstruction":
            reconstruction[rest] = values
        elif kind == "latents":
            latents[rest] = values
    return Measurements(
        tuple(str(name) for name in arrays["names"]),
        **{name: arrays.get(name) for name in SINGLE},
        reconstruction=reconstruction,
        gis={label: GeneralScores(**{"true": None, **parts}) for label, parts in gis.items()},
        latents=LatentSummary(**latents) if latents else None,
    )
