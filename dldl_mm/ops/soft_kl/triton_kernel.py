# Triton reads a kernel's annotations as its own: only tl.constexpr may stand there.
# mypy: disable-error-code="no-untyped-def"
"""The per-pixel loss as two CUDA kernels, one that sums and one that writes the gradient.

A program handles a block of pixels. It walks through the distinct labels of every pixel's window
in rising order; most windows hold one, so most blocks are done after one or two rounds. The forward
pass keeps the log-sum-exp of each pixel, the backward pass computes the probabilities again.
Offsets are 64-bit: a batch may have more than 2³¹ logits.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from dldl_mm.ops.soft_kl.reference import image_coefficients

__all__ = ['soft_kl_triton']

# Sixteen classes at a time keep the tile in registers without spilling (compiled for sm_90).
_CLASSES = 16
_PIXELS = 128
_WARPS = 4


@triton.jit
def _next_label(
    labels,
    pixel,
    here,
    interior,
    previous,
    inverse_variance,
    width,
    ignore_index,
    NUM_CLASSES: tl.constexpr,
    RADIUS: tl.constexpr,
):
    """Smallest class above ``previous`` in each window, with its mass and number of taps.

    Also the mass and the number of taps of all classes in the window.
    """
    label = tl.zeros_like(previous) + NUM_CLASSES
    mass = tl.zeros(previous.shape, tl.float32)
    count = tl.zeros_like(previous)
    total = tl.zeros(previous.shape, tl.float32)
    taps = tl.zeros_like(previous)
    # Only the columns are unrolled: unrolling both costs registers and seconds of compilation.
    for dy in range(-RADIUS, RADIUS + 1):
        row = tl.exp(-0.5 * dy * dy * inverse_variance)
        row = tl.where(row > 1e-12, row, 0.0)
        for dx in tl.static_range(-RADIUS, RADIUS + 1):
            inside = here & (interior | ((dy == 0) & (dx == 0)))
            # The same cut as gaussian_taps: all precisions agree on which pixels have mass.
            column = tl.exp(-0.5 * dx * dx * inverse_variance)
            tap = row * tl.where(column > 1e-12, column, 0.0)
            seen = tl.load(labels + pixel + dy * width + dx, mask=inside, other=0).to(tl.int64)
            valid = inside & (seen != ignore_index) & (seen >= 0) & (seen < NUM_CLASSES)
            code = tl.where(valid, seen, NUM_CLASSES).to(tl.int32)
            total += tl.where(valid, tap, 0.0)
            taps += valid.to(tl.int32)
            smaller = (code > previous) & (code < label)
            same = valid & (code == label)
            mass = tl.where(smaller, tap, tl.where(same, mass + tap, mass))
            count = tl.where(smaller, 1, tl.where(same, count + 1, count))
            label = tl.where(smaller, code, label)
    return label, mass, count, total, taps


@triton.jit
def _pixels(
    labels,
    height,
    width,
    ignore_index,
    NUM_CLASSES: tl.constexpr,
    RADIUS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A block's pixel numbers, rows, columns, and masks: in the image, window inside, labelled."""
    pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row = pixel // width
    column = pixel % width
    here = pixel < height * width
    interior = (row >= RADIUS) & (row < height - RADIUS)
    interior = interior & (column >= RADIUS) & (column < width - RADIUS)
    own = tl.load(labels + pixel, mask=here, other=0).to(tl.int64)
    labelled = here & (own != ignore_index) & (own >= 0) & (own < NUM_CLASSES)
    return pixel, row, column, here, interior, labelled


@triton.jit
def _forward_kernel(
    logits,
    labels,
    weight,
    class_weight,
    log_sum,
    loss_out,
    mass_out,
    height,
    width,
    ignore_index,
    inverse_variance,
    stride_n,
    stride_c,
    stride_h,
    stride_w,
    NUM_CLASSES: tl.constexpr,
    RADIUS: tl.constexpr,
    ASSIGN: tl.constexpr,
    PER_PIXEL: tl.constexpr,
    WEIGHTED: tl.constexpr,
    CLASS_WEIGHTED: tl.constexpr,
    BLOCK: tl.constexpr,
    CLASSES: tl.constexpr,
):
    image = tl.program_id(1).to(tl.int64)
    size = image * 0 + height * width
    labels += image * size
    pixel, row, column, here, interior, labelled = _pixels(
        labels, height, width, ignore_index, NUM_CLASSES, RADIUS, BLOCK
    )
    place = logits + image * stride_n + row * stride_h + column * stride_w

    peak = tl.full((BLOCK,), float('-inf'), tl.float32)
    scaled = tl.zeros((BLOCK,), tl.float32)
    for first in range(0, NUM_CLASSES, CLASSES):
        classes = first + tl.arange(0, CLASSES).to(tl.int64)
        tile = tl.load(
            place[None, :] + classes[:, None] * stride_c,
            mask=here[None, :] & (classes < NUM_CLASSES)[:, None],
            other=float('-inf'),
        ).to(tl.float32)
        higher = tl.maximum(peak, tl.max(tile, axis=0))
        # Without a finite logit so far, -inf - -inf would be NaN.
        shift = tl.where(higher == float('-inf'), 0.0, higher)
        scaled = scaled * tl.exp(peak - shift) + tl.sum(tl.exp(tile - shift[None, :]), axis=0)
        peak = higher
    normaliser = peak + tl.log(scaled)
    tl.store(log_sum + image * size + pixel, normaliser, mask=here)

    previous = tl.full((BLOCK,), -1, tl.int32)
    label, mass, count, total, taps = _next_label(
        labels,
        pixel,
        here,
        interior,
        previous,
        inverse_variance,
        width,
        ignore_index,
        NUM_CLASSES,
        RADIUS,
    )
    kept = total > 0 if ASSIGN else labelled
    loss = tl.zeros((BLOCK,), tl.float32)
    norm = tl.zeros((BLOCK,), tl.float32)
    rest = tl.where(kept, taps, 0)
    while tl.max(rest, axis=0) > 0:
        found = (rest > 0) & (mass > 0)
        share = tl.where(found, mass, 1.0) / tl.where(found, total, 1.0)
        value = tl.load(place + label.to(tl.int64) * stride_c, mask=found, other=0.0).to(tl.float32)
        factor = tl.where(found, share, 0.0)
        if CLASS_WEIGHTED:
            factor *= tl.load(class_weight + label, mask=found, other=0.0)
        loss += tl.where(found, factor * (tl.log(share) - (value - normaliser)), 0.0)
        norm += factor
        rest -= tl.where(rest > 0, count, 0)
        label, mass, count, total, taps = _next_label(
            labels,
            pixel,
            here,
            interior,
            label,
            inverse_variance,
            width,
            ignore_index,
            NUM_CLASSES,
            RADIUS,
        )
    if WEIGHTED:
        loss *= tl.load(weight + image * size + pixel, mask=here, other=0.0)
    if PER_PIXEL:
        tl.store(loss_out + image * size + pixel, loss, mask=here)
    else:
        if not CLASS_WEIGHTED:
            norm = kept.to(tl.float32)
        part = image * tl.num_programs(0) + tl.program_id(0)
        tl.store(loss_out + part, tl.sum(loss, axis=0))
        tl.store(mass_out + part, tl.sum(norm, axis=0))


@triton.jit
def _backward_kernel(
    logits,
    labels,
    weight,
    class_weight,
    log_sum,
    upstream,
    gradient,
    height,
    width,
    ignore_index,
    inverse_variance,
    stride_n,
    stride_c,
    stride_h,
    stride_w,
    out_stride_n,
    out_stride_c,
    out_stride_h,
    out_stride_w,
    NUM_CLASSES: tl.constexpr,
    RADIUS: tl.constexpr,
    ASSIGN: tl.constexpr,
    PER_PIXEL: tl.constexpr,
    WEIGHTED: tl.constexpr,
    CLASS_WEIGHTED: tl.constexpr,
    BLOCK: tl.constexpr,
    CLASSES: tl.constexpr,
):
    image = tl.program_id(1).to(tl.int64)
    size = image * 0 + height * width
    labels += image * size
    pixel, row, column, here, interior, labelled = _pixels(
        labels, height, width, ignore_index, NUM_CLASSES, RADIUS, BLOCK
    )
    place = logits + image * stride_n + row * stride_h + column * stride_w
    target = gradient + image * out_stride_n + row * out_stride_h + column * out_stride_w
    normaliser = tl.load(log_sum + image * size + pixel, mask=here, other=0.0)
    if PER_PIXEL:
        scale = tl.load(upstream + image * size + pixel, mask=here, other=0.0)
    else:
        scale = tl.zeros((BLOCK,), tl.float32) + tl.load(upstream + image)
    if WEIGHTED:
        scale *= tl.load(weight + image * size + pixel, mask=here, other=0.0)

    start = tl.full((BLOCK,), -1, tl.int32)
    label, mass, count, total, taps = _next_label(
        labels,
        pixel,
        here,
        interior,
        start,
        inverse_variance,
        width,
        ignore_index,
        NUM_CLASSES,
        RADIUS,
    )
    kept = total > 0 if ASSIGN else labelled
    scale = tl.where(kept, scale, 0.0)

    if CLASS_WEIGHTED:
        norm = tl.zeros((BLOCK,), tl.float32)
        rest = tl.where(kept, taps, 0)
        while tl.max(rest, axis=0) > 0:
            found = (rest > 0) & (mass > 0)
            share = tl.where(found, mass, 0.0) / tl.where(found, total, 1.0)
            norm += share * tl.load(class_weight + label, mask=found, other=0.0)
            rest -= tl.where(rest > 0, count, 0)
            label, mass, count, total, taps = _next_label(
                labels,
                pixel,
                here,
                interior,
                label,
                inverse_variance,
                width,
                ignore_index,
                NUM_CLASSES,
                RADIUS,
            )
        label, mass, count, total, taps = _next_label(
            labels,
            pixel,
            here,
            interior,
            start,
            inverse_variance,
            width,
            ignore_index,
            NUM_CLASSES,
            RADIUS,
        )
    else:
        norm = kept.to(tl.float32)

    for first in range(0, NUM_CLASSES, CLASSES):
        classes = first + tl.arange(0, CLASSES).to(tl.int64)
        mask = here[None, :] & (classes < NUM_CLASSES)[:, None]
        tile = tl.load(
            place[None, :] + classes[:, None] * stride_c, mask=mask, other=float('-inf')
        ).to(tl.float32)
        slope = tl.exp(tile - normaliser[None, :]) * (scale * norm)[None, :]
        tl.store(
            target[None, :] + classes[:, None] * out_stride_c,
            slope.to(gradient.dtype.element_ty),
            mask=mask,
        )

    # The few classes with a target are written a second time, whole, so that they are rounded once;
    # another thread of this program may have written them above.
    tl.debug_barrier()
    rest = tl.where(kept, taps, 0)
    while tl.max(rest, axis=0) > 0:
        found = (rest > 0) & (mass > 0)
        share = tl.where(found, mass, 0.0) / tl.where(found, total, 1.0)
        if CLASS_WEIGHTED:
            share *= tl.load(class_weight + label, mask=found, other=0.0)
        value = tl.load(place + label.to(tl.int64) * stride_c, mask=found, other=0.0).to(tl.float32)
        slope = scale * (tl.exp(value - normaliser) * norm - share)
        tl.store(
            target + label.to(tl.int64) * out_stride_c,
            slope.to(gradient.dtype.element_ty),
            mask=found,
        )
        rest -= tl.where(rest > 0, count, 0)
        label, mass, count, total, taps = _next_label(
            labels,
            pixel,
            here,
            interior,
            label,
            inverse_variance,
            width,
            ignore_index,
            NUM_CLASSES,
            RADIUS,
        )


def soft_kl_triton(
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
    """:func:`dldl_mm.ops.soft_kl` as CUDA kernels; once differentiable, not for float64."""
    if logits.dtype == torch.float64:
        raise ValueError("impl='triton' computes in float32; use 'eager' for float64 logits")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f'labels must be integers, got {labels.dtype}')
    options = {
        'ignore_index': ignore_index,
        # A hundredth of a pixel already rounds the neighbours to 0; less would overflow the square.
        'inverse_variance': max(sigma, 0.01) ** -2,
        'RADIUS': kernel_size // 2,
        'ASSIGN': void == 'assign',
        'PER_PIXEL': reduction == 'none',
    }
    loss, mass = _TritonKL.apply(
        logits,
        labels.contiguous(),
        None if weight is None else weight.float().contiguous(),
        None if class_weight is None else class_weight.float().contiguous(),
        options,
    )
    if reduction == 'none':
        return loss
    return (loss * image_coefficients(mass, reduction)).sum()


class _TritonKL(torch.autograd.Function):
    """(N, H, W) losses, or (N,) summed losses and masses of the targets."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        labels: Tensor,
        weight: Tensor | None,
        class_weight: Tensor | None,
        options: dict[str, Any],
    ) -> tuple[Tensor, Tensor]:
        grid = _grid(logits)
        log_sum = torch.empty(labels.shape, dtype=torch.float32, device=logits.device)
        shape = labels.shape if options['PER_PIXEL'] else (labels.shape[0], grid[0])
        loss = torch.empty(shape, dtype=torch.float32, device=logits.device)
        mass = loss.new_empty(0) if options['PER_PIXEL'] else torch.empty_like(loss)
        _launch(
            _forward_kernel,
            logits,
            labels,
            weight,
            class_weight,
            (log_sum, loss, mass),
            logits.stride(),
            options,
        )
        if not options['PER_PIXEL']:
            loss, mass = loss.sum(1), mass.sum(1)
        ctx.save_for_backward(logits, labels, weight, class_weight, log_sum)
        ctx.options = options
        ctx.mark_non_differentiable(mass)
        return loss, mass

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "soft_kl(impl='triton') can be differentiated once; "
                "use impl='reference' for second derivatives (create_graph=True)"
            )
        logits, labels, weight, class_weight, log_sum = ctx.saved_tensors
        gradient = torch.empty_like(logits)
        _launch(
            _backward_kernel,
            logits,
            labels,
            weight,
            class_weight,
            (log_sum, grad_loss.contiguous(), gradient),
            (*logits.stride(), *gradient.stride()),
            ctx.options,
        )
        return gradient, None, None, None, None


def _grid(logits: Tensor) -> tuple[int, int]:
    num_images, _, height, width = logits.shape
    return triton.cdiv(height * width, _PIXELS), num_images


def _launch(
    kernel: Any,
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    class_weight: Tensor | None,
    outputs: tuple[Tensor, Tensor, Tensor],
    strides: tuple[int, ...],
    options: dict[str, Any],
) -> None:
    num_classes, height, width = logits.shape[1:]
    grid = _grid(logits)
    if 0 in (*grid, num_classes):
        return
    # Triton launches on the current device, which need not be the tensors'.
    with torch.cuda.device_of(logits):
        kernel[grid](
            logits,
            labels,
            weight,
            class_weight,
            *outputs,
            height,
            width,
            options['ignore_index'],
            options['inverse_variance'],
            *strides,
            NUM_CLASSES=num_classes,
            RADIUS=options['RADIUS'],
            ASSIGN=options['ASSIGN'],
            PER_PIXEL=options['PER_PIXEL'],
            WEIGHTED=weight is not None,
            CLASS_WEIGHTED=class_weight is not None,
            BLOCK=_PIXELS,
            CLASSES=min(triton.next_power_of_2(num_classes), _CLASSES),
            num_warps=_WARPS,
        )
