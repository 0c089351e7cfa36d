"""The folder of spectra, as it is read."""

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from maury.datasets.filling import fill
from maury.datasets.store import SpectrumStore, checksum
from maury.errors import MauryError
from maury.grid import WavelengthGrid

GRID = WavelengthGrid(start=5000.0, step=0.5, size=4)
FLUX = np.arange(20, dtype=np.float32).reshape(5, 4)
FLUX[3, 1] = np.nan
STARS = ("HD 1", "HD 2", "HD 1", "HD 3", "HD 1")
COLUMNS = pa.schema(
    [("star", pa.string()), *((name, pa.float64()) for name in ("teff", "rv", "mjd"))]
)


def compute(row: dict) -> tuple[np.ndarray, dict]:
    if row["teff"] == 5004.0:
        raise MauryError("It is too hot.")
    return FLUX[int(row["teff"]) - 5000], {"mjd": 59000.5}


def make(path: Path, *, frame: str = "barycentric", shard: int = 2) -> SpectrumStore:
    rows = [
        {"star": star, "teff": 5000.0 + k, "rv": np.nan if k == 3 else 7.0}
        for k, star in enumerate(STARS)
    ]
    return fill(
        path,
        settings={"kind": "test", "unit": "erg"},
        grid=GRID,
        frame=frame,
        columns=COLUMNS,
        rows=rows,
        compute=compute,
        shard=shard,
        workers=0,
    )


def test_spectra_come_back_with_what_is_known_of_them(tmp_path: Path) -> None:
    store = make(tmp_path / "spectra")
    assert (len(store), store.done.tolist(), store.frame) == (5, [0, 1, 2, 3], "barycentric")
    np.testing.assert_array_equal(store.flux([3, 1, 1]), FLUX[[3, 1, 1]])
    assert store.flux([]).shape == (0, 4)
    spectrum = store.spectrum(3)
    np.testing.assert_array_equal(spectrum.wavelength, [5000, 5000.5, 5001, 5001.5])
    assert spectrum.mask.tolist() == [False, True, False, False]
    assert (spectrum.frame, spectrum.medium, spectrum.meta.object) == ("barycentric", "air", "HD 3")
    assert (spectrum.meta.teff, spectrum.meta.rv, spectrum.meta.flux_unit) == (5003.0, None, "erg")
    assert spectrum.meta.time.isot == "2020-05-31T12:00:00.000"
    table = pq.read_table(tmp_path / "spectra/catalogue.parquet")
    assert table.drop_columns("rv").equals(store.catalogue.drop_columns("rv"))
    assert table["status"].to_pylist() == ["done"] * 4 + ["failed"]
    assert table["checksum"].to_pylist()[:2] == [checksum(FLUX[0]), checksum(FLUX[1])]


def test_a_spectrum_at_rest_has_no_exposure(tmp_path: Path) -> None:
    meta = make(tmp_path, frame="rest").spectrum(0).meta
    assert (meta.teff, meta.time) == (5000.0, None)


def test_zarr_reads_the_same(tmp_path: Path) -> None:
    make(tmp_path)
    flux = zarr.open_group(tmp_path / "spectra.zarr", mode="r")["flux"][:]
    np.testing.assert_array_equal(flux[:4], FLUX[:4])
    assert np.isnan(flux[4]).all()


def test_a_stars_spectra_are_found(tmp_path: Path) -> None:
    stars = {star: found.tolist() for star, found in make(tmp_path).stars().items()}
    assert stars == {"HD 1": [0, 2], "HD 2": [1], "HD 3": [3]}


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (4, r"Spectrum 4 of .* failed: It is too hot\."),
        (5, "has no spectrum 5; it has 0 to 4"),
        (-1, "has no spectrum -1"),
    ],
)
def test_a_spectrum_that_is_not_there_is_a_sentence(
    tmp_path: Path, index: int, message: str
) -> None:
    store = make(tmp_path)
    for ask in (store.spectrum, lambda index: store.flux([0, index])):
        with pytest.raises(MauryError, match=message):
            ask(index)


def test_a_folder_that_holds_none_or_damaged_ones_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(MauryError, match=r"holds no spectra: it has no settings.json"):
        SpectrumStore(tmp_path)
    make(tmp_path)
    settings = tmp_path / "settings.json"
    content = json.loads(settings.read_text())
    for text, message in (
        (json.dumps({**content, "format_version": 99}), "is of format 99; .* reads 1"),
        (json.dumps({"format": "seds"}), "does not describe spectra"),
        ("{", r"settings.json is damaged"),
    ):
        settings.write_text(text)
        with pytest.raises(MauryError, match=message):
            SpectrumStore(tmp_path)
    settings.write_text(json.dumps(content))
    catalogue = tmp_path / "catalogue.parquet"
    whole = catalogue.read_bytes()
    catalogue.write_bytes(whole[:-20])
    with pytest.raises(MauryError, match=r"catalogue.parquet is damaged"):
        SpectrumStore(tmp_path)
    catalogue.write_bytes(whole)
    shutil.rmtree(tmp_path / "spectra.zarr")
    with pytest.raises(MauryError, match=r"spectra.zarr cannot be opened"):
        SpectrumStore(tmp_path)


def test_a_lost_or_changed_file_is_not_taken_for_spectra(tmp_path: Path) -> None:
    store = make(tmp_path)
    assert store.verify() == []
    shard = tmp_path / "spectra.zarr/flux/c/0/0"
    content = bytearray(shard.read_bytes())
    content[20] ^= 1
    shard.write_bytes(content)
    assert store.verify() == [1]
    shard.unlink()
    assert store.verify() == [0, 1]
    with pytest.raises(MauryError, match=r"Spectrum 1 of .* is damaged: its file is missing\."):
        store.spectrum(1)


class RangeHandler(SimpleHTTPRequestHandler):
    """A static server that knows byte ranges, as object stores do."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        wanted = self.headers.get("Range")
        if wanted is None or not path.is_file():
            super().do_GET()
            return
        content = path.read_bytes()
        first, last = wanted.removeprefix("bytes=").split("-")
        start = int(first) if first else len(content) - int(last)
        stop = min(int(last) + 1 if first and last else len(content), len(content))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        self.wfile.write(content[start:stop])


@pytest.fixture
def http(tmp_path: Path) -> Iterator[str]:
    handler = partial(RangeHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_it_opens_from_a_url(tmp_path: Path, http: str) -> None:
    local = make(tmp_path / "spectra")
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "spectra"), "/bucket/spectra", recursive=True)
    for url in ("memory://bucket/spectra", f"{http}/spectra"):
        store = SpectrumStore(url)
        assert store.catalogue.to_pylist()[:3] == local.catalogue.to_pylist()[:3]
        np.testing.assert_array_equal(store.flux([3, 0, 2, 3]), FLUX[[3, 0, 2, 3]])
        assert store.verify() == []
    for url, message in (
        (f"{http}/elsewhere", r"elsewhere holds no spectra: it has no settings.json"),
        ("memory://elsewhere", "holds no spectra"),
        ("http://127.0.0.1:9/spectra", "cannot be read"),
        ("ftps3://bucket", "cannot be opened"),
    ):
        with pytest.raises(MauryError, match=message):
            SpectrumStore(url)
