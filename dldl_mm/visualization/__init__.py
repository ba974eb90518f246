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
from dldl_mm.visualization.segmentation import (
    LabelMapSample,
    decode_head_codec,
    draw_label_maps,
    to_label_map_sample,
)

__all__ = [
    'LabelMapSample',
    'Sample',
    'decode_head_codec',
    'draw_bars',
    'draw_boxes',
    'draw_curves',
    'draw_head_axes',
    'draw_label_maps',
    'draw_pose_grid',
    'draw_samples',
    'to_label_map_sample',
    'to_sample',
]
