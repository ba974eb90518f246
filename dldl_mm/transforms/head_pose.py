"""Image transforms that the head's angles and the face box follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from dldl_mm.datasets._images import image_size
from dldl_mm.registry import TRANSFORMS

_AXES = ('pitch', 'yaw', 'roll')


class _HeadPoseTransform(BaseTransform):
    """A transform of ``gt_value``, whose entries are the angles ``axes`` in degrees."""

    def __init__(self, axes: Sequence[str]) -> None:
        name = type(self).__name__
        if isinstance(axes, str) or not axes or len(set(axes)) < len(axes):
            raise ValueError(f'{name}: axes must be distinct names, got {axes!r}')
        if unknown := set(axes) - set(_AXES):
            raise ValueError(
                f'{name}: unknown axis {sorted(unknown)[0]!r}, expected names of {", ".join(_AXES)}'
            )
        self.axes = tuple(axes)

    def _angles(self, results: dict[str, Any]) -> np.ndarray:
        name = type(self).__name__
        if 'gt_score' in results:
            raise ValueError(
                f'{name} must come before EncodeLabelDistribution: the angles are encoded already'
            )
        value = np.array(results['gt_value'], np.float32)
        if value.shape != (len(self.axes),):
            raise ValueError(
                f'{name}: gt_value must hold {len(self.axes)} angles, {", ".join(self.axes)}, '
                f'got shape {value.shape} (set axes to those of the data set)'
            )
        return value


@TRANSFORMS.register_module()
class FlipHeadPose(_HeadPoseTransform):
    """Negate yaw and roll of an image that was flipped horizontally.

    Put it between ``RandomFlip`` and ``EncodeLabelDistribution``. Required keys: ``gt_value`` (A,)
    and ``flip``, with ``flip_direction`` where it is true. Modified key: ``gt_value``. Added key:
    ``pose_flipped``.

    Args:
        axes: What the entries of ``gt_value`` are, of ``'pitch'``, ``'yaw'`` and ``'roll'``.

    Raises:
        ValueError: The image flip does not come before, the angles are encoded already or were
            negated already, or the image was flipped vertically, which no head pose describes.
    """

    def __init__(self, axes: Sequence[str] = ('pitch', 'yaw')) -> None:
        super().__init__(axes)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Negate the angles where ``flip`` is true."""
        order = 'the right order is RandomFlip, FlipHeadPose, EncodeLabelDistribution'
        if 'flip' not in results:
            raise ValueError(f'FlipHeadPose: the image flip must come before it; {order}')
        if 'pose_flipped' in results:
            raise ValueError(f'FlipHeadPose stands twice in the pipeline; {order}')
        value = self._angles(results)
        results['pose_flipped'] = bool(results['flip'])
        if results['flip']:
            if results.get('flip_direction') != 'horizontal':
                raise ValueError(
                    f"FlipHeadPose: only direction='horizontal' has a head pose, got "
                    f'{results.get("flip_direction")!r}'
                )
            value *= [1 if axis == 'pitch' else -1 for axis in self.axes]
        results['gt_value'] = value
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(axes={self.axes})'


@TRANSFORMS.register_module()
class RandomRotateHeadPose(_HeadPoseTransform):
    """Rotate the image in its plane by a random angle and add the angle to the roll.

    A rotation counter-clockwise adds to the roll and leaves pitch and yaw as they are, because the
    roll is the outermost rotation of :func:`~dldl_mm.functional.rotation_from_pose`. Without a
    roll among the axes the labels stay. The centre is that of ``face_box``, which stays a box of
    the face, or else the image's. What lies outside the image is filled with its border pixels.

    Required keys: ``img`` and ``gt_value`` (A,). Modified keys: the same.

    Args:
        max_angle: Largest angle in degrees; it is drawn uniformly from both directions.
        axes: What the entries of ``gt_value`` are, of ``'pitch'``, ``'yaw'`` and ``'roll'``.
        prob: Probability of a rotation.

    Raises:
        ValueError: An option is out of range; the angles are encoded already, or the image was
            flipped and its angles were not.
    """

    def __init__(
        self, max_angle: float, axes: Sequence[str] = ('pitch', 'yaw'), prob: float = 1.0
    ) -> None:
        super().__init__(axes)
        if not 0 < max_angle <= 180:
            raise ValueError(
                f'RandomRotateHeadPose: max_angle must lie in (0, 180] degrees, got {max_angle!r}'
            )
        if not 0 <= prob <= 1:
            raise ValueError(f'RandomRotateHeadPose: prob must lie in [0, 1], got {prob!r}')
        self.max_angle = float(max_angle)
        self.prob = float(prob)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Rotate by an angle drawn with NumPy's global generator."""
        value = self._angles(results)
        if results.get('flip') and 'pose_flipped' not in results:
            raise ValueError(
                'RandomRotateHeadPose: the image was flipped but its angles were not; '
                'put FlipHeadPose right after RandomFlip'
            )
        if np.random.rand() >= self.prob:
            return results
        angle = float(np.random.uniform(-self.max_angle, self.max_angle))
        height, width = results['img'].shape[:2]
        x1, y1, x2, y2 = results.get('face_box', (0, 0, width, height))
        # Box edges are half a pixel off the pixel centres, which OpenCV counts.
        centre = (float(x1 + x2 - 1) / 2, float(y1 + y2 - 1) / 2)
        results['img'] = cv2.warpAffine(
            results['img'],
            cv2.getRotationMatrix2D(centre, angle, 1.0),
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if 'roll' in self.axes:
            roll = self.axes.index('roll')
            value[roll] = (value[roll] + angle + 180) % 360 - 180
        results['gt_value'] = value
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(max_angle={self.max_angle:g}, axes={self.axes}, '
            f'prob={self.prob:g})'
        )


@TRANSFORMS.register_module()
class CropFaceBox(BaseTransform):
    """Crop the face by its box.

    The box is made square, enlarged by a margin and cut out; what lies outside the image is filled
    with its border pixels. It belongs right after the loading, because the box is in pixels of the
    image file.

    Required keys: ``img`` and ``face_box`` (x1, y1, x2, y2) in pixels, the lower right end
    excluded. Modified keys: ``img``, ``img_shape``. Removed key: ``face_box``.

    Args:
        margin: What is added on each side, as a share of the box's side; negative cuts into it.
        size: Width and height of the result in pixels; None leaves the crop as it is.
        jitter: Largest random shift, as a share of the crop's side, and change of its scale; 0 for
            testing.
        shift: Fixed shift to the right and down, as shares of the crop's side, for views at test time.
        square: Take the box's longer side for both; otherwise a ``size`` distorts the face.

    Raises:
        ValueError: An option is out of range; the sample has no box, or one of zero size or outside
            the image; the image was flipped or resized before.
    """

    def __init__(
        self,
        margin: float = 0.2,
        size: int | None = None,
        jitter: float = 0.0,
        square: bool = True,
        shift: Sequence[float] = (0.0, 0.0),
    ) -> None:
        if not -0.5 < margin < math.inf:
            raise ValueError(f'CropFaceBox: margin must be greater than -0.5, got {margin!r}')
        if size is not None and (not isinstance(size, int) or size < 1):
            raise ValueError(f'CropFaceBox: size must be a positive number of pixels, got {size!r}')
        if not 0 <= jitter < 1:
            raise ValueError(f'CropFaceBox: jitter must lie in [0, 1), got {jitter!r}')
        if len(shift) != 2 or not all(map(math.isfinite, shift)):
            raise ValueError(f'CropFaceBox: shift must be two finite numbers, got {shift!r}')
        self.margin = float(margin)
        self.size = size
        self.jitter = float(jitter)
        self.square = bool(square)
        self.shift = (float(shift[0]), float(shift[1]))

    def check_annotation(self, data_info: dict[str, Any]) -> None:
        """Refuse a data set's row without a usable box; data sets call it before training."""
        path = data_info.get('img_path')
        _check_box(data_info, None if path is None else image_size(path))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Cut out the box, jittered with NumPy's global generator."""
        image = results['img']
        height, width = image.shape[:2]
        if results.get('flip') or tuple(results.get('ori_shape', (height, width))[:2]) != (
            height,
            width,
        ):
            raise ValueError(
                'CropFaceBox: the image was flipped or resized before, so that the face box is no '
                'longer in its pixels; put CropFaceBox right after LoadImageFromFile'
            )
        _check_box(results, (width, height))
        x1, y1, x2, y2 = map(float, results.pop('face_box'))
        sides = np.array([x2 - x1, y2 - y1])
        if self.square:
            sides = np.full(2, sides.max())
        sides = sides * (1 + 2 * self.margin)
        centre = np.array([x1 + x2, y1 + y2]) / 2 + np.array(self.shift) * sides
        if self.jitter:
            shift = np.random.uniform(-self.jitter, self.jitter, 2)
            scale = np.random.uniform(1 - self.jitter, 1 + self.jitter)
            centre, sides = centre + shift * sides, sides * scale
        extent = np.maximum(np.rint(sides), 1).astype(int)
        left, top = np.rint(centre - extent / 2).astype(int)
        crop = _cut(image, left, top, extent[0], extent[1])
        if self.size is not None:
            shrinks = self.size < max(extent)
            crop = cv2.resize(
                crop,
                (self.size, self.size),
                interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
            )
        results['img'] = crop
        results['img_shape'] = crop.shape[:2]
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(margin={self.margin:g}, size={self.size}, '
            f'jitter={self.jitter:g}, square={self.square}, shift={self.shift})'
        )


def _check_box(data_info: dict[str, Any], size: tuple[int, int] | None) -> None:
    """Refuse a sample without a box in its image, whose width and height may be unknown."""
    if data_info.get('face_box') is None:
        raise ValueError("the sample has no 'face_box', which CropFaceBox needs")
    box = [float(number) for number in data_info['face_box']]
    if len(box) != 4 or not all(map(math.isfinite, box)):
        raise ValueError(f'the face box must be (x1, y1, x2, y2), finite, got {_text(box)}')
    x1, y1, x2, y2 = box
    if x2 <= x1 or y2 <= y1:
        raise ValueError(f'the face box {_text(box)} (x1, y1, x2, y2) has no area')
    width, height = size or (math.inf, math.inf)
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        extent = f' {data_info.get("img_path", "")} of {width}x{height} pixels' if size else ''
        raise ValueError(
            f'the face box {_text(box)} (x1, y1, x2, y2) lies outside the image{extent}'
        )


def _cut(image: np.ndarray, left: int, top: int, width: int, height: int) -> np.ndarray:
    """A part of an image; where it leaves the image the border pixels are repeated."""
    if min(left, top) >= 0 and left + width <= image.shape[1] and top + height <= image.shape[0]:
        return image[top : top + height, left : left + width]  # many times faster
    columns = np.clip(np.arange(left, left + width), 0, image.shape[1] - 1)
    rows = np.clip(np.arange(top, top + height), 0, image.shape[0] - 1)
    return image[rows[:, None], columns]


def _text(box: Sequence[float]) -> str:
    return f'({", ".join(f"{number:g}" for number in box)})'
