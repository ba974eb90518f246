"""Peak memory of ``HypothesisPoolingClassifier`` by the number of crops that it takes at a time.

    python benchmarks/hypothesis_pooling.py

One forward and backward pass of the VGG-16 recipe (without its weights from ImageNet) over three
images with 15 boxes each, crops of 64 px, on a CPU: how far the process's peak resident set rises,
each chunk size in a process of its own. Writes benchmarks/results/hypothesis_pooling_cpu.csv.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
BOXES, CHUNKS = 15, (45, 15, 5)


def peak_mib(chunk_size: int) -> float:
    import numpy as np
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmpretrain.registry import MODELS
    from mmpretrain.structures import DataSample

    torch.manual_seed(0)
    init_default_scope('mmpretrain')
    config = Config.fromfile(ROOT / 'configs/multilabel/vgg16-avg_pf-dldl_voc2007.py').model
    config.backbone.init_cfg = None
    config.update(crop_size=64, chunk_size=chunk_size)
    model = MODELS.build(config).train()
    corners = np.random.default_rng(0).uniform(0, 96, (3, BOXES, 2))
    samples = []
    for some in corners:
        sample = DataSample().set_gt_label([0, 3]).set_gt_score(torch.full((20,), 0.05))
        sample.set_field(np.float32(np.concatenate([some, some + 96], 1)), 'gt_bboxes')
        samples.append(sample)
    images = torch.randn(3, 3, 192, 192)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sum(model(images, samples, mode='loss').values()).backward()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--chunk-size', type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.chunk_size:
        print(peak_mib(arguments.chunk_size))
        return
    rows = []
    for chunk_size in CHUNKS:
        command = [sys.executable, '-W', 'ignore', __file__, '--chunk-size', str(chunk_size)]
        # One heap: the arenas of the backward pass's thread would keep pages of their own.
        environment = {**os.environ, 'MALLOC_ARENA_MAX': '1'}
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        peak = float(done.stdout.split()[-1])
        rows.append(dict(chunk_size=chunk_size, peak_mib=f'{peak:.0f}', torch=torch.__version__))
        print(f'chunk_size={chunk_size}: {peak:.0f} MiB', flush=True)
    out = ROOT / 'benchmarks/results/hypothesis_pooling_cpu.csv'
    with out.open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, rows[0], lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


if __name__ == '__main__':
    main()
