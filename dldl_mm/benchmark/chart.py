"""Line charts as SVG that takes its colours from the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 12, 42


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


def draw(chart: Chart) -> dict[str, Any]:
    """Lay a chart out: everything in pixels, for the page's template.

    Args:
        chart: The chart.

    Returns:
        ``x_ticks`` and ``y_ticks`` with position and text, ``lines`` with name, path, points (with a
        text each) and bars, ``diagonal``, and the size of picture and plot.
    """
    points = [point for line in chart.series.values() for point in line]
    xs = sorted({x for x, _ in points})
    ys = [
        y + sign * bar
        for name, line in chart.series.items()
        for (_, y), bar in zip(line, chart.bars.get(name) or [0.0] * len(line), strict=True)
        for sign in (-1, 1)
    ]
    x_ticks = xs if chart.log else _ticks(xs[0], xs[-1])
    y_ticks = _ticks(min(ys), max(ys))
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


def _ticks(low: float, high: float) -> Sequence[float]:
    """Round numbers that enclose a range."""
    if low == high:
        low, high = low - 0.5, high + 0.5
    ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    first = max(i for i, tick in enumerate(ticks) if tick <= low + 1e-9 * (high - low))
    last = min(i for i, tick in enumerate(ticks) if tick >= high - 1e-9 * (high - low))
    return [float(f'{tick:.10g}') for tick in ticks[first : last + 1]]
