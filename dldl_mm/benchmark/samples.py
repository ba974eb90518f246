"""Predictions of single samples, kept aside from the records in a small table."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from dldl_mm.benchmark.records import write_text
from dldl_mm.codecs import BaseValueCodec, build_codec
from dldl_mm.functional.scores import mid_pit


def write_samples(predictions: Path, out: Path, config: Config) -> None:
    """Condense ``predictions.jsonl`` to what comparisons of methods need.

    The columns are ``sample`` (the file), ``subject``, ``truth`` and ``prediction`` (angles
    separated by spaces), and for distributions of one value ``pit``, the predicted share below
    the truth. Samples without a value (classes, label maps) have their name only.

    Args:
        predictions: What ``DumpPredictions`` wrote.
        out: The CSV file.
        config: The cell's config, whose head has the codec.
    """
    lines = predictions.read_text(encoding='utf-8').splitlines()
    records = [json.loads(line) for line in lines]
    root = str(config.test_dataloader.dataset.get('data_root') or '')
    pit = _pit(records, config)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['sample', 'subject', 'truth', 'prediction', 'pit'])
    for number, record in enumerate(records):
        name = str(record.get('img_path', record.get('sample_idx')))
        writer.writerow(
            [
                name.removeprefix(root).lstrip('/'),
                record.get('subject', ''),
                _numbers(record.get('gt_value')),
                _numbers(record.get('pred_value')),
                '' if pit is None else f'{pit[number]:.4f}',
            ]
        )
    write_text(out, text.getvalue())


def _numbers(value: Any) -> str:
    return '' if value is None else ' '.join(f'{v:.6g}' for v in np.atleast_1d(value))


def _pit(records: list[dict[str, Any]], config: Config) -> list[float] | None:
    head = config.model.get('head') or {}
    if not all('pred_score' in r and 'gt_value' in r for r in records) or 'codec' not in head:
        return None
    codec = build_codec(head['codec'])
    if not isinstance(codec, BaseValueCodec) or codec.labels.ndim != 1:
        return None
    dist = torch.tensor([r['pred_score'] for r in records], dtype=torch.float64)
    value = torch.tensor([r['gt_value'] for r in records], dtype=torch.float64)
    return mid_pit(dist, value, codec.labels).tolist()
