"""What the disturbances of simulated spectra do, measured on their results."""

import numpy as np
import pytest
import torch
from scipy import stats

from maury.datasets.nuisances import ContinuumShape, Damage, LineStrengthErrors, ModelErrors
from maury.grid import WavelengthGrid

GRID = WavelengthGrid(start=5000.0, step=0.06, size=2**14)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def exponents(errors, pixels=20_000, batch=16):
    """ln g of a disturbance, from what it makes of a constant flux."""
    flux = torch.full((batch, pixels), 0.5)
    disturbed = errors.apply(flux, 1.0, generator())
    return torch.log(torch.log(disturbed) / torch.log(flux)).numpy()


def test_no_error_changes_nothing():
    flux = torch.rand(3, 1000, generator=generator()) * 0.9 + 0.1
    disturbed = LineStrengthErrors(overall=0.0).apply(flux, 1.0, generator())
    torch.testing.assert_close(disturbed, flux)


def test_continuum_is_untouched():
    errors = LineStrengthErrors(fields=({"sigma": 0.5, "correlation": 20},), deletions=5)
    assert (errors.apply(torch.ones(2, 5000), 1.0, generator()) == 1).all()


def test_overall_error_is_one_number_for_each_spectrum():
    values = exponents(LineStrengthErrors(overall=0.1), batch=400)
    assert np.ptp(values, axis=1).max() < 1e-4
    assert values[:, 0].std() == pytest.approx(0.1, rel=0.15)


def test_fields_are_heavy_tailed_at_their_knots():
    errors = LineStrengthErrors(overall=0, fields=({"sigma": 0.1, "correlation": 25},), limit=30.0)
    # 20,000 pixels of 1 km/s make 801 knots from end to end.
    position = np.linspace(0, 19_999, 801)
    values = exponents(errors)
    exact = np.isclose(position, position.round())
    knots = values[:, position.round().astype(int)][:, exact]
    assert stats.kstest(knots.ravel() / 0.1, stats.t(2).cdf).pvalue > 0.01


def test_neighbours_agree_within_the_correlation_length():
    errors = LineStrengthErrors(overall=0, fields=({"sigma": 0.2, "correlation": 40},))
    values = exponents(errors)
    near = np.corrcoef(values[:, :-5].ravel(), values[:, 5:].ravel())[0, 1]
    far = np.corrcoef(values[:, :-120].ravel(), values[:, 120:].ravel())[0, 1]
    assert near > 0.8 and abs(far) < 0.1


def test_limit_holds():
    errors = LineStrengthErrors(fields=({"sigma": 1.0, "correlation": 20},), limit=0.7)
    assert np.abs(exponents(errors)).max() < 0.7001


def test_deletions_take_lines_away_at_the_given_rate():
    errors = LineStrengthErrors(overall=0, deletions=2.0, deletion_width=20)
    strength = np.exp(exponents(errors, pixels=50_000))
    position = np.linspace(0, 49_999, round(50_000 / 20) + 1).round().astype(int)
    deleted = (strength[:, position] < 0.35).sum() / strength.shape[0]
    assert deleted == pytest.approx(2.0 * 50, rel=0.15)


def test_continuum_has_slope_and_ripple():
    shape = ContinuumShape(slope=0.4, ripple=0.0)
    continua = shape.sample(2000, GRID, generator()).log()
    assert (continua[:, -1] - continua[:, 0]).std().item() == pytest.approx(0.4, rel=0.05)
    rippled = ContinuumShape(slope=0.0, ripple=0.05, ripple_length=50).sample(
        500, GRID, generator()
    )
    assert rippled.log()[:, 0].std().item() == pytest.approx(0.05, rel=0.1)


def test_damage_only_removes_pixels_and_brightens_few():
    damage = Damage(chunks=3, crop=0.5, cosmics=5)
    flux = torch.ones(64, GRID.size)
    valid = torch.rand(64, GRID.size, generator=generator()) > 0.1
    hit, left = damage.apply(flux, valid, GRID, generator())
    assert not (left & ~valid).any()
    assert (hit >= flux).all() and ((hit > flux).sum(dim=1) <= 5).all()
    assert (hit > flux).any() and (left.sum(dim=1) < valid.sum(dim=1)).any()


def test_no_damage_changes_nothing():
    damage = Damage(chunks=0, crop=0.0, cosmics=0)
    flux, valid = torch.ones(4, GRID.size), torch.ones(4, GRID.size, dtype=torch.bool)
    hit, left = damage.apply(flux, valid, GRID, generator())
    assert torch.equal(hit, flux) and torch.equal(left, valid)


def test_model_errors_follow_the_residuals_of_the_sun():
    error = torch.full((30_000,), 0.01)
    error[10_000:20_000] = 0.03
    error[20_000:] = torch.inf
    flux = torch.full((16, error.numel()), 0.8)
    errors = ModelErrors(factor=2.0, correlation=20, unknown=0.005, limit=1.0)
    change = (errors.apply(flux, error, 1.0, generator()) / flux).log().numpy()
    scatter = [stats.iqr(change[:, first : first + 10_000 : 20]) for first in (0, 10_000, 20_000)]
    np.testing.assert_allclose(np.divide(scatter[1:], scatter[0]), [3.0, 0.5], rtol=0.1)
    assert np.abs(change).max() <= 1.0001


def test_model_errors_can_be_left_out():
    flux = torch.rand(2, 100)
    assert ModelErrors().apply(flux, torch.zeros(100), 1.0, generator()) is flux


def test_orders_have_the_length_of_an_order_and_jump_where_they_meet():
    shape = ContinuumShape(slope=0, ripple=0, orders=0.1)
    continua = shape.sample(300, GRID, generator()).log()
    # Offset, tilt and curvature at a random place: variances 1, 1/3 and 1/5; the factor's is 1/3.
    expected = 0.1 * np.sqrt((1 + 1 / 3 + 1 / 5) / 3)
    assert continua.std().item() == pytest.approx(expected, rel=0.1)
    steps = (continua[:, 32:] - continua[:, :-32]).abs()
    jumps = (steps > 5 * steps.median(dim=1, keepdim=True).values).float().mean().item()
    # A jump every 41 to 59 A is seen within the 2 A of the difference and the 1 A of the knots.
    assert 0.01 < jumps < 0.08
