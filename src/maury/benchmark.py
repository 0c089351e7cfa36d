"""What a benchmark says: our rate beside a reference's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Benchmark"]


@dataclass(frozen=True)
class Benchmark:
    """Two rates, measured in one process, turn about.

    Parameters
    ----------
    name : str
        What was measured.
    ours, reference : float
        In `unit`.
    unit : str
        Of both.
    conditions : str
        On what, how, and what the reference is.
    breakdown : dict of float
        Milliseconds of each of our steps for one spectrum.
    """

    name: str
    ours: float
    reference: float
    unit: str
    conditions: str
    breakdown: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The entries that `maury bench NAME --json` prints."""
        return {
            "name": self.name,
            "ours": float(f"{self.ours:.4g}"),
            "reference": float(f"{self.reference:.4g}"),
            "ratio": float(f"{self.ours / self.reference:.4g}"),
            "unit": self.unit,
            "conditions": self.conditions,
            "breakdown_ms": {name: round(value, 1) for name, value in self.breakdown.items()},
        }
