"""The head of DLDL for images with several classes."""

from __future__ import annotations

from typing import Any

from mmpretrain.structures import DataSample
from torch import Tensor

from dldl_mm.cls._codec_head import DistributionHead
from dldl_mm.codecs import BaseLabelCodec, build_codec
from dldl_mm.registry import MODELS


@MODELS.register_module()
class MultiLabelDistributionHead(DistributionHead):
    r"""Linear layer with one logit per class, trained towards distributions over several classes.

    IF-DLDL: the softmax of an image's logits is trained to share its mass among the classes that the
    image shows. C classes.

    Training reads ``gt_score`` (C,) of the data samples, which ``EncodeLabelDistribution`` adds.
    Prediction sets ``pred_score`` (C,), the softmax, which sums to 1, and ``pred_label``, the indices of
    the classes whose score is at least ``thr`` of the largest one.

    mmpretrain's multi-label metrics take ``gt_score``, where it is there, for the zeros and ones of the
    ground truth. So leave ``EncodeLabelDistribution`` out of the pipelines of validation and test: the
    metrics then read ``gt_label``.

    Args:
        codec: Config of the codec; the same as the pipeline's.
        in_channels: Channels of the backbone's or neck's output.
        losses: Config of a loss, or of several with different ``loss_name``.
        thr: Share of an image's largest score from which a class is in ``pred_label``, in (0, 1]. An
            absolute threshold would not do: each of m classes shown has a score near 1/m. Midway between
            0 and 1, the weights of a negative and of a positive, by default.
        init_cfg: Initialisation of the layer.

    Raises:
        ValueError: There is no loss, two have one name, one reads ``gt_value``, or ``thr`` is out of
            range.
    """

    def __init__(
        self,
        codec: dict[str, Any] | BaseLabelCodec,
        in_channels: int,
        losses: dict[str, Any] | list[dict[str, Any]] | None = None,
        thr: float = 0.5,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        if not 0 < thr <= 1:
            raise ValueError(f'MultiLabelDistributionHead: thr must be in (0, 1], got {thr!r}')
        super().__init__(build_codec(codec), in_channels, losses, init_cfg)
        for loss in self.loss_module:
            if loss.needs_value:
                raise ValueError(
                    f'MultiLabelDistributionHead: {type(loss).__name__} reads gt_value, '
                    'but classes have no value'
                )
        self.thr = thr

    def _get_predictions(
        self, cls_score: Tensor, data_samples: list[DataSample] | None
    ) -> list[DataSample]:
        predictions = super()._get_predictions(cls_score.float(), data_samples)
        for sample in predictions:
            score = sample.pred_score
            sample.set_pred_label((score >= self.thr * score.max()).nonzero().squeeze(-1))
        return predictions
