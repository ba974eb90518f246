"""Losses on the shape of the predicted distribution, beside one towards the target."""

from __future__ import annotations

import torch
from torch import Tensor

from dldl_mm.codecs import BaseValueCodec
from dldl_mm.functional import concentration, rank_violation, residue_entropy, variance
from dldl_mm.losses.base import LabelDistributionLoss
from dldl_mm.registry import MODELS


@MODELS.register_module()
class VarianceLoss(LabelDistributionLoss):
    r"""Variance :math:`v = \sum_k p_k (l_k - \mu)^2` of the prediction.

    With cross-entropy, ``ExpectationLoss(norm='l2', loss_weight=0.2)`` and ``loss_weight=0.05``, the
    mean-variance loss (Pan et al., CVPR 2018).

    Args:
        loss_weight: Factor of the loss.
        reduction: ``'mean'``, ``'sum'`` or ``'none'`` over the samples.
        loss_name: Key in the log.
    """

    needs_order = True

    def __init__(
        self, loss_weight: float = 1.0, reduction: str = 'mean', loss_name: str = 'loss_variance'
    ) -> None:
        super().__init__(loss_weight, reduction, loss_name=loss_name)

    def per_sample(
        self, logits: Tensor, target: Tensor, value: Tensor | None, codec: BaseValueCodec | None
    ) -> Tensor:
        """(N,) variances, in the square of the labels' unit."""
        if codec is None:
            raise ValueError('VarianceLoss needs the codec: use it in a LabelDistributionHead')
        p = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)
        return variance(p, codec.labels)


@MODELS.register_module()
class ResidueLoss(LabelDistributionLoss):
    r"""Entropy of the probabilities smaller than that of the true label.

    See :func:`~dldl_mm.functional.residue_entropy`. With cross-entropy,
    ``ExpectationLoss(norm='l2', loss_weight=0.2)`` and ``loss_weight=0.25``, adaptive mean-residue
    learning (AMR, Zhao et al., ICME 2022).

    Args:
        epsilon: What keeps the logarithm finite, in probability.
        loss_weight: Factor of the loss.
        reduction: ``'mean'``, ``'sum'`` or ``'none'`` over the samples.
        loss_name: Key in the log.

    Raises:
        ValueError: epsilon is not greater than 0.
    """

    needs_value = needs_order = True

    def __init__(
        self,
        epsilon: float = 1e-3,
        loss_weight: float = 1.0,
        reduction: str = 'mean',
        loss_name: str = 'loss_residue',
    ) -> None:
        super().__init__(loss_weight, reduction, loss_name=loss_name)
        if epsilon <= 0:
            raise ValueError(f'ResidueLoss: epsilon must be greater than 0, got {epsilon}')
        self.epsilon = epsilon

    def per_sample(
        self, logits: Tensor, target: Tensor, value: Tensor | None, codec: BaseValueCodec | None
    ) -> Tensor:
        """(N,) entropies, nats."""
        value, codec = self.require(value, codec)
        return residue_entropy(logits, value, codec.labels, self.epsilon, reduction='none')


@MODELS.register_module()
class ConcentrationLoss(LabelDistributionLoss):
    r"""Negative log density :math:`\frac12 \ln v + (\mu - y)^2 / 2v` by the prediction's moments.

    See :func:`~dldl_mm.functional.concentration`. With ``RankLoss`` the unimodal-concentrated loss
    (Li et al., CVPR 2022).

    Args:
        loss_weight: Factor of the loss.
        reduction: ``'mean'``, ``'sum'`` or ``'none'`` over the samples.
        loss_name: Key in the log.
    """

    needs_value = needs_order = True

    def __init__(
        self,
        loss_weight: float = 1.0,
        reduction: str = 'mean',
        loss_name: str = 'loss_concentration',
    ) -> None:
        super().__init__(loss_weight, reduction, loss_name=loss_name)

    def per_sample(
        self, logits: Tensor, target: Tensor, value: Tensor | None, codec: BaseValueCodec | None
    ) -> Tensor:
        """(N,) negative log densities."""
        value, codec = self.require(value, codec)
        return concentration(logits, value, codec.labels, reduction='none')


@MODELS.register_module()
class RankLoss(LabelDistributionLoss):
    r"""How far the prediction is from rising up to the true value and falling after it.

    See :func:`~dldl_mm.functional.rank_violation`; the published weight is 1000 (Li et al., CVPR 2022).

    Args:
        loss_weight: Factor of the loss.
        reduction: ``'mean'``, ``'sum'`` or ``'none'`` over the samples.
        loss_name: Key in the log.
    """

    needs_value = needs_order = True

    def __init__(
        self, loss_weight: float = 1.0, reduction: str = 'mean', loss_name: str = 'loss_rank'
    ) -> None:
        super().__init__(loss_weight, reduction, loss_name=loss_name)

    def per_sample(
        self, logits: Tensor, target: Tensor, value: Tensor | None, codec: BaseValueCodec | None
    ) -> Tensor:
        """(N,) violations, in probability."""
        value, codec = self.require(value, codec)
        return rank_violation(logits, value, codec.labels, reduction='none')
