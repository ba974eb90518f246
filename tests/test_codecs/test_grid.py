import itertools

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, vonmises

from dldl_mm.codecs import GridLabelCodec
from dldl_mm.codecs.grid import PRESETS
from dldl_mm.functional import grid
from dldl_mm.registry import TASK_UTILS

AFLW = {'pitch': (-90, 90, 3), 'yaw': (-90, 90, 3)}
SMALL = {'pitch': (-30, 30, 10), 'yaw': (-60, 60, 15)}
THREE = {'pitch': (-30, 30, 10), 'yaw': (-60, 60, 15), 'roll': (-20, 20, 5)}
FULL = [[90.0, 25.0], [25.0, 60.0]]


def reference(value, labels, covariance):
    """Density of SciPy at the labels, divided by its sum, in float64."""
    labels = np.asarray(labels, np.float64)
    density = np.stack(
        [multivariate_normal(mean, covariance).logpdf(labels) for mean in np.atleast_2d(value)]
    )
    weight = np.exp(density - density.max(-1, keepdims=True))
    return weight / weight.sum(-1, keepdims=True)


def double(numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def test_the_presets_hold_the_93_poses_of_their_data_sets():
    for name, pitches, yaws, top in (
        ('pointing04', (-60, -30, -15, 0, 15, 30, 60), range(-90, 91, 15), 90),
        ('bjut3d', range(-30, 31, 10), range(-60, 61, 10), 40),
    ):
        labels = GridLabelCodec(labels=name, sigma=15.0).labels.tolist()
        expected = {*itertools.product(pitches, yaws), (-top, 0), (top, 0)}
        assert len(labels) == 93
        assert {tuple(label) for label in labels} == expected
        assert labels == sorted(labels)


@pytest.mark.parametrize(
    ('options', 'covariance'),
    [
        ({'labels': 'pointing04', 'sigma': 15.0}, np.eye(2) * 225),
        ({'labels': 'pointing04', 'sigma': (10.0, 20.0)}, np.diag([100, 400])),
        ({'labels': 'bjut3d', 'sigma': FULL}, FULL),
        ({'axes': SMALL, 'sigma': 7.0}, np.eye(2) * 49),
        ({'axes': SMALL, 'sigma': {'yaw': 9.0, 'pitch': 4.0}}, np.diag([16, 81])),
        ({'axes': SMALL, 'sigma': np.diag([16.0, 81.0])}, np.diag([16, 81])),
        ({'axes': SMALL, 'sigma': FULL}, FULL),
    ],
)
def test_encode_is_the_normal_density_divided_by_its_sum(options, covariance):
    codec = GridLabelCodec(**options)
    value = [(0.0, 0.0), (12.25, -31.5), (-33.0, 60.0)]
    expected = reference(value, codec.labels.double().numpy(), covariance)
    np.testing.assert_allclose(codec.encode(double(value)).numpy(), expected, atol=1e-14)
    single = codec.encode(value)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), expected, atol=2e-6)
    torch.testing.assert_close(single.sum(-1), torch.ones(3))


def test_three_axes_are_in_row_major_order():
    codec = GridLabelCodec(THREE, sigma=(4.0, 9.0, 3.0))
    ranges = [range(-30, 31, 10), range(-60, 61, 15), range(-20, 21, 5)]
    assert codec.labels.tolist() == [list(point) for point in itertools.product(*ranges)]
    value = [(-7.0, 44.0, 13.5)]
    expected = reference(value, codec.labels.numpy(), np.diag([16, 81, 9]))
    np.testing.assert_allclose(codec.encode(double(value)).numpy(), expected, atol=1e-14)


@pytest.mark.parametrize('periodic', [(), ('yaw',)])
def test_the_product_equals_the_list_of_its_points(periodic):
    axes = {'pitch': (-30, 30, 10), 'yaw': (-180, 165, 15)}
    grid = GridLabelCodec(axes, sigma=(8.0, 20.0), periodic=periodic)
    points = GridLabelCodec(
        tuple(axes), labels=grid.labels.tolist(), sigma=(8.0, 20.0), periodic=periodic
    )
    value = double([(3.0, 172.0), (-31.0, -179.0), (20.0, 8.0)])
    dist = grid.encode(value)
    torch.testing.assert_close(points.encode(value), dist, atol=1e-14, rtol=0)
    for rule in ('argmax', 'expectation', 'marginal_argmax'):
        torch.testing.assert_close(points.decode(dist, rule), grid.decode(dist, rule))
    torch.testing.assert_close(points.covariance(dist), grid.covariance(dist))


def test_own_deviations_take_every_form():
    codec = GridLabelCodec(SMALL, sigma=5.0)
    value = double([(3.0, -20.0), (11.0, 7.0)])

    def rows(*sigmas):
        return torch.stack(
            [
                GridLabelCodec(SMALL, sigma=sigma).encode(row)
                for row, sigma in zip(value, sigmas, strict=True)
            ]
        )

    close = torch.testing.assert_close
    close(codec.encode(value, 7.0), rows(7.0, 7.0))
    # As many samples as axes: one number per sample, not one per axis.
    close(codec.encode(value, [4.0, 9.0]), rows(4.0, 9.0))
    close(codec.encode(value, [[4.0, 9.0]]), rows((4.0, 9.0), (4.0, 9.0)))
    close(codec.encode(value, [[4.0, 9.0], [6.0, 3.0]]), rows((4.0, 9.0), (6.0, 3.0)))
    close(
        codec.encode(value, {'yaw': [9.0, 3.0], 'pitch': double([4.0, 6.0])}),
        rows((4.0, 9.0), (6.0, 3.0)),
    )
    close(codec.encode(value, np.stack([FULL, np.eye(2) * 9])), rows(FULL, 3.0))
    close(codec.encode(value[0], FULL), rows(FULL, 3.0)[0])
    close(codec.encode(value[0], (4.0, 9.0)), rows((4.0, 9.0), 3.0)[0])


def test_a_periodic_axis_goes_the_shorter_way_round():
    codec = GridLabelCodec(
        {'pitch': (-30, 30, 10), 'yaw': (-180, 165, 15)}, sigma=20.0, periodic=('yaw',)
    )
    near = codec.marginals(codec.encode(double([0.0, 178.0])))['yaw']
    labels = codec.axis_labels['yaw'].double()
    distance = np.minimum((labels - 178).abs(), 360 - (labels - 178).abs())
    expected = np.exp(-(distance**2) / 800)
    torch.testing.assert_close(near, expected / expected.sum())
    # A turn more is the same angle, and the decoded one lies among the labels.
    values = double([[0.0, 178.0], [0.0, -182.0], [0.0, 538.0]])
    dist = codec.encode(values)
    torch.testing.assert_close(dist, codec.encode(values[:1]).expand_as(dist))
    decoded = codec.decode(dist, 'expectation')
    torch.testing.assert_close(
        decoded, double([[0.0, -182.0]]).expand_as(decoded), atol=1e-3, rtol=0
    )


def test_the_circular_mean_and_deviation_are_those_of_a_von_mises_density():
    codec = GridLabelCodec({'yaw': (-180, 179, 1)}, sigma=1.0, periodic='yaw')
    density = vonmises(8.0, loc=np.radians(160)).pdf(np.radians(codec.labels[:, 0].numpy()))
    dist = torch.from_numpy(density / density.sum())
    assert codec.decode(dist, 'expectation').item() == pytest.approx(160, abs=1e-6)
    angle = np.radians((codec.labels[:, 0].numpy() - 160 + 180) % 360 - 180)
    spread = np.degrees(np.sqrt((density / density.sum() * angle**2).sum()))
    assert codec.std(dist).item() == pytest.approx(spread, rel=1e-6)


@pytest.mark.parametrize('shape', ['gaussian', 'one_hot'])
@pytest.mark.parametrize(
    'options',
    [
        {'axes': SMALL},
        {'labels': 'bjut3d'},
        {'labels': 'bjut3d', 'sigma': [[1e-40, 3e-41], [3e-41, 1e-40]]},
    ],
)
def test_the_limit_of_no_deviation_is_the_nearest_label_with_ties_shared(options, shape):
    codec = GridLabelCodec(**{'sigma': 1e-30, 'shape': shape, **options})
    dist = codec.encode([[10.0, 30.0], [5.0, 30.0], [-35.0, 2.0]])
    assert not dist.isnan().any()
    assert sorted(dist[0].tolist())[-2:] == [0.0, 1.0]
    assert codec.decode(dist[0]).tolist() == [10.0, 30.0]
    assert sorted(dist[1].tolist())[-3:] == [0.0, 0.5, 0.5]
    assert codec.decode(dist[1], 'expectation').tolist() == [5.0, 30.0]


def test_one_hot_needs_no_deviation():
    codec = GridLabelCodec(labels='pointing04', shape='one_hot')
    labels = codec.labels
    torch.testing.assert_close(codec.encode(labels), torch.eye(93))


def test_decoding_rules_differ_as_they_say():
    codec = GridLabelCodec(('a', 'b'), labels=[(0, 0), (0, 1), (1, 0), (2, 2)], sigma=1.0)
    dist = torch.tensor([0.3, 0.1, 0.25, 0.35])
    assert codec.decode(dist, 'argmax').tolist() == [2, 2]
    assert codec.decode(dist, 'marginal_argmax').tolist() == [0, 0]
    assert codec.decode(dist, 'median').tolist() == [1, 0]
    torch.testing.assert_close(codec.decode(dist, 'expectation'), torch.tensor([0.95, 0.8]))
    marginals = codec.marginals(dist)
    torch.testing.assert_close(marginals['a'], torch.tensor([0.4, 0.25, 0.35]))
    torch.testing.assert_close(marginals['b'], torch.tensor([0.55, 0.1, 0.35]))
    expected = torch.from_numpy(np.cov(codec.labels.numpy().T, aweights=dist.numpy(), ddof=0))
    torch.testing.assert_close(codec.covariance(dist).double(), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(codec.std(dist).double(), expected.diagonal().sqrt())


def test_marginals_of_a_grid_sum_the_other_axes():
    codec = GridLabelCodec(THREE, sigma=6.0)
    dist = torch.rand(4, codec.num_labels, generator=torch.Generator().manual_seed(0)).softmax(-1)
    grid = dist.numpy().reshape(4, 7, 9, 9)
    for axis, name in enumerate(THREE):
        others = tuple({1, 2, 3} - {axis + 1})
        np.testing.assert_allclose(codec.marginals(dist)[name], grid.sum(others), rtol=1e-5)
    joint = (dist.unsqueeze(-1) * codec.labels).sum(-2)
    torch.testing.assert_close(codec.decode(dist, 'expectation'), joint)


def test_decode_inverts_encode():
    codec = GridLabelCodec(AFLW, sigma=3.0, decode='expectation')
    value = torch.empty(50, 2, dtype=torch.float64).uniform_(-70, 70)
    torch.testing.assert_close(codec.decode(codec.encode(value)), value, atol=1e-3, rtol=0)
    dist = codec.encode(value)
    torch.testing.assert_close(codec.std(dist), torch.full_like(value, 3.0), atol=1e-3, rtol=0)
    correlated = GridLabelCodec(AFLW, sigma=FULL)
    dist = correlated.encode(value / 3)
    expected = double(FULL).expand(50, 2, 2)
    torch.testing.assert_close(correlated.covariance(dist), expected, atol=0.05, rtol=0)
    points = GridLabelCodec(labels='pointing04', sigma=15.0)
    torch.testing.assert_close(points.decode(points.encode(points.labels)), points.labels)


def test_encode_is_differentiable():
    grid = GridLabelCodec(SMALL, sigma=8.0)
    points = GridLabelCodec(labels='bjut3d', sigma=8.0)
    value = double([(3.0, -20.0)]).requires_grad_()
    for codec in (grid, points):
        assert torch.autograd.gradcheck(codec.encode, value)


def test_low_precision_is_computed_in_float32():
    codec = GridLabelCodec(SMALL, sigma=8.0)
    half = codec.encode(torch.tensor([3.0, -20.0], dtype=torch.float16))
    torch.testing.assert_close(half, codec.encode([3.0, -20.0]))
    assert codec.decode(half.half(), 'expectation').dtype == torch.float32


def test_values_outside_are_refused_or_moved():
    codec = GridLabelCodec(labels='pointing04', sigma=15.0)
    codec.encode([[105.0, -97.5]])
    with pytest.raises(ValueError, match=r'yaw 98 lies outside the label set -90 to 90'):
        codec.encode([[0.0, 0.0], [0.0, 98.0]])
    with pytest.raises(ValueError, match='pitch nan'):
        codec.encode([float('nan'), 0.0])
    clipping = GridLabelCodec(labels='pointing04', sigma=15.0, clip=True)
    torch.testing.assert_close(clipping.encode([200.0, -98.0]), codec.encode([90.0, -90.0]))
    grid = GridLabelCodec(SMALL, sigma=5.0)
    grid.encode([35.0, 67.5])
    with pytest.raises(ValueError, match=r'pitch 35.5 .*accepted: -35 to 35'):
        grid.encode([35.5, 0.0])


def test_annotations():
    codec = GridLabelCodec(SMALL, sigma=5.0)
    expected = codec.encode([3.0, -20.0])
    for value in ([3.0, -20.0], np.array([3.0, -20.0]), {'yaw': -20.0, 'pitch': 3.0}):
        torch.testing.assert_close(codec.encode_annotation({'gt_value': value}), expected)
    own = {'gt_value': [3.0, -20.0], 'gt_sigma': FULL}
    torch.testing.assert_close(codec.encode_annotation(own), codec.encode([3.0, -20.0], FULL))
    for sample, message in (
        ({}, "no 'gt_value'"),
        ({'gt_value': [1.0, 2.0, 3.0]}, 'gt_value must hold 2 numbers'),
        ({'gt_value': 1.0}, 'gt_value must hold 2 numbers'),
        ({'gt_value': {'pitch': 1.0}}, "axis 'yaw' is missing"),
        ({'gt_value': {'pitch': 1.0, 'yaw': 1.0, 'roll': 0.0}}, "unknown axis 'roll'"),
        ({'gt_value': [0.0, 70.0]}, 'yaw 70 lies outside'),
        ({'gt_value': [0.0, float('inf')]}, 'yaw inf lies outside'),
        ({'gt_value': [0.0, 0.0], 'gt_sigma': -1.0}, 'gt_sigma must be finite and greater than 0'),
    ):
        with pytest.raises(ValueError, match=message):
            codec.check_annotation(sample)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'axes': {'pitch': (0, 10, 0)}}, "axis 'pitch': step must be greater than 0"),
        ({'axes': {'pitch': (10, 0, 1)}}, 'stop must be greater than start'),
        ({'axes': {'pitch': (0, 10, 3)}}, 'multiple of step'),
        ({'axes': {'pitch': (0, 10)}}, 'three finite numbers'),
        ({'axes': {'pitch': 10}}, 'three finite numbers'),
        ({'axes': {'pitch': (0, 'ten', 1)}}, 'three finite numbers'),
        ({'axes': 2}, 'distinct names'),
        ({'axes': {'pitch': (0, 10, 1)}, 'labels': 'bjut3d'}, 'labels must be None'),
        ({'axes': ('yaw', 'yaw')}, 'distinct names'),
        (
            {'axes': ('yaw', 'pitch'), 'labels': 'bjut3d'},
            r"points of 'bjut3d' are \('pitch', 'yaw'",
        ),
        ({}, 'either the ranges of a grid'),
        ({'labels': 'biwi'}, "unknown labels 'biwi'"),
        ({'labels': [(0, 0), (0, 1), (0, 0)]}, r'the point \(0.0, 0.0\) twice'),
        ({'labels': [(0, 0), (0, 1, 2)]}, 'must be 2 finite numbers'),
        ({'labels': [(0, 0)]}, 'at least two points'),
        ({'labels': 'bjut3d', 'periodic': ('roll',)}, "periodic names the unknown axis 'roll'"),
        (
            {'axes': {'yaw': (-180, 180, 10)}, 'periodic': ('yaw',)},
            "periodic axis 'yaw' holds labels twice",
        ),
        ({'labels': 'bjut3d', 'decode': 'mean'}, "unknown decoding rule 'mean'"),
        (
            {'labels': 'bjut3d', 'periodic': ('yaw',), 'decode': 'median'},
            "'median' has no meaning on the periodic axis 'yaw'",
        ),
        ({'labels': 'bjut3d', 'shape': 'laplace'}, "unknown shape 'laplace'"),
        ({'labels': 'bjut3d', 'sigma': None}, 'needs sigma'),
        ({'labels': 'bjut3d', 'sigma': 0.0}, 'greater than 0, got 0'),
        ({'labels': 'bjut3d', 'sigma': (1.0, 2.0, 3.0)}, r'got shape \(3,\)'),
        ({'labels': 'bjut3d', 'sigma': {'pitch': 1.0}}, "axis 'yaw' is missing"),
        ({'labels': 'bjut3d', 'sigma': {'pitch': 1.0, 'yaw': 1, 'tilt': 1}}, "unknown axis 'tilt'"),
        ({'labels': 'bjut3d', 'sigma': [[1.0, 1.0], [1.0, 1.0]]}, 'singular'),
        ({'labels': 'bjut3d', 'sigma': [[1.0, 0.5], [0.4, 1.0]]}, 'symmetric'),
        ({'labels': 'bjut3d', 'sigma': [[1.0, 2.0], [2.0, 1.0]]}, 'positive definite'),
        ({'labels': 'bjut3d', 'sigma': [[float('nan'), 0.0], [0.0, 1.0]]}, 'positive definite'),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        GridLabelCodec(**{'sigma': 5.0, **options})


def test_bad_arguments_are_named():
    codec = GridLabelCodec(SMALL, sigma=5.0)
    with pytest.raises(ValueError, match='2 numbers in its last dimension, pitch, yaw'):
        codec.encode(torch.zeros(4, 3))
    with pytest.raises(TypeError, match='value must be real numbers'):
        codec.encode(torch.zeros(2, dtype=torch.complex64))
    with pytest.raises(TypeError, match="sigma must be numbers, got 'wide'"):
        codec.encode([0.0, 0.0], 'wide')
    with pytest.raises(ValueError, match=r'sigma must be a number, one per axis \(N, 2\)'):
        codec.encode(torch.zeros(4, 2), torch.ones(4, 3))
    for sigma, shape in ((torch.ones(3), (4, 2)), (torch.ones(3, 2), (4, 2)), ([1.0] * 3, (1, 2))):
        with pytest.raises(ValueError, match='one for all values or one for each, got shape'):
            codec.encode(torch.zeros(shape), sigma)
    with pytest.raises(TypeError, match='labels must be a list of points, pitch, yaw'):
        GridLabelCodec(labels=[5, 6], sigma=1.0)
    with pytest.raises(ValueError, match='has 5 entries in its last dimension'):
        codec.decode(torch.ones(2, 5))
    with pytest.raises(ValueError, match='unknown decoding rule'):
        codec.decode(torch.ones(2, 63), 'mode')


def test_the_spec_holds_plain_values_that_define_the_codec():
    options = {'axes': SMALL, 'sigma': {'pitch': 4.0, 'yaw': 0.1}, 'periodic': 'yaw'}
    codec = TASK_UTILS.build({'type': 'GridLabelCodec', **options})
    assert codec.spec == {
        'type': 'GridLabelCodec',
        'axes': (('pitch', (-30.0, 30.0, 10.0)), ('yaw', (-60.0, 60.0, 15.0))),
        'labels': None,
        'sigma': (4.0, 0.1),
        'shape': 'gaussian',
        'decode': 'argmax',
        'periodic': ('yaw',),
        'clip': False,
    }
    assert codec == GridLabelCodec(**{**options, 'sigma': (4.0, 0.1)})
    assert codec != GridLabelCodec(**{**options, 'sigma': (4.0, 0.2)})
    assert GridLabelCodec(SMALL, sigma=5) != GridLabelCodec(dict(reversed(SMALL.items())), sigma=5)
    listed = GridLabelCodec(labels=PRESETS['bjut3d'], sigma=5.0)
    assert listed == GridLabelCodec(labels='bjut3d', sigma=5)
    assert 'bjut3d' in repr(listed)


def test_the_axes_of_a_grid_are_encoded_apart(monkeypatch):
    # What makes a large grid cheap: no sample's distance to each of the 3,721 labels is taken.
    codec = GridLabelCodec(AFLW, sigma=3.0)
    widths = []
    original = grid.label_distribution

    def record(value, sigma, labels, shape):
        widths.append(labels.shape[-1])
        return original(value, sigma, labels, shape)

    monkeypatch.setattr(grid, 'label_distribution', record)
    assert codec.encode(torch.zeros(256, 2)).shape == (256, 3721)
    assert widths == [61, 61]


@pytest.mark.parametrize(
    'options',
    [
        dict(labels='pointing04'),
        dict(
            axes=dict(roll=(-30, 30, 10), pitch=(-40, 20, 10), yaw=(-180, 170, 10)), periodic='yaw'
        ),
    ],
)
def test_the_mirror_image_of_a_distribution_is_that_of_the_negated_yaw_and_roll(options):
    codec = GridLabelCodec(sigma=12.0, **options)
    signs = torch.tensor([1.0 if axis == 'pitch' else -1.0 for axis in codec.axes])
    values = torch.tensor([[11.0, 3.0, -176.0], [-17.0, -30.0, 41.0]])[:, -len(codec.axes) :]
    if options.get('labels'):
        values = torch.tensor([[20.0, 40.0], [-60.0, -90.0]])
    dist = codec.encode(values)
    torch.testing.assert_close(codec.mirror(dist), codec.encode(values * signs))
    assert torch.equal(codec.mirror(codec.mirror(dist)), dist)


def test_labels_without_their_mirror_images_are_named():
    codec = GridLabelCodec(dict(yaw=(-90, 60, 30)), sigma=5.0)
    with pytest.raises(ValueError, match=r'mirror image \[90.0\] of a label is no label'):
        codec.mirror(codec.encode([0.0]))
