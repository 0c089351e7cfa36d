"""A few stars, as SIMBAD and Hipparcos know them.

Positions, motions, parallaxes and velocities are those of SIMBAD and Hipparcos as remembered, and
rounded: good enough to play a service, not to do astronomy with. Effective temperatures, gravities
and metallicities are rounded from the literature in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["STARS", "Star"]


@dataclass(frozen=True)
class Star:
    """One star: degrees (ICRS, epoch J2000), mas/yr, mas and km/s."""

    main_id: str
    names: tuple[str, ...]
    ra: float
    dec: float
    pmra: float
    pmdec: float
    parallax: float
    rv: float | None
    tic: int | None
    v: float
    teff: float | None = None
    logg: float | None = None
    mh: float | None = None
    redshift: bool = False

    def position(self, mjd: float) -> tuple[float, float]:
        """Right ascension and declination at another epoch, by the proper motion alone."""
        years = (mjd - 51544.5) / 365.25
        ra = self.ra + years * self.pmra / 3.6e6 / np.cos(np.radians(self.dec))
        return float(ra % 360), float(self.dec + years * self.pmdec / 3.6e6)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """All names, with the blanks that SIMBAD writes."""
        tic = () if self.tic is None else (f"TIC {self.tic}",)
        return tuple(dict.fromkeys((self.main_id, *self.names, *tic)))

    def named(self, catalogue: str) -> str | None:
        """What follows the name of a catalogue ("HD", "HIP", "Gaia DR3"), or None."""
        found = (name for name in self.identifiers if name.startswith(catalogue + " "))
        return next((name[len(catalogue) :].strip() for name in found), None)


# The close pair is alf Cen A and B, 17 arcsec apart; HD 189733 has a companion at 12 arcsec.
STARS = (
    Star(
        "* alf Cen A",
        ("HD 128620", "HIP  71683", "GJ   559 A", "HR  5459", "NAME Rigil Kentaurus"),
        *(219.902058, -60.833993, -3679.25, 473.67, 743.0, -22.39),
        471011145,
        *(0.01, 5790.0, 4.31, 0.20),
    ),
    Star(
        "* alf Cen B",
        ("HD 128621", "HIP  71681", "GJ   559 B", "HR  5460", "NAME Toliman"),
        *(219.896096, -60.837528, -3614.39, 802.98, 743.0, -22.59),
        471011144,
        *(1.33, 5230.0, 4.53, 0.22),
    ),
    Star(
        "HD 189733",
        ("V* V452 Vul", "BD+22  3887", "HIP  98505", "Gaia DR3 1827242816201846144"),
        *(300.182137, 22.710854, -3.21, -250.32, 50.57, -2.20),
        256364928,
        *(7.67, 5050.0, 4.59, -0.03),
    ),
    Star(
        "HD 189733B",
        ("2MASS J20004297+2242342", "Gaia DR3 1827242816176111360"),
        *(300.179062, 22.709514, -3.1, -250.0, 50.6, None),
        None,
        14.0,
    ),
    Star(
        "BD-07  4003",
        ("GJ   581", "HIP  74995", "LHS   394", "Gaia DR3 6322070093095493504"),
        *(229.861779, -7.722275, -1221.28, -97.23, 158.72, -9.75),
        36853511,
        *(10.56, 3480.0, 4.92, None),
    ),
    Star(
        "* tau Cet",
        ("HD  10700", "HIP   8102", "GJ    71", "HR   509", "Gaia DR3 2452378776434477184"),
        *(26.017014, -15.937479, -1721.05, 854.16, 273.96, -16.60),
        419015728,
        *(3.50, 5310.0, 4.44, -0.52),
    ),
    Star(
        "* e Eri",
        ("HD  20794", "HIP  15510", "GJ   139", "HR  1008", "Gaia DR3 4847957293278177024"),
        *(49.981879, -43.069782, 3038.34, 726.58, 165.47, 87.90),
        301051051,
        *(4.27, 5400.0, 4.41, -0.40),
    ),
    Star(
        "HD  40307",
        ("HIP  27887", "CD-60  1303", "Gaia DR3 4758877919212831104"),
        *(88.517670, -60.023472, -52.20, -60.20, 77.32, 31.30),
        271971130,
        *(7.17, 4980.0, 4.47, -0.31),
    ),
    Star(
        "HD  69830",
        ("HIP  40693", "GJ   302", "HR  3259", "Gaia DR3 5726982995343100928"),
        *(124.599780, -12.632171, 278.99, -988.30, 79.50, 30.20),
        307624961,
        *(5.95, 5390.0, 4.43, -0.05),
    ),
    Star(
        "* 61 Vir",
        ("HD 115617", "HIP  64924", "GJ   506", "HR  5019", "Gaia DR3 3507879565090229888"),
        *(199.601310, -18.311194, -1070.20, -1063.80, 117.17, -7.80),
        422478973,
        *(4.74, 5560.0, 4.43, -0.02),
    ),
    Star(
        "* 51 Peg",
        ("HD 217014", "HIP 113357", "GJ   882", "HR  8729", "Gaia DR3 2835207319109249920"),
        *(344.366585, 20.768833, 207.30, 61.10, 64.40, -33.10),
        139298196,
        *(5.46, 5790.0, 4.33, 0.20),
    ),
    Star(
        "L  229-91",
        ("GJ   163", "HIP  19394", "LHS   188", "Gaia DR3 4780294722094459904"),
        *(62.315285, -53.373692, 1046.10, 584.10, 66.07, 58.10),
        55098113,
        *(11.81, 3500.0, 4.80, 0.10),
    ),
    Star(
        "LP  424-4",
        ("GJ  3470", "Gaia DR3 654687847820642560"),
        *(119.774332, 15.391456, -185.60, -57.30, 34.02, 26.50),
        19028197,
        *(12.33, 3600.0, 4.70, 0.17),
    ),
    # Its velocity is given as a redshift, for SIMBAD has both kinds.
    Star(
        "BD+22  2716",
        ("WASP-14", "Gaia DR3 1242084170974175232"),
        *(218.276476, 21.894716, 29.10, -7.00, 6.22, -4.99),
        257567854,
        *(9.75, 6470.0, 4.29, 0.0),
        redshift=True,
    ),
    Star(
        "NAME Proxima Centauri",
        ("V* V645 Cen", "GJ   551", "HIP  70890", "Gaia DR3 5853498713190525696"),
        *(217.428942, -62.679490, -3781.74, 769.47, 768.07, -22.20),
        388857263,
        *(11.13, 2980.0, 5.20, None),
    ),
)
