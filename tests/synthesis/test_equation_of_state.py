"""Ionisation and dissociation against hand-solved equilibria and conservation laws."""

import numpy as np
import pytest
from astropy import constants

from maury.errors import SynthesisError
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.elements import MASSES, SYMBOLS, abundances, constituents
from maury.synthesis.equation_of_state import Gas, solve

CHARGE = {"I": 0, "II": 1, "III": 2}
DIATOMIC = (
    "H2 CO CH CN C2 OH NH N2 MgH SiH AlH CaH FeH TiO VO ZrO SiO NO O2".split()
)  # fmt: skip
#: Dissociation energies in eV: Barklem & Collet 2016, Table 1; C2: Visser et al. 2019; CaH: Huber
#: & Herzberg 1979.
DISSOCIATION = {
    "H2": 4.478, "CO": 11.117, "CN": 7.72, "CH": 3.47, "OH": 4.41, "C2": 6.24, "TiO": 6.87,
    "FeH": 1.50, "CaH": 1.70,
}  # fmt: skip


def atoms_of(species: str) -> tuple[str, ...]:
    if " " in species or species == "H-":
        return (species.replace("-", "").split()[0],)
    return tuple(atom for atom, count in constituents(species).items() for _ in range(count))


@pytest.fixture(scope="module", params=[(5777, 4.44, 0.0), (3000, 5.0, 0.5), (11500, 3.5, -1.5)])
def case(request) -> tuple[Gas, np.ndarray, dict[str, float]]:
    """A gas solved in a solar, a cool metal-rich and a hot metal-poor atmosphere."""
    atmosphere, abundance = model_atmosphere(*request.param), abundances(request.param[2])
    gas = solve(atmosphere.temperature, atmosphere.pressure, abundance)
    return gas, atmosphere.pressure, abundance


def test_pressure_is_that_of_all_particles(case) -> None:
    gas, pressure, _ = case
    particles = gas.electrons + sum(gas.number.values())
    thermal = particles * constants.k_B.cgs.value * gas.temperature
    np.testing.assert_allclose(thermal, pressure, rtol=1e-5)


def test_charges_balance(case) -> None:
    gas = case[0]
    atoms = (name for name in gas.number if " " in name)
    charge = sum(CHARGE[name.split()[1]] * gas.number[name] for name in atoms)
    np.testing.assert_allclose(charge, gas.electrons + gas.number["H-"], rtol=1e-5)


def test_nuclei_are_neither_made_nor_lost(case) -> None:
    gas, _, abundance = case
    nuclei = dict.fromkeys(SYMBOLS, 0.0)
    for name, number in gas.number.items():
        for atom in atoms_of(name):
            nuclei[atom] = nuclei[atom] + number
    for element, expected in abundance.items():
        np.testing.assert_allclose(nuclei[element] / nuclei["H"], expected, rtol=2e-5)


def test_density_is_the_mass_of_all_nuclei(case) -> None:
    gas = case[0]
    mass = sum(n * sum(MASSES[a] for a in atoms_of(name)) for name, n in gas.number.items())
    np.testing.assert_allclose(mass * constants.u.to_value("g"), gas.density, rtol=1e-5)


def test_mass_action_depends_on_temperature_alone(case) -> None:
    """n(A) n(B) / n(AB) is one function of temperature, whatever the pressure and composition."""
    gas, pressure, _ = case
    other = solve(gas.temperature, pressure / 7, abundances(-0.7, alpha=0.3))
    for molecule in DIATOMIC:
        a, b = atoms_of(molecule)
        ours, theirs = (
            g.number[f"{a} I"] * g.number[f"{b} I"] / g.number[molecule] for g in (gas, other)
        )
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, err_msg=molecule)


@pytest.mark.parametrize(("molecule", "energy"), DISSOCIATION.items())
def test_mass_action_is_that_of_statistical_mechanics(molecule: str, energy: float) -> None:
    """The analogue of Saha's equation (e.g. Tatum 1966), from partition functions and energy."""
    temperature = np.array([2500.0, 3300.0, 4000.0, 4500.0, 5000.0, 6000.0])
    gas = solve(temperature, np.full(6, 3e4), abundances())
    a, b = atoms_of(molecule)
    reduced = MASSES[a] * MASSES[b] / (MASSES[a] + MASSES[b]) * constants.u.to_value("g")
    k, h = constants.k_B.cgs.value, constants.h.cgs.value
    # A homonuclear molecule's partition function already holds its symmetry number.
    expected = (
        (2 * np.pi * reduced * k * temperature / h**2) ** 1.5
        * gas.partition[f"{a} I"] * gas.partition[f"{b} I"] / gas.partition[molecule]
        * np.exp(-energy / (constants.k_B.to_value("eV/K") * temperature))
    )  # fmt: skip
    ours = gas.number[f"{a} I"] * gas.number[f"{b} I"] / gas.number[molecule]
    np.testing.assert_allclose(ours, expected, rtol=0.08)


def test_pure_hydrogen_solves_sahas_quadratic() -> None:
    temperature = np.array([7000.0, 9000.0, 12000.0, 18000.0])
    pressure = np.array([1e2, 1e3, 1e4, 1e3])
    traces = dict.fromkeys(abundances(), 1e-25)
    gas = solve(temperature, pressure, traces | {"H": 1.0})
    k, m, h = (getattr(constants, name).cgs.value for name in ("k_B", "m_e", "h"))
    # Two states of the free electron, one of the proton, two of the atom's ground level.
    saha = (2 * np.pi * m * k * temperature / h**2) ** 1.5 * np.exp(
        -13.598434 / (constants.k_B.to_value("eV/K") * temperature)
    )  # fmt: skip
    total = pressure / (k * temperature)
    # x^2 / (1 - 2 x) = saha / total for the fraction x of electrons among all particles.
    ratio = saha / total
    fraction = -ratio + np.sqrt(ratio**2 + ratio)
    np.testing.assert_allclose(gas.electrons / total, fraction, rtol=0.01)


@pytest.mark.parametrize(
    ("element", "energy", "ground", "ion"),
    [("Na", 5.139, 2.0, 1.0), ("Mg", 7.646, 1.0, 2.0), ("Ca", 6.113, 1.0, 2.0)],
)
def test_simple_atoms_ionise_as_saha_says(element, energy, ground, ion) -> None:
    """At 4500 K these atoms and their ions are nearly all in the ground level."""
    temperature = np.array([4500.0])
    gas = solve(temperature, np.array([1e4]), abundances())
    k, m, h = (getattr(constants, name).cgs.value for name in ("k_B", "m_e", "h"))
    expected = (
        2 * ion / ground * (2 * np.pi * m * k * temperature / h**2) ** 1.5
        * np.exp(-energy / (constants.k_B.to_value("eV/K") * temperature))
    )  # fmt: skip
    ours = gas.number[f"{element} II"] / gas.number[f"{element} I"] * gas.electrons
    np.testing.assert_allclose(ours, expected, rtol=0.04)


def test_iron_has_its_known_partition_functions() -> None:
    """Gray 2005, Table D.2: log10 u at 5040 K is 1.42 for Fe I and 1.63 for Fe II."""
    gas = solve(np.array([5040.0]), np.array([1e5]), abundances())
    assert np.log10(gas.partition["Fe I"]) == pytest.approx(1.43, abs=0.02)
    assert np.log10(gas.partition["Fe II"]) == pytest.approx(1.63, abs=0.02)


@pytest.mark.parametrize(
    ("parameters", "tolerance"),
    [
        # ATLAS9 and, at the end, MARCS, whose Sun has 7% less of the metals that give electrons.
        ((5777, 4.44, 0.0), 0.04),
        ((8000, 4.0, 0.0), 0.04),
        ((4500, 4.5, -1.0), 0.04),
        ((3500, 4.5, 0.0), 0.11),
        ((3000, 5.0, 0.5), 0.11),
        ((3000, 4.0, -1.5), 0.11),
    ],
)
def test_electrons_agree_with_the_atmosphere_models(parameters, tolerance: float) -> None:
    """The models' authors solved their own equations of state."""
    model = model_atmosphere(*parameters)
    gas = solve(model.temperature, model.pressure, abundances(parameters[2]))
    assert np.median(np.abs(gas.electrons / model.electron_density - 1)) < tolerance


def test_it_converges_from_cold_to_hot_and_thin_to_dense() -> None:
    temperature, pressure = (
        a.ravel() for a in np.meshgrid(np.geomspace(1500, 30000, 25), 10.0 ** np.arange(-2, 9))
    )
    for mh, alpha in ((-1.5, 0.6), (-1.5, -0.2), (0.0, 0.0), (0.5, -0.2), (0.5, 0.6)):
        gas = solve(temperature, pressure, abundances(mh, alpha))
        particles = gas.electrons + sum(gas.number.values())
        np.testing.assert_allclose(
            particles * constants.k_B.cgs.value * temperature, pressure, rtol=1e-6
        )
        assert all(np.isfinite(n).all() and (n >= 0).all() for n in gas.number.values())


def test_cool_gas_is_molecular() -> None:
    """At 2000 K and 1e5 dyn cm-2 H2, CO, N2, H2O, TiO and SiO hold nearly all that they can."""
    number = solve(np.array([2000.0]), np.array([1e5]), abundances()).number
    nuclei = {"H": number["H I"] + 2 * number["H2"] + 2 * number["H2O"]}
    assert 2 * number["H2"] / nuclei["H"] > 0.99
    for molecule, element, share in (
        ("CO", "C", 0.99), ("N2", "N", 0.49), ("TiO", "Ti", 0.9), ("SiO", "Si", 0.9),
    ):  # fmt: skip
        assert number[molecule] / (nuclei["H"] * abundances()[element]) > share
    left = abundances()["O"] - abundances()["C"] - abundances()["Si"]
    assert number["H2O"] / (nuclei["H"] * left) == pytest.approx(1.0, abs=0.06)


def test_steam_agrees_with_janaf() -> None:
    """H2O = H2 + O/2: log10 Kf is 5.725 at 1500 K and 3.540 at 2000 K (JANAF, bar)."""
    temperature = np.array([1500.0, 2000.0])
    number = solve(temperature, np.full(2, 1e6), abundances()).number
    bar = constants.k_B.cgs.value * temperature / 1e6
    steam, hydrogen, oxygen = (number[m] * bar for m in ("H2O", "H2", "O2"))
    np.testing.assert_allclose(
        np.log10(steam / hydrogen / np.sqrt(oxygen)), [5.725, 3.540], atol=0.02
    )


def test_h_minus_is_what_electrons_attach_to() -> None:
    """4.158e-10 P_e theta^(5/2) 10^(0.754 theta) for each H I (Gray 2005, Chapter 8)."""
    temperature = np.array([3000.0, 6000.0])
    gas = solve(temperature, np.full(2, 1e4), abundances())
    theta = 5040 / temperature
    pressure = gas.electrons * constants.k_B.cgs.value * temperature
    ratio = gas.number["H-"] / gas.number["H I"] / pressure
    np.testing.assert_allclose(ratio, 4.158e-10 * theta**2.5 * 10 ** (0.754 * theta), rtol=0.01)


def test_a_first_guess_does_not_change_the_result() -> None:
    model = model_atmosphere(5000, 4.5, 0.0)
    arguments = (model.temperature, model.pressure, abundances())
    free, guessed = solve(*arguments), solve(*arguments, electrons=model.electron_density)
    np.testing.assert_allclose(free.electrons, guessed.electrons, rtol=1e-5)


def test_no_convergence_is_told_in_a_sentence() -> None:
    with pytest.raises(SynthesisError, match=r"did not converge at T = 5000 to 5000 K"):
        solve(np.array([5000.0]), np.array([1e5]), abundances(), tolerance=0.0)


def test_held_electrons_bring_their_pressure(case) -> None:
    """The electrons of a gas lead back to it, whatever the pressure that is guessed."""
    gas, pressure, abundance = case
    held = solve(
        gas.temperature, 2 * pressure, abundance, electrons=gas.electrons, hold_electrons=True
    )  # fmt: skip
    np.testing.assert_allclose(held.electrons, gas.electrons, rtol=1e-12)
    np.testing.assert_allclose(held.density, gas.density, rtol=1e-6)
    for species in ("H I", "Fe I", "Fe II", "CN", "H-"):
        np.testing.assert_allclose(held.number[species], gas.number[species], rtol=1e-5)
