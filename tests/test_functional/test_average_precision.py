import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, precision_recall_curve

from dldl_mm.functional import average_precision

RNG = np.random.default_rng(0)


def case(n, ties):
    positive = RNG.random(n) < 0.3
    positive[RNG.integers(n)] = True
    scores = RNG.random(n) + 0.3 * positive
    return (np.round(scores, 1) if ties else scores), positive


def envelope(scores, positive):
    """Recall ascending, and the largest precision from each recall on, by scikit-learn."""
    precision, recall, _ = precision_recall_curve(positive, scores)
    # It descends in recall and ends with the made-up point (0, 1).
    return recall[:-1][::-1], np.maximum.accumulate(precision[:-1])[::-1]


@pytest.mark.parametrize('ties', [False, True])
@pytest.mark.parametrize('n', [1, 2, 7, 50, 300])
def test_against_scikit_learn(n, ties):
    scores, positive = case(n, ties)
    got = {
        mode: average_precision(*map(torch.from_numpy, (scores, positive)), mode=mode).item()
        for mode in ('11points', 'all', 'uninterpolated')
    }
    assert got['uninterpolated'] == pytest.approx(average_precision_score(positive, scores))
    recall, precision = envelope(scores, positive)
    steps = np.diff(np.concatenate([[0.0], recall]))
    assert got['all'] == pytest.approx((steps * precision).sum())
    points = [precision[recall >= t / 10].max() for t in range(11)]
    assert got['11points'] == pytest.approx(np.mean(points))
    assert got['all'] >= got['uninterpolated'] - 1e-12


def test_by_hand():
    # Ranked: hit, miss, miss, hit, hit. Precision at the hits 1, 2/4, 3/5; made monotone 1, 3/5, 3/5.
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5])
    positive = torch.tensor([True, False, False, True, True])
    ap = {
        m: average_precision(scores, positive, mode=m)
        for m in ('uninterpolated', 'all', '11points')
    }
    assert ap['uninterpolated'].item() == pytest.approx((1 + 0.5 + 0.6) / 3)
    assert ap['all'].item() == pytest.approx((1 + 0.6 + 0.6) / 3)
    # Recall 1/3 covers the thresholds 0 to 0.3, the other seven have precision 3/5.
    assert ap['11points'].item() == pytest.approx((4 * 1 + 7 * 0.6) / 11)


def test_ignored_images_are_left_out():
    scores, positive = map(torch.from_numpy, case(100, False))
    ignore = torch.from_numpy(RNG.random(100) < 0.3)
    for mode in ('11points', 'all', 'uninterpolated'):
        expected = average_precision(scores[~ignore], positive[~ignore], mode=mode)
        assert average_precision(scores, positive, ignore, mode) == expected


def test_recalls_on_the_thresholds_count():
    # Ten hits in a row have recall 0.1, 0.2, ... exactly; then the precision is 1 at every threshold.
    scores = -torch.arange(30.0)
    assert average_precision(scores, torch.arange(30) < 10, mode='11points') == 1


def test_order_of_equal_scores_does_not_matter():
    positive = torch.tensor([True, False, True, False])
    for order in ([0, 1, 2, 3], [1, 3, 0, 2], [3, 2, 1, 0]):
        assert average_precision(torch.ones(4), positive[order]) == 0.5


def test_no_positive_is_undefined():
    scores = torch.rand(5)
    assert average_precision(scores, torch.zeros(5).bool()).isnan()
    assert average_precision(scores, torch.ones(5).bool(), torch.ones(5).bool()).isnan()


def test_errors():
    scores, positive = torch.rand(4), torch.ones(4).bool()
    with pytest.raises(ValueError, match=r"unknown mode 'voc', expected one of 11points"):
        average_precision(scores, positive, mode='voc')
    with pytest.raises(ValueError, match=r'\(4,\), \(3,\) and \(3,\)'):
        average_precision(scores, positive[:3])
    scores[2] = float('nan')
    with pytest.raises(ValueError, match='scores must be finite, got nan'):
        average_precision(scores, positive)
