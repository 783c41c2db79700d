"""What the notifier asks, and what is asked of notifications and of the answers to them.

A notice has number (within its journal), notice_id (unique for ever), kind (ring, stranger, person,
camera, storage, test or forgotten), occurred_at, title, message, pressed, visit_id (or null),
visitor (kind: person, stranger or undecided; label, person_id and name, both null but for people;
or null), has_picture, link (a path of the console), target (of a test; else null), visits and
beside (of forgotten: what was kept of these visits is deleted, and the pictures of those beside
them, which may show the same faces; else empty) and answers, each with label and token.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, StringConstraints

from doorbell.control.schema import Arguments, Request, Width
from doorbell.domain import TOKEN_CHARACTERS

# The notifier asks at least twice a minute; one that starts anew takes some seconds.
SILENT_SECONDS = 180.0
# Of [[notifications.targets]].
TargetName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
NoticeNumber: TypeAlias = Annotated[int, Field(ge=0, lt=10**18)]
Token: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=TOKEN_CHARACTERS)
]
# Of what is said of a target.
SHORT_CHARACTERS = 400
ShortWords: TypeAlias = Annotated[str, StringConstraints(max_length=SHORT_CHARACTERS)]


class TakeNotices(Request):
    """Notices after that one: ``journal`` (its id) and ``notices``, in order.

    Waits until there is one. Everything up to ``after`` is kept by whoever asks, and deleted here,
    if ``journal`` is the journal's own; else it begins with the oldest, so that a notice may come
    twice, known by its notice_id.
    """

    verb = "notices.take"
    journal: Annotated[str, StringConstraints(max_length=64)] | None = None
    after: NoticeNumber = 0
    wait_seconds: Annotated[float, Field(ge=0.0, le=25.0)] = 0.0
    limit: Annotated[int, Field(ge=1, le=50)] = 50


class NoticePicture(Request):
    """The picture of a notice that was not taken yet: a JPEG in the blob."""

    verb = "notices.picture"
    only_reads = True
    number: NoticeNumber
    max_width: Width = 1280


class LookAtAnswer(Request):
    """What an answer would do: ``label``, ``visit_id``, ``usable`` and ``why`` not, or null.

    ``title`` says who was at the door, as known now, and ``occurred_at`` when. Of a token that is
    none of ours nothing is said but that.
    """

    verb = "notices.look"
    only_reads = True
    token: Token


class GiveAnswer(Request):
    """Do what an answer says, once: ``summary``, in the language of the house, and ``visit_id``."""

    verb = "notices.act"
    token: Token


class TargetReport(Arguments):
    """How a target is.

    Attributes:
        name: as configured.
        to: where to, in words without secrets, as in ``ntfy at ntfy.sh``.
        pictures: whether pictures go there.
        waiting: notifications that wait for it.
        problem: why the last one did not arrive, in words; None where it did.
        last_at: when one arrived last, ISO 8601 in UTC.
    """

    name: TargetName
    to: ShortWords
    pictures: bool
    waiting: Annotated[int, Field(ge=0, lt=10**9)] = 0
    problem: ShortWords | None = None
    last_at: Annotated[str, StringConstraints(max_length=40)] | None = None


class ReportTargets(Request):
    """How all targets are: by the notifier, at each change and every 30 seconds."""

    verb = "notices.report"
    targets: Annotated[list[TargetReport], Field(max_length=64)]


class TestNotification(Request):
    """Have a notification sent to one target, to try it."""

    verb = "notices.test"
    target: TargetName
