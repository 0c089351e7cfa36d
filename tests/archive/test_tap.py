"""Questions to TAP services: whole answers, or one sentence that says why there is none."""

from __future__ import annotations

import pytest
from astropy.table import Table
from stand_in import failures

from maury.archive import tap
from maury.errors import ArchiveError

STARS = "SELECT main_id, ra, dec FROM basic ORDER BY ra"
COLUMNS = {"main_id": None, "ra": "deg", "dec": "deg"}


def ask(services, adql=STARS, **options):
    return tap.query(
        services.services.simbad_tap,
        adql,
        session=services.session,
        service_name="SIMBAD",
        **{"columns": COLUMNS, **options},
    )


def sentence(services, **options) -> str:
    """What the failed question says, which is one sentence."""
    with pytest.raises(ArchiveError) as caught:
        ask(services, **options)
    text = str(caught.value)
    assert "\n" not in text and "<" not in text and text.endswith(".")
    return text


def test_rows_come_with_their_units(services):
    table = ask(services)
    assert len(table) == len(services.simbad.basic)
    assert table["ra"].unit == "deg"
    assert table.meta["overflow"] is False
    assert list(table["ra"]) == sorted(star["ra"] for star in services.simbad.basic)


def test_uploaded_texts_arrive_as_they_are(services):
    names = ["it's", 'a "quote"', "naïve", "a & b < c", "* alf Cen B"]
    adql = "SELECT asked.text AS text FROM TAP_UPLOAD.asked AS asked"
    table = ask(services, adql, uploads={"asked": Table({"text": names})}, columns={"text": None})
    assert list(table["text"]) == names


def test_a_quote_in_a_text_of_a_question_does_not_end_it(services):
    star = "Barnard's star"
    adql = f"SELECT '{tap.escape(star)}' AS text FROM basic"
    assert ask(services, adql, columns={"text": None})["text"][0] == star


def test_an_empty_answer_has_columns_and_no_rows(services):
    table = ask(services, "SELECT main_id, ra, dec FROM basic WHERE ra < 0")
    assert len(table) == 0 and table.colnames == list(COLUMNS)


def test_an_answer_that_is_cut_off_is_an_error_unless_it_is_allowed(services):
    assert "only the first 3 rows" in sentence(services, maxrec=3)
    table = ask(services, maxrec=3, allow_overflow=True)
    assert len(table) == 3 and table.meta["overflow"] is True


@pytest.mark.parametrize("failure", [failures.busy(0), failures.unavailable(), failures.dropped()])
def test_a_busy_service_is_asked_again(services, failure):
    services.fail("simbad_tap", failure, times=2)
    assert len(ask(services)) == len(services.simbad.basic)
    assert len(services.asked("simbad_tap")) == 3


@pytest.mark.parametrize("failure", [failures.cut(0.5), failures.malformed()])
def test_an_answer_that_breaks_off_is_asked_for_again(services, failure):
    services.fail("simbad_tap", failure, times=2)
    assert len(ask(services)) == len(services.simbad.basic)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (failures.busy(0), "429"),
        (failures.unavailable(), "503"),
        (failures.broken(), "500"),
        (failures.dropped(), "gives no answer"),
        (failures.cut(0.5), "breaks off"),
        (failures.malformed(), "breaks off"),
        (failures.web_page(), "a web page instead"),
        (failures.refused(403), "403"),
        (failures.tap_error("The database is not reachable."), "The database is not reachable"),
        (failures.tap_error("Too many jobs.", 503), "Too many jobs"),
        (failures.late_error("The query took too long."), "The query took too long"),
        (failures.renamed("ra", "ra_deg"), "no column ra; it sends main_id, ra_deg, dec"),
        (failures.without("dec"), "no column dec"),
        (failures.unit("ra", "rad"), "sends ra in rad, where deg is expected"),
    ],
)
def test_a_failure_is_told_in_one_sentence(services, failure, reason):
    services.fail("simbad_tap", failure, times=None)
    assert reason in sentence(services)


def test_a_wrong_question_is_told_with_what_the_service_says_of_it(services):
    text = sentence(services, adql="SELECT nonsense FROM basic")
    assert text.startswith("SIMBAD refuses the question:") and "nonsense" in text
