"""Ordinal regression by K - 1 binary tasks: is the value beyond the k-th label?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dldl_mm.functional.divergence import reduce_samples

__all__ = [
    'conditional_distribution',
    'conditional_loss',
    'cumulative_distribution',
    'cumulative_loss',
    'exceedance',
]


def exceedance(dist: Tensor) -> Tensor:
    r"""Probabilities :math:`P(y > l_k) = \sum_{j > k} d_j` of all labels but the last.

    Args:
        dist: (N, K) distributions.

    Returns:
        (N, K - 1) probabilities, not increasing; 0 and 1 for one-hot distributions.

    Example:
        >>> import torch
        >>> exceedance(torch.tensor([0.0, 0.0, 1.0, 0.0]))
        tensor([1., 1., 0.])
    """
    return dist.flip(-1).cumsum(-1).flip(-1)[..., 1:].clamp_max(1)


def cumulative_loss(logits: Tensor, target: Tensor, reduction: str = 'mean') -> Tensor:
    r"""Sum of the binary cross-entropies of the tasks "beyond the k-th label".

    .. math:: -\sum_{k<K} t_k \ln \sigma(z_k) + (1 - t_k) \ln (1 - \sigma(z_k)), \quad
              t_k = P(y > l_k)

    the loss of OR-CNN (Niu et al., CVPR 2016, all :math:`\lambda_k = 1`) and CORAL (Cao et al., 2020),
    where the target is one-hot; other targets give soft :math:`t_k`. N samples, K labels.

    Args:
        logits: (N, K - 1) scores :math:`z` of the tasks. Differentiable.
        target: (N, K) distributions.
        reduction: ``'mean'`` over the samples, ``'sum'`` or ``'none'``.

    Returns:
        A scalar, or (N,) for ``'none'``.
    """
    logits, beyond, _ = _tasks(logits, target)
    loss = F.binary_cross_entropy_with_logits(logits, beyond, reduction='none')
    return reduce_samples(loss.sum(-1), reduction)


def conditional_loss(logits: Tensor, target: Tensor) -> Tensor:
    r"""Mean binary cross-entropy of the tasks "beyond the k-th label, given not before it".

    .. math:: -\frac{1}{\sum w} \sum_{i, k<K} t_{ik} \ln \sigma(z_{ik}) +
              (w_{ik} - t_{ik}) \ln (1 - \sigma(z_{ik})), \quad
              t_{ik} = P(y_i > l_k), \quad w_{ik} = P(y_i \ge l_k)

    the loss of CORN (Shi et al., 2021) where the target is one-hot: task k learns from the samples
    with :math:`y \ge l_k`. Up to the divisor it is the cross-entropy of
    :func:`conditional_distribution`. N samples, K labels.

    Args:
        logits: (N, K - 1) scores :math:`z` of the tasks. Differentiable.
        target: (N, K) distributions.

    Returns:
        A scalar.
    """
    logits, beyond, not_before = _tasks(logits, target)
    loss = beyond * F.softplus(-logits) + (not_before - beyond) * F.softplus(logits)
    return loss.sum() / not_before.sum()


def conditional_distribution(logits: Tensor) -> Tensor:
    r"""Distribution :math:`p_k = (1 - \sigma(z_k)) \prod_{j<k} \sigma(z_j)` of conditional tasks.

    Args:
        logits: (N, K - 1) scores of the tasks "beyond the k-th label, given not before it".

    Returns:
        (N, K) distributions.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    reached = F.pad(F.logsigmoid(logits).cumsum(-1), (1, 0))
    # The last label is not left any more.
    return (reached + F.pad(F.logsigmoid(-logits), (0, 1))).softmax(-1)


def cumulative_distribution(logits: Tensor) -> Tensor:
    r"""Distribution :math:`p_k = \sigma(z_{k-1}) - \sigma(z_k)` of consistently ordered tasks.

    Args:
        logits: (N, K - 1) scores of the tasks "beyond the k-th label", not increasing with k.

    Returns:
        (N, K) distributions; with a negative entry where the scores increase.
    """
    beyond = logits.to(torch.promote_types(logits.dtype, torch.float32)).sigmoid()
    return -F.pad(F.pad(beyond, (1, 0), value=1.0), (0, 1)).diff(dim=-1)


def _tasks(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, P(y > l_k) and P(y >= l_k), in float32 at least."""
    if target.shape != (*logits.shape[:-1], logits.shape[-1] + 1):
        raise ValueError(
            f'logits (N, K - 1) and target (N, K) must fit together, '
            f'got {tuple(logits.shape)} and {tuple(target.shape)}'
        )
    dtype = torch.promote_types(torch.promote_types(logits.dtype, target.dtype), torch.float32)
    beyond = exceedance(target.to(dtype))
    return logits.to(dtype), beyond, F.pad(beyond, (1, 0), value=1.0)[..., :-1]
