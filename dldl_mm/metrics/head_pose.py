"""The metric of head pose estimation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dldl_mm.codecs import BaseLabelCodec, BaseValueCodec, build_value_codec
from dldl_mm.functional import geodesic_angle, pose_error, rotation_from_pose
from dldl_mm.metrics.base import SampleMetric
from dldl_mm.registry import METRICS

_AXES = ('pitch', 'yaw', 'roll')
# Two angles of one class differ by the rounding of float32 only.
_SAME = 1e-3


@METRICS.register_module()
class HeadPoseMetric(SampleMetric):
    r"""Errors of decoded head poses, in degrees.

    Errors are wrapped by 360° only: opposite directions are 180° apart.

    ====================  ========================================================================
    ``pose/mae_pitch``    mean absolute error, for each axis
    ``pose/mae_pair``     mean Euclidean length of the (pitch, yaw) error
    ``pose/acc_pitch``    share with the right angle, percent, for each axis: with a ``codec`` the
                          labels nearest to prediction and truth agree, without one both are equal
    ``pose/acc_pair``     share with the right pitch and yaw, percent
    ``pose/acc_pitch@t``  share with an error of at most t degrees, for each ``tolerance``; also
                          ``acc_pair@t``: pitch and yaw both
    ``pose/geodesic``     mean angle between the two rotations, where all three axes are there
    ====================  ========================================================================

    Args:
        axes: What the entries of ``gt_value`` and ``pred_value`` are, of ``'pitch'``, ``'yaw'`` and
            ``'roll'``.
        tolerance: One or several tolerances t, degrees.
        codec: Config of the codec, the same as the head's.
        decode: Decoding rules to report beside the head's own, as ``pose/mae_pair_expectation``
            and so on.
        collect_device: Kept for mmengine's interface.
        prefix: Prefix of the names.

    Raises:
        ValueError: An axis is unknown or a tolerance negative, the codec has other axes, or
            ``decode`` is given without a codec.
    """

    default_prefix = 'pose'

    def __init__(
        self,
        axes: Sequence[str] = ('pitch', 'yaw'),
        tolerance: float | Sequence[float] = (),
        codec: dict[str, Any] | BaseLabelCodec | None = None,
        decode: str | Sequence[str] = (),
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        _check_axes(axes)
        self.axes = tuple(axes)
        self.tolerance = _tolerances(tolerance)
        self.codec = None if codec is None else build_value_codec(codec)
        self.decode = (decode,) if isinstance(decode, str) else tuple(decode)
        if self.decode and self.codec is None:
            raise ValueError(f'HeadPoseMetric: decode={decode!r} needs a codec, got None')
        if self.codec is None:
            return
        codec_axes = getattr(self.codec, 'axes', None)
        if codec_axes != self.axes:
            raise ValueError(
                f'HeadPoseMetric: axes={self.axes} differ from those of the codec, {codec_axes}'
            )
        for rule in self.decode:
            # A rule that the codec refuses must not wait for the end of the first validation.
            self.codec.decode(torch.full((self.codec.num_labels,), 1 / self.codec.num_labels), rule)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep what the metrics need of a batch of predictions."""
        keys = ['sample_idx', 'gt_value', 'pred_value']
        if self.decode:
            keys.append('pred_score')
        for sample in data_samples:
            for key in ('gt_value', 'pred_value'):
                if key not in sample:
                    raise ValueError(f'HeadPoseMetric: the data samples have no {key!r}')
            record = {key: sample[key] for key in keys if key in sample}
            self.results.append(
                {k: v.detach().cpu() if isinstance(v, Tensor) else v for k, v in record.items()}
            )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Metrics of the records of :meth:`process`."""
        pred, value = (
            torch.stack([torch.as_tensor(r[key], dtype=torch.float64) for r in results])
            for key in ('pred_value', 'gt_value')
        )
        options: dict[str, Any] = dict(axes=self.axes, tolerance=self.tolerance, codec=self.codec)
        metrics = self.calculate(pred, value, **options)
        if self.codec is not None and 'pred_score' in results[0]:
            dist = torch.stack([r['pred_score'] for r in results])
            for rule in self.decode:
                decoded = self.calculate(self.codec.decode(dist, rule), value, **options)
                metrics.update({f'{name}_{rule}': number for name, number in decoded.items()})
        return metrics

    @staticmethod
    def calculate(
        pred: Tensor,
        value: Tensor,
        axes: Sequence[str] = ('pitch', 'yaw'),
        tolerance: float | Sequence[float] = (),
        codec: BaseValueCodec | None = None,
    ) -> dict[str, float]:
        """Metrics of decoded poses, without a runner.

        N samples, A axes.

        Args:
            pred: (N, A) predicted angles, degrees.
            value: (N, A) true angles.
            axes: Their names.
            tolerance: One or several tolerances, degrees.
            codec: The codec whose labels are the classes.

        Returns:
            From name (without prefix) to value.

        Raises:
            ValueError: The shapes differ or do not fit the axes, or there is no sample.
        """
        _check_axes(axes)
        pred, value = torch.as_tensor(pred).double(), torch.as_tensor(value).double()
        if pred.shape != value.shape or pred.shape[1:] != (len(axes),) or not len(pred):
            raise ValueError(
                f'HeadPoseMetric: pred and value must have one shape (N, {len(axes)}) with N > 0 '
                f'for the axes {", ".join(axes)}, got {tuple(pred.shape)} and {tuple(value.shape)}'
            )
        error = pose_error(pred, value)
        if codec is None:
            right = error <= _SAME
        else:
            right = pose_error(_nearest(pred, codec), _nearest(value, codec)) <= _SAME
        hits = {'': right, **{f'@{t:g}': error <= t + _SAME for t in _tolerances(tolerance)}}
        metrics = {f'mae_{axis}': error[:, a].mean() for a, axis in enumerate(axes)}
        parts = {axis: [a] for a, axis in enumerate(axes)}
        if 'pitch' in axes and 'yaw' in axes:
            parts['pair'] = [axes.index('pitch'), axes.index('yaw')]
            metrics['mae_pair'] = torch.linalg.vector_norm(error[:, parts['pair']], dim=-1).mean()
        for suffix, hit in hits.items():
            for part, columns in parts.items():
                share = hit[:, columns].all(-1).double().mean()
                metrics[f'acc_{part}{suffix}'] = 100 * share
        if set(axes) == set(_AXES):
            order = [axes.index(axis) for axis in _AXES]
            rotations = [rotation_from_pose(pose[:, order]) for pose in (pred, value)]
            metrics['geodesic'] = geodesic_angle(*rotations).mean()
        return {name: metric.item() for name, metric in metrics.items()}


def _nearest(pose: Tensor, codec: BaseValueCodec) -> Tensor:
    """The label nearest to each pose, the first of equals."""
    labels = codec.labels.to(pose)
    # In parts: a large test set times thousands of labels need not fit into memory.
    nearest = [
        torch.linalg.vector_norm(pose_error(part[:, None], labels), dim=-1).argmin(-1)
        for part in pose.split(256)
    ]
    return labels[torch.cat(nearest)]


def _tolerances(tolerance: float | Sequence[float]) -> tuple[float, ...]:
    values = (tolerance,) if isinstance(tolerance, (int, float)) else tuple(tolerance)
    if any(not t >= 0 for t in values):
        raise ValueError(f'HeadPoseMetric: tolerance must be at least 0 degrees, got {tolerance!r}')
    return values


def _check_axes(axes: Sequence[str]) -> None:
    if isinstance(axes, str) or not axes or len(set(axes)) < len(axes) or set(axes) - set(_AXES):
        raise ValueError(
            f'HeadPoseMetric: axes must be distinct names of {", ".join(_AXES)}, got {axes!r}'
        )
