import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample
from scipy.special import rel_entr, softmax

import dldl_mm.cls  # noqa: F401
from dldl_mm.registry import MODELS

MODEL = dict(
    type='HypothesisPoolingClassifier',
    backbone=dict(type='VGG', depth=11, num_classes=-1, with_last_pool=False),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='MultiLabelDistributionHead',
        codec=dict(type='MultiLabelCodec', num_classes=4),
        in_channels=512,
    ),
    crop_size=32,
)
BOXES = [
    [[0, 0, 48, 40], [8, 4, 40, 36], [3, 7, 35, 39]],
    [[16, 8, 48, 40]],
    [[0, 0, 32, 32], [0, 8, 32, 40], [1, 1, 20, 30], [2, 2, 30, 12], [5, 5, 21, 21]],
]


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def build(**options):
    torch.manual_seed(0)
    model = MODELS.build(dict(MODEL, **options))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
    return model


def batch():
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(3, 3, 40, 48, generator=generator)
    target = torch.rand(3, 4, generator=generator)
    samples = []
    for boxes, row in zip(BOXES, target / target.sum(1, keepdim=True), strict=True):
        samples.append(DataSample().set_gt_score(row))
        samples[-1].set_field(np.float32(boxes), 'gt_bboxes')
    return images, samples


def single_logits(model, crop):
    return model.head(model.extract_feat(crop[None]))[0]


def test_pooled_logits_are_the_largest_of_the_crops():
    model = build()
    images, samples = batch()
    # Boxes of the crop's own size at whole pixels are plain slices of the image.
    sliced = [
        (0, [8, 4, 40, 36]),
        (0, [3, 7, 35, 39]),
        (1, [16, 8, 48, 40]),
        (2, [0, 0, 32, 32]),
        (2, [0, 8, 32, 40]),
    ]
    for image in range(3):
        boxes = [box for index, box in sliced if index == image]
        samples[image].set_field(np.float32(boxes), 'gt_bboxes')
    pooled = model(images, samples)
    for image in range(3):
        each = torch.stack(
            [
                single_logits(model, images[image, :, y1:y2, x1:x2])
                for index, (x1, y1, x2, y2) in sliced
                if index == image
            ]
        )
        torch.testing.assert_close(pooled[image], each.max(0).values, rtol=1e-4, atol=1e-5)


def test_larger_boxes_are_averaged():
    model = build()
    images, samples = batch()
    images = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    noise = torch.rand_like(images) - 0.5
    # Noise without a mean in each 2 x 2 block, which averaging removes.
    blocks = torch.nn.functional.avg_pool2d(noise, 2)
    noise -= blocks.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for sample in samples:
        sample.set_field(np.float32([[4, 2, 68, 66]]), 'gt_bboxes')
    clean, noisy = model(images, samples), model(images + noise, samples)
    plain = model(images[:, :, ::2, ::2], [halved(sample) for sample in samples])
    torch.testing.assert_close(noisy, clean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(clean, plain, rtol=1e-4, atol=1e-5)


def halved(sample):
    other = DataSample()
    other.set_field(sample.gt_bboxes / 2, 'gt_bboxes')
    return other


def test_loss_and_gradient_are_those_of_the_largest_logit():
    model = build()
    images, samples = batch()
    logits = [
        model(images[i : i + 1], [one_box(samples[i], b)])[0]
        for i in range(3)
        for b in range(len(BOXES[i]))
    ]
    counts = [len(boxes) for boxes in BOXES]
    pooled = torch.stack([part.max(0).values for part in torch.stack(logits).split(counts)])
    target = torch.stack([sample.gt_score for sample in samples])
    loss = model.loss(images, samples)['loss_kl']
    expected = rel_entr(target.double().numpy(), softmax(pooled.detach().double().numpy(), -1)).sum(
        -1
    )
    assert loss.item() == pytest.approx(expected.mean(), rel=1e-4)
    # The gradient of the KL with respect to the pooled logits is (p - d) / N (method of the paper).
    parameters = list(model.parameters())
    upstream = (pooled.softmax(-1) - target).detach() / 3
    reference = torch.autograd.grad(pooled, parameters, upstream)
    for got, want in zip(torch.autograd.grad(loss, parameters), reference, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-6)


def one_box(sample, index):
    other = DataSample()
    other.set_field(sample.gt_bboxes[index : index + 1], 'gt_bboxes')
    return other


@pytest.mark.parametrize('chunk_size', [1, 2, 4])
def test_chunks_change_nothing(chunk_size):
    whole, chunked = build(chunk_size=9), build(chunk_size=chunk_size)
    images, samples = batch()
    seen = []
    chunked.backbone.register_forward_hook(lambda module, args, out: seen.append(len(args[0])))
    losses = [model.loss(images, samples)['loss_kl'] for model in (whole, chunked)]
    assert max(seen) == chunk_size
    assert sum(seen) == 9
    torch.testing.assert_close(losses[0], losses[1])
    gradients = [
        torch.autograd.grad(loss, list(model.parameters()))
        for loss, model in zip(losses, (whole, chunked), strict=True)
    ]
    assert sum(seen) == 18  # each chunk once more for its gradient: its activations are not kept
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)
    with torch.no_grad():
        predictions = [model.predict(images, batch()[1]) for model in (whole, chunked)]
    assert sum(seen) == 27
    for one, other in zip(*predictions, strict=True):
        torch.testing.assert_close(one.pred_score, other.pred_score)
        assert one.pred_score.sum().item() == pytest.approx(1, rel=1e-5)


def test_starts_from_the_weights_of_a_plain_classifier():
    options = {key: MODEL[key] for key in ('backbone', 'neck', 'head')}
    plain = MODELS.build(dict(options, type='ImageClassifier'))
    model = build()
    assert model.load_state_dict(plain.state_dict()).missing_keys == []
    images, samples = batch()
    for sample in samples:
        sample.set_field(np.float32([[8, 4, 40, 36]]), 'gt_bboxes')
    torch.testing.assert_close(model(images, samples), plain(images[:, :, 4:36, 8:40]))


def test_errors():
    for option in ('crop_size', 'chunk_size'):
        for wrong in (0, 2.5, 'abc'):
            with pytest.raises(ValueError, match=f'{option} must be .* at least 1, got {wrong!r}'):
                build(**{option: wrong})
    model = build()
    images, samples = batch()
    samples[1].set_field(np.zeros((0, 4), np.float32), 'gt_bboxes')
    with pytest.raises(ValueError, match=r"no 'gt_bboxes'; add LoadProposals"):
        model(images, samples)
    with pytest.raises(ValueError, match=r"no 'gt_bboxes'"):
        model(images)
