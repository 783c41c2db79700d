"""``doorbell notifier``: tells phones and other systems what happens at the door."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import LOAD, RunsByDefault, configure_logging, with_config
from doorbell.cli.printing import example, say

if TYPE_CHECKING:
    from doorbell.config import Config


@click.group(
    cls=RunsByDefault,
    epilog=example("doorbell notifier", "doorbell notifier test anna"),
)
def notifier() -> None:
    """Tell phones and other systems what happens at the door, and try whether that works."""


@notifier.command(epilog=example("doorbell notifier run --config doorbell.toml"))
@with_config
def run(config: Config) -> None:
    """Tell the targets of [notifications] until it is stopped; `doorbell notifier` does too.

    It takes from the running doorbell, over the control socket, what is to be told, keeps it until
    it has been told, and opens neither gallery nor pictures. SIGTERM and Ctrl-C stop it; SIGHUP
    reads the targets anew.
    """
    from doorbell.notifier.run import require_enabled, run_notifier

    require_enabled(config.notifications)
    if not logging.getLogger().isEnabledFor(logging.DEBUG):  # --verbose wins
        configure_logging(config.log.level)
    run_notifier(config, click.get_current_context().meta[LOAD])


@notifier.command(epilog=example("doorbell notifier test anna"))
@click.argument("name")
@with_config
def test(config: Config, name: str) -> None:
    """Have the running doorbell tell one target that this is a test.

    NAME is that of one of [[notifications.targets]]; `doorbell status` tells what became of it.
    """
    from doorbell.config import control_socket
    from doorbell.control.client import Client

    with Client.connect(control_socket(config)) as client:
        say(client.ask("notices.test", target=name).document["summary"])
