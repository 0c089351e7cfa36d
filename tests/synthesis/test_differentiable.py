"""The differentiable synthesis against the one in NumPy, its values and its derivatives."""

from functools import partial

import numpy as np
import pytest
import torch

from maury.errors import SynthesisError
from maury.synthesis import differentiable, synthesize
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.differentiable import DifferentiableSynthesis
from maury.synthesis.elements import abundances
from maury.synthesis.linelist import LineList, standard_lines
from maury.synthesis.lines import line_opacity
from maury.synthesis.synthesize import surface_flux

Star = tuple[float, float, float, float]
STARS: list[Star] = [
    (3222.0, 4.7, -0.2, 1.0),
    (4555.0, 4.6, -0.3, 1.0),
    (5777.0, 4.44, 0.1, 1.0),
    (7555.0, 4.1, -0.2, 2.0),
    (10444.0, 4.1, -0.2, 2.0),
]
# Weak lines, Mg b, the wing and core of H-alpha, and CH with Fe: a few A each.
WINDOWS = [6060.0, 5180.0, 6556.0, 4305.0]
STEPS = {"teff": 4.0, "logg": 0.004, "mh": 0.004, "vmic": 0.01}
NARROW = 1e-5  # cutoff of lines for derivatives


def window(start: float, size: int = 250) -> np.ndarray:
    return start + 0.03 * np.arange(size)


def near(wavelength: np.ndarray) -> LineList:
    return standard_lines().between(wavelength[0] - 2.0, wavelength[-1] + 2.0)


def reference(wavelength: np.ndarray, lines: LineList, star: Star) -> tuple[np.ndarray, np.ndarray]:
    return surface_flux(
        wavelength, model_atmosphere(*star[:3]), abundances(star[2]), lines, star[3]
    )


def tensor(*stars: Star) -> torch.Tensor:
    return torch.tensor(stars, dtype=torch.float64)


@pytest.mark.parametrize("start", WINDOWS)
def test_fluxes_are_those_of_the_direct_sum(start: float) -> None:
    wavelength = window(start)
    lines = standard_lines() if start == WINDOWS[0] else near(wavelength)
    with torch.no_grad():
        results = DifferentiableSynthesis(wavelength, lines)(tensor(*STARS))
    for flux, continuum, star in zip(*results, STARS, strict=True):
        expected_flux, expected_continuum = reference(wavelength, lines, star)
        np.testing.assert_allclose(continuum, expected_continuum, rtol=3e-4)
        difference = (flux.numpy() - expected_flux) / expected_continuum
        assert np.sqrt(np.mean(difference**2)) < 3e-4
        assert np.abs(difference).max() < 5e-4


@pytest.mark.parametrize(("start", "star"), list(zip(WINDOWS, STARS[:4], strict=True)))
def test_gradients_are_differences_of_the_direct_sum(
    start: float, star: Star, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To 1%, of labels and of lines, in ten random sums of the pixels of flux and continuum.

    Lines are followed farther than usual: the direct sum moves its cuts by whole pixels, which
    differences take for slopes.
    """
    monkeypatch.setattr(synthesize, "line_opacity", partial(line_opacity, cutoff=NARROW))
    wavelength = window(start, 120)
    lines = near(wavelength)
    model = DifferentiableSynthesis(wavelength, lines, cutoff=NARROW)
    weights = np.random.default_rng(1).standard_normal((10, 2 * wavelength.size))

    def difference(star_up: Star, star_down: Star, step: float, up=lines, down=lines) -> np.ndarray:
        high = np.concatenate(reference(wavelength, up, star_up))
        low = np.concatenate(reference(wavelength, down, star_down))
        return weights @ (high - low) / (2 * step)

    labels = tensor(star).requires_grad_()
    strengths = torch.tensor(lines.log_gf, requires_grad=True)
    spectrum = torch.cat([x[0] for x in model(labels, strengths)])
    gradients = [
        torch.autograd.grad(spectrum @ torch.tensor(w), (labels, strengths), retain_graph=True)
        for w in weights
    ]
    of_labels = np.array([g[0][0].numpy() for g in gradients])
    of_lines = np.array([g[1].numpy() for g in gradients])

    for i, (name, step) in enumerate(STEPS.items()):
        sides = [tuple(x + s * (j == i) for j, x in enumerate(star)) for s in (step, -step)]
        expected = difference(*sides, step)
        error = np.linalg.norm(of_labels[:, i] - expected) / np.linalg.norm(expected)
        assert error < 0.01, f"{name}: {error:.4f}"

    order = np.argsort(-np.abs(of_lines).sum(axis=0))
    for line in order[[0, 2, 8]]:
        shift = 0.005 * (np.arange(len(lines)) == line)
        sides = [lines.with_log_gf(lines.log_gf + sign * shift) for sign in (1, -1)]
        expected = difference(star, star, 0.005, *sides)
        error = np.linalg.norm(of_lines[:, line] - expected) / np.linalg.norm(expected)
        assert error < 0.01, f"{lines.wavelength[line]} A: {error:.4f}"


def test_a_batch_is_its_stars_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    wavelength = window(6060.0, 150)
    model = DifferentiableSynthesis(wavelength, near(wavelength))
    labels, own = tensor(*STARS[1:3]), torch.tensor(model.lines.log_gf)
    strengths = torch.stack([own, own + 0.1]).requires_grad_()
    flux, continuum = model(labels, strengths)
    assert flux.shape == continuum.shape == (2, wavelength.size)
    (both,) = torch.autograd.grad((flux / continuum).sum(), strengths)
    for i in range(2):
        alone = strengths[i].detach().requires_grad_()
        one, level = model(labels[i : i + 1], alone)
        torch.testing.assert_close(one[0], flux[i])
        (gradient,) = torch.autograd.grad((one / level).sum(), alone)
        torch.testing.assert_close(gradient, both[i])
    # In pieces, computed again for the gradient; each has its own knots of the continuum.
    monkeypatch.setattr(differentiable, "PIECE", 64)
    monkeypatch.setattr(differentiable, "KEPT", 0)
    flux_again, continuum_again = model(labels, strengths)
    torch.testing.assert_close(flux_again, flux, rtol=1e-4, atol=0.0)
    (again,) = torch.autograd.grad((flux_again / continuum_again).sum(), strengths)
    torch.testing.assert_close(again, both, rtol=0.01, atol=float(both.abs().max()) * 1e-4)


def test_without_lines_there_is_the_continuum() -> None:
    model = DifferentiableSynthesis(window(6060.0, 20), standard_lines().select(slice(0, 0)))
    labels = tensor(STARS[2]).float().requires_grad_()
    flux, continuum = model(labels)
    assert flux.dtype == torch.float32
    torch.testing.assert_close(flux, continuum, rtol=2e-3, atol=0.0)  # but for H-alpha's far wings
    flux.sum().backward()
    assert labels.grad is not None and bool(labels.grad[0, 0] > 0)


@pytest.mark.parametrize(
    ("labels", "log_gf", "message"),
    [
        (tensor(STARS[0][:3]), None, r"shape \(1, 3\); it must be \(star, 4\), for teff, logg"),
        (tensor((5000, 4.5, 0, -1.0)), None, "vmic = -1 is not allowed; it must be 0 to 10 km/s"),
        (tensor((500, 4.5, 0, 1.0)), None, "Teff = 500 K is outside the atmosphere grid"),
        (tensor(STARS[1]), torch.zeros(3), r"log gf has the shape \(3,\); it must be \(\d+,\)"),
    ],
)
def test_impossible_input_is_refused(labels, log_gf, message: str) -> None:
    model = DifferentiableSynthesis(window(6060.0, 20))
    with pytest.raises(SynthesisError, match=message):
        model(labels, log_gf)


def test_wavelengths_must_be_covered() -> None:
    with pytest.raises(SynthesisError, match="cannot be synthesized"):
        DifferentiableSynthesis(np.arange(3000.0, 3001.0, 0.1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu() -> None:
    results = []
    for device in ("cpu", "cuda"):
        model = DifferentiableSynthesis(window(5180.0)).to(device)
        labels = tensor(*STARS[:2]).to(device).requires_grad_()
        strengths = torch.tensor(model.lines.log_gf, device=device, requires_grad=True)
        flux, continuum = model(labels, strengths)
        (flux / continuum).sum().backward()
        results.append([x.detach().cpu() for x in (flux, continuum, labels.grad, strengths.grad)])
    for cpu, cuda in zip(*results, strict=True):
        torch.testing.assert_close(cuda, cpu, rtol=1e-6, atol=float(cpu.abs().max()) * 1e-9)
