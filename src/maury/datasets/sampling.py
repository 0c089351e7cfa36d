"""Sets of stellar parameters: at random, evenly spread, or on a regular grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from maury.errors import SynthesisError

__all__ = ["Range", "Sampling", "sample"]

Sampling = Literal["uniform", "sobol", "grid"]

MOST_SPECTRA = 1_000_000


@dataclass(frozen=True)
class Range:
    """From where to where a parameter goes, both included.

    Parameters
    ----------
    low, high : float
        In the parameter's own unit; equal where it is fixed.
    step : float, optional
        Spacing of its nodes on a grid.

    Raises
    ------
    SynthesisError
        If a number is not finite, the range falls, or the step is not positive.

    Examples
    --------
    >>> Range.parse("4000:7000:500")
    Range(low=4000.0, high=7000.0, step=500.0)
    >>> Range.parse("1.0")
    Range(low=1.0, high=1.0, step=None)
    >>> str(Range(-1.5, 0.5))
    '-1.5:0.5'
    """

    low: float
    high: float
    step: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise SynthesisError(f"The range {self} must go from a number to one no smaller.")
        if self.step is not None and not (math.isfinite(self.step) and self.step > 0):
            raise SynthesisError(f"The range {self} must have a positive step.")

    def __str__(self) -> str:
        numbers = [self.low] if self.fixed else [self.low, self.high]
        if self.step is not None and not self.fixed:
            numbers.append(self.step)
        return ":".join(f"{number:.10g}" for number in numbers)

    @classmethod
    def parse(cls, text: str) -> Range:
        """Read VALUE, LOW:HIGH or LOW:HIGH:STEP.

        Raises
        ------
        SynthesisError
            If the text is none of these.
        """
        parts = text.split(":")
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            numbers = []
        if not 1 <= len(numbers) <= 3:
            raise SynthesisError(f"The range {text!r} is not VALUE, LOW:HIGH or LOW:HIGH:STEP.")
        return cls(numbers[0], *numbers) if len(numbers) == 1 else cls(*numbers)

    @property
    def fixed(self) -> bool:
        """Whether there is one value alone."""
        return self.low == self.high

    def nodes(self) -> NDArray[np.float64] | None:
        """The values that the step makes, or the only one; None where a grid may choose."""
        if self.fixed:
            return np.array([self.low])
        if self.step is None:
            return None
        # Half a step in a million more: 0.1 + 0.2 must not lose the last node.
        count = int((self.high - self.low) / self.step + 1e-6) + 1
        return self.low + self.step * np.arange(min(count, MOST_SPECTRA + 1), dtype=np.float64)


def sample(
    ranges: Mapping[str, Range],
    sampling: Sampling,
    n: int | None = None,
    seed: int | Sequence[int] = 0,
) -> NDArray[np.float64]:
    """Parameters of a set of stars.

    Parameters
    ----------
    ranges
        Of each parameter.
    sampling
        ``"uniform"``: independent and uniform over the ranges. ``"sobol"``: Sobol's sequence,
        scrambled (Owen 1998), which leaves no holes and no clusters; best where n is a power of 2.
        ``"grid"``: every combination of regular nodes, those that the ranges' steps make; ranges
        without a step share out what remains of ``n`` as evenly as may be, both ends included.
    n
        How many stars; the most that a grid may have. A grid with steps for all needs none.
    seed
        One number or several; fixes uniform and sobol. The first stars of a larger set are those
        of a smaller one.

    Returns
    -------
    numpy.ndarray
        Shape (star, parameter); on a grid the last parameter changes fastest.

    Raises
    ------
    SynthesisError
        If n is missing, not positive or too small for the steps, or a step has no meaning.

    Examples
    --------
    >>> ranges = {"teff": Range(5000, 6000, 500), "logg": Range(4.4, 4.4), "mh": Range(-1, 0)}
    >>> sample(ranges, "grid", 8)
    array([[ 5.0e+03,  4.4e+00, -1.0e+00],
           [ 5.0e+03,  4.4e+00,  0.0e+00],
           [ 5.5e+03,  4.4e+00, -1.0e+00],
           [ 5.5e+03,  4.4e+00,  0.0e+00],
           [ 6.0e+03,  4.4e+00, -1.0e+00],
           [ 6.0e+03,  4.4e+00,  0.0e+00]])
    """
    if n is not None and not 1 <= n <= MOST_SPECTRA:
        raise SynthesisError(f"n = {n} is not allowed; it must be 1 to {MOST_SPECTRA:,}.")
    if sampling == "grid":
        return _grid(ranges, n)
    if n is None:
        raise SynthesisError(f"n is missing: {sampling} sampling needs the number of spectra.")
    for name, interval in ranges.items():
        if interval.step is not None:
            raise SynthesisError(
                f"{name} = {interval} has a step, which only a grid can have, not {sampling} "
                f"sampling."
            )
    if sampling == "uniform":
        unit = np.random.default_rng(seed).random((n, len(ranges)))
    elif sampling == "sobol":
        sequence = qmc.Sobol(len(ranges), rng=np.random.default_rng(seed))
        unit = sequence.random_base2(math.ceil(math.log2(n)))[:n]
    else:
        raise SynthesisError(
            f"The sampling must be 'uniform', 'sobol' or 'grid', not {sampling!r}."
        )
    low = np.array([interval.low for interval in ranges.values()])
    high = np.array([interval.high for interval in ranges.values()])
    return low + (high - low) * unit


def _grid(ranges: Mapping[str, Range], n: int | None) -> NDArray[np.float64]:
    nodes = {name: interval.nodes() for name, interval in ranges.items()}
    free = [name for name, values in nodes.items() if values is None]
    stepped = math.prod(values.size for values in nodes.values() if values is not None)
    most = MOST_SPECTRA if n is None else n
    if free and n is None:
        raise SynthesisError(
            f"n is missing: a grid needs the number of spectra, or a step for {', '.join(free)}."
        )
    if stepped > most:
        raise SynthesisError(f"The steps make {stepped:,} spectra or more, but n allows {most:,}.")
    for name, count in zip(free, _shares(most // stepped, len(free)), strict=True):
        interval = ranges[name]
        middle = np.array([(interval.low + interval.high) / 2])
        nodes[name] = middle if count == 1 else np.linspace(interval.low, interval.high, count)
    axes = np.meshgrid(*(values for values in nodes.values() if values is not None), indexing="ij")
    return np.stack([axis.ravel() for axis in axes], axis=1)


def _shares(most: int, axes: int) -> Sequence[int]:
    """Counts as even as may be whose product is at most ``most``: 500 is 5 x 5 x 5 x 4."""
    if axes == 0:
        return []
    base = int(most ** (1 / axes) + 1e-9)
    counts = [base] * axes
    for axis in range(axes):
        larger = math.prod(counts) // counts[axis] * (counts[axis] + 1)
        if larger <= most:
            counts[axis] += 1
    return counts
