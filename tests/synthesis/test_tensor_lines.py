"""Voigt profiles on tensors against SciPy's Faddeeva function, and their derivatives."""

import numpy as np
import pytest
import torch
from scipy.special import wofz

from maury.synthesis import tensor_lines
from maury.synthesis.tensor_lines import Profiles, hjerting_far, hjerting_near, sum_profiles

DAMPING = torch.logspace(-5, 1.3, 40, dtype=torch.float64)[None]


def faddeeva(away: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """H(a, v) and its derivatives to a and v; w' = 2i / sqrt(pi) - 2 z w."""
    z = away.numpy() + 1j * DAMPING.numpy()
    slope = 2j / np.sqrt(np.pi) - 2 * z * wofz(z)
    return wofz(z).real, -slope.imag, slope.real


def test_near_the_centre() -> None:
    away = torch.linspace(0, 14, 500, dtype=torch.float64)[:, None]
    for ours, expected in zip(hjerting_near(DAMPING, away), faddeeva(away), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-12)


def test_in_the_wings() -> None:
    away = torch.linspace(6, 100, 500, dtype=torch.float64)[:, None]
    value, of_damping, of_away = faddeeva(away)
    for ours, expected in zip(hjerting_far(DAMPING, away), (value, of_damping), strict=False):
        size = np.maximum(np.abs(expected), value / (DAMPING + away).numpy())
        assert np.abs((ours.numpy() - expected) / size).max() < 1e-4
    _, _, ours = hjerting_far(DAMPING, away)
    np.testing.assert_allclose(ours, of_away, rtol=1e-4)


@pytest.fixture
def lines() -> dict[str, torch.Tensor]:
    """Seven lines, some outside the window, at five layers."""
    generator = torch.Generator().manual_seed(3)

    def random(low: float, high: float) -> torch.Tensor:
        numbers = torch.rand(7, 5, generator=generator, dtype=torch.float64)
        return torch.exp(numbers * np.log(high / low)) * low

    return {
        "wavelength": torch.arange(5000.0, 5002.0, 0.07, dtype=torch.float64),
        "centre": torch.linspace(4999.0, 5002.9, 7, dtype=torch.float64),
        "reach": torch.tensor([0.0, 0.02, 0.4, 3.0, 0.9, 1.4, 0.1], dtype=torch.float64),
        "peak": random(1e-2, 1e2),
        "per_doppler": random(10.0, 40.0),
        "damping": random(1e-4, 1.0),
    }


def total(lines: dict[str, torch.Tensor], *profiles: torch.Tensor) -> torch.Tensor:
    return sum_profiles(lines["wavelength"], lines["centre"], lines["reach"], Profiles(*profiles))


def test_the_sum_is_that_of_every_line_within_its_reach(lines: dict[str, torch.Tensor]) -> None:
    profiles = [lines[name] for name in ("peak", "per_doppler", "damping")]
    away = (lines["wavelength"][:, None] - lines["centre"]).abs().numpy()
    peak, per_doppler, damping = (x.numpy() for x in profiles)
    values = peak * wofz(away[..., None] * per_doppler + 1j * damping).real
    expected = (values * (away <= lines["reach"].numpy())[..., None]).sum(axis=1)
    np.testing.assert_allclose(total(lines, *profiles), expected, rtol=2e-5)


@pytest.mark.parametrize("add", [tensor_lines._Sum, tensor_lines._SumOnCpu])
def test_its_adjoint_is_that_of_differences(
    lines: dict[str, torch.Tensor], add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_lines, "_SumOnCpu", add)
    monkeypatch.setattr(tensor_lines, "PAIRS", 100)  # in many pieces
    profiles = [lines[name].requires_grad_() for name in ("peak", "per_doppler", "damping")]
    assert torch.autograd.gradcheck(lambda *x: total(lines, *x), profiles)


def test_loops_and_tensor_operations_agree(
    lines: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for add in (tensor_lines._SumOnCpu, tensor_lines._Sum):
        monkeypatch.setattr(tensor_lines, "_SumOnCpu", add)
        results.append(total(lines, *(lines[x] for x in ("peak", "per_doppler", "damping"))))
    torch.testing.assert_close(*results, rtol=1e-11, atol=0.0)


def test_no_lines_at_all() -> None:
    none, layers = torch.zeros(0, dtype=torch.float64), torch.zeros(0, 5, dtype=torch.float64)
    window = torch.arange(5000.0, 5001.0, 0.1, dtype=torch.float64)
    opacity = sum_profiles(window, none, none, Profiles(layers, layers, layers))
    assert opacity.shape == (window.numel(), 5)
    assert not opacity.any()
