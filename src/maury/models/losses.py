"""The losses of Sect. 2.5 and Appendix C, each beside its equation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from maury.models.latent import Output

__all__ = [
    "Terms",
    "autoencoder_loss",
    "beta_vae_loss",
    "info_vae_loss",
    "kl_divergence",
    "label_loss",
    "maximum_mean_discrepancy",
    "node_targets",
    "pixel_loss",
]

Weight = float | Float[Tensor, " node"]


def label_loss(
    predicted: Float[Tensor, "batch label"], labels: Float[Tensor, "batch label"]
) -> Float[Tensor, ""]:
    r"""Mean absolute error of the labels that are known.

    .. math:: L_\mathrm{lab} = E_{(s, l)} \frac{1}{K} \sum_{k=1}^{K} |l_k - q_{c,k}(s)|

    (Eq. 3 of Cvrcek et al. 2024), where sums and K run over the labels present: NaN means that a
    label is missing. A batch in which none is present contributes zero, with zero gradient.

    Parameters
    ----------
    predicted, labels : Tensor, float[batch, labels]
        Normalised labels.

    Returns
    -------
    Tensor
        The loss, a scalar.

    Examples
    --------
    >>> nan = float("nan")
    >>> label_loss(torch.tensor([[1.0, 2.0], [0.0, 5.0]]), torch.tensor([[0.0, 4.0], [nan, nan]]))
    tensor(1.5000)
    """
    present = ~torch.isnan(labels)
    # Missing labels are replaced before the subtraction: NaN times zero would still be NaN.
    difference = torch.where(present, predicted, 0.0) - torch.where(present, labels, 0.0)
    return difference.abs().sum() / present.sum().clamp(min=1)


def node_targets(
    labels: Float[Tensor, "batch label"], nodes: int, simulated: Bool[Tensor, " batch"]
) -> Float[Tensor, "batch node"]:
    """What the nodes of the bottleneck should be, for `label_loss`: labels, and u = 0 if simulated.

    Simulated spectra are described by their labels in full, so their unknown factors u are
    supervised to be zero; those of observed spectra are free (Sect. 3.2 of Cvrcek et al. 2024).

    Parameters
    ----------
    labels : Tensor, float[batch, label]
        Normalised labels, NaN where missing.
    nodes : int
        Number of nodes of the bottleneck, at least that of the labels.
    simulated : Tensor, bool[batch]
        True for the spectra whose u shall be zero.

    Examples
    --------
    >>> labels = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> node_targets(labels, 3, torch.tensor([True, False]))
    tensor([[1., 2., 0.], [3., 4., nan]])
    """
    unknown = torch.where(simulated[:, None], 0.0, torch.nan).to(labels)
    return torch.cat([labels, unknown.expand(-1, nodes - labels.shape[1])], dim=1)


def pixel_loss(
    predicted: Float[Tensor, "batch pixel"],
    spectra: Float[Tensor, "batch pixel"],
    valid: Bool[Tensor, "batch pixel"],
) -> Float[Tensor, ""]:
    r"""Mean absolute difference of spectra over their valid pixels.

    .. math:: L_\mathrm{rec} = E_s \frac{1}{N} \sum_{j=1}^{N} |s_j - p_j|

    (Eqs. 4 and 5 of Cvrcek et al. 2024; the difference between the two is what the decoder p was
    given, labels or the nodes of an encoder). N counts the valid pixels of a spectrum, and E
    averages over the spectra that have any; the authors' code divides by all pixels, so that their
    figures depend on how much of the grid is padding. Without a valid pixel the loss is zero.

    Parameters
    ----------
    predicted, spectra : Tensor, float[batch, pixel]
        Normalised fluxes; where a pixel is not valid they may be anything, NaN included.
    valid : Tensor, bool[batch, pixel]
        Which pixels count.

    Examples
    --------
    >>> spectra = torch.tensor([[1.0, 2.0, float("nan")]])
    >>> pixel_loss(torch.zeros(1, 3), spectra, torch.tensor([[True, True, False]]))
    tensor(1.5000)
    """
    difference = torch.where(valid, predicted, 0.0) - torch.where(valid, spectra, 0.0)
    number = valid.sum(dim=1)
    means = difference.abs().sum(dim=1) / number.clamp(min=1)
    return means.sum() / (number > 0).sum().clamp(min=1)


def kl_divergence(
    mean: Float[Tensor, "batch node"],
    log_variance: Float[Tensor, "batch node"],
    weight: Weight = 1.0,
) -> Float[Tensor, ""]:
    r"""Divergence of the nodes' normal distributions from the standard normal one.

    .. math:: D_\mathrm{KL}(q(b \mid s) \| p(b))
              = \frac{1}{2} \sum_k \left( \mu_k^2 + \sigma_k^2 - \ln \sigma_k^2 - 1 \right)

    (Eq. C.2 of Cvrcek et al. 2024 for normal distributions; Kingma & Welling 2014, Appendix B),
    summed over the nodes and averaged over the batch. The authors' code sums over the batch of 32
    as well, so that their lambda_KL = 1e-5 is 3.2e-4 here.

    Parameters
    ----------
    mean, log_variance : Tensor, float[batch, node]
        The distributions.
    weight : float or Tensor, float[node]
        Weight of each node.

    Examples
    --------
    >>> kl_divergence(torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2))
    tensor(2.)
    """
    divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)
    return (weight * divergence).sum(dim=1).mean()


def maximum_mean_discrepancy(
    nodes: Float[Tensor, "batch node"], prior: Float[Tensor, "draw node"], weight: Weight = 1.0
) -> Float[Tensor, ""]:
    r"""How far the distribution of each node over a batch is from the prior.

    .. math:: D_\mathrm{MMD} = E k(b, b') + E k(\beta, \beta') - 2 E k(b, \beta), \quad
              k(x, y) = e^{-(x - y)^2 / B}

    (Eq. C.4 of Cvrcek et al. 2024), where b are draws from the prior, beta nodes of spectra, and B
    the number of nodes. Taken for each node on its own and averaged over nodes; the means run over
    all pairs, those of a draw with itself included.

    Parameters
    ----------
    nodes : Tensor, float[batch, node]
        Samples of the spectra's posteriors.
    prior : Tensor, float[draw, node]
        Standard normal numbers.
    weight : float or Tensor, float[node]
        Weight of each node.

    Examples
    --------
    >>> maximum_mean_discrepancy(torch.zeros(1, 1), torch.ones(1, 1))
    tensor(1.2642)
    """
    scale = nodes.shape[1]

    def similarity(x: Tensor, y: Tensor) -> Tensor:
        return torch.exp(-(x[:, None] - y[None]).square() / scale).mean(dim=(0, 1))

    discrepancy = similarity(prior, prior) + similarity(nodes, nodes) - 2 * similarity(nodes, prior)
    return (weight * discrepancy).mean()


class Terms(NamedTuple):
    """A loss and what it is made of, each term before its weight; None where it has no part.

    Attributes
    ----------
    total : Tensor
        What is minimised.
    reconstruction, label, kl, mmd : Tensor or None
        L_rec, L_lab, and the two divergences from the prior.
    """

    total: Float[Tensor, ""]
    reconstruction: Float[Tensor, ""] | None = None
    label: Float[Tensor, ""] | None = None
    kl: Float[Tensor, ""] | None = None
    mmd: Float[Tensor, ""] | None = None


def autoencoder_loss(
    output: Output,
    spectra: Float[Tensor, "batch pixel"],
    valid: Bool[Tensor, "batch pixel"],
    labels: Float[Tensor, "batch label"] | None = None,
    *,
    label_weight: float = 1.0,
) -> Terms:
    r"""The loss of an autoencoder.

    .. math:: L_\mathrm{AE} = L_\mathrm{rec} + \lambda_\mathrm{lab} L_\mathrm{lab}

    (Eq. 7 of Cvrcek et al. 2024); without labels L_rec alone (Eq. 5). The label loss sees the nodes
    that enter the decoder, which in a variational one are samples (Eq. 9).

    Parameters
    ----------
    output : Output
        What the network made of the spectra.
    spectra : Tensor, float[batch, pixel]
        The spectra, as preprocessing leaves them.
    valid : Tensor, bool[batch, pixel]
        Which pixels count.
    labels : Tensor, float[batch, label], optional
        What the first nodes should be, normalised, NaN where missing; of all nodes where
        `node_targets` supervises u.
    label_weight : float
        lambda_lab.
    """
    if output.spectra is None:
        raise TypeError("A network without a decoder has no reconstruction loss.")
    reconstruction = pixel_loss(output.spectra, spectra, valid)
    if labels is None:
        return Terms(reconstruction, reconstruction)
    label = label_loss(output.nodes[:, : labels.shape[1]], labels)
    return Terms(reconstruction + label_weight * label, reconstruction, label)


def beta_vae_loss(
    output: Output,
    spectra: Float[Tensor, "batch pixel"],
    valid: Bool[Tensor, "batch pixel"],
    labels: Float[Tensor, "batch label"] | None = None,
    *,
    label_weight: float = 1.0,
    kl_weight: Weight = 3.2e-4,
) -> Terms:
    r"""The loss of a beta-VAE.

    .. math:: L_{\beta\text{-VAE}} = L_\mathrm{rec} + \lambda_\mathrm{lab} L_\mathrm{lab}
              + \lambda_\mathrm{KL} D_\mathrm{KL}(q(b \mid s) \| p(b))

    (Eqs. 8 and 9 of Cvrcek et al. 2024, where the minus before the last term is a misprint; both
    terms are penalties). Without labels it is the unsupervised one of Eq. 8.

    Parameters
    ----------
    output, spectra, valid, labels, label_weight
        As in `autoencoder_loss`.
    kl_weight : float or Tensor, float[node]
        lambda_KL, for each node if a tensor.
    """
    base = autoencoder_loss(output, spectra, valid, labels, label_weight=label_weight)
    mean, log_variance = _distribution(output)
    total = base.total + kl_divergence(mean, log_variance, kl_weight)
    return base._replace(total=total, kl=kl_divergence(mean, log_variance))


def info_vae_loss(
    output: Output,
    spectra: Float[Tensor, "batch pixel"],
    valid: Bool[Tensor, "batch pixel"],
    prior: Float[Tensor, "draw node"],
    labels: Float[Tensor, "batch label"] | None = None,
    *,
    label_weight: float = 1.0,
    kl_weight: Weight = 3.2e-4,
    mmd_weight: Weight = 100.0,
) -> Terms:
    r"""The loss of an InfoVAE.

    .. math:: L_\mathrm{InfoVAE} = L_\mathrm{rec} + \lambda_\mathrm{lab} L_\mathrm{lab}
              + (1 - \lambda_\mathrm{MI}) D_\mathrm{KL}(q(b \mid s) \| p(b))
              + (\lambda_\mathrm{MI} + \lambda_\mathrm{MMD} - 1) D_\mathrm{MMD}(p(b), q(b))

    (Eqs. 10 and 11 of Cvrcek et al. 2024, whose minus signs are misprints; Zhao et al. 2019), with
    lambda_MI = 1 - lambda_KL. The second divergence, of all spectra's nodes together, is measured
    by `maximum_mean_discrepancy`. It is the beta-VAE where lambda_MMD = lambda_KL.

    Parameters
    ----------
    output, spectra, valid, labels, label_weight
        As in `autoencoder_loss`.
    prior : Tensor, float[draw, node]
        Standard normal numbers, as many draws as there are spectra in the paper.
    kl_weight, mmd_weight : float or Tensor, float[node]
        lambda_KL = 1 - lambda_MI and lambda_MMD, for each node if a tensor.
    """
    base = beta_vae_loss(
        output, spectra, valid, labels, label_weight=label_weight, kl_weight=kl_weight
    )
    discrepancy = maximum_mean_discrepancy(output.nodes, prior, mmd_weight - kl_weight)
    mmd = maximum_mean_discrepancy(output.nodes, prior)
    return base._replace(total=base.total + discrepancy, mmd=mmd)


def _distribution(output: Output) -> tuple[Tensor, Tensor]:
    if output.posterior is None or output.posterior.log_variance is None:
        raise TypeError("Only a network with a variational encoder has a divergence.")
    return output.posterior.mean, output.posterior.log_variance
