"""Publishing a leaderboard: a folder of a repository that holds the records and what they say."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dldl_mm.benchmark.cell import from_checkout
from dldl_mm.benchmark.chart import picture
from dldl_mm.benchmark.leaderboard import Table, to_csv, to_html, to_markdown
from dldl_mm.benchmark.records import write_bytes, write_records, write_text


def write_pages(tables: Sequence[Table], folder: Path, title: str) -> None:
    """Write ``leaderboard.md``, ``.csv`` and ``.html``.

    Args:
        tables: The tables.
        folder: Where.
        title: Headline of the page.
    """
    write_text(folder / 'leaderboard.md', to_markdown(tables))
    write_text(folder / 'leaderboard.csv', to_csv(tables))
    write_text(folder / 'leaderboard.html', to_html(tables, title))


def publish(tables: Sequence[Table], folder: Path, title: str) -> None:
    """Write a folder from which anyone can check the tables and add rows to them.

    ``README.md``, which code hosts show with the folder, has the tables and the commands;
    ``leaderboard.html`` and ``leaderboard.csv`` are those of :func:`write_pages`; ``records.jsonl``
    and ``samples/`` are what they were made from. Files of samples that no record names are removed.

    Args:
        tables: The tables, with samples.
        folder: The folder; records that were read from it may be among those of the tables.
        title: Headline.
    """
    results = [result for table in tables for row in table.rows for result in row.results]
    samples = {
        result.record['samples']['file']: (
            result.folder / result.record['samples']['file']
        ).read_bytes()
        for result in results
    }
    for name, content in samples.items():
        write_bytes(folder / name, content)
    write_records([result.record for result in results], folder / 'records.jsonl')
    for path in (folder / 'samples').iterdir():
        if path.relative_to(folder).as_posix() not in samples:
            path.unlink()
    write_text(folder / 'leaderboard.csv', to_csv(tables))
    write_text(folder / 'leaderboard.html', to_html(tables, title))
    for number, table in enumerate(tables):
        image = picture(table.charts, table.names, table.shown)
        write_bytes(folder / _image(number), image)
    write_text(folder / 'README.md', _readme(tables, folder, title))


def _image(number: int) -> str:
    return f'charts{number or ""}.png'


def _readme(tables: Sequence[Table], folder: Path, title: str) -> str:
    parts = []
    for number, table in enumerate(tables):
        part = to_markdown([table], folder)
        if len(tables) == 1:
            part = part.removeprefix(f'## {table.suite}\n\n')
        parts += [part, f'![Charts of {table.suite}]({_image(number)})\n']
    text = '\n'.join(parts)
    records = [r.record for table in tables for row in table.rows for r in row.results]
    commands = dict.fromkeys(
        record['command'] + (' --data-root …' if _needs_data(record) else '')
        for record in records
        if record.get('command')
    )
    path = from_checkout(folder / 'records.jsonl')
    guide = os.path.relpath('docs/leaderboard.md', folder)
    return (
        f'# {title}\n\n{text}\n'
        'Made by\n\n```bash\n' + '\n'.join(commands) + '\n```\n\n'
        'The page to sort, filter and compare is [leaderboard.html](leaderboard.html); it opens in any '
        'browser. [records.jsonl](records.jsonl) has every run with its config, versions and hashes, '
        'and `samples/` what its metric was computed from. To check them, and to add a row: '
        f'[docs/leaderboard.md]({guide}).\n\n'
        f'```bash\npython tools/leaderboard.py {path} --check\n```\n'
    )


def _needs_data(record: Mapping[str, Any]) -> bool:
    loader = record['config']['resolved'].get('test_dataloader') or {}
    return 'data_root' in (loader.get('dataset') or {})
