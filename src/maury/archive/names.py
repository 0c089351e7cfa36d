"""Names of stars, as observers and archives write them, made comparable."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from string import capwords
from typing import NamedTuple

import pyarrow as pa

__all__ = ["StarName", "canonical", "canonical_array", "parse", "spellings"]


class StarName(NamedTuple):
    """A name that is understood.

    Attributes
    ----------
    text : str
        As SIMBAD spells it, with single blanks.
    catalogue : str or None
        Its catalogue (``"HD"``, ``"GJ"``, ``"Bayer"``, ...), or None where it is of none that is
        known here: the text is then the name as written, in capital letters.
    """

    text: str
    catalogue: str | None


CONSTELLATIONS = {
    pair.split(":")[1]: pair.split(":")[0]
    for pair in """
    And:ANDROMEDAE Ant:ANTLIAE Aps:APODIS Aqr:AQUARII Aql:AQUILAE Ara:ARAE Ari:ARIETIS Aur:AURIGAE
    Boo:BOOTIS Cae:CAELI Cam:CAMELOPARDALIS Cnc:CANCRI CVn:CANUMVENATICORUM CMa:CANISMAJORIS
    CMi:CANISMINORIS Cap:CAPRICORNI Car:CARINAE Cas:CASSIOPEIAE Cen:CENTAURI Cep:CEPHEI Cet:CETI
    Cha:CHAMAELEONTIS Cir:CIRCINI Col:COLUMBAE Com:COMAEBERENICES CrA:CORONAEAUSTRALIS
    CrB:CORONAEBOREALIS Crv:CORVI Crt:CRATERIS Cru:CRUCIS Cyg:CYGNI Del:DELPHINI Dor:DORADUS
    Dra:DRACONIS Equ:EQUULEI Eri:ERIDANI For:FORNACIS Gem:GEMINORUM Gru:GRUIS Her:HERCULIS
    Hor:HOROLOGII Hya:HYDRAE Hyi:HYDRI Ind:INDI Lac:LACERTAE Leo:LEONIS LMi:LEONISMINORIS
    Lep:LEPORIS Lib:LIBRAE Lup:LUPI Lyn:LYNCIS Lyr:LYRAE Men:MENSAE Mic:MICROSCOPII Mon:MONOCEROTIS
    Mus:MUSCAE Nor:NORMAE Oct:OCTANTIS Oph:OPHIUCHI Ori:ORIONIS Pav:PAVONIS Peg:PEGASI Per:PERSEI
    Phe:PHOENICIS Pic:PICTORIS PsA:PISCISAUSTRINI Psc:PISCIUM Pup:PUPPIS Pyx:PYXIDIS Ret:RETICULI
    Scl:SCULPTORIS Sco:SCORPII Sct:SCUTI Ser:SERPENTIS Sex:SEXTANTIS Sge:SAGITTAE Sgr:SAGITTARII
    Tau:TAURI Tel:TELESCOPII TrA:TRIANGULIAUSTRALIS Tri:TRIANGULI Tuc:TUCANAE UMa:URSAEMAJORIS
    UMi:URSAEMINORIS Vel:VELORUM Vir:VIRGINIS Vol:VOLANTIS Vul:VULPECULAE
    """.split()
}
"""Abbreviation of each constellation, by its genitive without blanks and by itself."""
CONSTELLATIONS |= {short.upper(): short for short in CONSTELLATIONS.values()}

GREEK = {
    spelling: short
    for short, spellings_ in {
        "alf": "ALPHA ALP ALF",
        "bet": "BETA BET",
        "gam": "GAMMA GAM",
        "del": "DELTA DEL",
        "eps": "EPSILON EPS",
        "zet": "ZETA ZET",
        "eta": "ETA",
        "tet": "THETA THE TET",
        "iot": "IOTA IOT",
        "kap": "KAPPA KAP",
        "lam": "LAMBDA LAMDA LAM",
        "mu.": "MU",
        "nu.": "NU",
        "ksi": "KSI XI",
        "omi": "OMICRON OMI",
        "pi.": "PI",
        "rho": "RHO",
        "sig": "SIGMA SIG",
        "tau": "TAU",
        "ups": "UPSILON UPS",
        "phi": "PHI",
        "chi": "CHI",
        "psi": "PSI",
        "ome": "OMEGA OME",
    }.items()
    for spelling in spellings_.split()
}
"""SIMBAD's three characters of each Greek letter, by the ways in which it is written."""

NOT_STARS = re.compile(
    r"""
    (THE)?(SUN|MOON|SKY|SOLAR|DAYSKY|TWILIGHT)(SKY|SPECTR.*|\d.*)?
    | (MERCURY|VENUS|MARS|JUPITER|SATURN|URANUS|NEPTUNE|PLUTO|IO|EUROPA|GANY?I?MEDE|CALLISTO
      |TITAN|TRITON|ENCELADUS|COMET|TYCHO)\d*
    | \d*(CERES|PALLAS|JUNO|VESTA|ASTRAEA|HEBE|IRIS|FLORA|METIS|HYGIEA|IRENE|EUNOMIA|MASSALIA
      |MELPOMENE)\d*
    | .*(LAMP|THAR|WAVE|ETALON|FABRYPEROT|LASERCOMB).*
    | (BIAS|DARK|FLAT|FP|LFC|CALIB|STD|TUN)(\W.*|\d*)
    | (FOCUS|FIB(ER|RE))?TEST.* | \d*(MIN|SEC)?STAB\d*
    | (NONAME|NONE|NULL|NAN|NA|UNKNOWN|OBJECT|TARGET|STAR|NOSTAR|DEFAULT)
    | \W*
    """,
    re.VERBOSE,
)
"""What is observed and is no star, or does not say which; without blanks, in capital letters."""

GREEK_LETTERS = re.compile("[\u0391-\u03a1\u03a3-\u03a9\u03b1-\u03c9]")
DASHES = re.compile("[\u2010-\u2015\u2212]")
SIMBADS = re.compile(r"^([Vv]?\*|(?i:NAME) ) *(?=\w)")
BOTH = re.compile(r"\s*\(AB\)$", re.IGNORECASE)
PLANET = re.compile(r"(?: |(?<=[\d)]))[b-h]$")
COMPONENT = r"[ -]?(?P<component>[A-HJ]{1,2}|[a-hj]{1,2})?"

NUMBERED = {
    # How a catalogue is written: as SIMBAD does, what follows before the number, and after it.
    "HD": ("HD", " ", ""),
    "HDE": ("HD", " ", ""),
    "HIP": ("HIP", " ", ""),
    "HIC": ("HIP", " ", ""),
    "HR": ("HR", " ", ""),
    "GJ": ("GJ", " ", " "),
    "GL": ("GJ", " ", " "),
    "GLIESE": ("GJ", " ", " "),
    "LHS": ("LHS", " ", ""),
    "LTT": ("LTT", " ", ""),
    "NLTT": ("NLTT", " ", ""),
    "SAO": ("SAO", " ", ""),
    "PPM": ("PPM", " ", ""),
    "TWA": ("TWA", " ", ""),
    "TIC": ("TIC", " ", ""),
    "KIC": ("KIC", " ", ""),
    "EPIC": ("EPIC", " ", ""),
    "ROSS": ("Ross", " ", ""),
    "WOLF": ("Wolf", " ", ""),
    "FEIGE": ("Feige", " ", ""),
    "HV": ("HV", " ", ""),
    "HBC": ("HBC", " ", ""),
    "PDS": ("PDS", " ", ""),
    "DOAR": ("DoAr", " ", ""),
    "TOI": ("TOI", "-", " "),
    "WASP": ("WASP", "-", " "),
    "HAT-P": ("HAT-P", "-", " "),
    "HATS": ("HATS", "-", " "),
    "K2": ("K2", "-", " "),
    "KEPLER": ("Kepler", "-", " "),
    "KOI": ("KOI", "-", " "),
    "KELT": ("KELT", "-", " "),
    "COROT": ("CoRoT", "-", " "),
    "COROT-EXO": ("CoRoT", "-", " "),
    "XO": ("XO", "-", " "),
    "TRES": ("TrES", "-", " "),
    "NGTS": ("NGTS", "-", " "),
    "QATAR": ("Qatar", "-", " "),
    "TRAPPIST": ("TRAPPIST", "-", " "),
    "MASCARA": ("MASCARA", "-", " "),
    "OGLE-TR": ("OGLE-TR", "-", " "),
}

NUMBER = re.compile(
    "(?P<catalogue>(?i:"
    + "|".join(name.replace("-", "[ -]?") for name in sorted(NUMBERED, key=len)[::-1])
    + r"))[ -]*0*(?P<number>[1-9]\d*)(?P<fraction>\.\d{1,2})?"
    + COMPONENT
)
WRITTEN = {name.replace("-", ""): spelling for name, spelling in NUMBERED.items()}

DURCHMUSTERUNG = re.compile(
    r"(?P<survey>(?i:BD|CD|CPD|CORD))[ -]??(?:[ ]?(?P<sign>[+-])[ -]?)?(?P<zone>\d\d|\d(?=[ +-]))"
    r"[ +-]?0*(?P<number>[1-9]\d{0,4})" + COMPONENT
)

PROPER_MOTION = re.compile(
    r"(?P<survey>(?i:LP|L|G))[ -]?0*(?P<field>\d+)-0*(?P<number>\d+)" + COMPONENT
)
TYCHO = re.compile(r"(?i:TYC)[ +-]?0*(\d+)[ -]0*(\d+)[ -](\d)")
TWO_MASS = re.compile(r"(?i:2MASSW?[ -]?J?)(\d{8}[+-]\d{7})")
GAIA = re.compile(r"(?i:GAIA)[ -]?(?i:E?DR)[ -]?([1-4])[ -]?(\d+)")
GUIDE_STAR = re.compile(r"(?i:GSC)[ -]?0*(\d{1,5})-0*(\d{1,5})")
METAL_POOR = re.compile(r"(?i:BPS )?(?i:(CS|BS))[ -]?(\d{5})-0*(\d{1,4})")
POSITION = re.compile(r"(?P<survey>(?i:IRAS|1RXS|1SWASP|SDSS|ASAS|HE))[ -]?([Jj]?[\d.]+[+-][\d.]+)")
CLUSTER = re.compile(r"(?P<cluster>(?i:NGC|IC|MELOTTE))[ -]?(\d+)(?:[ -]?(?i:NO)[. -]*| )(\d+)")

CONSTELLATION = "(?P<constellation>" + "|".join(sorted(CONSTELLATIONS, key=len)[::-1]) + ")"
BAYER = re.compile(
    "(?P<greek>" + "|".join(sorted(GREEK, key=len)[::-1]) + r")\.?0?(?P<index>\d)?"
    + CONSTELLATION + r"(?P<component>[A-H]{1,2})?"
)  # fmt: skip
FLAMSTEED = re.compile(
    r"0*(?P<number>[1-9]\d{0,2})" + CONSTELLATION + r"(?P<component>[A-H]{1,2})?"
)
LATIN = re.compile(r"(?P<letter>[A-Q])(?P<index>\d)?" + CONSTELLATION)
VARIABLE = re.compile(
    r"(?P<letters>V\d{3,4}|[R-Z]|[A-IK-Z]{2})" + CONSTELLATION + r"(?P<component>[A-H]{1,2})?"
)


@lru_cache(maxsize=1 << 16)
def parse(name: str | None) -> StarName | None:
    """The star that a name means, or None if it is no name of one star.

    Blanks, underscores and the case of letters make no difference, with one exception: a small
    letter from b to h after a blank or a digit, in a name with capital letters, is a planet
    (``"HD 189733b"``, ``"51 Peg b"``) and is left off, while a component (``"HD 165341B"``,
    ``"gl667c"``) is kept.

    Parameters
    ----------
    name : str or None
        As the observer wrote it.

    Returns
    -------
    StarName or None
        None for the Sun and what shines by its light, lamps, tests, numbers of no catalogue and
        nothing at all.

    Examples
    --------
    >>> parse("Gl581")
    StarName(text='GJ 581', catalogue='GJ')
    >>> parse("IOTHOR")
    StarName(text='* iot Hor', catalogue='Bayer')
    >>> parse("WAVE,THAR,THAR") is None
    True
    """
    written = _tidy(name)
    if star := _numbered(written):
        return star
    squeezed = re.sub("[ -]", "", written).upper()
    if NOT_STARS.fullmatch(squeezed) or written.isdigit():
        return None
    return _constellation(squeezed) or StarName(written.upper(), None)


def canonical(name: str | None) -> str | None:
    """The same text for all ways to write a name, SIMBAD's where it can be; None for no star.

    See `parse` for what is understood.

    Examples
    --------
    >>> [canonical(name) for name in ("HD128621", "hd_128621", "alpha Cen B", "* alf Cen B")]
    ['HD 128621', 'HD 128621', '* alf Cen B', '* alf Cen B']
    >>> canonical("BD-074003"), canonical("CD-3812220"), canonical("SKY")
    ('BD-07 4003', 'CD-38 12220', None)
    """
    star = parse(name)
    return None if star is None else star.text


def canonical_array(names: pa.Array | pa.ChunkedArray) -> pa.Array:
    """`canonical` of each of many names, each different one read once.

    Parameters
    ----------
    names : pyarrow.Array
        Of strings.

    Returns
    -------
    pyarrow.Array
        Of strings, as many.
    """
    if isinstance(names, pa.ChunkedArray):
        names = names.combine_chunks()
    encoded = names.dictionary_encode()
    different = pa.array(
        [canonical(name) for name in encoded.dictionary.to_pylist()], type=pa.string()
    )
    return different.take(encoded.indices)


def spellings(name: str | None) -> list[str]:
    """Under which identifiers SIMBAD may know a name, the most likely first; none for no star.

    SIMBAD reads identifiers without regard to blanks and to the case of a catalogue's acronym, and
    knows single names after ``NAME`` and letters of constellations after ``*`` or ``V*``
    (https://simbad.cds.unistra.fr/guide/ch04.htx).

    Examples
    --------
    >>> spellings("Procyon")
    ['PROCYON', 'NAME Procyon', 'Procyon']
    >>> spellings("L2 Pup")
    ['V* L02 Pup', '* L02 Pup', '* l02 Pup']
    """
    star = parse(name)
    if star is None:
        return []
    found = [star.text]
    if star.catalogue is None:
        written = _tidy(name)
        found += [f"NAME {written}", f"NAME {capwords(written)}", written]
    elif star.catalogue == "Bayer":
        found.append(f"V{star.text}")
    elif star.catalogue == "Latin":
        letter, constellation = star.text.split()
        lettered = letter[0] + (f"0{letter[1]}" if letter[1:] else "") + f" {constellation}"
        found = [f"V* {lettered}", f"* {lettered}", f"* {lettered[0].lower()}{lettered[1:]}"]
    return list(dict.fromkeys(found))


def _tidy(name: str | None) -> str:
    """The name with single blanks, Latin letters and without SIMBAD's ``*``, ``V*``, ``NAME``.

    ``(AB)`` after a name is the double star as a whole, which the name without it is too.
    """
    text = name or ""
    if not text.isascii():
        # Capitals first: the small form of some is a mark, as that of iota below a vowel.
        text = "".join(letter if letter.isascii() else letter.upper() for letter in _plain(text))
        text = _plain(GREEK_LETTERS.sub(_latin, DASHES.sub("-", _plain(text))))
    text = " ".join(text.replace("_", " ").split()).strip(" -")
    if text[-1:] in "bcdefgh" and text != text.lower():
        text = PLANET.sub("", text)
    return SIMBADS.sub("", BOTH.sub("", text))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _latin(letter: re.Match[str]) -> str:
    return unicodedata.name(letter[0]).rsplit(" ", 1)[-1].lower()


def _component(match: re.Match[str]) -> str:
    return (match["component"] or "").upper()


def _numbered(written: str) -> StarName | None:
    """A name that is a number in a catalogue."""
    if match := NUMBER.fullmatch(written):
        acronym, before, between = WRITTEN[re.sub("[ -]", "", match["catalogue"]).upper()]
        component = _component(match)
        # .01 after a TESS or Kepler object of interest is its first planet.
        fraction = "" if acronym in ("TOI", "KOI") else match["fraction"] or ""
        ending = between + component if component else ""
        return StarName(f"{acronym}{before}{match['number']}{fraction}{ending}", acronym)
    if match := DURCHMUSTERUNG.fullmatch(written):
        survey = match["survey"].upper().replace("CORD", "CD")
        sign = match["sign"] or ("+" if survey == "BD" else "-")
        zone = f"{survey}{sign}{int(match['zone']):02d}"
        return StarName(f"{zone} {match['number']}{_component(match)}", survey)
    if match := PROPER_MOTION.fullmatch(written):
        survey = match["survey"].upper()
        ending = _component(match)
        return StarName(f"{survey} {match['field']}-{match['number']}{ending}", survey)
    if match := TYCHO.fullmatch(written):
        return StarName(f"TYC {match[1]}-{match[2]}-{match[3]}", "TYC")
    if match := TWO_MASS.fullmatch(written):
        return StarName(f"2MASS J{match[1]}", "2MASS")
    if match := GAIA.fullmatch(written):
        release = f"Gaia DR{match[1]}"
        return StarName(f"{release} {match[2]}", release)
    if match := GUIDE_STAR.fullmatch(written):
        return StarName(f"GSC {int(match[1]):05d}-{int(match[2]):05d}", "GSC")
    if match := METAL_POOR.fullmatch(written):
        return StarName(f"BPS {match[1].upper()} {match[2]}-{int(match[3]):04d}", "BPS")
    if match := POSITION.fullmatch(written):
        survey = match["survey"].upper()
        return StarName(f"{survey} {match[2].upper()}", survey)
    if match := CLUSTER.fullmatch(written):
        return StarName(f"{match['cluster'].upper()} {match[2]} No {match[3]}", "cluster")
    return None


def _constellation(squeezed: str) -> StarName | None:
    """A star named by a letter or a number in its constellation."""
    if match := BAYER.fullmatch(squeezed):
        letter = GREEK[match["greek"]] + (f"0{match['index']}" if match["index"] else "")
        text, catalogue = f"* {letter}", "Bayer"
    elif match := FLAMSTEED.fullmatch(squeezed):
        text, catalogue = f"* {match['number']}", "Flamsteed"
    elif (match := VARIABLE.fullmatch(squeezed)) and _is_variable(match["letters"]):
        text, catalogue = f"V* {match['letters']}", "variable"
    elif match := LATIN.fullmatch(squeezed):
        # Which of the capital and the small letter is meant, writers do not keep apart.
        short = CONSTELLATIONS[match["constellation"]]
        return StarName(f"{match['letter']}{match['index'] or ''} {short}", "Latin")
    else:
        return None
    ending = f" {match['component']}" if match["component"] else ""
    return StarName(f"{text} {CONSTELLATIONS[match['constellation']]}{ending}", catalogue)


def _is_variable(letters: str) -> bool:
    """Whether these are letters of a variable star: one from R, or two of which none goes back."""
    return len(letters) != 2 or letters[0] <= letters[1]
