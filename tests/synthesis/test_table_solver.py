"""Spectra from opacity tables, asked for as any other."""

from pathlib import Path

import numpy as np
import pytest
from astropy.config import set_temp_cache

from maury.errors import SynthesisError
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.linelist import standard_lines
from maury.synthesis.synthesize import COVERAGE, synthesize
from maury.synthesis.table_solver import tables_for, tables_needed

WINDOW = np.arange(5182.0, 5186.0, 0.013)
STARS = (
    {"teff": 5777, "logg": 4.44, "vmic": 1.0},
    {"teff": 4800, "logg": 4.6, "vmic": 1.4, "vsini": 4, "resolving_power": 115_000},
    {"teff": 6500, "logg": 4.0, "vmic": 2.1, "vmac": 5, "medium": "vacuum", "normalized": True},
)


@pytest.fixture(scope="module")
def few_lines():
    """A short list, and a window of its own in a cache of its own, to be quick."""
    return standard_lines(titanium_oxide=False).between(5178.0, 5190.0)


@pytest.fixture(autouse=True, scope="module")
def short_tables(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch, set_temp_cache(folder):
        patch.setattr("maury.synthesis.table_solver.ROUND", 2.0)
        yield


@pytest.mark.parametrize("star", STARS)
def test_a_table_gives_what_the_direct_sum_gives(star: dict, few_lines) -> None:
    spectra = {
        solver: synthesize(**star, wavelength=WINDOW, lines=few_lines, solver=solver)
        for solver in ("direct", "table")
    }
    level = spectra["direct"].flux.max()
    difference = (spectra["table"].flux - spectra["direct"].flux) / level
    assert np.sqrt(np.mean(difference**2)) < 0.0015
    assert np.abs(difference).max() < 0.006
    assert spectra["table"].medium == star.get("medium", "air")
    np.testing.assert_array_equal(spectra["table"].wavelength, WINDOW)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "fast"}, "The solver must be 'direct' or 'table', not 'fast'"),
        ({"vmic": 0.2}, "vmic = 0.2 km/s is not allowed with opacity tables; it must be 0.5 to 5"),
        ({"atmosphere": model_atmosphere(5777, 4.44, 0.0)}, "needs the direct solver"),
    ],
)
def test_what_tables_cannot_do_is_refused(options: dict, message: str, few_lines) -> None:
    request = {"teff": 5777, "logg": 4.44, "solver": "table", "lines": few_lines, **options}
    with pytest.raises(SynthesisError, match=message):
        synthesize(**request, wavelength=WINDOW)


def test_all_spectra_of_a_whole_range_share_their_tables(few_lines) -> None:
    harps = np.linspace(*COVERAGE, 100)
    assert tables_for(harps, few_lines).span == COVERAGE
    assert tables_for(harps, few_lines) is tables_for(harps[20:80], few_lines)
    assert tables_for(WINDOW, few_lines).span == (5180.0, 5188.0)
    assert tables_for(np.array([3770.0, 3772.0]), few_lines).span == (3770.0, 3774.0)
    assert tables_for(WINDOW, few_lines) is not tables_for(WINDOW, few_lines, alpha=0.2)


def test_tables_needed() -> None:
    assert tables_needed([0.0]) == [0.0]
    assert tables_needed([0.05, 0.3, -1.5]) == [-1.5, -0.25, 0.0, 0.25, 0.5]
