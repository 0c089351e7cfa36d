"""Any network on any store: what is told of it, and which stores do not serve."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import sem

from maury.datasets.splits import split_by_star
from maury.datasets.store import SpectrumStore
from maury.errors import GridError, MauryError, WeightsError
from maury.evaluation.metrics import Estimate
from maury.grid import HARPS_SMALL, HARPS_TINY, WavelengthGrid
from maury.labels import LABELS, LabelSet, Normalizer
from maury.models.weights import load_network, save_network
from maury.models.zoo import build
from maury.study import evaluate as module
from maury.study.evaluate import evaluate, open_exposures
from maury.study.exposures import TestExposures
from maury.study.measure import measure
from maury.study.networks import StudiedNetwork

pytestmark = pytest.mark.usefixtures("smallest")

NAMES = ("teff", "mh", "rv")
STATISTICS = {"mae": 1.0, "bias": 0.0, "sigma": 1.0}
Told = dict[str, tuple[Estimate, str]]


def write(path: Path, model: str, grid: WavelengthGrid = HARPS_TINY) -> Path:
    torch.manual_seed(1)
    normalizer = Normalizer((5800.0, -0.2, 0.0), (600.0, 0.3, 20.0), NAMES)
    network = build(model, grid=grid, labels=LabelSet.from_names(NAMES), normalizer=normalizer)
    predicted = NAMES if "encoder" in network.parts else ()
    validation = dict.fromkeys(predicted, STATISTICS)
    return save_network(path, network, validation=validation, training={})


@pytest.fixture(scope="session")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    for model in ("ae-cnn", "encoder", "cnn-decoder"):
        write(folder / f"{model}.json", model)
    return folder


@pytest.fixture(scope="session")
def everything(stores: Path, shrink: Callable[[pytest.MonkeyPatch], None]) -> TestExposures:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        return open_exposures(
            stores / "runs" / "mock-archive",
            stores / "simulated-test",
            stores / "generative-test",
            whole=False,
        )


def told(card: Path, exposures: TestExposures) -> Told:
    found = list(evaluate(card, exposures))
    names = [name for name, _, _ in found]
    assert len(set(names)) == len(names)
    return {name: (value, unit) for name, value, unit in found}


@pytest.fixture(scope="session")
def found(cards: Path, everything: TestExposures) -> Told:
    """What is told of an autoencoder."""
    return told(cards / "ae-cnn.json", everything)


def test_everything_that_can_be_told_is_told(found: Told) -> None:
    kinds = ("observed", "simulated")
    assert list(found) == [
        *(
            f"{what}, {kind}"
            for kind in kinds
            for what in (*NAMES, "intrinsic labels", "extrinsic labels")
        ),
        *(
            f"reconstruction, {kind}{part}"
            for kind in kinds
            for part in ("", "-line", "-continuum")
        ),
        "reconstruction, noise-free",
        "RVIS",
        "RVIS against the shifted input",
        "true RVIS",
        *(f"{kind}, {name}" for name in ("teff", "mh", "rv") for kind in ("GIS", "true GIS")),
    ]
    for name, (value, unit) in found.items():
        assert value.value > 0 and value.count > 0, name
        label = name.partition(",")[0]
        assert unit == (LABELS[label].unit if label in LABELS else "")


def test_numbers_are_means_over_what_is_independent(
    cards: Path, everything: TestExposures, found: Told
) -> None:
    network, _ = load_network(cards / "ae-cnn.json")
    seen = everything.observed
    assert seen is not None
    batch = seen.at(seen.indices)
    true = batch.labels[:, seen.labels.index("rv")].numpy()
    error = np.abs(network.predict(batch.flux, batch.valid)[:, 2].numpy() - true)
    value, _ = found["rv, observed"]
    assert value.value == pytest.approx(np.nanmean(error), rel=1e-4)
    assert value.error == pytest.approx(sem(error, nan_policy="omit"), rel=1e-4)
    assert (value.count, value.missing) == (np.isfinite(error).sum(), np.isnan(error).sum())

    measured = measure(StudiedNetwork(network), replace(everything, simulated=None), 100)
    assert measured.rvis is not None
    # Of 100 spectra there are as many as the archive has; velocities are not independent.
    rvis = found["RVIS"][0]
    assert rvis.count == len(seen.indices)
    assert rvis.value == pytest.approx(np.nanmean(measured.rvis), rel=1e-3)
    assert rvis.error == pytest.approx(sem(np.nanmean(measured.rvis, axis=1)), rel=1e-3)
    # Nor are the pairs of a core.
    scores = measured.gis["teff"]
    cores = [scores.constrained[scores.core == core].mean() for core in (0, 1)]
    assert found["GIS, teff"][0].count == 2
    assert found["GIS, teff"][0].value == pytest.approx(np.mean(cores), rel=1e-3)
    assert found["GIS, teff"][0].error == pytest.approx(sem(cores), rel=1e-3)


def test_a_network_is_judged_by_what_there_is(cards: Path, stores: Path) -> None:
    simulated = open_exposures(None, stores / "simulated-test", None, whole=False)
    encoder = told(cards / "encoder.json", simulated)
    assert list(encoder) == [
        f"{what}, simulated" for what in (*NAMES, "intrinsic labels", "extrinsic labels")
    ]
    decoder = told(cards / "cnn-decoder.json", simulated)
    assert list(decoder) == [
        "reconstruction, simulated",
        "reconstruction, simulated-line",
        "reconstruction, simulated-continuum",
        "reconstruction, noise-free",
        "true RVIS",
    ]
    generative = open_exposures(None, None, stores / "generative-test", whole=False)
    assert told(cards / "encoder.json", generative) == {}


def test_stars_that_were_not_tested_on_are_taken_if_asked_for(stores: Path) -> None:
    archive = stores / "runs" / "mock-archive"
    store = SpectrumStore(archive)
    test, all_stars = (
        open_exposures(archive, None, None, whole=whole).observed for whole in (False, True)
    )
    assert test is not None and all_stars is not None
    assert test.indices.tolist() == split_by_star(store)["test"].tolist()
    assert all_stars.indices.tolist() == store.done.tolist()
    assert 0 < len(test.indices) < len(all_stars.indices)


def test_one_star_can_be_evaluated_on(cards: Path, stores: Path, tmp_path: Path) -> None:
    archive = SpectrumStore(stores / "runs" / "mock-archive")
    exposures = open_exposures(stores / "runs" / "mock-archive", None, None, whole=True)
    seen = exposures.observed
    assert seen is not None
    column = seen.labels.index("teff")
    known = seen.indices[np.isfinite(seen.values[:, column])]
    one = TestExposures(type(seen)(archive, seen.labels, indices=known[:1]))
    found = told(cards / "ae-cnn.json", one)
    assert found["teff, observed"][0].count == 1
    # A single star has no spread that an error could be divided by.
    assert "intrinsic labels, observed" not in found
    assert found["RVIS"][0].count == 1


def test_a_network_on_another_grid_is_refused(tmp_path: Path, everything: TestExposures) -> None:
    card = write(tmp_path / "small.json", "encoder", HARPS_SMALL)
    with pytest.raises(GridError) as caught:
        list(evaluate(card, everything))
    message = str(caught.value)
    assert f"Network {card} is for {HARPS_SMALL.size:,} pixels of" in message
    assert "mock-archive has 16,384 of 0.12 A" in message and message.endswith(" A.")


def test_each_store_must_be_on_the_networks_grid(cards: Path, stores: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(stores / "simulated-test", tmp_path / "shifted"))
    settings = json.loads((path / "settings.json").read_text())
    settings["exposure_grid"]["start"] += 1.0
    (path / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(GridError, match="shifted has 16,384"):
        list(evaluate(cards / "encoder.json", open_exposures(None, path, None, whole=False)))


def test_networks_that_cannot_be_read_are_told(tmp_path: Path, everything: TestExposures) -> None:
    with pytest.raises(WeightsError, match=r"none\.json"):
        list(evaluate(tmp_path / "none.json", everything))
    (tmp_path / "text.json").write_text("no card")
    with pytest.raises(WeightsError, match=r"text\.json"):
        list(evaluate(tmp_path / "text.json", everything))


def test_stores_of_the_wrong_kind_are_refused(
    stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, etc = stores / "runs" / "mock-archive", stores / "simulated-test"
    generative = stores / "generative-test"

    def refused(message: str, *paths: Path | None) -> None:
        with pytest.raises(MauryError, match=message) as caught:
            open_exposures(*paths, whole=False)  # type: ignore[misc]
        assert "\n" not in str(caught.value) and str(caught.value).endswith(".")

    refused("There is nothing to evaluate on: name a store by --observed", None, None, None)
    refused("none holds no spectra", tmp_path / "none", None, None)
    refused(
        "simulated-test is of the kind 'etc', but must be 'observed' or 'mock'", etc, None, None
    )
    refused("mock-archive is of the kind 'mock', but must be 'etc'", None, archive, None)
    refused(
        "generative-test is of the kind 'generative', but must be 'etc'", None, generative, None
    )
    refused("simulated-test is of the kind 'etc', but must be 'generative'", None, None, etc)
    monkeypatch.setattr(
        module, "split_by_star", lambda store: {"test": np.empty(0, dtype=np.int64)}
    )
    refused("no exposures of test stars; --all takes those of all stars", archive, None, None)
