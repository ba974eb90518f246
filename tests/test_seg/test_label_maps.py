"""LabelMapDataset and LabelMapCheckHook: what does not fit is named before training."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset
from mmengine.registry import DefaultScope
from PIL import Image

from dldl_mm.registry import HOOKS
from dldl_mm.seg import LabelMapCheckHook, LabelMapDataset

CLASSES = ('sky', 'road', 'tree')
PALETTE = [[0, 0, 0], [9, 99, 200], [40, 50, 60]]


@pytest.fixture
def folder(tmp_path):
    """Three images with label maps of 6x4 pixels: classes 0 to 2 and void."""
    rng = np.random.default_rng(0)
    for number in range(3):
        write(tmp_path / 'img' / f'{number}.jpg', rng.integers(0, 255, (4, 6, 3), dtype=np.uint8))
        label = rng.integers(0, 3, (4, 6), dtype=np.uint8)
        label[0] = 255
        write(tmp_path / 'ann' / f'{number}.png', label)
    return tmp_path


def write(path, array, palette=False):
    path.parent.mkdir(exist_ok=True)
    image = Image.fromarray(array)
    if palette:
        image.putpalette(np.uint8(PALETTE).tobytes())
    image.save(path)


def load(root, backend='pillow', **options):
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', imdecode_backend=backend),
        dict(type='PackSegInputs'),
    ]
    options = {
        'data_root': str(root),
        'data_prefix': dict(img_path='img', seg_map_path='ann'),
        'metainfo': dict(classes=CLASSES, palette=PALETTE),
        'pipeline': pipeline,
        **options,
    }
    with DefaultScope.overwrite_default_scope('mmseg'):
        return LabelMapDataset(**options)


def check(dataset, num_classes=3, ignore_index=255, **options):
    LabelMapCheckHook(**options).check(dataset, 'train', num_classes, ignore_index)


def test_label_maps_that_fit(folder, log_lines):
    dataset = load(folder)
    assert len(dataset) == 3
    label = dataset[1]['data_samples'].gt_sem_seg.data[0]
    np.testing.assert_array_equal(label, np.array(Image.open(folder / 'ann' / '1.png')))
    check(dataset)
    assert log_lines[-1] == '3 of the 3 label maps of the train data set were checked'
    check(dataset, max_files=2)
    assert log_lines[-1] == '2 of the 3 label maps of the train data set were checked'


def test_folder_without_images(folder):
    with pytest.raises(ValueError, match=r"/img has no image \(img_suffix is '.tif'\)"):
        load(folder, img_suffix='.tif')


def test_label_out_of_range_is_named_with_its_file(folder):
    write(folder / 'ann' / '2.png', np.uint8([[0, 1, 2, 3, 7, 7]] * 4))
    message = (
        r'ann/2.png: label 7 in 8 pixel\(s\) is neither a class \(0 to 2\) nor ignore_index \(255\)'
    )
    with pytest.raises(ValueError, match=message):
        check(load(folder))


def test_void_must_be_the_ignored_label(folder):
    with pytest.raises(ValueError, match=r'label 255 in 6 pixel\(s\) .* ignore_index \(254\)'):
        check(load(folder), ignore_index=254)


def test_colour_mask_is_refused(folder):
    write(folder / 'ann' / '0.png', np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(ValueError, match=r'ann/0.png: expected one class index per pixel .* RGB'):
        check(load(folder))


def test_palette_mask_must_not_be_read_as_colours(folder):
    label = np.uint8([[0, 1, 2, 0, 1, 2]] * 4)
    write(folder / 'ann' / '0.png', label, palette=True)
    check(load(folder))
    np.testing.assert_array_equal(load(folder)[0]['data_samples'].gt_sem_seg.data[0], label)
    with pytest.raises(ValueError, match=r'palette was read as colours \(shape \(4, 6, 3\)\)'):
        check(load(folder, backend='cv2'))


def test_sizes_must_agree(folder):
    write(folder / 'ann' / '1.png', np.zeros((4, 5), np.uint8))
    message = r'ann/1.png: the label map is 5x4 pixels, its image .*/img/1.jpg 6x4'
    with pytest.raises(ValueError, match=message):
        check(load(folder))


def test_missing_and_broken_files(folder):
    dataset = load(folder)
    (folder / 'ann' / '1.png').write_bytes(b'not a picture')
    with pytest.raises(ValueError, match=r'ann/1.png: the label map or its image cannot be read'):
        check(dataset)
    (folder / 'ann' / '1.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'no file .*ann/1.png \(seg_map_path\)'):
        check(dataset)


def test_number_of_classes(folder):
    message = 'the train data set has 3 classes, but model.decode_head.num_classes is 4'
    with pytest.raises(ValueError, match=message):
        check(load(folder), num_classes=4)


def test_labels_that_the_data_set_changes_are_checked_as_it_gives_them(folder):
    """With reduce_zero_label 0 becomes void and 1 to C become 0 to C - 1."""
    label = np.uint8([[0, 1, 2, 3, 3, 3]] * 4)
    for number in range(3):
        write(folder / 'ann' / f'{number}.png', label)
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', reduce_zero_label=True, imdecode_backend='pillow'),
    ]
    check(load(folder, reduce_zero_label=True, pipeline=pipeline))
    with pytest.raises(ValueError, match=r'label 3 in 12 pixel\(s\)'):
        check(load(folder))


def test_hook_looks_into_wrapped_data_sets_of_every_loop(folder, tmp_path):
    good = load(folder)
    bad = load(folder, data_prefix=dict(img_path='img', seg_map_path='no_such'))
    head = SimpleNamespace(num_classes=3, ignore_index=255)
    runner = SimpleNamespace(
        model=SimpleNamespace(decode_head=head),
        _train_loop=dict(type='IterBasedTrainLoop'),
        _val_loop=loop(ConcatDataset([good, good])),
        _test_loop=None,
    )
    hook = HOOKS.build(dict(type='LabelMapCheckHook'))
    hook.before_run(runner)
    runner._test_loop = loop(ConcatDataset([good, bad]))
    with pytest.raises(FileNotFoundError, match=r'the test data set has no file .*no_such'):
        hook.before_run(runner)
    # A model without a decode head is none of its business.
    hook.before_run(SimpleNamespace(model=SimpleNamespace()))


def loop(dataset):
    return SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset))


def test_bad_option():
    with pytest.raises(ValueError, match='max_files must be at least 1, got 0'):
        LabelMapCheckHook(max_files=0)
