"""Comparing methods by the errors that they make on the same samples."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np


def bootstrap_means(
    errors: np.ndarray,
    groups: Sequence[Hashable] | None = None,
    resamples: int = 5000,
    seed: int = 0,
) -> np.ndarray:
    r"""Mean errors of M methods on B samples with replacement of the N test samples.

    A resample draws the same test samples for every method, so that the differences of its columns
    are those of a paired bootstrap (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993).
    Samples of one group, images of one person, are drawn together: their errors depend on each other.

    Args:
        errors: (N, M) errors.
        groups: N groups; None takes every sample for itself.
        resamples: B.
        seed: Seed of the draws.

    Returns:
        (B, M) means.
    """
    count, methods = errors.shape
    keys = np.arange(count) if groups is None else np.asarray(groups)
    _, index = np.unique(keys, return_inverse=True)
    sizes = np.bincount(index)
    sums = np.stack([np.bincount(index, errors[:, m]) for m in range(methods)], axis=1)
    draws = np.random.default_rng(seed).multinomial(
        len(sizes), np.full(len(sizes), 1 / len(sizes)), resamples
    )
    return (draws @ sums) / (draws @ sizes)[:, None]


def paired_differences(
    errors: np.ndarray, groups: Sequence[Hashable] | None = None, level: float = 0.95
) -> np.ndarray:
    """Difference of the mean errors of all pairs of methods, with percentile intervals.

    Args:
        errors: (N, M) errors.
        groups: See :func:`bootstrap_means`.
        level: Coverage of the intervals.

    Returns:
        (M, M, 3): entry [a, b] has the mean of a minus that of b, and the ends of its interval.
    """
    mean, means = errors.mean(0), bootstrap_means(errors, groups)
    tails = [(1 - level) / 2, (1 + level) / 2]
    differences = np.zeros((errors.shape[1],) * 2 + (3,))
    for b in range(errors.shape[1]):
        gaps = means - means[:, [b]]
        differences[:, b, 0] = mean - mean[b]
        differences[:, b, 1:] = np.quantile(gaps, tails, axis=0).T
    return differences
