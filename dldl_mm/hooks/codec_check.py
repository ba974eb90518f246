"""One codec in pipelines, head and metrics: shared and checked at start-up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from dldl_mm.codecs import BaseLabelCodec, BaseValueCodec, MultiLabelCodec
from dldl_mm.hooks._bare_model import bare_model
from dldl_mm.metrics import AgeMetric
from dldl_mm.registry import HOOKS
from dldl_mm.transforms import EncodeLabelDistribution, FlipHeadPose
from dldl_mm.transforms.encode import turns_with_flip


@HOOKS.register_module()
class CodecCheckHook(Hook):
    """Gives the head's codec to pipelines and ``AgeMetric`` without one, and refuses another one there.

    So a config names the codec once, in the head, and every row of the data sets is checked with it
    before the work starts. Where a config names it more than once, mmengine copies variables when it
    parses a file, so that ``--cfg-options codec.sigma=3`` would change none of the copies: codecs that
    differ are refused. So is a loss on the true value together with Mixup or CutMix, which do not mix
    the value, and a flip of images whose yaw and roll are not negated before they are encoded.

    Raises:
        ValueError: A codec is missing, or two differ: names the two places, the field and both values.
            A loss or an order of transforms is refused.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Share and compare the codecs of a runner before training, validation or testing begins."""
        model = bare_model(runner.model)
        head = getattr(model, 'head', None)
        codecs = []
        head_codec = getattr(head, 'codec', None)
        if not isinstance(head_codec, BaseLabelCodec):
            head_codec = None
        else:
            codecs.append(('model.head', head_codec))
        for name in ('train', 'val', 'test'):
            loop = getattr(runner, f'_{name}_loop')
            if hasattr(loop, 'dataloader'):  # a loop that is not built yet is a config
                if share_codec(loop.dataloader.dataset, head_codec):
                    _restart_workers(runner, loop)
                for part, encoder in pipeline_encoders(loop.dataloader.dataset):
                    _check_flips(part.pipeline.transforms, encoder)
                codecs += [
                    (f'{name}_dataloader.dataset.pipeline', encoder.codec)
                    for _, encoder in pipeline_encoders(loop.dataloader.dataset)
                    if encoder.codec is not None
                ]
                for metric in getattr(getattr(loop, 'evaluator', None), 'metrics', []):
                    if isinstance(metric, AgeMetric) and isinstance(head_codec, BaseValueCodec):
                        metric.codec = metric.codec or head_codec
                    if isinstance(getattr(metric, 'codec', None), BaseLabelCodec):
                        codecs.append((f'{name}_evaluator ({type(metric).__name__})', metric.codec))
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


def _restart_workers(runner: Runner, loop: Any) -> None:
    """Workers of a loop over iterations start when it is built: theirs are copies without a codec."""
    iterator = getattr(loop, 'dataloader_iterator', None)
    if iterator is None or loop.dataloader.num_workers == 0:
        return
    if not isinstance(runner._train_dataloader, dict):
        raise ValueError(
            'EncodeLabelDistribution of train_dataloader has no codec, and the workers of the data '
            'loader have started already: give the transform its codec'
        )
    # As the loop itself builds it; a sampler without end cannot be started twice.
    config = {**runner._train_dataloader, 'dataset': loop.dataloader.dataset}
    BaseLoop.__init__(loop, runner, config)
    loop.dataloader_iterator = type(iterator)(loop.dataloader)


def _check_flips(transforms: Sequence[Any], encoder: EncodeLabelDistribution) -> None:
    """Refuse image flips whose labels stay as they were, by the order of the transforms."""
    if not turns_with_flip(encoder.codec):
        return
    place = transforms.index(encoder)
    for number, transform in enumerate(transforms):
        name = type(transform).__name__
        if 'Flip' not in name or isinstance(transform, FlipHeadPose):
            continue
        if not any(isinstance(other, FlipHeadPose) for other in transforms[number:place]):
            raise ValueError(
                f'pipeline: {name} mirrors images, whose yaw and roll must be negated before they are '
                'encoded; the right order is RandomFlip, FlipHeadPose, EncodeLabelDistribution'
            )


def share_codec(dataset: Any, codec: BaseLabelCodec | None) -> bool:
    """Give a codec to those target transforms of a data set that have none, and check every row.

    Args:
        dataset: A data set, or a wrapper of some.
        codec: The codec of the head; None where it has none.

    Returns:
        Whether a transform was given the codec.

    Raises:
        ValueError: A transform needs a codec and there is none, its number of classes is not the data
            set's, or a row cannot be encoded.
    """
    shared = False
    # Data that are only tested on may have no target transform.
    _check_classes(dataset, codec)
    for part, encoder in pipeline_encoders(dataset):
        _check_classes(part, encoder.codec or codec)
        checks_itself = hasattr(part, 'check_annotations')
        if encoder.codec is not None:
            if not checks_itself:
                _check_rows(part, encoder)
            continue
        if codec is None:
            raise ValueError(
                'EncodeLabelDistribution has no codec, and neither has model.head: name it in one'
            )
        encoder.codec = codec
        shared = True
        if checks_itself:
            part.check_annotations()
        else:
            _check_rows(part, encoder)
    return shared


def _check_classes(dataset: Any, codec: BaseLabelCodec | None) -> None:
    """Refuse a codec of more or fewer classes than a data set that names its classes."""
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if isinstance(codec, MultiLabelCodec) and classes and len(classes) != codec.num_classes:
        raise ValueError(
            f'MultiLabelCodec: num_classes is {codec.num_classes}, but {type(dataset).__name__} has '
            f'{len(classes)} classes: {", ".join(map(str, classes))}'
        )


def _check_rows(dataset: Any, encoder: EncodeLabelDistribution) -> None:
    """Check the rows of a toolbox's own data set, where they have the annotation from the start."""
    key = 'gt_label' if isinstance(encoder.codec, MultiLabelCodec) else 'gt_value'
    if not hasattr(dataset, 'get_data_info'):
        return
    for index in range(len(dataset)):
        row = dataset.get_data_info(index)
        if key in row:
            encoder.check_annotation(row)


def pipeline_encoders(dataset: Any) -> Iterator[tuple[Any, EncodeLabelDistribution]]:
    """Data sets and their target transforms, through wrappers such as ConcatDataset."""
    children = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for child in children:
        if child is not None:
            yield from pipeline_encoders(child)
    for transform in getattr(getattr(dataset, 'pipeline', None), 'transforms', []):
        if isinstance(transform, EncodeLabelDistribution):
            yield dataset, transform


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
