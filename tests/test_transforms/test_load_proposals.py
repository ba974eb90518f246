import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile, RandomFlip, Resize
from PIL import ExifTags, Image

from dldl_mm.datasets.proposals import write_proposals
from dldl_mm.registry import TRANSFORMS
from dldl_mm.transforms import LoadProposals

BOXES = np.float32([[0, 0, 40, 30], [0, 0, 20, 30], [10, 5, 40, 30], [1, 1, 9, 9], [4, 2, 30, 22]])
GROUPS = np.array([7, 0, 7, 2, 0])


@pytest.fixture
def sample(tmp_path):
    Image.new('RGB', (40, 30)).save(tmp_path / 'a.jpg')
    write_proposals(tmp_path / 'a.csv', BOXES, GROUPS)
    return dict(img_path=str(tmp_path / 'a.jpg'), img=np.zeros((30, 40, 3), np.uint8))


def test_all_of_them_and_one_of_each_group(sample, tmp_path):
    everything = LoadProposals(str(tmp_path))(dict(sample))['gt_bboxes']
    assert everything.dtype == np.float32
    assert np.array_equal(everything, BOXES)
    transform = TRANSFORMS.build(
        dict(type='LoadProposals', folder=str(tmp_path), one_per_group=True)
    )
    np.random.seed(0)
    drawn = set()
    for _ in range(60):
        boxes = transform(dict(sample))['gt_bboxes']
        indices = [int(np.flatnonzero((box == BOXES).all(1))[0]) for box in boxes]
        assert sorted(GROUPS[indices]) == [0, 2, 7]
        drawn.add(tuple(sorted(indices)))
    # Each combination of the groups {0, 2}, {1, 4} and {3} comes up.
    assert len(drawn) == 4


def test_boxes_follow_flip_and_resize_and_the_file_is_kept(sample, tmp_path):
    transform = LoadProposals(str(tmp_path))
    results = transform(dict(sample))
    results = RandomFlip(prob=1.0)(Resize(scale=(80, 15))(results))
    expected = BOXES * [2, 0.5, 2, 0.5]
    expected[:, [0, 2]] = 80 - expected[:, [2, 0]]
    np.testing.assert_allclose(results['gt_bboxes'], expected)
    (tmp_path / 'a.csv').unlink()
    assert np.array_equal(transform(dict(sample))['gt_bboxes'], BOXES)


def test_corners_are_those_of_the_image_as_it_is_decoded(sample, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # stored 30 x 40, to be shown 40 x 30
    Image.new('RGB', (30, 40)).save(sample['img_path'], exif=exif)
    assert LoadImageFromFile()(dict(sample))['img_shape'] == (30, 40)
    assert np.array_equal(LoadProposals(str(tmp_path))(dict(sample))['gt_bboxes'], BOXES)


def test_mistakes_are_named(sample, tmp_path):
    with pytest.raises(ValueError, match='must come before Resize and RandomFlip'):
        LoadProposals(str(tmp_path))(dict(sample, flip=False))
    write_proposals(tmp_path / 'a.csv', BOXES)
    with pytest.raises(ValueError, match=r'a\.csv: there is no column group.*--boxes'):
        LoadProposals(str(tmp_path), one_per_group=True).check_annotation(sample)
    write_proposals(tmp_path / 'a.csv', BOXES + 1)
    with pytest.raises(ValueError, match=r'a\.csv:2: the box \(1, 1, 41, 31\) leaves the image'):
        LoadProposals(str(tmp_path)).check_annotation(sample)
    (tmp_path / 'a.csv').unlink()
    with pytest.raises(FileNotFoundError, match=r'no proposals .*a\.csv of .*make_proposals'):
        LoadProposals(str(tmp_path)).check_annotation(sample)
