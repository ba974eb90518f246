import numpy as np
import pytest
import torch
from scipy.special import rel_entr

import dldl_mm.losses  # noqa: F401
from dldl_mm import functional
from dldl_mm.codecs import GaussianLabelCodec, GridLabelCodec
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


VALUE = torch.linspace(10, 70, 6, dtype=torch.float64)


@pytest.mark.parametrize('distance', ['hellinger', 'js', 'l2', 'emd'])
def test_distance_loss_delegates(pair, distance):
    function = getattr(functional, dict(js='js_divergence').get(distance, f'squared_{distance}'))
    loss = MODELS.build(
        dict(type='LabelDistributionDistanceLoss', distance=distance, loss_weight=3.0)
    )
    assert loss.loss_name == f'loss_{distance}'
    torch.testing.assert_close(loss(*pair), 3 * function(*pair))


def test_mean_variance_is_the_published_sum(pair):
    logits, _ = pair
    codec = GaussianLabelCodec(shape='one_hot')
    target = codec.encode(VALUE.round())
    configs = [
        dict(type='LabelDistributionKLLoss'),
        dict(type='ExpectationLoss', norm='l2', loss_weight=0.2),
        dict(type='VarianceLoss', loss_weight=0.05),
    ]
    total = sum(
        MODELS.build(config)(logits, target, value=VALUE.round(), codec=codec) for config in configs
    )
    p = logits.detach().softmax(-1).numpy()
    y, labels = VALUE.round().numpy(), np.arange(1, 86)
    mean = p @ labels
    expected = [
        -np.log(row[int(age) - 1]) + 0.1 * (m - age) ** 2 + 0.05 * (row @ (labels - m) ** 2)
        for row, age, m in zip(p, y, mean, strict=True)
    ]
    assert total.item() == pytest.approx(np.mean(expected), rel=1e-12)


@pytest.mark.parametrize(
    ('config', 'function'),
    [
        (dict(type='ResidueLoss', epsilon=1e-2), 'residue_entropy'),
        (dict(type='ConcentrationLoss'), 'concentration'),
        (dict(type='RankLoss'), 'rank_violation'),
    ],
)
def test_penalties_delegate(pair, config, function):
    options = dict(epsilon=1e-2) if 'epsilon' in config else {}
    expected = getattr(functional, function)(pair[0], VALUE, torch.arange(1.0, 86.0), **options)
    loss = MODELS.build(dict(config, loss_weight=2.0))
    codec = GaussianLabelCodec()
    torch.testing.assert_close(loss(*pair, value=VALUE, codec=codec), 2 * expected)
    with pytest.raises(ValueError, match='needs the true value'):
        loss(*pair, codec=codec)


def test_losses_that_need_order_refuse_other_codecs():
    grid = GridLabelCodec(labels='pointing04', sigma=15.0)
    circle = GaussianLabelCodec(-180, 165, 15, sigma=20, shape='von_mises')
    emd = dict(type='LabelDistributionDistanceLoss', distance='emd')
    for config in (emd, *({'type': f'{n}Loss'} for n in ('Variance', 'Residue', 'Rank'))):
        loss = MODELS.build(config)
        loss.bind(GaussianLabelCodec())
        for codec in (grid, circle):
            with pytest.raises(TypeError, match='needs labels in order on a line'):
                loss.bind(codec)
    MODELS.build(dict(emd, distance='l2')).bind(grid)


def test_adaptive_sigma_is_the_best_candidate():
    codec = GaussianLabelCodec(start=1, stop=40, sigma=3.0)
    candidates = [0.5, 1.0, 2.0, 4.0, 8.0]
    loss = MODELS.build(dict(type='AdaptiveSigmaKLLoss', candidates=candidates))
    loss.bind(codec)
    value = torch.tensor([10.0, 10.0, 20.0, 20.4, 30.0])
    near = codec.encode(value, torch.tensor([1.1, 1.9, 4.0, 4.2, 0.6]))
    near = near.clamp_min(1e-30).log()
    logits = [near + 0.1 * torch.randn_like(near) for _ in range(3)]
    for z in logits:
        got = loss(z, None, value=value, codec=codec)
        # Until the refit the codec's own deviation holds.
        torch.testing.assert_close(got, kl_divergence(z, codec.encode(value)))
    loss.refit()
    labels = np.arange(1, 41)
    p = torch.stack(logits).double().softmax(-1).numpy()

    def cost(sigma, members):
        total = 0
        for i in members:
            d = np.exp(-((labels - value[i].item()) ** 2) / (2 * sigma**2))
            total += rel_entr(d / d.sum(), p[:, i]).sum()
        return total

    for label, members in ((10, [0, 1]), (20, [2, 3]), (30, [4])):
        best = min(candidates, key=lambda sigma: cost(sigma, members))
        assert loss.sigma[label - 1].item() == best
    assert loss.sigma[0] == 3  # no sample
    sigma = loss.sigma[torch.tensor([9, 9, 19, 19, 29])]
    torch.testing.assert_close(
        loss(logits[0], None, value=value, codec=codec),
        kl_divergence(logits[0], codec.encode(value, sigma)),
    )
    assert (loss.cost > 0).any()
    loss.eval()
    before = loss.cost.clone()
    loss(logits[0], None, value=value, codec=codec)
    assert torch.equal(before, loss.cost)
    # The deviations are part of a checkpoint.
    other = MODELS.build(dict(type='AdaptiveSigmaKLLoss', candidates=candidates))
    other.bind(codec)
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other.sigma, loss.sigma)


def test_errors_of_the_methods():
    with pytest.raises(ValueError, match="unknown distance 'emd2', expected one of hellinger"):
        MODELS.build(dict(type='LabelDistributionDistanceLoss', distance='emd2'))
    with pytest.raises(ValueError, match='epsilon must be greater than 0'):
        MODELS.build(dict(type='ResidueLoss', epsilon=0))
    with pytest.raises(ValueError, match='greater than 0'):
        MODELS.build(dict(type='AdaptiveSigmaKLLoss', candidates=[1.0, 0.0]))
    with pytest.raises(TypeError, match='one of the shapes gaussian'):
        MODELS.build(dict(type='AdaptiveSigmaKLLoss')).bind(GaussianLabelCodec(shape='one_hot'))
