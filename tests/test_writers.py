"""Spectra written and read again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time

from maury.errors import MauryError
from maury.readers import read
from maury.spectrum import Observation, Spectrum
from maury.writers import check_target, write


@pytest.fixture
def spectrum() -> Spectrum:
    """A spectrum with everything that one can have."""
    rng = np.random.default_rng(1)
    wavelength = 5000.0 + np.cumsum(rng.uniform(0.005, 0.02, 200))
    flux = rng.uniform(1e6, 9e6, 200)
    mask = np.zeros(200, bool)
    mask[[3, 50, 51]] = True
    return Spectrum(
        wavelength=wavelength,
        flux=flux,
        uncertainty=0.01 * flux,
        mask=mask,
        medium="vacuum",
        frame="rest",
        meta=Observation(
            object="HD 1: a star, with commas",
            berv=-12.345,
            airmass=1.2,
            airmass_end=1.3,
            time=Time("2024-02-03T04:05:06.789", scale="utc"),
            exposure=600.0,
            snr=88.0,
            programme="060.A-9036(A)",
            instrument="HARPS",
            drs_version="3.8",
            rv=22.5,
            flux_unit="Angstrom-1 cm-2 erg s-1",
            teff=5777.0,
            logg=4.44,
            mh=-0.1,
            alpha=0.2,
            vmic=1.0,
        ),
    )


@pytest.mark.parametrize("suffix", [".fits", ".txt", ".csv"])
@pytest.mark.parametrize("medium", ["air", "vacuum"])
@pytest.mark.parametrize("frame", ["barycentric", "observatory", "rest"])
def test_a_written_spectrum_is_read_again(spectrum, tmp_path: Path, suffix, medium, frame) -> None:
    spectrum = replace(spectrum, medium=medium, frame=frame)
    path = tmp_path / f"a{suffix}"
    write(spectrum, path, {"TEFF": 5777.0, "respower": None})
    again = read(path)
    good = spectrum.valid
    assert (again.medium, again.frame) == (medium, frame)
    np.testing.assert_allclose(again.wavelength, spectrum.wavelength, atol=6e-7, rtol=0)
    np.testing.assert_array_equal(again.mask, spectrum.mask)
    np.testing.assert_allclose(again.flux[good], spectrum.flux[good], rtol=1e-8)
    np.testing.assert_allclose(again.uncertainty[good], spectrum.uncertainty[good], rtol=1e-8)
    facts, expected = again.meta.to_dict(), spectrum.meta.to_dict()
    assert facts.pop("path") == str(path)
    del expected["path"]
    assert facts == expected


@pytest.mark.parametrize("suffix", [".fits", ".txt", ".csv"])
def test_a_bare_spectrum_keeps_what_it_lacks(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"bare{suffix}"
    write(Spectrum(np.linspace(5000, 5001, 50), np.full(50, 0.75)), path)
    again = read(path)
    assert again.uncertainty is None
    assert again.valid.all()
    assert again.meta == Observation(path=str(path))


def test_fits_is_exact_and_follows_the_standard(spectrum: Spectrum, tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    write(spectrum, path, {"vsini": 2.0, "vmac": None})
    np.testing.assert_array_equal(read(path).wavelength, spectrum.wavelength)
    with fits.open(path) as hdus:
        hdus.verify("exception")
        assert hdus[0].header["VSINI"] == 2.0
        assert "VMAC" not in hdus[0].header
        table = hdus[1]
        assert table.columns.names == ["WAVE", "FLUX", "ERR", "QUAL"]
        assert table.columns["WAVE"].unit == "Angstrom"
        assert (table.header["NAXIS2"], table.header["NELEM"]) == (1, 200)
        assert table.header["TUCD1"] == "em.wl"


def test_text_says_what_it_is(spectrum: Spectrum, tmp_path: Path) -> None:
    write(spectrum, tmp_path / "a.txt", {"teff": 5777.0})
    write(spectrum, tmp_path / "a.csv")
    text = (tmp_path / "a.txt").read_text().splitlines()
    assert {"# medium: vacuum", "# frame: rest", "# teff: 5777.0"} <= set(text[:20])
    commas = (tmp_path / "a.csv").read_text().splitlines()
    assert "wavelength,flux,uncertainty" in commas
    assert commas[-1].count(",") == 2


def test_a_file_that_is_there_is_replaced(spectrum: Spectrum, tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_text("old")
    write(spectrum, path)
    assert len(read(path)) == 200
    assert [p.name for p in tmp_path.iterdir()] == ["a.fits"]


@pytest.mark.parametrize("suffix", [".fits", ".txt"])
def test_nothing_half_written_is_left(spectrum, tmp_path: Path, monkeypatch, suffix) -> None:
    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    path = tmp_path / f"a{suffix}"
    path.write_text("old")
    with pytest.raises(MauryError, match=r"cannot be written \(No space left on device\)"):
        write(spectrum, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sun.doc", r"the name must end in \.fits, \.txt or \.csv\.$"),
        ("sun", "must end in"),
        ("nowhere/sun.fits", "there is no folder"),
        ("folder.fits", "it is a directory"),
    ],
)
def test_targets_that_cannot_be(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.fits").mkdir()
    with pytest.raises(MauryError, match=message):
        check_target(tmp_path / name)
