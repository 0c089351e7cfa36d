"""Cards and weights: what is written comes back, and what does not fit is refused."""

import hashlib
import json
from importlib.resources import as_file, files

import pytest
import torch
from safetensors.torch import load_file, save_file

from maury.errors import WeightsError
from maury.grid import HARPS_SMALL, WavelengthGrid
from maury.labels import HARPS_LABELS, LabelSet, Normalizer
from maury.models.decoder import CNNDecoder
from maury.models.encoder import Encoder
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing
from maury.models.weights import load_network, save_network
from maury.models.zoo import build

GRID = WavelengthGrid(start=5000.0, step=0.06, size=2**14, gaps=((5300.0, 5310.0),), name="test")
LABELS = LabelSet.from_names(["teff", "rv"])
VALIDATION = {
    "teff": {"mae": 80.0, "bias": -5.0, "sigma": 90.0},
    "rv": {"mae": 0.8, "bias": 0.1, "sigma": 0.9},
}


def make_network():
    torch.manual_seed(5)
    return Network(
        grid=GRID,
        labels=LABELS,
        normalizer=Normalizer((6000.0, 0.0), (1000.0, 50.0), LABELS.names),
        preprocessing=Preprocessing(
            GRID, continuum=50.0, clip=(0.0, 1.3), ignore=((5400.0, 5401.0),)
        ),
        encoder=Encoder(pixels=GRID.size, outputs=2),
    )


@pytest.fixture
def card(tmp_path):
    return save_network(
        tmp_path / "net.json", make_network(), validation=VALIDATION, training={"seed": 5}
    )


def parts(**changes):
    """The parts of a card, with another entry of the encoder."""
    encoder = {
        "architecture": "encoder",
        "architecture_version": 1,
        "hyperparameters": {"pixels": GRID.size, "outputs": 2},
    }
    return {"encoder": encoder | changes}


def edit(card, **changes):
    values = json.loads(card.read_text())
    for key, value in changes.items():
        if value is None:
            del values[key]
        else:
            values[key] = value
    card.write_text(json.dumps(values))


def replace_weights(card, tensors):
    file = card.with_suffix(".safetensors")
    save_file(tensors, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    edit(card, weights={"file": file.name, "sha256": digest})


def test_a_network_comes_back_as_it_was(card):
    network, read = load_network(card)
    flux = torch.rand(2, GRID.size)
    valid = torch.rand(2, GRID.size) > 0.1
    torch.testing.assert_close(network.predict(flux, valid), make_network().predict(flux, valid))
    assert network.grid == GRID and network.labels == LABELS
    assert read.validation["rv"].sigma == 0.9
    assert read.training == {"seed": 5}
    assert sorted(path.name for path in card.parent.iterdir()) == ["net.json", "net.safetensors"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"magic": "other"}, "is not the card of a maury network"),
        ({"format_version": 3}, "has format_version 3, but this maury knows 2"),
        ({"format_version": None}, "has format_version None"),
        ({"parts": {}}, "entry parts"),
        (
            {"parts": parts(architecture="cnn-decoder")},
            "part 'encoder' of architecture 'cnn-decoder', but this maury knows encoder",
        ),
        ({"parts": {"head": parts()["encoder"]}}, "part 'head' .* this maury knows no such part"),
        (
            {"parts": parts(architecture_version=0)},
            "architecture_version 0 of the encoder, but this maury knows 1",
        ),
        ({"parts": parts(hyperparameters={"depth": 2})}, "unexpected keyword"),
        ({"normalizer": None}, "entry normalizer"),
        ({"surprise": 1}, "entry surprise"),
        (
            {"parts": parts(hyperparameters={"pixels": 2**15, "outputs": 2})},
            "contradict each other",
        ),
        ({"variational": True}, "bottleneck of 1 nodes"),
        ({"grid": GRID.to_dict() | {"size": 2**15}}, "contradict each other"),
        ({"grid": GRID.to_dict() | {"size": 2**40}}, "more than 16777216"),
        ({"labels": ["teff"]}, "normalisation is of teff, rv, but the labels are teff"),
        ({"labels": ["teff", "colour"]}, "No label is called 'colour'"),
        ({"preprocessing": {"continuum": 50.0, "magic": 1}}, "unexpected keyword"),
        ({"validation": {"teff": VALIDATION["teff"]}}, "no validation statistics"),
    ],
)
def test_cards_that_do_not_match_are_refused(card, changes, sentence):
    edit(card, **changes)
    with pytest.raises(WeightsError, match=sentence) as caught:
        load_network(card)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert str(card) in str(caught.value)


def test_an_impossible_size_is_refused_without_making_it(card):
    size = 2**24
    edit(
        card,
        grid=GRID.to_dict() | {"size": size},
        parts=parts(hyperparameters={"pixels": size, "outputs": 2}),
    )
    with pytest.raises(WeightsError, match="cannot be used"):
        load_network(card)


@pytest.mark.parametrize("file", ["../net.safetensors", "/etc/hostname", "a/b", "..", ""])
def test_weights_outside_the_folder_are_refused(card, file):
    edit(card, weights={"file": file, "sha256": "0" * 64})
    with pytest.raises(WeightsError, match="must lie beside it"):
        load_network(card)


def test_a_link_out_of_the_folder_is_refused(card, tmp_path_factory):
    weights = card.with_suffix(".safetensors")
    target = tmp_path_factory.mktemp("elsewhere") / "weights"
    weights.rename(target)
    weights.symlink_to(target)
    with pytest.raises(WeightsError, match="must lie beside it"):
        load_network(card)


def test_changed_weights_are_refused(card):
    file = card.with_suffix(".safetensors")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        load_network(card)


def test_missing_files_are_told(card):
    card.with_suffix(".safetensors").unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        load_network(card)
    with pytest.raises(WeightsError, match=r"Card .* cannot be read"):
        load_network(card.with_name("absent.json"))


def test_a_card_that_is_not_json(card):
    card.write_text("{")
    with pytest.raises(WeightsError, match="is not JSON"):
        load_network(card)


def test_weights_that_do_not_fit_the_architecture_are_refused(card):
    tensors = load_file(card.with_suffix(".safetensors"))
    replace_weights(card, {name: tensors[name] for name in list(tensors)[1:]})
    with pytest.raises(WeightsError, match="cannot be used"):
        load_network(card)


def test_weights_that_are_not_finite_are_refused(card):
    tensors = load_file(card.with_suffix(".safetensors"))
    tensors["encoder.head.bias"][0] = torch.nan
    replace_weights(card, tensors)
    with pytest.raises(WeightsError, match="a weight is not finite"):
        load_network(card)


def test_a_label_without_statistics_cannot_be_saved(tmp_path):
    with pytest.raises(WeightsError, match="label 'rv' has no validation"):
        save_network(
            tmp_path / "net.json",
            make_network(),
            validation={"teff": VALIDATION["teff"]},
            training={},
        )
    with pytest.raises(WeightsError, match=r"must end in \.json"):
        save_network(tmp_path / "net", make_network(), validation=VALIDATION, training={})


def test_a_decoder_needs_no_statistics_and_comes_back(tmp_path):
    network = make_network()
    decoder = CNNDecoder(pixels=GRID.size, inputs=2)
    alone = Network(GRID, LABELS, network.normalizer, network.preprocessing, decoder=decoder)
    path = save_network(tmp_path / "net.json", alone, validation={}, training={})
    nodes = torch.randn(2, 2)
    again, _ = load_network(path)
    with torch.no_grad():
        torch.testing.assert_close(again.decode(nodes), decoder(nodes))
    assert not any(parameter.requires_grad for parameter in again.parameters())


def test_a_decoder_of_other_labels_is_refused(tmp_path):
    network = build(
        "doppler-decoder",
        grid=GRID,
        labels=HARPS_LABELS,
        normalizer=Normalizer((0.0,) * 6, (1.0,) * 6, HARPS_LABELS.names),
        decoder_settings={"components": 2, "sky_components": 2},
    )
    card = save_network(tmp_path / "net.json", network, validation={}, training={})
    load_network(card)
    normalizer = Normalizer((0.0,) * 6, (2.0,) * 6, HARPS_LABELS.names)
    edit(card, normalizer=normalizer.to_dict())
    with pytest.raises(WeightsError, match="contradict each other"):
        load_network(card)


def test_the_network_that_comes_with_the_package_gives_its_numbers():
    # Its card is of the first format, which knew encoders alone.
    folder = files("maury") / "data"
    with (
        as_file(folder / "harps-small.json") as card,
        as_file(folder / "harps-small.safetensors") as weights,
    ):
        network, read = load_network(card)
        encoder = Encoder(pixels=HARPS_SMALL.size, outputs=6)
        encoder.load_state_dict(load_file(weights))
    assert network.grid == HARPS_SMALL and network.labels == HARPS_LABELS
    assert set(read.validation) == set(HARPS_LABELS.names)
    flux = 1 + 0.1 * torch.randn(2, HARPS_SMALL.size, generator=torch.Generator().manual_seed(1))
    valid = torch.from_numpy(HARPS_SMALL.valid.copy()).expand(2, -1)
    with torch.no_grad():
        prepared = Preprocessing(HARPS_SMALL, continuum=50.0, clip=(0.0, 1.3))(flux, valid)
        expected = network.normalizer.denormalize(encoder(prepared))
    torch.testing.assert_close(network.predict(flux, valid), expected, rtol=1e-5, atol=1e-4)
