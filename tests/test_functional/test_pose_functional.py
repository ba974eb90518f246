import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dldl_mm.functional import (
    facing_from_rotation,
    geodesic_angle,
    mirror_pose,
    point_distribution,
    pose_error,
    pose_from_rotation,
    product_distribution,
    rotation_from_6d,
    rotation_from_pose,
    wrap,
)


def poses(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    unit = torch.rand(count, 3, dtype=torch.float64, generator=generator) * 2 - 1
    return unit * torch.tensor([90.0, 180.0, 180.0])


def test_wrap_takes_the_shorter_way_round():
    angles = torch.tensor([-350.0, -180.0, 0.0, 179.0, 180.0, 725.0])
    assert wrap(angles).tolist() == [10.0, -180.0, 0.0, 179.0, -180.0, 5.0]
    assert wrap(angles, None) is angles


def test_the_rotation_is_the_composition_of_its_angles():
    pose = poses(200)
    signed = pose.numpy() * [-1, -1, 1]
    expected = Rotation.from_euler('xyz', signed, degrees=True).as_matrix()
    np.testing.assert_allclose(rotation_from_pose(pose).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(
    ('pose', 'nose', 'crown'),
    [
        ((30.0, 0.0, 0.0), (0.0, 0.5, 3**0.5 / 2), (0.0, 3**0.5 / 2, -0.5)),  # up
        ((0.0, 30.0, 0.0), (-0.5, 0.0, 3**0.5 / 2), (0.0, 1.0, 0.0)),  # to the image's left
        ((0.0, 0.0, 90.0), (0.0, 0.0, 1.0), (-1.0, 0.0, 0.0)),  # the crown goes to the left
    ],
)
def test_positive_angles_turn_up_left_and_counter_clockwise(pose, nose, crown):
    rotation = rotation_from_pose(torch.tensor(pose, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(rotation @ [0, 0, 1], nose, atol=1e-12)
    np.testing.assert_allclose(rotation @ [0, 1, 0], crown, atol=1e-12)


def test_turning_the_image_adds_to_the_roll_and_a_mirror_negates_yaw_and_roll():
    pose = poses(50)
    turned = rotation_from_pose(torch.tensor([0.0, 0.0, 25.0])).double() @ rotation_from_pose(pose)
    expected = rotation_from_pose(pose + torch.tensor([0.0, 0.0, 25.0]))
    torch.testing.assert_close(turned, expected, atol=1e-6, rtol=0)
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    flipped = mirror @ rotation_from_pose(pose) @ mirror
    expected = rotation_from_pose(pose * torch.tensor([1.0, -1.0, -1.0]))
    torch.testing.assert_close(flipped, expected)


def test_the_angles_of_a_rotation_give_it_back():
    pose = poses(500)
    torch.testing.assert_close(pose_from_rotation(rotation_from_pose(pose)), pose)
    rotation = torch.from_numpy(Rotation.random(100, random_state=1).as_matrix())
    torch.testing.assert_close(rotation_from_pose(pose_from_rotation(rotation)), rotation)


@pytest.mark.parametrize('yaw', [-90.0, 90.0])
def test_full_profile_has_no_roll_of_its_own(yaw):
    rotation = rotation_from_pose(torch.tensor([20.0, yaw, 35.0], dtype=torch.float64))
    decoded = pose_from_rotation(rotation)
    assert decoded[2] == 0
    assert decoded[1] == pytest.approx(yaw, abs=1e-5)
    torch.testing.assert_close(rotation_from_pose(decoded), rotation)


def test_geodesic_angle_is_scipys_magnitude():
    a, b = Rotation.random(100, random_state=2), Rotation.random(100, random_state=3)
    expected = np.degrees((a * b.inv()).magnitude())
    angle = geodesic_angle(torch.from_numpy(a.as_matrix()), torch.from_numpy(b.as_matrix()))
    np.testing.assert_allclose(angle.numpy(), expected, atol=1e-6)
    small = rotation_from_pose(torch.tensor([0.0, 1e-6, 0.0], dtype=torch.float64))
    assert geodesic_angle(small, torch.eye(3).double()).item() == pytest.approx(1e-6, rel=1e-6)


@pytest.mark.parametrize('degrees', [1e-7, 1.0, 90.0, 179.0, 180.0 - 1e-7])
def test_geodesic_angle_keeps_its_digits_and_its_slope(degrees):
    axis = np.array([0.48, -0.6, 0.64])
    start = Rotation.random(random_state=4).as_matrix()
    angle = torch.tensor(degrees, dtype=torch.float64, requires_grad=True)
    # Rodrigues' formula, so that the angle is a variable.
    cross = torch.from_numpy(np.cross(np.eye(3), axis))
    turn = torch.eye(3).double() + angle.deg2rad().sin() * cross
    turn = turn + (1 - angle.deg2rad().cos()) * cross @ cross
    found = geodesic_angle(turn @ torch.from_numpy(start), torch.from_numpy(start))
    found.backward()
    assert found.item() == pytest.approx(degrees, abs=1e-12)
    assert angle.grad.item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize('pose', [(0.0, 0.0, 0.0), (0.0, 180.0, 0.0), (180.0, 0.0, 0.0)])
def test_geodesic_angle_has_a_finite_gradient_at_both_ends(pose):
    rotation = rotation_from_pose(torch.tensor(pose, dtype=torch.float64)).requires_grad_()
    angle = geodesic_angle(rotation, torch.eye(3).double())
    angle.backward()
    assert angle.item() in (pytest.approx(0), pytest.approx(180))
    assert rotation.grad.isfinite().all()


def test_geodesic_angle_and_gram_schmidt_have_the_right_gradient():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(4, 6, dtype=torch.float64, generator=generator).requires_grad_()
    target = rotation_from_pose(poses(4))
    assert torch.autograd.gradcheck(
        lambda x: geodesic_angle(rotation_from_6d(x), target), (vectors,)
    )


def test_gram_schmidt_is_a_qr_decomposition():
    vectors = torch.randn(50, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    rotation = rotation_from_6d(vectors)
    columns = vectors.reshape(-1, 2, 3).mT.numpy()
    q, r = np.linalg.qr(columns)
    q = q * np.sign(r.diagonal(axis1=1, axis2=2))[:, None]
    np.testing.assert_allclose(rotation[..., :2].numpy(), q, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation.numpy()), 1, atol=1e-12)
    # The columns of a rotation, of any lengths, give it back.
    exact = Rotation.random(20, random_state=5).as_matrix()
    lengths = np.array([3.0, 0.2])
    six = torch.from_numpy((exact[..., :2] * lengths).transpose(0, 2, 1).reshape(20, 6))
    np.testing.assert_allclose(rotation_from_6d(six).numpy(), exact, atol=1e-12)


def test_facing_is_pitch_and_yaw_whatever_the_roll():
    pose = poses(100)
    facing = facing_from_rotation(rotation_from_pose(pose * torch.tensor([1.0, 1.0, 0.0])))
    torch.testing.assert_close(facing, pose[:, :2])
    turned = facing_from_rotation(rotation_from_pose(torch.tensor([20.0, 0.0, 90.0]).double()))
    torch.testing.assert_close(turned, torch.tensor([0.0, 20.0], dtype=torch.float64))


def test_pose_error_wraps_by_a_full_turn_only():
    pred = torch.tensor([[170.0, 90.0], [0.0, 0.0]])
    target = torch.tensor([[-170.0, -90.0], [180.0, 1.0]])
    assert pose_error(pred, target).tolist() == [[20.0, 180.0], [180.0, 1.0]]


def test_unknown_shapes_are_named():
    value, labels = torch.zeros(1, 2), torch.zeros(3)
    with pytest.raises(ValueError, match="unknown shape 'laplace'"):
        product_distribution(value, value, [labels, labels], [None, None], 'laplace')
    with pytest.raises(ValueError, match="unknown shape 'laplace'"):
        point_distribution(value, torch.eye(2), torch.zeros(3, 2), [None, None], 'laplace')


def test_extreme_ratios_of_deviations_stay_finite():
    points = torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0))
    factor = torch.diag(torch.tensor([1e-30, 1e3]))
    dist = point_distribution(torch.tensor([1.0, 0.5]), factor, points, [None, None])
    expected = torch.zeros(3, 3)
    expected[1] = 1 / 3
    torch.testing.assert_close(dist, expected.flatten(), atol=1e-5, rtol=0)


def test_the_mirrored_pose_is_that_of_the_mirrored_rotation():
    pose = torch.tensor([[10.0, 40.0, -25.0], [-60.0, 80.0, 5.0]], dtype=torch.float64)
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    expected = mirror @ rotation_from_pose(pose) @ mirror
    torch.testing.assert_close(
        rotation_from_pose(mirror_pose(pose, ('pitch', 'yaw', 'roll'))), expected
    )
    assert mirror_pose(pose[:, [1, 0]], ('yaw', 'pitch')).tolist() == [[-40, 10], [-80, -60]]
