"""How parts make a network, and what a network refuses to be."""

import pytest
import torch

from maury.errors import MauryError
from maury.grid import WavelengthGrid
from maury.labels import LabelSet, Normalizer
from maury.models.decoder import CNNDecoder
from maury.models.downstream import LinearReadout
from maury.models.encoder import Encoder
from maury.models.film import FiLMDecoder
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing

GRID = WavelengthGrid(start=5000.0, step=0.06, size=2**14, name="test")
LABELS = LabelSet.from_names(["teff", "rv"])
NORMALIZER = Normalizer((6000.0, 0.0), (1000.0, 50.0), LABELS.names)


def make(encoder=3, decoder=3, grid=GRID, labels=LABELS, normalizer=NORMALIZER, **options):
    torch.manual_seed(0)
    preprocessing = options.pop("preprocessing", Preprocessing(GRID))
    return Network(
        grid,
        labels,
        normalizer,
        preprocessing,
        None if encoder is None else Encoder(pixels=GRID.size, outputs=encoder),
        None if decoder is None else CNNDecoder(pixels=GRID.size, inputs=decoder),
        **options,
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"encoder": None, "decoder": None}, "needs an encoder or a decoder"),
        ({"encoder": 4}, "differ in their nodes: 4 of the encoder, 3 of the decoder"),
        ({"variational": True}, r"1.5 of the encoder, 3 of the decoder"),
        ({"encoder": 1, "decoder": 1}, "bottleneck of 1 nodes has no room for 2 labels"),
        (
            {"labels": LabelSet.from_names(["rv", "teff"])},
            "normalisation is of teff, rv, but the labels are rv, teff",
        ),
        (
            {"grid": WavelengthGrid(start=5000.0, step=0.06, size=2**15)},
            "is for 16384 pixels, but the grid has 32768",
        ),
        ({"readout": LinearReadout(inputs=5, outputs=2)}, "5 of the readout"),
        (
            {"readout": LinearReadout(inputs=3, outputs=1)},
            "readout gives 1 numbers, but there are 2 labels",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_in_a_sentence(options, sentence):
    with pytest.raises(MauryError, match=sentence) as caught:
        make(**options)
    assert str(caught.value).endswith(".")


def test_a_part_that_is_absent_is_told():
    flux, valid = torch.ones(1, GRID.size), torch.ones(1, GRID.size).bool()
    with pytest.raises(MauryError, match="no decoder, but encoder alone"):
        make(decoder=None).decode(torch.zeros(1, 3))
    with pytest.raises(MauryError, match="no encoder, but decoder alone"):
        make(encoder=None).predict(flux, valid)
    with pytest.raises(MauryError, match="without a readout has no labels"):
        make(supervised=False).predict(flux, valid)


def test_labels_and_nodes_are_each_others_inverse():
    network = make()
    labels = torch.tensor([[5777.0, 12.0], [4000.0, -30.0]])
    nodes = network.intervene(torch.zeros(2, 3), labels)
    torch.testing.assert_close(
        nodes[:, :2], (labels - torch.tensor([6000.0, 0.0])) / torch.tensor([1000.0, 50.0])
    )
    torch.testing.assert_close(NORMALIZER.denormalize(nodes[:, :2]), labels)


def test_a_readout_gives_an_unsupervised_network_labels():
    network = make(supervised=False)
    nodes = torch.randn(50, 3)
    labels = torch.stack([6000 + 1000 * nodes[:, 0], 20 * nodes[:, 2]], dim=1)
    network.fit_readout(nodes, labels)
    flux, valid = torch.rand(2, GRID.size), torch.ones(2, GRID.size).bool()
    encoding = network.encode(flux, valid)
    expected = torch.stack([6000 + 1000 * encoding.nodes[:, 0], 20 * encoding.nodes[:, 2]], dim=1)
    torch.testing.assert_close(encoding.labels, expected, rtol=1e-4, atol=1e-2)
    assert torch.equal(encoding.unknown, encoding.nodes)


@pytest.mark.parametrize("continuum", [None, 100.0])
def test_reconstructions_are_in_the_unit_of_what_was_prepared(continuum):
    network = make(preprocessing=Preprocessing(GRID, continuum=continuum))
    flux, valid = 7 + torch.rand(2, GRID.size), torch.ones(2, GRID.size).bool()
    prepared = network.preprocessing(flux, valid)
    with torch.no_grad():
        output = network(prepared)
        nodes = network.encode(flux, valid).nodes
        difference = network.decode(nodes) - network.normalize(flux, valid)
    torch.testing.assert_close(difference, output.spectra - prepared)
    assert abs(network.normalize(flux, valid).median() - 1) < 0.1


def test_a_decoder_is_differentiable_in_physical_labels():
    network = make(encoder=None)
    labels = torch.tensor([[5777.0, 12.0]], requires_grad=True)
    network.decode(network.intervene(torch.zeros(1, 3), labels)).sum().backward()
    assert labels.grad.abs().min() > 0


def test_a_decoder_of_another_kind_is_not_adopted():
    other = Normalizer((6000.0, 1.0), (1000.0, 50.0), LABELS.names)
    with pytest.raises(MauryError, match="with its labels and normalisation"):
        make().adopt_decoder(make(normalizer=other))
    with pytest.raises(MauryError, match="by one of the same kind"):
        make().adopt_decoder(make(encoder=4, decoder=4))
    film = FiLMDecoder(pixels=GRID.size, inputs=3, channels=(8,) * 8)
    network = Network(GRID, LABELS, NORMALIZER, Preprocessing(GRID), decoder=film)
    with pytest.raises(MauryError, match="by one of the same kind"):
        make().adopt_decoder(network)
