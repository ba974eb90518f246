"""The KL loss towards distributions whose deviation is fitted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce
from torch import Tensor

from dldl_mm.codecs import BaseLabelCodec, BaseValueCodec, GaussianLabelCodec
from dldl_mm.functional import kl_divergence
from dldl_mm.losses.base import LabelDistributionLoss
from dldl_mm.registry import MODELS

_CANDIDATES = tuple(k / 2 for k in range(1, 25))
_SHAPES = ('gaussian', 'laplace', 'triangular', 'truncated_gaussian', 'beta', 'von_mises')


@MODELS.register_module()
class AdaptiveSigmaKLLoss(LabelDistributionLoss):
    r"""KL loss with a deviation per label, fitted in turns with the network: adaptive LDL.

    .. math:: \sigma_a = \arg\min_\sigma \sum_{i:\, y_i = a} \mathrm{KL}(d(y_i, \sigma) \| p_i)

    (Geng et al., ICPR 2014.) The loss makes its targets from the true value, with the codec's shape and
    the deviation :math:`\sigma_a` of the nearest label, instead of reading ``gt_score`` and
    ``gt_sigma``. During an epoch it adds up the divergence of every sample at every candidate
    :math:`\sigma`; ``AdaptiveSigmaHook`` calls :meth:`refit` at the epoch's end, which takes the best
    candidate of each label. The first epoch uses the codec's ``sigma``; a label without samples keeps
    its own. K labels, S candidates.

    Args:
        candidates: (S,) deviations to choose from, in the labels' unit; 0.5, 1, ..., 12 where not given.
        loss_weight: Factor of the loss.
        reduction: ``'mean'``, ``'sum'`` or ``'none'`` over the samples.
        loss_name: Key in the log.

    Raises:
        ValueError: A candidate is not greater than 0, or there is none.
    """

    needs_value = True
    sigma: Tensor
    cost: Tensor
    candidates: Tensor

    def __init__(
        self,
        candidates: Sequence[float] = _CANDIDATES,
        loss_weight: float = 1.0,
        reduction: str = 'mean',
        loss_name: str = 'loss_kl',
    ) -> None:
        super().__init__(loss_weight, reduction, loss_name=loss_name)
        if not candidates or min(candidates) <= 0:
            raise ValueError(
                'AdaptiveSigmaKLLoss: candidates must be one or more deviations greater than 0, '
                f'got {candidates!r}'
            )
        self.register_buffer('candidates', torch.tensor(candidates).float(), persistent=False)

    def bind(self, codec: BaseLabelCodec) -> None:
        """Start every label with the codec's deviation.

        Raises:
            TypeError: The codec's distributions have no deviation.
        """
        super().bind(codec)
        if not isinstance(codec, GaussianLabelCodec) or codec.shape not in _SHAPES:
            raise TypeError(
                'AdaptiveSigmaKLLoss needs a GaussianLabelCodec with one of the shapes '
                f'{", ".join(_SHAPES)}, got {codec}'
            )
        self.codec = codec
        size = codec.num_labels
        self.register_buffer('sigma', torch.full((size,), codec.sigma))
        # In float64: the sum over an epoch decides between neighbours.
        cost = torch.zeros(size, len(self.candidates), dtype=torch.float64)
        self.register_buffer('cost', cost, persistent=False)

    def per_sample(
        self, logits: Tensor, target: Tensor, value: Tensor | None, codec: BaseValueCodec | None
    ) -> Tensor:
        """(N,) divergences from the fitted targets."""
        value, _ = self.require(value, codec)
        labels = self.codec.labels.to(value)
        nearest = (labels - value.unsqueeze(-1)).abs().argmin(-1)
        if self.training:
            with torch.no_grad():
                targets = self.codec.encode(value.unsqueeze(-1), self.candidates)
                cost = kl_divergence(logits.unsqueeze(-2).expand_as(targets), targets, 'none')
                self.cost.index_add_(0, nearest, cost.double())
        return kl_divergence(logits, self.codec.encode(value, self.sigma[nearest]), 'none')

    def refit(self) -> None:
        """Take each label's best candidate of the samples since the last call, of all processes."""
        all_reduce(self.cost)
        seen = (self.cost > 0).any(-1)
        self.sigma[seen] = self.candidates[self.cost[seen].argmin(-1)]
        self.cost.zero_()
