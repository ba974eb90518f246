"""Start-up check: one codec in pipelines, head and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from dldl_mm.codecs import BaseLabelCodec
from dldl_mm.registry import HOOKS


@HOOKS.register_module()
class CodecCheckHook(Hook):
    """Refuses to start where the codec of the head, a pipeline or a metric differs from another.

    A config names the codec more than once and mmengine copies variables when it parses a file, so
    that ``--cfg-options codec.sigma=3`` changes none of the copies. It also refuses a loss on the true
    value together with Mixup or CutMix, which do not mix the value.

    Raises:
        ValueError: Names the two places, the field and both values.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Compare all codecs of a runner before training, validation or testing begins."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        head = getattr(model, 'head', None)
        codecs = []
        head_codec = getattr(head, 'codec', None)
        if isinstance(head_codec, BaseLabelCodec):
            codecs.append(('model.head', head_codec))
        for name in ('train', 'val', 'test'):
            loop = getattr(runner, f'_{name}_loop')
            if hasattr(loop, 'dataloader'):  # a loop that is not built yet is a config
                codecs += [
                    (f'{name}_dataloader.dataset.pipeline', codec)
                    for codec in pipeline_codecs(loop.dataloader.dataset)
                ]
                codecs += [
                    (f'{name}_evaluator ({type(metric).__name__})', metric.codec)
                    for metric in getattr(getattr(loop, 'evaluator', None), 'metrics', [])
                    if isinstance(getattr(metric, 'codec', None), BaseLabelCodec)
                ]
        for place, codec in codecs[1:]:
            check_same_codec(codecs[0][0], codecs[0][1], place, codec)
        self._check_batch_augments(model, head)

    @staticmethod
    def _check_batch_augments(model: Any, head: Any) -> None:
        augments = getattr(getattr(model, 'data_preprocessor', None), 'batch_augments', None)
        losses = getattr(head, 'loss_module', None)
        if augments is None or losses is None or not hasattr(losses, '__iter__'):
            return
        for loss in losses:
            if getattr(loss, 'needs_value', False):
                raise ValueError(
                    f'model.head.losses: {type(loss).__name__} reads the true value, which the batch '
                    f'augmentations of model.train_cfg ({augments}) do not mix; remove one of the two'
                )


def pipeline_codecs(dataset: Any) -> Iterator[BaseLabelCodec]:
    """Codecs of a data set's pipeline, through wrappers such as ConcatDataset and RepeatDataset."""
    children = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for child in children:
        if child is not None:
            yield from pipeline_codecs(child)
    for transform in getattr(getattr(dataset, 'pipeline', None), 'transforms', []):
        if isinstance(getattr(transform, 'codec', None), BaseLabelCodec):
            yield transform.codec


def check_same_codec(
    place: str, codec: BaseLabelCodec, other_place: str, other: BaseLabelCodec
) -> None:
    """Compare two codecs field by field.

    Args:
        place: Where the first stands in the config.
        codec: The first codec.
        other_place: Where the second stands.
        other: The second codec.

    Raises:
        ValueError: Names the fields that differ, with both values.
    """
    if codec == other:
        return
    first, second = codec.spec, other.spec
    fields = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    differences = '; '.join(
        f'{name} is {first.get(name)!r} in {place}, but {second.get(name)!r} in {other_place}'
        for name in fields
    )
    raise ValueError(f'the codecs differ: {differences}. Define the codec once and use it in both.')
