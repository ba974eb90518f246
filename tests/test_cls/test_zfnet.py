import pytest
import torch
from torch import nn

from dldl_mm.cls import ZFNet


def test_layer_sizes_are_the_authors():
    net = ZFNet()
    shapes = [tuple(m.weight.shape) for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert shapes == [
        (96, 3, 7, 7),
        (256, 96, 5, 5),
        (384, 256, 3, 3),
        (384, 384, 3, 3),
        (256, 384, 3, 3),
        (4096, 256 * 6 * 6),
        (4096, 4096),
    ]
    maps = []
    for module in net.features:
        if isinstance(module, (nn.Conv2d, nn.MaxPool2d)):
            module.register_forward_hook(lambda m, i, o: maps.append(o.shape[-1]))
    net.eval()
    with torch.no_grad():
        (feature,) = net(torch.randn(1, 3, 224, 224))
    assert feature.shape == (1, 4096)
    assert maps == [110, 55, 26, 13, 13, 13, 13, 6]


def test_initialisation():
    net = ZFNet(input_size=64, hidden=512)
    net.init_weights()
    slopes = torch.cat([m.weight.detach() for m in net.modules() if isinstance(m, nn.PReLU)])
    assert slopes.min() >= 0
    assert slopes.max() <= 0.25
    assert slopes.mean().item() == pytest.approx(0.125, abs=0.01)
    weights = torch.cat(
        [m.weight.detach().flatten() for m in net.modules() if isinstance(m, nn.Conv2d)]
    )
    assert weights.std().item() == pytest.approx(0.01, rel=0.02)
    assert all(m.bias.abs().max() == 0 for m in net.modules() if isinstance(m, nn.Conv2d))


def test_normalisation_is_matconvnets():
    # x / (1 + 2e-5 Σ x²)^.75 over five channels: torch divides alpha by the window's size.
    norm = next(m for m in ZFNet(64).features if isinstance(m, nn.LocalResponseNorm))
    x = torch.randn(1, 9, 1, 1, dtype=torch.float64) * 100
    channel = 4
    window = x[0, 2:7, 0, 0].square().sum()
    expected = x[0, channel, 0, 0] / (1 + 0.0001 / 5 * window) ** 0.75
    torch.testing.assert_close(norm(x)[0, channel, 0, 0], expected)


def test_gradient_reaches_every_layer():
    net = ZFNet(input_size=64, channels=(8, 8, 8, 8, 8), hidden=16, dropout=0.0)
    net(torch.randn(2, 3, 64, 64))[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_too_small_input():
    with pytest.raises(ValueError, match='got 40'):
        ZFNet(input_size=40)
