"""The page's picture, drawn from the records as plain SVG: ratios of an epoch's time, and growth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.epoch_time import PEERS
from recbole_attnseq.leaderboard.picture import svg_text

WIDTH, LEFT, RIGHT, ROW = 760, 210, 70, 22
COLOURS = {"SASRec": "#4269d0", "GRU4Rec": "#efb118", "length": "#3ca951", "items": "#ff725c"}
STYLE = "text{font:12px sans-serif;fill:#222}.t{font-weight:bold;font-size:14px}.a{fill:#666}line{stroke:#ccc}"


def picture(epoch: dict[str, Any] | None, growth: dict[str, Any] | None) -> str:
    """SVG of the panels whose records there are."""
    parts: list[str] = []
    top = 10
    if epoch:
        panel, top = _ratios(epoch, top)
        parts += panel
    if growth:
        panel, top = _growth(growth, top)
        parts += panel
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}">'
    return "\n".join(
        [head, f"<style>{STYLE}</style>", f'<rect width="{WIDTH}" height="{top}" fill="#fff"/>', *parts, "</svg>", ""]
    )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _ratios(result: dict[str, Any], top: float) -> tuple[list[str], float]:
    """Horizontal bars on a logarithmic scale: how many times AttnSeq's time an epoch of RecBole's models takes."""
    cases = {case: entry for case, entry in result.items() if "skipped" not in entry}
    largest = max(entry[f"{model} / AttnSeq"]["max"] for entry in cases.values() for model in PEERS)
    decades = math.ceil(math.log10(max(10.0, largest)))
    scale = (WIDTH - LEFT - RIGHT) / decades
    parts = [
        svg_text(
            10, top + 14, "Time of an epoch, times AttnSeq's (bars: median, whiskers: lowest to highest)", kind="t"
        )
    ]
    begin = top + 26
    bottom = begin + ROW * len(PEERS) * len(cases)
    for power in range(decades + 1):
        x = LEFT + power * scale
        parts += [_line(x, begin, x, bottom), svg_text(x, bottom + 15, f"{10**power:,}x", "middle", "a")]
    y = begin
    for case, entry in cases.items():
        for model in PEERS:
            ratio = entry[f"{model} / AttnSeq"]
            low, mid, high = (LEFT + math.log10(max(1.0, ratio[key])) * scale for key in ("min", "median", "max"))
            parts += [
                svg_text(LEFT - 8, y + 15, f"{case}, {model}", "end"),
                f'<rect x="{LEFT}" y="{y + 3}" width="{mid - LEFT:.1f}" height="{ROW - 6}" fill="{COLOURS[model]}"/>',
                f'<path d="M{low:.1f} {y + ROW / 2}H{high:.1f}" stroke="#222" stroke-width="2"/>',
                svg_text(max(high, mid) + 6, y + 15, f"{ratio['median']:.0f}x"),
            ]
            y += ROW
    return parts, bottom + 34


def _growth(result: dict[str, Any], top: float) -> tuple[list[str], float]:
    """Microseconds a token against history length and against the number of items, side by side."""
    parts = [
        svg_text(
            10, top + 14, "Microseconds a token of a training step (flat: time grows with the tokens alone)", kind="t"
        )
    ]
    begin, height, gap = top + 30, 160, 60
    panel = (WIDTH - 70 - gap - 20) / 2
    highest = max(entry["microseconds"] for axis in ("length", "items") for entry in result[axis].values())
    ceiling = _round_up(highest)
    for number, (axis, label) in enumerate((("length", "history length"), ("items", "items in the catalogue"))):
        left = 60 + number * (panel + gap)
        xs = [math.log10(float(key)) for key in result[axis]]
        values = [entry["microseconds"] for entry in result[axis].values()]
        for fraction in (0, 0.25, 0.5, 0.75, 1):
            y = begin + height * (1 - fraction)
            parts += [_line(left, y, left + panel, y), svg_text(left - 6, y + 4, f"{ceiling * fraction:g}", "end", "a")]
        points = _points(xs, values, left + 16, begin, panel - 32, height, ceiling)
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[axis]}" stroke-width="2"/>')
        for (x, y), key, value in zip(points, result[axis], values, strict=True):
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[axis]}"/>',
                svg_text(x, y - 9, f"{value:.1f}", "middle"),
                svg_text(x, begin + height + 16, f"{int(key):,}", "middle", "a"),
            ]
        parts.append(svg_text(left + panel / 2, begin + height + 34, label, "middle", "a"))
    return parts, begin + height + 46


def _points(
    xs: Sequence[float], values: Sequence[float], left: float, top: float, width: float, height: float, ceiling: float
) -> list[tuple[float, float]]:
    reach = (max(xs) - min(xs)) or 1.0
    return [
        (left + (x - min(xs)) / reach * width, top + height * (1 - value / ceiling))
        for x, value in zip(xs, values, strict=True)
    ]


def _round_up(value: float) -> float:
    """A round number above ``value``, with room for a label."""
    step = 10 ** math.floor(math.log10(value * 1.15))
    return math.ceil(value * 1.15 / step) * step
