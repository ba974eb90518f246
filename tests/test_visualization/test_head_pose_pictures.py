import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from dldl_mm.codecs import GridLabelCodec
from dldl_mm.visualization import Sample, draw_head_axes, draw_pose_grid, draw_samples

THREE = ('pitch', 'yaw', 'roll')


def make_axes():
    return Figure().subplots()


def test_the_heat_map_sums_over_further_axes():
    codec = GridLabelCodec(
        {'roll': (-20, 20, 20), 'pitch': (-30, 30, 10), 'yaw': (-60, 60, 30)}, sigma=9.0
    )
    dist = codec.encode([5.0, 12.0, -20.0])
    axes = make_axes()
    draw_pose_grid(axes, dist, codec)
    (mesh,) = axes.collections
    expected = dist.reshape(3, 7, 5).sum(0)
    np.testing.assert_allclose(mesh.get_array().filled(np.nan), expected, rtol=1e-5)
    assert axes.get_xlabel() == 'yaw'
    assert axes.xaxis_inverted()  # as in the image, where +yaw turns to the left


def test_places_without_a_label_stay_blank():
    codec = GridLabelCodec(labels='bjut3d', sigma=5.0)
    axes = make_axes()
    draw_pose_grid(axes, codec.encode([40.0, 0.0]), codec, [(np.array([40.0, 0.0]), '+', 'true')])
    mesh, mark = axes.collections
    values = mesh.get_array()
    assert values.shape == (9, 13)
    assert np.ma.count_masked(np.ma.masked_invalid(values)) == 9 * 13 - 93
    np.testing.assert_array_equal(mark.get_offsets(), [[0.0, 40.0]])


def test_one_axis_is_drawn_as_bars():
    codec = GridLabelCodec({'yaw': (-60, 60, 30)}, sigma=20.0)
    axes = make_axes()
    dist = codec.encode([30.0])
    draw_pose_grid(axes, dist, codec, [(np.array([30.0]), 'x', 'predicted')])
    assert [bar.get_height() for bar in axes.patches] == pytest.approx(dist.tolist())


@pytest.mark.parametrize(
    ('pose', 'line', 'direction'),
    [((0, 60, 0), 2, (-1, 0)), ((60, 0, 0), 2, (0, -1)), ((0, 0, 90), 1, (-1, 0))],
)
def test_head_axes_point_where_the_head_does(pose, line, direction):
    axes = make_axes()
    draw_head_axes(axes, (80, 120), np.array(pose), THREE)
    x, y = axes.lines[line].get_data()
    assert (x[0], y[0]) == (59.5, 39.5)
    vector = np.array([x[1] - x[0], y[1] - y[0]])
    np.testing.assert_allclose(vector / np.linalg.norm(vector), direction, atol=1e-6)


def test_samples_with_poses_are_drawn():
    codec = GridLabelCodec(dict.fromkeys(THREE, (-40, 40, 20)), sigma=10.0)
    image = np.full((32, 32, 3), 200, np.uint8)
    value = np.array([5.0, -20.0, 10.0], np.float32)
    dist = codec.encode(value.tolist())
    drawn = draw_samples([Sample(image, dist, dist, value, value + 5)], codec)
    plain = draw_samples([Sample(image, None, None, None, None)], codec)
    assert drawn.shape == plain.shape
    # The head's axes are drawn over the plain image.
    assert (drawn != plain).any(-1).mean() > 0.01
    assert not torch.isnan(dist).any()
