"""Tables 7 to 9 and that of the architectures from made-up scores, against SciPy and by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import sem

from maury.evaluation.interventions import GeneralScores
from maury.evaluation.tables import Cell, Table
from maury.study.measure import Measurements
from maury.study.paper import PAPER_TABLES
from maury.study.plan import ITEMS
from maury.study.resources import TIMED, Resources
from maury.study.results import Results
from maury.study.tables import (
    TABLES,
    architecture_table,
    decoder_table,
    intervention_table,
    resource_table,
)

NAMES = ("teff", "logg", "mh", "rv", "berv", "airmass", "pwv")


def cell(table: Table, row: str, header: str) -> Cell:
    return dict(table.rows)[row][[name for name, _ in table.columns].index(header)]


def positive(*shape: int, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(0.01, 0.03, shape)


def test_errors_of_decoders_are_means_over_spectra() -> None:
    found = {
        key: positive(30, seed=seed)
        for seed, key in enumerate(
            ("simulated", "simulated-line", "simulated-continuum", "noise-free")
        )
    }
    table = decoder_table({"cnn-decoder": Measurements(NAMES, reconstruction=found)})
    headers = (
        "reconstruction error",
        "error in lines",
        "error in continuum",
        "error, noise-free",
    )
    for header, values in zip(headers, found.values(), strict=True):
        told = cell(table, "CNN (simulation)", header)
        assert told.value == pytest.approx(values.mean())
        assert told.error == pytest.approx(sem(values))
    assert str(cell(table, "CNN (simulation)", "true RVIS")) == "–"
    assert "Not trained: ResNet (simulation), FiLM (simulation)" in table.notes[-1]
    assert "Spectra: 30 for errors, 0 for true RVIS." in table.notes


def test_velocities_of_a_spectrum_do_not_count_as_independent() -> None:
    spectra = positive(25)
    scores = np.repeat(spectra[:, None], 20, axis=1)
    table = decoder_table({"cnn-decoder": Measurements(NAMES, true_rvis=scores)})
    told = cell(table, "CNN (simulation)", "true RVIS")
    assert told.value == pytest.approx(spectra.mean())
    assert told.error == pytest.approx(sem(spectra))


def test_velocities_without_a_score_are_left_out() -> None:
    scores = np.array([[0.1, np.nan, 0.3], [0.4, 0.4, 0.4], [np.nan, np.nan, np.nan]])
    table = intervention_table({"ae-mix": Measurements(NAMES, rvis=scores)})
    told = cell(table, "AE (mix)", "RVIS")
    assert (told.value, told.error) == (pytest.approx(0.3), pytest.approx(0.1))


def test_pairs_of_a_core_do_not_count_as_independent() -> None:
    core = np.repeat([3, 5, 9], [6, 2, 6])
    means = np.array([0.1, 0.2, 0.6])
    constrained = np.repeat(means, [6, 2, 6]) + np.tile([-0.01, 0.01], 7)
    scores = GeneralScores(core, np.ones(core.size), constrained, 2 * constrained)
    table = intervention_table({"ae-mix": Measurements(NAMES, gis={"logg": scores})})
    for header, factor in (("GIS log g", 1), ("true GIS log g", 2)):
        told = cell(table, "AE (mix)", header)
        assert told.value == pytest.approx(factor * means.mean())
        assert told.error == pytest.approx(factor * sem(means))
    assert str(cell(table, "AE (mix)", "GIS Teff")) == "–"


def test_general_scores_without_true_spectra_have_no_true_score() -> None:
    scores = GeneralScores(np.array([0, 1]), np.ones(2), np.array([0.1, 0.2]), None)
    table = intervention_table({"ae-mix": Measurements(NAMES, gis={"teff": scores})})
    assert str(cell(table, "AE (mix)", "true GIS Teff")) == "–"
    assert cell(table, "AE (mix)", "GIS Teff").value == pytest.approx(0.15)


def test_each_kind_of_velocity_score_has_its_column() -> None:
    found = Measurements(
        NAMES,
        rvis=np.full((4, 3), 0.1),
        true_rvis=np.full((5, 3), 0.2),
        shifted_input=np.full((4, 3), 0.3),
    )
    table = intervention_table({"ae-mix": found})
    told = [cell(table, "AE (mix)", name).value for name in ("RVIS", "true RVIS", "RVIS to input")]
    assert told == pytest.approx([0.1, 0.2, 0.3])
    sizes = "Spectra: 4 for RVIS, 5 for true RVIS; cores for each label: 0."
    assert sizes in table.notes


def test_time_and_memory_stand_as_in_the_paper() -> None:
    table = resource_table(
        {
            "ae-doppler": Resources(None, 100.0, 20.0, 3.5),
            "ae-resnet": Resources(3.91, 795.0, 300.0, 13.3),
        }
    )
    paper = PAPER_TABLES["table9"]
    assert [row for row, _ in table.rows] == ["AE (mix)", "AE Doppler (mix)"]
    for header, _ in paper.columns:
        assert cell(table, "AE (mix)", header) == cell(paper, "AE (mix)", header)
    assert cell(table, "AE (mix)", "CPU, fast").value == 300.0
    assert str(cell(table, "AE Doppler (mix)", "GPU")) == "–"
    assert "There was no GPU." not in table.notes


def test_models_of_the_paper_are_timed_with_its_bottlenecks() -> None:
    table = resource_table(dict.fromkeys(TIMED, Resources(None, 1.0, 1.0, 1.0)))
    paper = PAPER_TABLES["table9"]
    assert len(table.rows) == len(TIMED)
    for row, _ in paper.rows:
        for header in ("model type", "architecture", "bottleneck"):
            assert cell(table, row, header) == cell(paper, row, header)
    assert table.notes[-1] == "There was no GPU."


def architecture_models() -> dict[str, Measurements]:
    reference = {"observed": positive(40), "noise-free": positive(40, seed=2)}
    velocities = positive(50, 20, seed=3)
    return {
        "ae-mix": Measurements(
            NAMES, reconstruction=reference, rvis=velocities, true_rvis=velocities
        ),
        "ae-doppler-mix": Measurements(
            NAMES,
            reconstruction={key: 0.9 * values for key, values in reference.items()},
            rvis=positive(50, 20, seed=4),
            true_rvis=0.25 * velocities,
        ),
    }


def test_ratios_are_to_the_resnet_on_the_same_spectra() -> None:
    times = {
        "resnet-decoder": Resources(None, 700.0, 300.0, 11.6),
        "doppler-decoder": Resources(None, 100.0, 60.0, 3.0),
    }
    table = architecture_table(architecture_models(), times)
    row = "AE Doppler (mix)"
    ratio = cell(table, row, "ratio, true RVIS")
    # Every spectrum has the same ratio, so that it is known exactly.
    assert ratio.value == pytest.approx(0.25)
    assert ratio.error == pytest.approx(0.0, abs=1e-12)
    assert cell(table, row, "ratio, error, observed").value == pytest.approx(0.9)
    assert cell(table, row, "decoding").value == 60.0
    assert cell(table, row, "ratio, decoding").value == pytest.approx(0.2)
    assert cell(table, "AE (mix)", "decoding").value == 300.0
    assert cell(table, "AE (mix)", "ratio, RVIS") == Cell(1.0)


def test_the_error_of_a_ratio_is_near_that_of_the_jackknife() -> None:
    models = architecture_models()
    ours, theirs = (models[name].rvis for name in ("ae-doppler-mix", "ae-mix"))
    assert ours is not None and theirs is not None
    over, under = ours.mean(axis=1), theirs.mean(axis=1)
    n = over.size
    left_out = (over.sum() - over) / (under.sum() - under)
    expected = np.sqrt((n - 1) / n * np.sum((left_out - left_out.mean()) ** 2))
    found = cell(architecture_table(models, {}), "AE Doppler (mix)", "ratio, RVIS")
    assert found.value == pytest.approx(over.mean() / under.mean())
    assert found.error == pytest.approx(expected, rel=0.02)


def test_ratios_to_nothing_are_not_told() -> None:
    models = architecture_models()
    del models["ae-mix"]
    table = architecture_table(models, {})
    for header in ("ratio, RVIS", "decoding", "ratio, decoding"):
        assert str(cell(table, "AE Doppler (mix)", header)) == "–"
    models["ae-mix"] = Measurements(NAMES, rvis=np.zeros((50, 20)))
    ratio = cell(architecture_table(models, {}), "AE Doppler (mix)", "ratio, RVIS")
    assert str(ratio) == "NaN ± NaN"


def test_every_table_of_the_study_can_be_made_and_is_called_as_its_item() -> None:
    tables = {name for name in ITEMS if name.startswith("table")} | {"architectures"}
    assert set(TABLES) == tables
    for name, make in TABLES.items():
        table = make(Results({}, {}, {}))
        assert table.name == name
        assert not table.rows
        assert name == "table9" or table.notes[-1].startswith("Not trained: ")
        assert table.to_text()
