"""Codec of a label map: one distribution per pixel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dldl_mm.codecs.base import BaseLabelCodec
from dldl_mm.functional import neighbourhood_distribution
from dldl_mm.registry import TASK_UTILS


@TASK_UTILS.register_module()
class NeighbourhoodLabelCodec(BaseLabelCodec):
    """Label distribution of every pixel, from the labels in a Gaussian window around it.

    See :func:`~dldl_mm.functional.neighbourhood_distribution` for the equation (Gao et al., TIP 2017).
    It is the dense target, for pictures and for checks: training uses
    :func:`dldl_mm.ops.soft_kl`, which never builds it. N images, C classes, H×W pixels.

    Args:
        num_classes: C.
        kernel_size: Side of the window in pixels, odd.
        sigma: Standard deviation of the Gaussian in pixels.
        ignore_index: Label of void pixels.
        void: ``'ignore'`` gives void pixels no distribution, ``'assign'`` that of their window.

    Raises:
        ValueError: An option is out of range.

    Example:
        >>> codec = NeighbourhoodLabelCodec(num_classes=3)
        >>> codec.encode(torch.zeros(1, 8, 8, dtype=torch.long)).shape
        torch.Size([1, 3, 8, 8])
    """

    def __init__(
        self,
        num_classes: int,
        kernel_size: int = 5,
        sigma: float = 3.0,
        ignore_index: int = 255,
        void: str = 'ignore',
    ) -> None:
        if num_classes < 2:
            raise ValueError(
                f'NeighbourhoodLabelCodec: num_classes must be at least 2, got {num_classes}'
            )
        self.num_classes = num_classes
        self.kernel_size = kernel_size
        self.sigma = sigma
        self.ignore_index = ignore_index
        self.void = void
        self.encode(torch.zeros(1, 1, 1, dtype=torch.long))  # refuses options out of range

    @property
    def labels(self) -> Tensor:
        """(C,) class indices."""
        return torch.arange(self.num_classes)

    @property
    def spec(self) -> dict[str, Any]:
        """All that defines the codec, by field."""
        return dict(
            type=type(self).__name__,
            num_classes=self.num_classes,
            kernel_size=self.kernel_size,
            sigma=float(self.sigma),
            ignore_index=self.ignore_index,
            void=self.void,
        )

    def encode(self, label_map: Tensor) -> Tensor:
        """(N, H, W) integer label maps to (N, C, H, W) float32 distributions.

        Raises:
            ValueError: A label is neither a class nor ``ignore_index``.
        """
        return neighbourhood_distribution(
            label_map, self.num_classes, self.kernel_size, self.sigma, self.ignore_index, self.void
        )

    def encode_annotation(self, data_info: dict[str, Any]) -> Tensor:
        """Encode ``gt_seg_map`` (H, W) to (C, H, W)."""
        self.check_annotation(data_info)
        return self.encode(torch.as_tensor(data_info['gt_seg_map'])[None])[0]

    def check_annotation(self, data_info: dict[str, Any]) -> None:
        """Refuse a sample without ``gt_seg_map``."""
        if 'gt_seg_map' not in data_info:
            raise ValueError(
                "the sample has no 'gt_seg_map', which NeighbourhoodLabelCodec encodes"
            )
