"""The catalogue: the star of each spectrum, its labels, and where each of them is from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from maury.errors import MauryError, TargetError
from maury.labels import HARPS_LABELS

__all__ = ["CATALOGUE", "FORMAT_VERSION", "STAR_LABELS", "Catalogue"]

FORMAT_VERSION = 1

STAR_LABELS = ("teff", "logg", "mh", "rv")
"""What is looked up of a star; berv and airmass follow from time, place and target."""

DESCRIPTIONS: Mapping[str, str] = {
    "teff": "effective temperature",
    "logg": "logarithm of the surface gravity in cm/s2",
    "mh": "metallicity",
    "rv": "radial velocity of the star, barycentric, from the literature",
    "berv": "velocity of the observer towards the target, seen from the barycentre, mid-exposure",
    "airmass": "path through the air in units of the vertical one, mid-exposure",
}


def _field(name: str, kind: pa.DataType, unit: str, description: str, source: str) -> pa.Field:
    facts = {"unit": unit, "description": description, "source": source}
    return pa.field(name, kind, metadata=facts)


def _label_fields() -> list[pa.Field]:
    fields = []
    for label in HARPS_LABELS:
        what, source = DESCRIPTIONS[label.name], f"as {label.name}_source tells of each row"
        fields += [
            _field(label.name, pa.float64(), label.unit, what, source),
            _field(f"{label.name}_error", pa.float64(), label.unit, f"its error: {what}", source),
            _field(f"{label.name}_source", pa.string(), "", "which row of which table", _HERE),
        ]
    return fields


_TEXT, _NUMBER, _COUNT = pa.string(), pa.float64(), pa.int64()
_HERE, _MANIFEST = "maury catalog", "the manifest"

CATALOGUE = pa.schema(
    [
        _field("dp_id", _TEXT, "", "identifier of the product", _MANIFEST),
        _field("file", _TEXT, "", "name of the file, if it is here", _MANIFEST),
        _field("star", _TEXT, "", "one name for one star, whatever its spectra call it", _HERE),
        _field("object", _TEXT, "", "target as the observer called it", _MANIFEST),
        _field("tic", _COUNT, "", "number in the TESS Input Catalog", "TIC or SIMBAD"),
        _field("ra", _NUMBER, "deg", "right ascension, ICRS, at the time of exposure", _HERE),
        _field("dec", _NUMBER, "deg", "declination, ICRS, at the time of exposure", _HERE),
        _field("mjd", _NUMBER, "d", "middle of the exposure, MJD UTC", _MANIFEST),
        *_label_fields(),
        _field("match", _TEXT, "", "by name, position or name+position", _HERE),
        _field("separation", _NUMBER, "arcsec", "from where the telescope pointed", _HERE),
        _field("flags", pa.list_(_TEXT), "", "what is doubtful", _HERE),
    ],
    metadata={"maury": json.dumps({"kind": "catalogue", "version": FORMAT_VERSION})},
)
"""Columns of a catalogue; a row is one spectrum. Missing numbers are NaN, missing texts null.

``ra`` and ``dec`` are those of the star where a table has them, else where the telescope pointed.
"""


@dataclass(frozen=True)
class Catalogue:
    """Stars and labels of spectra, and what could not be settled.

    Parameters
    ----------
    table : pyarrow.Table
        Of the schema `CATALOGUE`, one row a spectrum that is kept.
    facts : dict
        What it was made from and how: ``sources``, ``filters`` and others, as plain values.
    """

    table: pa.Table
    facts: dict[str, Any]

    def write(self, path: str | Path) -> None:
        """Write it as one Parquet file, in one step.

        Raises
        ------
        TargetError
            If it cannot be written; nothing is left behind then.
        """
        file = Path(path)
        facts = {"kind": "catalogue", "version": FORMAT_VERSION, **self.facts}
        table = self.table.replace_schema_metadata({"maury": json.dumps(facts)})
        part = file.with_name(f".{file.name}.{os.getpid()}.part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                with part.open("wb") as stream:
                    pq.write_table(table, stream, compression="zstd")
                    stream.flush()
                    os.fsync(stream.fileno())
                part.replace(file)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise TargetError(f"{file} cannot be written ({error.strerror or error}).") from None

    @classmethod
    def read(cls, path: str | Path) -> Catalogue:
        """From a file that `write` wrote.

        Raises
        ------
        MauryError
            If it is not there, damaged, or something else.
        """
        file = Path(path)
        try:
            table = pq.read_table(file, partitioning=None)
            facts = json.loads((table.schema.metadata or {}).get(b"maury", b"{}"))
        except (OSError, pa.ArrowException, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error).split("\n")[0].rstrip(".")
            raise MauryError(f"{file} cannot be read as a catalogue ({why}).") from None
        if not isinstance(facts, dict) or facts.get("kind") != "catalogue":
            raise MauryError(f"{file} is not a catalogue of maury catalog build.")
        if facts.get("version") != FORMAT_VERSION:
            raise MauryError(
                f"{file} is a catalogue of version {facts.get('version')}; this version of maury "
                f"reads {FORMAT_VERSION}."
            )
        if missing := [name for name in CATALOGUE.names if name not in table.column_names]:
            raise MauryError(f"{file} is not a catalogue: it has no column {missing[0]}.")
        return cls(table, {k: v for k, v in facts.items() if k not in ("kind", "version")})
