"""The folder of computed spectra."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from maury.datasets.store import SedStore, SedWriter
from maury.errors import MauryError, SynthesisError
from maury.grid import WavelengthGrid

GRID = WavelengthGrid(start=5000.0, step=0.5, size=4)
SETTINGS = {"grid": GRID.to_dict(), "normalized": True, "n": 5}
FLUX = np.arange(20, dtype=np.float32).reshape(5, 4)


def row(index: int) -> dict:
    return {"teff": 5000.0 + index, "logg": 4.5, "mh": 0.0, "vmic": 1.0, "alpha": 0.0}


def fill(folder: Path, indices: range) -> None:
    with SedWriter(folder, SETTINGS, GRID, 5) as writer:
        for index in indices:
            writer.add(index, FLUX[index], row(index))


def test_spectra_come_back_with_their_stars(tmp_path: Path) -> None:
    fill(tmp_path / "seds", range(1, 4))
    store = SedStore(tmp_path / "seds")
    assert (len(store), store.done.tolist()) == (5, [1, 2, 3])
    spectrum = store.spectrum(2)
    np.testing.assert_array_equal(spectrum.wavelength, [5000, 5000.5, 5001, 5001.5])
    np.testing.assert_array_equal(spectrum.flux, FLUX[2])
    assert (spectrum.frame, spectrum.medium) == ("rest", "air")
    assert (spectrum.meta.teff, spectrum.meta.flux_unit) == (5002.0, None)
    np.testing.assert_array_equal(store.flux([3, 1]), FLUX[[3, 1]])
    table = pq.read_table(tmp_path / "seds/catalogue.parquet")
    assert table["index"].to_pylist() == [1, 2, 3]
    assert table.equals(store.catalogue)


def test_a_kill_loses_nothing_that_was_done(tmp_path: Path) -> None:
    """What a kill leaves: rows in the journal, the last one torn, and a file half written."""
    fill(tmp_path, range(2))
    writer = SedWriter(tmp_path, SETTINGS, GRID, 5)
    writer.add(3, FLUX[3], row(3))
    writer._journal.write('{"index": 4, "sta')
    writer._journal.close()
    writer._lock.release()
    (tmp_path / "spectra.zarr/flux/c/0/0.abc.partial").write_bytes(b"half")
    assert SedStore(tmp_path).done.tolist() == [0, 1, 3]
    with SedWriter(tmp_path, SETTINGS, GRID, 5) as writer:
        assert writer.done == {0, 1, 3}
        writer.add(4, FLUX[4], row(4))
    assert SedStore(tmp_path).done.tolist() == [0, 1, 3, 4]
    np.testing.assert_array_equal(SedStore(tmp_path).flux([0, 1, 3, 4]), FLUX[[0, 1, 3, 4]])
    names = {entry.name for entry in tmp_path.iterdir()}
    assert names <= {"settings.json", "spectra.zarr", "catalogue.parquet", ".lock"}
    assert not list(tmp_path.rglob("*.partial"))


def test_it_can_be_read_while_it_is_filled(tmp_path: Path) -> None:
    with SedWriter(tmp_path, SETTINGS, GRID, 5) as writer:
        writer.add(1, FLUX[1], row(1))
        writer.add_failure(2, "Too cold.", row(2))
        store = SedStore(tmp_path)
        np.testing.assert_array_equal(store.spectrum(1).flux, FLUX[1])
        for index, message in (
            (0, "Spectrum 0 of .* is not computed yet"),
            (2, r"Spectrum 2 of .* failed: Too cold\."),
            (5, "has no spectrum 5; it has 0 to 4"),
            (-1, "has no spectrum -1"),
        ):
            with pytest.raises(MauryError, match=message):
                store.spectrum(index)
        with pytest.raises(SynthesisError, match="Another process is filling"):
            SedWriter(tmp_path, SETTINGS, GRID, 5)


def test_what_failed_is_done_again_and_then_replaced(tmp_path: Path) -> None:
    with SedWriter(tmp_path, SETTINGS, GRID, 5) as writer:
        writer.add_failure(2, "Too cold.", row(2))
    fill(tmp_path, range(2, 3))
    catalogue = SedStore(tmp_path).catalogue.to_pylist()
    assert [(one["index"], one["status"], one["error"]) for one in catalogue] == [(2, "done", None)]


def test_other_settings_and_other_folders_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "seds", range(1))
    with pytest.raises(SynthesisError, match="was begun with n = 5, not 6"):
        SedWriter(tmp_path / "seds", {**SETTINGS, "n": 6}, GRID, 6)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    with pytest.raises(SynthesisError, match=r"mine holds other files \(thesis.tex\)"):
        SedWriter(tmp_path / "mine", SETTINGS, GRID, 5)
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    with pytest.raises(SynthesisError, match="is a file"):
        SedWriter(tmp_path / "mine/thesis.tex", SETTINGS, GRID, 5)


def test_a_folder_that_holds_none_or_damaged_ones_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(MauryError, match="holds no computed spectra"):
        SedStore(tmp_path)
    fill(tmp_path, range(2))
    settings = tmp_path / "settings.json"
    content = json.loads(settings.read_text())
    settings.write_text(json.dumps({**content, "format_version": 99}))
    with pytest.raises(MauryError, match="is of format 99"):
        SedStore(tmp_path)
    settings.write_text("{")
    with pytest.raises(MauryError, match=r"settings.json is damaged"):
        SedStore(tmp_path)
    settings.write_text(json.dumps(content))
    catalogue = tmp_path / "catalogue.parquet"
    catalogue.write_bytes(catalogue.read_bytes()[:-20])
    with pytest.raises(MauryError, match=r"catalogue.parquet is damaged"):
        SedStore(tmp_path)


def test_a_lost_or_damaged_file_is_not_taken_for_spectra(tmp_path: Path) -> None:
    fill(tmp_path, range(2))
    shard = tmp_path / "spectra.zarr/flux/c/0/0"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MauryError, match=r"Spectrum 1 of .* is damaged"):
        SedStore(tmp_path).spectrum(1)
    shard.unlink()
    with pytest.raises(MauryError, match=r"Spectrum 1 of .* is damaged: its file is missing"):
        SedStore(tmp_path).spectrum(1)
    shutil.rmtree(tmp_path / "spectra.zarr")
    with pytest.raises(MauryError, match=r"spectra.zarr cannot be opened"):
        SedStore(tmp_path)
