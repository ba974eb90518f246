"""The per-pixel loss in plain torch operations, without the dense target.

On a CPU, pixels that see no other label than their own have the hard cross-entropy; the labels in
the windows of the others are listed with their shares. The probabilities of float32 logits become
the gradient in place, so that loss and gradient together need one buffer of the logits' size.
Where lists are long, as with labels drawn per pixel, and on other devices, where the host would
have to wait for their length, strips of the logits are compared with their dense target.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
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

# Logits are handled in strips of rows to limit the memory beside the gradient. Few and large ones
# take the fewest calls; a dense target needs several times its strip's size, and on a CPU should fit
# into the cache.
_SMALLEST_BYTES = 1 << 20
_DENSE_BYTES = 1 << 20
_DEVICE_BYTES = 64 << 20


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
    codes = class_codes(labels, logits.shape[1], ignore_index).contiguous()
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
    on_cpu = logits.device.type == 'cpu'
    compute = coefficient.dtype
    pixel_loss = torch.empty_like(codes, dtype=compute) if per_pixel else None
    coefficient = coefficient.expand(codes.shape)
    if on_cpu:
        own, pure = _own_labels(codes, logits.shape[1], taps, void)

    # Another type or layout costs a copy of each strip.
    in_place = gradient and logits.dtype == compute and logits.is_contiguous()
    in_place = in_place and logits.numel() > 0
    buffer = torch.empty_like(logits) if gradient and not in_place else None
    everything = 4 * max(1, logits.numel())
    budget = everything if in_place else max(everything // 16, _SMALLEST_BYTES)
    dense_budget = _DENSE_BYTES
    if not on_cpu:
        budget = everything if in_place else _DEVICE_BYTES
        dense_budget = _DEVICE_BYTES
    strips = list(_strips(logits, budget))
    # One tensor for the strips' sums: small ones between the large would split the allocator's heap.
    sums = coefficient.new_zeros(len(strips))
    for number, (images, rows) in enumerate(strips):
        part = logits[images, :, rows].to(compute).contiguous()
        whole, a = codes[images], coefficient[images, rows]
        mixed = None
        if on_cpu:  # to list pixels would wait for another device
            mixed = (own[images, rows] != pure[images, rows]).view(-1).nonzero()[:, 0]
        if mixed is not None and len(mixed) * len(taps) ** 2 <= part.numel():
            maps = (own[images, rows], pure[images, rows], a)
            loss, strip = _run_listed(
                part, whole, rows, mixed, *maps, class_weight, taps, per_pixel=per_pixel
            )
        else:
            strip = part.softmax(1)
            loss = strip.new_empty(a.shape)
            for some, lines in _strips(part, dense_budget):
                place = (some, slice(None), lines)
                rows_of_image = slice(rows.start + lines.start, rows.start + lines.stop)
                loss[some, lines] = _run_dense(
                    *(strip[place], part[place], whole[some], rows_of_image),
                    *(a[some, lines], class_weight, taps, void),
                )
        if pixel_loss is not None:
            pixel_loss[images, rows] = loss
        else:
            sums[number] = loss.sum()
        if in_place:
            buffer = strip
        elif buffer is not None:
            buffer[images, :, rows] = strip
        # Not to be held while the next one is made.
        del part, strip, loss
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


def _run_listed(
    logits: Tensor,
    codes: Tensor,
    rows: slice,
    mixed: Tensor,
    own: Tensor,
    pure: Tensor,
    coefficient: Tensor,
    class_weight: Tensor | None,
    taps: tuple[float, ...],
    *,
    per_pixel: bool,
) -> tuple[Tensor, Tensor]:
    """Loss and gradient of a strip, with a list of the labels in windows.

    Args:
        logits: (n, C, h, W) logits, contiguous.
        codes: (n, H, W) classes of whole images, C in void pixels.
        rows: The strip's rows; all of them if n is not 1.
        mixed: (M,) positions in the strip of the pixels with several labels.
        own: (n, h, W) and
        pure: (n, h, W), see :func:`_own_labels`.
        coefficient: (n, h, W) factors of the pixels.
        class_weight: (C,) class weights, None for 1.
        taps: Weights of one axis.
        per_pixel: Whether the pixels' losses are wanted or their sum.

    Returns:
        (n, h, W) losses or their sum, and (n, C, h, W).
    """
    num_images, num_classes, height, width = logits.shape
    # Before there is the gradient, because this needs much memory for a while.
    chunks = mixed.split(max(1 << 15, logits.numel() // 512))
    parts = [_shares(codes, rows, chunk, num_classes, taps, logits.dtype) for chunk in chunks]
    columns = list(zip(*parts, strict=True))
    del parts
    # One by one, so that the parts of each make room for the next.
    pixels, label, share = (torch.cat(columns.pop(0)) for _ in range(3))
    if coefficient.numel() and not any(coefficient.stride()):  # one number, not to be spread out
        change = share * coefficient[0, 0, 0]
    else:
        change = coefficient.reshape(-1)[pixels].mul_(share)
    if class_weight is not None:
        change.mul_(class_weight[label])
    area = height * width
    place = label.mul_(area).add_(pixels)
    if num_images > 1:
        place += (pixels // area).mul_((num_classes - 1) * area)
    del label
    if class_weight is None and not per_pixel:
        pixels = pixels.new_empty(0)

    gradient = logits.softmax(1)
    values = gradient.view(-1)
    logs = _logarithms(
        values.index_select(0, place),
        logits,
        lambda few: torch.unravel_index(place[few], logits.shape),
    )
    ratio = share.log_().sub_(logs).mul_(change)
    strips = list(_strips(logits, max(logits.numel() // 2, _SMALLEST_BYTES)))
    loss = logits.new_zeros(own.shape if per_pixel else len(strips) + 1)
    if per_pixel:
        loss.view(-1).index_add_(0, pixels, ratio)
    else:
        loss[-1] = ratio.sum()
    mass = None
    if class_weight is not None:
        mass = logits.new_zeros(own.shape)
        mass.view(-1).index_add_(0, pixels, change)
    del pixels, share, logs, ratio
    for number, (images, lines) in enumerate(strips):
        strip, a = gradient[images, :, lines], coefficient[images, lines]
        # Hard cross-entropy of the pixels with one label.
        labels = own[images, lines].clamp(max=num_classes - 1).long()[:, None]
        amount = torch.ne(pure[images, lines], num_classes, out=logits.new_empty(a.shape)).mul_(a)
        if mass is None or class_weight is None:
            scale = torch.ne(own[images, lines], num_classes, out=logits.new_empty(a.shape)).mul_(a)
        else:
            amount.mul_(class_weight[labels[:, 0]])
            scale = amount + mass[images, lines]
        hard = _log_likelihood(strip, logits[images, :, lines], labels).mul_(amount).neg_()
        total = hard.sum()
        if total.isnan():  # perhaps 0 · ln 0, of a void pixel and a class with a logit of -inf
            total = hard.masked_fill_(amount == 0, 0).sum()
        if per_pixel:
            loss[images, lines] += hard
        else:
            loss[number] = total
        strip.mul_(scale[:, None])
        strip.scatter_add_(1, labels, amount.neg_()[:, None])
    values.index_add_(0, place, change, alpha=-1)
    return loss, gradient


def _log_likelihood(probability: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """(n, h, W) log-probabilities of (n, 1, h, W) labels."""

    def locate(few: Tensor) -> tuple[Tensor, ...]:
        image, _, row, column = torch.unravel_index(few, labels.shape)
        return image, labels.view(-1)[few], row, column

    picked = probability.gather(1, labels)
    return _logarithms(picked.view(-1), logits, locate).view_as(picked)[:, 0]


def _logarithms(
    picked: Tensor, logits: Tensor, locate: Callable[[Tensor], tuple[Tensor, ...]]
) -> Tensor:
    """Logarithms of picked probabilities, also of those that are too small for their type.

    Args:
        picked: (E,) probabilities; overwritten.
        logits: (n, C, h, W) logits.
        locate: Image, class, row and column of some of the picked ones.
    """
    limits = torch.finfo(picked.dtype)
    smallest = limits.tiny / limits.eps
    if not picked.numel() or picked.amin() > smallest:
        return picked.log_()
    few = (picked <= smallest).nonzero()[:, 0]
    image, label, row, column = locate(few)
    exact = logits[image, :, row, column].log_softmax(1).gather(1, label[:, None])
    return picked.log_().index_copy_(0, few, exact[:, 0])


def _inner_taps(taps: tuple[float, ...]) -> tuple[float, ...]:
    """The taps without the zeros at their ends."""
    zeros = sum(tap == 0 for tap in taps) // 2
    return taps[zeros : len(taps) - zeros]


def _own_labels(
    codes: Tensor, num_classes: int, taps: tuple[float, ...], void: str
) -> tuple[Tensor, Tensor]:
    """Pixels with one label and pixels with several.

    Returns:
        (N, H, W) a label of each pixel with a target, and (N, H, W) the label of each pixel with
        one; ``num_classes`` elsewhere.
    """
    radius, reach = len(taps) // 2, len(_inner_taps(taps)) // 2
    height, width = codes.shape[1:]
    if reach == 0 or min(height, width) < len(taps):
        return codes, codes
    rim = radius - reach
    low = codes[:, rim : height - rim, rim : width - rim]
    # Void has the greatest code, so it is not the least beside a class; nor, as 0, the greatest.
    high = torch.ne(low, num_classes, out=torch.empty_like(low)).mul_(low)
    for axis in (1, 2):
        steps, length = range(2 * reach + 1), low.shape[axis] - 2 * reach
        low = functools.reduce(torch.minimum, [low.narrow(axis, t, length) for t in steps])
        high = functools.reduce(torch.maximum, [high.narrow(axis, t, length) for t in steps])
    inside = (slice(None), slice(radius, height - radius), slice(radius, width - radius))
    own = codes
    if void == 'assign':
        own = codes.clone()
        own[inside] = torch.where(codes[inside] == num_classes, low, codes[inside])
    # The greatest code for pixels with several labels.
    pure = own.clone()
    several = torch.lt(low, high, out=torch.empty_like(low)).mul_(num_classes)
    torch.maximum(own[inside], several, out=pure[inside])
    return own, pure


# Autocast would round its matrix product, and with it the target.
@torch.autocast('cpu', enabled=False)
def _shares(
    codes: Tensor,
    rows: slice,
    pixels: Tensor,
    num_classes: int,
    taps: tuple[float, ...],
    compute: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:
    """Targets of pixels with several labels, as a list.

    Args:
        codes: (n, H, W) classes of whole images, ``num_classes`` in void pixels.
        rows: Rows of a strip; all if n is not 1.
        pixels: (M,) positions in the strip; their windows lie inside of the image.
        num_classes: C.
        taps: Weights of one axis.
        compute: Type of the shares.

    Returns:
        (E,) positions of pixels, for each a label of its window, and that label's share, above 0.
    """
    taps = _inner_taps(taps)
    width = codes.shape[2]
    line = torch.tensor(taps, dtype=compute)
    weights = (line[:, None] * line).view(-1)
    corners = pixels + (rows.start * width - len(taps) // 2 * (width + 1))
    flat = codes.reshape(-1)
    # Tap by tap: a third of the time of indexing a view of all windows.
    windows = codes.new_empty(len(weights), len(pixels))
    steps = range(len(taps))
    for offset, seen in zip((y * width + x for y in steps for x in steps), windows, strict=True):
        torch.index_select(flat[offset:], 0, corners, out=seen)

    # Two labels each, the least first. What was taken becomes void, which has the greatest code.
    # Written as numbers at once and by arithmetic: several times as fast as with booleans.
    found = []
    here = torch.empty(windows.shape, dtype=compute)
    taken = torch.empty_like(windows)
    label = windows.amin(0)
    for _ in range(2):
        found.append((pixels, label.long(), weights @ torch.eq(windows, label, out=here)))
        torch.eq(windows, label, out=taken).mul_(num_classes)
        label = torch.maximum(windows, taken, out=windows).amin(0)
    mass = found[0][2] + found[1][2]
    # Few pixels have more.
    left = (label != num_classes).nonzero()[:, 0]
    rest = mass.new_zeros(len(left), num_classes + 1)
    rest.scatter_add_(1, windows[:, left].t().long(), weights.expand(len(left), -1))
    rest = rest[:, :num_classes]
    mass.index_add_(0, left, rest.sum(1))
    row, label = rest.nonzero(as_tuple=True)
    for _, _, share in found:
        share.div_(mass)
    row_mass = mass[left[row]]
    found.append((pixels[left[row]], label, rest[row, label].div_(row_mass)))
    pixels, labels, shares = (torch.cat(parts) for parts in zip(*found, strict=True))
    return pixels, labels, shares


def _run_dense(
    strip: Tensor,
    logits: Tensor,
    codes: Tensor,
    rows: slice,
    coefficient: Tensor,
    class_weight: Tensor | None,
    taps: tuple[float, ...],
    void: str,
) -> Tensor:
    """:func:`_run_listed` with the dense target of the strip."""
    num_images, num_classes, _, width = strip.shape
    radius = len(taps) // 2
    height = codes.shape[1]
    top, bottom = max(rows.start - radius, 0), min(rows.stop + radius, height)
    seen = codes[:, top:bottom]
    classes = torch.arange(num_classes, dtype=codes.dtype, device=codes.device)
    one_hot = strip.new_empty(num_images, num_classes, bottom - top, width)
    # Written as floats at once: five times as fast as converting booleans.
    torch.eq(seen[:, None], classes[:, None, None], out=one_hot)
    target = one_hot[:, :, rows.start - top : rows.stop - top]
    valid = strip.new_empty(num_images, 1, *target.shape[2:])
    torch.ne(codes[:, None, rows], num_classes, out=valid)

    first, last = max(rows.start, radius), min(rows.stop, height - radius)
    if radius and first < last and width >= len(taps):
        sums = window_sums(one_hot[:, :, first - radius - top : last + radius - top], taps)
        target = target.clone()
        target[:, :, first - rows.start : last - rows.start, radius : width - radius] = sums
        mass = target.sum(1, keepdim=True)
        if void == 'assign':
            torch.gt(mass, 0, out=valid)
        target.div_(mass.clamp_(min=torch.finfo(mass.dtype).tiny))
    del one_hot

    ratio = target.clamp(min=torch.finfo(strip.dtype).tiny).log_()
    ratio -= logits.to(strip.dtype).log_softmax(1)
    target.mul_(valid.mul_(coefficient[:, None]))
    if class_weight is not None:
        target.mul_(class_weight[:, None, None])
    # Where the target is 0, the logarithm may be that of a logit of -inf.
    loss = ratio.mul_(target).masked_fill_(target == 0, 0).sum(1)
    strip.mul_(target.sum(1, keepdim=True)).sub_(target)
    return loss


def _image_mass(
    codes: Tensor,
    num_classes: int,
    taps: tuple[float, ...],
    void: str,
    class_weight: Tensor | None,
    compute: torch.dtype,
) -> Tensor:
    """(N,) targets summed over classes and pixels: see ``image_coefficients``."""
    # Counted as floats: three times as fast as booleans, and exact up to 2**24 pixels.
    labelled = torch.empty(codes.shape, dtype=compute, device=codes.device)
    torch.ne(codes, num_classes, out=labelled)
    if void == 'ignore' and class_weight is None:
        return labelled.sum((1, 2))
    mass = blend_windows(labelled, taps)
    valid = (labelled if void == 'ignore' else mass) > 0
    if class_weight is None:
        return valid.to(compute).sum((1, 2))
    # Smoothing is linear: the classes' weights can be smoothed in place of the classes.
    weights = torch.cat([class_weight, class_weight.new_zeros(1)])[codes.long()]
    return torch.where(valid, blend_windows(weights, taps) / mass, 0).sum((1, 2))
