import cv2
import numpy as np
import pytest

from dldl_mm.datasets import HeadPoseDataset
from dldl_mm.registry import TRANSFORMS
from dldl_mm.transforms import KeepInMemory


def test_the_transforms_run_once_for_each_sample():
    seen = []

    def load(results):
        seen.append(results['sample_idx'])
        return {**results, 'img': np.full((2, 2), results['sample_idx'])}

    keep = KeepInMemory([load])
    for index in (3, 5, 3, 3):
        results = keep({'sample_idx': index, 'face_box': [0, 0, 1, 1]})
        assert results['img'].tolist() == [[index] * 2] * 2
        # What comes behind may work in place.
        results['img'][:] = -1
        results['face_box'].clear()
        del results['face_box']
    assert seen == [3, 5]


def test_a_sample_that_a_transform_gives_up_is_tried_again():
    answers = [None, {'img': np.zeros(1)}]
    keep = KeepInMemory([lambda results: answers.pop(0)])
    assert keep({'sample_idx': 0}) is None
    assert keep({'sample_idx': 0})['img'].tolist() == [0]


def test_it_leaves_a_data_sets_images_and_checks_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    for name in 'ab':
        cv2.imwrite(str(tmp_path / f'{name}.png'), rng.integers(0, 255, (40, 50, 3), np.uint8))
    rows = ['file,pitch,yaw,x1,y1,x2,y2', 'a.png,0,10,5,5,30,30', 'b.png,0,20,0,0,20,20']
    # One image may hold several faces.
    rows.append('b.png,0,30,20,10,45,35')
    (tmp_path / 'poses.csv').write_text('\n'.join(rows) + '\n')
    inner = [dict(type='LoadImageFromFile'), dict(type='CropFaceBox', size=16)]
    plain = HeadPoseDataset('poses.csv', data_root=str(tmp_path), pipeline=inner)
    kept = HeadPoseDataset(
        'poses.csv',
        data_root=str(tmp_path),
        pipeline=[dict(type='KeepInMemory', transforms=inner)],
    )
    for index in (2, 0, 1, 2, 1):
        expected, results = plain[index], kept[index]
        assert np.array_equal(results['img'], expected['img'])
        assert results['gt_value'].tolist() == expected['gt_value'].tolist()
    (tmp_path / 'poses.csv').write_text('\n'.join([*rows, 'a.png,0,0,50,0,60,9']) + '\n')
    with pytest.raises(ValueError, match=r'poses.csv:5: the face box .* outside the image'):
        HeadPoseDataset(
            'poses.csv',
            data_root=str(tmp_path),
            pipeline=[TRANSFORMS.build(dict(type='KeepInMemory', transforms=inner))],
        )
