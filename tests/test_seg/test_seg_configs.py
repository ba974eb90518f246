"""Every segmentation config parses and builds; those of small networks train."""

import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmseg.registry import DATASETS, METRICS, MODELS, TRANSFORMS

import dldl_mm.seg  # noqa: F401
from dldl_mm.seg import FCNSkipHead

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(
    path.relative_to(ROOT / 'configs')
    for path in (ROOT / 'configs').rglob('*.py')
    if '_base_' not in path.parts and (path.parent.name == 'seg' or path.stem == 'dldl_seg')
)
CAMVID = [path for path in CONFIGS if 'camvid' in path.name]


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def load(path):
    cfg = Config.fromfile(ROOT / 'configs' / path)
    # No weights are fetched; hidden layers of 4096 channels only take time.
    if cfg.model.decode_head.type == 'FCNSkipHead':
        cfg.model.decode_head.channels = 8
    return cfg


def leaves(dataset):
    if dataset.type == 'ConcatDataset':
        return [leaf for child in dataset.datasets for leaf in leaves(child)]
    return [dataset]


def class_names(dataset):
    # mmsegmentation's data sets of fixed layouts look for their files when they are built.
    fixed = DATASETS.get(dataset.type).METAINFO.get('classes')
    return fixed or DATASETS.build(dict(dataset, lazy_init=True)).metainfo['classes']


@pytest.mark.parametrize('path', CONFIGS, ids=str)
def test_config_builds_its_parts_and_they_agree(path, monkeypatch, tmp_path):
    monkeypatch.setenv('DLDL_DATA_ROOT', str(tmp_path))  # as --data-root does
    cfg = load(path)
    model = MODELS.build(cfg.model)
    losses = [
        cfg.model[head].loss_decode
        for head in ('decode_head', 'auxiliary_head')
        if head in cfg.model
    ]
    losses = [one for loss in losses for one in (loss if isinstance(loss, list) else [loss])]
    if 'dldl' in path.name:
        assert {loss.type for loss in losses} == {'NeighbourhoodKLLoss'}
    for phase in ('train', 'val', 'test'):
        for dataset in leaves(cfg[f'{phase}_dataloader'].dataset):
            assert len(class_names(dataset)) == model.num_classes
            assert dataset.get('data_root', str(tmp_path)) == str(tmp_path)
            for transform in dataset.pipeline:
                TRANSFORMS.build(transform)
    names = [METRICS.build(metric).__class__.__name__ for metric in cfg.test_evaluator]
    assert names == ['IoUMetric', 'FrequencyWeightedIoU', 'TrimapIoU', 'PixelCalibrationError']
    assert cfg.val_evaluator == cfg.test_evaluator


def tiny(cfg, work_dir):
    """The config with one batch of drawn scenes, one iteration and no workers."""
    scenes = dict(
        type='SyntheticScenes',
        target='segmentation',
        img_size=64,
        num_samples=2,
        pipeline=[dict(type='PackSegInputs')],
    )
    data = dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=scenes,
    )
    cfg.train_dataloader = cfg.val_dataloader = cfg.test_dataloader = data
    cfg.model.decode_head.num_classes = 9
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
    cfg.log_processor = dict(by_epoch=True)
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook')
    cfg.custom_hooks = [dict(type='LabelMapCheckHook')]
    cfg.param_scheduler = []
    cfg.work_dir = str(work_dir)
    return cfg


@pytest.mark.parametrize('path', CAMVID, ids=str)
def test_small_configs_train(path, tmp_path):
    runner = Runner.from_cfg(tiny(load(path), tmp_path))
    runner.train()
    # Starts at 1, so that only a gradient that reaches the first layer can have moved it.
    scale = runner.model.backbone.bn1.weight
    assert scale.isfinite().all()
    assert (scale != 1).all()
    history, _ = runner.message_hub.get_scalar('train/loss').data
    assert 0 < history[-1] < math.inf
    assert 0 < runner.message_hub.get_scalar('val/seg/ECE').current() < 100


def fcn(stage, work_dir, previous=None):
    cfg = tiny(load(f'seg/fcn-{stage}_vgg16_dldl_voc12aug.py'), work_dir / stage)
    cfg.model.backbone.update(depth=11, init_cfg=None)
    cfg.model.decode_head.classifier_init = None
    cfg.load_from = previous and str(previous)
    return cfg


def test_stages_of_fcn_start_from_the_one_before(tmp_path):
    """FCN-32s, 16s and 8s by their configs, on a VGG-11."""
    image = torch.randn(1, 3, 64, 64)
    runner = Runner.from_cfg(fcn('32s', tmp_path))
    runner.train()
    for stage, before in (('16s', '32s'), ('8s', '16s')):
        model = runner.model.eval()
        # The first step moves the scores only, which start at zero.
        torch.nn.init.normal_(model.decode_head.conv_seg.weight)
        torch.nn.init.normal_(model.decode_head.conv_seg.bias)
        torch.save(dict(state_dict=model.state_dict()), tmp_path / f'{before}.pth')
        with torch.no_grad():
            expected = model.decode_head(model.extract_feat(image))
        runner = Runner.from_cfg(fcn(stage, tmp_path, tmp_path / f'{before}.pth'))
        runner.model.init_weights()
        runner.load_or_resume()
        model = runner.model.eval()
        with torch.no_grad():
            features = model.extract_feat(image)
            found = model.decode_head(features)
            enlarged = model.decode_head.enlarge[-1](expected)
        torch.testing.assert_close(found, enlarged)
        assert found.shape[-1] == 2 * expected.shape[-1]
        runner._has_loaded = False
        runner.train()
        assert all(skip.weight.any() for skip in runner.model.decode_head.skips)
        assert runner.model.decode_head(features).isfinite().all()


def test_chained_stages_name_the_checkpoint_that_the_stage_before_writes():
    for stage, before in (('16s', '32s'), ('8s', '16s')):
        first = load(f'seg/fcn-{before}_vgg16_dldl_voc12aug.py')
        second = load(f'seg/fcn-{stage}_vgg16_dldl_voc12aug.py')
        name = f'fcn-{before}_vgg16_dldl_voc12aug'
        assert second.load_from == f'work_dirs/{name}/epoch_{first.train_cfg.max_epochs}.pth'


def head(**options):
    options = dict(dict(in_channels=[3, 5], in_index=[0, 1], channels=6, num_classes=4), **options)
    loss = dict(type='NeighbourhoodKLLoss')
    return FCNSkipHead(**options, loss_decode=loss, align_corners=False)


def test_fully_connected_weights_become_convolutions(tmp_path):
    hidden = [torch.nn.Linear(5 * 49, 6), torch.nn.Linear(6, 6)]
    state = {
        f'backbone.classifier.{index}.{key}': value
        for index, layer in zip((0, 3), hidden, strict=True)
        for key, value in layer.state_dict().items()
    }
    # The scores of ImageNet's classes have no place here.
    state['backbone.classifier.6.weight'] = torch.randn(1000, 6)
    torch.save(dict(state_dict=state), tmp_path / 'vgg.pth')
    init = dict(
        type='Pretrained', checkpoint=str(tmp_path / 'vgg.pth'), prefix='backbone.classifier.'
    )
    model = head(classifier_init=init).eval()
    model.init_weights()
    features = torch.randn(2, 5, 7, 7)
    expected = hidden[1](hidden[0](features.flatten(1)).relu()).relu()
    torch.testing.assert_close(model.classifier(features)[:, :, 3, 3], expected)
    for layer in (model.conv_seg, *model.skips):
        assert not layer.weight.any()
        assert not layer.bias.any()


def test_scores_are_enlarged_bilinearly_at_first():
    model = head()
    scores = torch.randn(1, 4, 6, 5)
    expected = torch.nn.functional.interpolate(scores, scale_factor=2, mode='bilinear')
    found = model.enlarge[0](scores)
    assert found.shape == expected.shape
    # At the edge the transposed convolution sees zeros, interpolation the edge once more.
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(found[inside], expected[inside])


def test_odd_sizes_follow_the_finest_stage():
    model = head(in_channels=[2, 3, 5], in_index=[0, 1, 2]).eval()
    features = [torch.randn(1, 2, 15, 13), torch.randn(1, 3, 7, 6), torch.randn(1, 5, 3, 3)]
    assert model(features).shape == (1, 4, 15, 13)


def test_stages_must_be_as_many_as_channels():
    with pytest.raises(ValueError, match=r'must have one length, got \[3, 5\] and \[2\]'):
        head(in_index=[2])
