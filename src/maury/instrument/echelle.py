"""Echelle spectrographs, made from tables: orders, blaze, efficiency, fibre and detectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maury.data import load_table
from maury.errors import GridError

__all__ = ["COLUMNS", "FAINTEST_BLAZE", "FEROS", "HARPS", "Echelle", "OrderHalf"]

COLUMNS = (
    "order",
    "lower",
    "centre",
    "upper",
    "dispersion_lower",
    "dispersion_centre",
    "dispersion_upper",
    "efficiency",
    "detector",
    "measured_throughput",
)
"""Rows of the table of an echelle, one column an order.

Echelle order; first wavelength, that of the blaze's peak and last wavelength (Angstrom, observatory
frame, medium of the echelle); Angstrom a pixel at those three; electrons at the peak of the blaze
for a photon that enters the telescope and hits the fibre; index of the detector; relative
throughput as it was measured, with whatever was in the light's way.
"""


FAINTEST_BLAZE = 0.2
"""Of an order where another one is there too; where orders cross, the blaze is 0.4."""


@dataclass(frozen=True, eq=False)
class OrderHalf:
    """Every second order of an echelle, joined: what Appendix A of the paper calls A or B.

    Parameters
    ----------
    covered : bool[n]
        Whether an order is there.
    blaze : float64[n]
        Blaze function, 1 at its peak, zero where no order is.
    dispersion : float64[n]
        Angstrom a pixel; zero where no order is.
    """

    covered: NDArray[np.bool_]
    blaze: NDArray[np.float64]
    dispersion: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Echelle:
    """An echelle spectrograph at its telescope.

    Parameters
    ----------
    name : str
        What it is called.
    orders : dict of float64[order]
        The `COLUMNS`, in order of decreasing echelle order.
    resolving_power : float
        Wavelength over the full width at half maximum of its line-spread function.
    fibre : float
        Diameter of the fibre on the sky, arcsec.
    collecting_area : float
        Of the telescope, cm^2.
    spatial_pixels : float
        Detector pixels across the dispersion whose noise enters a spectral pixel.
    readout_noise : dict of float
        Electrons a detector pixel, by readout mode; the first mode is the usual one.
    dark_current : float
        Electrons a detector pixel an hour.
    medium : str
        Of the wavelengths, "air" or "vacuum".
    citation : str
        Where the numbers come from.

    Raises
    ------
    GridError
        If the table is incomplete, or two orders of the same parity overlap, so that they could
        not be joined.

    Examples
    --------
    >>> HARPS.orders["order"].size, HARPS.gaps
    (72, ((5304.343, 5337.251),))
    >>> even, odd = HARPS.halves(np.array([5220.0, 5250.0, 5320.0]))
    >>> even.covered, odd.covered
    (array([False,  True, False]), array([ True,  True, False]))
    """

    name: str
    orders: Mapping[str, NDArray[np.float64]]
    resolving_power: float
    fibre: float
    collecting_area: float
    spatial_pixels: float
    readout_noise: Mapping[str, float]
    dark_current: float
    medium: str = "air"
    citation: str = ""

    def __post_init__(self) -> None:
        missing = [name for name in COLUMNS if name not in self.orders]
        if missing:
            raise GridError(f"The table of {self.name} lacks {', '.join(missing)}.")
        order, lower, upper = (self.orders[key] for key in ("order", "lower", "upper"))
        for parity in (0, 1):
            half = np.flatnonzero(order % 2 == parity)
            for i, j in pairwise(half):
                if not lower[i] < upper[i] <= lower[j]:
                    raise GridError(
                        f"Orders {order[i]:.0f} and {order[j]:.0f} of {self.name} overlap or do "
                        "not rise in wavelength; orders two apart must follow each other."
                    )

    @classmethod
    def from_table(cls, name: str, table: NDArray[np.float64], **properties: object) -> Echelle:
        """An echelle from a table whose rows are `COLUMNS`; `properties` are the other fields."""
        if table.ndim != 2 or len(table) != len(COLUMNS):
            raise GridError(
                f"The table of {name} must have {len(COLUMNS)} rows, not the shape {table.shape}."
            )
        return cls(name=name, orders=dict(zip(COLUMNS, table, strict=True)), **properties)  # type: ignore[arg-type]

    @property
    def coverage(self) -> tuple[float, float]:
        """First and last wavelength, Angstrom."""
        return float(self.orders["lower"].min()), float(self.orders["upper"].max())

    @property
    def gaps(self) -> tuple[tuple[float, float], ...]:
        """Intervals between orders that neither neighbour covers, Angstrom."""
        reached = np.maximum.accumulate(self.orders["upper"])[:-1]
        following = self.orders["lower"][1:]
        return tuple(
            (float(first), float(last))
            for first, last in zip(reached, following, strict=True)
            if first < last
        )

    def widest_pixel(self, wavelength: float) -> float:
        """Half of a resolution element, Angstrom: wider pixels of a grid lose detail."""
        return 0.5 * wavelength / self.resolving_power

    def efficiency(self, wavelength: ArrayLike) -> NDArray[np.float64]:
        """Electrons at the peak of the blaze for a photon that reaches the telescope and fibre."""
        return np.interp(np.asarray(wavelength), self.orders["centre"], self.orders["efficiency"])

    def halves(self, wavelength: ArrayLike) -> tuple[OrderHalf, OrderHalf]:
        """Even and odd orders at wavelengths (Angstrom, observatory frame, ascending).

        The blaze is sinc^2(m (1 - lambda_B / lambda)) of the order m, and the dispersion the
        parabola through its values at both ends and at the peak of the blaze. Where orders overlap
        the one whose blaze is below `FAINTEST_BLAZE` is left out: Eq. A.1 weighs both alike, and
        the noise of the last pixels of an order would swamp its neighbour.
        """
        wave = np.asarray(wavelength, dtype=np.float64)
        halves = tuple(
            OrderHalf(np.zeros(wave.shape, bool), np.zeros(wave.shape), np.zeros(wave.shape))
            for _ in range(2)
        )
        for row in zip(*(self.orders[key] for key in COLUMNS[:7]), strict=True):
            order, lower, centre, upper = row[:4]
            half = halves[int(order) % 2]
            part = slice(*np.searchsorted(wave, (lower, np.nextafter(upper, np.inf))))
            inside = wave[part]
            half.covered[part] = True
            half.blaze[part] = np.sinc(order * (1 - centre / inside)) ** 2
            nodes = np.array([lower, centre, upper])
            half.dispersion[part] = np.polyval(
                np.polyfit(nodes - centre, np.array(row[4:7]), 2), inside - centre
            )
        both = halves[0].covered & halves[1].covered
        fainter = halves[0].blaze < halves[1].blaze
        for half, is_fainter in zip(halves, (fainter, ~fainter), strict=True):
            left_out = both & is_fainter & (half.blaze < FAINTEST_BLAZE)
            for array in (half.covered, half.blaze, half.dispersion):
                array[left_out] = 0
        return halves  # type: ignore[return-value]


@lru_cache(maxsize=1)
def _tables() -> dict[str, np.ndarray]:
    return load_table("spectrographs")


HARPS = Echelle.from_table(
    "HARPS",
    _tables()["harps"],
    resolving_power=115_000,
    fibre=1.0,
    collecting_area=8.8564e4,
    spatial_pixels=4.8,
    readout_noise={"normal": 4.9, "slow": 2.9},
    dark_current=1.1,
    citation=str(_tables()["harps_citation"]),
)
"""HARPS at the ESO 3.6-m telescope (Mayor et al. 2003, The Messenger 114, 20).

Collecting area: "M1 clear area" of ESO's page on the 3.6-m telescope, the mirror of 3.566 m less
the secondary of 1.200 m. Readout noise: ESO's page on HARPS's detectors. Spatial pixels: see
`maury.instrument.spectrograph.HARPS`. ESO shows its dark current as a plot alone; that of FEROS,
whose detector is of the same make, is taken: a twentieth of the readout variance in an hour.
"""

FEROS = Echelle.from_table(
    "FEROS",
    _tables()["feros"],
    resolving_power=48_000,
    fibre=2.0,
    collecting_area=np.pi / 4 * 220.0**2,
    spatial_pixels=10.0,
    readout_noise={"normal": 4.8, "slow": 2.67},
    dark_current=1.1,
    citation=str(_tables()["feros_citation"]),
)
"""FEROS at the MPG/ESO 2.2-m telescope (Kaufer et al. 1999, The Messenger 95, 8), as designed.

Readout noise and dark current: ESO's page on FEROS's CCD tests, November 2003 to December 2004.
"""
