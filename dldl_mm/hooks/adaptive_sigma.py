"""Alternating fit of the targets' deviations."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner

from dldl_mm.losses import AdaptiveSigmaKLLoss
from dldl_mm.registry import HOOKS


@HOOKS.register_module()
class AdaptiveSigmaHook(Hook):
    """Lets every ``AdaptiveSigmaKLLoss`` of the model refit its deviations after each epoch.

    Before the checkpoint is written, so that a resumed training goes on with the same deviations.

    Raises:
        ValueError: The model has no such loss.
    """

    def before_run(self, runner: Runner) -> None:
        """Refuse a model without such a loss."""
        if not self._losses(runner):
            raise ValueError('AdaptiveSigmaHook: the model has no AdaptiveSigmaKLLoss')

    def after_train_epoch(self, runner: Runner) -> None:
        """Refit, and log the mean deviation."""
        for loss in self._losses(runner):
            loss.refit()
            runner.message_hub.update_scalar('train/sigma', loss.sigma.mean().item())

    @staticmethod
    def _losses(runner: Runner) -> list[AdaptiveSigmaKLLoss]:
        return [loss for loss in runner.model.modules() if isinstance(loss, AdaptiveSigmaKLLoss)]
