import math

import numpy as np
import pytest
import torch
from scipy import stats

from dldl_mm.functional import SHAPES, empirical_distribution, label_distribution, mix_uniform

LABELS = torch.arange(1, 86, dtype=torch.float64)
NUMPY_LABELS = LABELS.numpy()
PERIOD = 85.0


def density(shape, mu, sigma):
    """The table of the docstring, by SciPy where SciPy has the shape."""
    x = NUMPY_LABELS
    if shape == 'gaussian':
        return stats.norm.pdf(x, mu, sigma)
    if shape == 'laplace':
        return stats.laplace.pdf(x, mu, sigma / math.sqrt(2))
    if shape == 'triangular':
        half = math.sqrt(6) * sigma
        return stats.triang.pdf(x, 0.5, mu - half, 2 * half)
    if shape == 'truncated_gaussian':
        return stats.truncnorm.pdf(x, -2, 2, mu, sigma)
    if shape == 'von_mises':
        scale = PERIOD / (2 * math.pi)
        return stats.vonmises.pdf(x / scale, (scale / sigma) ** 2, mu / scale)
    if shape == 'binomial':
        return stats.binom.pmf(x - 1, 84, (mu - 1) / 84)
    if shape == 'poisson':
        return stats.poisson.pmf(x - 1, mu - 1)
    if shape == 'beta':
        mean, spread = (mu - 0.5) / 85, sigma / 85
        size = max(mean * (1 - mean) / spread**2 - 1, 1 / mean, 1 / (1 - mean))
        return stats.beta.pdf((x - 0.5) / 85, mean * size, (1 - mean) * size)
    raise AssertionError(shape)


@pytest.mark.parametrize('shape', [shape for shape in SHAPES if shape != 'one_hot'])
@pytest.mark.parametrize('mu', [1.0, 1.3, 24.7, 42.0, 84.9, 85.0])
@pytest.mark.parametrize('sigma', [0.9, 2.0, 7.5])
def test_matches_scipy_in_float64(shape, mu, sigma):
    expected = density(shape, mu, sigma)
    expected = expected / expected.sum()
    got = label_distribution(
        torch.tensor(mu, dtype=torch.float64), sigma, LABELS, shape, period=PERIOD
    )
    assert got.dtype == torch.float64
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-10, atol=1e-300**0.5)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_rows_sum_to_one_everywhere(shape, dtype, device):
    value = torch.linspace(0.5, 85.5, 171, device=device).to(dtype)
    dist = label_distribution(value, 2.0, LABELS, shape, period=PERIOD)
    assert dist.device.type == device.type
    assert dist.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert (dist >= 0).all()
    torch.testing.assert_close(
        dist.sum(-1),
        torch.ones_like(dist[:, 0]),
        rtol=0,
        atol=1e-6 if dtype != torch.float64 else 1e-14,
    )


@pytest.mark.parametrize(
    'shape', [shape for shape in SHAPES if shape not in ('binomial', 'poisson', 'beta')]
)
@pytest.mark.parametrize('sigma', [1e-3, 1e-20, 1e-38])
def test_limit_of_small_sigma_is_one_hot(shape, sigma):
    labels = LABELS.float()
    dist = label_distribution(torch.tensor([24.7, 24.5, 0.5]), sigma, labels, shape, period=PERIOD)
    expected = torch.zeros(3, 85)
    expected[0, 24] = 1
    expected[1, 23] = expected[1, 24] = 0.5
    # Half a step outside is as near to the last label on a circle.
    if shape == 'von_mises':
        expected[2, 0] = expected[2, 84] = 0.5
        torch.testing.assert_close(dist[:2], expected[:2])
    else:
        expected[2, 0] = 1
        torch.testing.assert_close(dist, expected)


@pytest.mark.parametrize('sigma', [1e-3, 1e-20, 1e-38])
def test_beta_of_a_small_sigma_is_one_hot(sigma):
    values = torch.tensor([24.7, 0.5, 85.5])
    dist = label_distribution(values, sigma, LABELS.float(), 'beta')
    assert dist[0, 24] == 1
    # At the ends the narrowest Beta with one mode stands in.
    assert dist[1, 0] > 0.8
    torch.testing.assert_close(dist[1].flip(0), dist[2])


@pytest.mark.parametrize('shape', ['beta', 'binomial', 'poisson'])
def test_the_mean_of_skewed_shapes_is_the_value(shape):
    values = torch.tensor([1.0, 3.4, 20.0, 42.0], dtype=torch.float64)
    dist = label_distribution(values, 3.0, LABELS, shape)
    torch.testing.assert_close(dist @ LABELS, values, rtol=0, atol=0.2)


@pytest.mark.parametrize('shape', [shape for shape in SHAPES if shape != 'von_mises'])
def test_is_invariant_to_the_unit(shape):
    years = label_distribution(torch.tensor(24.7, dtype=torch.float64), 2.0, LABELS, shape)
    months = label_distribution(
        torch.tensor(24.7 * 12, dtype=torch.float64), 24.0, LABELS * 12, shape
    )
    torch.testing.assert_close(years, months, rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize('alpha', [0.3, 1.0, 2.0])
def test_laplace_and_gaussian_are_the_targets_of_sord(alpha):
    value = torch.tensor([24.0, 85.0], dtype=torch.float64)
    distance = LABELS - value[:, None]
    absolute = label_distribution(value, math.sqrt(2) / alpha, LABELS, 'laplace')
    torch.testing.assert_close(absolute, (-alpha * distance.abs()).softmax(-1))
    squared = label_distribution(value, 1 / math.sqrt(2 * alpha), LABELS, 'gaussian')
    torch.testing.assert_close(squared, (-alpha * distance.square()).softmax(-1))
    losses = pytest.importorskip('dlordinal.losses')
    logits, ranks = torch.randn(2, 85, dtype=torch.float64), value.long() - 1
    expected = losses.SORDLoss(alpha, 85, ranks)(logits, ranks)
    torch.testing.assert_close(-(absolute * logits.log_softmax(-1)).sum(-1).mean(), expected)


def test_mixing_with_the_uniform_distribution_is_label_smoothing():
    one_hot = label_distribution(torch.tensor([24.0, 85.0]), 1.0, LABELS, 'one_hot')
    logits = torch.randn(2, 85)
    smooth = torch.nn.functional.cross_entropy(logits, torch.tensor([23, 84]), label_smoothing=0.1)
    got = torch.nn.functional.cross_entropy(logits, mix_uniform(one_hot, 0.1))
    torch.testing.assert_close(got, smooth)


def test_one_sigma_per_sample():
    values, sigmas = torch.tensor([20.0, 50.0]).double(), torch.tensor([1.0, 6.0]).double()
    both = label_distribution(values, sigmas, LABELS)
    for row, value, sigma in zip(both, values, sigmas, strict=True):
        torch.testing.assert_close(row, label_distribution(value, float(sigma), LABELS))


@pytest.mark.parametrize('shape', ['gaussian', 'laplace', 'von_mises', 'triangular', 'beta'])
def test_gradients_by_value_and_sigma(shape):
    value = torch.tensor([24.7, 50.2], dtype=torch.float64, requires_grad=True)
    sigma = torch.tensor([2.0, 4.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda v, s: label_distribution(v, s, LABELS, shape, period=PERIOD), (value, sigma)
    )


def test_empirical_histogram():
    votes = torch.tensor([[20.0, 21.0, 21.0, 22.0], [30.5, 31.0, math.nan, math.nan]])
    dist = empirical_distribution(votes, LABELS)
    expected = torch.zeros(2, 85)
    expected[0, 19], expected[0, 20], expected[0, 21] = 0.25, 0.5, 0.25
    expected[1, 29], expected[1, 30] = 0.25, 0.75
    torch.testing.assert_close(dist, expected)


def test_empirical_histogram_needs_votes():
    with pytest.raises(ValueError, match='at least one vote per sample'):
        empirical_distribution(torch.full((2, 3), math.nan), LABELS)


def test_errors():
    with pytest.raises(ValueError, match="unknown shape 'gauss', expected one of gaussian"):
        label_distribution(torch.tensor(3.0), 1.0, LABELS, 'gauss')
    with pytest.raises(ValueError, match='needs the period'):
        label_distribution(torch.tensor(3.0), 1.0, LABELS, 'von_mises')
