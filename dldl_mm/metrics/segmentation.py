"""Metrics of label maps beside mmsegmentation's ``IoUMetric``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dldl_mm.functional import (
    boundary_distance,
    calibration_bins,
    class_areas,
    expected_calibration_error,
    frequency_weighted_iou,
    intersection_over_union,
)
from dldl_mm.metrics.base import SampleMetric
from dldl_mm.registry import METRICS


class LabelMapMetric(SampleMetric):
    """Base of metrics that sum counts over images.

    A subclass turns one image into counts (:meth:`count`) and the sum of all images' counts into
    scores (:meth:`score`).

    Args:
        ignore_index: Label of void pixels, which are left out.
        collect_device: Kept for mmengine's interface.
        prefix: Prefix of the names.
    """

    default_prefix = 'seg'
    needs_logits = False

    def __init__(
        self, ignore_index: int = 255, collect_device: str = 'cpu', prefix: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.ignore_index = ignore_index

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the counts of a batch."""
        keys = ['gt_sem_seg', 'seg_logits' if self.needs_logits else 'pred_sem_seg']
        for sample in data_samples:
            for key in keys:
                if key not in sample:
                    raise ValueError(f'{type(self).__name__}: the data samples have no {key!r}')
            label, output = (sample[key]['data'] for key in keys)
            label = label.squeeze(0).to(output.device)
            if output.shape[-2:] != label.shape:
                raise ValueError(
                    f'{type(self).__name__}: the prediction of {sample.get("img_path")} has the size '
                    f'{tuple(output.shape[-2:])}, its label map {tuple(label.shape)}; load the label '
                    'map after resizing the image'
                )
            self._check_labels(label, sample.get('img_path'))
            counts = self.count(output, label)
            self.results.append(dict(sample_idx=sample.get('sample_idx'), counts=counts.cpu()))

    def _check_labels(self, label: Tensor, path: str | None) -> None:
        classes = label[label != self.ignore_index]
        for value in classes.aminmax() if classes.numel() else ():
            if not 0 <= value < self.num_classes:
                raise ValueError(
                    f'{type(self).__name__}: label {value} in the label map of {path} is neither a '
                    f'class (0 to {self.num_classes - 1}) nor ignore_index ({self.ignore_index})'
                )

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Scores of the records of :meth:`process`."""
        total = results[0]['counts'].clone()
        for record in results[1:]:
            total += record['counts']
        return self.score(total)

    def count(self, output: Tensor, label: Tensor) -> Tensor:
        """Counts of one image.

        Args:
            output: (1, H, W) predicted classes, or (C, H, W) logits if ``needs_logits``.
            label: (H, W) true classes.
        """
        raise NotImplementedError

    def score(self, counts: Tensor) -> dict[str, float]:
        """Scores of the images' summed counts, from name without prefix to value in percent."""
        raise NotImplementedError

    @property
    def num_classes(self) -> int:
        """C, of the data set."""
        return len((self.dataset_meta or {})['classes'])


@METRICS.register_module()
class FrequencyWeightedIoU(LabelMapMetric):
    """``seg/fwIoU``: IoU weighted by the classes' frequencies, in percent.

    See :func:`~dldl_mm.functional.frequency_weighted_iou`. mmsegmentation's ``IoUMetric`` gives pixel
    accuracy, mean accuracy and mean IoU; this is the fourth of Long et al. (CVPR 2015).

    Args:
        ignore_index: Label of void pixels, which are left out.
        collect_device: Kept for mmengine's interface.
        prefix: Prefix of the names.
    """

    def count(self, output: Tensor, label: Tensor) -> Tensor:
        """(3, C) areas."""
        return class_areas(output[0], label, self.num_classes, label != self.ignore_index)

    def score(self, counts: Tensor) -> dict[str, float]:
        """The weighted mean."""
        return dict(fwIoU=100 * frequency_weighted_iou(counts).item())


@METRICS.register_module()
class TrimapIoU(LabelMapMetric):
    """``seg/mIoU@1px`` ...: mean IoU of the pixels near a boundary of the label map, in percent.

    Only pixels within a distance of a boundary count (the trimap of Kohli et al., IJCV 2009); see
    :func:`~dldl_mm.functional.boundary_distance`. ``seg/mIoU_trimap`` is the mean over the widths.
    Distances are those of the label map as it is evaluated, so usually of the original image.

    Args:
        widths: Distances in pixels.
        ignore_index: Label of void pixels, which are left out; the border of void is a boundary.
        collect_device: Kept for mmengine's interface.
        prefix: Prefix of the names.

    Raises:
        ValueError: There is no width, or one is less than 1.
    """

    def __init__(
        self,
        widths: Sequence[float] = tuple(range(1, 16)),
        ignore_index: int = 255,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(ignore_index, collect_device, prefix)
        if not widths or min(widths) < 1:
            raise ValueError(f'TrimapIoU: widths must be numbers of at least 1, got {widths}')
        self.widths = tuple(sorted(widths))

    def count(self, output: Tensor, label: Tensor) -> Tensor:
        """(B, 3, C) areas within each of the B widths."""
        # Each pixel counts once, in the narrowest band that holds it; wider bands hold it too.
        widths = torch.tensor(self.widths, device=label.device)
        band = torch.bucketize(boundary_distance(label).to(label.device), widths)
        valid = (label != self.ignore_index) & (band < len(widths))
        num_classes = self.num_classes
        offset = band * num_classes
        areas = class_areas(offset + output[0], offset + label, len(widths) * num_classes, valid)
        return areas.view(3, len(widths), num_classes).cumsum(1).transpose(0, 1)

    def score(self, counts: Tensor) -> dict[str, float]:
        """Mean over the classes that occur in a band, for each width."""
        ious = 100 * intersection_over_union(counts).nanmean(-1)
        scores = {
            f'mIoU@{width}px': iou.item() for width, iou in zip(self.widths, ious, strict=True)
        }
        return dict(scores, mIoU_trimap=ious.nanmean().item())


@METRICS.register_module()
class PixelCalibrationError(LabelMapMetric):
    """``seg/ECE``: expected calibration error of the pixels, in percent.

    The predicted class's softmax probability against the share of right predictions; see
    :func:`~dldl_mm.functional.expected_calibration_error`.

    Args:
        num_bins: Number of intervals of confidence.
        ignore_index: Label of void pixels, which are left out.
        collect_device: Kept for mmengine's interface.
        prefix: Prefix of the names.

    Raises:
        ValueError: The number of intervals is less than 1.
    """

    needs_logits = True

    def __init__(
        self,
        num_bins: int = 15,
        ignore_index: int = 255,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(ignore_index, collect_device, prefix)
        if num_bins < 1:
            raise ValueError(f'PixelCalibrationError: num_bins must be at least 1, got {num_bins}')
        self.num_bins = num_bins

    def count(self, output: Tensor, label: Tensor) -> Tensor:
        """(3, B) bins of confidence."""
        if len(output) < 2:
            raise ValueError(
                'PixelCalibrationError: expected logits of at least two classes, got '
                f'{len(output)}; a sigmoid output of one channel has no softmax'
            )
        valid = label != self.ignore_index
        confidence, pred = output.float().softmax(0).max(0)
        return calibration_bins(confidence[valid], (pred == label)[valid], self.num_bins)

    def score(self, counts: Tensor) -> dict[str, float]:
        """The error."""
        return dict(ECE=100 * expected_calibration_error(counts).item())
