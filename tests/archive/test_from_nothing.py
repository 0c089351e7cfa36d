"""From a list of stars to a network: fetch, catalog, ingest and train, by the command line."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from outside import Outside
from stand_in import failures
from stand_in.mast import DUPLICATE
from stand_in.products import observation, star_at
from stand_in.stars import STARS

import maury
from maury.archive.catalogue import Catalogue
from maury.cli import main
from maury.training import scale

LIST = """# as an observer writes them
tau Cet
Gl 581
51 Peg
HD 69830
WASP-14
82 Eri   # which SIMBAD of these tests does not know
HD 20794
"""
# How many public spectra of each star there are; those of WASP-14 validate.
EXPECTED = {
    "HD 10700": 6,
    "HIP 74995": 6,
    "HD 217014": 3,
    "HD 69830": 3,
    "HD 20794": 4,
    "WASP-14": 2,
}
ELSEWHERE = "HD 40307"  # so the observer says, who pointed at HD 69830

RECIPE = """
name: from-nothing
scale: tiny
epochs: 1
model: {name: encoder}
labels: [teff, logg, mh, rv, berv, airmass]
data: {rate: 0, observed: {store: store}}
training: {batch: 4}
"""

SOURCES = ("--source", "tic", "--source", "simbad", "--source", "sweetcat")
BUILD = ("catalog", "build", "data", *SOURCES, "--format", "json")
FETCH = ("fetch", "--list", "stars.txt", "--out", "data", "--format", "json")
INGEST = "ingest --from data --labels data/catalogue.parquet --grid harps-tiny --out store".split()


@dataclass
class Work:
    """A folder in which a user works, and the services that are asked."""

    world: Outside
    folder: Path

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """A command; gives exit code, stdout and stderr."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.chdir(self.folder)
            for name, address in self.world.environment.items():
                patch.setenv(name, address)
            patch.setattr(sys, "argv", ["maury", *arguments])
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
        return code, out.getvalue(), err.getvalue()

    def do(self, *arguments: str) -> tuple[str, str]:
        """A command that must succeed; gives stdout and stderr."""
        code, out, err = self.run(*arguments)
        assert code == 0, err
        return out, err

    def killed(self, *arguments: str) -> None:
        """A command as a process of its own, killed when it has some files and a part of one."""
        process = subprocess.Popen(
            [sys.executable, "-m", "maury.cli", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.world.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 120
        while not (len(self.files()) >= 5 and self.begun()):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def files(self) -> dict[str, Path]:
        """The files that are here whole, by dp_id."""
        return {path.stem: path for path in (self.folder / "data/spectra").glob("*.fits")}

    def begun(self) -> list[str]:
        """The dp_id of files of which a part is here, and not all."""
        found = []
        for part in (self.folder / "data/spectra").glob("*.fits.part"):
            dp_id = part.name.removesuffix(".fits.part")
            with contextlib.suppress(FileNotFoundError):
                if 0 < part.stat().st_size < len(self.world.eso.content(dp_id) or b""):
                    found.append(dp_id)
        return found


@contextlib.contextmanager
def work(folder: Path) -> Iterator[Work]:
    """A new folder, and services whose files have what a small grid needs."""
    world = Outside()
    world.eso.covers, world.eso.step = (4940.0, 6913.0), 0.05
    wasp = next(star for star in STARS if "WASP-14" in star.names)
    world.eso.products += [
        observation(number, wasp, "HARPS", "WASP-14", number) for number in (60, 61)
    ]
    (folder / "stars.txt").write_text(LIST)
    (folder / "recipe.yaml").write_text(RECIPE)
    yield Work(world, folder)
    world.close()
    assert not world.defects, world.defects[0]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Work]:
    """All that is asked for, fetched and labelled with nothing amiss but one kill."""
    with work(tmp_path_factory.mktemp("calm")) as calm:
        # The first ones come at once; those under way at the kill would take seconds.
        calm.world.fail("eso_files", failures.dripping(2e5), times=None, after=6)
        calm.killed(*FETCH)
        calm.world.heal()
        (calm.folder / "kill.json").write_text(
            json.dumps({"here": sorted(calm.files()), "begun": calm.begun()})
        )
        code, out, err = calm.run(*FETCH)
        (calm.folder / "fetch.json").write_text(out)
        # One of the stars is not known.
        assert (code, "SIMBAD does not know 1 of 7 stars: 82 Eri." in err) == (1, True)
        out, err = calm.do(*BUILD)
        (calm.folder / "build.json").write_text(out)
        (calm.folder / "build.err").write_text(err)
        calm.do(*INGEST)
        yield calm


def test_a_kill_costs_no_file_and_no_part_of_one(calm):
    before = json.loads((calm.folder / "kill.json").read_text())
    records = json.loads((calm.folder / "fetch.json").read_text())
    assert len(records) == sum(EXPECTED.values()) + 1
    assert {record["status"] for record in records} == {"done"}
    assert set(calm.files()) == {record["product"] for record in records}
    for dp_id, path in calm.files().items():
        assert path.read_bytes() == calm.world.eso.content(dp_id)
    asked: dict[str, list[int | None]] = {}
    for request in calm.world.asked("eso_files"):
        asked.setdefault(request.path.rsplit("/", 1)[-1], []).append(request.status)
    assert {dp_id: asked[dp_id] for dp_id in before["here"] if asked[dp_id] != [200]} == {}
    assert before["begun"]
    assert {dp_id: asked[dp_id] for dp_id in before["begun"] if asked[dp_id] != [200, 206]} == {}


def test_what_is_proprietary_is_not_asked_for(calm):
    secret = {
        row["dp_id"] for row in calm.world.eso.products if row["obs_release_date"] > "2026-12"
    }
    assert len(secret) == 1 and not secret & set(calm.files())


def test_each_spectrum_has_its_star_and_the_labels_that_services_have(calm):
    rows = Catalogue.read(calm.folder / "data/catalogue.parquet").table.to_pylist()
    assert Counter(row["star"] for row in rows) == {**EXPECTED, ELSEWHERE: 1}
    for row in rows:
        product = calm.world.eso.row(row["dp_id"])
        assert row["file"] == f"{row['dp_id']}.fits"
        assert row["object"] == product["target_name"]
        if row["star"] == ELSEWHERE:
            assert np.isnan([row[name] for name in ("teff", "logg", "mh", "rv")]).all()
            assert "conflict" in row["flags"]
            continue
        star = star_at(product)
        assert (row["tic"], row["match"]) == (star.tic, "name+position")
        assert (row["teff"], row["logg"]) == (star.teff, star.logg)
        assert row["rv"] == pytest.approx(star.rv, abs=1e-3)
        # The TIC has no metallicity of Gl 581; SWEET-Cat has.
        assert row["mh"] == (-0.25 if star.mh is None else star.mh)
        assert row["teff_source"] == f"TIC {star.tic}"
        assert row["mh_source"].startswith("SWEET-Cat" if star.mh is None else "TIC")


def test_what_is_computed_is_what_headers_have(calm):
    for row in Catalogue.read(calm.folder / "data/catalogue.parquet").table.to_pylist():
        header = fits.getheader(calm.files()[row["dp_id"]])
        # Headers have it with terms of relativity, which make up to 6 m/s.
        assert row["berv"] == pytest.approx(header["ESO DRS BERV"], abs=0.01)
        assert row["airmass"] == pytest.approx(header["ESO TEL AIRM START"], abs=0.03)


def test_a_name_that_is_elsewhere_in_the_sky_is_told(calm):
    record = json.loads((calm.folder / "build.json").read_text())
    text = (calm.folder / record["conflicts_file"]).read_text()
    conflicts = list(csv.DictReader(io.StringIO(text)))
    unsettled = [row for row in conflicts if row["used"] == "False"]
    assert record["conflicts"] == len(unsettled) > 0
    assert {row["star"] for row in unsettled} == {ELSEWHERE}
    assert "name-or-position" in {row["kind"] for row in unsettled}
    err = (calm.folder / "build.err").read_text()
    assert "HD 40307" in err and "degrees away" in err
    assert str(DUPLICATE) not in text


def test_table_1_counts_spectra_and_stars(calm):
    out, _ = calm.do("catalog", "report", "data/catalogue.parquet", "--format", "json")
    counts = {row["label"]: row for row in json.loads(out)}
    total = sum(EXPECTED.values())
    for label in ("teff", "logg", "mh", "rv", "all"):
        assert (counts[label]["spectra"], counts[label]["stars"]) == (total, len(EXPECTED))
    for label in ("berv", "airmass"):
        assert (counts[label]["spectra"], counts[label]["percentage"]) == (total + 1, 100)


def test_the_store_has_stars_and_labels_of_the_catalogue_and_berv_of_the_headers(calm):
    store = maury.SpectrumStore(calm.folder / "store")
    assert len(store) == store.done.size == sum(EXPECTED.values()) + 1
    assert store.verify() == []
    assert Counter(store.catalogue["star"].to_pylist()) == {**EXPECTED, ELSEWHERE: 1}
    rows = Catalogue.read(calm.folder / "data/catalogue.parquet").table.to_pylist()
    labels = {row["file"]: row for row in rows}
    for row in store.catalogue.to_pylist():
        path = Path(row["file"])
        header = fits.getheader(calm.files()[path.stem])
        assert row["berv"] == header["ESO DRS BERV"]
        assert row["airmass"] == header["ESO TEL AIRM START"]
        for name in ("teff", "logg", "mh"):
            assert row[name] == pytest.approx(labels[path.name][name], nan_ok=True) or (
                row[name] is None and np.isnan(labels[path.name][name])
            )


def test_a_network_learns_from_the_store(calm, monkeypatch):
    small = replace(scale.SCALES["tiny"], spectra=8, validation=8)
    monkeypatch.setattr(scale, "SCALES", {"tiny": small})
    monkeypatch.setattr("maury.training.recipe.SCALES", {"tiny": small})
    out, _ = calm.do("train", "recipe.yaml", "--out", "run", "--format", "json")
    (record,) = json.loads(out)
    assert np.isfinite(record["val_loss"])
    assert (calm.folder / "run/from-nothing.json").exists()


def test_failures_that_pass_change_nothing(calm, tmp_path):
    with work(tmp_path) as stormy:
        dp_ids = sorted(calm.files())
        fail = stormy.world.fail
        fail("simbad_tap", failures.unavailable())
        fail("simbad_tap", failures.cut(), after=2)
        fail("eso_tap", failures.busy(retry_after=1))
        fail("eso_tap", failures.malformed(), after=1)
        for dp_id, failure in zip(
            dp_ids,
            (
                failures.cut(0.4),
                failures.shortened(2880),
                failures.lengthened(100),
                failures.web_page(),
                failures.broken(),
                failures.dropped(),
                failures.busy(retry_after=None),
                failures.named("../../escaped.fits"),
            ),
            strict=False,
        ):
            fail("eso_files", failure, matching=dp_id)
        fail("mast", failures.broken())
        fail("mast", failures.cut(0.7), after=2)
        fail("sweetcat", failures.dropped())
        stormy.run(*FETCH)
        stormy.do(*BUILD)
        stormy.do(*INGEST)
        assert stormy.world.waiting() == 0
        assert {dp_id: path.read_bytes() for dp_id, path in stormy.files().items()} == {
            dp_id: path.read_bytes() for dp_id, path in calm.files().items()
        }
        assert not list(tmp_path.parent.rglob("escaped*"))
        ours, theirs = (pq.read_table(w.folder / "data/catalogue.parquet") for w in (stormy, calm))
        # As text, in which NaN is like NaN.
        assert str(ours.to_pylist()) == str(theirs.to_pylist())
        stores = [maury.SpectrumStore(w.folder / "store") for w in (stormy, calm)]
        fluxes = [store.flux(range(len(store))) for store in stores]
        np.testing.assert_array_equal(*fluxes)


@pytest.mark.parametrize(
    ("where", "failure"),
    [
        ("simbad_tap", failures.web_page()),
        ("simbad_tap", failures.renamed("ra", "raj2000")),
        ("simbad_tap", failures.tap_error()),
        ("mast", failures.renamed("Teff", "T_eff")),
        ("mast", failures.malformed()),
        ("sweetcat", failures.web_page()),
        ("sweetcat", failures.renamed("Teff", "X1")),
    ],
)
def test_failures_that_stay_are_a_sentence_and_leave_all_as_it_was(calm, where, failure):
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in calm.folder.rglob("*") if path.is_file()}

    before = contents()
    calm.world.fail(where, failure, times=None)
    code, out, err = calm.run(*BUILD)
    calm.world.heal()
    assert (code, out) == (1, "")
    last = err.strip().splitlines()[-1]
    assert last.endswith(".") and "Traceback" not in err
    assert contents() == before
