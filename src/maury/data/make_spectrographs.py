"""Write spectrographs.npz and la_silla.npz: orders and efficiencies; extinction and sky.

Run as ``python -m maury.data.make_spectrographs ../shared/data/physics``.

HARPS's orders and relative throughput are those that its pipeline measured in the light of
Ganymede (DRS keywords TH COEFF LL and SPE EXT SN of the exposure of 2007-04-13, airmass 1.043). To
become the efficiency of telescope, fibre, spectrograph and detector at the peak of the blaze, they
are freed from extinction and from the colour of Ganymede, smoothed over the orders (the model of
the Sun that they were divided by is not better than the scatter), and scaled so that a G2V star of
V = 6 gives a signal-to-noise ratio of 110 a pixel at 550 nm in 60 s at airmass 1.2 and 1" (ESO,
HARPS user manual 3P6-MAN-ESO-90100-0005).

FEROS's orders follow from its grating (79 grooves/mm, blaze angle 63.43 deg, orders 25 to 63), its
efficiency from the design (Kaufer & Pasquini 1998, SPIE 3355, 844; Landessternwarte Heidelberg,
"Overall Efficiency") times 60% for the telescope.
"""

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy.ndimage import median_filter

from maury.wavelength import SPEED_OF_LIGHT, vacuum_to_air

HERE = Path(__file__).parent

HARPS_CITATION = (
    "Orders and relative throughput: DRS keywords of HARPS's exposure of Ganymede, 2007-04-13; "
    "colours of Ganymede: Morrison & Morrison 1977, in Planetary Satellites, p. 363, those of the "
    "Sun: Ramirez et al. 2012, ApJ 752, 5; level: HARPS user manual 3P6-MAN-ESO-90100-0005"
)
FEROS_CITATION = (
    "Kaufer & Pasquini 1998, SPIE 3355, 844; Kaufer et al. 1999, The Messenger 95, 8; efficiency: "
    "Landessternwarte Heidelberg, FEROS project pages, 'Overall Efficiency'"
)
SITE_CITATION = (
    "Extinction: ESO Messenger 11 (1977); sky: SkyCalc, Noll et al. 2012, A&A 543, A92 and Jones "
    "et al. 2013, A&A 560, A91, 0 to 14 days from new moon, as tabulated by SDSS lvmetc (BSD-3); "
    "lines of the night sky: Hanuschik 2003, A&A 407, 1157"
)

# B-V and U-B of Ganymede less those of the Sun; no colour is assumed beyond V.
GANYMEDE_COLOUR = ((3600.0, 4400.0, 5500.0), (0.334 + 0.177, 0.177, 0.0))
GANYMEDE_AIRMASS = 1.043
SMOOTHING_DEGREE = 6  # of the polynomial through ln(efficiency) of HARPS's orders
HARPS_PEAK = 0.097  # efficiency at 5500 A that gives ESO's signal-to-noise ratio

# Wavelength (A), and efficiency from the fibre's entrance to the detector.
FEROS_EFFICIENCY = (
    (3500, 3700, 4000, 4500, 5000, 6000, 7000, 8000, 9000),
    (0.017, 0.07, 0.21, 0.26, 0.27, 0.26, 0.24, 0.16, 0.08),
)
FEROS_TELESCOPE = 0.60
FEROS_GRATING = 2 * 1e7 / 79 * np.sin(np.deg2rad(63.4349))  # order times blaze wavelength, A
FEROS_PIXEL = SPEED_OF_LIGHT / 48_000 / 2  # km/s: two pixels to the resolution
FEROS_REACH = 0.75  # of the free spectral range to either side; order m + 2 begins beyond

SKY_RANGE = (3700.0, 7000.0)
SKY_STEP, SKY_WIDTH = 5.0, 61.0  # A, of the smooth part; width of the filter that takes lines out
LINE_THRESHOLD = 1.0  # 1e-17 erg/s/cm2/A/arcsec2 that a line rises above the night sky


def harps_orders(source: Path, extinction: np.ndarray) -> np.ndarray:
    """Orders of HARPS as the columns of `maury.instrument.echelle.COLUMNS`."""
    table = np.genfromtxt(
        source / "harps/harps_drs_orders_and_relative_throughput.csv",
        delimiter=",",
        names=True,
        skip_header=2,
    )
    centre = table["lambda_center"]
    air = 10 ** (-0.4 * GANYMEDE_AIRMASS * np.interp(centre, *extinction))
    albedo = 10 ** (-0.4 * np.interp(centre, *GANYMEDE_COLOUR))
    measured = np.log(table["rel_throughput"] / air / albedo)
    x = (centre - 5350.0) / 1600.0
    # Twice, the second time without the orders in which the Sun was not what the model says.
    keep = np.ones(len(x), dtype=bool)
    for _ in range(3):
        smooth = np.polynomial.Polynomial.fit(x[keep], measured[keep], SMOOTHING_DEGREE)
        keep = np.abs(measured - smooth(x)) < 0.1
    efficiency = HARPS_PEAK * np.exp(smooth(x) - smooth(150.0 / 1600.0))
    return np.stack(
        [
            table["echelle_order"],
            table["lambda_min"],
            centre,
            table["lambda_max"],
            table["disp_first"],
            table["disp_center"],
            table["disp_last"],
            efficiency,
            (table["echelle_order"] < 115).astype(float),
            table["rel_throughput"],
        ]
    )


def feros_orders() -> np.ndarray:
    """Orders of FEROS in the same columns, cut where those two apart would overlap."""
    order = np.arange(63, 24, -1.0)
    centre = FEROS_GRATING / order
    half = np.minimum(2048 * FEROS_PIXEL / SPEED_OF_LIGHT, FEROS_REACH / order)
    pixel = FEROS_PIXEL / SPEED_OF_LIGHT
    efficiency = FEROS_TELESCOPE * np.interp(centre, *FEROS_EFFICIENCY)
    lower, upper = centre * (1 - half), centre * (1 + half)
    return np.stack(
        [
            order,
            lower,
            centre,
            upper,
            lower * pixel,
            centre * pixel,
            upper * pixel,
            efficiency,
            np.zeros_like(order),
            efficiency / np.interp(5500.0, centre, efficiency),
        ]
    )


def sky(source: Path) -> dict[str, np.ndarray]:
    """Smooth radiance by days from new moon, and the lines of the night sky."""
    smooth_wavelength = np.arange(SKY_RANGE[0], SKY_RANGE[1] + SKY_STEP, SKY_STEP)
    smooth = []
    for day in range(15):
        wavelength, radiance = np.loadtxt(
            source / f"telluric_sky/lvm_sky/LVM_LCO25_SKY_{day}.dat.gz"
        ).T
        step = wavelength[1] - wavelength[0]
        continuum = median_filter(radiance, int(SKY_WIDTH / step) | 1)
        smooth.append(np.interp(smooth_wavelength, wavelength, continuum * 1e17))
    with fits.open(source / "telluric_sky/sky-uves.fits") as file:
        wavelength, radiance = file[1].data["wavelength"], file[1].data["flux"]
    wanted = (wavelength >= SKY_RANGE[0] - 0.01) & (wavelength <= SKY_RANGE[1])
    wavelength, radiance = (np.asarray(x[wanted], dtype=float) for x in (wavelength, radiance))
    excess = radiance - median_filter(radiance, int(SKY_WIDTH / 0.1) | 1)
    return {
        "sky_wavelength": smooth_wavelength,
        "sky_radiance": np.array(smooth, dtype=np.float32),
        # The atlas is in vacuum: [O I] stands at 5578.9 and 6302.1 A.
        "sky_line_wavelength": vacuum_to_air(wavelength).astype(np.float32),
        "sky_line_radiance": np.where(excess > LINE_THRESHOLD, excess, 0.0).astype(np.float16),
    }


def main(source: Path) -> None:
    """Write both tables beside this script."""
    extinction = np.loadtxt(source / "telluric_sky/extinction_LaSilla.dat").T
    arrays = {"extinction": extinction, "citation": np.array(SITE_CITATION)} | sky(source)
    np.savez_compressed(HERE / "la_silla.npz", **arrays)  # type: ignore[arg-type]
    np.savez_compressed(
        HERE / "spectrographs.npz",
        harps=harps_orders(source, extinction),
        harps_citation=HARPS_CITATION,
        feros=feros_orders(),
        feros_citation=FEROS_CITATION,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
