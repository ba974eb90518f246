"""Codec of images with several classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dldl_mm.codecs.base import BaseLabelCodec
from dldl_mm.functional import multilabel_distribution
from dldl_mm.registry import TASK_UTILS

_POLICIES = ('error', 'skip', 'uniform')


@TASK_UTILS.register_module()
class MultiLabelCodec(BaseLabelCodec):
    r"""Distribution over C classes, of which an image shows several.

    .. math:: d_c = (1 - \varepsilon) \frac{\hat d_c}{\sum_i \hat d_i} + \frac{\varepsilon}{C}

    where :math:`\hat d_c` is 1 for a positive class, :math:`p_D` for a difficult one and 0 for a
    negative one (Gao et al., TIP 2017); see
    :func:`~dldl_mm.functional.multilabel_distribution`. N samples, C classes.

    Args:
        num_classes: C.
        p_difficult: Weight :math:`p_D` of a difficult class beside a positive one; 0 makes it a
            negative, 1 a positive.
        epsilon: Share :math:`\varepsilon` of the uniform distribution.
        no_positive: What becomes of an image without any weight, that is without a positive and
            without a difficult class (or with :math:`p_D = 0` without a positive one): ``'error'``
            refuses it; ``'uniform'`` gives each class 1/C; ``'skip'`` gives a row of zeros, which
            has no mass: its KL and the KL's gradient are 0, though it still counts in a batch's mean.

    Raises:
        TypeError: ``num_classes`` is not an integer.
        ValueError: An option is out of range; the message names it.

    Example:
        >>> import torch
        >>> codec = MultiLabelCodec(num_classes=4, p_difficult=0.5, epsilon=0.0)
        >>> codec.encode(torch.tensor([True, False, True, False]), torch.tensor([0, 1, 1, 0]).bool())
        tensor([0.4000, 0.2000, 0.4000, 0.0000])
    """

    def __init__(
        self,
        num_classes: int,
        p_difficult: float = 0.3,
        epsilon: float = 0.01,
        no_positive: str = 'error',
    ) -> None:
        if isinstance(num_classes, bool) or not isinstance(num_classes, int | np.integer):
            raise TypeError(f'MultiLabelCodec: num_classes must be an integer, got {num_classes!r}')
        if num_classes < 2:
            raise ValueError(f'MultiLabelCodec: num_classes must be at least 2, got {num_classes}')
        if not isinstance(p_difficult, int | float) or not 0 <= p_difficult <= 1:
            raise ValueError(f'MultiLabelCodec: p_difficult must be in [0, 1], got {p_difficult!r}')
        if not isinstance(epsilon, int | float) or not 0 <= epsilon < 1:
            raise ValueError(f'MultiLabelCodec: epsilon must be in [0, 1), got {epsilon!r}')
        if no_positive not in _POLICIES:
            raise ValueError(
                f'MultiLabelCodec: unknown no_positive {no_positive!r}, '
                f'expected one of {", ".join(_POLICIES)}'
            )
        self.num_classes = int(num_classes)
        self.p_difficult = float(p_difficult)
        self.epsilon = float(epsilon)
        self.no_positive = no_positive

    @property
    def labels(self) -> Tensor:
        """(C,) indices of the classes."""
        return torch.arange(self.num_classes, dtype=torch.get_default_dtype())

    @property
    def num_labels(self) -> int:
        """C, the number of classes."""
        return self.num_classes

    @property
    def spec(self) -> dict[str, Any]:
        """All that defines the codec, by field."""
        return dict(
            type=type(self).__name__,
            num_classes=self.num_classes,
            p_difficult=self.p_difficult,
            epsilon=self.epsilon,
            no_positive=self.no_positive,
        )

    def encode(self, positive: Tensor, difficult: Tensor | None = None) -> Tensor:
        """Encode the classes of images into distributions.

        Args:
            positive: (N, C) or (C,) bool, classes with an object that is not difficult.
            difficult: The same for difficult objects; none where not given. A class with objects of
                both kinds is positive.

        Returns:
            (N, C) or (C,) distributions in torch's default dtype, float32 at least, which sum to 1, or
            to 0 for a row left out by ``no_positive='skip'``.

        Raises:
            TypeError: A tensor is not bool.
            ValueError: The shapes do not fit, or images have no weight and ``no_positive='error'``.
        """
        positive = self._as_mask(positive, 'positive')
        difficult = (
            torch.zeros_like(positive)
            if difficult is None
            else self._as_mask(difficult, 'difficult').to(positive.device)
        )
        if positive.shape != difficult.shape:
            raise ValueError(
                'MultiLabelCodec: positive and difficult must have one shape, '
                f'got {tuple(positive.shape)} and {tuple(difficult.shape)}'
            )
        dist = multilabel_distribution(positive, difficult, self.p_difficult, self.epsilon)
        empty = dist.sum(-1) == 0
        if self.no_positive == 'skip' or not empty.any():
            return dist
        if self.no_positive == 'uniform':
            return torch.where(empty.unsqueeze(-1), 1 / self.num_classes, dist)
        rows = (
            ''
            if dist.ndim == 1
            else f' in row {", ".join(map(str, empty.nonzero()[:, 0].tolist()))}'
        )
        raise ValueError(f'MultiLabelCodec: {self._no_positive_message()}{rows}')

    def encode_annotation(self, data_info: dict[str, Any]) -> Tensor:
        """Encode the class indices ``gt_label``, with ``gt_label_difficult`` where the sample has it."""
        self.check_annotation(data_info)
        return self.encode(*self.annotation_masks(data_info))

    def annotation_masks(self, data_info: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """(C,) bool each: the classes of ``gt_label``, and those of ``gt_label_difficult``."""
        positive, difficult = (
            torch.zeros(self.num_classes, dtype=torch.bool).index_fill(
                0, torch.tensor(_flat(data_info.get(key)), dtype=torch.long), True
            )
            for key in ('gt_label', 'gt_label_difficult')
        )
        return positive, difficult

    def check_annotation(self, data_info: dict[str, Any]) -> None:
        """Refuse a sample without ``gt_label``, with an unknown class, or without a class to learn."""
        place = f' ({data_info["img_path"]})' if 'img_path' in data_info else ''
        if data_info.get('gt_label') is None:
            raise ValueError(f"the sample{place} has no 'gt_label', which MultiLabelCodec encodes")
        found = {}
        for key in ('gt_label', 'gt_label_difficult'):
            found[key] = _flat(data_info.get(key))
            if found[key].dtype.kind not in 'iuf':
                raise ValueError(
                    f'{key} of the sample{place} must hold indices of classes, got {data_info[key]!r}'
                )
            for index in found[key].tolist():
                if not 0 <= index < self.num_classes or index != int(index):
                    raise ValueError(
                        f'class index {index} of the sample{place} is not one of the '
                        f'{self.num_classes} classes 0 to {self.num_classes - 1}'
                    )
        weighted = len(found['gt_label']) or (
            len(found['gt_label_difficult']) and self.p_difficult > 0
        )
        if self.no_positive == 'error' and not weighted:
            raise ValueError(f'{self._no_positive_message()}{place}')

    def _no_positive_message(self) -> str:
        return (
            'no class is positive'
            + (' or difficult' if self.p_difficult > 0 else '')
            + ', so there '
            "is no distribution (no_positive='skip' leaves such images out, 'uniform' gives each "
            'class the same probability)'
        )

    def _as_mask(self, mask: Tensor, name: str) -> Tensor:
        mask = torch.as_tensor(mask)
        if mask.dtype != torch.bool:
            raise TypeError(f'MultiLabelCodec: {name} must be bool, got {mask.dtype}')
        if mask.ndim not in (1, 2) or mask.shape[-1] != self.num_classes:
            raise ValueError(
                f'MultiLabelCodec: {name} must have shape (N, {self.num_classes}) or '
                f'({self.num_classes},), got {tuple(mask.shape)}'
            )
        return mask


def _flat(labels: Any) -> np.ndarray:
    """Class indices, whatever holds them: a number, a list, an array, a tensor, or None for none."""
    labels = labels.tolist() if isinstance(labels, Tensor) else labels
    flat = np.ravel([] if labels is None else labels)
    return flat if flat.size else np.empty(0, np.int64)
