import dataclasses
import multiprocessing
import time

import numpy as np
import pytest
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from scipy import ndimage

from dldl_mm.datasets import _scene_model, synthetic_scenes
from dldl_mm.datasets._scene_model import class_map, draw_scene, sample_scene
from dldl_mm.datasets.synthetic_scenes import CLASSES, SyntheticScenes


@pytest.fixture(scope='module')
def scenes():
    return [sample_scene(np.random.default_rng([7, i])) for i in range(400)]


def image_of(task):
    index, split = task
    return SyntheticScenes(num_samples=6, img_size=40, seed=4, split=split)[index]['img']


@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_pixels_are_the_same_in_any_process_and_order(method):
    dataset = SyntheticScenes(num_samples=6, img_size=40, seed=4)
    tasks = [(i, 'train') for i in (5, 1, 3, 0)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        others = pool.map(image_of, tasks, chunksize=1)
    for (index, _), other in zip(tasks, others, strict=True):
        np.testing.assert_array_equal(dataset[index]['img'], other)


def test_seeds_and_splits_share_no_image():
    options = [{'seed': s, 'split': p} for s in (0, 1) for p in ('train', 'val', 'test')]
    drawn = [SyntheticScenes(num_samples=5, img_size=32, **o) for o in options]
    assert len({d[i]['img'].tobytes() for d in drawn for i in range(5)}) == 30
    assert len({d[i]['img_path'] for d in drawn for i in range(5)}) == 30


def test_classes_depend_neither_on_size_nor_on_the_number_of_samples():
    small = SyntheticScenes(num_samples=20, img_size=32)
    large = SyntheticScenes(num_samples=300, img_size=128, indices=[19, 299])
    assert small[19]['gt_label'] == large[0]['gt_label']
    assert small[19]['gt_label_difficult'] == large[0]['gt_label_difficult']
    shrunk = large[0]['img'].reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
    # The same picture, but for the pixel noise and the patterns' scale.
    assert np.corrcoef(shrunk.ravel(), small[19]['img'].ravel())[0, 1] > 0.6


def test_distribution_of_the_classes(scenes):
    counts = np.zeros((2, len(CLASSES)))
    for scene in scenes:
        assert scene.positive or scene.difficult
        assert scene.positive == sorted(set(scene.positive))
        assert scene.difficult == sorted(set(scene.difficult))
        counts[0, scene.positive] += 1
        counts[1, scene.difficult] += 1
    # Each class is in a fifth of the images, and difficult in some of them.
    assert (counts[0] > 40).all()
    assert (counts[1] > 8).all()
    assert np.mean([len(s.positive) + len(s.difficult) > 1 for s in scenes]) > 0.4


def test_the_class_map_shows_what_is_labelled(scenes):
    for scene in scenes[:150]:
        shown = class_map(scene, 192)
        assert shown.shape == (192, 192)
        assert shown.dtype == np.uint8
        classes = set(np.unique(shown)) - {0, 255}
        labelled = {c + 1 for c in (*scene.positive, *scene.difficult)}
        assert classes <= labelled
        # Only the smallest and thinnest objects have no pixel inside their border.
        assert {c + 1 for c in scene.positive} <= classes
        for label in scene.positive:
            assert (shown == label + 1).mean() > 0.1 * _scene_model.TINY_AREA


def test_void_is_a_thin_border_around_objects(scenes):
    for scene in scenes[:40]:
        shown = class_map(scene, 96)
        if scene.unlabelled:
            continue
        void = shown == 255
        assert 0 < void.mean() < 0.2
        objects = (shown > 0) & ~void
        near = ndimage.distance_transform_cdt(~objects, 'chessboard')
        assert (shown[near == 1] == 255).all()
    alone = dataclasses.replace(
        scenes[0],
        items=[background(), item_at(CLASSES.index('house'), 0.3, np.array([0.5, 0.5]))],
        unlabelled=[],
    )
    void = class_map(alone, 96) == 255
    filled = ndimage.binary_fill_holes(void)
    # Two pixels wide at most, all around the outline.
    outline = filled ^ ndimage.binary_erosion(filled)
    assert ndimage.label(void, np.ones((3, 3)))[1] == 1
    assert outline.sum() <= void.sum() <= 2.2 * outline.sum()


def item_at(label, half, center):
    rng = np.random.default_rng(0)
    parts = [(half * p + center, tone) for p, tone in _scene_model._OBJECTS[CLASSES[label]]]
    return _scene_model._item(rng, label, parts)


def background():
    return _scene_model._item(
        np.random.default_rng(1), None, [(_scene_model._box(-0.1, -0.1, 1.1, 1.1), 1)]
    )


def cover(left, top, right, bottom):
    return _scene_model._item(
        np.random.default_rng(2), None, [(_scene_model._box(left, top, right, bottom), 1)]
    )


def test_difficult_are_the_tiny_and_the_mostly_hidden():
    visible = _scene_model._visible_classes
    center = np.array([0.5, 0.5])
    fish = CLASSES.index('fish')
    whole = item_at(fish, 0.3, center)
    assert visible([background(), whole]) == ({fish}, set(), [])
    assert visible([background(), item_at(fish, 0.05, center)]) == (set(), {fish}, [])
    assert visible([background(), item_at(fish, 0.01, center)]) == (set(), set(), [1])
    # The body is to the left; a cover from the left hides more and more of it.
    for edge, expected in [(0.3, ({fish}, set(), [])), (0.55, (set(), {fish}, []))]:
        assert visible([background(), whole, cover(0, 0, edge, 1)]) == expected
    assert visible([background(), whole, cover(0, 0, 0.85, 1)]) == (set(), set(), [1])
    # The image's edge hides as well.
    assert visible([background(), item_at(fish, 0.3, np.array([1.15, 0.5]))]) == (set(), {fish}, [])
    # Two of a class: one is seen, one is difficult.
    both = [background(), whole, item_at(fish, 0.04, np.array([0.1, 0.1]))]
    assert visible(both) == ({fish}, {fish}, [])


def test_an_unlabelled_object_is_void():
    scene = sample_scene(np.random.default_rng(0))
    star = item_at(CLASSES.index('star'), 0.3, np.array([0.5, 0.5]))
    lost = dataclasses.replace(scene, items=[background(), star], unlabelled=[1])
    labelled = dataclasses.replace(lost, unlabelled=[])
    assert set(np.unique(class_map(lost, 64))) == {0, 255}
    inside = class_map(labelled, 64) == CLASSES.index('star') + 1
    assert inside.mean() > 0.05
    assert (class_map(lost, 64)[inside] == 255).all()


def test_colour_hints_at_the_class_and_does_not_tell_it():
    # A linear reading of mean colours and contrast, by the area under its ROC curve.
    scenes = [sample_scene(np.random.default_rng([1, i])) for i in range(800)]
    images = np.stack([draw_scene(s, 32) for s in scenes]).reshape(800, -1, 3) / 255.0
    x = np.concatenate([images.mean(1), images.std(1), np.ones((800, 1))], 1)
    areas = []
    for label in range(len(CLASSES)):
        y = np.array([label in s.positive for s in scenes], float)
        weights = np.linalg.lstsq(x[:400], y[:400], rcond=None)[0]
        ranks = (x[400:] @ weights).argsort().argsort()
        truth = y[400:] > 0
        areas.append((ranks[truth].mean() - (truth.sum() - 1) / 2) / (~truth).sum())
    assert 0.5 < np.mean(areas) < 0.7
    assert max(areas) < 0.8


def test_objects_are_painted_with_their_colours(scenes):
    scene = scenes[0]
    side = 64
    flat = [
        dataclasses.replace(i, colors=np.full((3, 2, 3), 40.0 * n))
        for n, i in enumerate(scene.items)
    ]
    plain = dataclasses.replace(
        scene, items=flat[:6], noise=np.zeros(3), light=np.ones((2, 2)), unlabelled=[]
    )
    owner = _scene_model._owners(plain.items, 2 * side).reshape(side, 2, side, 2)
    uniform = owner.min(axis=(1, 3)) == owner.max(axis=(1, 3))
    expected = 40.0 * owner[:, 0, :, 0]
    np.testing.assert_array_equal(
        draw_scene(plain, side)[uniform], expected[uniform][:, None].repeat(3, 1)
    )


def test_drawing_is_fast():
    dataset = SyntheticScenes(num_samples=60, img_size=96, target='segmentation')
    dataset[0]
    start = time.process_time()
    for index in range(60):
        dataset[index]
    # Measured: 4 ms; the bound leaves room for slow machines.
    assert (time.process_time() - start) / 60 < 0.03


def test_multilabel_samples():
    dataset = DATASETS.build(dict(type='SyntheticScenes', num_samples=3, img_size=48, seed=7))
    assert isinstance(dataset, BaseDataset)
    sample = dataset[1]
    assert sample['img'].dtype == np.uint8
    assert sample['img'].flags.c_contiguous
    assert sample['img_shape'] == sample['ori_shape'] == (48, 48) == sample['img'].shape[:2]
    assert sample['img_path'] == 'synthetic://scenes/7/train/1'
    assert 'gt_seg_map' not in sample
    assert dataset.metainfo['classes'] == CLASSES
    assert dataset.scene(1).positive == sample['gt_label']


def test_segmentation_samples():
    dataset = SyntheticScenes(num_samples=3, img_size=48, target='segmentation')
    sample = dataset[2]
    np.testing.assert_array_equal(sample['gt_seg_map'], class_map(dataset.scene(2), 48))
    assert sample['seg_fields'] == ['gt_seg_map']
    assert sample['reduce_zero_label'] is False
    assert dataset.metainfo['classes'] == ('background', *CLASSES)
    assert len(dataset.metainfo['palette']) == len(CLASSES) + 1
    same = SyntheticScenes(num_samples=3, img_size=48)
    np.testing.assert_array_equal(sample['img'], same[2]['img'])


def test_announced_once(monkeypatch):
    messages = []
    monkeypatch.setattr(synthetic_scenes, '_announced', set())
    monkeypatch.setattr(synthetic_scenes, 'print_log', lambda text, **_: messages.append(text))
    lazy = SyntheticScenes(num_samples=2, lazy_init=True)
    assert messages == []
    lazy.full_init()
    SyntheticScenes(num_samples=2)
    assert len(messages) == 1
    assert 'not photographs' in messages[0]
    assert 'configs/multilabel/' in messages[0]
    SyntheticScenes(num_samples=2, target='segmentation')
    assert 'configs/seg/' in messages[1]


@pytest.mark.parametrize(
    ('options', 'error', 'text'),
    [
        ({'num_samples': 0}, ValueError, 'num_samples must be at least 1, got 0'),
        ({'num_samples': 2.0}, TypeError, r'num_samples must be an integer, got 2\.0'),
        ({'img_size': 16}, ValueError, 'img_size must be at least 32, got 16'),
        ({'seed': -1}, ValueError, 'seed must be at least 0, got -1'),
        ({'seed': True}, TypeError, 'seed must be an integer'),
        ({'split': 'dev'}, ValueError, r"split must be one of .*got 'dev'"),
        ({'target': 'boxes'}, ValueError, r"target must be one of .*got 'boxes'"),
    ],
)
def test_bad_arguments(options, error, text):
    with pytest.raises(error, match=text):
        SyntheticScenes(**options)
