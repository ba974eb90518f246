"""Label distributions over several axes: product grids and lists of points."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dldl_mm.functional.encoding import label_distribution

__all__ = ['point_distribution', 'product_distribution', 'wrap']

_SHAPES = ('gaussian', 'one_hot')


def wrap(difference: Tensor, period: float | None = 360.0) -> Tensor:
    """Difference of two places on a circle, the shorter way round.

    Args:
        difference: Any shape, in the circle's unit. Differentiable.
        period: Length of the circle; None is a line, which leaves the difference as it is.

    Returns:
        The same shape, in ``[-period / 2, period / 2)``.

    Example:
        >>> import torch
        >>> from dldl_mm.functional import wrap
        >>> wrap(torch.tensor([170.0 - -175.0, 10.0]))
        tensor([-15.,  10.])
    """
    if period is None:
        return difference
    return torch.remainder(difference + period / 2, period) - period / 2


def product_distribution(
    value: Tensor,
    sigma: Tensor,
    axes: Sequence[Tensor],
    periods: Sequence[float | None],
    shape: str = 'gaussian',
) -> Tensor:
    r"""Gaussian distribution with a diagonal covariance over the product of one label set per axis.

    .. math:: d_{k_1 \dots k_A} = \prod_a d^{(a)}_{k_a}, \quad
              d^{(a)}_k \propto e^{-(l^{(a)}_k - \mu_a)^2 / 2 \sigma_a^2}

    which is :func:`point_distribution` on the product's points, at the cost of A small softmaxes
    and their outer product. On a periodic axis the difference goes the shorter way round.

    N samples (any leading shape), A axes, :math:`K = \prod_a K_a` labels.

    Args:
        value: (N, A) means. Differentiable.
        sigma: (N, A) standard deviations, in the axes' unit. Differentiable.
        axes: A label sets, (K_a,) each.
        periods: A periods, None for an axis that is a line.
        shape: ``'gaussian'`` or ``'one_hot'``, the nearest label.

    Returns:
        (N, K) distributions, the last axis varying fastest; float32, or float64 for float64 values.

    Raises:
        ValueError: The shape is unknown.
    """
    _check_shape(shape)
    value = value.to(torch.promote_types(value.dtype, torch.float32))
    joint = value.new_ones(*value.shape[:-1], 1)
    for a, (labels, period) in enumerate(zip(axes, periods, strict=True)):
        distance = wrap(labels.to(value) - value[..., a : a + 1], period)
        # The labels relative to the value: the same distribution, and the way round is chosen.
        marginal = label_distribution(
            torch.zeros_like(value[..., a]), sigma[..., a], distance, shape
        )
        joint = (joint.unsqueeze(-1) * marginal.unsqueeze(-2)).flatten(-2)
    return joint


def point_distribution(
    value: Tensor,
    factor: Tensor,
    points: Tensor,
    periods: Sequence[float | None],
    shape: str = 'gaussian',
) -> Tensor:
    r"""Gaussian distribution with any covariance over a list of points.

    .. math:: d_k \propto e^{-\frac12 (l_k - \mu)^\top \Sigma^{-1} (l_k - \mu)}, \quad
              \sum_k d_k = 1, \quad \Sigma = L L^\top

    (Gao et al., TIP 2017, Sec. III-B). On a periodic axis the difference goes the shorter way
    round.

    N samples (any leading shape), K points, A axes.

    Args:
        value: (N, A) means. Differentiable.
        factor: (N, A, A) or (A, A) lower-triangular Cholesky factor :math:`L` of the covariance, in
            the axes' unit; its diagonal is positive. Differentiable.
        points: (K, A) labels.
        periods: A periods, None for an axis that is a line.
        shape: ``'gaussian'``, or ``'one_hot'``: the nearest point in the covariance's metric.

    Returns:
        (N, K) distributions; float32, or float64 for float64 values. Points that are equally near
        have equal shares, also in the limit of no deviation.

    Raises:
        ValueError: The shape is unknown.
    """
    _check_shape(shape)
    dtype = torch.promote_types(value.dtype, torch.float32)
    # In float64: the ratio of two axes' deviations squared may leave float32's range.
    value, factor = value.double(), factor.to(value.device, torch.float64)
    scale = factor.diagonal(dim1=-2, dim2=-1).amax(-1, keepdim=True)
    factor = factor / scale.unsqueeze(-1)
    # Forward substitution by hand: of few axes, it takes a fraction of a batched triangular solve.
    whitened: list[Tensor] = []
    for a, period in enumerate(periods):
        rest = wrap(points[:, a].to(value) - value[..., a : a + 1], period)
        for b, solved in enumerate(whitened):
            rest = rest - factor[..., a, b, None] * solved
        whitened.append(rest / factor[..., a, a, None])
    squared = torch.stack([coordinate.square() for coordinate in whitened]).sum(0)
    # Relative to the nearest point and divided by the scale twice, so that the limit of no
    # deviation is the nearest point instead of 0/0. The subtrahend is constant over the points.
    excess = squared - squared.detach().amin(-1, keepdim=True)
    if shape == 'one_hot':
        log_weight = torch.zeros_like(excess).masked_fill(excess > 0, -torch.inf)
    else:
        log_weight = -excess / scale / scale / 2
    return F.softmax(log_weight, -1).to(dtype)


def _check_shape(shape: str) -> None:
    if shape not in _SHAPES:
        raise ValueError(f'unknown shape {shape!r}, expected one of {", ".join(_SHAPES)}')
