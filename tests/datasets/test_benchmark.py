"""The benchmarks of the store measure what they say."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from maury.datasets import benchmark
from maury.datasets.observed import Exposure
from maury.errors import MauryError
from maury.grid import HARPS


def test_the_plain_way_gives_the_same_spectrum(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(benchmark, "FILES", 1)
    (name,) = benchmark._make_files(tmp_path)
    benchmark._plain([name], tmp_path / "plain")
    flux, facts = Exposure(HARPS, "HARPS")({"file": name})
    assert facts["flags"] == []
    np.testing.assert_allclose(np.load(tmp_path / "plain"), flux, rtol=1e-4)
    # As HARPS writes them: 3,000 cards.
    assert len(fits.getheader(name)) > 3000


def test_they_have_both_rates(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(benchmark, "FILES", 2)
    monkeypatch.setattr(benchmark, "SPECTRA_KEPT", 4)
    monkeypatch.setattr(benchmark, "BATCH", 2)
    for result in (benchmark.bench_store(repeats=1), benchmark.bench_ingest(repeats=1)):
        record = result.to_dict()
        assert record["ours"] > 0 and record["reference"] > 0
        assert all(value > 0 for value in record["breakdown_ms"].values())
    with pytest.raises(MauryError, match=r"none.fits does not exist"):
        benchmark.bench_ingest([str(tmp_path / "none.fits")], repeats=1)
