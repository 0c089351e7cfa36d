"""Tables are rounded as in the paper and read back by other programs."""

from __future__ import annotations

import csv
import io
import re
from decimal import ROUND_HALF_EVEN, Decimal
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from maury.errors import MauryError, TargetError
from maury.evaluation.tables import Cell, Table, format_value

NAN = float("nan")


def paper() -> Table:
    """Part of Table 4 of Cvrcek et al. (2024)."""
    return Table(
        "table4",
        "Label errors",
        [("architecture", None), ("Teff", "K"), ("BERV", "km/s"), ("All", "")],
        [
            ("beta-VAE", [Cell("CNN|CNN"), Cell(978.04, 13.2), Cell(16.01, 0.0962), Cell(None)]),
            (
                "CNN <ETC>",
                [Cell("CNN*"), Cell(50.2134, 0.8199, bold=True), Cell(NAN, NAN), Cell(1.7, 0.009)],
            ),
        ],
        notes=["A & B < C."],
    )


@pytest.mark.parametrize(
    ("value", "error", "written"),
    [
        (50.2134, 0.8199, "50.21 ± 0.82"),  # Table 4
        (0.0139, 0.0026, "0.0139 ± 0.0026"),  # Table 7
        (978.0, 13.0, "978 ± 13"),
        (273.1, 4.2, "273.1 ± 4.2"),
        (16.264, 0.0996, "16.26 ± 0.10"),
        (12345.0, 997.0, "12300 ± 1000"),
        (-4.0, 130.0, "0 ± 130"),
        (0.5, 0.0, "0.5 ± 0"),
        (0.5, NAN, "0.5 ± NaN"),
        (NAN, 0.1, "NaN ± 0.10"),
        (NAN, NAN, "NaN ± NaN"),
        (np.float32(0.25), np.float32(0.5), "0.25 ± 0.50"),
        (7_001_234, None, "7,001,234"),
        (0.386123, None, "0.3861"),
        (float("inf"), None, "inf"),
    ],
)
def test_the_error_has_two_significant_digits_and_the_value_the_same_decimal(
    value: float, error: float | None, written: str
) -> None:
    assert format_value(value, error) == written


@given(
    st.floats(-1e6, 1e6, allow_subnormal=False),
    st.floats(1e-6, 1e6, allow_subnormal=False),
)
def test_rounding_agrees_with_decimal_arithmetic(value: float, error: float) -> None:
    exact = Decimal(error)
    place = Decimal(1).scaleb(exact.adjusted() - 1)
    rounded = exact.quantize(place, ROUND_HALF_EVEN)
    place = Decimal(1).scaleb(rounded.adjusted() - 1)
    left, right = format_value(value, error).split(" ± ")
    assert Decimal(right) == rounded.quantize(place)
    assert abs(Decimal(left) - Decimal(value)) <= place / 2 * Decimal("1.000001")


def test_plain_text_sets_the_signs_below_each_other_and_marks_what_is_bold() -> None:
    text = paper().to_text()
    lines = text.splitlines()
    assert "*50.21 ± 0.82*" in text
    assert "NaN ± NaN" in text
    assert "–" in text
    rows = lines[-4:-2]
    assert rows[0].index("±") == rows[1].index("±")
    assert "(km/s)" in lines[3]
    assert set(lines[4]) == {"-"}
    assert lines[-1] == "A & B < C."
    assert max(map(len, lines[2:7])) == len(lines[4])


def test_csv_keeps_all_digits_and_errors_in_columns_of_their_own() -> None:
    rows = list(csv.DictReader(io.StringIO(paper().to_csv())))
    assert [row["model"] for row in rows] == ["beta-VAE", "CNN <ETC>"]
    assert float(rows[1]["Teff (K)"]) == 50.2134
    assert float(rows[1]["Teff error (K)"]) == 0.8199
    assert [row["Teff bold"] for row in rows] == ["0", "1"]
    assert rows[1]["BERV (km/s)"] == "NaN"
    assert rows[0]["All"] == rows[0]["All error"] == ""
    assert "architecture error" not in rows[0]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_csv_gives_back_every_number(value: float) -> None:
    text = Table("t", "t", [("x", "")], [("a", [Cell(value)])]).to_csv()
    assert float(list(csv.reader(io.StringIO(text)))[1][1]) == value


def test_markdown_is_one_table_whose_cells_are_not_broken_by_their_content() -> None:
    html = MarkdownIt("commonmark").enable("table").render(paper().to_markdown())
    assert html.count("<tr>") == 3
    assert "CNN|CNN" in html
    assert "CNN*" in html
    assert "CNN &lt;ETC&gt;" in html
    assert re.findall("<strong>(.*?)</strong>", html) == ["50.21 ± 0.82"]


class Cells(HTMLParser):
    """Texts of the cells of an HTML table."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip("\n")


def test_html_says_what_the_table_holds_and_escapes_it() -> None:
    html = paper().to_html()
    cells = Cells()
    cells.feed(html)
    assert cells.rows[0] == ["model", "architecture", "Teff (K)", "BERV (km/s)", "All"]
    assert cells.rows[2] == ["CNN <ETC>", "CNN*", "50.21 ± 0.82", "NaN ± NaN", "1.7000 ± 0.0090"]
    assert cells.rows[3] == ["A & B < C."]
    assert "<ETC>" not in html
    assert "<strong>50.21 ± 0.82</strong>" in html


def test_files_are_written_whole_into_a_new_folder(tmp_path: Path) -> None:
    table = paper()
    written = table.write(tmp_path / "tables")
    assert sorted(path.name for path in written) == ["table4.csv", "table4.txt"]
    assert sorted((tmp_path / "tables").iterdir()) == sorted(written)
    assert written[0].read_text(encoding="utf-8") == table.to_csv()
    assert written[1].read_text(encoding="utf-8") == table.to_text(100)


def test_columns_that_do_not_fit_stand_below_with_the_rows_names() -> None:
    columns = [(f"error {number}", "K") for number in range(8)]
    cells = [Cell(1234.5, 0.25) for _ in columns]
    table = Table(
        "t", "Title", columns, [("first", cells), ("second", cells)], ["A long note " * 9]
    )
    folded, whole = table.to_text(60).splitlines(), table.to_text().splitlines()
    assert max(map(len, folded)) <= 60 < max(map(len, whole))
    assert sum(line.startswith("second") for line in folded) == 3
    words = " ".join(folded).split()
    assert sorted(words.count(str(number)) for number in range(8)) == [1] * 8
    assert words.count("1234.50") == 16


def test_a_file_in_the_place_of_the_folder_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("")
    with pytest.raises(TargetError, match=r"tables.*cannot be written"):
        paper().write(tmp_path / "tables")


def test_a_row_with_a_cell_too_few_is_refused() -> None:
    with pytest.raises(MauryError, match=r"Row 'a' of table t has 1 cells, not 2"):
        Table("t", "t", [("x", ""), ("y", "")], [("a", [Cell(1.0)])])


def test_a_name_that_leaves_the_folder_is_refused() -> None:
    with pytest.raises(MauryError, match=r"cannot be called '\.\./t'"):
        Table("../t", "t", [], [])
