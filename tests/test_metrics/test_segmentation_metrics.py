"""Metrics of label maps against scikit-learn, SciPy and plain NumPy."""

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import confusion_matrix

from dldl_mm.functional import (
    boundary_distance,
    calibration_bins,
    class_areas,
    expected_calibration_error,
    frequency_weighted_iou,
    intersection_over_union,
)
from dldl_mm.metrics import base as metrics_base
from dldl_mm.registry import METRICS

CLASSES = 5
METRIC_TYPES = ['FrequencyWeightedIoU', 'TrimapIoU', 'PixelCalibrationError']


def blobs(generator, height=37, width=41, void=True):
    cells = torch.randint(0, CLASSES - 1, (8, 9), generator=generator)  # the last class is absent
    label = cells.repeat_interleave(5, 0).repeat_interleave(5, 1)[:height, :width].clone()
    if void:
        label[3:12, 20:31] = 255
    return label


@pytest.fixture
def images():
    """Three images: label map, logits whose argmax is right two times out of three."""
    generator = torch.Generator().manual_seed(1)
    samples = []
    for number in range(3):
        label = blobs(generator, height=37 - number)
        shown = torch.where(label == 255, 0, label)
        logits = torch.randn(CLASSES, *label.shape, generator=generator)
        logits += 1.2 * torch.nn.functional.one_hot(shown, CLASSES).permute(2, 0, 1)
        samples.append((label, logits))
    return samples


def data_sample(label, logits, **extra):
    return dict(
        gt_sem_seg=dict(data=label[None]),
        pred_sem_seg=dict(data=logits.argmax(0, keepdim=True)),
        seg_logits=dict(data=logits),
        **extra,
    )


def evaluate(metric, samples):
    metric = METRICS.build(dict(metric))
    metric.dataset_meta = dict(classes=tuple('abcde'))
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def iou_by_sklearn(label, pred):
    matrix = confusion_matrix(label, pred, labels=range(CLASSES)).astype(float)
    hit = matrix.diagonal()
    with np.errstate(invalid='ignore'):
        return hit / (matrix.sum(0) + matrix.sum(1) - hit), matrix.sum(1) / matrix.sum()


def distances_by_scipy(label):
    label = label.numpy()
    out = np.zeros(label.shape)
    for value in np.unique(label):
        out = np.where(label == value, distance_transform_edt(label == value), out)
    return out


def flat(images):
    label = np.concatenate([label.numpy().ravel() for label, _ in images])
    pred = np.concatenate([logits.argmax(0).numpy().ravel() for _, logits in images])
    return label, pred


def test_frequency_weighted_iou_against_sklearn(images):
    label, pred = flat(images)
    iou, frequency = iou_by_sklearn(label[label != 255], pred[label != 255])
    areas = class_areas(
        torch.from_numpy(pred), torch.from_numpy(label), CLASSES, torch.from_numpy(label) != 255
    )
    np.testing.assert_allclose(intersection_over_union(areas), iou, rtol=1e-12)
    expected = np.nansum(iou * frequency)
    np.testing.assert_allclose(frequency_weighted_iou(areas), expected, rtol=1e-12)
    found = evaluate(dict(type='FrequencyWeightedIoU'), [data_sample(*i) for i in images])
    assert found == {'seg/fwIoU': pytest.approx(100 * expected)}


def test_absent_classes():
    areas = torch.tensor([[2, 0, 0], [2, 1, 0], [3, 0, 0]])
    iou = intersection_over_union(areas)
    np.testing.assert_array_equal(iou, [2 / 3, 0, np.nan])
    assert frequency_weighted_iou(areas) == 2 / 3
    assert frequency_weighted_iou(torch.zeros(3, 3)).isnan()


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int64])
def test_boundary_distance_against_scipy(dtype):
    label = blobs(torch.Generator().manual_seed(2)).to(dtype)
    np.testing.assert_allclose(boundary_distance(label), distances_by_scipy(label), rtol=1e-6)


def test_boundary_distance_by_hand():
    assert boundary_distance(torch.zeros(4, 6, dtype=torch.long)).isinf().all()
    corner = torch.zeros(4, 5, dtype=torch.long)
    corner[0, 0] = 7
    distance = boundary_distance(corner)
    assert distance[0, 0] == 1
    assert distance[3, 4] == 5


def test_trimap_iou_against_scipy_and_sklearn(images):
    found = evaluate(dict(type='TrimapIoU'), [data_sample(*image) for image in images])
    distances = np.concatenate([distances_by_scipy(label).ravel() for label, _ in images])
    label, pred = flat(images)
    expected = []
    for width in range(1, 16):
        band = (label != 255) & (distances <= width)
        expected.append(100 * np.nanmean(iou_by_sklearn(label[band], pred[band])[0]))
        assert found[f'seg/mIoU@{width}px'] == pytest.approx(expected[-1]), width
    assert found['seg/mIoU_trimap'] == pytest.approx(np.mean(expected))
    assert len(found) == 16
    # Every pixel lies within the widest band here, so that it is the ordinary mean.
    valid = label != 255
    whole = 100 * np.nanmean(iou_by_sklearn(label[valid], pred[valid])[0])
    assert found['seg/mIoU@15px'] == pytest.approx(whole)
    assert found['seg/mIoU@1px'] != pytest.approx(whole)


def test_calibration_against_numpy(images):
    confidence, correct = [], []
    for label, logits in images:
        p = np.exp(logits.double().numpy())
        p = (p / p.sum(0))[:, label != 255]
        confidence.append(p.max(0))
        correct.append(p.argmax(0) == label[label != 255].numpy())
    confidence, correct = np.concatenate(confidence), np.concatenate(correct)
    expected = 0
    edges = np.linspace(0, 1, 16)
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap = correct[inside].mean() - confidence[inside].mean()
            expected += inside.mean() * abs(gap)
    found = evaluate(dict(type='PixelCalibrationError'), [data_sample(*i) for i in images])
    assert found == {'seg/ECE': pytest.approx(100 * expected, rel=1e-4)}


def test_calibration_edges():
    bins = calibration_bins(torch.tensor([0.0, 0.5, 0.5, 1.0]), torch.tensor([0, 1, 0, 1]) > 0, 2)
    torch.testing.assert_close(bins[0], torch.tensor([3.0, 1.0], dtype=torch.float64))
    assert expected_calibration_error(bins) == 0
    wrong = calibration_bins(torch.ones(4), torch.zeros(4, dtype=torch.bool))
    assert expected_calibration_error(wrong) == 1


@pytest.mark.parametrize('name', METRIC_TYPES)
def test_images_without_any_label(name, images):
    """They change nothing, also as the first ones; alone they have no score."""
    samples = [data_sample(*image) for image in images]
    void = data_sample(torch.full_like(images[0][0], 255), images[0][1])
    found = evaluate(dict(type=name), [void, *samples, void])
    assert found == pytest.approx(evaluate(dict(type=name), samples))
    assert np.isnan(list(evaluate(dict(type=name), [void]).values())).all()


@pytest.mark.parametrize('name', METRIC_TYPES)
def test_uneven_shares_of_several_processes(name, images, monkeypatch):
    samples = [data_sample(*image, sample_idx=i) for i, image in enumerate(images)]
    alone = evaluate(dict(type=name), samples)
    shares = []
    for part in (samples[:2], [samples[2], samples[0]]):  # the sampler repeated the first image
        metric = METRICS.build(dict(type=name))
        metric.dataset_meta = dict(classes=tuple('abcde'))
        metric.process({}, part)
        shares.append(metric.results)
    monkeypatch.setattr(metrics_base, 'all_gather_object', lambda results: shares)
    assert metric.evaluate(3) == pytest.approx(alone)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(type='TrimapIoU', widths=()), 'widths must be numbers of at least 1'),
        (dict(type='TrimapIoU', widths=(0, 1)), 'widths must be numbers of at least 1'),
        (dict(type='PixelCalibrationError', num_bins=0), 'num_bins must be at least 1, got 0'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        METRICS.build(options)


def test_bad_samples(images):
    label, logits = images[0]
    with pytest.raises(ValueError, match="no 'gt_sem_seg'"):
        evaluate(dict(type='TrimapIoU'), [dict(pred_sem_seg=dict(data=label[None]))])
    with pytest.raises(ValueError, match=r'size \(36, 41\), its label map \(37, 41\)'):
        evaluate(dict(type='TrimapIoU'), [data_sample(label, logits[:, 1:])])
    for value in (CLASSES, -1):
        wrong = label.clone()
        wrong[0, 0] = value
        sample = data_sample(wrong, logits, img_path='a.jpg')
        message = rf'label {value} in the label map of a.jpg is neither a class \(0 to 4\)'
        for name in METRIC_TYPES:
            with pytest.raises(ValueError, match=message):
                evaluate(dict(type=name), [sample])
    with pytest.raises(ValueError, match='at least two classes, got 1'):
        evaluate(dict(type='PixelCalibrationError'), [data_sample(label, logits[:1])])
