"""Losses on the expectation of the predicted distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from dldl_mm.codecs import BaseValueCodec
from dldl_mm.losses.base import LabelDistributionLoss
from dldl_mm.registry import MODELS


@MODELS.register_module()
class ExpectationLoss(LabelDistributionLoss):
    r"""Distance between the expectation :math:`\mu = \sum_k p_k l_k` and the true value :math:`y`.

    ``norm='l1'`` is :math:`|\mu - y|`: with the KL loss and equal weights, DLDL-v2 (Gao et al., IJCAI
    2018). ``norm='l2'`` is :math:`\frac12 (\mu - y)^2`, the mean loss of Pan et al. (CVPR 2018).
    Several axes are added up. It reads ``gt_value``, which Mixup and CutMix do not mix; the start-up
    check refuses the two together.

    Args:
        norm: ``'l1'`` or ``'l2'``.
        loss_weight: Factor of the loss.
        reduction: ``'mean'``, ``'sum'`` or ``'none'`` over the samples.
        loss_name: Key in the log.

    Raises:
        ValueError: The norm is unknown.
    """

    needs_value = True

    def __init__(
        self,
        norm: str = 'l1',
        loss_weight: float = 1.0,
        reduction: str = 'mean',
        loss_name: str = 'loss_expectation',
    ) -> None:
        super().__init__(loss_weight, reduction, loss_name=loss_name)
        if norm not in ('l1', 'l2'):
            raise ValueError(f"ExpectationLoss: unknown norm {norm!r}, expected 'l1' or 'l2'")
        self.norm = norm

    def per_sample(
        self, logits: Tensor, target: Tensor, value: Tensor | None, codec: BaseValueCodec | None
    ) -> Tensor:
        """(N,) distances, in the labels' unit or its square."""
        value, codec = self.require(value, codec)
        probability = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)
        error = codec.decode(probability, 'expectation') - value.to(probability)
        loss = error.abs() if self.norm == 'l1' else error.square() / 2
        return loss if loss.ndim == 1 else loss.sum(-1)
