"""What ``make run`` does, on a machine with spectra and on one without."""

import numpy as np
import pytest

from maury import demo
from maury.errors import MauryError
from maury.inference import batch, figures
from maury.inference.example import ExampleStar, write_example
from maury.readers import read
from maury.spectrum import Spectrum

STAR = ExampleStar(teff=6100.0, logg=4.1, mh=-0.3, rv=17.0, berv=-11.0, airmass=1.6)


@pytest.fixture
def at_home(predictor, star_spectrum, monkeypatch):
    """The small predictor, one process, and no slow physics."""

    def flat(**settings):
        wavelength = settings["wavelength"]
        return Spectrum(wavelength, np.ones_like(wavelength), frame="rest")

    monkeypatch.setattr(batch, "load", lambda *_, **__: predictor)
    monkeypatch.setattr(demo.os, "cpu_count", lambda: 1)
    monkeypatch.setattr(figures, "synthesize", flat)
    monkeypatch.setattr(ExampleStar, "synthesize", lambda self: star_spectrum)


def test_without_spectra_one_is_simulated_and_said_so(at_home, tmp_path, capsys):
    status = demo.run({}, tmp_path / "plots", shared=tmp_path / "absent", star=STAR)
    printed = capsys.readouterr().out
    assert status == 0
    assert "no spectra here" in printed and "Simulating an exposure" in printed
    assert "truth" in printed and "simulated star" in printed
    assert "Network alone beside refined" in printed
    assert (tmp_path / "plots" / "simulated_s1d_A.fits.png").exists()


def test_the_simulated_file_reads_as_what_was_simulated(star_spectrum, tmp_path):
    path = write_example(tmp_path, STAR, spectrum=star_spectrum)
    spectrum = read(path)
    assert (spectrum.medium, spectrum.frame) == ("air", "barycentric")
    assert spectrum.meta.berv == STAR.berv and spectrum.meta.airmass == STAR.airmass
    assert spectrum.meta.instrument == "HARPS" and spectrum.meta.rv is None
    assert np.diff(spectrum.wavelength) == pytest.approx(0.01, abs=1e-9)
    again = read(write_example(tmp_path, STAR, spectrum=star_spectrum))
    assert np.array_equal(spectrum.flux, again.flux)


def test_files_that_cannot_be_used_are_listed_and_the_others_predicted(
    at_home, star_spectrum, tmp_path, capsys
):
    folder = tmp_path / "spectra"
    write_example(folder, STAR, spectrum=star_spectrum)
    (folder / "broken.fits").write_bytes(b"SIMPLE  =")
    (folder / "manifest.csv").write_text("no spectrum")
    status = demo.run({"SPECTRA": str(folder)}, tmp_path / "plots")
    printed = capsys.readouterr().out
    assert status == 0
    assert "1 of 2 files could not be used" in printed and "broken.fits" in printed
    shared = demo.run({}, tmp_path / "plots", shared=folder)
    assert shared == 0 and "simulat" not in capsys.readouterr().out.replace("simulated", "")


def test_patterns_and_folders_without_spectra(at_home, tmp_path, capsys):
    (tmp_path / "a.fits").touch()
    assert demo.find_spectra(str(tmp_path / "*.fits")) == [str(tmp_path / "a.fits")]
    assert demo.find_spectra(str(tmp_path / "a.fits")) == [str(tmp_path / "a.fits")]
    for choice in (tmp_path / "none*", tmp_path / "absent.fits"):
        with pytest.raises(MauryError, match=r"names no spectra"):
            demo.find_spectra(str(choice))
    assert demo.run({"SPECTRA": str(tmp_path)}, tmp_path / "plots") == 1
    assert "1 of 1 files could not be used" in capsys.readouterr().out
