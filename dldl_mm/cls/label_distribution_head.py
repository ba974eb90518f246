"""The head of DLDL for mmpretrain."""

from __future__ import annotations

from typing import Any

import torch
from mmpretrain.structures import DataSample
from torch import Tensor

from dldl_mm.cls._codec_head import CodecHead, DistributionHead, stack_values, with_values
from dldl_mm.codecs import BaseLabelCodec, BaseValueCodec, build_value_codec
from dldl_mm.registry import MODELS


@MODELS.register_module()
class LabelDistributionHead(DistributionHead):
    r"""Linear layer with one logit per label, trained towards label distributions.

    The codec gives the number of logits and decodes the softmax of them. N samples, K labels, A axes.

    Training reads ``gt_score`` (K,) of the data samples, which ``EncodeLabelDistribution`` adds, and,
    where a loss needs it, ``gt_value``. Prediction sets ``pred_score`` (K,), ``pred_label`` (argmax),
    ``pred_value`` (decoded with the codec's rule, in the labels' unit) and ``pred_std``.

    Args:
        codec: Config of the codec; the same as the pipeline's.
        in_channels: Channels of the backbone's or neck's output.
        losses: Config of a loss, or of several with different ``loss_name``; for DLDL-v2 the KL loss
            and ``ExpectationLoss``.
        init_cfg: Initialisation of the layer.

    Raises:
        ValueError: There is no loss, or two have one name.
    """

    codec: BaseValueCodec

    def __init__(
        self,
        codec: dict[str, Any] | BaseLabelCodec,
        in_channels: int,
        losses: dict[str, Any] | list[dict[str, Any]] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(build_value_codec(codec), in_channels, losses, init_cfg)

    def _get_predictions(
        self, cls_score: Tensor, data_samples: list[DataSample] | None
    ) -> list[DataSample]:
        predictions = super()._get_predictions(cls_score.float(), data_samples)
        scores = torch.stack([sample.pred_score for sample in predictions])
        values, stds = self.codec.decode(scores), self.codec.std(scores)
        for sample, value, std in zip(predictions, values, stds, strict=True):
            sample.set_field(value, 'pred_value')
            sample.set_field(std, 'pred_std')
        return predictions


@MODELS.register_module()
class LabelRegressionHead(CodecHead):
    r"""Direct regression of the label: the baseline without a distribution (R-ConvNet).

    A linear layer and :math:`\tanh` give the label scaled to [-1, 1] over the codec's label set; the
    loss acts on the scaled label. Prediction sets ``pred_value`` only.

    Args:
        codec: Config of the codec, for the range of its label set; nothing is encoded.
        in_channels: Channels of the backbone's or neck's output.
        norm: ``'l1'``, ``'l2'`` (:math:`\frac12 e^2`) or ``'epsilon'``
            (:math:`\max(0, |e| - \varepsilon)`).
        epsilon: Error without loss, in the labels' unit, for ``'epsilon'``.
        init_cfg: Initialisation of the layer.

    Raises:
        ValueError: The norm is unknown, or epsilon is negative.
    """

    def __init__(
        self,
        codec: dict[str, Any] | BaseLabelCodec,
        in_channels: int,
        norm: str = 'l1',
        epsilon: float = 0.0,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        if norm not in ('l1', 'l2', 'epsilon'):
            raise ValueError(
                f"LabelRegressionHead: unknown norm {norm!r}, expected 'l1', 'l2' or 'epsilon'"
            )
        if epsilon < 0:
            raise ValueError(f'LabelRegressionHead: epsilon must not be negative, got {epsilon}')
        codec = build_value_codec(codec)
        labels = codec.labels.reshape(codec.num_labels, -1)
        super().__init__(
            codec,
            labels.shape[1],
            in_channels,
            init_cfg=init_cfg or dict(type='Normal', layer='Linear', std=0.01),
        )
        self.norm = norm
        self.epsilon = epsilon
        low, high = labels.amin(0), labels.amax(0)
        self.register_buffer('center', (low + high) / 2, persistent=False)
        self.register_buffer('half_range', (high - low) / 2, persistent=False)

    def _get_loss(
        self, cls_score: Tensor, data_samples: list[DataSample], **kwargs: Any
    ) -> dict[str, Tensor]:
        value = stack_values(data_samples, cls_score.device).reshape(len(data_samples), -1)
        error = cls_score.float().tanh() - (value - self.center) / self.half_range
        if self.norm == 'l2':
            loss = error.square() / 2
        else:
            margin = self.epsilon / self.half_range if self.norm == 'epsilon' else 0.0
            loss = (error.abs() - margin).relu()
        return dict(loss=loss.sum(-1).mean())

    def _get_predictions(
        self, cls_score: Tensor, data_samples: list[DataSample] | None
    ) -> list[DataSample]:
        values = self.center + self.half_range * cls_score.float().tanh()
        if values.shape[-1] == 1:
            values = values.squeeze(-1)
        return with_values(values, data_samples)
