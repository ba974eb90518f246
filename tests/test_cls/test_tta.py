import copy

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope

import dldl_mm.cls  # noqa: F401
from dldl_mm.registry import MODELS

POSE = dict(type='GridLabelCodec', labels='pointing04', sigma=10.0, decode='expectation')
AGE = dict(type='GaussianLabelCodec', start=1, stop=9, sigma=2.0)
HEADS = dict(
    pose=dict(type='LabelDistributionHead', codec=POSE, in_channels=120),
    regression=dict(type='LabelRegressionHead', codec=POSE, in_channels=120),
    rotation=dict(type='RotationHead', axes=('yaw', 'roll', 'pitch'), in_channels=120),
    age=dict(type='LabelDistributionHead', codec=AGE, in_channels=120),
    softmax=dict(type='LinearClsHead', num_classes=9, in_channels=120),
)
SIGNS = dict(pose=[1, -1], regression=[1, -1], rotation=[-1, -1, 1], age=1)


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def model(name, **wrapper):
    torch.manual_seed(0)
    config = dict(
        type='ImageClassifier',
        backbone=dict(type='LeNet5', num_classes=-1),
        neck=dict(type='GlobalAveragePooling'),
        head=copy.deepcopy(HEADS[name]),
        data_preprocessor=dict(mean=[120.0], std=[60.0]),
    )
    built = MODELS.build(dict(wrapper, module=config) if wrapper else config)
    torch.nn.init.normal_((built.module if wrapper else built).head.fc.weight, std=2.0)
    return built.eval()


def batches(name, flips):
    """A batch of the images as they are, and one of their views."""
    images = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 1), dtype=np.uint8)
    value = [10.0, 20.0, 30.0] if name == 'rotation' else [10.0, 20.0]
    pack = dict(type='PackInputs', algorithm_keys=('gt_value',))
    views = [[dict(type='RandomFlip', prob=float(flip)) for flip in flips], [pack]]
    if name not in ('age', 'softmax'):
        axes = HEADS[name].get('axes', ('pitch', 'yaw'))
        views.insert(1, [dict(type='FlipHeadPose', axes=axes)])
    made = []
    for pipeline in ([pack], [dict(type='TestTimeAug', transforms=views)]):
        transform = Compose(copy.deepcopy(pipeline))
        samples = [
            dict(img=image, img_shape=(32, 32), gt_value=np.array(value, np.float32), sample_idx=i)
            for i, image in enumerate(images)
        ]
        made.append(pseudo_collate([transform(sample) for sample in samples]))
    return made


def mirrored(batch):
    return dict(batch, inputs=[image.flip(-1) for image in batch['inputs']])


def stack(samples, key):
    return torch.stack([sample.get(key).double() for sample in samples])


@pytest.mark.parametrize('name', HEADS)
def test_it_averages_what_the_model_says_of_the_views(name):
    plain, views = batches(name, [False, True])
    single = model(name)
    with torch.no_grad():
        one, other = (single.test_step(copy.deepcopy(b)) for b in (plain, mirrored(plain)))
        averaged = model(name, type='AveragingTTA').test_step(views)
    key = 'pred_value' if name in ('regression', 'rotation') else 'pred_score'
    if name == 'pose':
        # Expectations are linear in the probabilities, so they average as well.
        key = 'pred_value'
    elif name in ('age', 'softmax'):
        expected = (stack(one, key) + stack(other, key)) / 2
        torch.testing.assert_close(stack(averaged, key), expected, atol=1e-6, rtol=1e-5)
        assert [s.pred_label.item() for s in averaged] == expected.argmax(-1).tolist()
        return
    signs = torch.tensor(SIGNS[name])
    one, other = stack(one, key), signs * stack(other, key)
    assert (one - other).abs().max() > 1
    # On the circle: angles may be a turn apart.
    vectors = (torch.exp(1j * angle.deg2rad()) for angle in (one, other, stack(averaged, key)))
    first, second, mean = vectors
    torch.testing.assert_close(mean, (first + second) / (first + second).abs())


def test_the_truth_is_that_of_the_image_itself():
    _, views = batches('pose', [True, False])
    with torch.no_grad():
        averaged = model('pose', type='AveragingTTA').test_step(views)
    assert [s.sample_idx for s in averaged] == [0, 1, 2]
    assert [list(s.gt_value) for s in averaged] == [[10.0, 20.0]] * 3
    _, views = batches('pose', [True])
    with torch.no_grad(), pytest.raises(ValueError, match='one view at least'):
        model('pose', type='AveragingTTA').test_step(views)


def test_angles_are_averaged_the_shorter_way_round():
    averaging = model('rotation', type='AveragingTTA')
    _, views = batches('rotation', [False, False])
    samples = [copy.deepcopy(view) for view in views['data_samples']]
    for view, roll in zip(samples, (170.0, -175.0), strict=True):
        view[0].set_field(torch.tensor([10.0, roll, 0.0]), 'pred_value')
    merged = averaging.merge_preds([[view[0] for view in samples]])
    assert merged[0].pred_value.tolist() == pytest.approx([10.0, 177.5, 0.0])
