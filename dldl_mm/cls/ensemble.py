"""Ensembles of trained models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.runner import load_checkpoint
from mmpretrain.models import ClsHead, MultiLabelClsHead
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from dldl_mm.cls.head_pose_heads import HopenetHead, RotationHead
from dldl_mm.cls.label_distribution_head import LabelRegressionHead
from dldl_mm.cls.ordinal_head import OrdinalHead
from dldl_mm.hooks import require_parameters
from dldl_mm.registry import MODELS

# Their outputs are not the logits of one softmax over the label set.
_NO_SOFTMAX = (HopenetHead, LabelRegressionHead, OrdinalHead, RotationHead)


@MODELS.register_module()
class AveragingEnsemble(BaseModel):
    r"""Trained classifiers whose probabilities are averaged, :math:`p = \frac1E \sum_e p^{(e)}`.

    For validation and test. The first member's head decodes the average as its own prediction: values
    and deviations with its codec, labels by its rule. E members.

    Args:
        members: For each member ``dict(model=..., checkpoint=...)``, its config and its file. Backbones
            may differ; heads must be of one type and have one label set.

    Raises:
        ValueError: There are fewer than two members, their heads differ in type or label set, or the
            heads do not predict one distribution over the labels.
        FileNotFoundError: There is no such checkpoint.
    """

    def __init__(self, members: Sequence[dict[str, Any]]) -> None:
        if len(members) < 2:
            raise ValueError(f'AveragingEnsemble: expected two members or more, got {len(members)}')
        models = [MODELS.build(member['model']) for member in members]
        for model, member in zip(models, members, strict=True):
            checkpoint = load_checkpoint(model, member['checkpoint'], map_location='cpu')
            require_parameters(model, checkpoint)
            _check_same_head(models[0].head, model.head, member['checkpoint'])
        super().__init__(models[0].data_preprocessor)
        self.members = nn.ModuleList(models)

    @property
    def head(self) -> Any:
        """The head that decodes."""
        first: Any = self.members[0]
        return first.head

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[DataSample] | None = None,
        mode: str = 'predict',
    ) -> Any:
        """Not there: the members normalise the inputs each in its own way; see :meth:`test_step`."""
        raise NotImplementedError('AveragingEnsemble has no forward; it is for validation and test')

    def test_step(self, data: dict[str, Any]) -> list[DataSample]:
        """Predict a batch of the data loader."""
        scores = []
        member: Any
        for member in self.members:
            predictions = member.test_step(data)
            scores.append(torch.stack([sample.pred_score for sample in predictions]))
        return predict_from_scores(self.head, torch.stack(scores).mean(0), predictions)

    val_step = test_step


def predicts_distribution(head: Any) -> bool:
    """Whether a head's scores are probabilities of its labels, which can be averaged."""
    return isinstance(head, (ClsHead, MultiLabelClsHead)) and not isinstance(head, _NO_SOFTMAX)


def predict_from_scores(
    head: Any, scores: Tensor, data_samples: list[DataSample]
) -> list[DataSample]:
    """What a head predicts where its (N, K) probabilities are these."""
    # The logits whose softmax, or sigmoid, they are.
    logits = torch.logit(scores) if isinstance(head, MultiLabelClsHead) else scores.log()
    return head._get_predictions(logits, data_samples)


def _check_same_head(head: Any, other: Any, checkpoint: str) -> None:
    if not predicts_distribution(head):
        raise ValueError(
            f'AveragingEnsemble: {type(head).__name__} predicts no one distribution to average'
        )
    if type(other) is not type(head):
        raise ValueError(
            f'AveragingEnsemble: the head of {checkpoint} is {type(other).__name__}, '
            f'that of the first member {type(head).__name__}'
        )
    first, second = (
        getattr(each, 'label_set', torch.arange(each.num_classes)) for each in (head, other)
    )
    if first.shape != second.shape or not torch.allclose(first, second):
        raise ValueError(
            f'AveragingEnsemble: the label set of {checkpoint} is not that of the first member'
        )
