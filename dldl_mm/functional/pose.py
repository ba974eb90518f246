"""Head rotations and the angles between them, in degrees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dldl_mm.functional.grid import wrap

__all__ = [
    'facing_from_rotation',
    'geodesic_angle',
    'mirror_pose',
    'pose_error',
    'pose_from_rotation',
    'rotation_from_6d',
    'rotation_from_pose',
]


def rotation_from_pose(pose: Tensor) -> Tensor:
    r"""Rotation of a head from its pitch, yaw and roll.

    .. math:: R = R_z(\mathrm{roll})\, R_y(-\mathrm{yaw})\, R_x(-\mathrm{pitch})

    in the frame x to the image's right, y up, z towards the viewer, with the right-handed
    elementary rotations. A head without rotation looks along +z and its nose points to
    :math:`R\,e_z`, so +pitch looks up, +yaw turns to the image's left and +roll is
    counter-clockwise in the image. The roll is the outermost rotation: turning the image by an
    angle adds it to the roll and changes nothing else.

    N samples (any leading shape).

    Args:
        pose: (N, 3) pitch, yaw and roll in degrees. Differentiable.

    Returns:
        (N, 3, 3) rotation matrices.

    Example:
        >>> import torch
        >>> from dldl_mm.functional import rotation_from_pose
        >>> nose = rotation_from_pose(torch.tensor([0.0, 90.0, 0.0]))[:, 2]
        >>> nose.round().tolist() == [-1, 0, 0]  # the image's left
        True
    """
    pose = pose.to(torch.promote_types(pose.dtype, torch.float32))
    # The right-handed angles about x and y turn down and to the image's right.
    angle = pose.deg2rad() * pose.new_tensor([-1.0, -1.0, 1.0])
    (sp, sy, sr), (cp, cy, cr) = angle.sin().unbind(-1), angle.cos().unbind(-1)
    rows = [
        torch.stack([cr * cy, cr * sy * sp - sr * cp, cr * sy * cp + sr * sp], -1),
        torch.stack([sr * cy, sr * sy * sp + cr * cp, sr * sy * cp - cr * sp], -1),
        torch.stack([-sy, cy * sp, cy * cp], -1),
    ]
    return torch.stack(rows, -2)


def pose_from_rotation(rotation: Tensor) -> Tensor:
    """Pitch, yaw and roll of a head's rotation, the inverse of :func:`rotation_from_pose`.

    Args:
        rotation: (N, 3, 3) rotation matrices.

    Returns:
        (N, 3) degrees: pitch in [-90, 90], yaw and roll in [-180, 180]. Of the two triples that
        give one rotation this is the one without a head put over. At a yaw of ±90° only the sum
        or difference of pitch and roll is determined; the roll is 0 or ±180 there.
    """
    rotation = rotation.to(torch.promote_types(rotation.dtype, torch.float32))
    r = [list(row.unbind(-1)) for row in rotation.unbind(-2)]
    profile = torch.hypot(r[0][0], r[1][0]) < 1e-6
    pitch = torch.where(profile, torch.atan2(r[1][2], r[1][1]), torch.atan2(-r[2][1], r[2][2]))
    yaw = torch.atan2(r[2][0], torch.hypot(r[0][0], r[1][0]))
    roll = torch.where(profile, 0, torch.atan2(r[1][0], r[0][0]))
    pose = torch.stack([pitch, yaw, roll], -1).rad2deg()
    other = wrap(pose * pose.new_tensor([1.0, -1.0, 1.0]) + 180.0)
    return torch.where(pose[..., :1].abs() > 90, other, pose)


def mirror_pose(pose: Tensor, axes: Sequence[str]) -> Tensor:
    """Pose of the head in the mirror image: yaw and roll are negated.

    Args:
        pose: (N, A) angles.
        axes: Their names; other names than ``'yaw'`` and ``'roll'`` stay as they are.

    Returns:
        (N, A) angles.
    """
    if not axes:
        return pose
    return pose * pose.new_tensor([-1 if axis in ('yaw', 'roll') else 1 for axis in axes])


def facing_from_rotation(rotation: Tensor) -> Tensor:
    r"""Pitch and yaw of the direction in which a head looks, :math:`R\,e_z`, whatever its roll.

    Of a head without roll they are those of :func:`rotation_from_pose`.

    Args:
        rotation: (N, 3, 3) rotation matrices.

    Returns:
        (N, 2) degrees: pitch in [-90, 90], yaw in [-180, 180]. At a pitch of ±90° the yaw is not
        determined.
    """
    rotation = rotation.to(torch.promote_types(rotation.dtype, torch.float32))
    x, y, z = rotation[..., 2].unbind(-1)
    return torch.stack([torch.atan2(y, torch.hypot(x, z)), torch.atan2(-x, z)], -1).rad2deg()


def rotation_from_6d(vectors: Tensor) -> Tensor:
    r"""Rotation whose first two columns are two vectors, orthonormalised by Gram-Schmidt.

    .. math:: r_1 = \frac{a_1}{\|a_1\|}, \quad
              r_2 = \frac{a_2 - (r_1 \cdot a_2)\, r_1}{\|a_2 - (r_1 \cdot a_2)\, r_1\|}, \quad
              r_3 = r_1 \times r_2

    (Zhou et al., CVPR 2019): six numbers without the jumps that three angles have.

    Args:
        vectors: (N, 6) numbers, :math:`a_1` and :math:`a_2` one after the other. Differentiable.

    Returns:
        (N, 3, 3) rotation matrices, float32, or float64 for float64 vectors.
    """
    first, second = vectors.to(torch.promote_types(vectors.dtype, torch.float32)).chunk(2, -1)
    first = F.normalize(first, dim=-1)
    second = F.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def geodesic_angle(rotation: Tensor, other: Tensor) -> Tensor:
    r"""Angle of the rotation that leads from one rotation to the other.

    .. math:: \theta = \arccos \frac{\mathrm{tr}\, D - 1}{2}, \quad D = R_1 R_2^\top

    computed from both its sine and its cosine,
    :math:`\mathrm{atan2}(\|D - D^\top\|_F / \sqrt 2,\ \mathrm{tr}\, D - 1)`, which keeps its digits
    and has a finite gradient everywhere, also at 0° and 180°, where that of the arc cosine is
    infinite.

    Args:
        rotation: (N, 3, 3) rotation matrices. Differentiable.
        other: (N, 3, 3) rotation matrices. Differentiable.

    Returns:
        (N,) degrees in [0, 180].
    """
    # Not a matrix product, which autocast and TF32 would round.
    difference = (rotation.unsqueeze(-2) * other.unsqueeze(-3)).sum(-1)
    twice_sine = torch.linalg.vector_norm(difference - difference.mT, dim=(-2, -1)) / 2**0.5
    twice_cosine = difference.diagonal(dim1=-2, dim2=-1).sum(-1) - 1
    return torch.atan2(twice_sine, twice_cosine).rad2deg()


def pose_error(pred: Tensor, target: Tensor) -> Tensor:
    """Absolute error of each angle, wrapped by 360° only: opposite directions are 180° apart.

    Args:
        pred: (N, A) angles in degrees.
        target: (N, A) angles in degrees.

    Returns:
        (N, A) errors in [0, 180].
    """
    return wrap(pred - target, 360.0).abs()
