"""What each spectrograph's files hold, in the layouts that their archives document.

ESO Phase 3: the Science Data Products Standard (GEN-SPE-ESO-33000-5335), and its release
descriptions of HARPS, FEROS, UVES and ESPRESSO. The keywords of UVES are those of real files.
"""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

import maury
from maury.datasets.observed import Exposure
from maury.errors import ReadError
from maury.grid import HARPS_SMALL, HARPS_TINY
from maury.readers import Light, read_with_light
from maury.spectrum import SPEED_OF_LIGHT, air_to_vacuum

PHASE_3 = {
    "ORIGIN": "ESO",
    "OBJECT": "HD36705",
    "RA": 82.188663,
    "DEC": -65.44815,
    "SPECSYS": "BARYCENT",
    "PROG_ID": "095.C-0437(A)",
    "MJD-OBS": 57272.39649016,
    "MJD-END": 57272.40343462,
    "EXPTIME": 600.0016,
    "TEXPTIME": 600.0016,
    "SNR": 238.4,
    "SPEC_RES": 48000.0,
    "NCOMBINE": 1,
}
AIR = {"TUCD1": "em.wl;obs.atmos", "TUNIT1": "Angstrom"}

# Instrument, its keywords, its BERV, start and end of its airmass, its pipeline
PHASE_3_HEADERS = [
    (
        {
            "INSTRUME": "HARPS",
            "ESO DRS BERV": 18.25,
            "ESO DRS CCF RVC": -22.7,
            "ESO TEL AIRM START": 1.2,
            "ESO TEL AIRM END": 1.3,
            "PROCSOFT": "HARPS_3.8",
            "ESO DPR TYPE": "STAR,WAVE,K1",
        },
        (18.25, 1.2, 1.3, "HARPS_3.8", "STAR,WAVE,K1", -22.7),
    ),
    (
        {
            "INSTRUME": "FEROS",
            "ESO DRS BARYCORR": -25.13,
            "ESO TEL AIRM START": 1.1,
            "ESO TEL AIRM END": 1.15,
            "PROCSOFT": "feros_pl_v1.0",
            "ESO DPR TYPE": "OBJECT,CAL",
        },
        (-25.13, 1.1, 1.15, "feros_pl_v1.0", "OBJECT,CAL", None),
    ),
    (
        {
            "INSTRUME": "UVES",
            "SPECSYS": "TOPOCENT",
            "ESO QC VRAD BARYCOR": 0.950204,
            "ESO QC VRAD HELICOR": 0.949745,
            "ESO TEL AIRM START": 1.378,
            "ESO TEL AIRM END": 1.366,
            "PROCSOFT": "uves/5.10.0",
        },
        (0.950204, 1.378, 1.366, "uves/5.10.0", None, None),
    ),
    (
        {
            "INSTRUME": "ESPRESSO",
            "ESO QC BERV": 21.5,
            "ESO QC CCF RV": -16.6,
            "ESO TEL3 AIRM START": 1.05,
            "ESO TEL3 AIRM END": 1.06,
            "PROCSOFT": "espdr/3.0.0",
        },
        (21.5, 1.05, 1.06, "espdr/3.0.0", None, -16.6),
    ),
]


def column(name: str, values: np.ndarray) -> fits.Column:
    return fits.Column(name, format=f"{values.size}D", array=values[None])


def spectrum_columns(wavelength: np.ndarray, flux: np.ndarray, *more: str) -> list[fits.Column]:
    names = {"WAVE": wavelength, "FLUX": flux, "ERR": flux / 100}
    return [column(n, names.get(n, 0.01 * flux)) for n in (*names, *more)]


@pytest.mark.parametrize(
    ("header", "expected"), PHASE_3_HEADERS, ids=["harps", "feros", "uves", "espresso"]
)
def test_a_phase_3_header_tells_its_facts_whatever_the_instrument(write_table, header, expected):
    wavelength = 5000 + 0.01 * np.arange(500)
    flux = np.random.default_rng(1).normal(1000, 30, 500)
    columns = spectrum_columns(wavelength, flux)
    spectrum, light = read_with_light(write_table(columns, PHASE_3 | header, AIR))
    berv, first, last, software, kind, rv = expected
    meta = spectrum.meta
    assert (meta.berv, meta.airmass, meta.airmass_end) == (berv, first, last)
    assert (meta.drs_version, meta.rv, meta.instrument) == (software, rv, header["INSTRUME"])
    assert (meta.programme, meta.exposure, meta.snr) == ("095.C-0437(A)", 600.0016, 238.4)
    assert (meta.ra, meta.dec, meta.resolving_power) == (82.188663, -65.44815, 48000.0)
    assert meta.time.mjd == pytest.approx(57272.39649016, abs=1e-9)
    assert light == Light(kind, None, 1)
    at_telescope = header.get("SPECSYS") == "TOPOCENT"
    assert spectrum.frame == ("observatory" if at_telescope else "barycentric")
    assert spectrum.medium == "air"


def test_uves_has_its_reduced_flux_where_it_is_not_calibrated(write_table):
    wavelength = 4800 + 0.02 * np.arange(400)
    flux = np.random.default_rng(2).normal(1000, 30, 400)
    reduced = [
        column("WAVE", wavelength),
        column("FLUX_REDUCED", 3 * flux),
        column("ERR_REDUCED", flux / 50),
        column("BGFLUX_REDUCED", flux / 99),
    ]
    header = PHASE_3 | PHASE_3_HEADERS[2][0]
    units = AIR | {"TUNIT2": "adu"}
    alone = maury.read(write_table(reduced, header, units, "reduced.fits"))
    np.testing.assert_array_equal(alone.flux, 3 * flux)
    np.testing.assert_array_equal(alone.uncertainty, flux / 50)
    assert alone.meta.flux_unit == "adu"
    calibrated = [*reduced, column("FLUX", flux), column("ERR", flux / 9)]
    both = maury.read(write_table(calibrated, header, units, "calibrated.fits"))
    np.testing.assert_array_equal(both.flux, flux)
    np.testing.assert_array_equal(both.uncertainty, flux / 9)


def test_espresso_has_electrons_and_vacuum_beside_what_is_taken(write_table):
    air = 5000 + 0.01 * np.arange(400)
    flux = np.random.default_rng(3).normal(1000, 30, 400)
    columns = [
        *spectrum_columns(air_to_vacuum(air), flux, "SNR", "FLUX_EL", "ERR_EL"),
        column("WAVE_AIR", air),
        column("QUAL", np.arange(400) == 9.0),
    ]
    header = PHASE_3 | PHASE_3_HEADERS[3][0]
    spectrum = maury.read(write_table(columns, header, {"TUCD1": "em.wl"}))
    np.testing.assert_array_equal(spectrum.wavelength, air)
    np.testing.assert_array_equal(spectrum.flux, flux)
    assert np.flatnonzero(spectrum.mask).tolist() == [9]


def test_an_s1d_of_harps_north(write_image, flux):
    """As the DRS of HARPS writes it for the TNG, in whose keywords TNG stands for ESO."""
    eso = "OBS PROG ID, TEL AIRM START, TEL AIRM END, DRS VERSION, DRS SPE EXT SN50, DRS BERV"
    theirs = dict.fromkeys(f"ESO {name}" for name in (*eso.split(", "), "DRS CCF RVC"))
    tng = {
        "INSTRUME": "HARPN",
        "OBJECT": None,
        "AIRMASS": 1.42,
        "TNG OBS TARG NAME": "HD 10700",
        "TNG DPR TYPE": "STAR,WAVE,G8V",
        "TNG DRS VERSION": "HARPN_3.7",
        "TNG DRS BERV": -12.5,
        "TNG DRS CCF RVC": -16.6,
        "TNG DRS SPE EXT SN50": 210.0,
    }
    spectrum, light = read_with_light(write_image(flux, "HARPN.x_s1d_A.fits", **theirs | tng))
    meta = spectrum.meta
    assert (spectrum.medium, spectrum.frame) == ("air", "barycentric")
    assert (meta.object, meta.instrument, meta.drs_version) == ("HD 10700", "HARPN", "HARPN_3.7")
    assert (meta.berv, meta.rv, meta.snr) == (-12.5, -16.6, 210.0)
    assert (meta.airmass, meta.airmass_end, meta.programme) == (1.42, None, None)
    assert light == Light("STAR,WAVE,G8V", "A")


@pytest.mark.parametrize(
    ("first", "step", "size", "header", "flags"),
    [
        (3530.0, 0.03, 189_000, PHASE_3_HEADERS[1][0], ["resampled"]),
        (3770.0, 0.02, 180_000, PHASE_3_HEADERS[3][0], ["resampled"]),
        (
            4785.0,
            0.02,
            90_000,
            PHASE_3_HEADERS[2][0],
            ["from-observatory", "resampled", "partial"],
        ),
    ],
    ids=["feros", "espresso", "uves red"],
)
def test_other_spectrographs_go_onto_a_grid_that_they_cover(
    write_table, first, step, size, header, flags
):
    wavelength = first + step * np.arange(size)
    line = 5500.0 / (1 + header.get("ESO QC VRAD BARYCOR", 0.0) / SPEED_OF_LIGHT)
    flux = 1000 * (1 - 0.8 * np.exp(-0.5 * ((wavelength - line) / 0.2) ** 2))
    path = write_table(spectrum_columns(wavelength, flux), PHASE_3 | header, AIR)
    kept, facts = Exposure(HARPS_SMALL, header["INSTRUME"])({"file": str(path)})
    assert facts["flags"] == flags
    assert facts["instrument"] == header["INSTRUME"]
    depth = np.where(np.isfinite(kept), 1 - kept, 0)
    assert (depth * HARPS_SMALL.wavelength).sum() / depth.sum() == pytest.approx(5500, abs=2e-3)


def test_a_blue_arm_alone_covers_too_little(write_table):
    wavelength = 3282 + 0.027 * np.arange(47_285)
    columns = spectrum_columns(wavelength, np.ones(wavelength.size))
    path = write_table(columns, PHASE_3 | PHASE_3_HEADERS[2][0], AIR)
    with pytest.raises(ReadError, match=r"has good flux in 0\.0% of the grid 'harps-"):
        Exposure(HARPS_TINY, "UVES")({"file": str(path)})
