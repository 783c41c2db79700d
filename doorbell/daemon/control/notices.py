"""Requests of the notifier, and the answers that come back from what it has told."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from doorbell.clock import iso_utc
from doorbell.config.notifications import TargetSection
from doorbell.control import requests
from doorbell.control.wire import Document
from doorbell.daemon.control.commands import Commands
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.control.latest import Latest
from doorbell.daemon.control.server import Answer
from doorbell.daemon.control.visits import VisitRequests
from doorbell.domain import (
    AT_THE_DOOR,
    Answerable,
    AnswerToken,
    AnyCommand,
    CorrectCommand,
    IgnoreCommand,
    Notice,
    ReplyCommand,
    Visitor,
)
from doorbell.errors import ControlError, DoorbellError, RefusedError, UsageError
from doorbell.imaging.annotation import encode_jpeg
from doorbell.imaging.fitting import fit_width
from doorbell.imaging.visit_picture import decode_jpeg
from doorbell.phrases import Language, at_the_door, ignore, it_is, nobody_known, say_reply

# Answers that name somebody; phones show three or four buttons in all.
LIKELY_ANSWERS = 2
JPEG_QUALITY = 85
NOT_OURS = "that is no answer that this doorbell has asked for"


class NoticeSource(Protocol):
    """What keeps notices, and knows the answers to them."""

    @property
    def language(self) -> Language:
        """Of what people are told."""

    @property
    def targets(self) -> Sequence[TargetSection]:
        """Who is told."""

    def let_go(self) -> None:
        """Let nobody wait for notices any more."""

    def take(
        self, journal_id: str | None, after: int, *, wait_seconds: float, limit: int
    ) -> tuple[str, Sequence[tuple[int, Notice, bool]]]:
        """The journal's id, and number, notice and whether it has a picture, of each."""

    def picture(self, number: int) -> bytes | None:
        """The picture of a notice that waits."""

    def try_target(self, target: str) -> None:
        """Have one target told, to try it."""

    def token(self, notice: Notice, code: str) -> AnswerToken:
        """The token of an answer to a notice."""

    def look(self, token: AnswerToken) -> Answerable | None:
        """What is known of a token; None of one that is none of ours."""

    def use(self, token: AnswerToken) -> str | None:
        """Use an answer up; why it cannot be given, or None."""

    def give_back(self, token: AnswerToken) -> None:
        """Let an answer that was refused be given again."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What the notifier has said of its targets.

    Attributes:
        targets: documents of ``control.requests.notifications.TargetReport``.
        at: when; by a clock that nobody sets.
    """

    targets: list[Document]
    at: float


class NoticeRequests:
    """Answers what the notifier asks, and gives the answers that come back.

    Args:
        notices: keeps them; None where nobody is told.
        latest: which quick replies there are, and what is set, by door; the first one first.
        visits: tells who a visitor is likely to be.
        executor: reads the gallery.
        commands: carries answers out.
        doors: that there are, by their ids.
        silent_doors: where nothing can be said.
        now: by a clock that nobody sets.
    """

    def __init__(
        self,
        notices: NoticeSource | None,
        *,
        latest: Mapping[str, Latest],
        visits: VisitRequests,
        executor: GalleryExecutor,
        commands: Commands,
        doors: Collection[str] = (),
        silent_doors: Collection[str] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._notices = notices
        self._latest = latest
        self._of_house = next(iter(latest.values()))
        self._visits = visits
        self._executor = executor
        self._commands = commands
        self._doors = doors
        self._silent_doors = silent_doors
        self._now = now
        self._reported: Reported | None = None
        self._started_at = now()
        self._taken_at: float | None = None  # when the notifier asked last

    def close(self) -> None:
        """Let nobody wait any more."""
        if self._notices is not None:
            self._notices.let_go()

    def take(self, request: requests.TakeNotices) -> Answer:
        """Notices after that one, once there are any; on the connection's own thread."""
        notices = self._told()
        self._taken_at = self._now()
        journal_id, found = notices.take(
            request.journal,
            request.after,
            wait_seconds=request.wait_seconds,
            limit=request.limit,
        )
        self._taken_at = self._now()
        told = [self._document(notices, *each) for each in found]
        return Answer({"journal": journal_id, "notices": told})

    def picture(self, request: requests.NoticePicture) -> Answer:
        """The picture of a notice."""
        jpeg = self._told().picture(request.number)
        if jpeg is None:
            raise RefusedError("no picture of this notice is kept", "not_found")
        pixels = decode_jpeg(jpeg)
        if pixels is None:
            raise RefusedError("the picture of this notice is damaged", "failed")
        if pixels.shape[1] > request.max_width:
            jpeg = encode_jpeg(fit_width(pixels, request.max_width), JPEG_QUALITY)
        return Answer({"type": "image/jpeg"}, jpeg)

    def look(self, request: requests.LookAtAnswer) -> Answer:
        """What an answer would do."""
        token, known = self._own(request.token)
        return Answer(
            {
                "label": self._label(token),
                "title": at_the_door(self._visitor(known.visit_id), self._told().language),
                "occurred_at": iso_utc(known.told_at),
                "visit_id": known.visit_id,
                "usable": known.refusal is None,
                "why": known.refusal,
            }
        )

    def give(self, request: requests.GiveAnswer) -> Answer:
        """Do what an answer says, once."""
        token, known = self._own(request.token)
        command, label = self._command(token, known), self._label(token)
        notices = self._told()
        refusal = notices.use(token)
        if refusal is not None:
            raise RefusedError(f"this answer does nothing any more: {refusal}", "used")
        try:
            self._commands.do(command)
        except RefusedError:
            notices.give_back(token)
            raise
        return Answer({"summary": label, "visit_id": known.visit_id})

    def report(self, request: requests.ReportTargets) -> Answer:
        """Take in how the targets are."""
        self._told()
        self._reported = Reported(
            [each.model_dump(mode="json") for each in request.targets], self._now()
        )
        return Answer()

    def test(self, request: requests.TestNotification) -> Answer:
        """Have one target told, to try it."""
        notices = self._told()
        known = [target.name for target in notices.targets]
        if request.target not in known:
            there = f"; there is {', '.join(known)}" if known else ""
            raise UsageError(f"there is no target {request.target!r}{there}")
        notices.try_target(request.target)
        return Answer({"summary": f"{request.target} is told; see whether it arrives"})

    def status(self) -> Document:
        """Who is told of what, and how that goes; see ``daemon.control.status``.

        Keys: enabled, silent_seconds (since the notifier asked last, or the start; null where
        nobody is told), reported_seconds (since it said how the targets are, or null) and targets,
        each with the keys of the configuration but for addresses, and those of
        ``notices.report``, which are null as long as nothing was reported.
        """
        reported, now = self._reported, self._now()
        if self._notices is None:
            return {
                "enabled": False,
                "silent_seconds": None,
                "reported_seconds": None,
                "targets": [],
            }
        by_name = {each["name"]: each for each in reported.targets} if reported else {}
        last = self._started_at if self._taken_at is None else self._taken_at
        return {
            "enabled": True,
            "silent_seconds": round(now - last),
            "reported_seconds": None if reported is None else round(now - reported.at),
            "targets": [_target(each, by_name.get(each.name)) for each in self._notices.targets],
        }

    def _told(self) -> NoticeSource:
        if self._notices is None:
            raise RefusedError("nobody is told: set notifications.enabled and start again")
        return self._notices

    def _own(self, text: str) -> tuple[AnswerToken, Answerable]:
        """A token that is ours, and what is known of it.

        Raises:
            RefusedError: it is not; nothing else is said.
        """
        token = AnswerToken.parse(text)
        known = None if token is None else self._told().look(token)
        if token is None or known is None:
            raise RefusedError(NOT_OURS, "not_found")
        return token, known

    def _document(
        self, notices: NoticeSource, number: int, notice: Notice, has_picture: bool
    ) -> Document:
        return asdict(notice) | {
            "number": number,
            "occurred_at": iso_utc(notice.occurred_at),
            "has_picture": has_picture,
            "link": self._link(notice),
            "visits": list(notice.visits),
            "beside": list(notice.beside),
            "answers": self._answers(notices, notice),
        }

    def _link(self, notice: Notice) -> str:
        """Where the console shows what is told."""
        if notice.visit_id is not None:
            return f"/visits/{notice.visit_id}"
        is_one_of_several = len(self._doors) > 1 and notice.door_id in self._doors
        return f"/?door={notice.door_id}" if is_one_of_several else "/"

    def _answers(self, notices: NoticeSource, notice: Notice) -> list[Document]:
        """What can be answered, the likeliest first."""
        if notice.kind not in AT_THE_DOOR:
            return []
        kind = notice.visitor and notice.visitor["kind"]
        people: list[str] = []
        if notice.visit_id is not None and kind != "person":
            people = [f"p{person_id}" for person_id in self._likely(notice.visit_id)]
        codes = people[:1]
        if notice.visit_id is not None:
            codes.append("n")
        reply_id = None if notice.door_id in self._silent_doors else self._reply_id(notice.door_id)
        if reply_id is not None:
            codes.append(f"r{reply_id}")
        if kind in ("person", "stranger"):
            codes.append("i")
        codes += people[1:]
        tokens = [notices.token(notice, code) for code in codes]
        return [{"label": self._label(each), "token": str(each)} for each in tokens if each.fits]

    def _reply_id(self, door_id: str) -> str | None:
        """Of the reply that is offered: that of a ring that nobody answers, else the first."""
        latest = self._latest.get(door_id) or self._of_house
        known = [reply.reply_id for reply in latest.replies]
        settings = latest.settings
        if settings is not None and settings.unanswered_reply in known:
            return settings.unanswered_reply
        return known[0] if known else None

    def _likely(self, visit_id: str) -> list[int]:
        """Numbers of the people whom a visitor looks like most."""
        try:
            likely = self._executor.read(lambda gallery: self._visits.likely(gallery, visit_id))
        except DoorbellError:
            return []
        return [int(each["person_id"]) for each in likely[:LIKELY_ANSWERS]]

    def _label(self, token: AnswerToken) -> str:
        """What an answer says, in the language of the house."""
        language = self._told().language
        if token.reply_id is not None:
            labels = {reply.reply_id: reply.label for reply in self._of_house.replies}
            return say_reply(labels.get(token.reply_id, token.reply_id), language)
        if token.person_id is not None:
            return it_is(self._name(token.person_id) or "?", language)
        return nobody_known(language) if token.code == "n" else ignore(language)

    def _visitor(self, visit_id: str | None) -> Visitor | None:
        """Who it was, as known now; None where nobody can tell."""
        if visit_id is None:
            return None
        try:
            return self._executor.read(lambda gallery: gallery.visits.get(visit_id).visitor)
        except DoorbellError:  # it is kept once it has ended
            return None

    def _name(self, person_id: int) -> str | None:
        try:
            return self._executor.read(lambda gallery: gallery.people.by_id(person_id).name)
        except (UsageError, ControlError):
            return None

    def _command(self, token: AnswerToken, known: Answerable) -> AnyCommand:
        visit_id = known.visit_id or ""
        if token.reply_id is not None:
            return ReplyCommand(token.reply_id, door_id=known.door_id)
        if token.person_id is not None:
            name = self._name(token.person_id)
            if name is None:
                raise RefusedError("this person is not enrolled any more", "not_found")
            return CorrectCommand(visit_id, name)
        if token.code == "n":
            return CorrectCommand(visit_id, None)
        return IgnoreCommand(visit_id)


def _target(target: TargetSection, reported: Document | None) -> Document:
    """What is sent to a target, and how that goes."""
    return {
        "name": target.name,
        "tell": list(target.tell),
        "people": list(target.people),
        "not_about": target.not_about,
        "picture": target.picture,
        "actions": target.actions,
        "quiet_from": target.quiet_from and target.quiet_from.strftime("%H:%M"),
        "quiet_to": target.quiet_to and target.quiet_to.strftime("%H:%M"),
        "per_hour": target.per_hour,
        **{key: reported and reported[key] for key in ("to", "waiting", "problem", "last_at")},
    }
