"""Small files in the layouts that pipelines and archives deliver."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

HARPS_FACTS = {
    "INSTRUME": "HARPS",
    "OBJECT": "HD128621",
    "DATE-OBS": "2012-03-24T08:37:45.581",
    "EXPTIME": 9.9941,
    "ESO OBS PROG ID": "088.C-0011(A)",
    "ESO TEL AIRM START": 1.213,
    "ESO TEL AIRM END": 1.214,
    "ESO DRS VERSION": "HARPS_3.8",
    "ESO DRS SPE EXT SN50": 343.1,
    "ESO DRS BERV": 18.2626935967183,
    "ESO DRS CCF RVC": -22.7,
}


@pytest.fixture
def flux():
    """500 pixels of flux, of which 100-119 are a gap."""
    rng = np.random.default_rng(7)
    flux = rng.normal(1000, 30, 500)
    flux[100:120] = 0
    return flux


@pytest.fixture
def write_image(tmp_path):
    """Write a one-dimensional image with a header; None takes a keyword out."""

    def write(data, name="s1d_A.fits", **header):
        cards = HARPS_FACTS | {
            "CRPIX1": 1.0,
            "CRVAL1": 5300.0,
            "CDELT1": 0.01,
            "CTYPE1": "Angstrom",
            "BUNIT": "Relative Flux",
        }
        hdu = fits.PrimaryHDU(np.asarray(data, dtype=np.float32))
        for key, value in (cards | header).items():
            if value is not None:
                hdu.header["HIERARCH " + key if " " in key else key] = value
        path = tmp_path / name
        hdu.writeto(path)
        return path

    return write


@pytest.fixture
def write_table(tmp_path):
    """Write a binary table and a primary header."""

    def write(columns, header, table_header=None, name="table.fits"):
        table = fits.BinTableHDU.from_columns(columns)
        primary = fits.PrimaryHDU()
        for hdu, cards in ((primary, header), (table, table_header or {})):
            for key, value in cards.items():
                hdu.header["HIERARCH " + key if " " in key else key] = value
        path = tmp_path / name
        fits.HDUList([primary, table]).writeto(path)
        return path

    return write
