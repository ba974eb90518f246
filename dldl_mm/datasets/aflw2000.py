"""300W-LP and AFLW2000-3D: poses of a fitted face model, in MATLAB files."""

import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from dldl_mm.datasets._images import IMAGE_EXTENSIONS
from dldl_mm.datasets.base import relative_name
from dldl_mm.datasets.head_pose import HeadPoseReader
from dldl_mm.functional import pose_from_rotation, rotation_from_pose
from dldl_mm.registry import DATASETS


@DATASETS.register_module()
class AFLW2000(HeadPoseReader):
    """AFLW2000-3D: 2,000 photographs with fitted poses (Zhu et al., CVPR 2016).

    Expected under ``data_prefix``, as released: images with a ``.mat`` file of the same name beside
    each, in any folders. Images without one are left out, and their number is logged.

    ``Pose_Para`` begins with pitch, yaw and roll in radians: +pitch looks up, +yaw turns to the
    image's left, +roll is *clockwise*, and the roll is the *innermost* rotation,
    :math:`R_x R_y R_z`. The rotation is computed and decomposed with the roll outermost
    (:func:`~dldl_mm.functional.pose_from_rotation`). Of a head turned about one axis only, only the
    sign of the roll changes; of others the angles differ, the more the larger they are, so that
    errors are not exactly those of papers that compare ``Pose_Para`` directly.

    ``face_box`` is the bounding box of the landmarks: ``pt3d_68``, or ``pt2d`` where the file has
    no others (points at negative places are marked as missing). The folder goes to ``metadata``.

    Args:
        data_prefix: The folder of the set.
        axes: The angles of ``gt_value``, in this order.
        max_angle: Leave out faces one of whose angles in the file is greater than this, in
            degrees, and log how many; 99 is usual. None keeps all.
        **kwargs: See :class:`LabelDistributionDataset`.

    Raises:
        ValueError: for a ``.mat`` file that is malformed or lacks the pose.
    """

    def __init__(
        self,
        data_prefix: str = '',
        *,
        axes: Sequence[str] = ('pitch', 'yaw'),
        max_angle: float | None = None,
        **kwargs: Any,
    ) -> None:
        if max_angle is not None and not max_angle > 0:
            raise ValueError(
                f'{type(self).__name__}: max_angle must be greater than 0 degrees, got {max_angle}'
            )
        self.max_angle = max_angle
        super().__init__('', data_prefix=data_prefix, axes=axes, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the pose beside every image; see :class:`LabelDistributionDataset`."""
        root = self.data_prefix['img_path']
        items, poses, without, beyond = [], [], 0, 0
        for path in _find_images(root):
            annotation = os.path.splitext(path)[0] + '.mat'
            if not os.path.isfile(annotation):
                without += 1
                continue
            pose, box = _read_mat(annotation)
            if self.max_angle is not None and np.abs(pose).max() > self.max_angle:
                beyond += 1
                continue
            name = relative_name(path, root)
            item: dict[str, Any] = {
                'img_path': path,
                'metadata': {'folder': os.path.dirname(name)},
                'source': name,
                **self.subject_of(name),
            }
            if box is not None:
                item['face_box'] = box
            items.append(item)
            poses.append(pose)
        if without:
            self._log(f'left out {without} images that have no .mat file beside them')
        if beyond:
            self._log(f'left out {beyond} faces with an angle greater than {self.max_angle:g}')
        if items:
            for item, angles in zip(items, _convert(np.array(poses)), strict=True):
                item['gt_value'] = self.pose_value(dict(zip(self.ANGLES, angles, strict=True)))
        return items

    def subject_of(self, name: str) -> dict[str, str]:
        """``subject``, where the file name tells who is shown."""
        return {}


@DATASETS.register_module()
class Face300WLP(AFLW2000):
    """300W-LP: 122,450 images, 61,225 and their mirror images, made by turning the faces of 300-W.

    Layout, convention and arguments are those of :class:`AFLW2000`; the folders are ``AFW``,
    ``AFW_Flip``, ``HELEN`` and so on, by which ``where=dict(folder=[...])`` selects. The file name
    ends in the number of the turn: ``subject`` is what comes before, so that a photograph's images
    and their mirror images stay together in splits by subject.
    """

    def subject_of(self, name: str) -> dict[str, str]:
        """The photograph, and the face in it, that the image was made from."""
        stem = os.path.splitext(os.path.basename(name))[0]
        return {'subject': re.sub(r'_\d+$', '', stem)}


def _find_images(root: str) -> list[str]:
    return sorted(
        os.path.join(place, file)
        for place, _, files in os.walk(root, followlinks=True)
        for file in files
        if file.lower().endswith(IMAGE_EXTENSIONS)
    )


def _read_mat(path: str) -> tuple[np.ndarray, list[float] | None]:
    """Pitch, yaw and roll as the file has them, in degrees, and the landmarks' bounding box."""
    # Imported here, because few data sets need SciPy.
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path, variable_names=['Pose_Para', 'pt3d_68', 'pt2d'])
    except (MatReadError, ValueError, OSError, TypeError) as error:
        raise ValueError(f'{path} is not a MATLAB file: {error}') from None
    if 'Pose_Para' not in content or content['Pose_Para'].size < 3:
        raise ValueError(f"{path} has no 'Pose_Para' with pitch, yaw and roll")
    if content['Pose_Para'].dtype.kind not in 'iuf':
        raise ValueError(f"{path}: 'Pose_Para' must hold numbers, got {content['Pose_Para'].dtype}")
    pose = np.rad2deg(content['Pose_Para'].ravel()[:3].astype(np.float64))
    if not np.isfinite(pose).all():
        raise ValueError(f"{path}: 'Pose_Para' holds {pose.tolist()}, finite angles are expected")
    points = content.get('pt3d_68', content.get('pt2d'))
    if points is None:
        return pose, None
    points = points[:2].astype(np.float64)
    points = points[:, (points >= 0).all(0)]
    if not points.size:
        return pose, None
    return pose, [*points.min(1).tolist(), *points.max(1).tolist()]


def _convert(poses: np.ndarray) -> list[list[float]]:
    """(N, 3) angles of 300W-LP to those with the roll outermost and counter-clockwise."""
    pitch, yaw, roll = torch.from_numpy(poses).unbind(-1)
    zero = torch.zeros_like(pitch)
    single = [(pitch, zero, zero), (zero, yaw, zero), (zero, zero, -roll)]
    x, y, z = (rotation_from_pose(torch.stack(angles, -1)) for angles in single)
    return pose_from_rotation(x @ y @ z).tolist()
