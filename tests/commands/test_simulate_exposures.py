"""``maury simulate etc`` and ``generative`` as they are typed."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from maury.cli import app
from maury.datasets.store import SpectrumStore
from maury.datasets.stored_exposures import StoredExposures

WINDOW = "--start 5200 --stop 5210 --solver direct --teff 5000:6500".split()


def run(*arguments: str):
    return CliRunner().invoke(app, ["simulate", *arguments])


def test_a_set_is_begun_and_goes_on(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "val"), "--split", "val", *WINDOW]
    result = run("etc", "--n", "2", *out)
    assert result.exit_code == 0, result.stderr
    assert "2 of 2 spectra" in result.stderr
    first = StoredExposures(SpectrumStore(tmp_path / "val")).batch([0, 1])
    result = run("etc", "--n", "4", *out)
    assert result.exit_code == 0, result.stderr
    store = SpectrumStore(tmp_path / "val")
    assert len(store) == 4 and store.verify() == []
    longer = StoredExposures(store).batch([0, 1, 3])
    assert np.array_equal(longer.flux[:2], first.flux)
    assert {row["split"] for row in store.catalogue.to_pylist()} == {"val"}
    assert ((longer.labels[:, 2] >= 5000) & (longer.labels[:, 2] <= 6500)).all()


def test_a_generative_set_names_core_label_and_variation(tmp_path: Path) -> None:
    arguments = ["--cores", "1", "--variations", "2", "--line-scatter", "0.1", "--cosmics", "3"]
    result = run("generative", *arguments, "--out", str(tmp_path / "g"), *WINDOW)
    assert result.exit_code == 0, result.stderr
    store = SpectrumStore(tmp_path / "g")
    rows = store.catalogue.to_pylist()
    labels = ["rv", "berv", "teff", "mh", "logg", "airmass", "pwv"]
    assert [row["label"] for row in rows] == [name for name in labels for _ in range(2)]
    assert [row["variation"] for row in rows] == [0, 1] * 7
    # The velocities, air and water change nothing of the star, and nor do its wrong lines.
    flux = store.flux(store.done)
    same = [i for i, row in enumerate(rows) if row["label"] in ("rv", "berv", "airmass", "pwv")]
    assert np.ptp(flux[same], axis=0).max() == 0
    assert np.ptp(flux[4:6], axis=0).max() > 0
    assert store.settings["nuisances"]["damage"]["cosmics"] == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["etc", "--n", "0"], "n = 0 is not allowed; it must be 1 to 1,000,000."),
        (["etc", "--n", "2", "--airmass", "0:2"], "airmass = 0:2 is not allowed; it must be 1 to"),
        (["etc", "--n", "2", "--teff", "4000:7000:5"], "teff = 4000:7000:5 has a step"),
        (["etc", "--n", "2", "--start", "8000", "--stop", "8010"], "No spectrum can be computed"),
        (["generative", "--rv", "0"], "The label rv cannot be changed, for it is fixed at 0."),
        (["generative", "--variations", "1"], "variations = 1 is not allowed; at least 2 are."),
        (["etc", "--n", "2", "--mh", "much"], "'much' is not VALUE, LOW:HIGH"),
    ],
)
def test_a_mistake_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    result = run(*arguments, "--out", str(tmp_path / "none"))
    assert result.exit_code != 0
    assert says in " ".join((str(result.exception) or result.stderr).split())
    assert not (tmp_path / "none").exists()
