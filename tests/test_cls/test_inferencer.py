import math

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.apis import get_model

from dldl_mm.cls import LabelDistributionInferencer
from dldl_mm.codecs import GaussianLabelCodec, GridLabelCodec

AGE = dict(type='GaussianLabelCodec', start=1, stop=85, sigma=2.0)
POSE = dict(type='GridLabelCodec', axes=dict(pitch=(-30, 30, 10), yaw=(-90, 90, 10)), sigma=10.0)


def config(codec, *steps):
    return Config(
        dict(
            model=dict(
                type='ImageClassifier',
                data_preprocessor=dict(mean=[127.5] * 3, std=[60.0] * 3, to_rgb=True),
                backbone=dict(
                    type='ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=(3,)
                ),
                neck=dict(type='GlobalAveragePooling'),
                head=dict(type='LabelDistributionHead', codec=codec, in_channels=64),
            ),
            test_dataloader=dict(
                dataset=dict(
                    type='AgeDataset',
                    pipeline=[
                        dict(type='LoadImageFromFile'),
                        *steps,
                        dict(type='Resize', scale=(32, 32)),
                        dict(type='EncodeLabelDistribution', codec=codec),
                        dict(type='PackInputs', algorithm_keys=('gt_value',)),
                    ],
                )
            ),
        )
    )


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'faces'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in 'abc':
        cv2.imwrite(str(folder / f'{name}.png'), rng.integers(0, 256, (40, 50, 3), np.uint8))
    (folder / 'notes.txt').write_text('not an image')
    return folder


def test_predicts_what_the_model_computes(images, tmp_path):
    cfg = config(AGE)
    model = get_model(cfg, device='cpu')
    checkpoint = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
    inferencer = LabelDistributionInferencer(cfg, str(checkpoint), device='cpu')
    results = inferencer(str(images), batch_size=2, show_dir=tmp_path / 'shown')

    model.eval()
    codec = GaussianLabelCodec(**{k: v for k, v in AGE.items() if k != 'type'})
    for result, name in zip(results, 'abc', strict=True):
        image = cv2.resize(cv2.imread(str(images / f'{name}.png')), (32, 32))
        inputs = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            scores = model((inputs - 127.5) / 60, mode='tensor').softmax(1)
        assert result['img_path'].endswith(f'{name}.png')
        np.testing.assert_allclose(result['pred_score'], scores[0], atol=1e-6)
        assert result['pred_value'] == pytest.approx(codec.decode(scores).item(), rel=1e-5)
        assert result['pred_interval'] == codec.interval(scores)[0].tolist()
        low, high = result['pred_interval']
        assert low <= result['pred_value'] <= high
        shown = cv2.imread(str(tmp_path / 'shown' / f'{"abc".index(name):04d}_{name}.png'))
        assert shown.std() > 10


def test_face_box(images):
    crop = dict(type='CropFaceBox', margin=0.0, size=32)
    inferencer = LabelDistributionInferencer(config(POSE, crop), False, device='cpu')
    image = cv2.imread(str(images / 'a.png'))
    boxed, cut, whole = inferencer(
        [dict(img=image, face_box=(5, 5, 35, 35)), image[5:35, 5:35], image]
    )
    assert boxed['pred_score'] == pytest.approx(cut['pred_score'], abs=1e-6)
    assert boxed['pred_score'] != pytest.approx(whole['pred_score'], abs=1e-6)
    scores = torch.tensor([whole['pred_score']])
    pose = GridLabelCodec(**{k: v for k, v in POSE.items() if k != 'type'}).decode(scores)[0]
    assert whole['pred_value'] == pytest.approx(pose.tolist(), abs=1e-4)
    assert math.isclose(sum(whole['pred_score']), 1, rel_tol=1e-5)


def test_what_cannot_be_read_is_named(images, tmp_path):
    inferencer = LabelDistributionInferencer(config(AGE), False, device='cpu')
    (tmp_path / 'empty').mkdir()
    for given, message in (
        (str(images / 'nothing.png'), 'there is no image .*nothing.png'),
        (str(images / 'notes.txt'), 'notes.txt is not an image'),
        (str(tmp_path / 'empty'), 'there is no image in .*empty'),
    ):
        with pytest.raises(ValueError, match=message):
            inferencer(given)
