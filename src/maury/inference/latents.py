"""Spectra compressed to the bottleneck of a network, and turned back."""

from __future__ import annotations

import json
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from maury.errors import MauryError, ReadError, SpectrumError, TargetError, WeightsError
from maury.grid import Medium
from maury.inference.network import NetworkEstimator
from maury.inference.novelty import MEASURES, REFUSED, Novelty, judge, measures
from maury.inference.predictor import sentence
from maury.models.network import Network
from maury.models.reconstruction import Measurement
from maury.readers import read
from maury.spectrum import Frame, Observation, Spectrum

__all__ = [
    "Encoded",
    "decode",
    "encode",
    "encode_files",
    "latent_names",
    "read_latents",
    "write_latents",
]

FORMAT, FORMAT_VERSION = "maury latents", 1
KEY = b"maury"  # of the metadata of a Parquet file


@dataclass(frozen=True)
class Encoded:
    """A spectrum as the nodes of a bottleneck.

    Parameters
    ----------
    file : str
        Where it comes from.
    latents : dict of float
        By `latent_names`; empty if it could not be encoded.
    novelty : Novelty, optional
        How unlike the training spectra it is.
    object, frame : str, optional
        By the file.
    coverage : float, optional
        Part of the network's grid where it has a signal.
    error : str, optional
        Why it could not be encoded, in one sentence.
    refused : bool
        Whether that was for what the file holds: damage, or no light.
    """

    file: str
    latents: dict[str, float]
    novelty: Novelty | None = None
    object: str | None = None
    frame: Frame | None = None
    coverage: float | None = None
    error: str | None = None
    refused: bool = False

    @property
    def anomaly(self) -> float | None:
        """Its anomaly; infinite if it was refused for what it holds, None if nothing is known."""
        if self.refused:
            return REFUSED
        return None if self.novelty is None else self.novelty.anomaly

    def to_row(self, names: Sequence[str]) -> dict[str, Any]:
        """One flat row: the file, its latents by name, each measure and its share, and the rest."""
        row: dict[str, Any] = {
            "file": self.file,
            "object": self.object,
            "frame": self.frame,
            "coverage": _short(self.coverage),
        }
        row |= {name: self.latents.get(name) for name in names}
        novelty = self.novelty or Novelty({})
        for name in MEASURES:
            row[name] = _short(novelty.values.get(name))
            row[f"{name}_share"] = _short(novelty.shares.get(name))
        row |= {"anomaly": novelty.anomaly, "because": novelty.because}
        return row | {"refused": self.refused, "error": self.error}


def latent_names(network: Network) -> tuple[str, ...]:
    """What the nodes are called: labels by their names, in physical units, then ``u_1``, ``u_2``...

    Examples
    --------
    >>> from maury.inference.network import NetworkEstimator
    >>> latent_names(NetworkEstimator.find("harps-small").network)
    ('teff', 'logg', 'mh', 'rv', 'berv', 'airmass')
    """
    labels = network.labels.names if network.supervised else ()
    return (*labels, *(f"u_{number + 1}" for number in range(network.unknown)))


def encode(spectrum: Spectrum, estimator: NetworkEstimator) -> Encoded:
    """Compress a spectrum, and tell how unlike the training spectra it is.

    Parameters
    ----------
    spectrum : Spectrum
        In any medium and on any wavelengths that cover at least half of the network's grid.
    estimator : NetworkEstimator
        A network with an encoder; without a decoder nothing is reconstructed.

    Raises
    ------
    WeightsError
        If the network has no encoder.
    GridError
        If the spectrum covers less than half of the grid.
    SpectrumError
        If it has no light.
    """
    network = estimator.network
    estimator.require("encoder", "compress a spectrum")
    flux, mask = estimator.prepare(spectrum)
    valid = torch.from_numpy(mask)[None] & network.preprocessing.trusted
    with torch.inference_mode():
        prepared = network.preprocessing(torch.from_numpy(flux)[None], valid)
    measured = Measurement.of(network, prepared, valid)
    nodes = measured.nodes.double().numpy()
    statistics = estimator.card.latents
    values = measures(measured, statistics)
    meta = spectrum.meta
    return Encoded(
        meta.path or "",
        dict(zip(latent_names(network), _to_physical(network, nodes)[0].tolist(), strict=True)),
        judge(values, statistics),
        object=meta.object,
        frame=spectrum.frame,
        coverage=estimator.coverage(mask),
    )


def encode_files(
    paths: Sequence[str],
    estimator: NetworkEstimator,
    *,
    medium: Medium | None = None,
    frame: Frame | None = None,
    debug: bool = False,
) -> Iterator[Encoded]:
    """Compress files in their order; one that cannot be used has an error and the rest goes on.

    Parameters
    ----------
    paths : sequence of str
        The files.
    estimator : NetworkEstimator
        A network with an encoder.
    medium, frame : str, optional
        Of the wavelengths, where known better than by the files.
    debug : bool
        Print the traceback of what is no user's mistake.

    Raises
    ------
    WeightsError
        If the network has no encoder.
    """
    estimator.require("encoder", "compress a spectrum")
    for path in paths:
        failed = Encoded(path, {})
        try:
            yield replace(encode(read(path, medium=medium, frame=frame), estimator), file=path)
        except MauryError as error:
            # A file that is missing is no strange spectrum, nor is one of other wavelengths.
            refused = isinstance(error, ReadError | SpectrumError) and Path(path).is_file()
            yield replace(failed, error=sentence(path, error), refused=refused)
        except Exception as error:
            if debug:
                traceback.print_exc(file=sys.stderr)
            reason = str(error).split("\n")[0] or "no message"
            told = f"{path}: an internal error of maury ({type(error).__name__}: {reason}); "
            yield replace(failed, error=told + "run with --debug to see where.")


def write_latents(path: Path, rows: Sequence[dict[str, Any]], estimator: NetworkEstimator) -> None:
    """Write rows of `Encoded.to_row` as Parquet, with the SHA-256 of the weights they belong to.

    Raises
    ------
    TargetError
        If the file cannot be written.
    """
    names = latent_names(estimator.network)
    numbers = [*names, "coverage", *MEASURES, *(f"{name}_share" for name in MEASURES), "anomaly"]
    types = {name: pa.float64() for name in numbers} | {"rank": pa.int64(), "refused": pa.bool_()}
    keys = list(rows[0]) if rows else [*names]
    facts = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": estimator.name,
        "weights": estimator.card.weights.sha256,
        "code_version": version("maury"),
    }
    schema = pa.schema(
        [(key, types.get(key, pa.string())) for key in keys], {KEY: json.dumps(facts).encode()}
    )
    temporary = path.with_name(f".{path.name}.part")
    try:
        try:
            pq.write_table(pa.Table.from_pylist(list(rows), schema), temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise TargetError(f"{path} cannot be written ({error.strerror or error}).") from None


def read_latents(path: str | Path, estimator: NetworkEstimator) -> list[dict[str, Any]]:
    """Read what `write_latents` wrote by the same network.

    Raises
    ------
    ReadError
        If the file is missing, damaged, or holds no latents.
    WeightsError
        If they are latents of another network.
    """
    try:
        table = pq.read_table(path)
        facts = json.loads((table.schema.metadata or {}).get(KEY, b"{}"))
    except OSError as error:
        # Arrow's own errors are of this kind, too, and have several lines.
        reason = error.strerror or str(error).splitlines()[0].rstrip(".")
        raise ReadError(f"{path} cannot be read as Parquet ({reason}).") from None
    except (pa.ArrowException, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ReadError(f"{path} cannot be read as Parquet ({reason}).") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ReadError(f"{path} holds no latents that `maury encode` wrote.")
    if facts.get("format_version") != FORMAT_VERSION:
        raise ReadError(
            f"{path} has format version {facts.get('format_version')!r}, "
            f"but this maury knows {FORMAT_VERSION}."
        )
    if facts.get("weights") != estimator.card.weights.sha256:
        raise WeightsError(
            f"{path} holds latents of the network {facts.get('model')!r} with other weights than "
            f"those of {estimator.name}, to which they mean nothing."
        )
    missing = [name for name in ("file", *latent_names(estimator.network))
               if name not in table.column_names]  # fmt: skip
    if missing:
        raise ReadError(f"{path} is damaged: it has no column {missing[0]!r}.")
    return table.to_pylist()


def decode(row: dict[str, Any], estimator: NetworkEstimator) -> Spectrum:
    """The spectrum of a row of latents, on the network's grid, as the decoder makes it.

    Parameters
    ----------
    row : dict
        As of `read_latents`.
    estimator : NetworkEstimator
        The network that the latents are of.

    Returns
    -------
    Spectrum
        Without noise, in the frame of the one that was encoded; relative to the continuum or to
        its median, as the network was trained; masked where it was not trained.

    Raises
    ------
    ReadError
        If a latent is missing or not a finite number.
    WeightsError
        If the network has no decoder.
    """
    network, grid = estimator.network, estimator.network.grid
    estimator.require("decoder", "turn latents into spectra")
    for name in latent_names(network):
        value = row.get(name)
        if not isinstance(value, int | float) or not np.isfinite(value):
            raise ReadError(f"{row.get('file')}: its latent {name} is {value}, not a number.")
    physical = np.array([[row[name] for name in latent_names(network)]], dtype=np.float64)
    nodes = torch.from_numpy(_to_nodes(network, physical)).float()
    with torch.inference_mode():
        flux = network.decode(nodes)[0].double().numpy()
    return Spectrum(
        wavelength=grid.wavelength,
        flux=flux,
        mask=~network.preprocessing.trusted.numpy(),
        medium=grid.medium,
        frame=row.get("frame") or "barycentric",
        meta=Observation(
            object=row.get("object"),
            instrument=f"decoded by {estimator.name}",
            drs_version=f"maury {version('maury')}",
        ),
    )


def decoded_names(files: Sequence[str]) -> list[str]:
    """One name a file for what is decoded; those of the same name get a number.

    Examples
    --------
    >>> decoded_names(["a/sun.fits", "b/sun.fits", "star.txt"])
    ['sun.decoded.fits', 'sun.decoded-2.fits', 'star.decoded.fits']
    """
    seen: Counter[str] = Counter()
    names = []
    for file in files:
        stem = Path(file).stem
        seen[stem] += 1
        number = f"-{seen[stem]}" if seen[stem] > 1 else ""
        names.append(f"{stem}.decoded{number}.fits")
    return names


def _to_physical(network: Network, nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nodes with their labels in physical units."""
    known = network.nodes - network.unknown
    labels = network.normalizer.denormalize(nodes[:, :known]) if known else nodes[:, :0]
    return np.concatenate([labels, nodes[:, known:]], axis=1)


def _to_nodes(network: Network, physical: NDArray[np.float64]) -> NDArray[np.float64]:
    known = network.nodes - network.unknown
    labels = network.normalizer.normalize(physical[:, :known]) if known else physical[:, :0]
    return np.concatenate([labels, physical[:, known:]], axis=1)


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
