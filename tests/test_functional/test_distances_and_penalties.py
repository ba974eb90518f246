"""Distances and penalties against formulas in float64, SciPy and dlordinal."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from scipy.stats import norm

from dldl_mm.functional import (
    concentration,
    js_divergence,
    label_distribution,
    rank_violation,
    residue_entropy,
    squared_emd,
    squared_hellinger,
    squared_l2,
)

LABELS = torch.arange(1, 31, dtype=torch.float64)
DISTANCES = [squared_hellinger, js_divergence, squared_l2, squared_emd]
PENALTIES = [residue_entropy, concentration, rank_violation]


@pytest.fixture
def pair():
    logits = torch.randn(7, 30, dtype=torch.float64, requires_grad=True)
    value = torch.tensor([1.0, 3.0, 7.4, 12.0, 18.9, 29.0, 30.0], dtype=torch.float64)
    return logits, label_distribution(value, 2.5, LABELS), value


def reference(function, d, p):
    if function is squared_hellinger:
        return 1 - np.sqrt(d * p).sum(-1)
    if function is js_divergence:
        return jensenshannon(d, p, axis=-1) ** 2
    if function is squared_l2:
        return np.linalg.norm(d - p, axis=-1) ** 2
    return ((np.cumsum(d, -1) - np.cumsum(p, -1)) ** 2).sum(-1)


@pytest.mark.parametrize('function', DISTANCES)
def test_distances_match_the_formulas(function, pair):
    logits, target, _ = pair
    expected = reference(function, target.numpy(), softmax(logits.detach().numpy(), -1))
    got = function(logits, target, 'none').detach()
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    torch.testing.assert_close(function(logits, target).detach(), got.mean())
    one_hot = torch.eye(30, dtype=torch.float64)[::5][:6]
    expected = reference(function, one_hot.numpy(), softmax(logits.detach().numpy(), -1)[:6])
    np.testing.assert_allclose(function(logits.detach()[:6], one_hot, 'none'), expected, rtol=1e-10)


@pytest.mark.parametrize('function', DISTANCES)
def test_gradients_of_distances(function, pair):
    logits, target, _ = pair
    assert torch.autograd.gradcheck(lambda z: function(z, target, 'sum'), (logits,))


@pytest.mark.parametrize('function', DISTANCES)
def test_distances_are_zero_at_the_optimum_only(function, pair):
    _, target, _ = pair
    at = target.log().requires_grad_()
    loss = function(at, target, 'none')
    assert loss.abs().max() < 1e-15
    loss.sum().backward()
    assert at.grad.abs().max() < 1e-12
    shifted = label_distribution(torch.arange(12.0, 25.0), 2.5, LABELS.float()).log()
    target = label_distribution(torch.tensor(12.0), 2.5, LABELS.float()).expand(13, -1)
    losses = function(shifted, target, 'none')
    assert (losses.diff() > 0).all()


@pytest.mark.parametrize('function', DISTANCES)
def test_distances_have_the_bounds_of_disjoint_distributions(function):
    bound = {squared_hellinger: 1, js_divergence: np.log(2), squared_l2: 2, squared_emd: 29}
    logits = torch.full((1, 30), -1e4)
    logits[0, -1] = 1e4
    target = torch.zeros(1, 30)
    target[0, 0] = 1
    assert function(logits, target).item() == pytest.approx(bound[function], rel=1e-6)


def test_emd_matches_dlordinal(pair):
    losses = pytest.importorskip('dlordinal.losses')
    logits, target, _ = pair
    expected = losses.EMDLoss(num_classes=30)(logits, target)
    torch.testing.assert_close(squared_emd(logits, target), expected)


def penalty_reference(function, p, value):
    labels = LABELS.numpy()
    rows = []
    for row, y in zip(p, value, strict=True):
        mean = row @ labels
        if function is concentration:
            spread = np.sqrt(row @ (labels - mean) ** 2)
            rows.append(-norm.logpdf(y, mean, spread) - np.log(2 * np.pi) / 2)
        elif function is residue_entropy:
            p_y = row[np.abs(labels - y).argmin()]
            residue = np.array([q if q < p_y else 0.0 for q in row])
            rows.append(-sum((r + 1e-3) * np.log(r + 1e-3) for r in residue))
        else:
            mode = np.abs(labels - y).argmin()
            steps = [row[k + 1] - row[k] for k in range(29)]
            rows.append(sum(max(0, -s if k < mode else s) for k, s in enumerate(steps)))
    return np.array(rows)


@pytest.mark.parametrize('function', PENALTIES)
def test_penalties_match_the_formulas(function, pair):
    logits, _, value = pair
    p = softmax(logits.detach().numpy(), -1)
    got = function(logits, value, LABELS, reduction='none')
    np.testing.assert_allclose(
        got.detach(), penalty_reference(function, p, value.numpy()), rtol=1e-10
    )
    assert torch.autograd.gradcheck(lambda z: function(z, value, LABELS), (logits,))


def test_a_unimodal_prediction_at_the_value_violates_no_rank():
    value = torch.arange(1.0, 31.0)
    logits = label_distribution(value, 3.0, LABELS.float()).log()
    assert rank_violation(logits, value, LABELS, 'none').max() == 0
    assert (rank_violation(logits[:-3], value[3:], LABELS, 'none') > 0.01).all()


def test_concentration_of_a_certain_prediction_is_bounded():
    logits = torch.full((2, 30), -1e4)
    logits[0, 4] = logits[1, 4] = 1e4
    loss = concentration(logits, torch.tensor([5.0, 8.0]), LABELS, 'none')
    expected = np.log(1 / 12) / 2 + np.array([0, 9 * 12 / 2])
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    # Bounded alike in any unit.
    months = concentration(logits, torch.tensor([60.0, 96.0]), LABELS * 12, 'none')
    np.testing.assert_allclose(months - np.log(12), expected, rtol=1e-5)


@pytest.mark.parametrize('function', DISTANCES + PENALTIES)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_finite_for_extreme_logits(function, dtype):
    logits = torch.full((3, 30), -1e4, dtype=dtype)
    logits[0, 0] = logits[1, -1] = logits[2, 3] = logits[2, 20] = 1e4
    logits.requires_grad_()
    value = torch.tensor([1.0, 1.0, 20.5])
    rest = (
        (label_distribution(value, 2.0, LABELS.float()),)
        if function in DISTANCES
        else (value, LABELS)
    )
    loss = function(logits, *rest, reduction='none')
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize('function', DISTANCES)
def test_shapes_must_agree(function):
    with pytest.raises(ValueError, match=r'\(2, 3\) and \(2, 4\)'):
        function(torch.zeros(2, 3), torch.zeros(2, 4))
