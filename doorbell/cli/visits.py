"""``doorbell visits``: who came when, and who it was in truth."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import read_gallery, with_config
from doorbell.cli.printing import (
    SHOWN_CHARACTERS,
    example,
    json_option,
    local_time,
    plural,
    print_json,
    print_table,
    say,
)
from doorbell.cli.visit_search import search
from doorbell.errors import UsageError

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.domain import Visit
    from doorbell.gallery.gallery import Correction, Gallery


class _ListsByDefault(click.Group):
    """``doorbell visits`` and its options alone list the visits."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the verb in where there is none."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_ListsByDefault,
    epilog=example("doorbell visits", "doorbell visits correct last Anna", "doorbell visits undo"),
)
def visits() -> None:
    """Who came when, and who it was in truth. Without a verb: list them."""


visits.add_command(search)


@visits.command(
    "list",
    epilog=example(
        "doorbell visits list --since 2026-11-01 --person Anna",
        "doorbell visits list --door front-door",
    ),
)
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
@click.option("--door", metavar="ID", help="Only those at this door.")
@json_option
@with_config
def list_(
    config: Config,
    limit: int,
    since: datetime | None,
    person: str | None,
    door: str | None,
    *,
    as_json: bool,
) -> None:
    """List visits, newest first; with their doors where there are several.

    JSON: a list of objects with visit_id, door_id, started_at, last_seen_at, ended_at (ISO 8601,
    UTC; ended_at is null while a visit lasts), person, person_id, stranger (null where they do not
    apply), similarity (null while undecided), corrected (whether somebody said who it was) and
    picture (a path, or null; kept without boxes and names: see doorbell visits picture).
    """
    from doorbell.household.documents import visit_document
    from doorbell.household.doors import doors_visited, stored_as, with_door

    since_at = None if since is None else since.timestamp()
    watched = [each.device.id for each in config.doors]
    first_door = watched[0]

    def read(gallery: Gallery) -> tuple[set[str], list[Visit]]:
        doors = {*watched, *doors_visited(gallery, first_door)}
        if door is not None and door not in doors:
            raise UsageError(f"there is no door {door!r}; give one of: {', '.join(sorted(doors))}")
        stored = None if door is None else stored_as(door, first_door)
        return doors, gallery.visits.newest(limit, since=since_at, name=person, doors=stored)

    doors, newest = read_gallery(config, read)
    found = [with_door(visit, first_door) for visit in newest]
    if as_json:
        directory = config.storage.pictures_directory
        print_json([visit_document(visit, directory) for visit in found])
        return
    print_table(
        [
            "visit",
            *(["door"] if len(doors) > 1 else []),
            "began",
            "lasted",
            "visitor",
            "similarity",
        ],
        [
            [
                visit.visit_id[:SHOWN_CHARACTERS],
                *([visit.door_id] if len(doors) > 1 else []),
                local_time(visit.started_at),
                _duration(visit),
                _label(visit),
                _similarity(visit),
            ]
            for visit in found
        ],
        empty="no visit is remembered",
    )


@visits.command(epilog=example("doorbell visits picture last --output anna.jpg"))
@click.argument("words", metavar="VISIT")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A new file; visit-VISIT.jpg without.",
)
@with_config
def picture(config: Config, words: str, output: Path | None) -> None:
    """Write the picture of a visit to a file, with boxes and names.

    The names are those of now. Pictures are kept without, and encrypted if storage.key_file says
    so; what is written here is not. VISIT is as for `doorbell visits correct`.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.visit_pictures import write_drawn_picture

    with Gallery.of(config.storage, config.gallery) as gallery:
        visit, path = write_drawn_picture(gallery, words, output, config.storage)
    say(f"{path} shows visit {visit.visit_id[:SHOWN_CHARACTERS]}: {_label(visit)}")


@visits.command(
    epilog=example(
        "doorbell visits correct last Anna",
        "doorbell visits correct 3f2a91c4 Anna --learn",
        "doorbell visits correct last --stranger",
        "doorbell visits correct 3f2a91c4 --not-a-face",
    )
)
@click.argument("words", metavar="VISIT")
@click.argument("name", required=False)
@click.option("--stranger", "is_stranger", is_flag=True, help="It was nobody who is enrolled.")
@click.option("--not-a-face", "is_no_face", is_flag=True, help="There was nobody.")
@click.option("--learn", is_flag=True, help="Make this visit's faces samples of the person.")
@click.option("--force", is_flag=True, help="Learn also a face that is not like the person's.")
@with_config
def correct(
    config: Config,
    words: str,
    name: str | None,
    *,
    is_stranger: bool,
    is_no_face: bool,
    learn: bool,
    force: bool,
) -> None:
    """Say who a visit was in truth.

    VISIT is its identifier or the first four characters or more of it, as `doorbell visits` shows
    it, or: last. NAME is somebody enrolled.

    A face that had a wrong name is not given that name again. Nothing becomes a sample of a person
    without --learn, and with it no face that is unlike the person's or looks like somebody else's.
    A running daemon applies this at once, and `doorbell visits undo` takes it back.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.corrections import (
        correct_to_no_face,
        correct_to_person,
        correct_to_stranger,
    )

    if (name is not None) + is_stranger + is_no_face != 1:
        raise click.UsageError("give one of NAME, --stranger and --not-a-face")
    if learn and name is None:
        raise click.UsageError("--learn needs a NAME: who is to be known better")
    if force and not learn:
        raise click.UsageError("--force goes with --learn")
    with Gallery.of(config.storage, config.gallery) as gallery:
        if name is not None:
            done = correct_to_person(gallery, words, name, learn=learn, force=force)
        elif is_stranger:
            done = correct_to_stranger(gallery, words, config.recognition)
        else:
            done = correct_to_no_face(gallery, words)
    for line in _told(done, is_no_face=is_no_face, learn=learn):
        say(line)


@visits.command(epilog=example("doorbell visits undo"))
@with_config
def undo(config: Config) -> None:
    """Take the last correction back; again, the one before it."""
    from doorbell.gallery.gallery import Gallery

    with Gallery.of(config.storage, config.gallery) as gallery:
        done = gallery.corrections.undo()
    if done.visit is None:
        say("what the last correction taught is undone; its visit is no longer remembered")
    else:
        shown = done.visit.visit_id[:SHOWN_CHARACTERS]
        say(f"visit {shown} is {_whose(done.visit)} again; what it taught is undone")


@visits.command(
    "not-a-face", epilog=example("doorbell visits not-a-face last", "doorbell visits not-faces")
)
@click.argument("words", metavar="VISIT")
@with_config
def not_a_face(config: Config, words: str) -> None:
    """Say that a visit was of nobody: a print on a shirt, a poster, a statue, a shadow.

    What looks like it begins no visit any more; somebody who stands before it is still announced.
    The same as `doorbell visits correct VISIT --not-a-face`.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.corrections import correct_to_no_face
    from doorbell.household.visit_pictures import place_of_face

    with Gallery.of(config.storage, config.gallery) as gallery:
        visit = gallery.visits.find(words)
        done = correct_to_no_face(gallery, visit.visit_id)
    for line in _told(done, is_no_face=True, learn=False):
        say(line)
    place = place_of_face(visit.visit_id, config.storage)
    if place is not None:
        corners = ", ".join(f"[{x:g}, {y:g}]" for x, y in place)
        say(
            "if it hangs or stands there for good, leave the place out, whatever is before it: add "
            f"[{corners}] to detection.ignore"
        )


@visits.command(
    "not-faces", epilog=example("doorbell visits not-faces", "doorbell visits not-faces --forget 3")
)
@click.option("--forget", type=int, metavar="NUMBER", help="Take this one back, for good.")
@json_option
@with_config
def not_faces(config: Config, forget: int | None, *, as_json: bool) -> None:
    """List what you said is no face, or take one of it back.

    JSON: a list of objects with number, visit_id and started_at (null where the visit is no longer
    kept) and faces (how many embeddings it is known by).
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.documents import non_face_document

    with Gallery.of(config.storage, config.gallery) as gallery:
        if forget is not None:
            gallery.corrections.forget_non_face(forget)
        found = gallery.corrections.non_faces()
    if as_json:
        print_json([non_face_document(each) for each in found])
        return
    if forget is not None:
        say(f"number {forget} may be a face again; what it was known by is deleted")
        return
    print_table(
        ["number", "visit", "began", "known by"],
        [
            [
                each.number,
                (each.visit_id or "")[:SHOWN_CHARACTERS],
                local_time(each.started_at),
                plural(each.faces, "face"),
            ]
            for each in found
        ],
        empty="nothing was said to be no face",
    )


def _told(done: Correction, *, is_no_face: bool, learn: bool) -> list[str]:
    """What a correction did, and what it did not."""
    from doorbell.domain import Person

    visit = done.visit
    shown = visit.visit_id[:SHOWN_CHARACTERS] if visit else ""
    faces = plural(done.samples, "face")
    if is_no_face:
        lines = [f"visit {shown} is no longer listed"]
        if done.samples:
            lines.append(f"what looks like its {faces} is not announced again")
        else:
            lines.append("no face of it was kept, so the same thing may be announced again")
        return lines
    visitor = visit.visitor if visit else None
    lines = [f"visit {shown} is now {_whose(visit)}"] if visit else []
    before = done.before
    if isinstance(before, Person) and before != visitor:
        if done.samples:
            lines.append(f"{faces} of it will not be taken for {before.name} again")
        else:
            lines.append(f"no face of it was kept, so it may be taken for {before.name} again")
    if isinstance(visitor, Person):
        if learn:
            lines.append(f"{visitor.name} has {plural(done.learned, 'new sample')} from it")
        elif done.samples:
            lines.append(f"nothing became a sample of {visitor.name}; to do so: add --learn")
    return lines


def _whose(visit: Visit) -> str:
    return f"{visit.visitor.label}'s" if visit.visitor else "nobody's"


def _label(visit: Visit) -> str:
    return visit.visitor.label if visit.visitor else "nobody known"


def _similarity(visit: Visit) -> str | None:
    if visit.corrected:
        return "corrected"
    return f"{visit.similarity:.2f}" if visit.visitor else None


def _duration(visit: Visit) -> str:
    if visit.ended_at is None:
        return "at the door"
    minutes, seconds = divmod(round(visit.ended_at - visit.started_at), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
