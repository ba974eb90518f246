"""One cell of a benchmark: one training and test of one config, and its record."""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

import dldl_mm
from dldl_mm.benchmark.data import DataChecker, selection
from dldl_mm.benchmark.records import FORMAT, portable, write_text
from dldl_mm.benchmark.samples import write_samples
from dldl_mm.hooks import find_resumable_checkpoint

PACKAGE = Path(dldl_mm.__file__).parent
# What does not change a result, or is hashed by its content instead.
UNHASHED = ('work_dir', 'launcher', 'log_level', 'resume', 'data_root')
VERSIONS = (
    *('torch', 'torchvision', 'numpy', 'opencv-python', 'opencv-python-headless'),
    *('mmengine', 'mmcv', 'mmcv-lite', 'mmpretrain', 'mmsegmentation'),
)


class CellError(Exception):
    """A cell that failed; the message says why."""


@dataclass(frozen=True)
class Cell:
    """One training and test, fully resolved.

    Attributes:
        labels: What tells it from the others: ``method``, ``fold``, ``seed`` and so on.
        config: The resolved config.
        source: The config file that it came from.
        data: What :class:`DataChecker` says of its data.
        folder: Where its files go; the name holds the hash.
        hash: Over the resolved config, the data split and the code version.
        code: Version of the code, see :func:`code_version`.
        tools: Folder of ``train.py`` and ``test.py``.
    """

    labels: Mapping[str, Any]
    config: Config = field(repr=False)
    source: str
    data: Mapping[str, Any] = field(repr=False)
    folder: Path
    hash: str
    code: str
    tools: Path = field(repr=False)

    @property
    def name(self) -> str:
        """Its labels in words."""
        return ', '.join(
            str(value) if key == 'method' else f'{key} {value}'
            for key, value in self.labels.items()
            if value is not None and key != 'suite'
        )

    @property
    def record(self) -> dict[str, Any] | None:
        """Its record, where it is done."""
        path = self.folder / 'record.json'
        return json.loads(path.read_text(encoding='utf-8')) if path.is_file() else None


def make_cell(
    labels: Mapping[str, Any],
    config: Config,
    source: str,
    work_dir: Path,
    tools: Path,
    check_data: DataChecker,
) -> Cell:
    """Resolve a cell: check its data, hash what makes its result.

    Raises:
        ValueError: The data overlap, or a checkpoint would be selected on the test data.
        FileNotFoundError: Data or pre-trained weights are missing.
    """
    data = check_data(config)
    code = code_version()
    weights = [
        (where, hashlib.sha256(Path(path).read_bytes()).hexdigest() if os.path.isfile(path) else '')
        for where, path in pretrained_weights(config.to_dict())
    ]
    parts = [_hashed(config.to_dict()), weights, data, code]
    text = json.dumps(parts, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    words = [str(v) for key, v in labels.items() if v is not None and key != 'suite']
    name = ''.join(c if c.isalnum() or c in '.-' else '_' for c in '-'.join([*words, digest]))
    return Cell(labels, config, source, data, work_dir / name, digest, code, tools)


def run_cell(cell: Cell, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Train and test a cell in processes of their own, or go on where it was cut off.

    Args:
        cell: The cell.
        environment: Variables to set for the processes, such as ``CUDA_VISIBLE_DEVICES``.

    Returns:
        Its record, which is written last and whole: a cell without it does not count.

    Raises:
        CellError: Training or test failed, with the last line that it wrote.
    """
    if cell.record is not None:
        return cell.record
    work = cell.folder / 'run'
    work.mkdir(parents=True, exist_ok=True)
    config = cell.folder / 'config.py'
    cell.config.dump(config)
    resumed = find_resumable_checkpoint(work) is not None
    train = [cell.tools / 'train.py', config, '--work-dir', work, '--resume']
    selected_by = selection(cell.config)
    if selected_by is None:
        # Nothing depends on validation: the test data stay unseen until the end.
        train.append('--no-validate')
    usage = [_run(cell, train, environment)]
    checkpoint = find_resumable_checkpoint(work)
    if selected_by is not None and 'save_best' in selected_by:
        checkpoint = max(work.glob('best_*.pth'), key=os.path.getmtime, default=None)
    if checkpoint is None:
        raise CellError(f'training left no checkpoint in {work}')
    outputs = [cell.folder / 'metrics.json', cell.folder / 'predictions.jsonl']
    test = [cell.tools / 'test.py', config, checkpoint, '--work-dir', work, '--out', *outputs]
    if 'tta_model' in cell.config:
        test.append('--tta')
    usage.append(_run(cell, test, environment))

    samples = cell.folder / 'samples.csv.gz'
    write_samples(outputs[1], samples, cell.config)
    record = {
        'format': FORMAT,
        **cell.labels,
        'hash': cell.hash,
        'config': {
            'file': from_checkout(cell.source),
            'resolved': portable(cell.config.to_dict(), os.environ.get('DLDL_DATA_ROOT')),
        },
        'data': cell.data,
        'pretraining': [
            {'where': where, **_checksum(path)}
            for where, path in pretrained_weights(cell.config.to_dict())
        ],
        'checkpoint': {'file': checkpoint.name, 'selected_by': selected_by or 'nothing: the last'},
        'decoding': _decoding(cell.config),
        'metrics': json.loads(outputs[0].read_text(encoding='utf-8')),
        'samples': {
            'file': f'samples/{cell.folder.name}.csv.gz',
            'sha256': hashlib.sha256(samples.read_bytes()).hexdigest(),
        },
        'versions': _versions(),
        'code': cell.code,
        'commit': _commit(),
        'device': _device(),
        'seconds': round(sum(u['seconds'] for u in usage), 1),
        'cpu_seconds': round(sum(u['cpu_seconds'] for u in usage), 2),
        'peak_memory_mb': round(max(u['peak_memory_mb'] for u in usage)),
        'peak_gpu_memory_mb': _peak_gpu_memory(work),
        'resumed': resumed,
        'date': datetime.now(timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ'),
    }
    write_text(cell.folder / 'record.json', json.dumps(record, ensure_ascii=False, indent=1))
    return record


def _run(cell: Cell, command: list[Any], environment: Mapping[str, str] | None) -> dict[str, float]:
    """Run a tool, its output appended to the cell's log; returns what it used."""
    if code_version.__wrapped__() != cell.code:
        raise CellError('the code was changed since the start: start again')
    log = cell.folder / 'log.txt'
    began = time.monotonic()
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get('PYTHONPATH')]))
    with open(log, 'ab') as file, open(cell.folder / '.lock', 'w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CellError(
                f'a process of an earlier benchmark still runs in {log.parent}'
            ) from None
        process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdout=file,
            stderr=subprocess.STDOUT,
            # The lock is the child's too: it outlives a benchmark that is killed without notice.
            pass_fds=[lock.fileno()],
            env={**os.environ, 'PYTHONPATH': path, **(environment or {})},
        )
        RUNNING.add(process)
        try:
            # Unlike wait, wait4 tells what this one child has used.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            RUNNING.discard(process)
    if process.returncode:
        lines = log.read_text(encoding='utf-8', errors='replace').strip().splitlines()
        last = lines[-1].removeprefix('error: ') if lines else 'no output'
        tool = Path(command[0]).name
        raise CellError(f'{tool} ended with code {process.returncode}: {last} (see {log})')
    # Linux counts kilobytes, macOS bytes.
    peak = usage.ru_maxrss / (2**20 if sys.platform == 'darwin' else 2**10)
    return {
        'seconds': time.monotonic() - began,
        'cpu_seconds': usage.ru_utime + usage.ru_stime,
        'peak_memory_mb': peak,
    }


RUNNING: set[subprocess.Popen] = set()


@cache
def code_version() -> str:
    """Hash of the package's code, without comments and layout, except that of this subpackage."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob('*.py')):
        name = path.relative_to(PACKAGE)
        if name.parts[0] not in ('benchmark', '.mim'):
            digest.update(f'{name.as_posix()}\n'.encode())
            digest.update(ast.dump(ast.parse(path.read_bytes())).encode())
    return digest.hexdigest()[:12]


def pretrained_weights(config: Any, where: str = '') -> Iterator[tuple[str, str]]:
    """Where a config loads weights from: ``load_from`` and every ``init_cfg`` with a checkpoint."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            place = f'{where}.{key}'.lstrip('.')
            if isinstance(value, str) and key in ('load_from', 'checkpoint', 'pretrained'):
                yield place, value
            else:
                yield from pretrained_weights(value, place)
    elif isinstance(config, (list, tuple)):
        for number, value in enumerate(config):
            yield from pretrained_weights(value, f'{where}[{number}]')


def _checksum(source: str) -> dict[str, str | None]:
    """Source and SHA-256 of weights; those of a URL lie in torch's cache after the training."""
    path = Path(source)
    if '://' in source:
        path = Path(torch.hub.get_dir()) / 'checkpoints' / source.rpartition('/')[2]
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return {'source': source if '://' in source else path.name, 'sha256': digest}


def _hashed(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {k: _hashed(v) for k, v in config.items() if k not in (*UNHASHED, 'load_from')}
    if isinstance(config, (list, tuple)):
        return [_hashed(value) for value in config]
    return config


def from_checkout(path: str | Path) -> str:
    """A path as it is seen from the checkout's folder; the name alone where it lies elsewhere."""
    try:
        return Path(path).resolve().relative_to(PACKAGE.parent.resolve()).as_posix()
    except ValueError:
        return Path(path).name


def _decoding(config: Config) -> str | None:
    head = config.model.get('head') or config.model.get('decode_head') or {}
    return (head.get('codec') or {}).get('decode')


def _versions() -> dict[str, str]:
    found = {'python': platform.python_version(), 'dldl_mm': dldl_mm.__version__}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """The checkout's commit, with ``+`` where tracked files were changed."""
    command = ['git', '-C', str(PACKAGE.parent), 'describe', '--always', '--abbrev=40']
    try:
        done = subprocess.run(
            [*command, '--exclude=*', '--dirty=+'], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _device() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file():
        models = [line for line in info.read_text().splitlines() if line.startswith('model name')]
        name = models[0].partition(':')[2].strip() if models else name
    threads = os.environ.get('OMP_NUM_THREADS', str(os.cpu_count()))
    return f'CPU ({name}), OMP_NUM_THREADS {threads}'


def _peak_gpu_memory(work: Path) -> int | None:
    """The greatest ``memory`` in the logs of the runner, MB."""
    peaks = [
        json.loads(line).get('memory', 0)
        for path in work.rglob('scalars.json')
        for line in path.read_text().splitlines()
    ]
    return max(peaks, default=0) or None
