"""Small files in the layout of the HARPS pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from maury.grid import HARPS_SMALL

FACTS = {
    "CRVAL1": HARPS_SMALL.start,
    "CDELT1": HARPS_SMALL.step,
    "CTYPE1": "Angstrom",
    "INSTRUME": "HARPS",
    "OBJECT": "HD 1",
    "DATE-OBS": "2012-03-24T08:37:45.581",
    "EXPTIME": 10.0,
    "RA": 219.9,
    "DEC": -60.8,
    "ESO TEL AIRM START": 1.213,
    "ESO TEL AIRM END": 1.225,
    "ESO OBS PROG ID": "088.C-0011(A)",
    "ESO DRS VERSION": "HARPS_3.8",
    "ESO DRS SPE EXT SN50": 343.1,
    "ESO DRS BERV": 18.25,
    "ESO DRS CAL TH COEFF LL1": 0.5,
}


def star(seed: int) -> np.ndarray:
    """Flux of a star on the small grid, with zeros in a gap."""
    flux = np.random.default_rng(seed).normal(1000, 30, HARPS_SMALL.size).astype(np.float32)
    flux[200:220] = 0
    return flux


@pytest.fixture
def write_exposure(tmp_path: Path) -> Callable[..., str]:
    """Write a file of a star; None takes a keyword out."""

    def write(name: str, flux: np.ndarray | int = 1, **header: object) -> str:
        values = star(flux) if isinstance(flux, int) else flux
        hdu = fits.PrimaryHDU(np.asarray(values, dtype=np.float32))
        for key, value in (FACTS | header).items():
            if value is not None:
                hdu.header["HIERARCH " + key if " " in key else key] = value
        path = tmp_path / name
        hdu.writeto(path, overwrite=True)
        return str(path)

    return write
