"""What networks are trained on: drawn by number, from memory, physics and observed exposures."""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from maury.datasets.exposures import ETC_LABELS, NIGHT, EtcSimulation, simulate_exposures
from maury.datasets.filling import fill
from maury.datasets.model_exposures import ModelExposures
from maury.datasets.nuisances import Damage, ExposureNuisances, LineStrengthErrors
from maury.datasets.prefetching import ahead
from maury.datasets.sampling import Range
from maury.datasets.store import SpectrumStore
from maury.datasets.stored_exposures import StoredExposures
from maury.datasets.training_source import (
    FreshExposures,
    MixedExposures,
    ObservedExposures,
    drop_labels,
)
from maury.errors import GridError, MauryError
from maury.grid import WavelengthGrid
from maury.labels import LabelSet
from maury.synthesis.low_rank import TURBULENCE, LowRankOpacity
from maury.synthesis.opacity_nodes import LOG_PRESSURE, METALLICITY, TEMPERATURE
from maury.wavelength import SPEED_OF_LIGHT, doppler_factor

PART = WavelengthGrid(start=5200.0, step=0.01, size=1000)
BRIGHT = {
    "magnitude": Range(-5, -5), "exposure": Range(3600, 3600), "moon": Range(0, 0),
    "seeing": Range(1, 1), "teff": Range(5000, 6500),
}  # fmt: skip
STARS = {"a": 1, "b": 9, "c": 0}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SpectrumStore:
    simulation = EtcSimulation(n=3, grid=PART, solver="direct", ranges=BRIGHT)
    return simulate_exposures(simulation, tmp_path_factory.mktemp("source") / "etc", workers=0)


@dataclass
class Observed:
    """An exposure whose level is its number."""

    def __call__(self, row: dict) -> tuple[np.ndarray, dict]:
        flux = np.full(PART.size, 1.0 + row["number"], dtype=np.float32)
        flux[::2] += 0.5
        flux[: 10 * row["number"]] = np.nan
        return flux, {}


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> SpectrumStore:
    names = [star for star, count in STARS.items() for _ in range(count)]
    rows = [
        {"star": star, "number": number, "teff": 5000.0 if star == "a" else None, "rv": 1.0}
        for number, star in enumerate(names)
    ]
    columns = [("star", pa.string()), ("number", pa.int64())]
    columns += [(name, pa.float64()) for name in ("teff", "rv")]
    return fill(
        tmp_path_factory.mktemp("source") / "observed",
        settings={"kind": "observed", "unit": None},
        grid=PART,
        frame="barycentric",
        columns=pa.schema(columns),
        rows=rows,
        compute=Observed(),
        workers=0,
    )


def same(first: tuple, second: tuple) -> bool:
    return all(
        torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
        for a, b in zip(first, second, strict=True)
    )


def test_a_batch_depends_on_its_number_alone(store: SpectrumStore) -> None:
    source = FreshExposures(store, seed=3)
    later = source.batch(5, 4)
    assert same(FreshExposures(SpectrumStore(store.path), seed=3).batch(5, 4), later)
    assert not same(source.batch(6, 4), later)
    assert not same(FreshExposures(store, seed=4).batch(5, 4), later)


def test_spectra_are_what_their_labels_say(store: SpectrumStore) -> None:
    batch = FreshExposures(store).batch(0, 6)
    stored = StoredExposures(store)
    for flux, valid, labels in zip(*batch, strict=True):
        told = dict(zip(ETC_LABELS.names, labels.tolist(), strict=True))
        nearest = min(stored.rows, key=lambda row: abs(row["teff"] - told["teff"]))
        assert told["logg"] == pytest.approx(nearest["logg"])
        stored.rows = [{**nearest, **told}]
        expected = stored.batch([0])
        stored = StoredExposures(store)
        both = valid & expected.valid[0]
        ratio = (flux / expected.flux[0])[both]
        assert (ratio.std() / ratio.mean()).item() < 2e-3


def test_what_is_not_drawn_anew_is_the_catalogue_s(store: SpectrumStore) -> None:
    rows = StoredExposures(store).rows
    labels = FreshExposures(store, fresh=("rv",)).batch(0, 50).labels
    columns = dict(zip(ETC_LABELS.names, labels.T, strict=True))
    assert len(set(columns["rv"].tolist())) == 50
    for name in ("berv", "airmass", "pwv"):
        assert set(columns[name].tolist()) == {np.float32(row[name]) for row in rows}
    drawn = FreshExposures(store).batch(0, 50).labels
    assert all(len(set(column.tolist())) == 50 for column in drawn[:, [0, 1, 5, 6]].T)
    with pytest.raises(MauryError, match="'teff' cannot be drawn anew"):
        FreshExposures(store, fresh=("teff",))


def test_sixteen_bits_are_far_below_the_noise(store: SpectrumStore) -> None:
    """Beside half precision, at the best that the paper's ranges allow: V = 3 in an hour."""
    source = FreshExposures(store)
    flux = np.nan_to_num(store.flux(store.done))
    counts = source.stars.numpy().astype(np.float64)
    kept = counts * (flux.max(axis=1, keepdims=True) / 32767.0)
    stored = StoredExposures(store)
    ideal = {"magnitude": 3.0, "exposure": 3600.0, "airmass": 1.0, "seeing": 0.5, "pwv": 0.05}
    stored.rows = [{**row, **ideal} for row in stored.rows]
    batch = stored.batch(range(3))
    noise = (batch.sigma / batch.flux)[batch.valid].min().item()
    assert 1e-4 < noise < 5e-4
    there = flux > 0
    ours = np.std((kept / np.where(there, flux, 1) - 1)[there])
    half = np.std((flux / 1e7).astype(np.float16)[there] / (flux / 1e7)[there] - 1)
    assert ours < 0.1 * noise
    assert half > 0.5 * noise


def test_stars_are_drawn_evenly_not_their_exposures(observed: SpectrumStore) -> None:
    source = ObservedExposures(observed, LabelSet.from_names(["teff", "rv"]), seed=1)
    levels = torch.cat([source.batch(i, 50).flux[:, -1] for i in range(20)])
    counts = Counter(levels.round().tolist())
    assert counts[1.0] / 1000 == pytest.approx(0.5, abs=5 * 0.5 / 1000**0.5)
    assert len(counts) == 10
    part = ObservedExposures(observed, LabelSet.from_names(["rv"]), indices=[2, 3])
    assert set(part.batch(0, 50).flux[:, -1].tolist()) == {3.0, 4.0}


def test_unknown_labels_and_missing_pixels(observed: SpectrumStore) -> None:
    labels = LabelSet.from_names(["teff", "rv", "pwv"])
    flux, valid, known = ObservedExposures(observed, labels).batch(0, 40)
    is_a = flux[:, -1] == 1.0
    assert torch.equal(torch.isfinite(known[:, 0]), is_a)
    assert (known[:, 1] == 1).all() and known[:, 2].isnan().all()
    number = (flux[:, -1] - 1.0).round().long()
    assert torch.equal(valid.sum(dim=1), PART.size - 10 * number)


def test_all_exposures_can_be_had_in_order(observed: SpectrumStore) -> None:
    source = ObservedExposures(observed, LabelSet.from_names(["teff", "rv"]), indices=[7, 0, 3])
    flux, valid, labels = source.at(source.indices)
    assert flux[:, -1].tolist() == [1.0, 4.0, 8.0]
    assert torch.equal(valid.sum(dim=1), PART.size - 10 * torch.tensor([0, 3, 7]))
    assert labels[:, 0].isfinite().tolist() == [True, False, False]
    assert source.at([3, 0, 3]).flux[:, -1].tolist() == [4.0, 1.0, 4.0]
    with pytest.raises(MauryError, match=r"Spectrum 5 of .*observed is not among the 3 that"):
        source.at([3, 5])


def test_names_are_those_of_the_exposures(store: SpectrumStore, observed: SpectrumStore) -> None:
    fresh, real = FreshExposures(store, seed=3), ObservedExposures(observed, seed=5)
    names = real.describe(2, 30)
    levels = real.batch(2, 30).flux[:, -1].round().int() - 1
    # Spectra of this store are at a level of one more than their number.
    for name, number in zip(names, levels.tolist(), strict=True):
        assert name == f"spectrum {number} of {observed.path}, {'a' if number == 0 else 'b'}"
    teff = {row["index"]: row["teff"] for row in store.catalogue.to_pylist()}
    labels = fresh.batch(2, 30).labels[:, ETC_LABELS.names.index("teff")]
    for name, value in zip(fresh.describe(2, 30), labels.tolist(), strict=True):
        place, path = name.removeprefix("spectrum ").split(" of ")
        assert path == str(store.path) and teff[int(place)] == pytest.approx(value, rel=1e-6)


def test_names_of_a_mixture_are_in_the_order_of_its_batch(
    store: SpectrumStore, observed: SpectrumStore
) -> None:
    mixed = MixedExposures(FreshExposures(store), ObservedExposures(observed), rate=0.4, seed=4)
    for index in range(5):
        names = mixed.describe(index, 8)
        simulated = [f"of {store.path}" in name for name in names]
        assert simulated == mixed.batch(index, 8).simulated.tolist()
    alone = MixedExposures(None, ObservedExposures(observed), rate=0.0)
    assert alone.describe(1, 4) == ObservedExposures(observed).describe(1, 4)


def test_files_are_named_where_they_are_known(tmp_path: Path) -> None:
    rows = [{"star": "a", "number": k, "file": f"night/{k}.fits"} for k in range(3)]
    columns = [("star", pa.string()), ("number", pa.int64()), ("file", pa.string())]
    files = fill(
        tmp_path / "files",
        settings={"kind": "observed", "unit": None},
        grid=PART,
        frame="barycentric",
        columns=pa.schema(columns),
        rows=rows,
        compute=Observed(),
        workers=0,
    )
    source = ObservedExposures(files, LabelSet.from_names(["rv"]))
    levels = source.batch(0, 9).flux[:, -1].round().int() - 1
    assert source.describe(0, 9) == [f"night/{number}.fits" for number in levels.tolist()]


def test_a_share_of_the_labels_stays() -> None:
    random = np.random.default_rng(1)
    values = np.where(random.random((5000, 3)) < 0.4, random.random((5000, 3)), np.nan)
    values[1:, 2] = np.nan
    values[0, 2] = 7.0
    kept = drop_labels(values, 0.01, seed=2)
    there = np.isfinite(kept)
    assert (kept[there] == values[there]).all()
    expected = np.round(0.01 * np.isfinite(values).sum(axis=0)).clip(1)
    assert there.sum(axis=0).tolist() == expected.tolist()
    assert np.array_equal(there, np.isfinite(drop_labels(values, 0.01, seed=2)))
    assert not np.array_equal(there, np.isfinite(drop_labels(values, 0.01, seed=3)))
    # Labels are forgotten independently of each other.
    assert (there[:, 0] & there[:, 1]).sum() < 5
    with pytest.raises(MauryError, match="above 0 and at most 1, not 0"):
        drop_labels(values, 0.0, seed=1)


def test_mixture_has_its_rate_and_says_which_are_simulated(
    store: SpectrumStore, observed: SpectrumStore
) -> None:
    real = ObservedExposures(observed)
    mixed = MixedExposures(FreshExposures(store), real, rate=0.3, seed=4)
    batches = [mixed.batch(i, 8) for i in range(60)]
    share = torch.cat([batch.simulated for batch in batches]).float().mean().item()
    assert share == pytest.approx(0.3, abs=0.03)
    for batch in batches[:3]:
        # Of observed exposures the water is unknown, of simulated ones everything is known.
        assert torch.equal(batch.labels.isfinite().all(dim=1), batch.simulated)
        for spectrum, valid in zip(batch.spectrum, batch.valid, strict=True):
            assert spectrum[valid].median().item() == pytest.approx(1.0, abs=1e-6)
            assert (spectrum[~valid] == 0).all()
    assert same(MixedExposures(None, real, rate=0.0).batch(0, 4)[:1], _prepared(real.batch(0, 4)))


def _prepared(batch: tuple) -> tuple[torch.Tensor]:
    flux, valid, _ = batch
    median = torch.where(valid, flux, torch.nan).nanmedian(dim=1, keepdim=True).values
    return (torch.where(valid, flux / median, 0.0),)


def test_impossible_mixtures(store: SpectrumStore, observed: SpectrumStore) -> None:
    fresh, real = FreshExposures(store), ObservedExposures(observed)
    with pytest.raises(MauryError, match="rate of simulated exposures must be 0 to 1"):
        MixedExposures(fresh, real, rate=1.5)
    with pytest.raises(MauryError, match="needs observed exposures"):
        MixedExposures(fresh, None, rate=0.5)
    with pytest.raises(MauryError, match="different labels"):
        other = ObservedExposures(observed, LabelSet.from_names(["rv"]))
        MixedExposures(fresh, other, rate=0.5)
    with pytest.raises(GridError, match="different pixels"):
        real.grid = WavelengthGrid(start=5200.0, step=0.02, size=1000)
        MixedExposures(fresh, real, rate=0.5)
    with pytest.raises(MauryError, match="rest frame; exposures are barycentric"):
        ObservedExposures(store)


def test_batches_made_ahead_are_the_same_and_can_be_taken_up(store: SpectrumStore) -> None:
    mixed = MixedExposures(FreshExposures(store), None, rate=1.0)
    plain = [mixed.batch(i, 2) for i in range(5)]
    for batch, expected in zip(ahead(lambda i: mixed.batch(i, 2), range(5)), plain, strict=True):
        assert same(batch, expected)
    resumed = ahead(lambda i: mixed.batch(i, 2), range(3, 5))
    assert all(same(a, b) for a, b in zip(resumed, plain[3:], strict=True))


def test_the_background_stays_a_few_batches_ahead() -> None:
    made, threads = [], set()

    def make(index: int) -> int:
        made.append(index)
        threads.add(threading.current_thread())
        if index == 7:
            raise MauryError("No batch 7.")
        return index

    batches = ahead(make, range(100), depth=2)
    assert next(batches) == 0
    end = time.monotonic() + 60
    while len(made) < 3 and time.monotonic() < end:
        time.sleep(0.001)
    assert made == [0, 1, 2]
    assert threading.current_thread() not in threads and len(threads) == 1
    assert [next(batches) for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(MauryError, match="No batch 7"):
        next(batches)
    assert len(made) < 12


@pytest.fixture(scope="module")
def low_rank() -> LowRankOpacity:
    """Opacities with one line, alike in all gas."""
    wavelength = torch.arange(5150.0, 5260.0, 0.01, dtype=torch.float64)
    line = torch.exp(-0.5 * ((wavelength - 5205.0) / 0.05) ** 2)
    coarse = torch.arange(5140.0, 5275.0, 5.0, dtype=torch.float64)
    shape = (METALLICITY.size + 2, TURBULENCE.size + 2, TEMPERATURE.size + 2, LOG_PRESSURE.size + 2)
    return LowRankOpacity(
        wavelength=wavelength,
        mean=-1.0 + 2.5 * line,
        components=torch.zeros(1, wavelength.numel()),
        amplitudes=torch.zeros(*shape, 1),
        continuum_wavelength=coarse,
        continuum_mean=torch.full(coarse.shape, -1.0),
        continuum_components=torch.zeros(1, coarse.numel()),
        continuum_amplitudes=torch.zeros(shape[0], *shape[2:], 1),
    )


@pytest.mark.parametrize("kind", ["low rank", "emulator"])
def test_stars_from_physics_are_never_seen_twice(kind: str, low_rank, line_forest) -> None:
    physics = kind == "low rank"
    ranges = BRIGHT | {"mh": Range(-1, 0.4), "vmic": Range(1, 2), "vsini": Range(0, 10)}
    source = ModelExposures(low_rank if physics else line_forest, PART, ranges=ranges, seed=2)
    batches = [source.batch(index, 3) for index in range(3)]
    labels = torch.cat([batch.labels for batch in batches])
    assert len({tuple(row) for row in labels.tolist()}) == 9
    again = ModelExposures(low_rank if physics else line_forest, PART, ranges=ranges, seed=2)
    assert same(again.batch(1, 3), batches[1])
    assert source.describe(17, 4)[3] == "simulated exposure 3 of batch 17 (seed 2)"
    assert all(batch.valid.all() and batch.flux.isfinite().all() for batch in batches)
    if not physics:
        return
    for flux, rv in zip(batches[0].flux, batches[0].labels[:, 0], strict=True):
        depth = 1 - flux.double().numpy() / np.median(flux)
        near = np.abs(PART.wavelength - 5205.0 * doppler_factor(rv.item())) < 0.6
        centre = (depth * PART.wavelength)[near].sum() / depth[near].sum()
        assert (centre / 5205.0 - 1) * SPEED_OF_LIGHT == pytest.approx(rv.item(), abs=0.5)


def test_where_the_model_ends_nothing_is_valid(line_forest) -> None:
    grid = WavelengthGrid(start=6030.0, step=0.01, size=2000)
    ranges = BRIGHT | {"mh": Range(-1, 0.4), "rv": Range(90, 90)}
    flux, valid, _ = ModelExposures(line_forest, grid, ranges=ranges).batch(0, 2)
    last = grid.wavelength[valid[0].nonzero().max()]
    assert last == pytest.approx(line_forest.wavelength[-1] * doppler_factor(90.0), abs=0.2)
    assert flux[valid].isfinite().all()


def test_nuisances_come_with_the_models_too(line_forest) -> None:
    nuisances = ExposureNuisances(
        line_strengths=LineStrengthErrors(overall=0.3),
        damage=Damage(chunks=0, crop=0.0, cosmics=50),
        wavelength_offset=2.0,
    )
    ranges = BRIGHT | {"mh": Range(-1, 0.4)}
    plain = ModelExposures(line_forest, PART, ranges=ranges)
    disturbed = ModelExposures(line_forest, PART, ranges=ranges, nuisances=nuisances)
    first, second = plain.batch(0, 3), disturbed.batch(0, 3)
    assert torch.equal(first.labels, second.labels)
    assert (second.flux / first.flux - 1).abs().max() > 0.05
    assert same(disturbed.batch(0, 3), second)


def test_stars_beyond_the_model_are_refused(line_forest) -> None:
    with pytest.raises(MauryError, match="teff = 3000:11000 is asked for, but the model knows"):
        ModelExposures(line_forest, PART)
    with pytest.raises(MauryError, match="No quantity is called 'age'"):
        ModelExposures(line_forest, PART, ranges={"age": Range(0, 1)})
    assert set(NIGHT) > {"rv", "berv"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_are_made_on_the_gpu(store: SpectrumStore, low_rank) -> None:
    fresh = FreshExposures(store, device="cuda")
    model = ModelExposures(low_rank, PART, ranges=BRIGHT | {"mh": Range(-1, 0.4)}, device="cuda")
    for source in (fresh, model):
        mixed = MixedExposures(source, None, rate=1.0)
        plain = [mixed.batch(i, 4) for i in range(4)]
        made = list(ahead(lambda i, mixed=mixed: mixed.batch(i, 4), range(4)))
        assert all(value.is_cuda for batch in made for value in batch)
        assert all(same(a, b) for a, b in zip(made, plain, strict=True))


def test_a_store_without_spectra_is_refused(store: SpectrumStore, tmp_path: Path) -> None:
    empty = SpectrumStore(store.path)
    empty.done = empty.done[:0]
    with pytest.raises(MauryError, match="has no spectra yet"):
        FreshExposures(empty)
