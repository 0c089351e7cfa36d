"""What every model of the zoo must do, whatever it is made of."""

import copy
import subprocess
import sys
from functools import cache

import pytest
import torch

from maury.grid import WavelengthGrid
from maury.labels import HARPS_LABELS, Normalizer
from maury.models.decoder import CNN_CHANNELS, RESNET_CHANNELS
from maury.models.losses import (
    autoencoder_loss,
    beta_vae_loss,
    info_vae_loss,
    label_loss,
    node_targets,
    pixel_loss,
)
from maury.models.weights import load_network, save_network
from maury.models.zoo import ZOO, build

GRID = WavelengthGrid(start=5000.0, step=0.06, size=2**14, gaps=((5300.0, 5310.0),), name="test")
NORMALIZER = Normalizer(
    (5800.0, 4.3, -0.2, 0.0, 0.0, 1.5), (900.0, 0.4, 0.4, 50.0, 18.0, 0.4), HARPS_LABELS.names
)
BATCH = 3
# What the models have in common is tested on decoders with an eighth of their channels.
SMALL = {
    "cnn-decoder": {"channels": [max(width // 8, 2) for width in CNN_CHANNELS]},
    "resnet-decoder": {"channels": [max(width // 8, 4) for width in RESNET_CHANNELS]},
    "film-decoder": {"hidden": 32, "channels": [32, 32, 32, 32, 16, 16, 16, 8, 8, 8, 8]},
    "doppler-decoder": {"hidden": 32, "components": 4, "sky_components": 2},
}
LABELS = torch.tensor(
    [[5777.0, 4.44, 0.0, 12.0, -3.0, 1.1], [4200.0, 4.6, 0.1, 0.0, 20.0, 2.0], [float("nan")] * 6]
)

every_model = pytest.mark.parametrize("name", ZOO)
with_encoder = pytest.mark.parametrize("name", [name for name in ZOO if ZOO[name].encoder])
with_decoder = pytest.mark.parametrize("name", [name for name in ZOO if ZOO[name].decoder])
autoencoders = pytest.mark.parametrize(
    "name", [name for name in ZOO if ZOO[name].encoder and ZOO[name].decoder]
)


@cache
def make(name):
    """The model with random weights; tests leave them as they are."""
    torch.manual_seed(3)
    network = build(
        name,
        grid=GRID,
        labels=HARPS_LABELS,
        normalizer=NORMALIZER,
        decoder_settings=SMALL.get(ZOO[name].decoder),
    )
    if not network.supervised:
        network.fit_readout(torch.randn(40, network.nodes), LABELS[:1] + 100 * torch.randn(40, 6))
    return network


@cache
def spectra():
    """Fluxes, and which pixels are valid."""
    generator = torch.Generator().manual_seed(4)
    flux = 1 + 0.1 * torch.randn(BATCH, GRID.size, generator=generator)
    valid = torch.from_numpy(GRID.valid.copy()).repeat(BATCH, 1)
    valid[1, 3000:4000] = False
    return 50 * flux, valid


def inputs(network):
    if "encoder" in network.parts:
        return network.preprocessing(*spectra())
    return torch.randn(BATCH, network.nodes, generator=torch.Generator().manual_seed(5))


def loss(name, network, output, labels):
    """The loss that the model is trained with."""
    prepared, valid = network.preprocessing(*spectra()), spectra()[1]
    if ZOO[name].loss == "label":
        return label_loss(output.nodes, network.normalizer.normalize(labels))
    if ZOO[name].loss == "pixel":
        return pixel_loss(output.spectra, prepared, valid)
    targets = None
    if network.supervised:
        simulated = torch.tensor([True, False, False])
        targets = node_targets(network.normalizer.normalize(labels), network.nodes, simulated)
    if ZOO[name].loss == "autoencoder":
        return autoencoder_loss(output, prepared, valid, targets).total
    if ZOO[name].loss == "beta-vae":
        return beta_vae_loss(output, prepared, valid, targets).total
    prior = torch.randn(BATCH, network.nodes, generator=torch.Generator().manual_seed(6))
    return info_vae_loss(output, prepared, valid, prior, targets).total


def run(network, **options):
    return network(inputs(network), torch.Generator().manual_seed(7), **options)


@every_model
def test_shapes_follow_from_grid_and_labels(name):
    network, model = make(name), ZOO[name]
    with torch.no_grad():
        output = run(network)
    assert network.nodes == (model.nodes or len(HARPS_LABELS))
    assert network.unknown == network.nodes - (6 if model.supervised else 0)
    assert output.nodes.shape == (BATCH, network.nodes)
    assert (output.spectra is None) == (model.decoder is None)
    assert (output.posterior is None) == (not model.encoder)
    if model.decoder:
        assert output.spectra.shape == (BATCH, GRID.size)
        assert torch.isfinite(output.spectra).all()
    if model.encoder:
        assert (output.posterior.log_variance is None) == (not model.variational)


@every_model
def test_gradient_reaches_every_parameter(name):
    network = make(name).train()
    loss(name, network, run(network), LABELS).backward()
    largest = max(p.grad.abs().max() for p in network.parameters() if p.grad is not None)
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        # What rounding leaves of a derivative that is zero would be far smaller.
        assert parameter.grad.abs().max() > 1e-7 * largest, key
    network.zero_grad()


@with_encoder
def test_missing_labels_have_no_say_and_do_no_harm(name):
    network = make(name).eval()
    with torch.no_grad():
        output = run(network)
    nothing = loss(name, network, output, torch.full_like(LABELS, torch.nan))
    assert torch.isfinite(nothing)
    garbled = LABELS.clone()
    garbled[0, 1] = torch.nan
    changed = garbled.clone()
    changed[0, 0] += 900.0
    same, other = (loss(name, network, output, labels) for labels in (garbled, changed))
    if network.supervised:
        assert same != other
    else:
        assert same == other == nothing


@every_model
def test_training_and_use_agree_but_for_the_sample(name):
    network = make(name)
    with torch.no_grad():
        trained, used = run(network.train()), run(network.eval())
        if not network.variational:
            assert torch.equal(trained.nodes, used.nodes)
            assert trained.spectra is None or torch.equal(trained.spectra, used.spectra)
            return
        # In training the nodes are drawn, by the generator that was given; in use they are not.
        noise = torch.randn(used.nodes.shape, generator=torch.Generator().manual_seed(7))
        mean, log_variance = used.posterior
        expected = mean + torch.exp(log_variance / 2) * noise
        torch.testing.assert_close(trained.nodes, expected)
        assert torch.equal(used.nodes, mean)


@with_encoder
def test_labels_come_from_the_mean_even_in_training(name):
    network = make(name).train()
    with torch.no_grad():
        encoding, again = network.encode(*spectra()), network.encode(*spectra())
        mean = network.posterior(network.preprocessing(*spectra())).mean
    assert torch.equal(encoding.nodes, mean) and torch.equal(again.nodes, mean)
    assert torch.equal(network.predict(*spectra()), encoding.labels)
    assert encoding.labels.shape == (BATCH, 6)
    assert encoding.unknown.shape == (BATCH, network.unknown)
    if network.supervised:
        torch.testing.assert_close(NORMALIZER.normalize(encoding.labels), mean[:, :6])


@with_encoder
def test_the_unit_of_the_flux_does_not_matter(name):
    flux, valid = spectra()
    network = make(name)
    torch.testing.assert_close(
        network.predict(1e-3 * flux, valid), network.predict(flux, valid), rtol=1e-3, atol=1e-2
    )


@every_model
def test_each_spectrum_of_a_batch_is_on_its_own(name):
    network = make(name).eval()
    with torch.no_grad():
        together, alone = network(inputs(network)), network(inputs(network)[1:2])
    for ours, theirs in ((together.nodes, alone.nodes), (together.spectra, alone.spectra)):
        if ours is not None:
            torch.testing.assert_close(ours[1:2], theirs, rtol=1e-3, atol=1e-4)


@with_decoder
def test_an_intervention_sets_the_labels_that_are_given_and_no_others(name):
    network = make(name)
    nodes = torch.randn(BATCH, network.nodes, generator=torch.Generator().manual_seed(8))
    wanted = LABELS.clone()
    wanted[1, 3] = torch.nan
    changed = network.intervene(nodes, wanted)

    def labels_of(nodes):
        readout = network.parts["readout"](nodes) if not network.supervised else nodes[:, :6]
        return network.normalizer.denormalize(readout)

    kept = torch.isnan(wanted)
    expected = torch.where(kept, labels_of(nodes), wanted)
    torch.testing.assert_close(labels_of(changed), expected, rtol=1e-3, atol=0.05)
    if network.supervised:
        assert torch.equal(changed[:, 6:], nodes[:, 6:])
        assert torch.equal(changed[2], nodes[2])


@every_model
def test_half_precision_keeps_results_in_float32(name):
    network = make(name).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = run(network)
    assert output.nodes.dtype == torch.float32
    assert output.spectra is None or output.spectra.dtype == torch.float32


@autoencoders
def test_an_adopted_decoder_does_the_same_whatever_u_is(name):
    network, model = copy.deepcopy(make(name)), ZOO[name]
    options = {"encoder": False, "variational": False, "supervised": model.supervised}
    other = build(
        name,
        grid=GRID,
        labels=HARPS_LABELS,
        normalizer=NORMALIZER,
        decoder_settings=SMALL[model.decoder],
        nodes=6,
        **options,
    )
    network.adopt_decoder(other)
    nodes = torch.randn(BATCH, network.nodes, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        ours, theirs = network.decode(nodes), other.decode(nodes[:, :6])
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


# The networks that differ only in their loss are the same on disk.
ON_DISK = [name for name in ZOO if not name.startswith("info-vae")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every model on disk, with what it gave when it was written."""
    folder = tmp_path_factory.mktemp("zoo")
    statistics = {label: {"mae": 1.0, "bias": 0.0, "sigma": 1.0} for label in HARPS_LABELS.names}
    for name in ON_DISK:
        network = make(name).eval()
        save_network(folder / f"{name}.json", network, validation=statistics, training={})
        torch.save(summary(network), folder / f"{name}.pt")
    return folder


@torch.no_grad()
def summary(network):
    """Some numbers on which all weights have an influence."""
    output = run(network)
    return {
        key: value
        for key, value in (("nodes", output.nodes), ("spectra", output.spectra))
        if value is not None
    }


@pytest.mark.parametrize("name", ON_DISK)
def test_a_network_comes_back_as_it_was(name, folder):
    network, _ = load_network(folder / f"{name}.json")
    ours, before = summary(network), summary(make(name).eval())
    assert ours.keys() == before.keys()
    for key in ours:
        torch.testing.assert_close(ours[key], before[key], rtol=1e-5, atol=1e-5)
    assert {file.suffix for file in folder.iterdir()} == {".json", ".safetensors", ".pt"}


def test_a_new_process_gives_the_same_and_shapes_are_as_annotated(folder):
    # Each annotation of an array's shape is checked on the way.
    script = (
        "import sys; from jaxtyping import install_import_hook\n"
        "with install_import_hook('maury.models', 'beartype.beartype'):\n"
        "    from maury.models import doppler, zoo\n"
        f"sys.path.insert(0, {str(__file__).rsplit('/', 1)[0]!r})\n"
        "import test_contract\n"
        "test_contract.compare(sys.argv[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ON_DISK


def compare(folder):
    """Print the models that give what they gave before; for the test above."""
    torch.set_num_threads(1)
    for name in ON_DISK:
        network, _ = load_network(f"{folder}/{name}.json")
        before = torch.load(f"{folder}/{name}.pt", weights_only=True)
        if "encoder" in network.parts:
            network.predict(*spectra())
        loss(name, network, run(network), LABELS)
        for key, value in summary(network).items():
            torch.testing.assert_close(value, before[key], rtol=1e-5, atol=1e-5)
        print(name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
@every_model
def test_cpu_and_gpu_agree(name):
    network = make(name).eval()
    with torch.no_grad():
        expected = network(inputs(network))
        try:
            ours = network.to("cuda")(inputs(network.cpu()).cuda())
        finally:
            network.cpu()
    torch.testing.assert_close(ours.nodes.cpu(), expected.nodes, rtol=1e-3, atol=1e-3)
    if expected.spectra is not None:
        torch.testing.assert_close(ours.spectra.cpu(), expected.spectra, rtol=1e-3, atol=1e-3)
