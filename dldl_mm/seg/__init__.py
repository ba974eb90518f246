"""What needs mmsegmentation. Importing it registers everything for semantic segmentation.

It also imports mmsegmentation, beside mmcv and beside mmcv-lite.
"""

from dldl_mm.seg._mmcv_ops import compiled_ops_stand_in

with compiled_ops_stand_in():
    import mmseg.utils

    mmseg.utils.register_all_modules(init_default_scope=False)

import dldl_mm.codecs
import dldl_mm.datasets
import dldl_mm.hooks
import dldl_mm.losses
import dldl_mm.metrics
import dldl_mm.transforms  # noqa: F401
from dldl_mm.seg.fcn_skip_head import FCNSkipHead
from dldl_mm.seg.label_map_check import LabelMapCheckHook
from dldl_mm.seg.label_map_dataset import LabelMapDataset

__all__ = ['FCNSkipHead', 'LabelMapCheckHook', 'LabelMapDataset']
