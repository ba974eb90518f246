from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from dldl_mm.codecs import GaussianLabelCodec
from dldl_mm.hooks import AdaptiveSigmaHook
from dldl_mm.losses import AdaptiveSigmaKLLoss


def test_refits_after_an_epoch():
    codec = GaussianLabelCodec(1, 20, sigma=2.0)
    loss = AdaptiveSigmaKLLoss(candidates=[1.0, 5.0])
    loss.bind(codec)
    runner = SimpleNamespace(
        model=nn.Sequential(loss), message_hub=MessageHub.get_instance('adaptive_sigma')
    )
    hook = AdaptiveSigmaHook()
    hook.before_run(runner)
    value = torch.tensor([10.0])
    loss(codec.encode(value, 4.5).log(), None, value=value, codec=codec)
    assert loss.sigma[9] == 2
    hook.after_train_epoch(runner)
    assert loss.sigma[9] == 5
    assert loss.cost.sum() == 0
    assert runner.message_hub.get_scalar('train/sigma').current() == pytest.approx(
        (19 * 2 + 5) / 20
    )


def test_a_model_without_the_loss_is_refused():
    with pytest.raises(ValueError, match='has no AdaptiveSigmaKLLoss'):
        AdaptiveSigmaHook().before_run(SimpleNamespace(model=nn.Linear(2, 2)))
