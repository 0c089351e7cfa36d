"""What is said of a spectrum: labels with their ranges, flags, and what else a fit tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.table import MaskedColumn, Table

from maury.inference.fit import Fit
from maury.labels import HARPS_LABELS, LABELS

__all__ = ["FACTS", "FLAGS", "Estimate", "Prediction", "to_table"]

FLAGS: dict[str, str] = {
    "outside-grid": "a parameter lies at the edge of what the models cover: the star is outside",
    "not-refined": "the fit could not be made; the values are the network's alone",
    "no-lines": "the lines of the computed spectrum are not there: noise, or no star of this kind",
    "poor-fit": "the computed spectrum does not look like the observed one",
    "not-converged": "the fit had not settled when it was stopped",
    "low-snr": "signal-to-noise ratio below 20 per pixel of 1 km/s",
    "partial-coverage": "the spectrum has less than 80% of the pixels that are used",
    "vmic-at-edge": "microturbulence ended at the edge of its range; the others suffer a little",
    "airmass-at-edge": "oxygen lines as deep as at the largest airmass that was tried, or deeper",
    "network-disagrees": "the network and the fit differ by more than five standard deviations",
    "no-network": "the spectrum lacks too much of the network's range; the values are the fit's",
    "no-tellurics": "no telluric lines stand out; BERV and airmass are the network's",
    "rest-frame": "wavelengths in the star's rest frame; rv is relative to it and BERV unknown",
    "observatory-frame": "wavelengths in the observatory's frame; rv was corrected by the header's "
    "BERV, or, where the header has none, is not barycentric",
    "resolution-assumed": "the resolving power of this instrument is unknown; HARPS's was taken "
    "(where it is lower, airmass comes out too large)",
}
"""The flags and what they mean, most serious first."""

FACTS: dict[str, str] = {
    "vmic": "km/s",
    "vsini": "km/s",
    "pwv": "mm",
    "residual": "",
    "snr": "",
    "coverage": "",
}
"""What a refined prediction tells beside the labels, and its unit."""


DIGITS = {"teff": 0, "logg": 2, "mh": 2, "rv": 2, "berv": 2, "airmass": 2}
SIGNED = ("mh", "rv", "berv")


@dataclass(frozen=True)
class Estimate:
    """A value and the range of one standard deviation about it.

    Parameters
    ----------
    value, lower, upper : float
        In `unit`.
    unit : str
        "K", "dex", "km/s" or "" for a pure number.

    Examples
    --------
    >>> Estimate.of("teff", 5777.0, 40.0)
    Estimate(value=5777.0, lower=5737.0, upper=5817.0, unit='K')
    """

    value: float
    lower: float
    upper: float
    unit: str

    @classmethod
    def of(cls, name: str, value: float, sigma: float) -> Estimate:
        """Value and standard deviation of the label of that name."""
        return cls(value, value - sigma, value + sigma, LABELS[name].unit)

    @property
    def sigma(self) -> float:
        """Half the width of the range."""
        return (self.upper - self.lower) / 2

    def to_dict(self) -> dict[str, Any]:
        """The four entries, rounded to what has a meaning, for JSON."""
        numbers = (self.value, self.lower, self.upper)
        value, lower, upper = (float(f"{number:.7g}") for number in numbers)
        return {"value": value, "lower": lower, "upper": upper, "unit": self.unit}


@dataclass(frozen=True)
class Prediction:
    """What is said of one spectrum.

    Parameters
    ----------
    file : str
        Where the spectrum comes from, as the user named it.
    labels : dict of Estimate
        teff (K), logg and mh (dex), rv and berv (km/s), airmass, as far as they are known; velocity
        in the barycentric frame unless a flag says otherwise.
    network : dict of Estimate
        The same by the network alone.
    flags : tuple of str
        From `FLAGS`, most serious first.
    error : str, optional
        Why there are no labels, in one sentence.
    refined : bool
        Whether the labels are those of the fit.
    at_edge : tuple of str
        Labels that ended at the edge of what the models cover.
    facts : dict of float
        See `FACTS`; empty without a fit.
    object : str, optional
        Name of the target in the header.
    fit : Fit, optional
        The fit itself, for figures.
    seconds : dict of float
        Time that each step took.
    """

    file: str
    labels: Mapping[str, Estimate] = field(default_factory=dict)
    network: Mapping[str, Estimate] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    error: str | None = None
    refined: bool = False
    at_edge: tuple[str, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)
    object: str | None = None
    fit: Fit | None = field(default=None, repr=False, compare=False)
    seconds: Mapping[str, float] = field(default_factory=dict, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The entries that `maury predict --format json` prints; no NaN, no infinity.

        Examples
        --------
        >>> labels = {"logg": Estimate.of("logg", 4.4, 0.1)}
        >>> Prediction("a.fits", labels, flags=("low-snr",)).to_dict()
        {'file': 'a.fits',
         'labels': {'logg': {'value': 4.4, 'lower': 4.3, 'upper': 4.5, 'unit': 'dex'}},
         'flags': ['low-snr']}
        """
        labels = {
            name: estimate.to_dict()
            for name, estimate in self.labels.items()
            if np.isfinite([estimate.value, estimate.lower, estimate.upper]).all()
        }
        record: dict[str, Any] = {"file": self.file, "labels": labels, "flags": list(self.flags)}
        if self.error is not None:
            record["error"] = self.error
        return record

    def show(self, name: str) -> str:
        """Value and standard deviation of a label as text, a hyphen where there is none.

        A value at the edge of what the models cover is a bound, and shown as one.

        Examples
        --------
        >>> teff = Estimate.of("teff", 4000.0, 31.0)
        >>> Prediction("a.fits", {"teff": teff}).show("teff")
        '4000 ± 31'
        >>> Prediction("a.fits", {"teff": teff}, at_edge=("teff",)).show("teff")
        '4000 (edge)'
        """
        estimate = self.labels.get(name)
        if estimate is None:
            return "-"
        digits = DIGITS[name]
        if 0 < estimate.sigma < 0.5 * 10**-digits:
            digits += 1
        sign = "+" if name in SIGNED else ""
        if name in self.at_edge:
            return f"{estimate.value:{sign}.{digits}f} (edge)"
        return f"{estimate.value:{sign}.{digits}f} ± {estimate.sigma:.{digits}f}"

    def to_row(self) -> dict[str, Any]:
        """One flat row, for CSV and tables: a value and its standard deviation per label."""
        row: dict[str, Any] = {"file": self.file, "object": self.object}
        for prefix, estimates in (("", self.labels), ("network_", self.network)):
            for name in HARPS_LABELS.names:
                estimate = estimates.get(name)
                row[prefix + name] = None if estimate is None else float(f"{estimate.value:.7g}")
                if not prefix:
                    sigma = None if estimate is None else float(f"{estimate.sigma:.3g}")
                    row[f"{name}_error"] = sigma
        for name in FACTS:
            fact = self.facts.get(name)
            row[name] = None if fact is None else float(f"{fact:.5g}")
        return row | {"flags": " ".join(self.flags), "error": self.error}


def to_table(predictions: Iterable[Prediction]) -> Table:
    """An astropy table, one row a spectrum, with units; what is unknown is masked.

    Columns: file, object, each label and its standard deviation (``teff``, ``teff_error``, ...),
    each label by the network alone (``network_teff``, ...), the `FACTS`, flags and error.
    """
    rows = [prediction.to_row() for prediction in predictions]
    table = Table()
    for key in Prediction("").to_row():
        values = [row[key] for row in rows]
        missing = [value is None for value in values]
        if key in ("file", "object", "flags", "error"):
            words = ["" if value is None else value for value in values]
            table[key] = MaskedColumn(words, mask=missing, dtype=str)
            continue
        numbers = [np.nan if value is None else value for value in values]
        name = key.removeprefix("network_").removesuffix("_error")
        unit = FACTS[name] if name in FACTS else LABELS[name].unit
        table[key] = MaskedColumn(numbers, mask=missing, dtype=float, unit=unit or None)
    return table
