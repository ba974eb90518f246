"""The default multi-label run from the command line: drawn scenes, targets, metric."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

CONFIG = Path(__file__).parents[2] / 'configs' / 'dldl_multilabel.py'
SMALL = [
    *('model.backbone.stem_channels=8', 'model.backbone.base_channels=8'),
    *('model.head.in_channels=64', 'train_cfg.max_epochs=1', 'train_dataloader.batch_size=8'),
    *(
        f'{name}_dataloader.{option}'
        for name in ('train', 'val', 'test')
        for option in ('num_workers=0', 'persistent_workers=False', 'dataset.num_samples=40')
    ),
]


def all_point_ap(truth, scores):
    precision, recall, _ = precision_recall_curve(truth, scores)
    return -np.sum(np.diff(recall) * np.maximum.accumulate(precision)[:-1])


def test_default_config_trains_and_leaves_out_difficult_objects(run_tool, tmp_path):
    work = ('--work-dir', tmp_path)
    done = run_tool('train', CONFIG, *work, '--cfg-options', *SMALL)
    assert done.code == 0, done.err
    files = [tmp_path / name for name in ('predictions.jsonl', 'metrics.json')]
    options = ('--out', *files, '--cfg-options', *SMALL)
    done = run_tool('test', CONFIG, tmp_path / 'epoch_1.pth', *work, *options)
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in files[0].read_text().splitlines()]
    assert len(rows) == 40
    scores = np.array([row['pred_score'] for row in rows])
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-5)
    positive, difficult = (
        np.array([np.isin(np.arange(8), row[key]) for row in rows])
        for key in ('gt_label', 'gt_label_difficult')
    )
    kept = positive | ~difficult
    assert not kept.all()
    expected = np.mean(
        [all_point_ap(positive[kept[:, c], c], scores[kept[:, c], c]) for c in range(8)]
    )
    metrics = json.loads(files[1].read_text())
    assert metrics['voc/mAP_all'] == pytest.approx(100 * expected, rel=1e-5)
