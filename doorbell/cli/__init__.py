"""The command line: parses, prints, sets the exit code.

What a verb needs is imported when it runs, so that help comes at once.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from doorbell.cli.bench import bench
from doorbell.cli.check import check
from doorbell.cli.console import console
from doorbell.cli.demo import demo
from doorbell.cli.encryption import decrypt, encrypt, key
from doorbell.cli.enroll import enroll
from doorbell.cli.evaluate import evaluate
from doorbell.cli.gallery import gallery
from doorbell.cli.live import mute, ring, status
from doorbell.cli.models import models
from doorbell.cli.notifier import notifier
from doorbell.cli.options import (
    DoorbellGroup,
    Given,
    config_option,
    set_option,
    verbose_option,
)
from doorbell.cli.people import people
from doorbell.cli.printing import example
from doorbell.cli.replies import reply
from doorbell.cli.run import run
from doorbell.cli.strangers import strangers
from doorbell.cli.train import train
from doorbell.cli.visits import visits


@click.group(
    cls=DoorbellGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example(
        "doorbell enroll Anna anna-1.jpg anna-2.jpg",
        "doorbell run --config doorbell.toml --set camera.uri=/dev/video0",
    ),
)
@config_option
@set_option
@verbose_option
@click.version_option(package_name="doorbell")
@click.pass_context
def main(
    context: click.Context, config_path: Path | None, overrides: tuple[str, ...], *, verbose: bool
) -> None:
    """A smart doorbell that knows who is at the door and keeps every face in the house.

    The configuration is the file given with --config, else the one that $DOORBELL_CONFIG names,
    else /etc/doorbell/doorbell.toml, else ~/.config/doorbell/doorbell.toml, else the defaults.
    These options may stand before or after the verb.

    Exit codes: 0 all is well, 1 a fault, 2 a wrong request or configuration, 3 a device, model or
    gallery that cannot be used.
    """
    # The pictures are small, and threads that wait for each other cost more than they save. OpenCV
    # reads this when it is loaded, in this process and in those that it starts.
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
    context.obj = Given(config_path, overrides, verbose)


for _verb in (
    run,
    demo,
    status,
    ring,
    mute,
    reply,
    enroll,
    people,
    strangers,
    visits,
    gallery,
    models,
    console,
    notifier,
    check,
    evaluate,
    bench,
    train,
):
    main.add_command(_verb)
for _verb in (key, encrypt, decrypt):
    gallery.add_command(_verb)
