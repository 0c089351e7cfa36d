"""SIMBAD: stars by name and by position, velocities, and what fails."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from stand_in import failures

from maury.archive import simbad
from maury.archive.services import Services
from maury.errors import ArchiveError, TargetError

BETWEEN = (219.899, -60.8357)  # alf Cen A and B, 17 arcsec apart


def resolve(services, names, **options):
    return simbad.resolve(names, services=services.services, session=services.session, **options)


def near(services, ra, dec, radius, **options):
    return simbad.near(
        ra, dec, radius, services=services.services, session=services.session, **options
    )


def add(services, identifiers, ra, dec, **values):
    """One more object; the first identifier is the main one."""
    oid = len(services.simbad.basic) + 1
    row = dict.fromkeys(services.simbad.basic[0]) | {"otype": "*"}
    services.simbad.basic.append(
        row | {"oid": oid, "main_id": identifiers[0], "ra": ra, "dec": dec} | values
    )
    services.simbad.ident += [{"oidref": oid, "id": name} for name in identifiers]
    services.simbad.ids.append({"oidref": oid, "ids": "|".join(identifiers)})


def test_names_as_observers_write_them_are_found_in_their_order(services):
    names = [
        "HD_128621",
        "alpha Cen B",
        "SKY",
        "Gl581",
        "no such star",
        "PROXIMA CENTAURI",
        "Gl581",
    ]
    table = resolve(services, names)
    assert table.schema.equals(simbad.STARS, check_metadata=True)
    assert table["name"].to_pylist() == ["HD_128621", "alpha Cen B", "Gl581", "PROXIMA CENTAURI"]
    assert table["main_id"].to_pylist() == [
        *["* alf Cen B"] * 2,
        "BD-07 4003",
        "NAME Proxima Centauri",
    ]


def test_components_are_kept_apart(services):
    table = resolve(services, ["HD 128620", "HD 128621", "alf Cen A", "GJ 559 B"])
    assert table["hd"].to_pylist() == ["128620", "128621", "128620", "128621"]
    assert table["tic"].to_pylist() == [471011145, 471011144, 471011145, 471011144]


def test_numbers_of_catalogues_are_read_from_the_identifiers(services):
    star = resolve(services, ["tau Ceti"]).to_pylist()[0]
    assert (star["hd"], star["hip"], star["tic"]) == ("10700", "8102", 419015728)
    assert star["gaia_dr3"] == 2452378776434477184
    assert "HR 509" in star["other_ids"] and "HR   509" not in star["other_ids"]
    other = resolve(services, ["Gl581"]).to_pylist()[0]
    assert other["hd"] is None


def test_the_number_of_a_star_goes_before_that_of_a_part_of_it(services):
    add(services, ["* 70 Oph", "HD 165341B", "HD 165341", "HD 165341A"], 271.36, 2.5)
    assert resolve(services, ["70 Oph"])["hd"].to_pylist() == ["165341"]


def test_what_is_not_known_is_null(services):
    add(services, ["HD 1"], 1.0, 67.8)
    star = resolve(services, ["HD 1"]).to_pylist()[0]
    missing = (
        "pmra",
        "pmdec",
        "parallax",
        "rv",
        "rv_error",
        "rv_bibcode",
        "tic",
        "hip",
        "gaia_dr3",
    )
    assert [star[name] for name in missing] == [None] * len(missing)


def test_a_name_that_means_several_objects_is_left_out(services):
    add(services, ["V* L Car"], 146.3, -62.5)
    add(services, ["* l Car"], 146.4, -62.5)
    add(services, ["V* S Mus"], 183.2, -70.1)
    assert resolve(services, ["L-CAR", "S Mus"])["name"].to_pylist() == ["S Mus"]


def test_names_with_quotes_are_asked_for_as_they_are(services):
    add(services, ["NAME Barnard's star"], 269.45, 4.69)
    assert resolve(services, ["Barnard's star"])["main_id"].to_pylist() == ["NAME Barnard's star"]


def test_no_names_need_no_question(services):
    table = resolve(services, ["SKY", "LAMP", ""])
    assert len(table) == 0 and table.schema.equals(simbad.STARS)
    assert services.asked("simbad_tap") == []


def test_velocities_follow_from_what_was_published():
    # By hand: 1.001^2 = 1.002001, so v = c 0.002001 / 2.002001 = 0.0009995 c.
    rv, error = simbad.velocity([-22.6, 9.0, 9.0], [0.0, 1e-3, 1e-3], [0.1, 1.0, 1.0], "vzc")
    assert rv[0] == -22.6
    np.testing.assert_allclose(rv[1:], 299_792.458 * 0.002001 / 2.002001, rtol=1e-12)
    np.testing.assert_allclose(error, [0.1, np.nan, 1 - 1e-3], atol=2e-6)


@pytest.mark.parametrize("redshift", [-0.001, 0.0, 1e-5, 0.158339, 2.0])
def test_redshifts_become_velocities_as_in_astropy(redshift):
    theirs = (redshift * u.dimensionless_unscaled).to_value(u.km / u.s, u.doppler_redshift())
    rv, _ = simbad.velocity([np.nan], [redshift], [np.nan], ["z"])
    np.testing.assert_allclose(rv, [theirs], rtol=1e-9, atol=1e-9)


def test_the_error_of_cz_is_that_of_the_velocity_it_becomes():
    shift = np.array([0.15, 0.15 + 1e-7])
    rv, error = simbad.velocity([np.nan] * 2, shift, [1e-7 * simbad.LIGHT] * 2, ["c", "c"])
    np.testing.assert_allclose(error[0], rv[1] - rv[0], rtol=1e-5)


def test_a_velocity_that_is_not_known_has_no_error():
    rv, error = simbad.velocity([np.nan, 1.0], [np.nan, np.nan], [0.1, 0.1], [None, "z"])
    assert np.isnan(rv).all() and np.isnan(error).all()


def test_velocities_come_with_their_source(services):
    velocity, redshift = resolve(services, ["HD 10700", "WASP-14"]).to_pylist()
    assert (velocity["rv"], velocity["rv_error"]) == (-16.6, 0.01)
    assert redshift["rv"] == pytest.approx(-4.99, abs=1e-3) and redshift["rv_error"] is None
    assert velocity["rv_bibcode"] == "2018A&A...616A...7S"


def test_all_stars_near_a_position_come_and_the_nearest_first(services):
    table = near(services, [0.0, BETWEEN[0]], [0.0, BETWEEN[1]], 30.0)
    assert table.schema.equals(simbad.NEIGHBOURS, check_metadata=True)
    assert table["index"].to_pylist() == [1, 1]
    assert set(table["main_id"].to_pylist()) == {"* alf Cen A", "* alf Cen B"}
    stars = SkyCoord(table["ra"].to_numpy(), table["dec"].to_numpy(), unit="deg")
    theirs = SkyCoord(*BETWEEN, unit="deg").separation(stars).arcsec
    np.testing.assert_allclose(table["separation"].to_numpy(), theirs, rtol=1e-6)
    assert theirs[0] < theirs[1]


def test_a_position_that_is_asked_twice_is_answered_twice(services):
    table = near(services, [BETWEEN[0]] * 2, [BETWEEN[1]] * 2, 12.0)
    assert table["index"].to_pylist() == [0, 0, 1, 1]


def test_stars_beyond_the_radius_and_planets_are_left_out(services):
    add(services, ["alf Cen B b"], 219.896096, -60.837528, otype="Pl")
    assert near(services, *BETWEEN, 8.4)["main_id"].to_pylist() == ["* alf Cen A", "* alf Cen B"]
    assert near(services, *BETWEEN, 8.2)["main_id"].to_pylist() == ["* alf Cen A"]


def test_the_sky_has_no_edge_at_zero_hours(services):
    add(services, ["HD 2"], 0.0003, 10.0)
    table = near(services, [359.9999, -0.0001], [10.0, 10.0], 5.0)
    assert table["main_id"].to_pylist() == ["HD 2", "HD 2"]


def test_an_empty_answer_is_a_table_without_rows(services):
    table = near(services, 10.0, 80.0, 1.0)
    assert len(table) == 0 and table.schema.equals(simbad.NEIGHBOURS)


@pytest.mark.parametrize(
    ("ra", "dec", "reason"),
    [
        ([10.0, np.nan], [0.0, 0.0], r"Position 1 \(nan, 0.0\) is none"),
        ([10.0], [91.0], r"Position 0 \(10.0, 91.0\) is none"),
        ([10.0, 20.0], [0.0], "as many, not 2 and 1"),
    ],
)
def test_positions_that_are_none_are_refused(services, ra, dec, reason):
    with pytest.raises(ArchiveError, match=reason):
        near(services, ra, dec, 5.0)
    assert services.asked("simbad_tap") == []


def test_many_positions_are_asked_for_in_parts(services, monkeypatch):
    monkeypatch.setattr(simbad, "POSITIONS_AT_ONCE", 2)
    stars, seen = services.simbad.basic[:5], []
    ra, dec = ([star[name] for star in stars] for name in ("ra", "dec"))
    table = near(services, ra, dec, 1.0, progress=lambda done, total: seen.append((done, total)))
    assert table["index"].to_pylist() == [0, 1, 2, 3, 4]
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]
    assert len(services.asked("simbad_tap")) == 3


def test_kept_answers_are_not_asked_for_again(services, tmp_path):
    first = resolve(services, ["HD 10700", "Gl581"], cache=tmp_path / "kept")
    assert resolve(services, ["Gl581", "HD 10700"], cache=tmp_path / "kept").num_rows == 2
    assert len(services.asked("simbad_tap")) == 1
    assert resolve(services, ["HD 10700", "Gl581"], cache=tmp_path / "kept").equals(first)
    resolve(services, ["HD 10700"], cache=tmp_path / "kept")
    assert len(services.asked("simbad_tap")) == 2


def test_a_damaged_kept_answer_is_asked_for_again(services, tmp_path):
    first = resolve(services, ["HD 10700"], cache=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert resolve(services, ["HD 10700"], cache=tmp_path).equals(first)
    assert len(services.asked("simbad_tap")) == 2


def test_what_was_asked_before_a_failure_is_kept(services, tmp_path, monkeypatch):
    monkeypatch.setattr(simbad, "POSITIONS_AT_ONCE", 1)
    stars = services.simbad.basic[:3]
    ra, dec = ([star[name] for star in stars] for name in ("ra", "dec"))
    services.fail("simbad_tap", failures.web_page(), times=None, after=2)
    with pytest.raises(ArchiveError):
        near(services, ra, dec, 1.0, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    services.heal()
    before = len(services.asked("simbad_tap"))
    assert near(services, ra, dec, 1.0, cache=tmp_path)["index"].to_pylist() == [0, 1, 2]
    assert len(services.asked("simbad_tap")) == before + 1


def test_answers_that_cannot_be_kept_are_told_of(services, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match=r"file.* cannot be written"):
        resolve(services, ["HD 10700"], cache=tmp_path / "file" / "kept")


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (failures.busy(0), "429"),
        (failures.unavailable(), "503"),
        (failures.cut(0.3), "breaks off"),
        (failures.web_page(), "web page"),
        (failures.renamed("rvz_radvel", "radvel"), "SIMBAD sends no column rvz_radvel"),
        (failures.unit("pmra", "arcsec/yr"), "SIMBAD sends pmra in arcsec / yr"),
        (failures.tap_error("Too many rows in TAP_UPLOAD."), "Too many rows in TAP_UPLOAD"),
    ],
)
def test_failures_are_told_in_one_sentence_and_nothing_is_kept(services, tmp_path, failure, reason):
    services.fail("simbad_tap", failure, times=None)
    for ask in (
        lambda: resolve(services, ["HD 10700"], cache=tmp_path),
        lambda: near(services, *BETWEEN, 5.0, cache=tmp_path),
    ):
        with pytest.raises(ArchiveError, match=reason) as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_answer_to_names_leaves_them_all_out(services):
    services.fail("simbad_tap", failures.empty())
    assert resolve(services, ["HD 10700"]).num_rows == 0


def test_a_service_that_is_not_there_is_told_of(services):
    nowhere = Services(simbad_tap="http://127.0.0.1:9/simbad/sim-tap")
    with pytest.raises(ArchiveError, match=r"127\.0\.0\.1:9 gives no answer"):
        simbad.resolve(["HD 1"], services=nowhere, session=services.session)
