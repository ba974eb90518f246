import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample
from scipy.special import rel_entr, softmax

import dldl_mm.cls  # noqa: F401
from dldl_mm.codecs import GaussianLabelCodec
from dldl_mm.registry import MODELS

CODEC = dict(type='GaussianLabelCodec', start=1, stop=85, step=1, sigma=3.0)


def head_config(**kwargs):
    return dict(type='LabelDistributionHead', codec=CODEC, in_channels=8, **kwargs)


def samples(values, codec=CODEC):
    codec = GaussianLabelCodec(**{k: v for k, v in codec.items() if k != 'type'})
    batch = []
    for value in values:
        sample = DataSample().set_gt_score(codec.encode(value))
        sample.set_field(value, 'gt_value')
        batch.append(sample)
    return batch


def test_kl_loss_of_the_head_is_the_formula():
    head = MODELS.build(head_config())
    feats = (torch.randn(3, 8),)
    batch = samples([20.0, 40.5, 85.0])
    loss = head.loss(feats, batch)
    assert list(loss) == ['loss_kl']
    target = torch.stack([s.gt_score for s in batch]).double().numpy()
    expected = rel_entr(target, softmax(head(feats).detach().double().numpy(), -1)).sum(-1).mean()
    assert loss['loss_kl'].item() == pytest.approx(expected, rel=1e-5)


def test_dldl_v2_adds_the_expectation_loss_by_config():
    losses = [
        dict(type='LabelDistributionKLLoss', loss_weight=0.5),
        dict(type='ExpectationLoss', loss_weight=2.0),
    ]
    head = MODELS.build(head_config(losses=losses))
    feats = (torch.randn(2, 8),)
    loss = head.loss(feats, samples([20.0, 40.0]))
    probability = softmax(head(feats).detach().double().numpy(), -1)
    expectation = probability @ np.arange(1, 86)
    assert loss['loss_expectation'].item() == pytest.approx(
        2 * np.abs(expectation - [20, 40]).mean(), rel=1e-5
    )
    plain = MODELS.build(head_config())
    plain.load_state_dict(head.state_dict())
    reference = plain.loss(feats, samples([20.0, 40.0]))['loss_kl']
    torch.testing.assert_close(loss['loss_kl'], reference / 2)


def test_prediction_decodes_with_the_codec():
    head = MODELS.build(head_config())
    feats = (torch.randn(4, 8),)
    for sample, logits in zip(head.predict(feats, None), head(feats), strict=True):
        p = softmax(logits.detach().double().numpy())
        labels = np.arange(1, 86)
        assert sample.pred_value.item() == pytest.approx(p @ labels, rel=1e-5)
        std = np.sqrt(p @ (labels - p @ labels) ** 2)
        assert sample.pred_std.item() == pytest.approx(std, rel=1e-4)
        assert sample.pred_label.item() == p.argmax()
        assert sample.pred_score.sum().item() == pytest.approx(1)


def test_half_precision_logits_predict_in_float32():
    head = MODELS.build(head_config())
    predictions = head._get_predictions(torch.randn(2, 85).half(), None)
    assert predictions[0].pred_value.dtype == torch.float32


def test_bad_losses_and_missing_targets():
    with pytest.raises(ValueError, match='different loss_name'):
        MODELS.build(head_config(losses=[dict(type='LabelDistributionKLLoss')] * 2))
    with pytest.raises(ValueError, match='one or more'):
        MODELS.build(head_config(losses=[]))
    with pytest.raises(TypeError, match='in_chanels'):
        MODELS.build(dict(head_config(), in_chanels=3))
    head = MODELS.build(head_config())
    with pytest.raises(ValueError, match='EncodeLabelDistribution'):
        head.loss((torch.randn(1, 8),), [DataSample()])
    head = MODELS.build(head_config(losses=dict(type='ExpectationLoss')))
    with pytest.raises(ValueError, match="no 'gt_value'"):
        head.loss((torch.randn(1, 8),), [DataSample().set_gt_score(torch.ones(85) / 85)])


def test_checkpoint_of_another_label_set_is_refused():
    state = MODELS.build(head_config()).state_dict()
    shifted = dict(CODEC, start=0, stop=84)
    wider = dict(CODEC, stop=100)
    for codec in (shifted, wider):
        head = MODELS.build(dict(head_config(), codec=codec))
        with pytest.raises(ValueError, match=r'label set \(1\) to \(85\) of 85 labels'):
            head.load_state_dict(state)
    MODELS.build(dict(head_config(), codec=dict(CODEC, sigma=1.0))).load_state_dict(state)


@pytest.mark.parametrize('norm', ['l1', 'l2', 'epsilon'])
def test_regression_head(norm):
    config = dict(type='LabelRegressionHead', codec=CODEC, in_channels=8, norm=norm, epsilon=4.2)
    head = MODELS.build(config)
    torch.nn.init.normal_(head.fc.weight)
    feats = (torch.randn(5, 8),)
    values = [1.0, 20.0, 43.0, 60.0, 85.0]
    batch = samples(values)
    z = np.tanh(head(feats).detach().double().numpy()[:, 0])
    error = z - (np.array(values) - 43) / 42
    expected = dict(l1=np.abs(error), l2=error**2 / 2, epsilon=np.maximum(np.abs(error) - 0.1, 0))[
        norm
    ]
    assert head.loss(feats, batch)['loss'].item() == pytest.approx(expected.mean(), rel=1e-5)
    predicted = [s.pred_value.item() for s in head.predict(feats, batch)]
    np.testing.assert_allclose(predicted, 43 + 42 * z, rtol=1e-5)


def test_regression_head_options():
    with pytest.raises(ValueError, match="unknown norm 'huber'"):
        MODELS.build(dict(type='LabelRegressionHead', codec=CODEC, in_channels=8, norm='huber'))
    with pytest.raises(ValueError, match='epsilon must not be negative'):
        MODELS.build(dict(type='LabelRegressionHead', codec=CODEC, in_channels=8, epsilon=-1))


def test_features_that_do_not_fit_are_named():
    head = MODELS.build(head_config())
    with pytest.raises(ValueError, match=r'in_channels=8 .* give \(N, 16\)$'):
        head((torch.zeros(2, 16),))
    with pytest.raises(ValueError, match=r'give \(N, 8, 7, 7\); add neck=.*GlobalAveragePooling'):
        head((torch.zeros(2, 8, 7, 7),))


def test_the_distribution_trains_a_plain_mmpretrain_head():
    head = MODELS.build(
        dict(
            type='mmpretrain.LinearClsHead',
            num_classes=85,
            in_channels=8,
            loss=dict(type='LabelDistributionKLLoss'),
        )
    )
    feats = (torch.randn(3, 8),)
    batch = samples([20.0, 40.5, 85.0])
    ours = MODELS.build(head_config())
    ours.fc.load_state_dict(head.fc.state_dict())
    torch.testing.assert_close(head.loss(feats, batch)['loss'], ours.loss(feats, batch)['loss_kl'])
