"""``maury synthesize``: a star's spectrum from its parameters."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from maury.errors import SynthesisError

if TYPE_CHECKING:
    from maury.synthesis.linelist import LineList

__all__ = ["synthesize"]

PLOT_SUFFIXES = (".png", ".pdf", ".svg")


class LinesMode(StrEnum):
    """What ``--lines`` does to the lines that there are."""

    REPLACE = "replace"
    ADD = "add"


def synthesize(
    out: Annotated[Path, typer.Option(help="File to write, ending in .fits, .txt or .csv.")],
    teff: Annotated[
        float | None, typer.Option(help="Effective temperature, K: 3000 to 11500.")
    ] = None,
    logg: Annotated[
        float | None, typer.Option(help="log10 of gravity in cm s-2: 3.5 to 5.")
    ] = None,
    mh: Annotated[
        float | None,
        typer.Option(help="Metallicity [M/H], dex: -1.5 to 0.5. By default 0, or the model's."),
    ] = None,
    vmic: Annotated[float, typer.Option(help="Microturbulence, km/s.")] = 1.0,
    alpha: Annotated[
        float | None,
        typer.Option(help="Excess of alpha elements over M, dex. By default 0, or the model's."),
    ] = None,
    vsini: Annotated[float, typer.Option(help="Projected rotation, km/s.")] = 0.0,
    vmac: Annotated[float, typer.Option(help="Radial-tangential macroturbulence, km/s.")] = 0.0,
    resolving_power: ResolvingPowerOption = None,
    start: StartOption = 3785.0,
    stop: StopOption = 6910.0,
    step: StepOption = 0.01,
    medium: GridMediumOption = MediumChoice.air,
    normalized: NormalizedOption = False,
    atmosphere: Annotated[
        Path | None,
        typer.Option(help="Model atmosphere to use, an ATLAS or MARCS file; gives --teff, --logg."),
    ] = None,
    lines: Annotated[
        Path | None,
        typer.Option(help="Line list to put in, of MOOG, VALD (long) or Turbospectrum."),
    ] = None,
    lines_mode: Annotated[
        LinesMode, typer.Option(help="Replace the lines of its species within its range, or add.")
    ] = LinesMode.REPLACE,
    line_strengths: LineStrengthsOption = LineStrengthsChoice.calibrated,
    solver: SolverOption = SolverChoice.direct,
    plot: Annotated[
        Path | None, typer.Option(help="Figure to write, ending in .png, .pdf or .svg.")
    ] = None,
) -> None:
    """Compute a star's spectrum: one-dimensional, LTE.

    The wavelengths are at rest with the star. Flux is at the star's surface, in erg s-1 cm-2 A-1.
    """
    from maury.writers import check_target, write

    wavelength = wavelength_grid(start, stop, step, medium).wavelength
    check_target(out)
    if plot is not None:
        check_target(plot, PLOT_SUFFIXES)
    from rich.console import Console

    from maury.synthesis.atmosphere_files import read_atmosphere
    from maury.synthesis.synthesize import synthesize as compute

    model = None if atmosphere is None else read_atmosphere(atmosphere)
    line_list = _lines(lines, lines_mode, line_strengths)
    broadening: dict[str, Any] = {"vsini": vsini, "vmac": vmac, "resolving_power": resolving_power}
    if model is not None:
        teff, logg = (model.teff if teff is None else teff), (model.logg if logg is None else logg)
    mh = (0.0 if model is None else model.mh) if mh is None else mh
    alpha = (0.0 if model is None else model.alpha) if alpha is None else alpha
    star: dict[str, Any] = {"teff": teff, "logg": logg, "mh": mh, "vmic": vmic, "alpha": alpha}
    with Console(stderr=True).status(f"Computing {wavelength.size:,} pixels ..."):
        spectrum = compute(
            **star,
            **broadening,
            wavelength=wavelength,
            medium=medium.value,
            normalized=normalized,
            atmosphere=model,
            lines=line_list,
            solver=solver.value,
        )
    facts: dict[str, float | str | None] = {**star, **broadening}
    facts["respower"] = facts.pop("resolving_power")
    facts["model"] = None if atmosphere is None else atmosphere.name
    facts["linelist"] = None if lines is None else f"{lines.name} ({lines_mode.value})"
    facts["solver"] = solver.value
    facts["strength"] = line_strengths.value
    write(spectrum, out, {**facts, "origin": "maury synthesize"})
    typer.echo(
        f"Wrote {out}: {len(spectrum):,} pixels, {wavelength[0]:.2f}-{wavelength[-1]:.2f} A in "
        f"{spectrum.medium}, rest frame of the star.",
        err=True,
    )
    if plot is not None:
        from maury.figures import plot_spectrum, save_figure

        save_figure(plot_spectrum(spectrum), plot)
        typer.echo(f"Wrote {plot}.", err=True)


def _lines(path: Path | None, mode: LinesMode, strengths: LineStrengthsChoice) -> LineList:
    from maury.synthesis.linelist import merge_lines, standard_lines
    from maury.synthesis.linelist_files import read_lines
    from maury.synthesis.synthesize import COVERAGE

    embedded = standard_lines(calibrated=strengths is LineStrengthsChoice.calibrated)
    if path is None:
        return embedded
    own = read_lines(path)
    if not len(own.between(*COVERAGE)):
        raise SynthesisError(
            f"{path} has lines from {own.wavelength[0]:g} to {own.wavelength[-1]:g} A, but none "
            f"within {COVERAGE[0]:g} to {COVERAGE[1]:g} A (air)."
        )
    return merge_lines(embedded, own, mode.value)
