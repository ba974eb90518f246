import numpy as np
import pytest
import torch

import dldl_mm.losses  # noqa: F401
from dldl_mm.codecs import GaussianLabelCodec
from dldl_mm.functional import kl_divergence
from dldl_mm.registry import MODELS


@pytest.fixture
def pair():
    logits = torch.randn(6, 85, dtype=torch.float64, requires_grad=True)
    return logits, GaussianLabelCodec().encode(torch.rand(6, dtype=torch.float64) * 60 + 10)


def test_weights_and_reductions(pair):
    per_sample = kl_divergence(*pair, 'none')
    weight = torch.rand(6)
    for reduction, expected in (
        ('mean', (per_sample * weight).mean()),
        ('sum', (per_sample * weight).sum()),
        ('none', per_sample * weight),
    ):
        loss = MODELS.build(
            dict(type='LabelDistributionKLLoss', loss_weight=3.0, reduction=reduction)
        )
        torch.testing.assert_close(loss(*pair, weight=weight), 3 * expected)
    loss = MODELS.build(dict(type='LabelDistributionKLLoss'))
    torch.testing.assert_close(loss(*pair, avg_factor=10), per_sample.sum() / 10)
    torch.testing.assert_close(loss(*pair, reduction_override='sum'), per_sample.sum())


@pytest.mark.parametrize('norm', ['l1', 'l2'])
def test_expectation_loss(pair, norm):
    logits, target = pair
    codec, value = GaussianLabelCodec(), torch.linspace(10, 70, 6, dtype=torch.float64)
    loss = MODELS.build(dict(type='ExpectationLoss', norm=norm))
    got = loss(logits, target, value=value, codec=codec)
    z = logits.detach().numpy()
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    error = p @ np.arange(1, 86) - value.numpy()
    expected = np.abs(error).mean() if norm == 'l1' else (error**2 / 2).mean()
    assert got.item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(lambda x: loss(x, target, value=value, codec=codec), (logits,))


def test_errors(pair):
    with pytest.raises(ValueError, match="unknown reduction 'batchmean'"):
        MODELS.build(dict(type='LabelDistributionKLLoss', reduction='batchmean'))
    with pytest.raises(ValueError, match="must contain 'loss', got 'kl'"):
        MODELS.build(dict(type='LabelDistributionKLLoss', loss_name='kl'))
    with pytest.raises(ValueError, match="unknown norm 'l3'"):
        MODELS.build(dict(type='ExpectationLoss', norm='l3'))
    with pytest.raises(ValueError, match='needs the true value'):
        MODELS.build(dict(type='ExpectationLoss'))(*pair)
