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
from torch import Tensor, nn

from dldl_mm.codecs import NeighbourhoodLabelCodec
from dldl_mm.losses import NeighbourhoodKLLoss

# Two classes that are equally likely: the most that a straight boundary's target has.
_FULL = math.log(2)
_COLOURS = 'inferno'


@dataclass
class LabelMapSample:
    """One image with its label map, its prediction and how uncertain both are.

    Attributes:
        image: (H, W, 3) uint8, RGB, of any size.
        label: (H, W) true classes.
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
        sample.label = label.numpy()
        sample.target_entropy = _entropy(codec.encode(label[None])[0])
    if 'seg_logits' in data_sample:
        logits = data_sample.seg_logits.data.detach().float().cpu()
        sample.pred = data_sample.pred_sem_seg.data[0].cpu().numpy()
        sample.pred_entropy = _entropy(logits.softmax(0))
    return sample


def _entropy(dist: Tensor) -> np.ndarray:
    return torch.special.entr(dist).sum(0).numpy()


def draw_label_maps(
    samples: Sequence[LabelMapSample], palette: Sequence[Sequence[int]] | None = None
) -> np.ndarray:
    """Draw one row per image: classes and entropy of the target, then of the prediction.

    Entropies share one scale, whose end (0.69 nats) is that of two equally likely classes; more is
    drawn as that.

    Args:
        samples: What to draw.
        palette: (C, 3) colours of the classes, 0 to 255.

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
    height, width = samples[0].image.shape[:2]
    size = (3.2 * (len(columns) + 1), 3.2 * len(samples) * height / width + 0.7)
    figure = Figure(figsize=size, dpi=100, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    cells = figure.subplots(len(samples), len(columns) + 1, squeeze=False)
    for row, sample in zip(cells, samples, strict=True):
        for axes in row:
            axes.axis('off')
        row[0].imshow(sample.image)
        row[0].set_title(sample.title[-28:], fontsize=8)
        for axes, (title, (name, draw)) in zip(row[1:], columns.items(), strict=True):
            values = getattr(sample, name)
            if values is not None:
                shape = values.shape[::-1]
                image = cv2.resize(sample.image, shape, interpolation=cv2.INTER_AREA)
                draw(axes, image, values, palette)
                axes.set_title(title, fontsize=8)
    if columns:
        figure.colorbar(
            ScalarMappable(Normalize(0, _FULL), _COLOURS),
            ax=cells,
            location='bottom',
            extend='max',
            shrink=0.4,
            aspect=40,
            label='entropy (nats)',
        )
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw_classes(
    axes: Axes, image: np.ndarray, values: np.ndarray, palette: Sequence[Sequence[int]] | None
) -> None:
    colours = np.zeros((256, 3), np.uint8)
    if palette is None:
        palette = np.random.default_rng(0).integers(0, 256, (255, 3)).tolist()
    colours[: len(palette)] = palette
    colours[255] = 255
    axes.imshow(cv2.addWeighted(image, 0.4, colours[values.astype(np.uint8)], 0.6, 0))


def _draw_entropy(
    axes: Axes, image: np.ndarray, values: np.ndarray, palette: Sequence[Sequence[int]] | None
) -> None:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    axes.imshow(grey, cmap='gray', vmin=0, vmax=255)
    # Certain pixels show the image.
    alpha = np.clip(np.sqrt(values / _FULL), 0, 1)
    axes.imshow(values, cmap=_COLOURS, vmin=0, vmax=_FULL, alpha=alpha)
