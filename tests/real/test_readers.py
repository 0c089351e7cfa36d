"""The real spectra beside the checkout, against the manifest that describes them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import maury
from maury.errors import ReadError
from maury.spectrum import SPEED_OF_LIGHT

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SPECTRA = SHARED / "spectra"
OTHER = SHARED / "spectra_other"

pytestmark = pytest.mark.skipif(
    not (SPECTRA / "manifest.csv").exists(), reason="the real spectra are not beside the checkout"
)


def manifest() -> list[dict[str, str]]:
    path = SPECTRA / "manifest.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


GOOD = [row for row in manifest() if not row["use"].startswith("bad input")]


@pytest.mark.parametrize("row", GOOD, ids=[row["file"] for row in GOOD])
def test_every_usable_file_reads_as_the_manifest_says(row):
    spectrum = maury.read(SPECTRA / row["file"])
    assert spectrum.wavelength[0] == pytest.approx(float(row["wave_first"]), abs=1e-3)
    assert spectrum.wavelength[-1] == pytest.approx(float(row["wave_last"]), abs=1e-2)
    assert spectrum.medium == "air"
    meta = spectrum.meta
    for key, column in (("berv", "berv_kms"), ("airmass", "airmass_start"), ("snr", "snr50")):
        if row[column] or "ADP" not in row["file"]:
            expected = float(row[column]) if row[column] else None
            assert getattr(meta, key) == (expected and pytest.approx(expected, abs=0.1))
    assert meta.programme == (row["programme"] or None)
    assert (meta.time is None) == (row["date_obs"] == "")
    if meta.time is not None:
        assert meta.time.isot[:19] == row["date_obs"][:19]


@pytest.mark.parametrize("row", GOOD, ids=[row["file"] for row in GOOD])
def test_the_gap_is_masked_and_nothing_else(row):
    spectrum = maury.read(SPECTRA / row["file"])
    bad = spectrum.wavelength[spectrum.mask]
    if "UVES" in row["kind"]:
        assert bad.size < 0.04 * len(spectrum)
        assert np.all(spectrum.uncertainty[spectrum.valid] > 0)
    else:
        # 34.4 A in the frame of the observatory, moved by the BERV or by the star's velocity.
        assert 31.0 < np.ptp(bad) < 35.5
        assert bad.min() > 5303.64 * (1 - 40 / SPEED_OF_LIGHT)
        assert bad.max() < 5338.04 * (1 + 40 / SPEED_OF_LIGHT)


def test_the_gap_moves_with_the_earth():
    rows = [r for r in GOOD if r["star"] in ("HD128621", "HD189733") and r["berv_kms"]]
    berv, middle = [], []
    for row in rows:
        spectrum = maury.read(SPECTRA / row["file"])
        berv.append(spectrum.meta.berv)
        middle.append(spectrum.wavelength[spectrum.mask].mean())
    slope = np.polyfit(berv, middle, 1)[0]
    assert slope == pytest.approx(5321 / SPEED_OF_LIGHT, rel=0.05)


def test_frames_by_the_headers():
    frames = {row["file"]: maury.read(SPECTRA / row["file"]).frame for row in GOOD}
    assert frames.pop("HARPS_GJ3470.fits") == frames.pop("Sun_HARPS.fits") == "rest"
    assert {frames.pop(name) for name in list(frames) if name.startswith("ADP")} == {"observatory"}
    # The header of HARPS_GJ163.fits does not tell that it is a co-add in the frame of the star.
    assert set(frames.values()) == {"barycentric"}
    assert maury.read(SPECTRA / "HARPS_GJ163.fits", frame="rest").frame == "rest"


def test_the_damaged_file_is_refused():
    (row,) = (row for row in manifest() if row["use"].startswith("bad input"))
    with pytest.raises(ReadError, match=r"is damaged: 64,183 of its 313,149 pixels"):
        maury.read(SPECTRA / row["file"])


def test_the_sodium_lines_of_alpha_cen_b_are_where_they_should_be():
    (row,) = (r for r in GOOD if r["file"].startswith("HARPS.2012-03-24T08:37"))
    core = maury.read(SPECTRA / row["file"]).between(5889.2, 5889.8)
    velocity = (core.wavelength[core.flux.argmin()] / 5889.951 - 1) * SPEED_OF_LIGHT
    assert velocity == pytest.approx(float(row["rv_fe_lines_kms"]), abs=1.0)


def test_other_spectrographs_read_or_are_refused_with_a_sentence():
    spectrum = maury.read(OTHER / "UVES_WASP-120.fits", frame="rest")
    assert len(spectrum) == 210552
    with pytest.raises(ReadError, match="an image of 4021 x 16 pixels"):
        maury.read(OTHER / "HIRES_HD190406_rj59.1923.fits")
    with pytest.raises(ReadError, match="neither FITS nor text"):
        maury.read(OTHER / "TRES_WASP14-2009-06-14.hdf5")
