"""Pictures of predictions during validation and testing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from dldl_mm.codecs import BaseLabelCodec
from dldl_mm.registry import HOOKS
from dldl_mm.visualization import decode_head_codec, draw_samples, to_sample


@HOOKS.register_module()
class LabelDistributionVisualizationHook(Hook):
    """Draws images with their target and predicted distributions at the end of a validation.

    For mmsegmentation's models, it draws label maps and the entropy of every pixel's target and
    predicted distribution. The pictures go to the runner's visualizer, as ``val_distributions`` (or
    ``test_distributions``), so to ``vis_data/vis_image/`` or whatever backend is configured.

    Args:
        num_samples: Number of images, the first of the data set that the main process evaluates,
            spread over the batches.
        interval: Draw at every n-th validation.

    Raises:
        ValueError: A number is less than 1.
    """

    def __init__(self, num_samples: int = 12, interval: int = 1) -> None:
        for name, number in dict(num_samples=num_samples, interval=interval).items():
            if number < 1:
                raise ValueError(
                    f'LabelDistributionVisualizationHook: {name} must be at least 1, got {number}'
                )
        self.num_samples = num_samples
        self.interval = interval
        self._samples: list[Any] = []
        self._validations = 0

    def before_val_epoch(self, runner: Runner) -> None:
        """Start a new picture."""
        self._samples = []
        self._validations += 1

    def before_test_epoch(self, runner: Runner) -> None:
        """Start a new picture."""
        self._samples = []

    @master_only
    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Keep some samples of a batch."""
        if (self._validations - 1) % self.interval == 0:
            self._collect(runner, len(runner.val_dataloader), data_batch, outputs)

    @master_only
    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Keep some samples of a batch."""
        self._collect(runner, len(runner.test_dataloader), data_batch, outputs)

    @master_only
    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw the picture."""
        self._draw(runner, 'val_distributions')

    @master_only
    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw the picture."""
        self._draw(runner, 'test_distributions')

    def _collect(
        self, runner: Runner, num_batches: int, data_batch: dict[str, Any], outputs: Sequence[Any]
    ) -> None:
        per_batch = -(-self.num_samples // num_batches)
        remaining = min(per_batch, self.num_samples - len(self._samples), len(outputs))
        step = max(1, len(outputs) // max(1, remaining))
        # mmpretrain's name, or mmsegmentation's.
        preprocessor = _model(runner).data_preprocessor
        to_rgb = getattr(preprocessor, 'to_rgb', getattr(preprocessor, 'channel_conversion', False))
        codec = _codec(runner)
        images = data_batch['inputs']
        if images and not isinstance(images[0], Tensor):  # views of test-time augmentation
            flips = [[view.get('flip') for view in views] for views in data_batch['data_samples']]
            upright = [
                column.index(False) if False in column else 0 for column in zip(*flips, strict=True)
            ]
            images = [images[view][index] for index, view in enumerate(upright)]
        for index in range(0, remaining * step, step):
            self._samples.append(to_sample(images[index], outputs[index], to_rgb, codec))

    def _draw(self, runner: Runner, name: str) -> None:
        if self._samples:
            meta = runner.visualizer.dataset_meta or {}
            picture = draw_samples(
                self._samples,
                _codec(runner),
                classes=meta.get('classes'),
                palette=meta.get('palette'),
            )
            # Training by iterations has no epochs.
            runner.visualizer.add_image(name, picture, step=runner.epoch or runner.iter)


def _model(runner: Runner) -> Any:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return model.module if isinstance(model, BaseTTAModel) else model


def _codec(runner: Runner) -> BaseLabelCodec | None:
    head: Any = getattr(_model(runner), 'decode_head', None)
    if head is None:
        return getattr(getattr(_model(runner), 'head', None), 'codec', None)
    if isinstance(head, nn.ModuleList):  # the last stage of a cascade predicts
        head = head[-1]
    losses = head.loss_decode
    losses = losses if isinstance(losses, nn.ModuleList) else [losses]
    return decode_head_codec(head.num_classes, head.ignore_index, losses)
