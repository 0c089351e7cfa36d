"""Abundances and isotopes against published sums."""

import numpy as np
import pytest

from maury.synthesis.elements import (
    ALPHA_ELEMENTS,
    ISOTOPES,
    MASSES,
    SOLAR_ABUNDANCES,
    SYMBOLS,
    abundances,
)


def test_mass_fractions_of_the_sun() -> None:
    """X = 0.7381, Y = 0.2485, Z = 0.0134 (Asplund et al. 2009, Table 4; helium is rounded here)."""
    mass = {element: number * MASSES[element] for element, number in abundances().items()}
    total = sum(mass.values())
    assert mass["H"] / total == pytest.approx(0.7381, abs=1e-3)
    assert mass["He"] / total == pytest.approx(0.2485, abs=1e-3)
    metals = total - mass["H"] - mass["He"]
    assert metals / total == pytest.approx(0.0134, abs=1e-4)


def test_elements_in_order_of_their_number() -> None:
    numbers = {"H": 1, "C": 6, "Na": 11, "Fe": 26, "Ba": 56, "Eu": 63, "Pb": 82, "U": 92}
    assert len(SYMBOLS) == len(set(SYMBOLS)) == 92
    assert {symbol: SYMBOLS.index(symbol) + 1 for symbol in numbers} == numbers
    assert [MASSES[s] for s in ("C", "Fe", "Ba", "U")] == [12.011, 55.845, 137.33, 238.03]


def test_unstable_elements_have_no_abundance() -> None:
    missing = set(SYMBOLS) - set(SOLAR_ABUNDANCES)
    assert missing == {"Tc", "Pm", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Pa"}


def test_metallicity_scales_metals_alone() -> None:
    sun, poor = abundances(), abundances(-1.0, alpha=0.4)
    assert poor["H"] == sun["H"] == 1.0
    assert poor["He"] == sun["He"]
    assert np.log10(poor["Fe"] / sun["Fe"]) == pytest.approx(-1.0)
    for element in ALPHA_ELEMENTS:
        assert np.log10(poor[element] / sun[element]) == pytest.approx(-0.6)


@pytest.mark.parametrize("element", ISOTOPES)
def test_isotopes_make_up_the_element(element: str) -> None:
    fractions = ISOTOPES[element]
    assert sum(fractions.values()) == pytest.approx(1.0, abs=0.003)
    mean = sum(mass * part for mass, part in fractions.items()) / sum(fractions.values())
    assert mean == pytest.approx(MASSES[element], rel=0.009)
