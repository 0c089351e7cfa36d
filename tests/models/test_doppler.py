"""Shifts against the Doppler formula and SciPy, and a decoder whose velocities are right."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import interpolate, optimize

from maury.errors import GridError, MauryError
from maury.grid import HARPS, HARPS_SMALL
from maury.models.doppler import DopplerDecoder, DopplerShift
from maury.wavelength import SPEED_OF_LIGHT, doppler_factor

START, STEP, PIXELS = 5000.0, 0.01, 4096
WAVELENGTH = START + STEP * np.arange(PIXELS)
SHIFT = DopplerShift(start=START, step=STEP, pixels=PIXELS, margin=160.0)
LABELS = ("teff", "logg", "mh", "rv", "berv", "airmass")
CENTER = (5800.0, 4.3, -0.2, 3.0, -2.0, 1.5)
SCALE = (900.0, 0.4, 0.4, 50.0, 18.0, 0.4)


def lines(wavelength):
    """Lines as narrow as a HARPS spectrum has them, 2.6 km/s at half maximum."""
    flux = np.ones_like(wavelength)
    for i, center in enumerate(np.linspace(4999.0, 5042.0, 30)):
        flux -= (0.2 + 0.02 * i) * np.exp(-0.5 * ((wavelength - center) / 0.0185) ** 2)
    return flux


def source(shift):
    return torch.from_numpy(lines(shift.source))[None]


@settings(deadline=None, derandomize=True, max_examples=20)
@given(st.floats(-160, 160))
def test_lines_move_by_the_relativistic_factor(velocity):
    observed = SHIFT(source(SHIFT).float(), torch.tensor([velocity]))[0].numpy()
    expected = lines(WAVELENGTH / doppler_factor(velocity))
    assert np.abs(observed - expected).max() < 0.012
    assert np.sqrt(np.mean((observed - expected) ** 2)) < 0.002


def test_cubic_interpolation_is_far_better_than_linear():
    velocity = 37.3
    expected = lines(WAVELENGTH / doppler_factor(velocity))
    linear = np.interp(WAVELENGTH / doppler_factor(velocity), SHIFT.source, lines(SHIFT.source))
    ours = SHIFT(source(SHIFT), torch.tensor([velocity], dtype=torch.float64))[0].numpy()
    assert np.abs(ours - expected).max() < 0.35 * np.abs(linear - expected).max()


def test_interpolation_is_the_cubic_of_keys_as_scipy_has_it():
    # A cubic Hermite spline whose slopes are central differences, on samples 0, 1, 2, ...
    values = np.random.default_rng(0).normal(size=len(SHIFT.source))
    spline = interpolate.CubicHermiteSpline(
        np.arange(len(values)), values, np.gradient(values, edge_order=1)
    )
    velocity = -71.9
    emitted = WAVELENGTH / doppler_factor(velocity)
    position = np.log(emitted / SHIFT.source[0]) / SHIFT.log_step
    ours = SHIFT(torch.from_numpy(values)[None], torch.tensor([velocity], dtype=torch.float64))
    np.testing.assert_allclose(ours[0], spline(position), atol=2e-4)


def test_without_velocity_the_first_pixel_is_a_sample():
    ours = SHIFT(source(SHIFT), torch.zeros(1))
    np.testing.assert_allclose(ours[0, 0], lines(WAVELENGTH[:1])[0], rtol=1e-6)


def test_shifts_that_cancel_leave_the_spectrum():
    there = SHIFT(source(SHIFT), torch.tensor([40.0]))[0].numpy()
    both = interpolate.CubicSpline(WAVELENGTH, there)(WAVELENGTH[900:-900] * doppler_factor(40.0))
    assert np.abs(both - lines(WAVELENGTH[900:-900])).max() < 0.012


def test_gradient_is_that_of_finite_differences():
    shift = DopplerShift(start=START, step=STEP, pixels=40, margin=5.0)
    generator = torch.Generator().manual_seed(1)
    spectra = torch.randn(2, len(shift.source), dtype=torch.float64, generator=generator)
    velocity = torch.tensor([1.234, -3.21], dtype=torch.float64)
    inputs = (spectra.requires_grad_(), velocity.requires_grad_())
    # Positions are kept in single precision, so the step must not be too small.
    assert torch.autograd.gradcheck(shift, inputs, eps=1e-4, atol=1e-4, fast_mode=False)


def test_a_line_of_one_pixel_is_averaged_over_the_pixel():
    shift = DopplerShift(
        start=HARPS_SMALL.start, step=HARPS_SMALL.step, pixels=HARPS_SMALL.size, margin=150.0
    )
    step = SPEED_OF_LIGHT * np.diff(np.log(shift.source))
    assert step.max() <= 1.0 and shift.places == 4
    # The places of a pixel are evenly spread over it.
    ours = shift(torch.from_numpy(shift.source)[None], torch.zeros(1, dtype=torch.float64))
    means = ours.unflatten(1, (-1, shift.places)).mean(dim=2)[0].numpy()
    np.testing.assert_allclose(means, HARPS_SMALL.wavelength, atol=1e-5)


def test_the_full_grid_is_filled_up_to_the_margin():
    shift = DopplerShift(start=HARPS.start, step=HARPS.step, pixels=HARPS.size, margin=160.0)
    for velocity in (-160.0, 160.0):
        emitted = HARPS.wavelength[[0, -1]] / doppler_factor(velocity)
        assert shift.source[1] < emitted[0] and emitted[1] < shift.source[-2]
    assert len(shift.source) < 1.05 * HARPS.size


def make(**changes):
    torch.manual_seed(2)
    arguments = {"pixels": 2048, "start": START, "step": STEP, "inputs": 8, "labels": LABELS}
    decoder = DopplerDecoder(**(arguments | {"center": CENTER, "scale": SCALE} | changes))
    with torch.no_grad():
        decoder.star.mean.copy_(torch.from_numpy(lines(decoder.star_shift.source)).log())
        telluric = 1 - 0.5 * np.exp(-((decoder.sky_shift.source - 5010) ** 2) / 0.03**2)
        decoder.sky.mean.copy_(torch.from_numpy(telluric).log())
        decoder.star.components *= 0.01
        decoder.sky.components *= 0.01
        decoder.continuum[-1].weight.zero_()
        decoder.continuum[-1].bias.zero_()
    return decoder


def nodes(**labels):
    values = dict.fromkeys(LABELS, 0.0) | {"u": 0.0, "v": 0.0}
    for name, value in labels.items():
        k = LABELS.index(name)
        values[name] = (value - CENTER[k]) / SCALE[k]
    return torch.tensor([list(values.values())])


def shift_of(before, after):
    """Velocity between two spectra by least squares, km/s."""
    wavelength = START + STEP * np.arange(len(before))
    spline = interpolate.CubicSpline(wavelength, before)
    inner = slice(300, -300)

    def squares(velocity):
        moved = spline(wavelength[inner] / doppler_factor(velocity))
        return np.square(moved - after[inner]).sum()

    grid = np.linspace(-60, 60, 241)
    best = grid[np.argmin([squares(v) for v in grid])]
    return optimize.minimize_scalar(squares, bounds=(best - 1, best + 1), method="bounded").x


@torch.no_grad()
def silence(part):
    part.mean.zero_()
    part.components.zero_()


@torch.no_grad()
def test_the_radial_velocity_moves_the_star_and_nothing_else():
    decoder = make()
    silence(decoder.sky)
    before = decoder(nodes(rv=-11.0, berv=0.0))[0].double().numpy()
    after = decoder(nodes(rv=22.5, berv=0.0))[0].double().numpy()
    # Velocities add up relativistically, which makes no difference of 1e-3 km/s here.
    assert shift_of(before, after) == pytest.approx(33.5, abs=0.01)


@torch.no_grad()
def test_berv_moves_the_sky_and_nothing_else():
    decoder = make()
    silence(decoder.star)
    centers = []
    for berv in (-25.0, 0.0, 25.0):
        spectrum = decoder(nodes(rv=40.0, berv=berv))[0].double().numpy()
        depth = (1 - spectrum / np.median(spectrum)).clip(0.1) - 0.1
        centers.append((depth * WAVELENGTH[:2048]).sum() / depth.sum())
    np.testing.assert_allclose(centers, 5010 * doppler_factor([-25.0, 0.0, 25.0]), atol=0.002)


@torch.no_grad()
def test_each_part_sees_its_own_labels_alone():
    decoder = make()
    base = nodes()
    for name in LABELS:
        changed = base.clone()
        changed[0, LABELS.index(name)] += 1.0
        star = decoder.star(changed[:, decoder.star_nodes])
        sky = decoder.sky(changed[:, decoder.sky_nodes])
        intrinsic = name in ("teff", "logg", "mh")
        assert torch.equal(star, decoder.star(base[:, decoder.star_nodes])) != intrinsic
        assert torch.equal(sky, decoder.sky(base[:, decoder.sky_nodes])) != (name == "airmass")
    assert decoder.star_nodes == [0, 1, 2, 6, 7] and decoder.sky_nodes == [5, 6, 7]


def test_the_velocity_is_found_by_its_gradient():
    decoder = make(pixels=512).requires_grad_(False)
    truth = decoder(nodes(rv=5.3, berv=0.0))
    base = nodes(rv=4.0, berv=0.0)
    node = base[:, 3].clone().requires_grad_()
    optimizer = torch.optim.LBFGS([node], max_iter=20, line_search_fn="strong_wolfe")

    def squares():
        optimizer.zero_grad()
        guess = torch.cat([base[:, :3], node[:, None], base[:, 4:]], dim=1)
        loss = (decoder(guess) - truth).square().sum()
        loss.backward()
        return loss

    optimizer.step(squares)
    assert node.item() * SCALE[3] + CENTER[3] == pytest.approx(5.3, abs=0.005)


def test_impossible_velocities_do_no_harm():
    decoder = make()
    wild = nodes(rv=1e9, berv=-1e9).requires_grad_()
    spectrum = decoder(wild)
    spectrum.sum().backward()
    assert torch.isfinite(spectrum).all() and torch.isfinite(wild.grad).all()


def test_a_decoder_without_the_labels_it_needs_is_refused():
    few = {"labels": ("teff", "berv"), "center": (0.0, 0.0), "scale": (1.0, 1.0)}
    with pytest.raises(MauryError, match=r"needs the label 'rv' among its nodes, .*teff, berv\.$"):
        make(**few, inputs=2)
    with pytest.raises(MauryError, match="beside the velocities"):
        make(labels=("rv", "berv"), center=(0.0, 0.0), scale=(1.0, 1.0), inputs=2)
    with pytest.raises(GridError, match="at least 16 pixels"):
        make(pixels=8)
