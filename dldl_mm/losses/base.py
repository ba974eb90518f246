"""Base of the losses between a label distribution and logits."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from dldl_mm.codecs import BaseLabelCodec, BaseValueCodec, GaussianLabelCodec
from dldl_mm.functional import reduce_samples


class LabelDistributionLoss(nn.Module, ABC):
    """A per-sample loss with the weights and reductions of the mm toolboxes.

    Called as mmpretrain's heads call a loss, ``loss(logits, target, avg_factor=N)``, so that it also
    stands in a plain mmpretrain head. ``LabelDistributionHead`` adds ``value`` and ``codec``.

    Args:
        loss_weight: Factor of the loss.
        reduction: ``'mean'``, ``'sum'`` or ``'none'`` over the samples.
        loss_name: Key in the log; must contain ``loss`` to be minimised.

    Raises:
        ValueError: The reduction is unknown, or the name does not contain ``loss``.
    """

    needs_value = False
    """Whether the loss reads the true value, which Mixup and CutMix do not mix."""

    needs_order = False
    """Whether the labels must lie in order on a line: not on a circle, no grid, no classes."""

    def __init__(
        self, loss_weight: float = 1.0, reduction: str = 'mean', *, loss_name: str
    ) -> None:
        super().__init__()
        if reduction not in ('mean', 'sum', 'none'):
            raise ValueError(
                f"{type(self).__name__}: unknown reduction {reduction!r}, expected 'mean', 'sum' or 'none'"
            )
        if not isinstance(loss_weight, (int, float)):
            raise TypeError(
                f'{type(self).__name__}: loss_weight must be a number, got {loss_weight!r}'
            )
        if 'loss' not in loss_name:
            raise ValueError(
                f"{type(self).__name__}: loss_name must contain 'loss', got {loss_name!r}: "
                'mmengine only minimises entries whose name does'
            )
        self.loss_weight = loss_weight
        self.reduction = reduction
        self.loss_name = loss_name

    def bind(self, codec: BaseLabelCodec) -> None:
        """Check that the loss fits the head's codec; heads call it once, when they are built.

        Raises:
            TypeError: The loss needs labels in order, which the codec does not have.
        """
        on_a_line = isinstance(codec, GaussianLabelCodec) and codec.period is None
        if self.needs_order and not on_a_line:
            raise TypeError(
                f'{type(self).__name__} needs labels in order on a line, those of a GaussianLabelCodec '
                f'that is not circular, got {codec}'
            )

    def require(
        self, value: Tensor | None, codec: BaseValueCodec | None
    ) -> tuple[Tensor, BaseValueCodec]:
        """The true value and the codec, which only a ``LabelDistributionHead`` passes.

        Raises:
            ValueError: One of them is missing.
        """
        if value is None or codec is None:
            raise ValueError(
                f'{type(self).__name__} needs the true value and the codec: use it in a '
                "LabelDistributionHead, with 'gt_value' in the algorithm_keys of PackInputs"
            )
        return value, codec

    @abstractmethod
    def per_sample(
        self, logits: Tensor, target: Tensor, value: Tensor | None, codec: BaseValueCodec | None
    ) -> Tensor:
        """(N,) losses of (N, K) logits."""

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
        *,
        value: Tensor | None = None,
        codec: BaseValueCodec | None = None,
    ) -> Tensor:
        """Weighted and reduced loss.

        Args:
            logits: (N, K) scores of the network.
            target: (N, K) target distributions.
            weight: (N,) factors of the samples.
            avg_factor: Divisor of ``'mean'`` in place of N.
            reduction_override: Reduction in place of the configured one.
            value: (N,) or (N, A) true values, in the labels' unit.
            codec: The codec of the target.

        Returns:
            A scalar, or (N,) for ``'none'``.
        """
        loss = self.per_sample(logits, target, value, codec)
        if weight is not None:
            loss = loss * weight.to(loss)
        reduction = reduction_override or self.reduction
        if reduction == 'mean' and avg_factor is not None:
            return self.loss_weight * loss.sum() / avg_factor
        return self.loss_weight * reduce_samples(loss, reduction)
