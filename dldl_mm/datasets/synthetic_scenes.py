"""Drawn scenes of objects in clutter: the embedded data of multi-label and segmentation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from dldl_mm.datasets._options import SPLITS, check_choice, check_integer
from dldl_mm.datasets._scene_model import (
    CLASSES,
    Scene,
    class_map,
    draw_scene,
    sample_scene,
)
from dldl_mm.registry import DATASETS

__all__ = ['CLASSES', 'Scene', 'SyntheticScenes', 'class_map', 'draw_scene', 'sample_scene']

TARGETS = ('multilabel', 'segmentation')
PALETTE = [
    *([0, 0, 0], [31, 119, 180], [255, 127, 14], [44, 160, 44], [214, 39, 40]),
    *([148, 103, 189], [140, 86, 75], [227, 119, 194], [188, 189, 34]),
]

_announced: set[str] = set()


@DATASETS.register_module()
class SyntheticScenes(BaseDataset):
    """Objects of eight classes in clutter, drawn on the fly.

    An image depends on ``seed``, ``split`` and its index alone: it has the same pixels in every
    process, in any order and with any number of workers, and the splits of one seed never share an
    image. One to four objects (boat, cup, fish, house, key, mushroom, star, tree) stand among blobs,
    bars, discs, frames and triangles. Size, rotation, proportions and patterns are random and the
    same for every class and for the clutter. A class has usual colours, from which its objects stray
    and which the clutter may have too: they hint at the class, the shape tells it.

    An object that covers less than 0.8% of the image or of which less than 40% is visible is difficult;
    one of which hardly anything is visible is not labelled. The classes of an image do not depend on
    ``img_size``.

    The data serve to try the software. They are drawings, and no figure measured on them says anything
    about photographs.

    Args:
        num_samples: Number of images.
        img_size: Width and height of the images in pixels, at least 32.
        seed: Seed of the whole set, a non-negative integer.
        split: 'train', 'val' or 'test'.
        target: 'multilabel' for the annotations of mmpretrain's VOC: ``gt_label`` and
            ``gt_label_difficult``, lists of the classes of objects that are not difficult, and of those
            that are. A class may be in both; never are both empty. 'segmentation' for those of mmseg:
            ``gt_seg_map`` (H, W) uint8, in which 0 is background and clutter, the classes follow from
            1, and 255 (void) marks borders of objects and objects without a label.
        pipeline: Transforms that follow the drawing, which takes the place of loaders.
        metainfo: Passed on to ``BaseDataset``, as are the arguments below.
        indices: Keep the first so many images, or those of these indices.
        serialize_data: Keep the annotations in one shared buffer.
        test_mode: Whether a failing pipeline raises instead of trying another image.
        lazy_init: Place the objects at the first use.
        max_refetch: How many other images to try when the pipeline returns None.

    A sample holds ``img`` (H, W, 3) uint8 in blue, green, red, ``img_path`` (a name, not a file),
    ``img_shape``, ``ori_shape`` and the annotations. ``metainfo`` has the names of the classes, for
    segmentation with background and a palette.

    Raises:
        ValueError, TypeError: For an argument out of its range, naming it.

    Example:
        >>> from dldl_mm.datasets.synthetic_scenes import SyntheticScenes
        >>> scenes = SyntheticScenes(num_samples=4, split='val', lazy_init=True)
        >>> info = scenes.load_data_list()[3]
        >>> info['img_path'], [scenes.metainfo['classes'][c] for c in info['gt_label']]
        ('synthetic://scenes/0/val/3', ['boat', 'cup'])
    """

    def __init__(
        self,
        num_samples: int = 2000,
        img_size: int = 96,
        seed: int = 0,
        split: str = 'train',
        target: str = 'multilabel',
        pipeline: Sequence = (),
        metainfo: Mapping | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        self.num_samples = check_integer('SyntheticScenes', 'num_samples', num_samples, 1)
        self.img_size = check_integer('SyntheticScenes', 'img_size', img_size, 32)
        self.seed = check_integer('SyntheticScenes', 'seed', seed, 0)
        self.split = check_choice('SyntheticScenes', 'split', split, SPLITS)
        self.target = check_choice('SyntheticScenes', 'target', target, TARGETS)
        own: dict[str, Any] = dict(classes=CLASSES)
        if target == 'segmentation':
            own.update(classes=('background', *CLASSES), palette=PALETTE)
        super().__init__(
            metainfo={**own, **(metainfo or {})},
            data_prefix={},
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def full_init(self) -> None:
        """Place the objects and say, once per process and target, that the data are synthetic."""
        if not self._fully_initialized:
            _announce(self.target)
        super().full_init()

    def load_data_list(self) -> list[dict]:
        """Annotations of all images; nothing is drawn."""
        return [self._annotate(index) for index in range(self.num_samples)]

    def prepare_data(self, idx: int) -> Any:
        """Draw one image and run the pipeline on it."""
        results = self.get_data_info(idx)
        scene = self.scene(results['scene_index'])
        results['img'] = draw_scene(scene, self.img_size)
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        if self.target == 'segmentation':
            results['gt_seg_map'] = class_map(scene, self.img_size)
        return self.pipeline(results)

    def scene(self, index: int) -> Scene:
        """What the image of this index in the split (not in a subset of it) shows."""
        seeds = [self.seed, SPLITS.index(self.split), index]
        return sample_scene(np.random.default_rng(seeds))

    def _annotate(self, index: int) -> dict:
        path = f'synthetic://scenes/{self.seed}/{self.split}/{index}'
        info: dict[str, Any] = dict(img_path=path, scene_index=index)
        if self.target == 'segmentation':
            # What mmseg's loader of annotations adds.
            info.update(
                seg_map_path=path,
                seg_fields=['gt_seg_map'],
                reduce_zero_label=False,
                label_map=None,
            )
        else:
            scene = self.scene(index)
            info.update(gt_label=scene.positive, gt_label_difficult=scene.difficult)
        return info


_OWN_DATA = dict(
    multilabel='bring them into the layout of PASCAL VOC, or of a data set that mmpretrain reads; see '
    'configs/multilabel/.',
    segmentation='put images and label maps (one class index per pixel, 255 for void) into two folders '
    'that mmsegmentation reads; see configs/seg/ and docs/segmentation.md.',
)


def _announce(target: str) -> None:
    if target in _announced:
        return
    _announced.add(target)
    print_log(
        'SyntheticScenes: these are drawn scenes, not photographs; they serve to try the software, and '
        'figures measured on them say nothing about real images. To use your own images, '
        + _OWN_DATA[target],
        logger='current',
    )
