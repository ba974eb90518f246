"""Leaderboards: tables of results, as Markdown, CSV and a web page."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import torch

from dldl_mm.benchmark.cell import PACKAGE
from dldl_mm.benchmark.chart import Chart, Runs, draw
from dldl_mm.benchmark.compare import paired_differences
from dldl_mm.benchmark.records import spread
from dldl_mm.benchmark.results import Result
from dldl_mm.benchmark.samples import Samples, join
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
        differences: From baseline to the difference of the compared metric and the ends of its
            interval.
        leads: Whether it is the best, or cannot be told from the best.
    """

    method: str
    size: int | None
    results: list[Result]
    metrics: dict[str, tuple[float, float, int]]
    differences: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    leads: bool = False

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
        compared: The metric whose differences are compared; None without samples.
        notes: What a reader has to know.
        charts: Pictures of the rows.
    """

    suite: str
    rules: dict[str, str]
    rows: list[Row]
    baseline: str
    compared: str | None
    notes: list[str]
    charts: list[Chart | Runs]

    @property
    def names(self) -> list[str]:
        """The methods, best first."""
        return list(dict.fromkeys(row.method for row in self.rows))

    @property
    def shown(self) -> list[str]:
        """The methods whose lines are shown at first: the best six and the baseline."""
        return [name for n, name in enumerate(self.names) if n < 6 or name == self.baseline]

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
        baseline: Method to compare with; None takes that of the suite, or its first.

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
    first = results[0].record
    wanted = (baseline, first.get('baseline'))
    chosen = next((name for name in wanted if name in methods), methods[0])
    rules = dict(first['rules'])
    names = rules or dict.fromkeys(name for row in rows for name in row.metrics)
    rules = {name: rules.get(name, '') for name in names}
    primary = next(iter(rules))
    sign = -1 if rules[primary] == 'greater' else 1
    rows.sort(key=lambda row: (_size(row), sign * row.metrics.get(primary, (math.inf,))[0]))
    compared = _compared_metric(results)
    for _, same in groupby(rows, key=_size):
        group = list(same)
        if compared is not None:
            _compare(group)
        if rules[primary]:
            _find_leaders(group, primary, compared)
    table = Table(suite, rules, rows, chosen, compared, [], [])
    table.notes = list(_notes(table))
    table.charts = list(_charts(table, primary))
    return table


def _size(row: Row) -> int:
    return row.size or 0


def _compared_metric(results: Sequence[Result]) -> str | None:
    """The metric that the samples of all results give."""
    found = {
        None if result.samples is None else result.samples.metric(result.record['metrics'])
        for result in results
    }
    return found.pop() if len(found) == 1 else None


def _compare(rows: Sequence[Row]) -> None:
    """Compare rows with each other that were tested on the same folds."""
    folds = sorted({str(result.record.get('fold')) for row in rows for result in row.results})
    whole, statistics, groups = [], [], None
    for row in rows:
        by_seed: dict[Any, dict[str, Samples]] = {}
        for result in row.results:
            parts = by_seed.setdefault(result.record['seed'], {})
            if result.samples is not None:
                parts[str(result.record.get('fold'))] = result.samples
        # A seed that lacks a fold cannot be compared with those that have all.
        complete = [
            join([parts[fold] for fold in folds])
            for parts in by_seed.values()
            if parts.keys() == set(folds)
        ]
        if not complete or (len(folds) > 1 and complete[0].kind == 'score'):
            continue  # scores of different models are no ranking
        whole.append(row)
        statistics.append(_mean_of([samples.statistic() for samples in complete]))
        if groups is None:
            persons = list(complete[0].groups)
            groups = persons if all(persons) else list(map(str, range(len(persons))))
    if groups is None:
        return
    differences = paired_differences(statistics, groups)
    for a, row in enumerate(whole):
        for b, other in enumerate(whole):
            mean, low, high = differences[a, b].tolist()
            row.differences[other.method] = (mean, low, high)


def _mean_of(statistics: Sequence[Callable[[np.ndarray], np.ndarray]]) -> Callable:
    """The mean over the seeds: what is drawn again are the samples, not the trainings."""
    return lambda weights: np.mean([statistic(weights) for statistic in statistics], axis=0)


def _find_leaders(rows: Sequence[Row], primary: str, compared: str | None) -> None:
    """Mark the best row and those that cannot be told from it, if anything tells rows apart."""
    best = rows[0]
    if len(rows) == 1:
        return
    for row in rows:
        tests = []
        if compared == primary and best.method in row.differences:
            _, low, high = row.differences[best.method]
            tests.append(low > 0 or high < 0)
        values = [r.metrics.get(primary, (math.nan, math.nan, 0)) for r in (row, best)]
        if all(count > 1 for _, _, count in values):
            (mean, deviation, _), (top, spread_of_best, _) = values
            tests.append(abs(mean - top) > deviation + spread_of_best)
        row.leads = bool(tests) and not all(tests)


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
    numbers = {key: len({record.get(key) for record in records}) for key in ('fold', 'seed')}
    over = ' and '.join(f'{number} {key}s' for key, number in numbers.items() if number > 1)
    yield (
        f'± is the sample deviation over {over}.'
        if most > 1
        else 'One run each: the spread over seeds is not measured.'
    )
    if any(row.leads for row in table.rows):
        yield (
            'Bold: the best, and all that are not clearly behind it, because the 95% interval of '
            'the difference has 0 in it or mean ± deviation overlap.'
        )
    if table.compared is None:
        yield 'The samples are not at hand: no intervals and curves.'
    if len({record['code'] for record in records}) > 1:
        yield 'The runs are of different versions of the code.'
    changed = sum((record['commit'] or '+').endswith('+') for record in records)
    if changed:
        yield f'{changed} of the {len(records)} runs are of code that no commit holds.'
    devices = dict.fromkeys(record['device'] for record in records)
    yield f'Device: {"; ".join(devices)}.'


def _charts(table: Table, primary: str) -> Iterator[Chart | Runs]:
    if table.sizes:
        chart = Chart(f'{primary} against training-set size', 'training samples', primary, log=True)
        for method in table.names:
            points = [
                (row.size, *row.metrics[primary][:2]) for row in table.rows if row.method == method
            ]
            chart.series[method] = [(float(x or 0), y) for x, y, _ in points]
            chart.bars[method] = [0 if math.isnan(d) else d for _, _, d in points]
        yield chart
    else:
        values = {
            row.method: [float(r.record['metrics'][primary]) for r in row.results]
            for row in table.rows
            if primary in row.metrics
        }
        yield Runs('Every run, mean ± deviation', primary, values)
    largest = max(map(_size, table.rows))
    of = f', {largest} training samples' if largest else ''
    unit = 'years' if 'age/mae' in table.rows[0].metrics else 'degrees'
    scores = Chart(f'Cumulative score{of}', f'error at most, {unit}', 'share of samples, %')
    decades = Chart(f'MAE by decade of age{of}', 'decade of the true age, years', 'MAE, years')
    coverage = Chart(f'Reliability{of}', 'nominal interval, %', 'observed, %', diagonal=True)
    for row in (row for row in table.rows if _size(row) == largest):
        pooled = _pool(row)
        if pooled is None or pooled.errors is None:
            continue
        errors = torch.from_numpy(pooled.errors)
        age = 'age/mae' in row.metrics
        limits = range(21) if age else range(0, 61, 5)
        zeros = torch.zeros_like(errors)
        scores.series[row.method] = [
            (float(k), float(cumulative_score(errors, zeros, k))) for k in limits
        ]
        if 'decade' in pooled.columns:
            decade = torch.from_numpy(pooled.columns['decade'][:, 0])
            by_decade = mean_absolute_error_by_decade(decade + errors, decade)
            decades.series[row.method] = [(float(d), float(mae)) for d, mae in by_decade.items()]
        if 'pit' in pooled.columns:
            distance = np.abs(pooled.columns['pit'][:, 0] - 0.5)
            coverage.series[row.method] = [
                (float(level), float(100 * np.mean(distance <= level / 200)))
                for level in range(0, 101, 10)
            ]
    yield from (chart for chart in (scores, decades, coverage) if chart.series)


def _pool(row: Row) -> Samples | None:
    """The samples of all runs of a row, one after the other."""
    parts = [result.samples for result in row.results if result.samples is not None]
    return join(parts) if parts else None


def to_markdown(tables: Sequence[Table], folder: Path | None = None) -> str:
    """Write tables for a README.

    Args:
        tables: The tables.
        folder: Where the README is, for links to the configs; None makes no links.
    """
    parts = []
    for table in tables:
        head = [
            *('method', *(['training samples'] if table.sizes else []), 'pre-training', 'runs'),
            *(name + _ARROW[rule] for name, rule in table.rules.items()),
            *(
                [f'{table.compared} minus that of {table.baseline} [95%]']
                if table.baselines
                else []
            ),
        ]
        lines = [
            f'## {table.suite}',
            '',
            _line(head),
            _line(['---'] * len(head)),
            *(_line(_cells(table, row, folder)) for row in table.rows),
            '',
            ' '.join(table.notes),
        ]
        parts.append('\n'.join(lines))
    return '\n\n'.join(parts) + '\n'


_ARROW = {'less': ' ↓', 'greater': ' ↑', '': ''}
_WORDS = {'less': 'lower is better', 'greater': 'higher is better', '': ''}


def _cells(table: Table, row: Row, folder: Path | None) -> list[str]:
    config = PACKAGE.parent / row.results[0].record['config']['file']
    method = row.method
    if folder is not None and config.is_file():
        method = f'[{method}]({Path(os.path.relpath(config, folder)).as_posix()})'
    cells = [method]
    if table.sizes:
        cells.append(str(row.size or 'all'))
    cells += [row.pretraining, str(len(row.results))]
    for number, name in enumerate(table.rules):
        text = show(*row.metrics.get(name, (math.nan, math.nan))[:2])
        cells.append(f'**{text}**' if row.leads and number == 0 else text)
    if table.baselines:
        cells.append(show_difference(row.differences.get(table.baseline)))
    return cells


def _line(cells: Sequence[str]) -> str:
    return '| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |'


def show(mean: float, deviation: float) -> str:
    """Write mean and deviation, numbers under 1 with one more digit."""
    if math.isnan(mean):
        return '–'
    digits = 3 if 0 < abs(mean) < 1 else 2
    return f'{mean:.{digits}f}' + ('' if math.isnan(deviation) else f' ± {deviation:.{digits}f}')


def show_difference(difference: tuple[float, float, float] | None) -> str:
    """Write a difference with its interval."""
    if difference is None:
        return '–'
    mean, low, high = (f'{value:+.2f}'.replace('-', '−') for value in difference)
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
                compared = gap[0] != '' and name == table.compared
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
        draw=draw, show=show, show_difference=show_difference, better=_WORDS, isnan=math.isnan
    )
    return environment.from_string(PAGE.read_text(encoding='utf-8')).render(
        tables=tables, title=title
    )
