"""The FiLM decoder: labels in every layer, and an eighth of the pixels in the last."""

import pytest
import torch

from maury.errors import GridError
from maury.grid import HARPS
from maury.models.film import FiLMDecoder


def test_capacity_is_comparable_to_the_resnets():
    with torch.device("meta"):
        decoder = FiLMDecoder(pixels=HARPS.size, inputs=6)
        assert decoder(torch.zeros(2, 6)).shape == (2, HARPS.size)
    assert 8e6 < sum(parameter.numel() for parameter in decoder.parameters()) < 12e6


def test_labels_reach_every_layer_without_the_first():
    torch.manual_seed(0)
    decoder = FiLMDecoder(pixels=2**14, inputs=3)
    with torch.no_grad():
        # What the linear layer says is cut off, so that only the modulation is left.
        decoder.expand.weight.zero_()
        features = []
        for block in decoder.blocks:
            block.register_forward_hook(lambda _, __, output: features.append(output))
        one, other = torch.zeros(1, 3), torch.ones(1, 3)
        spectra = decoder(one), decoder(other)
    assert not torch.equal(*spectra)
    for i in range(len(decoder.blocks)):
        assert not torch.equal(features[i], features[i + len(decoder.blocks)])


def test_modulation_is_a_factor_and_an_offset_for_each_channel():
    torch.manual_seed(0)
    decoder = FiLMDecoder(pixels=2**14, inputs=2, channels=(64, 32))
    block = decoder.blocks[1]
    features, condition = torch.randn(1, 64, 2), torch.randn(1, decoder.hidden)
    with torch.no_grad():
        gamma, beta = block.modulations[0](condition).view(2, 32, 1)
        first = block.stretch(features) + block.places
        first = torch.nn.functional.leaky_relu((1 + gamma) * first + beta, 0.1)
        gamma, beta = block.modulations[1](condition).view(2, 32, 1)
        second = torch.nn.functional.leaky_relu((1 + gamma) * first + beta, 0.1)
        expected = first + block.refine(second)
        torch.testing.assert_close(block(features, condition), expected)


def test_signal_keeps_its_size_through_the_layers_at_the_start():
    torch.manual_seed(0)
    decoder = FiLMDecoder(pixels=2**14, inputs=6)
    sizes = []
    for block in decoder.blocks:
        block.register_forward_hook(lambda _, __, output: sizes.append(output.std().item()))
    with torch.no_grad():
        spectra = decoder(torch.randn(4, 6))
    assert all(0.2 < size < 5 for size in sizes)
    assert 0.5 < spectra.mean() < 1.5


@pytest.mark.parametrize("pixels", [0, 2**13, 2**14 + 2**13])
def test_other_sizes_are_refused_in_a_sentence(pixels):
    with pytest.raises(GridError, match=r"multiple of 16384.* is not\.$"):
        FiLMDecoder(pixels=pixels, inputs=6)


@pytest.mark.parametrize("channels", [(), (8,) * 15])
def test_a_number_of_blocks_that_cannot_be_is_refused(channels):
    with pytest.raises(ValueError, match="1 to 14 blocks"):
        FiLMDecoder(pixels=2**14, inputs=6, channels=channels)
