"""Sets of simulated exposures: what is planned, what is kept, and what is made of it."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from maury.datasets.exposures import (
    ETC_LABELS,
    NIGHT,
    STAR,
    EtcSimulation,
    GenerativeSimulation,
    simulate_exposures,
)
from maury.datasets.nuisances import ContinuumShape, Damage, ExposureNuisances, LineStrengthErrors
from maury.datasets.observatory import ExposurePixels
from maury.datasets.sampling import Range
from maury.datasets.starlight import exposure_grid
from maury.datasets.store import SpectrumStore
from maury.datasets.stored_exposures import StoredExposures, normalized
from maury.errors import GridError, MauryError, SynthesisError, TargetError
from maury.grid import HARPS, WavelengthGrid
from maury.models.preprocessing import Preprocessing
from maury.synthesis.synthesize import synthesize
from maury.wavelength import SPEED_OF_LIGHT, doppler_factor

PART = WavelengthGrid(start=5290.0, step=0.01, size=2000)
SUN = {
    "teff": Range(5772, 5772), "logg": Range(4.44, 4.44), "mh": Range(0, 0), "vmic": Range(1, 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SpectrumStore:
    simulation = EtcSimulation(n=4, split="val", seed=5, grid=PART, solver="direct")
    return simulate_exposures(simulation, tmp_path_factory.mktemp("etc") / "val", workers=0)


def changed(store: SpectrumStore, **columns: float) -> StoredExposures:
    """The exposures of a store as if they had been taken in another way."""
    exposures = StoredExposures(store)
    exposures.rows = [{**row, **columns} for row in exposures.rows]
    return exposures


def test_labels_are_independent_and_uniform() -> None:
    rows = EtcSimulation(n=2000, seed=3).rows()
    drawn = [name for name, interval in {**STAR, **NIGHT}.items() if not interval.fixed]
    values = np.array([[row[name] for name in drawn] for row in rows])
    for name, column in zip(drawn, values.T, strict=True):
        interval = {**STAR, **NIGHT}[name]
        uniform = stats.uniform(interval.low, interval.high - interval.low)
        assert stats.kstest(column, uniform.cdf).pvalue > 1e-4
    correlation = np.corrcoef(values.T) - np.eye(len(drawn))
    assert np.abs(correlation).max() < 5 / np.sqrt(len(rows))
    assert {row["vmic"] for row in rows} == {2.0}


def test_splits_share_no_star_and_a_larger_set_holds_the_smaller() -> None:
    sets = {split: EtcSimulation(n=500, split=split).rows() for split in ("train", "val", "test")}
    numbers = Counter(row["teff"] for rows in sets.values() for row in rows)
    seeds = Counter(row["noise_seed"] for rows in sets.values() for row in rows)
    assert max(numbers.values()) == max(seeds.values()) == 1
    assert EtcSimulation(n=20, split="val").rows() == sets["val"][:20]
    assert EtcSimulation(n=20, split="val", seed=1).rows()[0]["teff"] != sets["val"][0]["teff"]


def test_a_generative_set_differs_in_one_label_only() -> None:
    rows = GenerativeSimulation(split="test", cores=4, variations=3).rows()
    assert len(rows) == 4 * 7 * 3
    sets: dict[tuple, list[dict]] = {}
    for row in rows:
        sets.setdefault((row["core"], row["label"]), []).append(row)
    for (core, label), same in sets.items():
        assert [row["variation"] for row in same] == [0, 1, 2]
        differing = {name for name in same[0] if len({row[name] for row in same}) > 1}
        assert differing == {label, "variation"}
        interval = {**STAR, **NIGHT}[label]
        middle = (interval.low + interval.high) / 2
        assert [row[label] for row in same] == pytest.approx([interval.low, middle, interval.high])
        assert core == sets[core, "rv"][0]["core"]
    assert {label for _, label in sets} == set(ETC_LABELS.names)
    # Two cores with one and the same value of a label are told apart by their index.
    assert len({row["star"] for row in rows}) == 4


def test_an_exposure_is_the_same_in_any_batch_and_at_any_time(store: SpectrumStore) -> None:
    whole = StoredExposures(store).batch([0, 1, 2, 3])
    alone = StoredExposures(SpectrumStore(store.path)).batch([2])
    assert torch.equal(whole.flux[2], alone.flux[0])
    assert torch.equal(whole.sigma[2], alone.sigma[0])
    assert torch.equal(whole.labels[2], alone.labels[0])
    row = StoredExposures(store).rows[2]
    assert alone.labels[0].tolist() == pytest.approx([row[name] for name in ETC_LABELS.names])


def test_noise_is_that_of_the_standard_deviation(store: SpectrumStore) -> None:
    exposures = StoredExposures(store)
    first, other = exposures.batch([1]), changed(store, noise_seed=12345).batch([1])
    pull = ((first.flux - other.flux) / first.sigma)[first.valid & other.valid] / 2**0.5
    assert pull.std().item() == pytest.approx(1.0, abs=0.06)


def test_signal_to_noise_grows_with_light(store: SpectrumStore) -> None:
    def ratio(**columns: float) -> float:
        batch = changed(store, **({"pwv": 0.05, "moon": 0.0} | columns)).batch([1])
        return (1 / batch.sigma[batch.valid]).median().item()

    bright = ratio(magnitude=3.0, exposure=400.0)
    assert bright / ratio(magnitude=3.0, exposure=100.0) == pytest.approx(2.0, rel=0.02)
    assert bright / ratio(magnitude=5.5, exposure=400.0) == pytest.approx(10**0.5, rel=0.05)


def test_the_truth_is_without_noise_and_can_be_asked_for_another_night(
    store: SpectrumStore,
) -> None:
    exposures = StoredExposures(store)
    truth, noisy = exposures.batch([0, 1], noise=False), exposures.batch([0, 1])
    pull = ((noisy.flux - truth.flux) / truth.sigma)[truth.valid]
    assert pull.std().item() == pytest.approx(1.0, abs=0.1)
    other = exposures.batch([0, 1], noise=False, rv=np.array([10.0, 20.0]), airmass=2.0)
    assert other.labels[:, 0].tolist() == [10.0, 20.0] and (other.labels[:, 5] == 2).all()
    assert torch.equal(other.labels[:, 1:5], truth.labels[:, 1:5])
    again = changed(store, rv=20.0, airmass=2.0).batch([1], noise=False)
    assert torch.equal(other.flux[1], again.flux[0])
    with pytest.raises(MauryError, match="'teff' cannot be changed"):
        exposures.batch([0], teff=5000.0)


def test_the_gap_moves_with_the_earth_and_the_star_does_not(store: SpectrumStore) -> None:
    last = []
    quiet = {"rv": 0.0, "magnitude": -5.0, "exposure": 3600.0}
    plain = changed(store, berv=0.0, **quiet).batch([1])
    for berv in (-25.0, 25.0):
        batch = changed(store, berv=berv, **quiet).batch([1])
        last.append(PART.wavelength[batch.valid[0].nonzero().max()])
        both = (batch.valid & plain.valid)[0]
        lines = [x.flux[0, both].double().numpy() for x in (batch, plain)]
        flat = [x - np.convolve(x, np.ones(101) / 101, mode="same") for x in lines]
        assert np.corrcoef(flat[0][60:-60], flat[1][60:-60])[0, 1] > 0.9
    # Where the blue CCD ends at the observatory.
    assert last == pytest.approx(
        [5304.343 * (1 + v / SPEED_OF_LIGHT) for v in (-25, 25)], abs=0.011
    )


def test_tellurics_move_with_the_earth(tmp_path: Path) -> None:
    grid = WavelengthGrid(start=6867.0, step=0.01, size=600)
    simulation = EtcSimulation(n=1, grid=grid, solver="direct", ranges=SUN)
    store = simulate_exposures(simulation, tmp_path / "b", workers=0)
    quiet = {"rv": 0.0, "magnitude": -5.0, "exposure": 3600.0, "airmass": 1.5, "pwv": 0.05}
    shapes = [changed(store, berv=v, **quiet).batch([0]).flux[0].double() for v in (0.0, 20.0)]
    lag = round(20.0 / SPEED_OF_LIGHT * 6870.0 / 0.01)
    overlap = [
        np.corrcoef(shapes[0][100:500], shapes[1][100 + k : 500 + k])[0, 1] for k in range(100)
    ]
    assert int(np.argmax(overlap)) == pytest.approx(lag, abs=1)
    assert max(overlap) > 0.99


def test_stars_are_those_of_the_synthesis(store: SpectrumStore) -> None:
    row = StoredExposures(store).rows[1]
    inner = store.grid.wavelength[100:-100]
    names = ("teff", "logg", "mh", "vmic")
    expected = synthesize(
        **{name: row[name] for name in names}, wavelength=inner, resolving_power=115_000
    )
    kept = store.flux([1])[0, 100:-100]
    assert np.abs(kept / expected.flux - 1).max() < 5e-3
    assert np.std(kept / expected.flux) < 1e-3
    moved = changed(store, rv=80.0, berv=0.0, magnitude=-5.0, exposure=3600.0).batch([1])
    assert moved.valid[0, :1000].all()  # no end of the star's spectrum is to be seen
    wave = PART.wavelength[:1000] / doppler_factor(80.0)
    star = np.interp(wave, store.grid.wavelength, store.flux([1])[0])
    assert np.corrcoef(star, moved.flux[0, :1000])[0, 1] > 0.98


def test_brightness_of_a_part_is_near_that_of_the_whole_band() -> None:
    """The mean over V that is guessed from a part, beside that of the whole Sun."""
    row = EtcSimulation(n=1, ranges=SUN, solver="direct").rows()[0]
    part = EtcSimulation(n=1, ranges=SUN, solver="direct", grid=PART).starlight
    _, found = part(row)
    # Willmer 2018, ApJS 236, 47: V = -26.76 of the Sun, seen 959.63 arcsec wide.
    seen = 3.631e-9 * 10 ** (0.4 * 26.76)
    surface = seen / np.radians(959.63 / 3600) ** 2
    assert found["flux_v"] == pytest.approx(surface, rel=0.1)


def test_pixels_of_harps_reach_as_far_as_stars_can_be_computed() -> None:
    pixels = ExposurePixels.of(HARPS, 100.0)
    assert pixels.wide == WavelengthGrid(start=3709.11, step=0.01, size=HARPS.size)
    fine, together = exposure_grid(WavelengthGrid(start=5000.0, step=0.06, size=100))
    assert (together, fine.size) == (4, 400)
    assert fine.wavelength[:4].mean() == pytest.approx(5000.0)


def test_wide_pixels_are_means_of_narrow_ones(tmp_path: Path) -> None:
    grid = WavelengthGrid(start=5200.0, step=0.06, size=200)
    simulation = EtcSimulation(n=1, grid=grid, solver="direct", ranges=SUN)
    store = simulate_exposures(simulation, tmp_path / "wide", workers=0)
    assert store.grid.step == pytest.approx(0.015)
    narrow = WavelengthGrid(start=5199.9775, step=0.015, size=800)
    same = simulate_exposures(
        EtcSimulation(n=1, grid=narrow, solver="direct", ranges=SUN), tmp_path / "n", workers=0
    )
    many = [changed(same, noise_seed=seed).batch([0]) for seed in range(40)]
    wide = changed(store, noise_seed=1).batch([0])
    assert wide.flux.shape == (1, 200)
    # Noise of four detector pixels, and of their mean.
    scatter = torch.cat([x.flux for x in many]).unflatten(1, (200, 4)).mean(2).std(0).median()
    assert wide.sigma.median().item() == pytest.approx(scatter.item(), rel=0.1)


def test_normalisation_is_that_of_the_networks(store: SpectrumStore) -> None:
    generator = torch.Generator().manual_seed(1)
    flux = 5 + torch.rand(3, PART.size, generator=generator)
    valid = (torch.rand(3, PART.size, generator=generator) > 0.2) & torch.tensor(PART.valid)
    ours, _ = normalized(flux, torch.ones_like(flux), valid)
    assert torch.equal(ours, Preprocessing(PART)(flux, valid))
    assert normalized(flux, flux, torch.zeros_like(valid))[0].abs().sum() == 0


def test_nuisances_depend_on_the_row_alone(tmp_path: Path) -> None:
    nuisances = ExposureNuisances(
        line_strengths=LineStrengthErrors(overall=0.2),
        continuum=ContinuumShape(slope=0.1, ripple=0.02),
        damage=Damage(chunks=0, crop=0.0, cosmics=20, bad_pixels=20),
        wavelength_offset=1.0,
    )
    grid = WavelengthGrid(start=5200.0, step=0.01, size=800)
    stores = {
        name: simulate_exposures(
            EtcSimulation(n=2, grid=grid, solver="direct", nuisances=chosen, ranges=SUN),
            tmp_path / name,
            workers=0,
        )
        for name, chosen in (("with", nuisances), ("without", ExposureNuisances()))
    }
    exposures = StoredExposures(stores["with"])
    pair = exposures.batch([0, 1])
    assert torch.equal(pair.flux[1], exposures.batch([1]).flux[0])
    plain = StoredExposures(stores["without"]).batch([0, 1])
    assert (pair.flux / plain.flux - 1).abs().max() > 0.05
    lines = [store.flux([0])[0] / store.flux([1])[0] for store in stores.values()]
    # Of the same Sun twice only the disturbed one has two spectra.
    assert np.ptp(lines[0]) > 0.01 and np.ptp(lines[1]) < 1e-6


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"ranges": {"teff": Range(2000, 5000)}}, "2000"),
        ({"ranges": {"airmass": Range(0.5, 2.0)}}, r"airmass = 0.5:2 is not allowed; it must be 1"),
        ({"ranges": {"moon": Range(0, 1, 0.5)}}, "moon = 0:1:0.5 has a step"),
        ({"ranges": {"age": Range(0, 1)}}, "No quantity is called 'age'"),
        ({"split": "dev"}, "split must be one of train, val, test, not 'dev'"),
        ({"n": 0}, "n = 0 is not allowed"),
    ],
)
def test_impossible_plans(wrong: dict, says: str) -> None:
    with pytest.raises(SynthesisError, match=says):
        EtcSimulation(**({"n": 1} | wrong)).rows()


def test_a_label_that_is_fixed_cannot_be_varied() -> None:
    with pytest.raises(SynthesisError, match="label teff cannot be changed, for it is fixed"):
        GenerativeSimulation(ranges=SUN)


def test_other_stores_and_other_settings_are_refused(store: SpectrumStore) -> None:
    other = EtcSimulation(n=4, split="val", seed=6, grid=PART, solver="direct")
    with pytest.raises(TargetError, match="seed"):
        simulate_exposures(other, store.path, workers=0)
    wrong = SpectrumStore(store.path)
    wrong.settings = {**wrong.settings, "kind": "seds"}
    with pytest.raises(MauryError, match="of the kind 'seds'"):
        StoredExposures(wrong)


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        (WavelengthGrid(start=8000.0, step=0.01, size=100), "at 8000.0-8001.0 A; allowed are"),
        (WavelengthGrid(start=5000.0, step=0.01, size=100, medium="vacuum"), "must be in air"),
    ],
)
def test_impossible_grids(grid: WavelengthGrid, says: str) -> None:
    with pytest.raises(GridError, match=says):
        EtcSimulation(n=1, grid=grid)


def test_the_grid_s_own_gaps_are_invalid(tmp_path: Path) -> None:
    grid = WavelengthGrid(start=5200.0, step=0.01, size=300, gaps=((5201.0, 5201.5),))
    simulation = EtcSimulation(n=1, grid=grid, solver="direct", ranges=SUN)
    batch = StoredExposures(simulate_exposures(simulation, tmp_path / "g", workers=0)).batch([0])
    assert np.array_equal(batch.valid[0].numpy(), grid.valid)
    assert batch.flux[0, ~torch.tensor(grid.valid)].abs().max() == 0
