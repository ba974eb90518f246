"""Predictions as JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process

from dldl_mm.functional import class_areas
from dldl_mm.metrics.base import SampleMetric
from dldl_mm.registry import METRICS

_KEYS = (
    *('sample_idx', 'img_path', 'subject', 'gt_value', 'gt_sigma'),
    *('gt_label', 'gt_label_difficult'),
    *('pred_value', 'pred_std', 'pred_label', 'pred_score'),
)


def to_record(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Take path, annotations and predictions of a data sample as plain numbers and lists.

    Args:
        sample: The data sample as a dict.

    Returns:
        What of it can be written as JSON.
    """
    return {key: _plain(sample[key]) for key in _KEYS if sample.get(key) is not None}


@METRICS.register_module()
class DumpPredictions(SampleMetric):
    """Write one JSON object per sample: path, annotations and predictions; no pickle.

    Of label maps, which are too large for it, ``areas`` has each class's pixels in the intersection, the
    prediction and the label map, void left out: scores of any set of images follow from them.

    Args:
        out_file: The ``.jsonl`` file to write; appears whole or not at all.
        collect_device: Kept for mmengine's interface.

    Raises:
        ValueError: The file name does not end in ``.jsonl``.
    """

    def __init__(self, out_file: str, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device)
        if not str(out_file).endswith('.jsonl'):
            raise ValueError(f'DumpPredictions: out_file must end in .jsonl, got {out_file!r}')
        self.out_file = Path(out_file)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep a batch of predictions."""
        for sample in data_samples:
            record = to_record(sample)
            if 'gt_sem_seg' in sample and 'pred_sem_seg' in sample:
                record['areas'] = self._areas(sample)
            self.results.append(record)

    def _areas(self, sample: Mapping[str, Any]) -> list[list[int]]:
        pred, label = (sample[key]['data'].cpu() for key in ('pred_sem_seg', 'gt_sem_seg'))
        classes = len((self.dataset_meta or {})['classes'])
        return class_areas(pred, label, classes, label < classes).tolist()

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Write the file; there is nothing to report."""
        if is_main_process():
            self.out_file.parent.mkdir(parents=True, exist_ok=True)
            partial = self.out_file.with_name(f'.{self.out_file.name}.{os.getpid()}')
            with open(partial, 'w', encoding='utf-8') as file:
                file.writelines(json.dumps(record, ensure_ascii=False) + '\n' for record in results)
            os.replace(partial, self.out_file)
        return {}


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
