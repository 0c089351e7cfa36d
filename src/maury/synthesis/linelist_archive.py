"""Line lists kept whole: every column, and what is known of where they come from."""

from __future__ import annotations

import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np

from maury.data import load_table
from maury.errors import SynthesisError
from maury.synthesis.linelist import LineList

__all__ = ["load_lines", "save_lines"]

FORMAT = "maury line list 1"


def save_lines(path: Path, lines: LineList, **more: np.ndarray) -> None:
    """Write a line list as a compressed NumPy archive without Python objects.

    Parameters
    ----------
    path
        File to write, ending in ``.npz``.
    lines
        The lines.
    **more
        Further columns, one value a line, which `load_lines` passes over.
    """
    columns = {f.name: getattr(lines, f.name) for f in fields(LineList)[1:]}
    part = path.with_suffix(".part.npz")
    np.savez_compressed(
        part,
        allow_pickle=False,
        format=np.array(FORMAT),
        species=np.array(lines.species),
        **columns,
        **more,
    )
    part.replace(path)


def load_lines(path: str | Path) -> LineList:
    """Read what `save_lines` wrote.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    SynthesisError
        If the file is not such an archive, is damaged, or names a species that is not known.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except OSError as error:
        reason = error.strerror or "it is not a NumPy archive"
        raise SynthesisError(f"{path} cannot be read ({reason}).") from None
    except (ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise SynthesisError(f"{path} is damaged or no line list ({error}).") from None
    names = [f.name for f in fields(LineList)[1:]]
    missing = [name for name in ("format", "species", *names) if name not in found]
    if missing or str(found["format"]) != FORMAT:
        raise SynthesisError(
            f"{path} is not a line list of the kind that 'maury calibrate' writes."
        )
    species = tuple(str(name) for name in found["species"])
    known = load_table("equation_of_state")
    elements, molecules = set(known["elements"].tolist()), set(known["molecules"].tolist())
    for name in species:
        if name not in molecules and name.split(" ")[0] not in elements:
            raise SynthesisError(f"{path} has lines of the species {name!r}, which is not known.")
    size = found["wavelength"].size
    columns = {name: found[name] for name in names}
    index = columns["species_index"]
    whole = all(
        column.shape == (size,) and np.all(np.isfinite(column)) for column in columns.values()
    )
    if not (whole and size and index.min() >= 0 and index.max() < len(species)):
        raise SynthesisError(f"{path} is damaged: its columns do not belong together.")
    order = np.argsort(columns["wavelength"], kind="stable")
    return LineList(species, **{name: column[order] for name, column in columns.items()})
