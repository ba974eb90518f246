"""Pictures of head poses: the distribution over the grid, and the head's axes over the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from dldl_mm.codecs import GridLabelCodec
from dldl_mm.functional import rotation_from_pose

_AXES = ('pitch', 'yaw', 'roll')
# The head's right-hand side in the image, its crown and its nose.
_COLOURS = ('#d1495b', '#3a9d5d', '#3b6fb6')


def draw_pose_grid(
    axes: Axes,
    distribution: Tensor,
    codec: GridLabelCodec,
    marks: Sequence[tuple[np.ndarray | None, str, str]] = (),
) -> None:
    """Draw a distribution over poses as a heat map, yaw to the left as in the image and pitch up.

    Further axes are summed over. A codec without pitch or yaw is drawn over its first axes.

    Args:
        axes: Where to draw.
        distribution: (K,) distribution.
        codec: Its codec.
        marks: Poses to mark, each with matplotlib's marker and a name: the truth, the prediction.
    """
    names = ('yaw', 'pitch') if {'yaw', 'pitch'} <= set(codec.axes) else codec.axes[:2]
    columns = [codec.axes.index(name) for name in names]
    ticks, cells = zip(
        *(codec.labels[:, c].unique(return_inverse=True) for c in columns), strict=True
    )
    heat = torch.full([len(tick) for tick in ticks], torch.nan)
    heat[cells] = 0.0  # a place without a label stays blank
    heat.index_put_(cells, distribution.detach().float().cpu(), accumulate=True)
    if len(columns) == 1:
        axes.bar(ticks[0], heat, width=float(ticks[0].diff().min()), color=_COLOURS[2], alpha=0.4)
    else:
        axes.pcolormesh(*ticks, heat.T, shading='nearest', cmap='Blues')
    for pose, marker, name in marks:
        if pose is not None:
            x, y = [pose[c] for c in columns] if len(columns) > 1 else [pose[columns[0]], 0.0]
            axes.scatter(x, y, marker=marker, s=28, c=_COLOURS[0], linewidths=1.2, label=name)
    if names[0] == 'yaw':
        axes.invert_xaxis()
    axes.set_xlabel(names[0], fontsize=6, labelpad=1)
    axes.set_ylabel(names[-1] if len(names) > 1 else '', fontsize=6, labelpad=1)
    axes.tick_params(labelsize=6)


def draw_head_axes(
    axes: Axes, size: tuple[int, int], pose: np.ndarray, names: Sequence[str], style: str = '-'
) -> None:
    """Draw a head's axes from the middle of an image: its side red, its crown green, its nose blue.

    Args:
        axes: Where the image is drawn, in pixels.
        size: Height and width of the image.
        pose: (A,) angles in degrees.
        names: Their names; a missing one counts as 0.
        style: Matplotlib's line style.
    """
    angles = dict(zip(names, np.asarray(pose, np.float64).tolist(), strict=True))
    rotation = rotation_from_pose(torch.tensor([angles.get(name, 0.0) for name in _AXES]))
    height, width = size
    x, y, length = (width - 1) / 2, (height - 1) / 2, 0.35 * min(height, width)
    for (right, up, _), colour in zip(rotation.T.tolist(), _COLOURS, strict=True):
        ends = [x, x + length * right], [y, y - length * up]
        axes.plot(*ends, color=colour, linestyle=style, linewidth=1.8, solid_capstyle='round')
