"""Made-up stars against the embedded sample, and the paper's table of labels."""

import numpy as np
import pytest
from scipy.stats import ks_2samp, spearmanr

from maury.data import load_table
from maury.datasets.population import EXPOSURES_PER_STAR, Population, draw_population

# Cvrcek et al. 2024, Table 1: shares of the spectra and of the stars.
SHARES = {
    "teff": (0.631, 4588 / 7274),
    "logg": (0.544, 3582 / 7274),
    "mh": (0.450, 2108 / 7274),
    "rv": (0.535, 4469 / 7274),
    "all": (0.288, 1498 / 7274),
}


@pytest.fixture(scope="module")
def stars() -> Population:
    return draw_population(3000, EXPOSURES_PER_STAR, np.random.default_rng(1))


@pytest.mark.parametrize("name", ["teff", "logg", "mh", "magnitude"])
def test_labels_are_distributed_as_in_the_sample(stars: Population, name: str) -> None:
    sample = load_table("stars")[name].astype(np.float64).round(2)
    assert ks_2samp(getattr(stars, name), sample).pvalue > 0.01


def test_labels_are_within_the_papers_filters(stars: Population) -> None:
    for name, low, high in (("teff", 3000, 11000), ("logg", 3.5, 5.0), ("mh", -1.2, 0.4)):
        values = getattr(stars, name)
        assert low <= values.min() and values.max() <= high


def test_cooler_dwarfs_have_higher_gravity(stars: Population) -> None:
    cool = stars.teff < 6500
    sample = load_table("stars")
    there = sample["teff"] < 6500
    ours = spearmanr(stars.teff[cool], stars.logg[cool]).statistic
    theirs = spearmanr(sample["teff"][there], sample["logg"][there]).statistic
    assert ours == pytest.approx(theirs, abs=0.05)


@pytest.mark.parametrize("name", SHARES)
def test_labels_are_known_of_as_many_spectra_and_stars_as_in_the_papers_table(
    stars: Population, name: str
) -> None:
    known = stars.known[name] if name != "all" else np.all(list(stars.known.values()), axis=0)
    spectra, targets = SHARES[name]
    assert known.mean() == pytest.approx(targets, abs=0.002)
    of_spectra = stars.exposures[known].sum() / stars.exposures.sum()
    assert of_spectra == pytest.approx(spectra, abs=0.01)


@pytest.mark.parametrize("mean", [1.0, 3.0, EXPOSURES_PER_STAR])
def test_few_stars_have_many_exposures_and_all_have_some(mean: float) -> None:
    count = draw_population(3000, mean, np.random.default_rng(2)).exposures
    assert count.min() == 1
    assert count.mean() == pytest.approx(mean, rel=0.06)
    if mean > 1:
        top = np.sort(count)[-300:]
        assert top.sum() > 0.4 * count.sum()


def test_velocities_are_those_of_the_suns_neighbourhood(stars: Population) -> None:
    # A mix of the disks: dispersion along a line of sight between 24 and 50 km/s.
    assert 24 < stars.rv.std() < 50
    # The Sun moves to RA 18 h, Dec +30 degrees: stars there come towards us.
    apex = np.cos(np.radians(stars.ra - 270)) * np.cos(np.radians(stars.dec))
    assert np.corrcoef(apex, stars.rv)[0, 1] < -0.1


def test_rotation_depends_on_temperature_as_at_the_kraft_break(stars: Population) -> None:
    cool, hot = stars.teff < 5800, stars.teff > 7000
    assert np.median(stars.vsini[cool]) < 3 < 10 < np.median(stars.vsini[hot])
    assert stars.spots[hot].max() == 0 < stars.spots[cool].min()
    # The Sun's age and colour: about 26 days (Barnes 2007, Sect. 5).
    solar = (np.abs(stars.teff - 5772) < 60) & (np.abs(stars.logg - 4.44) < 0.1)
    assert 20 < np.median(stars.period[solar]) < 34


def test_spots_are_cooler_as_measured(stars: Population) -> None:
    # Berdyugina 2005: some 2000 K in G0, some 200 to 500 K in M dwarfs.
    cooler = stars.teff - stars.spot_teff
    early, late = np.abs(stars.teff - 5900) < 100, stars.teff < 3700
    assert 1500 < np.median(cooler[early]) < 2200
    assert late.any() and cooler[late].max() < 700


def test_a_small_set_is_possible_and_the_same_again() -> None:
    one, other = (draw_population(1, 5.0, np.random.default_rng(3)) for _ in range(2))
    assert one.exposures.tolist() == other.exposures.tolist()
    assert one.rv.tolist() == other.rv.tolist()


def test_limits_leave_the_part_of_the_sample_within_them() -> None:
    limits = {"teff": (4500.0, 6000.0), "mh": (-0.3, 0.5), "vmic": (0.8, 1.2)}
    some = draw_population(3000, 2.0, np.random.default_rng(1), limits)
    for name, (lower, upper) in limits.items():
        values = getattr(some, name)
        assert lower <= values.min() < values.max() <= upper
    assert some.spot_teff.min() == 4500.0
    sample = {name: load_table("stars")[name].round(2) for name in ("teff", "mh")}
    within = (sample["teff"] >= 4500) & (sample["teff"] <= 6000) & (sample["mh"] >= -0.3)
    assert ks_2samp(some.teff, sample["teff"][within]).pvalue > 0.01


def test_limits_that_all_stars_meet_change_nothing() -> None:
    free, wide = (
        draw_population(200, 2.0, np.random.default_rng(3), limits)
        for limits in (None, {"teff": (1000.0, 20_000.0)})
    )
    np.testing.assert_array_equal(free.teff, wide.teff)
    np.testing.assert_array_equal(free.rv, wide.rv)
