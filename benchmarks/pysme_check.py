"""Print how far our spectra are from PySME's, with the same lines, atmosphere and abundances.

Run as ``python benchmarks/pysme_check.py [START STOP]``, wavelengths in Angstrom (air), after
``pip install 'maury[pysme]'``. PySME: Wehrhahn, Piskunov & Ryabchikova 2023, A&A 671, A171. The
equation of state, continuous opacity, profiles and formal solution are each code's own, and so are
the damping's powers of temperature.
"""

import sys

import numpy as np
import pandas as pd
from pysme.abund import Abund, elements_dict
from pysme.atmosphere.atmosphere import Atmosphere as TheirAtmosphere
from pysme.linelist.linelist import LineList as TheirLines
from pysme.sme import SME_Structure
from pysme.synthesize import synthesize_spectrum

from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.constants import BOLTZMANN
from maury.synthesis.elements import abundances
from maury.synthesis.equation_of_state import solve
from maury.synthesis.linelist import LineList, standard_lines
from maury.synthesis.synthesize import surface_flux

WINDOW = (6150.0, 6180.0)  # Angstrom
STARS = ((4500.0, 4.5, 0.0), (5777.0, 4.44, 0.0), (6500.0, 4.0, -1.0), (7500.0, 4.0, 0.0))
VMIC = 1.0  # km/s
MARGIN = 3.0  # Angstrom beyond the window whose lines are taken along
STAGES = {"I": 1, "II": 2, "III": 3}


def their_lines(lines: LineList) -> TheirLines:
    """Our lines in PySME's table; damping as log10 of the widths at 10,000 K."""
    stages = [name.split() for name in lines.species]
    names = [f"{words[0]} {STAGES[words[1]] if len(words) > 1 else 1}" for words in stages]
    atomic = np.array([len(words) > 1 for words in stages])
    species = np.array(names)[lines.species_index]
    tiny = 1e-20
    table = pd.DataFrame(
        {
            "species": species,
            "wlcent": lines.wavelength,
            "excit": lines.excitation,
            "gflog": lines.log_gf,
            "gamrad": np.log10(lines.gamma_rad + tiny),
            "gamqst": np.log10(lines.gamma_stark + tiny),
            "gamvw": np.log10(lines.gamma_vdw + tiny),
            "lande": 0.0,
            "depth": 1.0,
            "reference": "",
            "atom_number": atomic[lines.species_index].astype(float),
            "ionization": [float(name[-1]) for name in species],
            "error": 0.0,
        }
    )
    return TheirLines(table, lineformat="short", medium="air")


def compare(teff: float, logg: float, mh: float, wavelength: np.ndarray) -> np.ndarray:
    """Our normalised flux less theirs."""
    lines = standard_lines(calibrated=False)
    lines = lines.between(wavelength[0] - MARGIN, wavelength[-1] + MARGIN)
    model, abundance = model_atmosphere(teff, logg, mh), abundances(mh)
    flux, continuum = surface_flux(wavelength, model, abundance, lines, VMIC)
    gas = solve(model.temperature, model.pressure, abundance, electrons=model.electron_density)
    sme = SME_Structure()
    sme.teff, sme.logg, sme.monh, sme.vmic, sme.vmac, sme.vsini = teff, logg, 0.0, VMIC, 0.0, 0.0
    # Elements that we have no abundance of are left out by one that no line can show.
    pattern = {name: 12 + np.log10(abundance.get(name, 1e-20)) for name in elements_dict}
    sme.abund = Abund(0.0, pattern, type="H=12")
    sme.linelist = their_lines(lines)
    sme.wave = wavelength
    sme.atmo = TheirAtmosphere(
        method="embedded",
        geom="PP",
        depth="RHOX",
        interp="RHOX",
        source="maury",
        teff=teff,
        logg=logg,
        wlstd=5000,
        rhox=model.rhox,
        temp=model.temperature,
        rho=gas.density,
        xne=gas.electrons,
        xna=model.pressure / (BOLTZMANN * model.temperature) - gas.electrons,
    )
    sme.atmo.abund = sme.abund
    sme.cscale_flag = sme.vrad_flag = "none"
    result = synthesize_spectrum(sme)
    return flux / continuum - np.interp(wavelength, result.wave[0], result.synth[0])


def main() -> None:
    """One line a star."""
    start, stop = map(float, sys.argv[1:3]) if len(sys.argv) > 2 else WINDOW
    wavelength = np.arange(start, stop, 0.01)
    print(f"| Teff, log g, [M/H] | rms, {start:g}-{stop:g} A | largest |\n|---|---|---|")
    for teff, logg, mh in STARS:
        difference = compare(teff, logg, mh, wavelength)
        rms, largest = np.sqrt(np.mean(difference**2)), np.abs(difference).max()
        print(f"| {teff:.0f} K, {logg:.2f}, {mh:+.1f} | {rms:.4f} | {largest:.4f} |", flush=True)


if __name__ == "__main__":
    main()
