"""Divergences between a target distribution and a network's logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = [
    'js_divergence',
    'kl_divergence',
    'reduce_samples',
    'squared_emd',
    'squared_hellinger',
    'squared_l2',
]


class _KLDivergence(torch.autograd.Function):
    """Per-sample KL whose backward is the closed form ``(Σ d) p - d``.

    Against autograd through ``log_softmax`` it keeps no intermediate of the logits' size and stays
    finite where a target or a softmax entry is 0. Twice differentiable with respect to the logits.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> Tensor:
        ctx.save_for_backward(logits, target)
        dtype = torch.promote_types(torch.promote_types(logits.dtype, target.dtype), torch.float32)
        log_p = logits.to(dtype).log_softmax(-1)
        d = target.to(dtype)
        mass = d.sum(-1)
        # ln d in the same arithmetic as ln p, so that equal distributions cancel to the last bit;
        # a sum that differs from 1 by rounding only counts as 1.
        normalised = (mass - 1).abs() <= 8 * torch.finfo(target.dtype).eps
        log_mass = torch.where(normalised, 0, mass.log())
        log_d = d.log().log_softmax(-1) + log_mass.unsqueeze(-1)
        kl = torch.where(d > 0, d * (log_d - log_p), 0).sum(-1)
        # Gibbs' inequality holds in exact arithmetic; the sum's rounding must not break it.
        return torch.where(normalised, kl.clamp_min(0), kl)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        logits, target = ctx.saved_tensors
        dtype = grad.dtype
        grad = grad.unsqueeze(-1)
        d = target.to(dtype)
        grad_logits = grad_target = None
        if ctx.needs_input_grad[0]:
            p = logits.to(dtype).softmax(-1)
            grad_logits = (grad * (d.sum(-1, keepdim=True) * p - d)).to(logits.dtype)
        if ctx.needs_input_grad[1]:
            log_p = logits.to(dtype).log_softmax(-1)
            # d ln d -> 0 as d -> 0, but its slope does not exist there: the smallest number stands in.
            log_d = d.clamp_min(torch.finfo(dtype).tiny).log()
            grad_target = (grad * (log_d + 1 - log_p)).to(target.dtype)
        return grad_logits, grad_target


def kl_divergence(logits: Tensor, target: Tensor, reduction: str = 'mean') -> Tensor:
    r"""Kullback-Leibler divergence of a network's softmax from the target distribution.

    .. math:: \mathrm{KL}(d \| p) = \sum_k d_k \ln \frac{d_k}{p_k}, \quad p = \mathrm{softmax}(z), \quad
              \frac{\partial\, \mathrm{KL}}{\partial z} = \Big(\sum_k d_k\Big) p - d

    (Gao et al., TIP 2017, Eq. 4; the entropy of the target is not dropped, so 0 is the optimum.) The
    value is a sum over the labels, per sample: it is not divided by K as ``F.kl_div`` with
    ``reduction='mean'`` does. Computed in log space and in float32 at least, so that it is finite for
    any finite logits; float64 stays float64.

    N samples (any leading shape), K labels.

    Args:
        logits: (N, K) unnormalised scores :math:`z`. Differentiable twice.
        target: (N, K) distributions :math:`d`, not negative. Differentiable once.
        reduction: ``'mean'`` over the samples, ``'sum'`` or ``'none'``.

    Returns:
        A scalar, or (N,) for ``'none'``.

    Raises:
        ValueError: The shapes differ, or the reduction is unknown.

    Example:
        >>> import torch
        >>> from dldl_mm.functional import kl_divergence
        >>> kl_divergence(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
        tensor(0.6931)
    """
    _check_shapes(logits, target)
    return reduce_samples(_KLDivergence.apply(logits, target), reduction)


def squared_hellinger(logits: Tensor, target: Tensor, reduction: str = 'mean') -> Tensor:
    r"""Squared Hellinger distance between a target distribution and a network's softmax.

    .. math:: H^2(d, p) = \frac12 \sum_k (\sqrt{d_k} - \sqrt{p_k})^2 = 1 - \sum_k \sqrt{d_k p_k}

    Computed in float32 at least, as all distances here. N samples, K labels.

    Args:
        logits: (N, K) unnormalised scores. Differentiable.
        target: (N, K) distributions :math:`d`.
        reduction: ``'mean'`` over the samples, ``'sum'`` or ``'none'``.

    Returns:
        A scalar, or (N,) for ``'none'``; in [0, 1] per sample.
    """
    log_p, d = _log_softmax_and_target(logits, target)
    # The root in log space: that of an underflowed probability has no slope.
    return reduce_samples((d.sqrt() - (log_p / 2).exp()).square().sum(-1) / 2, reduction)


def js_divergence(logits: Tensor, target: Tensor, reduction: str = 'mean') -> Tensor:
    r"""Jensen-Shannon divergence between a target distribution and a network's softmax, in nats.

    .. math:: \mathrm{JS}(d, p) = \tfrac12 \mathrm{KL}(d \| m) + \tfrac12 \mathrm{KL}(p \| m), \quad
              m = \tfrac12 (d + p)

    Args:
        logits: (N, K) unnormalised scores. Differentiable.
        target: (N, K) distributions :math:`d`.
        reduction: ``'mean'`` over the samples, ``'sum'`` or ``'none'``.

    Returns:
        A scalar, or (N,) for ``'none'``; in [0, ln 2] per sample.
    """
    log_p, d = _log_softmax_and_target(logits, target)
    p = log_p.exp()
    # Where both are 0 the terms are 0, whatever stands for ln 0.
    log_m = ((d + p) / 2).clamp_min(torch.finfo(d.dtype).tiny).log()
    js = (torch.xlogy(d, d) - d * log_m + p * (log_p - log_m)).sum(-1) / 2
    return reduce_samples(js, reduction)


def squared_l2(logits: Tensor, target: Tensor, reduction: str = 'mean') -> Tensor:
    r"""Squared Euclidean distance :math:`\sum_k (d_k - p_k)^2` to a network's softmax.

    Against a one-hot target it is the Brier score.

    Args:
        logits: (N, K) unnormalised scores. Differentiable.
        target: (N, K) distributions :math:`d`.
        reduction: ``'mean'`` over the samples, ``'sum'`` or ``'none'``.

    Returns:
        A scalar, or (N,) for ``'none'``; in [0, 2] per sample.
    """
    log_p, d = _log_softmax_and_target(logits, target)
    return reduce_samples((d - log_p.exp()).square().sum(-1), reduction)


def squared_emd(logits: Tensor, target: Tensor, reduction: str = 'mean') -> Tensor:
    r"""Squared earth mover's distance between a target distribution and a network's softmax.

    .. math:: \mathrm{EMD}^2(d, p) = \sum_k \Big( \sum_{j \le k} p_j - d_j \Big)^2

    for labels in ascending order (Hou et al., arXiv 1611.05916). It is a sum over the labels, without
    their step. Against a one-hot target it is the ranked probability score.

    Args:
        logits: (N, K) unnormalised scores. Differentiable.
        target: (N, K) distributions :math:`d`.
        reduction: ``'mean'`` over the samples, ``'sum'`` or ``'none'``.

    Returns:
        A scalar, or (N,) for ``'none'``; in [0, K - 1] per sample.
    """
    log_p, d = _log_softmax_and_target(logits, target)
    return reduce_samples((log_p.exp() - d).cumsum(-1).square().sum(-1), reduction)


def _log_softmax_and_target(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    _check_shapes(logits, target)
    dtype = torch.promote_types(torch.promote_types(logits.dtype, target.dtype), torch.float32)
    return logits.to(dtype).log_softmax(-1), target.to(dtype)


def _check_shapes(logits: Tensor, target: Tensor) -> None:
    if logits.shape != target.shape:
        raise ValueError(
            f'logits and target must have one shape (N, K), '
            f'got {tuple(logits.shape)} and {tuple(target.shape)}'
        )


def reduce_samples(per_sample: Tensor, reduction: str) -> Tensor:
    """Apply ``'mean'``, ``'sum'`` or ``'none'`` to per-sample values.

    Args:
        per_sample: (N,) values, any leading shape.
        reduction: Name of the reduction.

    Returns:
        A scalar, or the values as they are.

    Raises:
        ValueError: The reduction is unknown.
    """
    if reduction == 'mean':
        return per_sample.mean()
    if reduction == 'sum':
        return per_sample.sum()
    if reduction == 'none':
        return per_sample
    raise ValueError(f"unknown reduction {reduction!r}, expected 'mean', 'sum' or 'none'")
