"""The bottleneck's distributions."""

import pytest
import torch
from scipy import stats

from maury.models.latent import Posterior


def test_log_variances_are_clamped_on_both_sides():
    outputs = torch.tensor([[0.0, 0.0, 0.0, -99.0, 99.0, 1.5]])
    posterior = Posterior.from_outputs(outputs, variational=True)
    assert posterior.log_variance.tolist() == [[-20.0, 20.0, 1.5]]


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (-3.0, 0.2)])
def test_samples_are_normal(mean, deviation):
    log_variance = 2 * torch.full((4000, 1), deviation).log()
    posterior = Posterior(torch.full((4000, 1), mean), log_variance)
    draws = posterior.sample(torch.Generator().manual_seed(1))[:, 0].numpy()
    assert stats.kstest(draws, stats.norm(mean, deviation).cdf).pvalue > 0.01


def test_the_same_generator_gives_the_same_sample_and_others_differ():
    posterior = Posterior(torch.zeros(2, 3), torch.zeros(2, 3))
    one, same, other = (posterior.sample(torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_gradient_passes_through_the_sample():
    mean, log_variance = torch.zeros(1, 2, requires_grad=True), torch.zeros(1, 2)
    log_variance.requires_grad_()
    noise = Posterior(mean, log_variance).sample(torch.Generator().manual_seed(3))
    noise.sum().backward()
    assert mean.grad.tolist() == [[1.0, 1.0]]
    # The derivative of exp(x / 2) times the noise, where x = 0.
    torch.testing.assert_close(log_variance.grad, noise.detach() / 2)


def test_without_variances_the_sample_is_the_mean():
    mean = torch.randn(2, 3)
    assert torch.equal(Posterior(mean).sample(), mean)
