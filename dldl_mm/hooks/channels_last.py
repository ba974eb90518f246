"""Memory layout of convolutions."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from dldl_mm.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Lays the model out as channels last, in which convolutions are faster on CPUs and tensor cores.

    The weights' layout carries over to the activations; results differ by rounding only. A model that
    is already wrapped for several processes stays as it is, because the wrapper has laid out its
    gradients.
    """

    def before_run(self, runner: Runner) -> None:
        """Change the layout before any batch is seen."""
        if not is_model_wrapper(runner.model):
            runner.model.to(memory_format=torch.channels_last)
