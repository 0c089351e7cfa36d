"""Write stars.npz: stars such as HARPS observes, made up between those of the literature.

Run as ``python -m maury.data.make_stars ../shared/data/labels``.

Three tables are joined by the stars' names: the targets of HARPS in ESO's archive, those of its
survey for planets around solar-type stars, and the hosts of planets of SWEET-Cat that are bright
and far enough south for it. Of the stars within the ranges of Sect. 3.1 of Cvrcek et al. 2024 none
is copied: a star of the sample lies between one of them and one of its nearest neighbours, on the
straight line through effective temperature, gravity and metallicity, and is as bright as the
nearer of them, so that the sample is correlated as the tables are.

The numbers of exposures of a star, and the signal-to-noise ratios of single exposures, are
quantiles of the first table.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors

HERE = Path(__file__).parent

CITATION = (
    "Drawn between the stars of: the targets of HARPS in ESO's archive with the parameters known "
    "of them; Adibekyan et al. 2012, A&A 545, A32 (HARPS GTO, 1111 stars); SWEET-Cat, Sousa et al. "
    "2021, A&A 656, A53. Numbers of exposures and signal-to-noise ratios: the first of these. "
    "Ranges: Cvrcek et al. 2024, arXiv:2412.09002, Sect. 3.1"
)

RANGES = {"teff": (3000.0, 11000.0), "logg": (3.5, 5.0), "mh": (-1.2, 0.4)}
NORTHERNMOST, FAINTEST = 30.0, 13.0  # degrees, V: of SWEET-Cat's stars
NEARBY = 15.0  # mas: a star of a survey without magnitude is as near as this or nearer
SAMPLE, NEIGHBOURS, SEED = 8192, 5, 2412
SCALE = np.array([100.0, 0.05, 0.05])  # K, dex, dex: what counts as one unit of distance
QUANTILES = 1025
ALIKE = 20  # stars from which the brightness of another is taken


def harps_targets(source: Path) -> tuple[list[str], np.ndarray]:
    """Names; and exposures, their joint signal-to-noise ratio, Teff, log g and [M/H]."""
    with (source / "HARPScat_param.csv").open() as file:
        rows = [row for row in csv.reader(file) if not row[0].startswith("#")]
    return [row[0] for row in rows], np.array([[float(x) for x in row[3:]] for row in rows])


def harps_survey(source: Path) -> tuple[list[str], np.ndarray]:
    """Names; and Teff, log g and [Fe/H]."""
    with (source / "star_list_1111.dat").open() as file:
        rows = [line.split() for line in file]
    values = [[float(row[2]), float(row[3]), float(row[5])] for row in rows]
    return [row[0] for row in rows], np.array(values)


def planet_hosts(source: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, HD numbers where they have one; Teff, log g, [Fe/H] and V; parallaxes in mas."""
    with (source / "SWEETCAT_Dataframe.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = [f"HD{row['hd']}" if row["hd"] else row["Name"] for row in rows]

    def column(name: str) -> np.ndarray:
        return np.array([float(row[name] or "nan") for row in rows])

    values = np.stack([column(name) for name in ("Teff", "Logg", "[Fe/H]", "Vmag")], axis=1)
    north = np.array([_degrees(row["DEC"]) for row in rows])
    seen = (north < NORTHERNMOST) & (values[:, 3] < FAINTEST)
    names = [name for name, keep in zip(names, seen, strict=True) if keep]
    return names, values[seen], column("Plx")[seen]


def _degrees(text: str) -> float:
    if not text:
        return np.nan
    parts = [float(part) for part in text.split()]
    return float(np.copysign(np.abs(parts) @ (1, 1 / 60, 1 / 3600), -1 if "-" in text else 1))


def joined_stars(source: Path) -> np.ndarray:
    """Teff, log g, [M/H] and V of every star within the ranges, once each."""
    hosts, values, parallax = planet_hosts(source)
    known = dict(zip(map(_key, hosts), values, strict=True))
    near = values[parallax > NEARBY]
    archive, archive_values = harps_targets(source)
    random = np.random.default_rng(SEED)
    for names, labels in ((archive, archive_values[:, 2:]), harps_survey(source)):
        for name, star in zip(names, labels, strict=True):
            # The brightness of a nearby star of about this temperature.
            alike = np.argsort(np.abs(near[:, 0] - star[0]), kind="stable")[:ALIKE]
            known.setdefault(_key(name), np.append(star, near[random.choice(alike), 3]))
    stars = np.array(list(known.values()))
    return stars[_within(stars) & np.isfinite(stars).all(axis=1)]


def _key(name: str) -> str:
    return name.replace(" ", "").replace("-", "").upper().removesuffix("A")


def _within(stars: np.ndarray) -> np.ndarray:
    columns = zip(stars.T, RANGES.values(), strict=False)
    return np.all([(x >= lower) & (x <= upper) for x, (lower, upper) in columns], axis=0)


def between(stars: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Stars on the lines between these and their neighbours."""
    scaled = stars[:, :3] / SCALE
    # The nearest star to each is itself.
    neighbours = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(scaled).kneighbors(scaled)[1]
    first = np.arange(size) % len(stars)
    second = neighbours[first, random.integers(1, NEIGHBOURS + 1, size)]
    share = random.uniform(0.2, 0.8, (size, 1))
    sample = (1 - share) * stars[first] + share * stars[second]
    # Neighbours in these labels are not equally far away: a mean of two magnitudes is of neither.
    sample[:, 3] = np.where(share[:, 0] < 0.5, stars[first, 3], stars[second, 3])
    return random.permutation(sample)


def main(source: Path) -> None:
    """Write the table."""
    _, targets = harps_targets(source)
    exposures, joint = targets[:, 0], targets[:, 1]
    stars = joined_stars(source)
    sample = between(stars, SAMPLE, np.random.default_rng(SEED))
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    each = joint[joint > 0] / np.sqrt(exposures[joint > 0])
    np.savez_compressed(
        HERE / "stars.npz",
        teff=sample[:, 0].round().astype(np.int16),
        logg=sample[:, 1].round(2).astype(np.float32),
        mh=sample[:, 2].round(2).astype(np.float32),
        magnitude=sample[:, 3].round(2).astype(np.float32),
        exposures=np.quantile(exposures, levels).astype(np.float32),
        signal_to_noise=np.quantile(each, levels).astype(np.float32),
        citation=CITATION,
    )
    print(f"{len(stars)} stars of the tables, {len(sample)} of the sample")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
