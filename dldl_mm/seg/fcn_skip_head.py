"""The decoder of FCN-32s, FCN-16s and FCN-8s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import Sequential
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from dldl_mm.registry import MODELS


@MODELS.register_module()
class FCNSkipHead(BaseDecodeHead):
    """Scores of a VGG network's last stage, refined by those of finer stages (Long et al., CVPR 2015).

    The two hidden fully connected layers of the classifier become convolutions, 7×7 and 1×1. Their
    scores are enlarged by two, by a transposed convolution that starts as bilinear interpolation, and
    added to those of the next finer stage, as often as there are finer stages: one stage makes FCN-32s,
    two FCN-16s, three FCN-8s. All scores start at zero, so that a model that was initialised from one
    with fewer stages starts with its predictions. The original pads the image by 100 pixels; here the
    convolutions keep the size.

    Args:
        in_channels: Channels of the stages, from fine to coarse.
        in_index: Their indices among the backbone's outputs.
        channels: Channels of the hidden layers.
        classifier_init: ``init_cfg`` of the hidden layers; a checkpoint's fully connected layers
            (``0`` and ``3`` under its prefix, as in mmpretrain's VGG) are reshaped.
        dropout_ratio: After each of the hidden layers.
        **kwargs: As in mmsegmentation's ``BaseDecodeHead``.

    Raises:
        ValueError: The numbers of channels and indices differ.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (512,),
        in_index: Sequence[int] = (4,),
        channels: int = 4096,
        classifier_init: dict[str, Any] | None = None,
        dropout_ratio: float = 0.5,
        **kwargs: Any,
    ) -> None:
        if len(in_channels) != len(in_index):
            raise ValueError(
                'FCNSkipHead: in_channels and in_index must have one length, got '
                f'{list(in_channels)} and {list(in_index)}'
            )
        super().__init__(
            in_channels=list(in_channels),
            in_index=list(in_index),
            channels=channels,
            input_transform='multiple_select',
            dropout_ratio=0,
            init_cfg=dict(
                type='Constant', val=0, override=[dict(name='conv_seg'), dict(name='skips')]
            ),
            **kwargs,
        )
        # The indices are those of VGG's classifier.
        self.classifier = Sequential(
            _FullyConnected(in_channels[-1], channels, 7, padding=3),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout_ratio),
            _FullyConnected(channels, channels, 1),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout_ratio),
            init_cfg=classifier_init,
        )
        finer = list(reversed(in_channels[:-1]))
        self.skips = nn.ModuleList(nn.Conv2d(size, self.out_channels, 1) for size in finer)
        self.enlarge = nn.ModuleList(_bilinear(self.out_channels) for _ in finer)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Scores (N, C, h, w) in the size of the finest stage."""
        *finer, coarsest = self._transform_inputs(inputs)
        scores = self.cls_seg(self.classifier(coarsest))
        for stage, skip, enlarge in zip(reversed(finer), self.skips, self.enlarge, strict=True):
            scores = enlarge(scores)
            if scores.shape[2:] != stage.shape[2:]:  # pooling rounded an odd size down
                scores = F.interpolate(
                    scores, stage.shape[2:], mode='bilinear', align_corners=False
                )
            scores = scores + skip(stage)
        return scores


class _FullyConnected(nn.Conv2d):
    """A convolution that also loads the weights of a fully connected layer."""

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        weight = state_dict.get(f'{prefix}weight')
        if weight is not None and weight.ndim == 2:
            state_dict[f'{prefix}weight'] = weight.reshape(self.weight.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _bilinear(channels: int) -> nn.ConvTranspose2d:
    """Enlarge every channel by two, at first by bilinear interpolation."""
    layer = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, bias=False)
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[range(channels), range(channels)] = line[:, None] * line
    return layer
