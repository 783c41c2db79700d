"""``doorbell bench``: how fast it is on this machine, beside something else in the same run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import example, json_option, plural, print_json, print_table

if TYPE_CHECKING:
    from doorbell.bench.backends import Backend
    from doorbell.bench.report import BenchReport
    from doorbell.config import Config, InferenceSection


@click.group(epilog=example("doorbell bench networks"))
def bench() -> None:
    """Measure times on this machine: medians, and what 99 in 100 stay below.

    Everything that is compared is measured in one run, in alternation.

    JSON: machine; results, each with name, backend, p50_ms, p99_ms, rounds, threads (null on a GPU)
    and its own figures; and ratios.
    """


seconds_option = click.option(
    "--seconds",
    type=click.FloatRange(0, 600),
    default=5.0,
    show_default=True,
    help="How long to measure.",
)


@bench.command(
    epilog=example(
        "doorbell bench networks",
        "doorbell bench networks --set inference.threads=1 --seconds 20 --json",
    )
)
@seconds_option
@json_option
@with_config
def networks(config: Config, seconds: float, *, as_json: bool) -> None:
    """Compare BlazeFace with MobileNetV2-SSD at the same input, as its paper does.

    Multiply-adds, parameters and time for one picture of 128 x 128 pixels, on the processor and,
    where TensorRT finds one, on the GPU. For the network of the paper's Table 1 and MobileNetV2-SSD
    no weights for faces were published; theirs are random, which costs the same time.
    """
    from rich.console import Console

    from doorbell.bench.machine import describe_machine
    from doorbell.bench.networks import compared_networks, measure_networks

    backends, gpu = _backends(config.inference)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as scratch, console.status("loading") as status:
        report = measure_networks(
            compared_networks(config.inference, Path(scratch)),
            backends,
            seconds=seconds,
            machine={**gpu, **describe_machine()},
            say=status.update,
        )
    if as_json:
        print_json(report.document())
    else:
        _print_networks(report)


def _backends(section: InferenceSection) -> tuple[list[Backend], dict[str, str]]:
    """The processor, and the GPU where one can be used, with what is to be said of it."""
    from doorbell.bench.backends import openvino_backend, tensorrt_backend
    from doorbell.inference.tensorrt import gpu_fault, require_gpu

    backends = [openvino_backend(section)]
    fault = gpu_fault()
    if fault is not None:
        click.echo(f"on the processor alone: {fault}", err=True)
        return backends, {}
    backends += [tensorrt_backend(section, "float32"), tensorrt_backend(section, "float16")]
    return backends, {"gpu": require_gpu()}


def _print_networks(report: BenchReport) -> None:
    from itertools import groupby

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
