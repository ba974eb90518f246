"""The loss of DLDL for semantic segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine import load
from torch import Tensor, nn

from dldl_mm.ops import soft_kl
from dldl_mm.ops.soft_kl import REDUCTIONS, check_options
from dldl_mm.registry import MODELS


@MODELS.register_module()
class NeighbourhoodKLLoss(nn.Module):
    r"""KL divergence from the label distribution of every pixel's neighbourhood (Gao et al., 2017).

    A ``loss_decode`` for every decode head of mmsegmentation that compares whole maps, alone or in
    a list with other losses. The equation, the target and the implementations are those of
    :func:`dldl_mm.ops.soft_kl`; it takes the hard label map, so that no dense target travels
    through the data pipeline.

    ``'mean'`` divides by the number of pixels that have a target, as ``F.cross_entropy`` does
    (mmseg's own default also counts ignored pixels). Pixel weights do not change the divisor, as in
    mmseg; class weights do, as in ``F.cross_entropy``.

    Args:
        kernel_size: Side of the window in pixels, odd.
        sigma: Standard deviation of the Gaussian in pixels.
        void: ``'ignore'``: a void pixel has no loss; ``'assign'`` (the authors'): it has the
            distribution of the labelled pixels in its window.
        impl: ``'auto'``, ``'reference'``, ``'eager'`` or ``'triton'``.
        reduction: ``'mean'``, ``'image_mean'`` (the authors'), ``'sum'`` or ``'none'``.
        class_weight: C factors of the classes' contributions, or a file with them (``.npy``, JSON,
            YAML or pickle), as mmseg's losses take it.
        loss_weight: Factor of the loss.
        loss_name: Key in the log; must start with ``loss_`` to be minimised.

    Raises:
        ValueError: An option is unknown or out of its range.
        FileNotFoundError: There is no file ``class_weight``.

    Example:
        >>> import torch
        >>> from dldl_mm.losses.neighbourhood import NeighbourhoodKLLoss
        >>> loss = NeighbourhoodKLLoss(kernel_size=3, loss_weight=0.4)
        >>> labels = torch.tensor([[[0, 0, 1], [0, 0, 1], [0, 255, 1]]])
        >>> loss(torch.zeros(1, 2, 3, 3), labels, ignore_index=255)
        tensor(0.2443)
    """

    class_weight: Tensor | None

    def __init__(
        self,
        kernel_size: int = 5,
        sigma: float = 3.0,
        void: str = 'ignore',
        impl: str = 'auto',
        reduction: str = 'mean',
        class_weight: Sequence[float] | str | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_kl',
    ) -> None:
        super().__init__()
        check_options(kernel_size, sigma, void, reduction, impl)
        if not loss_name.startswith('loss_'):
            raise ValueError(
                f"NeighbourhoodKLLoss: loss_name must start with 'loss_', got {loss_name!r}: "
                'only such entries are minimised'
            )
        self.kernel_size = kernel_size
        self.sigma = sigma
        self.void = void
        self.impl = impl
        self.reduction = reduction
        self.loss_weight = loss_weight
        # A buffer follows the model to its device once; a list would be copied there in every step.
        weights = None if class_weight is None else _read_class_weight(class_weight)
        self.register_buffer('class_weight', weights, persistent=False)
        self._loss_name = loss_name

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        ignore_index: int = 255,
        **kwargs: Any,
    ) -> Tensor:
        """Weighted and reduced loss, called as mmseg's heads call their losses.

        Args:
            cls_score: (N, C, H, W) logits.
            label: (N, H, W) labels, 0 to C - 1 or ``ignore_index``.
            weight: (N, H, W) factors of the pixels.
            avg_factor: Divisor of ``'mean'`` in place of the number of pixels.
            reduction_override: Reduction in place of the configured one.
            ignore_index: Label of void pixels.
            **kwargs: What a head passes to other losses; not used.

        Returns:
            A scalar, or (N, H, W) for ``'none'``.

        Raises:
            ValueError: A shape is wrong, a label is out of range, or ``avg_factor`` stands beside
                ``'sum'`` or ``'image_mean'``.
        """
        reduction = reduction_override or self.reduction
        if reduction not in REDUCTIONS:
            raise ValueError(f'unknown reduction {reduction!r}, expected one of {REDUCTIONS}')
        divisor: float | Tensor = 1.0
        if avg_factor is not None:
            if reduction not in ('mean', 'none'):
                raise ValueError(f'avg_factor cannot be used with reduction={reduction!r}')
            if reduction == 'mean':
                reduction = 'sum'
                # As mmseg's: finite also where a batch has nothing to average over.
                divisor = avg_factor + torch.finfo(torch.float32).eps
        loss = soft_kl(
            cls_score,
            label,
            self.kernel_size,
            self.sigma,
            ignore_index,
            self.void,
            reduction,
            self.impl,
            weight=weight,
            class_weight=self.class_weight,
        )
        return self.loss_weight * loss / divisor

    @property
    def loss_name(self) -> str:
        """Key in the log."""
        return self._loss_name

    def extra_repr(self) -> str:
        """The options, for ``print(model)``."""
        return (
            f'kernel_size={self.kernel_size}, sigma={self.sigma}, void={self.void!r}, '
            f'impl={self.impl!r}, reduction={self.reduction!r}, loss_weight={self.loss_weight}'
        )


def _read_class_weight(class_weight: Sequence[float] | str) -> Tensor:
    """(C,) factors from a list or a file."""
    values: Any = class_weight
    if isinstance(class_weight, str):
        values = np.load(class_weight) if class_weight.endswith('.npy') else load(class_weight)
    try:
        weights = torch.as_tensor(values, dtype=torch.float32)
        valid = weights.ndim == 1 and bool((weights.isfinite() & (weights >= 0)).all())
    except (TypeError, ValueError, RuntimeError):
        valid = False
    if not valid:
        source = '' if values is class_weight else f' in {class_weight}'
        raise ValueError(
            'NeighbourhoodKLLoss: class_weight must be a list of finite, non-negative numbers, '
            f'got {values!r}{source}'
        )
    return weights
