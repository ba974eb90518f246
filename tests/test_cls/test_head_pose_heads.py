import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample
from scipy.spatial.transform import Rotation
from scipy.special import log_softmax, softmax

import dldl_mm.cls  # noqa: F401
from dldl_mm.registry import MODELS

AXES = dict(pitch=(-99, 99, 3), yaw=(-99, 99, 3))
POSES = [[12.0, -31.0], [0.0, 90.0], [-60.2, 7.4]]


def samples(values):
    batch = []
    for value in values:
        sample = DataSample()
        sample.set_field(torch.tensor(value), 'gt_value')
        batch.append(sample)
    return batch


def build(**config):
    head = MODELS.build(dict(in_channels=8, **config))
    generator = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(head.fc.weight, generator=generator)
    return head, (torch.randn(3, 8, generator=generator),)


def predicted(head, feats, batch=None):
    return np.array([sample.pred_value.tolist() for sample in head.predict(feats, batch)])


def test_hopenet_is_classification_and_regression_of_each_angle():
    head, feats = build(type='HopenetHead', axes=AXES, alpha=0.5)
    labels = np.arange(-99, 100, 3.0)
    logits = head(feats).detach().double().numpy().reshape(3, 2, len(labels))
    truth = np.array(POSES)
    nearest = np.abs(labels - truth[..., None]).argmin(-1)
    picked = np.take_along_axis(log_softmax(logits, -1), nearest[..., None], -1)
    expectation = softmax(logits, -1) @ labels
    loss = head.loss(feats, samples(POSES))
    assert set(loss) == {'loss_ce', 'loss_expectation'}
    assert loss['loss_ce'].item() == pytest.approx(-picked.sum() / 3, rel=1e-5)
    squared = ((expectation - truth) ** 2).sum(-1).mean()
    assert loss['loss_expectation'].item() == pytest.approx(0.5 * squared, rel=1e-5)
    np.testing.assert_allclose(predicted(head, feats), expectation, atol=1e-4)


@pytest.mark.parametrize('axes', [('pitch', 'yaw'), ('roll', 'yaw', 'pitch')])
def test_rotation_head_minimises_the_angle_between_rotations(axes):
    head, feats = build(type='RotationHead', axes=axes)
    poses = [dict(pitch=12.0, yaw=-31.0, roll=4.0), dict(pitch=-30.0, yaw=75.0, roll=-50.0)]
    poses.append(dict(pitch=0.0, yaw=0.0, roll=0.0))
    batch = samples([[pose[axis] for axis in axes] for pose in poses])
    # Pitch up and yaw to the left are left-handed about x and y; the last turn is the roll.
    signed = [[-p['pitch'], -p['yaw'], p['roll'] * ('roll' in axes)] for p in poses]
    truth = Rotation.from_euler('xyz', signed, degrees=True)
    frontal = np.array([1, 0, 0, 0, 1, 0])
    six = frontal + head(feats).detach().double().numpy()
    x, y = six[:, :3], six[:, 3:]
    x = x / np.linalg.norm(x, axis=-1, keepdims=True)
    y = y - (x * y).sum(-1, keepdims=True) * x
    y = y / np.linalg.norm(y, axis=-1, keepdims=True)
    rotation = Rotation.from_matrix(np.stack([x, y, np.cross(x, y)], -1))
    expected = (rotation * truth.inv()).magnitude().mean()
    assert head.loss(feats, batch)['loss'].item() == pytest.approx(expected, rel=1e-5)

    values = dict(zip(axes, predicted(head, feats, batch).T, strict=True))
    if 'roll' in axes:
        signed = np.stack([-values['pitch'], -values['yaw'], values['roll']], -1)
        found = Rotation.from_euler('xyz', signed, degrees=True)
        np.testing.assert_allclose(found.as_matrix(), rotation.as_matrix(), atol=1e-5)
    else:
        signed = np.stack([-values['pitch'], -values['yaw']], -1)
        found = Rotation.from_euler('xy', signed, degrees=True)
        nose = [0, 0, 1]
        np.testing.assert_allclose(found.apply(nose), rotation.apply(nose), atol=1e-5)


def test_training_turns_a_head_towards_its_target():
    head, feats = build(type='RotationHead', axes=('pitch', 'yaw', 'roll'))
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    assert predicted(head, feats).tolist() == [[0, 0, 0]] * 3
    batch = samples([[12.0, -31.0, 4.0], [-30.0, 75.0, -50.0], [0.0, 0.0, 0.0]])
    optimizer = torch.optim.SGD(head.parameters(), 0.1)
    losses = []
    for _ in range(20):
        loss = head.loss(feats, batch)['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_bad_options_and_values():
    for axes in ({}, ('pitch', 'yaw'), dict(pitch=(-90, 90))):
        with pytest.raises(ValueError, match='HopenetHead: axes must be dict'):
            build(type='HopenetHead', axes=axes)
    with pytest.raises(ValueError, match='alpha must not be negative, got -1'):
        build(type='HopenetHead', axes=AXES, alpha=-1)
    for axes in ('pitch', ('pitch', 'roll'), ('pitch', 'yaw', 'yaw')):
        with pytest.raises(ValueError, match='RotationHead: axes must be'):
            build(type='RotationHead', axes=axes)
    head, feats = build(type='HopenetHead', axes=AXES)
    with pytest.raises(ValueError, match='101 lies outside'):
        head.loss(feats, samples([[0.0, 101.0]] * 3))
    with pytest.raises(ValueError, match='gt_value must hold 2 angles, pitch, yaw, got shape'):
        head.loss(feats, samples([[0.0, 10.0, 0.0]] * 3))
