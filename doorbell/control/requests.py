"""What can be asked over the control socket: the one schema of every request.

A request is a JSON object with ``do``, its verb, and the arguments below; what else is in it is
refused. Times are ISO 8601 in UTC, ids are the gallery's. The answer is ``{"ok": true, ...}``, or
``{"ok": false, "kind": ..., "error": words}``. What changes something answers with ``summary``, in
words for people, and with ``undo``, a token for the request of that name, where it can be taken
back. What each answer holds stands at its request.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError

from doorbell.control.schema import (
    Arguments,
    Days,
    Id,
    Name,
    PhotoId,
    Request,
    TimeOfDay,
    VisitId,
    Width,
    Words,
)
from doorbell.control.wire import Document
from doorbell.errors import UsageError

# ---- the door ----


class Status(Request):
    """How everything is: see ``daemon.control.status``."""

    verb = "status"
    only_reads = True


class RingBell(Request):
    """Ring for whoever is at the door."""

    verb = "ring"


class Mute(Request):
    """Silence the chimes: until somebody lets them sound again, for minutes, or until a time."""

    verb = "mute"
    muted: bool
    minutes: Annotated[float, Field(gt=0, le=7 * 24 * 60, allow_inf_nan=False)] | None = None
    until: TimeOfDay | None = None


class ChangeSettings(Request):
    """Change what is given and leave the rest; null follows the configuration again."""

    verb = "settings.change"
    volume: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    default_chime: Annotated[str, StringConstraints(max_length=64)] | None = None
    quiet_hours: bool | None = None
    quiet_from: TimeOfDay | None = None
    quiet_to: TimeOfDay | None = None
    privacy: bool | None = None
    pictures_days: Days | None = None
    visits_days: Days | None = None
    strangers_days: Days | None = None


class Reload(Request):
    """Read the configuration anew, as ``systemctl reload`` does; the log says what was taken."""

    verb = "reload"


class PlayChime(Request):
    """Let a built-in chime sound at the door, unless the chimes are silenced."""

    verb = "chime.play"
    chime: Annotated[str, StringConstraints(max_length=64)]


class ChimeSound(Request):
    """The sound of a built-in chime: a WAV file in the blob."""

    verb = "chime.sound"
    only_reads = True
    chime: Annotated[str, StringConstraints(max_length=64)]


class Check(Request):
    """Everything that ``doorbell check`` looks at: ``findings``, a list of its documents."""

    verb = "check"


# ---- visits ----


class ListVisits(Request):
    """Visits, newest first: ``visits``, and ``more``, what to give as ``before`` for older ones."""

    verb = "visits.list"
    only_reads = True
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    before: Annotated[str, StringConstraints(max_length=120)] | None = None
    person_id: Id | None = None
    stranger_id: Id | None = None
    kind: Literal["person", "stranger", "undecided"] | None = None
    since: Annotated[AwareDatetime, Field(strict=False)] | None = None
    until: Annotated[AwareDatetime, Field(strict=False)] | None = None


class Today(Request):
    """Who came since then (``visitors``), and whom somebody should name (``waiting``)."""

    verb = "visits.today"
    only_reads = True
    since: Annotated[AwareDatetime, Field(strict=False)]


class GetVisit(Request):
    """One visit: ``visit``, ``picture`` (its size and faces, or null), ``likely`` people."""

    verb = "visits.get"
    only_reads = True
    visit: VisitId


class VisitPicture(Request):
    """The picture of a visit, clean, whole or its visitor's face: a JPEG in the blob."""

    verb = "visits.picture"
    only_reads = True
    visit: VisitId
    crop: Literal["whole", "face"] = "whole"
    max_width: Width = 1280


class CorrectVisit(Request):
    """Say who a visit was of: of a person, or (null) of nobody whom the household knows."""

    verb = "visits.correct"
    visit: VisitId
    person_id: Id | None
    learn: bool = False


class NoFace(Request):
    """Say that a visit was of no face."""

    verb = "visits.no_face"
    visit: VisitId


class IgnoreVisitor(Request):
    """Never ring for whoever a visit was of, or ring again."""

    verb = "visits.ignore"
    visit: VisitId
    ignored: bool = True


class NameStranger(Request):
    """Say who a stranger is: a new name, or somebody enrolled."""

    verb = "strangers.name"
    stranger_id: Id
    name: Name | None = None
    person_id: Id | None = None
    force: bool = False


class Undo(Request):
    """Take back what was answered with this token, unless something newer stands in its way."""

    verb = "undo"
    token: Annotated[str, StringConstraints(max_length=120)]


# ---- people ----


class ListPeople(Request):
    """Everybody enrolled: ``people``."""

    verb = "people.list"
    only_reads = True


class GetPerson(Request):
    """One person: ``person``, and ``visits``, the newest twenty."""

    verb = "people.get"
    only_reads = True
    person_id: Id


class RenamePerson(Request):
    """Give a person another name."""

    verb = "people.rename"
    person_id: Id
    name: Name


class PersonChime(Request):
    """Give a person a built-in chime; null for the default one."""

    verb = "people.chime"
    person_id: Id
    chime: Annotated[str, StringConstraints(max_length=64)] | None


class PersonPreferences(Request):
    """Give a person these preferences in place of those before."""

    verb = "people.preferences"
    person_id: Id
    preferences: dict[str, Any]


class PersonConsent(Request):
    """Note what a person agreed to."""

    verb = "people.consent"
    person_id: Id
    words: Words


class IgnorePerson(Request):
    """Never ring for a person, or ring again."""

    verb = "people.ignore"
    person_id: Id
    ignored: bool = True


class MergePeople(Request):
    """Make two people one: the first goes, ``into`` has everything of both."""

    verb = "people.merge"
    person_id: Id
    into: Id
    force: bool = False


class ForgetPerson(Request):
    """Delete a person with every sample, visit and picture; the name is given once more."""

    verb = "people.forget"
    person_id: Id
    name: Name


class ExportPerson(Request):
    """Everything that is held on a person: a ZIP file in the blob."""

    verb = "people.export"
    person_id: Id


# ---- enrolling and portraits ----


class ChosenFace(Arguments):
    """A face of a photo that was examined."""

    photo_id: PhotoId
    face: Annotated[int, Field(ge=0, lt=100)] = 0


class PreparePhotos(Request):
    """Get ready to look at photos, so that the first one waits for nothing; answers at once."""

    verb = "photo.prepare"
    only_reads = True


class ExaminePhoto(Request):
    """Look at a photo, in the bytes that come along; nothing is enrolled.

    Answers with photo_id (for ten minutes), width and height, accepted, reason (see
    ``household.photo_store``), message, hint, who (whom it looks like, or null), and faces,
    each with face (its number), box (in parts of the picture), accepted, reason, message, hint, who
    and checks (by name, each with passed and value).
    """

    verb = "photo.examine"
    takes_blob = True
    name: Name | None = None
    person_id: Id | None = None


class PhotoPreview(Request):
    """An examined photo, upright, in the blob: a JPEG no wider than ``max_width`` if there is one.

    The narrowest that is kept has 320 pixels on its longer side.
    """

    verb = "photo.preview"
    only_reads = True
    photo_id: PhotoId
    max_width: Width | None = None


class EnrollPhotos(Request):
    """Enroll somebody, new or known, by examined photos.

    Answers with person (or null), added, strength, missing and results, each with photo_id, face,
    accepted, reason, message and hint.
    """

    verb = "photo.enroll"
    name: Name | None = None
    person_id: Id | None = None
    photos: Annotated[list[ChosenFace], Field(max_length=20)]
    consent: Words | None = None
    portrait: ChosenFace | None = None
    force: bool = False


class EnrollAtDoor(Request):
    """Enroll whoever stands before the door's camera; a subscription.

    Tells ``pose`` (seen, missing and say, in words) whenever that changes, and ends with ``done``
    (as ``photo.enroll``) or ``failed`` (error).
    """

    verb = "door_enroll"
    name: Name | None = None
    person_id: Id | None = None
    consent: Words | None = None


class GetPortrait(Request):
    """The portrait of a person, in the blob: a JPEG."""

    verb = "portrait.get"
    only_reads = True
    person_id: Id
    max_width: Width | None = None


class ChoosePortrait(Request):
    """Give a person who agreed a portrait, of a visit of theirs or of an examined photo."""

    verb = "portrait.set"
    person_id: Id
    visit: VisitId | None = None
    photo_id: PhotoId | None = None
    face: Annotated[int, Field(ge=0, lt=100)] = 0


class DeletePortrait(Request):
    """Delete the portrait of a person."""

    verb = "portrait.delete"
    person_id: Id


# ---- subscriptions: the connection is for nothing else from then on ----


class Events(Request):
    """What happens, as it does, each with ``event``.

    ``ring``, ``arrived``, ``recognized``, ``unknown`` and ``left`` have event_id, occurred_at,
    pressed and visit (or null); ``changed`` has what (visits, people, settings, camera, sound,
    storage or broker); ``alive`` comes once a second.
    """

    verb = "events"
    only_reads = True


class Frames(Request):
    """Frames in shared memory.

    First and at each change of size ``ring_of_frames`` with width, height and the memory's
    descriptor; then for each frame ``frame`` with seq, slot, captured_at and time_seconds (in
    seconds) and faces, each with box (left, top, right, bottom in parts of the picture), visit_id,
    label and kind (of the visitor, or undecided), pixels (the face's size in the camera's own
    frame) and recognizable (whether it is large enough to be compared).
    """

    verb = "frames"
    only_reads = True
    max_width: Width | None = None
    per_second: Annotated[float, Field(gt=0.0, le=240.0)] = 10.0


REQUESTS: dict[str, type[Request]] = {each.verb: each for each in Request.__subclasses__()}


def parse_request(document: Document) -> Request:
    """Read a request.

    Raises:
        UsageError: there is none of that verb, or it is not of its form.
    """
    verb = document.get("do")
    schema = REQUESTS.get(verb) if isinstance(verb, str) else None
    if schema is None:
        raise UsageError(f"there is no request {str(verb)[:40]!r}")
    try:
        return schema.model_validate({k: v for k, v in document.items() if k != "do"})
    except ValidationError as exc:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'the request'}: {each['msg']}"
            for each in exc.errors()[:3]
        )
        raise UsageError(f"the request {verb} is not of its form: {wrong}") from exc
