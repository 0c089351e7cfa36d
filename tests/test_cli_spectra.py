"""`maury info` and `maury plot`, as a user calls them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from maury import console
from maury.errors import MauryError, SpectrumError
from maury.figures import REGIONS, plot_spectrum, save_figure
from maury.spectrum import Observation, Spectrum, doppler_factor


@pytest.fixture
def s1d(tmp_path):
    """A small s1d file over the sodium lines."""
    wavelength = 5870 + 0.02 * np.arange(2000)
    flux = 1000 - 900 * np.exp(-0.5 * ((wavelength - 5889.951) / 0.3) ** 2)
    flux[:100] = 0
    header = fits.Header({"CRVAL1": 5870.0, "CDELT1": 0.02, "OBJECT": "HD 1", "BUNIT": "adu"})
    header["HIERARCH ESO DRS BERV"] = 18.26
    header["HIERARCH ESO DRS VERSION"] = "HARPS_3.8"
    path = tmp_path / "star.fits"
    fits.PrimaryHDU(flux.astype(np.float32), header).writeto(path)
    return str(path)


@pytest.fixture
def run(command_line):
    return command_line


def test_info_of_one_file_tells_all(run, s1d):
    code, out, err = run("info", s1d)
    assert (code, err) == (0, "")
    for words in ("HD 1", "BERV [km/s]", "18.2600", "5870.0000", "barycentric", "2,000", "100"):
        assert words in out


def test_info_as_json_is_alone_on_stdout_and_a_bad_file_does_not_stop_the_others(run, s1d):
    code, out, err = run("info", "none.fits", s1d, "--format", "json")
    bad, good = json.loads(out)
    assert code == 1
    assert err == "none.fits does not exist.\n"
    assert bad == {"file": "none.fits", "error": "none.fits does not exist."}
    assert good["file"] == s1d
    assert (good["berv"], good["airmass"], good["pixels"], good["bad_pixels"]) == (
        18.26,
        None,
        2000,
        100,
    )


def test_info_of_several_files_fits_a_narrow_terminal(run, s1d, monkeypatch):
    monkeypatch.setattr(console, "PIPE_WIDTH", 80)
    code, out, _ = run("info", s1d, s1d)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    # No word is broken into pieces.
    assert out.count("barycentric") == out.count("star.fits") == out.count("HD 1") == 2


def test_info_as_csv(run, s1d):
    code, out, _ = run("info", s1d, s1d, "--format", "csv", "--frame", "rest", "--medium", "vacuum")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [(r["frame"], r["medium"], r["airmass"]) for r in rows] == [("rest", "vacuum", "")] * 2


def test_info_of_several_files_is_a_table(run, s1d, tmp_path):
    code, out, err = run("info", s1d, tmp_path, s1d)
    assert code == 1
    assert out.count(s1d) == 2
    assert "airmass" in out
    assert err == f"{tmp_path} is a directory, not a spectrum; name the files in it.\n"


def test_plot_writes_a_figure(run, s1d, tmp_path):
    target = tmp_path / "star.png"
    code, out, err = run("plot", s1d, "--out", target)
    assert (code, out, err) == (0, "", f"Wrote {target}.\n")
    assert target.read_bytes().startswith(b"\x89PNG")


def test_plot_takes_its_name_from_the_file(run, s1d, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("plot", s1d)[0] == 0
    assert (tmp_path / "star.fits.png").exists()


def test_mistakes_are_one_sentence_and_a_failure(run, s1d, tmp_path):
    code, out, err = run("plot", "none.fits")
    assert (code, out, err) == (1, "", "none.fits does not exist.\n")
    code, _, err = run("plot", s1d, "--out", tmp_path / "none" / "star.png")
    assert code == 1
    assert err.count("\n") == 1
    assert "cannot be written" in err
    assert run("info")[0] == 2
    assert run("info", s1d, "--format", "xml")[0] == 2


def test_the_installed_command_keeps_astropy_s_warnings_to_itself(s1d):
    # A card that breaks the standard makes astropy warn where it is read.
    content = bytearray(Path(s1d).read_bytes())
    start = content.index(b"OBJECT  = 'HD 1")
    content[start : start + 80] = b"OBJECT  = HD 1".ljust(80)
    Path(s1d).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "maury.cli", "info", s1d],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert "18.2600" in done.stdout


# Figures


def spectrum(first, last, **options):
    wavelength = np.arange(first, last, 0.05)
    return Spectrum(wavelength, np.ones(wavelength.size), **options)


@pytest.mark.parametrize(
    ("first", "last", "names"),
    [
        (3780.0, 6910.0, [region.name for region in REGIONS]),
        (4900.0, 5890.0, ["Mg b"]),
        (6000.0, 6100.0, []),
    ],
)
def test_only_covered_lines_are_drawn(first, last, names):
    figure = plot_spectrum(spectrum(first, last))
    assert [axes.get_title() for axes in figure.axes[1:]] == names


@pytest.mark.parametrize(
    ("frame", "velocity"), [("barycentric", -22.7), ("observatory", -40.96), ("rest", 0.0)]
)
def test_lines_are_marked_where_the_star_has_them(frame, velocity):
    meta = Observation(object="HD 128621", rv=-22.7, berv=18.26)
    figure = plot_spectrum(spectrum(6500.0, 6600.0, frame=frame, meta=meta))
    marks = [line.get_xdata()[0] for line in figure.axes[1].lines[2:]]
    assert marks == [pytest.approx(6562.79 * float(doppler_factor(velocity)), abs=1e-6)]
    assert figure.axes[0].get_title("left") == "HD 128621"


def test_a_vacuum_spectrum_is_drawn_in_air():
    figure = plot_spectrum(spectrum(5000.0, 5100.0, medium="vacuum"))
    assert figure.axes[0].lines[0].get_xdata()[0] == pytest.approx(4998.60, abs=0.02)


def test_nothing_to_draw_and_nowhere_to_write(tmp_path):
    empty = spectrum(5000.0, 5100.0, mask=np.ones(2000, dtype=bool))
    with pytest.raises(SpectrumError, match="cannot be drawn"):
        plot_spectrum(empty)
    figure = plot_spectrum(spectrum(5000.0, 5100.0))
    with pytest.raises(MauryError, match="cannot be written"):
        save_figure(figure, tmp_path / "figure.nonsense")
