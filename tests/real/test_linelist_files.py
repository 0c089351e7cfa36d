"""The Gaia-ESO list in Turbospectrum's format against the embedded one."""

from pathlib import Path

import numpy as np
import pytest

from maury.synthesis.linelist import LineList, standard_lines
from maury.synthesis.linelist_files import read_lines

LIST = (
    Path(__file__).parents[2].parent
    / "shared/data/physics/linelists/ges_linelist_2022_turbospectrum.txt.gz"
)


@pytest.fixture(scope="module")
def gaia_eso() -> LineList:
    if not LIST.is_file():
        pytest.skip("../shared/data/physics/linelists is absent")
    return read_lines(LIST)


@pytest.mark.parametrize(("lower", "upper"), [(4500.0, 4520.0), (6100.0, 6200.0), (6700.0, 6720.0)])
def test_the_file_has_the_embedded_atomic_lines(
    gaia_eso: LineList, lower: float, upper: float
) -> None:
    theirs, ours = (
        gaia_eso.between(lower, upper),
        standard_lines(False, False).between(lower, upper),
    )
    atoms = np.array([" " in name for name in ours.species])
    ours = ours.select(atoms[ours.species_index])
    assert len(ours) > 100

    def columns(lines: LineList) -> tuple[np.ndarray, np.ndarray]:
        names = np.array(lines.species)[lines.species_index]
        order = np.lexsort((lines.log_gf, lines.excitation, lines.wavelength.round(3), names))
        values = [
            lines.wavelength, lines.excitation, lines.log_gf, np.log10(lines.gamma_rad),
            np.log10(np.maximum(lines.gamma_stark, 1e-20)),
            np.log10(np.maximum(lines.gamma_vdw, 1e-20)), lines.vdw_exponent,
        ]  # fmt: skip
        rows = np.rec.fromarrays([names, *values])
        # Four lines stand in the file twice.
        once = np.isin(order, np.unique(rows, return_index=True)[1])
        return names[order[once]], np.array(values)[:, order[once]]

    (their_names, their_values), (our_names, our_values) = columns(theirs), columns(ours)
    np.testing.assert_array_equal(their_names, our_names)
    # The embedded list holds log gf in single and damping in half precision.
    for i, tolerance in enumerate((1e-4, 1e-6, 1e-5, 5e-3, 1e-2, 5e-3, 5e-4)):
        np.testing.assert_allclose(their_values[i], our_values[i], atol=tolerance)
