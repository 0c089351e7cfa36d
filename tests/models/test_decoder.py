"""The paper's decoders against Tables 9, B.2 and B.3 and against equations written out."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from maury.errors import GridError
from maury.grid import HARPS
from maury.models import decoder
from maury.models.decoder import CNNDecoder, ResNetDecoder, transposed


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("make", "millions"), [(CNNDecoder, 1.7), (ResNetDecoder, 11.6)], ids=["cnn", "resnet"]
)
def test_parameter_counts_are_those_of_table_9(make, millions):
    with torch.device("meta"):
        decoder = make(pixels=HARPS.size, inputs=6)
        assert round(parameters(decoder) / 1e6, 1) == millions
        assert decoder.expand.out_features == 512 * 20
        assert decoder(torch.zeros(2, 6)).shape == (2, HARPS.size)


def test_cnn_has_the_layers_of_table_b2():
    table = "512 3 1,256 4 2,128 4 2,128 4 2,128 4 2,64 4 2,64 4 2,64 4 2,32 4 2,32 4 2,32 4 2,"
    rows = [tuple(map(int, row.split())) for row in f"{table}16 4 2,16 4 2,16 4 2".split(",")]
    convolutions = CNNDecoder(pixels=2**14, inputs=6).layers
    ours = [(c.out_channels, c.kernel_size[0], c.stride[0]) for c in convolutions]
    assert ours[:-1] == rows
    # The table's fourteen layers double thirteen times; the fifteenth ends at one channel.
    assert ours[-1] == (1, 4, 2)


@pytest.mark.parametrize("make", [CNNDecoder, ResNetDecoder])
@pytest.mark.parametrize("pixels", [0, 2**13, 2**14 + 1])
def test_other_sizes_are_refused_in_a_sentence(make, pixels):
    with pytest.raises(GridError, match=r"multiple of 16384.* is not\.$"):
        make(pixels=pixels, inputs=6)


@pytest.mark.parametrize("pixels", [2**14, 2**15, 3 * 2**15, 2**18])
def test_resnet_keeps_enough_positions_for_its_norms(pixels):
    with torch.device("meta"):
        decoder = ResNetDecoder(pixels=pixels, inputs=6)
        assert decoder.expand.out_features >= 512 * 16
        assert decoder(torch.zeros(1, 6)).shape == (1, pixels)


@pytest.mark.parametrize("long", [0, 2**15], ids=["long", "short"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (1, 1), (4, 2), (5, 2)])
def test_the_fast_transposed_convolution_is_pytorchs(kernel, stride, bias, long, monkeypatch):
    monkeypatch.setattr(decoder, "LONG", long)
    torch.manual_seed(2)
    padding = (kernel - 1) // 2
    options = {"stride": stride, "padding": padding, "bias": bias}
    if kernel == 5:
        options["output_padding"] = stride - 1
    plain = nn.ConvTranspose1d(6, 4, kernel, **options)
    x = torch.randn(2, 6, 32)
    torch.testing.assert_close(transposed(plain, x), plain(x), rtol=1e-5, atol=1e-5)


def instance_norm(x):
    """Zero mean and unit variance of each channel of each spectrum."""
    mean = x.mean(dim=2, keepdim=True)
    return (x - mean) / ((x - mean).square().mean(dim=2, keepdim=True) + 1e-5).sqrt()


def doubled(x, weight, bias):
    """A transposed convolution of stride 2 as zeros between the samples and a plain convolution."""
    stretched = torch.zeros(*x.shape[:2], 2 * x.shape[2])
    stretched[:, :, ::2] = x
    kernel = weight.transpose(0, 1).flip(2)
    return functional.conv1d(stretched, kernel, bias, padding=(kernel.shape[2] - 1) // 2)


def test_block_is_that_of_figure_b2():
    torch.manual_seed(1)
    block = ResNetDecoder(pixels=2**14, inputs=2).blocks[9]
    x = torch.randn(2, block.first.in_channels, 32)
    with torch.no_grad():
        active = instance_norm(x).relu()
        change = doubled(active, block.first.weight, None)
        change = instance_norm(change).relu()
        kernel = block.second.weight.transpose(0, 1).flip(2)
        change = functional.conv1d(change, kernel, padding=2)
        skip = doubled(active, block.skip.weight, None)
        torch.testing.assert_close(block(x), change + skip, rtol=1e-4, atol=1e-4)


def test_block_in_rows_has_the_same_outputs_and_gradients():
    torch.manual_seed(3)
    block = ResNetDecoder(pixels=2**14, inputs=2).blocks[14]
    x = 3 + torch.randn(2, 16, 64)
    weights = torch.randn(2, 16, 128)
    plain, rows = x.clone().requires_grad_(), x.mT.clone().requires_grad_()
    expected, got = block(plain), block.in_rows(rows).mT
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    theirs = torch.autograd.grad((weights * expected).sum(), [plain, *block.parameters()])
    ours = torch.autograd.grad((weights * got).sum(), [rows, *block.parameters()])
    torch.testing.assert_close((ours[0].mT, *ours[1:]), theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_resnet_in_rows_and_pieces_is_its_blocks_one_after_another(batch, monkeypatch):
    monkeypatch.setattr(decoder, "PIECE", 2**15)
    torch.manual_seed(4)
    resnet = ResNetDecoder(pixels=2**14, inputs=3, channels=(32,) * 16)
    nodes = torch.randn(batch, 3)
    with torch.no_grad():
        features = resnet.expand(nodes).unflatten(1, (32, -1))
        expected = resnet.spectrum(resnet.blocks(features))[:, 0]
        torch.testing.assert_close(resnet(nodes), expected, rtol=1e-4, atol=1e-5)


def test_resnet_under_autocast_is_near_and_has_gradients_of_full_precision():
    torch.manual_seed(5)
    resnet = ResNetDecoder(pixels=2**14, inputs=3, channels=(16,) * 16)
    nodes = torch.randn(2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        spectra = resnet(nodes)
    assert spectra.dtype == torch.float32
    torch.testing.assert_close(spectra, resnet(nodes), rtol=0, atol=0.2)
    spectra.square().mean().backward()
    assert all(p.grad.dtype == torch.float32 for p in resnet.parameters())
    assert all(p.grad.isfinite().all() for p in resnet.parameters())


def test_first_block_adds_its_input_unchanged():
    block = ResNetDecoder(pixels=2**14, inputs=2).blocks[0]
    nn.init.zeros_(block.second.weight)
    x = torch.randn(1, 512, 16)
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize("make", [CNNDecoder, ResNetDecoder])
def test_an_untrained_decoder_gives_something_near_the_continuum(make):
    torch.manual_seed(0)
    with torch.no_grad():
        spectra = make(pixels=2**14, inputs=6)(torch.randn(4, 6))
    assert 0.5 < spectra.mean() < 1.5 and 1e-3 < spectra.std() < 1


def test_instance_norms_make_no_difference_between_training_and_use():
    torch.manual_seed(0)
    decoder = ResNetDecoder(pixels=2**14, inputs=3)
    nodes = torch.randn(2, 3)
    with torch.no_grad():
        trained = decoder.train()(nodes)
        torch.testing.assert_close(decoder.eval()(nodes), trained, rtol=0, atol=0)
        # Nor does the rest of the batch.
        torch.testing.assert_close(decoder(nodes[:1]), trained[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [CNNDecoder, ResNetDecoder])
def test_other_numbers_of_channels_rebuild_and_wrong_ones_are_refused(make):
    decoder = make(pixels=2**14, inputs=2, channels=(8,) * 16)
    again = make(**decoder.hyperparameters)
    assert parameters(again) == parameters(decoder)
    with pytest.raises(ValueError, match="must be 16 numbers, not 3"):
        make(pixels=2**14, inputs=2, channels=(8, 8, 8))
