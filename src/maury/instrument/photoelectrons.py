"""Appendix A of the paper: an exposure's terms in photo-electrons, its mean and its variance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Photoelectrons", "draw", "mean_flux", "variance"]


@dataclass(frozen=True, eq=False)
class Photoelectrons:
    """The terms of Appendix A of Cvrcek et al. 2024 on a wavelength grid, barycentric frame.

    Electrons are counted in a spectral pixel: one detector pixel along the dispersion, summed over
    those across it that belong to the star, in all `ndit` integrations. A subscript a stands for
    the even orders, b for the odd ones (item 5 and 6 of the list there); where no order is, their
    blaze is zero. Every tensor is [batch, pixel] or broadcasts to it.

    Parameters
    ----------
    target_sed : Tensor
        The star outside the atmosphere after its Doppler shift, erg/s/cm2/A.
    signal_a, signal_b : Tensor
        The star, electrons (S).
    sky_a, sky_b : Tensor
        The sky, electrons (B).
    atmosphere : Tensor
        Transmission of the atmosphere (a).
    blaze_a, blaze_b : Tensor
        Blaze function (b).
    dispersion_a, dispersion_b : Tensor
        Angstrom a pixel (d).
    readout_noise : Tensor
        Electrons a detector pixel (RON).
    ndit : Tensor
        Integrations (NDIT).
    dark : Tensor
        Electrons a second and detector pixel (DARK).
    dit : Tensor
        Seconds of an integration (DIT).
    spatial_pixels, spectral_pixels : float
        Detector pixels across and along the dispersion in a spectral pixel (Nspat, Nspec).

    Examples
    --------
    >>> one, none = torch.ones(1), torch.zeros(1)
    >>> terms = Photoelectrons(
    ...     target_sed=one, signal_a=100 * one, signal_b=none, sky_a=9 * one, sky_b=none,
    ...     atmosphere=one, blaze_a=0.5 * one, blaze_b=none, dispersion_a=0.02 * one,
    ...     dispersion_b=none, readout_noise=3 * one, ndit=one, dark=none, dit=60 * one,
    ...     spatial_pixels=4.0, spectral_pixels=1.0,
    ... )
    >>> mean_flux(terms), variance(terms) * 0.01**2
    (tensor([10000.]), tensor([145.]))
    """

    target_sed: Tensor
    signal_a: Tensor
    signal_b: Tensor
    sky_a: Tensor
    sky_b: Tensor
    atmosphere: Tensor
    blaze_a: Tensor
    blaze_b: Tensor
    dispersion_a: Tensor
    dispersion_b: Tensor
    readout_noise: Tensor
    ndit: Tensor
    dark: Tensor
    dit: Tensor
    spatial_pixels: float
    spectral_pixels: float

    @property
    def weight_a(self) -> Tensor:
        """Blaze times dispersion of the even orders, h = b d (item 3), Angstrom a pixel."""
        return self.blaze_a * self.dispersion_a

    @property
    def weight_b(self) -> Tensor:
        """Blaze times dispersion of the odd orders."""
        return self.blaze_b * self.dispersion_b

    @property
    def dark_electrons(self) -> Tensor:
        """Electrons of the dark current in a spectral pixel."""
        pixels = self.spatial_pixels * self.spectral_pixels
        return pixels * self.ndit * self.dit * self.dark

    @property
    def readout_variance(self) -> Tensor:
        """Variance of the readout of a spectral pixel, electrons^2."""
        pixels = self.spatial_pixels * self.spectral_pixels
        return pixels * self.ndit * self.readout_noise**2

    @property
    def detector_variance(self) -> Tensor:
        """Nspat Nspec Nexp (Texp dark + RON^2) of item 4, with one integration's time as Texp.

        The list has Texp = DIT NDIT in it and counts the integrations twice; ESO's calculator has
        nspat nspec ndit (dit dark + ron^2).
        """
        return self.dark_electrons + self.readout_variance

    @property
    def covered(self) -> Tensor:
        """Where there is an order at all."""
        return (self.weight_a > 0) | (self.weight_b > 0)

    @property
    def signal_to_noise(self) -> Tensor:
        """Of a spectral pixel; zero where there is no order."""
        noise = torch.sqrt(variance(self))
        return torch.where(self.covered, mean_flux(self) / noise.clamp(min=1e-30), 0.0)


def _joined(
    a: Tensor, b: Tensor, weight_a: Tensor, weight_b: Tensor, *, power: int, overlap: float
) -> Tensor:
    """a / h_A^power or b / h_B^power, and where both orders are there their sum times `overlap`."""
    there_a, there_b = weight_a > 0, weight_b > 0
    part_a = torch.where(there_a, a / torch.where(there_a, weight_a, 1.0) ** power, 0.0)
    part_b = torch.where(there_b, b / torch.where(there_b, weight_b, 1.0) ** power, 0.0)
    return (part_a + part_b) * torch.where(there_a & there_b, overlap, 1.0)


def mean_flux(terms: Photoelectrons) -> Tensor:
    """Eq. A.1: S_A / h_A and S_B / h_B, averaged where the orders overlap, electrons/A.

    Zero where there is no order.
    """
    return _joined(
        terms.signal_a, terms.signal_b, terms.weight_a, terms.weight_b, power=1, overlap=1 / 2
    )


def variance(terms: Photoelectrons) -> Tensor:
    """Eq. A.2: (S + B + n) / h^2 of both orders over 2^2 where they overlap, (electrons/A)^2.

    The noise of signal, sky, dark current and readout; zero where there is no order.
    """
    n = terms.detector_variance
    electrons_a = terms.signal_a.clamp(min=0.0) + terms.sky_a + n
    electrons_b = terms.signal_b.clamp(min=0.0) + terms.sky_b + n
    return _joined(
        electrons_a, electrons_b, terms.weight_a, terms.weight_b, power=2, overlap=1 / 2**2
    )


def draw(terms: Photoelectrons, generator: torch.Generator | None = None) -> Tensor:
    """A noisy flux: item 6, a normal draw of mean A.1 and variance A.2 in every pixel."""
    mean = mean_flux(terms)
    noise = torch.empty_like(mean).normal_(generator=generator)
    return torch.addcmul(mean, noise, torch.sqrt(variance(terms)))
