import cv2
import numpy as np
import pytest
from mmcv.transforms import Compose
from mmcv.transforms.processing import RandomFlip

from dldl_mm.codecs import GridLabelCodec
from dldl_mm.datasets.synthetic import FaceParams, render_face
from dldl_mm.registry import TRANSFORMS
from dldl_mm.transforms import (
    CropFaceBox,
    EncodeLabelDistribution,
    FlipHeadPose,
    RandomRotateHeadPose,
)

THREE = ('pitch', 'yaw', 'roll')


def sample(**fields):
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    given = {'img': image, 'gt_value': np.array([10.0, 20.0, 30.0], np.float32), **fields}
    return {'img_shape': given['img'].shape[:2], 'ori_shape': given['img'].shape[:2], **given}


def flipped(**fields):
    return sample(flip=True, flip_direction='horizontal', **fields)


@pytest.mark.parametrize(
    ('axes', 'expected'),
    [(THREE, [10, -20, -30]), (('roll', 'pitch', 'yaw'), [-10, 20, -30])],
)
def test_a_flip_negates_yaw_and_roll(axes, expected):
    assert FlipHeadPose(axes)(flipped())['gt_value'].tolist() == expected
    assert FlipHeadPose(axes)(sample(flip=False))['gt_value'].tolist() == [10, 20, 30]


def test_the_original_angles_stay_as_they_are():
    results = flipped()
    value = results['gt_value']
    FlipHeadPose(THREE)(results)
    assert value.tolist() == [10, 20, 30]


@pytest.mark.parametrize('prob', [0.0, 1.0])
def test_it_follows_the_toolboxs_flip(prob):
    pipeline = Compose([RandomFlip(prob=prob, direction='horizontal'), FlipHeadPose(THREE)])
    sign = -1 if prob else 1
    assert pipeline(sample())['gt_value'].tolist() == [10, sign * 20, sign * 30]


def test_a_mirrored_rendering_shows_the_mirrored_pose():
    symmetric = {'light': (0.0, 0.5, 0.8)}
    image = render_face(FaceParams(pitch=10, yaw=20, roll=30, **symmetric), 64)
    results = flipped(img=image[:, ::-1])
    pitch, yaw, roll = map(float, FlipHeadPose(THREE)(results)['gt_value'])

    def difference(**angles):
        other = render_face(FaceParams(**angles, **symmetric), 64)
        return np.abs(image[:, ::-1].astype(float) - other).mean()

    right = difference(pitch=pitch, yaw=yaw, roll=roll)
    assert right < 0.7 * difference(pitch=10, yaw=20, roll=-30)
    assert right < 0.7 * difference(pitch=10, yaw=-20, roll=30)


def test_wrong_orders_of_flips_are_refused():
    flip = FlipHeadPose(THREE)
    with pytest.raises(ValueError, match='RandomFlip, FlipHeadPose, EncodeLabelDistribution'):
        flip(sample())
    with pytest.raises(ValueError, match='twice'):
        flip(flip(flipped()))
    with pytest.raises(ValueError, match='twice'):
        flip(flip(sample(flip=False)))
    encode = EncodeLabelDistribution(
        GridLabelCodec({'pitch': (-40, 40, 10), 'yaw': (-40, 40, 10)}, sigma=10.0)
    )
    two = np.array([10.0, 20.0])
    encode(sample(gt_value=two, flip=False))
    with pytest.raises(ValueError, match='flipped but its yaw and roll were not negated'):
        encode(flipped(gt_value=two))
    encoded = encode(FlipHeadPose()(flipped(gt_value=two)))
    del encoded['pose_flipped']
    with pytest.raises(ValueError, match='before EncodeLabelDistribution'):
        FlipHeadPose()(encoded)
    with pytest.raises(ValueError, match=r"direction='horizontal' .* got 'vertical'"):
        flip(sample(flip=True, flip_direction='vertical'))
    with pytest.raises(ValueError, match=r'2 angles, pitch, yaw, got shape \(3,\)'):
        FlipHeadPose()(flipped())


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: FlipHeadPose(('pitch', 'tilt')), "unknown axis 'tilt'"),
        (lambda: FlipHeadPose('yaw'), 'distinct names'),
        (lambda: RandomRotateHeadPose(0), 'max_angle'),
        (lambda: RandomRotateHeadPose(10, prob=2), 'prob'),
        (lambda: CropFaceBox(margin=-0.5), 'margin'),
        (lambda: CropFaceBox(size=0), 'size'),
        (lambda: CropFaceBox(jitter=1), 'jitter'),
    ],
)
def test_bad_options_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def rotate(monkeypatch, angle, results, axes=THREE):
    monkeypatch.setattr(np.random, 'uniform', lambda low, high: angle)
    return RandomRotateHeadPose(45, axes)(results)


@pytest.mark.parametrize(('angle', 'expected'), [(20, 50), (-45, -15), (45, 75)])
def test_a_rotation_adds_to_the_roll(monkeypatch, angle, expected):
    results = rotate(monkeypatch, angle, sample())
    assert results['gt_value'].tolist() == [10, 20, expected]


def test_a_rotation_turns_the_image_counter_clockwise(monkeypatch):
    image = np.zeros((101, 101, 3), np.uint8)
    cv2.circle(image, (80, 50), 4, (255, 255, 255), -1)  # on the right: goes up
    turned = rotate(monkeypatch, 30, sample(img=image))['img'][..., 0].astype(float)
    rows, columns = np.indices(turned.shape)
    centre = (turned * columns).sum() / turned.sum(), (turned * rows).sum() / turned.sum()
    expected = 50 + 30 * np.cos(np.pi / 6), 50 - 30 * np.sin(np.pi / 6)
    np.testing.assert_allclose(centre, expected, atol=0.5)


def test_a_rotated_rendering_shows_the_pose_with_the_new_roll(monkeypatch):
    image = render_face(FaceParams(pitch=10, yaw=20, roll=5), 96)
    results = rotate(monkeypatch, 25.0, sample(img=image, gt_value=np.array([10.0, 20.0, 5.0])))

    def difference(roll):
        other = render_face(FaceParams(pitch=10, yaw=20, roll=roll), 96)
        inner = slice(24, 72)  # the background does not turn with the head
        return np.abs(results['img'].astype(float) - other)[inner, inner].mean()

    assert results['gt_value'].tolist() == [10, 20, 30]
    assert difference(30) < 0.5 * min(difference(5), difference(-20))


def test_a_rotation_keeps_the_face_box_in_place(monkeypatch):
    image = np.zeros((100, 100, 3), np.uint8)
    cv2.circle(image, (30, 60), 5, (255, 255, 255), -1)
    results = rotate(monkeypatch, 40, sample(img=image, face_box=(20, 50, 41, 71)))
    crop = CropFaceBox(margin=0)(results)['img'][..., 0]
    assert crop.shape == (21, 21)
    assert crop.astype(float).sum() == pytest.approx(image[..., 0].astype(float).sum(), rel=0.05)


def test_rolls_are_wrapped_and_pitch_and_yaw_stay(monkeypatch):
    results = rotate(monkeypatch, 20, sample(gt_value=np.array([0.0, 0.0, 170.0])))
    assert results['gt_value'].tolist() == [0, 0, -170]
    two = sample(gt_value=np.array([10.0, 20.0]))
    assert rotate(monkeypatch, 20, two, ('pitch', 'yaw'))['gt_value'].tolist() == [10, 20]


def test_a_rotation_is_random_and_repeatable():
    transform = RandomRotateHeadPose(30, THREE, prob=0.5)
    np.random.seed(0)
    rolls = [float(transform(sample())['gt_value'][2]) for _ in range(200)]
    np.random.seed(0)
    assert rolls == [float(transform(sample())['gt_value'][2]) for _ in range(200)]
    turned = [roll for roll in rolls if roll != 30]
    assert 70 < len(turned) < 130
    assert -0.1 < min(turned) < 5
    assert 55 < max(turned) < 60.1


def test_a_rotation_of_stale_or_encoded_angles_is_refused(monkeypatch):
    with pytest.raises(ValueError, match='put FlipHeadPose right after RandomFlip'):
        rotate(monkeypatch, 10, flipped())
    with pytest.raises(ValueError, match='before EncodeLabelDistribution'):
        rotate(monkeypatch, 10, sample(gt_score=np.ones(3)))


def test_a_crop_is_the_enlarged_square_box():
    results = sample(face_box=(20.0, 10.0, 40.0, 40.0))
    image = results['img']
    crop = CropFaceBox(margin=0.1)(results)
    # The longer side, 30, and 3 on each side of it.
    np.testing.assert_array_equal(crop['img'], image[7:43, 12:48])
    assert crop['img_shape'] == (36, 36)
    assert 'face_box' not in crop
    exact = CropFaceBox(margin=0, square=False)(sample(face_box=(20, 10, 40, 40)))
    np.testing.assert_array_equal(exact['img'], image[10:40, 20:40])


def test_a_crop_beyond_the_image_repeats_its_border():
    results = sample(face_box=(-10.0, 40.0, 20.0, 70.0))
    image = results['img']
    crop = CropFaceBox(margin=0)(results)['img']
    np.testing.assert_array_equal(crop[:20, 10:], image[40:60, :20])
    np.testing.assert_array_equal(crop[:20, :10], np.repeat(image[40:60, :1], 10, 1))
    np.testing.assert_array_equal(crop[20:, 10:], np.repeat(image[-1:, :20], 10, 0))


def test_a_crop_is_resized():
    crop = CropFaceBox(margin=0, size=10)(sample(face_box=(20, 10, 40, 30)))
    expected = sample()['img'][10:30, 20:40].reshape(10, 2, 10, 2, 3).mean((1, 3))
    np.testing.assert_allclose(crop['img'], expected, atol=0.51)


def test_jitter_shifts_and_scales_at_random():
    transform = CropFaceBox(margin=0, jitter=0.2)
    ramp = np.tile(np.arange(200, dtype=np.uint8)[:, None], (1, 200))
    np.random.seed(0)
    sides, tops = [], []
    for _ in range(200):
        crop = transform(sample(img=ramp, face_box=(80, 80, 120, 120)))['img']
        sides.append(len(crop))
        tops.append(crop[0, 0] + len(crop) / 2 - 100)
    assert (min(sides), max(sides)) == (32, 48)
    assert -8.6 < min(tops) < -7
    assert 7 < max(tops) < 8.6


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({}, "no 'face_box'"),
        ({'face_box': (10, 10, 10, 30)}, r'\(10, 10, 10, 30\) .* no area'),
        ({'face_box': (10, float('nan'), 20, 30)}, 'finite'),
        ({'face_box': (-30, 10, 0, 30)}, 'outside the image'),
        ({'face_box': (80, 10, 90, 30), 'img_path': 'a.jpg'}, r'outside the image a.jpg of 80x60'),
        ({'face_box': (10, 10, 20, 30), 'flip': True}, 'right after LoadImageFromFile'),
        ({'face_box': (10, 10, 20, 30), 'ori_shape': (120, 160)}, 'right after LoadImageFromFile'),
    ],
)
def test_unusable_boxes_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        CropFaceBox()(sample(**fields))


def test_boxes_are_checked_before_training(tmp_path):
    CropFaceBox().check_annotation({'face_box': (0, 0, 10, 10)})
    with pytest.raises(ValueError, match='no area'):
        CropFaceBox().check_annotation({'face_box': (0, 0, 0, 10)})
    path = str(tmp_path / 'a.png')
    cv2.imwrite(path, np.zeros((20, 30, 3), np.uint8))
    CropFaceBox().check_annotation({'face_box': (29, 19, 40, 40), 'img_path': path})
    for box in ((30, 0, 40, 10), (0, 20, 10, 30)):
        with pytest.raises(ValueError, match=r'outside the image .*a.png of 30x20 pixels'):
            CropFaceBox().check_annotation({'face_box': box, 'img_path': path})


def test_they_are_registered():
    for config in (
        {'type': 'FlipHeadPose', 'axes': THREE},
        {'type': 'RandomRotateHeadPose', 'max_angle': 10},
        {'type': 'CropFaceBox', 'size': 64},
    ):
        assert config['type'] in repr(TRANSFORMS.build(config))
