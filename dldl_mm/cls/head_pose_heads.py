"""Heads of the head pose baselines that predict no joint distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmpretrain.models import LinearClsHead
from mmpretrain.structures import DataSample
from torch import Tensor

from dldl_mm.cls._codec_head import stack_values, with_values
from dldl_mm.codecs import GaussianLabelCodec
from dldl_mm.functional import (
    facing_from_rotation,
    geodesic_angle,
    kl_divergence,
    pose_from_rotation,
    rotation_from_6d,
    rotation_from_pose,
)
from dldl_mm.registry import MODELS

_AXES = ('pitch', 'yaw', 'roll')


class _AngleHead(LinearClsHead):
    """A linear layer whose outputs are turned into the angles ``axes``, in degrees."""

    def __init__(
        self,
        axes: Sequence[str],
        num_outputs: int,
        in_channels: int,
        init_cfg: dict[str, Any] | None,
    ) -> None:
        super().__init__(
            num_outputs,
            in_channels,
            init_cfg=init_cfg or dict(type='Normal', layer='Linear', std=0.01),
        )
        self.axes = tuple(axes)

    def _values(self, cls_score: Tensor, data_samples: list[DataSample]) -> Tensor:
        """(N, A) true angles."""
        value = stack_values(data_samples, cls_score.device)
        if value.shape[1:] != (len(self.axes),):
            raise ValueError(
                f'{type(self).__name__}: gt_value must hold {len(self.axes)} angles, '
                f'{", ".join(self.axes)}, got shape {tuple(value.shape[1:])}'
            )
        return value


@MODELS.register_module()
class HopenetHead(_AngleHead):
    r"""Hopenet: every angle is classified into bins, and regressed by the expectation over them.

    .. math:: L = \sum_a \Big( -\ln p^{(a)}_{k(y_a)}
              + \alpha \Big(\sum_k p^{(a)}_k l^{(a)}_k - y_a\Big)^2 \Big)

    with one softmax per angle a, the bins' centres :math:`l^{(a)}_k` and the bin
    :math:`k(y_a)` that the true angle lies in (Ruiz et al., CVPR Workshops 2018). Training reads
    ``gt_value`` (A,) and reports the two terms apart. Prediction sets ``pred_value`` (A,), the
    expectations.

    Args:
        axes: The bins' centres, ``dict(pitch=(start, stop, step), yaw=...)`` in degrees, both ends
            included, in the order of ``gt_value``.
        in_channels: Channels of the backbone's or neck's output.
        alpha: Factor of the squared error, which is in degrees squared.
        init_cfg: Initialisation of the layer.

    Raises:
        ValueError: A range is not one, or ``alpha`` is negative; in training, an angle lies outside
            the bins.
    """

    def __init__(
        self,
        axes: Mapping[str, Sequence[float]],
        in_channels: int,
        alpha: float = 1.0,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(axes, Mapping) or not axes or any(len(r) != 3 for r in axes.values()):
            raise ValueError(
                f'HopenetHead: axes must be dict(name=(start, stop, step), ...), got {axes!r}'
            )
        if not alpha >= 0:
            raise ValueError(f'HopenetHead: alpha must not be negative, got {alpha!r}')
        codecs = [
            GaussianLabelCodec(start, stop, step, shape='one_hot')
            for start, stop, step in axes.values()
        ]
        super().__init__(
            tuple(axes), sum(codec.num_labels for codec in codecs), in_channels, init_cfg
        )
        self.codecs = codecs
        self.alpha = float(alpha)

    def _split(self, cls_score: Tensor) -> tuple[Tensor, ...]:
        """(N, K_a) logits of each angle."""
        return cls_score.float().split([codec.num_labels for codec in self.codecs], -1)

    def _expectations(self, cls_score: Tensor) -> Tensor:
        """(N, A) degrees."""
        parts = zip(self.codecs, self._split(cls_score), strict=True)
        return torch.stack([codec.decode(part.softmax(-1)) for codec, part in parts], -1)

    def _get_loss(
        self, cls_score: Tensor, data_samples: list[DataSample], **kwargs: Any
    ) -> dict[str, Tensor]:
        value = self._values(cls_score, data_samples)
        parts = zip(self.codecs, self._split(cls_score), value.unbind(-1), strict=True)
        entropy = [kl_divergence(part, codec.encode(angle)) for codec, part, angle in parts]
        squared = (self._expectations(cls_score) - value).square().sum(-1).mean()
        return dict(loss_ce=torch.stack(entropy).sum(), loss_expectation=self.alpha * squared)

    def _get_predictions(
        self, cls_score: Tensor, data_samples: list[DataSample] | None
    ) -> list[DataSample]:
        return with_values(self._expectations(cls_score), data_samples)


@MODELS.register_module()
class RotationHead(_AngleHead):
    r"""Regression of the head's rotation from six numbers, trained by the geodesic angle.

    .. math:: L = \arccos \frac{\mathrm{tr}(\hat R R^\top) - 1}{2}, \quad
              \hat R = \mathrm{GramSchmidt}((e_x, e_y) + z)

    in radians (Zhou et al., CVPR 2019; Hempel et al., ICIP 2022), with the rotations of
    :func:`~dldl_mm.functional.rotation_from_pose`. The six outputs z are offsets from the frontal
    head. Training reads ``gt_value`` (A,). Prediction sets
    ``pred_value`` (A,). Without a roll among the axes it is taken to be 0: the target is the rotation
    by pitch and yaw, and the prediction the direction in which the head looks.

    Args:
        axes: What the entries of ``gt_value`` are: ``'pitch'`` and ``'yaw'``, and ``'roll'`` if
            there is one, in any order.
        in_channels: Channels of the backbone's or neck's output.
        init_cfg: Initialisation of the layer.

    Raises:
        ValueError: An axis is unknown, or pitch or yaw is missing.
    """

    def __init__(
        self,
        in_channels: int,
        axes: Sequence[str] = ('pitch', 'yaw'),
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        if sorted(axes) not in (['pitch', 'yaw'], sorted(_AXES)):
            raise ValueError(
                f"RotationHead: axes must be 'pitch' and 'yaw', with or without 'roll', got {axes!r}"
            )
        super().__init__(axes, 6, in_channels, init_cfg)
        # Training starts at the frontal head instead of at vectors without a direction.
        self.register_buffer(
            'frontal', torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]), persistent=False
        )

    def _rotation(self, cls_score: Tensor) -> Tensor:
        """(N, 3, 3) rotations."""
        return rotation_from_6d(self.frontal + cls_score.float())

    def _get_loss(
        self, cls_score: Tensor, data_samples: list[DataSample], **kwargs: Any
    ) -> dict[str, Tensor]:
        by_axis = dict(
            zip(self.axes, self._values(cls_score, data_samples).unbind(-1), strict=True)
        )
        zero = torch.zeros_like(by_axis['pitch'])
        target = rotation_from_pose(torch.stack([by_axis.get(axis, zero) for axis in _AXES], -1))
        return dict(loss=geodesic_angle(self._rotation(cls_score), target).deg2rad().mean())

    def _get_predictions(
        self, cls_score: Tensor, data_samples: list[DataSample] | None
    ) -> list[DataSample]:
        rotation = self._rotation(cls_score)
        decode = pose_from_rotation if 'roll' in self.axes else facing_from_rotation
        order = [_AXES.index(axis) for axis in self.axes]
        return with_values(decode(rotation)[..., order], data_samples)
