"""Metrics for mmengine's evaluator."""

from dldl_mm.metrics.age import AgeMetric
from dldl_mm.metrics.base import SampleMetric
from dldl_mm.metrics.dump import DumpPredictions
from dldl_mm.metrics.head_pose import HeadPoseMetric
from dldl_mm.metrics.label_distribution import LabelDistributionMetric
from dldl_mm.metrics.segmentation import (
    FrequencyWeightedIoU,
    PixelCalibrationError,
    TrimapIoU,
)
from dldl_mm.metrics.voc import VOCMeanAveragePrecision

__all__ = [
    'AgeMetric',
    'DumpPredictions',
    'FrequencyWeightedIoU',
    'HeadPoseMetric',
    'LabelDistributionMetric',
    'PixelCalibrationError',
    'SampleMetric',
    'TrimapIoU',
    'VOCMeanAveragePrecision',
]
