"""Networks as callables, against the networks themselves and against linear ones by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from maury.errors import WeightsError
from maury.grid import HARPS_TINY, WavelengthGrid
from maury.labels import LabelSet, Normalizer
from maury.models.downstream import LinearReadout
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing
from maury.models.weights import load_network, save_network
from maury.models.zoo import build
from maury.study.networks import StudiedNetwork

NAMES = ("teff", "rv", "mh")
CENTER, SCALE = (5500.0, 1.0, -0.2), (700.0, 15.0, 0.3)
LABELS = LabelSet.from_names(NAMES)
NORMALIZER = Normalizer(CENTER, SCALE, NAMES)
PIXELS, NODES = 40, 6
GRID = WavelengthGrid(start=6000.0, step=0.1, size=PIXELS)
KINDS: dict[str, dict[str, Any]] = {
    "supervised": {},
    "variational": {"variational": True},
    "unsupervised": {"variational": True, "supervised": False},
}


class Linear(nn.Module):
    """A part whose answers can be worked out by hand."""

    architecture = "linear"

    def __init__(self, weight: np.ndarray, pixels: int = PIXELS) -> None:
        super().__init__()
        self.outputs, self.inputs = weight.shape
        self.pixels = pixels
        self.weight = nn.Parameter(torch.from_numpy(weight).float())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.weight.T


def random(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


ENCODER, DECODER = random(NODES, PIXELS), random(PIXELS, NODES, seed=2)
# The first two labels share nodes; the third has one of its own.
READOUT = np.array([[1.0, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 2, 0]])
BIAS = np.array([0.5, -0.25, 0.0])


def linear(kind: str) -> StudiedNetwork:
    changes = KINDS[kind]
    encoder = ENCODER
    if changes.get("variational"):
        encoder = np.concatenate([ENCODER, 0.1 * random(NODES, PIXELS, seed=3)])
    readout = None
    if kind == "unsupervised":
        readout = LinearReadout(inputs=NODES, outputs=len(NAMES))
        readout.weight[:] = torch.from_numpy(READOUT)
        readout.bias[:] = torch.from_numpy(BIAS)
    parts: Any = (Linear(encoder), Linear(DECODER), readout)
    network = Network(GRID, LABELS, NORMALIZER, Preprocessing(GRID), *parts, **changes)
    return StudiedNetwork(network)


def convolutional(kind: str, preprocessing: Preprocessing) -> Network:
    torch.manual_seed(1)
    network = build(
        "ae-cnn",
        grid=HARPS_TINY,
        labels=LABELS,
        normalizer=NORMALIZER,
        preprocessing=preprocessing,
        nodes=NODES,
        **KINDS[kind],
    )
    if kind == "unsupervised":
        labels = torch.from_numpy(random(30, 3) * SCALE + CENTER).float()
        network.fit_readout(torch.from_numpy(random(30, NODES, seed=2)).float(), labels)
    return network


def exposures(count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    flux = 300 + 50 * torch.rand(count, HARPS_TINY.size, generator=random)
    valid = torch.ones_like(flux, dtype=torch.bool)
    valid[:, :100] = False
    return flux, valid


@pytest.mark.parametrize("continuum", [None, 200.0], ids=["median", "continuum"])
@pytest.mark.parametrize("kind", KINDS)
def test_to_encode_and_decode_is_the_networks_own_reconstruction(
    kind: str, continuum: float | None
) -> None:
    network = convolutional(kind, Preprocessing(HARPS_TINY, continuum=continuum))
    studied = StudiedNetwork(network)
    flux, valid = exposures()
    with torch.inference_mode():
        prepared = network.eval().preprocessing(flux, valid)
        own = network(prepared)
        encoding = network.encode(flux, valid)
        expected = own.spectra + network.preprocessing.offset
    spectra = studied.normalize(flux, valid)
    assert_allclose(spectra, prepared + network.preprocessing.offset)
    nodes = studied.encode(spectra)
    assert_allclose(nodes[:, -NODES:], own.posterior.mean, atol=1e-5)
    assert encoding.labels is not None
    assert_allclose(studied.labels(nodes), encoding.labels, rtol=1e-4)
    assert_allclose(studied.decode(nodes), expected, atol=1e-4)
    assert studied.encodes and studied.decodes


@pytest.mark.parametrize("kind", KINDS)
def test_nodes_are_means_and_never_samples(kind: str) -> None:
    studied = linear(kind)
    studied.network.train()
    spectra = random(5, PIXELS, seed=4).astype(np.float32)
    nodes = studied.encode(spectra)
    assert_array_equal(nodes, studied.encode(spectra))
    assert_allclose(nodes[:, -NODES:], spectra @ ENCODER.T, rtol=1e-4, atol=1e-4)


def test_only_variational_networks_have_a_variance() -> None:
    spectra = random(5, PIXELS, seed=4).astype(np.float32)
    for kind in ("variational", "unsupervised"):
        found = linear(kind).log_variance(spectra)
        expected = spectra @ (0.1 * random(NODES, PIXELS, seed=3)).T
        assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert linear("supervised").log_variance(spectra) is None


def own_nodes(spectra: np.ndarray) -> np.ndarray:
    """What a spectrum of the linear decoder was decoded from."""
    return np.linalg.lstsq(DECODER, spectra.T, rcond=None)[0].T


@pytest.mark.parametrize("label", range(3))
def test_an_intervention_on_an_unsupervised_network_is_what_the_readout_then_gives(
    label: int,
) -> None:
    studied = linear("unsupervised")
    spectra = random(4, PIXELS, seed=5).astype(np.float32)
    nodes = studied.encode(spectra)
    own = spectra @ ENCODER.T
    assert_allclose(nodes[:, :3], own @ READOUT.T + BIAS, rtol=1e-4, atol=1e-4)
    moved = nodes.copy()
    moved[:, label] += 1.5
    found = own_nodes(studied.decode(moved))
    change = np.zeros(3)
    change[label] = 1.5
    # That label by just so much, the others not at all.
    assert_allclose(found @ READOUT.T + BIAS, nodes[:, :3] + change, atol=1e-3)
    # The nearest such nodes: of all solutions the pseudo-inverse gives the shortest change.
    assert_allclose(found - own, np.tile(np.linalg.pinv(READOUT) @ change, (4, 1)), atol=1e-3)
    if label == 2:
        assert_allclose((found - own)[:, [0, 1, 2, 3, 5]], 0, atol=1e-3)


@pytest.mark.parametrize("kind", ["supervised", "variational"])
def test_an_intervention_on_a_supervised_network_is_one_on_its_node(kind: str) -> None:
    studied = linear(kind)
    nodes = studied.encode(random(4, PIXELS, seed=5).astype(np.float32))
    moved = nodes.copy()
    moved[:, 1] += 0.5
    change = studied.decode(moved) - studied.decode(nodes)
    assert_allclose(change, np.tile(0.5 * DECODER[:, 1], (4, 1)), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@given(teff=st.floats(3000, 11000), rv=st.floats(-100, 100), mh=st.floats(-1.5, 0.5))
def test_labels_of_nodes_of_labels_are_these_labels(
    kind: str, teff: float, rv: float, mh: float
) -> None:
    studied = linear(kind)
    labels = np.array([[teff, rv, mh]])
    nodes = studied.nodes_of(labels)
    assert_allclose(nodes[:, :3], (labels - CENTER) / SCALE, atol=1e-4)
    assert_array_equal(nodes[:, 3:], 0)
    assert_allclose(studied.labels(nodes), labels, rtol=1e-5, atol=1e-4)
    spectrum = studied.decode(nodes)
    if kind == "unsupervised":
        # The nodes nearest to zero that have the labels.
        assert_allclose(
            own_nodes(spectrum),
            (nodes[:, :3] - BIAS) @ np.linalg.pinv(READOUT).T,
            atol=1e-3,
        )
    else:
        assert_allclose(own_nodes(spectrum), nodes, atol=1e-3)


def test_a_part_alone_says_what_it_can() -> None:
    preprocessing = Preprocessing(GRID)
    parts: Any = (Linear(ENCODER[:3]), Linear(DECODER[:, :3]))
    encoder = StudiedNetwork(Network(GRID, LABELS, NORMALIZER, preprocessing, parts[0]))
    decoder = StudiedNetwork(Network(GRID, LABELS, NORMALIZER, preprocessing, None, parts[1]))
    assert (encoder.encodes, encoder.decodes) == (True, False)
    assert (decoder.encodes, decoder.decodes) == (False, True)
    labels = np.array([[6200.0, -14.0, 0.1]])
    assert_allclose(
        decoder.decode(decoder.nodes_of(labels))[0],
        DECODER[:, :3] @ ((labels[0] - CENTER) / SCALE),
        rtol=1e-4,
        atol=1e-5,
    )
    assert_array_equal(encoder.scale, SCALE)
    assert encoder.names == NAMES and encoder.sha256 == ""


def test_a_network_comes_from_its_card(tmp_path: Path) -> None:
    network = convolutional("supervised", Preprocessing(HARPS_TINY))
    statistics = {"mae": 1.0, "bias": 0.0, "sigma": 1.0}
    path = save_network(
        tmp_path / "network.json",
        network,
        validation=dict.fromkeys(NAMES, statistics),
        training={},
    )
    studied = StudiedNetwork.load(path)
    assert studied.sha256 == load_network(path)[1].weights.sha256 and len(studied.sha256) == 64
    nodes = random(2, NODES).astype(np.float32)
    assert_array_equal(studied.decode(nodes), StudiedNetwork(network).decode(nodes))
    with pytest.raises(WeightsError, match=r"none\.json"):
        StudiedNetwork.load(tmp_path / "none.json")
