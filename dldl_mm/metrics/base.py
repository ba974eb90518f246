"""Base of the metrics: results of all processes, each sample once."""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import Any

from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric


class SampleMetric(BaseMetric):
    """A metric over per-sample records, right also where the processes' shares are uneven.

    mmengine interleaves the processes' results and stops at the shortest share; samples that a sampler
    repeated to fill up a share would count twice if they are not the last ones. Here every record
    that carries a ``sample_idx`` counts once, whatever the sampler did.
    """

    def evaluate(self, size: int) -> dict[str, Any]:
        """Gather the records of all processes and compute the metrics on each.

        Args:
            size: Number of samples of the data set.

        Returns:
            The metrics by name, with the prefix.
        """
        parts = all_gather_object(self.results)
        missing = object()
        interleaved = [
            record
            for record in chain.from_iterable(zip_longest(*parts, fillvalue=missing))
            if record is not missing
        ]
        if interleaved and all(record.get('sample_idx') is not None for record in interleaved):
            by_index = {record['sample_idx']: record for record in interleaved}
            records = [by_index[index] for index in sorted(by_index)]
        else:
            records = interleaved[:size]
        self.results.clear()
        if not records:
            raise ValueError(f'{type(self).__name__}: there is no prediction to evaluate')
        metrics = self.compute_metrics(records)
        return {f'{self.prefix}/{k}' if self.prefix else k: v for k, v in metrics.items()}
