"""``doorbell reply``: what is said at the door without talking, by the running doorbell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import door_option, named_door, with_config
from doorbell.cli.printing import (
    example,
    json_option,
    print_json,
    print_table,
    say,
    yes_option,
)

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.control.client import Client

# What reads a recording is started for the first one.
ADD_SECONDS = 60.0


@click.group(epilog=example("doorbell reply list", "doorbell reply say coming"))
def reply() -> None:
    """Quick replies at the door: list them, say one, add recordings of your own."""


@reply.command(name="list", epilog=example("doorbell reply list", "doorbell reply list --json"))
@json_option
@with_config
def list_(config: Config, *, as_json: bool) -> None:
    """List the replies that there are.

    JSON: a list of objects with reply_id, label, is_recording and seconds (null of what is spoken).
    """
    with _client(config) as client:
        replies = client.ask("replies.list").document["replies"]
    if as_json:
        print_json(replies)
        return
    rows = [
        (each["reply_id"], each["label"], f"{each['seconds']:.1f} s" if each["seconds"] else "")
        for each in replies
    ]
    print_table(("reply", "says", "recording"), rows, empty="there are no replies")


@reply.command(
    name="say",
    epilog=example("doorbell reply say coming", "doorbell reply say coming --door garden"),
)
@click.argument("reply_id", metavar="REPLY")
@door_option
@with_config
def say_(config: Config, reply_id: str) -> None:
    """Say a reply at the door, by its identifier."""
    with _client(config) as client:
        told = client.ask("replies.play", reply_id=reply_id, door_id=named_door())
    say(told.document["summary"])


@reply.command(epilog=example('doorbell reply add back-soon.m4a --name "Back soon"'))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="What it is called; without, the name of the file.")
@with_config
def add(config: Config, file: Path, name: str | None) -> None:
    """Keep a recording: a WAV, MP3, M4A or Ogg file of 20 seconds at most."""
    from doorbell.control.wire import MAX_PHOTO_BYTES
    from doorbell.errors import UsageError
    from doorbell.storage.files import open_regular

    try:
        with open_regular(file, MAX_PHOTO_BYTES) as opened:
            content = opened.read()
    except OSError as exc:
        raise UsageError(f"cannot read {file}: {exc.strerror}; check the path") from exc
    with _client(config, ADD_SECONDS) as client:
        told = client.ask("replies.add", content, label=name or file.stem).document
    say(f"{told['summary']}; say it with: doorbell reply say {told['reply']['reply_id']}")


@reply.command(epilog=example('doorbell reply rename recording-1f2e3d4c "Back at six"'))
@click.argument("reply_id", metavar="REPLY")
@click.argument("name")
@with_config
def rename(config: Config, reply_id: str, name: str) -> None:
    """Give a recording another name."""
    with _client(config) as client:
        say(client.ask("replies.rename", reply_id=reply_id, label=name).document["summary"])


@reply.command(epilog=example("doorbell reply delete recording-1f2e3d4c"))
@click.argument("reply_id", metavar="REPLY")
@yes_option
@with_config
def delete(config: Config, reply_id: str, *, yes: bool) -> None:
    """Delete a recording. It cannot be taken back."""
    if not yes:
        click.confirm(f"Delete {reply_id} for good?", abort=True)
    with _client(config) as client:
        say(client.ask("replies.delete", reply_id=reply_id).document["summary"])


def _client(config: Config, timeout_seconds: float = 10.0) -> Client:
    from doorbell.config import control_socket
    from doorbell.control.client import Client

    return Client.connect(control_socket(config), timeout_seconds)
