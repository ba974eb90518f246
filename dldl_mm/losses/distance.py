"""Distances between distributions in place of the KL divergence."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from dldl_mm.codecs import BaseValueCodec
from dldl_mm.functional import js_divergence, squared_emd, squared_hellinger, squared_l2
from dldl_mm.losses.base import LabelDistributionLoss
from dldl_mm.registry import MODELS

_DISTANCES: dict[str, Callable[..., Tensor]] = dict(
    hellinger=squared_hellinger, js=js_divergence, l2=squared_l2, emd=squared_emd
)


@MODELS.register_module()
class LabelDistributionDistanceLoss(LabelDistributionLoss):
    r"""Mean over a batch of a distance between target :math:`d` and softmax :math:`p`.

    ===============  =================================================================================
    ``'hellinger'``  :math:`\frac12 \sum_k (\sqrt{d_k} - \sqrt{p_k})^2`, squared Hellinger distance
    ``'js'``         Jensen-Shannon divergence, nats
    ``'l2'``         :math:`\sum_k (d_k - p_k)^2`; the Brier score of a one-hot target
    ``'emd'``        :math:`\sum_k (\mathrm{CDF}_p - \mathrm{CDF}_d)^2`, squared earth mover's distance
                     (Hou et al., arXiv 1611.05916); needs labels in order
    ===============  =================================================================================

    Args:
        distance: A name of the table.
        loss_weight: Factor of the loss.
        reduction: ``'mean'``, ``'sum'`` or ``'none'`` over the samples.
        loss_name: Key in the log; ``loss_`` and the distance where not given.

    Raises:
        ValueError: The distance is unknown.
    """

    def __init__(
        self,
        distance: str,
        loss_weight: float = 1.0,
        reduction: str = 'mean',
        loss_name: str | None = None,
    ) -> None:
        if distance not in _DISTANCES:
            raise ValueError(
                f'LabelDistributionDistanceLoss: unknown distance {distance!r}, '
                f'expected one of {", ".join(_DISTANCES)}'
            )
        super().__init__(loss_weight, reduction, loss_name=loss_name or f'loss_{distance}')
        self.distance = distance
        self.needs_order = distance == 'emd'

    def per_sample(
        self, logits: Tensor, target: Tensor, value: Tensor | None, codec: BaseValueCodec | None
    ) -> Tensor:
        """(N,) distances."""
        return _DISTANCES[self.distance](logits, target, reduction='none')
