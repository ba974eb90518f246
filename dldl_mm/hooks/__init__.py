"""Hooks: the start-up check of codecs and safe checkpoints.

Importing this package also lets ``torch.load`` read mmengine's checkpoints with ``weights_only`` on.
"""

from dldl_mm.hooks.channels_last import ChannelsLastHook
from dldl_mm.hooks.checkpoint import SafeCheckpointHook, find_resumable_checkpoint
from dldl_mm.hooks.codec_check import CodecCheckHook, check_same_codec, pipeline_codecs
from dldl_mm.hooks.visualization import LabelDistributionVisualizationHook

__all__ = [
    'ChannelsLastHook',
    'CodecCheckHook',
    'LabelDistributionVisualizationHook',
    'SafeCheckpointHook',
    'check_same_codec',
    'find_resumable_checkpoint',
    'pipeline_codecs',
]
