import pytest
import torch
from torch import nn

from dldl_mm.cls import PlainConvNet


def test_stages_have_two_convolutions_and_halve_the_map():
    net = PlainConvNet(channels=(4, 6, 8))
    shapes = [tuple(m.weight.shape) for m in net.modules() if isinstance(m, nn.Conv2d)]
    widths = [(4, 3), (4, 4), (6, 4), (6, 6), (8, 6), (8, 8)]
    assert shapes == [(*pair, 3, 3) for pair in widths]
    (features,) = net(torch.randn(2, 3, 40, 24))
    assert features.shape == (2, 8, 5, 3)
    assert features.min() >= 0
    assert features.is_contiguous()
    features.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_its_output_keeps_its_scale():
    torch.manual_seed(0)
    net = PlainConvNet(channels=(64, 64))
    net.init_weights()
    convolution = net.features[3]
    # Kaiming, of the outputs: the gradient's variance stays.
    assert convolution.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


@pytest.mark.parametrize('options', [dict(channels=()), dict(channels=(8, 0)), dict(in_channels=0)])
def test_bad_options_are_named(options):
    with pytest.raises(ValueError, match='must be positive numbers'):
        PlainConvNet(**options)
