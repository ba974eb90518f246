import itertools

import cv2
import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from dldl_mm.datasets.proposals import (
    cluster_proposals,
    filter_proposals,
    grid_proposals,
    read_proposals,
    selective_search,
    write_proposals,
)


def normalised_cut(affinity, groups):
    """Shi and Malik: the weight that leaves a group by all the weight of its members."""
    return sum(
        affinity[groups == g][:, groups != g].sum() / affinity[groups == g].sum()
        for g in set(groups)
    )


def test_grid_covers_the_image_at_every_size():
    boxes = grid_proposals(320, 240)
    assert len(boxes) == len(np.unique(boxes, axis=0)) == 100
    assert boxes[0].tolist() == [0, 0, 320, 240]
    assert boxes.min() == 0
    assert (boxes.max(0) == [320 * 3 / 5, 240 * 3 / 5, 320, 240]).sum() >= 2
    sides = np.unique(boxes[:, 2:] - boxes[:, :2], axis=0)
    # 2 / (n + 1) of a side, for n windows that overlap by half.
    widths, heights = ({round(2 * side / (n + 1)) for n in range(1, 5)} for side in (320, 240))
    assert {tuple(s) for s in sides} <= set(
        itertools.product(
            {w + d for w in widths for d in (-1, 0, 1)},
            {h + d for h in heights for d in (-1, 0, 1)},
        )
    )
    for bad in ((0, 5, 2), (5, 0, 2), (5, 5, 0)):
        with pytest.raises(ValueError, match='must be at least 1, got 0'):
            grid_proposals(*bad)


def test_filter_by_area_and_aspect():
    boxes = np.float32(
        [[0, 0, 30, 30], [0, 0, 29.9, 30], [5, 5, 165, 45], [5, 5, 166, 45], [0, 0, 20, 81]]
    )
    assert filter_proposals(boxes).tolist() == boxes[[0, 2]].tolist()
    assert filter_proposals(boxes, min_area=0, max_aspect=100).tolist() == boxes.tolist()


def test_clusters_find_what_overlaps():
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat(np.arange(6), 8))
    corners = 100.0 * truth[:, None] + rng.uniform(0, 15, (48, 2))
    boxes = np.hstack([corners, corners + rng.uniform(60, 80, (48, 2))]).astype(np.float32)
    groups = cluster_proposals(boxes, 6)
    first = [truth[groups == g][0] for g in range(6)]
    assert np.array_equal(np.array(first)[groups], truth)
    # Numbered by the first proposal of each.
    assert [int(np.flatnonzero(groups == g)[0]) for g in range(6)] == sorted(
        int(np.flatnonzero(truth == t)[0]) for t in range(6)
    )


def test_clusters_cut_less_than_chance_and_are_deterministic():
    boxes = filter_proposals(grid_proposals(320, 240))
    groups = cluster_proposals(boxes, 15, seed=3)
    assert np.array_equal(np.unique(groups), np.arange(15))
    assert np.array_equal(groups, cluster_proposals(boxes, 15, seed=3))
    corners = torch.as_tensor(boxes)
    affinity = box_iou(corners, corners).double().numpy()
    rng = np.random.default_rng(0)
    chance = [normalised_cut(affinity, rng.permutation(groups)) for _ in range(50)]
    assert normalised_cut(affinity, groups) < 0.9 * min(chance)


def test_trivial_and_impossible_numbers_of_clusters():
    boxes = grid_proposals(100, 100, 2)
    assert cluster_proposals(boxes, len(boxes)).tolist() == list(range(9))
    assert cluster_proposals(boxes, 1).tolist() == [0] * 9
    for number in (0, 10):
        with pytest.raises(ValueError, match=f'number of proposals, 9, got {number}'):
            cluster_proposals(boxes, number)


def test_files_round_trip(tmp_path):
    boxes = np.float32([[0, 0, 12.25, 40], [1 / 3, 2, 500, 375]])
    for groups in (None, np.array([4, 0])):
        write_proposals(tmp_path / 'a.csv', boxes, groups)
        back, back_groups = read_proposals(tmp_path / 'a.csv', 500, 375)
        assert np.array_equal(back, boxes)
        assert np.array_equal(back_groups, groups)
    assert [path.name for path in tmp_path.iterdir()] == ['a.csv']


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('x1,y1,x2,y2\n0,0,5,5\n3,0,12,5\n', r'a\.csv:3: the box \(3, 0, 12, 5\) leaves the image'),
        ('x1,y1,x2,y2\n-1,0,5,5\n', r'a\.csv:2: .*leaves the image, which is 10 pixels wide and 8'),
        ('x1,y1,x2,y2\n4,0,4,5\n', r'a\.csv:2: the box \(4, 0, 4, 5\) is empty; expected x1 < x2'),
        ('x1,y1,x2,y2\n4,5,6,1\n', r'a\.csv:2: .* is empty'),
        ('x1,y1,x2,y2\n', r'a\.csv has a header but no rows'),
        ('', r'a\.csv is empty'),
        ('x1,y1,x2\n0,0,5\n', r'a\.csv: there is no column y2'),
        ('x1,y1,x2,y2\n0,0,five,5\n', r"a\.csv:2: x2 'five' is not a number"),
        ('x1,y1,x2,y2\n0,0,nan,5\n', r"a\.csv:2: x2 'nan' is not finite"),
        ('x1,y1,x2,y2,group\n0,0,5,5,0.5\n', r'a\.csv:2: group 0\.5 is not a whole number'),
        ('x1,y1,x2,y2,group\n0,0,5,5,1e30\n', r'a\.csv:2: group 1e\+30 is not a whole number'),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    (tmp_path / 'a.csv').write_text(text)
    with pytest.raises(ValueError, match=message):
        read_proposals(tmp_path / 'a.csv', 10, 8)


@pytest.mark.skipif(not hasattr(cv2, 'ximgproc'), reason='needs opencv-contrib-python')
def test_selective_search_finds_a_square():
    image = np.full((120, 160, 3), 40, np.uint8)
    image[30:90, 50:110] = (30, 200, 230)
    boxes = selective_search(image)
    assert np.array_equal(boxes, selective_search(image))
    square = torch.tensor([[50.0, 30.0, 110.0, 90.0]])
    assert box_iou(torch.as_tensor(boxes), square).max() > 0.9
    assert boxes.min() >= 0
    assert (boxes.max(0) <= [160, 120, 160, 120]).all()


@pytest.mark.skipif(hasattr(cv2, 'ximgproc'), reason='opencv-contrib-python is installed')
def test_selective_search_names_what_is_missing():
    with pytest.raises(ImportError, match='opencv-contrib-python-headless'):
        selective_search(np.zeros((9, 9, 3), np.uint8))
