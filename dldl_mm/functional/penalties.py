"""Terms that losses add to a divergence: what the softmax should look like around the true value."""

from __future__ import annotations

import torch
from torch import Tensor

from dldl_mm.functional.decoding import expectation, variance
from dldl_mm.functional.divergence import reduce_samples

__all__ = ['concentration', 'rank_violation', 'residue_entropy']


def residue_entropy(
    logits: Tensor, value: Tensor, labels: Tensor, epsilon: float = 1e-3, reduction: str = 'mean'
) -> Tensor:
    r"""Entropy of the probabilities that are smaller than that of the true label.

    .. math:: -\sum_k (r_k + \varepsilon) \ln (r_k + \varepsilon), \quad r_k = p_k\, [p_k < p_y]

    with :math:`p_y` at the label nearest to the true value: the residue loss of adaptive mean-residue
    learning (Zhao et al., ICME 2022). N samples, K labels.

    Args:
        logits: (N, K) unnormalised scores. Differentiable.
        value: (N,) true values, in the labels' unit.
        labels: (K,) the label set.
        epsilon: What keeps the logarithm finite, in probability.
        reduction: ``'mean'`` over the samples, ``'sum'`` or ``'none'``.

    Returns:
        A scalar, or (N,) for ``'none'``.
    """
    p, labels, value = _prepare(logits, labels, value)
    nearest = (labels - value.unsqueeze(-1)).abs().argmin(-1, keepdim=True)
    residue = torch.where(p < p.gather(-1, nearest), p, 0) + epsilon
    return reduce_samples(-(residue * residue.log()).sum(-1), reduction)


def concentration(logits: Tensor, value: Tensor, labels: Tensor, reduction: str = 'mean') -> Tensor:
    r"""Negative log density of the true value under a Gaussian with the softmax's moments.

    .. math:: \frac12 \ln v + \frac{(\mu - y)^2}{2 v}, \quad
              \mu = \sum_k p_k l_k, \quad v = \sum_k p_k (l_k - \mu)^2

    (Li et al., CVPR 2022, without the constant.) It has no lower bound as v goes to 0 at a right
    expectation; so v counts as no less than step²/12, the variance of rounding to the label set.

    Args:
        logits: (N, K) unnormalised scores. Differentiable.
        value: (N,) true values :math:`y`, in the labels' unit.
        labels: (K,) the label set, at equal steps.
        reduction: ``'mean'`` over the samples, ``'sum'`` or ``'none'``.

    Returns:
        A scalar, or (N,) for ``'none'``.
    """
    p, labels, value = _prepare(logits, labels, value)
    step = (labels[-1] - labels[0]) / (labels.numel() - 1)
    v = torch.maximum(variance(p, labels), step.square() / 12)
    error = expectation(p, labels) - value
    return reduce_samples((v.log() + error.square() / v) / 2, reduction)


def rank_violation(
    logits: Tensor, value: Tensor, labels: Tensor, reduction: str = 'mean'
) -> Tensor:
    r"""How far the softmax is from rising up to the true value and falling after it.

    .. math:: \sum_{k<K} \max(0,\, s_k (p_{k+1} - p_k)), \quad s_k = -1
              \text{ where } \tfrac12 (l_k + l_{k+1}) < y, \text{ else } +1

    (Li et al., CVPR 2022.) 0 for any distribution with its only mode at the true label.

    Args:
        logits: (N, K) unnormalised scores. Differentiable.
        value: (N,) true values :math:`y`, in the labels' unit.
        labels: (K,) the label set, ascending.
        reduction: ``'mean'`` over the samples, ``'sum'`` or ``'none'``.

    Returns:
        A scalar, or (N,) for ``'none'``; in [0, 2] per sample.
    """
    p, labels, value = _prepare(logits, labels, value)
    rising = (labels[:-1] + labels[1:]) / 2 < value.unsqueeze(-1)
    growth = p.diff(dim=-1)
    return reduce_samples(torch.where(rising, -growth, growth).relu().sum(-1), reduction)


def _prepare(logits: Tensor, labels: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Softmax in float32 at least, and the rest in its dtype."""
    p = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)
    return p, labels.to(p), value.to(p)
