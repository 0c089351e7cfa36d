"""Opacity tables against the direct sum over lines."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.special import expn

from maury.errors import SynthesisError
from maury.synthesis import opacity, opacity_transfer
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.benchmark import bench_synthesis
from maury.synthesis.elements import abundances
from maury.synthesis.linelist import standard_lines
from maury.synthesis.opacity import OpacityTable
from maury.synthesis.opacity_grid import OpacityGrid
from maury.synthesis.opacity_nodes import (
    METALLICITY,
    coefficient_table,
    metallicities,
    nearest_node,
    node_states,
    node_table,
    spline_matrix,
    spline_stencil,
)
from maury.synthesis.opacity_transfer import turbulence_kernels
from maury.synthesis.synthesize import surface_flux

SPAN = (5164.0, 5186.0)
MH, VMIC = -0.25, 1.3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def table(folder) -> OpacityTable:
    return OpacityTable.cached(mh=MH, vmic=VMIC, span=SPAN, folder=folder)


@pytest.fixture(scope="module")
def grid(folder) -> OpacityGrid:
    return OpacityGrid(span=SPAN, folder=folder)


@pytest.mark.parametrize(
    ("teff", "logg"), [(4100, 4.8), (5100, 3.6), (5777, 4.44), (6700, 4.1), (7900, 5.0)]
)
def test_spectrum_is_that_of_the_direct_sum(table, teff, logg):
    star = model_atmosphere(teff, logg, MH)
    flux, continuum = table.flux(star)
    exact, level = surface_flux(table.wavelength, star, abundances(MH), standard_lines(), VMIC)
    difference = flux / continuum - exact / level
    assert np.sqrt(np.mean(difference**2)) < 0.0008
    assert np.abs(difference).max() < 0.005
    np.testing.assert_allclose(continuum, level, rtol=2e-3)


@pytest.mark.parametrize(
    ("teff", "logg", "mh", "vmic"),
    [(3300, 4.9, -0.2, 0.6), (5777, 4.44, 0.06, 1.0), (9900, 3.6, 0.1, 2.9)],
)
def test_metallicity_and_turbulence_are_interpolated_as_the_direct_sum_has_them(
    grid, teff, logg, mh, vmic
):
    star = model_atmosphere(teff, logg, mh)
    flux, continuum = grid.flux(teff, logg, mh, vmic)
    exact, level = surface_flux(grid.wavelength, star, abundances(mh), standard_lines(), vmic)
    difference = flux / continuum - exact / level
    assert np.sqrt(np.mean(difference**2)) < 0.001
    assert np.abs(difference).max() < 0.01
    np.testing.assert_allclose(continuum, level, rtol=2e-3)


def test_a_cool_star_with_titanium_oxide_is_that_of_the_direct_sum(tmp_path):
    """Cubics through four temperatures and parabolas in log P err by an rms of 0.0015 here."""
    star = model_atmosphere(4037, 3.74, 0.5)
    grid = OpacityGrid(span=(6159.0, 6162.0), folder=tmp_path)
    flux, continuum = grid.flux(4037, 3.74, 0.5, 1.65)
    exact, level = surface_flux(grid.wavelength, star, abundances(0.5), standard_lines(), 1.65)
    difference = flux / continuum - exact / level
    assert np.sqrt(np.mean(difference**2)) < 0.0005
    assert np.abs(difference).max() < 0.002


def test_a_convolved_table_is_the_table_of_that_turbulence(folder, table):
    star = model_atmosphere(5200, 4.5, MH)
    low = OpacityTable.cached(mh=MH, vmic=0.5, span=SPAN, folder=folder)
    flux, continuum = table.flux(star)
    difference = (low.flux(star, VMIC)[0] - flux) / continuum
    assert np.sqrt(np.mean(difference**2)) < 1e-4
    assert np.abs(difference).max() < 1e-3
    with pytest.raises(SynthesisError, match=r"vmic = 1 km/s .* must be 1.3 to 5 km/s"):
        table.flux(star, 1.0)


@pytest.mark.parametrize("variance", [0.05, 0.4, 1.3, 20.0])
def test_the_kernel_of_turbulence_keeps_area_and_variance(variance):
    half = turbulence_kernels(np.array([variance]))[0]
    assert (half >= 0).all()
    place = np.arange(half.size)
    np.testing.assert_allclose(half[0] + 2 * half[1:].sum(), 1.0)
    np.testing.assert_allclose(2 * (half * place**2).sum(), variance, rtol=1e-3)
    if variance > 1:
        impulse = np.zeros(101)
        impulse[50] = 1
        smooth = gaussian_filter1d(impulse, np.sqrt(variance), truncate=6)
        np.testing.assert_allclose(half, smooth[50 : 50 + half.size], atol=1e-6)


@pytest.mark.parametrize("mh", [0.0, 0.05, -0.31, 0.5, -1.5])
def test_interpolation_is_exact_for_cubics_and_quadratic_in_metallicity(mh):
    temperature, log_pressure = node_states()
    star = model_atmosphere(5777, 4.44, 0.0)

    def polynomial(t, p, m):
        t = np.log(t / 5000)
        value = 1 + 2 * t - p + 3 * t * t - 0.2 * p * p + 4 * t * p + t**3 - 0.1 * p**3 + t * p * p
        return value + 0.7 * m - 0.3 * m * m + m * t - 0.6 * m * p

    matrix = spline_matrix()[coefficient_table().ravel() >= 0]
    rows, weights = spline_stencil(star)
    value = sum(
        share * (weights * (matrix @ polynomial(temperature, log_pressure, m))[rows]).sum(axis=1)
        for m, share in zip(*metallicities(mh), strict=True)
    )
    exact = polynomial(star.temperature, np.log10(star.pressure), mh)
    np.testing.assert_allclose(value, exact, atol=1e-3)


def test_a_gas_whose_molecules_form_within_a_step_is_followed():
    """Where both regimes of a molecule meet, cubics and parabolas through nodes err by 0.03."""
    temperature, log_pressure = node_states()

    def formed(t, p):
        return -np.logaddexp(0.0, 1.5 * np.log(10) * (p - 4.5) + 45_000 * (1 / t - 1 / 3300))

    star = model_atmosphere(3750, 4.0, 0.0)
    matrix = spline_matrix()[coefficient_table().ravel() >= 0]
    rows, weights = spline_stencil(star)
    value = (weights * (matrix @ formed(temperature, log_pressure))[rows]).sum(axis=1)
    exact = formed(star.temperature, np.log10(star.pressure))
    np.testing.assert_allclose(value[:68], exact[:68], atol=0.01)


def test_every_atmosphere_of_the_grid_is_covered_and_a_giant_is_not():
    assert node_table().max() + 1 == node_states()[0].size
    for teff in (3000, 3650, 5000, 8120, 11500):
        for logg in (3.5, 4.3, 5.0):
            for mh in METALLICITY[[0, 5, 8]]:
                rows, weights = spline_stencil(model_atmosphere(teff, logg, mh))
                assert rows.min() >= 0
                np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
    giant = model_atmosphere(5000, 3.5, 0.0)
    giant = replace(giant, pressure=giant.pressure / 1e4)
    with pytest.raises(SynthesisError, match="is not covered by the opacity tables"):
        spline_stencil(giant)


def test_the_nearest_node_of_a_node_is_itself():
    for number, (temperature, log_pressure) in enumerate(zip(*node_states(), strict=True)):
        assert nearest_node(1.01 * temperature, log_pressure - 0.1) == number


def test_powers_of_an_exponential_are_the_exponential_integrals():
    x = np.linspace(0.0, 12.0, 500)
    powers = np.array([1, 2, 8])
    decay = np.exp(-opacity_transfer.RATE * x[:, None] * powers)
    weights = np.array(opacity_transfer.WEIGHTS)
    np.testing.assert_allclose(decay @ weights, expn(4, x), atol=1.2e-4)
    slope = weights * powers * opacity_transfer.RATE
    np.testing.assert_allclose(decay @ slope, expn(3, x), atol=2.3e-4)


def test_an_isothermal_atmosphere_shines_as_a_black_body(table):
    star = model_atmosphere(6000, 4.0, MH)
    flat = replace(star, temperature=np.full_like(star.temperature, 6000.0))
    flux, continuum = table.flux(flat)
    planck = np.pi * opacity_transfer.planck(table.wavelength, np.array([6000.0]))[:, 0]
    np.testing.assert_allclose(flux, planck, rtol=1e-4)
    np.testing.assert_allclose(continuum, planck, rtol=1e-3)


def test_threads_do_not_change_the_result(table):
    star = model_atmosphere(5000, 4.5, MH)
    one, three = table.flux(star)[0], table.flux(star, workers=3)[0]
    np.testing.assert_array_equal(one, three)


def test_a_table_is_made_once_and_named_by_what_it_depends_on(table, folder, monkeypatch):
    before = {path.name for path in folder.iterdir()}

    def refuse(*args):
        raise AssertionError("computed again")

    monkeypatch.setattr(opacity, "_compute", refuse)
    OpacityTable.cached(mh=MH, vmic=VMIC, span=SPAN, folder=folder)
    assert {path.name for path in folder.iterdir()} == before
    for change in ({"vmic": 1.4}, {"mh": 0.0}, {"alpha": 0.1}, {"span": (5164.0, 5187.0)}):
        with pytest.raises(AssertionError, match="computed again"):
            OpacityTable.cached(**{"mh": MH, "vmic": VMIC, "span": SPAN, "folder": folder} | change)
    stronger = standard_lines().with_log_gf(standard_lines().log_gf + 0.01)
    with pytest.raises(AssertionError, match="computed again"):
        OpacityTable.cached(mh=MH, vmic=VMIC, span=SPAN, folder=folder, lines=stronger)


def test_a_killed_computation_leaves_no_table(tmp_path, monkeypatch):
    def die(path, *args):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(opacity, "_compute", die)
    with pytest.raises(KeyboardInterrupt):
        OpacityTable.cached(span=SPAN, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_sentences(tmp_path):
    with pytest.raises(SynthesisError, match="from 3000 to 5000 A cannot be made"):
        OpacityTable.cached(span=(3000.0, 5000.0), folder=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SynthesisError, match="cannot be written"):
        OpacityTable.cached(span=SPAN, folder=tmp_path / "file")


def test_the_benchmark_measures_tables_beside_the_direct_sum(folder):
    record = bench_synthesis(span=SPAN, folder=folder, repeats=1).to_dict()
    assert record["ratio"] > 5
    assert record["unit"] == "spectra/s/core"
    assert "2,201 pixels" in record["conditions"]
    assert set(record["breakdown_ms"]) == {"table", "spectrum", "spectrum between tables"}
