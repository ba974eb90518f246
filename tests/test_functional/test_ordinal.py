"""Ordinal tasks against formulas in float64, coral-pytorch and dlordinal."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch.nn.functional import one_hot

from dldl_mm.functional import (
    conditional_distribution,
    conditional_loss,
    cumulative_distribution,
    cumulative_loss,
    exceedance,
    label_distribution,
)

RANKS = torch.tensor([0, 3, 3, 7, 8, 5])


@pytest.fixture
def pair():
    logits = torch.randn(6, 8, dtype=torch.float64, requires_grad=True)
    return logits, one_hot(RANKS, 9).double()


def test_exceedance_of_hard_and_soft_targets(pair):
    levels = [[float(rank > k) for k in range(8)] for rank in RANKS]
    assert exceedance(pair[1]).tolist() == levels
    soft = label_distribution(torch.tensor([2.3]).double(), 1.5, torch.arange(9.0))
    np.testing.assert_allclose(exceedance(soft)[0], 1 - np.cumsum(soft[0])[:-1], atol=1e-15)


def binary_terms(logits, rank):
    q = expit(logits)
    return [-np.log(q[k]) if rank > k else -np.log1p(-q[k]) for k in range(8)]


def test_cumulative_loss(pair):
    logits, target = pair
    z = logits.detach().numpy()
    expected = [sum(binary_terms(row, rank)) for row, rank in zip(z, RANKS, strict=True)]
    got = cumulative_loss(logits, target, 'none')
    np.testing.assert_allclose(got.detach(), expected, rtol=1e-12)
    assert torch.autograd.gradcheck(lambda x: cumulative_loss(x, target), (logits,))
    losses = pytest.importorskip('coral_pytorch.losses')
    dataset = pytest.importorskip('coral_pytorch.dataset')
    levels = dataset.levels_from_labelbatch(RANKS, 9).double()
    torch.testing.assert_close(got.mean(), losses.coral_loss(logits, levels))


def test_conditional_loss(pair):
    logits, target = pair
    z = logits.detach().numpy()
    terms = [binary_terms(row, rank)[: rank + 1] for row, rank in zip(z, RANKS, strict=True)]
    expected = sum(map(sum, terms)) / sum(map(len, terms))
    got = conditional_loss(logits, target)
    assert got.item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(lambda x: conditional_loss(x, target), (logits,))
    losses = pytest.importorskip('coral_pytorch.losses')
    torch.testing.assert_close(got, losses.corn_loss(logits, RANKS, 9))


def test_conditional_distribution(pair):
    logits, target = pair
    q = expit(logits.detach().numpy())
    reached = np.concatenate([np.ones((6, 1)), np.cumprod(q, -1)], -1)
    expected = reached * np.concatenate([1 - q, np.ones((6, 1))], -1)
    p = conditional_distribution(logits)
    np.testing.assert_allclose(p.detach(), expected, rtol=1e-12)
    # The loss is its cross-entropy, up to the divisor.
    tasks = (RANKS + 1).clamp_max(8).sum()
    nll = -p[torch.arange(6), RANKS].log().sum() / tasks
    torch.testing.assert_close(conditional_loss(logits, target), nll)


def test_cumulative_distribution():
    logits = torch.randn(6, 8, dtype=torch.float64).sort(descending=True).values
    p = cumulative_distribution(logits)
    q = expit(logits.numpy())
    np.testing.assert_allclose(p[:, 0], 1 - q[:, 0], rtol=1e-12)
    np.testing.assert_allclose(p[:, 4], q[:, 3] - q[:, 4], rtol=1e-12)
    np.testing.assert_allclose(p[:, 8], q[:, 7], rtol=1e-12)
    np.testing.assert_allclose(exceedance(p), q, rtol=1e-12)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_finite_for_extreme_logits(dtype):
    logits = torch.tensor([[1e4] * 8, [-1e4] * 8, [1e4, -1e4] * 4], dtype=dtype, requires_grad=True)
    target = one_hot(torch.tensor([0, 8, 4]), 9)
    loss = cumulative_loss(logits, target) + conditional_loss(logits, target)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    p = conditional_distribution(logits)
    torch.testing.assert_close(p.argmax(-1), torch.tensor([8, 0, 1]))
    torch.testing.assert_close(p.sum(-1), torch.ones(3))
    torch.testing.assert_close(cumulative_distribution(logits[:2]).argmax(-1), torch.tensor([8, 0]))


@pytest.mark.parametrize('function', [cumulative_loss, conditional_loss])
def test_shapes_must_fit(function):
    with pytest.raises(ValueError, match=r'\(2, 3\) and \(2, 3\)'):
        function(torch.zeros(2, 3), torch.zeros(2, 3))
