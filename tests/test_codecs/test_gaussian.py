import math

import numpy as np
import pytest
import torch

from dldl_mm.codecs import GaussianLabelCodec, build_codec
from dldl_mm.registry import TASK_UTILS


def test_label_set_holds_both_ends():
    assert GaussianLabelCodec(1, 85, 1).labels.tolist() == list(range(1, 86))
    quarter = GaussianLabelCodec(0, 1, 0.1, sigma=0.1)
    np.testing.assert_allclose(quarter.labels, np.linspace(0, 1, 11), rtol=1e-6)
    assert quarter.num_labels == 11
    assert quarter.labels[-1] == 1


def test_encode_matches_the_formula_to_the_last_digit():
    codec = GaussianLabelCodec(start=1, stop=85, step=1, sigma=2.0)
    value = np.array([24.7, 1.0, 85.4, 0.5])
    weight = np.exp(-((np.arange(1, 86) - value[:, None]) ** 2) / 8)
    got = codec.encode(torch.from_numpy(value))
    np.testing.assert_allclose(got, weight / weight.sum(1, keepdims=True), rtol=1e-12)


@pytest.mark.parametrize('shape', ['gaussian', 'laplace', 'triangular', 'truncated_gaussian'])
def test_decode_inverts_encode_away_from_the_ends(shape):
    codec = GaussianLabelCodec(sigma=3.0, shape=shape)
    value = torch.linspace(25, 60, 71, dtype=torch.float64)
    dist = codec.encode(value)
    tolerance = 1e-4 if shape == 'gaussian' else 0.2
    torch.testing.assert_close(codec.decode(dist), value, rtol=0, atol=tolerance)
    for rule in ('argmax', 'median'):
        assert (codec.decode(dist, rule) - value).abs().max() <= 0.5
    assert codec.std(dist).mean().item() == pytest.approx(3.0, rel=0.15)


def test_circular_labels():
    codec = GaussianLabelCodec(-180, 165, 15, sigma=20, shape='von_mises')
    value = torch.tensor([-187.4, -180.0, -3.0, 172.4])
    torch.testing.assert_close(codec.decode(codec.encode(value)), value, rtol=0, atol=1e-3)


def test_default_rule_and_interval():
    codec = GaussianLabelCodec(sigma=4.0, decode='median')
    dist = codec.encode(30.0)
    assert codec.decode(dist) == 30
    low, high = codec.interval(dist, 0.9)
    assert (low, high) == (23, 37)  # 30 ± 1.645 · 4, to the next label outside
    assert dist[int(low) - 1 : int(high)].sum() >= 0.9


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.int64])
def test_any_dtype_computes_in_float32(dtype, device):
    codec = GaussianLabelCodec()
    value = torch.tensor([3, 40, 85], dtype=dtype, device=device)
    dist = codec.encode(value, sigma=torch.tensor([1.0, 2.0, 3.0]))
    assert dist.dtype == torch.float32
    assert dist.device.type == device.type
    expected = codec.encode(value.double().cpu(), sigma=torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(dist.cpu(), expected.float())


def test_label_smoothing():
    codec = GaussianLabelCodec(1, 5, shape='one_hot', epsilon=0.1)
    expected = torch.tensor([0.02, 0.02, 0.92, 0.02, 0.02])
    torch.testing.assert_close(codec.encode(3.0), expected)
    votes = GaussianLabelCodec(1, 5, shape='empirical', epsilon=0.1)
    torch.testing.assert_close(votes.encode(3.0, votes=torch.tensor([3.0])), expected)


def test_scalars_sequences_and_shapes():
    codec = GaussianLabelCodec()
    assert codec.encode(24.7).shape == (85,)
    assert codec.encode([24.7, 30]).shape == (2, 85)
    assert codec.encode(24.7, sigma=[1.0, 2.0]).shape == (2, 85)


def test_votes():
    codec = GaussianLabelCodec(shape='empirical')
    dist = codec.encode(21.0, votes=torch.tensor([20.0, 22.0]))
    assert dist[19] == dist[21] == 0.5
    with pytest.raises(ValueError, match='needs votes'):
        codec.encode(21.0)
    with pytest.raises(ValueError, match='vote 99 lies outside'):
        codec.encode(21.0, votes=torch.tensor([20.0, 99.0]))


def test_annotation():
    codec = GaussianLabelCodec()
    annotated = codec.encode_annotation(dict(gt_value=24.7, gt_sigma=4.5))
    torch.testing.assert_close(annotated, codec.encode(24.7, 4.5))
    torch.testing.assert_close(
        codec.encode_annotation(dict(gt_value=24.7)), codec.encode(24.7, 2.0)
    )
    with pytest.raises(ValueError, match="no 'gt_votes'"):
        GaussianLabelCodec(shape='empirical').check_annotation(dict(gt_value=3.0))


@pytest.mark.parametrize('value', [0.49, 85.51, -3, 1e30, math.nan, math.inf])
def test_values_outside_are_refused(value):
    codec = GaussianLabelCodec()
    message = 'lies outside the label set 1 to 85'
    with pytest.raises(ValueError, match=message):
        codec.encode([20.0, value])
    with pytest.raises(ValueError, match=message):
        codec.check_annotation(dict(gt_value=value))


def test_clip_moves_finite_values_only():
    codec = GaussianLabelCodec(clip=True)
    torch.testing.assert_close(codec.encode([-3.0, 120.0]), codec.encode([1.0, 85.0]))
    codec.check_annotation(dict(gt_value=120.0))
    with pytest.raises(ValueError, match='nan'):
        codec.encode(math.nan)


@pytest.mark.parametrize('sigma', [0, -1.0, math.nan, math.inf])
def test_bad_sigma(sigma):
    with pytest.raises(ValueError, match='sigma must be'):
        GaussianLabelCodec(sigma=sigma)
    with pytest.raises(ValueError, match='sigma must be'):
        GaussianLabelCodec().encode([20.0, 30.0], sigma=[1.0, sigma])
    with pytest.raises(ValueError, match='sigma must be'):
        GaussianLabelCodec().check_annotation(dict(gt_value=20.0, gt_sigma=sigma))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(step=0), 'step must be greater than 0, got 0'),
        (dict(step=-1), 'step must be greater than 0, got -1'),
        (dict(start=85, stop=1), 'stop must be greater than start'),
        (dict(start=1, stop=10, step=2), 'stop must be start plus a multiple of step'),
        (dict(start=math.nan), 'start must be a finite number, got nan'),
        (dict(stop='85'), "stop must be a finite number, got '85'"),
        (dict(shape='gauss'), "unknown shape 'gauss', expected one of gaussian"),
        (dict(decode='mean'), "unknown decoding rule 'mean', expected one of expectation"),
        (dict(truncate=0), 'truncate must be'),
        (dict(epsilon=1.0), r'epsilon must be in \[0, 1\), got 1'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        GaussianLabelCodec(**options)


def test_bad_arguments():
    codec = GaussianLabelCodec()
    with pytest.raises(ValueError, match='unknown decoding rule'):
        codec.decode(codec.encode(3.0), 'mean')
    with pytest.raises(TypeError, match='real numbers'):
        codec.encode(torch.tensor(3j))
    with pytest.raises(ValueError, match='label set has 85'):
        codec.decode(torch.ones(2, 84) / 84)


def test_equality_and_registry():
    config = dict(type='GaussianLabelCodec', sigma=3)
    codec = TASK_UTILS.build(config)
    assert codec == GaussianLabelCodec(sigma=3.0) != GaussianLabelCodec(sigma=2.0)
    assert codec == build_codec(config) == build_codec(codec)
    assert eval(repr(codec)) == codec


@pytest.mark.parametrize('step', [0.1, 1 / 12, 1 / 3])
def test_midway_and_the_ends_with_steps_that_are_no_binary_fractions(step):
    codec = GaussianLabelCodec(start=0, stop=60 * step, step=step, sigma=step)
    for k in range(60):
        dist = codec.encode((k + 0.5) * step, sigma=1e-9 * step)
        assert (dist[k], dist[k + 1]) == (0.5, 0.5), k
        assert codec.encode(k * step, sigma=1e-9 * step)[k] == 1
    for end in (-step / 2, 60 * step + step / 2):
        codec.check_annotation({'gt_value': end})
        assert codec.encode(end).sum() == pytest.approx(1)
        assert codec.encode(torch.tensor([end])).shape == (1, 61)
    for beyond in (-step / 2 - 1e-6, 60 * step + step / 2 + 1e-6):
        with pytest.raises(ValueError, match='lies outside the label set'):
            codec.encode(beyond)


def test_the_number_just_beyond_an_end_is_written_out():
    with pytest.raises(ValueError, match=r'value 85\.5000001 lies outside'):
        GaussianLabelCodec().encode(85.5000001)


def test_python_numbers_are_not_rounded_before_they_are_encoded():
    codec = GaussianLabelCodec(sigma=0.02, step=0.01)
    exact = codec.encode(np.float64(84.123))
    assert exact.dtype == torch.float64
    torch.testing.assert_close(codec.encode(84.123), exact.float(), rtol=0, atol=0)


def test_one_sigma_per_value():
    codec = GaussianLabelCodec()
    rows = codec.encode([30.0, 40.0], sigma=np.array([2.0, 3.0]))
    torch.testing.assert_close(rows[1], codec.encode(40.0, sigma=3.0).double(), rtol=0, atol=1e-7)
    with pytest.raises(ValueError, match='sigma must be one number or have the shape of value'):
        codec.encode([30.0, 40.0], sigma=[2, 3, 4])


@pytest.mark.parametrize('value', [None, 'old', [1, 'a'], np.array(['a'])])
def test_what_is_no_number_is_named(value):
    with pytest.raises(TypeError, match='value must be real numbers'):
        GaussianLabelCodec().encode(value)


def test_decode_takes_arrays_and_lists():
    codec = GaussianLabelCodec()
    dist = codec.encode([24.7, 60.0])
    for given in (dist.numpy(), dist.tolist()):
        torch.testing.assert_close(codec.decode(given), codec.decode(dist))
        torch.testing.assert_close(codec.std(given), codec.std(dist))
        torch.testing.assert_close(codec.interval(given), codec.interval(dist))
