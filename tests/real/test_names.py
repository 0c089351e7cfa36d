"""Names of stars as HARPS's observers wrote them, and as catalogues of the literature do."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from maury.archive.names import canonical, parse

LABELS = Path(__file__).parents[2].parent / "shared" / "data" / "labels"

pytestmark = pytest.mark.skipif(not LABELS.is_dir(), reason="needs ../shared/data/labels")

FAR = {"HR 1217", "HR 9087", "V* MT Tel", "V* BG Ind", "MK2"}
"""Names in HARPS's list that stand at two places more than an arcmin apart.

Both rows of each have the same name as it is written, but for blanks: the list is wrong (of HR 1217
one row is at another star), or the name is (MK2 is of no catalogue).
"""

WORDS = ("sun", "solar", "moon", "sky", "test", "stab", "vesta", "none", "no-name")
SOLAR_SYSTEM = (
    "ceres", "pallas", "juno", "astraea", "6-hebe", "iris", "irene", "massalia", "melpomene",
    "io", "europa", "ganimede", "tycho", "comet",
)  # fmt: skip

ELSEWHERE = {"HD 103891": 85.4, "HD 105779": 38.7, "HD 147873": 7.0}
"""Stars that HARPS's list has so many arcmin from where SWEET-Cat has them."""


@pytest.fixture(scope="module")
def targets() -> list[tuple[str, float, float]]:
    """Name and position (degrees) of each row of the list of HARPS's targets."""
    with (LABELS / "HARPScat_param.csv").open() as stream:
        rows = [row for row in csv.reader(stream) if row and not row[0].startswith("#")]
    return [(row[0], float(row[1]), float(row[2])) for row in rows]


def test_nine_in_ten_names_of_harps_are_those_of_known_catalogues(targets):
    stars = [parse(name) for name, _, _ in targets]
    none = sum(star is None for star in stars)
    other = sum(star is not None and star.catalogue is None for star in stars)
    assert len(stars) == 4422
    assert (none, other) == (122, 503)


def test_what_is_no_star_is_of_the_solar_system_or_a_test_or_has_no_name(targets):
    none = {name.lower() for name, _, _ in targets if canonical(name) is None}
    kinds = Counter(next((word for word in WORDS if word in name), name) for name in none)
    assert set(kinds) == {*WORDS, *SOLAR_SYSTEM, "102734", "124641", "620"}


def test_one_name_is_one_place_in_the_sky(targets):
    places = defaultdict(list)
    for name, ra, dec in targets:
        if star := canonical(name):
            places[star].append((ra, dec))
    far = set()
    for star, where in places.items():
        if len(where) > 1:
            positions = SkyCoord(*np.transpose(where), unit="deg")
            if positions[0].separation(positions).arcmin.max() > 1:
                far.add(star)
    assert far == FAR


def test_names_of_the_gto_sample_are_understood_and_different():
    names = [line.split()[0] for line in (LABELS / "star_list_1111.dat").read_text().splitlines()]
    stars = [parse(name) for name in names]
    assert Counter(star.catalogue for star in stars if star) == {
        "HD": 1010, "HIP": 56, "BD": 40, "CD": 5
    }  # fmt: skip
    assert [name for name, star in zip(names, stars, strict=True) if star is None] == ["Sun-sky"]
    assert len({star.text for star in stars if star}) == 1111


def test_two_catalogues_joined_by_name_have_their_stars_at_the_same_places(targets):
    with (LABELS / "SWEETCAT_Dataframe.csv").open() as stream:
        sweetcat = {canonical(row["Name"]): row for row in csv.DictReader(stream)}
    joined = [row for row in targets if canonical(row[0]) in sweetcat.keys() - {None}]
    assert len(joined) == 271
    theirs = [sweetcat[canonical(name)] for name, _, _ in joined]
    apart = (
        SkyCoord(
            [row["RA"] for row in theirs], [row["DEC"] for row in theirs], unit=("hourangle", "deg")
        )
        .separation(SkyCoord(*np.transpose([(ra, dec) for _, ra, dec in joined]), unit="deg"))
        .arcmin
    )
    far = {canonical(joined[row][0]): apart[row] for row in np.flatnonzero(apart > 1)}
    assert far == pytest.approx(ELSEWHERE, abs=0.1)
