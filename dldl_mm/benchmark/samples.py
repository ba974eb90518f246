"""Tables of single samples: what comparisons of methods need, without anything of the data set."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from dldl_mm.benchmark.records import write_bytes
from dldl_mm.codecs import BaseValueCodec, build_codec
from dldl_mm.datasets.base import relative_name
from dldl_mm.functional import pose_error
from dldl_mm.functional.scores import mid_pit

# For each kind of table, the column that tells it from the others and the metrics that follow from it.
KINDS = {
    'error': ('age/mae', 'pose/mae_pair'),
    'score': ('voc/mAP_all',),
    'union': ('mIoU',),
}


@dataclass(frozen=True)
class Samples:
    """What a record's metric was computed from, in the order of the ids.

    N samples, A angles or 1 value, C classes.

    Attributes:
        ids: N anonymous names, see :func:`anonymous`.
        groups: N anonymous names of persons, empty text where unknown.
        columns: From name to (N, ...) numbers: ``error`` (N, A), with ``decade`` (N, 1) for ages and
            ``pit`` (N, 1) for distributions; or ``label`` and ``score`` (N, C); or ``intersection``
            and ``union`` (N, C).
    """

    ids: Sequence[str]
    groups: Sequence[str]
    columns: Mapping[str, np.ndarray]

    @property
    def kind(self) -> str | None:
        """Its key in :data:`KINDS`; None where there is nothing but the ids."""
        return next((kind for kind in KINDS if kind in self.columns), None)

    def metric(self, metrics: Iterable[str]) -> str | None:
        """That of some metrics which :meth:`statistic` gives."""
        return next((m for m in metrics if m in KINDS.get(self.kind or '', ())), None)

    @property
    def errors(self) -> np.ndarray | None:
        """(N,) lengths of the errors; the absolute error where there is one value."""
        error = self.columns.get('error')
        return None if error is None else np.linalg.norm(error, axis=1)

    def statistic(self) -> Callable[[np.ndarray], np.ndarray]:
        """The metric as a function of (B, N) weights of the samples, which returns (B,).

        The mean error; the mean average precision (all-point) or the mean IoU in percent. Weights are
        how often a sample is drawn, so that all ones give the metric itself.

        Raises:
            ValueError: The table has the ids only.
        """
        columns = self.columns
        if self.errors is not None:
            errors = self.errors
            return lambda weights: weights @ errors / weights.sum(1)
        if 'score' in columns:
            return lambda weights: mean_average_precision(
                columns['score'], columns['label'], weights
            )
        if 'union' in columns:
            return lambda weights: mean_iou(columns['intersection'], columns['union'], weights)
        raise ValueError('the samples have no errors, scores or areas')


def join(parts: Sequence[Samples]) -> Samples:
    """The samples of several folds as one table."""
    return Samples(
        [name for part in parts for name in part.ids],
        [name for part in parts for name in part.groups],
        {
            name: np.concatenate([part.columns[name] for part in parts])
            for name in parts[0].columns
            if all(name in part.columns for part in parts)
        },
    )


def mean_average_precision(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """All-point mAP of weighted samples; see :func:`~dldl_mm.functional.average_precision`.

    Args:
        scores: (N, C) scores.
        labels: (N, C) 1 for a positive, 0 for a negative class, -1 for one that is left out.
        weights: (B, N) how often each sample counts.

    Returns:
        (B,) percent, the mean over the classes with a positive sample of any weight.
    """
    precisions = []
    for score, label in zip(scores.T, labels.T, strict=True):
        keep = label >= 0
        order = np.argsort(-score[keep], kind='stable')
        ranked = score[keep][order]
        drawn = weights[:, keep][:, order]
        # Equal scores are one threshold.
        last = np.append(ranked[1:] != ranked[:-1], True)
        hits = np.cumsum(drawn * (label[keep][order] == 1), axis=1)[:, last]
        retrieved = np.cumsum(drawn, axis=1)[:, last]
        precision = hits / np.maximum(retrieved, 1)
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        steps = np.diff(hits, axis=1, prepend=0)
        positives = hits[:, -1]
        area = (steps * precision).sum(1)
        precisions.append(
            np.divide(area, positives, out=np.full(len(area), np.nan), where=positives > 0)
        )
    return 100 * np.nanmean(precisions, axis=0)


def mean_iou(intersection: np.ndarray, union: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean IoU of weighted images.

    Args:
        intersection: (N, C) pixels of each class that are labelled and predicted.
        union: (N, C) pixels that are one or the other.
        weights: (B, N) how often each image counts.

    Returns:
        (B,) percent, the mean over the classes that occur in images of any weight.
    """
    covered = weights @ union
    iou = np.divide(
        weights @ intersection, covered, out=np.full(covered.shape, np.nan), where=covered > 0
    )
    return 100 * np.nanmean(iou, axis=1)


def anonymous(name: str) -> str:
    """A short name that tells samples apart, but not what is in their file names.

    Example:
        >>> anonymous('faces/ann.jpg')
        '0c16a9e647'
    """
    return hashlib.sha256(name.encode()).hexdigest()[:10]


def write_samples(predictions: Path, out: Path, config: Config) -> None:
    """Condense ``predictions.jsonl`` to a table that may be published.

    Names become :func:`anonymous`, and of the annotations only that stays without which the metric
    and its spread cannot be computed again.

    Args:
        predictions: What ``DumpPredictions`` wrote.
        out: The table, a CSV file packed by gzip.
        config: The cell's config, whose head has the codec.
    """
    lines = predictions.read_text(encoding='utf-8').splitlines()
    records = [json.loads(line) for line in lines]
    root = str(config.test_dataloader.dataset.get('data_root') or '')
    table: dict[str, list[str]] = {
        'id': [
            anonymous(relative_name(str(r.get('img_path', r.get('sample_idx'))), root))
            for r in records
        ],
        'group': [anonymous(str(r['subject'])) if 'subject' in r else '' for r in records],
        **_columns(records, config),
    }
    rows = sorted(zip(*table.values(), strict=True))
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows([list(table), *rows])
    write_bytes(out, gzip.compress(text.getvalue().encode(), mtime=0))


def _columns(records: list[dict[str, Any]], config: Config) -> dict[str, list[str]]:
    if all('gt_value' in r and 'pred_value' in r for r in records):
        truth, pred = (
            torch.tensor([np.atleast_1d(r[key]) for r in records], dtype=torch.float64)
            for key in ('gt_value', 'pred_value')
        )
        if truth.shape[1] > 1:  # angles
            return {'error': [_numbers(row) for row in pose_error(pred, truth)]}
        columns = {
            'error': [_numbers(row) for row in pred - truth],
            'decade': [f'{10 * int(v // 10)}' for v in truth[:, 0]],
        }
        pit = _pit(records, config)
        return columns if pit is None else {**columns, 'pit': [f'{v:.4f}' for v in pit]}
    if all('pred_score' in r and isinstance(r.get('gt_label'), list) for r in records):
        # Shortest text that gives the same float32 again: ranks and ties stay.
        scores = [np.array(r['pred_score'], np.float32) for r in records]
        labels = [np.zeros(len(score), int) for score in scores]
        for record, label in zip(records, labels, strict=True):
            if _leaves_out_difficult(config):
                label[record.get('gt_label_difficult', [])] = -1
            label[record['gt_label']] = 1
        return {
            'label': [' '.join(map(str, row)) for row in labels],
            'score': [' '.join(map(str, row)) for row in scores],
        }
    if all('areas' in r for r in records):
        areas = np.array([r['areas'] for r in records])
        union = areas[:, 1] + areas[:, 2] - areas[:, 0]
        return {
            'intersection': [' '.join(map(str, row)) for row in areas[:, 0]],
            'union': [' '.join(map(str, row)) for row in union],
        }
    return {}


def _leaves_out_difficult(config: Config) -> bool:
    evaluators = config.get('test_evaluator') or []
    return all(
        evaluator.get('ignore_difficult', True)
        for evaluator in (evaluators if isinstance(evaluators, list) else [evaluators])
    )


def _numbers(row: torch.Tensor) -> str:
    return ' '.join(f'{v:.6g}' for v in row.tolist())


def _pit(records: list[dict[str, Any]], config: Config) -> list[float] | None:
    head = config.model.get('head') or {}
    if not all('pred_score' in r for r in records) or 'codec' not in head:
        return None
    codec = build_codec(head['codec'])
    if not isinstance(codec, BaseValueCodec) or codec.labels.ndim != 1:
        return None
    dist = torch.tensor([r['pred_score'] for r in records], dtype=torch.float64)
    value = torch.tensor([r['gt_value'] for r in records], dtype=torch.float64)
    return mid_pit(dist, value, codec.labels).tolist()


def read_samples(content: bytes) -> Samples:
    """Read what :func:`write_samples` wrote.

    Raises:
        ValueError: It is not such a table.
    """
    try:
        text = gzip.decompress(content).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f'not a CSV file packed by gzip: {error}') from None
    reader = csv.DictReader(io.StringIO(text))
    names = list(reader.fieldnames or [])
    if names[:2] != ['id', 'group']:
        raise ValueError(f'expected columns id, group and more, got {", ".join(names)}')
    rows = sorted(reader, key=lambda row: row['id'])
    columns = {}
    for name in names[2:]:
        try:
            values = np.array([[float(v) for v in row[name].split()] for row in rows])
        except (AttributeError, ValueError):
            raise ValueError(f'column {name}: expected as many numbers in every row') from None
        if values.ndim != 2 or not np.isfinite(values).all():
            raise ValueError(f'column {name}: expected finite numbers')
        columns[name] = values
    return Samples([row['id'] for row in rows], [row['group'] for row in rows], columns)
