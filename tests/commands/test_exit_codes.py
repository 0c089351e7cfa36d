"""Bad input of the synthesis: one sentence on stderr, exit code 2, no traceback, no file."""

import sys
from pathlib import Path

import pytest

from maury.cli import main
from maury.synthesis.atmosphere import model_atmosphere

SUN = ["--teff", "5777", "--logg", "4.44"]
WINDOW = ["--start", "5180", "--stop", "5181", "--step", "0.05"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, with files good and bad."""
    monkeypatch.chdir(tmp_path)
    model = model_atmosphere(5777, 4.44, 0.0)
    head = "TEFF   5777.  GRAVITY 4.44000 LTE\nTITLE star\n"
    head += "ABUNDANCE SCALE   1.00000 ABUNDANCE CHANGE 1 0.92040 2 0.07834\n"
    head += f"READ DECK6 {model.rhox.size} RHOX,T,P,XNE,ABROSS,ACCRAD,VTURB\n"
    columns = (model.rhox, model.temperature, model.pressure, model.electron_density)
    rows = [
        f"{rhox:15.8E}{t:9.1f}{p:10.3E}{n:10.3E} 1.0E-05 3.560E-03 2.000E+05\n"
        for rhox, t, p, n in zip(*columns, strict=True)
    ]
    (tmp_path / "half.mod").write_text(head + "".join(rows[:30]))
    (tmp_path / "cut.mod").write_text(head + "".join(rows)[:1000])
    (tmp_path / "noise.mod").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "cut.gz").write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01\x02")
    line = "  5180.604      {species}     2.717   -0.168\n"
    (tmp_path / "alien.list").write_text("title\n" + line.format(species="199.0"))
    (tmp_path / "highly.list").write_text("title\n" + line.format(species="26.7"))
    (tmp_path / "torn.list").write_text("title\n" + line.format(species="12.0") + "  5181.2  12")
    (tmp_path / "empty.list").write_text("")
    (tmp_path / "a folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "names", "allowed"),
    [
        ([*SUN, "--teff", "2500"], "Teff = 2500 K", "3000 to 11500 K"),
        ([*SUN, "--teff", "nan"], "Teff = nan", "3000 to 11500 K"),
        ([*SUN, "--logg", "2"], "log g = 2", "3.5 to 5"),
        ([*SUN, "--mh=-2.5"], "[M/H] = -2.5 dex", "-1.5 to 0.5 dex"),
        ([*SUN, "--vmic", "11"], "vmic = 11", "0 to 10 km/s"),
        ([*SUN, "--alpha", "3"], "alpha = 3", "-1 to 1"),
        ([*SUN, "--vsini=-1"], "vsini = -1", "0 to 300 km/s"),
        ([*SUN, "--vmac", "200"], "vmac = 200", "0 to 100 km/s"),
        ([*SUN, "--resolving-power", "0"], "resolving power = 0", "1000 to 1e+07"),
        ([*SUN, "--resolving-power=-115000"], "resolving power = -115000", "1000 to 1e+07"),
        ([*SUN, "--resolving-power", "inf"], "resolving power = inf", "1000 to 1e+07"),
        ([*SUN, "--start", "3000"], "from 3000.00 to 5181.00 A", "3770 to 6925 A"),
        ([*SUN, "--stop", "9000"], "from 5180.00 to 9000.00 A", "3770 to 6925 A"),
        ([*SUN, "--step", "0"], "0 A", "positive"),
        ([*SUN, "--start=-5"], "-5 to 5181 A", "no step"),
        (["--atmosphere", "none.mod"], "none.mod", "No such file"),
        (["--atmosphere", "a folder"], "a folder", "directory"),
        (["--atmosphere", "half.mod"], "half.mod", "72"),
        (["--atmosphere", "cut.mod"], "cut.mod", "72"),
        (["--atmosphere", "noise.mod"], "noise.mod", "not a text file"),
        (["--atmosphere", "cut.gz"], "cut.gz", "damaged or cut short"),
        ([*SUN, "--lines", "none.list"], "none.list", "No such file"),
        ([*SUN, "--lines", "torn.list"], "torn.list, line 3", "5181.2  12"),
        ([*SUN, "--lines", "empty.list"], "empty.list", "it is empty"),
        ([*SUN, "--lines", "noise.mod"], "noise.mod", "not a text file"),
        ([*SUN, "--lines", "alien.list"], "alien.list has lines of the species '199.", "H to U"),
        ([*SUN, "--lines", "highly.list"], "species '26.", "once or twice ionised"),
        ([*SUN, "--out", "sun.doc"], "sun.doc", ".fits, .txt or .csv"),
        ([*SUN, "--out", "none/sun.fits"], "none/sun.fits", "no folder none"),
    ],
)
def test_bad_input(
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    names: str,
    allowed: str,
) -> None:
    before = sorted(files.rglob("*"))
    monkeypatch.setattr(
        sys, "argv", ["maury", "synthesize", *WINDOW, "--out", "sun.fits", *arguments]
    )
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (2, "")
    sentence = err.rstrip("\n")
    assert "\n" not in sentence and sentence.endswith(".")
    assert names in sentence and allowed in sentence
    assert sorted(files.rglob("*")) == before


def test_what_fails_otherwise_has_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["maury", "info", "none.fits"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert "none.fits" in capsys.readouterr().err
