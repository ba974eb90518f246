import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement
from scipy.spatial.transform import Rotation

from dldl_mm.codecs import GaussianLabelCodec, GridLabelCodec
from dldl_mm.metrics import HeadPoseMetric

THREE = ('pitch', 'yaw', 'roll')


def poses(count, axes=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(count, axes, dtype=torch.float64, generator=generator) - 0.5) * 160


def test_values_against_numpy():
    pred, value = poses(40), poses(40, seed=1)
    pred[:15] = value[:15]
    pred[10:15, 1] += 10
    error = np.abs((pred - value).numpy())
    metrics = HeadPoseMetric.calculate(pred, value, tolerance=(15, 30))
    assert metrics['mae_pitch'] == pytest.approx(error[:, 0].mean())
    assert metrics['mae_yaw'] == pytest.approx(error[:, 1].mean())
    assert metrics['mae_pair'] == pytest.approx(np.hypot(*error.T).mean())
    assert metrics['acc_pitch'] == pytest.approx(100 * 15 / 40)
    assert metrics['acc_yaw'] == pytest.approx(100 * 10 / 40)
    assert metrics['acc_pair'] == pytest.approx(100 * 10 / 40)
    for t in (15, 30):
        within = error <= t
        assert metrics[f'acc_yaw@{t}'] == pytest.approx(100 * within[:, 1].mean())
        assert metrics[f'acc_pair@{t}'] == pytest.approx(100 * within.all(-1).mean())
    assert 'geodesic' not in metrics
    assert 'mae_roll' not in metrics


def test_errors_wrap_by_a_full_turn_only():
    value = torch.tensor([[0.0, -175.0], [0.0, 0.0]])
    pred = torch.tensor([[0.0, 175.0], [0.0, 180.0]])
    metrics = HeadPoseMetric.calculate(pred, value)
    assert metrics['mae_yaw'] == pytest.approx((10 + 180) / 2)
    same = HeadPoseMetric.calculate(value + 360, value)
    assert same['mae_pair'] == pytest.approx(0, abs=1e-9)
    assert same['acc_pair'] == 100


def test_a_tolerance_that_is_met_exactly_counts():
    value = torch.tensor([[0.1, 0.2]])
    metrics = HeadPoseMetric.calculate(value + 15.0, value, tolerance=15)
    assert metrics['acc_pair@15'] == 100


def test_classes_are_the_nearest_labels_of_the_codec():
    codec = GridLabelCodec(labels='pointing04', sigma=15.0)
    value = torch.tensor([[60.0, 30.0], [90.0, 0.0], [0.0, 0.0]])
    # Near (90, 0) there is no label with another yaw: the whole point counts.
    pred = torch.tensor([[53.0, 24.0], [85.0, 14.0], [8.0, 0.0]])
    metrics = HeadPoseMetric.calculate(pred, value, codec=codec)
    assert metrics['acc_pitch'] == pytest.approx(200 / 3)
    assert metrics['acc_yaw'] == pytest.approx(100)
    assert metrics['acc_pair'] == pytest.approx(200 / 3)
    plain = HeadPoseMetric.calculate(pred, value)
    assert plain['acc_pitch'] == 0
    assert plain['acc_yaw'] == pytest.approx(100 / 3)


@pytest.mark.parametrize('order', [(0, 1, 2), (2, 0, 1)])
def test_geodesic_angle_of_three_axes_in_any_order(order):
    pred, value = poses(30, 3), poses(30, 3, seed=1)
    first, second = (
        Rotation.from_euler('xyz', pose.numpy() * [-1, -1, 1], degrees=True)
        for pose in (pred, value)
    )
    metrics = HeadPoseMetric.calculate(
        pred[:, order], value[:, order], axes=[THREE[a] for a in order]
    )
    expected = np.degrees((first * second.inv()).magnitude().mean())
    assert metrics['geodesic'] == pytest.approx(expected)
    assert metrics['mae_roll'] == pytest.approx((pred - value)[:, 2].abs().mean().item())


def samples(pred, value, dist=None):
    made = []
    for index in range(len(pred)):
        sample = BaseDataElement(
            gt_value=value[index].numpy(), pred_value=pred[index], sample_idx=index
        )
        if dist is not None:
            sample.pred_score = dist[index]
        made.append(sample)
    return made


def test_batches_do_not_matter():
    pred, value = poses(25), poses(25, seed=1)
    expected = HeadPoseMetric.calculate(pred, value, tolerance=15)
    for size in (25, 7):
        evaluator = Evaluator(HeadPoseMetric(tolerance=15))
        for start in range(0, 25, size):
            evaluator.process(samples(pred, value)[start : start + size])
        metrics = evaluator.evaluate(25)
        assert metrics == pytest.approx({f'pose/{k}': v for k, v in expected.items()})


def test_further_decoding_rules():
    codec = GridLabelCodec(labels='pointing04', sigma=15.0)
    value = codec.labels[::9].double()
    dist = codec.encode(value)
    evaluator = Evaluator(HeadPoseMetric(codec=codec, decode=('expectation',)))
    evaluator.process(samples(codec.decode(dist), value, dist))
    metrics = evaluator.evaluate(len(value))
    assert metrics['pose/mae_pair'] == 0
    expected = HeadPoseMetric.calculate(codec.decode(dist, 'expectation'), value)
    assert expected['mae_pair'] > 0.1
    assert metrics['pose/mae_pair_expectation'] == pytest.approx(expected['mae_pair'])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'axes': ('pitch', 'tilt')}, 'axes must be distinct names'),
        ({'axes': 'yaw'}, 'axes must be distinct names'),
        ({'tolerance': -1}, 'tolerance must be at least 0'),
        ({'decode': ('expectation',)}, 'needs a codec'),
        (
            {'axes': THREE, 'codec': GridLabelCodec(labels='bjut3d', sigma=5.0)},
            'differ from those of the codec',
        ),
        ({'codec': GaussianLabelCodec()}, 'differ from those of the codec, None'),
        (
            {'codec': GridLabelCodec(labels='bjut3d', sigma=5.0), 'decode': ['median', 'mean']},
            "unknown decoding rule 'mean'",
        ),
        (
            {
                'axes': ('yaw',),
                'codec': GridLabelCodec({'yaw': (-180, 170, 10)}, sigma=5.0, periodic='yaw'),
                'decode': 'median',
            },
            'no meaning on the periodic axis',
        ),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        HeadPoseMetric(**options)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r'one shape \(N, 2\)'):
        HeadPoseMetric.calculate(torch.zeros(3, 3), torch.zeros(3, 3))
    with pytest.raises(ValueError, match='N > 0'):
        HeadPoseMetric.calculate(torch.zeros(0, 2), torch.zeros(0, 2))
    with pytest.raises(ValueError, match="no 'pred_value'"):
        HeadPoseMetric().process({}, [{'gt_value': [0, 0]}])
