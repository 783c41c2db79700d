"""``doorbell check``: is everything there that the doorbell needs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import example, json_option, print_json, print_table, say

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.measure.gpu.report import DeviceReport

# A device, model or gallery that cannot be used.
EXIT_CODE = 3
# Of a column with a part and the name of a door, which may be longer.
WIDTH_WITH_DOOR = 28
# A GPU that computes something else than it should.
FAILED_CODE = 1


@click.command(
    epilog=example(
        "doorbell check",
        "doorbell check --set camera.uri=/dev/video0 --field-of-view 110",
        "doorbell check --gpu --report orin-nano",
    )
)
@click.option("--gpu", is_flag=True, help="Try the GPU instead, and write a report.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    default=Path("doorbell-gpu"),
    show_default=True,
    metavar="PATH",
    help="Of --gpu: writes PATH.json and PATH.md.",
)
@click.option(
    "--field-of-view",
    type=click.FloatRange(10.0, 170.0),
    metavar="DEGREES",
    help="Of the camera's width, for how large faces will be; else that of most webcams.",
)
@json_option
@with_config
def check(
    config: Config, report: Path, field_of_view: float | None, *, gpu: bool, as_json: bool
) -> None:
    """Check models, camera, latency, sound, broker, disk and clock.

    The latency is that of each step from a frame to a name, for a simulated visitor.
    Of the camera it says whether faces at the door will be too dark, too small, blurred or against
    the light, and what helps: measured on your face if you stand there, else on the picture.
    Says of each what was found, and how to mend what will not do; the exit code is 3 if anything
    will not. A doorbell that runs lends its camera, and keeps its button and relay for itself. Of
    several doors each is checked, and named.

    With --gpu: builds the engines, compares what they compute with OpenVINO on the processor for
    sample portraits, measures float32 against float16, BlazeFace against MobileNetV2-SSD and every
    step from a frame to a vector, and writes a report that can be sent along with a report of a
    fault: no name, no picture, no vector and no path is in it. The exit code is 1 if the GPU
    computes something else, and 3 if there is none. The first time takes minutes.

    JSON: a list of objects with part, ok, message and advice; with --gpu the report.
    """
    if gpu:
        _check_gpu(config, report, as_json=as_json)
    else:
        _check_parts(config, field_of_view, as_json=as_json)


def _check_parts(config: Config, field_of_view: float | None, *, as_json: bool) -> None:
    from doorbell.diagnostics import WEBCAM_DEGREES, check_all

    findings = []
    given = WEBCAM_DEGREES if field_of_view is None else field_of_view
    # As wide as the longest part; of several doors its name is beside it.
    width = 8 if len(config.doors) == 1 else WIDTH_WITH_DOOR
    for finding in check_all(config, field_of_view_degrees=given):
        findings.append(finding)
        if not as_json:
            mark = click.style("ok ", fg="green") if finding.ok else click.style("BAD", fg="red")
            say(f" {finding.part:<{width}} {finding.message}", mark=mark)
            for each in finding.advice:
                say(f"{'':<{width + 5}}{each}")
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if not all(finding.ok for finding in findings):
        click.get_current_context().exit(EXIT_CODE)


def _check_gpu(config: Config, stem: Path, *, as_json: bool) -> None:
    from rich.console import Console

    from doorbell.inference.tensorrt import require_gpu
    from doorbell.measure.gpu.device import try_device
    from doorbell.measure.gpu.trial import gpu_trial

    trial = gpu_trial(config, require_gpu())
    with Console(stderr=True).status("starting") as status:
        report = try_device(trial, status.update)
    deliver(report, stem, as_json=as_json)


def deliver(report: DeviceReport, stem: Path, *, as_json: bool) -> None:
    """Write and print a report, and exit by its verdict.

    Raises:
        OutputError: it cannot be written there.
    """
    from doorbell.errors import OutputError

    try:
        paths = report.write(stem)
    except OSError as exc:
        raise OutputError(
            f"cannot write {exc.filename}: {exc.strerror}; name another place with --report"
        ) from exc
    if as_json:
        print_json(report.document())
    else:
        _print_report(report)
        say("wrote " + " and ".join(map(str, paths)))
    if not report.passed:
        click.get_current_context().exit(FAILED_CODE)


def _print_report(report: DeviceReport) -> None:
    for check in report.checks:
        mark = click.style("ok  ", fg="green") if check.ok else click.style("FAIL", fg="red")
        say(f" {check.name}: {check.message}", mark=mark)
    if report.bench:
        click.echo()
        rows = [
            (r.name, r.backend, f"{r.timing.p50_ms:.3f}", f"{r.timing.p99_ms:.3f}")
            for r in report.bench.results
        ]
        print_table(("what", "on", "p50 ms", "p99 ms"), rows, empty="")
        click.echo()
    for note in report.notes:
        say(note)
    click.echo(
        click.style("PASS", fg="green", bold=True)
        if report.passed
        else click.style("FAIL", fg="red", bold=True)
    )
