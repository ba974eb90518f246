"""Every config parses and builds; any mmpretrain backbone trains towards distributions."""

import math
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

import dldl_mm.cls  # noqa: F401
from dldl_mm.codecs import build_codec
from dldl_mm.hooks import check_same_codec

ROOT = Path(__file__).parents[1]
CONFIGS = [
    path.relative_to(ROOT / 'configs')
    for path in sorted((ROOT / 'configs').rglob('*.py'))
    if '_base_' not in path.parts and Config.fromfile(path).get('default_scope') == 'mmpretrain'
]


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.mark.parametrize('path', CONFIGS, ids=str)
def test_config_builds_one_codec_and_a_model(path):
    cfg = Config.fromfile(ROOT / 'configs' / path)
    model = MODELS.build(cfg.model)
    encoders = [
        transform
        for name in ('train', 'val', 'test')
        for transform in cfg[f'{name}_dataloader'].dataset.pipeline
        if transform['type'] == 'EncodeLabelDistribution'
    ]
    codec = getattr(model.head, 'codec', None)
    # Baselines without a distribution have no codec, or one for the range of their output only.
    if codec is not None and cfg.model.head.type != 'LabelRegressionHead':
        assert encoders
    for encoder in encoders if codec is not None else []:
        if 'codec' in encoder:  # where not, CodecCheckHook gives it the head's
            check_same_codec('head', codec, str(path), build_codec(encoder.codec))


# A config of mmpretrain with another head and other data.
BACKBONES = {
    'resnet/resnet18_8xb32_in1k.py': (512, {}),
    'convnext/convnext-tiny_32xb128_in1k.py': (768, {}),
    'swin_transformer/swin-tiny_16xb64_in1k.py': (768, dict(pad_small_map=True)),
    'vision_transformer/vit-base-p16_64xb64_in1k.py': (192, dict(arch='deit-tiny')),
    'efficientnet/efficientnet-b0_8xb32_in1k.py': (1280, {}),
    'mobilenet_v3/mobilenet-v3-small_8xb128_in1k.py': (576, {}),
}


def mixed_config(base, channels, backbone, work_dir):
    text = f"""
_base_ = 'mmpretrain::{base}'
custom_imports = dict(imports=['dldl_mm.cls'], allow_failed_imports=False)
codec = dict(type='GaussianLabelCodec', start=1, stop=85, sigma=3.0)
pipeline = [
    dict(type='EncodeLabelDistribution', codec=codec),
    dict(type='PackInputs', algorithm_keys=('gt_value', 'gt_sigma')),
]
data = dict(
    _delete_=True,
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='SyntheticFaces', num_samples=4, img_size=64, pipeline=pipeline),
)
train_dataloader = data
val_dataloader = data
test_dataloader = data
val_evaluator = dict(_delete_=True, type='AgeMetric')
test_evaluator = val_evaluator
model = dict(
    backbone={backbone!r},
    head=dict(
        _delete_=True, type='LabelDistributionHead', codec=codec, in_channels={channels}
    ),
)
train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=1)
param_scheduler = []
default_hooks = dict(checkpoint=dict(interval=5, save_last=False))
custom_hooks = [dict(type='CodecCheckHook')]
work_dir = {str(work_dir)!r}
"""
    path = work_dir / 'mixed.py'
    path.write_text(text)
    return Config.fromfile(path)


@pytest.mark.parametrize('base', BACKBONES, ids=lambda name: name.split('/')[0])
def test_any_mmpretrain_backbone_trains(base, tmp_path):
    channels, backbone = BACKBONES[base]
    cfg = mixed_config(base, channels, backbone, tmp_path)
    runner = Runner.from_cfg(cfg)
    before = runner.model.head.fc.weight.detach().clone()
    runner.train()
    assert not torch.equal(before, runner.model.head.fc.weight)
    history, _ = runner.message_hub.get_scalar('train/loss_kl').data
    assert 0 < history[-1] < math.inf
    assert runner.message_hub.get_scalar('val/age/mae').current() > 0


@pytest.mark.parametrize('augment', ['Mixup', 'CutMix'])
def test_batch_augmentations_mix_distributions(augment, tmp_path):
    cfg = mixed_config(*('resnet/resnet18_8xb32_in1k.py', 512, {}), tmp_path)
    cfg.model.train_cfg = dict(augments=dict(type=augment, alpha=1.0))
    runner = Runner.from_cfg(cfg)
    batch = next(iter(runner.train_dataloader))
    plain = torch.stack([sample.gt_score for sample in batch['data_samples']])
    torch.manual_seed(0)
    mixed = runner.model.data_preprocessor(batch, training=True)['data_samples']
    mixed = torch.stack([sample.gt_score for sample in mixed])
    torch.testing.assert_close(mixed.sum(-1), torch.ones(4))
    # Each is a convex combination of two of the batch: solved for, not computed again.
    weights = torch.linalg.lstsq(plain.T.double(), mixed.T.double()).solution
    torch.testing.assert_close(plain.T.double() @ weights, mixed.T.double(), atol=1e-6, rtol=0)
    assert ((weights > 1e-6).sum(0) <= 2).all()
    assert not torch.equal(mixed, plain)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="mmengine's AMP needs a GPU")
def test_automatic_mixed_precision_step(tmp_path):
    cfg = mixed_config(*('resnet/resnet18_8xb32_in1k.py', 512, {}), tmp_path)
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.loss_scale = 'dynamic'
    runner = Runner.from_cfg(cfg)
    before = runner.model.head.fc.weight.detach().clone()
    runner.train()
    assert runner.model.head.fc.weight.isfinite().all()
    assert not torch.equal(before, runner.model.head.fc.weight)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_loss_and_prediction_under_autocast(dtype, tmp_path):
    cfg = mixed_config(*('resnet/resnet18_8xb32_in1k.py', 512, {}), tmp_path)
    runner = Runner.from_cfg(cfg)
    model = runner.model
    data = model.data_preprocessor(next(iter(runner.train_dataloader)), training=True)
    reference = model(**data, mode='loss')['loss_kl']
    with torch.autocast('cpu', dtype=dtype):
        loss = model(**data, mode='loss')['loss_kl']
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, reference, rtol=0.05, atol=0)
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize('name', ['dldl_age.py', 'dldl_seg.py', 'age/resnet18_dldl_csv.py'])
def test_a_base_of_the_installed_package_is_what_the_file_is(name, tmp_path):
    (tmp_path / 'mine.py').write_text(f"_base_ = 'dldl_mm::{name}'\n")
    mine = Config.fromfile(tmp_path / 'mine.py').to_dict()
    assert mine == Config.fromfile(ROOT / 'configs' / name).to_dict()


def test_a_base_that_the_package_does_not_have(tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = 'dldl_mm::age/none.py'\n")
    with pytest.raises(FileNotFoundError, match=r'dldl_mm has no config age/none\.py'):
        Config.fromfile(tmp_path / 'mine.py')


@pytest.mark.parametrize('task', ['age', 'pose', 'multilabel', 'seg'])
def test_every_recipe_is_in_the_model_index(task):
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert f'configs/{task}/metafile.yml' in index['Import']
    metafile = yaml.safe_load((ROOT / 'configs' / task / 'metafile.yml').read_text())
    paths = (ROOT / 'configs' / task).glob('*.py')
    recipes = {
        path.relative_to(ROOT).as_posix() for path in paths if not path.stem.endswith('_csv')
    }
    assert {model['Config'] for model in metafile['Models']} == recipes
    assert all(model['Name'] == Path(model['Config']).stem for model in metafile['Models'])
    collections = {collection['Name'] for collection in metafile['Collections']}
    assert {model['In Collection'] for model in metafile['Models']} == collections
