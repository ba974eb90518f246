"""Data sets annotated with values that become label distributions, and tools to split them."""

from dldl_mm.datasets.age import AgeDataset
from dldl_mm.datasets.base import LabelDistributionDataset
from dldl_mm.datasets.synthetic import SyntheticFaces
from dldl_mm.datasets.utkface import UTKFace

__all__ = ['AgeDataset', 'LabelDistributionDataset', 'SyntheticFaces', 'UTKFace']
