"""Print by how much the flux errs because scattering is treated as absorption.

Run as ``python benchmarks/scattering.py``. The synthesis takes Thomson and Rayleigh scattering for
true absorption. Here the continuum of some stars is computed both ways: the equation of transfer
with S = (1 - s) B + s J, s being the part of the opacity that scatters, is solved by Feautrier's
scheme for all angles at once (Hubeny & Mihalas 2014, Sect. 12.3).
"""

import numpy as np
from scipy.linalg import solve_banded

from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.continuum import continuum_opacity, scattering_opacity
from maury.synthesis.elements import abundances
from maury.synthesis.equation_of_state import solve
from maury.synthesis.transfer import MU, WEIGHT, column_weights

WAVELENGTH = np.array([3850.0, 4200.0, 5000.0, 6000.0, 6800.0])
STARS = (
    (3200.0, 5.0, 0.0), (4500.0, 4.5, 0.0), (4500.0, 4.5, -1.5), (5777.0, 4.44, 0.0),
    (5777.0, 4.44, -1.5), (6500.0, 4.0, -1.0), (7500.0, 4.0, 0.0), (10500.0, 4.0, 0.0),
    (11000.0, 3.5, -1.5),
)  # fmt: skip
DEEPEST = 60.0  # optical depth below which nothing leaves


def surface_flux(tau: np.ndarray, planck: np.ndarray, scattered: np.ndarray) -> float:
    """Flux that leaves, by Feautrier's scheme; ``scattered`` is the part that scatters."""
    layers, angles = tau.size, MU.size
    size = layers * angles
    band = 2 * angles
    matrix, right = np.zeros((2 * band + 1, size)), np.zeros(size)

    def add(row: int, column: int, value: float) -> None:
        matrix[band + row - column, column] += value

    step = np.diff(tau)
    for d in range(layers):
        for m, mu in enumerate(MU):
            row = d * angles + m
            if d == layers - 1:
                add(row, row, 1.0)
                right[row] = planck[d]
                continue
            after = step[d] / mu
            if d == 0:
                share = after / 2
                add(row, row, 1.0 + 1.0 / after)
                add(row, row + angles, -1.0 / after)
            else:
                before = step[d - 1] / mu
                centre = (before + after) / 2
                share = 1.0
                add(row, row, 1.0 / (before * centre) + 1.0 / (after * centre))
                add(row, row - angles, -1.0 / (before * centre))
                add(row, row + angles, -1.0 / (after * centre))
            add(row, row, share)
            right[row] = share * (1 - scattered[d]) * planck[d]
            for other in range(angles):
                add(row, d * angles + other, -share * scattered[d] * WEIGHT[other])
    mean = solve_banded((band, band), matrix, right).reshape(layers, angles)
    return float(4 * np.pi * np.sum(WEIGHT * MU * mean[0]))


def main() -> None:
    """Print the table."""
    print(f"| Teff, log g, [M/H] | {' | '.join(f'{w:.0f} A' for w in WAVELENGTH)} |")
    print("|---" * (WAVELENGTH.size + 1) + "|")
    for star in STARS:
        atmosphere = model_atmosphere(*star)
        gas = solve(atmosphere.temperature, atmosphere.pressure, abundances(star[2]))
        total = continuum_opacity(WAVELENGTH, gas)
        scattered = scattering_opacity(WAVELENGTH, gas) / total
        padded = np.pad(total / gas.density[:, None], ((1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, 4, axis=0)
        steps = np.einsum("dpj,dj->dp", windows, column_weights(atmosphere.rhox))
        cells = []
        for i, wavelength in enumerate(WAVELENGTH):
            top = atmosphere.rhox[0] * padded[1, i]
            tau = np.concatenate([[top], top + steps[:, i].cumsum()])
            layers = slice(0, int(np.searchsorted(tau, DEEPEST)) + 1)
            planck = 1 / np.expm1(1.438776877e8 / (wavelength * atmosphere.temperature[layers]))
            absorbed = np.zeros(planck.size)
            both = [
                surface_flux(tau[layers], planck, part) for part in (absorbed, scattered[layers, i])
            ]
            cells.append(f"{both[0] / both[1] - 1:+.2%}")
        print(f"| {star[0]:.0f} K, {star[1]:.2f}, {star[2]:+.1f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
