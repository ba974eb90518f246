import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax

from dldl_mm.functional import kl_divergence, label_distribution

LABELS = torch.arange(1.0, 86.0)


def random_pair(dtype=torch.float64, n=20, k=85):
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(n, k, generator=generator, dtype=torch.float64) * 4
    target = torch.randn(n, k, generator=generator, dtype=torch.float64).mul(2).softmax(-1)
    return logits.to(dtype), target.to(dtype)


@pytest.mark.parametrize('k', [2, 85, 3721])
def test_against_scipy_in_float64(k):
    logits, target = random_pair(k=k)
    expected = rel_entr(target.numpy(), softmax(logits.numpy(), -1)).sum(-1)
    np.testing.assert_allclose(kl_divergence(logits, target, 'none'), expected, rtol=1e-11)
    np.testing.assert_allclose(kl_divergence(logits, target), expected.mean(), rtol=1e-11)
    np.testing.assert_allclose(kl_divergence(logits, target, 'sum'), expected.sum(), rtol=1e-11)


@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2), (torch.float32, 1e-5)]
)
def test_low_precision_computes_in_float32(dtype, tolerance, device):
    logits, target = random_pair(dtype)
    # What the rounded inputs mean, exactly; a target's sum that rounding moved counts as 1.
    d = target.double()
    d = d / d.sum(-1, keepdim=True)
    expected = rel_entr(d.numpy(), softmax(logits.double().numpy(), -1)).sum(-1)
    got = kl_divergence(logits.to(device), target.to(device), 'none')
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.cpu(), expected, rtol=tolerance)


def test_gradients():
    logits, target = random_pair(n=4, k=9)
    logits.requires_grad_()
    target.requires_grad_()
    assert torch.autograd.gradcheck(lambda z, d: kl_divergence(z, d, 'none'), (logits, target))
    assert torch.autograd.gradgradcheck(lambda z: kl_divergence(z, target.detach()), (logits,))


def test_gradient_is_p_minus_d_times_the_upstream_gradient():
    logits, target = random_pair(torch.float32)
    logits.requires_grad_()
    upstream = torch.rand(20)
    kl_divergence(logits, target, 'none').backward(upstream)
    expected = upstream[:, None] * (logits.detach().softmax(-1) - target)
    torch.testing.assert_close(logits.grad, expected)


def test_gradient_of_an_unnormalised_target():
    logits, target = random_pair(n=3, k=5)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: kl_divergence(z, 3 * target, 'sum'), (logits,))
    expected = rel_entr(3 * target.numpy(), softmax(logits.detach().numpy(), -1)).sum(-1)
    np.testing.assert_allclose(
        kl_divergence(logits, 3 * target, 'none').detach(), expected, rtol=1e-11
    )


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('k', [2, 85, 3721])
def test_exactly_zero_at_the_optimum(dtype, k):
    labels = torch.arange(k, dtype=dtype)
    values = torch.linspace(0, k - 1, 40, dtype=dtype)
    target = label_distribution(values, 3.0, labels)
    assert (kl_divergence(target.log(), target, 'none') == 0).all()


def test_never_negative():
    target = label_distribution(torch.linspace(1, 85, 200), 3.0, LABELS)
    logits = target.log().clamp_min(-50) + 1e-6 * torch.randn(200, 85)
    assert (kl_divergence(logits, target, 'none') >= 0).all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32, torch.float64])
def test_finite_for_extreme_logits(dtype):
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype=dtype, requires_grad=True)
    target = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype=dtype)
    loss = kl_divergence(logits, target, 'none')
    expected = torch.tensor([2e4, 2e4 + np.log(2)], dtype=loss.dtype)
    torch.testing.assert_close(loss, expected)
    loss.sum().backward()
    assert logits.grad.isfinite().all()


def test_one_hot_target_is_cross_entropy():
    logits, _ = random_pair()
    index = torch.arange(20) * 4
    one_hot = torch.nn.functional.one_hot(index, 85).double()
    torch.testing.assert_close(
        kl_divergence(logits, one_hot), torch.nn.functional.cross_entropy(logits, index)
    )


def test_grows_with_the_distance_of_the_prediction():
    target = label_distribution(torch.tensor(30.0), 2.0, LABELS)
    shifted = label_distribution(torch.arange(30.0, 60.0), 2.0, LABELS).clamp_min(1e-30).log()
    losses = kl_divergence(shifted, target.expand(30, -1), 'none')
    assert (losses.diff() > 0).all()


def test_errors():
    with pytest.raises(ValueError, match=r'\(2, 3\) and \(2, 4\)'):
        kl_divergence(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="unknown reduction 'batchmean'"):
        kl_divergence(torch.zeros(2, 3), torch.full((2, 3), 1 / 3), 'batchmean')
