"""What preprocessing must leave unchanged, and what it must remove."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maury.errors import GridError
from maury.grid import HARPS_SMALL, WavelengthGrid
from maury.models.preprocessing import Preprocessing

GRID = WavelengthGrid(start=5000.0, step=0.06, size=2**13, gaps=((5200.0, 5230.0),))


def spectrum(depth=0.5, seed=0):
    """Lines of random places and depths in a continuum of one."""
    rng = np.random.default_rng(seed)
    flux = np.ones(GRID.size)
    for center in rng.uniform(GRID.start, GRID.stop, 200):
        flux -= depth * rng.uniform() * np.exp(-0.5 * ((GRID.wavelength - center) / 0.08) ** 2)
    return torch.from_numpy(flux).float()[None]


def valid():
    return torch.from_numpy(GRID.valid.copy())[None]


def test_median_normalisation_is_equation_2():
    flux = spectrum() * 7
    prepared = Preprocessing(GRID)(flux, valid())
    median = np.median(flux[0].numpy()[GRID.valid])
    expected = np.where(GRID.valid, flux[0].numpy() / median, 0.0)
    # PyTorch takes the lower of the two middle values.
    np.testing.assert_allclose(prepared[0], expected, rtol=1e-4)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.floats(1e-3, 1e6), st.sampled_from([None, 50.0]))
def test_the_unit_of_the_flux_does_not_matter(factor, continuum):
    prepare = Preprocessing(GRID, continuum=continuum)
    torch.testing.assert_close(
        prepare(spectrum() * factor, valid()), prepare(spectrum(), valid()), rtol=1e-4, atol=1e-5
    )


def test_values_without_signal_do_not_matter():
    prepare = Preprocessing(GRID, continuum=50.0, ignore=((5300.0, 5301.0),))
    mask = valid()
    mask[0, 2000:2300] = False
    one, other = spectrum(), spectrum()
    other[0, 2000:2300] = torch.nan
    other[0, ~torch.from_numpy(GRID.valid.copy())] = 1e9
    result = prepare(one, mask)
    torch.testing.assert_close(prepare(other, mask), result)
    ignored = (GRID.wavelength >= 5300) & (GRID.wavelength <= 5301)
    silent = ~mask[0].numpy() | ~GRID.valid | ignored
    assert (result[0, silent] == 0).all() and torch.isfinite(result).all()


def test_pixels_that_are_not_finite_have_no_signal():
    flux = spectrum()
    flux[0, 100] = torch.inf
    flux[0, 200] = torch.nan
    prepared = Preprocessing(GRID, continuum=50.0)(flux, valid())
    assert prepared[0, 100] == prepared[0, 200] == 0
    assert torch.isfinite(prepared).all()


def test_smooth_continua_cancel():
    prepare = Preprocessing(GRID, continuum=40.0)
    position = torch.linspace(-1, 1, GRID.size)
    shape = torch.exp(0.15 * position + 0.1 * position**2 + 0.02 * torch.sin(5 * position))
    difference = prepare(spectrum() * shape, valid()) - prepare(spectrum(), valid())
    assert difference.abs().max() < 0.03
    assert difference.abs().mean() < 0.01


def test_noise_moves_the_continuum_little():
    prepare = Preprocessing(GRID, continuum=50.0)
    noise = 0.02 * torch.randn(GRID.size, generator=torch.Generator().manual_seed(1))
    clean = prepare.pseudo_continuum(spectrum() * valid(), valid())
    noisy = prepare.pseudo_continuum((spectrum() + noise) * valid(), valid())
    # The upper decile of bins of four pixels lies 1.28 x 0.02 / 2 above their mean.
    assert 0 < (noisy - clean).mean() < 0.0128
    assert (noisy - clean).abs().max() < 0.02


def test_missing_pieces_move_the_continuum_little():
    prepare = Preprocessing(GRID, continuum=50.0)
    mask = valid()
    mask[0, 1000:1400] = False
    mask[0, :150] = False
    clean = prepare.pseudo_continuum(spectrum() * valid(), valid())
    gappy = prepare.pseudo_continuum(spectrum() * mask, mask)
    assert (gappy - clean)[mask].abs().max() < 0.02


def test_a_spectrum_without_signal_comes_out_as_zeros():
    for continuum in (None, 50.0):
        prepare = Preprocessing(GRID, continuum=continuum)
        nothing = torch.zeros(1, GRID.size, dtype=torch.bool)
        for flux, mask in ((spectrum(), nothing), (torch.zeros(1, GRID.size), valid())):
            assert (prepare(flux, mask) == 0).all()


def test_each_spectrum_of_a_batch_is_on_its_own():
    prepare = Preprocessing(GRID, continuum=50.0, clip=(0.0, 1.3))
    two = torch.cat((spectrum(seed=1), 9 * spectrum(seed=2)))
    both = prepare(two, valid().expand(2, -1))
    for row in range(2):
        torch.testing.assert_close(both[row : row + 1], prepare(two[row : row + 1], valid()))


def test_hyperparameters_rebuild_it():
    prepare = Preprocessing(HARPS_SMALL, continuum=50.0, clip=(0.0, 1.3), ignore=((5889, 5891),))
    again = Preprocessing(HARPS_SMALL, **prepare.hyperparameters)
    flux = torch.rand(1, HARPS_SMALL.size)
    mask = torch.ones(1, HARPS_SMALL.size, dtype=torch.bool)
    torch.testing.assert_close(again(flux, mask), prepare(flux, mask))
    assert again.hyperparameters == prepare.hyperparameters


@pytest.mark.parametrize("settings", [{"continuum": 0.3}, {"continuum": 5e4}, {"bin": 3}])
def test_windows_that_do_not_fit_are_refused(settings):
    with pytest.raises(GridError):
        Preprocessing(GRID, **({"continuum": 50.0} | settings))
