"""Cost as work grows, drawn: time of a frame over visitors and over the size of the frame.

Enters: the report of ``measure_pipeline`` or ``measure_gallery``. Leaves: SVG files in a folder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from doorbell.bench.report import BenchReport, Result
from doorbell.errors import UsageError

WIDTH, HEIGHT, LEFT, BOTTOM, MARGIN = 560, 320, 56, 48, 24
INK, GRID, MEDIAN, SLOWEST = "#444", "#ddd", "#1565c0", "#ef6c00"
TICKS = 5


@dataclass(frozen=True, slots=True)
class Curve:
    """One picture.

    Attributes:
        name: of its file.
        title: above it.
        below: what grows to the right.
        points: place to the right, median and slowest in a hundred in milliseconds.
        logarithmic: whether it grows by factors.
    """

    name: str
    title: str
    below: str
    points: Sequence[tuple[float, float, float]]
    logarithmic: bool = False


def draw_report(report: BenchReport, folder: Path) -> list[Path]:
    """Draw what of a report grows into a folder, which is made if needed.

    Returns:
        The pictures written.

    Raises:
        UsageError: the folder cannot be written.
    """
    return draw_curves(curves(report), folder)


def draw_curves(drawn: Sequence[Curve], folder: Path) -> list[Path]:
    """Draw curves into a folder; see ``draw_report``."""
    written = []
    for curve in drawn:
        path = folder / f"{curve.name}.svg"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(draw(curve), encoding="utf-8")
        except OSError as exc:
            raise UsageError(f"cannot write {path}: {exc.strerror}; give another folder") from exc
        written.append(path)
    return written


def curves(report: BenchReport) -> list[Curve]:
    """What grows in a report; two points make a curve."""
    steps = [r for r in report.results if "visitors" in r.figures]
    hd = [r for r in steps if r.figures["megapixels"] == 1280 * 720 / 1e6]
    single = [r for r in steps if r.figures["visitors"] == 1]
    nearest = [r for r in report.results if "embeddings" in r.figures and "exact" in r.figures]
    found = [
        Curve("visitors", "One frame, 720p", "visitors at the door", _points(hd, "visitors")),
        Curve("sizes", "One frame, one visitor", "megapixels", _points(single, "megapixels")),
        Curve(
            "gallery",
            "Nearest face",
            "enrolled embeddings",
            _points(nearest, "embeddings"),
            logarithmic=True,
        ),
    ]
    return [curve for curve in found if len(curve.points) > 1]


def draw(curve: Curve) -> str:
    """Draw a curve as SVG."""
    across = [_place(x, logarithmic=curve.logarithmic) for x, _, _ in curve.points]
    heights = [slowest for _, _, slowest in curve.points]
    top = _round_up(max(heights))
    low, high = min(across), max(across)

    def x_of(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - MARGIN)

    def y_of(milliseconds: float) -> float:
        return HEIGHT - BOTTOM - milliseconds / top * (HEIGHT - BOTTOM - 2 * MARGIN)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 20, f"{curve.title}, milliseconds"),
        _text(WIDTH - MARGIN - 70, 20, "median", "end", MEDIAN),
        _text(WIDTH - MARGIN, 20, "99 in 100", "end", SLOWEST),
        _text((LEFT + WIDTH - MARGIN) / 2, HEIGHT - 10, curve.below, "middle"),
    ]
    for tick in range(TICKS + 1):
        value = top * tick / TICKS
        y = y_of(value)
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - MARGIN}" stroke="{GRID}"/>'
            + _text(LEFT - 6, y + 4, f"{value:g}", "end")
        )
    for place, (value, _, _) in zip(across, curve.points, strict=True):
        parts.append(_text(x_of(place), HEIGHT - BOTTOM + 18, _shown(value), "middle"))
    for index, colour in ((1, MEDIAN), (2, SLOWEST)):
        points = [
            (x_of(place), y_of(point[index]))
            for place, point in zip(across, curve.points, strict=True)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return "\n".join([*parts, "</svg>", ""])


def _points(results: Sequence[Result], figure: str) -> list[tuple[float, float, float]]:
    return sorted((r.figures[figure], r.timing.p50_ms, r.timing.p99_ms) for r in results)


def _place(value: float, *, logarithmic: bool) -> float:
    return math.log10(value) if logarithmic else value


def _round_up(value: float) -> float:
    """The next 1, 2 or 5 of its decade."""
    decade = 10.0 ** math.floor(math.log10(value))
    return next(step * decade for step in (1, 2, 5, 10) if value <= step * decade)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _text(x: float, y: float, words: str, anchor: str = "start", colour: str = INK) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}">{escape(words)}</text>'
