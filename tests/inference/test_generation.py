"""Spectra of wanted labels: with decoders in closed form, and as a user meets them."""

import csv
import io
import json

import numpy as np
import pytest
import torch
from astropy import units
from torch import nn
from typer.testing import CliRunner

import maury
from maury.cli import app
from maury.errors import SynthesisError, WeightsError
from maury.grid import WavelengthGrid
from maury.inference.generation import generate
from maury.inference.network import NetworkEstimator
from maury.inference.predictor import Predictor
from maury.labels import LabelSet, Normalizer
from maury.models.downstream import LinearReadout
from maury.models.latent_statistics import LatentStatistics
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing
from maury.models.weights import save_network
from maury.models.zoo import build

GRID = WavelengthGrid(start=5000.0, step=0.06, size=2**14, gaps=((5300.0, 5310.0),), name="test")
LABELS = LabelSet.from_names(["teff", "rv"])
NORMALIZER = Normalizer((6000.0, 1.0), (1000.0, 50.0), LABELS.names)
RANGES = {"teff": (4000.0, 8000.0)}
# Label nodes are correlated with u, so that the conditional mean differs from the mean.
LATENTS = LatentStatistics(
    count=100,
    mean=(0.0, 0.0, 2.0),
    covariance=((1.0, 0.0, 0.8), (0.0, 1.0, 0.0), (0.8, 0.0, 1.0)),
    distances=(0.0, 3.0),
    errors=(0.0, 1.0),
    misfits=(0.0, 1.0),
    dissimilarities=(0.0, 1.0),
)


class Steps(nn.Module):
    """A decoder that writes each node into a tenth of the spectrum, on a level of one."""

    architecture = "steps"

    def __init__(self, nodes):
        super().__init__()
        self.inputs, self.pixels = nodes, GRID.size

    def forward(self, nodes):
        flux = torch.ones(len(nodes), GRID.size)
        for k in range(self.inputs):
            flux[:, 100 * k : 100 * k + 100] += nodes[:, k : k + 1]
        return flux


class Blind(nn.Module):
    """An encoder that nobody asks."""

    architecture = "blind"

    def __init__(self, outputs):
        super().__init__()
        self.outputs, self.pixels = outputs, GRID.size


def estimator(card, *, nodes=3, encoder=True, variational=False, readout=None, supervised=True):
    network = Network(
        GRID,
        LABELS,
        NORMALIZER,
        Preprocessing(GRID),
        Blind(nodes * (2 if variational else 1)) if encoder else None,
        Steps(nodes),
        readout,
        variational=variational,
        supervised=supervised,
    )
    return NetworkEstimator(network, card, "net")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The card of an untrained autoencoder of three nodes."""
    torch.manual_seed(3)
    network = build("ae-cnn", grid=GRID, labels=LABELS, normalizer=NORMALIZER, nodes=3)
    return save_network(
        tmp_path_factory.mktemp("network") / "net.json",
        network,
        validation={name: {"mae": 1.0, "bias": 0.0, "sigma": 1.0} for name in LABELS.names},
        training={},
        latents=LATENTS,
        ranges=RANGES,
    )


@pytest.fixture(scope="module")
def card(path):
    return NetworkEstimator.load(path).card


def levels(spectrum, nodes=3):
    """The nodes that `Steps` wrote into a spectrum."""
    return [spectrum.flux[100 * k + 50] - 1 for k in range(nodes)]


def test_labels_are_set_on_their_nodes_and_the_spectrum_is_what_the_decoder_makes(card):
    generation = generate(estimator(card), {"teff": 5500.0, "rv": 26.0}, n=2)
    for index in range(2):
        assert levels(generation.spectrum(index))[:2] == pytest.approx([-0.5, 0.5], abs=1e-6)
    assert generation.labels == {"teff": 5500.0, "rv": 26.0} and generation.assumed == ()


def test_labels_that_are_missing_are_at_the_centre_and_told(card):
    generation = generate(estimator(card), {"teff": 5500.0})
    assert levels(generation.spectrum(0))[1] == 0.0
    assert generation.labels["rv"] == 1.0 and generation.assumed == ("rv",)
    assert generation.describe() == (
        "net: Teff 5500 K, RV 1 km/s (not given: the centre of the training labels); "
        "u from the training latents."
    )


def test_u_of_an_autoencoder_follows_the_training_latents_of_such_labels(card):
    u = generate(estimator(card), {"teff": 7000.0}, n=20_000).unknown
    # By hand: the node of Teff is 1, and u has mean 2 + 0.8 and variance 1 - 0.8^2.
    assert u.mean() == pytest.approx(2.8, abs=0.02)
    assert u.var() == pytest.approx(0.36, abs=0.02)


def test_u_of_a_variational_network_follows_the_normal_prior(card):
    generation = generate(estimator(card, variational=True), {}, n=20_000)
    assert generation.unknown.mean() == pytest.approx(0.0, abs=0.03)
    assert generation.unknown.var() == pytest.approx(1.0, abs=0.04)
    assert generation.source == "u from its normal prior"


def test_a_decoder_alone_has_no_u_or_zero(card):
    assert generate(estimator(card, nodes=2, encoder=False), {}).source == "no u"
    generation = generate(estimator(card, encoder=False), {}, n=2)
    assert generation.source == "u = 0" and not generation.unknown.any()


@pytest.mark.parametrize("variational", [False, True])
def test_without_supervision_the_readout_of_the_nodes_gives_the_labels(card, variational):
    readout = LinearReadout(inputs=3, outputs=2)
    readout.weight[:] = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -2.0]])
    readout.bias[:] = torch.tensor([0.1, -0.2])
    network = estimator(card, readout=readout, supervised=False, variational=variational)
    generation = generate(network, {"teff": 5500.0, "rv": 26.0}, n=5)
    labels = readout(torch.from_numpy(generation.nodes).float())
    torch.testing.assert_close(labels, torch.tensor([[-0.5, 0.5]]).expand(5, 2))
    assert np.ptp(generation.unknown[:, 0]) > 0.1


def test_the_same_seed_gives_the_same_spectra_and_few_are_the_first_of_many(card):
    few = generate(estimator(card), {}, n=3, seed=5).nodes
    np.testing.assert_array_equal(generate(estimator(card), {}, n=40, seed=5).nodes[:3], few)
    assert not np.allclose(generate(estimator(card), {}, n=3, seed=6).nodes, few)


def test_a_generated_spectrum_says_what_it_is(card):
    spectrum = generate(estimator(card), {"teff": 5500.0, "rv": 26.0}).spectrum(0)
    assert (spectrum.medium, spectrum.frame) == ("air", "barycentric")
    np.testing.assert_array_equal(spectrum.valid, GRID.valid)
    assert spectrum.meta.object == "generated by net"
    assert spectrum.meta.instrument == "net, u from the training latents"
    assert (spectrum.meta.teff, spectrum.meta.rv) == (5500.0, 26.0)


def test_quantities_in_other_units_are_converted(card):
    wanted = {"teff": 5.5 * units.kK, "rv": 26_000 * units.m / units.s}
    assert generate(estimator(card), wanted).labels == pytest.approx({"teff": 5500.0, "rv": 26.0})
    with pytest.raises(SynthesisError, match=r"^rv is in km/s, not K\.$"):
        generate(estimator(card), {"rv": 26 * units.K})


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({"teff": 9000.0}, "teff = 9000 K is outside what net was trained on, 4000 to 8000"),
        ({"rv": -101.0}, "rv = -101 km/s is outside what net was trained on, -100 to 100"),
        ({"teff": float("nan")}, "teff must be a finite number, not nan"),
        ({"teff": "hot"}, "teff must be a number, not 'hot'"),
        ({"pwv": 3.0}, "net has no label 'pwv'; its labels are teff, rv"),
        ({"colour": 3.0}, "No label is called 'colour'; the labels are teff, mh"),
    ],
)
def test_labels_that_cannot_be_had_are_refused_in_a_sentence(card, labels, sentence):
    with pytest.raises(SynthesisError, match=sentence) as caught:
        generate(estimator(card), labels)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_networks_that_cannot_generate_are_refused_in_a_sentence(card):
    with pytest.raises(WeightsError, match="trained without any, and has no readout"):
        generate(estimator(card, supervised=False), {})
    silent = card.model_copy(update={"latents": None})
    with pytest.raises(WeightsError, match="does not tell how the latents"):
        generate(estimator(silent), {})
    # Without unknown factors there is nothing to be told.
    assert generate(estimator(silent, nodes=2), {}).source == "no u"
    encoder = build("encoder", grid=GRID, labels=LABELS, normalizer=NORMALIZER)
    with pytest.raises(WeightsError, match=r"^net cannot generate spectra: it has no decoder\.$"):
        generate(NetworkEstimator(encoder, card, "net"), {})
    with pytest.raises(SynthesisError, match="at least 1, not 0"):
        generate(estimator(card), {}, n=0)


def test_a_predictor_generates_one_spectrum_or_a_list(card, emulator):
    predictor = Predictor(estimator(card), emulator)
    one = predictor.generate({"teff": 5500.0})
    assert levels(one)[0] == pytest.approx(-0.5, abs=1e-6)
    several = predictor.generate({"teff": 5500.0}, n=3, seed=1)
    assert len(several) == 3
    assert levels(several[0])[2] != levels(several[1])[2]


def test_a_decoder_alone_loads_generates_and_refuses_to_predict(tmp_path):
    network = build("cnn-decoder", grid=GRID, labels=LABELS, normalizer=NORMALIZER)
    card = save_network(tmp_path / "net.json", network, validation={}, training={})
    predictor = maury.load(card)
    spectrum = predictor.generate({"teff": 5500.0})
    assert spectrum.meta.instrument == "net, no u"
    (row,) = predictor.predict(spectrum)
    assert "net predicts no labels: it has no encoder." in row["error"]


def run(*arguments):
    return CliRunner().invoke(app, ["generate", *map(str, arguments)])


def test_generated_files_are_numbered_and_read_again(path, tmp_path):
    result = run("--model", path, "--teff", 5500, "--n", 2, "--out", tmp_path / "sun.fits")
    assert result.exit_code == 0, result.stderr
    assert "Wrote" in result.stderr and "u from the training latents" in result.stdout
    read = [maury.read(tmp_path / f"sun-{number}.fits") for number in (1, 2)]
    generation = generate(NetworkEstimator.load(path), {"teff": 5500.0}, n=2)
    for index, spectrum in enumerate(read):
        np.testing.assert_allclose(spectrum.flux, generation.spectrum(index).flux)
        np.testing.assert_array_equal(spectrum.valid, GRID.valid)
        assert (spectrum.meta.teff, spectrum.meta.object) == (5500.0, "generated by net")


def test_a_folder_becomes_a_store_that_grows(path, tmp_path):
    for count in (2, 5):
        result = run("--model", path, "--teff", 5500, "--n", count, "--out", tmp_path / "stars")
        assert result.exit_code == 0, result.stderr
    store = maury.SpectrumStore(tmp_path / "stars")
    assert store.settings["kind"] == "generated" and store.done.size == 5
    assert store.catalogue["teff"].to_pylist() == [5500.0] * 5
    generation = generate(NetworkEstimator.load(path), {"teff": 5500.0}, n=5)
    np.testing.assert_allclose(store.catalogue["u_1"].to_numpy(), generation.unknown[:, 0])
    spectrum = store.spectrum(4)
    np.testing.assert_array_equal(spectrum.valid, GRID.valid)
    expected = generation.spectrum(4).flux[GRID.valid]
    np.testing.assert_allclose(spectrum.flux[GRID.valid], expected, rtol=1e-6)
    other = run("--model", path, "--teff", 5600, "--n", 5, "--out", tmp_path / "stars")
    assert other.exit_code != 0 and "was begun with labels" in str(other.exception)


def test_json_and_csv_tell_labels_and_u_of_each_spectrum(path, tmp_path):
    arguments = ("--model", path, "--rv", 3, "--n", 2, "--plot", tmp_path / "figure.png")
    records = json.loads(run(*arguments, "--format", "json").stdout)
    assert [record["spectrum"] for record in records] == [1, 2]
    assert records[0]["labels"] == {"teff": 6000.0, "rv": 3.0}
    assert records[0]["assumed"] == ["teff"] and len(records[0]["unknown"]) == 1
    rows = list(csv.DictReader(io.StringIO(run(*arguments, "--format", "csv").stdout)))
    assert float(rows[1]["u_1"]) == records[1]["unknown"][0]
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_wrong_commands_are_told_in_a_sentence(path, tmp_path):
    for arguments, words in (
        ((), "of the networks that come with maury (harps-small) none has a decoder"),
        (("--model", path), "give --out, --plot or both"),
        (("--model", path, "--out", tmp_path / "a.npz"), "must end in .fits, .txt or .csv"),
        (("--model", path, "--teff", 1, "--plot", tmp_path / "a.png"), "4000 to 8000"),
        (("--model", "harps-small", "--plot", tmp_path / "a.png"), "it has no decoder"),
        (("--model", tmp_path / "none.json", "--plot", "a.png"), "cannot be read"),
    ):
        result = run(*arguments)
        assert result.exit_code != 0 and words in str(result.exception)
        assert "\n" not in str(result.exception)
    assert list(tmp_path.iterdir()) == []
