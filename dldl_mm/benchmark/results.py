"""Records read back with their samples; what does not hold together is refused."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from dldl_mm.benchmark.cell import pretrained_weights
from dldl_mm.benchmark.data import selection
from dldl_mm.benchmark.records import FORMAT
from dldl_mm.benchmark.samples import Samples, read_samples

REQUIRED: dict[str, type | tuple[type, ...]] = {
    **dict(suite=str, method=str, seed=(int, type(None)), hash=str, config=dict, data=dict),
    **dict(pretraining=list, checkpoint=dict, metrics=dict, samples=dict, versions=dict),
    **dict(code=str, commit=(str, type(None)), device=str, seconds=(int, float), rules=dict),
}


@dataclass(frozen=True)
class Result:
    """A record and the samples that it was computed from.

    Attributes:
        record: The record.
        samples: Its samples; None where their file is not at hand.
        folder: Where the record was read from; ``samples.file`` is relative to it.
    """

    record: Mapping[str, Any]
    samples: Samples | None
    folder: Path


def read_results(paths: Sequence[Path], whole: bool = False) -> list[Result]:
    """Read and check files of records, with the samples beside them.

    Args:
        paths: Files that :func:`write_results` wrote, or a submission in their format.
        whole: Refuse records whose samples are not there.

    Raises:
        FileNotFoundError: A file of records is missing, or one of samples if ``whole``.
        ValueError: A record is incomplete or contradicts itself, its samples or another record; the
            message names file and line.
    """
    results: list[Result] = []
    seen: dict[tuple, tuple[Result, str]] = {}
    for path in paths:
        if not Path(path).is_file():
            raise FileNotFoundError(f'there is no file of records {path}')
        for number, line in enumerate(Path(path).read_text(encoding='utf-8').splitlines(), 1):
            try:
                record = json.loads(line)
                result = _check(record, Path(path).parent, whole)
            except ValueError as error:
                raise ValueError(f'{path}:{number}: {error}') from None
            if _contradicts(result, f'{path}:{number}', seen):
                results.append(result)
    if not results:
        raise ValueError(f'there is no record in {", ".join(map(str, paths))}')
    return results


def _check(record: Any, folder: Path, whole: bool) -> Result:
    if not isinstance(record, dict) or record.get('format') != FORMAT:
        raise ValueError(f'expected a record with "format": {FORMAT}')
    for key, kind in REQUIRED.items():
        if key not in record or not isinstance(record[key], kind):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            names = ' or '.join('null' if k is type(None) else k.__name__ for k in kinds)
            raise ValueError(f'{key}: expected {names}, got {record.get(key)!r}')
    for outer, inner in (
        *(('config', 'file'), ('config', 'resolved'), ('data', 'train'), ('data', 'test')),
        *(('checkpoint', 'selected_by'), ('samples', 'file'), ('samples', 'sha256')),
    ):
        if inner not in record[outer]:
            raise ValueError(f'{outer}.{inner} is missing')
    _check_data(record)
    _check_pretraining(record)
    for name in record['rules']:
        value = record['metrics'].get(name)
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            known = ', '.join(record['metrics'])
            raise ValueError(f'metrics.{name}: expected a number, got {value!r}; there are {known}')
    samples = _read_samples(record, folder, whole)
    name = samples and samples.metric(record['metrics'])
    if samples and name:
        said = record['metrics'][name]
        again = float(samples.statistic()(np.ones((1, len(samples.ids))))[0])
        # mmsegmentation rounds its percentages to two decimals.
        if not math.isclose(again, said, rel_tol=1e-4, abs_tol=0.0051 if name == 'mIoU' else 0):
            raise ValueError(f'metrics.{name} is {said:g}, but its samples give {again:g}')
    return Result(record, samples, folder)


def _check_data(record: Mapping[str, Any]) -> None:
    data = record['data']
    for part in ('train', 'val', 'test'):
        if part in data and not {'samples', 'hash'} <= set(data[part]):
            raise ValueError(f'data.{part}: expected samples and hash, got {data[part]!r}')
    said = record['checkpoint']['selected_by']
    found = selection(Config(record['config']['resolved'])) or 'nothing: the last'
    if said != found:
        raise ValueError(f'checkpoint.selected_by is {said!r}, but its config says {found!r}')
    if said != 'nothing: the last' and 'val' not in data:
        raise ValueError(f'data.val is missing, but {said} selects by it')
    for part in ('train', 'val'):
        if part in data and data[part]['hash'] == data['test']['hash']:
            raise ValueError(f'data: {part} and test are the same samples')


def _check_pretraining(record: Mapping[str, Any]) -> None:
    wanted = [where for where, _ in pretrained_weights(record['config']['resolved'])]
    found = [entry.get('where') for entry in record['pretraining']]
    if wanted != found:
        raise ValueError(f'pretraining names {found}, but its config loads {wanted}')
    for entry in record['pretraining']:
        if not entry.get('source') or not entry.get('sha256'):
            raise ValueError(f'pretraining: expected source and sha256, got {entry!r}')


def _read_samples(record: Mapping[str, Any], folder: Path, whole: bool) -> Samples | None:
    name = record['samples']['file']
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f'samples.file must lie beside the records, got {name!r}')
    if not path.is_file():
        if whole:
            raise FileNotFoundError(f'there is no file of samples {path}')
        return None
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != record['samples']['sha256']:
        raise ValueError(f'{name} is not the file that the record was written with (SHA-256)')
    try:
        samples = read_samples(content)
    except ValueError as error:
        raise ValueError(f'{name}: {error}') from None
    count, found = record['data']['test']['samples'], len(samples.ids)
    if len(set(samples.ids)) != count or found != count:
        raise ValueError(
            f'{name} has {found} rows of {len(set(samples.ids))} samples, but data.test has {count}'
        )
    return samples


def _contradicts(result: Result, place: str, seen: dict[tuple, tuple[Result, str]]) -> bool:
    """Refuse contradictions with what was read before; False for a copy of it."""
    record = result.record
    suite, method, size, fold, seed = (
        record.get(key) for key in ('suite', 'method', 'size', 'fold', 'seed')
    )

    def compare(key: tuple, what: str, of: Callable[[Mapping[str, Any]], Any]) -> bool:
        known, where = seen.setdefault(key, (result, place))
        if of(known.record) != of(record):
            raise ValueError(f'{place} contradicts {where}: {what} differ')
        return known is not result

    compare((suite, fold), 'the test data', lambda r: r['data']['test']['hash'])
    compare((suite, size, fold, seed), 'the training data', lambda r: r['data']['train']['hash'])
    compare((suite,), 'the metrics to show', lambda r: r['rules'])
    if result.samples is not None:
        known, where = seen.setdefault((suite, fold, 'samples'), (result, place))
        if known.samples is not None and known.samples.ids != result.samples.ids:
            raise ValueError(f'{place} contradicts {where}: the tested samples differ')
    about = 'pre-training, decoding or selection of one method'
    compare(
        (suite, method),
        about,
        lambda r: (r['pretraining'], r.get('decoding'), r['checkpoint']['selected_by']),
    )
    key = (suite, method, size, fold, seed)
    same = compare(key, 'hash or metrics of one run', lambda r: (r['hash'], r['metrics']))
    return not same
