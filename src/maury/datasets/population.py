"""Stars such as HARPS observes, made up: labels as in the literature, and what no label tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray
from scipy.optimize import brentq

from maury.data import load_table

__all__ = ["EXPOSURES_PER_STAR", "Population", "draw_population"]

Array = NDArray[np.float64]

# Spectra and stars of which a label is known (Cvrcek et al. 2024, Table 1).
ALL = (267_361, 7_274)
KNOWN = {"teff": (168_728, 4_588), "logg": (145_372, 3_582), "mh": (120_440, 2_108)}
KNOWN_RV, KNOWN_TOGETHER = (142_970, 4_469), (76_948, 1_498)

EXPOSURES_PER_STAR = ALL[0] / ALL[1]
"""Mean of the real set."""

NORTHERNMOST = 30.0  # degrees: above airmass 2 at La Silla
COOLEST = 3000.0  # K, of the model atmospheres
ANY = (-np.inf, np.inf)

# Bensby et al. 2003, A&A 410, 527, Table 1: dispersions of U, V and W and lag of V, km/s.
THIN, THICK = ((35.0, 20.0, 16.0), -15.0), ((67.0, 38.0, 35.0), -46.0)
SUN = np.array([10.00, 5.25, 7.17])  # km/s (Dehnen & Binney 1998, MNRAS 298, 387)


@dataclass(frozen=True)
class Population:
    """Stars; all arrays are [star].

    Parameters
    ----------
    ra, dec
        Degrees, ICRS.
    teff, logg, mh
        K, log10 of cm s-2, dex.
    magnitude
        In V.
    rv
        Barycentric radial velocity, km/s.
    vmic, vmac, vsini
        Microturbulence, radial-tangential macroturbulence and projected rotation, km/s.
    period
        Of the rotation, days.
    spots, spot_teff
        Mean share of the disk that spots cover, and their temperature, K.
    known
        Which labels a catalogue tells, by name.
    exposures
        How many there are of it, int64.
    """

    ra: Array
    dec: Array
    teff: Array
    logg: Array
    mh: Array
    magnitude: Array
    rv: Array
    vmic: Array
    vmac: Array
    vsini: Array
    period: Array
    spots: Array
    spot_teff: Array
    known: dict[str, NDArray[np.bool_]]
    exposures: NDArray[np.int64]


def draw_population(
    size: int,
    exposures: float,
    random: np.random.Generator,
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> Population:
    """Random stars.

    Effective temperature, gravity, metallicity and magnitude are those of the embedded sample,
    which no other star repeats as long as there are no more than 8192. A catalogue knows the
    labels of a share of the stars, and these have so many exposures, that Table 1 of Cvrcek et
    al. (2024) is met: whoever knows the metallicity knows the gravity, whoever knows that knows
    the temperature, and all three or the velocity alone may be unknown.

    Parameters
    ----------
    size
        How many.
    exposures
        Mean of the exposures of a star; a few stars have very many, as in ESO's archive.
    random
        Source of the random numbers.
    limits
        Lowest and highest of some of teff, logg, mh and vmic. Stars come from the part of the
        sample within the first three; microturbulence, and the temperature of spots, that are
        beyond are put at the limit.
    """
    limits = {} if limits is None else limits
    table = load_table("stars")
    # Two decimals, which float32 does not have.
    labels = {
        name: table[name].astype(np.float64).round(2)
        for name in ("teff", "logg", "mh", "magnitude")
    }
    order = random.permutation(table["teff"].size)
    for name, (lower, upper) in limits.items():
        if name in labels:
            order = order[(lower <= labels[name][order]) & (labels[name][order] <= upper)]
    chosen = order[np.arange(size) % order.size]
    teff, logg, mh, magnitude = (column[chosen] for column in labels.values())
    ra = random.uniform(0.0, 360.0, size)
    dec = np.degrees(np.arcsin(random.uniform(-1.0, np.sin(np.radians(NORTHERNMOST)), size)))
    period, speed = _rotation(teff, logg, random)
    known, count = _catalogue(size, exposures, table["exposures"].astype(np.float64), random)
    return Population(
        ra=ra,
        dec=dec,
        teff=teff,
        logg=logg,
        mh=mh,
        magnitude=magnitude,
        rv=_velocity(ra, dec, mh, random),
        vmic=np.clip(_microturbulence(teff, logg, random), *limits.get("vmic", ANY)),
        vmac=_macroturbulence(teff, logg, random),
        # Axes point anywhere, so the cosine of the inclination is uniform.
        vsini=speed * np.sqrt(1 - random.random(size) ** 2),
        period=period,
        spots=_spots(teff, period, random),
        spot_teff=np.clip(_spot_temperature(teff), *limits.get("teff", ANY)),
        known=known,
        exposures=count,
    )


def _velocity(ra: Array, dec: Array, mh: Array, random: np.random.Generator) -> Array:
    """Of a star of the thin or thick disk, as seen from the Sun."""
    thick = random.random(mh.size) < 1 / (1 + np.exp((mh + 0.6) / 0.1))
    spread = np.where(thick[:, None], THICK[0], THIN[0])
    lag = np.where(thick, THICK[1], THIN[1])
    motion = spread * random.standard_normal((mh.size, 3)) - SUN
    motion[:, 1] += lag
    place = SkyCoord(ra * u.deg, dec * u.deg).galactic.cartesian.xyz.value
    return np.asarray(np.einsum("ij,ji->i", motion, place))


def _microturbulence(teff: Array, logg: Array, random: np.random.Generator) -> Array:
    """Adibekyan et al. 2012, A&A 545, A32, Sect. 2, and as much scatter as their stars have."""
    mean = 6.932e-4 * teff - 0.348 * logg - 1.437
    return np.asarray(np.clip(mean + 0.1 * random.standard_normal(teff.size), 0.5, 3.0))


def _macroturbulence(teff: Array, logg: Array, random: np.random.Generator) -> Array:
    """Doyle et al. 2014, MNRAS 444, 3592, Eq. 8; beyond 5200-6400 K as at its ends."""
    warmer = np.clip(teff, 5200.0, 6400.0) - 5777.0
    mean = 3.21 + 2.33e-3 * warmer + 2.00e-6 * warmer**2 - 2.00 * (logg - 4.44)
    return np.asarray(np.clip(mean + 0.73 * random.standard_normal(teff.size), 0.5, 10.0))


def _rotation(teff: Array, logg: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Period in days and velocity of the equator in km/s.

    Cool stars slow down with age (Barnes 2007, ApJ 669, 1167, Eq. 3); those hotter than the Kraft
    break at about 6250 K do not, and have Maxwell's distribution with a mode that rises to
    80 km/s at 8000 K.
    """
    age = random.uniform(300.0, 10_000.0, teff.size)  # million years
    colour = np.maximum(_colour(teff) - 0.4, 0.05)
    period = 0.7725 * age**0.5189 * colour**0.601
    # The main sequence has about M ~ Teff^1.5.
    radius = np.sqrt((teff / 5772.0) ** 1.5 / 10 ** (logg - 4.438))
    slow = 50.6 * radius / period
    mode = np.interp(teff, (6250.0, 8000.0), (5.0, 80.0))
    fast = mode * np.sqrt(random.chisquare(3, teff.size) / 2)
    speed = np.minimum(np.where(teff < 6250.0, slow, fast), 150.0)
    return 50.6 * radius / speed, speed


def _colour(teff: Array) -> Array:
    """B-V of a black body's relation (Ballesteros 2012, EPL 97, 34008, Eq. 14), solved for it."""
    colours = np.linspace(2.0, -0.3, 500)
    temperatures = 4600 * (1 / (0.92 * colours + 1.7) + 1 / (0.92 * colours + 0.62))
    return np.interp(teff, temperatures, colours)


def _spots(teff: Array, period: Array, random: np.random.Generator) -> Array:
    """More on fast rotators, none on stars without a convective envelope."""
    mean = 0.25 * np.exp(-period / 20.0) * np.interp(teff, (6250.0, 6750.0), (1.0, 0.0))
    return np.asarray(np.minimum(mean * random.lognormal(0.0, 0.5, teff.size), 0.25))


def _spot_temperature(teff: Array) -> Array:
    """Maehara et al. 2017, PASJ 69, 41, Eq. 4, after Berdyugina 2005."""
    cooler = 3.58e-5 * teff**2 + 0.249 * teff - 808.0
    return np.asarray(np.maximum(teff - np.maximum(cooler, 0.0), COOLEST).round(2))


def _catalogue(
    size: int, exposures: float, quantiles: Array, random: np.random.Generator
) -> tuple[dict[str, NDArray[np.bool_]], NDArray[np.int64]]:
    """What is known of the stars, and how often each is observed."""
    shares, means = _cells()
    # One exposure at least of each; the rest in the real set's proportion.
    means = 1 + (means - 1) * (exposures - 1) / (EXPOSURES_PER_STAR - 1)
    # Evenly spread over the cells, so that a small set has the right shares, too.
    even = (random.permutation(size) + 0.5) / size
    cell = np.searchsorted(np.cumsum(shares)[:-1], even, side="right")
    count = np.empty(size, dtype=np.int64)
    for number in range(shares.size):
        stars = np.flatnonzero(cell == number)
        rank = (random.permutation(stars.size) + 0.5) / max(stars.size, 1)
        places = (np.arange(quantiles.size) + 0.5) / quantiles.size
        drawn = np.interp(rank, places, quantiles)
        count[stars] = _scaled(drawn, float(means[number]))
    level = cell % 4
    known = {name: level > number for number, name in enumerate(KNOWN)}
    return {**known, "rv": cell >= 4}, count


def _cells() -> tuple[Array, Array]:
    """Shares of stars and mean number of exposures in the real set, by what is known.

    Cells 0 to 3 are stars of which nothing, then temperature, gravity and metallicity is known in
    addition; 4 to 7 the same with the velocity.
    """
    table = np.array([ALL, *KNOWN.values(), (0, 0)], dtype=np.float64)
    level = -np.diff(table, axis=0)
    rv = np.empty_like(level)
    rv[3] = KNOWN_TOGETHER
    rest = np.subtract(KNOWN_RV, KNOWN_TOGETHER)
    rv[:3] = level[:3] * rest / level[:3].sum(axis=0)
    spectra, stars = np.concatenate([level - rv, rv]).T
    return stars / stars.sum(), spectra / stars


def _scaled(drawn: Array, mean: float) -> NDArray[np.int64]:
    """Whole numbers of at least 1 that are distributed alike, with this mean as far as may be."""
    if drawn.size == 0 or mean <= 1:
        return np.ones(drawn.size, dtype=np.int64)

    def excess(log_factor: float) -> float:
        return float(np.maximum(drawn * np.exp(log_factor), 1.0).mean() - mean)

    factor = np.exp(brentq(excess, -20.0, 20.0))
    return np.maximum(np.rint(drawn * factor), 1).astype(np.int64)
