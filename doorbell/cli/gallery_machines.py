"""``doorbell gallery roles`` and ``machines``: what machines that share a gallery may, and have."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import (
    example,
    json_option,
    local_time,
    plural,
    print_json,
    print_table,
    say,
)
from doorbell.errors import GalleryError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doorbell.config import Config


@click.command(
    epilog=example(
        "doorbell gallery roles front_door | ssh database.example sudo -u postgres psql doorbell"
    )
)
@click.argument("account", required=False)
@click.option("--household", is_flag=True, help="Let the account do all that the household may.")
@with_config
def roles(config: Config, account: str | None, *, household: bool) -> None:
    """Print the SQL by which a server gives a door less than the household.

    With ACCOUNT also what makes the account of this machine, with the doors of its configuration.

    It is for psql, as the server's superuser; docs/postgresql.md says how.
    """
    from doorbell.gallery.postgres.roles import account_sql, roles_sql

    if account is None and household:
        raise click.UsageError("--household is for an ACCOUNT")
    doors = [door.device.id for door in config.doors]
    sql = "" if account is None else account_sql(account, doors, is_household=household)
    click.echo(roles_sql() + sql, nl=False)


@click.command(
    epilog=example("doorbell gallery machines", "doorbell gallery machines --remove old-front")
)
@click.option("--remove", metavar="NAME", help="Expect nothing more of a machine that is gone.")
@json_option
@with_config
def machines(config: Config, remove: str | None, *, as_json: bool) -> None:
    """List the machines that share the gallery of gallery.url, and how far each has followed.

    Each has a copy, in which somebody who was forgotten is until it has followed.

    JSON: a list of objects with name, doors (their ids), account, seen_at (ISO 8601, UTC) and
    behind (how many visitors and visits it has not as they are).
    """
    from doorbell.clock import iso_utc
    from doorbell.gallery.gallery import open_server
    from doorbell.gallery.link.machines import (
        all_machines,
        require_doors_apart,
        require_tidied,
    )
    from doorbell.gallery.link.machines import remove as take_out

    if config.gallery.url is None:
        raise UsageError("the gallery is a file of this machine alone; gallery.url names a server")
    with closing(open_server(config.gallery)) as server:
        removed = 0 if remove is None else take_out(server, remove)
        found = all_machines(server)
        with _saying():
            require_tidied(server)
        with _saying():
            require_doors_apart(server)
    if removed:
        say(f"removed {remove}; it is listed again if it comes back", err=as_json)
    if as_json:
        print_json(
            [
                {
                    "name": each.name,
                    "doors": each.doors,
                    "account": each.account,
                    "seen_at": iso_utc(each.seen_at),
                    "behind": each.behind,
                }
                for each in found
            ]
        )
        return
    print_table(
        ["machine", "doors", "account", "last in touch", "has not yet"],
        [
            [
                each.name,
                ", ".join(each.doors),
                each.account,
                local_time(each.seen_at),
                plural(each.behind, "change") if each.behind else "",
            ]
            for each in found
        ],
        empty="no machine has been in touch yet",
    )


@contextmanager
def _saying() -> Iterator[None]:
    """Say what is wrong with the gallery, and go on."""
    try:
        yield
    except GalleryError as exc:
        say(str(exc), err=True)
