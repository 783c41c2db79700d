"""What ``doorbell bench`` prints for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import click

from doorbell.cli.printing import plural, print_table

if TYPE_CHECKING:
    from doorbell.bench.reach import Reached
    from doorbell.bench.report import BenchReport, Result

# Figures of results: what they are called above a column, and how they are shown.
FIGURES: Mapping[str, tuple[str, str]] = {
    "found": ("found", "{:.0%}"),
    "frames_per_second": ("frames/s", "{:.0f}"),
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
}


GALLERY_FIGURES = {figure: FIGURES[figure] for figure in ("load_seconds", "memory_mb", "exact")}


def print_results(report: BenchReport) -> None:
    """Print every result: a table for each run of results with the same figures."""
    for columns, group in groupby(report.results, key=_columns):
        rows = [_row(result, columns) for result in group]
        titles = [FIGURES[figure][0] for figure in columns]
        print_table(("what", "p50 ms", "p99 ms", "mean ms", *titles), rows, empty="")
        click.echo()
    for name, ratio in report.ratios.items():
        click.echo(f"{ratio:8.2f} x  {name}")
    if report.ratios:
        click.echo()


def print_gallery(report: BenchReport) -> None:
    """Print the nearest of so many embeddings, the product above NumPy."""
    print_machine(report)
    rows = [
        (
            f"{result.figures['embeddings']:,.0f}",
            result.backend,
            f"{result.timing.p50_ms:.4f}",
            f"{result.timing.p99_ms:.4f}",
            *(
                form.format(result.figures[figure]) if figure in result.figures else ""
                for figure, (_, form) in GALLERY_FIGURES.items()
            ),
        )
        for result in report.results
    ]
    titles = [title for title, _ in GALLERY_FIGURES.values()]
    print_table(("embeddings", "by", "p50 ms", "p99 ms", *titles), rows, empty="")


def print_reached(rows: Sequence[Reached]) -> None:
    """Print what was to be reached beside what was measured."""
    print_table(
        ("to be reached", "measured", "reach", ""),
        [
            (
                row.aim.what,
                f"{row.figure:.3g} {row.aim.unit}",
                f"{'at least' if row.aim.more_is_better else 'below'} {row.aim.limit:g}",
                "" if row.met else "short",
            )
            for row in rows
        ],
        empty="nothing of what is to be reached was measured",
    )


def _columns(result: Result) -> tuple[str, ...]:
    return tuple(figure for figure in FIGURES if figure in result.figures)


def _row(result: Result, columns: Sequence[str]) -> tuple[str, ...]:
    timing = result.timing
    threads = "" if result.threads is None else f", {plural(result.threads, 'thread')}"
    return (
        f"{result.name}: {result.backend}{threads}",
        *(f"{value:.3f}" for value in (timing.p50_ms, timing.p99_ms, timing.mean_ms)),
        *(FIGURES[figure][1].format(result.figures[figure]) for figure in columns),
    )


def print_networks(report: BenchReport) -> None:
    """Print BlazeFace beside MobileNetV2-SSD, a table for each backend."""
    from doorbell.bench.networks import PAPER_BLAZEFACE_MS, PAPER_RATIO, PAPER_SSD_MS, SSD, TITLES

    print_machine(report)
    for backend, group in groupby(report.results, key=lambda result: result.backend):
        results = list(group)
        threads = results[0].threads
        click.echo(backend if threads is None else f"{backend}, {plural(threads, 'thread')}")
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
    click.echo(
        f"In the paper: {PAPER_SSD_MS} ms against {PAPER_BLAZEFACE_MS} ms, {PAPER_RATIO:.1f} x, on "
        "the GPU of an iPhone XS."
    )


def print_machine(report: BenchReport) -> None:
    """Say where it was measured, a line a fact."""
    width = max(map(len, report.machine))
    for name, value in report.machine.items():
        click.echo(f"{name:<{width}}  {value}")
    click.echo()
