import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.evaluation import AveragePrecision, MultiLabelMetric, VOCAveragePrecision
from mmpretrain.structures import DataSample
from scipy.special import rel_entr, softmax

import dldl_mm.cls  # noqa: F401
from dldl_mm.codecs import MultiLabelCodec
from dldl_mm.registry import MODELS

CODEC = dict(type='MultiLabelCodec', num_classes=6)
HEAD = dict(type='MultiLabelDistributionHead', codec=CODEC, in_channels=8)
LABELS = [([0, 2], [1]), ([5], []), ([], [3]), ([1, 2, 3], [3, 4])]


def head_and_feats():
    head = MODELS.build(HEAD)
    torch.nn.init.normal_(head.fc.weight)
    return head, (torch.randn(len(LABELS), 8),)


def training_samples():
    codec = MultiLabelCodec(num_classes=6)
    infos = [dict(gt_label=p, gt_label_difficult=d) for p, d in LABELS]
    return [DataSample().set_gt_score(codec.encode_annotation(info)) for info in infos]


def validation_samples():
    samples = [DataSample().set_gt_label(positive) for positive, _ in LABELS]
    for sample, (_, difficult) in zip(samples, LABELS, strict=True):
        sample.set_field(difficult, 'gt_label_difficult')
    return samples


def test_loss_is_the_formula():
    head, feats = head_and_feats()
    batch = training_samples()
    loss = head.loss(feats, batch)
    assert list(loss) == ['loss_kl']
    target = torch.stack([s.gt_score for s in batch]).double().numpy()
    expected = rel_entr(target, softmax(head(feats).detach().double().numpy(), -1)).sum(-1).mean()
    assert loss['loss_kl'].item() == pytest.approx(expected, rel=1e-5)


def test_prediction():
    head, feats = head_and_feats()
    for sample, logits in zip(head.predict(feats, None), head(feats), strict=True):
        p = softmax(logits.detach().double().numpy())
        np.testing.assert_allclose(sample.pred_score.detach(), p, rtol=1e-5)
        assert sample.pred_label.tolist() == np.flatnonzero(p >= p.max() / 2).tolist()
        assert 'pred_value' not in sample
    uniform = head._get_predictions(torch.zeros(1, 6).half(), None)[0]
    assert uniform.pred_label.tolist() == list(range(6))
    assert uniform.pred_score.dtype == torch.float32


def test_targets_are_recovered_from_their_own_logits():
    # Classes of one image share its mass; a difficult one weighs 0.3 and is below the threshold.
    head = MODELS.build(HEAD)
    logits = torch.stack([s.gt_score for s in training_samples()]).log()
    labels = [s.pred_label.tolist() for s in head._get_predictions(logits, None)]
    assert labels == [[0, 2], [5], [3], [1, 2, 3]]


def test_the_metrics_of_mmpretrain_read_the_predictions():
    head, feats = head_and_feats()
    evaluator = Evaluator(
        [
            AveragePrecision(average=None),
            VOCAveragePrecision(average=None, prefix='voc'),
            MultiLabelMetric(topk=1, items=['precision'], average='micro'),
        ]
    )
    evaluator.process(head.predict(feats, validation_samples()))
    got = evaluator.evaluate(len(LABELS))
    scores = head(feats).detach().softmax(-1)
    truth = torch.tensor([[c in positive for c in range(6)] for positive, _ in LABELS])
    hits = truth[torch.arange(len(LABELS)), scores.argmax(1)].double().mean().item()
    assert got['multi-label/precision_top1_micro'] == pytest.approx(100 * hits)
    order = scores[:, 2].argsort(descending=True)
    ranks = 1 + torch.isin(order, torch.tensor([0, 3])).nonzero().squeeze(1)
    expected = 100 * (torch.tensor([1.0, 2.0]) / ranks).mean().item()
    assert got['multi-label/AP_classwise'][2] == pytest.approx(expected)
    # Class 3 is difficult only in the third image, so this one does not count.
    order = scores[[0, 1, 3], 3].argsort(descending=True).tolist()
    assert got['voc/AP_classwise'][3] == pytest.approx(100 / (1 + order.index(2)))


def test_a_whole_classifier_learns():
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(type='mmpretrain.LeNet5', num_classes=-1),
            neck=dict(type='mmpretrain.GlobalAveragePooling'),
            head=dict(HEAD, in_channels=120),
        )
    )
    images, batch = torch.randn(4, 1, 32, 32), training_samples()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(60):
        loss = model(images, batch, mode='loss')['loss_kl']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    predicted = [s.pred_label.tolist() for s in model(images, validation_samples(), mode='predict')]
    assert predicted == [[0, 2], [5], [3], [1, 2, 3]]


def test_errors():
    with pytest.raises(ValueError, match=r'thr must be in \(0, 1\], got 0'):
        MODELS.build(dict(HEAD, thr=0))
    with pytest.raises(ValueError, match='classes have no value'):
        MODELS.build(dict(HEAD, losses=dict(type='ExpectationLoss')))
    with pytest.raises(ValueError, match='different loss_name'):
        MODELS.build(dict(HEAD, losses=[]))
    head, feats = head_and_feats()
    with pytest.raises(ValueError, match=r'MultiLabelDistributionHead: .*EncodeLabelDistribution'):
        head.loss(feats, validation_samples())


def test_checkpoint_of_other_classes_is_refused():
    other = MODELS.build(dict(HEAD, codec=dict(CODEC, num_classes=7)))
    with pytest.raises(ValueError, match=r'label set \(0\) to \(5\) of 6 labels'):
        other.load_state_dict(MODELS.build(HEAD).state_dict())
    MODELS.build(dict(HEAD, codec=dict(CODEC, p_difficult=0.0))).load_state_dict(
        MODELS.build(HEAD).state_dict()
    )
