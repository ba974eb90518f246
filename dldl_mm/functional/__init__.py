"""Pure functions on tensors: label distributions, their divergences, decoding and scores."""

from dldl_mm.functional.decoding import (
    circular_mean,
    expectation,
    interval,
    mode,
    quantile,
    standard_deviation,
)
from dldl_mm.functional.divergence import kl_divergence, reduce_samples
from dldl_mm.functional.encoding import SHAPES, empirical_distribution, label_distribution
from dldl_mm.functional.grid import point_distribution, product_distribution, wrap
from dldl_mm.functional.pose import (
    geodesic_angle,
    pose_error,
    pose_from_rotation,
    rotation_from_pose,
)

__all__ = [
    'SHAPES',
    'circular_mean',
    'empirical_distribution',
    'expectation',
    'geodesic_angle',
    'interval',
    'kl_divergence',
    'label_distribution',
    'mode',
    'point_distribution',
    'pose_error',
    'pose_from_rotation',
    'product_distribution',
    'quantile',
    'reduce_samples',
    'rotation_from_pose',
    'standard_deviation',
    'wrap',
]
