import numpy as np
import pytest
import torch

from dldl_mm.codecs import MultiLabelCodec, build_codec
from dldl_mm.functional import kl_divergence
from dldl_mm.transforms import EncodeLabelDistribution

GENERATOR = np.random.default_rng(0)
POSITIVE = GENERATOR.random((40, 20)) < 0.1
DIFFICULT = GENERATOR.random((40, 20)) < 0.1
POSITIVE[:, 3] |= ~(POSITIVE | DIFFICULT).any(1)


def formula(positive, difficult, p_difficult, epsilon):
    weight = np.where(positive, 1.0, np.where(difficult, p_difficult, 0.0))
    return (1 - epsilon) * weight / weight.sum(1, keepdims=True) + epsilon / positive.shape[1]


def masks(*arrays):
    return tuple(torch.from_numpy(a) for a in arrays)


@pytest.mark.parametrize('p_difficult', [0.1, 0.3, 1.0])
@pytest.mark.parametrize('epsilon', [0.0, 0.01, 0.5])
def test_encode_is_the_formula(p_difficult, epsilon):
    assert (POSITIVE & DIFFICULT).any()
    codec = MultiLabelCodec(20, p_difficult, epsilon)
    got = codec.encode(*masks(POSITIVE, DIFFICULT))
    expected = formula(POSITIVE, DIFFICULT, p_difficult, epsilon)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(got.sum(1), 1, rtol=1e-6)
    torch.testing.assert_close(codec.encode(*masks(POSITIVE[5], DIFFICULT[5])), got[5])


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32, torch.float64])
def test_dtypes_and_a_share_that_float32_cannot_hold(dtype):
    torch.set_default_dtype(dtype)
    try:
        tiny = MultiLabelCodec(20, 1e-60, 1 - 1e-9).encode(*masks(POSITIVE, DIFFICULT))
    finally:
        torch.set_default_dtype(torch.float32)
    assert tiny.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    expected = formula(POSITIVE, DIFFICULT, 1e-60, 1 - 1e-9)
    rtol = 1e-14 if dtype == torch.float64 else 1e-6
    np.testing.assert_allclose(tiny, expected, rtol=rtol)


def test_numbers_by_hand():
    # Positive 0 and 2, difficult 1: weights 1, 0.3, 1, 0; divided by 2.3; 1% spread over 4 classes.
    dist = MultiLabelCodec(4).encode(
        torch.tensor([True, False, True, False]), torch.tensor([False, True, True, False])
    )
    expected = [0.99 / 2.3 + 0.0025, 0.99 * 0.3 / 2.3 + 0.0025, 0.99 / 2.3 + 0.0025, 0.0025]
    np.testing.assert_allclose(dist, expected, rtol=1e-6)


def test_without_difficult_classes(device):
    codec = MultiLabelCodec(20)
    positive = torch.from_numpy(POSITIVE | DIFFICULT).to(device)
    dist = codec.encode(positive)
    assert dist.device.type == device.type
    torch.testing.assert_close(dist, codec.encode(positive, torch.zeros_like(positive).cpu()))
    # p_D = 1 makes difficult classes positive ones.
    both = MultiLabelCodec(20, p_difficult=1.0).encode(*masks(POSITIVE, DIFFICULT)).to(device)
    torch.testing.assert_close(both, dist)


def empty_rows():
    positive = torch.tensor([[True, False], [False, False], [False, False]])
    difficult = torch.tensor([[False, False], [False, False], [False, True]])
    return positive, difficult


def test_no_positive_error_names_the_rows():
    with pytest.raises(ValueError, match=r"no class is positive or difficult.*'skip'.*in row 1$"):
        MultiLabelCodec(2).encode(*empty_rows())
    with pytest.raises(ValueError, match=r'no class is positive, so.*in row 1, 2$'):
        MultiLabelCodec(2, p_difficult=0.0).encode(*empty_rows())
    with pytest.raises(ValueError, match=r'same probability\)$'):
        MultiLabelCodec(2).encode(torch.zeros(2, dtype=torch.bool))


def test_no_positive_uniform():
    dist = MultiLabelCodec(2, epsilon=0.0, no_positive='uniform').encode(*empty_rows())
    assert dist.tolist() == [[1, 0], [0.5, 0.5], [0, 1]]


def test_no_positive_skip_has_neither_loss_nor_gradient():
    target = MultiLabelCodec(2, no_positive='skip').encode(*empty_rows())
    assert target[1].tolist() == [0, 0]
    logits = torch.tensor([[1.0, 2.0], [30.0, -200.0], [0.0, 3.0]], requires_grad=True)
    kl = kl_divergence(logits, target, reduction='none')
    assert kl[1].item() == 0
    kl.mean().backward()
    assert logits.grad[1].tolist() == [0, 0]
    expected = (logits.detach().softmax(-1) - target)[[0, 2]] / 3
    torch.testing.assert_close(logits.grad[[0, 2]], expected)


@pytest.mark.parametrize('kind', [list, np.array, torch.tensor, tuple])
def test_annotation_of_mmpretrain(kind):
    codec = MultiLabelCodec(20, p_difficult=0.4)
    rows = masks(POSITIVE, DIFFICULT)
    info = dict(
        gt_label=kind(np.flatnonzero(POSITIVE[7]).tolist()),
        gt_label_difficult=kind(np.flatnonzero(DIFFICULT[7]).tolist()),
    )
    torch.testing.assert_close(codec.encode_annotation(info), codec.encode(rows[0][7], rows[1][7]))


def test_annotation_without_difficult_flags():
    codec = MultiLabelCodec(5, epsilon=0.0)
    for info in (dict(gt_label=[1, 4, 1]), dict(gt_label=[4, 1], gt_label_difficult=None)):
        assert codec.encode_annotation(info).tolist() == [0, 0.5, 0, 0, 0.5]
    assert codec.encode_annotation(dict(gt_label=2))[2] == 1
    only_difficult = dict(gt_label=[], gt_label_difficult=[3])
    assert codec.encode_annotation(only_difficult).tolist() == [0, 0, 0, 1, 0]


def test_transform():
    transform = EncodeLabelDistribution(dict(type='MultiLabelCodec', num_classes=4, epsilon=0.0))
    results = transform(dict(gt_label=[0], gt_label_difficult=[0, 1], img_path='a.jpg'))
    np.testing.assert_allclose(results['gt_score'], [1 / 1.3, 0.3 / 1.3, 0, 0], rtol=1e-6)
    assert results['gt_score'].dtype == torch.float32


@pytest.mark.parametrize(
    ('info', 'message'),
    [
        (dict(), "the sample has no 'gt_label'"),
        (dict(gt_label=None, img_path='a.jpg'), r"\(a.jpg\) has no 'gt_label'"),
        (dict(gt_label=[4], img_path='a.jpg'), r'index 4 of the sample \(a.jpg\).*0 to 3'),
        (dict(gt_label=[-1]), 'index -1'),
        (dict(gt_label=[0.5]), 'index 0.5'),
        (dict(gt_label=[float('nan')]), 'index nan'),
        (
            dict(gt_label=['dog'], img_path='a.jpg'),
            r"gt_label of the sample \(a.jpg\) must hold.*'dog'",
        ),
        (
            dict(gt_label=[0], gt_label_difficult=np.zeros(4, bool)),
            'gt_label_difficult of the sample',
        ),
        (dict(gt_label=[0], gt_label_difficult=[7]), 'index 7'),
        (dict(gt_label=[], img_path='a.jpg'), r'no class is positive or difficult.*\(a.jpg\)'),
    ],
)
def test_bad_annotations(info, message):
    codec = MultiLabelCodec(4)
    for method in (codec.check_annotation, codec.encode_annotation):
        with pytest.raises(ValueError, match=message):
            method(info)


def test_policies_accept_annotations_without_a_class():
    for policy, total in (('skip', 0), ('uniform', 1)):
        codec = MultiLabelCodec(4, no_positive=policy)
        codec.check_annotation(dict(gt_label=[]))
        assert codec.encode_annotation(dict(gt_label=[])).sum() == total


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(num_classes=1), ValueError, 'num_classes must be at least 2, got 1'),
        (dict(num_classes=20.0), TypeError, 'num_classes must be an integer, got 20.0'),
        (dict(p_difficult=1.1), ValueError, r'p_difficult must be in \[0, 1\], got 1.1'),
        (dict(p_difficult=-0.1), ValueError, 'p_difficult'),
        (dict(p_difficult='a half'), ValueError, r"p_difficult must be in \[0, 1\], got 'a half'"),
        (dict(p_difficult=float('nan')), ValueError, 'p_difficult'),
        (dict(epsilon=1), ValueError, r'epsilon must be in \[0, 1\), got 1'),
        (dict(epsilon=-0.01), ValueError, 'epsilon'),
        (dict(no_positive='ignore'), ValueError, "unknown no_positive 'ignore', expected one of"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        MultiLabelCodec(**{'num_classes': 20, **options})


def test_bad_masks():
    codec = MultiLabelCodec(3)
    with pytest.raises(TypeError, match=r'positive must be bool, got torch.int64'):
        codec.encode(torch.tensor([1, 0, 1]))
    with pytest.raises(ValueError, match=r'positive must have shape \(N, 3\) .* got \(2, 4\)'):
        codec.encode(torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r'one shape, got \(2, 3\) and \(1, 3\)'):
        codec.encode(torch.ones(2, 3).bool(), torch.ones(1, 3).bool())


def test_spec_and_labels():
    config = dict(
        type='MultiLabelCodec', num_classes=20, p_difficult=0.5, epsilon=0.0, no_positive='skip'
    )
    codec = build_codec(config)
    assert codec.spec == config
    assert codec == build_codec(config)
    assert codec != MultiLabelCodec(20)
    assert codec.labels.tolist() == list(range(20))
    assert codec.num_labels == 20
