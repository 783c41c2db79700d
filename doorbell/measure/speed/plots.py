"""Cost as work grows, drawn: time of a frame over visitors and over the size of the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from doorbell.measure.plots import BLUE, ORANGE, drawing, new_axes, write_figures
from doorbell.measure.speed.report import BenchReport, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Up to so many points each has a mark and its own number below it.
MARKED_POINTS = 12


@dataclass(frozen=True, slots=True)
class Curve:
    """One plot.

    Attributes:
        name: of its file.
        title: above it; what takes the time.
        below: what grows to the right, with its unit.
        points: place to the right, and two values there, the one that is drawn below first.
        logarithmic: whether it grows by factors.
        unit: of the values.
        values: what they are.
    """

    name: str
    title: str
    below: str
    points: Sequence[tuple[float, float, float]]
    logarithmic: bool = False
    unit: str = "milliseconds"
    values: tuple[str, str] = ("median", "99 of 100 are faster")


def draw_report(report: BenchReport, folder: Path) -> list[Path]:
    """Draw what of a report grows as SVG into a folder, which is made if needed.

    Returns:
        The files written.

    Raises:
        UsageError: matplotlib is not installed, or the folder cannot be written.
    """
    return draw_curves(curves(report), folder)


def draw_curves(drawn: Sequence[Curve], folder: Path) -> list[Path]:
    """Draw curves into a folder; see ``draw_report``."""
    with drawing():
        return write_figures({f"{curve.name}.svg": draw(curve) for curve in drawn}, folder)


def curves(report: BenchReport) -> list[Curve]:
    """What grows in a report; two points make a curve."""
    steps = [r for r in report.results if "visitors" in r.figures]
    hd = [r for r in steps if r.figures["megapixels"] == 1280 * 720 / 1e6]
    single = [r for r in steps if r.figures["visitors"] == 1]
    doors = [r for r in report.results if "doors" in r.figures]
    nearest = [r for r in report.results if "embeddings" in r.figures and "exact" in r.figures]
    found = [
        Curve(
            "visitors", "Time of a frame at 720p", "visitors at the door", _points(hd, "visitors")
        ),
        Curve(
            "sizes",
            "Time of a frame with one visitor",
            "size of the frame (megapixels)",
            _points(single, "megapixels"),
        ),
        Curve(
            "gallery",
            "Time to find the nearest face",
            "enrolled embeddings",
            _points(nearest, "embeddings"),
            logarithmic=True,
        ),
        Curve(
            "doors",
            "From the first usable face to the name",
            "doors, 720p at 10 frames a second",
            sorted((r.figures["doors"], r.timing.p50_ms, r.figures["p95_ms"]) for r in doors),
            values=("median", "95 of 100 are faster"),
        ),
        Curve(
            "doors-frames",
            "Frames of all doors",
            "doors, 720p at 10 frames a second",
            sorted(
                (r.figures["doors"], r.figures["frames_per_second"], r.figures["sent_per_second"])
                for r in doors
            ),
            unit="frames a second",
            values=("looked at", "sent"),
        ),
    ]
    return [curve for curve in found if len(curve.points) > 1]


def draw(curve: Curve) -> Figure:
    """Draw a curve, inside ``doorbell.measure.plots.drawing``."""
    figure, axes = new_axes(curve.title, curve.below, curve.unit)
    places, lower, upper = zip(*curve.points, strict=True)
    few = len(places) <= MARKED_POINTS
    marker = "o" if few else ""
    axes.plot(places, upper, color=ORANGE, marker=marker, label=curve.values[1])
    axes.plot(places, lower, color=BLUE, marker=marker, label=curve.values[0])
    if curve.logarithmic:
        axes.set_xscale("log")
    if few:
        axes.set_xticks(places, [_shown(place) for place in places])
        axes.set_xticks([], minor=True)
    axes.set_ylim(bottom=0)
    axes.legend(loc="best")
    return figure


def _points(results: Sequence[Result], figure: str) -> list[tuple[float, float, float]]:
    return sorted((r.figures[figure], r.timing.p50_ms, r.timing.p99_ms) for r in results)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
