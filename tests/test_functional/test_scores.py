import math

import numpy as np
import pytest
import torch
from scipy.spatial import distance
from scipy.special import rel_entr

from dldl_mm.functional import (
    calibration_error,
    central_coverage,
    cumulative_score,
    distribution_distances,
    epsilon_error,
    label_distribution,
    mean_absolute_error_by_decade,
    negative_log_likelihood,
)

LABELS = torch.arange(1, 86, dtype=torch.float64)


def test_epsilon_error_by_hand():
    pred, value, sigma = (
        torch.tensor(x).double() for x in ([20.0, 33.0], [22.0, 30.0], [4.0, 3.0])
    )
    expected = ((1 - math.exp(-4 / 32)) + (1 - math.exp(-9 / 18))) / 2
    assert epsilon_error(pred, value, sigma).item() == pytest.approx(expected, rel=1e-14)


def test_cumulative_score_counts_the_edge():
    value = torch.zeros(4)
    assert cumulative_score(torch.tensor([4.9, 5.0, -5.0, 5.1]), value, 5).item() == 75


def test_decades():
    value = torch.tensor([3.0, 20.0, 29.9, 30.0])
    pred = torch.tensor([4.0, 22.0, 25.9, 30.0])
    got = mean_absolute_error_by_decade(pred, value)
    assert set(got) == {0, 20, 30}
    assert got[20].item() == pytest.approx(3.0)
    assert got[30].item() == 0


def test_negative_log_likelihood():
    dist = label_distribution(torch.tensor([30.0, 30.0, 30.0]).double(), 2.0, LABELS)
    value = torch.tensor([30.0, 30.5, 32.4])
    p = dist[0].numpy()
    expected = -(np.log(p[29]) + (np.log(p[29]) + np.log(p[30])) / 2 + np.log(p[31])) / 3
    assert negative_log_likelihood(dist, value, LABELS).item() == pytest.approx(expected, rel=1e-12)


def test_a_calibrated_forecast_and_an_overconfident_one():
    generator = torch.Generator().manual_seed(0)
    mean = torch.rand(20000, generator=generator, dtype=torch.float64) * 50 + 18
    value = (mean + 4 * torch.randn(20000, generator=generator, dtype=torch.float64)).clamp(1, 85)
    calibrated = label_distribution(mean, 4.0, LABELS)
    overconfident = label_distribution(mean, 1.0, LABELS)
    assert calibration_error(calibrated, value, LABELS) < 0.02
    assert central_coverage(calibrated, value, LABELS, 0.9).item() == pytest.approx(0.9, abs=0.02)
    # With a quarter of the deviation the 90% interval is 1.645/4 deviations wide: 32%.
    assert central_coverage(overconfident, value, LABELS, 0.9).item() == pytest.approx(
        0.32, abs=0.06
    )
    assert calibration_error(overconfident, value, LABELS) > 0.25


def test_distances_against_scipy():
    generator = torch.Generator().manual_seed(0)
    p, d = (torch.randn(6, 9, generator=generator).double().softmax(-1) for _ in range(2))
    d[0, 0] = 0
    got = distribution_distances(p, d)
    rows = list(zip(p.numpy(), d.numpy(), strict=True))
    expected = dict(
        chebyshev=[distance.chebyshev(a, b) for a, b in rows],
        canberra=[distance.canberra(a, b) for a, b in rows],
        clark=[np.sqrt((((a - b) / (a + b)) ** 2).sum()) for a, b in rows],
        kl=[rel_entr(b, a).sum() for a, b in rows],
        cosine=[1 - distance.cosine(a, b) for a, b in rows],
        intersection=[np.minimum(a, b).sum() for a, b in rows],
    )
    for name, values in expected.items():
        assert got[name].item() == pytest.approx(np.mean(values), rel=1e-10), name
