"""The losses by values worked out by hand, by SciPy and by closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, stats
from scipy.spatial.distance import cdist

from maury.models.latent import Output, Posterior
from maury.models.losses import (
    autoencoder_loss,
    beta_vae_loss,
    info_vae_loss,
    kl_divergence,
    label_loss,
    maximum_mean_discrepancy,
    node_targets,
    pixel_loss,
)

NAN = float("nan")


def test_equation_3_by_hand():
    predicted = torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 1.0]])
    labels = torch.tensor([[0.0, 2.0, 0.5], [0.5, 1.5, -1.0]])
    # (1 + 4 + 0 + 0.5 + 0.5 + 2) / 6
    assert label_loss(predicted, labels).item() == torch.tensor(8 / 6).item()


def test_missing_labels_do_not_count():
    predicted = torch.tensor([[1.0, 100.0], [3.0, 5.0]])
    labels = torch.tensor([[0.0, NAN], [NAN, 3.0]])
    assert label_loss(predicted, labels).item() == 1.5


def test_a_batch_without_labels_gives_zero_and_finite_gradients():
    predicted = torch.tensor([[1.0, 2.0]], requires_grad=True)
    loss = label_loss(predicted, torch.full((1, 2), NAN))
    loss.backward()
    assert loss.item() == 0.0
    assert predicted.grad.tolist() == [[0.0, 0.0]]


def test_gradient_is_the_sign_over_the_number_of_labels():
    predicted = torch.tensor([[1.0, 2.0], [5.0, -1.0]], requires_grad=True)
    label_loss(predicted, torch.tensor([[0.0, NAN], [7.0, -3.0]])).backward()
    third = torch.tensor(1.0) / 3
    torch.testing.assert_close(predicted.grad, torch.tensor([[third, 0.0], [-third, third]]))


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    hnp.arrays("float32", (4, 3), elements=st.floats(-100, 100, width=32)),
    hnp.arrays("bool", (4, 3)),
)
def test_a_missing_label_is_as_if_it_were_not_there(values, missing):
    predicted = torch.zeros(4, 3)
    labels = torch.from_numpy(values)
    labels[torch.from_numpy(missing)] = NAN
    present = values[~missing]
    expected = abs(present.astype(float)).mean() if present.size else 0.0
    assert abs(label_loss(predicted, labels).item() - expected) < 1e-4


def test_simulated_spectra_alone_supervise_the_unknown_nodes():
    labels = torch.tensor([[1.0], [NAN], [3.0]])
    nodes = torch.tensor([[1.5, 2.0, -4.0], [0.0, 1.0, 0.0], [3.0, 50.0, 60.0]])
    targets = node_targets(labels, 3, torch.tensor([True, True, False]))
    # Labels 0.5 and 0, u of the first two spectra 2, 4, 1, 0: six numbers are present.
    assert label_loss(nodes, targets).item() == pytest.approx(7.5 / 6)


def test_without_unknown_nodes_targets_are_the_labels():
    labels = torch.tensor([[1.0, 2.0]])
    assert node_targets(labels, 2, torch.tensor([True])).tolist() == [[1.0, 2.0]]


def test_equations_4_and_5_average_over_the_valid_pixels_of_each_spectrum():
    spectra = torch.tensor([[1.0, 2.0, 9.0, NAN], [5.0, NAN, NAN, NAN], [7.0, 7.0, 7.0, 7.0]])
    valid = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]).bool()
    predicted = torch.full((3, 4), 2.0)
    predicted[2] = torch.inf
    predicted.requires_grad_()
    loss = pixel_loss(predicted, spectra, valid)
    # (1 + 0) / 2 of the first spectrum, 3 of the second; the third has no say.
    assert loss.item() == (0.5 + 3.0) / 2
    loss.backward()
    expected = [[0.25, 0.0, 0.0, 0.0], [-0.5, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    assert predicted.grad.tolist() == expected


def test_no_valid_pixel_gives_zero_and_finite_gradients():
    predicted = torch.ones(1, 3, requires_grad=True)
    loss = pixel_loss(predicted, torch.full((1, 3), NAN), torch.zeros(1, 3).bool())
    loss.backward()
    assert loss.item() == 0.0 and predicted.grad.abs().sum() == 0.0


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (1.5, 0.3), (-0.2, 2.0)])
def test_divergence_of_normal_distributions_is_the_integral_of_equation_c2(mean, deviation):
    def integrand(b):
        ours, prior = stats.norm(mean, deviation), stats.norm()
        return ours.pdf(b) * (ours.logpdf(b) - prior.logpdf(b))

    expected = integrate.quad(integrand, mean - 12 * deviation, mean + 12 * deviation)[0]
    ours = kl_divergence(torch.tensor([[mean]]), torch.tensor([[2 * np.log(deviation)]]))
    assert ours.item() == pytest.approx(expected, abs=1e-6)


def test_divergence_is_summed_over_nodes_and_averaged_over_the_batch():
    mean = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    # 2 for the first spectrum and 8 for the second.
    assert kl_divergence(mean, torch.zeros(2, 2)).item() == 5.0
    assert kl_divergence(mean, torch.zeros(2, 2), torch.tensor([1.0, 0.5])).item() == 3.0


def test_discrepancy_is_that_of_scipys_distances():
    generator = np.random.default_rng(3)
    nodes, prior = generator.normal(1, 2, (7, 3)), generator.normal(0, 1, (5, 3))
    each = []
    for k in range(3):
        b, beta = prior[:, k : k + 1], nodes[:, k : k + 1]
        pairs = [(b, b, 1), (beta, beta, 1), (b, beta, -2)]
        kernels = (sign * np.exp(-cdist(x, y, "sqeuclidean") / 3).mean() for x, y, sign in pairs)
        each.append(sum(kernels))
    ours = maximum_mean_discrepancy(torch.from_numpy(nodes), torch.from_numpy(prior))
    assert ours.item() == pytest.approx(np.mean(each))
    weight = torch.tensor([0.0, 0.0, 6.0])
    weighted = maximum_mean_discrepancy(torch.from_numpy(nodes), torch.from_numpy(prior), weight)
    assert weighted.item() == pytest.approx(2 * each[2])


def test_discrepancy_of_the_same_sample_is_zero_and_grows_with_the_distance():
    draws = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    distances = [maximum_mean_discrepancy(draws + shift, draws).item() for shift in (0, 0.5, 1, 2)]
    assert distances[0] == pytest.approx(0.0, abs=1e-6)
    assert distances == sorted(distances)


# One spectrum of two pixels, one label and one unknown node; all terms are worked out by hand.
SPECTRA = torch.tensor([[1.0, 3.0]])
VALID = torch.tensor([[True, True]])
LABELS = torch.tensor([[0.5]])
PRIOR = torch.tensor([[0.0, 0.0]])
OUTPUT = Output(
    posterior=Posterior(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 0.0]])),
    nodes=torch.tensor([[1.0, 0.0]]),
    spectra=torch.tensor([[1.5, 2.0]]),
)
RECONSTRUCTION = 0.75
LABEL = 0.5  # of the sample, 1.0; the mean, 2.0, would give 1.5
KL = 2.0
MMD = (2 - 2 * np.exp(-0.5)) / 2  # of the first node; the second has none


def test_equation_7_by_hand():
    terms = autoencoder_loss(OUTPUT, SPECTRA, VALID, LABELS, label_weight=3.0)
    assert terms.total.item() == pytest.approx(RECONSTRUCTION + 3 * LABEL)
    assert terms.reconstruction.item() == RECONSTRUCTION and terms.label.item() == LABEL
    assert terms.kl is None and terms.mmd is None


def test_equation_9_by_hand_adds_the_divergence_and_sees_the_sample():
    terms = beta_vae_loss(OUTPUT, SPECTRA, VALID, LABELS, kl_weight=0.1)
    assert terms.total.item() == pytest.approx(RECONSTRUCTION + LABEL + 0.1 * KL)
    assert terms.kl.item() == KL


def test_equation_11_by_hand_weighs_the_discrepancy():
    weights = {"label_weight": 2.0, "kl_weight": 0.1, "mmd_weight": 10.0}
    terms = info_vae_loss(OUTPUT, SPECTRA, VALID, PRIOR, LABELS, **weights)
    expected = RECONSTRUCTION + 2 * LABEL + 0.1 * KL + (0.9 + 10.0 - 1) * MMD
    assert terms.total.item() == pytest.approx(expected)
    assert terms.mmd.item() == pytest.approx(MMD)


def test_each_node_may_have_its_own_weights():
    weights = {"kl_weight": torch.tensor([0.0, 1.0]), "mmd_weight": torch.tensor([0.0, 1.0])}
    terms = info_vae_loss(OUTPUT, SPECTRA, VALID, PRIOR, LABELS, **weights)
    assert terms.total.item() == pytest.approx(RECONSTRUCTION + LABEL)


def test_the_infovae_is_the_beta_vae_where_both_weights_agree():
    ours = info_vae_loss(OUTPUT, SPECTRA, VALID, PRIOR, LABELS, kl_weight=0.3, mmd_weight=0.3)
    other = beta_vae_loss(OUTPUT, SPECTRA, VALID, LABELS, kl_weight=0.3)
    assert ours.total.item() == pytest.approx(other.total.item())


def test_without_labels_losses_are_those_of_equations_5_8_and_10():
    assert autoencoder_loss(OUTPUT, SPECTRA, VALID).total.item() == RECONSTRUCTION
    unsupervised = beta_vae_loss(OUTPUT, SPECTRA, VALID, kl_weight=0.1)
    assert unsupervised.total.item() == pytest.approx(RECONSTRUCTION + 0.1 * KL)
    assert unsupervised.label is None
    terms = info_vae_loss(OUTPUT, SPECTRA, VALID, PRIOR, kl_weight=0.1, mmd_weight=10.0)
    assert terms.total.item() == pytest.approx(RECONSTRUCTION + 0.1 * KL + 9.9 * MMD)


def test_a_loss_refuses_a_network_that_lacks_what_it_needs():
    with pytest.raises(TypeError, match="variational"):
        beta_vae_loss(OUTPUT._replace(posterior=Posterior(SPECTRA)), SPECTRA, VALID)
    with pytest.raises(TypeError, match="decoder"):
        autoencoder_loss(OUTPUT._replace(spectra=None), SPECTRA, VALID)
