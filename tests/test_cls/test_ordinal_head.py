import pytest
import torch
from mmpretrain.structures import DataSample
from scipy.special import expit

import dldl_mm.cls  # noqa: F401
from dldl_mm.codecs import GaussianLabelCodec
from dldl_mm.registry import MODELS

CODEC = dict(type='GaussianLabelCodec', start=20, stop=36, step=2, shape='one_hot')
VALUES = [20.0, 22.0, 30.0, 36.0, 34.7]
RANKS = torch.tensor([0, 1, 5, 8, 7])


def build(method, **kwargs):
    return MODELS.build(
        dict(type='OrdinalHead', codec=CODEC, in_channels=8, method=method, **kwargs)
    )


def samples():
    codec = GaussianLabelCodec(**{k: v for k, v in CODEC.items() if k != 'type'})
    return [DataSample().set_gt_score(codec.encode(value)) for value in VALUES]


@pytest.mark.parametrize('method', ['or_cnn', 'coral', 'corn'])
def test_loss_is_that_of_coral_pytorch(method):
    losses = pytest.importorskip('coral_pytorch.losses')
    dataset = pytest.importorskip('coral_pytorch.dataset')
    head = build(method)
    feats = (torch.randn(5, 8),)
    if method == 'corn':
        expected = losses.corn_loss(head(feats), RANKS, 9)
    else:
        expected = losses.coral_loss(head(feats), dataset.levels_from_labelbatch(RANKS, 9))
    torch.testing.assert_close(head.loss(feats, samples())['loss'], expected)


def test_coral_is_the_layer_of_coral_pytorch():
    layers = pytest.importorskip('coral_pytorch.layers')
    head, layer = build('coral'), layers.CoralLayer(8, 9)
    torch.testing.assert_close(head.bias, layer.coral_bias.detach())
    layer.coral_weights.load_state_dict(head.fc.state_dict())
    x = torch.randn(5, 8)
    torch.testing.assert_close(head((x,)), layer(x))
    head.init_weights()
    torch.testing.assert_close(head.bias, layer.coral_bias.detach())
    # mmengine's optimisers treat it as any other bias.
    assert {name for name, _ in head.named_parameters()} == {'bias', 'fc.weight'}


@pytest.mark.parametrize('method', ['or_cnn', 'coral', 'corn'])
def test_prediction_counts_tasks(method):
    head = build(method)
    logits = torch.randn(50, 8) * 3
    if method == 'coral':
        logits = torch.randn(50, 1) * 3 + head.bias
    q = expit(logits.detach().double().numpy())
    q = q.cumprod(-1) if method == 'corn' else q
    counts = (q > 0.5).sum(-1)
    predictions = head._get_predictions(logits.detach(), None)
    assert [int(p.pred_label) for p in predictions] == counts.tolist()
    assert [p.pred_value.item() for p in predictions] == (20 + 2.0 * counts).tolist()
    if method != 'or_cnn':
        scores = torch.stack([p.pred_score for p in predictions])
        torch.testing.assert_close(scores.sum(-1), torch.ones(50))
        # The count is the median of the distribution.
        assert head.codec.decode(scores, 'median').tolist() == (20 + 2.0 * counts).tolist()
        torch.testing.assert_close(predictions[3].pred_std, head.codec.std(scores[3]))
    else:
        assert 'pred_score' not in predictions[0]


def test_coral_has_a_distribution_only_while_its_biases_are_in_order():
    head = build('coral')
    assert 'pred_score' in head._get_predictions(head.bias.expand(1, 8), None)[0]
    with torch.no_grad():
        head.bias[3] = 5
    sample = head._get_predictions(head.bias.expand(1, 8), None)[0]
    assert 'pred_score' not in sample
    assert sample.pred_value == 36


def test_half_precision_and_given_samples():
    head = build('corn')
    batch = samples()
    predictions = head._get_predictions(torch.randn(5, 8).half(), batch)
    assert predictions == batch
    assert predictions[0].pred_value.dtype == torch.float32


def test_errors():
    with pytest.raises(ValueError, match="unknown method 'condor', expected one of or_cnn, coral"):
        build('condor')
    circle = dict(CODEC, shape='von_mises')
    with pytest.raises(TypeError, match='not circular'):
        MODELS.build(dict(type='OrdinalHead', codec=circle, in_channels=8))
    grid = dict(type='GridLabelCodec', labels='pointing04', sigma=15.0)
    with pytest.raises(TypeError, match='in order on a line'):
        MODELS.build(dict(type='OrdinalHead', codec=grid, in_channels=8))
    with pytest.raises(ValueError, match='EncodeLabelDistribution'):
        build('coral').loss((torch.randn(1, 8),), [DataSample()])
