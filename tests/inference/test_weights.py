"""Cards and weights: what is written comes back, and what does not fit is refused."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from maury.errors import WeightsError
from maury.grid import WavelengthGrid
from maury.inference.weights import load_network, save_network
from maury.labels import LabelSet, Normalizer
from maury.models.encoder import Encoder
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing

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
        ({"format_version": 2}, "has format_version 2, but this maury knows 1"),
        ({"format_version": None}, "has format_version None"),
        ({"architecture": "decoder"}, "has architecture 'decoder', but this maury knows 'encoder'"),
        ({"architecture_version": 0}, "has architecture_version 0"),
        ({"normalizer": None}, "entry normalizer"),
        ({"surprise": 1}, "entry surprise"),
        ({"hyperparameters": {"pixels": 2**40, "outputs": 2}}, "contradict each other"),
        ({"grid": GRID.to_dict() | {"size": 2**40}}, "contradict each other"),
        ({"labels": ["teff"]}, "contradict each other"),
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
    size = 2**40
    edit(
        card,
        grid=GRID.to_dict() | {"size": size},
        hyperparameters={"pixels": size, "outputs": 2},
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
    tensors["head.bias"][0] = torch.nan
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
