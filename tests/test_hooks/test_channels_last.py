from types import SimpleNamespace

import torch
from torch import nn

from dldl_mm.hooks import ChannelsLastHook


def test_changes_the_layout_and_not_the_result():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    images = torch.randn(2, 3, 9, 9)
    before = model(images)
    ChannelsLastHook().before_run(SimpleNamespace(model=model))
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    after = model(images)
    assert after.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
