"""Opacity tables against the direct sum over lines."""

import numpy as np
import pytest
from scipy.special import expn

from maury.errors import SynthesisError
from maury.synthesis import opacity
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.elements import abundances
from maury.synthesis.linelist import standard_lines
from maury.synthesis.opacity import OpacityTable
from maury.synthesis.synthesize import surface_flux

SPAN = (5164.0, 5186.0)
MH, VMIC = -0.25, 1.3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def table(folder) -> OpacityTable:
    return OpacityTable.cached(mh=MH, vmic=VMIC, span=SPAN, folder=folder)


@pytest.mark.parametrize(
    ("teff", "logg"), [(4100, 4.8), (5100, 3.6), (5777, 4.44), (6700, 4.1), (7900, 5.0)]
)
def test_spectrum_is_that_of_the_direct_sum(table, teff, logg):
    star = model_atmosphere(teff, logg, MH)
    flux, continuum = table.flux(star)
    exact, level = surface_flux(table.wavelength, star, abundances(MH), standard_lines(), VMIC)
    difference = flux / continuum - exact / level
    assert np.sqrt(np.mean(difference**2)) < 0.001
    assert np.abs(difference).max() < 0.02
    np.testing.assert_allclose(continuum, level, rtol=2e-3)


def test_three_exponentials_are_the_exponential_integrals():
    x = np.linspace(0.0, 12.0, 500)
    decay = np.exp(-x[:, None] * np.array(opacity.RATES))
    np.testing.assert_allclose(decay @ np.array(opacity.WEIGHTS), expn(4, x), atol=2e-4)
    slope = np.array(opacity.WEIGHTS) * np.array(opacity.RATES)
    np.testing.assert_allclose(decay @ slope, expn(3, x), atol=2e-4)


def test_an_isothermal_atmosphere_shines_as_a_black_body(table):
    star = model_atmosphere(6000, 4.0, MH)
    flat = opacity.replace(star, temperature=np.full_like(star.temperature, 6000.0))
    flux, continuum = table.flux(flat)
    planck = np.pi * opacity._planck(table.wavelength, np.array([6000.0]))[:, 0]
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
