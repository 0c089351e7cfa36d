"""What a spectrum is labelled with: names, units, ranges, and their normalisation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from maury.errors import MauryError

__all__ = ["HARPS_LABELS", "LABELS", "Label", "LabelSet", "Normalizer"]

Array = TypeVar("Array")


@dataclass(frozen=True)
class Label:
    """A quantity that describes a star or the circumstances of its observation.

    Parameters
    ----------
    name : str
        Short name used as key everywhere.
    unit : str
        "K", "dex", "km/s", "mm", or "" for a pure number.
    lower, upper : float
        Range in which spectra are simulated and catalogues are kept.
    symbol : str
        How a figure writes it, in matplotlib's LaTeX.
    group : {"intrinsic", "extrinsic"}
        Intrinsic labels belong to the star, extrinsic ones to the observation (Sect. 3.2 of
        Cvrcek et al. 2024).
    """

    name: str
    unit: str
    lower: float
    upper: float
    symbol: str
    group: Literal["intrinsic", "extrinsic"]


class LabelSet:
    """Labels in a fixed order, found by position or by name.

    Examples
    --------
    >>> labels = LabelSet([LABELS["teff"], LABELS["rv"]])
    >>> labels.names
    ('teff', 'rv')
    >>> labels["rv"].unit, labels[0].name, labels.index("rv"), "logg" in labels
    ('km/s', 'teff', 1, False)
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        self._labels = tuple(labels)
        self._positions = {label.name: i for i, label in enumerate(self._labels)}
        if len(self._positions) != len(self._labels):
            raise MauryError(f"A label is named twice among {[label.name for label in labels]}.")

    @classmethod
    def from_names(cls, names: Sequence[str]) -> LabelSet:
        """The known labels of these names, in this order."""
        return cls([_find(LABELS, name) for name in names])

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(self._positions)

    def index(self, name: str) -> int:
        """Position of the label of that name."""
        return _find(self._positions, name)

    def __getitem__(self, key: int | str) -> Label:
        return self._labels[self.index(key) if isinstance(key, str) else key]

    def __contains__(self, name: object) -> bool:
        return name in self._positions

    def __iter__(self) -> Iterator[Label]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LabelSet) and self._labels == other._labels

    def __hash__(self) -> int:
        return hash(self._labels)

    def __repr__(self) -> str:
        return f"LabelSet{self.names}"


Value = TypeVar("Value")


def _find(values: Mapping[str, Value], name: str) -> Value:
    if name not in values:
        raise MauryError(f"No label is called {name!r}; the labels are {', '.join(values)}.")
    return values[name]


LABELS: dict[str, Label] = {
    label.name: label
    for label in (
        Label("teff", "K", 3000.0, 11000.0, r"$T_\mathrm{eff}$", "intrinsic"),
        Label("mh", "dex", -1.2, 0.4, r"[M/H]", "intrinsic"),
        Label("logg", "dex", 3.5, 5.0, r"$\log\,g$", "intrinsic"),
        Label("rv", "km/s", -100.0, 100.0, r"$v_\mathrm{r}$", "extrinsic"),
        # Orbit and rotation of the Earth add up to 30.8 km/s at most.
        Label("berv", "km/s", -31.0, 31.0, r"BERV", "extrinsic"),
        Label("airmass", "", 1.0, 2.9, r"airmass", "extrinsic"),
        # La Silla: from a dry winter night to the wettest on which the dome stays open.
        Label("pwv", "mm", 0.5, 20.0, r"PWV", "extrinsic"),
    )
}
"""The labels by name, with the ranges of Cvrcek et al. (2024) where the paper gives them."""

HARPS_LABELS = LabelSet.from_names(("teff", "logg", "mh", "rv", "berv", "airmass"))
"""The six labels of a real HARPS spectrum (Table 1 of Cvrcek et al. 2024)."""


@dataclass(frozen=True)
class Normalizer:
    """Brings labels to zero centre and unit scale, and back (Eq. 1 of Cvrcek et al. 2024).

    Parameters
    ----------
    center, scale : tuple of float
        What is subtracted, and by what it is divided, in the units of each label.
    names : tuple of str
        The labels, in the order of the last axis of the values.

    Examples
    --------
    >>> normalizer = Normalizer.fit([[5000, 4.6], [6000, 4.4], [5500, np.nan]], ("teff", "logg"))
    >>> normalizer.center
    (5500.0, 4.5)
    >>> normalizer.denormalize(normalizer.normalize(np.array([5777.0, 4.44]))).tolist()
    [5777.0, 4.44]
    """

    center: tuple[float, ...]
    scale: tuple[float, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for key in ("center", "scale"):
            object.__setattr__(self, key, tuple(float(x) for x in getattr(self, key)))
        object.__setattr__(self, "names", tuple(self.names))
        if not len(self.center) == len(self.scale) == len(self.names):
            raise MauryError(
                f"A normalisation needs one centre and one scale for each of {self.names}, "
                f"not {len(self.center)} and {len(self.scale)}."
            )
        bad = [
            name
            for name, center, scale in zip(self.names, self.center, self.scale, strict=True)
            if not (np.isfinite(center) and np.isfinite(scale) and scale > 0)
        ]
        if bad:
            raise MauryError(f"The centre or scale of label {bad[0]!r} is not a usable number.")

    @classmethod
    def fit(
        cls,
        values: ArrayLike,
        names: Sequence[str],
        method: Literal["mean-std", "median-mad"] = "mean-std",
    ) -> Normalizer:
        """Measure centre and scale on training labels.

        Parameters
        ----------
        values : array_like, float[n, k]
            Labels of n spectra; NaN where a label is unknown.
        names : sequence of str
            The k labels.
        method : {"mean-std", "median-mad"}
            Mean and standard deviation, as in the paper, or median and median absolute deviation,
            as in the authors' code.

        Raises
        ------
        MauryError
            If a label has no known value, or nothing but one and the same value throughout.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != len(names):
            raise MauryError(f"Labels must have shape [n, {len(names)}], not {array.shape}.")
        center, scale = [], []
        for name, column in zip(names, array.T, strict=True):
            known = column[np.isfinite(column)]
            if known.size == 0:
                raise MauryError(f"Label {name!r} has no known value to be normalised by.")
            if method == "mean-std":
                middle, width = known.mean(), known.std()
            elif method == "median-mad":
                middle = np.median(known)
                width = np.median(np.abs(known - middle))
            else:
                raise MauryError(
                    f"Normalisation {method!r} is unknown; use 'mean-std' or 'median-mad'."
                )
            if not width > 0:
                raise MauryError(f"Label {name!r} does not vary, so it cannot be normalised.")
            center.append(float(middle))
            scale.append(float(width))
        return cls(tuple(center), tuple(scale), tuple(names))

    def normalize(self, values: Array) -> Array:
        """From physical units to normalised labels; NumPy array or torch tensor [..., k]."""
        center, scale = self._constants(values)
        return (values - center) / scale

    def denormalize(self, values: Array) -> Array:
        """From normalised labels to physical units; NumPy array or torch tensor [..., k]."""
        center, scale = self._constants(values)
        return values * scale + center

    def _constants(self, values: Any) -> tuple[Any, Any]:
        # A tensor makes its own constants, so that device and precision follow the labels.
        make = getattr(values, "new_tensor", np.asarray)
        return make(self.center), make(self.scale)

    def to_dict(self) -> dict[str, Any]:
        """The constants as plain values, for a JSON card."""
        return {
            "names": list(self.names),
            "center": list(self.center),
            "scale": list(self.scale),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Normalizer:
        """The normalisation that `to_dict` described."""
        try:
            return cls(tuple(values["center"]), tuple(values["scale"]), tuple(values["names"]))
        except (KeyError, TypeError, ValueError) as error:
            raise MauryError(
                f"The description of a normalisation is damaged ({error!r})."
            ) from error
