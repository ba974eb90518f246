"""Charts: as SVG that takes its colours from a page, and as a picture."""

from __future__ import annotations

import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 12, 42
ROW = 24
# Those of the page in its light colours; the ninth line begins again, dashed.
COLORS = ('0b62c4', 'c2410c', '0a7d53', 'a3168f', '6d5b00', 'b3142e', '047481', '5b4bd6')
DASHES = ('-', '--', ':', '-.')


@dataclass
class Chart:
    """Lines over common axes.

    Attributes:
        title: What is shown.
        x: Name of the horizontal axis, with its unit.
        y: Name of the vertical axis.
        log: Whether the horizontal axis is logarithmic, with ticks at the points.
        diagonal: Whether the line of equal values is drawn.
        series: From the name of a line to its points.
        bars: From the name of a line to a deviation for each point.
    """

    title: str
    x: str
    y: str
    log: bool = False
    diagonal: bool = False
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    bars: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class Runs:
    """The value of every run, a row for each name, with mean and deviation.

    Attributes:
        title: What is shown.
        x: Name of the values.
        values: From name to values, the first row at the top.
        y: Nothing: the rows have names.
    """

    title: str
    x: str
    values: Mapping[str, Sequence[float]]
    y: str = ''


def draw(chart: Chart | Runs) -> dict[str, Any]:
    """Lay a chart out: everything in pixels, for the page's template.

    Args:
        chart: The chart.

    Returns:
        ``x_ticks`` and ``y_ticks`` with position and text, ``lines`` with name, path, points (with a
        text each) and bars, ``diagonal``, and the size of picture and plot.
    """
    if isinstance(chart, Runs):
        return _draw_runs(chart)
    points = [point for line in chart.series.values() for point in line]
    xs = sorted({x for x, _ in points})
    ys = [
        y + sign * bar
        for name, line in chart.series.items()
        for (_, y), bar in zip(line, chart.bars.get(name) or [0.0] * len(line), strict=True)
        for sign in (-1, 1)
    ]
    x_ticks = xs if chart.log else _ticks(xs[0], xs[-1])
    y_ticks = _ticks(*_range(ys))
    scale = math.log if chart.log else float
    low, high = scale(min(x_ticks[0], xs[0])), scale(max(x_ticks[-1], xs[-1]))
    bottom, top = y_ticks[0], y_ticks[-1]
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def across(x: float) -> float:
        return round(LEFT + width * (scale(x) - low) / ((high - low) or 1), 1)

    def down(y: float) -> float:
        return round(TOP + height * (top - y) / ((top - bottom) or 1), 1)

    lines = []
    for number, (name, line) in enumerate(chart.series.items()):
        placed = [(across(x), down(y)) for x, y in line]
        texts = [f'{name}: {chart.x} {x:g}, {chart.y} {y:.3g}' for x, y in line]
        bars = [
            (across(x), down(y - bar), down(y + bar))
            for (x, y), bar in zip(line, chart.bars.get(name, []), strict=False)
            if bar > 0
        ]
        path = 'M' + 'L'.join(f'{x},{y}' for x, y in placed)
        dots = [(*place, text) for place, text in zip(placed, texts, strict=True)]
        lines.append(dict(name=name, number=number, path=path, dots=dots, bars=bars))
    ends = max(x_ticks[0], bottom), min(x_ticks[-1], top)
    diagonal = [(across(end), down(end)) for end in ends] if chart.diagonal else None
    return dict(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=HEIGHT - BOTTOM,
        x_ticks=[(across(x), f'{x:g}') for x in x_ticks],
        y_ticks=[(down(y), f'{y:g}') for y in y_ticks],
        lines=lines,
        diagonal=diagonal,
    )


def _draw_runs(chart: Runs) -> dict[str, Any]:
    left = 16 + 7 * max(map(len, chart.values))
    bottom = TOP + ROW * len(chart.values)
    found = {name: _mean_and_deviation(values) for name, values in chart.values.items()}
    ends = [mean + sign * dev for mean, dev in found.values() for sign in (-1, 1)]
    ticks = _ticks(*_range([*ends, *(v for values in chart.values.values() for v in values)]))

    def across(x: float) -> float:
        return round(left + (WIDTH - RIGHT - left) * (x - ticks[0]) / (ticks[-1] - ticks[0]), 1)

    lines, rows = [], []
    for number, (name, values) in enumerate(chart.values.items()):
        y = TOP + ROW * (number + 0.5)
        mean, dev = found[name]
        text = f'{name}: {mean:.4g} ± {dev:.2g}' if len(values) > 1 else f'{name}: {mean:.4g}'
        dots = [(across(v), y, f'{text}; this run {v:.4g}') for v in values]
        path = f'M{across(mean - dev)},{y}L{across(mean + dev)},{y}'
        bars = [(across(mean), y - 5, y + 5)]
        lines.append(dict(name=name, number=number, path=path, dots=dots, bars=bars))
        rows.append((y, name))
    return dict(
        width=WIDTH,
        height=bottom + BOTTOM,
        left=left,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=bottom,
        x_ticks=[(across(x), f'{x:g}') for x in ticks],
        y_ticks=rows,
        lines=lines,
        diagonal=None,
    )


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def _range(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def picture(charts: Sequence[Chart | Runs], names: Sequence[str], shown: Sequence[str]) -> bytes:
    """Draw charts as a PNG, for places where the page cannot be seen.

    Args:
        charts: The charts.
        names: All names, which have the page's colours in this order.
        shown: Names whose lines are drawn.
    """
    columns = min(2, len(charts))
    rows = math.ceil(len(charts) / columns)
    tallest = max([3.6, *(0.28 * len(c.values) + 1.1 for c in charts if isinstance(c, Runs))])
    figure = Figure(figsize=(5.5 * columns, tallest * rows), dpi=110, layout='constrained')
    for number, chart in enumerate(charts):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.set_title(chart.title, loc='left', fontweight='bold', fontsize=11)
        axes.set_xlabel(chart.x)
        axes.grid(color='#d5dae0', axis='y' if isinstance(chart, Chart) else 'both')
        axes.spines[['top', 'right']].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        if isinstance(chart, Runs):
            _plot_runs(axes, chart, names)
        else:
            _plot_lines(axes, chart, names, shown)
    lines = [axes for axes, chart in zip(figure.axes, charts, strict=True) if chart.y]
    if lines:
        handles, labels = lines[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc='outside lower center', ncols=4, frameon=False)
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    return file.getvalue()


def _plot_runs(axes: Any, chart: Runs, names: Sequence[str]) -> None:
    for row, (name, values) in enumerate(chart.values.items()):
        mean, dev = _mean_and_deviation(values)
        color = f'#{COLORS[names.index(name) % len(COLORS)]}'
        axes.errorbar(mean, row, xerr=dev, color=color, fmt='|', markersize=11)
        axes.plot(values, [row] * len(values), 'o', color=color, markersize=4)
    axes.set_yticks(range(len(chart.values)), list(chart.values))
    axes.set_ylim(len(chart.values) - 0.5, -0.5)


def _plot_lines(axes: Any, chart: Chart, names: Sequence[str], shown: Sequence[str]) -> None:
    for name in (name for name in names if name in shown and name in chart.series):
        number = names.index(name)
        style = dict(
            color=f'#{COLORS[number % len(COLORS)]}',
            linestyle=DASHES[number // len(COLORS) % len(DASHES)],
            label=name,
        )
        xs, ys = zip(*chart.series[name], strict=True)
        axes.errorbar(xs, ys, yerr=chart.bars.get(name), marker='.', **style)
    if chart.diagonal:
        axes.axline((0, 0), slope=1, color='#59636e', linestyle=':', zorder=0)
    if chart.log:
        axes.set_xscale('log')
        ticks = sorted({x for line in chart.series.values() for x, _ in line})
        axes.set_xticks(ticks, [f'{x:g}' for x in ticks])
        axes.minorticks_off()
    axes.set_ylabel(chart.y)


def _ticks(low: float, high: float) -> Sequence[float]:
    """Round numbers that enclose a range."""
    if low == high:
        low, high = low - 0.5, high + 0.5
    ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    first = max(i for i, tick in enumerate(ticks) if tick <= low + 1e-9 * (high - low))
    last = min(i for i, tick in enumerate(ticks) if tick >= high - 1e-9 * (high - low))
    return [float(f'{tick:.10g}') for tick in ticks[first : last + 1]]
