"""The embedded optical depths, and the batched transmission against the plain one."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from maury.instrument.telluric import Telluric, TelluricTransmission
from maury.wavelength import SPEED_OF_LIGHT


@pytest.fixture(scope="module")
def telluric() -> Telluric:
    return Telluric.load()


def test_strongest_lines_are_where_fraunhofer_saw_them(telluric: Telluric) -> None:
    """Fraunhofer's B (O2) begins at 6867.2 A and alpha (O2) at 6276.6 A; water lies about Na D."""
    oxygen = telluric.wavelength[telluric.oxygen > 0.02]
    for head in (6867.2, 6276.6):
        assert np.abs(oxygen - head).min() < 0.3
        assert not np.any((oxygen > head - 50) & (oxygen < head - 1.0))
    water = telluric.wavelength[telluric.water > 0.01]
    for lower, upper in ((5885, 5990), (6470, 6580)):
        assert np.any((water > lower) & (water < upper))
    assert not np.any((water > 6000) & (water < 6270))


def test_transmission_is_a_power_of_the_airmass(telluric: Telluric) -> None:
    wavelength = np.arange(6860.0, 6925.0, 0.01)
    one = telluric.transmission(wavelength, airmass=1.0, pwv=5.0)
    for airmass in (1.5, 2.9):
        np.testing.assert_allclose(
            telluric.transmission(wavelength, airmass=airmass, pwv=5.0), one**airmass, rtol=1e-9
        )


def test_water_deepens_with_its_column_and_oxygen_does_not(telluric: Telluric) -> None:
    wavelength = np.array([6869.95, 5919.06])
    dry = telluric.transmission(wavelength, airmass=1.2, pwv=0.5, resolving_power=115_000)
    wet = telluric.transmission(wavelength, airmass=1.2, pwv=15.0, resolving_power=115_000)
    assert wet[0] == pytest.approx(dry[0], abs=1e-3)
    assert wet[1] < dry[1] - 0.05


def test_smoothing_keeps_the_absorbed_light(telluric: Telluric) -> None:
    wavelength = telluric.wavelength
    wavelength = wavelength[(wavelength > 6855) & (wavelength < 6929)]
    plain = telluric.transmission(wavelength, airmass=1.5, pwv=5.0)
    smooth = telluric.transmission(wavelength, airmass=1.5, pwv=5.0, resolving_power=50_000)
    assert (1 - smooth).sum() == pytest.approx((1 - plain).sum(), rel=1e-4)
    assert smooth.min() > plain.min()


def test_nothing_is_absorbed_outside_the_table(telluric: Telluric) -> None:
    wavelength = np.array([3000.0, 9000.0])
    for resolving_power in (None, 100_000):
        result = telluric.transmission(wavelength, 2.0, 5.0, resolving_power=resolving_power)
        assert result.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("berv", [-31.4, 0.0, 12.345])
def test_batched_transmission_equals_the_plain_one(telluric: Telluric, berv: float) -> None:
    """Both are smoothed by the instrument here: unsmoothed lines are narrower than the step."""
    step = 1.0 / SPEED_OF_LIGHT
    wavelength = 6850 * np.exp(np.arange(3400) * step)
    batched = TelluricTransmission(wavelength)(
        berv=torch.tensor([0.0, berv]),
        airmass=torch.tensor([1.0, 1.7]),
        pwv=torch.tensor([0.0, 6.0]),
    )[1]
    smooth = gaussian_filter1d(batched.double().numpy(), 1.107, mode="nearest", truncate=6.0)
    expected = telluric.transmission(
        wavelength / (1 + berv / SPEED_OF_LIGHT), 1.7, 6.0, resolving_power=115_000
    )
    inside = slice(10, -10)
    assert np.std(smooth[inside] - expected[inside]) < 1e-3
    np.testing.assert_allclose(smooth[inside], expected[inside], atol=6e-3)


def test_gradients_reach_every_label() -> None:
    wavelength = 6860 * np.exp(np.arange(2000) / SPEED_OF_LIGHT)
    labels = {
        "berv": torch.tensor([3.3, -8.1], requires_grad=True),
        "airmass": torch.tensor([1.1, 2.0], requires_grad=True),
        "pwv": torch.tensor([1.0, 4.0], requires_grad=True),
    }
    (TelluricTransmission(wavelength)(**labels) ** 2).sum().backward()
    for tensor in labels.values():
        assert torch.isfinite(tensor.grad).all() and (tensor.grad != 0).all()
