import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.evaluation import VOCAveragePrecision
from mmpretrain.structures import DataSample
from sklearn.metrics import average_precision_score

from dldl_mm.functional import average_precision
from dldl_mm.metrics import VOCMeanAveragePrecision
from dldl_mm.registry import METRICS

N, C = 60, 5
RNG = np.random.default_rng(0)
POSITIVE = RNG.random((N, C)) < 0.3
DIFFICULT = RNG.random((N, C)) < 0.2
SCORES = RNG.random((N, C)) + 0.4 * POSITIVE


def samples(difficult=True):
    batch = []
    for i in range(N):
        sample = DataSample(metainfo=dict(sample_idx=i))
        sample.set_pred_score(torch.from_numpy(SCORES[i])).set_gt_label(np.flatnonzero(POSITIVE[i]))
        if difficult:
            sample.set_field(np.flatnonzero(DIFFICULT[i]).tolist(), 'gt_label_difficult')
        batch.append(sample)
    return batch


def evaluate(metric, batch):
    metric.process(None, [sample.to_dict() for sample in batch])
    return metric.evaluate(len(batch))


def expected(mode, ignore):
    return [
        100
        * average_precision(
            *map(torch.from_numpy, (SCORES[:, c], POSITIVE[:, c], ignore[:, c])), mode
        )
        for c in range(C)
    ]


def test_difficult_classes_are_left_out():
    assert (POSITIVE & DIFFICULT).any()
    got = evaluate(METRICS.build(dict(type='VOCMeanAveragePrecision')), samples())
    assert set(got) == {'voc/mAP_11points', 'voc/mAP_all'}
    for mode in ('11points', 'all'):
        mean = np.mean(expected(mode, DIFFICULT & ~POSITIVE))
        assert got[f'voc/mAP_{mode}'] == pytest.approx(mean, rel=1e-9)
    as_negatives = evaluate(VOCMeanAveragePrecision(ignore_difficult=False), samples())
    assert as_negatives['voc/mAP_all'] == pytest.approx(np.mean(expected('all', POSITIVE & False)))
    assert evaluate(VOCMeanAveragePrecision(ignore_difficult=False), samples(False)) == as_negatives


def test_against_mmpretrain_and_scikit_learn():
    evaluator = Evaluator(VOCAveragePrecision(average=None))
    evaluator.process([sample.to_dict() for sample in samples()])
    theirs = evaluator.evaluate(N)['multi-label/AP_classwise']
    ignore = DIFFICULT & ~POSITIVE
    # Without the monotone precision, all three are the same number.
    np.testing.assert_allclose(expected('uninterpolated', ignore), theirs, rtol=1e-5)
    sklearn = [
        100 * average_precision_score(POSITIVE[~ignore[:, c], c], SCORES[~ignore[:, c], c])
        for c in range(C)
    ]
    np.testing.assert_allclose(sklearn, theirs, rtol=1e-5)
    ours = evaluate(VOCMeanAveragePrecision(), samples())['voc/mAP_all']
    assert np.mean(theirs) < ours < np.mean(theirs) + 10


def test_perfect_scores_have_equal_figures_everywhere():
    metrics = VOCMeanAveragePrecision.calculate(
        torch.from_numpy(POSITIVE + RNG.random((N, C)) / 2), torch.from_numpy(POSITIVE)
    )
    assert metrics == {'mAP_11points': pytest.approx(100), 'mAP_all': pytest.approx(100)}


def test_classwise_names():
    metric = VOCMeanAveragePrecision(classwise=True)
    got = evaluate(metric, samples())
    assert got['voc/AP_all/3'] == pytest.approx(expected('all', DIFFICULT & ~POSITIVE)[3].item())
    metric.dataset_meta = dict(classes=('ant', 'bee', 'cat', 'dog', 'eel'))
    named = evaluate(metric, samples())
    assert named['voc/AP_11points/dog'] == got['voc/AP_11points/3']
    assert len(named) == 2 * (C + 1)


def test_classes_without_images_are_not_in_the_mean():
    positive = torch.from_numpy(POSITIVE).clone()
    positive[:, 1] = False
    metrics = VOCMeanAveragePrecision.calculate(torch.from_numpy(SCORES), positive, classes='abcde')
    assert 'AP_all/b' not in metrics
    mean = np.mean([metrics[f'AP_all/{name}'] for name in 'acde'])
    assert metrics['mAP_all'] == pytest.approx(mean)


def test_a_repeated_sample_counts_once(monkeypatch):
    once = evaluate(VOCMeanAveragePrecision(), samples())
    first, second = VOCMeanAveragePrecision(), VOCMeanAveragePrecision()
    batch = [sample.to_dict() for sample in samples()]
    first.process(None, batch[:35])
    second.process(None, batch[30:])
    monkeypatch.setattr(
        'dldl_mm.metrics.base.all_gather_object', lambda mine: [mine, second.results]
    )
    assert first.evaluate(N) == once


def test_errors():
    with pytest.raises(ValueError, match=r"'gt_label_difficult'; add it.*ignore_difficult=False"):
        evaluate(VOCMeanAveragePrecision(), samples(difficult=False))
    with pytest.raises(ValueError, match="have no 'pred_score'"):
        VOCMeanAveragePrecision().process(None, [dict(gt_label=[1])])
    for index in (-1, 5):
        bad = dict(pred_score=torch.rand(5), gt_label=[index], img_path='a.jpg')
        with pytest.raises(
            ValueError, match=f'index {index} in gt_label of a.jpg is not one of the 5'
        ):
            VOCMeanAveragePrecision(ignore_difficult=False).process(None, [bad])
    with pytest.raises(ValueError, match='no image shows any class'):
        VOCMeanAveragePrecision.calculate(torch.rand(3, 2), torch.zeros(3, 2).bool())
    with pytest.raises(ValueError, match=r'one shape \(N, C\)'):
        VOCMeanAveragePrecision.calculate(torch.rand(3, 2), torch.zeros(3, 3).bool())
