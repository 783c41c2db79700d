"""What goes over MQTT: payloads as pure data.

Names and preferences are anybody's text: they are JSON values and never part of a topic.

The document on ``event``, version 1:

====================  ===========================================================================
version               1; raised when a key changes its meaning
event_id              unique for ever; drop one seen before
event_type            ring, arrived, recognized, unknown or left; with late_ before it if it is late
late                  whether the broker gets it later than ``mqtt.late_seconds`` after it happened
repeated              whether it is sent again, to a home automation that was not there
occurred_at           ISO 8601, UTC
pressed               whether somebody pressed the button, or a command rang; false for a ring by a
                      long look, and for all that is no ring
visit_id              null for a press with nobody in sight
visit_started_at      ISO 8601, UTC, or null
visit_ended_at        ISO 8601, UTC, or null while the visit lasts
person, person_id     name and lasting number, or null
stranger              lasting identifier such as stranger-7, or null
stranger_visits       how often that stranger came, this visit included, or null
stranger_visits_week  how often in the last seven days, this visit included, or null
similarity            cosine behind the name or identifier, or null while undecided or corrected
seconds_to_decision   from the first frame with the face, or null while undecided
preferences           the person's own JSON object; empty for anybody else
attention             looking, looking_seconds, yaw_degrees, pitch_degrees; or null
reason                why an unknown visitor cannot be told: no_usable_face; or null
live                  how likely the face is no picture held up, 0 to 1; or null
====================  ===========================================================================

The document on ``status``, version 1, is about the last minute:

================  ===============================================================================
version           1
uptime_seconds    since the daemon started
frames_...        _per_second, _dropped
latency_ms_...    _p50, _p99: from the capture of a frame to the end of its processing
stages            for each of capture, detect, align, embed, decide, publish and frame that ran: an
                  object of p50_ms, p95_ms, p99_ms and count; what each is: ``pipeline.latency``
visits_open       visitors at the door now
people            in the gallery; so are strangers
camera_online     whether the camera gives frames
events_waiting    for the broker, which has not acknowledged them yet
events_on_disk    whether all of those would outlive a kill or a power cut
events_dropped    since the daemon started, for want of age or space; so are pictures_dropped
broker_problem    what the broker does not take, in words for people; null where it takes everything
================  ===============================================================================

The document on ``camera``, version 1:

================  ===============================================================================
version           1
condition         starting, live, dark (it gives frames but sees nothing), slow, frozen, lost or
                  stuck
reason            words for people; null where nothing is wrong
since             ISO 8601, UTC
================  ===============================================================================

The document on ``sound``, version 1:

================  ===============================================================================
version           1
condition         untried, playing (the last chime was played) or failed
reason            words for people; null where nothing is wrong
================  ===============================================================================

That on ``door_speaker`` is of the same form, about what was last said at the door.

The document on ``storage``, version 1:

================  ===============================================================================
version           1
condition         working, or failed (what cannot be kept is still announced)
reason            words for people; null where nothing is wrong
================  ===============================================================================

The document on ``settings``, version 1:

================  ===============================================================================
version           1
volume            of the chimes, 0 to 1
default_chime     a built-in one, or configured: the file that the configuration names
quiet_hours       whether there are any, and they are kept
privacy           whether no pictures are made
muted             whether the chimes are silenced, and muted_until: ISO 8601, UTC, or null
announcements     whether it is said inside who is at the door
================  ===============================================================================

The document on ``reply``, version 1:

================  ===============================================================================
version           1
id                the request's own ``id``, or null where it had none
command           its verb, such as enroll
done              whether it was carried out; else it was refused, and nothing has changed
summary           what was done, or why not; words for people
================  ===============================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from doorbell.clock import iso_utc
from doorbell.domain import (
    Arrived,
    Attention,
    CommandResult,
    Event,
    Left,
    Person,
    Recognized,
    Ring,
    Stranger,
    Unknown,
    Visit,
)
from doorbell.status import (
    CameraState,
    DoorSpeakerState,
    SettingsState,
    SoundState,
    Statistics,
)

Document: TypeAlias = Mapping[str, Any]

SCHEMA_VERSION = 1
# ``ring`` first: Home Assistant's doorbell class must list and fire it.
EVENT_TYPES = ("ring", "arrived", "recognized", "unknown", "left")
# Types of their own: what only compares the type does not take an old ring for a new one.
LATE = "late_"
LATE_EVENT_TYPES = tuple(LATE + name for name in EVENT_TYPES)
# What Home Assistant's button sends.
PRESS = b"PRESS"
ON, OFF = b"ON", b"OFF"
# Of the doorbell and its camera; Home Assistant says the same of itself.
ONLINE, OFFLINE = b"online", b"offline"
# The default chime of the configuration, where it is no built-in one.
CONFIGURED = "configured"
# A backslash, or a whole pair; or else a half.
_SURROGATES = re.compile(r"(\\\\|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})|\\ud[89a-f][0-9a-f]{2}")


def encode(document: Document) -> bytes:
    """Encode a document as ASCII JSON, whatever its texts hold.

    Half a surrogate pair, which JSON can spell and Home Assistant's parser refuses, becomes U+FFFD.
    """
    text = json.dumps(document, separators=(",", ":"))
    return _SURROGATES.sub(lambda found: found[1] or r"\ufffd", text).encode("ascii")


def event_type(event: Event) -> str:
    """Name an event as one of ``EVENT_TYPES``."""
    match event:
        case Ring():
            return "ring"
        case Arrived():
            return "arrived"
        case Recognized():
            return "recognized"
        case Unknown():
            return "unknown"
        case Left():
            return "left"


def event_document(event: Event) -> Document:
    """Describe an event, as in the table above."""
    visit = event.visit
    reason = event.reason if isinstance(event, Unknown | Ring) else None
    return {
        "version": SCHEMA_VERSION,
        "event_id": event.event_id,
        "event_type": event_type(event),
        "late": False,
        "repeated": False,
        "occurred_at": iso_utc(event.occurred_at),
        "pressed": isinstance(event, Ring) and event.pressed,
        "visit_id": visit.visit_id if visit else None,
        "visit_started_at": iso_utc(visit.started_at) if visit else None,
        "visit_ended_at": iso_utc(visit.ended_at) if visit else None,
        **_visitor_keys(visit),
        "attention": _attention(visit.attention) if visit and visit.attention else None,
        "reason": reason.value if reason else None,
        "live": round(visit.live, 2) if visit and visit.live is not None else None,
    }


def late_event(document: bytes) -> bytes:
    """Mark the encoded document of an event as late.

    Raises:
        ValueError: it is no such document.
    """
    event = _read_event(document)
    return encode({**event, "event_type": LATE + event["event_type"], "late": True})


def repeated_event(document: bytes) -> bytes:
    """Mark the encoded document of an event as sent again.

    Raises:
        ValueError: it is no such document.
    """
    return encode({**_read_event(document), "repeated": True})


def without_preferences(document: bytes) -> bytes:
    """Leave the person's preferences out: the rest is worth more than they are.

    Raises:
        ValueError: it is no JSON object.
    """
    return encode({**json.loads(document), "preferences": {}})


def _read_event(document: bytes) -> dict[str, Any]:
    match json.loads(document):
        case {"event_type": str()} as event:
            return dict(event)
        case other:
            raise ValueError(f"{str(other)[:60]!r} is no event")


@dataclass(frozen=True, slots=True)
class EventSubject:
    """Whom a document is about; None for what it does not say.

    Attributes:
        person_id: of a person.
        stranger: the label of a stranger.
        visit_id: of the visit.
    """

    person_id: int | None = None
    stranger: str | None = None
    visit_id: str | None = None


def subject_of(document: bytes) -> EventSubject:
    """Tell whom a document names. It may come from anybody, as what the broker retained does."""
    try:
        told = json.loads(document)
    except (ValueError, RecursionError):
        return EventSubject()
    if not isinstance(told, dict):
        return EventSubject()
    person_id, stranger, visit_id = map(told.get, ("person_id", "stranger", "visit_id"))
    return EventSubject(
        person_id if isinstance(person_id, int) else None,
        stranger if isinstance(stranger, str) else None,
        visit_id if isinstance(visit_id, str) else None,
    )


def visitor_document(visit: Visit | None) -> Document:
    """Describe the last visitor who was named, or found to be nobody's acquaintance.

    Args:
        visit: None where it was of somebody who was forgotten since.
    """
    return {
        "version": SCHEMA_VERSION,
        "visitor": visit.visitor.label if visit and visit.visitor else "unknown",
        "visit_id": visit.visit_id if visit else None,
        "arrived_at": iso_utc(visit.started_at) if visit else None,
        "last_seen_at": iso_utc(visit.last_seen_at) if visit else None,
        "left_at": iso_utc(visit.ended_at) if visit else None,
        **_visitor_keys(visit),
    }


def statistics_document(statistics: Statistics) -> Document:
    """Describe how the daemon has been doing."""
    figures = asdict(statistics)
    del figures["door_id"]  # it stands in the topic
    return {
        "version": SCHEMA_VERSION,
        **figures,
        "stages": {
            name: {key: round(value, 3) for key, value in asdict(stage).items()}
            for name, stage in statistics.stages.items()
        },
    }


def problem_of(status: bytes) -> str | None:
    """What the broker does not take, by a document on ``status``; None where it says nothing."""
    try:
        match json.loads(status):
            case {"broker_problem": str() as problem}:
                return problem
    except (ValueError, RecursionError):
        pass
    return None


def camera_document(camera: CameraState) -> Document:
    """Describe how it stands with the camera."""
    return {
        "version": SCHEMA_VERSION,
        "condition": camera.condition.value,
        "reason": camera.reason or None,
        "since": iso_utc(camera.since_at),
    }


def sound_document(sound: SoundState | DoorSpeakerState) -> Document:
    """Describe whether the last chime was played, or what was last said at the door."""
    condition = {None: "untried", True: "playing", False: "failed"}[sound.works]
    return {"version": SCHEMA_VERSION, "condition": condition, "reason": sound.reason or None}


def storage_document(problem: str | None) -> Document:
    """Describe whether visits and pictures can be kept, and why not."""
    condition = "working" if problem is None else "failed"
    return {"version": SCHEMA_VERSION, "condition": condition, "reason": problem}


def settings_document(settings: SettingsState) -> Document:
    """Describe what people have set, and else the configuration."""
    return {
        "version": SCHEMA_VERSION,
        "volume": round(settings.volume, 4),
        "default_chime": settings.default_chime or CONFIGURED,
        "quiet_hours": settings.quiet_hours,
        "privacy": settings.privacy,
        "muted": settings.muted,
        "muted_until": iso_utc(settings.muted_until),
        "announcements": settings.announcements,
    }


def reply_document(result: CommandResult) -> Document:
    """Describe what has become of a command."""
    return {
        "version": SCHEMA_VERSION,
        "id": result.request_id,
        "command": result.command,
        "done": result.done,
        "summary": result.summary,
    }


def trigger_payload(person_id: int) -> str:
    """Name a person to an automation; a name could be changed, and could be anything."""
    return f"person-{person_id}"


def _visitor_keys(visit: Visit | None) -> dict[str, Any]:
    visitor = visit.visitor if visit else None
    person = visitor if isinstance(visitor, Person) else None
    stranger = visitor if isinstance(visitor, Stranger) else None
    decided = visit if visit and visit.seconds_to_decision is not None else None
    return {
        "person": person.name if person else None,
        "person_id": person.person_id if person else None,
        "stranger": stranger.label if stranger else None,
        "stranger_visits": stranger.visits if stranger else None,
        "stranger_visits_week": stranger.visits_week if stranger else None,
        "similarity": round(decided.similarity, 4) if decided and not decided.corrected else None,
        "seconds_to_decision": _rounded(decided.seconds_to_decision) if decided else None,
        "preferences": dict(person.preferences) if person else {},
    }


def _attention(attention: Attention) -> dict[str, Any]:
    return {
        "looking": attention.looking,
        "looking_seconds": round(attention.looking_seconds, 1),
        "yaw_degrees": round(attention.pose.yaw_degrees),
        "pitch_degrees": round(attention.pose.pitch_degrees),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
