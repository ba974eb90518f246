"""Every age method by config: it differs from the shared recipe in the head only, trains and predicts."""

import math
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.structures import DataSample

import dldl_mm.cls  # noqa: F401
from dldl_mm.registry import MODELS

AGE = Path(__file__).parents[1] / 'configs' / 'age'
METHODS = [path.name.split('_')[1] for path in sorted(AGE.glob('resnet18_*_utkface.py'))]
NO_DISTRIBUTION = {'l1', 'l2', 'epsilon', 'or-cnn'}


def load(method):
    return Config.fromfile(AGE / f'resnet18_{method}_utkface.py')


@pytest.mark.parametrize('method', METHODS)
def test_only_the_head_differs(method):
    cfg, recipe = load(method), load('dldl')
    for config in (cfg, recipe):
        del config.model['head']
    hooks = [hook for hook in cfg.custom_hooks if hook.type != 'AdaptiveSigmaHook']
    assert hooks == recipe.custom_hooks
    cfg.custom_hooks = hooks
    assert cfg.to_dict() == recipe.to_dict()


def tiny(method, work_dir):
    """The method's config with a small backbone and rendered faces in place of the files."""
    cfg = load(method)
    cfg.model.backbone.update(stem_channels=8, base_channels=8)
    cfg.model.head.in_channels = 64
    for name in ('train', 'val', 'test'):
        loader = cfg[f'{name}_dataloader']
        pipeline = loader.dataset.pipeline[1:]  # nothing to load from a file
        loader.dataset = dict(
            type='SyntheticFaces',
            num_samples=3,
            img_size=200,
            pipeline=pipeline,
            serialize_data=False,
        )
        loader.update(batch_size=3, num_workers=0, persistent_workers=False)
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1)
    cfg.param_scheduler = None
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if 'Visualization' not in hook.type]
    cfg.default_hooks.checkpoint.update(interval=5, save_last=False)
    cfg.work_dir = str(work_dir)
    return cfg


class KeepPredictions(Hook):
    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.samples = outputs


@pytest.mark.parametrize('method', METHODS)
def test_a_training_step_and_a_prediction(method, tmp_path):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        runner = Runner.from_cfg(tiny(method, tmp_path))
        keep = KeepPredictions()
        runner.register_hook(keep)
        before = runner.model.head.fc.weight.detach().clone()
        runner.train()
        loss = runner.message_hub.get_scalar('train/loss').current()
        assert math.isfinite(loss)
        assert not torch.equal(before, runner.model.head.fc.weight)
        assert all(p.isfinite().all() for p in runner.model.parameters())
    assert len(keep.samples) == 3
    for sample in keep.samples:
        assert 1 <= sample.pred_value <= 116
        assert ('pred_score' in sample) == (method not in NO_DISTRIBUTION)
        if 'pred_score' in sample:
            assert sample.pred_score.shape == (116,)
            assert sample.pred_score.sum().item() == pytest.approx(1, abs=1e-5)
    scores = runner.message_hub.log_scalars
    assert scores['val/age/mae'].current() > 0
    assert ('val/age/nll' in scores) == (method not in NO_DISTRIBUTION)


@pytest.mark.parametrize('method', METHODS)
def test_learns_the_age_from_features(method):
    """A linear head on features that show the age: wrong signs and targets do not pass."""
    config = load(method).model.head
    config.in_channels = 24
    if method == 'unimodal':
        config.losses[1].loss_weight = 1.0  # 1000 needs many more steps
    head = MODELS.build(config)
    ages = torch.randint(1, 117, (128,)).float()
    features = torch.exp(-(ages[:, None] - torch.linspace(1, 116, 24)).square() / (2 * 8**2))
    samples = []
    for age in ages:
        samples.append(DataSample().set_gt_score(head.codec.encode(age)))
        samples[-1].set_field(age.item(), 'gt_value')
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for step in range(120):
        optimizer.zero_grad()
        sum(head.loss((features,), samples).values()).backward()
        optimizer.step()
        if method == 'aldl' and step % 40 == 39:
            head.loss_module[0].refit()
    predicted = torch.stack([sample.pred_value for sample in head.predict((features,), None)])
    # Label smoothing moves every expectation towards the middle, by a tenth of the distance.
    assert (predicted.detach() - ages).abs().mean() < (4 if method == 'label-smoothing' else 2)


def test_every_method_is_listed():
    assert {path.stem.split('_')[1] for path in AGE.glob('resnet18_*_utkface.py')} == set(METHODS)
    page = (AGE.parents[1] / 'docs' / 'methods.md').read_text()
    linked = set(re.findall(r'\(\.\./configs/age/resnet18_(.+)_utkface\.py\)', page))
    assert linked == set(METHODS)
