"""PF-DLDL and ensembles through the tools, on a small folder in the layout of PASCAL VOC."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from dldl_mm.datasets.proposals import filter_proposals, grid_proposals, read_proposals

CONFIGS = Path(__file__).parents[2] / 'configs' / 'multilabel'
CLASSES = ('aeroplane', 'boat', 'cat')
OBJECT = '<object><name>{}</name><difficult>0</difficult></object>'
SMALL = """
_base_ = {base!r}
model = dict(backbone=dict(stem_channels=8, base_channels=8), head=dict(in_channels=64))
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
val_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
max_epochs = 1
train_cfg = dict(max_epochs=max_epochs, val_interval=1)
param_scheduler = dict(total_steps=max_epochs)
"""


@pytest.fixture
def voc(tmp_path):
    root = tmp_path / 'voc'
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f'{i:03d}' for i in range(8)]
    for i, name in enumerate(names):
        noise = rng.integers(0, 255, (60 + 4 * i, 90, 3), dtype=np.uint8)
        cv2.imwrite(str(root / f'JPEGImages/{name}.jpg'), noise)
        shown = [OBJECT.format(CLASSES[c]) for c in {i % 3, i % 2}]
        (root / f'Annotations/{name}.xml').write_text(f'<annotation>{"".join(shown)}</annotation>')
    for split in ('train', 'val'):
        (root / f'ImageSets/Main/{split}.txt').write_text('\n'.join(names))
    return root


@pytest.fixture
def config(tmp_path):
    def write(name):
        path = tmp_path / f'small_{name}.py'
        path.write_text(SMALL.format(base=str(CONFIGS / f'{name}_voc2007.py')))
        return path

    return write


def propose(run_tool, voc, *options):
    return run_tool(
        'make_proposals',
        voc / 'JPEGImages',
        '--out',
        voc / 'Proposals',
        '--method',
        'grid',
        *options,
    )


def test_proposals_and_pf_dldl_from_if_dldl(run_tool, voc, config, tmp_path):
    done = propose(run_tool, voc)
    assert done.code == 0, done.err
    assert 'wrote the proposals of 8 images' in done.out
    boxes, groups = read_proposals(voc / 'Proposals' / '003.csv', 90, 72)
    assert np.array_equal(boxes, filter_proposals(grid_proposals(90, 72)))
    assert np.array_equal(np.unique(groups), np.arange(15))

    run = ('--data-root', voc, '--work-dir')
    done = run_tool('train', config('resnet18_dldl'), *run, tmp_path / 'if')
    assert done.code == 0, done.err
    start = f'load_from={tmp_path / "if" / "epoch_1.pth"}'
    options = ['--cfg-options', start, 'optim_wrapper.optimizer.lr=0', 'param_scheduler.eta_max=0']
    # A rate of 0: nothing but the checkpoint gives the weights. There is nothing to resume yet, so it is
    # the one of `load_from`.
    pf = config('resnet18_pf-dldl')
    done = run_tool('train', pf, *run, tmp_path / 'pf', '--resume', *options)
    assert done.code == 0, done.err
    weights = [
        torch.load(tmp_path / name / 'epoch_1.pth', weights_only=True)['state_dict']
        for name in ('if', 'pf')
    ]
    for key, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][key], rtol=1e-6, atol=1e-7)

    out = tmp_path / 'browse.png'
    done = run_tool(
        'browse_dataset',
        config('resnet18_pf-dldl'),
        '--data-root',
        voc,
        '--number',
        2,
        '--out',
        out,
    )
    assert done.code == 0, done.err
    assert cv2.imread(str(out)).std() > 20
    # The pipeline of validation has no target transform; the head's codec gives the bars.
    validation = (
        'browse_dataset',
        pf,
        '--data-root',
        voc,
        '--phase',
        'val',
        '--number',
        1,
        '--out',
    )
    assert run_tool(*validation, out).code == 0
    blue = np.abs(cv2.imread(str(out)).astype(int) - [0xB6, 0x6F, 0x3B]).max(-1) < 3
    assert blue.sum() > 50
    done = run_tool(*validation, tmp_path / 'browse.xyz')
    assert (done.code, 'browse.xyz has not the ending of a picture' in done.err) == (2, True)

    (voc / 'Proposals/002.csv').write_text('x1,y1,x2,y2,group\n0,0,91,40,0\n')
    done = run_tool('train', config('resnet18_pf-dldl'), *run, tmp_path / 'pf2', *options)
    assert done.code == 2
    assert '002.csv:2: the box (0, 0, 91, 40) leaves the image' in done.err
    missing = f'load_from={tmp_path / "none.pth"}'
    propose(run_tool, voc)
    done = run_tool(
        'train', config('resnet18_pf-dldl'), *run, tmp_path / 'pf3', '--cfg-options', missing
    )
    assert done.code == 2
    assert 'none.pth' in done.err


def test_boxes_of_another_program(run_tool, voc, tmp_path):
    theirs = tmp_path / 'theirs'
    theirs.mkdir()
    for path in (voc / 'JPEGImages').iterdir():
        (theirs / f'{path.stem}.csv').write_text(
            'x1,y1,x2,y2\n0,0,40,40\n40,20,90,60\n0,0,9,9\n0,0,90,12\n'
        )
    options = ('--boxes', theirs, '--clusters', '3')
    done = run_tool('make_proposals', voc / 'JPEGImages', '--out', tmp_path / 'out', *options)
    assert done.code == 0, done.err
    assert '8 of them have fewer than 3 proposals' in done.out
    boxes, groups = read_proposals(tmp_path / 'out/000.csv', 90, 60)
    assert boxes.tolist() == [[0, 0, 40, 40], [40, 20, 90, 60]]
    assert groups.tolist() == [0, 1]
    done = propose(run_tool, voc, '--min-area', 1e6)
    assert done.code == 2
    assert '000.jpg: no proposal has an area of at least 1e+06 square pixels' in done.err
    assert propose(run_tool, voc, '--clusters', 0).code == 2
    done = propose(run_tool, voc, '--divisions', 3)
    assert done.code == 0, done.err
    boxes, _ = read_proposals(voc / 'Proposals/000.csv', 90, 60)
    assert np.array_equal(boxes, filter_proposals(grid_proposals(90, 60, 3)))
    done = propose(run_tool, voc, '--divisions', 0)
    assert (done.code, 'divisions must be at least 1, got 0' in done.err) == (2, True), done.err
    done = run_tool('make_proposals', tmp_path / 'theirs', '--out', tmp_path / 'x')
    assert (done.code, 'there is no image in' in done.err) == (2, True)
    for option, value in (
        *(('--min-area', 'nan'), ('--min-area', -5), ('--max-aspect', 0.5), ('--seed', -1)),
        ('--boxes', tmp_path / 'none'),
    ):
        done = run_tool(
            'make_proposals', voc / 'JPEGImages', '--out', voc / 'Proposals', option, value
        )
        assert (done.code, f'error: {option}' in done.err) == (2, True), done.err
    (voc / 'JPEGImages/000.png').write_bytes((voc / 'JPEGImages/000.jpg').read_bytes())
    done = propose(run_tool, voc)
    assert (done.code, 'would both have the proposals 000.csv' in done.err) == (2, True), done.err


def test_ensemble_averages_probabilities(run_tool, voc, config, tmp_path):
    cfg = config('resnet18_dldl')
    checkpoints = []
    for seed in (0, 1):
        work = tmp_path / f'seed{seed}'
        done = run_tool('train', cfg, '--data-root', voc, '--work-dir', work, '--seed', seed)
        assert done.code == 0, done.err
        checkpoints.append(work / 'epoch_1.pth')

    def test(name, checkpoint, *options):
        done = run_tool(
            *('test', cfg, checkpoint, '--data-root', voc, '--work-dir', tmp_path / 'test'),
            *('--out', tmp_path / name, *options),
        )
        assert done.code == 0, done.err
        return (tmp_path / name).read_text()

    both = ('--average-with', cfg, checkpoints[1])
    one, other, average = (
        [json.loads(line) for line in test(f'{name}.jsonl', *arguments).splitlines()]
        for name, arguments in (
            ('one', [checkpoints[0]]),
            ('other', [checkpoints[1]]),
            ('average', [checkpoints[0], *both]),
        )
    )
    scores = (scores_of(one) + scores_of(other)) / 2
    np.testing.assert_allclose(scores_of(average), scores, rtol=1e-5, atol=1e-7)
    assert np.abs(scores_of(one) - scores_of(other)).max() > 1e-3
    for row, mean in zip(average, scores, strict=True):
        assert row['pred_label'] == np.flatnonzero(mean >= mean.max() / 2).tolist()
    metrics = json.loads(test('metrics.json', checkpoints[0], *both))
    truth = np.array([[c in row['gt_label'] for c in range(20)] for row in average])
    shown = truth.any(0)
    # mmpretrain's area under the uninterpolated precision, with 0 for the classes not shown.
    expected = average_precision_score(truth[:, shown], scores[:, shown]) * shown.mean()
    assert metrics['multi-label/mAP'] == pytest.approx(100 * expected, rel=1e-4)

    done = run_tool('test', cfg, checkpoints[0], '--average-with', cfg, tmp_path / 'none.pth')
    assert (done.code, 'there is no checkpoint' in done.err) == (2, True)
    done = run_tool('test', cfg, checkpoints[0], '--average-with', 'none.py', checkpoints[1])
    assert (done.code, 'there is no config file none.py' in done.err) == (2, True)
    bce = config('resnet18_bce')
    done = run_tool(
        *('test', cfg, checkpoints[0], '--average-with', bce, checkpoints[1]),
        *('--data-root', voc, '--work-dir', tmp_path / 'test'),
    )
    assert done.code == 2
    assert 'is MultiLabelLinearClsHead, that of the first member MultiLabelDistribution' in done.err


def scores_of(rows):
    return np.array([row['pred_score'] for row in rows])
