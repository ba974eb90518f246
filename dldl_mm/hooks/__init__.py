"""Hooks: the start-up check of codecs, safe checkpoints, fitted deviations, pictures; mixed precision.

Importing this package also lets ``torch.load`` read mmengine's checkpoints with ``weights_only`` on.
"""

from dldl_mm.hooks.adaptive_sigma import AdaptiveSigmaHook
from dldl_mm.hooks.checkpoint import (
    SafeCheckpointHook,
    WholeCheckpointHook,
    check_checkpoint_file,
    find_resumable_checkpoint,
    require_parameters,
)
from dldl_mm.hooks.codec_check import (
    CodecCheckHook,
    check_same_codec,
    pipeline_encoders,
    share_codec,
)
from dldl_mm.hooks.optim_wrapper import BFloat16OptimWrapper
from dldl_mm.hooks.visualization import LabelDistributionVisualizationHook

__all__ = [
    'AdaptiveSigmaHook',
    'BFloat16OptimWrapper',
    'CodecCheckHook',
    'LabelDistributionVisualizationHook',
    'SafeCheckpointHook',
    'WholeCheckpointHook',
    'check_checkpoint_file',
    'check_same_codec',
    'find_resumable_checkpoint',
    'pipeline_encoders',
    'require_parameters',
    'share_codec',
]
