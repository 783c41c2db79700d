"""``doorbell strangers``: who came and is nobody's acquaintance yet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import (
    example,
    json_option,
    local_time,
    print_forgotten,
    print_json,
    print_table,
    yes_option,
)

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.domain import Stranger
    from doorbell.recognition.gallery import Gallery

# Of so many visits the newest one with a picture is looked for.
VISITS_LOOKED_AT = 1000


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
    visits, visits_week (in the seven days up to the last one) and picture (of the newest visit that
    has one, a path, or null).
    """
    from doorbell.recognition.gallery import Gallery

    with Gallery.of(config.storage) as gallery:
        found = gallery.strangers.all()
        if as_json:
            print_json([_document(stranger, gallery, config) for stranger in found])
            return
    print_table(
        ["stranger", "visits", "first seen", "last seen"],
        [
            [
                stranger.label,
                stranger.visits,
                local_time(stranger.first_seen_at),
                local_time(stranger.last_seen_at),
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
    from doorbell.recognition.gallery import Gallery

    with Gallery.of(config.storage) as gallery:
        stranger = gallery.strangers.get(stranger_id)
        document = _document(stranger, gallery, config)
    if as_json:
        print_json(document)
        return
    click.echo(stranger.label)
    for key, value in (
        ("visits", f"{stranger.visits}, of which {stranger.visits_week} in the last week of them"),
        ("first seen", local_time(stranger.first_seen_at)),
        ("last seen", local_time(stranger.last_seen_at)),
        ("picture", document["picture"] or "none is kept"),
    ):
        click.echo(f"  {key:<12} {value}")


@strangers.command(epilog=example("doorbell strangers merge 9 7"))
@click.argument("one", metavar="ID", callback=_parse_id)
@click.argument("other", metavar="ID", callback=_parse_id)
@with_config
def merge(config: Config, one: int, other: int) -> None:
    """Make two strangers who are the same person one, under the older identifier."""
    from doorbell.recognition.gallery import Gallery

    with Gallery.of(config.storage) as gallery:
        kept = gallery.strangers.merge(one, other)
    gone = other if kept.stranger_id == one else one
    click.echo(f"stranger-{gone} is now part of {kept.label}")


@strangers.command("name", epilog=example('doorbell strangers name 7 "Ben the postman"'))
@click.argument("stranger_id", metavar="ID", callback=_parse_id)
@click.argument("name")
@with_config
def name_(config: Config, stranger_id: int, name: str) -> None:
    """Make a stranger a person, new or enrolled already, with samples and visits."""
    from doorbell.recognition.gallery import Gallery

    with Gallery.of(config.storage) as gallery:
        person = gallery.strangers.name(stranger_id, name)
    click.echo(f"stranger-{stranger_id} is now {person.name}")


@strangers.command(epilog=example("doorbell strangers forget 7"))
@click.argument("stranger_id", metavar="ID", callback=_parse_id)
@yes_option
@with_config
def forget(config: Config, stranger_id: int, *, yes: bool) -> None:
    """Delete a stranger, with every sample, visit and picture."""
    from doorbell.household.forgetting import VisitFiles, forget_stranger
    from doorbell.recognition.gallery import Gallery

    with Gallery.of(config.storage) as gallery:
        stranger = gallery.strangers.get(stranger_id)
        if not yes:
            click.confirm(
                f"Forget {stranger.label} with every sample, visit and picture?", abort=True
            )
        traces = VisitFiles(gallery, config).forget
        outcome = forget_stranger(gallery, stranger_id, config.storage, traces)
    print_forgotten(outcome)


def _document(stranger: Stranger, gallery: Gallery, config: Config) -> dict[str, Any]:
    from doorbell.outputs.messages import iso_utc
    from doorbell.outputs.pictures import picture_path

    visits = gallery.visits.newest(VISITS_LOOKED_AT, stranger_id=stranger.stranger_id)
    pictures = (picture_path(config.storage.pictures_directory, each.visit_id) for each in visits)
    return {
        "stranger_id": stranger.stranger_id,
        "label": stranger.label,
        "first_seen_at": iso_utc(stranger.first_seen_at),
        "last_seen_at": iso_utc(stranger.last_seen_at),
        "visits": stranger.visits,
        "visits_week": stranger.visits_week,
        "picture": next((str(picture) for picture in pictures if picture.is_file()), None),
    }
