"""Stars and rows: separations by hand, space motion by astropy, close pairs, and conflicts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from maury.archive.crossmatch import Matches, bridges, crossmatch
from maury.archive.label_rows import LabelRows
from maury.archive.motion import angle, at_time, direction, epoch_mjd, position, velocity
from maury.archive.targets import Targets, contradict, group

J2000 = 51544.5


def rows(*stars, pm=None, epoch=2000.0, magnitude=None) -> LabelRows:
    """Rows of (names, ra, dec)."""
    names, ra, dec = zip(*stars, strict=True)
    size = len(stars)
    motion = np.array(pm if pm is not None else [(np.nan, np.nan)] * size, dtype=float)
    return LabelRows(
        source="table",
        titles=[f"row {i}" for i in range(1, size + 1)],
        names=[tuple(each) for each in names],
        ra=np.array(ra, dtype=float),
        dec=np.array(dec, dtype=float),
        pmra=motion[:, 0],
        pmdec=motion[:, 1],
        epoch=np.full(size, epoch),
        values={},
        magnitude=None if magnitude is None else np.array(magnitude, dtype=float),
    )


def seen(*exposures) -> Targets:
    """Targets of exposures (object, ra, dec, mjd)."""
    objects, ra, dec, mjd = zip(*exposures, strict=True)
    return group(pa.array(objects, pa.string()), ra, dec, mjd)


def kinds(matches: Matches) -> list[tuple[str, bool]]:
    return [(conflict.kind, conflict.used) for conflict in matches.conflicts]


def test_separations_are_those_worked_by_hand():
    # Along a meridian; along a parallel at 60 degrees, where a degree is half as long; the poles.
    assert angle(direction(10.0, 20.0), direction(10.0, 20.5)) == pytest.approx(1800.0, abs=1e-6)
    parallel = angle(direction(10.0, 60.0), direction(10.01, 60.0))
    assert parallel == pytest.approx(18.0, abs=1e-6)
    assert angle(direction(0.0, 90.0), direction(123.0, -90.0)) == pytest.approx(648_000.0)
    assert angle(direction(359.999, 0.0), direction(0.001, 0.0)) == pytest.approx(7.2, abs=1e-6)


def test_barnards_star_moves_as_astropy_moves_it():
    ra, dec, pmra, pmdec = 269.452082, 4.693390, -801.551, 10362.394
    moved = at_time(direction(ra, dec), velocity(ra, dec, pmra, pmdec), 2000.0, epoch_mjd(2016.0))
    # 10.393 arcsec a year for 16 years.
    assert angle(direction(ra, dec), moved) == pytest.approx(16 * np.hypot(0.801551, 10.362394))
    star = SkyCoord(
        ra * u.deg,
        dec * u.deg,
        pm_ra_cosdec=pmra * u.mas / u.yr,
        pm_dec=pmdec * u.mas / u.yr,
        distance=1.83 * u.pc,
        obstime=Time("J2000"),
    )
    later = star.apply_space_motion(new_obstime=Time("J2016"))
    assert angle(direction(later.ra.deg, later.dec.deg), moved) < 1e-3


def test_a_fast_star_is_found_where_it_was_then():
    ra, dec, pm = 269.452082, 4.693390, (-801.551, 10362.394)
    table = rows(((), ra, dec), pm=[pm])
    mjd = epoch_mjd(2016.0)
    there = at_time(direction(ra, dec), velocity(ra, dec, *pm), 2000.0, mjd)
    pointed = position(there)
    found = crossmatch(seen(("GJ 699", *map(float, pointed), float(mjd))), table, radius=1.0)
    assert (found.row[0], found.how[0]) == (0, "position")
    assert found.separation[0] < 1e-3
    without = rows(((), ra, dec))
    assert crossmatch(seen(("GJ 699", *map(float, pointed), float(mjd))), without).row[0] == -1


def test_each_exposure_has_the_row_at_its_own_time():
    ra, dec, pm = 100.0, -45.0, (3000.0, -2000.0)
    table = rows((["HD 1"], ra, dec), pm=[pm])
    times = np.array([53000.0, 55000.0, 58000.0])
    ways = at_time(direction(ra, dec), velocity(ra, dec, *pm), 2000.0, times)
    targets = seen(
        *(("HD1", *map(float, position(way)), t) for way, t in zip(ways, times, strict=True))
    )
    assert len(targets) == 1
    assert crossmatch(targets, table).separation[0] < 1e-6


def test_alpha_centauri_a_and_b_stay_two_stars():
    # Five arcsec apart in 2012, closer than telescopes point.
    targets = seen(
        ("HD128620", 219.8700, -60.8320, 56000.0),
        ("alf Cen A", 219.8701, -60.8320, 56001.0),
        ("HD128621", 219.8725, -60.8325, 56000.0),
        ("* alf Cen B", 219.8725, -60.8326, 56001.0),
    )
    assert sorted(targets.titles) == ["HD 128620", "HD 128621"]
    assert targets.star[0] == targets.star[1] != targets.star[2] == targets.star[3]
    table = rows((["* alf Cen A"], 219.870, -60.832), (["* alf Cen B"], 219.8725, -60.8325))
    found = crossmatch(targets, table)
    assert found.row[targets.star].tolist() == [0, 0, 1, 1]
    assert found.how == ["name+position"] * 2
    assert found.conflicts == []


def test_names_contradict_where_one_catalogue_has_both():
    assert contradict(["HD 128620"], ["HD 128621"])
    assert contradict(["GJ 559 A"], ["GJ 559 B"])
    assert not contradict(["HD 128620"], ["HIP 71683"])
    assert not contradict(["HD 11964"], ["HD 11964A"])
    assert contradict(["HD 11964"], ["HD 11964B"])
    assert contradict(["CWW 060"], ["CWW 061"])
    # A field and number of a survey, whose stars with planets are called HATS-6 and so on.
    assert not contradict(["HATS552-017"], ["HATS-6"])


def test_one_name_at_two_places_is_two_stars_and_one_star_has_many_names():
    targets = seen(
        ("HD1", 10.0, -10.0, 55000.0),
        ("hd 1", 10.001, -10.0, 55100.0),
        ("HIP 422", 10.0005, -10.001, 55200.0),
        ("HD1", 50.0, -10.0, 55000.0),
    )
    assert [targets.titles[star] for star in targets.star] == ["HD 1", "HD 1", "HD 1", "HD 1 (2)"]


def test_what_has_no_name_is_called_after_its_place():
    targets = seen(
        ("OBJECT", 219.90206, -60.83399, 55000.0),
        (None, 219.90206, -60.83399, 55001.0),
        ("12", 10.0, 10.0, 55002.0),
        ("MOON", 80.0, 10.0, 55003.0),
        ("Moon", 120.0, 15.0, 55004.0),
    )
    # IAU: truncated, as of 14 39 36.49 -60 50 02.4.
    titles = [targets.titles[star] for star in targets.star]
    assert titles == ["J143936.4-605002"] * 2 + ["J004000.0+100000", "MOON", "MOON"]
    assert targets.stellar[targets.star].tolist() == [True, True, True, False, False]


def test_the_moon_is_no_star_wherever_it_is():
    found = crossmatch(seen(("MOON", 80.0, 10.0, 55003.0)), rows((["HD 1"], 80.0, 10.0)))
    assert found.row.tolist() == [-1]


def test_a_name_elsewhere_in_the_sky_is_a_conflict():
    targets = seen(("HD1", 10.0, 0.0, 55000.0))
    table = rows((["HD 1"], 10.05, 0.0))
    found = crossmatch(targets, table)
    assert found.row[0] == -1
    assert kinds(found) == [("far", False)]
    assert "3.0 arcmin away" in found.conflicts[0].reason
    assert found.conflicts[0].separation == pytest.approx(180.0, abs=1e-3)
    assert crossmatch(targets, table, trust="name").row[0] == 0
    assert crossmatch(targets, table, trust="position").row[0] == -1


def test_within_twice_the_radius_a_name_is_enough():
    found = crossmatch(seen(("HD1", 10.0, 0.0, 55000.0)), rows((["HD 1"], 10.0125, 0.0)))
    assert (found.row[0], found.how[0], found.conflicts) == (0, "name", [])


def test_name_and_position_that_say_two_rows_are_a_conflict():
    targets = seen(("HD1", 10.0, 0.0, 55000.0))
    table = rows((["HD 1"], 80.0, 0.0), (["HD 2"], 10.001, 0.0))
    found = crossmatch(targets, table)
    assert found.row[0] == -1 and kinds(found) == [("name-or-position", False)]
    assert (found.conflicts[0].row, found.conflicts[0].other_row) == ("row 1", "row 2")
    trusting = {how: crossmatch(targets, table, trust=how) for how in ("name", "position")}
    assert {how: each.row[0] for how, each in trusting.items()} == {"name": 0, "position": 1}
    assert kinds(trusting["name"]) == [("name-or-position", True)]


def test_two_rows_within_the_radius_are_a_conflict_unless_a_name_decides():
    table = rows((["HIP 5"], 10.001, 0.0), (["HIP 6"], 10.002, 0.0))
    found = crossmatch(seen(("HD1", 10.0, 0.0, 55000.0)), table)
    assert found.row[0] == -1 and kinds(found) == [("two-by-position", False)]
    named = crossmatch(seen(("HIP6", 10.0, 0.0, 55000.0)), table)
    assert (named.row[0], named.how[0], named.conflicts) == (1, "name+position", [])
    twice = rows((["HD 1"], 10.001, 0.0), (["HD 1"], 10.002, 0.0))
    assert kinds(crossmatch(seen(("HD1", 10.0, 0.0, 55000.0)), twice)) == [("two-by-name", False)]


def test_a_faint_neighbour_is_no_rival():
    targets = seen(("anon", 10.0, 0.0, 55000.0))
    places = [((), 10.001, 0.0), ((), 10.0001, 0.0)]
    assert crossmatch(targets, rows(*places, magnitude=[8.0, 14.0])).row[0] == 0
    assert crossmatch(targets, rows(*places, magnitude=[8.0, 10.0])).row[0] == -1


def test_a_row_that_two_stars_want_goes_to_the_one_that_it_names():
    table = rows((["HD 1"], 10.003, 0.0))
    targets = seen(("HD1", 10.005, 0.0, 55000.0), ("HIP 9", 10.0, 0.0, 55000.0))
    found = crossmatch(targets, table)
    titles = {title: found.row[i] for i, title in enumerate(targets.titles)}
    assert titles == {"HD 1": 0, "HIP 9": -1}
    assert Counter(kinds(found)) == {("two-stars", True): 1, ("two-stars", False): 1}


def test_a_row_at_the_place_of_another_star_by_name_is_told():
    found = crossmatch(seen(("HD1", 10.0, 0.0, 55000.0)), rows((["HD 2"], 10.001, 0.0)))
    assert found.row[0] == -1 and kinds(found) == [("names-differ", False)]


def test_names_without_positions_are_enough():
    found = crossmatch(seen(("HD1", 10.0, 0.0, 55000.0)), rows((["HD 1"], np.nan, np.nan)))
    assert (found.row[0], found.how[0]) == (0, "name")
    unplaced = crossmatch(seen(("HD1", np.nan, np.nan, 55000.0)), rows((["HD 1"], 10.0, 0.0)))
    assert (unplaced.row[0], unplaced.how[0]) == (0, "name")


def test_a_row_with_both_names_makes_two_stars_one():
    targets = seen(("GJ887", 346.4668, -35.8531, 53000.0), ("HD217987", 346.49, -35.849, 57000.0))
    assert len(targets) == 2
    united, new = targets.united(bridges(targets, rows((["HD 217987", "GJ 887"], 346.4, -35.8))))
    assert united.titles == ["HD 217987"] and new.tolist() == [0, 0]
    assert set(united.names[0]) == {"GJ 887", "HD 217987"}


@pytest.mark.parametrize(("ra", "dec"), [(0.0005, -30.0), (120.0, 89.9999), (359.9999, 89.9)])
def test_the_seam_and_the_poles_are_like_other_places(ra, dec):
    pointed = [(ra, dec), ((ra - 0.001) % 360, dec)]
    targets = seen(*(("HD1", *place, 55000.0 + i) for i, place in enumerate(pointed)))
    found = crossmatch(targets, rows(((), ra, dec)))
    assert len(targets) == 1 and found.row[0] == 0


PLACES = st.tuples(st.integers(0, 6), st.integers(-3, 3))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_order_of_exposures_and_rows_makes_no_difference(data):
    # Places on a raster of 15 arcsec, names of few stars: many conflicts.
    place = st.tuples(st.sampled_from(["HD1", "HD 2", "HIP 3", "7"]), PLACES)
    exposures = data.draw(st.lists(place, min_size=1, max_size=8))
    table = data.draw(st.lists(place, min_size=1, max_size=6, unique=True))
    shots = [
        (i, name, 10 + x / 240, y / 240, 55000.0) for i, (name, (x, y)) in enumerate(exposures)
    ]
    stars = [
        ([] if name == "7" else [name.replace("HD1", "HD 1")], 10 + x / 240, y / 240)
        for name, (x, y) in table
    ]

    def outcome(shots, stars):
        targets = seen(*(shot[1:] for shot in shots))
        found = crossmatch(targets, rows(*stars))
        told = Counter((each.kind, each.star, each.used) for each in found.conflicts)
        row = [stars[i] if i >= 0 else None for i in found.row]
        by_exposure = {
            shot[0]: (targets.titles[star], row[star], found.how[star])
            for shot, star in zip(shots, targets.star, strict=True)
        }
        return by_exposure, told

    assert outcome(shots, stars) == outcome(
        data.draw(st.permutations(shots)), data.draw(st.permutations(stars))
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_rows_found_are_those_of_astropys_search(seed):
    random = np.random.default_rng(seed)
    ra, dec = random.uniform(0, 360, 40), np.degrees(np.arcsin(random.uniform(-1, 1, 40)))
    near = random.integers(0, 40, 40)
    off = random.normal(0, 20 / 3600, (2, 40))
    their_ra = (ra[near] + off[0] / np.cos(np.radians(dec[near]))) % 360
    their_dec = np.clip(dec[near] + off[1], -90, 90)
    targets = seen(*((f"HD{i + 1}", ra[i], dec[i], 55000.0) for i in range(40)))
    table = rows(*(((), a, b) for a, b in zip(their_ra, their_dec, strict=True)))
    found = crossmatch(targets, table)
    stars = SkyCoord(ra * u.deg, dec * u.deg)
    there = SkyCoord(their_ra * u.deg, their_dec * u.deg)
    star, row, _, _ = there.search_around_sky(stars, 30 * u.arcsec)
    expected = np.full(40, -1)
    for i in range(40):
        candidates = row[star == i]
        if candidates.size == 1 and np.sum(row == candidates[0]) == 1:
            expected[i] = candidates[0]
    by_name = {title: found.row[i] for i, title in enumerate(targets.titles)}
    assert [by_name[f"HD {i + 1}"] for i in range(40)] == expected.tolist()
