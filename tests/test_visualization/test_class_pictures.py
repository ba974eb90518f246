import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mmpretrain.structures import DataSample

from dldl_mm.codecs import MultiLabelCodec
from dldl_mm.visualization import Sample, draw_bars, draw_boxes, draw_samples, to_sample

CODEC = MultiLabelCodec(4)
IMAGE = np.full((8, 8, 3), 90, np.uint8)


def test_bars_have_the_heights_of_the_distributions():
    target = CODEC.encode(torch.tensor([True, False, True, False]))
    prediction = torch.tensor([0.1, 0.2, 0.3, 0.4])
    axes = Figure().subplots()
    draw_bars(axes, Sample(IMAGE, target, prediction), classes=('ant', 'bee', 'cat', 'dog'))
    heights = [bar.get_height() for bar in axes.patches]
    np.testing.assert_allclose(heights, torch.cat([target, prediction]), rtol=1e-6)
    assert [label.get_text() for label in axes.get_xticklabels()] == ['ant', 'bee', 'cat', 'dog']
    centers = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches]
    np.testing.assert_allclose(centers, [-0.2, 0.8, 1.8, 2.8, 0.2, 1.2, 2.2, 3.2])


def test_difficult_classes_are_paler_and_a_single_distribution_is_centred():
    positive, difficult = torch.tensor([True, False] * 2), torch.tensor([False, True, True, False])
    only_difficult = np.array([False, True, False, False])
    sample = Sample(IMAGE, CODEC.encode(positive, difficult), difficult=only_difficult)
    axes = Figure().subplots()
    draw_bars(axes, sample)
    bars = sorted(axes.patches, key=lambda bar: bar.get_x())
    np.testing.assert_allclose([b.get_x() + b.get_width() / 2 for b in bars], range(4), atol=1e-12)
    np.testing.assert_allclose([b.get_height() for b in bars], sample.target, rtol=1e-6)
    lightness = [np.mean(b.get_facecolor()[:3]) for b in bars]
    assert lightness[0] == lightness[2] == lightness[3] < lightness[1]
    assert axes.get_legend_handles_labels()[1] == ['target', 'target, difficult']


def test_of_many_classes_the_likely_ones_are_drawn():
    codec, chosen = MultiLabelCodec(80, epsilon=0.0), torch.zeros(80, dtype=torch.bool)
    chosen[[79, 40]] = True
    prediction = torch.full((80,), 1e-3)
    prediction[[60, 2]] = 0.4
    axes = Figure().subplots()
    difficult = np.arange(80) == 40
    sample = Sample(IMAGE, codec.encode(chosen), prediction, difficult=difficult)
    draw_bars(axes, sample, classes=[f'class {i}' for i in range(80)])
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert len(names) == 24
    assert names[-3:] == ['class 40', 'class 60', 'class 79']
    assert 'class 2' in names
    pale = [bar for bar in axes.patches if bar.get_facecolor()[2] > 0.85]
    assert [(round(bar.get_x() + 0.6), bar.get_height()) for bar in pale] == [(21, 0.5)]


def test_a_validation_sample_has_a_target_without_gt_score():
    sample = DataSample().set_gt_label([0, 2]).set_pred_score(torch.full((4,), 0.25))
    sample.set_field([1], 'gt_label_difficult')
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    drawn = to_sample(image, sample, False, CODEC)
    expected = CODEC.encode(
        torch.tensor([True, False, True, False]), torch.tensor([False, True, False, False])
    )
    torch.testing.assert_close(drawn.target, expected)
    assert drawn.difficult.tolist() == [False, True, False, False]
    assert to_sample(image, sample, False).target is None
    nothing = DataSample().set_gt_label([])
    assert to_sample(image, nothing, False, CODEC).target.sum() == 0


def test_pictures_of_classes_differ_from_pictures_of_images_alone():
    sample = Sample(IMAGE, CODEC.encode(torch.tensor([True, False, True, False])))
    drawn, plain = (draw_samples([sample], codec) for codec in (CODEC, None))
    assert drawn.ndim == 3
    assert drawn.shape[2] == 3
    blue = np.array([0x3B, 0x6F, 0xB6])
    assert (np.abs(drawn.astype(int) - blue).max(-1) < 3).sum() > 50
    assert (np.abs(plain.astype(int) - blue).max(-1) < 3).sum() == 0


def test_proposals_are_drawn_where_they_are():
    boxes = np.float32([[0, 0, 8, 8], [1, 2, 5, 7]])
    axes = Figure().subplots()
    draw_boxes(axes, boxes)
    drawn = [[p.get_x(), p.get_y(), p.get_width(), p.get_height()] for p in axes.patches]
    assert drawn == [[-0.5, -0.5, 8, 8], [0.5, 1.5, 4, 5]]
    assert axes.patches[0].get_edgecolor() != axes.patches[1].get_edgecolor()
    packed = DataSample()
    packed.set_field(boxes, 'gt_bboxes')
    sample = to_sample(torch.zeros(3, 8, 8, dtype=torch.uint8), packed, False)
    assert np.array_equal(sample.boxes, boxes)
    with_boxes = draw_samples([sample], None).astype(int)
    sample.boxes = None
    assert np.abs(with_boxes - draw_samples([sample], None)).max() > 50


def test_many_proposals_are_thinned_out_and_the_title_says_so(monkeypatch):
    drawn, titles = [], []
    monkeypatch.setattr(
        'dldl_mm.visualization.draw.draw_boxes', lambda _, boxes: drawn.append(boxes)
    )
    monkeypatch.setattr(Axes, 'set_title', lambda _, title, **options: titles.append(title))
    boxes = np.float32([[0, 0, i + 1, 8] for i in range(100)])
    draw_samples([Sample(IMAGE, boxes=boxes, title='a'), Sample(IMAGE, boxes=boxes[:15])], None)
    assert [len(part) for part in drawn] == [15, 15]
    assert drawn[0][[0, -1]].tolist() == boxes[[0, -1]].tolist()
    assert titles == ['a\n15 of 100 proposals', '']
