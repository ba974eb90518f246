"""From a value, its deviation and a label set to a label distribution."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ['SHAPES', 'empirical_distribution', 'label_distribution', 'mix_uniform']


def _gaussian(distance: Tensor, sigma: Tensor) -> Tensor:
    squared = distance.square()
    # Relative to the nearest label and divided by σ twice: σ² alone would underflow, and the limit
    # σ -> 0 is then the one-hot distribution instead of 0/0.
    return -(squared - _nearest(squared)) / sigma / sigma / 2


def _laplace(distance: Tensor, sigma: Tensor) -> Tensor:
    magnitude = distance.abs()
    return -(magnitude - _nearest(magnitude)) / sigma * math.sqrt(2)


def _triangular(distance: Tensor, sigma: Tensor) -> Tensor:
    magnitude = distance.abs()
    weight = 1 - magnitude / (sigma * math.sqrt(6))
    # A triangle that is too narrow to reach a label becomes the one-hot distribution, its limit.
    empty = weight.amax(-1, keepdim=True) <= 0
    weight = torch.where(empty, (magnitude == _nearest(magnitude)).to(weight), weight)
    inside = weight > 0
    return torch.where(inside, torch.where(inside, weight, 1).log(), -torch.inf)


def _truncated_gaussian(distance: Tensor, sigma: Tensor, truncate: float) -> Tensor:
    magnitude = distance.abs()
    window = torch.maximum(truncate * sigma, _nearest(magnitude))
    return _gaussian(distance, sigma).masked_fill(magnitude > window, -torch.inf)


def _one_hot(distance: Tensor, sigma: Tensor) -> Tensor:
    magnitude = distance.abs()
    return torch.zeros_like(magnitude).masked_fill(magnitude > _nearest(magnitude), -torch.inf)


def _nearest(magnitude: Tensor) -> Tensor:
    # Constant over the labels, so the softmax does not depend on it: no gradient is needed.
    return magnitude.detach().amin(-1, keepdim=True)


@torch.no_grad()
def _rounding_of_ties(distance: Tensor, labels: Tensor, value: Tensor) -> Tensor:
    magnitude = distance.abs()
    excess = magnitude - _nearest(magnitude)
    rounding = 4 * torch.finfo(distance.dtype).eps * torch.maximum(labels.abs().amax(), value.abs())
    return torch.where(excess <= rounding, excess * distance.sign(), 0)


def _join_ties(distance: Tensor, labels: Tensor, value: Tensor) -> Tensor:
    # Midway between 3.2 and 3.3 the two distances differ in the last bit, which a σ near 0 would
    # turn into all or nothing.
    return distance - _rounding_of_ties(distance, labels, value)


def _von_mises(distance: Tensor, sigma: Tensor, period: float) -> Tensor:
    # κ (cos θ - 1) = -2 κ sin²(θ/2): no cancellation near the peak. κ = 1/σ², σ in radians.
    half_sine = (distance * (math.pi / period)).sin().square()
    radians = sigma * (2 * math.pi / period)
    return -2 * (half_sine - _nearest(half_sine)) / radians / radians


def _binomial(value: Tensor, labels: Tensor) -> Tensor:
    trials = labels.numel() - 1
    probability = ((value - labels[0]) / (labels[-1] - labels[0])).clamp(0, 1)
    successes = torch.arange(trials + 1, dtype=labels.dtype, device=labels.device)
    coefficient = (
        math.lgamma(trials + 1) - torch.lgamma(successes + 1) - torch.lgamma(trials - successes + 1)
    )
    return (
        coefficient
        + torch.xlogy(successes, probability)
        + torch.xlogy(trials - successes, 1 - probability)
    )


def _poisson(value: Tensor, labels: Tensor) -> Tensor:
    step = (labels[-1] - labels[0]) / (labels.numel() - 1)
    rate = ((value - labels[0]) / step).clamp_min(0)
    events = torch.arange(labels.numel(), dtype=labels.dtype, device=labels.device)
    return torch.xlogy(events, rate) - torch.lgamma(events + 1)


def _beta(value: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
    # The unit interval from half a step below the first label to half a step above the last.
    size = labels.numel()
    step = (labels[-1] - labels[0]) / (size - 1)
    x = (torch.arange(size, dtype=labels.dtype, device=labels.device) + 0.5) / size
    mean = (((value - labels[0]) / step + 0.5) / size).clamp(0.5 / size, 1 - 0.5 / size)
    spread = sigma / (step * size)
    # With a = ν m and b = ν (1 - m); ν = m (1 - m) / s² - 1, or the smallest ν with a, b >= 1.
    by_spread = mean * (1 - mean) / spread / spread - 1
    nu = torch.maximum(by_spread, 1 / torch.minimum(mean, 1 - mean)).clamp_max(1e30)
    # Relative to the best label, where a large ν then multiplies 0.
    bracket = mean * x.log() + (1 - mean) * torch.log1p(-x)
    return nu * (bracket - bracket.detach().amax(-1, keepdim=True)) - (x * (1 - x)).log()


_DISTANCE_SHAPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'gaussian': _gaussian,
    'laplace': _laplace,
    'triangular': _triangular,
    'one_hot': _one_hot,
}
SHAPES = (*_DISTANCE_SHAPES, 'truncated_gaussian', 'binomial', 'poisson', 'beta', 'von_mises')


def label_distribution(
    value: Tensor,
    sigma: Tensor | float,
    labels: Tensor,
    shape: str = 'gaussian',
    *,
    truncate: float = 2.0,
    period: float | None = None,
) -> Tensor:
    r"""Discrete distribution over a label set around a value.

    With the label set :math:`l_1 \dots l_K`, the value :math:`\mu` and its deviation
    :math:`\sigma`, the Gaussian of DLDL (Gao et al., TIP 2017, Eq. 2) is

    .. math:: d_k = \frac{e^{-(l_k - \mu)^2 / 2 \sigma^2}}{\sum_j e^{-(l_j - \mu)^2 / 2 \sigma^2}},

    normalised by the discrete sum, so that a row sums to 1 also where the label set ends. The other
    shapes are normalised in the same way; :math:`\sigma` is always a standard deviation, that of the
    continuous shape:

    ====================  ==========================================================================
    ``gaussian``          :math:`\exp(-(l-\mu)^2 / 2\sigma^2)`
    ``laplace``           :math:`\exp(-\sqrt 2 |l-\mu| / \sigma)`
    ``triangular``        :math:`\max(0, 1 - |l-\mu| / \sqrt 6 \sigma)`
    ``truncated_gaussian``  the Gaussian where :math:`|l-\mu| \le t \sigma` (``truncate``), else 0
    ``von_mises``         :math:`\exp(\kappa \cos(2\pi (l-\mu) / P))`, circular with ``period`` P,
                          :math:`\kappa = (P / 2\pi\sigma)^2`
    ``binomial``          :math:`\mathrm{B}(K-1, p)` with the mean :math:`\mu`; has no :math:`\sigma`
    ``poisson``           :math:`\lambda^k / k!` at the k-th label, k from 0, with the mean
                          :math:`\lambda = (\mu - l_1) / \mathrm{step}`; has no :math:`\sigma`
    ``beta``              :math:`x^{a-1} (1-x)^{b-1}` with the mean :math:`\mu`, over the label set
                          and half a step more at either end; near the ends :math:`\sigma` is reduced
                          so that :math:`a, b \ge 1`: one mode
    ``one_hot``           the nearest label, two halves midway; the limit :math:`\sigma \to 0`
    ====================  ==========================================================================

    N samples (any leading shape), K labels. Computed in float64, whatever the input: steps such as
    1/12 are not exact in float32. Labels whose distances differ by the rounding of labels and value
    only count as equally near.

    Args:
        value: (N,) the values :math:`\mu`, in the label set's unit. Differentiable.
        sigma: Standard deviations in the same unit, one or (N,). Differentiable.
        labels: (K,) the label set, ascending; at equal steps for ``binomial``, ``poisson``, ``beta``.
        shape: A name of the table.
        truncate: Half the window of ``truncated_gaussian``, in deviations.
        period: Period of ``von_mises``, in the label set's unit.

    Returns:
        (N, K) distributions; float32, or float64 for float64 values. Every row sums to 1.

    Raises:
        ValueError: The shape is unknown, or ``von_mises`` has no period.

    Example:
        >>> import torch
        >>> from dldl_mm.functional import label_distribution
        >>> label_distribution(torch.tensor(1.5), 1e-6, torch.tensor([0.0, 1.0, 2.0, 3.0]))
        tensor([0.0000, 0.5000, 0.5000, 0.0000])
    """
    dtype = torch.promote_types(value.dtype, torch.float32)
    value = value.double().unsqueeze(-1)
    labels = labels.to(value)
    if shape in ('binomial', 'poisson'):
        counts = _binomial if shape == 'binomial' else _poisson
        return F.softmax(counts(value, labels), -1).to(dtype)
    sigma = torch.as_tensor(sigma, dtype=value.dtype, device=value.device).unsqueeze(-1)
    distance = _join_ties(labels - value, labels, value)
    if shape == 'truncated_gaussian':
        log_weight = _truncated_gaussian(distance, sigma, truncate)
    elif shape == 'beta':
        log_weight = _beta(value, sigma, labels)
    elif shape == 'von_mises':
        if period is None:
            raise ValueError("shape 'von_mises' needs the period of its labels, got None")
        log_weight = _von_mises(distance, sigma, period)
    elif shape in _DISTANCE_SHAPES:
        log_weight = _DISTANCE_SHAPES[shape](distance, sigma)
    else:
        raise ValueError(f'unknown shape {shape!r}, expected one of {", ".join(SHAPES)}')
    return F.softmax(log_weight, -1).to(dtype)


def empirical_distribution(votes: Tensor, labels: Tensor) -> Tensor:
    """Histogram of single votes over a label set, divided by their number.

    A vote counts for its nearest label, and half for each of two when it lies midway.

    N samples (any leading shape), V votes, K labels.

    Args:
        votes: (N, V) votes in the label set's unit; NaN fills up samples with fewer votes.
        labels: (K,) the label set.

    Returns:
        (N, K) distributions; every row sums to 1.

    Raises:
        ValueError: A sample has no vote.

    Example:
        >>> import torch
        >>> from dldl_mm.functional import empirical_distribution
        >>> empirical_distribution(torch.tensor([2.0, 2.0, 3.0, 1.5]), torch.tensor([1.0, 2.0, 3.0]))
        tensor([0.1250, 0.6250, 0.2500])
    """
    given = ~votes.isnan()
    count = given.sum(-1, keepdim=True)
    if not count.all():
        raise ValueError('the empirical distribution needs at least one vote per sample, got none')
    single = label_distribution(
        torch.where(given, votes, labels[0].to(votes)).double(), 1.0, labels, 'one_hot'
    )
    histogram = (single * given.unsqueeze(-1)).sum(-2) / count
    return histogram.to(torch.promote_types(votes.dtype, torch.float32))


def mix_uniform(dist: Tensor, epsilon: float) -> Tensor:
    r"""Mixture :math:`(1 - \varepsilon) d_k + \varepsilon / K` with the uniform distribution.

    Of a one-hot distribution this is label smoothing (Szegedy et al., CVPR 2016).

    Args:
        dist: (N, K) distributions.
        epsilon: Share of the uniform distribution, in [0, 1).

    Returns:
        (N, K) distributions.
    """
    return (1 - epsilon) * dist + epsilon / dist.shape[-1]
