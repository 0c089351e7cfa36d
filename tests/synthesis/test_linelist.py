"""The embedded line list: order, known lines, isotopes, and the corrections by the Sun."""

import hashlib

import numpy as np
import pytest

from maury.data import load_table
from maury.synthesis.linelist import LineList, standard_lines, titanium_oxide_lines


@pytest.fixture(scope="module")
def laboratory() -> LineList:
    return standard_lines(calibrated=False, titanium_oxide=False)


def strongest(lines: LineList, species: str, wavelength: float) -> int:
    """Index of the strongest line of a species within 0.03 A."""
    near = np.abs(lines.wavelength - wavelength) < 0.03
    near &= lines.species_index == lines.species.index(species)
    assert near.any(), f"no line of {species} at {wavelength}"
    index = np.flatnonzero(near)
    return int(index[np.argmax(lines.log_gf[index])])


def test_lines_are_sorted_and_within_range(laboratory: LineList) -> None:
    assert len(laboratory) > 100_000
    assert np.all(np.diff(laboratory.wavelength) >= 0)
    assert laboratory.wavelength[0] > 3765
    assert laboratory.wavelength[-1] < 6930
    assert laboratory.species_index.max() == len(laboratory.species) - 1
    for column in ("log_gf", "excitation", "mass", "gamma_rad", "gamma_vdw", "gamma_stark"):
        assert np.isfinite(getattr(laboratory, column)).all(), column
    # Two MgH lines near 5403.3 A have -0.124 eV in linemake's list.
    assert (laboratory.excitation < 0).sum() <= 2
    assert np.all((laboratory.gamma_rad > 1e3) & (laboratory.gamma_rad < 1e10))


@pytest.mark.parametrize(
    ("species", "wavelength", "excitation", "log_gf"),
    [
        # NIST Atomic Spectra Database, air wavelengths; accuracies A and B.
        ("Na I", 5889.951, 0.000, 0.108),
        ("Na I", 5895.924, 0.000, -0.194),
        ("Mg I", 5167.321, 2.709, -0.870),
        ("Mg I", 5183.604, 2.717, -0.168),
        ("Ca II", 3933.663, 0.000, 0.135),
        ("Ca I", 6162.173, 1.899, -0.090),
        ("Fe I", 5269.537, 0.859, -1.333),
        ("Fe I", 6252.555, 2.404, -1.699),
        ("Fe II", 4923.927, 2.891, -1.26),
        ("Ti II", 4501.270, 1.116, -0.77),
    ],
)
def test_known_lines_have_their_known_strengths(
    laboratory: LineList, species: str, wavelength: float, excitation: float, log_gf: float
) -> None:
    i = strongest(laboratory, species, wavelength)
    assert laboratory.wavelength[i] == pytest.approx(wavelength, abs=0.006)
    assert laboratory.excitation[i] == pytest.approx(excitation, abs=0.01)
    assert laboratory.log_gf[i] == pytest.approx(log_gf, abs=0.15)


def test_lithium_is_shared_by_its_isotopes(laboratory: LineList) -> None:
    """6707.8 A: gf of both doublet lines is 1.49 in all (NIST), 7.6% of it lithium 6."""
    doublet = laboratory.between(6707.5, 6708.3)
    gf = 10.0**doublet.log_gf * (doublet.species_index == doublet.species.index("Li I"))
    assert gf.sum() == pytest.approx(1.494, rel=0.02)
    # Lithium 6 stands 0.158 A to the red: its stronger line falls on the weaker one of lithium 7.
    assert gf[doublet.wavelength > 6708.0].sum() / gf.sum() == pytest.approx(0.0759 / 3, rel=0.2)


def test_molecules_are_there_where_they_should(laboratory: LineList) -> None:
    """The G band of CH, the Swan bands of C2 at 5165 A, MgH A-X at 5211 A, violet CN."""
    for species, lower, upper in (
        ("CH", 4300, 4315), ("C2", 5130, 5165.5), ("MgH", 5190, 5211.5), ("CN", 3870, 3883.5),
    ):  # fmt: skip
        part = laboratory.between(lower, upper)
        assert (part.species_index == part.species.index(species)).sum() > 50, species


def test_parts_of_a_list(laboratory: LineList) -> None:
    part = laboratory.between(6000.0, 6010.0)
    assert part.wavelength[0] >= 6000.0
    assert part.wavelength[-1] < 6010.0
    inside = (laboratory.wavelength >= 6000) & (laboratory.wavelength < 6010)
    assert len(part) == inside.sum()
    np.testing.assert_array_equal(laboratory.select(inside).log_gf, part.log_gf)
    stronger = part.with_log_gf(part.log_gf + 1)
    np.testing.assert_allclose(stronger.log_gf - part.log_gf, 1)
    np.testing.assert_array_equal(stronger.excitation, part.excitation)


def test_the_sun_corrects_and_does_not_invent(laboratory: LineList) -> None:
    calibrated = standard_lines(titanium_oxide=False)
    np.testing.assert_array_equal(calibrated.wavelength, laboratory.wavelength)
    change = calibrated.log_gf - laboratory.log_gf
    assert -3.0 <= change.min() < -1.0  # lines that the Sun does not have
    assert change.max() <= 1.0
    # A quarter of the lines show in the Sun.
    assert 0.1 < np.mean(change != 0) < 0.4
    assert abs(np.median(change[change != 0])) < 0.05
    # Widths of strong lines alone are corrected, and by little.
    wider = np.log10(calibrated.gamma_vdw / laboratory.gamma_vdw)[laboratory.gamma_vdw > 1e-15]
    assert 50 < np.count_nonzero(wider) < 1000
    assert np.abs(wider).max() < 0.51


def test_the_corrections_are_those_of_these_very_lines(laboratory: LineList) -> None:
    columns = (laboratory.wavelength, laboratory.log_gf)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(c).tobytes() for c in columns))
    assert digest.hexdigest() == str(load_table("solar_calibration")["lines_sha256"])


@pytest.mark.parametrize("end", [4000.0, 5000.0, 6000.0])
def test_no_line_stands_in_the_list_twice(laboratory: LineList, end: float) -> None:
    """Files of linemake overlap by 20 A; a handful of equal TiO components is real."""
    part = laboratory.between(end - 20.0, end + 20.0)
    rows = np.stack([part.wavelength, part.species_index, part.excitation, part.log_gf], axis=1)
    assert len(np.unique(rows, axis=0)) > 0.98 * len(part)


@pytest.mark.parametrize(
    "head",
    # Air, Angstrom: Pearse & Gaydon 1976, The Identification of Molecular Spectra; of the alpha
    # system (1-0, 0-0, 0-1), the beta system (0-0) and gamma' (0-0, two of its three heads).
    [4954.6, 5166.8, 5448.2, 5597.7, 6158.5, 6214.9],
)
def test_heads_of_titanium_oxide_are_where_the_laboratory_has_them(head: float) -> None:
    """Opacity at 3000 K rises towards the red within half an Angstrom of the head."""
    lines = titanium_oxide_lines().between(head - 2.0, head + 2.0)
    opacity = 10.0 ** (lines.log_gf - lines.excitation * 5040 / 3000)
    starts = np.arange(head - 1.3, head + 1.3, 0.05)
    at = lines.wavelength
    blue = np.array([opacity[(at > s - 0.6) & (at <= s)].sum() for s in starts])
    red = np.array([opacity[(at > s) & (at <= s + 0.6)].sum() for s in starts])
    assert (red / blue).max() > 2.0
    assert starts[np.argmax(red / blue)] == pytest.approx(head, abs=0.6)


def test_titanium_oxide_has_the_isotopes_of_the_earth() -> None:
    """Of the strongest line of low energy in the alpha system's 0-0 band."""
    lines = titanium_oxide_lines().between(5166.0, 5180.0)
    low = lines.excitation < 0.1
    of = {
        isotope: 10.0 ** lines.log_gf[low & (np.round(lines.mass - 15.995) == isotope)].max()
        for isotope in (46, 48, 50)
    }
    assert of[46] / of[48] == pytest.approx(0.0825 / 0.7372, rel=0.02)
    assert of[50] / of[48] == pytest.approx(0.0518 / 0.7372, rel=0.02)


def test_all_lines_are_those_of_atoms_molecules_and_titanium_oxide(laboratory: LineList) -> None:
    everything = standard_lines(calibrated=False)
    assert len(everything) == len(laboratory) + len(titanium_oxide_lines())
    assert len(titanium_oxide_lines()) > 800_000
    assert np.all(np.diff(everything.wavelength) >= 0)
