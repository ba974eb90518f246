"""Codec of a scalar label: age, and any other ordered quantity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dldl_mm.codecs.base import BaseValueCodec
from dldl_mm.functional import (
    SHAPES,
    circular_mean,
    empirical_distribution,
    expectation,
    interval,
    label_distribution,
    mix_uniform,
    mode,
    quantile,
    standard_deviation,
)
from dldl_mm.registry import TASK_UTILS

RULES = ('expectation', 'argmax', 'median')


@TASK_UTILS.register_module()
class GaussianLabelCodec(BaseValueCodec):
    r"""Distribution over the ordered labels ``start, start + step, ..., stop``.

    .. math:: d_k \propto e^{-(l_k - \mu)^2 / 2 \sigma^2}, \quad \sum_k d_k = 1

    (Gao et al., TIP 2017, Eq. 2), or another ``shape`` of
    :func:`~dldl_mm.functional.label_distribution`. The defaults are those of age estimation: years
    1 to 85. N samples, K labels.

    Args:
        start: First label.
        stop: Last label, included.
        step: Distance between labels.
        sigma: Deviation :math:`\sigma`, in the labels' unit, of samples without one of their own.
        shape: ``'gaussian'``, ``'laplace'``, ``'triangular'``, ``'truncated_gaussian'``,
            ``'beta'``, ``'binomial'`` or ``'poisson'`` (these two have no :math:`\sigma`),
            ``'von_mises'`` (circular: the label after ``stop`` is ``start`` again), ``'one_hot'``
            (classification) or ``'empirical'`` (histogram of single votes).
        decode: Default rule of :meth:`decode`: ``'expectation'`` (best for squared errors),
            ``'median'`` (absolute errors) or ``'argmax'`` (accuracy).
        truncate: Half the window of ``'truncated_gaussian'``, in deviations.
        epsilon: Share of the uniform distribution that is mixed in; with ``shape='one_hot'`` label
            smoothing.
        clip: Move values outside the label set to its nearest end instead of refusing them.

    Raises:
        ValueError: An option is out of range; the message names it.

    Example:
        >>> codec = GaussianLabelCodec(start=1, stop=85, step=1, sigma=2.0)
        >>> distribution = codec.encode(24.7)
        >>> distribution.shape, round(codec.decode(distribution).item(), 3)
        (torch.Size([85]), 24.7)
    """

    def __init__(
        self,
        start: float = 1,
        stop: float = 85,
        step: float = 1,
        sigma: float = 2.0,
        shape: str = 'gaussian',
        decode: str = 'expectation',
        truncate: float = 2.0,
        epsilon: float = 0.0,
        clip: bool = False,
    ) -> None:
        for name, number in dict(start=start, stop=stop, step=step).items():
            if not _is_finite(number):
                raise ValueError(
                    f'GaussianLabelCodec: {name} must be a finite number, got {number!r}'
                )
        if step <= 0:
            raise ValueError(f'GaussianLabelCodec: step must be greater than 0, got {step}')
        if stop <= start:
            raise ValueError(
                f'GaussianLabelCodec: stop must be greater than start, got start={start}, stop={stop}'
            )
        intervals = round((stop - start) / step)
        if intervals < 1 or not math.isclose(start + intervals * step, stop, abs_tol=1e-6 * step):
            raise ValueError(
                f'GaussianLabelCodec: stop must be start plus a multiple of step, '
                f'got start={start}, stop={stop}, step={step}'
            )
        if not _is_finite(sigma) or sigma <= 0:
            raise ValueError(
                f'GaussianLabelCodec: sigma must be a finite number greater than 0, got {sigma!r} '
                "(for hard labels use shape='one_hot')"
            )
        shapes = (*SHAPES, 'empirical')
        if shape not in shapes:
            raise ValueError(
                f'GaussianLabelCodec: unknown shape {shape!r}, expected one of {", ".join(shapes)}'
            )
        if not _is_finite(truncate) or truncate <= 0:
            raise ValueError(
                f'GaussianLabelCodec: truncate must be a finite number greater than 0, got {truncate!r}'
            )
        if not _is_finite(epsilon) or not 0 <= epsilon < 1:
            raise ValueError(f'GaussianLabelCodec: epsilon must be in [0, 1), got {epsilon!r}')
        self._check_rule(decode)
        self.start, self.stop, self.step = float(start), float(stop), float(step)
        self.sigma = float(sigma)
        self.shape = shape
        self.rule = decode
        self.truncate = float(truncate)
        self.epsilon = float(epsilon)
        self.clip = bool(clip)
        steps = torch.arange(intervals + 1, dtype=torch.float64)
        self._labels = self.start + steps * self.step
        self._labels[-1] = self.stop

    @property
    def labels(self) -> Tensor:
        """(K,) the label set, both ends included."""
        return self._labels.to(torch.get_default_dtype())

    @property
    def num_labels(self) -> int:
        """K, the size of the label set."""
        return self._labels.numel()

    @property
    def period(self) -> float | None:
        """Length of the circle for ``shape='von_mises'``, otherwise None."""
        return self.num_labels * self.step if self.shape == 'von_mises' else None

    @property
    def spec(self) -> dict[str, Any]:
        """All that defines the codec, by field."""
        return dict(
            type=type(self).__name__,
            start=self.start,
            stop=self.stop,
            step=self.step,
            sigma=self.sigma,
            shape=self.shape,
            decode=self.rule,
            truncate=self.truncate,
            epsilon=self.epsilon,
            clip=self.clip,
        )

    def encode(
        self,
        value: Tensor | float | Sequence[float],
        sigma: Tensor | float | Sequence[float] | None = None,
        votes: Tensor | Sequence[float] | None = None,
    ) -> Tensor:
        """Encode values into distributions.

        Args:
            value: (N,) or one value in ``[start - step/2, stop + step/2]``; may be fractional. A
                tensor, array, list or number.
            sigma: Deviation of each sample, or one for all; the codec's own where not given.
            votes: (N, V) single votes, for ``shape='empirical'`` only; NaN fills up shorter rows.

        Returns:
            (N, K), or (K,) for one value; float32, or float64 for float64 values. Rows sum to 1.

        Raises:
            TypeError: What is given are not real numbers.
            ValueError: A value lies outside the label set, a sigma is not greater than 0 or not one
                per value, or votes are missing.
        """
        value, dtype = self._as_real(value, 'value')
        value = self._check_range(value, 'value').double()
        if self.shape == 'empirical':
            if votes is None:
                raise ValueError("GaussianLabelCodec: shape='empirical' needs votes, got None")
            votes, dtype = self._as_real(votes, 'votes')
            self._check_range(votes[~votes.isnan()], 'vote')
            dist = empirical_distribution(votes.double(), self._labels.to(votes.device))
            return mix_uniform(dist, self.epsilon).to(dtype)
        if sigma is None:
            sigma = self.sigma
        else:
            sigma, other = self._as_real(sigma, 'sigma')
            dtype = torch.promote_types(dtype, other)
            sigma = sigma.to(value.device, torch.float64)
            bad = ~((sigma > 0) & sigma.isfinite())
            if bad.any():
                raise ValueError(
                    f'GaussianLabelCodec: sigma must be finite and greater than 0, '
                    f'got {sigma[bad].flatten()[0].item()}'
                )
            try:
                torch.broadcast_shapes(value.shape, sigma.shape)
            except RuntimeError:
                raise ValueError(
                    f'GaussianLabelCodec: sigma must be one number or have the shape of value, '
                    f'got {tuple(sigma.shape)} and {tuple(value.shape)}'
                ) from None
        dist = label_distribution(
            value, sigma, self._labels, self.shape, truncate=self.truncate, period=self.period
        )
        return mix_uniform(dist, self.epsilon).to(dtype)

    def decode(self, dist: Tensor, rule: str | None = None) -> Tensor:
        """Decode distributions into values.

        Args:
            dist: (N, K) distributions, N any leading shape.
            rule: ``'expectation'`` (the circular mean for ``shape='von_mises'``), ``'argmax'`` or
                ``'median'``; the codec's own where not given.

        Returns:
            (N,) values in the labels' unit.

        Raises:
            ValueError: The rule is unknown, or the last dimension is not K.
        """
        dist = torch.as_tensor(dist)
        rule = self.rule if rule is None else self._check_rule(rule)
        if rule == 'argmax':
            return mode(dist, self._labels)
        if rule == 'median':
            return quantile(dist, self._labels, 0.5)
        if self.period is not None:
            return circular_mean(dist, self._labels, self.period)
        return expectation(dist, self._labels)

    def std(self, dist: Tensor) -> Tensor:
        """(N,) standard deviation of (N, K) distributions, in the labels' unit."""
        return standard_deviation(torch.as_tensor(dist), self._labels)

    def interval(self, dist: Tensor, level: float = 0.9) -> Tensor:
        """(N, 2) ends of the central interval of (N, K) distributions; both are labels."""
        return interval(torch.as_tensor(dist), self._labels, level)

    def encode_annotation(self, data_info: dict[str, Any]) -> Tensor:
        """Encode ``gt_value``, with ``gt_sigma`` or ``gt_votes`` where the sample has them."""
        self.check_annotation(data_info)
        votes = data_info.get('gt_votes') if self.shape == 'empirical' else None
        return self.encode(float(data_info['gt_value']), data_info.get('gt_sigma'), votes).float()

    def check_annotation(self, data_info: dict[str, Any]) -> None:
        """Refuse a sample without ``gt_value``, outside the label set or without needed votes."""
        if 'gt_value' not in data_info:
            raise ValueError("the sample has no 'gt_value', which GaussianLabelCodec encodes")
        numbers = [('value', data_info['gt_value'])]
        if self.shape == 'empirical':
            if not data_info.get('gt_votes'):
                raise ValueError(
                    "shape='empirical' needs single votes, but the sample has no 'gt_votes'"
                )
            numbers += [('vote', vote) for vote in data_info['gt_votes']]
        for name, number in numbers:
            if not (math.isfinite(number) and (self.clip or self._low <= number <= self._high)):
                raise ValueError(self._range_message(name, number))
        sigma = data_info.get('gt_sigma')
        if sigma is not None and not (math.isfinite(sigma) and sigma > 0):
            raise ValueError(f'sigma must be finite and greater than 0, got {sigma}')

    @property
    def _low(self) -> float:
        return self.start - self.step / 2

    @property
    def _high(self) -> float:
        return self.stop + self.step / 2

    def _range_message(self, name: str, number: float) -> str:
        return (
            f'{name} {str(number).removesuffix(".0")} lies outside the label set '
            f'{self.start:g} to {self.stop:g} (accepted: {self._low:g} to {self._high:g}; '
            'clip=True moves it to the nearest end)'
        )

    def _check_range(self, value: Tensor, name: str) -> Tensor:
        wide = value.detach().double()
        good = wide.isfinite()
        if not self.clip:
            # What a bound becomes in the values' own precision is the bound, but nothing beyond it.
            low, high = self._low, self._high
            if value.is_floating_point():
                rounded = torch.tensor([low, high], dtype=value.dtype).tolist()
                low, high = min(low, rounded[0]), max(high, rounded[1])
            good &= (wide >= low) & (wide <= high)
        if not good.all():
            raise ValueError(
                f'GaussianLabelCodec: {self._range_message(name, wide[~good].flatten()[0].item())}'
            )
        return value.clamp(self.start, self.stop) if self.clip else value

    @staticmethod
    def _as_real(value: Any, name: str) -> tuple[Tensor, torch.dtype]:
        """The numbers, and the precision of what is made of them."""
        try:
            tensor = torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(
                f'GaussianLabelCodec: {name} must be real numbers, got {value!r}'
            ) from None
        if tensor.is_complex() or tensor.dtype == torch.bool:
            raise TypeError(f'GaussianLabelCodec: {name} must be real numbers, got {tensor.dtype}')
        dtype = torch.promote_types(tensor.dtype, torch.float32)
        if tensor.is_floating_point() and not isinstance(value, (Tensor, np.ndarray, np.generic)):
            tensor = torch.as_tensor(value, dtype=torch.float64)  # Python's own precision
        return tensor, dtype

    @staticmethod
    def _check_rule(rule: str) -> str:
        if rule not in RULES:
            raise ValueError(
                f'GaussianLabelCodec: unknown decoding rule {rule!r}, expected one of {", ".join(RULES)}'
            )
        return rule


def _is_finite(number: object) -> bool:
    return (
        isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)
    )
