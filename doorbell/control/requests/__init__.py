"""What can be asked over the control socket: the one schema of every request.

A request is a JSON object with ``do``, its verb, and the arguments below; what else is in it is
refused. Times are ISO 8601 in UTC, ids are the gallery's. The answer is ``{"ok": true, ...}``, or
``{"ok": false, "kind": ..., "error": words}``. What changes something answers with ``summary``, in
words for people, and with ``undo``, a token for the request of that name, where it can be taken
back. What each answer holds stands at its request.
"""

from __future__ import annotations

from pydantic import ValidationError

from doorbell.control.requests.door import (
    ChangeSettings,
    Check,
    ChimeSound,
    Mute,
    PlayChime,
    Reload,
    RingBell,
    Status,
)
from doorbell.control.requests.enrolling import (
    ChoosePortrait,
    ChosenFace,
    DeletePortrait,
    EnrollAtDoor,
    EnrollPhotos,
    ExaminePhoto,
    GetPortrait,
    PhotoPreview,
    PreparePhotos,
    SearchPhoto,
)
from doorbell.control.requests.notifications import (
    GiveAnswer,
    LookAtAnswer,
    NoticePicture,
    ReportTargets,
    TakeNotices,
    TestNotification,
)
from doorbell.control.requests.people import (
    ExportPerson,
    ForgetPerson,
    GetPerson,
    IgnorePerson,
    ListPeople,
    MergePeople,
    PersonChime,
    PersonConsent,
    PersonPreferences,
    RenamePerson,
)
from doorbell.control.requests.replies import (
    AddReply,
    DeleteReply,
    ListReplies,
    PlayReply,
    RenameReply,
    ReplySound,
)
from doorbell.control.requests.subscriptions import (
    Events,
    Frames,
)
from doorbell.control.requests.talk import AnswerDoor, Listen, Say
from doorbell.control.requests.visits import (
    CorrectVisit,
    GetVisit,
    IgnoreVisitor,
    ListVisits,
    NameStranger,
    NoFace,
    SearchVisits,
    Today,
    Undo,
    VisitPicture,
)
from doorbell.control.schema import Request
from doorbell.control.wire import Document
from doorbell.errors import UsageError

__all__ = [
    "REQUESTS",
    "AddReply",
    "AnswerDoor",
    "ChangeSettings",
    "Check",
    "ChimeSound",
    "ChoosePortrait",
    "ChosenFace",
    "CorrectVisit",
    "DeletePortrait",
    "DeleteReply",
    "EnrollAtDoor",
    "EnrollPhotos",
    "Events",
    "ExaminePhoto",
    "ExportPerson",
    "ForgetPerson",
    "Frames",
    "GetPerson",
    "GetPortrait",
    "GetVisit",
    "GiveAnswer",
    "IgnorePerson",
    "IgnoreVisitor",
    "ListPeople",
    "ListReplies",
    "ListVisits",
    "Listen",
    "LookAtAnswer",
    "MergePeople",
    "Mute",
    "NameStranger",
    "NoFace",
    "NoticePicture",
    "PersonChime",
    "PersonConsent",
    "PersonPreferences",
    "PhotoPreview",
    "PlayChime",
    "PlayReply",
    "PreparePhotos",
    "Reload",
    "RenamePerson",
    "RenameReply",
    "ReplySound",
    "ReportTargets",
    "RingBell",
    "Say",
    "SearchPhoto",
    "SearchVisits",
    "Status",
    "TakeNotices",
    "TestNotification",
    "Today",
    "Undo",
    "VisitPicture",
    "parse_request",
]

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
