"""A decoder that is right about velocity by construction, and the layer that shifts spectra."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from maury.errors import GridError, MauryError
from maury.labels import LABELS
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["DopplerDecoder", "DopplerShift"]

# Lines of a spectrograph of R = 115,000 are 2.6 km/s wide at half maximum, those of a star more.
WIDEST_STEP = 1.0  # km/s
FASTEST = 0.1  # in units of c: what an untrained encoder asks for must not break the logarithm
HIGHEST_LOGARITHM = 10.0  # of a flux, for the same reason


class _CubicInterpolation(torch.autograd.Function):
    """Cubic convolution of each row; keeps its inputs alone for the gradient."""

    @staticmethod
    def forward(ctx, spectra, index, fraction):
        ctx.save_for_backward(spectra, index, fraction)
        y = [spectra.gather(1, index + offset) for offset in (-1, 0, 1, 2)]
        cubic = 3 * (y[1] - y[2]) + y[3] - y[0]
        square = 2 * y[0] - 5 * y[1] + 4 * y[2] - y[3]
        return y[1] + 0.5 * fraction * (y[2] - y[0] + fraction * (square + fraction * cubic))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        spectra, index, fraction = ctx.saved_tensors
        t = fraction
        of_spectra = of_fraction = None
        if ctx.needs_input_grad[0]:
            weights = (
                t * (-1 + t * (2 - t)),
                2 + t * t * (3 * t - 5),
                t * (1 + t * (4 - 3 * t)),
                t * t * (t - 1),
            )
            of_spectra = torch.zeros_like(spectra)
            for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
                of_spectra.scatter_add_(1, index + offset, 0.5 * weight * grad)
        if ctx.needs_input_grad[2]:
            y = [spectra.gather(1, index + offset) for offset in (-1, 0, 1, 2)]
            cubic = 3 * (y[1] - y[2]) + y[3] - y[0]
            square = 2 * y[0] - 5 * y[1] + 4 * y[2] - y[3]
            of_fraction = 0.5 * grad * (y[2] - y[0] + t * (2 * square + 3 * t * cubic))
        return of_spectra, None, of_fraction


class DopplerShift(nn.Module):
    r"""Shifts spectra from wavelengths evenly spaced in logarithm to an even grid.

    A source that recedes at v shows at the wavelength :math:`\lambda` what it emits at
    :math:`\lambda / D`, with the relativistic :math:`D = \sqrt{(1 + v/c) / (1 - v/c)}`. On
    logarithmic wavelengths this moves all pixels by the same number of samples. In between the
    spectrum is interpolated by cubic convolution (Keys 1981, IEEE Trans. ASSP 29, 1153), whose
    error falls with the third power of the step; the gradient to the velocity is the exact
    derivative of that. No flux is conserved: values are of a density that is normalised. Beyond
    the margin the first and last values go on.

    Parameters
    ----------
    start, step : float
        First wavelength and step of the even grid, Angstrom.
    pixels : int
        Its size.
    margin : float
        Velocity in km/s up to which the shifted spectrum fills the even grid.

    Attributes
    ----------
    source : ndarray, float64[sample]
        The logarithmic wavelengths, Angstrom. Their step is that of the even grid in its middle,
        but at most 1 km/s; then each pixel is the mean of several places in it.

    Examples
    --------
    >>> shift = DopplerShift(start=5000.0, step=0.01, pixels=2000, margin=50.0)
    >>> emitted = torch.exp(-((torch.from_numpy(shift.source) - 5010.0) / 0.05) ** 2).float()
    >>> observed = shift(emitted[None], torch.tensor([30.0]))
    >>> round(5000.0 + 0.01 * observed.argmax().item(), 2)  # 5010 (1 + 30 / c)
    5010.5
    """

    def __init__(self, *, start: float, step: float, pixels: int, margin: float) -> None:
        super().__init__()
        stop = start + step * (pixels - 1)
        width = SPEED_OF_LIGHT * step / (0.5 * (start + stop))
        self.places = max(1, math.ceil(width / WIDEST_STEP))
        self.log_step = width / self.places / SPEED_OF_LIGHT
        reach = math.ceil(math.atanh(margin / SPEED_OF_LIGHT) / self.log_step) + 3
        within = (np.arange(self.places) + 0.5) / self.places - 0.5
        observed = start + step * (np.arange(pixels)[:, None] + within).ravel()
        position = np.log(observed / observed[0]) / self.log_step + reach
        samples = math.ceil(position[-1]) + reach + 1
        self.source: NDArray[np.float64] = observed[0] * np.exp(
            (np.arange(samples) - reach) * self.log_step
        )
        # Whole and fraction apart, since single precision does not hold their sum.
        whole = np.floor(position)
        self.index: Tensor
        self.fraction: Tensor
        self.register_buffer("index", torch.from_numpy(whole.astype(np.int64)), persistent=False)
        self.register_buffer(
            "fraction", torch.from_numpy((position - whole).astype(np.float32)), persistent=False
        )

    def forward(
        self, spectra: Float[Tensor, "batch sample"], velocity: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch place"]:
        """Spectra at the places of the even grid, `places` of them in each pixel.

        Parameters
        ----------
        spectra : Tensor, float[batch, sample]
            Spectra on `source`, in the source's frame.
        velocity : Tensor, float[batch]
            Velocity of the source in km/s, positive when receding.
        """
        index, fraction = self._positions(velocity, spectra.shape[1])
        return _CubicInterpolation.apply(spectra, index, fraction)

    def _positions(
        self, velocity: Tensor, samples: int
    ) -> tuple[Int[Tensor, "batch place"], Float[Tensor, "batch place"]]:
        # The logarithm of D is the inverse hyperbolic tangent of v/c.
        shift = -torch.atanh((velocity / SPEED_OF_LIGHT).clamp(-FASTEST, FASTEST)) / self.log_step
        whole = shift.detach().floor()
        fraction = self.fraction + (shift - whole)[:, None]
        carry = fraction.detach().floor()
        index = self.index + whole.long()[:, None] + carry.long()
        return index.clamp_(1, samples - 3), fraction - carry


class DopplerDecoder(nn.Module):
    r"""A star shifted by its velocity, seen through an atmosphere shifted by BERV.

    The logarithm of the flux at a barycentric wavelength :math:`\lambda` is

    .. math:: \ln s(\lambda) = \mathrm{star}(\lambda / D_\mathrm{rv}; l_\mathrm{int}, u)
              + \mathrm{sky}(\lambda / D_\mathrm{berv}; l_\mathrm{obs}, u)
              + \mathrm{continuum}(\lambda; l_\mathrm{obs}, u)

    where :math:`l_\mathrm{int}` are the labels of the star itself, and :math:`l_\mathrm{obs}` are
    airmass and water vapour. Only the shifts see the two velocities, so that a change of the radial
    velocity does what Sect. 2.3 of Cvrcek et al. (2024) asks for: it moves the star's lines and
    nothing else. The sky stands for all that is fixed to the observatory's frame, tellurics and
    response of the instrument alike. Star and sky are each a mean and a few components, whose
    amplitudes a small network gives; the continuum is a Chebyshev series.

    Parameters
    ----------
    pixels : int
        Size of the wavelength grid, barycentric.
    start, step : float
        First wavelength and step of the grid, Angstrom.
    inputs : int
        Number of nodes of the bottleneck: labels, and u behind them if there is any.
    labels : sequence of str
        Names of the first nodes; "rv" and "berv" must be among them.
    center, scale : sequence of float
        Constants of the labels' `Normalizer`.
    components, sky_components : int
        Number of components of star and sky.
    degree : int
        Degree of the continuum.
    margin : float
        Radial velocity, km/s, up to which the star fills the grid.
    hidden : int
        Width of the small networks.

    Raises
    ------
    MauryError
        If "rv" or "berv" is not among the labels, or nothing describes star or observation.
    GridError
        If the grid has less than 16 pixels.

    Examples
    --------
    >>> decoder = DopplerDecoder(
    ...     pixels=1024, start=5000.0, step=0.01, inputs=4, labels=("teff", "rv", "berv"),
    ...     center=(5500.0, 0.0, 0.0), scale=(1000.0, 50.0, 20.0),
    ... )
    >>> decoder(torch.zeros(3, 4)).shape
    torch.Size([3, 1024])
    """

    architecture = "doppler-decoder"
    architecture_version = 1

    def __init__(
        self,
        *,
        pixels: int,
        start: float,
        step: float,
        inputs: int,
        labels: Sequence[str],
        center: Sequence[float],
        scale: Sequence[float],
        components: int = 32,
        sky_components: int = 6,
        degree: int = 8,
        margin: float = 160.0,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        labels = tuple(labels)
        missing = [name for name in ("rv", "berv") if name not in labels]
        if missing:
            raise MauryError(
                f"The Doppler decoder needs the label {missing[0]!r} among its nodes, "
                f"which are {', '.join(labels) or 'none'}."
            )
        if pixels < 16:
            raise GridError(
                f"The Doppler decoder needs a grid of at least 16 pixels, not {pixels}."
            )
        self._hyperparameters: dict[str, Any] = {
            "pixels": pixels,
            "start": start,
            "step": step,
            "inputs": inputs,
            "labels": list(labels),
            "center": list(center),
            "scale": list(scale),
            "components": components,
            "sky_components": sky_components,
            "degree": degree,
            "margin": margin,
            "hidden": hidden,
        }
        self.pixels = pixels
        self.inputs = inputs
        self.velocities = {
            name: (labels.index(name), center[labels.index(name)], scale[labels.index(name)])
            for name in ("rv", "berv")
        }
        unknown = list(range(len(labels), inputs))
        intrinsic = [i for i, name in enumerate(labels) if LABELS[name].group == "intrinsic"]
        observing = [i for i, name in enumerate(labels) if name in ("airmass", "pwv")]
        self.star_nodes = intrinsic + unknown
        self.sky_nodes = observing + unknown
        if not (self.star_nodes and self.sky_nodes):
            raise MauryError(
                "The Doppler decoder needs nodes beside the velocities, one of the star and one of "
                f"the observation, or u; its labels are {', '.join(labels)}."
            )
        self.star_shift = DopplerShift(start=start, step=step, pixels=pixels, margin=margin)
        self.sky_shift = DopplerShift(start=start, step=step, pixels=pixels, margin=35.0)
        self.star = _LogSpectrum(
            len(self.star_nodes), components, len(self.star_shift.source), hidden
        )
        self.sky = _LogSpectrum(
            len(self.sky_nodes), sky_components, len(self.sky_shift.source), hidden
        )
        self.continuum = _amplitudes(len(self.sky_nodes), degree + 1, hidden)
        self.polynomials: Tensor
        places = np.linspace(-1, 1, pixels * self.star_shift.places)
        polynomials = torch.from_numpy(chebyshev.chebvander(places, degree).T).float()
        self.register_buffer("polynomials", polynomials.contiguous(), persistent=False)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The keyword arguments that make a decoder of the same shape."""
        return dict(self._hyperparameters)

    def velocity(self, nodes: Float[Tensor, "batch input"], name: str) -> Float[Tensor, " batch"]:
        """The velocity "rv" or "berv" that the nodes stand for, km/s."""
        index, center, scale = self.velocities[name]
        return nodes[:, index] * scale + center

    def forward(self, nodes: Float[Tensor, "batch input"]) -> Float[Tensor, "batch pixel"]:
        """Normalised fluxes of the nodes of a bottleneck."""
        # Half precision would be wrong by kilometres a second.
        with torch.autocast(nodes.device.type, enabled=False):
            nodes = nodes.float()
            star = self.star_shift(self.star(nodes[:, self.star_nodes]), self.velocity(nodes, "rv"))
            conditions = nodes[:, self.sky_nodes]
            sky = self.sky_shift(self.sky(conditions), self.velocity(nodes, "berv"))
            continuum = self.continuum(conditions) @ self.polynomials
            flux = (star + sky + continuum).clamp(max=HIGHEST_LOGARITHM).exp()
            return flux.unflatten(1, (self.pixels, -1)).mean(dim=2)


class _LogSpectrum(nn.Module):
    """The logarithm of a spectrum: a mean, and components with amplitudes from a few numbers."""

    def __init__(self, inputs: int, components: int, samples: int, hidden: int) -> None:
        super().__init__()
        self.amplitudes = _amplitudes(inputs, components, hidden)
        self.mean = nn.Parameter(torch.zeros(samples))
        self.components = nn.Parameter(0.01 * torch.randn(components, samples))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.addmm(self.mean, self.amplitudes(inputs), self.components)


def _amplitudes(inputs: int, outputs: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.GELU(),
        nn.Linear(hidden, hidden),
        nn.GELU(),
        nn.Linear(hidden, outputs),
    )
