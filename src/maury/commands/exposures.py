"""``maury simulate etc`` and ``maury simulate generative``: sets of simulated exposures."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from maury.commands.filling import ClusterOption, OutOption, WorkersOption, show_filling
from maury.commands.options import (
    GridChoice,
    LineStrengthsChoice,
    LineStrengthsOption,
    MediumChoice,
    StarSolverChoice,
    StarSolverOption,
    wavelength_grid,
)

if TYPE_CHECKING:
    from maury.datasets.exposures import ExposureSimulation
    from maury.datasets.nuisances import ExposureNuisances
    from maury.datasets.sampling import Range
    from maury.grid import WavelengthGrid

__all__ = ["etc", "generative"]


class SplitChoice(StrEnum):
    """Which part of a study a set is for."""

    train = "train"
    val = "val"
    test = "test"


def _range(help: str) -> typer.models.OptionInfo:
    return typer.Option(metavar="LOW:HIGH", help=help, rich_help_panel="Ranges")


def _nuisance(help: str, most: float, metavar: str = "SIGMA") -> typer.models.OptionInfo:
    panel = "Nuisances, which the paper lacks"
    return typer.Option(min=0, max=most, metavar=metavar, help=help, rich_help_panel=panel)


SplitOption = Annotated[SplitChoice, typer.Option(help="No two of them have a star in common.")]
SeedOption = Annotated[int, typer.Option(min=0, help="With the other options it fixes all.")]
GridOption = Annotated[GridChoice, typer.Option(help="Pixels of the exposures.")]
StartOption = Annotated[float | None, typer.Option(help="First of a part of the grid, A.")]
StopOption = Annotated[float | None, typer.Option(help="Last of a part of the grid, A.")]
StepOption = Annotated[float | None, typer.Option(help="Other step of the grid, A.")]

Teff = Annotated[str, _range("Effective temperature, K.")]
Logg = Annotated[str, _range("log10 of gravity in cm s-2.")]
Mh = Annotated[str, _range("Metallicity [M/H], dex.")]
Vmic = Annotated[str, _range("Microturbulence, km/s; the paper's is 2.")]
Vsini = Annotated[str, _range("Projected rotation, km/s.")]
Vmac = Annotated[str, _range("Radial-tangential macroturbulence, km/s.")]
Magnitude = Annotated[str, _range("In V.")]
Exposure = Annotated[str, _range("Exposure time, s.")]
Airmass = Annotated[str, _range("Path through the air in units of the vertical one.")]
Pwv = Annotated[str, _range("Precipitable water vapour, mm.")]
Moon = Annotated[str, _range("Illuminated share of the Moon's disk.")]
Seeing = Annotated[str, _range("Arcsec, at the zenith at 5000 A.")]
Rv = Annotated[str, _range("Radial velocity, km/s; in training it is drawn anew.")]
Berv = Annotated[str, _range("Velocity of the observer towards the star, km/s.")]

LineScatter = Annotated[float, _nuisance("Error of ln(line strength), heavy-tailed.", 2)]
ContinuumScatter = Annotated[
    float, _nuisance("Error of ln(continuum): a slope, and waves of 40 A.", 2)
]
Cosmics = Annotated[int, _nuisance("Most pixels that a cosmic ray hits.", 1000, "N")]
BadPixels = Annotated[int, _nuisance("Most pixels that have lost light.", 1000, "N")]
WavelengthScatter = Annotated[float, _nuisance("Error of the wavelength scale, km/s.", 100)]


def etc(
    out: OutOption,
    n: Annotated[int, typer.Option(help="Number of exposures; a larger set goes on from there.")],
    split: SplitOption = SplitChoice.train,
    seed: SeedOption = 0,
    teff: Teff = "3000:11000",
    logg: Logg = "3.5:5",
    mh: Mh = "-1.2:0.4",
    vmic: Vmic = "2",
    vsini: Vsini = "0",
    vmac: Vmac = "0",
    magnitude: Magnitude = "3:12",
    exposure: Exposure = "10:3600",
    airmass: Airmass = "1:2.9",
    pwv: Pwv = "0.05:30",
    moon: Moon = "0:1",
    seeing: Seeing = "0.5:2",
    rv: Rv = "-100:100",
    berv: Berv = "-30:30",
    line_scatter: LineScatter = 0.0,
    continuum_scatter: ContinuumScatter = 0.0,
    cosmics: Cosmics = 0,
    bad_pixels: BadPixels = 0,
    wavelength_scatter: WavelengthScatter = 0.0,
    grid: GridOption = GridChoice.harps,
    start: StartOption = None,
    stop: StopOption = None,
    step: StepOption = None,
    solver: StarSolverOption = StarSolverChoice.table,
    line_strengths: LineStrengthsOption = LineStrengthsChoice.calibrated,
    workers: WorkersOption = 1,
    cluster: ClusterOption = None,
) -> None:
    """Simulate exposures of independent stars under independent skies.

    Labels are uniform over their ranges, by default those of the paper's "ETC dataset". DIR holds
    the stars' spectra at HARPS's resolution, and how each is observed; the exposures are made of
    it when they are read. Killed at any time, the same command goes on where it was.
    """
    from maury.datasets.exposures import EtcSimulation

    simulation = EtcSimulation(
        n=n,
        split=split.value,
        seed=seed,
        ranges=_ranges(
            teff=teff, logg=logg, mh=mh, vmic=vmic, vsini=vsini, vmac=vmac, magnitude=magnitude,
            exposure=exposure, airmass=airmass, pwv=pwv, moon=moon, seeing=seeing, rv=rv, berv=berv,
        ),
        grid=_grid(grid, start, stop, step),
        nuisances=_nuisances(
            line_scatter, continuum_scatter, cosmics, bad_pixels, wavelength_scatter
        ),
        line_strengths=line_strengths.value,
        solver=solver.value,
    )  # fmt: skip
    _simulate(simulation, out, workers, cluster)


def generative(
    out: OutOption,
    cores: Annotated[int, typer.Option(help="Stars under skies that are varied.")] = 20,
    variations: Annotated[int, typer.Option(help="Values of each label.")] = 7,
    split: SplitOption = SplitChoice.test,
    seed: SeedOption = 0,
    teff: Teff = "3000:11000",
    logg: Logg = "3.5:5",
    mh: Mh = "-1.2:0.4",
    vmic: Vmic = "2",
    vsini: Vsini = "0",
    vmac: Vmac = "0",
    magnitude: Magnitude = "3:12",
    exposure: Exposure = "10:3600",
    airmass: Airmass = "1:2.9",
    pwv: Pwv = "0.05:30",
    moon: Moon = "0:1",
    seeing: Seeing = "0.5:2",
    rv: Rv = "-100:100",
    berv: Berv = "-30:30",
    line_scatter: LineScatter = 0.0,
    continuum_scatter: ContinuumScatter = 0.0,
    cosmics: Cosmics = 0,
    bad_pixels: BadPixels = 0,
    wavelength_scatter: WavelengthScatter = 0.0,
    grid: GridOption = GridChoice.harps,
    start: StartOption = None,
    stop: StopOption = None,
    step: StepOption = None,
    solver: StarSolverOption = StarSolverChoice.table,
    line_strengths: LineStrengthsOption = LineStrengthsChoice.calibrated,
    workers: WorkersOption = 1,
    cluster: ClusterOption = None,
) -> None:
    """Simulate exposures in which one label at a time is changed.

    Of every core there are as many as there are variations for each of the seven labels rv, berv,
    teff, mh, logg, airmass and pwv, at even steps over its range; the columns core, label and
    variation say which. Killed at any time, the same command goes on where it was.
    """
    from maury.datasets.exposures import GenerativeSimulation

    simulation = GenerativeSimulation(
        cores=cores,
        variations=variations,
        split=split.value,
        seed=seed,
        ranges=_ranges(
            teff=teff, logg=logg, mh=mh, vmic=vmic, vsini=vsini, vmac=vmac, magnitude=magnitude,
            exposure=exposure, airmass=airmass, pwv=pwv, moon=moon, seeing=seeing, rv=rv, berv=berv,
        ),
        grid=_grid(grid, start, stop, step),
        nuisances=_nuisances(
            line_scatter, continuum_scatter, cosmics, bad_pixels, wavelength_scatter
        ),
        line_strengths=line_strengths.value,
        solver=solver.value,
    )  # fmt: skip
    _simulate(simulation, out, workers, cluster)


def _simulate(
    simulation: ExposureSimulation, out: OutOption, workers: int, cluster: str | None
) -> None:
    from maury.datasets.exposures import simulate_exposures

    show_filling(
        out,
        lambda report: simulate_exposures(
            simulation,
            out,
            workers=workers,
            cluster=cluster,
            report=report,
            announce=lambda what: typer.echo(what, err=True),
        ),
    )


def _ranges(**texts: str) -> dict[str, Range]:
    from maury.datasets.sampling import Range

    return {name: Range.parse(text) for name, text in texts.items()}


def _grid(
    choice: GridChoice, start: float | None, stop: float | None, step: float | None
) -> WavelengthGrid:
    """The grid of that name, or a part of it or with other pixels."""
    from maury.grid import GRIDS

    whole = GRIDS[choice.value]
    if start is None and stop is None and step is None:
        return whole
    part = wavelength_grid(
        whole.start if start is None else start,
        whole.stop if stop is None else stop,
        whole.step if step is None else step,
        MediumChoice.air,
    )
    return replace(part, gaps=whole.gaps)


def _nuisances(
    lines: float, continuum: float, cosmics: int, bad_pixels: int, wavelength: float
) -> ExposureNuisances:
    from maury.datasets.nuisances import (
        ContinuumShape,
        Damage,
        ExposureNuisances,
        LineStrengthErrors,
        StrengthField,
    )

    return ExposureNuisances(
        line_strengths=LineStrengthErrors(
            overall=0.0, fields=(StrengthField(sigma=lines, correlation=8.0),)
        )
        if lines
        else None,
        continuum=ContinuumShape(slope=continuum, ripple=continuum) if continuum else None,
        damage=Damage(chunks=0, crop=0.0, cosmics=cosmics, bad_pixels=bad_pixels)
        if cosmics or bad_pixels
        else None,
        wavelength_offset=wavelength,
    )
