import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from dldl_mm.codecs import NeighbourhoodLabelCodec
from dldl_mm.registry import TASK_UTILS


def test_against_scipy():
    rng = np.random.default_rng(0)
    label_map = rng.integers(0, 4, (9, 11))
    codec = TASK_UTILS.build(dict(type='NeighbourhoodLabelCodec', num_classes=4, sigma=1.5))
    got = codec.encode_annotation(dict(gt_seg_map=label_map))
    offset = np.arange(-2, 3)
    kernel = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    one_hot = np.eye(4)[label_map].transpose(2, 0, 1)
    smooth = np.stack([correlate(plane, kernel, mode='constant') for plane in one_hot])
    smooth /= smooth.sum(0)
    expected = one_hot.copy()
    expected[:, 2:-2, 2:-2] = smooth[:, 2:-2, 2:-2]
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize(
    'options', [dict(kernel_size=4), dict(sigma=0), dict(num_classes=1), dict(void='keep')]
)
def test_bad_options(options):
    with pytest.raises(ValueError, match=str(next(iter(options.values())))):
        NeighbourhoodLabelCodec(**dict(dict(num_classes=3), **options))


def test_bad_annotation():
    codec = NeighbourhoodLabelCodec(num_classes=3)
    with pytest.raises(ValueError, match='gt_seg_map'):
        codec.check_annotation(dict(gt_value=3))
    with pytest.raises(ValueError, match='7'):
        codec.encode(torch.full((1, 4, 4), 7))
