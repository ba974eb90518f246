"""The target transform: from annotations to a label distribution."""

from __future__ import annotations

from typing import Any

from mmcv.transforms import BaseTransform

from dldl_mm.codecs import BaseLabelCodec, build_codec
from dldl_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class EncodeLabelDistribution(BaseTransform):
    """Encode a sample's annotations into its target distribution.

    Required keys: those of the codec: ``gt_value`` and, where annotated, ``gt_sigma`` and ``gt_votes``;
    of ``MultiLabelCodec`` ``gt_label`` and, where annotated, ``gt_label_difficult``.
    Added key: ``gt_score``, (K,) float32. mmpretrain packs it, trains any of its heads towards it and
    mixes it in Mixup and CutMix. Transforms that change the label (a flip of a head pose) go before.

    Args:
        codec: Config of the codec, the same as the head's. Where not given, ``CodecCheckHook`` sets the
            head's before training or testing begins, so that a config names the codec once.

    Raises:
        ValueError: There is no codec; or the image was flipped, the codec has a yaw or a roll, and
            ``FlipHeadPose`` did not come before.
    """

    def __init__(self, codec: dict[str, Any] | BaseLabelCodec | None = None) -> None:
        self.codec = None if codec is None else build_codec(codec)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_score`` to the sample."""
        if self.codec is None:
            raise ValueError(
                'EncodeLabelDistribution has no codec: give it one, or add CodecCheckHook to the '
                "custom_hooks of the config, which takes the head's"
            )
        if results.get('flip') and not results.get('pose_flipped') and turns_with_flip(self.codec):
            raise ValueError(
                'EncodeLabelDistribution: the image was flipped but its yaw and roll were not '
                'negated; the right order is RandomFlip, FlipHeadPose, EncodeLabelDistribution'
            )
        results['gt_score'] = self.codec.encode_annotation(results)
        return results

    def check_annotation(self, data_info: dict[str, Any]) -> None:
        """Refuse a data set's row that cannot be encoded; data sets call it before training."""
        if self.codec is not None:
            self.codec.check_annotation(data_info)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(codec={self.codec!r})'


def turns_with_flip(codec: BaseLabelCodec | None) -> bool:
    """Whether a mirror image has another label: that of a codec with a yaw or a roll."""
    return not {'yaw', 'roll'}.isdisjoint(getattr(codec, 'axes', ()))
