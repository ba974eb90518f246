import pytest
import torch

import dldl_mm.transforms  # noqa: F401
from dldl_mm.codecs import GaussianLabelCodec
from dldl_mm.registry import TRANSFORMS

CODEC = dict(type='GaussianLabelCodec', sigma=2.0)


def test_adds_the_distribution_of_the_sample():
    transform = TRANSFORMS.build(dict(type='EncodeLabelDistribution', codec=CODEC))
    results = transform(dict(gt_value=24.7, gt_sigma=4.5, img_path='a.jpg'))
    assert results['gt_score'].dtype == torch.float32
    torch.testing.assert_close(results['gt_score'], GaussianLabelCodec().encode(24.7, 4.5))
    assert results['gt_value'] == 24.7


def test_refuses_what_it_cannot_encode():
    transform = TRANSFORMS.build(dict(type='EncodeLabelDistribution', codec=CODEC))
    with pytest.raises(ValueError, match='value 90 lies outside the label set 1 to 85'):
        transform.check_annotation(dict(gt_value=90.0))
    with pytest.raises(ValueError, match="no 'gt_value'"):
        transform(dict(img_path='a.jpg'))


def test_without_a_codec_it_waits_for_the_one_of_the_head():
    transform = TRANSFORMS.build(dict(type='EncodeLabelDistribution'))
    transform.check_annotation(dict(gt_value=900.0))
    with pytest.raises(ValueError, match='has no codec: give it one, or add CodecCheckHook'):
        transform(dict(gt_value=24.7))
