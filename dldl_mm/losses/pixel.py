"""Losses of segmentation to compare with, in the calling convention of mmseg's decode heads."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dldl_mm.functional.neighbourhood import label_relaxation
from dldl_mm.registry import MODELS

_REDUCTIONS = ('mean', 'sum', 'none')


class PixelLoss(nn.Module):
    """Base of losses that are a sum over pixels; a subclass gives the pixels' losses.

    ``'mean'`` divides by the number of pixels that are not void.

    Args:
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
        loss_weight: Factor of the loss.
        loss_name: Key in the log; must start with ``loss_`` to be minimised.

    Raises:
        ValueError: An option is unknown.
    """

    def __init__(self, reduction: str, loss_weight: float, loss_name: str) -> None:
        super().__init__()
        self._check_reduction(reduction)
        if not loss_name.startswith('loss_'):
            raise ValueError(
                f"{type(self).__name__}: loss_name must start with 'loss_', got {loss_name!r}: "
                'only such entries are minimised'
            )
        self.reduction = reduction
        self.loss_weight = loss_weight
        self._loss_name = loss_name

    def pixel_loss(self, logits: Tensor, label: Tensor, ignore_index: int) -> Tensor:
        """(N, H, W) losses of logits in float32 at least, 0 in void pixels."""
        raise NotImplementedError

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
            weight: (N, H, W) factors of the pixels; they do not change the divisor.
            avg_factor: Divisor of ``'mean'`` in place of the number of pixels.
            reduction_override: Reduction in place of the configured one.
            ignore_index: Label of void pixels.
            **kwargs: What a head passes to other losses; not used.

        Returns:
            A scalar, or (N, H, W) for ``'none'``; in float32 at least.

        Raises:
            ValueError: The reduction is unknown, or ``avg_factor`` stands beside ``'sum'``.
        """
        reduction = reduction_override or self.reduction
        self._check_reduction(reduction)
        if avg_factor is not None and reduction == 'sum':
            raise ValueError("avg_factor cannot be used with reduction='sum'")
        logits = cls_score.to(torch.promote_types(cls_score.dtype, torch.float32))
        loss = self.loss_weight * self.pixel_loss(logits, label, ignore_index)
        if weight is not None:
            loss = loss * weight
        if reduction == 'none':
            return loss
        if reduction == 'sum':
            return loss.sum()
        if avg_factor is None:
            return loss.sum() / (label != ignore_index).sum().clamp(min=1)
        # As mmseg's: finite also where a batch has nothing to average over.
        return loss.sum() / (avg_factor + torch.finfo(torch.float32).eps)

    @property
    def loss_name(self) -> str:
        """Key in the log."""
        return self._loss_name

    @staticmethod
    def _check_reduction(reduction: str) -> None:
        if reduction not in _REDUCTIONS:
            raise ValueError(f'unknown reduction {reduction!r}, expected one of {_REDUCTIONS}')


@MODELS.register_module()
class PixelLabelSmoothingLoss(PixelLoss):
    r"""Cross-entropy with the target :math:`(1 - \varepsilon)` one-hot :math:`+ \varepsilon / C`.

    Label smoothing (Szegedy et al., CVPR 2016) of every pixel, whatever stands around it.

    Args:
        epsilon: Mass spread over all classes, 0 to 1.
        reduction: ``'mean'`` over the pixels that are not void, ``'sum'`` or ``'none'``.
        loss_weight: Factor of the loss.
        loss_name: Key in the log; must start with ``loss_`` to be minimised.

    Raises:
        ValueError: An option is unknown or out of its range.
    """

    def __init__(
        self,
        epsilon: float = 0.1,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        loss_name: str = 'loss_smoothing',
    ) -> None:
        super().__init__(reduction, loss_weight, loss_name)
        if not 0 <= epsilon <= 1:
            raise ValueError(f'PixelLabelSmoothingLoss: epsilon must lie in [0, 1], got {epsilon}')
        self.epsilon = epsilon

    def pixel_loss(self, logits: Tensor, label: Tensor, ignore_index: int) -> Tensor:
        """(N, H, W) losses, 0 in void pixels."""
        return F.cross_entropy(
            logits,
            label,
            ignore_index=ignore_index,
            reduction='none',
            label_smoothing=self.epsilon,
        )


@MODELS.register_module()
class PixelFocalLoss(PixelLoss):
    r"""Focal loss :math:`-(1 - p_y)^\gamma \ln p_y` of the softmax probability of the label y.

    Lin et al. (ICCV 2017) with a softmax, without class weights. mmseg's ``FocalLoss`` is the sum of
    C binary ones, and with hard labels it runs on a GPU only.

    Args:
        gamma: :math:`\gamma`, at least 0; 0 is cross-entropy.
        reduction: ``'mean'`` over the pixels that are not void, ``'sum'`` or ``'none'``.
        loss_weight: Factor of the loss.
        loss_name: Key in the log; must start with ``loss_`` to be minimised.

    Raises:
        ValueError: An option is unknown or out of its range.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        loss_name: str = 'loss_focal',
    ) -> None:
        super().__init__(reduction, loss_weight, loss_name)
        if not 0 <= gamma < math.inf:
            raise ValueError(f'PixelFocalLoss: gamma must be at least 0 and finite, got {gamma}')
        self.gamma = gamma

    def pixel_loss(self, logits: Tensor, label: Tensor, ignore_index: int) -> Tensor:
        """(N, H, W) losses, 0 in void pixels."""
        loss = F.cross_entropy(logits, label, ignore_index=ignore_index, reduction='none')
        # Below 1, the power has no derivative at 0, which a certain pixel and a void one reach.
        wrong = (-torch.expm1(-loss)).clamp(min=torch.finfo(loss.dtype).tiny)
        return wrong**self.gamma * loss


@MODELS.register_module()
class LabelRelaxationLoss(PixelLoss):
    """Minus the logarithm of the probability of all classes around a pixel.

    Label relaxation (Zhu et al., CVPR 2019): see :func:`~dldl_mm.functional.label_relaxation`.

    Args:
        kernel_size: Side of the window in pixels, odd.
        reduction: ``'mean'`` over the pixels that are not void, ``'sum'`` or ``'none'``.
        loss_weight: Factor of the loss.
        loss_name: Key in the log; must start with ``loss_`` to be minimised.

    Raises:
        ValueError: An option is unknown or out of its range.
    """

    def __init__(
        self,
        kernel_size: int = 3,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        loss_name: str = 'loss_relaxation',
    ) -> None:
        super().__init__(reduction, loss_weight, loss_name)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f'LabelRelaxationLoss: kernel_size must be odd and positive, got {kernel_size}'
            )
        self.kernel_size = kernel_size

    def pixel_loss(self, logits: Tensor, label: Tensor, ignore_index: int) -> Tensor:
        """(N, H, W) losses, 0 in void pixels."""
        return label_relaxation(logits, label, self.kernel_size, ignore_index)
