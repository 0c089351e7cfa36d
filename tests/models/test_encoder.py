"""The encoder against Tables B.1 and 9 of the paper and against PyTorch's own convolutions."""

import pytest
import torch
from torch import nn

from maury.errors import GridError
from maury.grid import HARPS, HARPS_SMALL
from maury.models.encoder import Encoder


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_counts_are_those_of_table_9():
    encoder = Encoder(pixels=HARPS.size, outputs=6)
    assert round(parameters(encoder.features) / 1e6, 2) == 1.44
    assert round(parameters(encoder) / 1e6, 1) == 1.5
    assert encoder.head.in_features == 512 * 20


def test_reduced_grid_leaves_two_positions():
    encoder = Encoder(pixels=HARPS_SMALL.size, outputs=6)
    assert encoder.head.in_features == 512 * 2


@pytest.mark.parametrize("pixels", [0, -(2**14), 2**14 + 1, 2**13])
def test_other_sizes_are_refused_in_a_sentence(pixels):
    with pytest.raises(GridError, match=r"multiple of 16384.* is not\.$"):
        Encoder(pixels=pixels, outputs=6)


def test_equals_one_dimensional_convolutions():
    torch.manual_seed(0)
    encoder = Encoder(pixels=2**14, outputs=2)
    layers, channels = [], 1
    table = "16 7 2,16 5 2,16 5 2,32 3 2,32 3 2,32 3 2,64 3 2,64 3 2,64 3 2,128 3 2,128 3 2,128 3 2"
    for row in f"{table},256 3 2,512 3 2,512 3 1".split(","):
        units, kernel, stride = map(int, row.split())
        layers += [nn.Conv1d(channels, units, kernel, stride, (kernel - 1) // 2), nn.LeakyReLU(0.1)]
        channels = units
    reference = nn.Sequential(*layers)
    for ours, theirs in zip(encoder.features[::2], reference[::2], strict=True):
        theirs.weight.data = ours.weight.data[:, :, 0]
        theirs.bias.data = ours.bias.data
    spectra = torch.randn(3, 2**14)
    with torch.no_grad():
        expected = encoder.head(reference(spectra[:, None]).flatten(1))
        torch.testing.assert_close(encoder(spectra), expected, rtol=1e-4, atol=1e-5)


def test_signal_keeps_its_size_through_the_layers_at_the_start():
    torch.manual_seed(0)
    encoder = Encoder(pixels=2**15, outputs=1)
    with torch.no_grad():
        features = encoder.features(torch.randn(8, 1, 1, 2**15))
    assert 0.2 < features.std() < 5


def test_gradient_reaches_every_parameter_and_modes_agree():
    torch.manual_seed(0)
    encoder = Encoder(**Encoder(pixels=2**14, outputs=3).hyperparameters)
    spectra = torch.randn(2, 2**14)
    trained = encoder(spectra)
    trained.sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    torch.testing.assert_close(encoder.eval()(spectra), trained)


def test_head_stays_in_float32_under_autocast():
    encoder = Encoder(pixels=2**14, outputs=3)
    with torch.autocast("cpu", torch.bfloat16):
        assert encoder(torch.randn(1, 2**14)).dtype == torch.float32
