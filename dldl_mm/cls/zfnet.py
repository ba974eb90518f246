"""The network that the DLDL authors trained from scratch."""

from __future__ import annotations

from typing import Any

import torch
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn

from dldl_mm.registry import MODELS


class _RandomPReLU(nn.PReLU):
    """PReLU per channel whose slopes start in U(0, 0.25), as the authors' do."""

    def reset_parameters(self) -> None:
        nn.init.uniform_(self.weight, 0, 0.25)


@MODELS.register_module()
class ZFNet(BaseBackbone):
    """ZF-Net as trained by Gao et al. (TIP 2017): five convolutions, two fully connected layers.

    conv 7x7/2, 96 - LRN - max 3/2 - conv 5x5/2, 256 - LRN - max 3/2 - conv 3x3, 384 - conv 3x3, 384 -
    conv 3x3, 256 - max 3/2 - fc 4096 - dropout - fc 4096 - dropout, with a PReLU after each convolution
    and fully connected layer. It ends before the head: ``in_channels=4096`` there.

    The authors feed RGB values of 0 to 255 less their mean (no division by a deviation), initialise
    with N(0, 0.01²) and train the biases at twice the rate and without weight decay:
    ``paramwise_cfg=dict(bias_lr_mult=2, bias_decay_mult=0)``.

    Args:
        input_size: Side of the square input in pixels; the first fully connected layer depends on it.
        channels: Output channels of the five convolutions.
        hidden: Output channels of the two fully connected layers.
        dropout: Probability of dropping an entry of a fully connected layer's output.
        init_cfg: Initialisation of convolutions and fully connected layers.

    Raises:
        ValueError: The input is too small for the five stages.
    """

    def __init__(
        self,
        input_size: int = 224,
        channels: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256),
        hidden: int = 4096,
        dropout: float = 0.5,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            init_cfg or dict(type='Normal', layer=['Conv2d', 'Linear'], std=0.01, bias=0)
        )
        side = input_size
        for kernel, stride, pad in ((7, 2, 1), (3, 2, 1), (5, 2, 0), (3, 2, 1), (3, 2, 0)):
            side = (side + 2 * pad - kernel) // stride + 1
        if side < 1:
            raise ValueError(f'ZFNet: input_size must be at least 63 pixels, got {input_size}')
        c1, c2, c3, c4, c5 = channels
        self.features = nn.Sequential(
            nn.Conv2d(3, c1, 7, stride=2, padding=1),
            _RandomPReLU(c1),
            nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Conv2d(c1, c2, 5, stride=2),
            _RandomPReLU(c2),
            nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Conv2d(c2, c3, 3, padding=1),
            _RandomPReLU(c3),
            nn.Conv2d(c3, c4, 3, padding=1),
            _RandomPReLU(c4),
            nn.Conv2d(c4, c5, 3, padding=1),
            _RandomPReLU(c5),
            nn.MaxPool2d(3, stride=2),
        )
        self.fc = nn.Sequential(
            nn.Linear(c5 * side * side, hidden),
            _RandomPReLU(hidden),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            _RandomPReLU(hidden),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """(N, 3, S, S) images to a tuple of one (N, ``hidden``) feature."""
        return (self.fc(torch.flatten(self.features(x), 1)),)
