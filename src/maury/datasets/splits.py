"""Training, validation and test parts of an archive, which share no star."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from maury.datasets.exposures import Split
from maury.datasets.store import SpectrumStore

__all__ = ["split_by_star", "split_of"]

TRAIN, VALIDATION = 0.90, 0.05  # Sect. 3.1 of Cvrcek et al. 2024; the rest is the test part


def split_of(star: str, seed: int = 0) -> Split:
    """The part that a star belongs to: 90% of all stars train, 5% validate, 5% test.

    It depends on the star's name and the seed alone, so that no star changes sides when an archive
    grows.

    Examples
    --------
    >>> [split_of(star) for star in ("HD 10700", "HD 20794", "HD 10700")]
    ['train', 'train', 'train']
    """
    digest = hashlib.sha256(f"{seed} {star}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < TRAIN:
        return "train"
    return "val" if place < TRAIN + VALIDATION else "test"


def split_by_star(store: SpectrumStore, seed: int = 0) -> dict[Split, NDArray[np.int64]]:
    """Indices of the spectra of each part of a store, in order.

    Parameters
    ----------
    store
        Exposures with a column ``star``.
    seed
        Another seed, another split.

    Raises
    ------
    MauryError
        If the store has no stars.
    """
    parts: dict[Split, list[NDArray[np.int64]]] = {"train": [], "val": [], "test": []}
    for star, indices in store.stars().items():
        parts[split_of(star, seed)].append(indices)
    none = np.empty(0, dtype=np.int64)
    return {split: np.sort(np.concatenate([none, *rows])) for split, rows in parts.items()}
