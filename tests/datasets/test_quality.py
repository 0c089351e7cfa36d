"""Spectra that have each a defect, made so or as published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from maury.datasets.observed import FLAGS, Exposure
from maury.datasets.quality import QUALITY_FLAGS, refuse_lamp
from maury.errors import ReadError
from maury.grid import HARPS_SMALL as GRID
from maury.readers import Light

NOISE = np.random.default_rng(5).normal(1000, 100, GRID.size)


def flags_of(path: str, instrument: str | None = None) -> list[str]:
    return Exposure(GRID, instrument)({"file": path})[1]["flags"]


def with_values(count: int, value: float) -> np.ndarray:
    flux = NOISE.copy()
    flux[400 : 400 + count] = value
    return flux


@pytest.mark.parametrize(
    ("flux", "header", "expected"),
    [
        (NOISE, {}, []),
        # A detector that holds 2000 at most.
        (with_values(5, 2000.0), {}, ["saturated"]),
        (with_values(4, 2000.0), {}, []),
        (np.minimum(NOISE, 1005.0), {}, []),
        (NOISE, {"ESO DRS SPE EXT SN50": 600.0}, ["saturated"]),
        (NOISE, {"ESO DRS SPE EXT SN50": 600.0, "NCOMBINE": 4}, []),
        (NOISE, {"ESO DRS SPE EXT SN50": 600.0, "INSTRUME": "UVES"}, []),
        (NOISE, {"ESO DRS SPE EXT SN50": 9.9}, ["low-snr"]),
        (NOISE, {"ESO DRS SPE EXT SN50": None}, []),
        (NOISE, {"ESO DPR TYPE": "SKY,SKY,G2V"}, ["wrong-fibre"]),
        (NOISE, {"ESO DPR TYPE": "STAR,SKY,G2V"}, []),
        (with_values(GRID.size // 90, -3.5), {}, ["negative-flux"]),
        (with_values(GRID.size // 120, -3.5), {}, []),
        (with_values(11, 1e5) + NOISE / 1e3, {}, ["damaged-pixels"]),
        (with_values(9, 1e5) + NOISE / 1e3, {}, []),
        (with_values(400, np.nan), {}, ["damaged-pixels"]),
        (with_values(400, 0.0), {}, []),
    ],
)
def test_each_defect_has_its_flag(
    write_exposure: Callable[..., str], flux: np.ndarray, header: dict, expected: list[str]
) -> None:
    assert flags_of(write_exposure("a.fits", flux, **header)) == expected
    assert set(expected) <= set(FLAGS)


def test_several_defects_are_all_told(write_exposure: Callable[..., str]) -> None:
    flux = with_values(GRID.size // 50, -3.5)
    flux[9000:9020] = 5e4
    path = write_exposure("a.fits", flux, **{"ESO DRS SPE EXT SN50": 5.0})
    assert set(flags_of(path)) == set(QUALITY_FLAGS) - {"wrong-fibre"}


def test_without_an_snr_the_uncertainties_tell_it(tmp_path: Path) -> None:
    for error, expected in ((200.0, ["low-snr"]), (50.0, [])):
        columns = [
            fits.Column(name, f"{GRID.size}D", array=array[None])
            for name, array in (
                ("WAVE", GRID.wavelength),
                ("FLUX", NOISE),
                ("ERR", np.full(GRID.size, error)),
            )
        ]
        path = tmp_path / f"{error}.fits"
        table = fits.BinTableHDU.from_columns(columns)
        table.header["INSTRUME"] = "FEROS"
        table.writeto(path)
        assert flags_of(str(path), "FEROS") == expected


@pytest.mark.parametrize(
    ("name", "header", "message"),
    [
        ("a.fits", {"ESO DPR TYPE": "WAVE,WAVE,THAR2"}, r"is of a lamp \(WAVE,WAVE,THAR2\)"),
        ("a.fits", {"ESO DPR TYPE": "LAMP,LAMP,TUN"}, r"is of a lamp \(LAMP,LAMP,TUN\)"),
        ("a.fits", {"OBJECT": "WAVE,WAVE,FP"}, r"is of a lamp \(WAVE,WAVE,FP\)"),
        ("HARPS.2012-03-24T08:37:45.581_s1d_B.fits", {}, "is of fibre B, not of the fibre"),
        ("r.ESPRE.2019-09-01T05_S1D_SKYSUB_B.fits", {}, "is of fibre B, not of the fibre"),
        ("a.fits", {"ESO PRO CATG": "S1D_B"}, "is of fibre B, not of the fibre"),
    ],
)
def test_what_is_of_no_star_is_refused(
    write_exposure: Callable[..., str], name: str, header: dict, message: str
) -> None:
    with pytest.raises(ReadError, match=message):
        flags_of(write_exposure(name, NOISE, **header))


@pytest.mark.parametrize("kind", ["STAR,WAVE,G2", "STAR,DARK,K1", "OBJECT,FP", "OBJECT,SKY", None])
def test_a_lamp_beside_the_star_is_as_it_should_be(kind: str | None) -> None:
    refuse_lamp(Light(kind, "A"), "a.fits")


def test_what_no_star_emits_is_left_out_and_the_rest_has_a_median_of_one(
    write_exposure: Callable[..., str],
) -> None:
    flux, row = Exposure(GRID, None)(
        {"file": write_exposure("a.fits", with_values(GRID.size // 40, 1e5))}
    )
    assert np.isnan(flux[400 : 400 + GRID.size // 40]).all()
    assert np.nanmedian(flux) == pytest.approx(1, abs=1e-6)
    assert row["level"] == pytest.approx(np.median(NOISE), rel=0.005)
