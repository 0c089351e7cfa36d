"""The low-rank opacity against the tables it is made from, and its gradients."""

import json

import numpy as np
import pytest
import torch

from maury.errors import SynthesisError, WeightsError
from maury.synthesis import low_rank, low_rank_fit
from maury.synthesis.linelist import standard_lines
from maury.synthesis.low_rank import LowRankOpacity
from maury.synthesis.low_rank_fit import cached_low_rank
from maury.synthesis.opacity_grid import OpacityGrid
from maury.synthesis.opacity_nodes import LOG_PRESSURE, TEMPERATURE, node_states

SPAN = (5172.0, 5175.0)
STARS = [(3300, 4.8, 0.1, 0.7), (5777, 4.44, 0.0, 1.0), (8200, 3.7, -1.2, 2.8)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("opacities")


@pytest.fixture(scope="module")
def few_lines():
    """A short list, to be quick."""
    return standard_lines(titanium_oxide=False).between(5168.0, 5179.0)


@pytest.fixture(scope="module")
def opacity(folder, few_lines) -> LowRankOpacity:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(low_rank_fit, "TRAINING", 500)
        return cached_low_rank(rank=80, span=SPAN, folder=folder, lines=few_lines)


@pytest.mark.parametrize("star", STARS)
def test_spectrum_is_that_of_the_tables(opacity, folder, few_lines, star):
    grid = OpacityGrid(span=SPAN, folder=folder, lines=few_lines)
    exact, level = grid.flux(*star)
    flux, continuum = opacity.surface_flux(torch.tensor([star]))
    np.testing.assert_array_equal(opacity.wavelength, grid.wavelength)
    np.testing.assert_allclose(continuum[0], level, rtol=2e-3)
    difference = (flux / continuum)[0].numpy() - exact / level
    assert np.sqrt(np.mean(difference**2)) < 0.001
    assert np.abs(difference).max() < 0.01


@pytest.mark.parametrize("label", range(4))
def test_gradients_are_finite_differences(opacity, label):
    labels = torch.tensor(STARS, dtype=torch.float64) + 0.013
    labels[:, 0] += 21.0
    weights = torch.linspace(0.5, 1.5, opacity.wavelength.numel(), dtype=torch.float64)
    labels.requires_grad_(True)
    (opacity.flux(labels) @ weights).sum().backward()
    step = torch.zeros(4, dtype=torch.float64)
    step[label] = (0.5, 1e-3, 1e-3, 1e-3)[label]
    with torch.no_grad():
        change = opacity.flux(labels + step) @ weights - opacity.flux(labels - step) @ weights
    expected = change / (2 * step[label])
    torch.testing.assert_close(labels.grad[:, label], expected, rtol=0.01, atol=1e-6)


def test_a_batch_is_its_stars_and_a_gradient_needs_no_memory(opacity, monkeypatch):
    labels = torch.tensor(STARS, requires_grad=True)
    flux = opacity.flux(labels)
    (kept,) = torch.autograd.grad(flux.square().sum(), labels)
    for star, alone in zip(STARS, flux, strict=True):
        torch.testing.assert_close(opacity.flux(torch.tensor([star]))[0], alone, atol=1e-5, rtol=0)
    monkeypatch.setattr(low_rank, "KEPT", 0)
    monkeypatch.setitem(low_rank.PIECE, "cpu", 10000)
    (again,) = torch.autograd.grad(opacity.flux(labels).square().sum(), labels)
    torch.testing.assert_close(again, kept, rtol=1e-3, atol=1e-5)


def test_other_wavelengths_are_interpolated(opacity):
    star = torch.tensor([STARS[1]])
    pixels = opacity.wavelength.numpy()
    torch.testing.assert_close(opacity.at(pixels[1:-1]).flux(star), opacity.flux(star)[:, 1:-1])
    coarse = LowRankOpacity(
        **{name: value for name, value in opacity.named_buffers() if name in low_rank._TENSORS}
        | {
            "wavelength": opacity.wavelength[::2],
            "mean": opacity.mean[::2],
            "components": opacity.components[:, ::2],
        }
    )
    between = coarse.at(pixels[3:-3:2]).flux(star)
    assert (between - opacity.flux(star)[:, 3:-3:2]).abs().max() < 0.02
    with pytest.raises(SynthesisError, match=r"5100.00 to 5175.00 A are not covered"):
        opacity.at(np.array([5100.0, 5175.0]))


def test_it_is_kept_on_disk_and_refuses_what_is_not_its_own(opacity, folder, tmp_path):
    cards = list(folder.glob("low-rank-*.json"))
    assert len(cards) == 1
    path = opacity.save(tmp_path / "own")
    again = LowRankOpacity.load(path)
    assert again.card["rank"] == 80
    assert again.card["spans"] == [list(SPAN)]
    star = torch.tensor(STARS)
    torch.testing.assert_close(again.flux(star), opacity.flux(star), atol=1e-3, rtol=0)
    card = json.loads(path.read_text())
    path.write_text(json.dumps(card | {"format_version": 99}))
    with pytest.raises(WeightsError, match="version 99; allowed is maury-opacity version 1"):
        LowRankOpacity.load(path)
    path.write_text("[]")
    with pytest.raises(WeightsError, match="the card says nothing"):
        LowRankOpacity.load(path)
    path.write_text(json.dumps(card))
    path.with_suffix(".safetensors").write_bytes(b"half")
    with pytest.raises(WeightsError, match="damaged"):
        LowRankOpacity.load(path)
    path.unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        LowRankOpacity.load(path)


def test_labels_out_of_range_are_named(opacity):
    with pytest.raises(SynthesisError, match=r"vmic = 0\.2 is outside the opacities"):
        opacity.flux(torch.tensor([[5000.0, 4.5, 0.0, 1.0], [5000.0, 4.5, 0.0, 0.2]]))


def test_splines_of_the_nodes_values_are_cubics():
    temperature, pressure = node_states()
    heat = np.log(temperature / TEMPERATURE[0]) / np.log(TEMPERATURE[1] / TEMPERATURE[0])
    push = (pressure - LOG_PRESSURE[0]) / (LOG_PRESSURE[1] - LOG_PRESSURE[0])

    def polynomial(x, y, m, v):
        x, y, m, v = x / 25 - 1, y / 9 - 1, m / 4 - 1, v / 4 - 1
        return 1 + x - 2 * y + x * y + x * x * y - x * y * y + m**3 - m * x + v**3 * y + v * m

    size = low_rank.TURBULENCE.size
    m, v = np.arange(9.0)[:, None, None], np.arange(float(size))[:, None]
    coefficients = low_rank_fit._spline_coefficients(polynomial(heat, push, m, v)[..., None])
    place = {"x": 20.3, "y": 8.7, "m": 0.4, "v": size - 1.3}
    value = torch.from_numpy(coefficients[..., 0].astype(float))
    for axis, count in (("m", 9), ("v", size), ("x", 50), ("y", 18)):
        spline = low_rank._splines(torch.tensor(place[axis], dtype=torch.float64), count)
        torch.testing.assert_close(spline.sum(), torch.tensor(1.0, dtype=torch.float64))
        value = torch.tensordot(spline, value, 1)
    assert abs(float(value) - polynomial(*place.values())) < 1e-4
