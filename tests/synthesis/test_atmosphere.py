"""The grid of model atmospheres: exact at its nodes, sensible between, refused outside."""

import numpy as np
import pytest
from astropy import constants
from hypothesis import given, settings
from hypothesis import strategies as st

from maury.data import load_table
from maury.errors import SynthesisError
from maury.synthesis.atmosphere import model_atmosphere


@pytest.mark.parametrize("index", [(0, 0, 0), (3, 9, 2), (4, 37, 3), (1, 17, 1)])
def test_nodes_are_the_models_themselves(index: tuple[int, int, int]) -> None:
    table = load_table("atmospheres")
    m, t, g = index
    model = model_atmosphere(table["teff"][t], table["logg"][g], table["mh"][m])
    columns = (model.rhox, model.temperature, model.pressure, model.electron_density)
    np.testing.assert_allclose(np.stack(columns, axis=1), table["layers"][index], rtol=1e-6)


def test_halfway_is_the_geometric_mean_of_two_nodes() -> None:
    low, high, between = (model_atmosphere(teff, 4.5, -0.5) for teff in (5500, 5750, 5625))
    np.testing.assert_allclose(between.pressure, np.sqrt(low.pressure * high.pressure))


@settings(deadline=None, max_examples=40, derandomize=True)
@given(st.floats(3000, 11500), st.floats(3.5, 5.0), st.floats(-1.5, 0.5))
def test_every_model_is_a_hydrostatic_atmosphere(teff: float, logg: float, mh: float) -> None:
    """Gas pressure holds the column up: P = g m, less the pressure of light and turbulence."""
    model = model_atmosphere(teff, logg, mh)
    assert np.all(np.diff(model.rhox) > 0)
    assert np.all(np.diff(model.pressure) > 0)
    ratio = model.pressure / (10**logg * model.rhox)
    assert np.all((ratio > 0.3) & (ratio < 1.02))
    if teff < 7000:
        assert np.all(ratio > 0.9)
    assert np.all(model.electron_density * constants.k_B.cgs.value * model.temperature
                  < model.pressure)  # fmt: skip


def test_pressure_where_the_sun_is_as_hot_as_its_light() -> None:
    """Near Rosseland optical depth 2/3, at a known pressure (e.g. Gray 2005, Table D.5)."""
    sun = model_atmosphere(5777, 4.44, 0.0)
    pressure = np.interp(5777.0, sun.temperature, sun.pressure)
    assert 7e4 < pressure < 1.2e5


@pytest.mark.parametrize("teff", [3000, 3250, 3500, 3625, 3750, 4000, 5777, 9000])
@pytest.mark.parametrize("mh", [-1.5, 0.0, 0.5])
def test_every_layer_has_its_optical_depth(teff: float, mh: float) -> None:
    """T is Teff near tau = 2/3 in an atmosphere that is not too far from grey (Eddington)."""
    depth = -6.875 + 0.125 * np.arange(72)
    model = model_atmosphere(teff, 4.5, mh)
    assert np.interp(np.log10(2 / 3), depth, model.temperature) == pytest.approx(teff, rel=0.09)
    assert model.temperature[0] < 0.8 * teff


def test_marcs_passes_into_atlas9_without_a_jump() -> None:
    """The two differ by up to 7%; models 5 K apart, by no more than deep layers always do."""
    teff = np.arange(3400.0, 4105.0, 5.0)
    logs = np.log([model_atmosphere(t, 4.5, 0.0).temperature for t in teff])
    assert np.abs(np.diff(logs, axis=0)).max() < 0.007


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((2999, 4.5, 0.0), r"Teff = 2999 K is outside the .* grid; allowed is 3000 to 11500 K\.$"),
        ((12000, 4.5, 0.0), "Teff = 12000 K"),
        ((5777, 2.0, 0.0), r"log g = 2 is outside the atmosphere grid; allowed is 3.5 to 5\.$"),
        ((5777, 4.5, 0.6), r"\[M/H\] = 0.6 dex is outside .* allowed is -1.5 to 0.5 dex\."),
        ((float("nan"), 4.5, 0.0), "Teff = nan"),
        ((5777, float("nan"), 0.0), "log g = nan"),
        ((5777, 4.5, float("nan")), r"\[M/H\] = nan"),
    ],
)
def test_outside_the_grid_is_one_sentence(parameters, message: str) -> None:
    with pytest.raises(SynthesisError, match=message) as caught:
        model_atmosphere(*parameters)
    assert "\n" not in str(caught.value)
