"""What the heads of this package share."""

from __future__ import annotations

from typing import Any

import torch
from mmpretrain.models import LinearClsHead
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from dldl_mm.codecs import BaseLabelCodec
from dldl_mm.registry import MODELS


class CodecHead(LinearClsHead):
    """A linear head that knows the label set it was trained with.

    The label set is stored in the checkpoint; loading one of another label set is refused, where
    mmengine would only log that the last layer was left out.
    """

    def __init__(self, codec: BaseLabelCodec, num_classes: int, in_channels: int, **kwargs: Any):
        super().__init__(num_classes, in_channels, **kwargs)
        self.codec = codec
        self.register_buffer('label_set', codec.labels.double())

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """(N, in_channels) input of the linear layer: the last feature."""
        features = super().pre_logits(feats)
        if features.ndim != 2 or features.shape[1] != self.in_channels:
            raise ValueError(
                f'{type(self).__name__}: in_channels={self.in_channels} reads features of shape '
                f'(N, {self.in_channels}), but the backbone and neck give '
                f'(N, {", ".join(map(str, features.shape[1:]))})'
                + ("; add neck=dict(type='GlobalAveragePooling')" if features.ndim == 4 else '')
            )
        return features

    def stack_targets(self, data_samples: list[DataSample], device: torch.device) -> Tensor:
        """(N, K) target distributions."""
        if 'gt_score' not in data_samples[0]:
            raise ValueError(
                f"{type(self).__name__}: the data samples have no 'gt_score'; "
                'add EncodeLabelDistribution(codec=...) to the pipeline, before PackInputs'
            )
        return torch.stack([sample.gt_score for sample in data_samples]).to(device)

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        stored = state_dict.get(f'{prefix}label_set')
        if stored is not None:
            here = self.codec.labels
            there = stored.to(here)
            if there.shape != here.shape or not torch.allclose(there, here, rtol=1e-4, atol=1e-6):
                raise ValueError(
                    f'the checkpoint was trained with the label set {_summary(there)}, but the '
                    f'config has {_summary(here)}; to start from its backbone only, use '
                    "init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone')"
                )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class DistributionHead(CodecHead):
    """A head with one logit per label, trained towards the distribution in ``gt_score``.

    Args:
        codec: The codec.
        in_channels: Channels of the backbone's or neck's output.
        losses: Config of a loss, or of several with different ``loss_name``; the KL loss where not
            given.
        init_cfg: Initialisation of the layer.

    Raises:
        ValueError: There is no loss, or two have one name.
    """

    def __init__(
        self,
        codec: BaseLabelCodec,
        in_channels: int,
        losses: dict[str, Any] | list[dict[str, Any]] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        if losses is None:
            losses = dict(type='LabelDistributionKLLoss')
        modules = [
            MODELS.build(loss) for loss in (losses if isinstance(losses, list) else [losses])
        ]
        names = [module.loss_name for module in modules]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f'{type(self).__name__}: losses must be one or more with different loss_name, '
                f'got {names}'
            )
        for module in modules:
            module.bind(codec)
        super().__init__(
            codec,
            codec.num_labels,
            in_channels,
            loss=nn.ModuleList(modules),
            init_cfg=init_cfg or dict(type='Normal', layer='Linear', std=0.01),
        )

    def _get_loss(
        self, cls_score: Tensor, data_samples: list[DataSample], **kwargs: Any
    ) -> dict[str, Tensor]:
        target = self.stack_targets(data_samples, cls_score.device)
        value = None
        if any(loss.needs_value for loss in self.loss_module):
            value = stack_values(data_samples, cls_score.device)
        return {
            loss.loss_name: loss(cls_score, target, value=value, codec=self.codec, **kwargs)
            for loss in self.loss_module
        }


def stack_values(data_samples: list[DataSample], device: torch.device) -> Tensor:
    """(N,) or (N, A) true values in float32; only gt_label and gt_score come on the device."""
    if 'gt_value' not in data_samples[0]:
        raise ValueError(
            "the data samples have no 'gt_value'; add it to the pipeline's PackInputs: "
            "algorithm_keys=('gt_value', ...)"
        )
    values = [torch.as_tensor(sample.gt_value, dtype=torch.float32) for sample in data_samples]
    return torch.stack(values).to(device)


def with_values(values: Tensor, data_samples: list[DataSample] | None) -> list[DataSample]:
    """The data samples, or new ones, with their ``pred_value``."""
    samples = [DataSample() for _ in values] if data_samples is None else data_samples
    for sample, value in zip(samples, values, strict=True):
        sample.set_field(value, 'pred_value')
    return samples


def _summary(labels: Tensor) -> str:
    labels = labels.reshape(len(labels), -1)
    ends = [', '.join(f'{number:g}' for number in row) for row in (labels[0], labels[-1])]
    return f'({ends[0]}) to ({ends[1]}) of {len(labels)} labels'
