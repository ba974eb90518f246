"""From a label distribution to a value, its deviation and intervals."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = [
    'circular_mean',
    'expectation',
    'interval',
    'mode',
    'quantile',
    'standard_deviation',
    'variance',
]


def _prepare(dist: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    if dist.shape[-1] != labels.numel():
        raise ValueError(
            f'the distribution has {dist.shape[-1]} entries in its last dimension, '
            f'but the label set has {labels.numel()} labels'
        )
    dist = dist.to(torch.promote_types(dist.dtype, torch.float32))
    return dist, labels.to(dist)


def expectation(dist: Tensor, labels: Tensor) -> Tensor:
    r"""Expectation :math:`\sum_k p_k l_k`, the Bayes rule of squared errors.

    Args:
        dist: (N, K) distributions, N any leading shape.
        labels: (K,) the label set.

    Returns:
        (N,) in the label set's unit.

    Example:
        >>> import torch
        >>> from dldl_mm.functional import expectation
        >>> expectation(torch.tensor([0.25, 0.75]), torch.tensor([1.0, 3.0]))
        tensor(2.5000)
    """
    dist, labels = _prepare(dist, labels)
    # A sum of products, not a matmul: TF32 and autocast would round the labels.
    return (dist * labels).sum(-1)


def circular_mean(dist: Tensor, labels: Tensor, period: float) -> Tensor:
    r"""Direction of :math:`\sum_k p_k e^{2 \pi i\, l_k / P}`, the expectation on a circle.

    Args:
        dist: (N, K) distributions.
        labels: (K,) the label set; its first label is where the circle is cut.
        period: P, in the label set's unit.

    Returns:
        (N,) within half a label's step of the label set. Where the resultant is 0 (a uniform
        distribution) the direction is undefined and the first label is returned.
    """
    dist, labels = _prepare(dist, labels)
    # Angles from the first label, for which the arc tangent's cut lies a full period away.
    angle = (labels - labels[0]) * (2 * math.pi / period)
    sine, cosine = (dist * angle.sin()).sum(-1), (dist * angle.cos()).sum(-1)
    offset = torch.atan2(sine, cosine) * (period / (2 * math.pi))
    half_step = (period - (labels[-1] - labels[0])) / 2
    return labels[0] - half_step + torch.remainder(offset + half_step, period)


def mode(dist: Tensor, labels: Tensor) -> Tensor:
    """Most probable label (argmax), the first one of equals; the Bayes rule of accuracy.

    Args:
        dist: (N, K) distributions.
        labels: (K,) the label set.

    Returns:
        (N,) labels.
    """
    dist, labels = _prepare(dist, labels)
    return labels[dist.argmax(-1)]


def quantile(dist: Tensor, labels: Tensor, q: float | Tensor) -> Tensor:
    r"""Smallest label :math:`l_k` with :math:`\sum_{j \le k} p_j \ge q`; the median for q = 0.5.

    The median is the Bayes rule of absolute errors.

    Args:
        dist: (N, K) distributions.
        labels: (K,) the label set, ascending.
        q: Probability in [0, 1], one or (Q,) of them.

    Returns:
        (N,) labels, or (N, Q).
    """
    # The probabilities' rounding must not move a quantile that a step of the CDF meets exactly.
    slack = 4 * torch.finfo(dist.dtype).eps
    dist, labels = _prepare(dist, labels)
    cdf = dist.double().cumsum(-1)
    levels = torch.as_tensor(q, dtype=cdf.dtype, device=cdf.device)
    index = torch.searchsorted(
        cdf, (levels * (1 - slack)).expand(*cdf.shape[:-1], levels.numel()).contiguous()
    )
    value = labels[index.clamp(max=labels.numel() - 1)]
    return value if levels.ndim else value.squeeze(-1)


def interval(dist: Tensor, labels: Tensor, level: float = 0.9) -> Tensor:
    """Central interval between the quantiles (1 - level) / 2 and (1 + level) / 2.

    Args:
        dist: (N, K) distributions.
        labels: (K,) the label set, ascending.
        level: Its probability, in (0, 1).

    Returns:
        (N, 2) lower and upper end, both labels; it holds at least ``level`` of the probability.

    Raises:
        ValueError: The level is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f'the level of an interval must lie in (0, 1), got {level}')
    return quantile(
        dist, labels, torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    )


def standard_deviation(dist: Tensor, labels: Tensor) -> Tensor:
    r"""Standard deviation :math:`\sqrt{\sum_k p_k (l_k - \mu)^2}`.

    Args:
        dist: (N, K) distributions.
        labels: (K,) the label set.

    Returns:
        (N,) in the label set's unit.
    """
    return variance(dist, labels).sqrt()


def variance(dist: Tensor, labels: Tensor) -> Tensor:
    r"""Variance :math:`\sum_k p_k (l_k - \mu)^2`.

    Args:
        dist: (N, K) distributions.
        labels: (K,) the label set.

    Returns:
        (N,) in the square of the label set's unit.
    """
    mean = expectation(dist, labels).unsqueeze(-1)
    dist, labels = _prepare(dist, labels)
    return (dist * (labels - mean).square()).sum(-1)
