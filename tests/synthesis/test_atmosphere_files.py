"""Model atmospheres of users: what our own grid's models are when written as ATLAS and MARCS do."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from maury.errors import SynthesisError
from maury.synthesis.atmosphere import Atmosphere, model_atmosphere
from maury.synthesis.atmosphere_files import read_atmosphere
from maury.synthesis.synthesize import synthesize

WINDOW = np.arange(5180.0, 5187.0, 0.02)
K_B = 1.380649e-16

ATLAS_HEADER = """\
TEFF   {teff:.0f}.  GRAVITY {logg:.5f} LTE
TITLE  [{mh:+.1f}] VTURB=2  L/H=1.25 NOVER NEW ODF
 OPACITY IFOP 1 1 1 1 1 1 1 1 1 1 1 1 1 0 1 0 0 0 0 0
 CONVECTION ON   1.25 TURBULENCE OFF  0.00  0.00  0.00  0.00
ABUNDANCE SCALE   {scale:.5f} ABUNDANCE CHANGE 1 0.92040 2 0.07834
 ABUNDANCE CHANGE  9  -7.48 10  -3.96 11  -5.71 12  {mg:5.2f} 13  -5.57 14  {si:5.2f}
 ABUNDANCE CHANGE 15  -6.59 16  -4.71 17  -6.54 18  -5.64 19  -6.92 20  {ca:5.2f}
 ABUNDANCE CHANGE 21  -8.87 22  -7.02 23  -8.04 24  {cr:5.2f} 25  -6.65 26  -4.54
 ABUNDANCE CHANGE 27  -7.12 28  {ni:5.2f} 29  -7.83 30  -7.44 31  -9.16 32  -8.63
READ DECK6 {count} RHOX,T,P,XNE,ABROSS,ACCRAD,VTURB, FLXCNV,VCONV,VELSND
"""

MARCS_HEADER = """\
{geometry}{teff:.0f}_g{logg:+.1f}_m{mass:.1f}_t01_st_z{mh:+.2f}_a{alpha:+.2f}_c+0.00_n+0.00_o+0.00
{teff:7.0f}.      Teff [K].         Last iteration; yyyymmdd=20080519
  6.3157E+10 Flux [erg/cm2/s]
{gravity:12.4E} Surface gravity [cm/s2]
  1.0        Microturbulence parameter [km/s]
{mass_line}
 {mh:+.2f} {alpha:+.2f} Metallicity [Fe/H] and [alpha/Fe]
{radius_line}
  2.0783E-22 Luminosity [Lsun] FOR A RADIUS OF 1 cm!
  1.50 8.00 0.076 0.00 are the convection parameters: alpha, nu, y and beta
  0.73826 0.24954 1.22E-02 are X, Y and Z, 12C/13C=89 (=solar)
Logarithmic chemical number abundances, H always 12.00
  12.00  10.93   1.05   1.38   2.70   8.39   7.78   8.66   4.56   7.84
{count:4d} Number of depth points
Model structure
"""
PLANE = {
    "geometry": "p",
    "mass": 0.0,
    "mass_line": "  0.0        No mass for plane-parallel models",
    "radius_line": "  1.0000E+00 1 cm radius for plane-parallel models",
}
SPHERE = {
    "geometry": "s",
    "mass": 1.0,
    "mass_line": "  1.0        Mass [Msun]",
    "radius_line": "  3.6526E+11 Radius [cm] at Tau(Rosseland)=1.0",
}


def as_atlas(model: Atmosphere, alpha: float = 0.0, iron_peak: float = 0.0) -> str:
    """A model as ATLAS9 punches it: 1PE15.8, 0PF9.1, 1P8E10.3."""
    text = ATLAS_HEADER.format(
        teff=model.teff,
        logg=model.logg,
        mh=model.mh,
        scale=10 ** (model.mh - iron_peak),
        mg=-4.46 + iron_peak + alpha,
        si=-4.49 + iron_peak + alpha,
        ca=-5.68 + iron_peak + alpha,
        cr=-6.37 + iron_peak,
        ni=-5.79 + iron_peak,
        count=model.rhox.size,
    )
    rows = zip(model.rhox, model.temperature, model.pressure, model.electron_density, strict=True)
    for rhox, t, p, n in rows:
        text += f"{rhox:15.8E}{t:9.1f}{p:10.3E}{n:10.3E} 1.691E-05 3.560E-03 2.000E+05"
        text += " 0.000E+00 0.000E+00 2.666E+06\n"
    return text + "PRADK 1.9918E-01\nBEGIN                    ITERATION  15 COMPLETED\n"


def as_marcs(model: Atmosphere, shape: dict = PLANE, alpha: float = 0.0) -> str:
    """A model as MARCS writes it; tau runs into its neighbour where it has two digits."""
    count = model.rhox.size
    text = MARCS_HEADER.format(
        teff=model.teff, logg=model.logg, gravity=10**model.logg, mh=model.mh, alpha=alpha,
        count=count, **shape,
    )  # fmt: skip
    pe = model.electron_density * K_B * model.temperature
    text += " k lgTauR  lgTau5    Depth     T        Pe          Pg         Prad       Pturb\n"
    for k in range(count):
        text += f"{k + 1:3d}{-5 + k / 10:6.2f}{-10.9174 + k / 7:8.4f}{-6.931e7 + k:11.3E}"
        text += f"{model.temperature[k]:8.1f}{pe[k]:12.4E}{model.pressure[k]:12.4E}"
        text += "  1.4884E+00  0.0000E+00\n"
    text += " k lgTauR    KappaRoss   Density   Mu      Vconv   Fconv/F      RHOX\n"
    for k in range(count):
        text += f"{k + 1:3d}{-5 + k / 10:6.2f}  1.8399E-03  1.0006E-09 1.267  0.000E+00 0.00000"
        text += f"{model.rhox[k]:14.6E}\n"
    text += "Assorted logarithmic partial pressures\n k  lgPgas   H I    H-     H2\n"
    return text + "  1  0.274   0.24 -11.83  -2.55\n"


@pytest.fixture(scope="module")
def sun() -> Atmosphere:
    return model_atmosphere(5777, 4.44, 0.0)


@pytest.mark.parametrize("write", [as_atlas, as_marcs])
@pytest.mark.parametrize("star", [(5777, 4.44, 0.0), (4500, 4.5, -1.0), (9000, 4.0, 0.5)])
def test_layers_come_back(tmp_path: Path, write: Callable, star: tuple) -> None:
    model = model_atmosphere(*star)
    path = tmp_path / "star.mod"
    path.write_text(write(model))
    again = read_atmosphere(path)
    for name in ("rhox", "temperature", "pressure", "electron_density"):
        values = getattr(again, name)
        np.testing.assert_allclose(values, getattr(model, name), rtol=6e-4)
        assert values.flags.c_contiguous
        assert values.dtype == np.float64
    assert (again.teff, again.logg) == pytest.approx(star[:2])
    assert again.mh == pytest.approx(star[2], abs=2e-3)
    assert again.alpha == 0
    assert again.vmic == {as_atlas: 2.0, as_marcs: 1.0}[write]


@pytest.mark.parametrize("write", [as_atlas, as_marcs])
def test_the_spectrum_is_that_of_the_grid(tmp_path: Path, sun: Atmosphere, write: Callable) -> None:
    path = tmp_path / "sun.mod"
    path.write_text(write(sun))
    through_grid = synthesize(teff=5777, logg=4.44, wavelength=WINDOW, normalized=True)
    through_file = synthesize(atmosphere=read_atmosphere(path), wavelength=WINDOW, normalized=True)
    np.testing.assert_allclose(through_file.flux, through_grid.flux, atol=1e-3)
    assert through_file.meta.object == through_grid.meta.object


def test_flux_of_the_file_is_that_of_the_grid(tmp_path: Path, sun: Atmosphere) -> None:
    path = tmp_path / "sun.mod"
    path.write_text(as_marcs(sun))
    through_grid = synthesize(teff=5777, logg=4.44, wavelength=WINDOW)
    through_file = synthesize(atmosphere=read_atmosphere(path), wavelength=WINDOW)
    np.testing.assert_allclose(through_file.flux, through_grid.flux, rtol=1e-3)


def test_abundances_are_the_files_unless_given(tmp_path: Path) -> None:
    path = tmp_path / "poor.mod"
    path.write_text(as_atlas(model_atmosphere(5500, 4.5, -1.0), alpha=0.4))
    model = read_atmosphere(path)
    assert (model.mh, model.alpha) == pytest.approx((-1.0, 0.4))
    window = {"wavelength": WINDOW, "normalized": True}
    own = synthesize(atmosphere=model, **window)
    said = synthesize(atmosphere=model, mh=-1.0, alpha=0.4, **window)
    np.testing.assert_array_equal(own.flux, said.flux)
    rich = synthesize(atmosphere=model, teff=5500, logg=4.5, mh=0.0, alpha=0.0, **window)
    assert rich.flux.mean() < own.flux.mean() - 0.02


def test_metals_lowered_one_by_one_count_as_metallicity(tmp_path: Path) -> None:
    """As in ATLAS12, whose scale stays 1."""
    path = tmp_path / "atlas12.mod"
    path.write_text(as_atlas(model_atmosphere(5500, 4.5, -0.5), alpha=0.2, iron_peak=-0.5))
    model = read_atmosphere(path)
    assert (model.mh, model.alpha) == pytest.approx((-0.5, 0.2), abs=2e-3)


def test_a_deck_without_changes_of_metals_is_scaled_solar(tmp_path: Path, sun: Atmosphere) -> None:
    path = tmp_path / "short.mod"
    lines = as_atlas(sun).splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith(" ABUNDANCE")))
    assert (read_atmosphere(path).mh, read_atmosphere(path).alpha) == (0, 0)


def test_a_spherical_model_in_a_packed_file(tmp_path: Path, sun: Atmosphere) -> None:
    path = tmp_path / "sphere.mod.gz"
    path.write_bytes(gzip.compress(as_marcs(sun, SPHERE, alpha=0.4).encode()))
    model = read_atmosphere(path)
    assert (model.teff, model.logg, model.mh, model.alpha) == (5777, 4.44, 0, 0.4)
    np.testing.assert_allclose(model.rhox, sun.rhox, rtol=1e-6)


def broken(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("write", "change", "message"),
    [
        (as_atlas, lambda s: "hello\nworld\n", "no model atmosphere: allowed are ATLAS"),
        (as_atlas, lambda s: s[:200], "cut short: an ATLAS model has a line READ DECK6"),
        (as_atlas, lambda s: s[:2500], "cut short: it announces 72 layers, but line 2"),
        (as_atlas, lambda s: broken(s, "TEFF", "DEFF"), "does not say TEFF"),
        (as_atlas, lambda s: broken(s, "GRAVITY", "LEVITY"), "does not say GRAVITY"),
        (as_atlas, lambda s: broken(s, "SCALE   1", "SCALE  -1"), "ABUNDANCE SCALE -1"),
        (as_atlas, lambda s: broken(s, "XNE", "NEX"), "with RHOX, T, P, XNE among them"),
        (as_atlas, lambda s: broken(s, "DECK6 72", "DECK6 5"), "announces 5 layers, but at least"),
        (as_atlas, lambda s: broken(s, "DECK6 72", "DECK6 900"), "announces 900 layers"),
        (as_atlas, lambda s: broken(s, "GRAVITY 4", "GRAVITY 44"), "log g = 44.44; allowed is -2"),
        (as_atlas, lambda s: broken(s, "TEFF   5777", "TEFF   9"), "Teff = 9; allowed is 1000"),
        (as_marcs, lambda s: s[:600], "cut short: a MARCS model has a line Model structure"),
        (as_marcs, lambda s: s[:3000], "cut short: it announces 72 layers"),
        (as_marcs, lambda s: s[: s.index("KappaRoss")], "no table with the columns RHOX"),
        (as_marcs, lambda s: s[: s.index("Assorted") - 20], "not the complete layer 72"),
        (as_marcs, lambda s: broken(s, "Teff", "Toff"), "does not say Teff"),
        (as_marcs, lambda s: broken(s, " 2.7542E+04 S", " 0.0 S"), "gravity of 0 cm s-2"),
        (as_marcs, lambda s: broken(s, "72 Number", "1E999 Number"), "cut short: it announces"),
    ],
)
def test_broken_files_are_told_in_one_sentence(
    tmp_path: Path, sun: Atmosphere, write: Callable, change: Callable, message: str
) -> None:
    path = tmp_path / "sun.mod"
    path.write_text(change(write(sun)))
    with pytest.raises(SynthesisError, match=message) as caught:
        read_atmosphere(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert text.endswith(".")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("rhox", 1e9, r"column mass of .* in layer 6\d*, but it must increase"),
        ("rhox", -1.0, r"column mass of -1 g cm-2 in layer 5, but it must be positive and finite"),
        ("temperature", 12.0, r"T = 12 K in layer 5; allowed is 1000 to 100000 K"),
        ("pressure", 0.0, r"gas pressure of 0 dyn cm-2 in layer 5"),
        ("electron_density", 0.0, r"electron density of 0 cm-3 in layer 5"),
    ],
)
@pytest.mark.parametrize("write", [as_atlas, as_marcs])
def test_impossible_layers_are_told(
    tmp_path: Path, write: Callable, column: str, value: float, message: str
) -> None:
    model = model_atmosphere(5777, 4.44, 0.0)
    getattr(model, column)[4] = value
    path = tmp_path / "sun.mod"
    path.write_text(write(model))
    with pytest.raises(SynthesisError, match=message):
        read_atmosphere(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"teff": 4500}, r"teff = 4500 contradicts the model atmosphere's 5777"),
        ({"logg": 4.0}, r"logg = 4.0 contradicts the model atmosphere's 4.44"),
        ({"teff": np.nan}, "teff = nan contradicts"),
        ({"mh": 5.0}, "mh = 5 is not allowed"),
        ({"alpha": 5.0}, "alpha = 5 is not allowed"),
    ],
)
def test_a_model_is_not_contradicted(sun: Atmosphere, arguments: dict, message: str) -> None:
    with pytest.raises(SynthesisError, match=message):
        synthesize(atmosphere=sun, wavelength=WINDOW, **arguments)


@pytest.mark.parametrize("given", [{"teff": 5777}, {"logg": 4.4}])
def test_without_a_model_both_parameters_are_needed(given: dict) -> None:
    missing = "logg" if "teff" in given else "teff"
    with pytest.raises(SynthesisError, match=f"{missing} is missing: give it, or a model"):
        synthesize(**given, wavelength=WINDOW)
