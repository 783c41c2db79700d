"""What is answered over the control socket of visits, people and settings, as JSON objects.

Times are ISO 8601 in UTC. No path is in them, and nothing computed from a face but a similarity.
"""

from __future__ import annotations

from collections.abc import Callable

from doorbell.clock import iso_utc
from doorbell.control.wire import Document
from doorbell.domain import Person, PicturedFace, Reply, Stranger, Visit, Visitor
from doorbell.household import documents
from doorbell.household.face_search import Alike
from doorbell.household.listing import KnownPerson
from doorbell.household.photo_store import Verdict
from doorbell.status import SettingsState


def visitor_document(visitor: Visitor | None) -> Document:
    """Keys: kind (person, stranger or undecided), id, label and ignored."""
    match visitor:
        case Person():
            kind, number = "person", visitor.person_id
        case Stranger():
            kind, number = "stranger", visitor.stranger_id
        case None:
            return {"kind": "undecided", "id": None, "label": "", "ignored": False}
    return {"kind": kind, "id": number, "label": visitor.label, "ignored": visitor.ignored}


def visit_document(visit: Visit, has_picture: Callable[[str], bool]) -> Document:
    """Keys: visit_id, door_id, started_at, last_seen_at, ended_at, visitor, similarity, corrected.

    And has_picture, stranger_visits and stranger_visits_week (both null but for strangers).
    """
    visitor = visit.visitor
    stranger = visitor if isinstance(visitor, Stranger) else None
    return {
        "visit_id": visit.visit_id,
        "door_id": visit.door_id,
        "started_at": iso_utc(visit.started_at),
        "last_seen_at": iso_utc(visit.last_seen_at),
        "ended_at": iso_utc(visit.ended_at),
        "visitor": visitor_document(visitor),
        "similarity": round(visit.similarity, 3) if visitor and not visit.corrected else None,
        "corrected": visit.corrected,
        "has_picture": has_picture(visit.visit_id),
        "stranger_visits": stranger and stranger.visits,
        "stranger_visits_week": stranger and stranger.visits_week,
    }


def person_document(known: KnownPerson, *, portrait: bool = False) -> Document:
    """Those of ``household.documents``, and missing and portrait (whether there is one)."""
    told = documents.person_document(known)
    del told["enroll_again"]  # a command, of no use to who asks here
    return {**told, "missing": list(known.strength.missing), "portrait": portrait}


def face_document(face: PicturedFace, width: int, height: int) -> Document:
    """Keys: box (in parts of the picture), label, kind, visit_id and certain."""
    left, top, right, bottom = face.box_xyxy
    visitor = face.visitor if face.is_certain else None
    told = visitor_document(visitor)
    return {
        "box": [left / width, top / height, right / width, bottom / height],
        "label": told["label"],
        "kind": told["kind"],
        "visit_id": face.visit_id,
        "certain": face.is_certain,
    }


def verdict_document(verdict: Verdict) -> Document:
    """Keys: accepted, reason, message, hint and who; see ``household.photo_store``."""
    return {
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "message": verdict.message,
        "hint": verdict.hint,
        "who": verdict.who,
    }


def alike_document(alike: Alike, visit_document: Callable[[Visit], Document]) -> Document:
    """Keys: visitor, similarity, is_same and visits.

    Args:
        alike: somebody whom a face is like.
        visit_document: describes a visit.
    """
    return {
        "visitor": visitor_document(alike.visitor),
        "similarity": round(alike.similarity, 3),
        "is_same": alike.is_same,
        "visits": [visit_document(visit) for visit in alike.visits],
    }


def reply_document(reply: Reply) -> Document:
    """Keys: reply_id, label, is_recording and seconds (null of what is spoken)."""
    return {
        "reply_id": reply.reply_id,
        "label": reply.label,
        "is_recording": reply.is_recording,
        "seconds": reply.seconds,
    }


def settings_document(settings: SettingsState) -> Document:
    """What people may change, as it holds now; see ``SettingsState``."""
    return {
        "volume": settings.volume,
        "default_chime": settings.default_chime,
        "quiet_hours": settings.quiet_hours,
        "quiet_from": settings.quiet_from and settings.quiet_from.strftime("%H:%M"),
        "quiet_to": settings.quiet_to and settings.quiet_to.strftime("%H:%M"),
        "muted": settings.muted,
        "muted_until": iso_utc(settings.muted_until),
        "privacy": settings.privacy,
        "pictures_days": settings.pictures_days,
        "visits_days": settings.visits_days,
        "strangers_days": settings.strangers_days,
        "announcements": settings.announcements,
        "reply_after_seconds": settings.reply_after_seconds,
        "unanswered_reply": settings.unanswered_reply,
    }
