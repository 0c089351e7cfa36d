"""ESO's archive is asked for what is meant, and its answers are whole or an error."""

from __future__ import annotations

import math

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import failures

from maury.archive import eso, manifest
from maury.archive.eso import Box, Cone, Query, QuestionError
from maury.errors import ArchiveError

BARNARD = SkyCoord(
    269.452077 * u.deg,
    4.693391 * u.deg,
    pm_ra_cosdec=-801.55 * u.mas / u.yr,
    pm_dec=10362.39 * u.mas / u.yr,
    obstime=Time("J2000"),
    distance=1.8 * u.pc,
)


def search(services, limit=None, **asked):
    query = Query(instrument=asked.pop("instrument", "HARPS"), **asked)
    return eso.search(query, services.services, services.session, limit=limit)


def test_all_public_spectra_of_an_instrument_are_found(services):
    table = search(services)
    rows = [row for row in services.eso.rows() if row["obs_collection"] == "HARPS"]
    assert table.schema.equals(manifest.MANIFEST)
    assert len(table) == len(rows) - 1 == 52
    assert table["dp_id"].to_pylist() == sorted(table["dp_id"].to_pylist())
    assert set(table["status"].to_pylist()) == {"listed"}


def test_columns_are_the_archives_in_our_units(services):
    row = search(services, limit=1).to_pylist()[0]
    sent = next(r for r in services.eso.rows() if r["dp_id"] == row["dp_id"])
    assert row["object"] == sent["target_name"]
    assert (row["ra"], row["dec"]) == (sent["s_ra"], sent["s_dec"])
    assert row["first"] == pytest.approx(3781.6, abs=1e-6)
    assert row["last"] == pytest.approx(6912.5, abs=1e-6)
    assert row["estimated_bytes"] == 1000 * sent["access_estsize"]
    assert row["url"] == f"{services.services.eso_files}/{row['dp_id']}"
    assert row["programme"] == sent["proposal_id"]
    assert row["resolving_power"] == 115_000


@pytest.mark.parametrize("instrument", ["harps", "FEROS", "Uves", "ESPRESSO"])
def test_an_instrument_is_known_in_any_case(services, instrument):
    found = search(services, instrument=instrument, public=False)
    assert set(found["collection"].to_pylist()) == {instrument.upper()}


@pytest.mark.parametrize("page", [5, 26, 52, 53])
def test_pages_leave_nothing_out_and_repeat_nothing(services, monkeypatch, page):
    whole = search(services)
    monkeypatch.setattr(eso, "PAGE", page)
    assert search(services).equals(whole)


def test_a_service_that_cuts_its_answers_off_is_asked_for_the_rest(services):
    whole = search(services)
    services.eso.tap.most = 10
    assert search(services).equals(whole)


def test_a_service_that_says_there_is_more_without_sending_any_is_not_asked_for_ever(services):
    services.eso.tap.most = 0
    with pytest.raises(ArchiveError, match="tells of more rows, but sends none"):
        search(services)


def test_a_limit_takes_the_first(services):
    assert search(services, limit=5).equals(search(services).slice(0, 5))


def test_proprietary_spectra_are_left_out_unless_asked_for(services):
    every, public = search(services, public=False), search(services)
    hidden = set(every["dp_id"].to_pylist()) - set(public["dp_id"].to_pylist())
    dates = dict(zip(every["dp_id"].to_pylist(), every["release_date"].to_pylist(), strict=True))
    assert [dates[one] for one in hidden] == ["2099-01-01T00:00:00.000Z"]


def test_dates_are_whole_days_and_moments_are_moments(services):
    every = search(services)
    mjd = np.sort(every["mjd_start"].to_numpy())
    start, end = (Time(value, format="mjd", scale="utc") for value in mjd[[3, 10]])
    days = search(services, start=start.isot[:10], end=end.isot[:10])["mjd_start"].to_numpy()
    assert days.min() >= math.floor(mjd[3]) and days.max() < math.floor(mjd[10]) + 1
    assert {mjd[3], mjd[10]} <= set(days)
    moments = search(services, start=(start + 1 * u.s).isot, end=end.isot[:19])
    found = moments["mjd_start"].to_numpy()
    assert found.min() == mjd[4] and found.max() < mjd[10]


def test_signal_to_noise_has_limits(services):
    snr = search(services, snr_min=100, snr_max=200)["snr"].to_numpy()
    every = search(services)["snr"].to_numpy()
    assert len(snr) == np.sum((every >= 100) & (every <= 200)) > 0


def test_a_programme_has_all_its_runs_but_no_programme_that_begins_so(services):
    rows = [row for row in services.eso.products if row["obs_collection"] == "HARPS"]
    ids = ["072.C-0488(E)", "072.C-0488(F)", "072.C-04881(A)", "108.22KV.001", "072.C-0488"]
    for row, programme in zip(rows, ids, strict=False):
        row["proposal_id"] = programme

    def found(programme):
        return sorted(search(services, programme=programme)["programme"].to_pylist())

    assert found("072.C-0488") == ["072.C-0488", "072.C-0488(E)", "072.C-0488(F)"]
    assert found("072.C-0488(E)") == ["072.C-0488(E)"]
    assert found("108.22KV") == ["108.22KV.001"]


def test_a_box_may_go_over_the_origin_of_right_ascension(services):
    rows = [row for row in services.eso.products if row["obs_collection"] == "HARPS"]
    for row, ra in zip(rows, (359.5, 0.2, 1.5, 358.0), strict=False):
        row["s_ra"], row["s_dec"] = ra, 80.0
    found = search(services, box=Box(359.0, 1.0, 79.0, 81.0))["ra"].to_pylist()
    assert sorted(found) == [0.2, 359.5]


def test_a_star_is_found_by_its_cone_and_its_neighbours_are_not(services):
    star = next(star for star in services_stars() if star.main_id == "HD  69830")
    cone = Cone.of_star(star.ra, star.dec, star.pmra, star.pmdec, 30.0, 2026.0)
    found = search(services, cones=[cone])
    names = set(found["object"].to_pylist())
    # One of its four spectra bears another star's name.
    assert len(found) == 4 and names == {"HD69830", "HD40307"}


def test_spectra_within_two_cones_are_found_once(services):
    a, b = services_stars()[:2]
    cones = [Cone.of_star(s.ra, s.dec, s.pmra, s.pmdec, 60.0, 2026.0) for s in (a, b)]
    ids = search(services, cones=cones)["dp_id"].to_pylist()
    assert len(ids) == len(set(ids)) == 9


def test_a_thousand_stars_are_asked_for_in_chunks(services):
    stars = services_stars()
    cones = [Cone(float(ra), 85.0, 30.0) for ra in np.linspace(0, 359, 1000 - len(stars))]
    cones += [Cone.of_star(s.ra, s.dec, s.pmra, s.pmdec, 30.0, 2026.0) for s in stars]
    found = search(services, cones=cones)
    assert found.equals(search(services))
    assert len([r for r in services.asked("eso_tap") if " OR " in r.parameters["QUERY"]]) == 20


def test_no_stars_are_no_question(services):
    assert len(search(services, cones=[])) == 0
    assert services.asked("eso_tap") == []


@pytest.mark.parametrize("year", [2000.0, 2003.8, 2013.0, 2020.2, 2026.0])
def test_a_cone_holds_a_fast_star_at_every_epoch(year):
    cone = Cone.of_star(BARNARD.ra.deg, BARNARD.dec.deg, -801.55, 10362.39, 30.0, 2026.0)
    then = BARNARD.apply_space_motion(new_obstime=Time(f"J{year}"))
    pointed = then.directional_offset_by(np.linspace(0, 360, 24) * u.deg, 29.9 * u.arcsec)
    assert cone.holds(pointed.ra.deg, pointed.dec.deg).all()
    assert cone.radius < 30 + 10.5 * 13.1


def test_a_star_without_a_proper_motion_has_a_plain_circle():
    cone = Cone.of_star(10.0, -20.0, math.nan, math.nan, 30.0, 2026.0)
    assert (cone.ra, cone.dec, cone.radius) == (10.0, -20.0, 30.0)


@settings(max_examples=100, deadline=None)
@given(
    st.floats(0, 359.999),
    st.floats(-90, 90),
    st.floats(1, 7200),
    st.floats(0, 360),
    st.floats(0, 0.9999),
)
def test_a_box_holds_its_cone_by_astropy(ra, dec, radius, angle, part):
    centre = SkyCoord(ra * u.deg, dec * u.deg)
    inside = centre.directional_offset_by(angle * u.deg, part * radius * u.arcsec)
    cone = Cone(ra, dec, radius)
    assert cone.holds(np.array([inside.ra.deg]), np.array([inside.dec.deg])).all()
    box = cone.box()
    slack = 1e-9
    assert box.south - slack <= inside.dec.deg <= box.north + slack
    west, east, place = box.west - slack, box.east + slack, inside.ra.deg
    at_pole = abs(abs(inside.dec.deg) - 90) < 1e-6
    assert at_pole or (west <= place <= east if west <= east else place >= west or place <= east)


def test_what_is_outside_a_cone_but_in_its_box_is_cut_off(services):
    row = next(row for row in services.eso.products if row["obs_collection"] == "HARPS")
    row["s_ra"], row["s_dec"] = 10.0 + 29 / 3600, 29 / 3600
    assert len(search(services, cones=[Cone(10.0, 0.0, 30.0)])) == 0
    assert len(search(services, cones=[Cone(10.0, 0.0, 42.0)])) == 1


@pytest.mark.parametrize("limit", [None, 4])
def test_counting_agrees_with_searching(services, limit):
    stars = services_stars()
    cones = [Cone.of_star(s.ra, s.dec, s.pmra, s.pmdec, 30.0, 2026.0) for s in stars[:3]]
    for asked in ({}, {"snr_min": 150.0}, {"cones": cones}):
        found = search(services, limit, **asked)
        query = Query(instrument="HARPS", **asked)
        counted = eso.count(query, services.services, services.session, limit=limit)
        assert counted.products == len(found)
        assert counted.targets == len(set(found["object"].to_pylist()))
        assert counted.bytes == sum(found["estimated_bytes"].to_pylist())


def test_counting_nothing_is_zero(services):
    query = Query(instrument="HARPS", snr_min=1e6)
    assert eso.count(query, services.services, services.session) == eso.Count(0, 0, 0)


def test_the_archive_is_counted_by_one_question(services):
    eso.count(Query(instrument="HARPS"), services.services, services.session)
    assert len(services.asked("eso_tap")) == 1


def test_nothing_found_is_an_empty_manifest(services):
    table = search(services, snr_min=1e6)
    assert len(table) == 0 and table.schema.equals(manifest.MANIFEST)


def test_what_the_archive_does_not_know_is_missing(services):
    for row in services.eso.products:
        row.update(snr=None, target_name=None, em_res_power=None, access_estsize=5)
    for name in ("snr", "object", "resolving_power"):
        assert search(services)[name].null_count == 52


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (failures.web_page(), "web page"),
        (failures.malformed(), "breaks off or"),
        (failures.unavailable(), "503"),
        (failures.busy(0), "429"),
        (failures.dropped(), "gives no answer"),
        (failures.tap_error("The request timed out"), "The request timed out"),
        (failures.late_error(), "took too long"),
        (failures.without("em_min"), "em_min"),
        (failures.renamed("s_ra", "ra"), "s_ra"),
        (failures.unit("em_min", "nm"), "em_min in nm"),
        (failures.unit("access_estsize", "Mbyte"), "access_estsize in Mbyte"),
    ],
)
def test_a_failure_is_a_sentence_that_names_the_service(services, failure, told):
    services.fail("eso_tap", failure, times=None)
    with pytest.raises(ArchiveError) as error:
        search(services)
    sentence = str(error.value)
    assert told in sentence
    assert "ESO" in sentence or "127.0.0.1" in sentence
    assert sentence.endswith(".") and "\n" not in sentence


@pytest.mark.parametrize("failure", [failures.busy(0), failures.unavailable(), failures.cut(0.5)])
def test_a_passing_failure_costs_nothing(services, failure):
    whole = search(services)
    services.fail("eso_tap", failure, times=2)
    assert search(services).equals(whole)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"instrument": "HARPS-N"}, "'HARPS-N'.*HARPS, FEROS, UVES, ESPRESSO"),
        ({"instrument": "x' OR 1=1 --"}, "not asked for"),
        ({"snr_min": 100, "snr_max": 50}, "100 to 50"),
        ({"snr_min": math.nan}, "nan"),
        ({"programme": "x' OR 'a'='a"}, "no observing programme"),
        ({"programme": "072%"}, "no observing programme"),
        ({"start": "2005-31-07"}, "no date"),
        ({"start": "2010-01-02", "end": "2010-01-01"}, "No night"),
    ],
)
def test_impossible_limits_are_refused_before_anything_is_asked(asked, told):
    with pytest.raises(QuestionError, match=told) as error:
        Query(**{"instrument": "HARPS"} | asked)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("box", [(0, 10, 5, 5), (-1, 10, 0, 5), (0, 400, 0, 5), (0, 1, -91, 0)])
def test_a_box_that_is_none_is_refused(box):
    with pytest.raises(QuestionError, match="There is no box"):
        Box(*map(float, box))


@settings(max_examples=50)
@given(st.text(max_size=40) | st.from_regex(r"[\w.'()%-]{3,30}", fullmatch=True))
def test_a_text_never_leaves_its_quotes(text):
    try:
        query = Query(instrument="HARPS", programme=text)
    except QuestionError:
        return
    condition = query.conditions()[0]
    assert condition.count("'") % 2 == 0
    outside = "".join(condition.split("'")[::2])
    assert text not in outside


@settings(max_examples=100)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_written_to_the_last_digit(value):
    condition = Query(instrument="HARPS", snr_min=value, public=False).conditions()[0]
    assert float(condition.rsplit(" ", 1)[1]) == value


def services_stars():
    from stand_in.stars import STARS

    return STARS
