"""Measures of reconstruction: against what was put into networks in closed form."""

import numpy as np
import pytest
import torch
from torch import nn

from maury.grid import WavelengthGrid
from maury.labels import LabelSet, Normalizer
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing
from maury.models.reconstruction import Measurement

GRID = WavelengthGrid(start=5000.0, step=0.06, size=2**14, name="test")
LABELS = LabelSet.from_names(["teff", "rv"])
NORMALIZER = Normalizer((6000.0, 0.0), (1000.0, 50.0), LABELS.names)


class Told(nn.Module):
    """Gives nodes that it was told, whatever the spectra."""

    def __init__(self, nodes):
        super().__init__()
        self.nodes, self.outputs, self.pixels = nodes, nodes.shape[1], GRID.size

    def forward(self, spectra):
        return self.nodes[: len(spectra)]


class Mixed(nn.Module):
    """One, and the sum of given spectra that the nodes ask for."""

    def __init__(self, spectra):
        super().__init__()
        self.spectra, self.inputs, self.pixels = spectra, len(spectra), GRID.size

    def forward(self, nodes):
        return 1 + nodes @ self.spectra


def measure(flux, valid=None, *, nodes=None, made=None, continuum=None):
    """What is measured of spectra; by default the decoder gives a continuum of one."""
    made = torch.zeros(2, GRID.size) if made is None else made
    nodes = torch.zeros(len(flux), 2) if nodes is None else nodes
    preprocessing = Preprocessing(GRID, continuum=continuum)
    network = Network(GRID, LABELS, NORMALIZER, preprocessing, Told(nodes), Mixed(made)).eval()
    valid = torch.ones_like(flux, dtype=torch.bool) if valid is None else valid
    return Measurement.of(network, flux - preprocessing.offset, valid)


@pytest.mark.parametrize("continuum", [None, 50.0])
def test_noise_alone_is_an_error_but_no_misfit(continuum):
    flux = 1 + 0.1 * torch.randn(8, GRID.size, generator=torch.Generator().manual_seed(2))
    valid = torch.rand(8, GRID.size, generator=torch.Generator().manual_seed(3)) > 0.2
    flux[~valid] = 7.0
    found = measure(flux, valid, continuum=continuum)
    # The mean of |x| of a normal distribution is sqrt(2 / pi) of its sigma.
    expected = torch.full((8,), 0.1 * (2 / np.pi) ** 0.5)
    torch.testing.assert_close(found.error, expected, rtol=0.05, atol=0.0)
    assert found.misfit.max() < 0.03


def test_what_is_not_noise_stays_a_misfit_whatever_the_noise():
    # Five waves in what counts as continuum: the mean of its |sine| is 2 / pi of the amplitude.
    wave = 0.3 * torch.sin(2 * np.pi * torch.arange(GRID.size) / 67)
    generator = torch.Generator().manual_seed(4)
    noise = torch.tensor([[0.0], [0.05], [0.2]])
    found = measure(1 + wave + noise * torch.randn(3, GRID.size, generator=generator))
    assert found.error[0] == pytest.approx(0.3 * 2 / np.pi, rel=1e-2)
    torch.testing.assert_close(found.misfit, found.error[:1].expand(3), rtol=0.1, atol=0.0)


def test_a_continuum_of_another_shape_is_an_error_but_no_misfit():
    wave = 0.3 * torch.sin(2 * np.pi * torch.arange(GRID.size) / 67)
    slope = torch.linspace(0.5, 1.5, GRID.size)
    found = measure(torch.stack([slope, slope * (1 + wave), 1 + wave]))
    assert found.error[0] == pytest.approx(0.25, rel=1e-3)
    assert found.misfit[0] < 0.002
    assert found.misfit[1] == pytest.approx(found.misfit[2].item(), rel=0.02)


class Slope(nn.Module):
    """Reads the slope of a spectrum, in units of what the decoder would give."""

    outputs, pixels = 2, GRID.size

    def forward(self, spectra):
        halves = spectra.reshape(len(spectra), 2, -1).mean(dim=2)
        return torch.stack([halves[:, 1] - halves[:, 0], halves[:, 0]], dim=1)


def test_settled_nodes_are_those_of_a_spectrum_with_the_decoders_continuum():
    parts = (Slope(), Mixed(torch.zeros(2, GRID.size)))
    network = Network(GRID, LABELS, NORMALIZER, Preprocessing(GRID), *parts).eval()
    flux = torch.linspace(0.5, 1.5, GRID.size).expand(1, -1)
    found = Measurement.of(network, flux, torch.ones_like(flux, dtype=torch.bool))
    torch.testing.assert_close(found.nodes, torch.tensor([[0.5, 0.75]]), rtol=1e-4, atol=0.0)
    torch.testing.assert_close(found.settled, torch.tensor([[0.0, 1.0]]), rtol=0.0, atol=1e-3)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_dissimilarity_is_one_minus_the_correlation_that_noise_does_not_lower(noise):
    # Two patterns of lines that have nothing in common: one where the other has none.
    generator = torch.Generator().manual_seed(4)
    kernel = torch.exp(-0.5 * (torch.arange(-6, 7) / 2.0) ** 2)[None, None]
    spikes = (torch.rand(2, 1, GRID.size, generator=generator) > 0.99).float()
    lines = -0.4 * nn.functional.conv1d(spikes, kernel, padding=6)[:, 0]
    # Twice the first pattern, the second, and half of both.
    mixture = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    flux = 1 + lines[0] + noise * torch.randn(3, GRID.size, generator=generator)
    found = measure(flux, nodes=mixture, made=lines)
    expected = [np.corrcoef(lines[0], row)[0, 1] for row in mixture @ lines]
    np.testing.assert_allclose(1 - found.dissimilarity, expected, atol=0.05)
    assert expected[0] == pytest.approx(1.0) and abs(expected[1]) < 0.05


def test_a_spectrum_without_three_pixels_in_a_row_has_no_noise_to_take_off():
    flux = torch.full((2, GRID.size), 2.0)
    valid = torch.zeros(2, GRID.size, dtype=torch.bool)
    valid[0, ::2] = True
    found = measure(flux, valid)
    assert found.error.tolist() == [1.0, 0.0]
    assert found.misfit.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    assert found.dissimilarity.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("level", [0.0, -1.0, 1e-12])
def test_spectra_without_light_give_finite_numbers(level):
    flux = torch.full((1, GRID.size), level)
    for values in measure(flux):
        assert torch.isfinite(values).all()
