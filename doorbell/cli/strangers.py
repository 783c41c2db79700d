"""``doorbell strangers``: who came and is nobody's acquaintance yet."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import read_gallery, with_config
from doorbell.cli.printing import (
    example,
    json_option,
    local_time,
    print_forgotten,
    print_ignored,
    print_json,
    print_table,
    say,
    undo_option,
    yes_option,
)

if TYPE_CHECKING:
    from pathlib import Path

    from doorbell.config import Config
    from doorbell.domain import Stranger
    from doorbell.gallery.gallery import Gallery


def _parse_id(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    found = re.fullmatch(r"(?:stranger-)?([0-9]{1,18})", value, re.IGNORECASE)
    if found is None:
        raise click.BadParameter(f"{value!r} is not like 7 or stranger-7")
    return int(found[1])


@click.group(epilog=example("doorbell strangers list", "doorbell strangers name 7 Ben"))
def strangers() -> None:
    """Who came and has no name yet."""


@strangers.command("list", epilog=example("doorbell strangers list --json"))
@json_option
@with_config
def list_(config: Config, *, as_json: bool) -> None:
    """List the strangers who are remembered.

    JSON: a list of objects with stranger_id, label, first_seen_at, last_seen_at (ISO 8601, UTC),
    visits, visits_week (in the seven days up to the last one), picture (of the newest visit that
    has one, a path, or null) and ignored (whether their coming never rings).
    """
    from doorbell.household.documents import stranger_document
    from doorbell.household.listing import newest_pictures

    def read(gallery: Gallery) -> tuple[list[Stranger], dict[int, Path]]:
        pictures = newest_pictures(gallery, config.storage.pictures_directory) if as_json else {}
        return gallery.strangers.all(), pictures

    found, pictures = read_gallery(config, read)
    if as_json:
        print_json([stranger_document(each, pictures.get(each.stranger_id)) for each in found])
        return
    print_table(
        ["stranger", "visits", "first seen", "last seen", "rings"],
        [
            [
                stranger.label,
                stranger.visits,
                local_time(stranger.first_seen_at),
                local_time(stranger.last_seen_at),
                "no: ignored" if stranger.ignored else "yes",
            ]
            for stranger in found
        ],
        empty="no stranger is remembered",
    )


@strangers.command(epilog=example("doorbell strangers show 7"))
@click.argument("stranger_id", metavar="ID", callback=_parse_id)
@json_option
@with_config
def show(config: Config, stranger_id: int, *, as_json: bool) -> None:
    """Show one stranger.

    JSON: an object with the keys of `strangers list`.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.documents import stranger_document
    from doorbell.household.listing import newest_pictures

    with Gallery.of(config.storage, config.gallery) as gallery:
        stranger = gallery.strangers.get(stranger_id)
        pictures = newest_pictures(gallery, config.storage.pictures_directory)
    picture = pictures.get(stranger_id)
    if as_json:
        print_json(stranger_document(stranger, picture))
        return
    say(stranger.label)
    for key, value in (
        ("visits", f"{stranger.visits}, of which {stranger.visits_week} in the last week of them"),
        ("first seen", local_time(stranger.first_seen_at)),
        ("last seen", local_time(stranger.last_seen_at)),
        ("picture", picture or "none is kept"),
        ("rings", "no: ignored" if stranger.ignored else "yes"),
    ):
        say(f"  {key:<12} {value}")


@strangers.command(epilog=example("doorbell strangers merge 9 7"))
@click.argument("one", metavar="ID", callback=_parse_id)
@click.argument("other", metavar="ID", callback=_parse_id)
@click.option("--force", is_flag=True, help="Also if they do not look alike.")
@with_config
def merge(config: Config, one: int, other: int, *, force: bool) -> None:
    """Make two strangers who are the same person one, under the older identifier.

    Two who do not look alike are refused. `doorbell people undo` takes it back.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.naming import merge_strangers

    with Gallery.of(config.storage, config.gallery) as gallery:
        done = merge_strangers(gallery, one, other, force=force)
    say(f"{done.before.label} is now part of {done.now.label}")


@strangers.command("name", epilog=example('doorbell strangers name 7 "Ben the postman"'))
@click.argument("stranger_id", metavar="ID", callback=_parse_id)
@click.argument("name")
@click.option("--force", is_flag=True, help="Also if the face is not like that person's.")
@with_config
def name_(config: Config, stranger_id: int, name: str, *, force: bool) -> None:
    """Make a stranger a person, new or enrolled already, with samples and visits.

    A face that is not like the person's, or that looks like somebody else's, is refused: whom it
    looks like is said, and how much. `doorbell people undo` takes it back.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.naming import name_stranger

    with Gallery.of(config.storage, config.gallery) as gallery:
        done = name_stranger(gallery, stranger_id, name, force=force)
    say(f"{done.before.label} is now {done.now.label}")


@strangers.command(
    epilog=example("doorbell strangers ignore 7", "doorbell strangers ignore 7 --undo")
)
@click.argument("stranger_id", metavar="ID", callback=_parse_id)
@undo_option
@with_config
def ignore(config: Config, stranger_id: int, *, undo: bool) -> None:
    """Never ring when a stranger comes; they are kept, however old, while they are ignored.

    Events, pictures and home automation go on telling of them; who presses the button is heard.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.ignoring import ignore_stranger

    with Gallery.of(config.storage, config.gallery) as gallery:
        print_ignored(ignore_stranger(gallery, stranger_id, ignored=not undo))


@strangers.command(epilog=example("doorbell strangers forget 7"))
@click.argument("stranger_id", metavar="ID", callback=_parse_id)
@yes_option
@with_config
def forget(config: Config, stranger_id: int, *, yes: bool) -> None:
    """Delete a stranger, with every sample, visit and picture.

    Of a gallery on a server, the machines are named that have not done so yet.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.gallery.link.machines import FOLLOW_SECONDS, behind
    from doorbell.household.forgetting import forget_stranger
    from doorbell.household.visit_files import forget_in_files, waits_for_daemon

    with Gallery.of(config.storage, config.gallery) as gallery:
        stranger = gallery.strangers.get(stranger_id)
        if not yes:
            click.confirm(
                f"Forget {stranger.label} with every sample, visit and picture?", abort=True
            )
        forget_visits = partial(forget_in_files, gallery, config)
        outcome = forget_stranger(gallery, stranger_id, config.storage, forget_visits)
        machines = behind(gallery.file, FOLLOW_SECONDS)
    print_forgotten(outcome, machines, waits_for_daemon=waits_for_daemon(config))
