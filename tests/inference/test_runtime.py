"""Fast networks give what the networks give."""

import copy
import os
import subprocess
import sys
import tempfile
import threading

import pytest
import torch

from maury.grid import WavelengthGrid
from maury.inference import runtime
from maury.inference.runtime import fast, has_openvino
from maury.labels import HARPS_LABELS, Normalizer
from maury.models.decoder import CNN_CHANNELS, RESNET_CHANNELS
from maury.models.plain import plain
from maury.models.zoo import PARTS, build

GRID = WavelengthGrid(start=5000.0, step=0.06, size=2**14, name="test")
NORMALIZER = Normalizer(
    (5800.0, 4.3, -0.2, 0.0, 0.0, 1.5), (900.0, 0.4, 0.4, 50.0, 18.0, 0.4), HARPS_LABELS.names
)
SMALL = {
    "cnn-decoder": {"channels": [max(width // 8, 2) for width in CNN_CHANNELS]},
    "resnet-decoder": {"channels": [max(width // 8, 4) for width in RESNET_CHANNELS]},
    "film-decoder": {"hidden": 32, "channels": [32, 32, 32, 32, 16, 16, 16, 8, 8, 8, 8]},
    "doppler-decoder": {"hidden": 32, "components": 4, "sky_components": 2},
}
DECODERS = [name for name in PARTS if name.endswith("-decoder")]
with_openvino = pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(name, **options):
    torch.manual_seed(3)
    network = build(
        name,
        grid=GRID,
        labels=HARPS_LABELS,
        normalizer=NORMALIZER,
        decoder_settings=SMALL.get(name),
        **options,
    )
    return network.eval().requires_grad_(False)


def spectra(count=3):
    generator = torch.Generator().manual_seed(4)
    flux = 1 + 0.1 * torch.randn(count, GRID.size, generator=generator)
    return 50 * flux, torch.rand(count, GRID.size, generator=generator) > 0.1


def nodes(network, count=3):
    return torch.randn(count, network.nodes, generator=torch.Generator().manual_seed(5))


@with_openvino
def test_the_encoder_in_openvino_is_the_plain_one():
    network = make("encoder")
    quick = fast(network, at_once=True)
    flux, valid = spectra()
    prepared = network.preprocessing(flux, valid)
    ours, plainly = quick.encoder(prepared), plain(network.encoder)(prepared)
    assert quick.encoder.compiled
    torch.testing.assert_close(ours, plainly, rtol=0, atol=1e-4)
    torch.testing.assert_close(quick.predict(flux, valid), network.predict(flux, valid))


@pytest.mark.parametrize("name", DECODERS)
def test_a_fast_decoder_gives_the_plain_ones_spectra(name):
    network = make(name)
    quick = fast(network, at_once=True)
    ours, eager = quick.decode(nodes(network)), network.decode(nodes(network))
    assert quick.decoder.compiled == (has_openvino() and name in runtime.WORTH)
    torch.testing.assert_close(ours, eager, rtol=0, atol=1e-4)
    if name in runtime.WORTH:
        plainly = plain(network.decoder)(nodes(network))
        torch.testing.assert_close(ours, plainly, rtol=0, atol=1e-4)


@with_openvino
def test_compiling_waits_until_it_pays(monkeypatch):
    monkeypatch.setitem(runtime.WORTH, "cnn-decoder", 3 * GRID.size)
    network = make("cnn-decoder")
    quick = fast(network)
    assert torch.equal(quick.decode(nodes(network)), network.decode(nodes(network)))
    assert not quick.decoder.compiled
    torch.testing.assert_close(quick.decode(nodes(network)), network.decode(nodes(network)))
    assert quick.decoder.compiled


def test_without_openvino_pytorch_does_it(monkeypatch):
    monkeypatch.setattr(runtime, "has_openvino", lambda: False)
    network = make("ae-film", nodes=8)
    quick = fast(network, at_once=True)
    flux, valid = spectra()
    ours, expected = quick.encode(flux, valid), network.encode(flux, valid)
    torch.testing.assert_close(ours.nodes, expected.nodes, rtol=0, atol=1e-5)
    assert torch.equal(quick.decode(ours.nodes), network.decode(ours.nodes))
    assert not (quick.encoder.compiled or quick.decoder.compiled)


@with_openvino
def test_openvino_cannot_tell_its_makers_of_its_use():
    script = (
        "import sys; from pathlib import Path\n"
        "from maury.inference import graph\n"
        "import openvino.tools.ovc.telemetry_utils as telemetry\n"
        "assert telemetry.tm.__name__.endswith('telemetry_stub')\n"
        "assert not any(name.startswith('openvino_telemetry.') for name in sys.modules)\n"
        "assert not list(Path.home().iterdir())\n"
    )
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr


@with_openvino
def test_threads_and_copies_do_not_disturb_each_other():
    network = make("cnn-decoder")
    quick = fast(network, at_once=True)
    expected, found = network.decode(nodes(network)), {}

    def work(index):
        found[index] = quick.decode(nodes(network))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for spectra in found.values():
        torch.testing.assert_close(spectra, expected, rtol=0, atol=1e-4)
    twin = copy.deepcopy(quick)
    assert twin.decoder.at_once and not twin.decoder.compiled


def test_no_spectra_give_none():
    network = make("cnn-decoder")
    assert fast(network, at_once=True).decode(torch.zeros(0, 6)).shape == (0, GRID.size)


def test_bfloat16_is_near_and_says_so_in_float32():
    network = make("encoder")
    flux, valid = spectra()
    ours = fast(network, precision="bfloat16").encode(flux, valid).nodes
    expected = network.encode(flux, valid).nodes
    assert ours.dtype == torch.float32 and not torch.equal(ours, expected)
    torch.testing.assert_close(ours, expected, rtol=0, atol=0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
@pytest.mark.parametrize("name", ["encoder", *DECODERS])
def test_a_gpu_gives_the_same(name):
    network = make(name)
    part = "encoder" if name == "encoder" else "decoder"
    inputs = torch.randn(3, GRID.size) if part == "encoder" else nodes(network)
    expected = network.parts[part](inputs)
    ours = fast(network.cuda()).parts[part](inputs.cuda())
    torch.testing.assert_close(ours.cpu(), expected, rtol=1e-3, atol=1e-3)
