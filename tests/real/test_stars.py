"""The embedded sample of stars, and nights, against the literature's tables and HARPS's headers."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy.stats import spearmanr

from maury.data import load_table
from maury.data.make_stars import harps_survey, harps_targets, joined_stars
from maury.datasets.nights import airmass, barycentric_velocity
from maury.datasets.population import EXPOSURES_PER_STAR, draw_population

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data")

NAMES = ("teff", "logg", "mh", "magnitude")
TOLERANCE = {"teff": 60.0, "logg": 0.03, "mh": 0.03, "magnitude": 0.3}


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    return joined_stars(DATA / "labels")


@pytest.mark.parametrize("name", NAMES)
def test_quantiles_of_the_sample_are_those_of_the_tables(table: np.ndarray, name: str) -> None:
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    theirs = np.quantile(table[:, NAMES.index(name)], levels)
    np.testing.assert_allclose(
        np.quantile(load_table("stars")[name], levels), theirs, atol=TOLERANCE[name]
    )
    stars = draw_population(3000, 1.0, np.random.default_rng(0))
    np.testing.assert_allclose(
        np.quantile(getattr(stars, name), levels), theirs, atol=1.5 * TOLERANCE[name]
    )


def test_labels_are_correlated_as_in_the_tables(table: np.ndarray) -> None:
    sample = np.stack([load_table("stars")[name] for name in NAMES], axis=1)
    theirs, ours = spearmanr(table).statistic, spearmanr(sample).statistic
    np.testing.assert_allclose(ours, theirs, atol=0.06)


def test_no_star_of_the_tables_is_in_the_sample(table: np.ndarray) -> None:
    sample = np.stack([load_table("stars")[name] for name in NAMES], axis=1)
    stars = {tuple(row) for row in table.astype(np.float32).tolist()}
    copies = sum(tuple(row) in stars for row in sample.tolist())
    # Some are near by chance, for labels have few decimals.
    assert copies < 0.01 * len(sample)


def test_exposures_are_distributed_as_in_the_archive() -> None:
    count = harps_targets(DATA / "labels")[1][:, 0]
    ours = draw_population(3000, EXPOSURES_PER_STAR, np.random.default_rng(0)).exposures
    # Relative to the mean: the paper's archive has more of each than the table.
    levels = (0.25, 0.5, 0.75, 0.9, 0.99)
    theirs = np.quantile(count, levels) / count.mean()
    np.testing.assert_allclose(np.quantile(ours, levels) / ours.mean(), theirs, rtol=0.35)


def test_microturbulence_is_that_of_the_survey() -> None:
    path = DATA / "labels" / "star_list_1111.dat"
    rows = path.read_text().splitlines()
    survey = np.array([[float(x) for x in row.split()[2:5]] for row in rows])
    assert len(survey) == len(harps_survey(DATA / "labels")[0])
    stars = draw_population(3000, 1.0, np.random.default_rng(0))
    for low, high in ((5200, 5600), (5600, 6000), (6000, 6400)):
        theirs = survey[(survey[:, 0] > low) & (survey[:, 0] <= high), 2]
        ours = stars.vmic[(stars.teff > low) & (stars.teff <= high)]
        assert np.median(ours) == pytest.approx(np.median(theirs), abs=0.1)
        assert np.std(ours) == pytest.approx(1.4826 * _deviation(theirs), abs=0.08)


def _deviation(values: np.ndarray) -> float:
    return float(np.median(np.abs(values - np.median(values))))


def test_velocity_and_airmass_are_those_of_harps_headers() -> None:
    compared = 0
    for path in sorted((DATA / "spectra").glob("HARPS*s1d*.fits")):
        header = fits.getheader(path)
        # Moving or approximate targets have no position of their own.
        if "Sun" in str(header.get("OBJECT")) or header["ESO DRS BERV"] == 0:
            continue
        middle = header["MJD-OBS"] + header["EXPTIME"] / 2 / 86400
        ra, dec = np.array([header["RA"]]), np.array([header["DEC"]])
        ours = barycentric_velocity(np.array([middle]), ra, dec)
        assert ours[0] == pytest.approx(header["ESO DRS BERV"], abs=0.03), path.name
        compared += 1
    assert compared >= 5
    np.testing.assert_allclose(airmass(np.array([0.5])), 1.995, atol=0.005)
