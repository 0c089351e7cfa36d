"""The stand-in itself, where it could mislead: clients of the real services read its answers."""

from __future__ import annotations

import json
import time

import pytest
from astropy.table import Table
from pyvo.dal import DALQueryError, TAPService
from pyvo.dal.exceptions import DALOverflowWarning
from stand_in import failures, spectra

import maury
from maury.errors import ArchiveError

HARPS = "SELECT dp_id, em_min FROM ivoa.ObsCore WHERE obs_collection = 'HARPS'"
NAMES = "SELECT t.name, b.main_id FROM TAP_UPLOAD.asked AS t"
JOINS = " JOIN ident AS i ON t.name = i.id JOIN basic AS b ON b.oid = i.oidref"


def eso(services) -> TAPService:
    return TAPService(services.services.eso_tap, session=services.session)


def test_pyvo_reads_rows_units_and_counts(services):
    table = eso(services).run_sync(HARPS).to_table()
    assert len(table) == 53
    assert table["em_min"].unit == "m"
    count = eso(services).run_sync("SELECT COUNT(*) AS n FROM ivoa.ObsCore").to_table()
    assert count["n"][0] == len(services.eso.products) == 60


def test_pyvo_is_told_of_an_overflow(services):
    services.eso.tap.most = 10
    with pytest.warns(DALOverflowWarning):
        result = eso(services).run_sync(HARPS)
    assert len(result) == 10
    four = eso(services).run_sync(HARPS, maxrec=4)
    assert (len(four), four.status[0]) == (4, "OVERFLOW")


@pytest.mark.parametrize("query", ["SELECT foo FROM ivoa.ObsCore", "SELECT", "DROP TABLE x"])
def test_pyvo_is_told_of_a_query_that_cannot_be(services, query):
    with pytest.raises(DALQueryError, match="Incorrect ADQL"):
        eso(services).run_sync(query)


def test_regions_hold_what_is_within_them(services):
    near = "CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', 219.88, -60.835, 0.05)) = 1"
    for region in (near, "INTERSECTS(s_region, CIRCLE('', 219.88, -60.835, 0.05)) = 1"):
        table = (
            eso(services)
            .run_sync(f"SELECT TOP 3 target_name FROM ivoa.ObsCore WHERE {region} ORDER BY dp_id")
            .to_table()
        )
        assert len(table) == 3
        assert set(table["target_name"]) <= {"HD128620", "HD128621", "ALPHACENB"}


def test_names_of_an_uploaded_table_are_compared_as_simbad_does(services):
    simbad = TAPService(services.services.simbad_tap, session=services.session)
    names = ["HD 10700", "gl 581", "alf Cen B", "HD189733B", "HD189733b", "nobody"]
    asked = Table({"name": names})
    table = simbad.run_sync(NAMES + JOINS, uploads={"asked": asked}).to_table()
    assert dict(table.iterrows()) == {
        "HD 10700": "* tau Cet",
        "gl 581": "BD-07  4003",
        "alf Cen B": "* alf Cen B",
        "HD189733B": "HD 189733B",
        "HD189733b": "HD 189733b",
    }
    stars = simbad.run_sync("SELECT main_id FROM basic WHERE otype = '*..'").to_table()
    assert "HD 189733" in stars["main_id"] and "HD 189733b" not in stars["main_id"]


@pytest.mark.parametrize("covers", [spectra.CHUNK, spectra.HARPS_RANGE])
def test_files_are_spectra_of_the_archive(services, tmp_path, covers):
    services.eso.covers = covers
    row = services.eso.rows()[2]
    answer = services.session.get(f"{services.services.eso_files}/{row['dp_id']}")
    assert len(answer.content) == pytest.approx(1000 * row["access_estsize"], abs=500)
    path = tmp_path / f"{row['dp_id']}.fits"
    path.write_bytes(answer.content)
    spectrum = maury.read(path)
    assert (spectrum.medium, spectrum.frame) == ("air", "barycentric")
    assert spectrum.wavelength[0] == pytest.approx(covers[0])
    assert spectrum.meta.object == row["target_name"]
    assert spectrum.meta.berv is not None
    assert spectrum.meta.time.mjd == pytest.approx(row["t_min"], abs=1e-7)


def test_a_file_is_had_in_two_parts(services):
    dp_id = services.eso.products[0]["dp_id"]
    url = f"{services.services.eso_files}/{dp_id}"
    whole = services.session.get(url)
    tag = {"If-Range": whole.headers["ETag"]}
    rest = services.session.get(url, headers={"Range": "bytes=5000-", **tag})
    assert (rest.status_code, rest.content) == (206, whole.content[5000:])
    changed = services.session.get(url, headers={"Range": "bytes=5000-", "If-Range": '"other"'})
    assert (changed.status_code, changed.content) == (200, whole.content)


def test_only_a_token_opens_what_is_proprietary(services):
    url = f"{services.services.eso_files}/{proprietary(services)}"
    assert services.session.get(url).status_code == 401
    form = {
        "response_type": "id_token token",
        "grant_type": "password",
        "client_id": "clientid",
        "client_secret": "clientSecret",
        "username": "astronomer",
        "password": services.eso.users["astronomer"],
    }
    token = services.session.get(services.services.eso_token, params=form).json()["id_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert services.session.get(url, headers=bearer).status_code == 200
    services.eso.revoke()
    assert services.session.get(url, headers=bearer).status_code == 401
    wrong = services.session.get(services.services.eso_token, params=form | {"password": "x"})
    assert wrong.status_code == 401


def test_mast_takes_its_time(services):
    asked = {
        "service": "Mast.Tic.Crossmatch",
        "data": {
            "fields": [{"name": "ra", "type": "float"}, {"name": "dec", "type": "float"}],
            "data": [{"ra": 26.0170, "dec": -15.9375}],
        },
        "params": {"raColumn": "ra", "decColumn": "dec", "radius": 0.001},
        "format": "json",
    }
    url = f"{services.services.mast}/api/v0/invoke"
    first, second = (
        services.session.post(url, data={"request": json.dumps(asked)}).json() for _ in range(2)
    )
    assert first["status"] == "EXECUTING"
    assert second["status"] == "COMPLETE"
    assert [row["MatchID"] for row in second["data"]] == [419015728, 9990000001]
    assert second["data"][0]["dstArcSec"] < second["data"][1]["dstArcSec"]


def test_a_column_changes_and_rows_go(services):
    services.fail("eso_tap", failures.renamed("dp_id", "product_id"))
    services.fail("eso_tap", failures.without("em_min"), after=1)
    services.fail("eso_tap", failures.unit("em_min", "nm"), after=2)
    services.fail("eso_tap", failures.empty(), after=3)
    renamed, without, unit, empty = (eso(services).run_sync(HARPS).to_table() for _ in range(4))
    assert renamed.colnames == ["product_id", "em_min"]
    assert without.colnames == ["dp_id"]
    assert unit["em_min"].unit == "nm"
    assert (empty.colnames, len(empty)) == (["dp_id", "em_min"], 0)
    assert len(eso(services).run_sync(HARPS)) == 53


def test_a_file_comes_short_of_its_length(services):
    dp_id = services.eso.products[0]["dp_id"]
    services.fail("eso_files", failures.cut(0.25), matching=dp_id)
    with pytest.raises(ArchiveError):
        services.session.get(f"{services.services.eso_files}/{dp_id}")
    whole = len(services.eso.content(dp_id))
    assert services.asked("eso_files")[0].sent == whole // 4


def test_a_busy_service_is_asked_again(services):
    services.fail("sweetcat", failures.unavailable(), times=2)
    answer = services.session.get(services.services.sweetcat)
    assert answer.text.startswith("Name,hd,RA,DEC")
    assert [request.status for request in services.asked("sweetcat")] == [503, 503, 200]


def proprietary(services) -> str:
    now = time.strftime("%Y-%m-%d")
    (row,) = (r for r in services.eso.products if r["obs_release_date"] > now)
    return row["dp_id"]
