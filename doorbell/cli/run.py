"""``doorbell run``: watching the door."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import LOAD, configure_logging, with_config
from doorbell.cli.printing import example

if TYPE_CHECKING:
    from doorbell.config import Config


@click.command(
    epilog=example(
        "doorbell run --config doorbell.toml",
        "doorbell run --set camera.uri=rtsp://camera.lan/door --set log.level=debug",
    )
)
@with_config
def run(config: Config) -> None:
    """Watch the door until it is stopped.

    SIGTERM and Ctrl-C stop it within five seconds; the end of a recording does so too. SIGHUP reads
    the configuration anew, and the log says what was taken.
    """
    from doorbell.daemon.run import run_daemon

    if not logging.getLogger().isEnabledFor(logging.DEBUG):  # --verbose wins
        configure_logging(config.log.level)
    run_daemon(config, load=click.get_current_context().meta[LOAD])
