"""Reports need no other file, show all that they are told and run nothing of it."""

from __future__ import annotations

import base64
import struct
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from maury.errors import MauryError, TargetError
from maury.evaluation.report import (
    Comparison,
    Finding,
    Picture,
    Section,
    write_markdown,
    write_report,
)
from maury.evaluation.tables import Cell, Table

NASTY = "<script>alert('x')</script> & \"quotes\" | *stars* ](x)"
VOID = ("meta", "img", "br")  # tags that are never closed
FACTS = {"scale": "tiny", "command": "maury study all --out <DIR>", "commit": "3f207fb"}


class Page(HTMLParser):
    """Tags with their attributes, and all text, of an HTML page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def png(tmp_path: Path) -> Path:
    """A figure of 200 x 100 pixels."""
    path = tmp_path / "study" / "figures" / "fig_1.png"
    path.parent.mkdir(parents=True)
    Figure(figsize=(1, 0.5)).savefig(path, dpi=200)
    return path


def table(name: str, value: float) -> Table:
    return Table(name, f"Errors {NASTY}", [("Teff", "K")], [(NASTY, [Cell(value, 0.81)])])


def sections(picture: Path | bytes) -> list[Section]:
    return [
        Section(
            f"Labels {NASTY}",
            paragraphs=[f"How well. {NASTY}"],
            tables=[
                table("alone", 30.0),
                Comparison(table("ours", 40.0), table("paper", 50.0), f"Mock stars. {NASTY}"),
            ],
            figures=[Picture(picture, f"Residuals. {NASTY}")],
            findings=[
                Finding("Label-aware is better.", True, f"1 < 2 {NASTY}", "Table 4"),
                Finding("Mixing helps.", False, "3 > 2", "Table 5"),
            ],
        ),
        Section("Generation", findings=[Finding("RVIS is convex.", None, "Too few.", "Fig. 2")]),
    ]


def page(tmp_path: Path, png: Path) -> Page:
    path = write_report(tmp_path / "out" / "report.html", NASTY, FACTS, sections(png))
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_is_well_formed_and_asks_for_no_other_file(tmp_path: Path, png: Path) -> None:
    html = page(tmp_path, png)
    assert html.open == []
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in html.tags}
    for _, attributes in html.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
    policy = [a["content"] or "" for a in html.attributes("meta") if "http-equiv" in a]
    assert policy[0].startswith("default-src 'none'")


def test_links_lead_to_places_that_exist(tmp_path: Path, png: Path) -> None:
    html = page(tmp_path, png)
    targets = [(attributes["href"] or "")[1:] for attributes in html.attributes("a")]
    places = {attributes.get("id") for _, attributes in html.tags}
    assert len(targets) == 5
    assert set(targets) <= places


def test_markup_in_a_text_is_shown_as_it_is(tmp_path: Path, png: Path) -> None:
    html = page(tmp_path, png)
    for prefix in ("Labels ", "How well. ", "Errors ", "Mock stars. ", "1 < 2 ", "Residuals. "):
        assert f"{prefix}{NASTY}" in html.text
    assert "maury study all --out <DIR>" in html.text
    assert html.attributes("img")[0]["alt"] == f"Residuals. {NASTY}"


def test_images_are_in_the_page_with_their_size(tmp_path: Path, png: Path) -> None:
    (image,) = page(tmp_path, png).attributes("img")
    content = base64.b64decode((image["src"] or "").partition(",")[2])
    assert content == png.read_bytes()
    assert struct.unpack(">II", content[16:24]) == (200, 100)
    assert (image["width"], image["height"]) == ("125", "62")


def test_findings_are_counted_and_told_with_their_numbers(tmp_path: Path, png: Path) -> None:
    text = page(tmp_path, png).text
    assert "Of 3 claims, holds: 1, does not hold: 1, cannot be told: 1." in text
    assert "✓ holds. Label-aware is better." in text
    assert "✗ does not hold. Mixing helps. 3 > 2 (Table 5)" in text
    assert "? cannot be told. RVIS is convex. Too few. (Fig. 2)" in text


def test_tables_of_the_paper_stand_beside_ours_with_what_differs(tmp_path: Path, png: Path) -> None:
    text = page(tmp_path, png).text
    places = [
        text.index(words)
        for words in (
            "30.00 ± 0.81",
            "This study",
            "40.00 ± 0.81",
            "Cvrcek et al. (2024)",
            "50.00 ± 0.81",
            "What differs: Mock stars.",
        )
    ]
    assert places == sorted(places)


def test_a_report_without_findings_has_no_summary(tmp_path: Path) -> None:
    path = write_report(tmp_path / "report.html", "Title", {}, [Section("One", ["Text."])])
    assert 'id="findings"' not in path.read_text(encoding="utf-8")
    path = write_markdown(tmp_path, "Title", {}, [Section("One", ["Text."])])
    assert path.read_text(encoding="utf-8").split("\n\n")[-2:] == ["## One", "Text.\n"]


def test_the_same_report_gives_the_same_bytes(tmp_path: Path, png: Path) -> None:
    paths = [write_report(tmp_path / name, "T", FACTS, sections(png)) for name in ("a", "b")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_markdown_says_the_same_and_links_to_figures_beside_it(tmp_path: Path, png: Path) -> None:
    path = write_markdown(tmp_path / "study", NASTY, FACTS, sections(png))
    assert path == tmp_path / "study" / "README.md"
    parser = MarkdownIt("commonmark").enable("table")
    html = Page(parser.render(path.read_text(encoding="utf-8")))
    assert "script" not in {tag for tag, _ in html.tags}
    (image,) = html.attributes("img")
    assert image["src"] == "figures/fig_1.png"
    assert (path.parent / (image["src"] or "")).read_bytes() == png.read_bytes()
    assert len(html.attributes("table")) == 3
    for words in (f"How well. {NASTY}", f"Mock stars. {NASTY}", "3 > 2 (Table 5)", "50.00 ± 0.81"):
        assert words in html.text
    assert "Of 3 claims, holds: 1, does not hold: 1, cannot be told: 1." in html.text


def test_figures_that_are_no_files_are_written_beside_the_markdown(
    tmp_path: Path, png: Path
) -> None:
    content = png.read_bytes()
    path = write_markdown(tmp_path / "new", "T", FACTS, sections(content))
    assert (path.parent / "figure-1.png").read_bytes() == content
    assert "](figure-1.png)" in path.read_text(encoding="utf-8")


def test_a_figure_that_is_missing_or_no_png_is_told_in_one_sentence(tmp_path: Path) -> None:
    missing = [Section("One", figures=[Picture(tmp_path / "no.png", "")])]
    with pytest.raises(MauryError, match=r"The figure .*no\.png cannot be read"):
        write_report(tmp_path / "report.html", "T", FACTS, missing)
    with pytest.raises(MauryError, match="A figure of the report is no PNG"):
        write_markdown(tmp_path, "T", FACTS, [Section("One", figures=[Picture(b"GIF89a", "")])])
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", "T", FACTS, [])
