"""Pictures of label maps with the entropy of their distributions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor, nn

from dldl_mm.codecs import NeighbourhoodLabelCodec
from dldl_mm.losses import NeighbourhoodKLLoss

# Two classes that are equally likely: the most that a straight boundary's target has.
_FULL = math.log(2)
_COLOURS = 'inferno'
_VOID = 255
# Inches: a cell's width with its gap, a title, the colour bar with its numbers, a line of the legend.
_CELL, _GAP, _TITLE, _BAR, _LINE = 3.2, 0.1, 0.25, 0.7, 0.18


@dataclass
class LabelMapSample:
    """One image with its label map, its prediction and how uncertain both are.

    Attributes:
        image: (H, W, 3) uint8, RGB, of any size.
        label: (H, W) true classes, 255 for void.
        target_entropy: (H, W) entropy of the target in nats.
        pred: (H, W) predicted classes.
        pred_entropy: (H, W) entropy of the prediction in nats.
        title: Line above the image.
    """

    image: np.ndarray
    label: np.ndarray | None = None
    target_entropy: np.ndarray | None = None
    pred: np.ndarray | None = None
    pred_entropy: np.ndarray | None = None
    title: str = ''


def decode_head_codec(
    num_classes: int, ignore_index: int, losses: Iterable[nn.Module]
) -> NeighbourhoodLabelCodec:
    """The codec of a decode head's targets.

    Args:
        num_classes: C of the head.
        ignore_index: Label of void pixels.
        losses: The head's losses. The ``NeighbourhoodKLLoss`` with the widest window counts; without
            any the targets are the hard labels.

    Returns:
        The codec.
    """
    found = [loss for loss in losses if isinstance(loss, NeighbourhoodKLLoss)]
    if not found:
        return NeighbourhoodLabelCodec(num_classes, kernel_size=1, ignore_index=ignore_index)
    loss = max(found, key=lambda loss: loss.kernel_size)
    return NeighbourhoodLabelCodec(
        num_classes, loss.kernel_size, loss.sigma, ignore_index, loss.void
    )


def to_label_map_sample(
    image: np.ndarray, data_sample: Any, codec: NeighbourhoodLabelCodec
) -> LabelMapSample:
    """Turn an image and mmseg's data sample into what is drawn.

    Args:
        image: (H, W, 3) uint8, RGB.
        data_sample: ``gt_sem_seg``, and ``pred_sem_seg`` with ``seg_logits`` after a prediction.
        codec: The codec of the targets.

    Returns:
        The sample.
    """
    sample = LabelMapSample(image, title=Path(str(data_sample.get('img_path', ''))).name)
    if 'gt_sem_seg' in data_sample:
        label = data_sample.gt_sem_seg.data[0].cpu()
        sample.label = label.masked_fill(label == codec.ignore_index, _VOID).numpy()
        sample.target_entropy = _entropy(codec.encode(label[None])[0])
    if 'seg_logits' in data_sample:
        logits = data_sample.seg_logits.data.detach().float().cpu()
        sample.pred = data_sample.pred_sem_seg.data[0].cpu().numpy()
        sample.pred_entropy = _entropy(logits.softmax(0))
    return sample


def _entropy(dist: Tensor) -> np.ndarray:
    return torch.special.entr(dist).sum(0).numpy()


def draw_label_maps(
    samples: Sequence[LabelMapSample],
    palette: Sequence[Sequence[int]] | None = None,
    classes: Sequence[str] | None = None,
) -> np.ndarray:
    """Draw one row per image: classes and entropy of the target, then of the prediction.

    Below stand the scale of the entropies and the colours of the classes that occur. Entropies share
    one scale, whose end (0.69 nats) is that of two equally likely classes; more is drawn as that.

    Args:
        samples: What to draw.
        palette: (C, 3) colours of the classes, 0 to 255.
        classes: Names of the C classes; their indices where not given.

    Returns:
        (H, W, 3) uint8 picture, RGB.

    Raises:
        ValueError: There is no sample.
    """
    if not samples:
        raise ValueError('draw_label_maps: there is no sample to draw')
    columns = {
        'target': ('label', _draw_classes),
        'entropy of the target': ('target_entropy', _draw_entropy),
        'prediction': ('pred', _draw_classes),
        'entropy of the prediction': ('pred_entropy', _draw_entropy),
    }
    columns = {
        title: (name, draw)
        for title, (name, draw) in columns.items()
        if any(getattr(sample, name) is not None for sample in samples)
    }
    colours = _colour_table(palette)
    legend = _legend(samples, colours, classes)
    letters = max((len(str(handle.get_label())) for handle in legend), default=0)
    per_line = max(1, int(_CELL * (len(columns) + 1) / (0.65 + 0.075 * letters)))
    below = _BAR + _LINE * math.ceil(len(legend) / per_line) if columns else 0
    # Everything is placed in inches: matplotlib's layouts take shares of the height, of which tall
    # pictures have too much and those of one image too little.
    widest = _CELL - _GAP
    heights = [widest * min(np.divide(*sample.image.shape[:2]), 1.5) for sample in samples]
    size = (_CELL * (len(columns) + 1), sum(heights) + _TITLE * len(samples) + below)
    figure = Figure(figsize=size, dpi=100)
    canvas = FigureCanvasAgg(figure)

    def place(left: float, bottom: float, width: float, height: float) -> Axes:
        return figure.add_axes(
            (left / size[0], bottom / size[1], width / size[0], height / size[1])
        )

    bottom = size[1]
    for sample, height in zip(samples, heights, strict=True):
        bottom -= _TITLE + height
        axes = place(_GAP / 2, bottom, widest, height)
        axes.axis('off')
        axes.imshow(sample.image)
        axes.set_title(sample.title[-28:], fontsize=8, pad=3)
        for number, (title, (name, draw)) in enumerate(columns.items(), 1):
            values = getattr(sample, name)
            if values is not None:
                axes = place(number * _CELL + _GAP / 2, bottom, widest, height)
                axes.axis('off')
                shape = values.shape[::-1]
                image = cv2.resize(sample.image, shape, interpolation=cv2.INTER_AREA)
                draw(axes, image, values, colours)
                axes.set_title(title, fontsize=8, pad=3)
    if columns:
        bar = place(0.3 * size[0], below - 0.25, 0.4 * size[0], 0.12)
        scale = ScalarMappable(Normalize(0, _FULL), _COLOURS)
        figure.colorbar(scale, bar, orientation='horizontal', extend='max')
        bar.tick_params(labelsize=8, pad=2)
        bar.set_xlabel('entropy (nats)', fontsize=8, labelpad=1)
        figure.legend(
            handles=legend,
            loc='lower center',
            ncols=per_line,
            fontsize=8,
            frameon=False,
            borderaxespad=0,
        )
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _colour_table(palette: Sequence[Sequence[int]] | None) -> np.ndarray:
    """At least (256, 3) colours of the labels, which start again where there are more; void is white."""
    known = np.array([] if palette is None else palette, np.uint8).reshape(-1, 3)
    colours = np.random.default_rng(0).integers(0, 256, (max(256, len(known)), 3), np.uint8)
    colours[: len(known)] = known
    colours[_VOID] = 255
    return colours


def _legend(
    samples: Sequence[LabelMapSample], colours: np.ndarray, classes: Sequence[str] | None
) -> list[Patch]:
    """Colours and names of the labels that occur."""
    maps = [values for sample in samples for values in (sample.label, sample.pred)]
    found = sorted(
        {int(label) for values in maps if values is not None for label in np.unique(values)}
    )
    names = {_VOID: 'void', **dict(enumerate(classes or ()))}
    return [
        Patch(
            facecolor=colours[label % len(colours)] / 255,
            edgecolor='grey',
            linewidth=0.5,
            label=names.get(label, str(label)),
        )
        for label in found
    ]


def _draw_classes(axes: Axes, image: np.ndarray, values: np.ndarray, colours: np.ndarray) -> None:
    axes.imshow(cv2.addWeighted(image, 0.4, colours[values.astype(int) % len(colours)], 0.6, 0))


def _draw_entropy(axes: Axes, image: np.ndarray, values: np.ndarray, colours: np.ndarray) -> None:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    axes.imshow(grey, cmap='gray', vmin=0, vmax=255)
    # Certain pixels show the image; a network that has learnt nothing does not hide it either.
    alpha = np.clip(np.sqrt(values / _FULL), 0, 0.8)
    axes.imshow(values, cmap=_COLOURS, vmin=0, vmax=_FULL, alpha=alpha)
