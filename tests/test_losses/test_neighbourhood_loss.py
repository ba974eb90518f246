"""NeighbourhoodKLLoss in the calling convention of mmseg's decode heads."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dldl_mm.losses.neighbourhood import NeighbourhoodKLLoss
from dldl_mm.ops import soft_kl
from dldl_mm.registry import MODELS


@pytest.fixture
def batch():
    logits = torch.randn(2, 5, 14, 12, dtype=torch.float64)
    labels = torch.randint(0, 5, (2, 7, 6)).repeat_interleave(2, 1).repeat_interleave(2, 2)
    labels[:, :3, :4] = 255
    return logits, labels


def test_builds_by_its_plain_name(batch):
    logits, labels = batch
    loss = MODELS.build(
        {'type': 'NeighbourhoodKLLoss', 'kernel_size': 3, 'sigma': 1.0, 'void': 'assign'}
    )
    assert (loss.kernel_size, loss.sigma, loss.void, loss.impl) == (3, 1.0, 'assign', 'auto')
    assert loss.loss_name == 'loss_kl'
    expected = soft_kl(logits, labels, 3, 1.0, void='assign')
    # As BaseDecodeHead.loss_by_feat calls it.
    assert torch.equal(loss(logits, labels, weight=None, ignore_index=255), expected)


def test_ignore_index_of_the_head(batch):
    logits, labels = batch
    loss = NeighbourhoodKLLoss()
    other = torch.where(labels == 255, 4, labels)
    expected = soft_kl(logits, other, ignore_index=4)
    assert torch.equal(loss(logits, other, ignore_index=4), expected)


def test_weight_loss_weight_and_avg_factor(batch):
    logits, labels = batch
    weight = torch.rand(2, 14, 12)
    pixels = soft_kl(logits, labels, reduction='none') * weight
    valid = (labels != 255).sum()
    loss = NeighbourhoodKLLoss(loss_weight=0.4)
    for found, expected in [
        (loss(logits, labels, weight), 0.4 * pixels.sum() / valid),
        (loss(logits, labels, weight, avg_factor=7), 0.4 * pixels.sum() / 7),
        (loss(logits, labels, weight, torch.tensor(7.0)), 0.4 * pixels.sum() / 7),
        (loss(logits, labels, weight, reduction_override='sum'), 0.4 * pixels.sum()),
        (loss(logits, labels, weight, reduction_override='none'), 0.4 * pixels),
        (loss(logits, labels, weight, 7, reduction_override='none'), 0.4 * pixels),
    ]:
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    assert loss(logits, labels, avg_factor=0, weight=0 * weight) == 0


def test_class_weight(batch):
    logits, labels = batch
    class_weight = [0.5, 1.0, 2.0, 0.0, 1.5]
    loss = NeighbourhoodKLLoss(kernel_size=1, class_weight=class_weight)
    expected = F.cross_entropy(
        logits, labels, torch.tensor(class_weight, dtype=torch.float64), ignore_index=255
    )
    torch.testing.assert_close(loss(logits, labels), expected)
    # It follows the model, but is not part of a checkpoint.
    assert not loss.state_dict()
    assert loss.to('meta').class_weight.device.type == 'meta'
    with pytest.raises(ValueError, match=r'class_weight must have the shape \(5,\), got \(2,\)'):
        NeighbourhoodKLLoss(class_weight=[1.0, 2.0])(logits, labels)


def test_class_weight_from_a_file(tmp_path):
    np.save(tmp_path / 'weights.npy', [0.5, 2.0])
    (tmp_path / 'weights.json').write_text('[0.5, 2.0]')
    (tmp_path / 'named.json').write_text('{"road": 0.5}')
    for name in ('weights.npy', 'weights.json'):
        loss = NeighbourhoodKLLoss(class_weight=str(tmp_path / name))
        assert loss.class_weight.tolist() == [0.5, 2.0]
    with pytest.raises(ValueError, match=r"numbers, got {'road': 0.5} in .*named\.json"):
        NeighbourhoodKLLoss(class_weight=str(tmp_path / 'named.json'))
    with pytest.raises(FileNotFoundError, match=r'absent\.npy'):
        NeighbourhoodKLLoss(class_weight=str(tmp_path / 'absent.npy'))


@pytest.mark.parametrize('wrong', [[1.0, -1.0], [1.0, math.nan], [[1.0]], 2.0, ['a']])
def test_class_weight_must_be_a_list_of_finite_numbers(wrong):
    with pytest.raises(ValueError, match='must be a list of finite, non-negative numbers, got'):
        NeighbourhoodKLLoss(class_weight=wrong)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'kernel_size': 2}, 'kernel_size must be odd and positive, got 2'),
        ({'sigma': 0}, 'sigma must be positive, got 0'),
        ({'void': 'drop'}, "unknown void 'drop'"),
        ({'impl': 'fast'}, "unknown impl 'fast'"),
        ({'reduction': 'max'}, "unknown reduction 'max'"),
        ({'loss_name': 'kl'}, "must start with 'loss_', got 'kl'"),
    ],
)
def test_bad_options_at_construction(options, message):
    with pytest.raises(ValueError, match=message):
        NeighbourhoodKLLoss(**options)


def test_bad_calls(batch):
    logits, labels = batch
    with pytest.raises(ValueError, match="avg_factor cannot be used with reduction='sum'"):
        NeighbourhoodKLLoss(reduction='sum')(logits, labels, avg_factor=3)
    with pytest.raises(ValueError, match="unknown reduction 'max'"):
        NeighbourhoodKLLoss()(logits, labels, reduction_override='max')
