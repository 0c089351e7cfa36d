"""``maury simulate archive``: a mock archive."""

from __future__ import annotations

from typing import Annotated

import typer

from maury.commands.filling import ClusterOption, OutOption, WorkersOption, show_filling
from maury.commands.options import GridChoice, StarSolverChoice, StarSolverOption

__all__ = ["archive"]


def archive(
    out: OutOption,
    stars: Annotated[int, typer.Option(help="Number of stars; the real set has 7,274.")],
    exposures: Annotated[
        float,
        typer.Option(
            help="Mean number of a star's exposures, 36.8 in the real set; few have many."
        ),
    ] = 36.8,
    seed: Annotated[int, typer.Option(min=0, help="With the other options it fixes all.")] = 0,
    grid: Annotated[GridChoice, typer.Option(help="Pixels of the exposures.")] = GridChoice.harps,
    solver: StarSolverOption = StarSolverChoice.table,
    workers: WorkersOption = 1,
    cluster: ClusterOption = None,
) -> None:
    """Make a mock archive: a stand-in for HARPS's real exposures, where these are not at hand.

    Nothing in it was observed, and it says so: its kind is "mock", its instrument "HARPS (mock)".
    Its stars are distributed as the real ones, and their labels known of as many; its spectra
    differ from those of "maury simulate etc" in line strengths, rotation, spots and continuum.
    Columns that begin with hidden_ hold the truth: never train on them. Killed at any time, the
    same command goes on where it was.
    """
    from maury.datasets.archive import MockArchive, simulate_archive
    from maury.grid import GRIDS

    mock = MockArchive(
        stars=stars, exposures=exposures, seed=seed, grid=GRIDS[grid.value], solver=solver.value
    )
    show_filling(
        out,
        lambda report: simulate_archive(
            mock,
            out,
            workers=workers,
            cluster=cluster,
            report=report,
            announce=lambda what: typer.echo(what, err=True),
        ),
    )
