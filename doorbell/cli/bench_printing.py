"""What ``doorbell bench`` prints for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import click

from doorbell.cli.printing import plural, print_table, say

if TYPE_CHECKING:
    from doorbell.measure.speed.drift import Minute
    from doorbell.measure.speed.large_gallery import HouseholdReport
    from doorbell.measure.speed.report import BenchReport, Result
    from doorbell.measure.speed.targets import TargetResult

# Figures of results: what they are called above a column, and how they are shown.
FIGURES: Mapping[str, tuple[str, str]] = {
    "found": ("found", "{:.0%}"),
    "at_once": ("at once", "{:.0%}"),
    "frames_per_second": ("frames/s", "{:.0f}"),
    "sent_per_second": ("sent/s", "{:.0f}"),
    "frame_p99_ms": ("frame p99", "{:.0f}"),
    "p95_ms": ("p95 ms", "{:.0f}"),
    "answered": ("answered", "{:.0%}"),
    "core": ("of a core", "{:.1%}"),
    "cosine": ("cosine", "{:.4f}"),
    "exact": ("exact", "{:.0%}"),
    "added_mb": ("added MB", "{:.0f}"),
    "resident_mb": ("held MB", "{:.0f}"),
    "memory_mb": ("MB", "{:.0f}"),
    "load_seconds": ("load s", "{:.2f}"),
    "floor_ms": ("floor ms", "{:.3f}"),
    "stored_p99_ms": ("disk p99", "{:.1f}"),
    "new_sample_p99_ms": ("new p99", "{:.2f}"),
}


TIMES = ("p50 ms", "p99 ms", "mean ms")
# By name, with short titles: the table has nine columns.
GALLERY_TITLES = {
    "new_sample_p99_ms": "new ms",
    "load_seconds": "load s",
    "memory_mb": "MB",
    "exact": "exact",
    "stored_p99_ms": "disk ms",
}


def print_results(report: BenchReport) -> None:
    """Print every result: what was compared in a table of its own, the rest in one a kind."""
    names = Counter(result.name for result in report.results)
    compared = [result for result in report.results if names[result.name] > 1]
    for name, group in groupby(compared, key=lambda result: result.name):
        _print_compared(name, list(group))
    alone = [result for result in report.results if names[result.name] == 1]
    for columns, group in groupby(alone, key=lambda result: _columns([result])):
        rows = [(result.name, *_cells(result, columns)) for result in group]
        print_table(("what", *TIMES, *_titles(columns)), rows, empty="")
        click.echo()


def _print_compared(name: str, results: Sequence[Result]) -> None:
    from doorbell.measure.speed.product import DOORBELL

    say(name)
    columns = _columns(results)
    baseline = next(r.timing.p50_ms for r in results if r.backend == DOORBELL)
    rows = [
        (
            result.backend,
            "" if result.threads is None else str(result.threads),
            *_cells(result, columns),
            f"{result.timing.p50_ms / baseline:.2f} x",
        )
        for result in results
    ]
    print_table(("by", "threads", *TIMES, *_titles(columns), "p50"), rows, empty="")
    click.echo()


def print_gallery(report: BenchReport) -> None:
    """Print what a gallery of so many samples costs."""
    rows = [
        (
            f"{result.figures['embeddings']:,.0f}",
            result.name,
            f"{result.timing.p50_ms:.2f}",
            f"{result.timing.p99_ms:.2f}",
            *(
                FIGURES[figure][1].format(result.figures[figure])
                if figure in result.figures
                else ""
                for figure in GALLERY_TITLES
            ),
        )
        for result in report.results
    ]
    titles = GALLERY_TITLES.values()
    print_table(("samples", "what", "p50 ms", "p99 ms", *titles), rows, empty="")


def print_drift(measured: Sequence[Minute]) -> None:
    """Print the minutes of a daemon."""
    columns = ("minute", "frames/s", "p50 ms", "p99 ms", "held MB")
    rows = [
        (
            f"{each.minute:.0f}",
            f"{each.frames_per_second:.1f}",
            f"{each.p50_ms:.2f}",
            f"{each.p99_ms:.2f}",
            f"{each.resident_mb:.0f}",
        )
        for each in measured
    ]
    print_table(columns, rows, empty="the daemon said nothing: it ran for less than a minute")


def print_household(report: HouseholdReport) -> None:
    """Print what a large gallery costs the daemon, and the commands that list it."""
    columns = ("gallery", "minute", "frames/s", "p50 ms", "p99 ms", "held MB", "ready s")
    rows = [
        (
            name,
            f"{each.minute:.0f}",
            f"{each.frames_per_second:.1f}",
            f"{each.p50_ms:.2f}",
            f"{each.p99_ms:.2f}",
            f"{each.resident_mb:.0f}",
            f"{report.ready_seconds[name]:.1f}",
        )
        for name, minutes in report.minutes.items()
        for each in minutes
    ]
    print_table(columns, rows, empty="the daemon said nothing: it ran for less than a minute")
    click.echo()
    say(
        f"99 in 100 frames: {report.p99_ratio:.2f} times as long as with the visitor alone; "
        f"{report.merged} strangers merged meanwhile"
    )
    for words, seconds in report.commands.items():
        say(f"doorbell {words}: {seconds:.2f} s")


def print_targets(rows: Sequence[TargetResult]) -> None:
    """Print the targets and what was measured."""
    print_table(
        ("what", "measured", "target", ""),
        [
            (
                row.target.what,
                f"{row.figure:.3g} {row.target.unit}",
                f"{'at least' if row.target.more_is_better else 'below'} {row.target.limit:g}",
                "" if row.met else "short",
            )
            for row in rows
        ],
        empty="none of the targets was measured",
    )


def _columns(results: Sequence[Result]) -> tuple[str, ...]:
    return tuple(key for key in FIGURES if any(key in result.figures for result in results))


def _titles(columns: Sequence[str]) -> list[str]:
    return [FIGURES[key][0] for key in columns]


def _cells(result: Result, columns: Sequence[str]) -> tuple[str, ...]:
    timing = result.timing
    return (
        *(f"{value:.2f}" for value in (timing.p50_ms, timing.p99_ms, timing.mean_ms)),
        *(
            FIGURES[key][1].format(result.figures[key]) if key in result.figures else ""
            for key in columns
        ),
    )


def print_networks(report: BenchReport) -> None:
    """Print BlazeFace and MobileNetV2-SSD, a table for each backend."""
    from doorbell.measure.speed.networks import (
        PAPER_BLAZEFACE_MS,
        PAPER_RATIO,
        PAPER_SSD_MS,
        SSD,
        TITLES,
    )

    for backend, group in groupby(report.results, key=lambda result: result.backend):
        results = list(group)
        threads = results[0].threads
        say(backend if threads is None else f"{backend}, {plural(threads, 'thread')}")
        baseline = next(r.timing.p50_ms for r in results if r.name == TITLES[SSD])
        rows = [
            (
                result.name,
                f"{result.figures['multiply_adds'] / 1e6:.1f} M",
                f"{result.figures['parameters'] / 1e3:.0f} k",
                f"{result.timing.p50_ms:.3f}",
                f"{result.timing.p99_ms:.3f}",
                f"{baseline / result.timing.p50_ms:.2f} x",
            )
            for result in results
        ]
        columns = ("network", "multiply-adds", "parameters", "p50 ms", "p99 ms", "faster")
        print_table(columns, rows, empty="")
        click.echo()
    say(
        f"In the paper: {PAPER_SSD_MS} ms against {PAPER_BLAZEFACE_MS} ms, {PAPER_RATIO:.1f} x, on "
        "the GPU of an iPhone XS."
    )


def print_machine(report: BenchReport) -> None:
    """Say where it was measured, a line a fact."""
    width = max(map(len, report.machine))
    for name, value in report.machine.items():
        say(f"{name:<{width}}  {value}")
    click.echo()
