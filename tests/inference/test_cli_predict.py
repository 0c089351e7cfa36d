"""``maury predict``, ``train`` and ``bench`` as a user meets them."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from maury.cli import app
from maury.errors import GridError
from maury.figures import REGIONS
from maury.inference import batch, figures
from maury.inference.example import ExampleStar, write_example
from maury.inference.fit import SOLAR_LINE_SHIFT
from maury.inference.network import NetworkEstimator
from maury.readers import read
from maury.spectrum import Spectrum
from maury.training.scale import SCALES

STAR = ExampleStar(teff=6100.0, logg=4.1, mh=-0.3, rv=17.0, berv=-11.0, airmass=1.6, vmac=3.94)


@pytest.fixture(scope="module")
def files(tmp_path_factory, star_spectrum):
    """An exposure as the pipeline would write it, and files that are none."""
    folder = tmp_path_factory.mktemp("spectra")
    good = write_example(folder, STAR, spectrum=star_spectrum)
    empty = folder / "empty.fits"
    empty.touch()
    blue = folder / "blue.txt"
    np.savetxt(blue, np.stack([np.arange(3300.0, 3400.0, 0.1), np.ones(1000)], axis=1))
    return [str(path) for path in (good, empty, blue)]


@pytest.fixture
def run(predictor, monkeypatch):
    monkeypatch.setattr(batch, "load", lambda *_, **__: predictor)

    def invoke(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments)])

    return invoke


def test_json_alone_goes_to_stdout_and_a_bad_file_to_stderr(run, files, tmp_path):
    result = run("predict", *files, tmp_path, tmp_path / "none.fits", "--format", "json")
    records = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [record["file"] for record in records] == [
        *files,
        str(tmp_path),
        f"{tmp_path}/none.fits",
    ]
    assert set(records[0]) == {"file", "labels", "flags"}
    assert records[0]["labels"]["teff"]["value"] == pytest.approx(6100, abs=40)
    assert records[0]["labels"]["teff"]["unit"] == "K"
    for record, words in zip(
        records[1:], ("is empty", "cannot be used", "is a directory", "does not exist"), strict=True
    ):
        assert record["labels"] == {} and words in record["error"]
        assert record["file"] in record["error"] and "\n" not in record["error"]
        assert record["error"] in result.stderr
    assert "Traceback" not in result.stderr


def test_the_table_has_units_uncertainties_and_the_meaning_of_flags(run, files):
    result = run("predict", files[0], "--resolving-power", "115000")
    assert result.exit_code == 0 and result.stderr == ""
    for word in ("[K]", "[dex]", "[km/s]", "simulated_s1d_A.fits", " ± ", "refined by a fit"):
        assert word in result.stdout


def test_the_network_alone_says_so(run, files):
    result = run("predict", files[0], "--no-refine")
    assert "network alone" in result.stdout and "refined" not in result.stdout


def test_csv_is_a_flat_table(run, files):
    result = run("predict", *files, "--no-refine", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["file"] for row in rows] == files
    assert float(rows[0]["teff"]) == pytest.approx(float(rows[0]["network_teff"]))
    assert rows[1]["teff"] == "" and "is empty" in rows[1]["error"]


def test_figures_are_written(run, files, tmp_path, monkeypatch):
    def flat(**settings):
        wavelength = settings["wavelength"]
        return Spectrum(wavelength, np.ones_like(wavelength), frame="rest")

    monkeypatch.setattr(figures, "synthesize", flat)
    for choice in ("--refine", "--no-refine"):
        folder = tmp_path / choice
        result = run("predict", files[0], choice, "--plot", folder)
        assert result.exit_code == 0, result.stderr
        (figure,) = folder.iterdir()
        assert figure.name == "simulated_s1d_A.fits.png"
        assert figure.read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_made_is_told_before_any_work(run, files, tmp_path):
    (tmp_path / "file").touch()
    result = run("predict", files[0], "--plot", tmp_path / "file" / "plots")
    assert result.exit_code == 1 and "cannot be made" in str(result.exception)


def test_an_internal_error_does_not_stop_the_others(run, predictor, files, monkeypatch):
    examine = predictor.examine
    calls = []

    def fail_once(*arguments, **settings):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("unforeseen")
        return examine(*arguments, **settings)

    monkeypatch.setattr(predictor, "examine", fail_once)
    result = run("predict", files[0], files[0], "--no-refine", "--format", "json")
    first, second = json.loads(result.stdout)
    assert result.exit_code == 1
    assert "internal error of maury (RuntimeError: unforeseen); run with --debug" in first["error"]
    assert second["labels"] and "Traceback" not in result.stderr
    calls.clear()
    assert "Traceback" in run("predict", files[0], "--debug").stderr


def test_several_processes_give_what_one_gives(predictor, card, files):
    job = batch.Job(model=str(card), refine=False)
    several = list(batch.predict_files(files, job, workers=2))
    one = batch.predict_files(files, job, predictor=predictor)
    assert several == list(one)


def test_an_unknown_network_is_told_in_a_sentence(files):
    result = CliRunner().invoke(app, ["predict", files[0], "--model", "no-such-network"])
    assert result.exit_code == 1
    assert str(result.exception).startswith("No network is called 'no-such-network'")


def test_panels_lie_in_the_rest_frame_and_on_the_continuum(predictor, files, monkeypatch):
    """With the true spectrum as computed one, nothing but noise is left."""
    spectrum = read(files[0])
    prediction = predictor.examine(spectrum)
    wavelength = spectrum.wavelength / (1 + (17.0 + SOLAR_LINE_SHIFT) / 299_792.458)
    smooth = np.convolve(spectrum.flux / np.median(spectrum.flux), np.ones(3) / 3, mode="same")
    monkeypatch.setattr(
        figures,
        "synthesize",
        lambda **settings: Spectrum(
            settings["wavelength"], np.interp(settings["wavelength"], wavelength, smooth)
        ),
    )
    (panel,) = figures.panels(spectrum, prediction, predictor)
    assert panel.region is REGIONS[3]
    assert np.nanmedian(np.abs(panel.observed - panel.computed)) < 0.01


def test_train_writes_a_network_that_can_be_used(tmp_path, monkeypatch, files):
    few = replace(SCALES["small"], spectra=4, validation=16)
    monkeypatch.setattr("maury.training.recipe.SCALES", {"small": few})
    changes = ("epochs=1", "training.batch=2", "optimizer.warmup=0.5", "training.precision=float32")
    settings = [word for change in changes for word in ("--set", change)]
    out = tmp_path / "harps-small"
    arguments = ["train", "harps-small", *settings, "--out", str(out), "--format", "json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    (record,) = json.loads(result.stdout)
    assert record["teff_mae"] > 0 and record["card"] == str(out / "harps-small.json")
    assert "Wrote" in result.stderr
    estimator = NetworkEstimator.load(record["card"])
    assert estimator.trained_ranges["teff"] == pytest.approx((4000, 8000), abs=5)
    # The example covers too little of this network's grid, which it says of itself.
    with pytest.raises(GridError, match="24% of the network's range 4944-6910 A"):
        estimator.estimate([read(files[0])])


def test_a_wrong_recipe_entry_is_told_in_a_sentence():
    result = CliRunner().invoke(app, ["train", "harps-small", "--set", "training.batch=many"])
    assert result.exit_code == 1 and "training.batch is 'many'" in str(result.exception)


def test_bench_compares_turn_about(predictor, files, monkeypatch):
    monkeypatch.setattr("maury.inference.predictor.load", lambda *_, **__: predictor)
    result = CliRunner().invoke(app, ["bench", "predict", files[0], "--repeats", "1", "--json"])
    record = json.loads(result.stdout)
    assert {"name", "ours", "reference", "ratio", "unit", "conditions"} <= set(record)
    assert record["ratio"] == pytest.approx(record["ours"] / record["reference"], rel=1e-3)
    assert set(record["breakdown_ms"]) == {"read", "network", "fit", "tellurics", "other"}
    assert record["unit"] == "spectra/s/core"
    missing = CliRunner().invoke(app, ["bench", "predict", "none.fits"])
    assert missing.exit_code == 1
    assert "nothing to measure: none.fits does not exist" in str(missing.exception)
    wrong = CliRunner().invoke(app, ["bench", "speed"])
    assert wrong.exit_code == 1 and "No benchmark is called 'speed'" in str(wrong.exception)


def test_the_reference_of_the_benchmark_finds_the_same_star(predictor, files):
    from maury.inference.benchmark import reference_fit

    spectrum = read(files[0])
    prediction = predictor.examine(spectrum)
    other = reference_fit(predictor.fitter(spectrum)[0], spectrum, prediction)
    assert prediction.fit is not None
    assert other["teff"] == pytest.approx(prediction.fit.values["teff"], abs=40)
    assert other["logg"] == pytest.approx(prediction.fit.values["logg"], abs=0.02)
