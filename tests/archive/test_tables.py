"""Tables of others: their columns, units, marks and mistakes."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import Angle
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import failures

from maury.archive.label_columns import recognise
from maury.archive.table_fields import numbers
from maury.archive.tables import read_sweetcat, read_table
from maury.errors import ArchiveError, MauryError

CSV = """\
Name,RA,DEC,T_eff (K),eTeff,log g,[Fe/H],RV (m/s),hd
alf Cen B,14 39 35.06,-60 50 15.1,5231,20,4.53,0.22,-22600,128621
Proxima,217.42894,-62.67949,,,,,,
"""


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_table_is_read_by_its_columns_names(tmp_path):
    rows = read_table(written(tmp_path / "stars.csv", CSV))
    assert rows.source == "stars.csv"
    assert rows.titles == ["row 1 (alf Cen B)", "row 2 (Proxima)"]
    assert rows.names == [("* alf Cen B", "HD 128621"), ("PROXIMA",)]
    # 14h 39m 35.06s = 15 (14 + 39/60 + 35.06/3600) degrees.
    np.testing.assert_allclose(rows.ra, [219.8960833, 217.42894], atol=1e-7)
    np.testing.assert_allclose(rows.dec, [-60.8375278, -62.67949], atol=1e-7)
    np.testing.assert_array_equal(rows.values["teff"], [5231.0, np.nan])
    np.testing.assert_array_equal(rows.errors["teff"], [20.0, np.nan])
    np.testing.assert_allclose(rows.values["rv"], [-22.6, np.nan])
    assert rows.origins["mh"] == "stars.csv, column [Fe/H], [Fe/H] taken as [M/H]"
    assert rows.epoch.tolist() == [2000.0, 2000.0]
    assert rows.conflicts == [] and rows.remarks == []


@pytest.mark.parametrize("mark", ["\t", ";", "|", ","])
def test_text_may_have_other_marks_and_a_header_after_a_hash(tmp_path, mark):
    lines = [["# star", "teff", "logg"], ["HD 1", "5000", "4.5"], ["HD 2", "--", "4.4"]]
    path = written(tmp_path / "stars.txt", "\n".join(mark.join(line) for line in lines))
    rows = read_table(path)
    assert rows.names == [("HD 1",), ("HD 2",)]
    np.testing.assert_array_equal(rows.values["teff"], [5000.0, np.nan])


def test_a_table_without_a_header_is_read_by_numbers_of_columns(tmp_path):
    path = written(tmp_path / "list.dat", "HD4307  21.5  5812.0 4.10 -0.23\nHIP1  9.  5000 4 0\n")
    with pytest.raises(MauryError, match=r"no column for teff, logg, mh or rv.*col1, col2, col3"):
        read_table(path)
    chosen = {"star": "col1", "teff": "col3", "logg": "col4", "mh": "col5"}
    rows = read_table(path, columns=chosen)
    assert rows.names == [("HD 4307",), ("HIP 1",)]
    assert rows.values["mh"].tolist() == [-0.23, 0.0]


@pytest.mark.parametrize("kind", ["fits", "votable", "ascii.ecsv"])
def test_units_of_the_header_are_converted(tmp_path, kind):
    table = Table(
        {
            "main_id": ["* tau Cet", "HD 40307"],
            "ra": [0.45406, 1.5449] * u.rad,
            "dec": [-15.9375, -60.0235] * u.deg,
            "pmRA": [-1.72105, -0.0522] * u.arcsec / u.yr,
            "pmDE": [0.85416, -0.0602] * u.arcsec / u.yr,
            "Teff": MaskedColumn([5.31, 4.98], unit=u.kK, mask=[False, True]),
            "radial_velocity": [-16600.0, 31300.0] * u.m / u.s,
            "e_radial_velocity": [5.0, 6.0] * u.m / u.s,
            "TIC": [419015728, 271971130],
        }
    )
    ending = {"fits": "fits", "votable": "vot", "ascii.ecsv": "ecsv"}[kind]
    path = tmp_path / f"stars.{ending}"
    table.write(path, format=kind)
    rows = read_table(path)
    assert rows.names[0] == ("* tau Cet", "TIC 419015728")
    np.testing.assert_allclose(rows.ra[0], np.degrees(0.45406))
    np.testing.assert_allclose([rows.pmra[0], rows.pmdec[0]], [-1721.05, 854.16])
    np.testing.assert_allclose(rows.values["teff"], [5310.0, np.nan])
    np.testing.assert_allclose(rows.values["rv"], [-16.6, 31.3])
    np.testing.assert_allclose(rows.errors["rv"], [0.005, 0.006])


def test_a_column_of_arrays_is_refused_and_a_missing_epoch_told(tmp_path):
    table = Table({"star": ["HD 1"], "teff": [[5000.0, 5100.0]]})
    table.write(tmp_path / "a.fits")
    with pytest.raises(MauryError, match="column teff, which does not hold one number"):
        read_table(tmp_path / "a.fits")
    lines = "star,teff,ra,dec,pmra,pmdec,ref_epoch\nHD 1,5000,10,10,5,5,2016\n"
    rows = read_table(written(tmp_path / "gaia.csv", lines))
    assert rows.epoch.tolist() == [2016.0] and rows.remarks == []
    rows = read_table(written(tmp_path / "other.csv", lines.replace("ref_epoch", "year")))
    assert rows.epoch.tolist() == [2000.0]
    assert rows.remarks == ["other.csv tells no epoch; its positions are taken for J2000."]


def test_a_packed_file_is_read_too(tmp_path):
    path = tmp_path / "stars.csv.gz"
    path.write_bytes(gzip.compress(CSV.encode()))
    assert len(read_table(path)) == 2


def test_a_unit_that_does_not_fit_is_refused_and_one_that_is_not_known_is_told(tmp_path):
    path = written(tmp_path / "a.csv", "star,teff (km/s)\nHD 1,5000\n")
    with pytest.raises(MauryError, match=r"teff in a unit.*km / s cannot be brought to K"):
        read_table(path)
    columns = [
        fits.Column("star", "A4", array=["HD 1"]),
        fits.Column("teff", "D", unit="kelvinish", array=[5000.0]),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "b.fits")
    rows = read_table(tmp_path / "b.fits")
    assert rows.remarks == ["b.fits: the unit kelvinish of teff is not known; K is assumed."]


def test_impossible_values_are_missing_and_told_with_row_and_column(tmp_path):
    text = "star,teff,logg,mh\nHD 1,0,4.5,0.1\nHD 2,5000,44,0.1\nHD 3,5000,4.4,low\n"
    rows = read_table(written(tmp_path / "stars.csv", text))
    assert np.isnan(rows.values["teff"][0]) and np.isnan(rows.values["logg"][1])
    assert [(each.row, each.label, each.value) for each in rows.conflicts] == [
        ("row 1 (HD 1)", "teff", 0.0),
        ("row 2 (HD 2)", "logg", 44.0),
        ("row 3 (HD 3)", "mh", None),
    ]
    assert rows.conflicts[1].reason == (
        "row 2 (HD 2): logg = 44 is outside -2 to 10 dex; it is taken as missing."
    )
    assert "'low' in the column mh is not a number" in rows.conflicts[2].reason


def test_zero_may_stand_for_what_is_not_known(tmp_path):
    lines = ["star,teff,logg,mh"]
    lines += [f"HD {i},0,0,0" for i in range(1, 41)]
    lines += ["HD 90,5777,4.44,0", "HD 91,0,0,-0.1"]
    path = written(tmp_path / "stars.csv", "\n".join(lines))
    rows = read_table(path)
    # A temperature of zero is impossible, a gravity and metallicity are suspicious.
    assert np.isfinite(rows.values["teff"]).sum() == 1
    assert [conflict.label for conflict in rows.conflicts] == ["teff"]
    assert "41 rows have teff = 0" in rows.remarks[0]
    assert rows.remarks[1].endswith("say --missing 0.") and "logg = 0" in rows.remarks[1]
    marked = read_table(path, missing=[0.0])
    known = {label: np.flatnonzero(np.isfinite(marked.values[label])) for label in marked.values}
    assert {label: where.tolist() for label, where in known.items()} == {
        "teff": [40],
        "logg": [40],
        "mh": [40, 41],
    }
    assert marked.conflicts == []


def test_a_row_without_name_and_place_is_told(tmp_path):
    rows = read_table(written(tmp_path / "stars.csv", "star,teff\nHD 1,5000\n,5100\nSun,5772\n"))
    assert [(each.kind, each.row) for each in rows.conflicts] == [
        ("no-star", "row 2"),
        ("no-star", "row 3 (Sun)"),
    ]
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it has no rows"),
        ("star,teff\n", "it has no rows"),
        ("star,teff\nHD 1,5000\nHD 2,1,2,3\n", "cannot be read as a table"),
        ("teff,logg\n5000,4\n", "neither names nor positions"),
        ("star,mass\nHD 1,1.0\n", "say which is which, as in --column teff=T_eff"),
    ],
)
def test_what_is_no_table_of_labels_has_its_sentence(tmp_path, text, why):
    with pytest.raises(MauryError, match=why) as caught:
        read_table(written(tmp_path / "stars.csv", text))
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there_or_damaged_have_their_sentence(tmp_path):
    with pytest.raises(MauryError, match="No such file"):
        read_table(tmp_path / "none.csv")
    for name in ("a.fits", "a.vot", "a.csv.gz", "a.csv"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00 nothing")
        with pytest.raises(MauryError, match=rf"{name} cannot be read as a table"):
            read_table(tmp_path / name)


def test_a_column_that_is_named_must_exist():
    with pytest.raises(MauryError, match="No column is called 'mass'"):
        recognise(["a"], {"mass": "a"})
    with pytest.raises(MauryError, match=r"stars.csv has no column 'b'; it has a\."):
        recognise(["a"], {"teff": "b"}, name="stars.csv")
    assert recognise(["Teff", "rv"], {"rv": "", "teff": "TEFF"}).keys() == {"teff"}


def test_units_may_be_part_of_a_columns_name():
    found = recognise(["teff_K", "RV [m/s]", "pmra_mas_yr", "e[Fe/H]"])
    units = {key: each.unit for key, each in found.items()}
    assert units == {"teff": "K", "rv": "m/s", "pmra": "mas/yr", "mh_error": None}


def test_metallicity_goes_before_the_abundance_of_iron():
    found = recognise(["[Fe/H]", "[M/H]", "e_[Fe/H]", "err_mh"])
    assert (found["mh"].column, found["mh"].iron) == ("[M/H]", False)
    assert found["mh_error"].column == "err_mh"


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from("+-"),
    st.integers(0, 89),
    st.integers(0, 59),
    st.floats(0, 59.99).map(lambda x: round(x, 2)),
    st.sampled_from([":", " "]),
)
def test_angles_are_those_of_astropy(sign, degrees, minutes, seconds, mark):
    text = f"{sign}{degrees:02d}{mark}{minutes:02d}{mark}{seconds:05.2f}"
    values, angles, wrong = numbers(MaskedColumn([text]))
    assert angles.all() and not wrong
    assert values[0] == pytest.approx(Angle(text, unit=u.deg).deg, abs=1e-9)


def test_sweetcat_comes_over_the_network(services):
    rows = read_sweetcat(services.services, session=services.session)
    assert rows.source == "SWEET-Cat"
    star = next(i for i, names in enumerate(rows.names) if "HD 189733" in names)
    assert (rows.values["teff"][star], rows.values["logg"][star]) == (4969.0, 4.3)
    assert rows.ra[star] == pytest.approx(300.182083, abs=1e-6)


def test_sweetcats_failures_have_their_sentences(services):
    services.sweetcat.text = services.sweetcat.text.replace("Teff,", "Temp,", 1)
    with pytest.raises(ArchiveError, match="SWEET-Cat has changed"):
        read_sweetcat(services.services, session=services.session)
    services.fail("sweetcat", failures.web_page(), times=1)
    with pytest.raises(ArchiveError, match="web page"):
        read_sweetcat(services.services, session=services.session)


def test_sweetcat_is_asked_again_where_its_answer_breaks_off(services):
    services.fail("sweetcat", failures.busy(0), times=1)
    services.fail("sweetcat", failures.cut(0.5), times=1)
    assert len(read_sweetcat(services.services, session=services.session)) == 7
