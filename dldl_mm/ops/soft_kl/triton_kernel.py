# Triton reads a kernel's annotations as its own: only tl.constexpr may stand there.
# mypy: disable-error-code="no-untyped-def"
"""The per-pixel loss as two CUDA kernels, one that sums and one that writes the gradient.

A program handles a block of pixels. It looks for the least and the greatest label of every pixel's
window; where they are the same in the whole block, the targets are one-hot. Elsewhere it weighs
both, and then the few labels between them one after another. The forward pass keeps the log-sum-exp
of each pixel, the backward pass computes the probabilities again. Offsets are 64-bit: a batch may
have more than 2³¹ logits.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from dldl_mm.functional.neighbourhood import gaussian_taps
from dldl_mm.ops.soft_kl.reference import image_coefficients

__all__ = ['soft_kl_triton']

# Sixteen classes at a time keep the tile in registers without spilling (compiled for sm_90). Half of
# the blocks of 32 pixels, but nearly all of 128, hold a pixel with several labels in real maps.
_CLASSES = 16
_PIXELS = 32
_WARPS = 1


@triton.jit
def _class(seen, mask, ignore_index, NUM_CLASSES: tl.constexpr):
    """Labels as classes; ``NUM_CLASSES`` for void, labels out of range and where masked."""
    # Unsigned, so that one comparison refuses negative ones, too; then 32 bits are enough.
    valid = mask & (seen.to(tl.int64).to(tl.uint64) < NUM_CLASSES)
    code = seen.to(tl.int32)
    return tl.where(valid & (code != ignore_index), code, NUM_CLASSES)


@triton.jit
def _read(
    labels,
    pixel,
    here,
    interior,
    dy,
    dx: tl.constexpr,
    inverse_variance,
    width,
    ignore_index,
    NUM_CLASSES: tl.constexpr,
):
    """Labels at an offset from the pixels, ``NUM_CLASSES`` where there is none, and their weight."""
    tap = tl.exp(-0.5 * dy * dy * inverse_variance) * tl.exp(-0.5 * dx * dx * inverse_variance)
    inside = here & (interior | ((dy == 0) & (dx == 0)))
    seen = tl.load(labels + pixel + dy * width + dx, mask=inside, other=0)
    return _class(seen, inside, ignore_index, NUM_CLASSES), tap


@triton.jit
def _extremes(
    labels,
    pixel,
    here,
    interior,
    inverse_variance,
    width,
    ignore_index,
    NUM_CLASSES: tl.constexpr,
    REACH: tl.constexpr,
):
    """Least and greatest class of each window; ``NUM_CLASSES`` and -1 where there is none."""
    low = tl.zeros(pixel.shape, tl.int32) + NUM_CLASSES
    high = tl.zeros(pixel.shape, tl.int32) - 1
    # Only the columns are unrolled: unrolling both costs registers and seconds of compilation.
    for dy in range(-REACH, REACH + 1):
        for dx in tl.static_range(-REACH, REACH + 1):
            code, _ = _read(
                labels,
                pixel,
                here,
                interior,
                dy,
                dx,
                inverse_variance,
                width,
                ignore_index,
                NUM_CLASSES,
            )
            low = tl.minimum(low, code)
            high = tl.maximum(high, tl.where(code < NUM_CLASSES, code, -1))
    return low, high


@triton.jit
def _weigh(
    labels,
    pixel,
    here,
    interior,
    low,
    high,
    inverse_variance,
    width,
    ignore_index,
    NUM_CLASSES: tl.constexpr,
    REACH: tl.constexpr,
):
    """Masses in each window of two classes and of all, and the least class between the two."""
    low_mass = tl.zeros(low.shape, tl.float32)
    high_mass = tl.zeros(low.shape, tl.float32)
    total = tl.zeros(low.shape, tl.float32)
    between = tl.zeros_like(low) + NUM_CLASSES
    for dy in range(-REACH, REACH + 1):
        for dx in tl.static_range(-REACH, REACH + 1):
            code, tap = _read(
                labels,
                pixel,
                here,
                interior,
                dy,
                dx,
                inverse_variance,
                width,
                ignore_index,
                NUM_CLASSES,
            )
            low_mass += tl.where(code == low, tap, 0.0)
            high_mass += tl.where(code == high, tap, 0.0)
            total += tl.where(code < NUM_CLASSES, tap, 0.0)
            between = tl.where((code > low) & (code < high), tl.minimum(between, code), between)
    return low_mass, high_mass, total, between


@triton.jit
def _target(
    labels,
    height,
    width,
    ignore_index,
    inverse_variance,
    NUM_CLASSES: tl.constexpr,
    RADIUS: tl.constexpr,
    REACH: tl.constexpr,
    ASSIGN: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Where a block's pixels are, and what they have as target.

    Returns:
        Pixel numbers, rows, columns, masks of pixels in the image, with the window inside and with a
        target; least and greatest class of that, their shares (the second 0 where they are the
        same), the least class between them (``NUM_CLASSES`` where there is none) and, where there
        are several classes, the total mass.
    """
    # 32-bit within an image: a 64-bit division costs as much as a window.
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    row = pixel // width
    column = pixel % width
    here = pixel < height * width
    interior = (row >= RADIUS) & (row < height - RADIUS)
    interior = interior & (column >= RADIUS) & (column < width - RADIUS)
    low, high = _extremes(
        labels,
        pixel,
        here,
        interior,
        inverse_variance,
        width,
        ignore_index,
        NUM_CLASSES,
        REACH,
    )
    if ASSIGN:
        kept = low < NUM_CLASSES
    else:
        own = tl.load(labels + pixel, mask=here, other=0)
        kept = _class(own, here, ignore_index, NUM_CLASSES) < NUM_CLASSES
    low_share = tl.where(kept, 1.0, 0.0)
    high_share = tl.zeros_like(low_share)
    total = tl.zeros_like(low_share) + 1
    between = tl.zeros_like(low) + NUM_CLASSES
    mixed = kept & (low < high)
    if tl.max(mixed.to(tl.int32), axis=0) > 0:
        low_mass, high_mass, total, between = _weigh(
            labels,
            pixel,
            here,
            interior,
            low,
            high,
            inverse_variance,
            width,
            ignore_index,
            NUM_CLASSES,
            REACH,
        )
        low_share = tl.where(mixed, low_mass / total, low_share)
        high_share = tl.where(mixed, high_mass / total, 0.0)
        between = tl.where(mixed, between, NUM_CLASSES)
        total = tl.where(mixed, total, 1.0)
    return (
        pixel,
        row,
        column,
        here,
        interior,
        kept,
        low,
        high,
        low_share,
        high_share,
        between,
        total,
    )


@triton.jit
def _term(place, class_weight, label, share, normaliser, stride_c, CLASS_WEIGHTED: tl.constexpr):
    """A class's part of the loss and of the target's weighted mass."""
    found = share > 0
    value = tl.load(place + label.to(tl.int64) * stride_c, mask=found, other=0.0).to(tl.float32)
    factor = share
    if CLASS_WEIGHTED:
        factor *= tl.load(class_weight + label, mask=found, other=0.0)
    log_ratio = tl.log(tl.where(found, share, 1.0)) - (value - normaliser)
    return tl.where(found, factor * log_ratio, 0.0), factor


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
    REACH: tl.constexpr,
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
    pixel, row, column, here, interior, kept, low, high, low_share, high_share, between, total = (
        _target(
            labels,
            height,
            width,
            ignore_index,
            inverse_variance,
            NUM_CLASSES,
            RADIUS,
            REACH,
            ASSIGN,
            BLOCK,
        )
    )
    place = logits + image * stride_n + row.to(tl.int64) * stride_h + column.to(tl.int64) * stride_w

    peak = tl.full((BLOCK,), float('-inf'), tl.float32)
    scaled = tl.zeros((BLOCK,), tl.float32)
    for first in range(0, NUM_CLASSES, CLASSES):
        classes = first + tl.arange(0, CLASSES)
        planes = classes.to(tl.int64)[None, :]
        tile = tl.load(
            place[:, None] + planes * stride_c,
            mask=here[:, None] & (classes < NUM_CLASSES)[None, :],
            other=float('-inf'),
        ).to(tl.float32)
        higher = tl.maximum(peak, tl.max(tile, axis=1))
        # Without a finite logit so far, -inf - -inf would be NaN.
        shift = tl.where(higher == float('-inf'), 0.0, higher)
        scaled = scaled * tl.exp(peak - shift) + tl.sum(tl.exp(tile - shift[:, None]), axis=1)
        peak = higher
    normaliser = peak + tl.log(scaled)
    tl.store(log_sum + image * size + pixel, normaliser, mask=here)

    loss, norm = _term(place, class_weight, low, low_share, normaliser, stride_c, CLASS_WEIGHTED)
    more, factor = _term(
        place, class_weight, high, high_share, normaliser, stride_c, CLASS_WEIGHTED
    )
    loss += more
    norm += factor
    while tl.min(between, axis=0) < NUM_CLASSES:
        mass, _, _, following = _weigh(
            labels,
            pixel,
            here,
            interior,
            between,
            high,
            inverse_variance,
            width,
            ignore_index,
            NUM_CLASSES,
            REACH,
        )
        share = tl.where(between < NUM_CLASSES, mass, 0.0) / total
        more, factor = _term(
            place, class_weight, between, share, normaliser, stride_c, CLASS_WEIGHTED
        )
        loss += more
        norm += factor
        between = following
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
    REACH: tl.constexpr,
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
    pixel, row, column, here, interior, kept, low, high, low_share, high_share, start, total = (
        _target(
            labels,
            height,
            width,
            ignore_index,
            inverse_variance,
            NUM_CLASSES,
            RADIUS,
            REACH,
            ASSIGN,
            BLOCK,
        )
    )
    place = logits + image * stride_n + row.to(tl.int64) * stride_h + column.to(tl.int64) * stride_w
    target = gradient + image * out_stride_n
    target += row.to(tl.int64) * out_stride_h + column.to(tl.int64) * out_stride_w
    normaliser = tl.load(log_sum + image * size + pixel, mask=here, other=0.0)
    if PER_PIXEL:
        scale = tl.load(upstream + image * size + pixel, mask=here, other=0.0)
    else:
        scale = tl.zeros((BLOCK,), tl.float32) + tl.load(upstream + image)
    if WEIGHTED:
        scale *= tl.load(weight + image * size + pixel, mask=here, other=0.0)

    if CLASS_WEIGHTED:
        low_share *= tl.load(class_weight + low, mask=low_share > 0, other=0.0)
        high_share *= tl.load(class_weight + high, mask=high_share > 0, other=0.0)
        norm = low_share + high_share
        between = start
        while tl.min(between, axis=0) < NUM_CLASSES:
            mass, _, _, following = _weigh(
                labels,
                pixel,
                here,
                interior,
                between,
                high,
                inverse_variance,
                width,
                ignore_index,
                NUM_CLASSES,
                REACH,
            )
            found = between < NUM_CLASSES
            share = tl.where(found, mass, 0.0) / total
            norm += share * tl.load(class_weight + between, mask=found, other=0.0)
            between = following
    else:
        norm = kept.to(tl.float32)

    low_share *= scale
    high_share *= scale
    for first in range(0, NUM_CLASSES, CLASSES):
        classes = first + tl.arange(0, CLASSES)
        planes = classes.to(tl.int64)[None, :]
        mask = here[:, None] & (classes < NUM_CLASSES)[None, :]
        tile = tl.load(place[:, None] + planes * stride_c, mask=mask, other=float('-inf')).to(
            tl.float32
        )
        slope = tl.exp(tile - normaliser[:, None]) * (scale * norm)[:, None]
        slope -= tl.where(classes[None, :] == low[:, None], low_share[:, None], 0.0)
        slope -= tl.where(classes[None, :] == high[:, None], high_share[:, None], 0.0)
        tl.store(
            target[:, None] + planes * out_stride_c,
            slope.to(gradient.dtype.element_ty),
            mask=mask,
        )

    # The few labels between are written a second time, whole, so that they are rounded once; another
    # thread of this program may have written them above.
    tl.debug_barrier()
    between = start
    while tl.min(between, axis=0) < NUM_CLASSES:
        mass, _, _, following = _weigh(
            labels,
            pixel,
            here,
            interior,
            between,
            high,
            inverse_variance,
            width,
            ignore_index,
            NUM_CLASSES,
            REACH,
        )
        found = between < NUM_CLASSES
        share = tl.where(found, mass, 0.0) / total
        if CLASS_WEIGHTED:
            share *= tl.load(class_weight + between, mask=found, other=0.0)
        value = tl.load(place + between.to(tl.int64) * stride_c, mask=found, other=0.0)
        slope = scale * (tl.exp(value.to(tl.float32) - normaliser) * norm - share)
        tl.store(
            target + between.to(tl.int64) * out_stride_c,
            slope.to(gradient.dtype.element_ty),
            mask=found,
        )
        between = following


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
        # As far as there is mass: all precisions agree on the cut of gaussian_taps.
        'REACH': sum(tap > 0 for tap in gaussian_taps(kernel_size, sigma)) // 2,
        'ASSIGN': void == 'assign',
        'PER_PIXEL': reduction == 'none',
    }
    return _TritonKL.apply(
        logits,
        labels.contiguous(),
        None if weight is None else weight.float().contiguous(),
        None if class_weight is None else class_weight.float().contiguous(),
        reduction,
        options,
    )


class _TritonKL(torch.autograd.Function):
    # One node of the graph from logits to loss: each further one costs the host as long as a launch.
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        labels: Tensor,
        weight: Tensor | None,
        class_weight: Tensor | None,
        reduction: str,
        options: dict[str, Any],
    ) -> Tensor:
        log_sum = torch.empty(labels.shape, dtype=torch.float32, device=logits.device)
        if options['PER_PIXEL']:
            loss = mass = torch.empty_like(log_sum)
        else:
            blocks, num_images = _grid(logits)
            parts = log_sum.new_empty(2, num_images, blocks)
            loss, mass = parts
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
        coefficient = None
        if not options['PER_PIXEL']:
            loss, mass = parts.sum(2)
            coefficient = image_coefficients(mass, reduction)
            loss = (loss * coefficient).sum()
        ctx.save_for_backward(logits, labels, weight, class_weight, log_sum, coefficient)
        ctx.options = options
        return loss

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "soft_kl(impl='triton') can be differentiated once; "
                "use impl='reference' for second derivatives (create_graph=True)"
            )
        logits, labels, weight, class_weight, log_sum, coefficient = ctx.saved_tensors
        upstream = grad_loss if coefficient is None else grad_loss * coefficient
        gradient = torch.empty_like(logits)
        _launch(
            _backward_kernel,
            logits,
            labels,
            weight,
            class_weight,
            (log_sum, upstream.contiguous(), gradient),
            (*logits.stride(), *gradient.stride()),
            ctx.options,
        )
        return gradient, None, None, None, None, None


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
            REACH=options['REACH'],
            ASSIGN=options['ASSIGN'],
            PER_PIXEL=options['PER_PIXEL'],
            WEIGHTED=weight is not None,
            CLASS_WEIGHTED=class_weight is not None,
            BLOCK=_PIXELS,
            CLASSES=min(triton.next_power_of_2(num_classes), _CLASSES),
            num_warps=_WARPS,
        )
