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
from dldl_mm.functional.multilabel import average_precision, multilabel_distribution
from dldl_mm.functional.neighbourhood import neighbourhood_distribution
from dldl_mm.functional.pose import (
    facing_from_rotation,
    geodesic_angle,
    pose_error,
    pose_from_rotation,
    rotation_from_6d,
    rotation_from_pose,
)
from dldl_mm.functional.scores import (
    calibration_error,
    central_coverage,
    cumulative_score,
    distribution_distances,
    epsilon_error,
    mean_absolute_error,
    mean_absolute_error_by_decade,
    negative_log_likelihood,
)

__all__ = [
    'SHAPES',
    'average_precision',
    'calibration_error',
    'central_coverage',
    'circular_mean',
    'cumulative_score',
    'distribution_distances',
    'empirical_distribution',
    'epsilon_error',
    'expectation',
    'facing_from_rotation',
    'geodesic_angle',
    'interval',
    'kl_divergence',
    'label_distribution',
    'mean_absolute_error',
    'mean_absolute_error_by_decade',
    'mode',
    'multilabel_distribution',
    'negative_log_likelihood',
    'neighbourhood_distribution',
    'point_distribution',
    'pose_error',
    'pose_from_rotation',
    'product_distribution',
    'quantile',
    'reduce_samples',
    'rotation_from_6d',
    'rotation_from_pose',
    'standard_deviation',
    'wrap',
]
