"""Start-up check: the label maps fit the images and the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from PIL import Image, UnidentifiedImageError
from torch import nn

from dldl_mm.hooks._bare_model import bare_model
from dldl_mm.registry import HOOKS

# Pillow's modes with one small integer per pixel: greyscale, palette, black and white.
_LABEL_MODES = ('L', 'P', '1')


@HOOKS.register_module()
class LabelMapCheckHook(Hook):
    """Refuses label maps that training would stumble over, or silently take for something else.

    Before training or testing begins, every data set that names label maps in files
    (``seg_map_path``) is looked through: is each image and each label map there, have both one size,
    is a label map one channel of class indices, and is every index below the number of classes or the
    ignored one? A label out of range would be an assertion on a GPU, without a file name. Colour
    masks must be converted to indices first.

    Args:
        max_files: Look at no more than so many label maps of a data set, evenly spaced; all images
            and label maps must exist in any case.

    Raises:
        FileNotFoundError: Names the missing file.
        ValueError: Names the file, what is wrong with it and what was expected.
    """

    priority = 'VERY_HIGH'

    def __init__(self, max_files: int = 2000) -> None:
        if max_files < 1:
            raise ValueError(f'LabelMapCheckHook: max_files must be at least 1, got {max_files}')
        self.max_files = max_files

    def before_run(self, runner: Runner) -> None:
        """Check the data sets of a runner, in its main process."""
        model = bare_model(runner.model)
        head: Any = getattr(model, 'decode_head', None)
        if head is None or not is_main_process():
            return
        if isinstance(head, nn.ModuleList):
            head = head[-1]
        for name in ('train', 'val', 'test'):
            loop = getattr(runner, f'_{name}_loop')
            if hasattr(loop, 'dataloader'):  # a loop that is not built yet is a config
                for dataset in _leaves(loop.dataloader.dataset):
                    self.check(dataset, name, head.num_classes, head.ignore_index)

    def check(self, dataset: Any, name: str, num_classes: int, ignore_index: int) -> None:
        """Check one data set.

        Args:
            dataset: A data set of mmengine.
            name: Its name in messages.
            num_classes: C of the decode head.
            ignore_index: The ignored label of the decode head.

        Raises:
            FileNotFoundError: An image or a label map is missing.
            ValueError: A label map does not fit.
        """
        classes = dataset.metainfo.get('classes')
        if classes is not None and len(classes) != num_classes:
            raise ValueError(
                f'the {name} data set has {len(classes)} classes, but model.decode_head.num_classes '
                f'is {num_classes}'
            )
        loader = next((t for t in dataset.pipeline.transforms if hasattr(t, '_load_seg_map')), None)
        if loader is None:  # drawn data, or a test set without label maps
            return
        infos = [dataset.get_data_info(index) for index in range(len(dataset))]
        for info in infos:
            for key in ('img_path', 'seg_map_path'):
                if not Path(info[key]).is_file():
                    raise FileNotFoundError(f'the {name} data set has no file {info[key]} ({key})')
        step = max(1, -(-len(infos) // self.max_files))
        chosen = infos[::step]

        def look(info: dict[str, Any]) -> None:
            _check_label_map(info, loader, num_classes, ignore_index)

        # Decoding runs outside of Python's lock.
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(look, chosen):
                pass
        print_log(
            f'{len(chosen)} of the {len(infos)} label maps of the {name} data set were checked',
            logger='current',
        )


def _leaves(dataset: Any) -> Iterator[Any]:
    """Data sets inside of wrappers such as ConcatDataset and RepeatDataset."""
    children: Iterable[Any] = getattr(dataset, 'datasets', None) or [
        child for child in [getattr(dataset, 'dataset', None)] if child is not None
    ]
    found = False
    for child in children:
        found = True
        yield from _leaves(child)
    if not found:
        yield dataset


def _check_label_map(
    info: dict[str, Any], loader: Any, num_classes: int, ignore_index: int
) -> None:
    path = info['seg_map_path']
    try:
        with Image.open(path) as mask, Image.open(info['img_path']) as image:
            mode, size, image_size = mask.mode, mask.size, image.size
        if mode in _LABEL_MODES:
            labels = loader.transform(dict(info, seg_fields=[]))['gt_seg_map']
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise ValueError(f'{path}: the label map or its image cannot be read: {error}') from error
    if mode not in _LABEL_MODES:
        raise ValueError(
            f'{path}: expected one class index per pixel (a greyscale or palette PNG), got an image '
            f'of mode {mode}'
        )
    if labels.ndim != 2:
        raise ValueError(
            f'{path}: the palette was read as colours (shape {labels.shape}); use '
            "LoadAnnotations(imdecode_backend='pillow')"
        )
    if size != image_size:
        raise ValueError(
            f'{path}: the label map is {size[0]}x{size[1]} pixels, its image {info["img_path"]} '
            f'{image_size[0]}x{image_size[1]}'
        )
    counts = np.bincount(labels.ravel(), minlength=256)
    counts[:num_classes] = 0
    if 0 <= ignore_index < 256:
        counts[ignore_index] = 0
    if counts.any():
        value = int(counts.argmax())
        raise ValueError(
            f'{path}: label {value} in {counts[value]} pixel(s) is neither a class '
            f'(0 to {num_classes - 1}) nor ignore_index ({ignore_index})'
        )
