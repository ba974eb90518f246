"""Data sets annotated with values that become label distributions, and tools to split them."""

from dldl_mm.datasets.aflw import AFLW
from dldl_mm.datasets.aflw2000 import AFLW2000, Face300WLP
from dldl_mm.datasets.age import AgeDataset
from dldl_mm.datasets.base import LabelDistributionDataset
from dldl_mm.datasets.biwi import BIWI
from dldl_mm.datasets.head_pose import HeadPoseDataset
from dldl_mm.datasets.pointing04 import BJUT3D, Pointing04
from dldl_mm.datasets.utkface import UTKFace

__all__ = [
    'AFLW',
    'AFLW2000',
    'BIWI',
    'BJUT3D',
    'AgeDataset',
    'Face300WLP',
    'HeadPoseDataset',
    'LabelDistributionDataset',
    'Pointing04',
    'UTKFace',
]
