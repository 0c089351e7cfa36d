"""Line-by-line synthesis that is differentiable in the star's labels and the lines' strengths."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import NamedTuple

import numpy as np
import torch
from astropy import units as u
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from maury.errors import SynthesisError
from maury.synthesis.constants import (
    ATOMIC_MASS,
    BOLTZMANN,
    BOLTZMANN_EV,
    KILOMETRE,
    LIGHT,
    SECOND_RADIATION,
)
from maury.synthesis.continuum import continuum_opacity
from maury.synthesis.equation_of_state import Gas
from maury.synthesis.hydrogen import hydrogen_opacity
from maury.synthesis.linelist import LineList, standard_lines
from maury.synthesis.lines import CLASSICAL, WIDEST, vdw_perturbers
from maury.synthesis.synthesize import CONTINUUM_STEP, check_parameters, check_wavelengths
from maury.synthesis.tensor_atmosphere import interpolate_atmosphere
from maury.synthesis.tensor_gas import TensorGas
from maury.synthesis.tensor_lines import Profiles, sum_profiles
from maury.synthesis.tensor_transfer import emergent_flux
from maury.wavelength import air_to_vacuum

__all__ = ["DifferentiableSynthesis"]

PIECE = 16384  # pixels whose opacity is held in memory at once
KEPT = 2 * PIECE  # pixels of all stars kept for the gradient: 2 GiB in the coolest, else half
CHUNK = 4096  # lines whose reach is found at a time
LABELS = ("teff", "logg", "mh", "vmic")


class _Layers(NamedTuple):
    """The gas of one star, in cgs and (vmic) km/s: (layer,), (1, layer) and (species, layer)."""

    temperature: Tensor
    electrons: Tensor
    perturbers: Tensor
    per_state: Tensor
    vmic: Tensor


class DifferentiableSynthesis(torch.nn.Module):
    """Spectra of a window, with gradients to Teff, log g, [M/H], vmic and every line's log gf.

    The same physics and numbers as `maury.synthesis.synthesize.surface_flux`: the fluxes differ by
    less than 0.001 of the continuum.

    Parameters
    ----------
    wavelength
        Increasing wavelengths in Angstrom, air, stellar rest frame, shape (pixel,); meant for
        windows of up to some 100 A.
    lines
        The line list; the embedded one where it is left out.
    alpha
        [alpha/M], dex.
    cutoff
        A line is followed until it falls below this fraction of the continuum in every layer.

    Attributes
    ----------
    lines : LineList
        The lines that can reach the window, in the order that ``log_gf`` has.
    wavelength : Tensor
        Angstrom in air, shape (pixel,).

    Raises
    ------
    SynthesisError
        If the wavelengths do not increase or are not covered.

    Notes
    -----
    Line profiles, their sum and the formal solution are tensor operations, on whichever device the
    module is; on CPUs compiled loops add up the lines. The gas and the opacities of the continuum
    and of hydrogen come from the NumPy functions, star by star on the CPU, with derivatives by
    differences (`maury.synthesis.tensor_gas`). A spectrum takes about as long as the direct sum's
    and the gradient to everything less than that again.

    The gradient jumps where the model atmospheres have their nodes (Teff, log g and [M/H] are
    interpolated linearly), [M/H] = 0 for one: exactly there it is the derivative towards larger
    parameters. Lines below the cutoff have no gradient. There are no second derivatives;
    `torch.autograd.functional.jacobian` gives derivatives of every pixel, one backward pass each.
    All is computed in float64, whatever the labels are.

    Examples
    --------
    How hot is the star whose iron line at 6065.5 A this is? Newton's method finds it:

    >>> lines = standard_lines().between(6062.0, 6069.0)
    >>> model = DifferentiableSynthesis(np.arange(6064.0, 6067.0, 0.02), lines)
    >>> flux, continuum = model(torch.tensor([[5800.0, 4.4, 0.1, 1.0]], dtype=torch.float64))
    >>> observed = (flux / continuum)[0].min()
    >>> teff = torch.tensor(5600.0, dtype=torch.float64, requires_grad=True)
    >>> for _ in range(3):
    ...     others = torch.tensor([4.4, 0.1, 1.0], dtype=torch.float64)
    ...     flux, continuum = model(torch.cat([teff[None], others])[None])
    ...     depth = (flux / continuum)[0].min()
    ...     (slope,) = torch.autograd.grad(depth, teff)
    ...     teff = (teff + (observed - depth) / slope).detach().requires_grad_()
    >>> f"{float(teff.detach()):.0f} K"
    '5800 K'
    """

    wavelength: Tensor
    _line_wavelength: Tensor
    _line_species_index: Tensor
    _line_log_gf: Tensor

    def __init__(
        self,
        wavelength: NDArray[np.float64] | u.Quantity,
        lines: LineList | None = None,
        *,
        alpha: float = 0.0,
        cutoff: float = 3e-4,
    ) -> None:
        super().__init__()
        _, air = check_wavelengths(wavelength, "air")
        lines = standard_lines() if lines is None else lines
        self.lines = lines.between(air[0] - WIDEST, air[-1] + WIDEST)
        self.alpha, self.cutoff = alpha, cutoff
        self.register_buffer("wavelength", torch.tensor(air), persistent=False)
        for column in fields(LineList)[1:]:
            values = torch.tensor(getattr(self.lines, column.name))
            self.register_buffer(f"_line_{column.name}", values, persistent=False)

    def forward(
        self, labels: Float[Tensor, "batch 4"], log_gf: Float[Tensor, "*batch line"] | None = None
    ) -> tuple[Float[Tensor, "batch pixel"], Float[Tensor, "batch pixel"]]:
        """Flux and continuum at the stars' surfaces.

        Parameters
        ----------
        labels
            Teff (K), log g (of cm s-2), [M/H] (dex) and vmic (km/s) of each star; best in float64.
        log_gf
            Strengths of ``lines``, for all stars or for each; their own where it is left out.

        Returns
        -------
        flux, continuum
            erg s-1 cm-2 A-1, of the labels' dtype.

        Raises
        ------
        SynthesisError
            If a label or [alpha/M] is outside what `synthesize` takes, or a shape is wrong.
        """
        self._check(labels, log_gf)
        strengths = self._line_log_gf if log_gf is None else log_gf
        strengths = strengths.expand(labels.shape[0], -1)
        starts = range(0, self.wavelength.numel(), PIECE)
        # For the gradient of many pixels little is kept, and the pieces are computed again.
        few = self.wavelength.numel() * labels.shape[0] <= KEPT
        keep = few or not torch.is_grad_enabled()
        stars = []
        for star, strength in zip(labels, strengths, strict=True):
            arguments = [(star, strength, slice(start, start + PIECE)) for start in starts]
            pieces = [
                self._piece(*a) if keep else checkpoint(self._piece, *a, use_reentrant=False)
                for a in arguments
            ]
            stars.append(torch.cat(pieces, dim=1))
        flux, continuum = torch.stack(stars, dim=1)
        return flux, continuum

    def _check(self, labels: Tensor, log_gf: Tensor | None) -> None:
        if labels.ndim != 2 or labels.shape[1] != len(LABELS):
            raise SynthesisError(
                f"The labels have the shape {tuple(labels.shape)}; it must be (star, 4), for "
                f"{', '.join(LABELS)}."
            )
        for star in labels.tolist():
            check_parameters(**dict(zip(LABELS, star, strict=True)), alpha=self.alpha)
        allowed = [(len(self.lines),), (labels.shape[0], len(self.lines))]
        if log_gf is not None and tuple(log_gf.shape) not in allowed:
            raise SynthesisError(
                f"log gf has the shape {tuple(log_gf.shape)}; it must be {allowed[0]} or "
                f"{allowed[1]}."
            )

    def _piece(self, labels: Tensor, log_gf: Tensor, pixels: slice) -> Tensor:
        """Flux and continuum of one star, shape (2, pixel)."""
        wavelength = self.wavelength[pixels]
        teff, logg, mh, vmic = labels.double()
        layers = interpolate_atmosphere(teff[None], logg[None], mh[None])[0]
        ln_rhox, ln_temperature, ln_pressure = layers.unbind(dim=1)
        air = wavelength.cpu().numpy()
        start = math.floor(air[0]) - 2 * CONTINUUM_STEP
        coarse = air_to_vacuum(np.arange(start, air[-1] + 3 * CONTINUUM_STEP, CONTINUUM_STEP))
        gas = TensorGas(ln_temperature, ln_pressure, mh, self.alpha)
        near = self._near(air, gas.state)
        used, row = torch.unique(self._line_species_index[near], return_inverse=True)
        species = [self.lines.species[i] for i in used.tolist()]

        def logarithms(of: Gas) -> NDArray[np.float64]:
            rows = [of.density, of.electrons, vdw_perturbers(of), *map(of.per_state, species)]
            return np.log(np.maximum(np.vstack([*rows, continuum_opacity(coarse, of).T]), 1e-300))

        def hydrogen(of: Gas, velocity: float) -> NDArray[np.float64]:
            opacity = np.zeros((air.size, of.temperature.size))
            hydrogen_opacity(opacity, air_to_vacuum(air), of, velocity)
            return opacity

        density, electrons, perturbers, per_state, knots = torch.split(
            gas.quantity(logarithms).exp(), [1, 1, 1, len(species), coarse.size]
        )
        state = _Layers(ln_temperature.exp(), electrons, perturbers, per_state, vmic)
        chunks = zip(near.split(CHUNK), row.split(CHUNK), strict=True)
        reach = torch.cat([self._reach(*c, log_gf, state, knots, start) for c in chunks])
        seen = (self._line_wavelength[near] + reach >= air[0]) & (reach > 0)
        seen &= self._line_wavelength[near] - reach <= air[-1]
        profiles = self._profiles(near[seen], row[seen], log_gf, state)
        lines = sum_profiles(wavelength, self._line_wavelength[near[seen]], reach[seen], profiles)

        place = (wavelength - start) / CONTINUUM_STEP
        knot = place.long()
        weight = (place - knot)[:, None]
        continuum = knots[knot] * (1 - weight) + knots[knot + 1] * weight
        total = continuum + lines + gas.quantity_of_velocity(hydrogen, vmic)
        per_gram = torch.stack([total, continuum]) / density
        rhox, temperature = (x.exp().expand(2, -1) for x in (ln_rhox, ln_temperature))
        ln_opacity = per_gram.log().mT.contiguous()
        return emergent_flux(ln_opacity, rhox, temperature, wavelength).to(labels.dtype)

    def _near(self, air: NDArray[np.float64], gas: Gas) -> Tensor:
        """The lines that could reach these wavelengths, of species that there are."""
        first, last = np.searchsorted(self.lines.wavelength, [air[0] - WIDEST, air[-1] + WIDEST])
        known = np.array([name in gas.number for name in self.lines.species], dtype=bool)
        near = np.arange(first, last)[known[self.lines.species_index[first:last]]]
        return torch.as_tensor(near, device=self.wavelength.device)

    def _profiles(self, line: Tensor, row: Tensor, log_gf: Tensor, layers: _Layers) -> Profiles:
        """As `maury.synthesis.lines` has them."""

        def column(name: str) -> Tensor:
            return getattr(self, f"_line_{name}")[line][:, None]

        wavelength, t = column("wavelength"), layers.temperature
        level = layers.per_state[row] * torch.exp(-column("excitation") / (BOLTZMANN_EV * t))
        stimulated = -torch.expm1(-SECOND_RADIATION / (wavelength * t))
        strength = CLASSICAL * 10.0 ** log_gf[line].double()[:, None]
        area = strength * level * stimulated * wavelength**2 / (LIGHT * 1e8)
        thermal = 2.0 * BOLTZMANN / (ATOMIC_MASS * column("mass")) * t
        doppler = wavelength / LIGHT * torch.sqrt(thermal + (layers.vmic * KILOMETRE) ** 2)
        gamma = (
            column("gamma_rad")
            + column("gamma_stark") * layers.electrons * (t * 1e-4) ** (1 / 6)
            + column("gamma_vdw") * layers.perturbers * (t * 1e-4) ** column("vdw_exponent")
        )
        half_width = gamma * wavelength**2 / (4 * math.pi * LIGHT * 1e8)
        return Profiles(area / (doppler * math.sqrt(math.pi)), 1 / doppler, half_width / doppler)

    @torch.no_grad()
    def _reach(
        self,
        line: Tensor,
        row: Tensor,
        log_gf: Tensor,
        layers: _Layers,
        knots: Tensor,
        start: float,
    ) -> Tensor:
        """Distance (A) from each line's centre beyond which it is below the cutoff."""
        some = slice(2, None, 3)
        thinned = layers._replace(
            temperature=layers.temperature[some],
            electrons=layers.electrons[:, some],
            perturbers=layers.perturbers[:, some],
            per_state=layers.per_state[:, some],
        )
        profiles = self._profiles(line, row, log_gf, thinned)
        knot = ((self._line_wavelength[line] - start) / CONTINUUM_STEP).long()
        limit = self.cutoff * knots[knot.clamp(0, knots.shape[0] - 1)][:, some]
        relative, doppler = profiles.peak / limit, 1 / profiles.per_doppler
        wing = doppler * torch.sqrt(relative * profiles.damping / math.sqrt(math.pi))
        core = doppler * torch.sqrt(torch.log(relative.clamp(min=1.0)))
        far = torch.where(
            relative > 1, torch.maximum(wing, core), torch.where(wing < doppler, 0.0, wing)
        )
        return far.amax(dim=1).clamp(max=WIDEST)
