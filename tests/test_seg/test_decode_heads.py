"""NeighbourhoodKLLoss in mmseg's decode heads: one real training step each."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import dldl_mm.seg  # noqa: F401
from dldl_mm.ops import soft_kl

NORM = dict(type='BN')
LOSS = dict(type='NeighbourhoodKLLoss', kernel_size=3, sigma=1.0)
COMMON = dict(channels=8, num_classes=4, norm_cfg=NORM, dropout_ratio=0.0, align_corners=False)
LAST = dict(COMMON, in_channels=64, in_index=3)
ALL = dict(COMMON, in_channels=[8, 16, 32, 64], in_index=[0, 1, 2, 3])
HEADS = {
    'FCN': dict(LAST, type='FCNHead', num_convs=1),
    'PSP': dict(LAST, type='PSPHead', pool_scales=(1, 2)),
    'DeepLabV3+': dict(
        LAST,
        type='DepthwiseSeparableASPPHead',
        dilations=(1, 2),
        c1_in_channels=8,
        c1_channels=4,
    ),
    'UPer': dict(ALL, type='UPerHead', pool_scales=(1, 2)),
    'SegFormer': dict(ALL, type='SegformerHead'),
    'OCR': [
        dict(LAST, type='FCNHead', num_convs=1),
        dict(LAST, type='OCRHead', ocr_channels=4),
    ],
}


def build(head, loss, auxiliary=None, **options):
    several = isinstance(head, list)
    heads = [dict(h, loss_decode=loss, **options) for h in (head if several else [head])]
    cfg = dict(
        type='CascadeEncoderDecoder' if several else 'EncoderDecoder',
        backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8, norm_cfg=NORM),
        decode_head=heads if several else heads[0],
        auxiliary_head=auxiliary,
        data_preprocessor=dict(type='SegDataPreProcessor'),
        train_cfg={},
        test_cfg=dict(mode='whole'),
    )
    if several:
        cfg['num_stages'] = 2
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MODELS.build(cfg)


def make_batch(void=True):
    # 60 px do not divide by the strides, so the logits are resized to an odd window count.
    labels = torch.randint(0, 4, (2, 1, 15, 15)).repeat_interleave(4, 2).repeat_interleave(4, 3)
    if void:
        labels[:, :, :9, :5] = 255
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=dict(img_shape=(60, 60)))
        for label in labels
    ]
    return torch.randn(2, 3, 60, 60), samples


@pytest.mark.parametrize('name', HEADS)
def test_one_step_of_every_head(name):
    auxiliary = dict(
        COMMON,
        type='FCNHead',
        in_channels=32,
        in_index=2,
        num_convs=1,
        loss_decode=dict(LOSS, loss_weight=0.4),
    )
    companions = [LOSS, dict(type='DiceLoss', loss_weight=0.1, loss_name='loss_dice')]
    model = build(HEADS[name], companions, auxiliary)
    inputs, samples = make_batch()
    before = {key: value.clone() for key, value in model.named_parameters()}
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    model.train()
    logged = model(inputs, samples, mode='loss')
    loss, _ = model.parse_losses(logged)
    wrapper.update_params(loss)
    stages = ['decode_0.', 'decode_1.'] if name == 'OCR' else ['decode.']
    for stage in [*stages, 'aux.']:
        assert logged[f'{stage}loss_kl'].isfinite()
        assert logged[f'{stage}loss_kl'] > 0
    assert f'{stages[0]}loss_dice' in logged
    for key, value in model.named_parameters():
        assert value.isfinite().all()
        if 'conv_seg' in key:
            assert not torch.equal(value, before[key]), key


def test_the_logged_loss_is_that_of_the_resized_logits():
    model = build(HEADS['FCN'], LOSS, ignore_index=3).eval()
    inputs, samples = make_batch(void=False)
    with torch.no_grad():
        features = model.extract_feat(inputs)
        logged = model.decode_head.loss(features, samples, {})
        logits = torch.nn.functional.interpolate(
            model.decode_head(features), size=(60, 60), mode='bilinear', align_corners=False
        )
    labels = torch.cat([sample.gt_sem_seg.data for sample in samples])
    expected = soft_kl(logits, labels, 3, 1.0, ignore_index=3, impl='reference')
    torch.testing.assert_close(logged['loss_kl'], expected)


def test_the_same_name_twice_adds_up():
    both = build(HEADS['FCN'], [LOSS, dict(LOSS, loss_weight=0.5)]).eval()
    inputs, samples = make_batch()
    with torch.no_grad():
        features = both.extract_feat(inputs)
        total = both.decode_head.loss(features, samples, {})['loss_kl']
        one = both.decode_head.loss_decode[0]
        both.decode_head.loss_decode = one
        single = both.decode_head.loss(features, samples, {})['loss_kl']
    torch.testing.assert_close(total, 1.5 * single)


@pytest.mark.parametrize('options', [dict(thresh=0.3), dict()], ids=['thresh', 'hardest'])
@pytest.mark.parametrize('ignore_index', [255, 0, -100])
def test_online_hard_example_mining(options, ignore_index):
    """Samplers weight the pixels; a window of one pixel is mmsegmentation's own loss."""
    sampler = dict(type='OHEMPixelSampler', min_kept=100, **options)
    inputs, samples = make_batch()
    for sample in samples:
        label = sample.gt_sem_seg.data
        label[label == 255] = ignore_index
    losses = [
        dict(LOSS, kernel_size=1),
        dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_name='loss_kl'),
    ]
    values, gradients = [], []
    for loss in losses:
        torch.manual_seed(1)
        model = build(HEADS['FCN'], loss, sampler=sampler, ignore_index=ignore_index)
        # Scores that tell some pixels from others.
        torch.nn.init.normal_(model.decode_head.conv_seg.weight)
        values.append(model(inputs, samples, mode='loss')['decode.loss_kl'])
        values[-1].backward()
        gradients.append(model.decode_head.conv_seg.weight.grad)
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
