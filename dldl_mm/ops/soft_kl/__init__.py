"""Kullback-Leibler divergence of a segmentation network from a label map's smoothed labels."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import ParamSpec

import torch
from torch import Tensor

from dldl_mm.functional.neighbourhood import check_void, gaussian_taps
from dldl_mm.ops.soft_kl.eager import soft_kl_eager
from dldl_mm.ops.soft_kl.reference import soft_kl_reference

__all__ = ['soft_kl']

IMPLEMENTATIONS = ('auto', 'reference', 'eager', 'triton')
REDUCTIONS = ('mean', 'image_mean', 'sum', 'none')

_Parameters = ParamSpec('_Parameters')


def _untraced(function: Callable[_Parameters, Tensor]) -> Callable[_Parameters, Tensor]:
    """Keep a function outside of ``torch.compile``'s graph.

    The implementations are fused by hand, the compiler's version of scatter-like code cannot be
    relied on, and it fails at a sigma that differs from loss to loss, which it makes symbolic.
    """

    @functools.wraps(function)
    def outside(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> Tensor:
        return _untraced_call()(function, *args, **kwargs)

    return outside


@functools.cache
def _untraced_call() -> Callable[..., Tensor]:
    # Made on first use, because naming the compiler imports it.
    return torch.compiler.disable(lambda function, *args, **kwargs: function(*args, **kwargs))


@_untraced
def soft_kl(
    logits: Tensor,
    labels: Tensor,
    kernel_size: int = 5,
    sigma: float = 3.0,
    ignore_index: int = 255,
    void: str = 'ignore',
    reduction: str = 'mean',
    impl: str = 'auto',
    *,
    weight: Tensor | None = None,
    class_weight: Tensor | None = None,
) -> Tensor:
    r"""KL divergence per pixel, from logits and a hard label map.

    .. math:: L(x) = u(x) \sum_c v_c\, d_c(x) \ln \frac{d_c(x)}{p_c(x)},
              \quad p = \mathrm{softmax}(z), \quad
              \frac{\partial L(x)}{\partial z_c(x)}
                  = u(x) \Big( p_c(x) \sum_k v_k d_k(x) - v_c d_c(x) \Big)

    with the pixel weights u and the class weights v, both 1 by default (Gao et al., TIP 2017,
    Eq. 4), and the target d of
    :func:`~dldl_mm.functional.neighbourhood.neighbourhood_distribution`: the one-hot map smoothed
    by a Gaussian, the outer ``kernel_size // 2`` pixels as they are. A pixel without a target has
    loss and gradient 0. The target's entropy is part of the value (0 is the optimum when v is 1).
    With ``kernel_size=1`` it is ``F.cross_entropy``.

    N images, C classes, H×W pixels. Computed in float32 at least, whatever the logits' type; the
    logits are never written to. Deterministic. On CUDA the host does not wait for the device.

    Args:
        logits: (N, C, H, W) scores :math:`z`, any memory layout.
        labels: (N, H, W) integers, 0 to C - 1 or ``ignore_index``.
        kernel_size: Side of the window in pixels, odd.
        sigma: Standard deviation of the Gaussian in pixels.
        ignore_index: Label of void pixels, which add no mass to their neighbours' targets.
        void: ``'ignore'``: a void pixel has no loss. ``'assign'`` (the authors'): a void pixel has
            the distribution of the labelled pixels in its window, if there are any.
        reduction: ``'mean'`` over the pixels that have a target, as ``F.cross_entropy`` (with class
            weights, the divisor is :math:`\sum_x \sum_c v_c d_c(x)`; pixel weights do not change
            it); ``'image_mean'``, the authors': each image's sum divided by (that number + 1),
            averaged over the images; ``'sum'``; ``'none'``. Without any pixel that has a target, 0.
        impl: ``'reference'`` (dense target, differentiable many times), ``'eager'`` (torch
            operations without a dense target, any device), ``'triton'`` (a CUDA kernel, not for
            float64) or ``'auto'``: triton where it can run, eager elsewhere. Eager and triton are
            differentiable once and raise beyond that.
        weight: (N, H, W) pixel weights u. No gradient flows to them.
        class_weight: (C,) class weights v, likewise.

    Returns:
        A scalar, or (N, H, W) for ``'none'``, in the logits' type; in float32 for half-precision
        logits under autocast, as ``F.cross_entropy`` does, so that a GradScaler's factor fits.

    Raises:
        ValueError: A shape or an option is wrong, or (on the CPU) a label is out of range. On other
            devices, where the check would wait for the device, such a pixel counts as void.
        TypeError: The labels are not integers, or the logits not floating point.

    Example:
        >>> import torch
        >>> from dldl_mm.ops import soft_kl
        >>> labels = torch.tensor([[[0, 0, 1], [0, 0, 1], [0, 255, 1]]])
        >>> soft_kl(torch.zeros(1, 2, 3, 3), labels, kernel_size=3)
        tensor(0.6109)
    """
    check_options(kernel_size, sigma, void, reduction, impl)
    _check_tensors(logits, labels, weight, class_weight)
    loss = _implementation(impl, logits)(
        logits,
        labels,
        kernel_size,
        sigma,
        ignore_index,
        void,
        reduction,
        None if weight is None else weight.detach(),
        None if class_weight is None else class_weight.detach().to(logits.device),
    )
    if torch.is_autocast_enabled(logits.device.type):
        return loss
    return loss.to(logits.dtype)


def check_options(kernel_size: int, sigma: float, void: str, reduction: str, impl: str) -> None:
    """Refuse options that :func:`soft_kl` does not know.

    Raises:
        ValueError: An option has a value outside its range.
        TypeError: ``kernel_size`` is not an integer.
    """
    gaussian_taps(kernel_size, sigma)
    check_void(void)
    if reduction not in REDUCTIONS:
        raise ValueError(f'unknown reduction {reduction!r}, expected one of {REDUCTIONS}')
    if impl not in IMPLEMENTATIONS:
        raise ValueError(f'unknown impl {impl!r}, expected one of {IMPLEMENTATIONS}')


def _check_tensors(
    logits: Tensor, labels: Tensor, weight: Tensor | None, class_weight: Tensor | None
) -> None:
    if logits.ndim != 4:
        raise ValueError(f'logits must have the shape (N, C, H, W), got {tuple(logits.shape)}')
    if not logits.is_floating_point():
        raise TypeError(f'logits must be floating point, got {logits.dtype}')
    num_images, num_classes, height, width = logits.shape
    if num_classes < 2:
        raise ValueError(
            f'logits must have at least two classes, got the shape {tuple(logits.shape)}; '
            'a sigmoid output of one channel has no softmax'
        )
    if labels.shape != (num_images, height, width):
        raise ValueError(
            f'labels must have the shape {(num_images, height, width)} '
            f'of logits {tuple(logits.shape)}, got {tuple(labels.shape)}'
        )
    if weight is not None and weight.shape != labels.shape:
        raise ValueError(
            f'weight must have the shape of labels {tuple(labels.shape)}, got {tuple(weight.shape)}'
        )
    if class_weight is not None and class_weight.shape != (num_classes,):
        raise ValueError(
            f'class_weight must have the shape ({num_classes},), got {tuple(class_weight.shape)}'
        )


def _implementation(impl: str, logits: Tensor) -> Callable[..., Tensor]:
    if impl == 'reference':
        return soft_kl_reference
    if impl == 'auto':
        fits = logits.is_cuda and logits.dtype != torch.float64
        impl = 'triton' if fits and importlib.util.find_spec('triton') else 'eager'
    if impl == 'eager':
        return soft_kl_eager
    from dldl_mm.ops.soft_kl.triton_kernel import soft_kl_triton

    return soft_kl_triton
