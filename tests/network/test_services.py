"""The real services: one star and one file, only with ``--network``.

What is expected here was published long ago, and changes only if a service does. A mirror can be
asked by the environment (MAURY_ESO_TAP and so on, see `maury.archive.services`). Logging in is
tried where MAURY_ESO_USER names an account of which the keyring has the password.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

import maury
from maury.archive import eso, manifest, simbad, tic
from maury.archive.download import download
from maury.archive.eso import Cone, Query
from maury.archive.login import Login
from maury.archive.services import Services
from maury.archive.session import ArchiveSession
from maury.archive.tables import read_sweetcat

pytestmark = pytest.mark.network

# 51 Peg: SIMBAD's position, epoch J2000.
PEGASI = Cone(344.366585, 20.768833, 30.0)
TAU_CETI = 419015728


@pytest.fixture
def session() -> Iterator[ArchiveSession]:
    with ArchiveSession(attempts=2) as session:
        yield session


@pytest.fixture
def services() -> Services:
    return Services.from_environment()


def test_eso_counts_at_least_the_spectra_of_the_paper(services, session):
    # Sect. 3.1 of Cvrcek et al. (2024): 267,361 up to March 2020; about 5 MB each.
    found = eso.count(Query(instrument="HARPS"), services, session)
    assert found.products >= 267_361
    assert 3e6 < found.bytes / found.products < 8e6


def test_eso_finds_spectra_of_a_star(services, session):
    table = eso.search(Query(instrument="HARPS", cones=[PEGASI]), services, session)
    assert table.schema.equals(manifest.MANIFEST)
    assert len(table) >= 50
    first, last = (np.median(table[name].to_numpy()) for name in ("first", "last"))
    assert (first, last) == (pytest.approx(3782, abs=10), pytest.approx(6913, abs=10))
    assert min(table["mjd_start"].to_pylist()) > 52_900


def test_one_file_is_fetched_and_read(services, session, tmp_path):
    wanted = eso.search(Query(instrument="HARPS", cones=[PEGASI]), services, session, limit=1)
    (row,) = download(wanted, tmp_path, services, session).to_pylist()
    assert (row["status"], row["error"]) == ("done", None)
    assert row["bytes"] == pytest.approx(row["estimated_bytes"], rel=0.03)
    spectrum = maury.read(tmp_path / manifest.SPECTRA / row["file"])
    assert (spectrum.medium, spectrum.frame) == ("air", "barycentric")
    assert spectrum.meta.time.mjd == pytest.approx(row["mjd_start"], abs=1e-4)
    assert abs(spectrum.meta.berv) < 31
    # Mayor & Queloz (1995): -33.2 km/s.
    assert spectrum.meta.rv == pytest.approx(-33.2, abs=0.5)


def test_simbad_knows_names_and_velocities(services, session):
    names = ["HD128621", "Gl581", "alpha Cen B", "no such star"]
    table = simbad.resolve(names, services=services, session=session)
    stars = {row["name"]: row for row in table.to_pylist()}
    assert set(stars) == set(names[:3])
    assert stars["HD128621"]["main_id"] == stars["alpha Cen B"]["main_id"] == "* alf Cen B"
    assert stars["HD128621"]["hip"] == "71681"
    # Pourbaix & Boffin (2016): the system moves by -22.4 km/s, and each star by less than 6 on top.
    assert stars["HD128621"]["rv"] == pytest.approx(-22.4, abs=6)
    assert stars["Gl581"]["parallax"] == pytest.approx(158.7, abs=0.5)
    assert stars["Gl581"]["gaia_dr3"] == 6322070093095493504


def test_simbad_finds_both_stars_of_a_close_pair(services, session):
    table = simbad.near([219.8991], [-60.8358], 15.0, services=services, session=session)
    assert {"* alf Cen A", "* alf Cen B"} <= set(table["main_id"].to_pylist())
    assert set(table["index"].to_pylist()) == {0}


def test_mast_knows_a_star_by_number_and_by_position(services, session):
    (by_id,) = tic.by_id([TAU_CETI], services=services, session=session).to_pylist()
    assert by_id["teff"] == pytest.approx(5300, abs=300)
    assert by_id["pmdec"] == pytest.approx(854, abs=5)
    near = tic.near([26.0170], [-15.9375], 10.0, services=services, session=session)
    assert TAU_CETI in near["tic"].to_pylist()


def test_sweetcat_has_stars_with_planets(services, session):
    rows = read_sweetcat(services, session=session)
    assert len(rows.names) > 3000
    (place,) = (place for place, names in enumerate(rows.names) if "HD 217014" in names)
    # Sousa et al. (2021): 5810 K and 4.33 for 51 Peg.
    assert rows.value("teff")[place] == pytest.approx(5810, abs=150)
    assert rows.value("logg")[place] == pytest.approx(4.33, abs=0.3)


@pytest.mark.skipif("MAURY_ESO_USER" not in os.environ, reason="MAURY_ESO_USER names no account")
def test_eso_gives_a_token(services, session):
    assert Login(os.environ["MAURY_ESO_USER"], services, session).token().count(".") == 2
