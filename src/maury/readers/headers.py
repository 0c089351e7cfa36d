"""Facts from FITS headers, under the names that pipelines and observatories give them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from astropy.io import fits
from astropy.time import Time

from maury.readers.base import Light
from maury.spectrum import Frame, Observation

__all__ = ["Headers"]

# Where an exposure's SNR is given order by order: the order at 5500 A, counted from 1, for that
# many orders. ESPRESSO's 170 are two slices of each order; m x lambda = 612,172 A for all three.
_ORDER_AT_5500 = {71: 51, 72: 51, 85: 51, 170: 102}

# Names as HARPS.2007-08-29T00:02:50.897_s1d_B.fits and r.ESPRE.2019-09-01T05:00:00.000_S1D_B.fits.
_FIBRE = re.compile(r"_s1d(?:_\w+)?_([ab])(?=\.|$)", re.IGNORECASE)

# UVES writes the velocity of the Earth as the correction that is to be made, which is the same.
_BERV = ("ESO DRS BERV", "ESO QC BERV", "TNG DRS BERV", "ESO DRS BARYCORR", "ESO QC VRAD BARYCOR")

_FRAMES: dict[str, Frame] = {
    "BARYCENT": "barycentric",
    # The Sun moves about the barycentre by at most 0.016 km/s.
    "HELIOCEN": "barycentric",
    "TOPOCENT": "observatory",
    "SOURCE": "rest",
}


class Headers:
    """Several headers of a file, searched one after the other.

    Examples
    --------
    >>> headers = Headers([fits.Header({"OBJECT": "HD 1", "EXPTIME": 0.0, "AIRMASS": "1.42"})])
    >>> headers.text("TARGNAME", "OBJECT")
    'HD 1'
    >>> headers.observation("hd1.fits", flux_unit=None).airmass
    1.42
    >>> headers.observation("hd1.fits", flux_unit=None).exposure is None
    True
    """

    def __init__(self, headers: Sequence[fits.Header]) -> None:
        # The first header of a file is often the only one.
        self._headers = list({id(header): header for header in headers}.values())

    def value(self, *keys: str) -> Any:
        """The first of these keywords that has a value, or None."""
        for key in keys:
            for header in self._headers:
                if key not in header:
                    continue
                try:
                    value = header[key]
                except (fits.VerifyError, ValueError):
                    continue
                if not (value is None or isinstance(value, fits.card.Undefined)):
                    return value
        return None

    def text(self, *keys: str) -> str | None:
        """The first of these keywords with text other than blanks, or None."""
        for key in keys:
            text = str(value).strip() if (value := self.value(key)) is not None else ""
            if text:
                return text
        return None

    def number(self, *keys: str, lower: float = -math.inf, upper: float = math.inf) -> float | None:
        """The first of these keywords with a number from `lower` to `upper`, or None.

        Pipelines write 0, -1 or -99999 for a fact that they do not know: the limits sort these out.
        """
        for key in keys:
            try:
                number = float(self.value(key))
            except (TypeError, ValueError):
                continue
            if math.isfinite(number) and lower <= number <= upper:
                return number
        return None

    def frame(self) -> Frame | None:
        """Rest frame of the wavelengths by SPECSYS, or None.

        IRAF's DOPCOR writes DOPCORnn when it brings a spectrum to the frame of the star.
        """
        if self.value("DOPCOR01") is not None:
            return "rest"
        return _FRAMES.get((self.text("SPECSYS") or "").upper())

    def observation(self, path: str, flux_unit: str | None) -> Observation:
        """All facts about the exposure; None for each that is not there."""
        # ESPRESSO names the unit telescopes, and 5 where it takes the light of all four.
        telescopes = ("TEL", "TEL1", "TEL2", "TEL3", "TEL4", "TEL5")
        return Observation(
            object=self.text("OBJECT", "ESO OBS TARG NAME", "TNG OBS TARG NAME", "TARGNAME"),
            berv=self.number(*_BERV, lower=-40, upper=40),
            airmass=self.number(
                *(f"ESO {telescope} AIRM START" for telescope in telescopes),
                "AIRMASS",
                lower=1,
                upper=40,
            ),
            airmass_end=self.number(
                *(f"ESO {telescope} AIRM END" for telescope in telescopes), lower=1, upper=40
            ),
            time=self._time(),
            exposure=self.number("EXPTIME", "TEXPTIME", lower=1e-9),
            snr=self._snr(),
            programme=self.text("ESO OBS PROG ID", "PROG_ID"),
            instrument=self.text("INSTRUME"),
            drs_version=self.text(
                "ESO DRS VERSION", "TNG DRS VERSION", "ESO PRO REC1 PIPE ID", "PROCSOFT"
            ),
            rv=self.number(
                "ESO DRS CCF RVC",
                "ESO QC CCF RV",
                "ESO DRS CCF RV",
                "TNG DRS CCF RVC",
                lower=-1000,
                upper=1000,
            ),
            ra=self.number("RA", lower=0, upper=360),
            dec=self.number("DEC", lower=-90, upper=90),
            resolving_power=self.number("SPEC_RES", lower=1),
            path=path,
            flux_unit=flux_unit,
            # Under the names of `maury.write` and of the PHOENIX library.
            teff=self.number("TEFF", "PHXTEFF", lower=500, upper=200_000),
            logg=self.number("LOGG", "PHXLOGG", lower=-2, upper=10),
            mh=self.number("MH", "PHXM_H", lower=-10, upper=3),
            alpha=self.number("ALPHA", "PHXALPHA", lower=-3, upper=3),
            vmic=self.number("VMIC", "PHXXI_L", lower=0, upper=50),
        )

    def light(self, path: str) -> Light:
        """Where the light came from, by DPR TYPE or OBJECT, PRO CATG or the file's name."""
        kind = self.text("ESO DPR TYPE", "TNG DPR TYPE")
        if kind is None and "," in (named := self.text("OBJECT") or ""):
            # Calibrations have their kind as the name of their target.
            kind = named
        product = self.text("ESO PRO CATG") or ""
        found = _FIBRE.search(Path(path).name) or _FIBRE.search(f"_{product}")
        exposures = self.number("NCOMBINE", lower=1)
        return Light(kind, found and found[1].upper(), int(exposures or 1))

    def _time(self) -> Time | None:
        """Start of the exposure, UTC: DATE-OBS where it has the time of day, else MJD-OBS."""
        date = self.text("DATE-OBS") or ""
        if "T" in date:
            try:
                return Time(date, format="isot", scale="utc")
            except ValueError:
                pass
        mjd = self.number("MJD-OBS", lower=1)
        return None if mjd is None else Time(mjd, format="mjd", scale="utc")

    def _snr(self) -> float | None:
        # Order 50 counts from 0 here; it is the 51st.
        keys = ["ESO DRS SPE EXT SN50", "TNG DRS SPE EXT SN50"]
        for number, order in sorted(_ORDER_AT_5500.items(), reverse=True):
            if self.value(f"ESO QC ORDER{number} SNR") is not None:
                keys.append(f"ESO QC ORDER{order} SNR")
                break
        return self.number(*keys, "SNR", lower=1e-9)
