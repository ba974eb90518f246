import numpy as np
import pytest
from mmengine.registry import DATASETS
from mmpretrain.datasets import VOC
from PIL import Image

import dldl_mm.cls  # noqa: F401
from dldl_mm.transforms import EncodeLabelDistribution

OBJECT = '<object><name>{}</name><difficult>{}</difficult></object>'
IMAGES = {
    'a': OBJECT.format('dog', 0) + OBJECT.format('cat', 1) + OBJECT.format('dog', 1),
    'b': OBJECT.format('person', 1),
    'c': OBJECT.format('bus', 0) + OBJECT.format('aeroplane', 0),
}


@pytest.fixture
def root(tmp_path):
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'ImageSets/Main/train.txt').write_text('\n'.join(IMAGES) + '\n')
    for name, objects in IMAGES.items():
        Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / f'JPEGImages/{name}.jpg')
        (tmp_path / f'Annotations/{name}.xml').write_text(f'<annotation>{objects}</annotation>')
    return tmp_path


def build(root, **options):
    return DATASETS.build(dict(type='VOCMultiLabel', data_root=str(root), split='train', **options))


def test_reads_what_mmpretrain_reads(root):
    ours, theirs = build(root), VOC(str(root), 'train')
    for index in range(3):
        mine, info = ours.get_data_info(index), theirs.get_data_info(index)
        assert mine['gt_label'] == sorted(info['gt_label'])
        assert mine['gt_label_difficult'] == sorted(info['gt_label_difficult'])
        assert mine['img_path'] == info['img_path']
    assert ours.get_data_info(0)['gt_label'] == [11]
    assert ours.get_data_info(0)['gt_label_difficult'] == [7, 11]


def test_an_object_without_difficult_is_not_difficult(root):
    path = root / 'Annotations/b.xml'
    path.write_text('<annotation><object><name>car</name></object></annotation>')
    info = build(root).get_data_info(1)
    assert (info['gt_label'], info['gt_label_difficult']) == ([6], [])


@pytest.mark.parametrize(
    ('objects', 'message'),
    [
        (OBJECT.format('zebra', 0), r"b\.xml: object 1 has the unknown class 'zebra'.*aeroplane"),
        (OBJECT.format('dog', 2), r"b\.xml: object 1 has difficult '2', expected 0 or 1"),
        ('<object>', r'b\.xml: malformed XML: mismatched tag'),
        (OBJECT.format('', 0), r"unknown class ''"),
    ],
)
def test_bad_annotations_are_named(root, objects, message):
    (root / 'Annotations/b.xml').write_text(f'<annotation>{objects}</annotation>')
    with pytest.raises(ValueError, match=message):
        build(root)


def test_some_of_the_classes(root):
    options = dict(metainfo=dict(classes=('cat', 'dog')))
    with pytest.raises(ValueError, match="unknown class 'person'"):
        build(root, **options)
    dataset = build(root, unknown_class='skip', **options)
    labels = [dataset.get_data_info(i)['gt_label'] for i in range(3)]
    assert labels == [[1], [], []]
    with pytest.raises(ValueError, match="unknown_class must be 'error' or 'skip', got 'drop'"):
        build(root, unknown_class='drop')


def test_an_image_without_a_class_is_found_before_training(root):
    transform = EncodeLabelDistribution(
        dict(type='MultiLabelCodec', num_classes=20, p_difficult=0.0)
    )
    with pytest.raises(ValueError, match=r'no class is positive.*b\.jpg'):
        build(root, pipeline=[transform])


def test_missing_and_truncated_files_are_named(root):
    (root / 'Annotations/c.xml').unlink()
    with pytest.raises(FileNotFoundError, match=r'no annotation .*c\.xml'):
        build(root)
    (root / 'ImageSets/Main/train.txt').write_text('a\nb\n')
    image = (root / 'JPEGImages/b.jpg').read_bytes()
    (root / 'JPEGImages/b.jpg').write_bytes(image[: len(image) // 2])
    with pytest.raises(ValueError, match=r'image .*b\.jpg is truncated'):
        build(root)
    (root / 'JPEGImages/b.jpg').unlink()
    with pytest.raises(ValueError, match=r'image .*b\.jpg does not exist'):
        build(root)
    (root / 'ImageSets/Main/train.txt').unlink()
    with pytest.raises(FileNotFoundError, match=r'no list of images .*train\.txt'):
        build(root)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', r'the list of images .*train\.txt is empty'),
        ('a\n\nb\n', r"train\.txt:2: expected the name of one image.*got ''"),
        ('a  1\nb -1\n', r"train\.txt:1: .*got 'a  1'"),
        ('\ufeffa\nb\n', r"train\.txt:1: .*got '\\ufeffa'"),
        (b'\xff\xfea', r'train\.txt is not UTF-8 text'),
    ],
)
def test_bad_lists_are_named(root, text, message):
    content = text if isinstance(text, bytes) else text.encode()
    (root / 'ImageSets/Main/train.txt').write_bytes(content)
    with pytest.raises(ValueError, match=message):
        build(root)
