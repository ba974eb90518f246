import torch
from torch import nn

import dldl_mm.hooks  # noqa: F401
from dldl_mm.functional import kl_divergence
from dldl_mm.registry import OPTIM_WRAPPERS


def test_it_computes_in_bfloat16_and_keeps_float32_weights():
    torch.manual_seed(0)
    model = nn.Linear(16, 5)
    sgd = torch.optim.SGD(model.parameters(), lr=0.5)
    wrapper = OPTIM_WRAPPERS.build(dict(type='BFloat16OptimWrapper', optimizer=sgd))
    inputs, target = torch.randn(8, 16), torch.softmax(torch.randn(8, 5), -1)
    losses = []
    for _ in range(20):
        with wrapper.optim_context(model):
            logits = model(inputs)
            assert logits.dtype == torch.bfloat16
            losses.append(kl_divergence(logits, target))
        wrapper.update_params(losses[-1])
    assert model.weight.dtype == torch.float32
    assert losses[-1] < 0.5 * losses[0]
    exact = kl_divergence(torch.nn.functional.linear(inputs, model.weight, model.bias), target)
    with wrapper.optim_context(model):
        rounded = kl_divergence(model(inputs), target)
    torch.testing.assert_close(rounded.float(), exact, rtol=0.05, atol=1e-3)
    assert not torch.is_autocast_enabled('cpu')
