"""Broadening against direct integration over the stellar disc and against closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from maury.errors import SynthesisError
from maury.synthesis.broadening import (
    Broadening,
    broaden,
    gaussian_width,
    macroturbulence_transfer,
    rotation_transfer,
)
from maury.wavelength import SPEED_OF_LIGHT


def disc(epsilon: float, size: int = 1500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of a limb-darkened disc: abscissa, cosine of the heliocentric angle, light."""
    x = (np.arange(size) + 0.5) / size * 2 - 1
    grid_x, grid_y = np.meshgrid(x, x)
    inside = grid_x**2 + grid_y**2 < 1
    mu = np.sqrt(1 - grid_x[inside] ** 2 - grid_y[inside] ** 2)
    light = 1 - epsilon + epsilon * mu
    return grid_x[inside], mu, light / light.sum()


def gaussian_line(wavelength: np.ndarray, centre: float, sigma: float) -> np.ndarray:
    velocity = np.log(wavelength / centre) * SPEED_OF_LIGHT
    return 1 - 0.6 * np.exp(-0.5 * (velocity / sigma) ** 2)


@pytest.mark.parametrize("epsilon", [0.0, 0.6, 1.0])
def test_rotation_is_the_light_of_a_turning_disc(epsilon: float) -> None:
    x, _, light = disc(epsilon)
    cycles = np.array([0.0, 0.05, 0.3, 1.0, 3.0])
    direct = [np.sum(light * np.cos(2 * np.pi * c * x)) for c in cycles]
    np.testing.assert_allclose(rotation_transfer(cycles, epsilon), direct, atol=3e-5)


@pytest.mark.parametrize("epsilon", [0.0, 0.6, 1.0])
def test_macroturbulence_is_the_light_of_radial_and_tangential_cells(epsilon: float) -> None:
    _, mu, light = disc(epsilon)
    cycles = np.array([0.0, 0.003, 0.05, 0.3, 1.0, 3.0])
    direct = [
        np.sum(light * (np.exp(-a * mu**2) + np.exp(-a * (1 - mu**2))) / 2)
        for a in (np.pi * cycles) ** 2
    ]
    np.testing.assert_allclose(macroturbulence_transfer(cycles, epsilon), direct, atol=3e-5)


def test_broadened_line_is_the_sum_over_the_disc() -> None:
    vsini, vmac, sigma = 8.0, 4.0, 1.5
    wavelength = np.arange(5995.0, 6005.0, 0.01)
    x, mu, light = disc(0.6, size=120)
    velocity = np.log(wavelength / 6000.0) * SPEED_OF_LIGHT
    rotated = np.zeros_like(wavelength)
    turbulent = np.zeros_like(wavelength)
    for shift, cosine, share in zip(x * vsini, mu, light, strict=True):
        rotated += share * np.exp(-0.5 * ((velocity - shift) / sigma) ** 2)
        # The 1/e width w of a cell's Gaussian motion has the variance w^2 / 2.
        for width in (vmac * cosine, vmac * np.sqrt(1 - cosine**2)):
            variance = sigma**2 + width**2 / 2
            turbulent += (
                share / 2 * sigma / np.sqrt(variance) * np.exp(-(velocity**2) / variance / 2)
            )
    flux = gaussian_line(wavelength, 6000.0, sigma)
    np.testing.assert_allclose(
        broaden(wavelength, flux, vsini=vsini), 1 - 0.6 * rotated, rtol=0, atol=3e-4
    )
    np.testing.assert_allclose(
        broaden(wavelength, flux, vmac=vmac), 1 - 0.6 * turbulent, rtol=0, atol=3e-4
    )


def test_instrument_is_a_gaussian() -> None:
    step = 0.2
    wavelength = 6000.0 * np.exp(np.arange(4000) * step / SPEED_OF_LIGHT)
    flux = gaussian_line(wavelength, wavelength[2000], 1.0)
    expected = gaussian_filter1d(flux, gaussian_width(60_000) / step, truncate=6.0)
    np.testing.assert_allclose(
        broaden(wavelength, flux, resolving_power=60_000), expected, rtol=0, atol=1e-6
    )


@settings(derandomize=True, deadline=None, max_examples=30)
@given(
    vsini=st.floats(0, 60),
    vmac=st.floats(0, 10),
    resolving_power=st.floats(5_000, 200_000),
    epsilon=st.floats(0, 1),
)
def test_equivalent_width_and_centroid_stay(
    vsini: float, vmac: float, resolving_power: float, epsilon: float
) -> None:
    wavelength = 6000.0 * np.exp(np.arange(-800, 801) * 0.5 / SPEED_OF_LIGHT)
    flux = gaussian_line(wavelength, 6000.0, 2.0)
    broadened = broaden(
        wavelength,
        flux,
        vsini=vsini,
        vmac=vmac,
        resolving_power=resolving_power,
        epsilon=epsilon,
    )
    assert (1 - broadened).sum() == pytest.approx((1 - flux).sum(), rel=1e-6)
    assert ((1 - broadened) * np.log(wavelength / 6000.0)).sum() == pytest.approx(0.0, abs=1e-9)


def test_uneven_sampling_gives_the_same_line() -> None:
    even = np.arange(5990.0, 6010.0, 0.02)
    uneven = np.sort(np.random.default_rng(1).permutation(even)[:900])
    results = [
        np.interp(even[100:-100], w, broaden(w, gaussian_line(w, 6000.0, 5.0), vsini=20.0))
        for w in (even, uneven)
    ]
    np.testing.assert_allclose(*results, atol=3e-3)


def test_batches_equal_single_spectra() -> None:
    step, size = 1.0, 4096
    wavelength = 5000.0 * np.exp(np.arange(size) * step / SPEED_OF_LIGHT)
    flux = np.stack([gaussian_line(wavelength, wavelength[i], 3.0) for i in (1500, 2500)])
    vsini, vmac = torch.tensor([0.0, 25.0]), torch.tensor([6.0, 2.0])
    result = Broadening(size, step)(
        torch.tensor(flux, dtype=torch.float32), velocity=torch.zeros(2), vsini=vsini, vmac=vmac
    )
    for i in range(2):
        expected = broaden(wavelength, flux[i], vsini=float(vsini[i]), vmac=float(vmac[i]))
        np.testing.assert_allclose(result[i].numpy(), expected, atol=2e-5)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(velocity=st.floats(-400, 400), vsini=st.floats(0, 40))
def test_velocity_moves_the_centroid(velocity: float, vsini: float) -> None:
    step, size = 1.0, 4096
    pixel = np.arange(size)
    flux = 1 - 0.7 * np.exp(-0.5 * ((pixel - 2000) / 2.0) ** 2)
    result = Broadening(size, step)(
        torch.tensor(flux, dtype=torch.float32)[None],
        velocity=torch.tensor([velocity]),
        vsini=torch.tensor([vsini]),
        vmac=torch.tensor([1.0]),
    )[0].double()
    depth = np.where(np.abs(pixel - 2000 - velocity / step) < 100, 1 - result.numpy(), 0.0)
    centroid = (depth * pixel).sum() / depth.sum() - 2000
    assert centroid * step == pytest.approx(velocity, abs=1e-3)


def test_gradients_reach_every_input() -> None:
    flux = torch.rand(2, 512, requires_grad=True)
    labels = {
        name: torch.tensor([1.0, 5.0], requires_grad=True) for name in ("velocity", "vsini", "vmac")
    }
    (Broadening(512, 1.0)(flux, **labels) ** 2).sum().backward()
    for tensor in (flux, *labels.values()):
        assert torch.isfinite(tensor.grad).all() and (tensor.grad != 0).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vsini": -1.0}, "vsini"),
        ({"vmac": float("nan")}, "vmac"),
        ({"resolving_power": 0.0}, "resolving power"),
        ({"flux": np.ones(5)}, "length"),
        ({"wavelength": np.linspace(6010, 6000, 100)}, "increase"),
        ({"flux": np.full(100, np.nan)}, "finite"),
    ],
)
def test_mistakes_are_one_sentence(change: dict, words: str) -> None:
    call = {"wavelength": np.linspace(6000, 6010, 100), "flux": np.ones(100)} | change
    with pytest.raises(SynthesisError, match=words):
        broaden(**call)
