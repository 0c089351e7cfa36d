"""Spectra compressed to latents and turned back, from Python and as a user meets it."""

import csv
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner

import maury
from maury.cli import app
from maury.errors import GridError, SpectrumError, WeightsError
from maury.grid import WavelengthGrid
from maury.inference import latents
from maury.inference.latents import decode, encode, encode_files, latent_names
from maury.inference.network import NetworkEstimator
from maury.labels import LabelSet, Normalizer
from maury.models.latent_statistics import LatentStatistics
from maury.models.preprocessing import Preprocessing
from maury.models.weights import save_network
from maury.models.zoo import build
from maury.spectrum import Observation, Spectrum
from maury.writers import write

GRID = WavelengthGrid(start=5000.0, step=0.06, size=2**14, gaps=((5300.0, 5310.0),), name="test")
LABELS = LabelSet.from_names(["teff", "rv"])
NORMALIZER = Normalizer((6000.0, 1.0), (1000.0, 50.0), LABELS.names)


def save(path, model="ae-cnn", seed=3, **changes):
    """The card of an untrained network of five nodes."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    network = build(
        model,
        grid=GRID,
        labels=LABELS,
        normalizer=NORMALIZER,
        preprocessing=Preprocessing(GRID, continuum=50.0, ignore=((5500.0, 5501.0),)),
        **changes,
    )
    flux = 1 + 0.1 * torch.randn(20, GRID.size, generator=torch.Generator().manual_seed(1))
    valid = torch.from_numpy(GRID.valid.copy()).expand(20, -1)
    statistics = LatentStatistics.measure(network, [(network.preprocessing(flux, valid), valid)])
    known = network.supervised and "encoder" in network.parts
    return save_network(
        path,
        network,
        validation={name: {"mae": 1.0, "bias": 0.0, "sigma": 1.0} for name in LABELS.names}
        if known
        else {},
        training={},
        latents=statistics,
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return save(tmp_path_factory.mktemp("network") / "net.json", nodes=5)


@pytest.fixture(scope="module")
def estimator(path):
    return NetworkEstimator.load(path)


def spectrum(seed=1, **settings):
    wavelength = np.arange(4990.0, 6000.0, 0.02)
    flux = np.ones_like(wavelength)
    for center in np.random.default_rng(seed).uniform(4990, 6000, 300):
        flux -= 0.4 * np.exp(-0.5 * ((wavelength - center) / 0.07) ** 2)
    return Spectrum(wavelength, 1000 * flux, **settings)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two spectra, one of them twice; a damaged one, one of other wavelengths, and none."""
    folder = tmp_path_factory.mktemp("spectra")
    (folder / "more").mkdir()
    paths = [folder / "sun.fits", folder / "more" / "sun.fits", folder / "star.txt"]
    for seed, file in enumerate(paths):
        write(spectrum(seed, meta=Observation(object=f"star {seed}")), file)
    damaged = folder / "damaged.txt"
    flux = np.ones(5000)
    flux[::20] = 1e21
    np.savetxt(damaged, np.stack([np.arange(5000.0, 5500.0, 0.1), flux], axis=1))
    blue = folder / "blue.txt"
    np.savetxt(blue, np.stack([np.arange(3300.0, 3400.0, 0.1), np.ones(1000)], axis=1))
    return [str(file) for file in (*paths, damaged, blue, folder / "none.fits")]


def test_latents_are_labels_in_their_units_and_the_unknown_factors(estimator):
    star = spectrum(meta=Observation(object="a star"))
    encoded = encode(star, estimator)
    assert tuple(encoded.latents) == latent_names(estimator.network)
    assert tuple(encoded.latents) == ("teff", "rv", "u_1", "u_2", "u_3")
    flux, valid = estimator.prepare(star)
    expected = estimator.network.encode(torch.from_numpy(flux)[None], torch.from_numpy(valid)[None])
    values = [*encoded.latents.values()]
    np.testing.assert_allclose(values[:2], expected.labels[0], rtol=1e-5)
    np.testing.assert_allclose(values[2:], expected.unknown[0], atol=1e-5)
    assert (encoded.object, encoded.coverage) == ("a star", 1.0)


def test_decoding_gives_the_networks_own_reconstruction(estimator):
    star = spectrum(frame="rest")
    encoded = encode(star, estimator)
    made = decode(encoded.to_row(latent_names(estimator.network)), estimator)
    flux, valid = estimator.prepare(star)
    nodes = estimator.network.encode(
        torch.from_numpy(flux)[None], torch.from_numpy(valid)[None]
    ).nodes
    np.testing.assert_allclose(made.flux, estimator.network.decode(nodes)[0], atol=1e-5)
    assert (made.frame, made.medium) == ("rest", "air")
    np.testing.assert_array_equal(made.valid, estimator.network.preprocessing.trusted)
    # The error is that of the prepared spectrum against this, where both are valid.
    prepared = estimator.network.normalize(torch.from_numpy(flux)[None], torch.from_numpy(valid))
    seen = valid & made.valid
    error = np.abs(prepared[0].numpy() - made.flux)[seen].mean()
    assert encoded.novelty.values["reconstruction_error"] == pytest.approx(error, rel=1e-4)


def test_networks_without_supervision_have_unknown_factors_alone(tmp_path):
    network = NetworkEstimator.load(save(tmp_path / "net.json", "ae-unsupervised", nodes=4,
                                         decoder="cnn-decoder"))  # fmt: skip
    encoded = encode(spectrum(), network)
    assert tuple(encoded.latents) == ("u_1", "u_2", "u_3", "u_4")
    made = decode(encoded.to_row(latent_names(network.network)), network)
    assert made.valid.sum() == network.network.preprocessing.trusted.sum()


def test_an_encoder_alone_compresses_but_reconstructs_nothing(tmp_path):
    network = NetworkEstimator.load(save(tmp_path / "net.json", "encoder"))
    encoded = encode(spectrum(), network)
    assert set(encoded.novelty.values) == {"latent_distance"}
    assert encoded.novelty.because == "latent_distance"
    with pytest.raises(WeightsError, match=r"^net cannot turn latents into spectra: .* decoder\.$"):
        decode(encoded.to_row(latent_names(network.network)), network)


def test_spectra_that_cannot_be_compressed_are_refused(estimator, tmp_path):
    with pytest.raises(GridError, match="0% of the network's range"):
        encode(Spectrum(np.arange(3000.0, 3100.0), np.ones(100)), estimator)
    dark = spectrum()
    with pytest.raises(SpectrumError, match="median flux"):
        encode(Spectrum(dark.wavelength, -dark.flux), estimator)
    decoder = NetworkEstimator.load(save(tmp_path / "net.json", "cnn-decoder"))
    with pytest.raises(WeightsError, match="it has no encoder"):
        list(encode_files(["a.fits"], decoder))


def test_a_damaged_file_is_refused_and_the_rest_goes_on(estimator, files):
    found = list(encode_files(files, estimator))
    assert [encoded.refused for encoded in found] == [False] * 3 + [True, False, False]
    assert found[3].anomaly == float("inf") and found[4].anomaly is found[5].anomaly is None
    assert "is damaged" in found[3].error and "does not exist" in found[5].error
    assert all(encoded.error is None and encoded.anomaly > 0 for encoded in found[:3])


def test_an_internal_error_does_not_stop_the_others(estimator, files, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(latents, "encode", fail)
    first, second = encode_files(files[:2], estimator, debug=True)
    assert "internal error of maury (RuntimeError: unforeseen); run with --debug" in first.error
    assert second.error and not second.refused and "Traceback" in capsys.readouterr().err


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_files_go_to_parquet_and_come_back_as_spectra(path, estimator, files, tmp_path):
    table = tmp_path / "latents.parquet"
    result = run("encode", *files, "--model", path, "--out", table)
    assert result.exit_code == 1
    assert "refused: see below" in result.stdout and "Anomaly: by how many" in result.stdout
    for words in ("is damaged", "of the network's range", "does not exist"):
        assert words in result.stderr and "Traceback" not in result.stderr
    rows = pq.read_table(table).to_pylist()
    assert [row["file"] for row in rows] == files
    assert [row["rank"] for row in rows].count(None) == 2 and rows[3]["rank"] == 1
    decoded = tmp_path / "decoded"
    result = run("decode", table, "--model", path, "--out", decoded, "--format", "json")
    assert result.exit_code == 0, result.stderr
    records = json.loads(result.stdout)
    assert [record["file"] for record in records] == files[:3]
    names = ["star.decoded.fits", "sun.decoded-2.fits", "sun.decoded.fits"]
    assert sorted(file.name for file in decoded.iterdir()) == names
    read = maury.read(decoded / "star.decoded.fits")
    expected = decode(rows[2], estimator)
    np.testing.assert_allclose(read.flux[read.valid], expected.flux[expected.valid])
    assert (read.meta.object, read.meta.instrument) == ("star 2", "decoded by net")


def test_json_and_csv_have_the_same_row_for_each_file(path, files, tmp_path):
    arguments = ("encode", *files[2:], "--model", path)
    first = run(*arguments, "--format", "json", "--out", tmp_path / "rows.json")
    rows = json.loads(first.stdout)
    assert [row["file"] for row in rows] == files[2:]
    assert rows[0]["teff"] is not None and rows[1]["refused"] and rows[1]["anomaly"] is None
    assert 0 <= rows[0]["misfit_share"] <= 1
    assert json.loads((tmp_path / "rows.json").read_text()) == rows
    second = run(*arguments, "--format", "csv", "--out", tmp_path / "rows.csv")
    flat = list(csv.DictReader(io.StringIO(second.stdout)))
    assert float(flat[0]["u_3"]) == rows[0]["u_3"]
    assert (tmp_path / "rows.csv").read_text() == second.stdout


def test_latents_of_another_network_are_refused(path, files, tmp_path):
    table = tmp_path / "latents.parquet"
    run("encode", files[0], "--model", path, "--out", table)
    other = save(tmp_path / "other.json", seed=4, nodes=5)
    result = run("decode", table, "--model", other, "--out", tmp_path / "decoded")
    assert result.exit_code == 1 and not (tmp_path / "decoded").exists()
    told = str(result.exception)
    assert "latents of the network 'net' with other weights than those of other" in told
    assert "\n" not in told


def damage(table, how):
    """Change a table of latents, or its metadata."""
    found = pq.read_table(table)
    facts = json.loads(found.schema.metadata[b"maury"])
    if how == "format":
        facts["format"] = "other"
    elif how == "version":
        facts["format_version"] = 99
    elif how == "column":
        found = found.drop_columns(["u_2"])
    metadata = {} if how == "metadata" else {b"maury": json.dumps(facts).encode()}
    pq.write_table(found.replace_schema_metadata(metadata), table)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("format", "holds no latents"),
        ("metadata", "holds no latents"),
        ("version", "has format version 99, but this maury knows 1"),
        ("column", "is damaged: it has no column 'u_2'"),
        ("cut", "cannot be read as Parquet"),
        ("empty", "cannot be read as Parquet"),
        ("missing", "cannot be read as Parquet"),
    ],
)
def test_damaged_tables_are_refused_in_a_sentence(path, files, tmp_path, how, sentence):
    table = tmp_path / "latents.parquet"
    run("encode", files[0], "--model", path, "--out", table)
    if how == "cut":
        table.write_bytes(table.read_bytes()[:-100])
    elif how == "empty":
        table.write_bytes(b"")
    elif how == "missing":
        table.unlink()
    else:
        damage(table, how)
    result = run("decode", table, "--model", path, "--out", tmp_path / "decoded")
    told = str(result.exception)
    assert result.exit_code == 1 and sentence in told and str(table) in told
    assert "\n" not in told and told.endswith(".")


def test_a_latent_that_is_no_number_costs_its_row_alone(path, files, tmp_path):
    table = tmp_path / "latents.parquet"
    run("encode", *files[:2], "--model", path, "--out", table)
    found = pq.read_table(table)
    rows = found.to_pylist()
    rows[0]["u_1"] = float("nan")
    pq.write_table(type(found).from_pylist(rows, found.schema), table)
    result = run("decode", table, "--model", path, "--out", tmp_path / "decoded")
    assert result.exit_code == 1
    assert "its latent u_1 is nan, not a number" in result.stderr
    assert len([*(tmp_path / "decoded").iterdir()]) == 1


def test_a_card_without_statistics_compresses_and_says_that_it_compares_nothing(
    path, files, tmp_path
):
    values = json.loads(path.read_text()) | {"latents": None}
    weights = path.with_suffix(".safetensors")
    (tmp_path / weights.name).write_bytes(weights.read_bytes())
    (tmp_path / "net.json").write_text(json.dumps(values))
    result = run("encode", files[0], "--model", tmp_path / "net.json", "--format", "json")
    (row,) = json.loads(result.stdout)
    assert result.exit_code == 0 and "nothing to compare with" in result.stderr
    assert row["misfit"] > 0 and row["anomaly"] is None and row["rank"] is None


def test_wrong_commands_are_told_in_a_sentence(path, files, tmp_path):
    for arguments, words in (
        (("encode", files[0], "--model", path, "--out", "a.npz"), "must end in .parquet, .csv or"),
        (("encode", files[0], "--model", "nothing"), "No network is called 'nothing'"),
        (("decode", files[0], "--model", path, "--out", tmp_path / "a"), "as Parquet"),
        (("decode", files[0], "--model", "harps-small", "--out", tmp_path / "a"), "no decoder"),
    ):
        result = run(*arguments)
        assert result.exit_code != 0 and words in str(result.exception)
    assert list(tmp_path.iterdir()) == []
