"""Leaderboards: tables of results, as Markdown, CSV and a web page."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import torch

from dldl_mm.benchmark.chart import Chart, draw
from dldl_mm.benchmark.compare import paired_differences
from dldl_mm.benchmark.records import spread
from dldl_mm.benchmark.results import MEAN_ERRORS, Result
from dldl_mm.functional import cumulative_score, mean_absolute_error_by_decade

PAGE = Path(__file__).with_name('leaderboard.html')


@dataclass
class Row:
    """One method, trained on one number of samples: all its folds and seeds.

    Attributes:
        method: Its name.
        size: Number of training samples, where the suite varies it.
        results: Its results.
        metrics: From name to mean, deviation and count.
        differences: From baseline to the difference of mean errors and the ends of its interval.
    """

    method: str
    size: int | None
    results: list[Result]
    metrics: dict[str, tuple[float, float, int]]
    differences: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Method and size."""
        return self.method if self.size is None else f'{self.method}, {self.size}'

    @property
    def pretraining(self) -> str:
        """What it was trained on before, or ``none``."""
        found = self.results[0].record['pretraining']
        return ', '.join(f'{p["source"]} ({p["sha256"][:8]})' for p in found) or 'none'

    @property
    def decoding(self) -> str:
        """Its decoding rule."""
        return self.results[0].record.get('decoding') or ''


@dataclass
class Table:
    """The rows of one suite, best first.

    Attributes:
        suite: Its name.
        rules: From metric to which is better; metrics without a rule are not ranked.
        rows: The rows.
        baseline: The method that the others are compared with.
        notes: What a reader has to know.
        charts: Pictures of the rows.
    """

    suite: str
    rules: dict[str, str]
    rows: list[Row]
    baseline: str
    notes: list[str]
    charts: list[Chart]

    @property
    def baselines(self) -> list[str]:
        """Methods that others can be compared with."""
        return list(dict.fromkeys(name for row in self.rows for name in row.differences))

    @property
    def sizes(self) -> bool:
        """Whether the number of training samples varies."""
        return any(row.size is not None for row in self.rows)


def make_tables(results: Sequence[Result], baseline: str | None = None) -> list[Table]:
    """Group results to a table for each suite.

    Args:
        results: The results.
        baseline: Method to compare with; None takes the first of each suite.

    Raises:
        ValueError: No suite has the baseline.
    """
    suites: dict[str, list[Result]] = {}
    for result in results:
        suites.setdefault(result.record['suite'], []).append(result)
    tables = [_table(suite, found, baseline) for suite, found in suites.items()]
    if baseline is not None and all(table.baseline != baseline for table in tables):
        methods = dict.fromkeys(result.record['method'] for result in results)
        raise ValueError(f'--baseline: there is no {baseline!r}; there are {", ".join(methods)}')
    return tables


def _table(suite: str, results: list[Result], baseline: str | None) -> Table:
    groups: dict[tuple[str, int | None], list[Result]] = {}
    for result in results:
        key = (result.record['method'], result.record.get('size'))
        groups.setdefault(key, []).append(result)
    rows = [
        Row(method, size, found, spread(result.record for result in found))
        for (method, size), found in groups.items()
    ]
    methods = [row.method for row in rows]
    chosen = baseline if baseline in methods else methods[0]
    for _, same in groupby(sorted(rows, key=_size), _size):
        _compare(list(same))
    rules = dict(results[0].record['rules'])
    names = rules or dict.fromkeys(name for row in rows for name in row.metrics)
    table = Table(suite, {name: rules.get(name, '') for name in names}, rows, chosen, [], [])
    primary = next(iter(table.rules))
    sign = -1 if table.rules[primary] == 'greater' else 1
    rows.sort(key=lambda row: (_size(row), sign * row.metrics.get(primary, (math.inf,))[0]))
    table.notes = list(_notes(table))
    table.charts = list(_charts(table, primary))
    return table


def _size(row: Row) -> int:
    return row.size or 0


def _compare(rows: list[Row]) -> None:
    """Compare rows with each other whose errors are of the same samples."""
    pooled = {}
    for row in rows:
        errors: dict[tuple[str, str], list[float]] = {}
        persons: dict[tuple[str, str], str] = {}
        for result in row.results:
            fold = str(result.record.get('fold'))
            if result.errors is None:
                continue
            for name, subject, error in zip(
                result.names, result.subjects, result.errors, strict=True
            ):
                errors.setdefault((fold, name), []).append(error)
                persons[fold, name] = subject
        if errors:
            pooled[row.method] = (errors, persons)
    if not pooled:
        return
    # A method that lacks a fold cannot be compared with those that have all.
    samples = max((errors.keys() for errors, _ in pooled.values()), key=len)
    whole = [
        row for row in rows if row.method in pooled and pooled[row.method][0].keys() == samples
    ]
    keys = sorted(samples)
    # The mean over the seeds first: what is drawn again are the samples, not the trainings.
    matrix = np.stack(
        [[np.mean(pooled[row.method][0][key]) for key in keys] for row in whole], axis=1
    )
    persons = pooled[whole[0].method][1]
    groups = [persons[key] for key in keys] if all(persons.values()) else None
    differences = paired_differences(matrix, groups)
    for a, row in enumerate(whole):
        for b, other in enumerate(whole):
            mean, low, high = differences[a, b].tolist()
            row.differences[other.method] = (mean, low, high)


def _notes(table: Table) -> Iterator[str]:
    records = [result.record for row in table.rows for result in row.results]
    parts = {part: {r['data'][part]['samples'] for r in records} for part in ('train', 'test')}
    counts = {
        part: ' to '.join(str(n) for n in dict.fromkeys((min(found), max(found))))
        for part, found in parts.items()
    }
    yield f'Trained on {counts["train"]} samples, tested on {counts["test"]} that no training saw.'
    shared = max(record['data'].get('shared_subjects') or 0 for record in records)
    if shared:
        yield f'Up to {shared} persons are in both training and test, as the protocol has it.'
    most = max(len(row.results) for row in table.rows)
    incomplete = [
        f'{r.name} ({len(r.results)} of {most})' for r in table.rows if len(r.results) < most
    ]
    if incomplete:
        yield f'Not all runs are there: {", ".join(incomplete)}.'
    yield (
        f'± is the sample deviation over {most} runs (folds or seeds).'
        if most > 1
        else 'One run each: the spread over seeds is not measured.'
    )
    if len({record['code'] for record in records}) > 1:
        yield 'The runs are of different versions of the code.'
    devices = dict.fromkeys(record['device'] for record in records)
    yield f'Device: {"; ".join(devices)}.'


def _charts(table: Table, primary: str) -> Iterator[Chart]:
    names = list(dict.fromkeys(row.method for row in table.rows))
    if table.sizes:
        chart = Chart(f'{primary} against training-set size', 'training samples', primary, log=True)
        for method in names:
            points = [
                (row.size, *row.metrics[primary][:2]) for row in table.rows if row.method == method
            ]
            chart.series[method] = [(float(x or 0), y) for x, y, _ in points]
            chart.bars[method] = [0 if math.isnan(d) else d for _, _, d in points]
        yield chart
    largest = max(map(_size, table.rows))
    of = f', {largest} training samples' if largest else ''
    scores = Chart(f'Cumulative score{of}', 'error at most', 'share of samples, %')
    decades = Chart(f'MAE by decade of age{of}', 'true age from', 'MAE, years')
    coverage = Chart(f'Reliability{of}', 'nominal interval, %', 'observed, %', diagonal=True)
    for row in (row for row in table.rows if _size(row) == largest):
        errors = _pool(row, 'errors')
        if errors is None:
            continue
        age = 'age/mae' in row.metrics
        limits = range(21) if age else range(0, 61, 5)
        zeros = torch.zeros_like(errors)
        scores.series[row.method] = [
            (float(k), float(cumulative_score(errors, zeros, k))) for k in limits
        ]
        truth, prediction, pit = (_pool(row, name) for name in ('truth', 'prediction', 'pit'))
        if age and truth is not None and prediction is not None:
            by_decade = mean_absolute_error_by_decade(prediction[:, 0], truth[:, 0])
            decades.series[row.method] = [(float(d), float(mae)) for d, mae in by_decade.items()]
        if pit is not None:
            distance = (pit - 0.5).abs()
            coverage.series[row.method] = [
                (float(level), float(100 * (distance <= level / 200).double().mean()))
                for level in range(0, 101, 10)
            ]
    yield from (chart for chart in (scores, decades, coverage) if chart.series)


def _pool(row: Row, name: str) -> torch.Tensor | None:
    """What all runs of a row have of this name, one after the other."""
    parts = [getattr(result, name) for result in row.results]
    return None if any(part is None for part in parts) else torch.tensor(np.concatenate(parts))


def to_markdown(tables: Sequence[Table]) -> str:
    """Write tables for a README."""
    parts = []
    for table in tables:
        head = [
            *('method', *(['training samples'] if table.sizes else []), 'pre-training', 'runs'),
            *(name + _ARROW[rule] for name, rule in table.rules.items()),
            *([f'mean error minus that of {table.baseline} [95%]'] if table.baselines else []),
        ]
        lines = [
            f'## {table.suite}',
            '',
            _line(head),
            _line(['---'] * len(head)),
            *(_line(_cells(table, row)) for row in table.rows),
            '',
            ' '.join(table.notes),
        ]
        parts.append('\n'.join(lines))
    return '\n\n'.join(parts) + '\n'


_ARROW = {'less': ' ↓', 'greater': ' ↑', '': ''}


def _cells(table: Table, row: Row) -> list[str]:
    cells = [row.method]
    if table.sizes:
        cells.append(str(row.size or 'all'))
    cells += [row.pretraining, str(len(row.results))]
    cells += [show(*row.metrics.get(name, (math.nan, math.nan))[:2]) for name in table.rules]
    if table.baselines:
        cells.append(show_difference(row.differences.get(table.baseline)))
    return cells


def _line(cells: Sequence[str]) -> str:
    return '| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |'


def show(mean: float, deviation: float) -> str:
    """Write mean and deviation."""
    if math.isnan(mean):
        return '–'
    return f'{mean:.3f}' + ('' if math.isnan(deviation) else f' ± {deviation:.3f}')


def show_difference(difference: tuple[float, float, float] | None) -> str:
    """Write a difference with its interval."""
    if difference is None:
        return '–'
    mean, low, high = (f'{value:+.3f}' for value in difference)
    return 'baseline' if not any(difference) else f'{mean} [{low}, {high}]'


def to_csv(tables: Sequence[Table]) -> str:
    """Write all tables as one, a line for each row and metric."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(
        [
            *('suite', 'method', 'size', 'pretraining', 'decoding', 'metric', 'mean', 'deviation'),
            *('runs', 'baseline', 'difference', 'low', 'high'),
        ]
    )
    for table in tables:
        for row in table.rows:
            gap: Sequence[Any] = row.differences.get(table.baseline, ('', '', ''))
            for name, (mean, deviation, runs) in row.metrics.items():
                compared = bool(gap[0] != '') and name in MEAN_ERRORS
                writer.writerow(
                    [
                        *(table.suite, row.method, row.size or '', row.pretraining, row.decoding),
                        *(name, mean, '' if math.isnan(deviation) else deviation, runs),
                        *((table.baseline, *gap) if compared else ('', '', '', '')),
                    ]
                )
    return text.getvalue()


def to_html(tables: Sequence[Table], title: str) -> str:
    """Write one web page that needs nothing else: sortable tables, filters and charts."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(
        draw=draw, show=show, show_difference=show_difference, arrow=_ARROW, isnan=math.isnan
    )
    return environment.from_string(PAGE.read_text(encoding='utf-8')).render(
        tables=tables, title=title
    )
