"""The classification task of PASCAL VOC, with its mistakes named before training."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from typing import Any

from mmpretrain.datasets import VOC

from dldl_mm.datasets._images import find_image_problems
from dldl_mm.registry import DATASETS


@DATASETS.register_module()
class VOCMultiLabel(VOC):
    """mmpretrain's ``VOC``, which refuses what that one passes over or fails at without a name.

    Annotations and images of the split are checked when the annotations are loaded. An ``object`` without
    ``difficult`` is not difficult. As in this package's other data sets, every transform with a method
    ``check_annotation`` is asked about every image, so that one without any class is found before
    training.

    Args:
        data_root: Folder with ``JPEGImages``, ``Annotations`` and ``ImageSets/Main``.
        split: ``'train'``, ``'val'``, ``'trainval'`` or ``'test'``.
        unknown_class: ``'error'`` refuses an object whose class is not among the ``classes``, ``'skip'``
            leaves it out, to learn some of the classes only.
        **kwargs: As in mmpretrain's ``VOC``.

    Raises:
        FileNotFoundError: There is no such split, or an annotation is missing.
        ValueError: Names the row of the split's list that is not one name, the annotation file and what
            is wrong with it, or an image that is missing, empty or truncated.
    """

    _fully_initialized: bool

    def __init__(
        self,
        data_root: str,
        split: str = 'trainval',
        unknown_class: str = 'error',
        **kwargs: Any,
    ) -> None:
        if unknown_class not in ('error', 'skip'):
            raise ValueError(
                f"VOCMultiLabel: unknown_class must be 'error' or 'skip', got {unknown_class!r}"
            )
        self.unknown_class = unknown_class
        super().__init__(data_root, split, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the split's annotations and check its images."""
        if not os.path.isfile(self.image_set_path):
            raise FileNotFoundError(
                f'VOCMultiLabel: there is no list of images {self.image_set_path}'
            )
        self._check_list()
        infos = super().load_data_list()
        paths = [info['img_path'] for info in infos]
        for index, problem in find_image_problems(paths).items():
            raise ValueError(f'VOCMultiLabel: the image {paths[index]} {problem}')
        return infos

    def full_init(self) -> None:
        """Load the annotations and ask the transforms about each of them."""
        if self._fully_initialized:
            return
        super().full_init()
        self.check_annotations()

    def check_annotations(self) -> None:
        """Ask the transforms about every image.

        Raises:
            ValueError: A transform refuses an annotation.
        """
        for transform in self.pipeline.transforms:
            check = getattr(transform, 'check_annotation', None)
            if check is not None:
                for index in range(len(self)):
                    check(self.get_data_info(index))

    def _check_list(self) -> None:
        try:
            with open(self.image_set_path, encoding='utf-8') as file:
                names = file.read().splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f'{self.image_set_path} is not UTF-8 text: {error}') from None
        if not names:
            raise ValueError(f'VOCMultiLabel: the list of images {self.image_set_path} is empty')
        for number, name in enumerate(names, start=1):
            if len(name.split()) != 1 or not name.isprintable():  # a byte order mark is not
                raise ValueError(
                    f'{self.image_set_path}:{number}: expected the name of one image, without folder '
                    f'and ending, got {name!r}'
                )

    def _get_labels_from_xml(self, img_id: str) -> tuple[list[int], list[int]]:
        path = os.path.join(self.ann_prefix, f'{img_id}.xml')
        if not os.path.isfile(path):
            raise FileNotFoundError(f'VOCMultiLabel: there is no annotation {path}')
        try:
            root = ElementTree.parse(path).getroot()
        except ElementTree.ParseError as error:
            raise ValueError(f'{path}: malformed XML: {error}') from error
        labels: tuple[set[int], set[int]] = (set(), set())
        for number, item in enumerate(root.findall('object'), start=1):
            name = (item.findtext('name') or '').strip()
            difficult = (item.findtext('difficult') or '0').strip()
            if difficult not in ('0', '1'):
                raise ValueError(
                    f'{path}: object {number} has difficult {difficult!r}, expected 0 or 1'
                )
            if name in self.class_to_idx:
                labels[int(difficult)].add(self.class_to_idx[name])
            elif self.unknown_class == 'error':
                raise ValueError(
                    f'{path}: object {number} has the unknown class {name!r}, expected one of '
                    f'{", ".join(self.CLASSES)}'
                )
        return sorted(labels[0]), sorted(labels[1])
