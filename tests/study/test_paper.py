"""The paper's tables against numbers picked from its text by hand, and against themselves."""

import math
from decimal import Decimal

import pytest

from maury.evaluation.metrics import Estimate, paper_overall_error
from maury.evaluation.tables import Cell, Table
from maury.study.paper import LABEL_COLUMNS, PAPER_TABLES, PAPER_TEXT
from maury.study.plan import ITEMS, MODELS

LABEL_TABLES = ("table4", "table5", "table6")
GROUPS = {"All (intrinsic)": ("teff", "mh", "logg"), "All (extrinsic)": ("rv", "berv", "airmass")}


def cell(table: Table, row: str, header: str) -> Cell:
    position = [name for name, _ in table.columns].index(header)
    return dict(table.rows)[row][position]


@pytest.mark.parametrize(
    ("item", "row", "header", "value", "error"),
    [
        ("table3", "unsupervised", "Teff", 1000, None),
        ("table3", "semi-supervised", "log g", 0.06, None),
        # Sect. 4.1 names these six.
        ("table4", "betaVAE (U*)", "Teff", 978.0, 13.0),
        ("table4", "CNN (mix)", "[M/H]", 0.02118, 0.00064),
        ("table4", "infoVAE (mix)", "Teff", 43.68, 0.73),
        ("table5", "CNN 0.01 (mix)", "BERV", 0.787, 0.011),
        ("table5", "AE 0.01 (mix)", "RV", 3.53, 0.15),
        ("table5", "CNN (real)", "All (extrinsic)", 0.07591, 0.00098),
        ("table6", "infoVAE (mix, U)", "airmass", 0.1809, 0.0019),
        ("table6", "betaVAE (U)", "BERV", 16.125, 0.097),
        # Sect. 4.2.1 and 4.3 name these.
        ("table7", "ResNet (simulation)", "reconstruction error", 0.0064, 0.0011),
        ("table8", "AE (real)", "log g", 0.036, None),
        ("table9", "AE (mix)", "CPU", 795.0, None),
        ("table9", "betaVAE (U*)", "GPU", 0.386, None),
    ],
)
def test_numbers_are_those_of_the_paper(
    item: str, row: str, header: str, value: float, error: float | None
) -> None:
    found = cell(PAPER_TABLES[item], row, header)
    assert (found.value, found.error) == (value, error)


def half_a_unit(number: float) -> float:
    """By how much a number may have been rounded, if all its digits are written."""
    exponent = Decimal(str(number)).as_tuple().exponent
    return 0.5 * 10.0 ** int(exponent)


@pytest.mark.parametrize("item", LABEL_TABLES)
@pytest.mark.parametrize("overall", GROUPS)
def test_overall_errors_follow_from_the_labels_within_rounding(item: str, overall: str) -> None:
    table = PAPER_TABLES[item]
    for row, _ in table.rows:
        errors = {
            name: float(cell(table, row, LABEL_COLUMNS[name][0]).value)  # type: ignore[arg-type]
            for name in GROUPS[overall]
        }
        estimates = {name: Estimate(value, 0.0, 1) for name, value in errors.items()}
        found = cell(table, row, overall).value
        assert isinstance(found, float)
        # The divisors themselves are fitted, and known to 0.04 %.
        tolerance = half_a_unit(found) + 4e-4 * found
        assert paper_overall_error(estimates) == pytest.approx(found, abs=tolerance), row


def test_berv_of_the_encoder_of_simulated_spectra_is_unknown() -> None:
    found = cell(PAPER_TABLES["table4"], "CNN (ETC)", "BERV")
    assert math.isnan(float(found.value))  # type: ignore[arg-type]
    assert found.error is not None and math.isnan(found.error)


def test_rows_that_stand_in_two_tables_are_the_same_in_both() -> None:
    headers = [name for name, _ in LABEL_COLUMNS.values()] + list(GROUPS)
    for row, first, second in (
        ("CNN (mix)", "table4", "table5"),
        ("AE (real)", "table4", "table5"),
        ("AE (mix)", "table4", "table5"),
        ("betaVAE (U*)", "table4", "table6"),
    ):
        for header in headers:
            found = cell(PAPER_TABLES[first], row, header)
            assert found == cell(PAPER_TABLES[second], row, header), (row, header)


def test_rows_are_called_as_in_the_study() -> None:
    legends = {model.legend: model for model in MODELS.values()}
    for item in (*LABEL_TABLES, "table7", "table8"):
        planned = {MODELS[name].legend for name in ITEMS[item].models}
        table = PAPER_TABLES[item]
        assert {row for row, _ in table.rows} <= planned
        for row, cells in table.rows:
            told = {name: each.value for (name, _), each in zip(table.columns, cells, strict=True)}
            assert told.get("dataset", legends[row].dataset) == legends[row].dataset
            assert told.get("architecture", legends[row].architecture) == legends[row].architecture


def test_tables_are_found_by_the_names_of_the_items() -> None:
    assert list(PAPER_TABLES) == [f"table{number}" for number in range(3, 10)]
    assert set(PAPER_TEXT) <= set(ITEMS)
    assert PAPER_TEXT["fig2"]["bottleneck with the lowest RVIS"] == 9
