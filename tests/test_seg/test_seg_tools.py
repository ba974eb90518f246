"""The default segmentation config through the tools."""

import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

CONFIGS = Path(__file__).parents[2] / 'configs'
SMALL = [
    *(
        f'{phase}_dataloader.{option}'
        for phase in ('train', 'val', 'test')
        for option in ('num_workers=0', 'persistent_workers=False', 'batch_size=2')
    ),
    *(f'{phase}_dataloader.dataset.num_samples=4' for phase in ('train', 'val', 'test')),
    'train_cfg.max_iters=2',
    'train_cfg.val_interval=2',
]


def test_train_test_and_browse(run_tool, tmp_path):
    config = CONFIGS / 'dldl_seg.py'
    work = tmp_path / 'work'
    done = run_tool('train', config, '--work-dir', work, '--cfg-options', *SMALL)
    assert done.code == 0, done.err
    (picture,) = work.rglob('val_distributions_2.png')
    assert cv2.imread(str(picture)).std() > 10
    (scalars,) = work.rglob('scalars.json')
    validated = json.loads(scalars.read_text().splitlines()[-1])

    out = tmp_path / 'metrics.json'
    options = ['--work-dir', work, '--out', out, '--cfg-options', *SMALL]
    done = run_tool('test', config, work / 'iter_2.pth', *options)
    assert done.code == 0, done.err
    tested = json.loads(out.read_text())
    for name in ('mIoU', 'seg/fwIoU', 'seg/mIoU@1px', 'seg/ECE'):
        np.testing.assert_allclose(tested[name], validated[name], rtol=1e-4)

    browsed = tmp_path / 'grid.png'
    done = run_tool('browse_dataset', config, '--number', 2, '--out', browsed)
    assert done.code == 0, done.err
    # Image, target and its entropy; there is no prediction.
    assert cv2.imread(str(browsed)).shape[1] == 3 * 320


def test_label_map_that_does_not_fit_ends_the_training(run_tool, tmp_path):
    rng = np.random.default_rng(0)
    for phase in ('train', 'val'):
        for kind in ('img', 'ann'):
            (tmp_path / f'{kind}_dir' / phase).mkdir(parents=True)
        image = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / 'img_dir' / phase / 'a.jpg')
        label = np.full((30, 40), 11 if phase == 'val' else 10, np.uint8)
        Image.fromarray(label).save(tmp_path / 'ann_dir' / phase / 'a.png')
    config = CONFIGS / 'seg' / 'fcn-resnet18_dldl_camvid.py'
    options = [option for option in SMALL if 'num_samples' not in option]
    options = ['--data-root', tmp_path, '--work-dir', tmp_path / 'work', '--cfg-options', *options]
    done = run_tool('train', config, *options)
    assert done.code == 2
    assert 'ann_dir/val/a.png: label 11 in 1200 pixel(s) is neither a class (0 to 10)' in done.err
