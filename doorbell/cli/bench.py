"""``doorbell bench``: how fast it is on this machine, compared with others in the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.bench_options import (
    against_option,
    plots_option,
    seconds_option,
    starts_option,
    video_option,
    visits_option,
)
from doorbell.cli.bench_printing import (
    print_drift,
    print_gallery,
    print_household,
    print_machine,
    print_networks,
    print_results,
    print_targets,
)
from doorbell.cli.options import with_config
from doorbell.cli.printing import example, json_option, print_json, say

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.measure.speed.peers import PeerName
    from doorbell.measure.speed.report import BenchReport

GALLERY_MOST = 1_000_000

Say = Callable[[str], None]


@click.group(
    invoke_without_command=True,
    epilog=example(
        "doorbell bench --against mediapipe,opencv,naive",
        "doorbell bench stages --against opencv --video door.mp4",
        "doorbell bench networks",
    ),
)
@against_option
@seconds_option
@visits_option
@starts_option
@plots_option
@json_option
@with_config
@click.pass_context
def bench(
    context: click.Context,
    config: Config,
    *,
    against: tuple[PeerName, ...],
    seconds: float,
    visit_count: int,
    starts: int,
    plots: Path | None,
    as_json: bool,
) -> None:
    """Measure times on this machine: medians, and what 99 in 100 stay below.

    Everything that is compared is measured in one run, in alternation. Without a verb everything is
    measured, and compared with the targets.

    JSON: machine; results, each with name, backend, p50_ms, p99_ms, mean_ms, rounds, threads (null
    on a GPU) and its own figures; ratios; and without a verb also reach.
    """
    if context.invoked_subcommand is not None:
        given = [
            name
            for name in context.params
            if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        ]
        if given:
            raise click.UsageError(
                f"options go behind the verb: doorbell bench {context.invoked_subcommand} ..."
            )
        return
    from doorbell.measure.speed.report import BenchReport
    from doorbell.measure.speed.suite import (
        run_gallery,
        run_networks,
        run_pipeline,
        run_stages,
        run_startup,
    )
    from doorbell.measure.speed.targets import target_results

    with _telling() as tell:
        looked = BenchReport.joined(
            [
                run_stages(
                    config, against=against, seconds=seconds, video=None, say=tell, warn=_warn
                ),
                run_pipeline(config, seconds, visit_count, tell),
                run_startup(config, starts, tell),
            ]
        )
        found, compared = (
            run_gallery(seconds, GALLERY_MOST, tell),
            run_networks(config, seconds, tell, _warn),
        )
    report = BenchReport.joined([looked, found, compared])
    rows = target_results(report)
    if as_json:
        print_json({**report.document(), "reach": [row.document() for row in rows]})
    else:
        print_machine(report)
        for part, print_part in (
            (looked, print_results),
            (found, print_gallery),
            (compared, print_networks),
        ):
            print_part(part)
            click.echo()
        print_targets(rows)
    _draw(report, plots)


@bench.command(
    epilog=example(
        "doorbell bench stages --against mediapipe,opencv,naive",
        "doorbell bench stages --against opencv --video door.mp4 --json",
    )
)
@against_option
@video_option
@seconds_option
@json_option
@with_config
def stages(
    config: Config,
    against: tuple[PeerName, ...],
    video: Path | None,
    seconds: float,
    *,
    as_json: bool,
) -> None:
    """Time a frame to its faces, a frame to a name, and a face to its vector.

    One visitor is followed at the door. Every peer runs in a process of its own and looks at the
    same frames, in turns with the doorbell.
    """
    from doorbell.measure.speed.suite import run_stages

    with _telling() as tell:
        report = run_stages(
            config, against=against, seconds=seconds, video=video, say=tell, warn=_warn
        )
    _print(report, print_results, as_json=as_json)


@bench.command(epilog=example("doorbell bench pipeline", "doorbell bench pipeline --plots docs"))
@seconds_option
@visits_option
@plots_option
@json_option
@with_config
def pipeline(
    config: Config, seconds: float, visit_count: int, plots: Path | None, *, as_json: bool
) -> None:
    """Time frames as work grows, and a daemon from the first usable face to its message.

    One to eight visitors, 480p to 4K, and nobody at the door; then visits to a daemon in real time,
    with a subscriber at mosquitto, or at a broker of its own where that is not installed.
    """
    from doorbell.measure.speed.suite import run_pipeline

    with _telling() as tell:
        report = run_pipeline(config, seconds, visit_count, tell)
    _print(report, print_results, as_json=as_json)
    _draw(report, plots)


@bench.command(epilog=example("doorbell bench startup", "doorbell bench startup --starts 20"))
@starts_option
@json_option
@with_config
def startup(config: Config, starts: int, *, as_json: bool) -> None:
    """Time the start of the daemon to its first name, and measure the memory of each part."""
    from doorbell.measure.speed.suite import run_startup

    with _telling() as tell:
        report = run_startup(config, starts, tell)
    _print(report, print_results, as_json=as_json)


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
    from doorbell.measure.speed.suite import run_networks

    with _telling() as tell:
        report = run_networks(config, seconds, tell, _warn)
    _print(report, print_networks, as_json=as_json)


@bench.command(epilog=example("doorbell bench doors", "doorbell bench doors --most 4 --json"))
@click.option(
    "--most",
    type=click.IntRange(1, 16),
    default=8,
    show_default=True,
    help="The largest number of doors.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(5, 3600),
    default=40.0,
    show_default=True,
    help="How long to measure each number of doors.",
)
@plots_option
@json_option
@with_config
def doors(config: Config, most: int, seconds: float, plots: Path | None, *, as_json: bool) -> None:
    """Measure what further doors cost one daemon: frames, names, memory.

    Each door has a network camera of 720p that sends 10 frames a second, and visitors who come and
    go in real time, with a broker.
    """
    from doorbell.measure.speed.suite import run_doors
    from doorbell.measure.speed.targets import target_results

    with _telling() as tell:
        report = run_doors(config, most, seconds, tell)
    rows = target_results(report)
    if as_json:
        print_json({**report.document(), "reach": [row.document() for row in rows]})
    else:
        print_machine(report)
        print_results(report)
        print_targets(rows)
    _draw(report, plots)


@bench.command(epilog=example("doorbell bench gallery", "doorbell bench gallery --most 1000"))
@seconds_option
@click.option(
    "--most",
    type=click.IntRange(10, 10_000_000),
    default=GALLERY_MOST,
    show_default=True,
    help="The largest number of samples.",
)
@plots_option
@json_option
@with_config
def gallery(
    config: Config, seconds: float, most: int, plots: Path | None, *, as_json: bool
) -> None:
    """Time deciding, and one stranger more, with up to a million samples in the gallery."""
    del config
    from doorbell.measure.speed.suite import run_gallery

    with _telling() as tell:
        report = run_gallery(seconds, most, tell)
    _print(report, print_gallery, as_json=as_json)
    _draw(report, plots)


@bench.command(epilog=example("doorbell bench drift", "doorbell bench drift --minutes 600"))
@click.option(
    "--minutes",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="How long the daemon runs.",
)
@plots_option
@json_option
@with_config
def drift(config: Config, minutes: int, plots: Path | None, *, as_json: bool) -> None:
    """Watch the time of a frame and the memory of a daemon, minute by minute.

    Visitors come and go in real time, 30 frames a second, with a broker.

    JSON: machine; minutes, each with minute, frames_per_second, p50_ms, p99_ms and resident_mb.
    """
    from doorbell.measure.speed.drift import drift_curve, drift_document, measure_drift
    from doorbell.measure.speed.machine import describe_machine

    with _telling() as tell:
        measured = measure_drift(config, minutes=minutes, say=tell)
    if as_json:
        print_json(drift_document(measured, describe_machine()))
    else:
        print_drift(measured)
    if plots is not None and len(measured) > 1:
        from doorbell.measure.speed.plots import draw_curves

        for path in draw_curves([drift_curve(measured)], plots):
            say(f"wrote {path}", err=True)


@bench.command(
    epilog=example("doorbell bench household", "doorbell bench household --minutes 5 --json")
)
@click.option(
    "--minutes",
    type=click.IntRange(1, 1_000),
    default=3,
    show_default=True,
    help="How long the daemon runs with each gallery.",
)
@click.option("--people", type=click.IntRange(1, 100_000), default=300, show_default=True)
@click.option("--strangers", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True)
@click.option("--visits", type=click.IntRange(1, 1_000_000), default=100_000, show_default=True)
@json_option
@with_config
def household(
    config: Config, minutes: int, people: int, strangers: int, visits: int, *, as_json: bool
) -> None:
    """Compare a daemon whose gallery is that of a household of many years with an empty one's.

    Visitors come and go in real time, 30 frames a second, with a broker; the daemon merges
    strangers meanwhile. Then commands list what there is.

    JSON: machine; household; minutes, by gallery, each with minute, frames_per_second, p50_ms,
    p99_ms and resident_mb; ready_seconds, by gallery; p99_ratio; merged; and command_seconds.
    """
    from doorbell.measure.speed.household import Household
    from doorbell.measure.speed.large_gallery import measure_large_gallery
    from doorbell.measure.speed.machine import describe_machine

    asked = Household(
        people=people, strangers=strangers, pairs=min(300, strangers // 3), visits=visits
    )
    with _telling() as tell:
        report = measure_large_gallery(config, asked, minutes=minutes, say=tell)
    if as_json:
        print_json(report.document(describe_machine()))
    else:
        print_household(report)


@contextmanager
def _telling() -> Iterator[Say]:
    """A line on the terminal that says what is being done."""
    from rich.console import Console

    with Console(stderr=True).status("loading") as status:
        yield status.update


def _warn(message: str) -> None:
    say(message, err=True)


def _draw(report: BenchReport, plots: Path | None) -> None:
    if plots is not None:
        from doorbell.measure.speed.plots import draw_report

        for path in draw_report(report, plots):
            say(f"wrote {path}", err=True)


def _print(
    report: BenchReport, print_part: Callable[[BenchReport], None], *, as_json: bool
) -> None:
    if as_json:
        print_json(report.document())
    else:
        print_machine(report)
        print_part(report)
