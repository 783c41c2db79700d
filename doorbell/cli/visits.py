"""``doorbell visits``: who came when."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import example, json_option, local_time, print_json, print_table

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.domain import Visit


@click.command(epilog=example("doorbell visits --since 2026-11-01 --person Anna"))
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"]),
    metavar="TIME",
    help="Only those that began then or later, like 2026-11-22 or 2026-11-22T18:30.",
)
@click.option("--person", help="Only this person's.")
@json_option
@with_config
def visits(
    config: Config, limit: int, since: datetime | None, person: str | None, *, as_json: bool
) -> None:
    """List visits, newest first.

    JSON: a list of objects with visit_id, started_at, last_seen_at, ended_at (ISO 8601, UTC;
    ended_at is null while a visit lasts), person, person_id, stranger (null where they do not
    apply), similarity (null while undecided) and picture (a path, or null).
    """
    from doorbell.recognition.gallery import Gallery

    since_at = None if since is None else since.timestamp()
    with Gallery.open(config.storage.gallery_path) as gallery:
        found = gallery.visits(limit, since=since_at, name=person)
    if as_json:
        print_json([_document(visit, config) for visit in found])
        return
    print_table(
        ["began", "lasted", "visitor", "similarity"],
        [
            [
                local_time(visit.started_at),
                _duration(visit),
                visit.visitor.label if visit.visitor else "nobody known",
                f"{visit.similarity:.2f}" if visit.visitor else None,
            ]
            for visit in found
        ],
        empty="no visit is remembered",
    )


def _duration(visit: Visit) -> str:
    if visit.ended_at is None:
        return "at the door"
    minutes, seconds = divmod(round(visit.ended_at - visit.started_at), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _document(visit: Visit, config: Config) -> dict[str, Any]:
    from doorbell.domain import Person, Stranger
    from doorbell.outputs.messages import iso_utc
    from doorbell.outputs.pictures import picture_path

    person = visit.visitor if isinstance(visit.visitor, Person) else None
    picture = picture_path(config.storage.pictures_directory, visit.visit_id)
    return {
        "visit_id": visit.visit_id,
        "started_at": iso_utc(visit.started_at),
        "last_seen_at": iso_utc(visit.last_seen_at),
        "ended_at": iso_utc(visit.ended_at),
        "person": person.name if person else None,
        "person_id": person.person_id if person else None,
        "stranger": visit.visitor.label if isinstance(visit.visitor, Stranger) else None,
        "similarity": round(visit.similarity, 4) if visit.visitor else None,
        "picture": str(picture) if picture.is_file() else None,
    }
