"""Records: the results of cells, as JSON."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dldl_mm.benchmark.cell import Cell

FORMAT = 1


def write_text(path: Path, text: str) -> None:
    """Write a text that appears whole or not at all, also when the disk is full."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all, also when the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        with open(partial, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_results(
    cells: Sequence[Cell], work_dir: Path, table: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Gather what is done: ``records.jsonl`` and the folder ``samples``.

    Args:
        cells: The cells of a benchmark; those without a record are left out.
        work_dir: Where to write.
        table: What the records of a suite say of its table, see :attr:`Suite.table`.

    Returns:
        The records.
    """
    records = []
    for cell in cells:
        record = cell.record
        if record is not None:
            samples = (cell.folder / 'samples.csv.gz').read_bytes()
            write_bytes(work_dir / record['samples']['file'], samples)
            records.append({**record, **(table or dict(rules={}))})
    write_records(records, work_dir / 'records.jsonl')
    return records


def write_records(records: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write a file of records, one a line."""
    write_text(path, ''.join(json.dumps(r, ensure_ascii=False) + '\n' for r in records))


def portable(config: Any, data_root: str | None) -> Any:
    """A resolved config without the paths of one machine.

    Args:
        config: Nested dicts, lists and values.
        data_root: The folder of the data, which becomes ``$DLDL_DATA_ROOT``. Of other absolute paths
            the last part is left.

    Returns:
        The same as JSON has it.

    Example:
        >>> portable(dict(data_root='/home/ann/faces', load_from='/home/ann/x.pth'), '/home/ann/faces')
        {'data_root': '$DLDL_DATA_ROOT', 'load_from': 'x.pth'}
    """
    if isinstance(config, Mapping):
        return {str(key): portable(value, data_root) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [portable(value, data_root) for value in config]
    if isinstance(config, (int, float, type(None))):
        return config
    text = str(config)
    root = (data_root or '').rstrip('/')
    if root and (text.rstrip('/') == root or text.startswith(f'{root}/')):
        return '$DLDL_DATA_ROOT' + text[len(root) :].rstrip('/')
    return os.path.basename(text.rstrip('/')) if os.path.isabs(text) else text


def spread(records: Iterable[Mapping[str, Any]]) -> dict[str, tuple[float, float, int]]:
    """Mean, sample deviation and count of each metric over records of one method.

    The deviation has n - 1 in the denominator; of a single record it is NaN.
    """
    values: dict[str, list[float]] = {}
    for record in records:
        for name, value in record['metrics'].items():
            values.setdefault(name, []).append(float(value))
    return {
        name: (
            statistics.fmean(found),
            statistics.stdev(found) if len(found) > 1 else float('nan'),
            len(found),
        )
        for name, found in values.items()
    }
