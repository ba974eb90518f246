"""Scores of decoded values and of predicted distributions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dldl_mm.functional.encoding import label_distribution

__all__ = [
    'calibration_error',
    'central_coverage',
    'cumulative_score',
    'distribution_distances',
    'epsilon_error',
    'mean_absolute_error',
    'mean_absolute_error_by_decade',
    'negative_log_likelihood',
]


def mean_absolute_error(pred: Tensor, value: Tensor) -> Tensor:
    r"""MAE :math:`\frac1N \sum |\hat y - y|` of (N,) predictions, in the values' unit."""
    return (pred - value).abs().mean()


def mean_absolute_error_by_decade(pred: Tensor, value: Tensor) -> dict[int, Tensor]:
    """MAE of each decade of the true value that occurs.

    Args:
        pred: (N,) predictions.
        value: (N,) true values.

    Returns:
        From the decade's first year (0, 10, 20, ...) to the MAE of the samples in it.
    """
    error = (pred - value).abs()
    decade = (value / 10).floor().long() * 10
    return {int(d): error[decade == d].mean() for d in decade.unique()}


def cumulative_score(pred: Tensor, value: Tensor, k: float) -> Tensor:
    r"""CS@k :math:`= 100 \cdot \frac1N \sum [|\hat y - y| \le k]`, in percent.

    Computed in float64 of what is given: a prediction that was rounded to float32 and lies on the
    edge is decided by its rounded value.
    """
    return ((pred.double() - value.double()).abs() <= k).double().mean() * 100


def epsilon_error(pred: Tensor, value: Tensor, sigma: Tensor) -> Tensor:
    r"""ε-error :math:`\frac1N \sum 1 - e^{-(\hat y - y)^2 / 2 \sigma^2}` of ChaLearn LAP 2015.

    Args:
        pred: (N,) predictions.
        value: (N,) mean of the votes.
        sigma: (N,) deviation of the votes, each image's own.

    Returns:
        A scalar in [0, 1].
    """
    return -torch.expm1(-((pred - value) / sigma).square() / 2).mean()


def negative_log_likelihood(dist: Tensor, value: Tensor, labels: Tensor) -> Tensor:
    r"""Mean of :math:`-\ln p_k` at the label nearest to the true value, in nats.

    Midway between two labels it is the mean of their :math:`-\ln p`. A probability of 0 counts as the
    dtype's smallest positive number, so that one miss does not make the mean infinite.

    Args:
        dist: (N, K) predicted distributions.
        value: (N,) true values.
        labels: (K,) the label set.

    Returns:
        A scalar.
    """
    nearest = label_distribution(value, 1.0, labels, 'one_hot')
    return -(nearest * dist.clamp_min(torch.finfo(dist.dtype).tiny).log()).sum(-1).mean()


def mid_pit(dist: Tensor, value: Tensor, labels: Tensor) -> Tensor:
    """Mid-distribution transform F(y-) + p(y)/2: uniform on average for a calibrated forecast."""
    nearest = label_distribution(value, 1.0, labels, 'one_hot').to(dist)
    upto = dist.cumsum(-1) - dist / 2
    return (nearest * upto).sum(-1)


def central_coverage(dist: Tensor, value: Tensor, labels: Tensor, level: float) -> Tensor:
    """Share of true values inside the central interval that holds ``level`` of the prediction.

    Args:
        dist: (N, K) predicted distributions.
        value: (N,) true values.
        labels: (K,) the label set, ascending.
        level: Nominal coverage in (0, 1).

    Returns:
        A scalar in [0, 1]; equals ``level`` for a calibrated prediction, up to the labels' step.
    """
    return ((mid_pit(dist, value, labels) - 0.5).abs() <= level / 2).to(dist).mean()


def calibration_error(dist: Tensor, value: Tensor, labels: Tensor) -> Tensor:
    """Mean gap between nominal and observed coverage of the central intervals 10% to 90%.

    The regression counterpart of the expected calibration error (Kuleshov et al., ICML 2018).

    Args:
        dist: (N, K) predicted distributions.
        value: (N,) true values.
        labels: (K,) the label set, ascending.

    Returns:
        A scalar in [0, 1]; 0 is best.
    """
    levels = [i / 10 for i in range(1, 10)]
    observed = torch.stack([central_coverage(dist, value, labels, level) for level in levels])
    return F.l1_loss(observed, torch.tensor(levels, dtype=observed.dtype, device=observed.device))


def distribution_distances(dist: Tensor, target: Tensor) -> dict[str, Tensor]:
    r"""The six measures of label distribution learning (Geng, TKDE 2016), means over the samples.

    With target :math:`d` and prediction :math:`p`: ``chebyshev`` :math:`\max_k |d_k - p_k|`, ``clark``
    :math:`\sqrt{\sum_k (d_k-p_k)^2 / (d_k+p_k)^2}`, ``canberra`` :math:`\sum_k |d_k-p_k| / (d_k+p_k)`,
    ``kl`` :math:`\sum_k d_k \ln(d_k/p_k)` (all: less is better), ``cosine``
    :math:`d \cdot p / \|d\| \|p\|` and ``intersection`` :math:`\sum_k \min(d_k, p_k)` (1 is best).
    A label on which both are 0 adds nothing; a predicted 0 counts as the dtype's smallest number in
    ``kl``.

    Args:
        dist: (N, K) predicted distributions.
        target: (N, K) target distributions.

    Returns:
        From name to a scalar.
    """
    difference, total = (dist - target).abs(), dist + target
    ratio = difference / total.clamp_min(torch.finfo(dist.dtype).tiny)
    log_p = dist.clamp_min(torch.finfo(dist.dtype).tiny).log()
    distances = dict(
        chebyshev=difference.amax(-1),
        clark=ratio.square().sum(-1).sqrt(),
        canberra=ratio.sum(-1),
        kl=(torch.xlogy(target, target) - target * log_p).sum(-1),
        cosine=F.cosine_similarity(dist, target, dim=-1),
        intersection=torch.minimum(dist, target).sum(-1),
    )
    return {name: distance.mean() for name, distance in distances.items()}
