"""The JSON document of a visit, a person, a stranger and an enrollment, for programs.

Times are ISO 8601 in UTC. The documents on MQTT's topics are another matter (``outputs.messages``):
they tell of a moment, and of nothing that the gallery alone knows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from doorbell.clock import iso_utc
from doorbell.domain import Person, Stranger, Visit
from doorbell.gallery.records import NonFace
from doorbell.household.doors import with_door
from doorbell.household.listing import KnownPerson
from doorbell.outputs.pictures import picture_path

if TYPE_CHECKING:  # lists need no networks
    from doorbell.household.face_search import Alike
    from doorbell.household.registration import EnrollmentReport, PictureResult
    from doorbell.household.samples import ListedSample

Document: TypeAlias = dict[str, Any]


def visit_document(visit: Visit, pictures_directory: Path) -> Document:
    """Describe a visit.

    Keys: visit_id, door_id (empty where none is stored), started_at, last_seen_at, ended_at (null
    while it lasts), person, person_id, stranger (null where they do not apply), similarity (null
    while undecided or corrected), corrected, and picture (a path, or null).
    """
    person = visit.visitor if isinstance(visit.visitor, Person) else None
    picture = picture_path(pictures_directory, visit.visit_id)
    return {
        "visit_id": visit.visit_id,
        "door_id": visit.door_id,
        "started_at": iso_utc(visit.started_at),
        "last_seen_at": iso_utc(visit.last_seen_at),
        "ended_at": iso_utc(visit.ended_at),
        "person": person.name if person else None,
        "person_id": person.person_id if person else None,
        "stranger": visit.visitor.label if isinstance(visit.visitor, Stranger) else None,
        "similarity": round(visit.similarity, 4) if visit.visitor and not visit.corrected else None,
        "corrected": visit.corrected,
        "picture": str(picture) if picture.is_file() else None,
    }


def alike_document(alike: Alike, first_door_id: str, pictures_directory: Path) -> Document:
    """Describe somebody whom a face is like.

    Keys: person, person_id and stranger (null where they do not apply), similarity, is_same
    (whether the doorbell would take them for one) and visits, a list of ``visit_document``.

    Args:
        alike: who.
        first_door_id: where visits were that are stored without a door.
        pictures_directory: as of ``visit_document``.
    """
    person = alike.visitor if isinstance(alike.visitor, Person) else None
    return {
        "person": person.name if person else None,
        "person_id": person.person_id if person else None,
        "stranger": alike.visitor.label if isinstance(alike.visitor, Stranger) else None,
        "similarity": round(alike.similarity, 4),
        "is_same": alike.is_same,
        "visits": [
            visit_document(with_door(visit, first_door_id), pictures_directory)
            for visit in alike.visits
        ],
    }


def person_document(known: KnownPerson) -> Document:
    """Describe a person.

    Keys: person_id, name, samples, strength (weak, fair or strong), visits, last_seen_at (null
    before the first visit), chime (null for the default one), preferences, consent (an object
    with words and noted_at, or null), enroll_again (the command that makes them known in a hood, in
    sunglasses and by infrared too, or null where they are), and ignored (whether their coming never
    rings).
    """
    summary = known.summary
    return {
        "person_id": summary.person.person_id,
        "name": summary.person.name,
        "samples": summary.samples,
        "strength": known.strength.level.value,
        "visits": summary.visits,
        "last_seen_at": iso_utc(summary.last_seen_at),
        "chime": summary.person.chime,
        "preferences": dict(summary.person.preferences),
        "consent": None
        if summary.consent is None
        else {"words": summary.consent.words, "noted_at": iso_utc(summary.consent.noted_at)},
        "enroll_again": known.enroll_again,
        "ignored": summary.person.ignored,
    }


def sample_document(sample: ListedSample) -> Document:
    """Describe a sample.

    Keys: number, added_at (null where that was not noted), source, quality (null where it is
    damaged), likeness (the cosine with the mean of the person's others; null where there are none)
    and stands_out.
    """
    return {
        "number": sample.number,
        "added_at": iso_utc(sample.added_at),
        "source": sample.source,
        "quality": None if sample.quality is None else round(sample.quality, 4),
        "likeness": None if sample.likeness is None else round(sample.likeness, 4),
        "stands_out": sample.stands_out,
    }


def non_face_document(known: NonFace) -> Document:
    """Describe something that is no face.

    Keys: number, visit_id and started_at (null where the visit is no longer kept) and faces (how
    many embeddings it is known by).
    """
    return {
        "number": known.number,
        "visit_id": known.visit_id,
        "started_at": iso_utc(known.started_at),
        "faces": known.faces,
    }


def stranger_document(stranger: Stranger, picture: Path | None) -> Document:
    """Describe a stranger.

    Keys: stranger_id, label, first_seen_at, last_seen_at, visits, visits_week (in the seven days up
    to the last one), picture (a path, or null) and ignored (whether their coming never rings).

    Args:
        stranger: who.
        picture: of the newest visit that has one.
    """
    return {
        "stranger_id": stranger.stranger_id,
        "label": stranger.label,
        "first_seen_at": iso_utc(stranger.first_seen_at),
        "last_seen_at": iso_utc(stranger.last_seen_at),
        "visits": stranger.visits,
        "visits_week": stranger.visits_week,
        "picture": None if picture is None else str(picture),
        "ignored": stranger.ignored,
    }


def enrollment_document(report: EnrollmentReport) -> Document:
    """Describe what became of an enrollment.

    Keys: person, person_id (null if nothing was enrolled), added, strength (level: weak, fair or
    strong; missing: a list of hints; or null) and pictures: a list of objects with source,
    accepted, message, hint and checks, an object that has by the name of each check an object with
    passed and value.
    """
    person, strength = report.person, report.strength
    return {
        "person": None if person is None else person.name,
        "person_id": None if person is None else person.person_id,
        "added": report.added,
        "strength": None
        if strength is None
        else {"level": strength.level.value, "missing": list(strength.missing)},
        "pictures": [_picture_document(result) for result in report.results],
    }


def _picture_document(result: PictureResult) -> Document:
    return {
        "source": result.source,
        "accepted": result.accepted,
        "message": result.message,
        "hint": result.hint,
        "checks": {
            check.name: {"passed": check.passed, "value": round(check.value, 3)}
            for check in result.checks
        },
    }
