"""Print how well gradients of the differentiable synthesis agree with differences, and their cost.

Run as ``python benchmarks/gradients.py [FIRST [WIDTH]]``, in Angstrom; 50 A from 5160 A by default,
in steps of 0.02 A. The differences are of the direct sum in NumPy, which shares no derivative with
the other. Lines are followed in both to 1e-5 of the continuum: at the usual 3e-4 the direct sum
moves the ends of lines by whole pixels, which differences take for slopes.

One line a star: the length of the difference between both derivatives of the spectrum (flux and
continuum at every pixel) over the length of the derivative, from random sums of pixels, for each
label, and for log gf of all lines in a random direction; then the rms difference of the fluxes
themselves over the continuum, and seconds with lines followed as usual: of the direct sum, of the
differentiable one, and of its gradient to everything, on the CPU and, where there is one, a GPU.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.continuum import continuum_opacity
from maury.synthesis.differentiable import DifferentiableSynthesis
from maury.synthesis.elements import abundances
from maury.synthesis.equation_of_state import solve
from maury.synthesis.hydrogen import hydrogen_opacity
from maury.synthesis.linelist import LineList, standard_lines
from maury.synthesis.lines import line_opacity
from maury.synthesis.synthesize import CONTINUUM_STEP, surface_flux
from maury.synthesis.transfer import emergent_flux
from maury.wavelength import air_to_vacuum

# Teff, log g, [M/H], vmic: none at a node of the model atmospheres.
STARS = (
    (3222.0, 4.7, -0.2, 1.0),
    (4555.0, 4.6, -0.3, 1.0),
    (5777.0, 4.44, 0.1, 1.0),
    (7555.0, 4.1, -0.2, 2.0),
    (10444.0, 4.1, -0.2, 2.0),
)
STEPS = {"Teff": 4.0, "log g": 0.004, "[M/H]": 0.004, "vmic": 0.01, "log gf": 0.002}
CUTOFF = 1e-5
SUMS = 5  # random ones, of all pixels


def direct(
    wavelength: np.ndarray, star: tuple[float, ...], lines: LineList, cutoff: float
) -> np.ndarray:
    """Flux and continuum by the direct sum, one after the other, with a cutoff of lines."""
    teff, logg, mh, vmic = star
    model = model_atmosphere(teff, logg, mh)
    gas = solve(model.temperature, model.pressure, abundances(mh), tolerance=1e-10)
    start = np.floor(wavelength[0]) - 2 * CONTINUUM_STEP
    coarse = np.arange(start, wavelength[-1] + 3 * CONTINUUM_STEP, CONTINUUM_STEP)
    grid = (continuum_opacity(air_to_vacuum(coarse), gas), start, CONTINUUM_STEP)
    opacity = line_opacity(wavelength, lines, gas, vmic, *grid, cutoff=cutoff)
    hydrogen_opacity(opacity, air_to_vacuum(wavelength), gas, vmic)
    layers = (model.rhox, gas.density, model.temperature)
    return np.concatenate([emergent_flux(wavelength, x, *grid, *layers) for x in (opacity, None)])


def deviations(
    wavelength: np.ndarray, star: tuple[float, ...], lines: LineList
) -> tuple[list[float], float]:
    """Of each derivative, relative; and the rms of the fluxes' difference over the continuum."""
    generator = np.random.default_rng(0)
    weights = generator.standard_normal((SUMS, 2 * wavelength.size))
    direction = generator.standard_normal(len(lines))
    model = DifferentiableSynthesis(wavelength, lines, cutoff=CUTOFF)
    labels = torch.tensor([star], dtype=torch.float64, requires_grad=True)
    strengths = torch.tensor(lines.log_gf, requires_grad=True)
    spectrum = torch.cat([x[0] for x in model(labels, strengths)])
    ours = []
    for weight in torch.tensor(weights):
        to = torch.autograd.grad(spectrum @ weight, (labels, strengths), retain_graph=True)
        ours.append([*to[0][0].tolist(), float(to[1] @ torch.tensor(direction))])
    errors = []
    for i, step in enumerate(STEPS.values()):
        sides = []
        for sign in (step, -step):
            shifted = tuple(x + sign * (j == i) for j, x in enumerate(star))
            changed = lines.with_log_gf(lines.log_gf + sign * direction * (i == len(star)))
            sides.append(direct(wavelength, shifted, changed, CUTOFF))
        theirs = weights @ (sides[0] - sides[1]) / (2 * step)
        errors.append(float(np.linalg.norm(np.array(ours)[:, i] - theirs) / np.linalg.norm(theirs)))
    flux, continuum = direct(wavelength, star, lines, CUTOFF).reshape(2, -1)
    difference = spectrum.detach().numpy()[: wavelength.size] - flux
    return errors, float(np.sqrt(np.mean((difference / continuum) ** 2)))


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """The best of some runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)


def timing(wavelength: np.ndarray, star: tuple[float, ...], lines: LineList, device: str) -> str:
    model = DifferentiableSynthesis(wavelength, lines).to(device)
    labels = torch.tensor([star], dtype=torch.float64, device=device, requires_grad=True)
    strengths = torch.tensor(model.lines.log_gf, device=device, requires_grad=True)
    flux, _ = model(labels, strengths)
    forward = seconds(lambda: model(labels, strengths))
    total = flux.sum()
    backward = seconds(lambda: torch.autograd.grad(total, (labels, strengths), retain_graph=True))
    return f"{forward:9.2f} {backward:9.2f}"


def main() -> None:
    """Print the table."""
    first = float(sys.argv[1]) if len(sys.argv) > 1 else 5160.0
    width = float(sys.argv[2]) if len(sys.argv) > 2 else 50.0
    wavelength = np.arange(first, first + width, 0.02)
    lines = standard_lines()
    near = lines.between(wavelength[0] - 5.0, wavelength[-1] + 5.0)
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    print(f"{first:g}-{first + width:g} A, {len(near)} lines, {torch.get_num_threads()} thread(s)")
    names = "".join(f"{name:>9}" for name in STEPS)
    costs = "".join(f"{name:>10}" for x in devices for name in (f"{x} flux", "gradient"))
    print(f"{'star':>24}{names}{'flux rms':>10}{'direct':>9}{costs}")
    for star in STARS:
        teff, logg, mh, vmic = star
        errors, rms = deviations(wavelength, star, near)
        model, abundance = model_atmosphere(teff, logg, mh), abundances(mh)
        reference = seconds(
            lambda m=model, a=abundance, v=vmic: surface_flux(wavelength, m, a, lines, v)
        )
        name = f"{teff:g} K {logg:g} {mh:+g} {vmic:g} km/s"
        table = "".join(f"{error:9.2%}" for error in errors)
        times = " ".join(timing(wavelength, star, lines, device) for device in devices)
        print(f"{name:>24}{table}{rms:10.5f}{reference:9.2f} {times}", flush=True)


if __name__ == "__main__":
    main()
