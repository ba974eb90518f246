"""A plain convolutional network for small images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn

from dldl_mm.registry import MODELS


@MODELS.register_module()
class PlainConvNet(BaseBackbone):
    """Stages of two 3x3 convolutions, each with batch norm and ReLU, and a 2x2 max pooling.

    Without the strides of a ResNet's stem the first convolutions see every pixel, which images of 64 px
    reward. C channels of the last stage, S stages.

    Args:
        channels: Output channels of each stage.
        in_channels: Channels of the images.
        init_cfg: Initialisation of the convolutions and norms.

    Raises:
        ValueError: There is no stage, or a number is less than 1.
    """

    def __init__(
        self,
        channels: Sequence[int] = (32, 64, 128, 256),
        in_channels: int = 3,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        if not channels or min(*channels, in_channels) < 1:
            raise ValueError(
                f'PlainConvNet: channels must be positive numbers, one for each stage, '
                f'got channels={channels!r}, in_channels={in_channels!r}'
            )
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))
        layers: list[nn.Module] = []
        for width in channels:
            for _ in range(2):
                layers += [
                    nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                ]
                in_channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        # Spares the convolutions a reordering of their maps: a quarter of a training step on a CPU.
        # torch's stubs lack this form of `to`.
        self.features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """(N, 3, H, W) images to a tuple of one (N, C, H / 2^S, W / 2^S) map."""
        # Necks such as LinearNeck take a view of the map.
        return (self.features(x).contiguous(),)
