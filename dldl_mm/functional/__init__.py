"""Pure functions on tensors: label distributions, their divergences, decoding and scores."""

from dldl_mm.functional.decoding import (
    circular_mean,
    expectation,
    interval,
    mode,
    quantile,
    standard_deviation,
    variance,
)
from dldl_mm.functional.divergence import (
    js_divergence,
    kl_divergence,
    reduce_samples,
    squared_emd,
    squared_hellinger,
    squared_l2,
)
from dldl_mm.functional.encoding import (
    SHAPES,
    empirical_distribution,
    label_distribution,
    mix_uniform,
)
from dldl_mm.functional.grid import point_distribution, product_distribution, wrap
from dldl_mm.functional.multilabel import average_precision, multilabel_distribution
from dldl_mm.functional.neighbourhood import label_relaxation, neighbourhood_distribution
from dldl_mm.functional.ordinal import (
    conditional_distribution,
    conditional_loss,
    cumulative_distribution,
    cumulative_loss,
    exceedance,
)
from dldl_mm.functional.penalties import concentration, rank_violation, residue_entropy
from dldl_mm.functional.pose import (
    facing_from_rotation,
    geodesic_angle,
    mirror_pose,
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
from dldl_mm.functional.segmentation import (
    boundary_distance,
    calibration_bins,
    class_areas,
    expected_calibration_error,
    frequency_weighted_iou,
    intersection_over_union,
)

__all__ = [
    'SHAPES',
    'average_precision',
    'boundary_distance',
    'calibration_bins',
    'calibration_error',
    'central_coverage',
    'circular_mean',
    'class_areas',
    'concentration',
    'conditional_distribution',
    'conditional_loss',
    'cumulative_distribution',
    'cumulative_loss',
    'cumulative_score',
    'distribution_distances',
    'empirical_distribution',
    'epsilon_error',
    'exceedance',
    'expectation',
    'expected_calibration_error',
    'facing_from_rotation',
    'frequency_weighted_iou',
    'geodesic_angle',
    'intersection_over_union',
    'interval',
    'js_divergence',
    'kl_divergence',
    'label_distribution',
    'label_relaxation',
    'mean_absolute_error',
    'mean_absolute_error_by_decade',
    'mirror_pose',
    'mix_uniform',
    'mode',
    'multilabel_distribution',
    'negative_log_likelihood',
    'neighbourhood_distribution',
    'point_distribution',
    'pose_error',
    'pose_from_rotation',
    'product_distribution',
    'quantile',
    'rank_violation',
    'reduce_samples',
    'residue_entropy',
    'rotation_from_6d',
    'rotation_from_pose',
    'squared_emd',
    'squared_hellinger',
    'squared_l2',
    'standard_deviation',
    'variance',
    'wrap',
]
