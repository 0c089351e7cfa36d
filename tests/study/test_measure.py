"""Measurements of networks, against what PyTorch and SciPy give when asked directly."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from maury.evaluation.interventions import VELOCITIES
from maury.evaluation.lines import line_pixels
from maury.grid import HARPS_TINY
from maury.labels import LabelSet, Normalizer
from maury.models.network import Network
from maury.models.zoo import build
from maury.study import measure as module
from maury.study import measurements
from maury.study.exposures import TestExposures
from maury.study.measure import FASTEST, Measurements, measure
from maury.study.measurements import measured
from maury.study.networks import StudiedNetwork

SPEED_OF_LIGHT = 299792.458
# In another order than the exposures have them.
NAMES = ("mh", "rv", "teff")
CENTER, SCALE = (-0.2, 0.0, 5800.0), (0.3, 20.0, 600.0)
RV, TEFF = NAMES.index("rv"), NAMES.index("teff")
WAVELENGTH = HARPS_TINY.wavelength


def make(name: str, names: tuple[str, ...] = NAMES, **changes: Any) -> Network:
    torch.manual_seed(1)
    normalizer = Normalizer(CENTER[: len(names)], SCALE[: len(names)], names)
    labels = LabelSet.from_names(names)
    network = build(name, grid=HARPS_TINY, labels=labels, normalizer=normalizer, **changes).eval()
    if not network.supervised:
        random = torch.Generator().manual_seed(1)
        nodes = torch.randn(30, network.nodes, generator=random)
        network.fit_readout(nodes, normalizer.denormalize(nodes[:, : len(names)]))
    return network


@pytest.fixture(scope="session")
def network() -> Network:
    return make("ae-cnn", nodes=5, variational=True)


@pytest.fixture(scope="session")
def found(network: Network, exposures: TestExposures) -> Measurements:
    with pytest.MonkeyPatch.context() as patch:
        # Several batches, of which the last is not full.
        patch.setattr(module, "BATCH", 4)
        return measure(StudiedNetwork(network), exposures, 3)


@torch.inference_mode()
def spectrum(network: Network, nodes: torch.Tensor) -> NDArray[np.float64]:
    return network.decode(nodes).double().numpy()


@torch.inference_mode()
def encoded(network: Network, flux: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    return network.encode(flux, valid).nodes


def moved(nodes: torch.Tensor, node: int, change: float) -> torch.Tensor:
    changed = nodes.clone()
    changed[:, node] += change
    return changed


def score(
    made: NDArray[np.float64], right: NDArray[np.float64], counts: NDArray[np.bool_]
) -> float:
    inside = np.abs(WAVELENGTH - 6150.0) <= 100.0
    return float(np.abs(made - right)[counts & inside].mean())


def shifted(
    flux: NDArray[np.float64], valid: NDArray[np.bool_], velocity: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A spectrum after a Doppler shift, and the pixels that come from two valid ones."""
    beta = velocity / SPEED_OF_LIGHT
    source = WAVELENGTH / np.sqrt((1 + beta) / (1 - beta))
    place = (source - HARPS_TINY.start) / HARPS_TINY.step
    left = np.clip(np.floor(place).astype(int), 0, HARPS_TINY.size - 2)
    both = valid[left] & valid[left + 1]
    return make_interp_spline(WAVELENGTH[valid], flux[valid], 5)(source), both & valid


def test_labels_are_those_of_the_exposures_and_of_the_network(
    network: Network, exposures: TestExposures, found: Measurements
) -> None:
    seen = exposures.observed
    assert seen is not None and len(seen.indices) >= 5
    batch = seen.at(seen.indices)
    columns = [seen.labels.index(name) for name in NAMES]
    assert found.names == NAMES
    assert_array_equal(found.true, batch.labels[:, columns].double())
    assert_allclose(found.predicted, network.predict(batch.flux, batch.valid), rtol=1e-4)
    source = exposures.simulated
    assert source is not None
    made = source.batch(range(len(source)))
    rows = [[row[name] for name in NAMES] for row in source.rows]
    assert_allclose(found.simulated_true, np.array(rows), rtol=1e-6)
    assert_allclose(found.simulated_predicted, network.predict(made.flux, made.valid), rtol=1e-4)


def test_reconstructions_are_judged_by_their_valid_pixels(
    network: Network, exposures: TestExposures, found: Measurements
) -> None:
    seen = exposures.observed
    assert seen is not None
    batch = seen.at(seen.indices)
    made = spectrum(network, encoded(network, batch.flux, batch.valid))
    given = (batch.flux / batch.flux.nanmedian(dim=1, keepdim=True).values).double().numpy()
    for row, valid in enumerate(batch.valid.numpy()):
        error = np.abs(given[row] - made[row])[valid].mean()
        assert found.reconstruction["observed"][row] == pytest.approx(error, rel=1e-4)
    lines = line_pixels(given, batch.valid.numpy(), WAVELENGTH)
    assert_allclose(
        found.reconstruction["observed-line"],
        [np.abs(given[n] - made[n])[lines[n]].mean() for n in range(len(given))],
        rtol=1e-3,
    )
    source = exposures.simulated
    assert source is not None
    noisy, clean = (source.batch([5], noise=noise) for noise in (True, False))
    made = spectrum(network, encoded(network, noisy.flux, noisy.valid))[0]
    valid = noisy.valid[0].numpy()
    for kind, exposure in (("simulated", noisy), ("noise-free", clean)):
        # Exposures of the simulation are over their median already.
        error = np.abs(exposure.flux[0].numpy() - made)[valid].mean()
        assert found.reconstruction[kind][5] == pytest.approx(error, rel=1e-4)


def test_rvis_by_hand(network: Network, exposures: TestExposures, found: Measurements) -> None:
    seen = exposures.observed
    assert seen is not None and found.rvis is not None and found.shifted_input is not None
    assert found.rvis.shape == found.shifted_input.shape == (3, len(VELOCITIES))
    column = 15
    velocity = float(VELOCITIES[column])
    own, against_input = [], []
    for index in seen.indices:
        batch = seen.at([index])
        nodes = encoded(network, batch.flux, batch.valid)
        valid = batch.valid[0].numpy()
        changed = spectrum(network, moved(nodes, RV, velocity / SCALE[RV]))[0]
        right, counts = shifted(spectrum(network, nodes)[0], valid, velocity)
        own.append(score(changed, right, counts))
        given = (batch.flux[0] / batch.flux[0].nanmedian()).double().numpy()
        right, counts = shifted(given, valid, velocity)
        against_input.append(score(changed, right, counts))
    # Three of them, in their order.
    places = [int(np.argmin(np.abs(np.array(own) - value))) for value in found.rvis[:, column]]
    assert places == sorted(set(places))
    assert_allclose(found.rvis[:, column], np.array(own)[places], rtol=1e-3)
    inputs = np.array(against_input)[places]
    assert_allclose(found.shifted_input[:, column], inputs, rtol=1e-3)


def test_true_rvis_by_hand(network: Network, exposures: TestExposures, found: Measurements) -> None:
    source = exposures.simulated
    assert source is not None and found.true_rvis is not None
    slow = [n for n, row in enumerate(source.rows) if abs(row["rv"]) <= FASTEST]
    assert len(found.true_rvis) == min(3, len(slow))
    column = 2
    velocity = float(VELOCITIES[column])
    expected = []
    for number in slow:
        batch = source.batch([number])
        nodes = encoded(network, batch.flux, batch.valid)
        right = source.batch([number], noise=False, rv=source.rows[number]["rv"] + velocity)
        changed = spectrum(network, moved(nodes, RV, velocity / SCALE[RV]))[0]
        expected.append(score(changed, right.flux[0].numpy(), batch.valid[0].numpy()))
    values = found.true_rvis[:, column]
    places = [int(np.argmin(np.abs(np.array(expected) - value))) for value in values]
    assert places == sorted(set(places))
    assert_allclose(values, np.array(expected)[places], rtol=2e-3)


def test_general_interventions_are_on_the_label_of_their_set(
    network: Network, exposures: TestExposures, found: Measurements
) -> None:
    source = exposures.generative
    assert source is not None
    # Gravity is judged too, but this network does not have it.
    assert set(found.gis) == {"teff", "mh", "rv"}
    first, second = (n for n, row in enumerate(source.rows)
                     if row["core"] == 1 and row["label"] == "teff")  # fmt: skip
    scores = found.gis["teff"]
    change = source.rows[second]["teff"] - source.rows[first]["teff"]
    (pair,) = np.flatnonzero((scores.core == 1) & (scores.change > 0))
    assert scores.change[pair] == pytest.approx(change)
    one, other = (source.batch([number]) for number in (first, second))
    nodes = encoded(network, one.flux, one.valid)
    changed = spectrum(network, moved(nodes, TEFF, change / SCALE[TEFF]))[0]
    own = spectrum(network, encoded(network, other.flux, other.valid))[0]
    clean = source.batch([second], noise=False).flux[0].numpy()
    valid = other.valid[0].numpy()
    assert scores.constrained[pair] == pytest.approx(np.abs(changed - own)[valid].mean(), rel=1e-3)
    assert scores.true is not None
    assert scores.true[pair] == pytest.approx(np.abs(changed - clean)[valid].mean(), rel=1e-3)


def test_latents_are_those_of_all_nodes(
    network: Network, exposures: TestExposures, found: Measurements
) -> None:
    seen = exposures.observed
    assert seen is not None and found.latents is not None
    batch = seen.at(seen.indices)
    with torch.inference_mode():
        encoding = network.encode(batch.flux, batch.valid)
    mean, logarithm = encoding.nodes.double(), encoding.log_variance.double()
    divergence = 0.5 * (mean**2 + logarithm.exp() - 1 - logarithm).mean(dim=0)
    assert_allclose(found.latents.divergence, divergence, rtol=1e-3, atol=1e-6)
    correlation = np.corrcoef(encoding.nodes.numpy().T)
    assert_allclose(found.latents.correlation, correlation, atol=1e-3)
    assert found.latents.mutual_information.shape == (5, len(NAMES))


class Constant:
    """A network that makes the same of everything, so that what is measured of it is known."""

    encodes = decodes = True
    names, scale = NAMES, np.array(SCALE)
    sha256 = "constant"
    network = SimpleNamespace(grid=HARPS_TINY, nodes=4)

    def normalize(self, flux: torch.Tensor, valid: torch.Tensor) -> NDArray[np.float32]:
        median = torch.where(valid, flux, torch.nan).nanmedian(dim=1, keepdim=True).values
        return torch.where(valid, flux / median, 0.0).numpy()

    def encode(self, spectra: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.zeros((len(spectra), 4), dtype=np.float32)

    def log_variance(self, spectra: NDArray[np.float32]) -> None:
        return None

    def decode(self, nodes: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.ones((len(nodes), HARPS_TINY.size), dtype=np.float32)

    def labels(self, nodes: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.tile(np.array(CENTER), (len(nodes), 1))


def test_a_network_without_lines_pleases_itself_but_not_the_truth(
    exposures: TestExposures,
) -> None:
    network: Any = Constant()
    found = measure(network, exposures, 3)
    assert found.true is not None and found.rvis is not None and found.true_rvis is not None
    assert_array_equal(found.predicted, np.tile(CENTER, (len(found.true), 1)))
    assert_allclose(found.rvis, 0, atol=1e-12)
    assert (found.shifted_input > 0.005).all() and (found.true_rvis > 0.005).all()
    source = exposures.generative
    assert source is not None
    for label, scores in found.gis.items():
        assert_array_equal(scores.constrained, 0)
        rows = [n for n, row in enumerate(source.rows) if row["label"] == label]
        clean, noisy = (source.batch(rows, noise=noise) for noise in (False, True))
        depth = [
            np.abs(flux - 1)[valid].mean()
            for flux, valid in zip(clean.flux.numpy(), noisy.valid.numpy(), strict=True)
        ]
        # Two variations make two pairs a core; a pair is judged by its second spectrum.
        expected = np.array(depth).reshape(-1, 2)[:, ::-1].ravel()
        assert_allclose(scores.true, expected, rtol=1e-5)


def test_all_pixels_are_those_in_lines_and_the_others(exposures: TestExposures) -> None:
    network: Any = Constant()
    found = measure(network, exposures, 3).reconstruction
    source = exposures.simulated
    assert source is not None
    noisy, clean = (source.batch(range(len(source)), noise=noise) for noise in (True, False))
    valid = noisy.valid.numpy()
    # Of simulated spectra those without noise tell the lines.
    lines = line_pixels(network.normalize(clean.flux, noisy.valid), valid, WAVELENGTH)
    share = lines.sum(axis=1) / valid.sum(axis=1)
    assert (share > 0.01).all() and (share < 0.9).all()
    for kind, other in (("simulated", share), ("observed", None)):
        whole, line, rest = (found[kind + part] for part in ("", "-line", "-continuum"))
        assert (line > rest).all()
        if other is not None:
            assert_allclose(whole, other * line + (1 - other) * rest, rtol=1e-5)
    error = [
        np.abs(flux - 1)[good].mean() for flux, good in zip(clean.flux.numpy(), valid, strict=True)
    ]
    assert_allclose(found["noise-free"], error, rtol=1e-5)


def test_a_network_is_measured_as_far_as_it_goes(exposures: TestExposures) -> None:
    encoder = measure(StudiedNetwork(make("encoder")), exposures, 3)
    assert encoder.predicted is not None and encoder.simulated_predicted is not None
    assert encoder.latents is not None and not encoder.reconstruction and not encoder.gis
    assert encoder.rvis is None and encoder.true_rvis is None and encoder.shifted_input is None

    decoder = measure(StudiedNetwork(make("cnn-decoder")), exposures, 3)
    assert decoder.true is None and decoder.simulated_true is None and decoder.latents is None
    kinds = {"simulated", "simulated-line", "simulated-continuum", "noise-free"}
    assert set(decoder.reconstruction) == kinds
    assert decoder.true_rvis is not None and decoder.rvis is None and not decoder.gis

    still = StudiedNetwork(make("ae-cnn", ("teff", "mh"), nodes=3))
    found = measure(still, exposures, 3, interventions=False)
    assert found.rvis is None and found.true_rvis is None and not found.gis
    assert set(found.reconstruction) > kinds


def test_a_decoder_alone_is_given_the_true_labels(exposures: TestExposures) -> None:
    decoder = make("cnn-decoder")
    found = measure(StudiedNetwork(decoder), TestExposures(simulated=exposures.simulated), 3)
    source = exposures.simulated
    assert source is not None
    labels = torch.tensor([[source.rows[3][name] for name in NAMES]])
    made = spectrum(decoder, decoder.normalizer.normalize(labels))[0]
    exposure = source.batch([3])
    error = np.abs(exposure.flux[0].numpy() - made)[exposure.valid[0].numpy()].mean()
    assert found.reconstruction["simulated"][3] == pytest.approx(error, rel=1e-4)


def test_an_unsupervised_network_is_measured_by_its_readout(exposures: TestExposures) -> None:
    network = make("ae-cnn", nodes=7, supervised=False)
    seen = exposures.observed
    assert seen is not None
    found = measure(StudiedNetwork(network), TestExposures(observed=seen), 2)
    batch = seen.at(seen.indices)
    assert_allclose(found.predicted, network.predict(batch.flux, batch.valid), rtol=1e-3)
    assert found.latents is not None and len(found.latents.active) == 7
    assert found.rvis is not None and found.rvis.shape == (2, len(VELOCITIES))
    # The first node is the label by regression, the network's own ones come behind.
    index, column = seen.indices, 19
    scores = []
    for one in index:
        exposure = seen.at([one])
        nodes = encoded(network, exposure.flux, exposure.valid)
        labels = torch.full((1, 3), torch.nan)
        labels[:, RV] = network.predict(exposure.flux, exposure.valid)[:, RV] + VELOCITIES[column]
        with torch.inference_mode():
            changed = spectrum(network, network.intervene(nodes, labels))[0]
        valid = exposure.valid[0].numpy()
        right, counts = shifted(spectrum(network, nodes)[0], valid, float(VELOCITIES[column]))
        scores.append(score(changed, right, counts))
    for value in found.rvis[:, column]:
        assert np.abs(np.array(scores) / value - 1).min() < 2e-3


def test_one_exposure_can_be_measured(network: Network, exposures: TestExposures) -> None:
    seen = exposures.observed
    assert seen is not None
    one = type(seen)(seen.store, seen.labels, indices=seen.indices[:1])
    found = measure(StudiedNetwork(network), TestExposures(one), 3)
    assert found.predicted is not None and found.predicted.shape == (1, 3)
    assert found.rvis is not None and len(found.rvis) == 1
    # Variances over spectra need two.
    assert found.latents is None


def assert_equal(one: Measurements, other: Measurements) -> None:
    assert one.names == other.names
    for field in fields(Measurements):
        ours, theirs = (getattr(found, field.name) for found in (one, other))
        if field.name == "latents" and ours is not None:
            ours, theirs = vars(ours), vars(theirs)
        elif field.name == "gis":
            assert ours.keys() == theirs.keys()
            for label in ours:
                for a, b in zip(ours[label], theirs[label], strict=True):
                    assert_array_equal(a, b)
            continue
        if isinstance(ours, dict):
            assert ours.keys() == theirs.keys()
            for key in ours:
                assert_array_equal(ours[key], theirs[key])
        elif field.name != "names":
            assert (ours is None) == (theirs is None)
            assert_array_equal(ours, theirs)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, found: Measurements) -> list[Any]:
    """What has been measured anew."""
    calls: list[Any] = []

    def made_up(network: Any, exposures: Any, shifted: int, *, interventions: bool) -> Measurements:
        calls.append((network.sha256, exposures.hash, shifted, interventions))
        return found

    monkeypatch.setattr(measurements, "measure", made_up)
    return calls


Facts = dict[str, Any]
FACTS: Facts = {"weights": "a", "exposures": "b", "shifted": 3, "interventions": True}


def ask(path: Path, **changes: Any) -> Measurements:
    facts = FACTS | changes
    network: Any = SimpleNamespace(sha256=facts["weights"])
    exposures: Any = SimpleNamespace(hash=facts["exposures"])
    return measured(
        network, exposures, path, facts["shifted"], interventions=facts["interventions"]
    )


def test_what_was_measured_is_kept_and_read_back_equal(
    tmp_path: Path, counted: list[Any], found: Measurements
) -> None:
    path = tmp_path / "new" / "network.npz"
    ask(path)
    again = ask(path)
    assert len(counted) == 1
    assert_equal(again, found)
    assert [file.name for file in path.parent.iterdir()] == ["network.npz"]


def test_measurements_of_which_parts_are_missing_are_read_back_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: Measurements
) -> None:
    assert found.latents is not None
    general = {label: scores._replace(true=None) for label, scores in found.gis.items()}
    for number, part in enumerate(
        (
            Measurements(NAMES),
            Measurements(NAMES, reconstruction={"noise-free": np.arange(3.0)}),
            replace(found, gis=general, latents=replace(found.latents, divergence=None)),
        )
    ):
        monkeypatch.setattr(measurements, "measure", lambda *_, part=part, **__: part)
        ask(tmp_path / f"{number}.npz")
        monkeypatch.setattr(measurements, "measure", None)
        assert_equal(ask(tmp_path / f"{number}.npz"), part)


@pytest.mark.parametrize(
    "change",
    [{"weights": "other"}, {"exposures": "other"}, {"shifted": 4}, {"interventions": False}],
)
def test_what_is_of_something_else_is_measured_anew(
    tmp_path: Path, counted: list[Any], change: Facts
) -> None:
    path = tmp_path / "network.npz"
    ask(path)
    ask(path, **change)
    assert len(counted) == 2 and counted[1] == tuple((FACTS | change).values())
    ask(path, **change)
    assert len(counted) == 2


def _truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _without_its_end(content: bytes) -> bytes:
    return content[:-1]


def _text(content: bytes) -> bytes:
    return b"name,value\n"


def _array(content: bytes) -> bytes:
    memory = io.BytesIO()
    np.save(memory, np.arange(3))
    return memory.getvalue()


def _without_names(content: bytes) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(memory, "w") as new:
        for name in old.namelist():
            if name != "names.npy":
                new.writestr(name, old.read(name))
    return memory.getvalue()


@pytest.mark.parametrize(
    "damage", [_truncated, _without_its_end, _text, _array, _without_names, lambda content: b""]
)
def test_a_damaged_file_is_measured_anew(
    tmp_path: Path, counted: list[Any], found: Measurements, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "network.npz"
    ask(path)
    path.write_bytes(damage(path.read_bytes()))
    assert_equal(ask(path), found)
    assert len(counted) == 2
    ask(path)
    assert len(counted) == 2


def test_a_flipped_byte_anywhere_is_never_a_crash_or_another_number(
    tmp_path: Path, counted: list[Any], found: Measurements
) -> None:
    path = tmp_path / "network.npz"
    ask(path)
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 60).astype(int):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(bytes(damaged))
        assert_equal(ask(path), found)


class Payload:
    """An object that does something when it is unpickled."""

    unpickled: ClassVar[list[str]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return self.unpickled.append, ("yes",)


def test_nothing_is_unpickled(tmp_path: Path, counted: list[Any], found: Measurements) -> None:
    path = tmp_path / "network.npz"
    ask(path)
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    assert all(array.dtype.kind in "fibU" for array in arrays.values())
    # Alike in all but one array, which has objects.
    arrays["true"] = np.array([Payload()], dtype=object)
    np.savez(path, **arrays)
    assert_equal(ask(path), found)
    assert len(counted) == 2 and Payload.unpickled == []
