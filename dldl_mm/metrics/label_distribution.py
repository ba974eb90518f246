"""Distances between predicted and target distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from dldl_mm.functional import distribution_distances
from dldl_mm.metrics.base import SampleMetric
from dldl_mm.registry import METRICS


@METRICS.register_module()
class LabelDistributionMetric(SampleMetric):
    """The six measures of label distribution learning, between ``pred_score`` and ``gt_score``.

    ``dist/kl``, ``dist/chebyshev``, ``dist/clark``, ``dist/canberra`` (less is better), ``dist/cosine``
    and ``dist/intersection`` (more is better): see
    :func:`~dldl_mm.functional.distribution_distances`. The validation pipeline needs
    ``EncodeLabelDistribution``.

    Args:
        collect_device: Kept for mmengine's interface.
        prefix: Prefix of the names.
    """

    default_prefix = 'dist'

    def __init__(self, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the distributions of a batch."""
        for sample in data_samples:
            for key in ('gt_score', 'pred_score'):
                if key not in sample:
                    raise ValueError(f'LabelDistributionMetric: the data samples have no {key!r}')
            record = dict(
                pred=sample['pred_score'].detach().cpu(), target=sample['gt_score'].detach().cpu()
            )
            self.results.append(dict(record, sample_idx=sample.get('sample_idx')))

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Means over the records of :meth:`process`."""
        dist = torch.stack([record['pred'] for record in results]).double()
        target = torch.stack([record['target'] for record in results]).double()
        return {name: d.item() for name, d in distribution_distances(dist, target).items()}
