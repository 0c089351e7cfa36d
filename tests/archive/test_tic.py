"""The TESS Input Catalog at MAST: by number and by position, in pages, and what fails."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from stand_in import failures
from stand_in.mast import COMPANION, DUPLICATE
from stand_in.message import Answer

from maury.archive import tic
from maury.errors import ArchiveError

TAU_CET, HD_189733 = 419015728, 256364928


@pytest.fixture
def services(services):
    """The services, where MAST answers at once."""
    services.mast.busy = 0
    return services


def by_id(services, ids, **options):
    return tic.by_id(ids, services=services.services, session=services.session, **options)


def near(services, ra, dec, radius, **options):
    return tic.near(
        ra, dec, radius, services=services.services, session=services.session, **options
    )


def place(services, number):
    star = next(star for star in services.mast.tic if star["ID"] == number)
    return star["ra"], star["dec"]


def test_entries_come_by_number_each_once(services):
    table = by_id(services, [TAU_CET, HD_189733, 1, TAU_CET])
    assert table.schema.equals(tic.STARS, check_metadata=True)
    assert table["tic"].to_pylist() == [HD_189733, TAU_CET]
    star = table.to_pylist()[0]
    assert (star["teff"], star["logg"], star["mh"]) == (5050.0, 4.59, -0.03)
    assert (star["teff_error"], star["pmdec"]) == (100.0, -250.32)
    assert star["gaia_dr2"] == 1827242816201846144


def test_numbers_come_as_numbers_or_as_texts(services):
    for star in services.mast.tic:
        star["ID"] = str(star["ID"])
    assert by_id(services, [TAU_CET])["tic"].to_pylist() == [TAU_CET]


def test_what_is_not_known_is_null(services):
    star = by_id(services, [COMPANION]).to_pylist()[0]
    labels = ("teff", "teff_error", "logg", "logg_error", "mh", "mh_error", "disposition")
    assert [star[label] for label in labels] == [None] * len(labels)
    assert star["tmag"] is not None


def test_a_duplicate_is_kept_and_says_of_what(services):
    table = near(services, *place(services, TAU_CET), 2.0)
    assert table.schema.equals(tic.NEIGHBOURS, check_metadata=True)
    assert table["tic"].to_pylist() == [TAU_CET, DUPLICATE]
    assert table["disposition"].to_pylist() == [None, "DUPLICATE"]
    assert table["duplicate_id"].to_pylist() == [None, TAU_CET]


def test_all_entries_near_positions_come_and_the_nearest_first(services):
    ra, dec = np.transpose([place(services, COMPANION), (10.0, 80.0), place(services, HD_189733)])
    table = near(services, ra, dec, 15.0)
    assert table["index"].to_pylist() == [0, 0, 2, 2]
    assert table["tic"].to_pylist() == [COMPANION, HD_189733, HD_189733, COMPANION]
    index = table["index"].to_numpy()
    theirs = SkyCoord(ra[index], dec[index], unit="deg").separation(
        SkyCoord(table["ra"].to_numpy(), table["dec"].to_numpy(), unit="deg")
    )
    np.testing.assert_allclose(table["separation"].to_numpy(), theirs.arcsec, atol=1e-6)


def test_a_question_that_takes_time_is_asked_until_it_is_done(services):
    services.mast.busy = 3
    assert by_id(services, [TAU_CET]).num_rows == 1
    asked = services.asked("mast")
    assert len(asked) == 4
    assert len({request.body for request in asked}) == 1


def test_a_question_that_is_never_done_is_given_up(services, monkeypatch):
    services.mast.busy = 10**6
    monkeypatch.setattr(tic, "PATIENCE", 0.3)
    with pytest.raises(ArchiveError, match="MAST has not answered within"):
        by_id(services, [TAU_CET])


def test_all_pages_of_an_answer_are_asked_for(services):
    services.mast.page = 2
    numbers = [star["ID"] for star in services.mast.tic][:5]
    assert by_id(services, numbers)["tic"].to_pylist() == sorted(numbers)
    pages = [json.loads(r.parameters["REQUEST"])["page"] for r in services.asked("mast")]
    assert pages == [1, 2, 3]


def test_many_positions_are_asked_for_in_parts(services, monkeypatch):
    monkeypatch.setattr(tic, "POSITIONS_AT_ONCE", 2)
    ra, dec = np.transpose([(star["ra"], star["dec"]) for star in services.mast.tic[:5]])
    seen = []
    table = near(services, ra, dec, 0.5, progress=lambda done, total: seen.append((done, total)))
    assert set(table["index"].to_pylist()) == {0, 1, 2, 3, 4}
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]
    assert len(services.asked("mast")) == 3


def test_what_was_asked_before_a_failure_is_not_asked_again(services, monkeypatch, tmp_path):
    monkeypatch.setattr(tic, "POSITIONS_AT_ONCE", 1)
    ra, dec = np.transpose([(star["ra"], star["dec"]) for star in services.mast.tic[:4]])
    services.fail("mast", failures.broken(), times=None, after=3)
    with pytest.raises(ArchiveError, match="500"):
        near(services, ra, dec, 0.5, cache=tmp_path)
    assert len(list(tmp_path.glob("tic-*.parquet"))) == 3
    services.heal()
    before = len(services.asked("mast"))
    again = near(services, ra, dec, 0.5, cache=tmp_path)
    assert len(services.asked("mast")) == before + 1
    assert again.equals(near(services, ra, dec, 0.5))


def test_numbers_and_positions_are_kept_apart(services, tmp_path):
    by_id(services, [TAU_CET], cache=tmp_path)
    near(services, *place(services, TAU_CET), 1.0, cache=tmp_path)
    near(services, *place(services, TAU_CET), 2.0, cache=tmp_path)
    assert len(list(tmp_path.glob("tic-*.parquet"))) == 3


def test_an_empty_answer_is_a_table_without_rows(services):
    assert near(services, 10.0, 80.0, 1.0).schema.equals(tic.NEIGHBOURS)
    services.fail("mast", failures.empty())
    table = by_id(services, [TAU_CET])
    assert len(table) == 0 and table.schema.equals(tic.STARS)
    assert by_id(services, []).num_rows == 0


@pytest.mark.parametrize("failure", [failures.cut(0.5), failures.malformed(), failures.busy(0)])
def test_an_answer_that_breaks_off_is_asked_for_again(services, failure):
    services.fail("mast", failure, times=2)
    assert by_id(services, [TAU_CET]).num_rows == 1


def replaced(content):
    """Another content of the answer."""
    return lambda request, answer: Answer.json(content)


def changed(column, value):
    """Another value of a column in each row."""

    def change(request, answer):
        content = json.loads(answer.body)
        content["data"] = [row | {column: value} for row in content["data"]]
        return Answer.json(content)

    return change


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (failures.busy(0), "429"),
        (failures.unavailable(), "503"),
        (failures.dropped(), "gives no answer"),
        (failures.cut(0.5), "breaks off"),
        (failures.malformed(), "breaks off"),
        (failures.web_page(), "web page"),
        (failures.renamed("Teff", "teff_k"), "MAST sends no column Teff; it sends .*teff_k"),
        (failures.without("logg"), "MAST sends no column logg"),
        (changed("Teff", "hot"), "MAST sends Teff with values that are no numbers"),
        (
            replaced({"status": "ERROR", "msg": "Too many.\n"}),
            "MAST refuses the question: Too many",
        ),
        (replaced({"status": "COMPLETE"}), "an answer without fields and data"),
        (replaced(["COMPLETE"]), "cannot be read"),
    ],
)
def test_failures_are_told_in_one_sentence_and_nothing_is_kept(services, tmp_path, failure, reason):
    services.fail("mast", failure, times=None)
    with pytest.raises(ArchiveError, match=reason) as caught:
        by_id(services, [TAU_CET], cache=tmp_path)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert list(tmp_path.iterdir()) == []


def test_a_changed_column_of_positions_is_told_of(services):
    services.fail("mast", failures.renamed("MatchRA", "matchRa"))
    with pytest.raises(ArchiveError, match="MAST sends no column MatchRA"):
        near(services, *place(services, TAU_CET), 1.0)
