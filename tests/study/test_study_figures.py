"""Figures of the study: which are drawn, from what, and what they are called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

from maury.datasets.store import SpectrumStore
from maury.datasets.training_source import ObservedExposures
from maury.errors import MauryError
from maury.evaluation import figures as library
from maury.evaluation.interventions import GeneralScores
from maury.grid import HARPS, HARPS_TINY
from maury.labels import LabelSet, Normalizer
from maury.models.weights import save_network
from maury.models.zoo import build
from maury.study.drawing import Drawing
from maury.study.exposures import TestExposures
from maury.study.figures import draw
from maury.study.measure import Measurements
from maury.study.plan import ITEMS, LABEL_QUANTITY, MODELS
from maury.study.results import Results
from maury.study.tables import TABLES

pytestmark = pytest.mark.usefixtures("smallest")

NAMES = ("teff", "logg", "mh", "rv", "berv", "airmass", "pwv")
CENTER = (5800.0, 4.3, -0.2, 0.0, 0.0, 1.5, 5.0)
SCALE = (600.0, 0.3, 0.3, 20.0, 15.0, 0.3, 3.0)
STATISTICS = {"mae": 1.0, "bias": 0.0, "sigma": 1.0}
COUNT = 40
Replace = Callable[[pytest.MonkeyPatch, object, object], None]
Catch = Callable[[Any], list[tuple[Any, ...]]]


def labelled(seed: int) -> Measurements:
    random = np.random.default_rng(seed)
    true = random.normal(size=(COUNT, len(NAMES))) * SCALE + CENTER
    scores = {
        label: GeneralScores(
            np.repeat(np.arange(4), 2), np.ones(8), *random.uniform(1e-3, 1e-2, (2, 8))
        )
        for label in ("teff", "mh", "logg", "rv")
    }
    return Measurements(
        NAMES,
        true=true,
        predicted=true + 0.1 * random.normal(size=true.shape) * SCALE,
        reconstruction={"observed": random.uniform(0.01, 0.02, COUNT)},
        rvis=random.uniform(1e-3, 1e-2, (10, 4)),
        shifted_input=random.uniform(1e-3, 1e-2, (10, 4)),
        true_rvis=random.uniform(1e-3, 1e-2, (10, 4)),
        gis=scores,
    )


@pytest.fixture(scope="session")
def results() -> Results:
    """As if all of the study had been measured."""
    models = {name: labelled(seed) for seed, name in enumerate(MODELS)}
    sweeps = {
        "sweep-bottleneck": {7: labelled(30), 20: labelled(31), 9: labelled(32)},
        "sweep-bottleneck-free": {7: labelled(33), 9: labelled(34)},
        "sweep-label-weight": {0.1: labelled(35), 1: labelled(36), 20: labelled(37)},
    }
    return Results(models, sweeps)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained networks in place of those that spectra are drawn of."""
    folder = tmp_path_factory.mktemp("runs")
    labels, normalizer = LabelSet.from_names(NAMES), Normalizer(CENTER, SCALE, NAMES)
    for seed, name in enumerate(
        ("ae-mix", "ae-doppler-mix", "cnn-decoder", "resnet-decoder", "film-decoder",
         "doppler-decoder")
    ):  # fmt: skip
        torch.manual_seed(seed)
        kind = "ae-cnn" if name.startswith("ae") else "cnn-decoder"
        network = build(kind, grid=HARPS_TINY, labels=labels, normalizer=normalizer)
        (folder / name).mkdir()
        validation = dict.fromkeys(NAMES, STATISTICS) if kind == "ae-cnn" else {}
        save_network(folder / name / f"{name}.json", network, validation=validation, training={})
    return folder


@pytest.fixture(scope="session")
def drawing(results: Results, exposures: TestExposures, runs: Path, stores: Path) -> Drawing:
    # All stars, for among so few test stars there might be none whose labels are all known.
    store = SpectrumStore(stores / "runs" / "mock-archive")
    seen = ObservedExposures(store, LabelSet.from_names(exposures.observed.labels.names))
    return Drawing(
        results, TestExposures(seen, exposures.simulated, exposures.generative), runs, "tiny"
    )


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch, replaced: Replace) -> dict[str, Figure]:
    """Figures that would have been written."""
    kept: dict[str, Figure] = {}

    def keep(figure: Figure, folder: Path, name: str) -> None:
        kept[name] = figure

    replaced(monkeypatch, library.save, keep)
    return kept


FIGURES = {
    "fig1": ["fig1"],
    "fig2": ["fig2", "fig2-true"],
    "fig3": ["fig3"],
    "fig4": ["fig4"],
    "fig5": ["fig5"],
    "fig6": ["fig6"],
    "fig7": ["fig7"],
    "fig8": ["fig8"],
    "figB": [f"figB-{part}" for part in ("encoder", "cnn-decoder", "resnet-decoder")],
    "figD1": ["figD1"],
    "traversal": [
        f"traversal-{model}-{label}"
        for model in ("ae-mix", "ae-doppler-mix")
        for label in ("teff", "mh", "logg", "rv")
    ],
    "spectra": ["spectra"],
    "kiel": ["kiel-cnn-mix-mh", "kiel-cnn-mix-error"],
}


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_has_its_parts_and_captions(
    name: str, drawing: Drawing, saved: dict[str, Figure], tmp_path: Path
) -> None:
    drawn = draw(name, drawing, tmp_path)
    assert [part for part, _ in drawn] == list(saved) == FIGURES[name]
    for part, caption in drawn:
        assert caption.startswith(f"{ITEMS[name].title}. ") and caption.endswith(".")
        assert saved[part].axes
    # The diagrams of architectures have their names in them.
    assert name == "figB" or len({caption for _, caption in drawn}) == len(drawn)


def test_every_item_is_a_table_or_a_figure(drawing: Drawing, tmp_path: Path) -> None:
    assert {*FIGURES, *TABLES} == set(ITEMS)
    for name in TABLES:
        assert draw(name, drawing, tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_figures_are_written_as_png_and_pdf(drawing: Drawing, tmp_path: Path) -> None:
    draw("fig6", drawing, tmp_path / "figures")
    png, pdf = (tmp_path / "figures" / f"fig6.{kind}" for kind in ("png", "pdf"))
    assert png.read_bytes().startswith(b"\x89PNG") and pdf.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", [name for name in FIGURES if name not in ("fig1", "figB")])
def test_nothing_is_drawn_of_networks_that_are_not_there(
    name: str, drawing: Drawing, saved: dict[str, Figure], tmp_path: Path
) -> None:
    some = {"sweep-bottleneck": {7: labelled(1)}, "sweep-label-weight": {1: labelled(1)}}
    models = {model: labelled(1) for model in LABEL_QUANTITY if model not in ITEMS[name].models}
    lacking = Drawing(Results(models, some), drawing.exposures, drawing.runs, "tiny")
    assert draw(name, lacking, tmp_path) == [] and not saved


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch, replaced: Replace) -> Catch:
    """What a drawing function is called with, instead of drawing."""

    def catch(function: Any) -> list[tuple[Any, ...]]:
        calls: list[tuple[Any, ...]] = []
        replaced(monkeypatch, function, lambda *given, **_: calls.append(given))
        replaced(monkeypatch, library.save, lambda *_: None)
        return calls

    return catch


def test_curves_are_in_the_order_of_their_values(
    caught: Catch, drawing: Drawing, tmp_path: Path
) -> None:
    calls = caught(library.score_curves)
    draw("fig2", drawing, tmp_path)
    curve = calls[0][0]["AE, u supervised"]
    sweep = drawing.results.sweeps["sweep-bottleneck"]
    assert list(curve.x) == [7, 9, 20]
    assert_allclose(curve.y, [np.mean(sweep[size].rvis) for size in (7, 9, 20)])
    truth = calls[1][0]["AE"]
    free = drawing.results.sweeps["sweep-bottleneck-free"]
    assert_allclose(truth.y, [np.mean(free[size].true_rvis) for size in (7, 9)])


def test_residuals_are_those_of_each_models_labels(
    caught: Catch, drawing: Drawing, tmp_path: Path
) -> None:
    calls = caught(library.residual_grid)
    draw("fig4", drawing, tmp_path)
    true, predicted = calls[0]
    models = drawing.results.models
    assert_array_equal(true["mh"], models["cnn-mix"].true[:, 2])
    assert_array_equal(predicted["AE (mix)"]["logg"], models["ae-mix"].predicted[:, 1])


def test_boxes_are_of_spectra_and_not_of_velocities(
    caught: Catch, drawing: Drawing, tmp_path: Path
) -> None:
    calls = caught(library.score_boxes)
    draw("fig7", drawing, tmp_path)
    draw("fig8", drawing, tmp_path)
    found = drawing.results.models["ae-film-mix"]
    boxes = calls[0][0]["rv"]["AE FiLM (mix)"]
    assert_allclose(boxes["true RVIS"], found.true_rvis.mean(axis=1))
    assert_array_equal(calls[1][0]["mh"]["AE FiLM (mix)"]["GIS"], found.gis["mh"].constrained)


def test_the_example_is_slow_bright_and_has_all_labels(drawing: Drawing) -> None:
    rows = {row["index"]: row for row in drawing.observed.store.catalogue.to_pylist()}
    needed = ("teff", "mh", "logg", "rv", "berv", "airmass")
    complete = [
        row
        for row in rows.values()
        if all(row[name] is not None and np.isfinite(row[name]) for name in needed)
    ]
    chosen = rows[drawing.example]
    assert chosen in complete
    bright = np.median([row["snr"] for row in complete])
    assert chosen["snr"] >= bright
    assert all(abs(chosen["rv"]) <= abs(row["rv"]) for row in complete if row["snr"] >= bright)


def test_without_an_exposure_that_has_all_labels_there_is_no_example(drawing: Drawing) -> None:
    source: Any = SimpleNamespace(
        labels=LabelSet.from_names(NAMES), values=np.full((3, 7), np.nan), indices=np.arange(3)
    )
    lacking = Drawing(drawing.results, TestExposures(source), drawing.runs, "tiny")
    with pytest.raises(MauryError, match="No observed test exposure has all labels"):
        _ = lacking.example


def test_a_traversal_moves_one_label_to_the_values_it_names(
    caught: Catch, drawing: Drawing, tmp_path: Path
) -> None:
    calls = caught(library.latent_traversal)
    network = drawing.network("ae-mix")
    exposure = drawing.observed.at([drawing.example])
    nodes = network.encode(network.normalize(exposure.flux, exposure.valid))
    draw("traversal", drawing, tmp_path)
    for call, label in zip(calls, ("teff", "mh", "logg", "rv"), strict=False):
        wavelength, spectra, values, called, _ = call
        assert called == label
        assert_array_equal(wavelength, HARPS_TINY.wavelength)
        node = NAMES.index(label)
        for value, spectrum in zip(values, spectra, strict=True):
            moved = nodes.copy()
            moved[:, node] = (value - CENTER[node]) / SCALE[node]
            valid = exposure.valid[0].numpy()
            assert_allclose(spectrum[valid], network.decode(moved)[0][valid], atol=1e-4)
            assert np.isnan(spectrum[~valid]).all()


def test_decoders_are_shown_with_what_they_were_to_make(
    caught: Catch, drawing: Drawing, tmp_path: Path
) -> None:
    calls = caught(library.compare_spectra)
    drawn = draw("fig5", drawing, tmp_path)
    _, spectra, (window,) = calls[0]
    assert list(spectra) == [
        "simulated", "CNN (simulation)", "ResNet (simulation)", "FiLM (simulation)",
        "Doppler (simulation)",
    ]  # fmt: skip
    assert HARPS_TINY.start <= window.lower < window.upper <= HARPS_TINY.stop
    source = drawing.simulated
    (number,) = (n for n, row in enumerate(source.rows) if f"{row['teff']:.0f} K" in drawn[0][1])
    row = source.rows[number]
    clean = source.batch([number], noise=False)
    good = clean.valid[0].numpy()
    assert_allclose(spectra["simulated"][good], clean.flux[0].numpy()[good], rtol=1e-5)
    network = drawing.network("film-decoder")
    labels = np.array([[row[name] for name in NAMES]])
    made = network.decode(network.nodes_of(labels))[0]
    assert_allclose(spectra["FiLM (simulation)"][good], made[good], atol=1e-5)


def test_a_star_from_first_principles_resembles_its_exposure(
    caught: Catch, drawing: Drawing, tmp_path: Path
) -> None:
    calls = caught(library.compare_spectra)
    ((_, caption),) = draw("spectra", drawing, tmp_path)
    _, spectra = calls[0]
    assert list(spectra) == ["observed", "AE (mix)", "AE Doppler (mix)", "first principles"]
    assert "mock archive" in caption
    ours, theirs = spectra["first principles"], spectra["observed"]
    good = np.isfinite(ours) & np.isfinite(theirs)
    assert good.mean() > 0.9
    # Lines are at the same places: much better than if shifted by 100 pixels.
    near, far = (
        np.corrcoef(ours[good][200:-200], np.roll(theirs[good], step)[200:-200])[0, 1]
        for step in (0, 100)
    )
    assert near > 0.9 and far < near - 0.1


def test_layers_are_those_of_the_networks_on_the_full_grid(
    caught: Catch, drawing: Drawing, tmp_path: Path
) -> None:
    calls = caught(library.network_diagram)
    draw("figB", drawing, tmp_path)
    layers = {name: given for given, name in calls}
    labels = LabelSet.from_names(NAMES[:6])
    normalizer = Normalizer(CENTER[:6], SCALE[:6], NAMES[:6])
    for name in ("encoder", "cnn-decoder", "resnet-decoder"):
        found = layers[name]
        with torch.device("meta"):
            network = build(name, grid=HARPS, labels=labels, normalizer=normalizer)
        total = sum(parameter.numel() for parameter in network.parameters())
        assert sum(layer.parameters for layer in found) == total
        last = found[-1]
        made = 6 if name == "encoder" else HARPS.size
        assert last.channels * last.length == made
