"""Transforms of labels, and of images where the label follows them."""

from dldl_mm.transforms.encode import EncodeLabelDistribution
from dldl_mm.transforms.head_pose import CropFaceBox, FlipHeadPose, RandomRotateHeadPose
from dldl_mm.transforms.keep import KeepInMemory
from dldl_mm.transforms.proposals import LoadProposals

__all__ = [
    'CropFaceBox',
    'EncodeLabelDistribution',
    'FlipHeadPose',
    'KeepInMemory',
    'LoadProposals',
    'RandomRotateHeadPose',
]
