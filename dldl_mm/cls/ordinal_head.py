"""Heads of ordinal regression by binary tasks: OR-CNN, CORAL and CORN."""

from __future__ import annotations

from typing import Any

import torch
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from dldl_mm.cls._codec_head import CodecHead, with_values
from dldl_mm.codecs import BaseLabelCodec, GaussianLabelCodec, build_codec
from dldl_mm.functional import (
    conditional_distribution,
    conditional_loss,
    cumulative_distribution,
    cumulative_loss,
)
from dldl_mm.registry import MODELS

_METHODS = ('or_cnn', 'coral', 'corn')


@MODELS.register_module()
class OrdinalHead(CodecHead):
    r"""K - 1 binary tasks, "is the value beyond the k-th label?", in place of K classes.

    =============  ===================================================================================
    ``'or_cnn'``   one weight vector and bias per task (Niu et al., CVPR 2016)
    ``'coral'``    one weight vector for all tasks and K - 1 biases, which start at
                   :math:`(K-1, \ldots, 1) / (K-1)` (Cao et al., 2020)
    ``'corn'``     as OR-CNN, but task k is conditional on "not before the k-th label" and learns from
                   such samples only (Shi et al., 2021)
    =============  ===================================================================================

    Training reads ``gt_score`` (K,), one-hot in the papers; soft targets give soft tasks. Prediction sets
    ``pred_label``, the number of tasks with a probability over one half (of CORN: of the cumulative
    products), and ``pred_value``, the label that many steps beyond the first: the median of the tasks'
    distribution, whatever the codec's rule is. ``pred_score`` (K,) and ``pred_std`` are set where the
    tasks define a distribution: always for CORN, for CORAL while its biases do not increase, never for
    OR-CNN. N samples, K labels.

    Args:
        codec: Config of the codec, a ``GaussianLabelCodec`` that is not circular; the same as the
            pipeline's.
        in_channels: Channels of the backbone's or neck's output.
        method: A name of the table.
        init_cfg: Initialisation of the layer.

    Raises:
        TypeError: The codec's labels are not in order on a line.
        ValueError: The method is unknown.
    """

    codec: GaussianLabelCodec

    def __init__(
        self,
        codec: dict[str, Any] | BaseLabelCodec,
        in_channels: int,
        method: str = 'coral',
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        if method not in _METHODS:
            raise ValueError(
                f'OrdinalHead: unknown method {method!r}, expected one of {", ".join(_METHODS)}'
            )
        built = build_codec(codec)
        if not isinstance(built, GaussianLabelCodec) or built.period is not None:
            raise TypeError(
                'OrdinalHead needs labels in order on a line, those of a GaussianLabelCodec that is '
                f'not circular, got {built}'
            )
        tasks = built.num_labels - 1
        super().__init__(
            built,
            tasks,
            in_channels,
            init_cfg=init_cfg or dict(type='Normal', layer='Linear', std=0.01),
        )
        self.method = method
        if method == 'coral':
            self.fc = nn.Linear(in_channels, 1, bias=False)
            self.bias = nn.Parameter(torch.arange(tasks, 0, -1) / tasks)

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """(N, K - 1) scores of the tasks."""
        scores = super().forward(feats)
        return scores + self.bias if self.method == 'coral' else scores

    def _get_loss(
        self, cls_score: Tensor, data_samples: list[DataSample], **kwargs: Any
    ) -> dict[str, Tensor]:
        target = self.stack_targets(data_samples, cls_score.device)
        loss = conditional_loss if self.method == 'corn' else cumulative_loss
        return dict(loss=loss(cls_score, target))

    def _get_predictions(
        self, cls_score: Tensor, data_samples: list[DataSample] | None
    ) -> list[DataSample]:
        logits = cls_score.float()
        beyond = logits.sigmoid()
        scores = None
        if self.method == 'corn':
            beyond, scores = beyond.cumprod(-1), conditional_distribution(logits)
        elif self.method == 'coral' and (self.bias.diff() <= 0).all():
            scores = cumulative_distribution(logits)
        counts = (beyond > 0.5).sum(-1)
        values = self.codec.labels.to(logits)[counts]
        samples = with_values(values, data_samples)
        for sample, count in zip(samples, counts, strict=True):
            sample.set_pred_label(count)
        if scores is not None:
            stds = self.codec.std(scores)
            for sample, score, std in zip(samples, scores, stds, strict=True):
                sample.set_pred_score(score)
                sample.set_field(std, 'pred_std')
        return samples
