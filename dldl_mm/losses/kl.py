"""The loss of DLDL."""

from __future__ import annotations

from torch import Tensor

from dldl_mm.codecs import BaseValueCodec
from dldl_mm.functional import kl_divergence
from dldl_mm.losses.base import LabelDistributionLoss
from dldl_mm.registry import MODELS


@MODELS.register_module()
class LabelDistributionKLLoss(LabelDistributionLoss):
    r"""Mean over a batch of :math:`\mathrm{KL}(d \| p) = \sum_k d_k \ln (d_k / p_k)`.

    See :func:`~dldl_mm.functional.kl_divergence` (Gao et al., TIP 2017, Eq. 4). For a one-hot target
    it is the cross-entropy.

    Args:
        loss_weight: Factor of the loss.
        reduction: ``'mean'``, ``'sum'`` or ``'none'`` over the samples.
        loss_name: Key in the log.
    """

    def __init__(
        self, loss_weight: float = 1.0, reduction: str = 'mean', loss_name: str = 'loss_kl'
    ) -> None:
        super().__init__(loss_weight, reduction, loss_name=loss_name)

    def per_sample(
        self, logits: Tensor, target: Tensor, value: Tensor | None, codec: BaseValueCodec | None
    ) -> Tensor:
        """(N,) divergences."""
        return kl_divergence(logits, target, reduction='none')
