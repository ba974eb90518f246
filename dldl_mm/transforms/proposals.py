"""The hypotheses of PF-DLDL: an image's proposals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from dldl_mm.datasets._images import image_size
from dldl_mm.datasets.proposals import read_proposals
from dldl_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadProposals(BaseTransform):
    """Add the proposals of an image, all of them or one of each group drawn at random.

    The file ``FOLDER/NAME.csv`` belongs to the image ``NAME.jpg``; ``tools/make_proposals.py`` writes
    it, and :func:`~dldl_mm.datasets.proposals.read_proposals` describes it. Files are read once and
    kept. Data sets that ask the transforms about every image (``VOCMultiLabel``) find a bad file before
    training.

    Required keys: ``img_path``. Added key: ``gt_bboxes`` (M, 4) float32 ``x1, y1, x2, y2`` in pixels,
    under the name that ``Resize`` and ``RandomFlip`` of mmcv follow, so it stands before them. Pack it by
    ``PackInputs(algorithm_keys=('gt_bboxes', ...))``.

    Args:
        folder: Folder of the files.
        one_per_group: Draw one proposal of each group, for training; otherwise all are taken, for
            validation and test.
    """

    def __init__(self, folder: str, one_per_group: bool = False) -> None:
        self.folder = Path(folder)
        self.one_per_group = one_per_group
        self._read: dict[Path, tuple[np.ndarray, list[np.ndarray]]] = {}

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the boxes to the sample."""
        if {'flip', 'scale_factor'} & set(results):
            raise ValueError(
                'LoadProposals must come before Resize and RandomFlip, which move its boxes'
            )
        boxes, members = self._load(results['img_path'])
        if self.one_per_group:
            boxes = boxes[[np.random.choice(indices) for indices in members]]
        results['gt_bboxes'] = boxes.copy()
        return results

    def check_annotation(self, data_info: dict[str, Any]) -> None:
        """Refuse an image without proposals, or with bad ones; data sets call it before training."""
        self._load(data_info['img_path'])

    def _load(self, img_path: str) -> tuple[np.ndarray, list[np.ndarray]]:
        """(P, 4) proposals, and for each group the indices of its own."""
        path = self.folder / f'{Path(img_path).stem}.csv'
        if path not in self._read:
            if not path.is_file():
                raise FileNotFoundError(
                    f'there are no proposals {path} of {img_path}; tools/make_proposals.py makes them'
                )
            boxes, groups = read_proposals(path, *image_size(img_path))
            if self.one_per_group and groups is None:
                raise ValueError(
                    f'{path}: there is no column group, of which one proposal each is drawn; '
                    'tools/make_proposals.py --boxes adds it'
                )
            members = (
                [] if groups is None else [np.flatnonzero(groups == g) for g in np.unique(groups)]
            )
            self._read[path] = boxes, members
        return self._read[path]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(folder={str(self.folder)!r}, one_per_group={self.one_per_group})'
