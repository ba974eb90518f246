"""Comparing methods by what they make of the same samples."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np

_CHUNK = 250  # resamples at a time, which bounds the memory


def bootstrap_weights(
    groups: Sequence[Hashable], resamples: int = 5000, seed: int = 0
) -> Iterator[np.ndarray]:
    r"""Draw samples with replacement (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993).

    Samples of one group, images of one person, are drawn together: their errors depend on each other.

    Args:
        groups: N groups; all different where every sample is drawn for itself.
        resamples: B.
        seed: Seed of the draws.

    Yields:
        (b, N) how often each sample is drawn, until there are B rows.
    """
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    count = index.max() + 1
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        yield generator.multinomial(count, np.full(count, 1 / count), rows)[:, index].astype(float)


def paired_differences(
    statistics: Sequence[Callable[[np.ndarray], np.ndarray]],
    groups: Sequence[Hashable],
    level: float = 0.95,
) -> np.ndarray:
    """Differences of a statistic of all pairs of methods, with percentile intervals.

    A resample draws the same samples for every method (a paired bootstrap), so that what makes samples
    hard for all of them cancels.

    Args:
        statistics: For each of M methods, its statistic as a function of (B, N) weights of the N
            samples, which returns (B,).
        groups: N groups, see :func:`bootstrap_weights`.
        level: Coverage of the intervals.

    Returns:
        (M, M, 3): entry [a, b] has the statistic of a minus that of b, and the ends of its interval.
    """
    value = np.concatenate([statistic(np.ones((1, len(groups)))) for statistic in statistics])
    drawn = np.concatenate(
        [
            np.stack([statistic(weights) for statistic in statistics], axis=1)
            for weights in bootstrap_weights(groups)
        ]
    )
    tails = [(1 - level) / 2, (1 + level) / 2]
    differences = np.zeros((len(value),) * 2 + (3,))
    for b in range(len(value)):
        differences[:, b, 0] = value - value[b]
        differences[:, b, 1:] = np.quantile(drawn - drawn[:, [b]], tails, axis=0).T
    return differences
