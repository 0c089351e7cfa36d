"""SWEET-Cat as its web site gives it: one CSV file."""

from __future__ import annotations

from stand_in.message import Answer, Request

__all__ = ["SweetCat"]

_COLUMNS = """
Name hd RA DEC Vmag eVmag PlxFlag Teff eTeff Logg eLogg Vt eVt [Fe/H] e[Fe/H] Reference Link SWFlag
Update Comment Database gaia_dr2 gaia_dr3 Plx ePlx Gmag eGmag RPmag eRPmag BPmag eBPmag FG eFG
G_flux_std_n Logg_gaia eLogg_gaia Mass_t eMass_t Radius_t eRadius_t spec_base Distance RA_EU DEC_EU
RA_NASA DEC_NASA Distance_b eDistance_b
""".split()

# Parameters of Sousa et al. (2021, A&A 656, A53) and Antoniadis-Karnavas et al. (2024).
_ROWS = """
51 Peg|217014|22 57 27.98|+20 46 07.79|5810.0|21.0|4.33|0.03|0.21|0.02|2835207319109249920
61 Vir|115617|13 18 24.31|-18 18 40.30|5556.0|19.0|4.31|0.03|-0.01|0.01|3507879565090229888
GJ 581||15 19 27.51|-07 43 19.44|3367.0|91.0|||-0.25|0.11|6322070093095493504
HD 189733|189733|20 00 43.70|+22 42 39.10|4969.0|48.0|4.3|0.12|-0.08|0.03|1827242816201846144
HD 40307|40307|05 54 04.23|-60 01 24.49|4795.0|78.0|4.44|0.18|-0.34|0.04|4758877919212831104
HD 69830|69830|08 18 23.94|-12 37 55.81|5384.0|29.0|4.4|0.06|-0.05|0.02|5726982995343100928
tau Cet|10700|01 44 4.010|-15 56 15.00|5295.0|23.0|4.43|0.04|-0.54|0.02|2452378776434477184
""".strip()

_FILLED = "Name hd RA DEC Teff eTeff Logg eLogg [Fe/H] e[Fe/H] gaia_dr3".split()


class SweetCat:
    """The file; tests may change its `text`."""

    def __init__(self) -> None:
        lines = [",".join(_COLUMNS)]
        for row in _ROWS.splitlines():
            cells = dict(zip(_FILLED, row.split("|"), strict=True))
            cells |= {"SWFlag": "1", "Update": "2021-01-01", "Database": '"EU;NASA"'}
            lines.append(",".join(cells.get(name, "") for name in _COLUMNS))
        self.text = "\n".join(lines) + "\n"

    def file(self, request: Request) -> Answer:
        """The whole file."""
        return Answer(200, self.text.encode(), "text/csv")
