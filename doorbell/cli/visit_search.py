"""``doorbell visits search``: who has come with a face like this."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import (
    SHOWN_CHARACTERS,
    example,
    json_option,
    local_time,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doorbell.config import Config
    from doorbell.household.examination import ExaminedFace
    from doorbell.household.face_search import Alike

NOBODY = "nobody who is enrolled or came has a face like this"
OWN_DOORS = (
    "only visits at the doors of this machine's account are seen; search with the household's to "
    "see all (docs/postgresql.md)"
)


@click.command(
    epilog=example("doorbell visits search somebody.jpg", "doorbell visits search --visit last")
)
@click.argument("picture", required=False, type=click.Path(path_type=Path))
@click.option("--visit", "words", metavar="VISIT", help="Search by the faces kept with a visit.")
@json_option
@with_config
def search(config: Config, picture: Path | None, words: str | None, *, as_json: bool) -> None:
    """Find who has come, at whichever door, with a face like this.

    PICTURE is a photo; of several faces each is searched for, from left to right. VISIT is as for
    `doorbell visits correct`. The most alike of people, strangers and visits of nobody known are
    listed with their last visits. "The same" is yes where the doorbell would take them for one.
    Nothing of the picture is kept.

    JSON: an object with every_visit (whether visits at every door of the house are seen here) and
    faces, a list of objects with box (left, top, right and bottom in pixels of the upright picture;
    null for a visit's) and alike: a list of objects with person, person_id, stranger (null where
    they do not apply), similarity, is_same and visits, as `doorbell visits list` prints them.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.documents import alike_document
    from doorbell.household.doors import doors_visited
    from doorbell.household.face_search import search_face, search_visit

    if (picture is None) == (words is None):
        raise click.UsageError("give either a PICTURE or --visit VISIT")
    faces = [] if picture is None else _faces_of(picture, config)
    first_door = config.doors[0].device.id
    found: list[tuple[ExaminedFace | None, Sequence[Alike]]] = []
    with Gallery.of(config.storage, config.gallery) as gallery:
        every_visit = gallery.sees_every_visit()
        doors = {*(each.device.id for each in config.doors), *doors_visited(gallery, first_door)}
        if words is not None:
            visit_id = gallery.visits.find(words).visit_id
            found = [(None, search_visit(gallery, visit_id, config.recognition))]
        found += [(each, search_face(gallery, [each.sample], config.recognition)) for each in faces]
    if as_json:
        pictures = config.storage.pictures_directory
        print_json(
            {
                "every_visit": every_visit,
                "faces": [
                    {
                        "box": face and [round(float(edge)) for edge in face.face.box_xyxy],
                        "alike": [alike_document(each, first_door, pictures) for each in alike],
                    }
                    for face, alike in found
                ],
            }
        )
        return
    for face, alike in found:
        _print_found(alike, face if len(found) > 1 else None, first_door, several=len(doors) > 1)
    if not every_visit:
        say(OWN_DOORS, err=True)


def _faces_of(picture: Path, config: Config) -> Sequence[ExaminedFace]:
    """The faces of a photo, looked at by a process that may do nothing else.

    Raises:
        EnrollmentError: it is no photo, or shows no face, or a crowd.
    """
    from doorbell.errors import EnrollmentError
    from doorbell.household.face_search import faces_in, judge_searched
    from doorbell.household.photo_worker import PhotoWorker
    from doorbell.imaging.photos import read_photo

    content = read_photo(picture)
    with closing(PhotoWorker(config)) as worker:
        try:
            photo = worker.examine(content).photo
        except EnrollmentError as exc:
            raise EnrollmentError(f"{picture}: {exc}") from exc
    verdict = judge_searched(photo)
    if not verdict.accepted:
        raise EnrollmentError(f"{picture}: {verdict.message}; {verdict.hint}")
    return faces_in(photo)


def _print_found(
    found: Sequence[Alike], face: ExaminedFace | None, first_door: str, *, several: bool
) -> None:
    """Print one table; with where the face is, where there are others."""
    from doorbell.household.examination import box_text

    if face is not None:
        say(f"the face at {box_text(face.face)}:")
    rows: list[list[object]] = []
    for alike in found:
        who = alike.visitor.label if alike.visitor else "nobody known"
        words = [who, f"{alike.similarity:.2f}", "yes" if alike.is_same else "perhaps"]
        for visit in alike.visits:
            at_door = [visit.door_id or first_door] if several else []
            shown = visit.visit_id[:SHOWN_CHARACTERS]
            rows.append([*words, shown, *at_door, local_time(visit.started_at)])
            words = ["", "", ""]
        if not alike.visits:
            rows.append([*words, "none", *[""] * several, ""])
    door = ["door"] if several else []
    print_table(
        ["who", "similarity", "the same", "visit", *door, "began"],
        rows,
        empty=NOBODY,
    )
