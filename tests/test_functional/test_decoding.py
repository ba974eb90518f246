import math

import numpy as np
import pytest
import torch
from scipy import stats

from dldl_mm.functional import (
    circular_mean,
    expectation,
    interval,
    mode,
    quantile,
    standard_deviation,
)

LABELS = torch.arange(1, 86, dtype=torch.float64)


@pytest.fixture
def dist():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(50, 85, generator=generator, dtype=torch.float64).mul(3).softmax(-1)


def variables(dist):
    return [stats.rv_discrete(values=(LABELS.numpy(), row.numpy())) for row in dist]


def test_against_scipy(dist):
    scipy = variables(dist)
    np.testing.assert_allclose(expectation(dist, LABELS), [v.mean() for v in scipy], rtol=1e-12)
    np.testing.assert_allclose(
        standard_deviation(dist, LABELS), [v.std() for v in scipy], rtol=1e-10
    )
    for q in (0.05, 0.5, 0.95):
        np.testing.assert_array_equal(quantile(dist, LABELS, q), [v.ppf(q) for v in scipy])
    np.testing.assert_array_equal(
        interval(dist, LABELS, 0.9), [[v.ppf(0.05), v.ppf(0.95)] for v in scipy]
    )
    np.testing.assert_array_equal(mode(dist, LABELS), LABELS[dist.numpy().argmax(-1)])


def test_quantile_at_a_step_of_the_cdf_despite_rounding():
    # 1/6 is rounded down in float32: three of them sum to less than a half.
    labels = torch.arange(6.0)
    for dtype in (torch.float16, torch.float32, torch.float64):
        assert quantile(torch.full((6,), 1 / 6, dtype=dtype), labels, 0.5) == 2


def test_quantile_of_a_batch_of_levels(dist):
    levels = torch.tensor([0.0, 0.25, 1.0])
    got = quantile(dist, LABELS, levels)
    assert got.shape == (50, 3)
    torch.testing.assert_close(got[:, 1], quantile(dist, LABELS, 0.25))
    assert (got[:, 0] == 1).all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_is_summed_in_float32(dtype):
    dist = torch.full((1, 85), 1 / 85).to(dtype)
    exact = (dist.double() * LABELS).sum()
    got = expectation(dist, LABELS)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), exact.reshape(1), rtol=1e-6, atol=0)


def test_circular_mean_across_the_cut():
    labels = torch.arange(-180.0, 180.0, 15.0)
    dist = torch.zeros(3, 24)
    dist[0, 0], dist[0, 23] = 0.6, 0.4  # -180 and 165, 15 apart
    dist[1, 23] = 1
    dist[2, 12] = 1  # 0
    got = circular_mean(dist, labels, 360.0)
    radians = math.radians(15)
    lean = math.degrees(math.atan2(0.4 * math.sin(radians), 0.6 + 0.4 * math.cos(radians)))
    torch.testing.assert_close(got, torch.tensor([-180 - lean, 165.0, 0.0]), rtol=0, atol=1e-4)


def test_circular_mean_against_scipy(dist):
    labels = torch.arange(0, 340, 4, dtype=torch.float64)
    got = circular_mean(dist, labels, 340.0)
    for row, value in zip(dist, got, strict=True):
        samples = np.repeat(labels.numpy(), np.round(row.numpy() * 1e5).astype(int))
        expected = stats.circmean(samples, high=340.0)
        gap = (value.item() - expected + 170) % 340 - 170
        assert abs(gap) < 0.05


def test_expectation_is_differentiable():
    logits = torch.randn(3, 85, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: expectation(z.softmax(-1), LABELS), (logits,))


def test_errors(dist):
    with pytest.raises(ValueError, match=r'85 entries .* label set has 84'):
        expectation(dist, LABELS[:-1])
    for level in (0, 1, math.nan):
        with pytest.raises(ValueError, match='must lie in'):
            interval(dist, LABELS, level)


@pytest.mark.parametrize(('dtype', 'within'), [(torch.float16, 0.01), (torch.bfloat16, 0.04)])
def test_quantiles_in_low_precision_are_off_by_its_rounding_only(dtype, within):
    labels = torch.arange(1, 86)
    weight = torch.exp(-((labels - 40.3) ** 2) / 200.0).double()
    exact = weight / weight.sum()
    cdf = exact.cumsum(0)
    for q in (0.05, 0.25, 0.5, 0.95):
        found = int(quantile(exact.to(dtype), labels, q))
        assert cdf[found - 1] >= q * (1 - within)
        assert cdf[found - 2] < q * (1 + within)
