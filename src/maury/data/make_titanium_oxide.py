"""Write the lines of TiO from the list of its rarer isotopologues and the spectra of M dwarfs.

Run as ``python -m maury.data.make_titanium_oxide ../shared/data``; takes six minutes. Bands are put
where HARPS spectra of Gl 581 (M3) and GJ 163 (M3.5) have them; that of GJ 3470 (M1.5) is kept aside
to see what that is worth, and the correlations before and after are printed.
"""

import sys
from pathlib import Path

import numpy as np

import maury
from maury.data.titanium_oxide import interpolate, listed_isotopologues, match, rho
from maury.data.titanium_oxide_positions import STEP, Bands, Star, agreement, fit_positions
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.broadening import broaden
from maury.synthesis.elements import abundances
from maury.synthesis.linelist import standard_lines
from maury.synthesis.synthesize import surface_flux
from maury.wavelength import SPEED_OF_LIGHT, vacuum_to_air

HERE = Path(__file__).parent
ISOTOPES = (46, 47, 48, 49, 50)
SEEN = (4750.0, 6900.0)  # Angstrom
#: File and radial velocity (km/s) that is left in its wavelengths (manifest of the spectra).
FITTED = (
    ("HARPS.2010-09-18T23:42:36.178_s1d_A.fits", -9.678),
    ("HARPS_GJ163.fits", -0.483),
)
KEPT_ASIDE = ("HARPS_GJ3470.fits", -0.477)
BANDS = ((4955, 5100), (5167, 5300), (5449, 5590), (5598, 5700), (5850, 6000), (6159, 6350),
         (6350, 6500), (6500, 6640), (6652, 6800), (6800, 6890))  # fmt: skip


def listed(source: Path) -> tuple[Bands, np.ndarray]:
    """Lines of 48TiO by wavelength, and d ln(wavenumber) / d ln(rho) as it is stored."""
    lists = listed_isotopologues(source)
    rows = match(lists)
    common, lightest = interpolate(lists, rows, 48), interpolate(lists, rows, 46)
    change = rho(46) / rho(48) - 1
    power = (lightest.wavenumber / common.wavenumber - 1) / change
    wavelength = vacuum_to_air(1e8 / common.wavenumber)
    order = np.argsort(wavelength, kind="stable")
    bands = Bands(wavelength[order], common.excitation[order], common.log_gf[order], power[order])
    return bands, np.round(power[order] * 1e5).astype(np.int16)


def star(spectra: Path, name: str, velocity: float, without: np.ndarray) -> Star:
    """A spectrum at rest on the grid of ``without``."""
    wavelength = SEEN[0] + STEP * np.arange(without.size)
    spectrum = maury.read(spectra / name)
    good = np.isfinite(spectrum.flux) & (spectrum.flux > 0)
    at_rest = spectrum.wavelength[good] / (1 + velocity / SPEED_OF_LIGHT)
    return Star(wavelength, np.interp(wavelength, at_rest, spectrum.flux[good]), without)


def main() -> None:
    """Write the table from the folder named on the command line."""
    source = Path(sys.argv[1])
    bands, power = listed(source / "physics")
    wavelength = SEEN[0] + STEP * np.arange(int((SEEN[1] - SEEN[0]) / STEP))
    atoms = standard_lines(titanium_oxide=False)
    flux, continuum = surface_flux(
        wavelength, model_atmosphere(3500, 4.8, -0.1), abundances(-0.1), atoms, 1.0
    )
    without = broaden(wavelength, flux / continuum, vsini=1.0, vmac=1.0, resolving_power=115000)
    stars = [star(source / "spectra", *one, without) for one in FITTED]
    shift = fit_positions(bands, stars)
    aside = star(source / "spectra", *KEPT_ASIDE, without)
    before = agreement(bands, np.zeros_like(shift), aside, BANDS)
    after = agreement(bands, shift, aside, BANDS)
    for (lower, upper), old, new in zip(BANDS, before, after, strict=True):
        print(f"{lower}-{upper} A: correlation {old:.3f} before, {new:.3f} after")
    np.savez_compressed(
        HERE / "titanium_oxide.npz",
        # Steps from line to line: smaller than the wavelengths, and exact to 1 mA.
        wavelength_step_1e3=np.diff(
            np.round(bands.wavelength * 1e3).astype(np.int32), prepend=np.int32(0)
        ),
        excitation_1e3=np.round(bands.excitation * 1e3).astype(np.uint16),
        log_gf_1e3=np.round(bands.log_gf * 1e3).astype(np.int16),
        wavenumber_power_1e5=power,
        wavenumber_shift_2e2=np.round(shift / 0.02).clip(-127, 127).astype(np.int8),
        isotopes=np.array(ISOTOPES),
        rho_change=np.array([rho(m) / rho(48) - 1 for m in ISOTOPES]),
        citation=(
            "46TiO, 47TiO, 49TiO, 50TiO: Plez 1998, A&A 337, 495, as in linemake, Placco et al. "
            "2021, RNAAS 5, 92; 48TiO: interpolated between them; shifts of bands: measured on "
            "HARPS spectra of Gl 581 and GJ 163"
        ),
    )


if __name__ == "__main__":
    main()
