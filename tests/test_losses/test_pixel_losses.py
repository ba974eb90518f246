"""Losses of segmentation to compare with, against their formulas in float64."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from dldl_mm.functional import label_relaxation
from dldl_mm.losses import NeighbourhoodKLLoss
from dldl_mm.registry import MODELS

CLASSES = 4
TYPES = ['PixelLabelSmoothingLoss', 'LabelRelaxationLoss', 'PixelFocalLoss']


@pytest.fixture
def batch():
    logits = torch.randn(2, CLASSES, 9, 8, dtype=torch.float64)
    labels = torch.randint(0, CLASSES, (2, 3, 4)).repeat_interleave(3, 1).repeat_interleave(2, 2)
    labels[:, :2, :3] = 255
    return logits, labels


def relaxation_by_hand(logits, labels, radius):
    """-ln of the summed probability of every label that occurs in the window, pixel by pixel."""
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    images, height, width = labels.shape
    loss = torch.zeros_like(p[:, 0])
    for n, y, x in itertools.product(range(images), range(height), range(width)):
        if labels[n, y, x] != 255:
            rows = slice(max(y - radius, 0), y + radius + 1)
            window = labels[n, rows, max(x - radius, 0) : x + radius + 1]
            allowed = sorted(set(window.flatten().tolist()) - {255})
            loss[n, y, x] = -p[n, allowed, y, x].sum().log()
    return loss


@pytest.mark.parametrize('kernel_size', [1, 3, 5])
def test_label_relaxation_by_hand(batch, kernel_size):
    logits, labels = batch
    expected = relaxation_by_hand(logits, labels, kernel_size // 2)
    torch.testing.assert_close(label_relaxation(logits, labels, kernel_size), expected)
    loss = MODELS.build(dict(type='LabelRelaxationLoss', kernel_size=kernel_size))
    found = loss(logits, labels, weight=None, ignore_index=255)
    torch.testing.assert_close(found, expected.sum() / (labels != 255).sum())
    if kernel_size == 1:
        hard = F.cross_entropy(logits, labels, ignore_index=255)
        torch.testing.assert_close(found, hard)


def test_label_relaxation_gradient(batch):
    logits, labels = batch
    logits = logits[:, :, :5, :5].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: label_relaxation(z, labels[:, :5, :5]), logits)


def test_label_relaxation_of_extreme_logits():
    logits = torch.tensor([[0.0, 200.0], [200.0, 0.0], [-200.0, 0.0]])[None, :, None]
    logits.requires_grad_()
    labels = torch.tensor([[[0, 255]]])
    loss = label_relaxation(logits, labels, 1)
    torch.testing.assert_close(loss, torch.tensor([[[200.0, 0.0]]]))
    loss.sum().backward()
    torch.testing.assert_close(logits.grad[0, :, 0, 0], torch.tensor([-1.0, 1.0, 0.0]))
    assert not logits.grad[..., 1].any()


def test_label_smoothing_by_hand(batch):
    logits, labels = batch
    one_hot = F.one_hot(labels.clamp(max=CLASSES - 1), CLASSES).permute(0, 3, 1, 2)
    target = 0.8 * one_hot + 0.2 / CLASSES
    log_p = (logits.exp() / logits.exp().sum(1, keepdim=True)).log()
    expected = -(target * log_p).sum(1)[labels != 255].mean()
    loss = MODELS.build(dict(type='PixelLabelSmoothingLoss', epsilon=0.2))
    torch.testing.assert_close(loss(logits, labels, weight=None, ignore_index=255), expected)
    hard = MODELS.build(dict(type='PixelLabelSmoothingLoss', epsilon=0.0))
    torch.testing.assert_close(
        hard(logits, labels), F.cross_entropy(logits, labels, ignore_index=255)
    )


@pytest.mark.parametrize('gamma', [0.0, 0.5, 2.0])
def test_focal_loss_by_hand(batch, gamma):
    logits, labels = batch
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    p = p.gather(1, labels.clamp(max=CLASSES - 1)[:, None])[:, 0][labels != 255]
    expected = -((1 - p) ** gamma * p.log()).mean()
    loss = MODELS.build(dict(type='PixelFocalLoss', gamma=gamma))
    torch.testing.assert_close(loss(logits, labels, weight=None, ignore_index=255), expected)
    # A certain pixel, right or wrong or void.
    certain = torch.tensor([100.0, 0.0])[None, :, None, None].requires_grad_()
    for label, value, gradient in [(0, 0, [0, 0]), (1, 100, [1, -1]), (255, 0, [0, 0])]:
        found = loss(certain, torch.full((1, 1, 1), label))
        torch.testing.assert_close(found, torch.tensor(float(value)))
        (found,) = torch.autograd.grad(found, certain)
        torch.testing.assert_close(found.flatten(), torch.tensor(gradient).float())


def test_spatially_varying_label_smoothing_is_a_mixture():
    """The two weights of the SVLS config give its target, and with it its gradient."""
    logits = torch.randn(1, CLASSES, 9, 8, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, CLASSES, (1, 9, 8))
    # The definition: a 3x3 Gaussian of sigma 1 that sums to 1, whose centre is set to the sum of
    # its neighbours, and which is divided by its sum again.
    taps = torch.exp(-torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64) / 2)
    kernel = taps[:, None] * taps
    kernel /= kernel.sum()
    kernel[1, 1] = kernel.sum() - kernel[1, 1]
    kernel /= kernel.sum()
    one_hot = F.one_hot(labels, CLASSES).permute(0, 3, 1, 2).double()
    target = one_hot.clone()
    weight = kernel.expand(CLASSES, 1, 3, 3)
    target[..., 1:-1, 1:-1] = F.conv2d(one_hot, weight, groups=CLASSES)
    torch.testing.assert_close(target.sum(1), torch.ones(1, 9, 8, dtype=torch.float64))
    cross_entropy = -(target * logits.log_softmax(1)).sum(1).mean()
    (expected,) = torch.autograd.grad(cross_entropy, logits)

    centre = 1 / (1 + 2 * math.exp(-0.5)) ** 2
    smoothed = 0.5 / (1 - centre)
    hard = NeighbourhoodKLLoss(kernel_size=1, loss_weight=1 - smoothed)
    soft = NeighbourhoodKLLoss(kernel_size=3, sigma=1.0, loss_weight=smoothed)
    (found,) = torch.autograd.grad(hard(logits, labels) + soft(logits, labels), logits)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('name', TYPES)
def test_convention_of_decode_heads(batch, name):
    logits, labels = batch
    loss = MODELS.build(dict(type=name, loss_weight=0.4, loss_name='loss_other'))
    assert loss.loss_name == 'loss_other'
    pixels = MODELS.build(dict(type=name, reduction='none'))(logits, labels)
    assert not pixels[labels == 255].any()
    weight = torch.rand(2, 9, 8)
    total, valid = 0.4 * (pixels * weight).sum(), (labels != 255).sum()
    for found, expected in [
        (loss(logits, labels, weight), total / valid),
        (loss(logits, labels, weight, avg_factor=7), total / 7),
        (loss(logits, labels, weight, reduction_override='sum'), total),
        (loss(logits, labels, weight, reduction_override='none'), 0.4 * pixels * weight),
        (
            loss(logits, torch.where(labels == 255, 0, labels), ignore_index=0),
            loss(logits, torch.where(labels == 0, 255, labels)),
        ),
    ]:
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    half = logits.bfloat16()
    torch.testing.assert_close(loss(half, labels), loss(half.float(), labels), rtol=0, atol=0)
    all_void = torch.full_like(labels, 255)
    logits.requires_grad_()
    loss(logits, all_void).backward()
    assert not logits.grad.any()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(type=TYPES[0], epsilon=1.5), r'epsilon must lie in \[0, 1\], got 1.5'),
        (dict(type=TYPES[1], kernel_size=2), 'kernel_size must be odd and positive, got 2'),
        *((dict(type=t, reduction='max'), "unknown reduction 'max'") for t in TYPES),
        *((dict(type=t, loss_name='kl'), "must start with 'loss_', got 'kl'") for t in TYPES),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(options)


def test_bad_calls(batch):
    logits, labels = batch
    loss = MODELS.build(dict(type='LabelRelaxationLoss'))
    with pytest.raises(ValueError, match="avg_factor cannot be used with reduction='sum'"):
        loss(logits, labels, avg_factor=3, reduction_override='sum')
    labels[0, -1, -1] = 9
    with pytest.raises(ValueError, match=r'label 9 in 1 pixel\(s\) is neither a class'):
        loss(logits, labels)
