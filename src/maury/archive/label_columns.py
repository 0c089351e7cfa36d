"""What the columns of other people's tables mean, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from astropy import units

from maury.errors import MauryError

__all__ = ["LABELS", "QUANTITIES", "Found", "recognise"]

LABELS = ("teff", "logg", "mh", "rv")

_SPELLINGS: Mapping[str, str] = {
    "star": "name star starname object objectname mainid target targetname hostname host "
    "identifier id simbadname",
    "hd": "hd hdnumber hdname hdid",
    "hip": "hip hipnumber hipname hipid",
    "gj": "gj gjnumber gliese",
    "tic": "tic ticid ticname ticnumber",
    "gaia_dr2": "gaiadr2 gaiadr2id gaiadr2source gaiadr2sourceid dr2name",
    "gaia_dr3": "gaiadr3 gaiadr3id gaiadr3source gaiadr3sourceid gaiaedr3 dr3name",
    "ra": "ra raj2000 raicrs radeg rightascension ra2000 alpha",
    "dec": "dec de dej2000 decj2000 deicrs decicrs dedeg decdeg declination de2000 dec2000 delta",
    "pmra": "pmra pmracosdec propermotionra mura muracosdec",
    "pmdec": "pmdec pmde propermotiondec mudec mude",
    "epoch": "epoch refepoch positionepoch",
    "teff": "teff effectivetemperature temperature",
    "logg": "logg loggravity log10g logsurfacegravity surfacegravity",
    "mh": "mh metallicity feh moh feoh",
    "rv": "rv radvel radialvelocity vrad vr hrv rvzradvel",
}
"""Spellings of each quantity, without regard to capitals and marks, the preferred ones first."""

_ERRORS = ("e{}", "{}err", "err{}", "{}error", "error{}", "{}e", "sigma{}", "{}sigma", "sig{}",
           "u{}", "{}unc", "unc{}", "d{}", "delta{}", "{}std")  # fmt: skip

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    name: tuple(text.split()) for name, text in _SPELLINGS.items()
} | {
    f"{name}_error": tuple(
        form.format(spelling) for spelling in _SPELLINGS[name].split() for form in _ERRORS
    )
    for name in LABELS
}

QUANTITIES = tuple(SPELLINGS)
"""All that a column may be: identifiers, positions, labels, and ``<label>_error``."""

NOT_UNITS = frozenset("fe/h m/h me/h a/h g g/h".split())
SUFFIXES = {
    "k": "K", "dex": "dex", "deg": "deg", "kms": "km/s", "km_s": "km/s", "ms": "m/s", "m_s": "m/s",
    "masyr": "mas/yr", "mas_yr": "mas/yr",
}  # fmt: skip
"""Units after an underscore, as in ``teff_K``."""

SUFFIX = re.compile(rf"(.+?)_({'|'.join(sorted(SUFFIXES, key=len)[::-1])})", re.IGNORECASE)
IRON = frozenset(("feh", "feoh"))


@dataclass(frozen=True)
class Found:
    """A column that is known.

    Parameters
    ----------
    column : str
        As the table calls it.
    unit : str or None
        At the end of its name, as in ``Teff (K)`` or ``teff_K``.
    iron : bool
        Whether it is the abundance of iron, where [M/H] is wanted.
    """

    column: str
    unit: str | None = None
    iron: bool = False


def recognise(
    columns: Iterable[str], chosen: Mapping[str, str] | None = None, *, name: str = "the table"
) -> dict[str, Found]:
    """Which column is which quantity.

    Parameters
    ----------
    columns : iterable of str
        Names of the table's columns.
    chosen : mapping, optional
        By quantity, the column that its owner names, whatever it looks like; an empty name for
        none. A column that is called by its number may be named so (``"col3"``).
    name : str
        Of the table, for messages.

    Returns
    -------
    dict of Found
        By quantity, for those that there are.

    Raises
    ------
    MauryError
        If `chosen` names a quantity or a column that does not exist.

    Examples
    --------
    >>> {key: found.column for key, found in recognise(["# Name", "T_eff", "e[Fe/H]"]).items()}
    {'star': '# Name', 'teff': 'T_eff', 'mh_error': 'e[Fe/H]'}
    >>> recognise(["[Fe/H]", "RV (m/s)"])["rv"].unit
    'm/s'
    """
    there = list(columns)
    squeezed: dict[str, list[Found]] = {}
    for column in there:
        bare, unit = _parted(column)
        key = re.sub(r"[^a-z0-9]", "", bare.lower())
        squeezed.setdefault(key, []).append(Found(column, unit))
    found: dict[str, Found] = {}
    for quantity, spellings in SPELLINGS.items():
        for spelling in spellings:
            if spelling in squeezed:
                # Of several that differ in marks alone, the one with the fewest.
                first = min(squeezed[spelling], key=lambda each: len(each.column))
                found[quantity] = Found(first.column, first.unit, iron=spelling in IRON)
                break
    for quantity, column in (chosen or {}).items():
        if quantity not in SPELLINGS:
            raise MauryError(f"No column is called {quantity!r} here; use {', '.join(QUANTITIES)}.")
        found.pop(quantity, None)
        if not column:
            continue
        match = column if column in there else _alike(column, there)
        if match is None:
            raise MauryError(f"{name} has no column {column!r}; it has {', '.join(there)}.")
        key = re.sub(r"[^a-z0-9]", "", match.lower())
        found[quantity] = Found(match, _parted(match)[1], quantity == "mh" and key in IRON)
    return found


def _alike(column: str, there: list[str]) -> str | None:
    same = [each for each in there if each.casefold() == column.casefold()]
    return same[0] if len(same) == 1 else None


def _parted(column: str) -> tuple[str, str | None]:
    """The name of a column and the unit that it ends with."""
    if match := SUFFIX.fullmatch(column):
        return match[1], SUFFIXES[match[2].lower()]
    match = re.fullmatch(r"(.*?\w)[\s_]*[\[(]([^\])]+)[\])]", column)
    if match is None or match[2].replace(" ", "").lower() in NOT_UNITS:
        return column, None
    try:
        units.Unit(match[2])
    except (ValueError, TypeError):
        return column, None
    return match[1], match[2]
