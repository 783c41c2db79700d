"""What the doorbell of a household that tests imagine answers its console with."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import cv2
import numpy as np

from doorbell.control.wire import Document

# Names as somebody may write them who wishes the household no good, and the longest.
HOSTILE_NAMES = (
    "<img src=x onerror=alert(1)>",
    "\" onmouseover='alert(2)' {{ 7 * 7 }} %(name)s </title></script>",
    "أبو عبد الله محمد الخوارزمي",
    "W" * 64,
    "👩‍👩‍👧‍👦 Søren-Åse O'Neill &amp;",
)


# What can be said at the door; the last was recorded.
REPLIES: list[Document] = [
    {"reply_id": "coming", "label": "I am coming", "is_recording": False, "seconds": None},
    {
        "reply_id": "recording-0a1b2c3d",
        "label": HOSTILE_NAMES[0],
        "is_recording": True,
        "seconds": 2.5,
    },
]


def jpeg(width: int = 160, height: int = 90, grey: int = 120) -> bytes:
    """A picture of nothing."""
    return cv2.imencode(".jpg", np.full((height, width, 3), grey, np.uint8))[1].tobytes()


def person(person_id: int, name: str, **changed: Any) -> Document:
    """A person's document."""
    return {
        "person_id": person_id,
        "name": name,
        "ignored": False,
        "samples": 3,
        "strength": "fair",
        "missing": ["turn a little to the left", "2 more photos of another day and light"],
        "visits": 4,
        "last_seen_at": ago(hours=3),
        "chime": None,
        "preferences": {},
        "consent": None,
        "portrait": False,
        **changed,
    }


def visit(visit_id: str, of: Document | None = None, **changed: Any) -> Document:
    """A visit's document; ``of`` is a person's, or a stranger's visitor document."""
    visitor = {"kind": "undecided", "id": None, "label": "", "ignored": False}
    if of is not None and "person_id" in of:
        visitor = {
            "kind": "person",
            "id": of["person_id"],
            "label": of["name"],
            "ignored": of["ignored"],
        }
    elif of is not None:
        visitor = of
    is_stranger = visitor["kind"] == "stranger"
    started_at = changed.pop("started_at", ago(minutes=20))
    return {
        "visit_id": visit_id,
        "door_id": "front",
        "started_at": started_at,
        "last_seen_at": started_at,
        "ended_at": changed.pop("ended_at", started_at),
        "visitor": visitor,
        "similarity": 0.71 if visitor["kind"] == "person" else None,
        "corrected": False,
        "has_picture": True,
        "stranger_visits": 3 if is_stranger else None,
        "stranger_visits_week": 2 if is_stranger else None,
        **changed,
    }


def found_alike() -> list[Document]:
    """Who was found by a face: a person, a stranger, and a visit of nobody at another machine."""
    hers = person(3, HOSTILE_NAMES[0])
    return [
        {
            "visitor": visit("hers", hers)["visitor"],
            "similarity": 0.71,
            "is_same": True,
            "visits": [visit("hers", hers, door_id="garden"), visit("earlier", hers)],
        },
        {"visitor": stranger(7), "similarity": 0.4, "is_same": False, "visits": []},
        {
            "visitor": visit("unknown")["visitor"],
            "similarity": 0.35,
            "is_same": False,
            "visits": [visit("unknown", door_id="back-gate")],
        },
    ]


def stranger(number: int, *, ignored: bool = False) -> Document:
    """A stranger's visitor document."""
    label = f"stranger-{number}"
    return {"kind": "stranger", "id": number, "label": label, "ignored": ignored}


def status(**changed: Any) -> Document:
    """How everything is: well."""
    return {
        "device": {"id": "front", "name": "Front door"},
        "doors": [{"id": "front", "name": "Front door"}],
        "version": "0.1.0",
        "uptime_seconds": 90.0,
        "camera": {
            "condition": "working",
            "reason": None,
            "since_at": ago(hours=9),
            "gives_frames": True,
        },
        "sound": {"works": True, "reason": None},
        "door_speaker": {"works": True, "reason": ""},
        "talk": {"enabled": True},
        "microphone": {"enabled": True, "is_open": False},
        "replies": REPLIES,
        "storage": [],
        "broker": {"enabled": True, "connected": True, "problem": None},
        "notifications": {
            "enabled": True,
            "silent_seconds": 4,
            "reported_seconds": 9,
            "targets": [target("anna")],
        },
        "statistics": {
            "frames_per_second": 14.9,
            "frames_dropped": 0,
            "latency_ms_p50": 31.2,
            "latency_ms_p99": 58.0,
        },
        "people": 5,
        "strangers": 2,
        "settings": {
            "volume": 0.8,
            "default_chime": "westminster",
            "quiet_hours": True,
            "quiet_from": "22:00",
            "quiet_to": "06:30",
            "muted": False,
            "muted_until": None,
            "privacy": False,
            "pictures_days": 14,
            "visits_days": 90,
            "strangers_days": 30,
            "announcements": False,
            "reply_after_seconds": 0,
            "unanswered_reply": "coming",
        },
        "at_the_door": [],
        "min_face_pixels": 18,
        "built_in_chimes": ["westminster", "ding-dong", "alert", "gong"],
        "quiet_now": False,
        **changed,
    }


def target(name: str, **changed: Any) -> Document:
    """Somebody who is told elsewhere."""
    return {
        "name": name,
        "tell": ["ring", "person"],
        "people": [],
        "not_about": None,
        "picture": False,
        "actions": True,
        "quiet_from": None,
        "quiet_to": None,
        "per_hour": 20,
        "to": "ntfy at ntfy.example.org",
        "waiting": 0,
        "problem": None,
        "last_at": ago(hours=1),
        **changed,
    }


def ago(**lasting: float) -> str:
    """A time before now, as documents have it."""
    moment = datetime.now(timezone.utc) - timedelta(**lasting)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
