"""Pictures of distributions over images."""

from dldl_mm.visualization.draw import (
    Sample,
    draw_bars,
    draw_boxes,
    draw_curves,
    draw_samples,
    to_sample,
)
from dldl_mm.visualization.head_pose import draw_head_axes, draw_pose_grid

__all__ = [
    'Sample',
    'draw_bars',
    'draw_boxes',
    'draw_curves',
    'draw_head_axes',
    'draw_pose_grid',
    'draw_samples',
    'to_sample',
]
