"""Necks."""

from __future__ import annotations

from torch import Tensor, nn

from dldl_mm.registry import MODELS


@MODELS.register_module()
class GlobalMaxPooling(nn.Module):
    """The largest response of each channel, for images of any size: (N, C, H, W) to (N, C)."""

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Pool each stage of a backbone."""
        return tuple(feat.amax(dim=(-2, -1)) for feat in feats)
