"""The metric of PASCAL VOC's classification task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dldl_mm.functional import average_precision
from dldl_mm.metrics.base import SampleMetric
from dldl_mm.registry import METRICS

_MODES = ('11points', 'all')


@METRICS.register_module()
class VOCMeanAveragePrecision(SampleMetric):
    """Mean average precision over the classes, 11-point and all-point, in percent.

    ``voc/mAP_11points`` and ``voc/mAP_all``: see :func:`~dldl_mm.functional.average_precision`. For each
    class, the images where it occurs in difficult objects only are left out, as PASCAL VOC does. A class
    that no image shows has no average precision and is not in the mean. Images with equal scores count
    together. mmpretrain's ``VOCAveragePrecision`` takes the precision as it is, not made monotone, and a
    class without images for 0, so that its mAP is lower; of equal scores, the order of the images
    decides there.

    Reads ``pred_score`` (C,), ``gt_label`` and ``gt_label_difficult``, the indices of the classes.

    Args:
        ignore_difficult: Leave out difficult classes, for which the pipeline must pack
            ``gt_label_difficult``. False for data sets without such labels; where there are, they then
            count as negatives.
        classwise: Report ``voc/AP_11points/NAME`` and ``voc/AP_all/NAME`` too, with the data set's
            class names.
        collect_device: Kept for mmengine's interface.
        prefix: Prefix of the names.
    """

    default_prefix = 'voc'

    def __init__(
        self,
        ignore_difficult: bool = True,
        classwise: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.ignore_difficult = ignore_difficult
        self.classwise = classwise

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep scores and classes of a batch."""
        for sample in data_samples:
            for key in ('pred_score', 'gt_label'):
                if key not in sample:
                    raise ValueError(f'VOCMeanAveragePrecision: the data samples have no {key!r}')
            if self.ignore_difficult and 'gt_label_difficult' not in sample:
                raise ValueError(
                    "VOCMeanAveragePrecision: the data samples have no 'gt_label_difficult'; add it "
                    "to the pipeline's PackInputs, algorithm_keys=('gt_label_difficult',), or set "
                    'ignore_difficult=False for a data set without difficult labels'
                )
            scores = sample['pred_score'].detach().cpu()
            positive = _mask(sample, 'gt_label', len(scores))
            difficult = torch.zeros_like(positive)
            if self.ignore_difficult:
                difficult = _mask(sample, 'gt_label_difficult', len(scores))
            self.results.append(
                dict(
                    sample_idx=sample.get('sample_idx'),
                    scores=scores,
                    positive=positive,
                    ignore=difficult & ~positive,
                )
            )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Metrics of the records of :meth:`process`."""
        scores, positive, ignore = (
            torch.stack([record[key] for record in results])
            for key in ('scores', 'positive', 'ignore')
        )
        names = (self.dataset_meta or {}).get('classes') or range(scores.shape[1])
        return self.calculate(scores, positive, ignore, names if self.classwise else None)

    @staticmethod
    def calculate(
        scores: Tensor,
        positive: Tensor,
        ignore: Tensor | None = None,
        classes: Sequence[object] | None = None,
    ) -> dict[str, float]:
        """Metrics of predicted scores, without a runner.

        Args:
            scores: (N, C) predicted scores.
            positive: (N, C) bool, classes that the images show.
            ignore: (N, C) bool, classes left out of the evaluation of an image; none if not given.
            classes: C names, to report each class too.

        Returns:
            From name (without prefix) to value in percent.

        Raises:
            ValueError: The shapes differ, or no class is positive in any image.
        """
        ignore = torch.zeros_like(positive) if ignore is None else ignore
        if scores.ndim != 2 or not scores.shape == positive.shape == ignore.shape:
            raise ValueError(
                'VOCMeanAveragePrecision: scores, positive and ignore must have one shape (N, C), got '
                f'{tuple(scores.shape)}, {tuple(positive.shape)} and {tuple(ignore.shape)}'
            )
        shown = positive.any(0).nonzero().squeeze(-1).tolist()
        if not shown:
            raise ValueError('VOCMeanAveragePrecision: no image shows any class')
        metrics = {}
        for mode in _MODES:
            ap = {
                c: 100 * average_precision(scores[:, c], positive[:, c], ignore[:, c], mode).item()
                for c in shown
            }
            metrics[f'mAP_{mode}'] = sum(ap.values()) / len(ap)
            if classes is not None:
                metrics.update({f'AP_{mode}/{classes[c]}': ap[c] for c in shown})
        return metrics


def _mask(sample: dict[str, Any], key: str, num_classes: int) -> Tensor:
    indices = torch.as_tensor(sample[key], dtype=torch.long).reshape(-1).cpu()
    outside = indices[(indices < 0) | (indices >= num_classes)]
    if len(outside):
        raise ValueError(
            f'VOCMeanAveragePrecision: class index {outside[0]} in {key} of '
            f'{sample.get("img_path", "a sample")} is not one of the {num_classes} that the model predicts'
        )
    return torch.zeros(num_classes, dtype=torch.bool).index_fill(0, indices, True)
