"""Codec of several angles at once: head pose, and any other label with more than one axis."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dldl_mm.codecs.base import BaseValueCodec
from dldl_mm.functional import (
    circular_mean,
    expectation,
    mirror_pose,
    mode,
    point_distribution,
    product_distribution,
    quantile,
    wrap,
)
from dldl_mm.registry import TASK_UTILS

_PERIOD = 360.0
_RULES = ('argmax', 'expectation', 'marginal_argmax', 'median')
_SHAPES = ('gaussian', 'one_hot')


def _steps(start: float, stop: float, step: float) -> list[float]:
    """``start, start + step, ..., stop``, both ends exact."""
    count = round((stop - start) / step)
    return [*(float(start + k * step) for k in range(count)), float(stop)]


#: Label sets that data sets come with, as (pitch, yaw) in degrees: by pitch, then by yaw, both
#: ascending. At the largest pitch, up or down, the yaw is 0 only.
PRESETS: dict[str, tuple[tuple[float, ...], ...]] = {
    'pointing04': (
        (-90.0, 0.0),
        *itertools.product((-60.0, -30.0, -15.0, 0.0, 15.0, 30.0, 60.0), _steps(-90, 90, 15)),
        (90.0, 0.0),
    ),
    'bjut3d': (
        (-40.0, 0.0),
        *itertools.product(_steps(-30, 30, 10), _steps(-60, 60, 10)),
        (40.0, 0.0),
    ),
}


@TASK_UTILS.register_module()
class GridLabelCodec(BaseValueCodec):
    r"""Joint distribution over several angles, in degrees.

    .. math:: d_k \propto e^{-\frac12 (l_k - \mu)^\top \Sigma^{-1} (l_k - \mu)}, \quad
              \sum_k d_k = 1

    (Gao et al., TIP 2017, Sec. III-B). The labels :math:`l_k` are either a regular grid, the
    product of one range per axis with the last axis varying fastest, or any list of points.
    N samples, K labels, A axes.

    Args:
        axes: For a grid ``dict(pitch=(start, stop, step), yaw=..., ...)``, both ends included; for
            a list of points the names of their coordinates. Any names, in the values' order.
        labels: (K, A) list of points, or a preset: ``'pointing04'`` or ``'bjut3d'``, 93 pairs of
            (pitch, yaw) each, ordered by pitch, then by yaw. None for a grid.
        sigma: Deviation of samples without one of their own: a number, one per axis (a sequence in
            the axes' order, or a dict by axis), or an (A, A) covariance in squared degrees. Not
            needed with ``shape='one_hot'``, whose nearest label is then the Euclidean one.
        shape: ``'gaussian'`` or ``'one_hot'`` (classification): the nearest label, equal shares for
            equally near ones.
        decode: Default rule of :meth:`decode`.
        periodic: Names of the axes on which 360° is 0° again, for a yaw all the way round.
        clip: Move values outside the label set to its nearest end, axis by axis, instead of
            refusing them.

    Raises:
        ValueError: An option is out of range; the message names it.

    Example:
        >>> codec = GridLabelCodec(labels='pointing04', sigma=15.0)
        >>> distribution = codec.encode([15.0, -75.0])
        >>> distribution.shape, codec.decode(distribution)
        (torch.Size([93]), tensor([ 15., -75.]))
        >>> codec = GridLabelCodec(dict(pitch=(-90, 90, 3), yaw=(-90, 90, 3)), sigma=3.0)
        >>> codec.decode(codec.encode([12.2, -31.6]), 'expectation')
        tensor([ 12.2000, -31.6000])
    """

    def __init__(
        self,
        axes: Mapping[str, Sequence[float]] | Sequence[str] = ('pitch', 'yaw'),
        labels: str | Sequence[Sequence[float]] | None = None,
        sigma: float | Sequence[Any] | Mapping[str, float] | None = None,
        shape: str = 'gaussian',
        decode: str = 'argmax',
        periodic: Sequence[str] = (),
        clip: bool = False,
    ) -> None:
        named = isinstance(axes, (Mapping, Sequence)) and not isinstance(axes, str)
        if not named or not axes or len(set(axes)) < len(axes):
            raise ValueError(
                f'GridLabelCodec: axes must be distinct names, or ranges by name, got {axes!r}'
            )
        self.axes = tuple(axes)
        self.periodic = (periodic,) if isinstance(periodic, str) else tuple(periodic)
        self._check_names(self.periodic, 'periodic')
        self._periods = [_PERIOD if name in self.periodic else None for name in self.axes]
        if shape not in _SHAPES:
            raise ValueError(
                f'GridLabelCodec: unknown shape {shape!r}, expected one of {", ".join(_SHAPES)}'
            )
        if sigma is None and shape != 'one_hot':
            raise ValueError(f'GridLabelCodec: shape {shape!r} needs sigma, in degrees')
        self.shape = shape
        self.rule = self._check_rule(decode)
        self.clip = bool(clip)

        self._ranges: dict[str, tuple[float, float, float]] | None = None
        if isinstance(axes, Mapping):
            if labels is not None:
                raise ValueError(
                    'GridLabelCodec: labels must be None where axes gives the ranges of a grid'
                )
            self._ranges = {name: self._check_range_option(name, axes[name]) for name in self.axes}
            self._axis_labels = [
                torch.tensor(_steps(*limits), dtype=torch.float64)
                for limits in self._ranges.values()
            ]
            self._labels = torch.cartesian_prod(*self._axis_labels).reshape(-1, len(self.axes))
            slack = [step / 2 for _, _, step in self._ranges.values()]
        else:
            self._labels = self._check_points(labels)
            self._axis_labels = [column.unique() for column in self._labels.unbind(-1)]
            # An axis with one label only accepts that label.
            gaps = [column.diff().tolist() for column in self._axis_labels]
            slack = [max(gap, default=0.0) / 2 for gap in gaps]
        self._ends = [(column[0].item(), column[-1].item()) for column in self._axis_labels]
        self._accepted = [
            (first - half, last + half)
            for (first, last), half in zip(self._ends, slack, strict=True)
        ]
        for name, (first, last) in zip(self.axes, self._ends, strict=True):
            if name in self.periodic and last - first >= _PERIOD:
                raise ValueError(
                    f'GridLabelCodec: the periodic axis {name!r} holds labels twice: '
                    f'{first:g} to {last:g} is a full turn or more'
                )
        # The place of each label among those of its axis.
        self._place = torch.stack(
            [
                torch.searchsorted(column, labels_a.contiguous())
                for column, labels_a in zip(self._axis_labels, self._labels.unbind(-1), strict=True)
            ],
            -1,
        )
        own = self._as_real(1.0 if sigma is None else sigma, 'sigma', torch.float64)
        self._diagonal, self._factor = self._deviation(own, 0, 'sigma')
        self.sigma = _as_tuples(own.tolist())

    @property
    def labels(self) -> Tensor:
        """(K, A) the label set; of a grid, the last axis varies fastest."""
        return self._labels.to(torch.get_default_dtype())

    @property
    def num_labels(self) -> int:
        """K, the size of the label set."""
        return len(self._labels)

    @property
    def axis_labels(self) -> dict[str, Tensor]:
        """The distinct labels of each axis, (K_a,) ascending, by the axis's name."""
        labels = (column.to(torch.get_default_dtype()) for column in self._axis_labels)
        return dict(zip(self.axes, labels, strict=True))

    @property
    def spec(self) -> dict[str, Any]:
        """All that defines the codec, by field; a preset's points stand under its name."""
        labels: Any = None
        if self._ranges is None:
            labels = tuple(map(tuple, self._labels.tolist()))
            labels = next((name for name, points in PRESETS.items() if points == labels), labels)
        return {
            'type': type(self).__name__,
            # Pairs instead of a dict: dicts are equal whatever their order, grids are not.
            'axes': self.axes if self._ranges is None else tuple(self._ranges.items()),
            'labels': labels,
            'sigma': self.sigma,
            'shape': self.shape,
            'decode': self.rule,
            'periodic': self.periodic,
            'clip': self.clip,
        }

    def encode(
        self,
        value: Tensor | Sequence[Any],
        sigma: Tensor | float | Sequence[Any] | Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Encode values into distributions.

        Args:
            value: (N, A) or (A,) values; may be fractional. Each coordinate lies within half a step
                of the grid's outer labels, for a list of points within half the largest gap between
                the axis's labels. Angles of a periodic axis are taken modulo 360°.
            sigma: The samples' own deviations: one number for all, (N,) numbers, (N, A) per axis
                (or a dict by axis), or (N, A, A) covariances. For one value of shape (A,) the same
                without N. N may be 1 to share one among a batch. The codec's own where not given.

        Returns:
            (N, K), or (K,) for one value; float32, or float64 for float64 values. Rows sum to 1.

        Raises:
            TypeError: The value is not real.
            ValueError: A value lies outside the label set, or a deviation is not valid.
        """
        value = self._as_real(value, 'value')
        if not value.ndim or value.shape[-1] != len(self.axes):
            raise ValueError(
                f'GridLabelCodec: value must have {len(self.axes)} numbers in its last dimension, '
                f'{", ".join(self.axes)}, got shape {tuple(value.shape)}'
            )
        value = self._check_range(value)
        diagonal, factor = self._diagonal, self._factor
        if sigma is not None:
            own = self._as_real(sigma, 'sigma', torch.float64).to(value.device)
            diagonal, factor = self._deviation(own, value.ndim - 1, 'sigma')
            lead = zip(factor.shape[-3::-1], value.shape[-2::-1], strict=False)
            if any(count not in (1, values) for count, values in lead):
                raise ValueError(
                    f'GridLabelCodec: sigma must be one for all values or one for each, got shape '
                    f'{tuple(own.shape)} for values of shape {tuple(value.shape)}'
                )
        if self._ranges is not None and diagonal is not None:
            deviation = diagonal.to(value.device, torch.promote_types(value.dtype, torch.float32))
            return product_distribution(
                value, deviation.expand_as(value), self._axis_labels, self._periods, self.shape
            )
        return point_distribution(value, factor, self._labels, self._periods, self.shape)

    def decode(self, dist: Tensor, rule: str | None = None) -> Tensor:
        """Decode distributions into values.

        Args:
            dist: (N, K) distributions, N any leading shape.
            rule: ``'argmax'`` (the most probable label, best for the accuracy of all axes at once),
                ``'marginal_argmax'`` (axis by axis, best for each axis's own accuracy; the result
                need not be a label of a list of points), ``'expectation'`` (squared errors; that
                of the joint distribution and those of its marginals are the same; on a periodic
                axis the circular mean) or ``'median'`` (that of each marginal, absolute errors).
                The codec's own where not given.

        Returns:
            (N, A) values in degrees.

        Raises:
            ValueError: The rule is unknown, has no meaning on a periodic axis, or the last
                dimension is not K.
        """
        rule = self.rule if rule is None else self._check_rule(rule)
        if rule == 'argmax':
            self._check_width(dist)
            dtype = torch.promote_types(dist.dtype, torch.float32)
            return self._labels.to(dist.device, dtype)[dist.argmax(-1)]
        values = []
        for marginal, labels, period in zip(
            self.marginals(dist).values(), self._axis_labels, self._periods, strict=True
        ):
            if rule == 'marginal_argmax':
                values.append(mode(marginal, labels))
            elif rule == 'median':
                values.append(quantile(marginal, labels, 0.5))
            elif period is not None:
                values.append(circular_mean(marginal, labels, period))
            else:
                values.append(expectation(marginal, labels))
        return torch.stack(values, -1)

    def marginals(self, dist: Tensor) -> dict[str, Tensor]:
        """Distribution of each axis alone.

        Args:
            dist: (N, K) distributions, N any leading shape.

        Returns:
            (N, K_a) over the axis's distinct labels (:attr:`axis_labels`), by the axis's name.

        Raises:
            ValueError: The last dimension is not K.
        """
        self._check_width(dist)
        dist = dist.to(torch.promote_types(dist.dtype, torch.float32))
        sizes = [len(column) for column in self._axis_labels]
        if self._ranges is not None:
            grid = dist.unflatten(-1, sizes)
            dims = range(-len(sizes), 0)
            others = [[other for other in dims if other != dim] for dim in dims]
            sums = [grid.sum(other) if other else grid for other in others]
        else:
            # In float64: neither TF32 nor autocast rounds the probabilities.
            wide = dist.double()
            place = self._place.to(dist.device)
            sums = [
                (wide @ torch.nn.functional.one_hot(place[:, a], size).double()).to(dist.dtype)
                for a, size in enumerate(sizes)
            ]
        return dict(zip(self.axes, sums, strict=True))

    def covariance(self, dist: Tensor) -> Tensor:
        """Covariance of distributions about their expectation.

        Args:
            dist: (N, K) distributions, N any leading shape.

        Returns:
            (N, A, A) in squared degrees; deviations on a periodic axis go the shorter way round.
        """
        mean = self.decode(dist, 'expectation')
        dist = dist.to(mean.dtype)
        deviation = [
            wrap(self._labels[:, a].to(mean) - mean[..., a : a + 1], period)
            for a, period in enumerate(self._periods)
        ]
        rows = [torch.stack([(dist * x * y).sum(-1) for y in deviation], -1) for x in deviation]
        return torch.stack(rows, -2)

    def std(self, dist: Tensor) -> Tensor:
        """(N, A) standard deviation of (N, K) distributions on each axis, in degrees."""
        return self.covariance(dist).diagonal(dim1=-2, dim2=-1).sqrt()

    def mirror(self, dist: Tensor) -> Tensor:
        """Distributions of the mirror images, whose yaw and roll are negated.

        Args:
            dist: (N, K) distributions, N any leading shape.

        Returns:
            (N, K) distributions.

        Raises:
            ValueError: The mirror image of a label is not a label, or the last dimension is not K.
        """
        self._check_width(dist)

        def key(point: list[float]) -> tuple[float, ...]:
            return tuple(
                round(number if period is None else number % period, 6) + 0.0
                for number, period in zip(point, self._periods, strict=True)
            )

        places = {key(point): k for k, point in enumerate(self._labels.tolist())}
        mirrored = mirror_pose(self._labels, self.axes).tolist()
        for point in mirrored:
            if key(point) not in places:
                raise ValueError(f'GridLabelCodec: the mirror image {point} of a label is no label')
        return dist[..., [places[key(point)] for point in mirrored]]

    def encode_annotation(self, data_info: dict[str, Any]) -> Tensor:
        """Encode ``gt_value``, (A,) or a dict by axis, with the sample's ``gt_sigma`` if any."""
        self.check_annotation(data_info)
        value = self._as_real(data_info['gt_value'], 'gt_value').float()
        return self.encode(value, data_info.get('gt_sigma'))

    def check_annotation(self, data_info: dict[str, Any]) -> None:
        """Refuse a sample without ``gt_value`` or an axis of it, or outside the label set."""
        if 'gt_value' not in data_info:
            raise ValueError("the sample has no 'gt_value', which GridLabelCodec encodes")
        value = self._in_order(data_info['gt_value'])
        if np.shape(value) != (len(self.axes),):
            raise ValueError(
                f'gt_value must hold {len(self.axes)} numbers, {", ".join(self.axes)}, got {value}'
            )
        for a, number in enumerate(map(float, value)):
            low, high = self._accepted[a]
            if not math.isfinite(number) or not (self.clip or low <= self._turn(a, number) <= high):
                raise ValueError(self._range_message(a, number))
        if data_info.get('gt_sigma') is not None:
            sigma = self._as_real(data_info['gt_sigma'], 'gt_sigma', torch.float64)
            self._deviation(sigma, 0, 'gt_sigma')

    def _turn(self, a: int, number: Any) -> Any:
        """The same angle within the turn that is centred on the axis's labels."""
        if self._periods[a] is None:
            return number
        start = sum(self._ends[a]) / 2 - _PERIOD / 2
        return (number - start) % _PERIOD + start

    def _range_message(self, a: int, number: float) -> str:
        (first, last), (low, high) = self._ends[a], self._accepted[a]
        return (
            f'{self.axes[a]} {number:g} lies outside the label set {first:g} to {last:g} '
            f'(accepted: {low:g} to {high:g}; clip=True moves it to the nearest end)'
        )

    def _check_range(self, value: Tensor) -> Tensor:
        columns = []
        for a, (low, high) in enumerate(self._accepted):
            column = value[..., a]
            # In float64: a float16 bound would be rounded to a neighbour.
            wide = column.detach().double()
            turned = self._turn(a, wide)
            good = wide.isfinite()
            if not self.clip:
                good &= (turned >= low) & (turned <= high)
            if not good.all():
                raise ValueError(
                    f'GridLabelCodec: {self._range_message(a, wide[~good].flatten()[0].item())}'
                )
            if self.clip:
                column = (column + (turned - wide)).to(value).clamp(*self._ends[a])
            columns.append(column)
        return torch.stack(columns, -1)

    def _deviation(self, sigma: Tensor, batch: int, name: str) -> tuple[Tensor | None, Tensor]:
        """Deviations per axis (None for a full covariance) and the covariance's Cholesky factor.

        The number of dimensions beyond the batch's says what it is: 0 a deviation, 1 one per axis,
        2 a covariance.
        """
        count = len(self.axes)
        sigma = sigma.to(torch.promote_types(sigma.dtype, torch.float32))
        form = sigma.ndim - batch if sigma.ndim else 0
        if form not in (0, 1, 2) or tuple(sigma.shape[sigma.ndim - form :]) != (count,) * form:
            lead = '(N, ' if batch else '('
            raise ValueError(
                f'GridLabelCodec: {name} must be a number, one per axis {lead}{count}) or a '
                f'covariance {lead}{count}, {count}), got shape {tuple(sigma.shape)}'
            )
        if form < 2:
            bad = ~((sigma > 0) & sigma.isfinite())
            if bad.any():
                raise ValueError(
                    f'GridLabelCodec: {name} must be finite and greater than 0, '
                    f"got {sigma[bad].flatten()[0].item()} (for hard labels use shape='one_hot')"
                )
            diagonal = sigma if form else sigma.unsqueeze(-1).expand(*sigma.shape, count)
            return diagonal, diagonal.diag_embed()
        tolerance = 8 * torch.finfo(sigma.dtype).eps
        variance = sigma.diagonal(dim1=-2, dim2=-1)
        size = variance.abs().amax(-1)[..., None, None]
        symmetric = ((sigma - sigma.mT).abs() <= tolerance * size).all()
        factor, failure = torch.linalg.cholesky_ex(sigma.double())
        # A pivot that only rounding keeps above 0 counts as 0.
        pivot = factor.diagonal(dim1=-2, dim2=-1).square()
        singular = failure.any() or (pivot <= tolerance * variance).any()
        if not (sigma.isfinite().all() and symmetric) or singular:
            raise ValueError(
                f'GridLabelCodec: a covariance must be symmetric and positive definite '
                f'(not singular), got {name}={sigma.tolist()}'
            )
        full = (sigma - variance.diag_embed()).any()
        return (None if full else variance.sqrt()), factor

    def _in_order(self, numbers: Any) -> Any:
        """Numbers given by axis as a list in the axes' order; anything else as it is."""
        if not isinstance(numbers, Mapping):
            return numbers
        self._check_names(numbers, 'a value by axis')
        missing = [name for name in self.axes if name not in numbers]
        if missing:
            raise ValueError(
                f'GridLabelCodec: the axis {missing[0]!r} is missing, got {dict(numbers)}'
            )
        return [numbers[name] for name in self.axes]

    def _check_names(self, names: Any, option: str) -> None:
        for name in names:
            if name not in self.axes:
                raise ValueError(
                    f'GridLabelCodec: {option} names the unknown axis {name!r}, '
                    f'expected {", ".join(self.axes)}'
                )

    def _check_points(self, labels: Any) -> Tensor:
        if isinstance(labels, str):
            if labels not in PRESETS:
                raise ValueError(
                    f'GridLabelCodec: unknown labels {labels!r}, expected a list of points or '
                    f'one of {", ".join(PRESETS)}'
                )
            if self.axes != ('pitch', 'yaw'):
                raise ValueError(
                    f"GridLabelCodec: the points of {labels!r} are ('pitch', 'yaw'), "
                    f'got axes={self.axes}'
                )
            labels = PRESETS[labels]
        if labels is None:
            raise ValueError(
                'GridLabelCodec: give either the ranges of a grid (axes as a dict) or labels'
            )
        try:
            rows = [tuple(map(float, row)) for row in labels]
        except (TypeError, ValueError) as error:
            raise TypeError(
                f'GridLabelCodec: labels must be a list of points, {", ".join(self.axes)}, '
                f'got {labels!r}'
            ) from error
        if len(rows) < 2:
            raise ValueError(f'GridLabelCodec: labels must hold at least two points, got {rows}')
        seen: set[tuple[float, ...]] = set()
        for row in rows:
            if len(row) != len(self.axes) or not all(map(math.isfinite, row)):
                raise ValueError(
                    f'GridLabelCodec: a point of labels must be {len(self.axes)} finite numbers, '
                    f'{", ".join(self.axes)}, got {row}'
                )
            if row in seen:
                raise ValueError(f'GridLabelCodec: labels holds the point {row} twice')
            seen.add(row)
        return torch.tensor(rows, dtype=torch.float64)

    @staticmethod
    def _check_range_option(name: str, limits: Sequence[float]) -> tuple[float, float, float]:
        where = f'GridLabelCodec: axis {name!r}'
        try:
            start, stop, step = (float(number) for number in limits)
        except (TypeError, ValueError):
            start = stop = step = math.nan
        if isinstance(limits, str) or not all(map(math.isfinite, (start, stop, step))):
            raise ValueError(
                f'{where} must be three finite numbers (start, stop, step), got {limits!r}'
            )
        if step <= 0:
            raise ValueError(f'{where}: step must be greater than 0, got {step:g}')
        if stop <= start:
            raise ValueError(
                f'{where}: stop must be greater than start, got start={start:g}, stop={stop:g}'
            )
        intervals = (stop - start) / step
        if round(intervals) < 1 or abs(intervals - round(intervals)) > 1e-6:
            raise ValueError(
                f'{where}: stop must be start plus a multiple of step, '
                f'got start={start:g}, stop={stop:g}, step={step:g}'
            )
        return start, stop, step

    def _check_rule(self, rule: str) -> str:
        if rule not in _RULES:
            raise ValueError(
                f'GridLabelCodec: unknown decoding rule {rule!r}, '
                f'expected one of {", ".join(_RULES)}'
            )
        if rule == 'median' and self.periodic:
            raise ValueError(
                f'GridLabelCodec: rule {rule!r} has no meaning on the periodic axis '
                f'{self.periodic[0]!r}'
            )
        return rule

    def _check_width(self, dist: Tensor) -> None:
        if dist.shape[-1] != self.num_labels:
            raise ValueError(
                f'GridLabelCodec: the distribution has {dist.shape[-1]} entries in its last '
                f'dimension, but the label set has {self.num_labels} labels'
            )

    def _as_real(self, value: Any, name: str, dtype: torch.dtype | None = None) -> Tensor:
        """A tensor of real numbers; numbers of Python become ``dtype`` where it is given."""
        if isinstance(value, Mapping):
            columns = [self._as_real(column, name, dtype) for column in self._in_order(value)]
            return torch.stack(torch.broadcast_tensors(*columns), -1)
        try:
            tensor = torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f'GridLabelCodec: {name} must be numbers, got {value!r}') from error
        if tensor.is_complex() or tensor.dtype == torch.bool:
            raise TypeError(f'GridLabelCodec: {name} must be real numbers, got {tensor.dtype}')
        if dtype is not None and not hasattr(value, 'dtype'):
            tensor = torch.as_tensor(value, dtype=dtype)
        return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _as_tuples(numbers: Any) -> Any:
    return tuple(map(_as_tuples, numbers)) if isinstance(numbers, list) else numbers
