"""Losses between a label distribution and a network's logits."""

from dldl_mm.losses.adaptive import AdaptiveSigmaKLLoss
from dldl_mm.losses.base import LabelDistributionLoss
from dldl_mm.losses.distance import LabelDistributionDistanceLoss
from dldl_mm.losses.expectation import ExpectationLoss
from dldl_mm.losses.kl import LabelDistributionKLLoss
from dldl_mm.losses.neighbourhood import NeighbourhoodKLLoss
from dldl_mm.losses.penalties import ConcentrationLoss, RankLoss, ResidueLoss, VarianceLoss
from dldl_mm.losses.pixel import LabelRelaxationLoss, PixelFocalLoss, PixelLabelSmoothingLoss

__all__ = [
    'AdaptiveSigmaKLLoss',
    'ConcentrationLoss',
    'ExpectationLoss',
    'LabelDistributionDistanceLoss',
    'LabelDistributionKLLoss',
    'LabelDistributionLoss',
    'LabelRelaxationLoss',
    'NeighbourhoodKLLoss',
    'PixelFocalLoss',
    'PixelLabelSmoothingLoss',
    'RankLoss',
    'ResidueLoss',
    'VarianceLoss',
]
