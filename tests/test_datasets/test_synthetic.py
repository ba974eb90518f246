import dataclasses
import multiprocessing
import time

import cv2
import numpy as np
import pytest
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from scipy.spatial.transform import Rotation

from dldl_mm.datasets import _head_model, synthetic
from dldl_mm.datasets.synthetic import (
    MIN_SIGMA,
    VOTE_DEVIATIONS,
    FaceParams,
    SyntheticFaces,
    draw_votes,
    project_points,
    render_face,
    rotation_matrix,
    sample_face,
)

PLAIN = FaceParams(light=(0.0, 0.4, 0.9), shift=(0.0, 0.0), texture_seed=5)
NOSE_TIP = np.array([[0.0, -0.34, 1.0]])


def images_of(dataset, indices):
    return np.stack([dataset[i]['img'] for i in indices])


@pytest.fixture(scope='module')
def train():
    dataset = SyntheticFaces(num_samples=600, img_size=48, seed=1)
    ages = np.array([dataset.get_data_info(i)['gt_value'] for i in range(600)])
    return images_of(dataset, range(600)), ages


# ------------------------------------------------------------------------------------- pose
def test_rotation_is_scipys():
    rng = np.random.default_rng(0)
    for pitch, yaw, roll in rng.uniform(-80, 80, (20, 3)):
        expected = Rotation.from_euler('xyz', [-pitch, -yaw, roll], degrees=True).as_matrix()
        np.testing.assert_allclose(rotation_matrix(pitch, yaw, roll), expected, atol=1e-12)
        # Without a roll, pitch and yaw are the elevation and the azimuth of the nose.
        x, y, z = rotation_matrix(pitch, yaw, 0.0) @ [0.0, 0.0, 1.0]
        np.testing.assert_allclose(np.degrees(np.arcsin(y)), pitch, atol=1e-9)
        np.testing.assert_allclose(np.degrees(np.arctan2(-x, z)), yaw, atol=1e-9)


def test_projection_is_a_pinhole_camera():
    params = dataclasses.replace(PLAIN, pitch=20, yaw=-35, roll=12, scale=0.7, shift=(0.05, -0.02))
    points = np.random.default_rng(1).uniform(-1, 1, (7, 3))
    turned = Rotation.from_euler('xyz', [-20, 35, 12], degrees=True).apply(points)
    distance = _head_model.CAMERA_DISTANCE
    focal = 0.5 * 0.7 * 100 * distance
    for (column, row), (x, y, z) in zip(project_points(points, params, 100), turned, strict=True):
        np.testing.assert_allclose(column + 0.5, 55 + focal * x / (distance - z))
        np.testing.assert_allclose(row + 0.5, 52 - focal * y / (distance - z))


@pytest.mark.parametrize(
    'pose',
    [(0, 0, 0), (0, 35, 0), (0, -35, 0), (25, 0, 0), (-25, 0, 0), (10, -30, 25), (0, 0, -30)],
)
def test_rendered_points_lie_where_a_rotation_puts_them(pose):
    """Find the tip of the nose and the chin among the rendered pixels by their map coordinates."""
    params = dataclasses.replace(PLAIN, pitch=pose[0], yaw=pose[1], roll=pose[2])
    size = 200
    neutral = _head_model._cue_weights(params)
    pixels, _, maps = _head_model._visible_points(
        _head_model._vertices(params, neutral), params, size
    )
    mesh = _head_model._mesh()
    for x, y in ((0.0, -0.34), (0.3, 0.18), (-0.3, 0.18), (0.0, -0.9)):
        from_mean = np.hypot(mesh.mean[0] - x, mesh.mean[1] - y) + (mesh.mean[2] < 0)
        vertex = int(np.argmin(from_mean))
        assert from_mean[vertex] < 0.05
        point = mesh.mean[:, vertex]
        turned = Rotation.from_euler('ZYX', [pose[2], -pose[1], -pose[0]], degrees=True).apply(
            point
        )
        factor = 0.5 * params.scale * size / (1 - turned[2] / _head_model.CAMERA_DISTANCE)
        expected = np.array([99.5 + factor * turned[0], 99.5 - factor * turned[1]])
        # x and y on the front of the mean head are the first two maps.
        at = np.argmin(np.hypot(maps[0] - point[0], maps[1] - point[1]) + (maps[2] < 0.1))
        row, column = divmod(int(pixels[at]), size)
        # The default face is the mean head but for a few per cent of the adult's folds.
        np.testing.assert_allclose([column, row], expected, atol=3.0)


def test_signs_of_the_angles():
    def nose(**pose):
        return project_points(NOSE_TIP, dataclasses.replace(PLAIN, **pose), 64)[0]

    column, row = nose()
    assert nose(yaw=20)[0] < column - 5, 'positive yaw turns to the left of the image'
    assert nose(pitch=20)[1] < row - 5, 'positive pitch looks up'
    # Counter-clockwise: the crown, which is above, goes to the left.
    crown = project_points(np.array([[0.0, 1.0, 0.0]]), dataclasses.replace(PLAIN, roll=20), 64)[0]
    assert crown[0] < 31.5 - 5


def test_roll_turns_the_picture():
    plain = dataclasses.replace(PLAIN, yaw=20, pitch=-10)
    points = np.random.default_rng(2).uniform(-1, 1, (5, 3))
    before = project_points(points, plain, 101) - 50.0
    after = project_points(points, dataclasses.replace(plain, roll=30), 101) - 50.0
    angle = np.radians(30)  # rows grow downwards, hence the signs
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(after, before @ turn.T, atol=1e-9)


@pytest.mark.parametrize('pose', [(0, 40, 0), (20, 25, 15), (-30, 10, -20)])
def test_flipped_image_is_the_head_with_yaw_and_roll_negated(pose, monkeypatch):
    # A flat background, and hair without its random strands: both are not symmetric.
    monkeypatch.setattr(_head_model, '_background', lambda rng, size: np.full((size, size, 3), 0.5))
    params = dataclasses.replace(PLAIN, baldness=0.0, pitch=pose[0], yaw=pose[1], roll=pose[2])
    mirrored = dataclasses.replace(params, yaw=-pose[1], roll=-pose[2])
    image = render_face(params, 64).astype(int)
    difference = np.abs(image[:, ::-1] - render_face(mirrored, 64).astype(int))
    unrelated = np.abs(image[:, ::-1] - image)
    assert difference.mean() < 2.5
    assert difference.mean() < 0.15 * unrelated.mean()


# -------------------------------------------------------------------------------- labels
def test_votes_follow_chalearns_deviations():
    rng = np.random.default_rng(3)
    for decade in range(1, 8):  # the outer decades are clipped at 1 and 85
        votes, mean, sigma = draw_votes(rng, 10.0 * decade + 5.0, 20000)
        assert sigma == pytest.approx(VOTE_DEVIATIONS[decade], rel=0.03)
        assert mean == pytest.approx(10.0 * decade + 5.0, abs=0.15)
        assert mean == pytest.approx(np.mean(votes))
        assert sigma == pytest.approx(np.std(votes, ddof=1))


def test_unanimous_votes_keep_a_positive_deviation():
    class Unanimous:
        def normal(self, mean, deviation, count):
            return np.full(count, mean)

    votes, mean, sigma = draw_votes(Unanimous(), 40.0, 5)
    assert votes == [40] * 5
    assert (mean, sigma) == (40.0, MIN_SIGMA)
    assert MIN_SIGMA > 0


def test_labels_of_ages():
    dataset = SyntheticFaces(num_samples=3000, num_raters=6)
    infos = [dataset.get_data_info(i) for i in range(3000)]
    ages = np.array([i['age'] for i in infos])
    # Uniform on 1..85: the quantiles of 3,000 draws are within about two years.
    np.testing.assert_allclose(np.quantile(ages, [0.25, 0.5, 0.75]), [22, 43, 64], atol=3)
    for info in infos:
        votes = info['gt_votes']
        assert len(votes) == 6
        assert all(isinstance(v, int) and 1 <= v <= 85 for v in votes)
        assert info['gt_value'] == pytest.approx(np.mean(votes))
        assert info['gt_sigma'] == pytest.approx(max(np.std(votes, ddof=1), MIN_SIGMA))
    seen = np.array([i['gt_value'] for i in infos])
    # What raters see is not the true age, but close to it.
    assert 2.0 < np.abs(seen - ages).mean() < 5.0
    assert abs((seen - ages).mean()) < 0.5


def test_labels_of_poses():
    dataset = SyntheticFaces(num_samples=500, target='pose', axes=('yaw', 'roll', 'pitch'))
    infos = [dataset.get_data_info(i) for i in range(500)]
    values = np.stack([i['gt_value'] for i in infos])
    assert values.dtype == np.float32
    expected = [[i['yaw'], i['roll'], i['pitch']] for i in infos]
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    largest = np.abs(values).max(axis=0)
    assert (largest <= [75, 30, 50]).all()
    assert (largest > [72, 28, 47]).all()
    assert 'gt_sigma' not in infos[0]
    narrow = SyntheticFaces(num_samples=50, pose_range={'yaw': 0, 'roll': 0})
    assert {narrow.get_data_info(i)['yaw'] for i in range(50)} == {0.0}
    assert max(abs(narrow.get_data_info(i)['pitch']) for i in range(50)) > 10


# -------------------------------------------------------------------------- determinism
def _image(task):
    index, split = task
    return SyntheticFaces(num_samples=8, img_size=32, seed=4, split=split)[index]['img']


@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_pixels_are_the_same_in_any_process_and_order(method):
    dataset = SyntheticFaces(num_samples=8, img_size=32, seed=4)
    tasks = [(i, 'train') for i in (6, 1, 3, 0)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        others = pool.map(_image, tasks, chunksize=1)
    for (index, _), other in zip(tasks, others, strict=True):
        np.testing.assert_array_equal(dataset[index]['img'], other)
        np.testing.assert_array_equal(dataset[index]['img'], dataset[index]['img'])


def test_seeds_and_splits_share_no_image():
    options = [{'seed': s, 'split': p} for s in (0, 1) for p in ('train', 'val', 'test')]
    drawn = [SyntheticFaces(num_samples=5, img_size=32, **o) for o in options]
    pictures = {d[i]['img'].tobytes() for d in drawn for i in range(5)}
    names = {d[i]['img_path'] for d in drawn for i in range(5)}
    ages = {d[i]['age'] for d in drawn for i in range(5)}
    assert len(pictures) == len(names) == len(ages) == 30


def test_number_of_samples_and_target_change_no_face():
    short = SyntheticFaces(num_samples=3, img_size=32)
    long = SyntheticFaces(num_samples=300, img_size=32, indices=[2, 299])
    np.testing.assert_array_equal(short[2]['img'], long[0]['img'])
    assert short[2]['gt_votes'] == long[0]['gt_votes']
    pose = SyntheticFaces(num_samples=3, target='pose')
    assert pose[2]['age'] == short[2]['age']


# ------------------------------------------------------------------------------- pictures
def test_age_is_not_in_global_statistics(train):
    images, ages = train
    assert np.std(ages) > 20
    x = images.astype(np.float32) / 255
    grey = x.mean(axis=-1)
    edges = [np.abs(np.diff(grey, axis=a)).mean(axis=(1, 2)) for a in (1, 2)]
    statistics = np.column_stack(
        [x.mean(axis=(1, 2)), x.std(axis=(1, 2)), grey.std(axis=(1, 2)), *edges, np.ones(len(x))]
    )
    weights = np.linalg.lstsq(statistics, ages, rcond=None)[0]
    explained = 1 - np.var(ages - statistics @ weights) / np.var(ages)
    assert explained < 0.25


def test_age_can_be_learned_from_pixels(train):
    def features(images):
        """Histograms of gradient orientations over 6 x 6 cells: (N, 8, 8, 9) flattened."""
        grey = images.mean(axis=-1)
        rows, columns = np.gradient(grey, axis=(1, 2))
        length = np.hypot(rows, columns)
        angle = np.minimum((np.arctan2(rows, columns) % np.pi) / np.pi * 9, 8).astype(int)
        parts = np.stack([length * (angle == i) for i in range(9)], axis=-1)
        cells = np.sqrt(parts.reshape(len(images), 8, 6, 8, 6, 9).mean(axis=(2, 4)))
        return (cells / cells.mean(axis=(1, 2, 3), keepdims=True)).reshape(len(images), -1)

    images, ages = train
    held_out = SyntheticFaces(num_samples=200, img_size=48, seed=1, split='val')
    truth = np.array([held_out.get_data_info(i)['gt_value'] for i in range(200)])
    x, z = features(images), features(images_of(held_out, range(200)))
    centre = x.mean(axis=0)
    # The penalty has the smallest leave-one-out error on the training images.
    kernel = (x - centre) @ (x - centre).T + 200.0 * np.eye(len(x))
    weights = np.linalg.solve(kernel, ages - ages.mean())
    predicted = ages.mean() + (z - centre) @ (x - centre).T @ weights
    baseline = np.abs(truth - ages.mean()).mean()
    assert np.abs(truth - predicted).mean() < 0.67 * baseline


def test_each_cue_changes_the_picture():
    old = dataclasses.replace(PLAIN, age=60, baldness=0.6)
    image = render_face(old, 96).astype(int)
    for i, cue in enumerate(_head_model.CUES):
        years = [0.0] * len(_head_model.CUES)
        years[i] = -45.0
        young = render_face(dataclasses.replace(old, cue_offsets=tuple(years)), 96).astype(int)
        assert (np.abs(image - young).max(axis=-1) > 12).sum() > 15, cue


def test_faces_of_one_age_and_pose_differ():
    def face(seed):
        return render_face(sample_face(np.random.default_rng(seed), 30.0), 32).astype(int)

    first = face(0)
    np.testing.assert_array_equal(first, face(0))
    assert all(np.abs(first - face(seed)).mean() > 10 for seed in range(1, 5))


def test_head_has_no_holes():
    dataset = SyntheticFaces(num_samples=20, target='pose')
    for index in range(20):
        params = dataset.face_params(index)
        vertices = _head_model._vertices(params, _head_model._cue_weights(params))
        pixels, _, _ = _head_model._visible_points(vertices, params, 128)
        mask = np.zeros((130, 130), np.uint8)
        # A frame of background around the picture, for the flood to start from.
        mask[1 + pixels // 128, 1 + pixels % 128] = 1
        filled = mask.copy()
        cv2.floodFill(filled, None, (0, 0), 1)
        assert (filled == 0).sum() <= 40


def test_rendering_is_fast():
    dataset = SyntheticFaces(num_samples=60)
    dataset[0]
    start = time.process_time()
    for index in range(60):
        dataset[index]
    # Measured: 5 ms; the bound leaves room for slow machines.
    assert (time.process_time() - start) / 60 < 0.03


# -------------------------------------------------------------------------------- dataset
def test_sample_and_pipeline():
    seen = []

    def record(results):
        seen.append(set(results))
        return results

    dataset = DATASETS.build(
        {
            'type': 'SyntheticFaces',
            'num_samples': 3,
            'img_size': 40,
            'seed': 7,
            'pipeline': [record],
        }
    )
    assert isinstance(dataset, BaseDataset)
    sample = dataset[1]
    assert sample['img'].dtype == np.uint8
    assert sample['img'].flags.c_contiguous
    assert sample['img_shape'] == sample['ori_shape'] == (40, 40) == sample['img'].shape[:2]
    assert sample['img_path'] == 'synthetic://faces/7/train/1'
    keys = {'img', 'gt_value', 'gt_sigma', 'gt_votes', 'age', 'pitch', 'yaw', 'roll', 'img_path'}
    assert keys <= seen[0]
    assert len(dataset) == 3


def test_channels_are_blue_green_red():
    red = render_face(dataclasses.replace(PLAIN, skin=(0.9, 0.2, 0.1)), 64)[30:40, 28:36]
    blue, green, red = red.reshape(-1, 3).mean(axis=0)
    assert red > 2 * max(blue, green)


def test_announced_once(monkeypatch):
    messages = []
    monkeypatch.setattr(synthetic, '_announced', False)
    monkeypatch.setattr(synthetic, 'print_log', lambda text, **_: messages.append(text))
    lazy = SyntheticFaces(num_samples=2, lazy_init=True)
    assert messages == []
    lazy.full_init()
    SyntheticFaces(num_samples=2, target='pose')
    assert len(messages) == 1
    assert 'not real people' in messages[0]
    assert 'AgeDataset' in messages[0]


@pytest.mark.parametrize(
    ('options', 'error', 'text'),
    [
        ({'num_samples': 0}, ValueError, 'num_samples must be at least 1, got 0'),
        ({'num_samples': 2.0}, TypeError, 'num_samples must be an integer, got 2.0'),
        ({'img_size': 8}, ValueError, 'img_size must be at least 16, got 8'),
        ({'seed': -1}, ValueError, 'seed must be at least 0, got -1'),
        ({'seed': True}, TypeError, 'seed must be an integer'),
        ({'split': 'dev'}, ValueError, "split must be one of .*got 'dev'"),
        ({'target': 'gender'}, ValueError, "target must be one of .*got 'gender'"),
        ({'num_raters': 1}, ValueError, 'num_raters must be at least 2, got 1'),
        ({'axes': 'yaw'}, ValueError, "axes must be different names .*got 'yaw'"),
        ({'axes': ()}, ValueError, 'axes must be'),
        ({'axes': ('yaw', 'yaw')}, ValueError, 'axes must be'),
        ({'axes': ('yaw', 'tilt')}, ValueError, 'axes must be'),
        ({'pose_range': {'tilt': 3}}, ValueError, 'pose_range must be a dict'),
        ({'pose_range': 30}, ValueError, 'pose_range must be a dict'),
        ({'pose_range': {'yaw': -3}}, ValueError, r"pose_range\['yaw'\].*got -3"),
        ({'pose_range': {'yaw': float('nan')}}, ValueError, r"pose_range\['yaw'\].*got nan"),
    ],
)
def test_bad_arguments(options, error, text):
    with pytest.raises(error, match=text):
        SyntheticFaces(**options)


def test_bad_face_parameters():
    with pytest.raises(ValueError, match='size must be at least 16 pixels, got 4'):
        render_face(PLAIN, 4)
    with pytest.raises(ValueError, match='shape has 1 values, expected'):
        render_face(dataclasses.replace(PLAIN, shape=(0.0,)), 32)
    with pytest.raises(ValueError, match='cue_offsets has 2 values, expected'):
        render_face(dataclasses.replace(PLAIN, cue_offsets=(0.0, 1.0)), 32)
