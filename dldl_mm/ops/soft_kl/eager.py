"""The per-pixel loss in plain torch operations, without the dense target.

The logits are handled in strips of rows that fit into the cache. In a strip only the classes that
occur there are smoothed; with few classes in sight, that is a fraction of the dense target's work.
The log-probabilities of float32 logits become the gradient in place, so that loss and gradient
together need one buffer of the logits' size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dldl_mm.functional.neighbourhood import (
    blend_windows,
    class_codes,
    gaussian_taps,
    window_sums,
)
from dldl_mm.ops.soft_kl.reference import image_coefficients

__all__ = ['soft_kl_eager']

# A strip's share of the logits. On a CPU it should fit into the cache, take little memory beside
# the gradient, and be worth some fifty calls; elsewhere it should fill the device.
_CPU_STRIP_BYTES = (512 << 10, 2 << 20)
_DEVICE_STRIP_BYTES = 64 << 20


def soft_kl_eager(
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
    """:func:`dldl_mm.ops.soft_kl` in strips; once differentiable."""
    compute = torch.promote_types(logits.dtype, torch.float32)
    taps = tuple(gaussian_taps(kernel_size, sigma))
    codes = class_codes(labels, logits.shape[1], ignore_index)
    if class_weight is not None:
        class_weight = class_weight.to(compute)
    # The gradient is finished in the forward pass, so the divisor must be known before it.
    if reduction == 'none':
        coefficient = torch.ones(1, 1, 1, dtype=compute, device=logits.device)
    else:
        mass = _image_mass(codes, logits.shape[1], taps, void, class_weight, compute)
        coefficient = image_coefficients(mass, reduction)[:, None, None]
    if weight is not None:
        coefficient = coefficient * weight.to(compute)
    arguments = (logits, codes, coefficient, class_weight, taps, void, reduction == 'none')
    if logits.requires_grad and torch.is_grad_enabled():
        return _StripKL.apply(*arguments)
    loss, _ = _run_strips(*arguments, gradient=False)
    return loss


class _StripKL(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        codes: Tensor,
        coefficient: Tensor,
        class_weight: Tensor | None,
        taps: tuple[float, ...],
        void: str,
        per_pixel: bool,
    ) -> Tensor:
        # Gradients in half precision wait for the upstream factor: 1 / pixels alone would be
        # rounded to a subnormal number before a GradScaler's factor lifts it.
        ctx.full_precision = logits.dtype == coefficient.dtype
        ctx.save_for_backward(logits, codes, coefficient, class_weight)
        ctx.options = (taps, void, per_pixel)
        loss, ctx.gradient = _run_strips(
            logits,
            codes,
            coefficient,
            class_weight,
            taps,
            void,
            per_pixel,
            gradient=ctx.full_precision,
        )
        return loss

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "soft_kl(impl='eager') can be differentiated once; "
                "use impl='reference' for second derivatives (create_graph=True)"
            )
        # The buffer is given away, not copied: a second backward makes a new one.
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:
            logits, codes, coefficient, class_weight = ctx.saved_tensors
            taps, void, per_pixel = ctx.options
            if not ctx.full_precision:
                coefficient = coefficient * grad_loss
            _, gradient = _run_strips(
                logits, codes, coefficient, class_weight, taps, void, per_pixel, gradient=True
            )
        if ctx.full_precision:
            if grad_loss.ndim:
                gradient.mul_(grad_loss[:, None])
            elif grad_loss.device.type != 'cpu' or grad_loss != 1:
                gradient.mul_(grad_loss)
        return gradient, None, None, None, None, None, None


def _run_strips(
    logits: Tensor,
    codes: Tensor,
    coefficient: Tensor,
    class_weight: Tensor | None,
    taps: tuple[float, ...],
    void: str,
    per_pixel: bool,
    *,
    gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """Loss, and its gradient with respect to the logits where asked for.

    With the class weights :math:`v_c` and a pixel's coefficient a, the loss is
    :math:`a \\sum_c v_c d_c (\\ln d_c - \\ln p_c)` and its gradient
    :math:`a (p_c \\sum_k v_k d_k - v_c d_c)`.
    """
    num_classes = logits.shape[1]
    on_cpu = logits.device.type == 'cpu'
    compute = coefficient.dtype
    buffer = None
    if gradient:
        # Softmax as a whole is torch's fastest, but in half precision it would cost a wider buffer.
        in_place = logits.dtype == compute
        buffer = logits.log_softmax(1) if in_place else torch.empty_like(logits)
    pixel_loss = torch.empty_like(codes, dtype=compute) if per_pixel else None
    coefficient = coefficient.expand(codes.shape)

    budget = _DEVICE_STRIP_BYTES
    if on_cpu:
        smallest, largest = _CPU_STRIP_BYTES
        budget = min(max(4 * logits.numel() // 32, smallest), largest)
    strips = list(_strips(logits, budget))
    # One tensor for the strips' sums: small ones between the large would split the allocator's heap.
    sums = coefficient.new_zeros(len(strips))
    for number, (images, rows) in enumerate(strips):
        if buffer is not None and in_place:
            strip = buffer[images, :, rows]
        else:
            strip = logits[images, :, rows].to(compute).log_softmax(1)
        classes, target, mixed, scale = _strip_target(
            codes[images], rows, num_classes, taps, void, compute
        )
        scale *= coefficient[images, None, rows]

        # Advanced indexing copies, so the strip is free to change afterwards.
        ratio = strip.index_select(1, classes) if classes is not None else strip.clone()
        if mixed:
            tiny = torch.finfo(compute).tiny
            ratio = target.clamp(min=tiny).log_().sub_(ratio)
        else:
            ratio = ratio.neg_()
        gradient_scale = scale
        if class_weight is not None:
            present = class_weight if classes is None else class_weight[classes]
            target.mul_(present[:, None, None])
            gradient_scale = scale * target.sum(1, keepdim=True)
        target.mul_(scale)
        ratio.mul_(target)
        total = ratio.sum()
        # 0 · ln 0 of a class with a logit of -inf. To look at another device's total would wait.
        if not on_cpu or total.isnan():
            total = ratio.masked_fill_(target == 0, 0).sum()
        if pixel_loss is not None:
            pixel_loss[images, rows] = ratio.sum(1)
        else:
            sums[number] = total

        if buffer is not None:
            strip.exp_().mul_(gradient_scale)
            if classes is None:
                strip.sub_(target)
            else:
                strip.index_add_(1, classes, target, alpha=-1)
            if not in_place:
                buffer[images, :, rows] = strip
        # Not to be held while the next strip's target is made.
        del strip, target, ratio
    return (sums.sum() if pixel_loss is None else pixel_loss), buffer


def _strips(logits: Tensor, budget: int) -> Iterator[tuple[slice, slice]]:
    """Slices of images and rows whose logits take about ``budget`` bytes in float32."""
    num_images, num_classes, height, width = logits.shape
    row_bytes = max(1, 4 * num_classes * width)
    rows = min(max(1, budget // row_bytes), max(1, height))
    images = max(1, budget // (row_bytes * height)) if rows == height else 1
    for first in range(0, num_images, images):
        for top in range(0, height, rows):
            yield (
                slice(first, min(first + images, num_images)),
                slice(top, min(top + rows, height)),
            )


def _strip_target(
    codes: Tensor,
    rows: slice,
    num_classes: int,
    taps: tuple[float, ...],
    void: str,
    compute: torch.dtype,
) -> tuple[Tensor | None, Tensor, bool, Tensor]:
    """Distributions of a strip's pixels.

    Args:
        codes: (n, H, W) classes of whole images.
        rows: The strip's rows.
        num_classes: C, and the code of void pixels.
        taps: Weights of one axis.
        void: Rule for void pixels.
        compute: Type of the shares.

    Returns:
        The K classes that occur in sight of the strip, None for all; their (n, K, h, W) shares,
        which a pixel without a target may have too; whether a share may lie between 0 and 1; and
        (n, 1, h, W) 1 for pixels with a target, else 0.
    """
    radius = len(taps) // 2
    height, width = codes.shape[1:]
    top, bottom = max(rows.start - radius, 0), min(rows.stop + radius, height)
    seen = codes[:, top:bottom]
    classes = None
    pure = False
    if codes.device.type == 'cpu':
        counts = seen.reshape(-1).bincount(minlength=num_classes + 1)
        classes = counts[:num_classes].nonzero()[:, 0]
        pure = int((counts > 0).sum()) < 2
    listed = torch.arange(num_classes, device=codes.device) if classes is None else classes
    shape = (len(codes), len(listed), bottom - top, width)
    one_hot = torch.empty(shape, dtype=compute, device=codes.device)
    # Written as floats at once: five times as fast as converting booleans.
    torch.eq(seen[:, None], listed.to(codes.dtype)[:, None, None], out=one_hot)
    target = one_hot[:, :, rows.start - top : rows.stop - top]
    scale = target.new_empty(len(codes), 1, target.shape[2], width)
    torch.ne(codes[:, None, rows], num_classes, out=scale)

    first, last = max(rows.start, radius), min(rows.stop, height - radius)
    if pure or radius == 0 or first >= last or width < len(taps):
        return classes, target, False, scale
    sums = window_sums(one_hot[:, :, first - radius - top : last + radius - top], taps)
    blended = target.clone()
    blended[:, :, first - rows.start : last - rows.start, radius : width - radius] = sums
    mass = blended.sum(1, keepdim=True)
    if void == 'assign':
        torch.gt(mass, 0, out=scale)
    return classes, blended.div_(mass.clamp_(min=torch.finfo(mass.dtype).tiny)), True, scale


def _image_mass(
    codes: Tensor,
    num_classes: int,
    taps: tuple[float, ...],
    void: str,
    class_weight: Tensor | None,
    compute: torch.dtype,
) -> Tensor:
    """(N,) targets summed over classes and pixels: see ``image_coefficients``."""
    labelled = codes != num_classes
    if void == 'ignore' and class_weight is None:
        return labelled.sum((1, 2)).to(compute)
    mass = blend_windows(labelled.to(compute), taps)
    valid = labelled if void == 'ignore' else mass > 0
    if class_weight is None:
        return valid.sum((1, 2)).to(compute)
    # Smoothing is linear: the classes' weights can be smoothed in place of the classes.
    weights = torch.cat([class_weight, class_weight.new_zeros(1)])[codes.long()]
    return torch.where(valid, blend_windows(weights, taps) / mass, 0).sum((1, 2))
