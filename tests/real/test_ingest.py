"""Real files into a store: those of the HARPS pipeline go in, the others say why not."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import maury
from maury.datasets.ingest import Ingested, ingest
from maury.datasets.store import SpectrumStore

SPECTRA = Path(__file__).parents[2].parent / "shared" / "data" / "spectra"

pytestmark = pytest.mark.skipif(
    not SPECTRA.is_dir(), reason="the real spectra are not beside the checkout"
)

REFUSED = {
    "ADP.2020-06-10T18:32:10.645.fits": "is from UVES, not from HARPS",
    "ADP.2020-06-10T18:32:11.316.fits": "is from UVES, not from HARPS",
    # Gl 273, as published.
    "HARPS.2003-12-13T06:19:48.371_s1d_A.fits": "is damaged: 64,183 of its 313,149 pixels",
    "HARPS_GJ3470.fits": "is in the rest frame of its star",
    "Sun_HARPS.fits": "is in the rest frame of its star",
    "manifest.csv": "is not made of numbers",
}

COLUMNS = {"berv": "berv_kms", "airmass": "airmass_start", "rv": "rv_drs_ccf_kms", "snr": "snr50"}


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Ingested], SpectrumStore]:
    folder = tmp_path_factory.mktemp("ingested") / "store"
    results = ingest(sorted(SPECTRA.iterdir()), folder)
    return results, SpectrumStore(folder)


def test_every_file_goes_in_or_has_its_sentence(
    ingested: tuple[list[Ingested], SpectrumStore],
) -> None:
    results, store = ingested
    errors = {Path(result.file).name: result.error for result in results if result.error}
    assert set(errors) == set(REFUSED)
    for name, why in REFUSED.items():
        assert why in errors[name]
    assert store.done.size == len(results) - len(REFUSED)
    assert store.verify() == []
    counts = {star: found.size for star, found in store.stars().items()}
    assert counts == {
        "HD189733": 9, "Gl581": 1, "HD128621": 16, "HARPS_GJ163.fits": 1, "Sun-sky": 1,
    }  # fmt: skip


def test_quality_is_told_by_what_the_files_hold(
    ingested: tuple[list[Ingested], SpectrumStore],
) -> None:
    results, _ = ingested
    flags: dict[str, set[tuple[str, ...]]] = {}
    for result in results:
        if result.star is not None and result.status == "done":
            flags.setdefault(result.star, set()).add(result.flags)
    # At airmass 2 the pipeline divides by next to nothing below 3820 A: up to 4,900 medians.
    assert flags.pop("HD189733") == {("damaged-pixels",)}
    # An M dwarf has little light in the blue.
    assert flags.pop("Gl581") == {("negative-flux",)}
    assert flags.pop("HD128621") == {()}
    short_headers = {("instrument-unknown",)}
    assert flags == {"HARPS_GJ163.fits": short_headers, "Sun-sky": short_headers}


def test_native_pixels_are_kept_as_they_are(
    ingested: tuple[list[Ingested], SpectrumStore],
) -> None:
    results, store = ingested
    rows = {row["index"]: row for row in store.catalogue.to_pylist()}
    # Where each 0.01 A of the HARPS pipeline is a pixel of the grid nothing is interpolated.
    assert all("resampled" not in result.flags for result in results)
    for index in store.done.tolist()[::9]:
        row, flux = rows[index], store.flux([index])[0]
        spectrum = maury.read(row["file"])
        first = round((spectrum.wavelength[0] - store.grid.start) / store.grid.step)
        inside = flux[max(first, 0) : first + len(spectrum)]
        good = np.isfinite(inside)
        native = spectrum.flux[max(-first, 0) :][: inside.size]
        np.testing.assert_allclose(inside[good] * row["level"], native[good], rtol=1e-6)
        assert np.median(flux[np.isfinite(flux)]) == pytest.approx(1, abs=1e-6)
        # All that is left out is masked in the file, impossible, or lies in the grid's gaps.
        left_out = store.grid.valid[max(first, 0) :][: inside.size] & ~good
        masked = spectrum.mask[max(-first, 0) :][: inside.size]
        damaged = np.abs(native) > 20 * row["level"]
        assert_array_equal(
            left_out & ~masked, damaged & store.grid.valid[max(first, 0) :][: inside.size] & ~masked
        )
        assert row["mjd"] > 52000 or row["star"] in ("HARPS_GJ163.fits", "Sun-sky")


def test_what_the_manifest_knows_is_in_the_catalogue(
    ingested: tuple[list[Ingested], SpectrumStore],
) -> None:
    _, store = ingested
    rows = {Path(row["file"]).name: row for row in store.catalogue.to_pylist()}
    compared = 0
    with (SPECTRA / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for known in csv.DictReader(file):
            row = rows[known["file"]]
            if row["status"] != "done":
                continue
            for name, column in COLUMNS.items():
                if known[column] and not np.isnan(row[name]):
                    assert row[name] == pytest.approx(float(known[column]), abs=0.01)
                    compared += 1
            # Nobody has told these.
            assert all(np.isnan(row[name]) for name in ("teff", "logg", "mh"))
    assert compared > 70
