"""Data sets annotated with values that become label distributions, and tools to split them."""

from dldl_mm.datasets.age import AgeDataset
from dldl_mm.datasets.age_benchmark import AgeBenchmark
from dldl_mm.datasets.agedb import AgeDB
from dldl_mm.datasets.base import LabelDistributionDataset
from dldl_mm.datasets.chalearn import ChaLearnAge
from dldl_mm.datasets.fgnet import FGNet
from dldl_mm.datasets.imdb_wiki import IMDBWiki
from dldl_mm.datasets.morph import Morph
from dldl_mm.datasets.splits import check_disjoint
from dldl_mm.datasets.synthetic import SyntheticFaces
from dldl_mm.datasets.synthetic_scenes import SyntheticScenes
from dldl_mm.datasets.utkface import UTKFace

__all__ = [
    'AgeBenchmark',
    'AgeDB',
    'AgeDataset',
    'ChaLearnAge',
    'FGNet',
    'IMDBWiki',
    'LabelDistributionDataset',
    'Morph',
    'SyntheticFaces',
    'SyntheticScenes',
    'UTKFace',
    'check_disjoint',
]
