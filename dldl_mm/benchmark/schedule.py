"""Running many cells: several at once here, or on a Slurm cluster."""

from __future__ import annotations

import argparse
import fcntl
import os
import queue
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import torch
from mmengine.config import DictAction

from dldl_mm.benchmark.cell import RUNNING, Cell, CellError, run_cell


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the tools that run cells."""
    parser.add_argument('--work-dir', type=Path, help='folder of runs and results')
    parser.add_argument(
        '--jobs',
        type=int,
        default=max(1, torch.cuda.device_count()),
        help='how many run at once here; GPUs are taken in turns (default: one per GPU)',
    )
    parser.add_argument(
        '--slurm',
        nargs='*',
        action=DictAction,
        metavar='KEY=VALUE',
        help='run on a Slurm cluster by submitit, with its parameters, as slurm_partition=gpu '
        'timeout_min=240 gpus_per_node=1',
    )


def run_cells(
    cells: Sequence[Cell],
    work_dir: Path,
    jobs: int,
    slurm: dict[str, Any] | None = None,
    done: Callable[[], None] = lambda: None,
    metric: str | None = None,
    out: TextIO | None = None,
    poll: float = 0.5,
) -> dict[str, str]:
    """Run those cells that have no record yet; a failing one does not stop the others.

    Args:
        cells: The cells.
        work_dir: Their folder; one process at a time may run cells in it.
        jobs: How many at once, without ``slurm``.
        slurm: Parameters of submitit's executor; None runs here.
        done: Called after each cell.
        metric: The metric to show of each; the first by default.
        out: Where progress is written; None is the standard output.
        poll: Seconds between two looks at the cells.

    Returns:
        The messages of the cells that failed, by name.

    Raises:
        ValueError: ``jobs`` is less than 1, or another process runs cells in the folder.
        ImportError: submitit is not installed.
    """
    if jobs < 1:
        raise ValueError(f'--jobs must be at least 1, got {jobs}')
    missing = [cell for cell in cells if cell.record is None]
    _say(out, f'{len(cells)} cells, {len(cells) - len(missing)} done already, in {work_dir}')
    failed: dict[str, str] = {}
    began = time.monotonic()
    with _lock(work_dir), _executor(jobs, slurm, work_dir) as submit:
        pending = {cell.hash: (cell, submit(cell)) for cell in missing}
        while pending:
            finished = [key for key, (_, future) in pending.items() if future.done()]
            if not finished:
                time.sleep(poll)
            for key in finished:
                cell, future = pending.pop(key)
                number = f'[{len(cells) - len(pending)}/{len(cells)}] {cell.name}'
                try:
                    record = future.result()
                except Exception as error:  # whatever it is: the others go on, and it is reported
                    failed[cell.name] = str(error) or type(error).__name__
                    _say(out, f'{number}: FAILED: {failed[cell.name]}')
                else:
                    metrics = record['metrics']
                    name = metric if metric in metrics else next(iter(metrics))
                    speed = (time.monotonic() - began) / (len(missing) - len(pending))
                    left = f', about {_duration(speed * len(pending))} left' if pending else ''
                    took = _duration(record['seconds'])
                    _say(out, f'{number}: {name} {metrics[name]:.4g}, took {took}{left}')
                    done()
    return failed


def _say(out: TextIO | None, message: str) -> None:
    print(message, file=out, flush=True)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f'{seconds:.0f} s' if seconds < 120 else f'{minutes // 60}:{minutes % 60:02d} h'


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / '.lock', 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f'another process runs cells in {folder}') from None
        yield


@contextmanager
def _executor(
    jobs: int, slurm: dict[str, Any] | None, folder: Path
) -> Iterator[Callable[[Cell], Any]]:
    """How a cell is submitted; what comes back has ``done`` and ``result``."""
    if slurm is not None:
        try:
            import submitit
        except ImportError:
            raise ImportError('--slurm needs submitit: pip install submitit') from None
        executor = submitit.AutoExecutor(folder / 'slurm', cluster=slurm.pop('cluster', 'slurm'))
        executor.update_parameters(**slurm)
        yield lambda cell: executor.submit(run_cell, cell)
        return
    devices: queue.Queue[str | None] = queue.Queue()
    for number in range(jobs):
        devices.put(_gpu(number))

    def run(cell: Cell) -> dict[str, Any]:
        gpu = devices.get()
        try:
            return run_cell(cell, {} if gpu is None else {'CUDA_VISIBLE_DEVICES': gpu})
        finally:
            devices.put(gpu)

    # A killed benchmark must not leave trainings behind.
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    pool = ThreadPoolExecutor(jobs)
    try:
        yield lambda cell: pool.submit(run, cell)
    finally:
        signal.signal(signal.SIGTERM, previous)
        pool.shutdown(wait=False, cancel_futures=True)
        _terminate(RUNNING)
        pool.shutdown()


def _gpu(number: int) -> str | None:
    if not torch.cuda.is_available():
        return None
    named = os.environ.get('CUDA_VISIBLE_DEVICES')
    ids = named.split(',') if named else [str(i) for i in range(torch.cuda.device_count())]
    return ids[number % len(ids)]


def _terminate(processes: Iterable[Any]) -> None:
    for process in list(processes):
        process.terminate()


__all__ = ['CellError', 'add_run_arguments', 'run_cells']
