"""Line lists of users: the formats by hand-written examples, and what they do to a spectrum."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from maury.errors import SynthesisError
from maury.synthesis.elements import SYMBOLS, isotope_fraction
from maury.synthesis.linelist import LineList, merge_lines, standard_lines
from maury.synthesis.linelist_files import read_lines
from maury.synthesis.synthesize import synthesize
from maury.wavelength import air_to_vacuum

#: In columns of ten, as linemake writes them; the vdW of the second line is log10 of the width.
MOOG = """\
title of the list
  6173.334      26.0     2.223    -2.880                                  comment
  6162.173      20.0     1.899    -0.090    -7.200
  6150.100      22.1     2.048    -1.400       2.5
  6707.761    3.0007     0.000    -0.009
  5100.249 112.00124     0.607     0.520               1.340
"""
VALD_HEAD = """\
                                                                   Lande factors      Damping parameters
Elm Ion      WL_{medium}(A)   log gf* E_low({unit}) J lo  E_up({unit}) J up  lower  upper   mean   Rad.  Stark  Waals
"""  # noqa: E501
VALD_STELLAR = """\
 6160.00000, 6175.00000, {count}, 6413, 1.0 Wavelength region, lines selected, lines processed, Vmicro
                                                                       Lande factors       Damping parameters   Central
Spec Ion        WL_air(A)  log gf* E_low(eV) J lo E_up(eV)  J up   lower   upper   mean   Rad.   Stark   Waals   depth
"""  # noqa: E501
VALD_FE = """\
'Fe 1',       {wave:.4f},  -2.880, {low:10.4f},  1.0,  4.2306,  0.0,  2.500,  0.000,  2.500, 8.310,-6.160, {waals},
'  LS                                                                 3d7.(4P).4s a5P'
'  LS                                                        3d6.(5D).4s.4p.(3P*) y5D*'
'_          Kurucz FeI 2014    7 wl:K14   7 gf:FMW   7 K14   7 K14   7 K14   7 K14  (56)Fe  '
"""  # noqa: E501
VALD_TIO = """\
'TiO 1',      6172.0000,  -0.500,  0.1000, 12.5,  2.1000, 13.5, 99.000, 99.000, 99.000, 0.000, 0.000, 0.000,
  Hb                                                 3s2.4s2.1p4.5s1          X,2,0,e,12,1
  Hb                                                 3s2.4s1.1p4.5s2          B,2,0,e,13,2
'_                             6 wl:BRW   6 gf:BRW   6 BRW   6 BRW   6 BRW   (48)Ti(16)O'
"""  # noqa: E501
VALD_FOOT = "* oscillator strengths were {}scaled by the solar isotopic ratios.\n References:\n"
TURBOSPECTRUM = """\
'  26.000            '    1         2
'Fe I    LTE'
  6173.334  2.223 -2.880  281.266    1.0  2.04E+08 'p' 's'   0.0    1.0 'Fe I LS:3d7.(4P).4s a5P'
  6180.203  2.727 -2.586    2.500    7.0  0.00E+00 'p' 's'   0.0    1.0 'Fe I LS:3d7.4s a3G'
'   3.007            '    1         1
'Li I    LTE'
  6707.764  0.000 -0.002 -7.500    4.0  3.63E+07 -5.78 'p' 'd'   0.0    1.0 'Li I LS:1s2.2s 2S'
'0822.016048 '            1      2
'48TiO'
  6158.500  0.100  -0.500  0.00   48.0  1.00e+00
  6159.100  0.200  -0.600  0.00   48.0  1.00e+00
"""


def write(tmp_path: Path, text: str, name: str = "mine.list") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def vald(medium: str = "air", unit: str = "eV", waals: str = "281.266", scaled: bool = True) -> str:
    air = np.array([6173.3340])
    wave = air[0] if medium == "air" else air_to_vacuum(air)[0]
    low = 2.223 if unit == "eV" else 2.223 * 8065.544
    text = VALD_HEAD.format(medium=medium, unit=unit)
    text += VALD_FE.format(wave=wave, low=low, waals=waals) + VALD_TIO
    return text + VALD_FOOT.format("" if scaled else "NOT ")


def line(lines: LineList, species: str, nth: int = 0) -> dict[str, float]:
    i = np.flatnonzero(lines.species_index == lines.species.index(species))[nth]
    names = ("wavelength", "excitation", "log_gf", "mass", "gamma_rad", "gamma_stark", "gamma_vdw")
    return {name: getattr(lines, name)[i] for name in (*names, "vdw_exponent")}


@pytest.mark.parametrize("format", [None, "moog"])
def test_moog(tmp_path: Path, format: str | None) -> None:
    lines = read_lines(write(tmp_path, MOOG), format)
    assert lines.species == ("Ca I", "Fe I", "Li I", "MgH", "Ti II")
    assert np.all(np.diff(lines.wavelength) > 0)
    iron = line(lines, "Fe I")
    assert (iron["wavelength"], iron["excitation"], iron["log_gf"]) == (6173.334, 2.223, -2.88)
    assert iron["gamma_rad"] == pytest.approx(2.223e15 / 6173.334**2)
    assert line(lines, "Ca I")["gamma_vdw"] == pytest.approx(10**-7.2)
    assert line(lines, "Li I")["log_gf"] == pytest.approx(-0.009 + np.log10(0.9241))
    hydride = line(lines, "MgH")
    assert hydride["log_gf"] == pytest.approx(0.52 + np.log10(0.7899 * 0.999885))
    assert hydride["mass"] == pytest.approx(25.313)
    assert (hydride["gamma_stark"], hydride["gamma_vdw"]) == (0, 0)


def test_moogs_van_der_waals_number_has_four_meanings(tmp_path: Path) -> None:
    """Damping.f: nothing, C6, the width itself, a factor to C6."""
    rows = [
        f"  6173.334      26.0     2.223    -2.880{x:>10}\n" for x in ("", "3E-31", "3E-8", "32")
    ]
    lines = read_lines(write(tmp_path, "title\n" + "".join(rows)))
    unknown, c6, width, factor = lines.gamma_vdw
    # The mean speed of Fe and H towards each other at 10,000 K is 14.6 km/s.
    assert c6 == pytest.approx(17 * 3e-31**0.4 * 14.6e5**0.6, rel=0.01)
    assert width == pytest.approx(3e-8)
    assert factor / unknown == pytest.approx(32**0.4 / 2.5)


def test_moog_in_free_format_with_wavenumbers(tmp_path: Path) -> None:
    text = "title\n6173.3343 26.0 17927.38 -2.88\n5895.924 11.0 0.0 -0.194 -7.1 0 99.\n"
    lines = read_lines(write(tmp_path, text))
    assert line(lines, "Fe I")["excitation"] == pytest.approx(2.2227, abs=1e-4)
    assert line(lines, "Na I")["gamma_vdw"] == pytest.approx(10**-7.1)


@pytest.mark.parametrize("medium", ["air", "vac"])
@pytest.mark.parametrize("unit", ["eV", "cm^-1"])
def test_vald_extract_all(tmp_path: Path, medium: str, unit: str) -> None:
    lines = read_lines(write(tmp_path, vald(medium, unit)))
    iron = line(lines, "Fe I")
    assert iron["wavelength"] == pytest.approx(6173.334, abs=2e-4)
    assert iron["excitation"] == pytest.approx(2.223, abs=1e-5)
    assert iron["log_gf"] == -2.88
    assert iron["gamma_rad"] == pytest.approx(10**8.31)
    assert iron["gamma_stark"] == pytest.approx(10**-6.16)
    # Anstee & O'Mara's width for 281.266, in SI below: 2.04e-8 s-1 cm3 at 10,000 K.
    assert iron["gamma_vdw"] == pytest.approx(anstee_omara(281, 0.266, 55.845), rel=1e-4)
    assert iron["vdw_exponent"] == pytest.approx((1 - 0.266) / 2)
    oxide = line(lines, "TiO")
    assert (oxide["log_gf"], oxide["gamma_stark"], oxide["gamma_vdw"]) == (-0.5, 0, 0)


def anstee_omara(sigma: float, alpha: float, mass: float) -> float:
    """Full width per hydrogen atom at 10,000 K, Anstee & O'Mara 1995, Eq. 1."""
    from math import gamma, pi, sqrt

    from scipy import constants as c

    reduced = c.atomic_mass * mass * 1.008 / (mass + 1.008)
    speed = sqrt(8 * c.k * 1e4 / (pi * reduced))
    area = sigma * c.physical_constants["Bohr radius"][0] ** 2
    half = (
        (4 / pi) ** (alpha / 2) * gamma(2 - alpha / 2) * 1e4 * area * (speed / 1e4) ** (1 - alpha)
    )
    return 2 * half * 1e6


def test_vald_extract_stellar(tmp_path: Path) -> None:
    text = VALD_STELLAR.format(count=1) + VALD_FE.format(wave=6173.334, low=2.223, waals="-7.69")
    text += "'castelli_ap00k2_T05750G40.krz',\n'H :  0.92','He: -1.11',\n" + VALD_FOOT.format("")
    lines = read_lines(write(tmp_path, text))
    assert len(lines) == 1
    assert line(lines, "Fe I")["gamma_vdw"] == pytest.approx(10**-7.69)


def test_vald_scales_by_isotope_where_it_has_not(tmp_path: Path) -> None:
    lines = read_lines(write(tmp_path, vald(scaled=False)))
    assert line(lines, "Fe I")["log_gf"] == pytest.approx(-2.88 + np.log10(0.91754))
    assert line(lines, "TiO")["log_gf"] == pytest.approx(-0.5 + np.log10(0.7372 * 0.99757))


def test_turbospectrum(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt.gz"
    path.write_bytes(gzip.compress(TURBOSPECTRUM.encode()))
    lines = read_lines(path)
    assert lines.species == ("Fe I", "Li I", "TiO")
    iron, other = line(lines, "Fe I"), line(lines, "Fe I", 1)
    assert iron["gamma_rad"] == 2.04e8
    assert iron["gamma_vdw"] == pytest.approx(anstee_omara(281, 0.266, 55.845), rel=1e-4)
    assert other["gamma_rad"] == pytest.approx(2.223e15 / 6180.203**2)
    assert other["vdw_exponent"] == 0.3
    lithium = line(lines, "Li I")
    assert lithium["log_gf"] == pytest.approx(-0.002 + np.log10(0.9241))
    assert lithium["gamma_stark"] == pytest.approx(10**-5.78)
    assert lithium["gamma_vdw"] == pytest.approx(10**-7.5)
    oxide = line(lines, "TiO", 1)
    assert oxide["log_gf"] == pytest.approx(-0.6 + np.log10(0.7372 * 0.99757))
    assert oxide["mass"] == pytest.approx(63.866)


def test_hydrogen_is_left_to_its_own_profiles(tmp_path: Path) -> None:
    text = MOOG + "  6562.801       1.0    10.199     0.710\n"
    assert "H I" not in read_lines(write(tmp_path, text)).species


def test_isotopes_add_up_to_their_elements() -> None:
    for symbol in SYMBOLS:
        try:
            total = sum(_fractions(symbol))
        except KeyError:
            continue
        assert total == pytest.approx(1.0, abs=2e-3), symbol


def _fractions(symbol: str) -> list[float]:
    found = []
    for isotope in range(1, 245):
        try:
            found.append(isotope_fraction(symbol, isotope))
        except KeyError:
            continue
    if not found:
        raise KeyError(symbol)
    return found


def test_merging_adds_or_replaces(tmp_path: Path) -> None:
    base = standard_lines().between(6100.0, 6250.0)
    own = read_lines(write(tmp_path, TURBOSPECTRUM)).between(6100, 6250)
    added = merge_lines(base, own, "add")
    assert len(added) == len(base) + 4
    assert "TiO" in added.species
    assert np.all(np.diff(added.wavelength) >= 0)
    replaced = merge_lines(base, own)
    iron = replaced.wavelength[replaced.species_index == replaced.species.index("Fe I")]
    inside = (iron >= 6158.5) & (iron <= 6180.203)
    np.testing.assert_array_equal(iron[inside], [6173.334, 6180.203])
    old = base.wavelength[base.species_index == base.species.index("Fe I")]
    assert (~inside).sum() == ((old < 6158.5) | (old > 6180.203)).sum()
    for name in ("Ca I", "Ni I"):
        assert (replaced.species_index == replaced.species.index(name)).sum() == (
            base.species_index == base.species.index(name)
        ).sum()
    with pytest.raises(SynthesisError, match="by 'add' or 'replace', not by 'drop'"):
        merge_lines(base, own, "drop")


def test_own_lines_written_as_turbospectrum_give_the_same_spectrum(tmp_path: Path) -> None:
    """The embedded Fe I lines of a window, through a file and back in their place."""
    base = standard_lines().between(6150.0, 6200.0)
    iron = base.select(base.species_index == base.species.index("Fe I"))
    text = f"'  26.000            '    1    {len(iron):6d}\n'Fe I    LTE'\n"
    for i in range(len(iron)):
        text += f"{iron.wavelength[i]:11.4f} {iron.excitation[i]:7.4f} {iron.log_gf[i]:8.4f} "
        text += f"{np.log10(iron.gamma_vdw[i]):8.3f} 1.0 {iron.gamma_rad[i]:9.3E} "
        text += f"{np.log10(iron.gamma_stark[i]):7.3f} 'x' 'x' 0.0 1.0 'Fe I'\n"
    merged = merge_lines(base, read_lines(write(tmp_path, text)))
    assert len(merged) == len(base)
    star = {"teff": 5777, "logg": 4.44, "normalized": True}
    window = np.arange(6170.0, 6176.0, 0.01)
    before = synthesize(**star, wavelength=window, lines=base)
    after = synthesize(**star, wavelength=window, lines=merged)
    # The power of T of the ABO widths, 0.37 for 0.3, is lost on the way.
    np.testing.assert_allclose(after.flux, before.flux, atol=3e-3)


def broken(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title only\n", "holds no line that can be used"),
        ("title\n  6562.801       1.0    10.199     0.710\n", "holds no line that can be used"),
        (broken(MOOG, "1.899", "wrong"), r"line 3, reads '6162.173 .*must stand there"),
        (broken(MOOG, "112.00124", "128.0    "), r"species '128\.0?', which is not known; .* TiO"),
        (broken(MOOG, "26.0", "99.0"), r"species '99"),
        (broken(MOOG, "22.1", "22.5"), r"species '22"),
        (broken(MOOG, " 3.0007", " 3.0009"), "isotope 9 of Li, which is not found in nature"),
        (
            broken(MOOG, "-2.880", "88.00"),
            r"6173.33 A with a log gf of 88; allowed is -200 to 10\.",
        ),
        (broken(MOOG, "6173.334", "0.000000"), "wavelength of 0 A; allowed is 100"),
        (broken(vald(), "WL_air(A)", "WL_air(nm)"), "wavelengths in A and energies in eV"),
        (broken(vald(), "E_low(eV)", "Excit(eV)"), "VALD's long format is read"),
        (broken(vald(), "* oscillator", ""), "cut short: VALD says below the lines"),
        (broken(vald(), "8.310", "x"), "line 3, reads .*12 numbers must follow the species"),
        (broken(vald(), "'TiO 1'", "'NiH 1'"), "species 'NiH 1', which is not known"),
        (broken(vald(), "'Fe 1'", "'Fe 4'"), "species 'Fe 4', which is not known"),
        (broken(vald(scaled=False), "(56)Fe", "(99)Fe"), "isotope 99 of Fe"),
        (VALD_STELLAR.format(count=7) + VALD_FOOT.format(""), "announces 7 lines, but 0 are there"),
        (broken(TURBOSPECTRUM, "1         2", "1        50"), "cut short: it announces 50 lines"),
        (broken(TURBOSPECTRUM, "1         2", "1         3"), r"line 5, reads .*must stand there"),
        (broken(TURBOSPECTRUM, "1         2", "1         1"), r"line 4, reads .*must stand there"),
        (broken(TURBOSPECTRUM, "-2.880", "-2.88O"), r"line 3, reads .*must stand there"),
        (broken(TURBOSPECTRUM, "-2.880", "nan   "), "log gf of nan"),
        (broken(TURBOSPECTRUM, "0822.016048", "0128.001058"), r"species '0128.001058'"),
        (broken(TURBOSPECTRUM, "3.007", "3.017"), "isotope 17 of Li"),
        (TURBOSPECTRUM[:300], r"cut short|must stand there"),
    ],
)
def test_mistakes_are_told_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SynthesisError, match=message) as caught:
        read_lines(path)
    told = str(caught.value)
    assert str(path) in told
    assert "\n" not in told
    assert told.endswith(".")


def test_a_format_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(
        SynthesisError, match="'kurucz' is no format of line lists: allowed are moog"
    ):
        read_lines(write(tmp_path, MOOG), "kurucz")
    with pytest.raises(SynthesisError, match="is no VALD list"):
        read_lines(write(tmp_path, MOOG), "vald")
