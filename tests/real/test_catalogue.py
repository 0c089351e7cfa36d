"""Wrong rows of the archive's target list, found by other catalogues."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from maury.archive import manifest
from maury.archive.catalogue import Catalogue, build
from maury.archive.tables import read_table

DATA = Path(__file__).parents[2].parent / "shared" / "data"
LABELS = DATA / "labels"
ARCHIVE, SWEETCAT = LABELS / "HARPScat_param.csv", LABELS / "SWEETCAT_Dataframe.csv"
GTO = LABELS / "star_list_1111.dat"

pytestmark = pytest.mark.skipif(
    not LABELS.is_dir(), reason="the real label tables are not beside the checkout"
)


@pytest.fixture(scope="module")
def listed() -> pa.Table:
    """The targets of the archive's list, as if each had been observed once."""
    with ARCHIVE.open(newline="") as file:
        stars = list(csv.DictReader(file, skipinitialspace=True))
    rows = [
        {
            "dp_id": f"ADP.2014-09-16T{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d}.000",
            "instrument": "HARPS",
            "object": star["# Name"],
            "ra": float(star["RA"]),
            "dec": float(star["Dec"]),
            "mjd_start": 55_000.0,
            "mjd_end": 55_000.01,
            "status": "listed",
        }
        for i, star in enumerate(stars)
    ]
    return manifest.check(pa.Table.from_pylist(rows, manifest.MANIFEST), "the list")


@pytest.fixture(scope="module")
def compared(listed: pa.Table) -> Catalogue:
    """The list against SWEET-Cat, the GTO sample and the stars of the real spectra."""
    gto = read_table(GTO, columns={"star": "col1", "teff": "col3", "logg": "col4", "mh": "col6"})
    benchmark = read_table(DATA / "spectra" / "manifest.csv", columns={"rv": ""})
    known = {name: i for i, names in enumerate(benchmark.names) for name in names}
    assert benchmark.values["teff"][known["HD 128621"]] == 5231.0
    archive = read_table(ARCHIVE, missing=[0.0])
    return build(listed, [SWEETCAT, gto, _once(benchmark), archive], filters=False)


def _once(rows):
    """Each star once, though it has several spectra."""

    first = sorted({names: i for i, names in reversed(list(enumerate(rows.names)))}.values())
    return replace(
        rows,
        titles=[rows.titles[i] for i in first],
        names=[rows.names[i] for i in first],
        values={label: values[first] for label, values in rows.values.items()},
        **{key: getattr(rows, key)[first] for key in ("ra", "dec", "pmra", "pmdec", "epoch")},
    )


def differing(compared: Catalogue, label: str) -> dict[str, tuple[float, float]]:
    """Stars about which the list disagrees with a more trusted source: the values."""
    return {
        row["star"]: (row["value"], row["other_value"])
        for row in compared.conflicts.to_pylist()
        if row["label"] == label and row["source"].endswith(f" / {ARCHIVE.name}")
    }


def test_alpha_centauri_b_has_wrong_parameters_in_the_list(compared: Catalogue) -> None:
    assert differing(compared, "teff")["HD 128621"] == (5231.0, 5691.0)
    assert differing(compared, "logg")["HD 128621"] == (4.53, 4.16)
    row = next(r for r in compared.table.to_pylist() if r["object"] == "HD128621")
    assert np.isnan([row["teff"], row["logg"]]).all() and row["flags"] == ["conflict"]


def test_stars_of_planets_have_wrong_parameters_in_the_list(compared: Catalogue) -> None:
    wrong = differing(compared, "teff")
    # HD 40307 is a K dwarf of 4800 K, mu Ara a G dwarf of 5800 K: not so in the list.
    assert wrong["HD 40307"] == (4795.0, 5697.0)
    assert wrong["HD 160691"] == (5797.0, 5249.0)
    everything = (
        wrong.keys() | differing(compared, "logg").keys() | differing(compared, "mh").keys()
    )
    assert (len(wrong), len(everything)) == (131, 176)


def test_the_trusted_sources_agree_with_each_other(compared: Catalogue) -> None:
    apart = [
        (row["label"], row["star"])
        for row in compared.conflicts.to_pylist()
        if row["source"] == f"{SWEETCAT.name} / {GTO.name}"
    ]
    # Spectroscopic gravities are the least certain.
    assert Counter(label for label, _ in apart) == {"logg": 6}


def test_the_list_has_the_parameters_of_the_gto_sample_where_it_has_the_star(listed) -> None:
    gto = read_table(GTO, columns={"star": "col1", "teff": "col3", "logg": "col4", "mh": "col6"})
    archive = read_table(ARCHIVE, missing=[0.0])
    stars = {name: i for i, names in enumerate(gto.names) for name in names}
    same = Counter(
        gto.values["teff"][stars[name]] == archive.values["teff"][row]
        for row, names in enumerate(archive.names)
        for name in names
        if name in stars and np.isfinite(archive.values["teff"][row])
    )
    assert same[True] > 500


def test_positions_that_are_wrong_by_arc_minutes_are_told(compared: Catalogue) -> None:
    far = {
        row["star"]: row["separation"]
        for row in compared.conflicts.to_pylist()
        if row["kind"] == "far" and row["source"] == SWEETCAT.name
    }
    assert far.keys() == {"HD 103891", "HD 105779", "HD 147873"}
    # By hand, of HD 147873: 16 25 45.00 -33 27 13.0 against 246.44211 -33.57044 degrees.
    east = (246.4375 - 246.44211) * 3600 * np.cos(np.radians(33.512))
    north = (-33.453611 + 33.57044) * 3600
    assert far["HD 147873"] == pytest.approx(np.hypot(east, north), abs=0.1)


def test_zeros_are_unknown_and_told() -> None:
    rows = read_table(ARCHIVE)
    assert any("3,535 rows have teff = 0" in remark for remark in rows.remarks)
    assert any("logg = 0; if that means" in remark for remark in rows.remarks)
    assert np.isfinite(read_table(ARCHIVE, missing=[0.0]).values["logg"]).sum() == 881


def test_pointings_scatter_as_the_radius_supposes(compared: Catalogue) -> None:
    apart = compared.table["separation"].to_numpy()
    match = np.array(compared.table["teff_source"].to_pylist(), dtype=object)
    sweetcat = np.array([str(each).startswith(SWEETCAT.name) for each in match])
    middle, most = np.nanpercentile(apart[sweetcat], [50, 98])
    assert 4.0 < middle < 9.0 and 20.0 < most < 30.0
