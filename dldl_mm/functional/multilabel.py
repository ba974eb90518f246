"""Distributions and scores of images with several classes."""

from __future__ import annotations

import torch
from torch import Tensor

from dldl_mm.functional.encoding import mix_uniform

__all__ = ['average_precision', 'multilabel_distribution']

_MODES = ('11points', 'all', 'uninterpolated')


def multilabel_distribution(
    positive: Tensor, difficult: Tensor, p_difficult: float = 0.3, epsilon: float = 0.01
) -> Tensor:
    r"""Distributions over the classes of images that show several of them.

    .. math:: \hat d_c = \begin{cases} 1 & \text{positive} \\ p_D & \text{difficult} \\
              0 & \text{negative} \end{cases}, \qquad
              d_c = (1 - \varepsilon) \frac{\hat d_c}{\sum_i \hat d_i} + \frac{\varepsilon}{C}

    (Gao et al., TIP 2017.) A class that is both is positive. N samples, C classes.

    Args:
        positive: (N, C) bool, classes with an object that is not difficult.
        difficult: (N, C) bool, classes with a difficult object.
        p_difficult: Weight :math:`p_D` of a difficult class beside a positive one, in [0, 1].
        epsilon: Share :math:`\varepsilon` of the uniform distribution, in [0, 1).

    Returns:
        (N, C) distributions in torch's default dtype, float32 at least. A row without any weight is
        all zeros: it has no distribution.

    Example:
        >>> import torch
        >>> classes = torch.tensor([[True, False, True, False]])
        >>> multilabel_distribution(classes, torch.tensor([[False, True, False, False]]), 0.5, 0.0)
        tensor([[0.4000, 0.2000, 0.4000, 0.0000]])
    """
    # In float64, where no positive p_D is rounded to 0.
    weight = p_difficult * difficult.double()
    weight[positive] = 1.0
    mass = weight.sum(-1, keepdim=True)
    dist = torch.where(mass > 0, mix_uniform(weight / mass, epsilon), 0.0)
    return dist.to(torch.promote_types(torch.get_default_dtype(), torch.float32))


def average_precision(
    scores: Tensor, positive: Tensor, ignore: Tensor | None = None, mode: str = 'all'
) -> Tensor:
    r"""Average precision of one class: how well its scores rank the images that show it.

    With recall :math:`R_n` and precision :math:`P_n` of the images whose score is at least the n-th
    largest different score, :math:`R_0 = 0`:

    ==================  ============================================================================
    ``'11points'``      :math:`\frac1{11} \sum_{t \in \{0, 0.1, \ldots, 1\}} \max_{n: R_n \ge t} P_n`,
                        PASCAL VOC up to 2009
    ``'all'``           :math:`\sum_n (R_n - R_{n-1}) \max_{m \ge n} P_m`, PASCAL VOC from 2010: the
                        area under the precision made monotone
    ``'uninterpolated'``  :math:`\sum_n (R_n - R_{n-1}) P_n`, without that: never more than ``'all'``;
                        scikit-learn's ``average_precision_score`` and, where no two scores are equal,
                        mmpretrain's ``AveragePrecision``
    ==================  ============================================================================

    Equal scores count as one threshold, so that the order of the images does not matter.

    Args:
        scores: (N,) scores, finite.
        positive: (N,) bool, images that show the class.
        ignore: (N,) bool, images left out, as those where the class is difficult; none if not given.
        mode: One of the three above.

    Returns:
        A float64 scalar in [0, 1]; NaN where no image is positive, for which it is not defined.

    Raises:
        ValueError: The shapes differ, a score is not finite, or the mode is unknown.

    Example:
        >>> import torch
        >>> average_precision(torch.tensor([0.9, 0.5, 0.1]), torch.tensor([True, False, True])).item()
        0.8333333333333333
    """
    if mode not in _MODES:
        raise ValueError(f'unknown mode {mode!r}, expected one of {", ".join(_MODES)}')
    if ignore is None:
        ignore = torch.zeros_like(positive, dtype=torch.bool)
    if not scores.ndim == 1 or not scores.shape == positive.shape == ignore.shape:
        raise ValueError(
            'scores, positive and ignore must have one shape (N,), got '
            f'{tuple(scores.shape)}, {tuple(positive.shape)} and {tuple(ignore.shape)}'
        )
    if not scores.isfinite().all():
        raise ValueError(f'scores must be finite, got {scores[~scores.isfinite()][0].item()}')
    keep = ~ignore.bool()
    scores, order = scores[keep].double().sort(descending=True)
    hits = positive[keep].bool()[order].cumsum(0)
    if not len(hits) or hits[-1] == 0:
        return scores.new_tensor(float('nan'))
    last_of_tie = torch.ones_like(scores, dtype=torch.bool)
    last_of_tie[:-1] = scores[1:] != scores[:-1]
    retrieved = torch.arange(1, len(scores) + 1, dtype=torch.float64, device=scores.device)
    precision = (hits / retrieved)[last_of_tie]
    recall = hits.double()[last_of_tie] / hits[-1]
    if mode != 'uninterpolated':
        precision = precision.flip(0).cummax(0).values.flip(0)
    if mode == '11points':
        thresholds = torch.arange(11, dtype=torch.float64, device=scores.device) / 10
        return precision[torch.searchsorted(recall, thresholds)].mean()
    return (recall.diff(prepend=recall.new_zeros(1)) * precision).sum()
