"""Data sets annotated with values that become label distributions, and tools to split them."""

from dldl_mm.datasets.aflw import AFLW
from dldl_mm.datasets.aflw2000 import AFLW2000, Face300WLP
from dldl_mm.datasets.age import AgeDataset
from dldl_mm.datasets.age_benchmark import AgeBenchmark
from dldl_mm.datasets.agedb import AgeDB
from dldl_mm.datasets.base import LabelDistributionDataset
from dldl_mm.datasets.biwi import BIWI
from dldl_mm.datasets.chalearn import ChaLearnAge
from dldl_mm.datasets.fgnet import FGNet
from dldl_mm.datasets.head_pose import HeadPoseDataset
from dldl_mm.datasets.imdb_wiki import IMDBWiki
from dldl_mm.datasets.morph import Morph
from dldl_mm.datasets.pointing04 import BJUT3D, Pointing04
from dldl_mm.datasets.splits import check_disjoint
from dldl_mm.datasets.synthetic import SyntheticFaces
from dldl_mm.datasets.synthetic_scenes import SyntheticScenes
from dldl_mm.datasets.utkface import UTKFace

__all__ = [
    'AFLW',
    'AFLW2000',
    'BIWI',
    'BJUT3D',
    'AgeBenchmark',
    'AgeDB',
    'AgeDataset',
    'ChaLearnAge',
    'FGNet',
    'Face300WLP',
    'HeadPoseDataset',
    'IMDBWiki',
    'LabelDistributionDataset',
    'Morph',
    'Pointing04',
    'SyntheticFaces',
    'SyntheticScenes',
    'UTKFace',
    'check_disjoint',
]
