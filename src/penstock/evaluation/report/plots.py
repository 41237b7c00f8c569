"""Plots as SVG that follows the page's colours: intervals of a figure, and how texts differ."""

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from penstock.evaluation.evaluation import Evaluation
from penstock.evaluation.report.wording import with_interval

WIDTH = 640
LEFT = 150  # for names
ROW = 30
NUM_BINS = 24
NUM_COLOURS = 6  # that the page has


def interval_plot(evaluations: Sequence[Evaluation], name: str) -> str:
    """A dot and its interval for each model; empty where none has the figure."""
    figures = [(e.name, f) for e in evaluations if (f := e.figure(name)) and f.value is not None]
    ends = [x for _, f in figures for x in (f.value, f.low, f.high) if x is not None]
    if not ends:
        return ""
    low, high = _widened(min(ends), max(ends))

    def place(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - 20)

    height = ROW * len(figures) + 28
    parts = [_axis(low, high, height)]
    for i, (model, found) in enumerate(figures):
        assert found.value is not None
        y, colour = ROW * i + ROW / 2, f"c{i % NUM_COLOURS}"
        parts.append(
            f'<text x="{LEFT - 10}" y="{y + 4}" class="name">{escape(_short(model))}</text>'
        )
        if found.low is not None and found.high is not None:
            parts.append(
                f'<line x1="{place(found.low):.1f}" x2="{place(found.high):.1f}" y1="{y}" y2="{y}" '
                f'class="line {colour}"/>'
            )
        told = f"{model}: {with_interval(found)}"
        parts.append(
            f'<circle cx="{place(found.value):.1f}" cy="{y}" r="5" class="{colour}">'
            f"<title>{escape(told)}</title></circle>"
        )
    return _svg(parts, height, f"{figures[0][1].label} with 95 % intervals")


def histogram(evaluations: Sequence[Evaluation]) -> str:
    """How many texts are how hard to foretell, in bits per byte; a line for each model."""
    by_model = [(e.name, values) for e in evaluations if len(values := _bits_per_byte(e)) > 1]
    if not by_model:
        return ""
    everything = [value for _, values in by_model for value in values]
    low, high = _widened(min(everything), max(everything))
    counts = [np.histogram(values, NUM_BINS, (low, high))[0].tolist() for _, values in by_model]
    most = max(max(row) for row in counts)
    height, base = 188, 160

    def point(place: float, count: float) -> str:
        x = 40 + place / NUM_BINS * (WIDTH - 60)
        return f"{x:.1f},{base - count / most * (base - 12):.1f}"

    parts = [_axis(low, high, height, left=40)]
    for i, row in enumerate(counts):
        steps = [point(p + side, c) for p, c in enumerate(row) for side in (0, 1)]
        parts.append(f'<polyline points="{" ".join(steps)}" class="outline c{i % NUM_COLOURS}"/>')
    return _svg(parts, height, "Texts by bits per byte")


def _bits_per_byte(evaluation: Evaluation) -> list[float]:
    found = evaluation.figure("bits_per_byte")
    if found is None:
        return []
    return [bits / num_bytes for bits, num_bytes in found.statistics if num_bytes]


def _widened(low: float, high: float) -> tuple[float, float]:
    """A range with some room on both sides, and never none."""
    room = 0.08 * (high - low) or abs(high) * 0.1 or 1.0
    return low - room, high + room


def _axis(low: float, high: float, height: float, *, left: float = LEFT) -> str:
    base = height - 26
    parts = [f'<line x1="{left}" x2="{WIDTH - 20}" y1="{base}" y2="{base}" class="axis"/>']
    for value in _ticks(low, high):
        x = left + (value - low) / (high - low) * (WIDTH - left - 20)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{base}" class="grid"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 8}" class="tick">{value:,.6g}</text>')
    return "".join(parts)


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers."""
    rough = (high - low) / 5
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * n for n in (1, 2, 5, 10) if size * n >= rough)
    first = math.ceil(low / step)
    return [round(step * n, 10) for n in range(first, math.floor(high / step) + 1)]


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"


def _svg(parts: Sequence[str], height: float, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )
