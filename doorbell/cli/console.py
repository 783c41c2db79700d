"""``doorbell console``: the household's web pages, and who may see them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import RunsByDefault, configure_logging, with_config
from doorbell.cli.printing import example, json_option, local_time, print_json, print_table, say
from doorbell.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.console.access import Access

ROLES = ("viewer", "member", "owner")


@click.group(
    cls=RunsByDefault,
    epilog=example("doorbell console", "doorbell console pair --role owner"),
)
def console() -> None:
    """Serve the household's web pages, and say which devices may see them."""


@console.command(epilog=example("doorbell console run --config doorbell.toml"))
@with_config
def run(config: Config) -> None:
    """Serve the pages until it is stopped; what `doorbell console` alone does too.

    It asks the running doorbell for everything that it shows, over the control socket, and opens
    neither gallery nor pictures. SIGTERM and Ctrl-C stop it.
    """
    if not config.console.enabled:
        raise ConfigError(
            "console.enabled is false: set it to true in the configuration, or start it with "
            "--set console.enabled=true"
        )
    from doorbell.config import control_socket

    with _with_packages():
        from doorbell.console.server import run_console

    if not logging.getLogger().isEnabledFor(logging.DEBUG):  # --verbose wins
        configure_logging(config.log.level)
    run_console(
        config.console, control_socket(config), lambda address: say(f"the console is at {address}")
    )


@console.command(
    epilog=example("doorbell console pair", "doorbell console pair --role owner --name Anna's")
)
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="member",
    show_default=True,
    help="What the device may do: see the door; name, correct and set; or everything.",
)
@click.option("--name", default="", help="What the device is called; else it says so itself.")
@json_option
@with_config
def pair(config: Config, role: str, name: str, *, as_json: bool) -> None:
    """Let one more device in, by a code that is valid once, for ten minutes.

    The code is typed on the page /pair of the console, or scanned. Five wrong ones end it.

    JSON: an object with url (with the code in it), address, code, role and expires_at (ISO 8601).
    """
    from doorbell.clock import iso_utc

    with _access(config) as access:
        from doorbell.config.console import address_of
        from doorbell.console.devices import clean_name
        from doorbell.console.routing import Role

        invitation = access.invitations.invite(Role[role.upper()], clean_name(name))
        access.audit.note(None, "devices invite", f"role {role}")
    address = f"{address_of(config.console)}/pair"
    url = f"{address}#{invitation.code}"
    if as_json:
        print_json(
            {
                "url": url,
                "address": address,
                "code": invitation.code,
                "role": role,
                "expires_at": iso_utc(invitation.expires_at),
            }
        )
        return
    import segno

    if sys.stdout.isatty():
        segno.make(url, error="m").terminal(compact=True)
    say(f"open {url}")
    say(f"or open {address} and type {invitation.shown_code}")
    say(f"It lets one device in as {role}, until {local_time(invitation.expires_at)}.")


@console.command(epilog=example("doorbell console devices --json"))
@json_option
@with_config
def devices(config: Config, *, as_json: bool) -> None:
    """List which devices and systems have access.

    JSON: a list of objects with device_id, name, role (viewer, member, owner, or stream for a
    token), created_at and last_seen_at (ISO 8601, UTC).
    """
    from doorbell.clock import iso_utc

    with _access(config) as access:
        found = access.devices.all()
    if as_json:
        print_json(
            [
                {
                    "device_id": each.device_id,
                    "name": each.name,
                    "role": each.role.name.lower(),
                    "created_at": iso_utc(each.created_at),
                    "last_seen_at": iso_utc(each.seen_at),
                }
                for each in found
            ]
        )
        return
    print_table(
        ["device", "name", "may", "since", "last seen"],
        [
            [
                each.device_id,
                each.name,
                each.role.name.lower(),
                local_time(each.created_at),
                local_time(each.seen_at),
            ]
            for each in found
        ],
        empty="no device has access; let one in with doorbell console pair",
    )


@console.command(epilog=example("doorbell console revoke 3"))
@click.argument("device", type=click.IntRange(1, 2**63 - 1))
@with_config
def revoke(config: Config, device: int) -> None:
    """Take access away from a device or a token, at once; what it watches live ends too."""
    with _access(config) as access:
        found = access.devices.revoke(device)
        if found is None:
            raise UsageError(
                f"there is no device {device}, or it has no access any more; list them with "
                "doorbell console devices"
            )
        access.audit.note(None, "devices revoke", f"device {device}")
    say(f"{found.name} has no access any more")


@console.command(epilog=example("doorbell console token 'Home Assistant'"))
@click.argument("name")
@json_option
@with_config
def token(config: Config, name: str, *, as_json: bool) -> None:
    """Make a token with which another system sees the door: /frame.jpg and /stream.mjpeg alone.

    It is shown once, and given as Bearer, or as the password of HTTP Basic with any user. It lasts
    until it is revoked.

    JSON: an object with device_id, name, token, frame and stream (addresses).
    """
    with _access(config) as access:
        from doorbell.config.console import address_of
        from doorbell.console.devices import clean_name
        from doorbell.console.routing import Role

        cleaned = clean_name(name)
        if not cleaned:
            raise UsageError("a token needs a name: say what it is for")
        device, secret = access.devices.add(cleaned, Role.STREAM)
        access.audit.note(None, "devices token", f"device {device.device_id}")
    address = address_of(config.console)
    if as_json:
        print_json(
            {
                "device_id": device.device_id,
                "name": device.name,
                "token": secret,
                "frame": f"{address}/frame.jpg",
                "stream": f"{address}/stream.mjpeg",
            }
        )
        return
    say(f"token {device.device_id} for {device.name}: {secret}")
    say(f"It opens {address}/frame.jpg and {address}/stream.mjpeg, and is not shown again.")


@contextmanager
def _access(config: Config) -> Iterator[Access]:
    with _with_packages():
        from doorbell.console.access import Access

    with closing(Access(config.console.state_directory)) as access:
        yield access


@contextmanager
def _with_packages() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("doorbell"):
            raise
        raise ConfigError(
            f"the console needs the package {exc.name}: pip install 'doorbell[console]'"
        ) from exc
