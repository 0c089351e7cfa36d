"""``maury simulate``: sets of simulated spectra."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from maury.commands.archive import archive
from maury.commands.exposures import etc, generative
from maury.commands.filling import ClusterOption, OutOption, WorkersOption, show_filling
from maury.commands.options import (
    GridMediumOption,
    LineStrengthsChoice,
    LineStrengthsOption,
    MediumChoice,
    NormalizedOption,
    ResolvingPowerOption,
    SolverChoice,
    SolverOption,
    StartOption,
    StepOption,
    StopOption,
    wavelength_grid,
)

__all__ = ["app"]

app = typer.Typer(name="simulate", help="Simulate sets of spectra.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    pass


class SamplingChoice(StrEnum):
    """How stars are spread over the ranges."""

    uniform = "uniform"
    sobol = "sobol"
    grid = "grid"


def _range(help: str) -> typer.models.OptionInfo:
    return typer.Option(metavar="LOW:HIGH", help=help)


@app.command()
def sed(
    out: OutOption,
    n: Annotated[
        int | None,
        typer.Option(help="Number of spectra; with --sampling grid the most there may be."),
    ] = None,
    sampling: Annotated[
        SamplingChoice,
        typer.Option(help="At random, evenly spread by Sobol's sequence, or on a regular grid."),
    ] = SamplingChoice.uniform,
    seed: Annotated[int, typer.Option(min=0, help="Of uniform and sobol.")] = 0,
    teff: Annotated[str, _range("Effective temperature, K.")] = "3000:11000",
    logg: Annotated[str, _range("log10 of gravity in cm s-2.")] = "3.5:5",
    mh: Annotated[str, _range("Metallicity [M/H], dex.")] = "-1.5:0.5",
    vmic: Annotated[str, _range("Microturbulence, km/s.")] = "0.5:3",
    alpha: Annotated[str, _range("Excess of alpha elements over M, dex.")] = "0",
    vsini: Annotated[str, _range("Projected rotation, km/s.")] = "0",
    vmac: Annotated[str, _range("Radial-tangential macroturbulence, km/s.")] = "0",
    resolving_power: ResolvingPowerOption = None,
    start: StartOption = 3785.0,
    stop: StopOption = 6910.0,
    step: StepOption = 0.01,
    medium: GridMediumOption = MediumChoice.air,
    normalized: NormalizedOption = False,
    solver: SolverOption = SolverChoice.direct,
    line_strengths: LineStrengthsOption = LineStrengthsChoice.calibrated,
    workers: WorkersOption = 1,
    cluster: ClusterOption = None,
) -> None:
    """Compute intrinsic spectra of many stars, and keep them in a folder.

    A parameter is given as VALUE, LOW:HIGH or, on a grid, LOW:HIGH:STEP. Killed at any time, the
    same command goes on where it was. Spectra are in DIR/spectra.zarr, and in catalogue.parquet
    there is one row for each; in Python, maury.SpectrumStore(DIR).spectrum(0) gives the first.
    """
    from maury.datasets.sampling import Range
    from maury.datasets.seds import SedSimulation, simulate_seds

    texts = {
        "teff": teff, "logg": logg, "mh": mh, "vmic": vmic, "alpha": alpha, "vsini": vsini,
        "vmac": vmac,
    }  # fmt: skip
    simulation = SedSimulation(
        n=n,
        sampling=sampling.value,
        seed=seed,
        ranges={name: Range.parse(text) for name, text in texts.items()},
        grid=wavelength_grid(start, stop, step, medium),
        normalized=normalized,
        resolving_power=resolving_power,
        line_strengths=line_strengths.value,
        solver=solver.value,
    )
    show_filling(
        out,
        lambda report: simulate_seds(
            simulation,
            out,
            workers=workers,
            cluster=cluster,
            report=report,
            announce=lambda what: typer.echo(what, err=True),
        ),
    )


for verb in (etc, generative, archive):
    app.command()(verb)
