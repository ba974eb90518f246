"""The metric of age estimation, and of any other scalar label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dldl_mm.codecs import BaseLabelCodec, BaseValueCodec, build_value_codec
from dldl_mm.codecs.gaussian import RULES
from dldl_mm.functional import (
    calibration_error,
    central_coverage,
    cumulative_score,
    epsilon_error,
    mean_absolute_error,
    mean_absolute_error_by_decade,
    negative_log_likelihood,
)
from dldl_mm.metrics.base import SampleMetric
from dldl_mm.registry import METRICS


@METRICS.register_module()
class AgeMetric(SampleMetric):
    r"""Errors of decoded ages and quality of the predicted distributions.

    ==========================  ====================================================================
    ``age/mae``                 mean :math:`|\hat y - y|`, years
    ``age/bias``                mean :math:`\hat y - y`, years; greater than 0 is too old
    ``age/cs@5``                share of :math:`|\hat y - y| \le 5`, percent, for each of ``cs``
    ``age/epsilon_error``       mean :math:`1 - e^{-(\hat y-y)^2/2\sigma^2}` over the samples with an
                                annotated :math:`\sigma` (ChaLearn LAP 2015)
    ``age/mae_20s``             MAE of true ages 20 to 29, for each decade that occurs
    ``age/mae_decades``         mean of the decades' MAE: each decade counts the same
    ``age/nll``                 mean :math:`-\ln p` of the true label, nats
    ``age/calibration_error``   mean gap of the central intervals' coverage, 10% to 90%
    ``age/coverage@90``         share of true ages inside the central 90% interval, percent
    ==========================  ====================================================================

    The last three need a codec and heads that predict distributions.

    Args:
        cs: Thresholds k of the cumulative scores CS@k, years.
        codec: Config of the codec, the same as the head's; where not given, ``CodecCheckHook`` sets it.
        decode: Decoding rules to report beside the head's own, as ``age/mae_median`` and so on, for
            heads that predict distributions.
        collect_device: Kept for mmengine's interface.
        prefix: Prefix of the names.

    Raises:
        ValueError: A threshold is negative, or a decoding rule unknown.
    """

    default_prefix = 'age'

    def __init__(
        self,
        cs: Sequence[float] = (3, 5, 10),
        codec: dict[str, Any] | BaseLabelCodec | None = None,
        decode: str | Sequence[str] = (),
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if isinstance(cs, str) or any(not isinstance(k, (int, float)) or k < 0 for k in cs):
            raise ValueError(f'AgeMetric: cs must be thresholds of at least 0 years, got {cs!r}')
        decode = (decode,) if isinstance(decode, str) else decode
        for rule in decode:
            if rule not in RULES:
                raise ValueError(
                    f'AgeMetric: unknown decoding rule {rule!r}, expected some of {", ".join(RULES)}'
                )
        self.cs = tuple(cs)
        self.codec = None if codec is None else build_value_codec(codec)
        self.decode = tuple(decode)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep what the metrics need of a batch of predictions.

        Raises:
            ValueError: A sample lacks a value, or ``decode`` is given without a codec.
        """
        if self.decode and self.codec is None:
            raise ValueError(
                f'AgeMetric: decode={self.decode!r} needs a codec, got None: give it one, or add '
                "CodecCheckHook to the custom_hooks of the config, which takes the head's"
            )
        keys = ['sample_idx', 'gt_value', 'gt_sigma', 'pred_value']
        if self.codec is not None:
            keys.append('pred_score')
        for sample in data_samples:
            for key in ('gt_value', 'pred_value'):
                if key not in sample:
                    raise ValueError(f'AgeMetric: the data samples have no {key!r}')
            record = {key: sample[key] for key in keys if key in sample}
            self.results.append(
                {k: v.detach().cpu() if isinstance(v, Tensor) else v for k, v in record.items()}
            )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Metrics of the records of :meth:`process`."""
        pred, value = (_stack(results, key) for key in ('pred_value', 'gt_value'))
        annotated = [r for r in results if r.get('gt_sigma') is not None]
        metrics = self.calculate(pred, value, cs=self.cs)
        if annotated:
            metrics['epsilon_error'] = epsilon_error(
                *(_stack(annotated, key) for key in ('pred_value', 'gt_value', 'gt_sigma'))
            ).item()
        if self.codec is not None and 'pred_score' in results[0]:
            dist = torch.stack([r['pred_score'] for r in results])
            metrics.update(self.calculate_distribution(dist, value, self.codec))
            for rule in self.decode:
                decoded = self.codec.decode(dist, rule)
                metrics[f'mae_{rule}'] = mean_absolute_error(decoded.double(), value).item()
        return metrics

    @staticmethod
    def calculate(
        pred: Tensor, value: Tensor, sigma: Tensor | None = None, cs: Sequence[float] = (3, 5, 10)
    ) -> dict[str, float]:
        """Metrics of decoded values, without a runner.

        Args:
            pred: (N,) predicted values.
            value: (N,) true values.
            sigma: (N,) annotated deviations, for the ε-error.
            cs: Thresholds of CS@k.

        Returns:
            From name (without prefix) to value.

        Raises:
            ValueError: The shapes differ, or there is no sample.
        """
        pred, value = torch.as_tensor(pred).double(), torch.as_tensor(value).double()
        if pred.shape != value.shape or pred.ndim != 1 or not len(pred):
            raise ValueError(
                f'AgeMetric: pred and value must have one shape (N,) with N > 0, '
                f'got {tuple(pred.shape)} and {tuple(value.shape)}'
            )
        metrics = dict(mae=mean_absolute_error(pred, value), bias=(pred - value).mean())
        metrics.update({f'cs@{k:g}': cumulative_score(pred, value, k) for k in cs})
        decades = mean_absolute_error_by_decade(pred, value)
        metrics.update({f'mae_{decade}s': mae for decade, mae in decades.items()})
        metrics['mae_decades'] = torch.stack(list(decades.values())).mean()
        if sigma is not None:
            metrics['epsilon_error'] = epsilon_error(pred, value, torch.as_tensor(sigma).double())
        return {name: metric.item() for name, metric in metrics.items()}

    @staticmethod
    def calculate_distribution(
        dist: Tensor, value: Tensor, codec: BaseValueCodec
    ) -> dict[str, float]:
        """Metrics of predicted distributions, without a runner.

        Args:
            dist: (N, K) predicted distributions.
            value: (N,) true values.
            codec: The codec they were predicted with.

        Returns:
            From name (without prefix) to value.
        """
        dist, value = dist.double(), torch.as_tensor(value).double()
        labels = codec.labels
        return dict(
            nll=negative_log_likelihood(dist, value, labels).item(),
            calibration_error=calibration_error(dist, value, labels).item(),
            **{'coverage@90': central_coverage(dist, value, labels, 0.9).item() * 100},
        )


def _stack(records: list[dict[str, Any]], key: str) -> Tensor:
    return torch.stack([torch.as_tensor(r[key], dtype=torch.float64) for r in records])
