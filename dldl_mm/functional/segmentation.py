"""Scores of label maps: intersection over union, also near boundaries, and calibration."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

__all__ = [
    'boundary_distance',
    'calibration_bins',
    'class_areas',
    'expected_calibration_error',
    'frequency_weighted_iou',
    'intersection_over_union',
]


def class_areas(pred: Tensor, label: Tensor, num_classes: int, valid: Tensor) -> Tensor:
    """Pixels of each class in the intersection, the prediction and the label map.

    Areas of several images add up, so that scores of a whole set follow from their sum.

    Args:
        pred: (...) predicted classes, 0 to C - 1.
        label: (...) true classes, 0 to C - 1 where valid.
        num_classes: C.
        valid: (...) bool, the pixels that count.

    Returns:
        (3, C) int64.

    Example:
        >>> pred, label = torch.tensor([0, 1, 1, 1]), torch.tensor([0, 0, 1, 255])
        >>> class_areas(pred, label, 2, label != 255)
        tensor([[1, 1],
                [1, 2],
                [2, 1]])
    """
    pred, label = pred[valid].long(), label[valid].long()
    groups = (label[pred == label], pred, label)
    return torch.stack([group.bincount(minlength=num_classes) for group in groups])


def intersection_over_union(areas: Tensor) -> Tensor:
    r"""IoU :math:`n_{cc} / (t_c + \sum_k n_{kc} - n_{cc})` of each class.

    Args:
        areas: (..., 3, C) of :func:`class_areas`.

    Returns:
        (..., C) float64; NaN for a class that is neither labelled nor predicted.
    """
    intersection, pred, label = areas.double().unbind(-2)
    return intersection / (pred + label - intersection)


def frequency_weighted_iou(areas: Tensor) -> Tensor:
    r"""Mean IoU weighted by the classes' share of the labelled pixels (Long et al., CVPR 2015).

    .. math:: \Big(\sum_k t_k\Big)^{-1} \sum_c t_c\, \mathrm{IoU}_c

    Args:
        areas: (..., 3, C) of :func:`class_areas`.

    Returns:
        (...) float64; NaN without any labelled pixel.
    """
    label = areas[..., 2, :].double()
    weighted = label * intersection_over_union(areas)
    return weighted.masked_fill(label == 0, 0).sum(-1) / label.sum(-1)


def boundary_distance(label: Tensor) -> Tensor:
    """Euclidean distance of each pixel to the nearest pixel of another label, in pixels.

    The two pixels on both sides of a boundary have distance 1. The image's edge is no boundary; void
    counts as a label of its own. The pixels within a distance w form the trimap band of that width.

    Args:
        label: (H, W) integer label map.

    Returns:
        (H, W) float32 on the CPU; infinite where there is no other label.

    Example:
        >>> boundary_distance(torch.tensor([[0, 0, 0, 1, 1]]))
        tensor([[3., 2., 1., 1., 2.]])
    """
    array = label.cpu().numpy()
    distance = np.full(array.shape, np.inf, np.float32)
    classes = np.unique(array)
    for value in classes if len(classes) > 1 else ():
        region = array == value
        found = cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        distance[region] = found[region]
    return torch.from_numpy(distance)


def calibration_bins(confidence: Tensor, correct: Tensor, num_bins: int = 15) -> Tensor:
    """Number of predictions, summed confidence and number of right ones, by confidence.

    Bins of several images add up.

    Args:
        confidence: (N,) probabilities of the predicted classes.
        correct: (N,) bool, whether the prediction is right.
        num_bins: B equal intervals of (0, 1], closed on the right.

    Returns:
        (3, B) float64.
    """
    confidence = confidence.double()
    index = (confidence * num_bins).ceil().long().sub_(1).clamp_(0, num_bins - 1)
    weights = (torch.ones_like(confidence), confidence, correct.double())
    # Without any prediction, bincount forgets the weights' type.
    return torch.stack([index.bincount(weight, num_bins) for weight in weights]).double()


def expected_calibration_error(bins: Tensor) -> Tensor:
    r"""ECE :math:`= \sum_b \frac{n_b}{N} |\mathrm{acc}_b - \mathrm{conf}_b|` (Guo et al., ICML 2017).

    Args:
        bins: (3, B) of :func:`calibration_bins`.

    Returns:
        A scalar in [0, 1]; 0 is best. NaN without any prediction.
    """
    count, confidence, correct = bins
    return (correct - confidence).abs().sum() / count.sum()
