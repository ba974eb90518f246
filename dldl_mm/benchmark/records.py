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
    """Write a file that appears whole or not at all, also when the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        with open(partial, 'w', encoding='utf-8') as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_results(
    cells: Sequence[Cell], work_dir: Path, metrics: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Gather what is done: ``records.jsonl`` and the folder ``samples``.

    Args:
        cells: The cells of a benchmark; those without a record are left out.
        work_dir: Where to write.
        metrics: The columns of the table, see :class:`Suite`; kept in each record as ``rules``.

    Returns:
        The records.
    """
    records = []
    for cell in cells:
        record = cell.record
        if record is not None:
            text = (cell.folder / 'samples.csv').read_text(encoding='utf-8')
            write_text(work_dir / record['samples']['file'], text)
            records.append({**record, 'rules': dict(metrics or {})})
    lines = [json.dumps(record, ensure_ascii=False) + '\n' for record in records]
    write_text(work_dir / 'records.jsonl', ''.join(lines))
    return records


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
