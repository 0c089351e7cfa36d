"""From a manifest to a catalogue: by services and by tables, with what they disagree about."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from stand_in import failures
from stand_in.stars import STARS

from maury.archive import manifest
from maury.archive.benchmark import Archive, bench_archive, plan
from maury.archive.catalogue import CATALOGUE, Catalogue, build
from maury.archive.sources import Asking
from maury.errors import ArchiveError, MauryError, TargetError

MOST_BERV = 1e-3  # km/s


def listed(*rows) -> pa.Table:
    """A manifest of what these tell."""
    common = {"instrument": "HARPS", "status": "listed"}
    full = [
        {**common, "dp_id": f"ADP.2014-09-16T11:{i // 60:02d}:{i % 60:02d}.000", **row}
        for i, row in enumerate(rows)
    ]
    return manifest.check(pa.Table.from_pylist(full, manifest.MANIFEST), "rows")


def exposure(name, ra=10.0, dec=-30.0, mjd=55100.1, **more):
    return {"object": name, "ra": ra, "dec": dec, "mjd_start": mjd, "mjd_end": mjd + 0.01, **more}


@pytest.fixture
def products(services) -> pa.Table:
    """What the archive of the stand-in lists."""
    names = {
        "dp_id": "dp_id",
        "instrument": "instrument_name",
        "object": "target_name",
        "ra": "s_ra",
        "dec": "s_dec",
        "mjd_start": "t_min",
        "mjd_end": "t_max",
        "exposure": "t_exptime",
    }
    services.mast.busy = 0
    return listed(
        *({key: row[name] for key, name in names.items()} for row in services.eso.products)
    )


@pytest.fixture
def asking(services) -> Asking:
    return Asking(services.services, services.session)


def csv_file(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def same(one: pa.Table, other: pa.Table) -> bool:
    """Whether two tables have the same rows, NaN being equal to NaN."""
    return repr(one.to_pylist()) == repr(other.to_pylist())


def rows_of(catalogue, star):
    return [row for row in catalogue.table.to_pylist() if row["star"] == star]


def test_services_label_the_stars_in_order_of_trust(products, asking):
    built = build(products, ["sweetcat", "tic", "simbad"], asking=asking)
    assert built.table.schema.names == CATALOGUE.names
    assert built.facts["spectra"] == {"listed": 60, "kept": 60}
    first = rows_of(built, "HD 189733")[0]
    # Teff of SWEET-Cat, though the TESS Input Catalog has another.
    assert (first["teff"], first["teff_source"]) == (4969.0, "SWEET-Cat, row 4 (HD 189733)")
    assert (first["rv"], first["tic"], first["match"]) == (-2.2, 256364928, "name+position")
    assert first["rv_source"].startswith("SIMBAD, HD 189733, rv of ")
    # SWEET-Cat of the stand-in has no alpha Centauri B.
    second = rows_of(built, "HD 128621")
    assert {row["object"] for row in second} == {"HD128621", "ALPHACENB"}
    assert {row["teff_source"] for row in second} == {"TIC 471011144"}
    assert {row["star"] for row in built.table.to_pylist() if row["object"] == "HD128620"} == {
        "HD 128620"
    }


def test_the_spectrum_with_another_stars_name_has_no_labels(products, asking):
    built = build(products, ["tic", "simbad"], asking=asking)
    (foreign,) = rows_of(built, "HD 40307 (2)")
    assert np.isnan([foreign[name] for name in ("teff", "logg", "mh", "rv")]).all()
    assert foreign["flags"] == ["conflict"] and foreign["match"] is None
    told = [each for each in built.conflicts.to_pylist() if each["star"] == "HD 40307 (2)"]
    assert "name-or-position" in {each["kind"] for each in told}
    assert not any(each["used"] for each in told)


def test_a_star_without_a_name_is_found_by_its_position_alone(services, asking):
    services.mast.busy = 0
    tau_cet = next(star for star in STARS if star.main_id == "* tau Cet")
    mjd = 58000.3
    table = listed(exposure("OBJECT", *tau_cet.position(mjd), mjd))
    for sources in (["tic", "simbad"], ["simbad", "tic"]):
        (row,) = build(table, sources, asking=asking, filters=False).table.to_pylist()
        # The double entry that MAST has of tau Ceti does not count.
        assert (row["star"], row["tic"]) == ("HD 10700", 419015728)
        assert (row["teff"], row["rv"], row["match"]) == (5310.0, -16.6, "position")
        assert row["separation"] < 0.1
    (row,) = build(table, ["sweetcat"], asking=asking, filters=False).table.to_pylist()
    # SWEET-Cat tells no motion, and tau Ceti has gone 34 arcsec since J2000.
    assert row["match"] is None and np.isnan(row["teff"])


def test_simbads_motions_help_to_find_stars_in_tables_without(services, asking):
    tau_cet = next(star for star in STARS if star.main_id == "* tau Cet")
    mjd = 51544.5 + 20 * 365.25
    table = listed(exposure("HD10700", *tau_cet.position(mjd), mjd))
    options = {"asking": asking, "filters": False, "radius": 10.0}
    alone = build(table, ["sweetcat"], **options)
    # 1.92 arcsec a year for 20 years, from a position that is 1.1 arcsec from SIMBAD's.
    assert alone.conflicts["kind"].to_pylist() == ["far"]
    assert alone.conflicts["separation"][0].as_py() == pytest.approx(38.4, abs=1.1)
    helped = build(table, ["sweetcat", "simbad"], **options)
    assert helped.conflicts.num_rows == 0 and helped.table["teff"].to_pylist() == [5295.0]


def test_answers_are_kept_and_not_asked_for_again(products, services, tmp_path):
    asking = Asking(services.services, services.session, cache=tmp_path / "answers")
    first = build(products, ["tic", "simbad"], asking=asking)
    services.fail("simbad_tap", failures.unavailable(), times=None)
    services.fail("mast", failures.unavailable(), times=None)
    assert same(build(products, ["tic", "simbad"], asking=asking).table, first.table)


def test_a_service_that_fails_is_named(products, services, asking):
    services.fail("simbad_tap", failures.web_page(), times=None)
    with pytest.raises(ArchiveError, match="web page"):
        build(products, ["simbad"], asking=asking)


def test_two_sources_that_disagree_leave_the_label_missing_unless_the_order_is_trusted(tmp_path):
    sources = [
        csv_file(tmp_path / "a.csv", "star,teff,teff_err,logg", "HD 1,5000,10,4.5"),
        csv_file(tmp_path / "b.csv", "star,teff,teff_err,logg,mh", "HD 1,5600,20,4.4,-0.1"),
    ]
    table = listed(exposure("HD1"))
    built = build(table, sources)
    (row,) = built.table.to_pylist()
    # 600 K is more than 250 K and three times their errors; 0.1 dex is within what methods differ.
    assert np.isnan(row["teff"]) and row["teff_source"] is None
    assert (row["logg"], row["mh"]) == (4.5, -0.1)
    (conflict,) = built.conflicts.to_pylist()
    assert conflict["reason"] == (
        "a.csv, row 1 (HD 1) has teff = 5000 K, b.csv, row 1 (HD 1) has 5600 K."
    )
    assert (conflict["value"], conflict["other_value"]) == (5000.0, 5600.0)
    trusting = build(table, sources, trust=["order"])
    assert trusting.table["teff"].to_pylist() == [5000.0]
    assert trusting.conflicts["used"].to_pylist() == [True]


def test_large_errors_allow_large_differences(tmp_path):
    first = csv_file(tmp_path / "a.csv", "star,teff,teff_err", "HD 1,5000,200")
    second = csv_file(tmp_path / "b.csv", "star,teff,teff_err", "HD 1,5600,150")
    assert build(listed(exposure("HD1")), [first, second]).conflicts.num_rows == 0


def test_filters_leave_out_what_is_outside_and_count_it(tmp_path):
    labels = csv_file(
        tmp_path / "a.csv",
        "star,teff,logg,mh",
        "HD 1,2999,4.5,0.0",
        "HD 2,3000,3.5,-1.2",
        "HD 3,11001,3.4,0.0",
        "HD 4,,,",
        "HD 5,5000,4.4,0.41",
    )
    places = [(10.0 + 5 * i, -29.0) for i in range(6)]
    table = listed(
        *(exposure(f"HD{i + 1}", *place, 55100.1) for i, place in enumerate(places)),
    )
    built = build(table, [labels])
    outside = {name: limits["outside"] for name, limits in built.facts["filters"].items()}
    assert outside == {"teff": 2, "mh": 1, "logg": 1, "airmass": 0}
    assert built.table["star"].to_pylist() == ["HD 2", "HD 4", "HD 6"]
    whole = build(table, [labels], filters=False)
    assert len(whole.table) == 6 and whole.facts["filters"] == {}
    # Four hours further east the star stands at an airmass near 3.7, then below the horizon.
    low = build(listed(exposure("HD9", 60.0, -29.0), exposure("HD9", 120.0, -29.0)), [labels])
    assert low.facts["filters"]["airmass"]["outside"] == 1
    assert low.table["flags"].to_pylist() == [["below-horizon"]]


def test_berv_and_airmass_are_those_of_astropy_at_the_middle_of_the_exposure(tmp_path):
    random = np.random.default_rng(1)
    ra, dec = random.uniform(0, 360, 40), random.uniform(-80, 20, 40)
    mjd = random.uniform(53000, 58900, 40)
    rows = [
        exposure(f"HD{i + 1}", ra[i], dec[i], mjd[i], instrument=("HARPS", "UVES")[i % 2])
        for i in range(40)
    ]
    labels = csv_file(tmp_path / "a.csv", "star,teff", "HD 99,5000")
    table = build(listed(*rows), [labels], filters=False).table
    time = Time(mjd + 0.005, format="mjd", scale="utc")
    star = SkyCoord(ra * u.deg, dec * u.deg)
    # La Silla by HARPS's headers, Paranal by those of UVES.
    sites = [(-70.7345, -29.2584, 2400.0), (-70.4048, -24.6272, 2648.0)]
    with iers.earth_orientation_table.set(iers.IERS_A.open(iers.IERS_A_FILE)):
        for first, (lon, lat, height) in enumerate(sites):
            part = slice(first, None, 2)
            site = EarthLocation.from_geodetic(lon, lat, height)
            full = star[part].radial_velocity_correction(obstime=time[part], location=site)
            altaz = star[part].transform_to(AltAz(obstime=time[part], location=site))
            # Pipelines leave out gravity and time dilation, 4.3 to 5.0 m/s.
            apart = full.to_value(u.km / u.s) - table["berv"].to_numpy()[part] - 4.65e-3
            assert np.abs(apart).max() < MOST_BERV
            up = altaz.alt.deg > 20
            found = table["airmass"].to_numpy()[part]
            np.testing.assert_allclose(found[up], altaz.secz.value[up], rtol=0.01)
            assert np.isnan(found[altaz.alt.deg < 0]).all()


def test_a_star_with_a_proper_motion_is_where_it_was_then(tmp_path):
    # Kapteyn's star: 8.67 arcsec a year, so 87 arcsec in ten years.
    labels = csv_file(
        tmp_path / "a.csv",
        "star,teff,ra,dec,pmra,pmdec",
        "HD 33793,3550,77.9191,-45.0184,6491,-5709",
    )
    table = listed(exposure("HD33793", 77.9446, -45.0343, 51544.5 + 3652.5 - 0.005))
    (row,) = build(table, [labels], filters=False).table.to_pylist()
    assert row["match"] == "name+position" and row["separation"] < 1.0
    assert row["dec"] == pytest.approx(-45.0184 - 57.09 / 3600, abs=1e-5)
    assert row["ra"] == pytest.approx(77.9191 + 64.91 / 3600 / np.cos(np.radians(45.03)), abs=2e-5)


def test_what_is_not_known_is_missing_and_flagged(tmp_path):
    labels = csv_file(tmp_path / "a.csv", "star,teff", "HD 1,5000")
    table = listed(
        exposure("HD1"),
        {"object": "HD1", "ra": 10.0, "dec": -30.0},
        exposure("HD1", None, None),
        exposure("HD1", instrument="ELODIE"),
        exposure("Moon"),
        exposure("OBJECT", 20.0),
        {**exposure("HD1"), "mjd_end": None, "exposure": 864.0},
    )
    rows = build(table, [labels], filters=False).table.to_pylist()
    assert [row["flags"] for row in rows] == [
        [], ["no-time"], ["no-time"], ["no-site"], ["no-star"], ["nameless"], [],
    ]  # fmt: skip
    assert [np.isnan(row["berv"]) for row in rows] == [False, True, True, True, False, False, False]
    assert rows[4]["star"] == "MOON" and np.isnan(rows[4]["teff"])
    # The end is missing: 864 s are 0.01 d, whose half is added.
    assert rows[6]["mjd"] == pytest.approx(55100.105)


def test_a_catalogue_is_written_whole_with_units_and_origins_and_read_again(tmp_path):
    labels = csv_file(tmp_path / "a.csv", "star,teff,[Fe/H]", "HD 1,5000,-0.2")
    built = build(listed(exposure("HD1")), [labels])
    path = tmp_path / "new" / "catalogue.parquet"
    built.write(path)
    assert [each.name for each in path.parent.iterdir()] == ["catalogue.parquet"]
    again = Catalogue.read(path)
    assert again.facts == built.facts and again.table.to_pylist()[0]["mh"] == -0.2
    schema = pq.read_schema(path)
    facts = json.loads(schema.metadata[b"maury"])
    assert (facts["kind"], facts["version"]) == ("catalogue", 1)
    assert facts["sources"][0]["name"] == "a.csv"
    column = {key.decode(): text.decode() for key, text in schema.field("mh").metadata.items()}
    assert column["unit"] == "dex"
    assert column["source"] == "a.csv, column [Fe/H], [Fe/H] taken as [M/H]"
    assert all(set(field.metadata) == {b"unit", b"description", b"source"} for field in schema)


def test_what_is_no_catalogue_is_refused(tmp_path):
    path = tmp_path / "manifest.parquet"
    manifest.write(listed(exposure("HD1")), path)
    with pytest.raises(MauryError, match="is not a catalogue of maury catalog build"):
        Catalogue.read(path)
    with pytest.raises(MauryError, match="cannot be read as a catalogue"):
        Catalogue.read(tmp_path / "none.parquet")
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match="cannot be written"):
        Catalogue(CATALOGUE.empty_table(), {}).write(tmp_path / "file" / "catalogue.parquet")


def test_name_and_position_cannot_both_be_trusted():
    with pytest.raises(MauryError, match="not both"):
        build(listed(exposure("HD1")), [], trust=["name", "position"])


def test_an_empty_manifest_makes_an_empty_catalogue(tmp_path):
    labels = csv_file(tmp_path / "a.csv", "star,teff,ra,dec", "HD 1,5000,10,10")
    assert len(build(listed(), [labels]).table) == 0


def test_the_order_of_the_manifest_makes_no_difference():
    archive = Archive.draw(300, 40, 80)
    order = np.random.default_rng(5).permutation(300)
    one = build(archive.manifest, [archive.rows])
    other = build(archive.manifest.take(pa.array(order)), [archive.rows])
    assert same(one.table.sort_by("dp_id"), other.table.sort_by("dp_id"))
    assert one.facts == other.facts


def test_the_benchmark_finds_each_synthetic_star_and_tells_both_rates():
    archive = Archive.draw(300, 40, 80)
    built = build(archive.manifest, [archive.rows], filters=False)
    titles = [f"HD {100_000 + star}" for star in archive.star]
    assert built.table["star"].to_pylist() == titles
    teff = archive.rows.values["teff"][archive.star]
    np.testing.assert_array_equal(built.table["teff"].to_numpy(), teff)
    assert set(built.table["match"].to_pylist()) == {"position", "name+position"}
    assert plan(archive.manifest, 0.0) == {
        "spectra": 300,
        "gigabytes": pytest.approx(1.65),
        "pages": 1,
    }
    record = bench_archive(spectra=300, stars=40, rows=80, repeats=1).to_dict()
    assert record["name"] == "archive" and record["ours"] > 0 and record["reference"] > 0
    assert "GiB" in record["conditions"]
