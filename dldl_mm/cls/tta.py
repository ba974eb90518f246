"""Averages over several views of an image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseTTAModel
from mmpretrain.structures import DataSample

from dldl_mm.cls._codec_head import with_values
from dldl_mm.cls.ensemble import predict_from_scores, predicts_distribution
from dldl_mm.codecs import BaseValueCodec
from dldl_mm.functional import mirror_pose, wrap
from dldl_mm.registry import MODELS


@MODELS.register_module()
class AveragingTTA(BaseTTAModel):
    r"""Test-time augmentation: probabilities averaged over views, :math:`p = \frac1V \sum_v p^{(v)}`.

    Predictions of mirrored views are mirrored back first, which matters for head poses: yaw and roll
    are negated. The head decodes the average as its own prediction. Heads that predict values but no
    one distribution have their values averaged, angles the shorter way round. V views.

    ``tools/test.py --tta`` wraps the model of a config in its ``tta_model`` and takes the test images
    through its ``tta_pipeline``, which ends in mmcv's ``TestTimeAug``.

    Args:
        module: Config of the classifier.
        data_preprocessor: As in :class:`mmengine.model.BaseTTAModel`.

    Raises:
        ValueError: All views of an image are mirrored, so that none has the image's own labels.
    """

    def merge_preds(self, data_samples_list: list[Sequence[DataSample]]) -> list[DataSample]:
        """Average the predictions of each image's views."""
        head = self.module.head
        codec = getattr(head, 'codec', None)
        axes = getattr(codec, 'axes', getattr(head, 'axes', ()))
        by_score = predicts_distribution(head)
        own, merged = [], []
        for views in data_samples_list:
            upright = [view for view in views if not view.get('flip', False)]
            if not upright:
                raise ValueError('AveragingTTA: one view at least must not be mirrored')
            own.append(upright[0])
            predictions = []
            for view in views:
                prediction = view.pred_score if by_score else torch.as_tensor(view.pred_value)
                if view.get('flip', False):
                    if not by_score:
                        prediction = mirror_pose(prediction, axes)
                    elif isinstance(codec, BaseValueCodec):
                        prediction = codec.mirror(prediction)
                predictions.append(prediction)
            merged.append(torch.stack(predictions))
        stacked = torch.stack(merged, 1)
        if not by_score:
            period = 360.0 if axes else None
            values = stacked[0] + wrap(stacked - stacked[0], period).mean(0)
            return with_values(wrap(values, period), own)
        return predict_from_scores(head, stacked.mean(0), own)
