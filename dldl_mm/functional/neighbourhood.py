"""Per-pixel label distributions: a label map smoothed over a pixel's neighbourhood."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    'class_codes',
    'gaussian_taps',
    'label_relaxation',
    'neighbourhood_distribution',
    'window_sums',
]

VOID_RULES = ('ignore', 'assign')
_LABEL_DTYPES = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def neighbourhood_distribution(
    label_map: Tensor,
    num_classes: int,
    kernel_size: int = 5,
    sigma: float = 3.0,
    ignore_index: int = 255,
    void: str = 'ignore',
    *,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    r"""Label distribution of every pixel, from the labels around it (Gao et al., TIP 2017, 4.4).

    .. math:: d_c(x) = \frac{\sum_t w_t\,[l(x+t) = c]}{\sum_t w_t\,[l(x+t)\ \text{is a class}]},
              \quad w_t = \exp\frac{-|t|^2}{2\sigma^2}

    over the offsets t of a square window. The outer ``kernel_size // 2`` pixels, whose window
    leaves the image, keep their one-hot target, and void pixels add no mass to their neighbours.

    N images, C classes, H×W pixels. This is the definition, with its dense result;
    :func:`dldl_mm.ops.soft_kl` computes the loss against it without building it.

    Args:
        label_map: (N, H, W) integer labels, 0 to C - 1 or ``ignore_index``.
        num_classes: C.
        kernel_size: Side of the window in pixels, odd.
        sigma: Standard deviation of the Gaussian in pixels.
        ignore_index: Label of void pixels.
        void: ``'ignore'`` gives void pixels no distribution; ``'assign'`` (the authors') gives a
            void pixel that of the labelled pixels in its window.
        dtype: Type of the result.

    Returns:
        (N, C, H, W); a pixel's values sum to 1, or are all 0 where it has no distribution.

    Raises:
        ValueError: The shape or an option is wrong, or (on the CPU) a label is out of range. On
            other devices, where the check would wait for the device, such a pixel is void.
        TypeError: The labels are not integers.

    Example:
        >>> import torch
        >>> from dldl_mm.functional.neighbourhood import neighbourhood_distribution
        >>> labels = torch.tensor([[[0, 0, 1], [0, 0, 1], [0, 0, 1]]])
        >>> d = neighbourhood_distribution(labels, 2, kernel_size=3, sigma=float('inf'))
        >>> d[0, :, 1, 1]
        tensor([0.6667, 0.3333])
        >>> d[0, :, 0, 0]
        tensor([1., 0.])
    """
    taps = gaussian_taps(kernel_size, sigma)
    check_void(void)
    codes = class_codes(label_map, num_classes, ignore_index)
    classes = torch.arange(num_classes, dtype=codes.dtype, device=codes.device)
    mass = blend_windows((codes[:, None] == classes[:, None, None]).to(dtype), taps)
    total = mass.sum(1, keepdim=True)
    if void == 'ignore':
        total = total.masked_fill(codes[:, None] == num_classes, 0)
    return torch.where(total > 0, mass / total, 0)


def label_relaxation(
    logits: Tensor, label_map: Tensor, kernel_size: int = 3, ignore_index: int = 255
) -> Tensor:
    r"""Loss of a pixel that may have any of the labels around it (Zhu et al., CVPR 2019).

    .. math:: L(x) = -\ln \sum_{c \in \{l(x+t)\}} p_c(x), \quad p = \mathrm{softmax}(z)

    over the offsets t of a square window, cut at the image's edge. Void pixels add no class.

    N images, C classes, H×W pixels.

    Args:
        logits: (N, C, H, W) scores z.
        label_map: (N, H, W) integer labels, 0 to C - 1 or ``ignore_index``.
        kernel_size: Side of the window in pixels, odd.
        ignore_index: Label of void pixels.

    Returns:
        (N, H, W), 0 in void pixels; in float32 at least.

    Raises:
        ValueError: The shape is wrong, or (on the CPU) a label is out of range.
        TypeError: The labels are not integers.
    """
    compute = torch.promote_types(logits.dtype, torch.float32)
    num_classes = logits.shape[1]
    codes = class_codes(label_map, num_classes, ignore_index)[:, None]
    classes = torch.arange(num_classes, dtype=codes.dtype, device=codes.device)
    one_hot = (codes == classes[:, None, None]).to(compute)
    near = F.max_pool2d(one_hot, kernel_size, stride=1, padding=kernel_size // 2) > 0
    void = codes == num_classes
    # A void pixel allows all classes here, so that nothing infinite is masked afterwards.
    log_p = logits.to(compute).log_softmax(1).masked_fill(~(near | void), -math.inf)
    return (-log_p.logsumexp(1)).masked_fill(void[:, 0], 0)


def gaussian_taps(kernel_size: int, sigma: float) -> list[float]:
    r"""One axis of the separable window, :math:`\exp(-t^2 / 2\sigma^2)`, 1 in the middle.

    A tap below 1e-12 is 0, so that every precision agrees on which pixels have mass.

    Args:
        kernel_size: Number of taps, odd.
        sigma: Standard deviation in pixels; infinity gives equal taps.

    Returns:
        ``kernel_size`` numbers.

    Raises:
        ValueError: The size is not odd and positive, or sigma is not positive.
        TypeError: The size is not an integer.
    """
    if not isinstance(kernel_size, int):
        raise TypeError(f'kernel_size must be an integer, got {kernel_size!r}')
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f'kernel_size must be odd and positive, got {kernel_size}')
    if not sigma > 0:
        raise ValueError(f'sigma must be positive, got {sigma}')
    radius = kernel_size // 2
    # A hundredth of a pixel already rounds the neighbours to 0; less would overflow the square.
    weights = [math.exp(-0.5 * (t / max(sigma, 0.01)) ** 2) for t in range(-radius, radius + 1)]
    return [weight if weight > 1e-12 else 0.0 for weight in weights]


def check_void(void: str) -> None:
    """Refuse an unknown rule for void pixels."""
    if void not in VOID_RULES:
        raise ValueError(f"unknown void {void!r}, expected 'ignore' or 'assign'")


def class_codes(label_map: Tensor, num_classes: int, ignore_index: int) -> Tensor:
    """Labels as classes, with ``num_classes`` in the void pixels.

    Args:
        label_map: (N, H, W) integer labels.
        num_classes: C.
        ignore_index: Label of void pixels.

    Returns:
        (N, H, W), 0 to C. On the CPU of the narrowest type that holds them, where comparing and
        copying bytes takes a quarter of int32's time; int32 on other devices.

    Raises:
        ValueError: Not three-dimensional, or (on the CPU) a label is neither a class nor
            ``ignore_index``. On other devices such a pixel is void.
        TypeError: The labels are not integers.
    """
    if label_map.ndim != 3:
        raise ValueError(f'labels must have the shape (N, H, W), got {tuple(label_map.shape)}')
    if label_map.dtype not in _LABEL_DTYPES:
        raise TypeError(f'labels must be integers, got {label_map.dtype}')
    if label_map.device.type != 'cpu':
        wide = label_map.to(torch.int64)
        void = (wide == ignore_index) | (wide < 0) | (wide >= num_classes)
        return wide.masked_fill(void, num_classes).to(torch.int32)
    low, high = _refuse_outside(label_map, -(2**31), 2**31 - 1, num_classes, ignore_index)
    for dtype in (torch.uint8, torch.int16, torch.int32):
        limits = torch.iinfo(dtype)
        if limits.min <= low and max(high, num_classes) <= limits.max:
            break
    codes = label_map.to(dtype, copy=True)
    if not low <= ignore_index <= high:
        _refuse_outside(codes, 0, num_classes - 1, num_classes, ignore_index)
        return codes
    # By arithmetic: several times as fast as filling under a mask.
    void = torch.eq(codes, ignore_index, out=torch.empty_like(codes))
    codes.sub_(void, alpha=ignore_index)
    _refuse_outside(codes, 0, num_classes - 1, num_classes, ignore_index)
    return codes.add_(void, alpha=num_classes)


def _refuse_outside(
    labels: Tensor, low: int, high: int, num_classes: int, ignore_index: int
) -> tuple[int, int]:
    """Refuse labels outside of a range; returns the least and the greatest."""
    least, greatest = map(int, labels.aminmax() if labels.numel() else (0, 0))
    for value in (least, greatest):
        if not low <= value <= high:
            raise ValueError(
                f'label {value} in {int((labels == value).sum())} pixel(s) is neither a class '
                f'(0 to {num_classes - 1}) nor ignore_index ({ignore_index})'
            )
    return least, greatest


def window_sums(maps: Tensor, taps: Sequence[float]) -> Tensor:
    """Weighted sums over the square windows that lie inside the map, one axis after the other.

    Args:
        maps: (..., H, W) values, H and W at least the number of taps.
        taps: Symmetric weights of one axis, an odd number R + 1 + R.

    Returns:
        (..., H - 2R, W - 2R).
    """
    for axis in (-2, -1):
        radius = len(taps) // 2
        length = maps.shape[axis] - 2 * radius
        sums = maps.narrow(axis, radius, length) * taps[radius]
        for t in range(1, radius + 1):
            sums.add_(maps.narrow(axis, radius - t, length), alpha=taps[radius + t])
            sums.add_(maps.narrow(axis, radius + t, length), alpha=taps[radius + t])
        maps = sums
    return maps


def blend_windows(maps: Tensor, taps: Sequence[float]) -> Tensor:
    """:func:`window_sums` where the window fits into the map, the values themselves elsewhere."""
    radius = len(taps) // 2
    height, width = maps.shape[-2:]
    if radius == 0 or min(height, width) < len(taps):
        return maps
    blended = maps.clone()
    blended[..., radius : height - radius, radius : width - radius] = window_sums(maps, taps)
    return blended
