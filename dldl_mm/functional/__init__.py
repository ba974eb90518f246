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

__all__ = [
    'SHAPES',
    'circular_mean',
    'empirical_distribution',
    'expectation',
    'interval',
    'kl_divergence',
    'label_distribution',
    'mode',
    'quantile',
    'reduce_samples',
    'standard_deviation',
]
