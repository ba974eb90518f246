"""Pictures of images with their target and predicted distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from torch import Tensor

from dldl_mm.codecs import (
    BaseLabelCodec,
    GridLabelCodec,
    MultiLabelCodec,
    NeighbourhoodLabelCodec,
)
from dldl_mm.visualization.head_pose import draw_head_axes, draw_pose_grid
from dldl_mm.visualization.segmentation import (
    LabelMapSample,
    draw_label_maps,
    to_label_map_sample,
)

_TARGET, _DIFFICULT, _PREDICTION = '#3b6fb6', '#a9c4e6', '#d1495b'
# More boxes hide the image: validation and test have all proposals, hundreds of them.
_MAX_BOXES = 15
# More names cannot be read below one picture.
_MAX_CLASSES = 24


@dataclass
class Sample:
    """One image with what is known and predicted of it.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        target: (K,) target distribution.
        prediction: (K,) predicted distribution.
        value: True value, a number or (A,).
        decoded: Predicted value, a number or (A,).
        title: Line above the image.
        boxes: (M, 4) proposals, ``x1, y1, x2, y2`` in pixels.
        difficult: (C,) bool, classes that the image shows in difficult objects only.
    """

    image: np.ndarray
    target: Tensor | None = None
    prediction: Tensor | None = None
    value: np.ndarray | None = None
    decoded: np.ndarray | None = None
    title: str = ''
    boxes: np.ndarray | None = None
    difficult: np.ndarray | None = None


def draw_samples(
    samples: Sequence[Any],
    codec: BaseLabelCodec | None,
    columns: int = 4,
    classes: Sequence[str] | None = None,
    palette: Sequence[Sequence[int]] | None = None,
) -> np.ndarray:
    """Draw a grid of images, each with its distributions below; label maps one below another.

    Of more than 15 proposals of an image, 15 are drawn, spread over their order, and the title says so.

    Args:
        samples: What to draw: results of :func:`to_sample`.
        codec: The codec of the distributions; None draws the images alone.
        columns: Cells per row.
        classes: Names of the classes of a ``MultiLabelCodec`` or ``NeighbourhoodLabelCodec``; their
            indices where not given.
        palette: Colours of the classes of a ``NeighbourhoodLabelCodec``.

    Returns:
        (H, W, 3) uint8 picture, RGB.

    Raises:
        ValueError: There is no sample.
    """
    if not samples:
        raise ValueError('draw_samples: there is no sample to draw')
    if isinstance(codec, NeighbourhoodLabelCodec):
        return draw_label_maps(samples, palette, classes)
    columns = min(columns, len(samples))
    rows = math.ceil(len(samples) / columns)
    # The names of classes take more room than the numbers below a curve.
    width, height = (3.2, 4.2) if isinstance(codec, MultiLabelCodec) else (2.6, 3.4)
    figure = Figure(figsize=(width * columns, height * rows + 0.3), dpi=100, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    cells = figure.subplots(
        2 * rows, columns, squeeze=False, gridspec_kw=dict(height_ratios=[2.2, 1] * rows)
    )
    for axes in cells.flat:
        axes.axis('off')
    for index, sample in enumerate(samples):
        row, column = divmod(index, columns)
        picture, curve = cells[2 * row, column], cells[2 * row + 1, column]
        picture.imshow(sample.image)
        title = sample.title
        if sample.boxes is not None:
            boxes = sample.boxes
            if len(boxes) > _MAX_BOXES:
                title += f'\n{_MAX_BOXES} of {len(boxes)} proposals'
                boxes = boxes[np.linspace(0, len(boxes) - 1, _MAX_BOXES).round().astype(int)]
            draw_boxes(picture, boxes)
        picture.set_title(title, fontsize=8)
        shown = sample.target if sample.prediction is None else sample.prediction
        if codec is not None and shown is not None:
            curve.axis('on')
            if isinstance(codec, GridLabelCodec):
                marks = ((sample.value, '+', 'true'), (sample.decoded, 'x', 'predicted'))
                draw_pose_grid(curve, shown, codec, marks)
            elif isinstance(codec, MultiLabelCodec):
                draw_bars(curve, sample, classes)
            else:
                draw_curves(curve, sample, codec)
        if isinstance(codec, GridLabelCodec):
            size = sample.image.shape[:2]
            for pose, style in ((sample.value, ':'), (sample.decoded, '-')):
                if pose is not None:
                    draw_head_axes(picture, size, pose, codec.axes, style)
    # Each name once: one image may have no target, another no difficult class.
    marks_by_name: dict[str, Any] = {}
    for axes in cells.flat:
        marks_by_name.update(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if marks_by_name:
        figure.legend(
            marks_by_name.values(),
            marks_by_name.keys(),
            loc='outside lower center',
            ncols=len(marks_by_name),
            fontsize=8,
        )
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def draw_curves(axes: Axes, sample: Sample, codec: BaseLabelCodec) -> None:
    """Draw target and predicted distribution over a scalar label set.

    Args:
        axes: Where to draw.
        sample: The distributions, and their values as vertical lines.
        codec: The codec, for the label set.
    """
    labels = codec.labels.numpy()
    for distribution, value, colour, name in (
        (sample.target, sample.value, _TARGET, 'target'),
        (sample.prediction, sample.decoded, _PREDICTION, 'prediction'),
    ):
        if distribution is not None:
            probability = distribution.detach().float().cpu().numpy()
            axes.fill_between(labels, probability, color=colour, alpha=0.25, linewidth=0)
            axes.plot(labels, probability, color=colour, linewidth=1.2, label=name)
        if value is not None:
            axes.axvline(float(value), color=colour, linewidth=0.8, linestyle='--')
    axes.set_xlim(labels[0], labels[-1])
    axes.set_ylim(bottom=0)
    axes.tick_params(labelsize=6)
    _hide_frame(axes)


def draw_bars(axes: Axes, sample: Sample, classes: Sequence[str] | None = None) -> None:
    """Draw target and predicted distribution over classes side by side.

    The target of a class that the image shows in difficult objects only is paler. Of more than 24
    classes, the 24 with the largest probability are drawn.

    Args:
        axes: Where to draw.
        sample: The distributions.
        classes: Names of the classes; their indices where not given.
    """
    drawn = [
        (distribution.detach().float().cpu().numpy(), colour, name)
        for distribution, colour, name in (
            (sample.target, _TARGET, 'target'),
            (sample.prediction, _PREDICTION, 'prediction'),
        )
        if distribution is not None
    ]
    largest = np.max([probability for probability, _, _ in drawn], axis=0)
    shown = np.sort(np.argsort(-largest, kind='stable')[:_MAX_CLASSES])
    index, width = np.arange(len(shown)), 0.8 / len(drawn)
    for number, (probability, colour, name) in enumerate(drawn):
        centre = index + width * (number - (len(drawn) - 1) / 2)
        pale = np.zeros(len(shown), bool)
        if name == 'target' and sample.difficult is not None:
            pale = sample.difficult[shown]
        for part, shade, label in (
            (~pale, colour, name),
            (pale, _DIFFICULT, f'{name}, difficult'),
        ):
            if part.any():
                axes.bar(centre[part], probability[shown][part], width, color=shade, label=label)
    axes.set_xticks(index, [str(c) if classes is None else classes[c] for c in shown], rotation=90)
    axes.set_ylim(0, 1)
    axes.tick_params(labelsize=7, length=0)
    _hide_frame(axes)
    axes.set_yticks([0, 1])


def draw_boxes(axes: Axes, boxes: np.ndarray) -> None:
    """Draw the proposals of an image over it, each in a colour of its own, small ones on top.

    Args:
        axes: Where the image is drawn.
        boxes: (M, 4) ``x1, y1, x2, y2`` in pixels, whose corners are at -0.5 in ``imshow``.
    """
    colours = colormaps['hsv'](np.linspace(0, 1, len(boxes), endpoint=False))
    order = np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(1), kind='stable')
    # A dark seam sets a line off from an image of its colour.
    seam = [withStroke(linewidth=2, foreground='black')]
    for (x1, y1, x2, y2), colour in zip(boxes[order] - 0.5, colours, strict=True):
        axes.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, path_effects=seam)
        )


def _hide_frame(axes: Axes) -> None:
    axes.set_yticks([])
    for side in ('top', 'right', 'left'):
        axes.spines[side].set_visible(False)


def to_sample(
    inputs: Tensor, data_sample: Any, bgr: bool, codec: BaseLabelCodec | None = None
) -> Sample | LabelMapSample:
    """Turn a packed image and its data sample into what is drawn.

    Args:
        inputs: (3, H, W) uint8 image of the pipeline.
        data_sample: Its annotations and predictions.
        bgr: Whether the image's channels are in OpenCV's order.
        codec: A ``MultiLabelCodec`` encodes ``gt_label`` where there is no ``gt_score``, which the
            metrics of validation would mistake; an image without a class then has no target. With a
            ``NeighbourhoodLabelCodec`` the annotations are those of mmsegmentation.

    Returns:
        The sample.
    """
    image = inputs.detach().cpu().numpy().transpose(1, 2, 0).astype(np.uint8)
    image = np.ascontiguousarray(image[..., ::-1] if bgr else image)
    if isinstance(codec, NeighbourhoodLabelCodec):
        return to_label_map_sample(image, data_sample, codec)
    value, decoded = data_sample.get('gt_value'), data_sample.get('pred_value')
    target, boxes = data_sample.get('gt_score'), data_sample.get('gt_bboxes')
    difficult = None
    if isinstance(codec, MultiLabelCodec) and 'gt_label' in data_sample:
        annotation = data_sample.to_dict()
        if target is None:
            lenient = MultiLabelCodec(codec.num_classes, codec.p_difficult, codec.epsilon, 'skip')
            target = lenient.encode_annotation(annotation)
        positive, flagged = codec.annotation_masks(annotation)
        difficult = (flagged & ~positive).numpy()
    title = Path(str(data_sample.get('img_path', ''))).name
    parts = [
        f'{name} {", ".join(f"{number:.1f}" for number in np.ravel(_plain(number_)))}'
        for name, number_ in (('true', value), ('predicted', decoded))
        if number_ is not None
    ]
    return Sample(
        image=image,
        target=target,
        prediction=data_sample.get('pred_score'),
        value=None if value is None else _plain(value),
        decoded=None if decoded is None else _plain(decoded),
        boxes=None if boxes is None else _plain(boxes),
        difficult=difficult,
        title='\n'.join(filter(None, (title[-32:], ', '.join(parts)))),
    )


def _plain(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
