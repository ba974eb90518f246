"""Transforms that are done once for each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform, Compose

from dldl_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class KeepInMemory(BaseTransform):
    """Apply transforms to each sample once and keep the result in memory.

    For small images of small data sets, where loading takes as long as training: put the loading and
    whatever is the same in every epoch inside, random transforms behind.

    Every worker keeps the samples that it has seen, so ``persistent_workers`` must be on; in the end
    the memory is the number of workers times what the transforms leave of the data set (2,800 crops of
    72 px are 43 MB).

    Required keys: ``sample_idx``, which the data sets add, and those of the transforms. Modified keys:
    those of the transforms.

    Args:
        transforms: Configs of transforms without randomness.
    """

    def __init__(self, transforms: Sequence[dict | Callable[[dict], dict]]) -> None:
        self.transforms = Compose(list(transforms))
        self._kept: dict[int, dict[str, Any]] = {}

    def check_annotation(self, data_info: dict[str, Any]) -> None:
        """Ask the transforms inside about a data set's row; data sets call it before training."""
        for transform in self.transforms.transforms:
            if hasattr(transform, 'check_annotation'):
                transform.check_annotation(data_info)

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """What the transforms made of this sample when it came first."""
        index = results['sample_idx']
        if index not in self._kept:
            made = self.transforms(results)
            if made is None:
                return None
            self._kept[index] = made
        # Arrays are copied: some transforms work in place.
        return {
            key: value.copy() if isinstance(value, (np.ndarray, list, dict)) else value
            for key, value in self._kept[index].items()
        }

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms.transforms})'
