"""The formal solution on tensors against exponential integrals, and its adjoint."""

import numpy as np
import pytest
import torch
from scipy.special import expn

from maury.synthesis.atmosphere import Atmosphere, model_atmosphere
from maury.synthesis.continuum import continuum_opacity
from maury.synthesis.elements import abundances
from maury.synthesis.equation_of_state import solve
from maury.synthesis.tensor_transfer import emergent_flux
from maury.synthesis.transfer import emergent_flux as emergent_flux_of_arrays

DTYPES = (torch.float32, torch.float64)


def opacity_of(model: Atmosphere, pixels: int, seed: int = 0) -> np.ndarray:
    """ln of cm2 g-1: the star's continuum, and lines of all strengths and heights."""
    generator = np.random.default_rng(seed)
    strength = 10 ** generator.uniform(-4, 4, pixels)
    slope = generator.uniform(-0.4, 0.4, pixels)
    gas = solve(model.temperature, model.pressure, abundances(model.mh))
    continuum = continuum_opacity(np.array([5000.0]), gas) / gas.density[:, None]
    return np.log(continuum * (1 + strength * model.rhox[:, None] ** slope))


def flux_of(ln_opacity, rhox, temperature, wavelength, dtype=torch.float64) -> np.ndarray:
    layers = (torch.tensor(x, dtype=dtype)[None] for x in (ln_opacity, rhox, temperature))
    return emergent_flux(*layers, torch.tensor(wavelength))[0].numpy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("star", [(3200.0, 4.7, -0.2), (5777.0, 4.44, 0.1), (10500.0, 4.0, 0.0)])
@pytest.mark.parametrize("step", [0.01, 1.0])
def test_as_the_formal_solution_along_four_rays(
    star: tuple[float, float, float], step: float, dtype: torch.dtype
) -> None:
    model = model_atmosphere(*star)
    wavelength = 3785.0 + step * np.arange(3000)
    lines = opacity_of(model, wavelength.size)
    density = np.ones_like(model.rhox)
    expected = emergent_flux_of_arrays(
        wavelength, np.exp(lines).T.copy(), np.zeros((density.size, 2)), 3785.0, 5000.0,
        model.rhox, density, model.temperature,
    )  # fmt: skip
    flux = flux_of(lines, model.rhox, model.temperature, wavelength, dtype)
    np.testing.assert_allclose(flux, expected, rtol=6e-4)
    assert np.abs(flux - expected).max() < 3e-4 * expected.max()


@pytest.mark.parametrize("slope", [0.3, 1.5, 10.0])
def test_eddington_barbier(slope: float) -> None:
    """With S = a + b tau the flux is pi S(2/3), exactly (e.g. Gray 2005, Eq. 7.15)."""
    rhox = np.geomspace(1e-5, 60, 300)
    source = 1e6 * (1 + slope * rhox)
    hc2, c2, wave = 1.191042972e27 / 5000.0**5, 1.438776877e8, np.array([5000.0])
    temperature = c2 / 5000.0 / np.log1p(hc2 / source)
    flux = flux_of(np.zeros((300, 1)), rhox, temperature, wave)
    assert flux[0] == pytest.approx(np.pi * 1e6 * (1 + slope * 2 / 3), rel=1e-4)


def test_depths_of_an_opacity_that_grows_steeply() -> None:
    """Optical depth of a cubic opacity has a closed form; a step in S at each depth shows E3."""
    rhox = np.geomspace(0.1, 3.0, 60)
    ln_opacity = np.log(0.2 * rhox**3)[:, None]
    depth = 0.2 * rhox[0] ** 4 + 0.05 * (rhox**4 - rhox[0] ** 4)
    temperature = np.linspace(4000.0, 7000.0, 60)
    source = 1.191042972e27 / 5000.0**5 / np.expm1(1.438776877e8 / 5000.0 / temperature)
    e4 = expn(4, depth)
    expected = np.pi * (
        source[0] + 2 * (np.diff(source) * -np.diff(e4) / np.diff(depth)).sum()
    )  # fmt: skip
    flux = flux_of(ln_opacity, rhox, temperature, np.array([5000.0]))
    assert flux[0] == pytest.approx(expected, rel=3e-4)


def test_the_adjoint_is_that_of_differences() -> None:
    generator = torch.Generator().manual_seed(1)
    rhox = torch.logspace(-2, 1, 9, dtype=torch.float64)[None].repeat(2, 1)
    temperature = torch.linspace(4.0, 9.0, 9, dtype=torch.float64)[None].repeat(2, 1)
    noise = torch.randn(2, 9, 5, generator=generator, dtype=torch.float64)
    wavelength = torch.linspace(5000.0, 5400.0, 5, dtype=torch.float64)
    inputs = [x.requires_grad_() for x in (noise, rhox, temperature)]
    # In 1000 K and 1e6 erg s-1 cm-2 A-1, so that all steps and results are about 1.
    assert torch.autograd.gradcheck(
        lambda k, m, t: emergent_flux(k, m, t * 1e3, wavelength) / 1e6, inputs
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_pieces_of_pixels_and_batches_change_nothing(dtype: torch.dtype) -> None:
    model = model_atmosphere(5777, 4.44, 0.1)
    wavelength = torch.arange(6550.0, 6590.0, 0.01, dtype=torch.float64)
    star = [torch.tensor(x, dtype=dtype)[None] for x in (model.rhox, model.temperature)]
    lines = np.stack([opacity_of(model, wavelength.numel(), seed) for seed in (0, 1)])
    opacity = torch.tensor(lines, dtype=dtype, requires_grad=True)
    both = emergent_flux(opacity, *(x.expand(2, -1) for x in star), wavelength)
    both[1].sum().backward()
    assert opacity.grad is not None
    assert not opacity.grad[0].any()
    alone = opacity.detach()[1:, :, 700:900].clone().requires_grad_()
    flux = emergent_flux(alone, *star, wavelength[700:900])
    flux.sum().backward()
    tolerance = 1e-5 if dtype == torch.float32 else 2e-6
    torch.testing.assert_close(both[1:, 700:900], flux, rtol=tolerance, atol=0.0)
    scale = float(alone.grad.abs().max())
    torch.testing.assert_close(
        opacity.grad[1:, :, 700:900] / scale, alone.grad / scale, rtol=1e-3, atol=tolerance
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu() -> None:
    model = model_atmosphere(5777, 4.44, 0.1)
    wavelength = torch.arange(5000.0, 5100.0, 0.01, dtype=torch.float64)
    inputs = [
        torch.tensor(x)[None]
        for x in (opacity_of(model, wavelength.numel()), model.rhox, model.temperature)
    ]
    gradients = []
    for device in ("cpu", "cuda"):
        leaves = [x.to(device).requires_grad_() for x in inputs]
        flux = emergent_flux(*leaves, wavelength.to(device))
        flux.sum().backward()
        gradients.append([flux.detach().cpu(), *(x.grad.cpu() for x in leaves)])
    for cpu, cuda in zip(*gradients, strict=True):
        torch.testing.assert_close(cuda, cpu, rtol=1e-4, atol=float(cpu.abs().max()) * 1e-6)
