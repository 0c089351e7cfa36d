"""Write the tables of the synthesis from the public files they come from.

Run as ``python -m maury.data.make_synthesis ../shared/data/physics``; needs the extra ``[tables]``.
The folder's own README says where each file was published.
"""

import sys
from pathlib import Path

import h5py
import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from maury.data.helium_lines import helium
from maury.data.hydrogen_sources import balmer_mixtures
from maury.data.line_sources import atoms_above_4200, atoms_below_4200, molecules
from maury.data.molecule_sources import DIATOMIC, POLYATOMIC, diatomic, polyatomic
from maury.synthesis.constants import BOLTZMANN

HERE = Path(__file__).parent


def _marcs(source: Path, mh: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """MARCS models of 3000-3750 K brought to other optical depths: Teff, logarithms of the layers.

    MARCS begins at log tau = -5. What is above follows the slope of each logarithm over the
    uppermost decade of tau: pressure stays proportional to column mass.
    """
    with np.load(source / "atmospheres/marcs_pp_compact.npz") as table:
        columns = [str(c) for c in table["columns"]]
        teff = table["teff"][np.isin(table["teff"], [*np.arange(3000, 3501, 100), 3750])]
        rows = np.ix_(np.searchsorted(table["mh"], mh), np.searchsorted(table["teff"], teff))
        models = table["layers"][rows].astype(np.float64)
    tau = models[0, 0, 0, :, columns.index("lgTauR")]
    rhox, temperature, gas, electron = (
        models[..., columns.index(c)] for c in ("RHOX", "T", "Pg", "Pe")
    )
    log = np.log(np.stack([rhox, temperature, gas, electron / (BOLTZMANN * temperature)], axis=-1))
    decade = int(np.searchsorted(tau, tau[0] + 1.0))
    top = depth[depth < tau[0]]
    slope = (log[..., decade, :] - log[..., 0, :]) / (tau[decade] - tau[0])
    above = log[..., :1, :] + slope[..., None, :] * (top - tau[0])[:, None]
    within = PchipInterpolator(tau, log, axis=-2)(depth[depth >= tau[0]])
    return teff, np.concatenate([above, within], axis=-2)


def atmospheres(source: Path) -> None:
    """MARCS and ATLAS9: [M/H], Teff, log g, layer, (rhox, T, P, n_e).

    All have 72 layers at log tau_Rosseland = -6.875, -6.75 .. 2, those of ATLAS9. MARCS holds to
    3500 K and ATLAS9 from 4000 K; the node at 3750 K is the mean of the logarithms of both.
    """
    depth = -6.875 + 0.125 * np.arange(72)
    with np.load(source / "atmospheres/atlas9_odfnew_vt2_compact.npz") as table:
        columns = [str(c) for c in table["columns"]]
        take = [columns.index(c) for c in ("RHOX", "T", "P", "XNE")]
        warm = table["teff"] >= 3750
        mh, teff = table["mh"].astype(np.float64), table["teff"][warm].astype(np.float64)
        log = np.log(table["layers"][:, warm][..., take].astype(np.float64))
        cool_teff, cool = _marcs(source, mh, depth)
        log[:, 0] = (log[:, 0] + cool[:, -1]) / 2
        np.savez_compressed(
            HERE / "atmospheres.npz",
            layers=np.exp(np.concatenate([cool[:, :-1], log], axis=1)).astype(np.float32),
            teff=np.concatenate([cool_teff[:-1], teff]),
            logg=table["logg"].astype(np.float64),
            mh=mh,
            citation=(
                "4000 K and above: ATLAS9 ODFNEW, vturb 2 km/s, Castelli & Kurucz 2003, IAU Symp. "
                "210, A20; 3500 K and below: MARCS, Gustafsson et al. 2008, A&A 486, 951; 3750 K: "
                "the mean of both"
            ),
        )


def equation_of_state(source: Path) -> None:
    """Partition functions, ionisation energies, equilibrium constants of molecules (cm-3)."""
    tables = source / "tables"
    elements, energies = [], []
    for line in (tables / "BarklemCollet2016-ionization_energies.dat").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            _, symbol, first, second, _ = line.split()
            elements.append(symbol)
            energies.append((float(first), max(float(second), 0.0)))
    with h5py.File(tables / "partition_funcs.h5") as file:
        start, step = file["logT_min"][()], file["logT_step"][()]
        count = file["H I"].shape[0]
        keep = np.arange(count)[(start + step * np.arange(count)) > np.log(900.0)]
        listed = [e for e in elements if f"{e} I" in file]
        partition = np.ones((len(listed), 3, keep.size), np.float32)
        for i, element in enumerate(listed):
            for j, stage in enumerate(("I", "II", "III")):
                if f"{element} {stage}" in file:
                    partition[i, j] = file[f"{element} {stage}"][()][keep]
    energies = [energies[elements.index(e)] for e in listed]

    ln_t = start + step * keep
    molecule_ln_t = np.linspace(np.log(900.0), np.log(1e4), 194)
    temperature = np.exp(molecule_ln_t)
    neutral = {
        e: np.exp(CubicSpline(ln_t, np.log(partition[i, 0]))(molecule_ln_t))
        for i, e in enumerate(listed)
    }
    two, more = diatomic(source, temperature), polyatomic(source, temperature, neutral)
    np.savez_compressed(
        HERE / "equation_of_state.npz",
        elements=np.array(listed),
        ionization_energy=np.array(energies),
        ln_temperature=ln_t,
        partition=partition,
        molecules=np.array([*DIATOMIC, *POLYATOMIC]),
        molecule_ln_temperature=molecule_ln_t,
        molecule_log_equilibrium=np.concatenate([two[0], more[0]]).astype(np.float32),
        molecule_log_partition=np.concatenate([two[1], more[1]]).astype(np.float32),
        citation=(
            "Atomic partition functions: Korg.jl (Wheeler et al. 2023, AJ 165, 68) from NIST "
            "levels; ionisation energies, diatomic molecules' partition functions and equilibrium "
            "constants: Barklem & Collet 2016, A&A 588, A96, with D(C2) of Visser et al. 2019, "
            "Mol. Phys. 117, 1645, and D(CaH) of Huber & Herzberg 1979; H2O, H2S, "
            "HCN: partition functions of ExoMol, atomisation energies of NIST CCCBDB and the "
            "Active Thermochemical Tables, mostly as collected by Korg.jl"
        ),
    )


def continuum(source: Path) -> None:
    """H- and H I bound-free cross-sections and free-free Gaunt factors."""
    tables = source / "tables"
    with h5py.File(tables / "McLaughlin2017Hminusbf.h5") as file:
        nu, sigma = file["nu"][()], file["sigma"][()]
    wavelength = np.arange(3600.0, 7101.0, 10.0)
    light = 2.99792458e18
    with h5py.File(tables / "individual_H_cross-sections.h5") as file:
        # Levels above n = 6 ionise far in the infrared and follow Kramers' law closely.
        level_energy, level_sigma = file["E"][:6], file["sigma"][:6]
    photon = 12398.419843320026 / wavelength
    hydrogen = np.array(
        [
            np.where(photon >= e[0], np.interp(photon, e, s), 0.0)
            for e, s in zip(level_energy, level_sigma, strict=True)
        ]
    )
    rows = (tables / "vanHoof2014-nr-gauntff.dat").read_text().splitlines()
    values = [r.split() for r in rows if not r.startswith("#") and len(r.split()) == 81][:146]
    log_u, log_gamma2 = -16 + 0.2 * np.arange(146), -6 + 0.2 * np.arange(81)
    gaunt = np.array(values, float)
    u, g = (log_u >= -2) & (log_u <= 2.01), (log_gamma2 >= -1) & (log_gamma2 <= 3.01)
    np.savez_compressed(
        HERE / "continuum.npz",
        wavelength=wavelength,
        h_minus_bf=np.interp(light / wavelength, nu, sigma),
        h_bf=hydrogen,
        gaunt_log_u=log_u[u],
        gaunt_log_gamma2=log_gamma2[g],
        gaunt=gaunt[np.ix_(u, g)],
        citation=(
            "H- bound-free: McLaughlin et al. 2017, J. Phys. B 50, 114001; H I bound-free: "
            "Nahar 2021, Atoms 9, 73 (vacuum wavelengths, megabarn); free-free Gaunt factors: "
            "van Hoof et al. 2014, MNRAS 444, 420"
        ),
    )


def hydrogen_lines(source: Path) -> None:
    """Stark profiles of the Balmer lines as sums of Gaussians, see `balmer_mixtures`."""
    np.savez_compressed(
        HERE / "hydrogen_lines.npz",
        **balmer_mixtures(source),
        citation="Stark profiles: Stehle & Hutcheon 1999, A&AS 140, 93",
    )


def lines(source: Path) -> None:
    """Atomic and molecular lines with their damping constants, in air, sorted by wavelength."""
    parts = [atoms_above_4200(source), atoms_below_4200(source), helium(), *molecules(source)]
    merged = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    order = np.argsort(merged["wavelength"], kind="stable")
    species, index = np.unique(merged.pop("species")[order], return_inverse=True)
    columns = {key: value[order] for key, value in merged.items()}
    np.savez_compressed(
        HERE / "lines.npz",
        species=species,
        species_index=index.astype(np.uint8),
        # 1e-4 A as an integer: half the size of a float64 and exact to the lists' own digits.
        wavelength_1e4=np.round(columns["wavelength"] * 1e4).astype(np.int32),
        excitation=columns["excitation"].astype(np.float32),
        log_gf=columns["log_gf"].astype(np.float32),
        mass=columns["mass"].astype(np.float32),
        log_gamma_rad=np.log10(columns["gamma_rad"]).astype(np.float16),
        log_gamma_stark=np.log10(np.maximum(columns["gamma_stark"], 1e-20)).astype(np.float16),
        log_gamma_vdw=np.log10(np.maximum(columns["gamma_vdw"], 1e-20)).astype(np.float16),
        vdw_exponent=columns["vdw_exponent"].astype(np.float16),
        citation=(
            "Atoms above 4200 A: Gaia-ESO list v6, Heiter et al. 2021, A&A 645, A106; atoms below: "
            "linemake, Placco et al. 2021, RNAAS 5, 92, van der Waals: Barklem et al. 2000, A&AS "
            "142, 467; He I: NIST and the papers that maury.data.helium_lines names; CN, C2, CH, "
            "NH, OH, MgH, SiH, FeH: linemake and the papers it names"
        ),
    )


def main() -> None:
    """Write every table from the folder named on the command line."""
    source = Path(sys.argv[1])
    for write in (
        atmospheres,
        equation_of_state,
        continuum,
        hydrogen_lines,
        lines,
    ):
        write(source)
        print(f"{write.__name__}: done")


if __name__ == "__main__":
    main()
