"""Mixed precision where there is no GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from dldl_mm.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Forward pass under autocast to bfloat16, on a CPU or a GPU; weights and updates in float32.

    mmengine's ``AmpOptimWrapper`` refuses to run on a CPU. bfloat16 has the range of float32, so no
    loss is scaled. It saves time on processors that compute in it (AVX512-BF16, AMX); others are slower
    with it.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast in which the runner computes the losses."""
        device = next(model.parameters()).device
        with super().optim_context(model), torch.autocast(device.type, torch.bfloat16):
            yield
