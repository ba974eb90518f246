import copy

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample
from scipy.stats import norm

import dldl_mm.cls  # noqa: F401
from dldl_mm.codecs import GaussianLabelCodec
from dldl_mm.registry import MODELS

CODEC = dict(type='GaussianLabelCodec', start=1, stop=9, sigma=2.0, decode='median')
HEADS = dict(
    distribution=dict(type='LabelDistributionHead', codec=CODEC, in_channels=120),
    softmax=dict(type='LinearClsHead', num_classes=9, in_channels=120),
    sigmoid=dict(type='MultiLabelLinearClsHead', num_classes=9, in_channels=120),
    regression=dict(type='LabelRegressionHead', codec=CODEC, in_channels=120),
    ordinal=dict(type='OrdinalHead', codec=CODEC, in_channels=120, method='corn'),
)


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture
def members(tmp_path):
    """Configs and checkpoints of models with other weights and other means of the pixels."""

    def write(*heads):
        written = []
        for number, head in enumerate(heads):
            model = dict(
                type='ImageClassifier',
                backbone=dict(type='LeNet5', num_classes=-1),
                neck=dict(type='GlobalAveragePooling'),
                head=head,
                data_preprocessor=dict(mean=[90.0 + 30 * number], std=[60.0]),
            )
            built = MODELS.build(copy.deepcopy(model))
            torch.nn.init.normal_(built.head.fc.weight, std=3.0)
            path = tmp_path / f'{number}.pth'
            torch.save(dict(state_dict=built.state_dict()), path)
            written.append(dict(model=model, checkpoint=str(path)))
        return written

    return write


def batch():
    images = torch.randint(0, 255, (4, 1, 32, 32), generator=torch.Generator().manual_seed(0))
    return dict(inputs=list(images.byte()), data_samples=[DataSample() for _ in images])


@pytest.mark.parametrize('name', ['distribution', 'softmax', 'sigmoid'])
def test_predicts_the_mean_of_the_probabilities(name, members):
    configs = members(*[HEADS[name]] * 3)
    ensemble = MODELS.build(dict(type='AveragingEnsemble', members=configs)).eval()
    scores = []
    for member in configs:
        model = MODELS.build(copy.deepcopy(member['model'])).eval()
        model.load_state_dict(torch.load(member['checkpoint'])['state_dict'])
        with torch.no_grad():
            scores.append(torch.stack([s.pred_score for s in model.test_step(batch())]))
    assert (scores[0] - scores[1]).abs().max() > 0.05
    mean = sum(scores) / 3
    with torch.no_grad():
        predictions = ensemble.test_step(batch())
    torch.testing.assert_close(torch.stack([s.pred_score for s in predictions]), mean)
    for sample, score in zip(predictions, mean, strict=True):
        if name == 'sigmoid':
            assert sample.pred_label.tolist() == (score >= 0.5).nonzero()[:, 0].tolist()
        else:
            assert sample.pred_label.item() == score.argmax().item()
        if name == 'distribution':
            cumulative = score.double().cumsum(0)
            assert sample.pred_value == 1 + (cumulative < 0.5).sum()


def test_average_of_two_gaussians_is_their_mixture(members):
    # Heads whose weights are 0 and whose biases are log densities predict exactly these.
    configs = members(HEADS['distribution'], HEADS['distribution'])
    labels = GaussianLabelCodec(1, 9).labels.double()
    for member, centre in zip(configs, (2.0, 7.0), strict=True):
        state = torch.load(member['checkpoint'])['state_dict']
        state['head.fc.weight'].zero_()
        state['head.fc.bias'] = torch.from_numpy(norm.logpdf(labels, centre, 0.7)).float()
        torch.save(dict(state_dict=state), member['checkpoint'])
    ensemble = MODELS.build(dict(type='AveragingEnsemble', members=configs)).eval()
    sample = ensemble.test_step(batch())[0]
    density = sum(d / d.sum() for d in (norm.pdf(labels, c, 0.7) for c in (2.0, 7.0))) / 2
    mean = (density * labels.numpy()).sum()
    variance = (density * (labels.numpy() - mean) ** 2).sum()
    assert sample.pred_std.item() == pytest.approx(variance**0.5, rel=1e-4)


def test_errors(members):
    other = dict(CODEC, stop=10)
    for heads, message in (
        ([HEADS['softmax']], 'two members or more, got 1'),
        ([HEADS['softmax'], HEADS['sigmoid']], 'is MultiLabelLinearClsHead, that of the first'),
        ([HEADS['regression']] * 2, 'LabelRegressionHead predicts no one distribution'),
        ([HEADS['ordinal']] * 2, 'OrdinalHead predicts no one distribution'),
        ([HEADS['distribution'], dict(HEADS['distribution'], codec=other)], r'1\.pth is not that'),
        ([HEADS['softmax'], dict(HEADS['softmax'], num_classes=8)], r'1\.pth is not that'),
    ):
        with pytest.raises(ValueError, match=message):
            MODELS.build(dict(type='AveragingEnsemble', members=members(*heads)))
    configs = members(HEADS['softmax'], HEADS['softmax'])
    configs[1]['checkpoint'] += 'x'
    with pytest.raises(FileNotFoundError, match=r'1\.pthx'):
        MODELS.build(dict(type='AveragingEnsemble', members=configs))
