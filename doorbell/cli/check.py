"""``doorbell check``: is everything there that the doorbell needs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import example, json_option, print_json

if TYPE_CHECKING:
    from doorbell.config import Config

# A device, model or gallery that cannot be used.
EXIT_CODE = 3


@click.command(epilog=example("doorbell check", "doorbell check --set camera.uri=/dev/video0"))
@json_option
@with_config
def check(config: Config, *, as_json: bool) -> None:
    """Check models, camera, sound, broker, disk and clock.

    Says of each what was found, and how to mend what will not do; the exit code is 3 if anything
    will not. The camera may not be in use: stop the daemon first.

    JSON: a list of objects with part, ok and message.
    """
    from doorbell.health import check_all

    findings = []
    for finding in check_all(config):
        findings.append(finding)
        if not as_json:
            mark = click.style("ok ", fg="green") if finding.ok else click.style("BAD", fg="red")
            click.echo(f"{mark} {finding.part:<8} {finding.message}")
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if not all(finding.ok for finding in findings):
        click.get_current_context().exit(EXIT_CODE)
