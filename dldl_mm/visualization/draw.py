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

_TARGET, _PREDICTION = '#3b6fb6', '#d1495b'


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
    """

    image: np.ndarray
    target: Tensor | None = None
    prediction: Tensor | None = None
    value: np.ndarray | None = None
    decoded: np.ndarray | None = None
    title: str = ''
    boxes: np.ndarray | None = None


def draw_samples(
    samples: Sequence[Any],
    codec: BaseLabelCodec | None,
    columns: int = 4,
    classes: Sequence[str] | None = None,
    palette: Sequence[Sequence[int]] | None = None,
) -> np.ndarray:
    """Draw a grid of images, each with its distributions below; label maps one below another.

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
    figure = Figure(figsize=(2.6 * columns, 3.4 * rows + 0.3), dpi=100, layout='constrained')
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
        if sample.boxes is not None:
            draw_boxes(picture, sample.boxes)
        picture.set_title(sample.title, fontsize=8)
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
    handles = [axes for axes in cells.flat if axes.get_legend_handles_labels()[1]]
    if handles:
        lines, names = max(
            (axes.get_legend_handles_labels() for axes in handles), key=lambda h: len(h[1])
        )
        figure.legend(lines, names, loc='outside lower center', ncols=len(names), fontsize=8)
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

    Args:
        axes: Where to draw.
        sample: The distributions.
        classes: Names of the classes; their indices where not given.
    """
    for distribution, shift, colour, name in (
        (sample.target, -0.2, _TARGET, 'target'),
        (sample.prediction, 0.2, _PREDICTION, 'prediction'),
    ):
        if distribution is not None:
            probability = distribution.detach().float().cpu().numpy()
            index = np.arange(len(probability))
            axes.bar(index + shift, probability, 0.4, color=colour, label=name)
            axes.set_xticks(index, index.astype(str) if classes is None else classes, rotation=90)
    axes.set_ylim(0, 1)
    axes.tick_params(labelsize=6, length=0)
    _hide_frame(axes)


def draw_boxes(axes: Axes, boxes: np.ndarray) -> None:
    """Draw the proposals of an image over it, each in a colour of its own.

    Args:
        axes: Where the image is drawn.
        boxes: (M, 4) ``x1, y1, x2, y2`` in pixels, whose corners are at -0.5 in ``imshow``.
    """
    colours = colormaps['turbo'](np.linspace(0, 1, len(boxes)))
    for (x1, y1, x2, y2), colour in zip(boxes - 0.5, colours, strict=True):
        axes.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=1)
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
    if target is None and isinstance(codec, MultiLabelCodec) and 'gt_label' in data_sample:
        lenient = MultiLabelCodec(codec.num_classes, codec.p_difficult, codec.epsilon, 'skip')
        target = lenient.encode_annotation(data_sample.to_dict())
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
        title='\n'.join(filter(None, (title[:28], ', '.join(parts)))),
    )


def _plain(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
