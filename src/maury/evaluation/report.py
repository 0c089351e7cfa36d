"""Reports of a study: one HTML file that holds everything, or Markdown beside its figures."""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from maury.errors import MauryError
from maury.evaluation.tables import Table, escape_markdown
from maury.files import write_whole

__all__ = [
    "Comparison",
    "Finding",
    "Picture",
    "Section",
    "write_markdown",
    "write_report",
]

PAPER = "Cvrcek et al. (2024)"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Size on a screen, 96 dots an inch, of a figure of 200 dots an inch, 1.3 times that on paper.
SCALE = 1.3 * 96 / 200
VERDICTS = {True: ("✓", "holds"), False: ("✗", "does not hold"), None: ("?", "cannot be told")}


@dataclass(frozen=True)
class Finding:
    """A claim of a publication, and whether it was found again.

    Parameters
    ----------
    claim : str
        What was claimed, one sentence.
    holds : bool or None
        Whether it was found again; None where the data cannot tell.
    evidence : str
        The numbers behind the answer.
    source : str
        Where it was claimed, such as "Sect. 4.1, Table 5".
    """

    claim: str
    holds: bool | None
    evidence: str
    source: str

    @property
    def mark(self) -> str:
        """One character that tells the answer."""
        return VERDICTS[self.holds][0]

    @property
    def verdict(self) -> str:
        """The answer in words."""
        return VERDICTS[self.holds][1]


@dataclass(frozen=True)
class Picture:
    """A figure of a report.

    Parameters
    ----------
    image : Path or bytes
        A PNG file, or what it holds.
    caption : str
        What it shows.
    """

    image: Path | bytes
    caption: str

    def read(self) -> bytes:
        """The bytes of the PNG file.

        Raises
        ------
        MauryError
            If the file cannot be read or is no PNG.
        """
        name = "A figure of the report"
        content = self.image if isinstance(self.image, bytes) else b""
        if not isinstance(self.image, bytes):
            name = f"The figure {self.image}"
            try:
                content = self.image.read_bytes()
            except OSError as error:
                raise MauryError(f"{name} cannot be read ({error.strerror or error}).") from None
        if len(content) < 24 or not content.startswith(SIGNATURE):
            raise MauryError(f"{name} is no PNG.")
        return content


@dataclass(frozen=True)
class Comparison:
    """A table of this study beside a published one.

    Parameters
    ----------
    ours, paper : Table
        Both tables, with the same columns if possible.
    difference : str
        What differs in the data, one sentence.
    source : str
        Where the published one stands.
    """

    ours: Table
    paper: Table
    difference: str
    source: str = PAPER

    @property
    def parts(self) -> tuple[tuple[str, Table], ...]:
        """Both tables with the headings that they stand under."""
        return (("This study", self.ours), (self.source, self.paper))


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Parameters
    ----------
    title : str
        Its heading.
    paragraphs : sequence of str
        Plain text.
    tables : sequence of Table or Comparison
        Tables, alone or beside published ones.
    figures : sequence of Picture
        Figures with their captions.
    findings : sequence of Finding
        Claims, and whether they were found again.
    """

    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table | Comparison] = ()
    figures: Sequence[Picture] = ()
    findings: Sequence[Finding] = ()


def write_report(
    path: str | Path, title: str, facts: Mapping[str, str], sections: Sequence[Section]
) -> Path:
    """Write one HTML file that needs no other: images are in it, and it runs no script.

    All text is plain text; what looks like HTML in it is shown as it is.

    Parameters
    ----------
    path : str or Path
        The file.
    title : str
        Of the report.
    facts : mapping of str to str
        How it came about: scale, command, commit, time taken, kind of data.
    sections : sequence of Section
        Its parts.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MauryError
        If a figure cannot be read or is no PNG.
    TargetError
        If the file cannot be written.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("maury.evaluation").joinpath("report.html.j2")
    html = environment.from_string(source.read_text(encoding="utf-8")).render(
        title=title,
        facts=facts,
        summary=_summary(sections),
        sections=[_html_section(place, section) for place, section in enumerate(sections, 1)],
    )
    return write_whole(path, html)


def write_markdown(
    folder: str | Path,
    title: str,
    facts: Mapping[str, str],
    sections: Sequence[Section],
    name: str = "README.md",
) -> Path:
    """Write the same report as Markdown that links to its figures.

    Figures that are files are linked where they are, by a path from the folder; others are written
    into the folder as figure-1.png and so on.

    Parameters
    ----------
    folder : str or Path
        Where the report goes.
    title, facts, sections
        As for `write_report`.
    name : str
        Name of the file.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MauryError
        If a figure cannot be read or is no PNG.
    TargetError
        If a file cannot be written.
    """
    blocks = [f"# {escape_markdown(title)}", _markdown_facts(facts)]
    findings = [finding for section in sections for finding in section.findings]
    if findings:
        blocks += ["## Findings", escape_markdown(_summary(sections)), _markdown_findings(findings)]
    drawn = 0
    for section in sections:
        blocks.append(f"## {escape_markdown(section.title)}")
        blocks += map(escape_markdown, section.paragraphs)
        if section.findings:
            blocks.append(_markdown_findings(section.findings, with_evidence=True))
        for table in section.tables:
            blocks += _markdown_tables(table)
        for picture in section.figures:
            drawn += 1
            link = _link(picture, Path(folder), f"figure-{drawn}.png")
            caption = escape_markdown(picture.caption)
            blocks.append(f"![{caption}]({link})\n\n*{caption}*")
    return write_whole(Path(folder) / name, "\n\n".join(block.strip() for block in blocks) + "\n")


def _summary(sections: Sequence[Section]) -> str:
    """How many findings hold; empty if there are none."""
    answers = [finding.holds for section in sections for finding in section.findings]
    if not answers:
        return ""
    counts = [f"{words}: {answers.count(holds)}" for holds, (_, words) in VERDICTS.items()]
    return f"Of {len(answers)} claims, {', '.join(counts)}."


def _html_section(place: int, section: Section) -> dict[str, Any]:
    return {
        "anchor": f"section-{place}",
        "title": section.title,
        "paragraphs": section.paragraphs,
        "findings": section.findings,
        "tables": [_html_tables(table) for table in section.tables],
        "figures": [_html_figure(picture) for picture in section.figures],
    }


def _html_tables(table: Table | Comparison) -> dict[str, Any]:
    if isinstance(table, Table):
        return {"parts": [("", Markup(table.to_html()))], "difference": ""}
    parts = [(heading, Markup(part.to_html())) for heading, part in table.parts]
    return {"parts": parts, "difference": table.difference}


def _html_figure(picture: Picture) -> dict[str, Any]:
    content = picture.read()
    # The first chunk of a PNG tells its size (RFC 2083, Sect. 4.1.1).
    width, height = struct.unpack(">II", content[16:24])
    return {
        "uri": "data:image/png;base64," + base64.b64encode(content).decode(),
        "width": round(SCALE * width),
        "height": round(SCALE * height),
        "caption": picture.caption,
    }


def _markdown_facts(facts: Mapping[str, str]) -> str:
    return "\n".join(f"- {escape_markdown(key)}: {escape_markdown(facts[key])}" for key in facts)


def _markdown_findings(findings: Sequence[Finding], with_evidence: bool = False) -> str:
    lines = []
    for finding in findings:
        line = f"- {finding.mark} **{finding.verdict}**: {escape_markdown(finding.claim)}"
        if with_evidence:
            line += f" {escape_markdown(f'{finding.evidence} ({finding.source})')}"
        lines.append(line)
    return "\n".join(lines)


def _markdown_tables(table: Table | Comparison) -> list[str]:
    if isinstance(table, Table):
        return [f"**{escape_markdown(table.title)}**", table.to_markdown()]
    blocks = []
    for heading, part in table.parts:
        blocks += [f"**{escape_markdown(f'{heading}: {part.title}')}**", part.to_markdown()]
    return [*blocks, f"What differs: {escape_markdown(table.difference)}"]


def _link(picture: Picture, folder: Path, name: str) -> str:
    """Where the picture is, seen from the folder; bytes are written into it first."""
    content = picture.read()
    image = picture.image
    path = write_whole(folder / name, content) if isinstance(image, bytes) else image
    return quote(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix())
