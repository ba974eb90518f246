"""The definition of the per-pixel loss, with the dense target, in plain differentiable torch."""

from __future__ import annotations

import torch
from torch import Tensor

from dldl_mm.functional.neighbourhood import neighbourhood_distribution

__all__ = ['image_coefficients', 'soft_kl_reference']


def soft_kl_reference(
    logits: Tensor,
    labels: Tensor,
    kernel_size: int,
    sigma: float,
    ignore_index: int,
    void: str,
    reduction: str,
    weight: Tensor | None,
    class_weight: Tensor | None,
) -> Tensor:
    """:func:`dldl_mm.ops.soft_kl` as its equation reads; differentiable any number of times."""
    compute = torch.promote_types(logits.dtype, torch.float32)
    target = neighbourhood_distribution(
        labels, logits.shape[1], kernel_size, sigma, ignore_index, void, dtype=compute
    )
    log_p = logits.to(compute).log_softmax(1)
    present = target > 0
    ratio = torch.where(present, target, 1).log() - torch.where(present, log_p, 0)
    if class_weight is not None:
        target = target * class_weight.to(compute)[:, None, None]
    loss = (target * ratio).sum(1)
    if weight is not None:
        loss = loss * weight.to(compute)
    if reduction == 'none':
        return loss
    return (loss.sum((1, 2)) * image_coefficients(target.sum((1, 2, 3)), reduction)).sum()


def image_coefficients(mass: Tensor, reduction: str) -> Tensor:
    """Factor of each image's summed loss in the batch's loss.

    Args:
        mass: (N,) targets summed over classes and pixels: the number of pixels that have a target,
            or their summed class weights.
        reduction: ``'mean'``, ``'image_mean'`` or ``'sum'``.

    Returns:
        (N,) factors, finite also where no pixel has a target.
    """
    if reduction == 'sum':
        return torch.ones_like(mass)
    if reduction == 'image_mean':
        return 1 / (len(mass) * (mass + 1))
    # Where nothing has a target, the loss is 0 whatever this is.
    total = mass.sum().clamp_min(torch.finfo(mass.dtype).tiny)
    return total.reciprocal().expand_as(mass)
