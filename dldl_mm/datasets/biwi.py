"""BIWI Kinect Head Pose Database."""

import os
from glob import escape, glob
from typing import Any

import numpy as np
import torch

from dldl_mm.datasets.base import relative_name
from dldl_mm.datasets.head_pose import HeadPoseReader
from dldl_mm.functional import pose_from_rotation
from dldl_mm.registry import DATASETS

# From x right, y down, z away from the viewer to x right, y up, z towards the viewer.
_TO_VIEWER = np.diag([1.0, -1.0, -1.0])
# Sequences that show a person again, and the person's first sequence.
_AGAIN = {'15': '03', '18': '05', '21': '02', '22': '07'}


@DATASETS.register_module()
class BIWI(HeadPoseReader):
    """BIWI Kinect: about 15,000 frames of 20 persons in 24 sequences (Fanelli et al., IJCV 2013).

    Expected under ``data_prefix``, as released: ``01`` to ``24`` with ``frame_NNNNN_rgb.png``,
    ``frame_NNNNN_pose.txt`` and ``rgb.cal``.

    The pose file holds the head's 3×3 rotation and, in mm, its centre in the frame of the depth
    camera: x to the image's right, y down, z away from the viewer; the identity looks at the
    camera. The rotation :math:`R` becomes :math:`C R C` with :math:`C = diag(1, -1, -1)`, from
    which the angles are taken (:func:`~dldl_mm.functional.pose_from_rotation`).

    The set has no face boxes. Where ``rgb.cal`` is there, the centre is projected into the colour
    image (its rotation and translation lead from the depth camera to the colour camera) and
    ``face_box`` is the square around it that ``face_size`` fills at the centre's distance.

    ``subject`` is the person's first sequence, because four persons appear in two; ``where`` can
    select by ``sequence``.

    Args:
        data_prefix: The folder of the sequences.
        axes: The angles of ``gt_value``, in this order.
        face_size: Side of the face box in mm.
        **kwargs: See :class:`LabelDistributionDataset`.

    Raises:
        ValueError: for a frame without pose file, or one that is malformed or no rotation.
    """

    def __init__(
        self,
        data_prefix: str = '',
        *,
        axes: tuple[str, ...] = ('pitch', 'yaw'),
        face_size: float = 200.0,
        **kwargs: Any,
    ) -> None:
        if not face_size > 0:
            raise ValueError(f'BIWI: face_size must be greater than 0 mm, got {face_size!r}')
        self.face_size = face_size
        super().__init__('', data_prefix=data_prefix, axes=axes, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the pose of every colour frame; see :class:`LabelDistributionDataset`."""
        root = self.data_prefix['img_path']
        items = []
        for folder in sorted(glob(os.path.join(escape(root), '[0-9][0-9]'))):
            sequence = os.path.basename(folder)
            calibration = _read_calibration(os.path.join(folder, 'rgb.cal'))
            for path in sorted(glob(os.path.join(escape(folder), 'frame_*_rgb.png'))):
                rotation, centre = _read_pose(path[: -len('rgb.png')] + 'pose.txt')
                angles = pose_from_rotation(torch.from_numpy(rotation)).tolist()
                item: dict[str, Any] = {
                    'img_path': path,
                    'gt_value': self.pose_value(dict(zip(self.ANGLES, angles, strict=True))),
                    'subject': _AGAIN.get(sequence, sequence),
                    'metadata': {'sequence': sequence},
                    'source': relative_name(path, root),
                }
                if calibration is not None:
                    item['face_box'] = _project(centre, self.face_size, *calibration)
                    if item['face_box'] is None:
                        raise ValueError(
                            f'{item["source"]}: the centre {centre.tolist()} of the head, in mm, is '
                            'not before the camera'
                        )
                items.append(item)
        return items


def _read_numbers(path: str, text: str) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def _read_pose(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Rotation in the viewer's frame, and centre in the depth camera's."""
    if not os.path.isfile(path):
        raise ValueError(f'{path} does not exist, but its colour frame does')
    with open(path, encoding='utf-8') as file:
        numbers = _read_numbers(path, file.read())
    if len(numbers) != 12:
        raise ValueError(
            f'{path}: a 3x3 rotation and a centre, 12 numbers, are expected, got {len(numbers)}'
        )
    rotation = np.reshape(numbers[:9], (3, 3))
    # The files have six digits.
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) or np.linalg.det(rotation) < 0:
        raise ValueError(f'{path}: {numbers[:9]} is not a rotation')
    return _TO_VIEWER @ rotation @ _TO_VIEWER, np.array(numbers[9:])


def _read_calibration(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Intrinsic matrix, and rotation and translation from the depth to the colour camera."""
    if not os.path.isfile(path):
        return None
    with open(path, encoding='utf-8') as file:
        rows = [_read_numbers(path, line) for line in file if line.strip()]
    # Three rows of intrinsics, one of distortion, three of rotation, translation, image size.
    if [len(row) for row in rows[:3] + rows[4:8]] != [3] * 7:
        raise ValueError(f'{path} is not a camera calibration of the BIWI set')
    return np.array(rows[:3]), np.array(rows[4:7]), np.array(rows[7])


def _project(
    centre: np.ndarray,
    size: float,
    intrinsics: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
) -> list[float] | None:
    """The square in the colour image that is ``size`` wide at the centre's distance.

    None where the centre is not before the camera.
    """
    x, y, z = (intrinsics @ (rotation @ centre + translation)).tolist()
    if z <= 0:
        return None
    half = float(intrinsics[0, 0]) * size / z / 2
    return [x / z - half, y / z - half, x / z + half, y / z + half]
