"""Tables 3 to 6 from made-up predictions, against SciPy, scikit-learn and the paper's tables."""

import gc
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import sem
from sklearn.metrics import mean_absolute_error

from maury.evaluation.tables import Cell, Table
from maury.study.label_tables import label_table, summary_table
from maury.study.measure import Measurements
from maury.study.paper import PAPER_TABLES
from maury.study.plan import ITEMS, MODELS

NAMES = ("teff", "logg", "mh", "rv", "berv", "airmass")
SCALES = np.array([600.0, 0.2, 0.2, 25.0, 15.0, 0.2])
DESCRIPTIONS = (
    "model type",
    "learning paradigm",
    "architecture",
    "bottleneck",
    "dataset",
    "available labels",
)


@pytest.fixture(autouse=True, scope="module")
def _garbage_is_kept() -> Iterator[None]:
    """statsmodels collects garbage at each comparison, which takes long beside PyTorch."""
    gc.freeze()
    yield
    gc.unfreeze()


def cell(table: Table, row: str, header: str) -> Cell:
    return dict(table.rows)[row][[name for name, _ in table.columns].index(header)]


@pytest.fixture
def true() -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(size=(80, len(NAMES))) * SCALES


def predicting(true: NDArray[np.float64], spread: float, seed: int = 2) -> Measurements:
    """A model whose errors are a share of the labels' own spread."""
    noise = np.random.default_rng(seed).normal(size=true.shape)
    return Measurements(NAMES, true, true + spread * SCALES * noise)


def test_errors_of_labels_are_means_and_standard_errors(true: NDArray[np.float64]) -> None:
    true[:30, NAMES.index("mh")] = np.nan
    found = predicting(true, 0.1)
    table = label_table("table4", {"cnn-mix": found})
    for name, header in (("teff", "Teff"), ("rv", "RV")):
        column = NAMES.index(name)
        assert found.true is not None and found.predicted is not None
        errors = np.abs(found.true - found.predicted)[:, column]
        told = cell(table, "CNN (mix)", header)
        expected = mean_absolute_error(found.true[:, column], found.predicted[:, column])
        assert told.value == pytest.approx(expected)
        assert told.error == pytest.approx(sem(errors))
    assert (
        "Spectra with each label: Teff 80, [M/H] 50, log g 80, RV 80, BERV 80, airmass 80."
        in table.notes
    )


def test_overall_errors_are_in_units_of_the_spread_of_the_true_labels(
    true: NDArray[np.float64],
) -> None:
    found = predicting(true, 0.1)
    table = label_table("table4", {"cnn-mix": found})
    assert found.predicted is not None
    columns = [NAMES.index(name) for name in ("teff", "mh", "logg")]
    expected = np.mean(np.abs(true - found.predicted)[:, columns] / true[:, columns].std(axis=0))
    assert cell(table, "CNN (mix)", "All (intrinsic)").value == pytest.approx(expected)


def test_a_label_that_is_not_predicted_is_told_as_in_the_paper(true: NDArray[np.float64]) -> None:
    found = predicting(true, 0.1)
    assert found.predicted is not None
    found.predicted[:, NAMES.index("berv")] = np.nan
    table = label_table("table4", {"cnn-etc": found})
    assert str(cell(table, "CNN (ETC)", "BERV")) == "NaN ± NaN"
    overall = cell(table, "CNN (ETC)", "All (extrinsic)").value
    assert isinstance(overall, float) and np.isfinite(overall)


def bold(table: Table) -> set[tuple[str, str]]:
    headers = [name for name, _ in table.columns]
    return {
        (row, header)
        for row, cells in table.rows
        for header, each in zip(headers, cells, strict=True)
        if each.bold
    }


def test_what_beats_all_others_is_bold_in_every_column(true: NDArray[np.float64]) -> None:
    models = {
        name: predicting(true, spread, seed)
        for seed, (name, spread) in enumerate({"cnn-mix": 0.5, "ae-mix": 0.1, "ae-real": 1}.items())
    }
    table = label_table("table5", models)
    measured = {name for name, _ in table.columns} - set(DESCRIPTIONS)
    assert bold(table) == {("AE (mix)", header) for header in measured}


def same_errors_elsewhere(found: Measurements) -> Measurements:
    """A model with the same errors, of other spectra and slightly scaled."""
    assert found.true is not None and found.predicted is not None
    errors = found.predicted - found.true
    return Measurements(NAMES, found.true, found.true + 1.001 * errors[::-1])


def test_nothing_is_bold_if_the_best_is_no_better_than_chance(true: NDArray[np.float64]) -> None:
    best = predicting(true, 0.1)
    assert not bold(label_table("table4", {"cnn-mix": best, "ae-mix": same_errors_elsewhere(best)}))


def test_nothing_is_bold_if_only_one_other_is_as_good(true: NDArray[np.float64]) -> None:
    best, bad = predicting(true, 0.1), predicting(true, 1.0)
    models = {"cnn-mix": best, "ae-mix": same_errors_elsewhere(best), "ae-real": bad}
    assert not bold(label_table("table4", models))
    del models["ae-mix"]
    assert bold(label_table("table4", models))


def test_the_mean_of_a_group_is_bold_among_models_that_predict_all_of_it(
    true: NDArray[np.float64],
) -> None:
    models = {
        "cnn-mix": predicting(true, 0.5),
        "ae-mix": predicting(true, 0.1),
        "cnn-etc": predicting(true, 0.01),
    }
    predicted = models["cnn-etc"].predicted
    assert predicted is not None
    predicted[:, NAMES.index("berv")] = np.nan
    found = bold(label_table("table4", models))
    assert ("AE (mix)", "All (extrinsic)") in found
    assert ("CNN (ETC)", "All (intrinsic)") in found
    assert ("AE (mix)", "BERV") in found


def test_a_label_that_no_spectrum_has_is_left_out_of_its_group(true: NDArray[np.float64]) -> None:
    true[:, NAMES.index("airmass")] = np.nan
    models = {"cnn-mix": predicting(true, 0.5), "ae-mix": predicting(true, 0.1)}
    table = label_table("table4", models)
    assert str(cell(table, "AE (mix)", "airmass")) == "NaN ± NaN"
    assert ("AE (mix)", "All (extrinsic)") in bold(table)
    assert "airmass 0." in " ".join(table.notes)


@pytest.mark.parametrize("item", ["table4", "table5", "table6"])
def test_columns_and_descriptions_are_the_papers(item: str, true: NDArray[np.float64]) -> None:
    found = predicting(true, 0.1)
    table, paper = label_table(item, dict.fromkeys(ITEMS[item].models, found)), PAPER_TABLES[item]
    assert table.columns == paper.columns
    told = [name for name, _ in table.columns if name in DESCRIPTIONS]
    for row, _ in paper.rows:
        for header in told:
            assert cell(table, row, header) == cell(paper, row, header), (row, header)


def test_models_that_were_not_trained_are_named_below(true: NDArray[np.float64]) -> None:
    table = label_table("table6", {"beta-vae-unsupervised-mix": predicting(true, 1.0)})
    assert [row for row, _ in table.rows] == ["betaVAE (mix, U)"]
    missing = "Not trained: betaVAE (U*), betaVAE (U), infoVAE (U), infoVAE (mix, U)."
    assert table.notes[-1] == missing


def test_the_summary_has_the_mean_of_each_group(true: NDArray[np.float64]) -> None:
    spreads = {"cnn-mix": 0.1, "ae-mix": 0.2, "info-vae-mix": 0.3, "cnn-real-1percent": 0.5}
    models = {name: predicting(true, spread, 7) for name, spread in spreads.items()}
    table = summary_table(models)
    assert table.columns == PAPER_TABLES["table3"].columns
    assert [row for row, _ in table.rows] == ["supervised and semi-supervised", "supervised"]
    singles = label_table("table5", models)
    one = cell(singles, "CNN 0.01 (real)", "Teff")
    assert cell(table, "supervised", "Teff") == Cell(one.value, one.error)
    # All with the same noise, so that the mean of the group is as the model in its middle.
    middle = cell(label_table("table4", models), "AE (mix)", "log g")
    group = cell(table, "supervised and semi-supervised", "log g")
    assert group.value == pytest.approx(middle.value)
    assert group.error == pytest.approx(middle.error)
    assert "CNN (mix), AE (mix), infoVAE (mix)" in table.to_text()
    assert "AE 0.01 (mix), betaVAE (U*)" in table.notes[-1]


def test_groups_of_the_summary_are_those_of_the_paper(true: NDArray[np.float64]) -> None:
    table = summary_table(dict.fromkeys(MODELS, predicting(true, 0.1)))
    for (row, cells), (expected, theirs) in zip(
        table.rows, PAPER_TABLES["table3"].rows, strict=True
    ):
        assert row == expected
        assert cells[3:5] == theirs[3:5]
