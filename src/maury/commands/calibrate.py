"""``maury calibrate``: line strengths and widths from the spectrum of a star that is known."""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from maury.commands.options import MediumChoice
from maury.errors import SynthesisError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from maury.synthesis.calibration import Calibration, ReferenceStar
    from maury.synthesis.linelist import LineList

__all__ = ["calibrate"]

TRUSTED = 0.02  # of the continuum: pixels that are understood to that may judge a star
ITERATIONS = 6


def calibrate(
    atlas: Annotated[
        Path,
        typer.Argument(
            help="Normalised spectrum of the reference star: any file that maury reads, or an .npz "
            "archive with wave_air and residual_flux."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the calibrated lines and the report.")],
    teff: Annotated[float, typer.Option(help="Effective temperature of the star, K.")] = 5772.0,
    logg: Annotated[float, typer.Option(help="log10 of its gravity in cm s-2.")] = 4.438,
    mh: Annotated[float, typer.Option(help="Its metallicity [M/H], dex.")] = 0.0,
    vmic: Annotated[float, typer.Option(help="Its microturbulence, km/s.")] = 1.0,
    vmac: Annotated[float, typer.Option(help="Its macroturbulence, km/s.")] = 3.6,
    vsini: Annotated[float, typer.Option(help="Its projected rotation, km/s.")] = 1.9,
    lines: Annotated[
        Path | None,
        typer.Option(help="Line list to calibrate instead of the embedded, original one."),
    ] = None,
    medium: Annotated[
        MediumChoice | None, typer.Option(help="Medium of the atlas, where its file does not say.")
    ] = None,
    telluric: Annotated[
        bool, typer.Option(help="Leave out pixels that the Earth's air may absorb.")
    ] = True,
    citation: Annotated[str, typer.Option(help="Whose spectrum it is; kept with the result.")] = "",
) -> None:
    """Fit log gf of every line that shows, and damping of the strong ones, to an observed star.

    The defaults are the Sun's. The folder receives the calibrated line list (lines.npz, which
    --lines of other verbs reads), the lines that the star does not show (flagged.csv), the
    residuals before and after with the pixels to be trusted (pixels.fits), a figure of both, and
    card.json, which says what everything came from.
    """
    from rich.console import Console
    from rich.progress import Progress

    from maury.instrument.reference_star import reference_star
    from maury.synthesis.calibration import calibrate as fit
    from maury.synthesis.linelist import standard_lines
    from maury.synthesis.linelist_files import read_lines

    wavelength, flux = _atlas(atlas, medium)
    listed = (
        standard_lines(calibrated=False, titanium_oxide=False)
        if lines is None
        else read_lines(lines)
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SynthesisError(f"The folder {out} cannot be made ({error.strerror}).") from None
    labels = {"teff": teff, "logg": logg, "mh": mh, "vmic": vmic, "vmac": vmac, "vsini": vsini}
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("Comparing with the atlas", total=ITERATIONS + 1)
        star, velocity = reference_star(wavelength, flux, listed, **labels, telluric=telluric)

        def report(done: int, median: float) -> None:
            text = f"Fitting lines, median residual {median:.4f}"
            progress.update(task, completed=done + 1, description=text)

        result = fit(star, listed, iterations=ITERATIONS, report=report)
    card = {
        "atlas": atlas.name,
        "atlas_sha256": hashlib.sha256(atlas.read_bytes()).hexdigest(),
        "citation": citation,
        "star": labels,
        "atlas_velocity": velocity,
        "lines": "embedded, original" if lines is None else lines.name,
        "telluric_left_out": telluric,
    }
    summary = _write(out, star, listed, result, card)
    _tell(summary, out)


def _atlas(path: Path, medium: MediumChoice | None) -> tuple[np.ndarray, np.ndarray]:
    """Wavelengths in air and normalised flux."""
    from maury import readers
    from maury.wavelength import vacuum_to_air

    if path.suffix == ".npz":
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                columns = archive["wave_air"], archive["residual_flux"].astype(np.float64)
        except OSError as error:
            reason = error.strerror or "it is no archive"
            raise SynthesisError(f"{path} cannot be read ({reason}).") from None
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise SynthesisError(
                f"{path} must hold the arrays wave_air and residual_flux ({error})."
            ) from None
        wavelength, flux = columns
        if wavelength.ndim != 1 or wavelength.shape != flux.shape or wavelength.size < 2:
            raise SynthesisError(f"{path}: wave_air and residual_flux must be two equal lists.")
    else:
        spectrum = readers.read(path, medium=None if medium is None else medium.value)
        wavelength, flux = spectrum.wavelength, np.where(spectrum.mask, np.nan, spectrum.flux)
        if spectrum.medium == "vacuum":
            wavelength = vacuum_to_air(wavelength)
    median = float(np.nanmedian(flux))
    if not 0.3 < median < 1.2:
        raise SynthesisError(
            f"{path} is not relative to the continuum: its median is {median:.3g}, and must be "
            "0.3 to 1.2."
        )
    return np.asarray(wavelength, np.float64), np.asarray(flux, np.float64)


def _distribution(residual: np.ndarray) -> dict[str, float]:
    size = np.abs(residual)
    return {
        "median": float(np.median(size)),
        "percentile_95": float(np.quantile(size, 0.95)),
        "percentile_99": float(np.quantile(size, 0.99)),
        "rms": float(np.sqrt(np.mean(size**2))),
    }


def _write(
    out: Path, star: ReferenceStar, lines: LineList, result: Calibration, card: dict[str, Any]
) -> dict[str, Any]:
    """Write the folder's files; return the card."""
    from astropy.table import Table

    from maury.figures import save_figure
    from maury.synthesis.calibration import Flag
    from maury.synthesis.linelist_archive import save_lines
    from maury.synthesis.provenance import code_fingerprint, code_version

    used = star.weight > 0
    trusted = used & (np.abs(result.after) < TRUSTED)
    corrected = replace(
        lines,
        log_gf=lines.log_gf + result.delta_log_gf,
        gamma_vdw=lines.gamma_vdw * 10.0**result.delta_log_vdw,
    )
    counts = {flag.name.lower(): int((result.flag == flag).sum()) for flag in Flag}
    moved = result.delta_log_gf[result.delta_log_gf != 0]
    summary = card | {
        "version": code_version(),
        "fingerprint": code_fingerprint(),
        "lines_sha256": hashlib.sha256(
            b"".join(np.ascontiguousarray(a).tobytes() for a in (lines.wavelength, lines.log_gf))
        ).hexdigest(),
        "pixels": int(used.sum()),
        "trusted_pixels": int(trusted.sum()),
        "trusted_residual": TRUSTED,
        "flags": counts,
        "widths_fitted": int((result.delta_log_vdw != 0).sum()),
        "delta_log_gf_rms": float(np.sqrt(np.mean(moved**2))) if moved.size else 0.0,
        "before": _distribution(result.before[used]),
        "after": _distribution(result.after[used]),
    }
    save_lines(
        out / "lines.npz",
        corrected,
        delta_log_gf=result.delta_log_gf,
        delta_log_vdw=result.delta_log_vdw,
        flag=result.flag,
    )
    table = Table(
        {
            "wavelength": star.wavelength,
            "observed": star.flux.astype(np.float32),
            "before": result.before.astype(np.float32),
            "after": result.after.astype(np.float32),
            "used": used,
            "trusted": trusted,
        },
        units={"wavelength": "Angstrom"},
        meta={"MEDIUM": "air", "FRAME": "rest", "CITATION": card["citation"]},
    )
    table.write(out / "pixels.part.fits", overwrite=True)
    (out / "pixels.part.fits").replace(out / "pixels.fits")
    with (out / "flagged.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["species", "wavelength_air", "excitation", "log_gf", "delta_log_gf",
                         "delta_log_vdw", "flag"])  # fmt: skip
        for i in np.flatnonzero(result.flag >= Flag.ABSENT):
            writer.writerow([
                lines.species[lines.species_index[i]], f"{lines.wavelength[i]:.4f}",
                f"{lines.excitation[i]:.3f}", f"{lines.log_gf[i]:.3f}",
                f"{result.delta_log_gf[i]:+.2f}", f"{result.delta_log_vdw[i]:+.2f}",
                Flag(int(result.flag[i])).name.lower(),
            ])  # fmt: skip
    save_figure(_figure(star, result), out / "residuals.png")
    (out / "card.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def _figure(star: ReferenceStar, result: Calibration) -> Figure:
    """Residuals by wavelength and their distribution, before and after."""
    from matplotlib.figure import Figure

    used = star.weight > 0
    figure = Figure(figsize=(10, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1)
    edges = np.arange(star.wavelength[0], star.wavelength[-1] + 25.0, 25.0)
    centres = (edges[:-1] + edges[1:]) / 2
    for residual, name, colour in (
        (result.before, "original", "#9aa5b1"), (result.after, "calibrated", "#2563a8")
    ):  # fmt: skip
        size = np.abs(residual[used])
        bins = np.digitize(star.wavelength[used], edges) - 1
        middle = [
            np.median(size[bins == i]) if (bins == i).any() else np.nan for i in range(centres.size)
        ]
        upper.plot(centres, middle, color=colour, label=name)
        lower.hist(
            residual[used], bins=np.linspace(-0.1, 0.1, 201), histtype="step", color=colour,
            label=f"{name}: median {np.median(size):.4f}, 95% {np.quantile(size, 0.95):.3f}",
        )  # fmt: skip
    upper.set(xlabel="Wavelength in air (A)", ylabel="Median |residual| in 25 A", ylim=(0, None))
    lower.set(xlabel="Observed - computed, of the continuum", ylabel="Pixels", yscale="log")
    for axes in (upper, lower):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _tell(summary: dict[str, Any], out: Path) -> None:
    for name in ("before", "after"):
        facts = summary[name]
        typer.echo(
            f"{name}: median {facts['median']:.4f}, 95% {facts['percentile_95']:.4f}, "
            f"99% {facts['percentile_99']:.4f}, rms {facts['rms']:.4f}"
        )
    flags = summary["flags"]
    share = summary["trusted_pixels"] / max(summary["pixels"], 1)
    typer.echo(
        f"{flags['fitted']:,} lines fitted, {summary['widths_fitted']} of them in width too; "
        f"{flags['absent']} are not there, {flags['too_weak']} are too weak, {flags['at_limit']} "
        f"at a limit; {share:.1%} of {summary['pixels']:,} pixels are trusted."
    )
    typer.echo(f"Wrote {out}.", err=True)
