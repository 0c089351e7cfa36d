"""An example for machines without spectra: a file with an exposure of a star that we computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from maury.errors import MauryError
from maury.grid import HARPS
from maury.inference.fit import SOLAR_LINE_SHIFT
from maury.instrument import simulate_exposure
from maury.spectrum import Spectrum
from maury.synthesis.synthesize import synthesize

__all__ = ["ExampleStar", "write_example"]


@dataclass(frozen=True)
class ExampleStar:
    """The truth behind an example: K, dex, km/s."""

    teff: float = 5600.0
    logg: float = 4.3
    mh: float = -0.2
    vmic: float = 1.1
    vsini: float = 3.0
    vmac: float = 3.0
    rv: float = 12.3
    berv: float = -8.5
    airmass: float = 1.3
    snr: float = 120.0

    def synthesize(self) -> Spectrum:
        """Its spectrum from first principles, rest frame, relative to the continuum."""
        return synthesize(
            teff=self.teff, logg=self.logg, mh=self.mh, vmic=self.vmic, normalized=True
        )


def write_example(
    folder: Path,
    star: ExampleStar | None = None,
    *,
    spectrum: Spectrum | None = None,
    seed: int = 1,
) -> Path:
    """Simulate a HARPS exposure of a star and write it in the layout of the pipeline's s1d files.

    Parameters
    ----------
    folder : Path
        Where to write; made if absent.
    star : ExampleStar, optional
        Which star, and in which circumstances it is observed.
    spectrum : Spectrum, optional
        Its spectrum in its rest frame; by default it is computed, which takes some ten seconds.
    seed : int
        Seed of the noise.

    Returns
    -------
    Path
        The file, which `maury.read` reads.

    Raises
    ------
    MauryError
        If it cannot be written.
    """
    star = star or ExampleStar()
    exposure = simulate_exposure(
        star.synthesize() if spectrum is None else spectrum,
        # The computed lines lie at their laboratory wavelengths, those of stars do not.
        rv=star.rv + SOLAR_LINE_SHIFT,
        berv=star.berv,
        airmass=star.airmass,
        vsini=star.vsini,
        vmac=star.vmac,
        snr=star.snr,
        seed=seed,
        grid=HARPS,
    )
    first, last = np.flatnonzero(exposure.valid)[[0, -1]]
    flux = exposure.flux[first : last + 1]
    hdu = fits.PrimaryHDU((1e4 * flux).astype(np.float32))
    facts = {
        "CRVAL1": exposure.wavelength[first],
        "CDELT1": HARPS.step,
        "CTYPE1": "AWAV",
        "CUNIT1": "Angstrom",
        "SPECSYS": "BARYCENT",
        "OBJECT": "simulated star",
        "INSTRUME": "HARPS",
        "AIRMASS": star.airmass,
        "HIERARCH ESO DRS BERV": star.berv,
        "COMMENT": "Simulated by maury: this is no observation.",
    }
    hdu.header.update(facts)
    path = folder / "simulated_s1d_A.fits"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        hdu.writeto(path, overwrite=True)
    except OSError as error:
        raise MauryError(f"{path} cannot be written ({error.strerror or error}).") from None
    return path
