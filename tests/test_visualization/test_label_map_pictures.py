import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from scipy.stats import entropy

from dldl_mm.losses import NeighbourhoodKLLoss
from dldl_mm.visualization import decode_head_codec, draw_label_maps, draw_samples, to_sample
from dldl_mm.visualization import segmentation as drawing
from dldl_mm.visualization.segmentation import LabelMapSample

CODEC = decode_head_codec(3, 255, [NeighbourhoodKLLoss(kernel_size=3, sigma=1.0)])
LABEL = torch.tensor([[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [0, 0, 255, 1, 2], [0, 0, 1, 1, 2]])
PALETTE = [[250, 0, 0], [0, 250, 0], [0, 0, 250]]


@pytest.fixture
def predicted():
    logits = torch.randn(3, 4, 5)
    return SegDataSample(
        gt_sem_seg=PixelData(data=LABEL[None]),
        seg_logits=PixelData(data=logits),
        pred_sem_seg=PixelData(data=logits.argmax(0, keepdim=True)),
        metainfo=dict(img_path='folder/street.png'),
    )


def test_entropies_of_target_and_prediction(predicted):
    image = torch.zeros(3, 8, 10, dtype=torch.uint8)
    sample = to_sample(image, predicted, True, CODEC)
    assert sample.title == 'street.png'
    assert sample.image.shape == (8, 10, 3)
    np.testing.assert_array_equal(sample.label, LABEL)
    target = CODEC.encode(LABEL[None])[0]
    expected = np.nan_to_num(entropy(target.numpy()))  # void: no distribution
    np.testing.assert_allclose(sample.target_entropy, expected, atol=1e-6)
    assert sample.target_entropy[1, 1] > 0.3
    assert sample.target_entropy[0].max() == 0
    p = predicted.seg_logits.data.softmax(0)
    np.testing.assert_allclose(sample.pred_entropy, entropy(p.numpy()), rtol=1e-5)
    without = to_sample(image, SegDataSample(gt_sem_seg=PixelData(data=LABEL[None])), True, CODEC)
    assert without.pred is without.pred_entropy is None


def test_codec_of_a_head():
    assert (CODEC.kernel_size, CODEC.sigma, CODEC.num_classes) == (3, 1.0, 3)
    hard = decode_head_codec(3, 7, [torch.nn.CrossEntropyLoss()])
    assert (hard.kernel_size, hard.ignore_index) == (1, 7)
    losses = [NeighbourhoodKLLoss(kernel_size=1), NeighbourhoodKLLoss(kernel_size=5, void='assign')]
    widest = decode_head_codec(3, 255, losses)
    assert (widest.kernel_size, widest.void) == (5, 'assign')


def test_classes_have_their_colours_and_void_is_white():
    axes = Figure().subplots()
    black = np.zeros((*LABEL.shape, 3), np.uint8)
    drawing._draw_classes(axes, black, LABEL.numpy(), drawing._colour_table(PALETTE))
    (shown,) = axes.images
    colours = np.array([*PALETTE, *[[0, 0, 0]] * 252, [255, 255, 255]])
    np.testing.assert_allclose(shown.get_array(), 0.6 * colours[LABEL], atol=0.5)


def test_legend_names_what_occurs(predicted):
    image = torch.zeros(3, 4, 5, dtype=torch.uint8)
    predicted.pred_sem_seg.data[:] = 1
    predicted.gt_sem_seg.data = LABEL.masked_fill(LABEL == 255, 2)[None]
    codec = decode_head_codec(3, 2, [])  # 2 is void
    sample = to_sample(image, predicted, True, codec)
    handles = drawing._legend([sample], drawing._colour_table(PALETTE), ('sky', 'road', 'tree'))
    colours = {handle.get_label(): handle.get_facecolor()[:3] for handle in handles}
    assert colours == {
        'sky': (250 / 255, 0, 0),
        'road': (0, 250 / 255, 0),
        'void': (1, 1, 1),
    }
    indices = drawing._legend([sample], drawing._colour_table(None), None)
    assert [handle.get_label() for handle in indices] == ['0', '1', 'void']


@pytest.mark.parametrize('number', [1, 12])
@pytest.mark.parametrize('shape', [(20, 50), (40, 10)])
def test_nothing_is_cut_off_at_the_edges(number, shape):
    image = np.zeros((*shape, 3), np.uint8)
    label = np.arange(shape[1])[None].repeat(shape[0], 0)
    sample = LabelMapSample(image, label, np.zeros(shape, np.float32), title='pqgy' * 9)
    picture = draw_label_maps([sample] * number, classes=['television receiver'] * 50)
    assert (picture < 100).any()
    edges = [picture[:2], picture[-2:], picture[:, :2], picture[:, -2:]]
    assert all((edge == 255).all() for edge in edges)


def test_picture_has_a_column_for_everything_that_is_known(predicted):
    image = torch.full((3, 8, 10), 90, dtype=torch.uint8)
    sample = to_sample(image, predicted, True, CODEC)
    both = draw_samples([sample, sample], CODEC, palette=PALETTE)
    sample.pred = sample.pred_entropy = None
    target = draw_label_maps([sample], PALETTE)
    assert both.shape[1] == 5 * 320
    assert target.shape[1] == 3 * 320
    assert both.shape[0] > target.shape[0]
    with pytest.raises(ValueError, match='there is no sample to draw'):
        draw_label_maps([])
