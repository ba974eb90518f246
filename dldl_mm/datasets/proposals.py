"""Proposals: boxes that may hold an object, for PF-DLDL.

Boxes are (P, 4) float32 ``x1, y1, x2, y2`` in pixels of the stored image, whose left upper corner is
(0, 0) and whose right lower corner is (width, height). P proposals.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from dldl_mm.datasets._tables import parse_number, read_table

__all__ = [
    'cluster_proposals',
    'filter_proposals',
    'grid_proposals',
    'read_proposals',
    'selective_search',
    'write_proposals',
]

_CORNERS = ('x1', 'y1', 'x2', 'y2')


def grid_proposals(width: int, height: int, divisions: int = 4) -> np.ndarray:
    """Proposals that need no image: half overlapping windows of several sizes and shapes.

    For each i and j from 1 to ``divisions``, i windows side by side and j above each other, each
    overlapping the next by half, cover the image: the whole image (i = j = 1), and windows down to
    2 / (divisions + 1) of its sides.

    Args:
        width: Width of the image in pixels.
        height: Its height.
        divisions: Most windows along a side.

    Returns:
        (P, 4) boxes, P the square of 1 + ... + ``divisions`` (100 for 4), with whole corners.

    Raises:
        ValueError: A number is less than 1.

    Example:
        >>> grid_proposals(30, 10, divisions=2)[:4].tolist()
        [[0.0, 0.0, 30.0, 10.0], [0.0, 0.0, 30.0, 7.0], [0.0, 3.0, 30.0, 10.0], [0.0, 0.0, 20.0, 10.0]]
    """
    for name, number in dict(width=width, height=height, divisions=divisions).items():
        if number < 1:
            raise ValueError(f'grid_proposals: {name} must be at least 1, got {number}')
    spans = [
        [(start / (count + 1), (start + 2) / (count + 1)) for start in range(count)]
        for count in range(1, divisions + 1)
    ]
    boxes = [
        (left * width, top * height, right * width, bottom * height)
        for across in spans
        for down in spans
        for left, right in across
        for top, bottom in down
    ]
    return np.rint(boxes).astype(np.float32)


def selective_search(image: np.ndarray, seed: int = 0) -> np.ndarray:
    """Proposals of OpenCV's selective search (Uijlings et al., IJCV 2013), in its fast setting.

    Args:
        image: (H, W, 3) uint8.
        seed: Seed of OpenCV's random numbers, which order the proposals.

    Returns:
        (P, 4) boxes, each once.

    Raises:
        ImportError: OpenCV is installed without its contributed modules.
    """
    if not hasattr(cv2, 'ximgproc'):
        raise ImportError(
            'selective search needs cv2.ximgproc, which opencv-contrib-python-headless has '
            '(it takes the place of opencv-python)'
        )
    cv2.setRNGSeed(seed)
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(image)
    search.switchToSelectiveSearchFast()
    boxes = np.unique(search.process().astype(np.float32), axis=0)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def filter_proposals(
    boxes: np.ndarray, min_area: float = 900.0, max_aspect: float = 4.0
) -> np.ndarray:
    """Leave out small and narrow proposals (Gao et al., TIP 2017).

    Args:
        boxes: (P, 4) boxes.
        min_area: Smallest area, in square pixels.
        max_aspect: Largest ratio of the longer to the shorter side.

    Returns:
        The others, (at most P, 4).

    Example:
        >>> filter_proposals(np.float32([[0, 0, 29, 30], [0, 0, 30, 30], [0, 0, 200, 40]])).tolist()
        [[0.0, 0.0, 30.0, 30.0]]
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    narrow = sides.max(1) > max_aspect * sides.min(1)
    return boxes[(sides.prod(1) >= min_area) & ~narrow]


def cluster_proposals(boxes: np.ndarray, num_clusters: int = 15, seed: int = 0) -> np.ndarray:
    """Group proposals that overlap, by a normalised cut of their IoU (intersection over union).

    The relaxed cut of scikit-learn's ``SpectralClustering`` (Shi and Malik, PAMI 2000).

    Args:
        boxes: (P, 4) boxes.
        num_clusters: Number of groups m.
        seed: Seed of the eigensolver and of k-means.

    Returns:
        (P,) int64 group of each proposal; the groups are numbered by their first proposal.

    Raises:
        ValueError: There are fewer proposals than groups, or ``num_clusters`` is less than 1.
        ImportError: scikit-learn or torchvision is missing.
    """
    if not 1 <= num_clusters <= len(boxes):
        raise ValueError(
            f'cluster_proposals: num_clusters must be between 1 and the number of proposals, '
            f'{len(boxes)}, got {num_clusters}'
        )
    if num_clusters in (1, len(boxes)):
        return np.arange(len(boxes)) if num_clusters > 1 else np.zeros(len(boxes), np.int64)
    try:
        from sklearn.cluster import SpectralClustering
    except ImportError as error:
        raise ImportError(
            'grouping proposals needs scikit-learn: pip install scikit-learn'
        ) from error
    import torch
    from torchvision.ops import box_iou

    corners = torch.as_tensor(boxes, dtype=torch.float64)
    # Proposals far apart do not overlap; a faint link keeps the graph in one piece, as the cut asks.
    affinity = box_iou(corners, corners).numpy() + 1e-6
    groups = SpectralClustering(
        num_clusters, affinity='precomputed', assign_labels='kmeans', random_state=seed
    ).fit_predict(affinity)
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def read_proposals(
    path: str | os.PathLike[str], width: int, height: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Read the proposals of one image.

    A CSV file with the columns ``x1``, ``y1``, ``x2``, ``y2`` and, where they are grouped, ``group``, a
    whole number.

    Args:
        path: The file.
        width: Width of the image, which the boxes must not leave.
        height: Its height.

    Returns:
        (P, 4) boxes, and (P,) int64 groups or None.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Names the file, row and box: a column is missing, something is not a number, or a
            box is empty or leaves the image.
    """
    columns, rows = read_table(str(path))
    if missing := [name for name in _CORNERS if name not in columns]:
        raise ValueError(f'{path}: there is no column {missing[0]}, expected x1,y1,x2,y2[,group]')
    boxes = np.empty((len(rows), 4), np.float32)
    groups = np.empty(len(rows), np.int64) if 'group' in columns else None
    for index, (source, cells) in enumerate(rows):
        x1, y1, x2, y2 = (parse_number(cells[name], name, source) for name in _CORNERS)
        if not (x1 < x2 and y1 < y2):
            raise ValueError(
                f'{source}: the box ({x1:g}, {y1:g}, {x2:g}, {y2:g}) is empty; '
                'expected x1 < x2 and y1 < y2'
            )
        if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
            raise ValueError(
                f'{source}: the box ({x1:g}, {y1:g}, {x2:g}, {y2:g}) leaves the image, '
                f'which is {width} pixels wide and {height} high'
            )
        boxes[index] = x1, y1, x2, y2
        if groups is not None:
            group = parse_number(cells['group'], 'group', source)
            if group != int(group) or abs(group) >= 2**53:
                raise ValueError(f'{source}: group {group:g} is not a whole number below 2^53')
            groups[index] = int(group)
    return boxes, groups


def write_proposals(
    path: str | os.PathLike[str], boxes: np.ndarray, groups: np.ndarray | None = None
) -> None:
    """Write the proposals of one image, for :func:`read_proposals`; the file appears whole or not."""
    table = boxes if groups is None else np.column_stack([boxes, groups])
    names = [*_CORNERS, *([] if groups is None else ['group'])]
    lines = [','.join(names), *(','.join(f'{number:.9g}' for number in row) for row in table)]
    path = Path(path)
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    partial.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    os.replace(partial, path)
