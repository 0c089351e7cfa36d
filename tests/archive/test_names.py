"""Names of stars in all the ways in which they are written."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from maury.archive.names import NUMBERED, canonical, canonical_array, parse, spellings

# Names as HARPS's observers, SIMBAD and the literature write them; the first is SIMBAD's way.
SAME = [
    ["HD 128621", "HD128621", "hd_128621", "HD-128621", "HDE 128621", "HD  128621", " HD 128621 "],
    ["* alf Cen B", "alf Cen B", "alpha Cen B", "ALPHACENB", "alpha Centauri B", "α Cen B"],
    ["GJ 581", "Gl581", "Gl 581", "Gliese 581", "GJ-581", "GJ   581"],
    ["GJ 83.1", "Gl83.1", "GL 83.1"],
    ["GJ 667 C", "Gl667C", "gj667c", "GJ 667C"],
    ["HIP 71681", "HIP71681", "HIP-71681", "hip_71681", "HIP--71681", "HIC 71681"],
    ["HD 20", "HD000020", "HD 00020"],
    ["BD-07 4003", "BD-074003", "BD -07 4003", "BD-07_4003", "BD-07  4003", "bd-07-4003"],
    ["BD+08 456", "BD+08456", "BD+08 0456", "BD+8 456"],
    ["CD-38 12220", "CD-3812220", "CD-38_12220", "CD3812220"],
    ["CPD-64 120", "CPD-64120", "CPD-64 120"],
    ["BD-15 5584B", "BD-155584B", "BD-15 5584 B"],
    ["TOI-700", "TOI 700", "TOI700", "toi-700", "TOI-700.01"],
    ["WASP-14", "WASP14", "WASP 14", "wasp_14"],
    ["HAT-P-11", "HATP11", "HAT-P 11", "HAT_P_11"],
    ["CoRoT-7", "CoRoT-Exo-7", "COROT 7"],
    ["K2-18", "K2 18", "k2_18"],
    ["Kepler-16", "Kepler-16 (AB)", "KEPLER 16"],
    ["OGLE-TR-56", "OGLE TR 56", "ogle_tr_56"],
    ["TIC 12345", "TIC12345", "tic-12345", "TIC 00012345"],
    [
        "Gaia DR3 4472832130942575872",
        "GAIA DR3 4472832130942575872",
        "gaia_edr3_4472832130942575872",
    ],
    ["2MASS J20004297+2242342", "2MASSJ20004297+2242342", "2MASS 20004297+2242342"],
    ["TYC 9412-59-1", "TYC+9412-59-1", "TYC 9412-00059-1", "tyc_9412_59_1"],
    ["GSC 08047-00232", "GSC8047-0232", "GSC_08047-00232"],
    ["LP 816-60", "LP816-60", "lp 816-60"],
    ["BPS CS 22948-0027", "CS-22948-0027", "cs22948-27"],
    ["* iot Hor", "IOTHOR", "iota Hor", "iot_Hor", "ι Hor"],
    ["* zet01 Ret", "ZET1RET", "zeta1 Reticuli"],
    ["* mu. Ara", "mu Ara", "MUARA", "mu. Ara"],
    ["* ksi Phe A", "Xi-Phe-A", "ksi Phe A"],
    ["* 55 Cnc", "55Cnc", "55 Cancri", "*  55 Cnc"],
    ["V* V982 Cen", "V982_Cen", "V982 Cen", "V982Cen"],
    ["V* TW Hya", "TWHya", "TW Hydrae", "TW_HYA"],
    ["V* R Mus", "R_Mus", "RMus"],
    ["NGC 2506 No 2309", "NGC2506No.2309", "NGC 2506 2309"],
    ["PROCYON", "Procyon", "NAME Procyon", "procyon"],
]

NOT_STARS = """
    SUN|Sun-sky|solar_spectrum|Sun_spectra_pol_circ|MOON|The-moon|SKY|Sky_spectra|Ceres|vesta20111108
    6-Hebe|Ganimede|comet|WAVE,THAR,THAR|LAMP,LAMP,TUN|ETALON|FP|BIAS|DARK|FLAT|STD|Test600sec
    TEST|focus_test|test_lor|5min_stab1|No-Name|NONE|OBJECT||  |---|620|102734
"""


@pytest.mark.parametrize("names", SAME, ids=lambda names: names[0])
def test_all_ways_to_write_a_name_are_one(names):
    assert {canonical(name) for name in names} == {names[0]}


@pytest.mark.parametrize(
    "name", [n for line in NOT_STARS.strip().splitlines() for n in line.split("|")]
)
def test_what_is_no_star_has_no_name(name):
    assert canonical(name) is None
    assert spellings(name) == []


def test_no_name_is_no_star():
    assert canonical(None) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HD 128620", "HD 128621"),
        ("HD 165341A", "HD 165341B"),
        ("HD 165341", "HD 165341B"),
        ("* alf Cen A", "* alf Cen B"),
        ("GJ 667 A", "GJ 667 C"),
        ("BD+07 2411", "BD-07 2411"),
        ("HATS-5", "HATS5-005"),
        ("* eta Ori", "* zet Ori"),
        ("TOI-700", "TIC 700"),
    ],
)
def test_different_stars_have_different_names(one, other):
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("planet", "star"),
    [
        ("HD189733b", "HD 189733"),
        ("TOI-700 d", "TOI-700"),
        ("TOI-700.02", "TOI-700"),
        ("51 Peg b", "* 51 Peg"),
        ("tau Cet_e", "* tau Cet"),
        ("Proxima Centauri b", "PROXIMA CENTAURI"),
        ("Kepler-16 (AB) b", "Kepler-16"),
        ("kepler-16 (ab)", "Kepler-16"),
    ],
)
def test_a_planet_is_left_off(planet, star):
    assert canonical(planet) == star


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("HD165341B", "HD 165341B"),
        ("gl667c", "GJ 667 C"),
        ("alpha cen b", "* alf Cen B"),
        ("AlphaCenB", "* alf Cen B"),
        ("WASP-94 B", "WASP-94 B"),
        ("61 Cyg A", "* 61 Cyg A"),
    ],
)
def test_a_component_is_kept(written, name):
    assert canonical(written) == name


def test_names_of_stars_that_look_like_tests_or_the_sky_are_names():
    for name in ("SUNNY STAR 1", "VESTAL", "Skye", "MUSICA", "Marsic 1", "IOTA 7"):
        assert canonical(name) == name.upper()


@pytest.mark.parametrize("name", [names[0] for names in SAME])
def test_a_canonical_name_says_its_catalogue_and_is_the_first_spelling(name):
    star = parse(name)
    assert star.text == name
    assert (star.catalogue is None) == (name == "PROCYON")
    assert spellings(name)[0] == name


def test_a_letter_of_a_constellation_is_asked_for_as_a_small_and_a_capital_one():
    assert spellings("l Car") == ["V* L Car", "* L Car", "* l Car"] == spellings("L-CAR")


TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@given(TEXT)
@example("\u0345")
@example("\u0390")
def test_a_canonical_name_stays_what_it_is(text):
    name = canonical(text)
    assert name is None or canonical(name) == name


@given(
    st.sampled_from([name for names in SAME for name in names]),
    st.sampled_from([str, str.upper, str.lower]),
    st.data(),
)
def test_blanks_underscores_and_case_make_no_difference(name, case, data):
    blanks = st.sampled_from([" ", "_", "  ", "_ ", "\t"])
    words = case(name).replace("_", " ").split()
    again = data.draw(blanks) + "".join(word + data.draw(blanks) for word in words)
    assert canonical(again) == canonical(name)


@given(
    st.sampled_from(sorted(NUMBERED)),
    st.integers(1, 999_999),
    st.sampled_from(["", "A", "B", "C"]),
    st.sampled_from(["-", " ", "_"]),
)
def test_numbers_and_components_are_kept(catalogue, number, component, between):
    acronym, before, _ = NUMBERED[catalogue]
    name = canonical(f"{catalogue}{between}{number}{component}")
    assert name.startswith(f"{acronym}{before}{number}")
    assert name.endswith(component or str(number))


def test_many_names_are_read_as_one_by_one():
    names = ["HD128621", None, "SKY", "HD_128621", "Gl581", "HD128621", ""]
    expected = [canonical(name) for name in names]
    assert canonical_array(pa.array(names)).to_pylist() == expected
    chunked = pa.chunked_array([names[:3], names[3:]], type=pa.string())
    assert canonical_array(chunked).to_pylist() == expected
    assert canonical_array(pa.array([], type=pa.string())).to_pylist() == []
