"""Requests that the main thread carries out, as it does the commands of home automation."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta

from doorbell.control import requests
from doorbell.control.schema import Request
from doorbell.control.wire import Document
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.control.server import Answer
from doorbell.domain import (
    AnyCommand,
    CommandResult,
    CorrectCommand,
    ForgetCommand,
    IgnoreCommand,
    MuteCommand,
    NameCommand,
    NoFaceCommand,
    ReplyCommand,
    RingCommand,
    SettingsCommand,
    UndoCommand,
)
from doorbell.errors import ControlError, RefusedError, UsageError
from doorbell.gallery.names import name_key

# The main thread takes commands between two frames; a driver that hangs keeps it for longer.
ANSWER_SECONDS = 8.0


class Commands:
    """Makes commands of requests, and waits for what becomes of them.

    Args:
        door_ids: of the doors that there are.
        put: hands a command to the main thread.
        executor: tells names of numbers.
        now: the wall time where the doorbell hangs.
    """

    def __init__(
        self,
        door_ids: Sequence[str],
        put: Callable[[AnyCommand], None],
        executor: GalleryExecutor,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._door_ids = door_ids
        self._put = put
        self._executor = executor
        self._now = now

    def carry_out(self, request: Request, _blob: bytes = b"") -> Answer:
        """Have a request carried out; see ``do``.

        What is set without a door is set at all of them; what happens takes one.
        """
        command = self._command(request)
        door_id: str | None = getattr(request, "door_id", None)
        if door_id is not None:
            return self.do(replace(command, door_id=door_id))
        if isinstance(request, requests.Mute | requests.ChangeSettings):
            answers = [self.do(replace(command, door_id=each)) for each in self._door_ids]
            return answers[-1]
        if isinstance(request, requests.RingBell | requests.PlayReply) and self._door_ids[1:]:
            raise RefusedError(f"say at which door: {', '.join(self._door_ids)}")
        return self.do(command)

    def do(self, command: AnyCommand) -> Answer:
        """Have a command carried out, at the first door where it names none.

        Raises:
            RefusedError: it was not, and why.
            ControlError: nobody answers in time.
        """
        answers: queue.SimpleQueue[CommandResult] = queue.SimpleQueue()
        door_id = command.door_id or self._door_ids[0]
        command = replace(command, door_id=door_id, reply=answers.put)
        self._put(command)
        try:
            result = answers.get(timeout=ANSWER_SECONDS)
        except queue.Empty as exc:
            raise ControlError(
                "the doorbell does not answer in time; what was asked may still be done"
            ) from exc
        if not result.done:
            raise RefusedError(result.summary)
        return Answer(_outcome(result))

    def _command(self, request: Request) -> AnyCommand:  # noqa: PLR0911 - one for each kind
        match request:
            case requests.RingBell():
                return RingCommand()
            case requests.PlayReply(reply_id=reply_id):
                return ReplyCommand(reply_id)
            case requests.Mute():
                return MuteCommand(request.muted, self._minutes(request))
            case requests.ChangeSettings():
                given = request.model_fields_set
                return SettingsCommand({name: getattr(request, name) for name in given})
            case requests.CorrectVisit(visit=visit, person_id=person_id, learn=learn):
                person = None if person_id is None else self._name(person_id)
                return CorrectCommand(visit, person, learn)
            case requests.NoFace(visit=visit):
                return NoFaceCommand(visit)
            case requests.IgnoreVisitor(visit=visit, ignored=ignored):
                return IgnoreCommand(visit, ignored)
            case requests.NameStranger():
                return self._naming(request)
            case requests.Undo(token=token):
                return UndoCommand(_number(token))
            case requests.ForgetPerson(person_id=person_id, name=typed):
                name = self._name(person_id)
                if name_key(name) != name_key(typed):
                    raise UsageError(f"to forget {name}, type that name; {typed!r} was typed")
                return ForgetCommand(name)
            case _:
                raise UsageError(f"the request {request.verb} is no command")

    def _minutes(self, request: requests.Mute) -> float | None:
        if request.until is None:
            return request.minutes
        if request.minutes is not None:
            raise UsageError("a mute is for minutes or until a time: give one of them")
        now = self._now()
        hour, minute = map(int, request.until.split(":"))
        end = datetime.combine(now.date(), time(hour, minute)).astimezone()
        if end <= now:
            end = datetime.combine(now.date() + timedelta(days=1), time(hour, minute)).astimezone()
        return (end - now).total_seconds() / 60.0

    def _naming(self, request: requests.NameStranger) -> NameCommand:
        if (request.name is None) == (request.person_id is None):
            raise UsageError("give either a name or the person_id of somebody enrolled")
        name = request.name or self._name(request.person_id or 0)
        return NameCommand(request.stranger_id, name, request.force)

    def _name(self, person_id: int) -> str:
        return self._executor.read(lambda gallery: gallery.people.by_id(person_id).name)


def _outcome(result: CommandResult) -> Document:
    told: Document = {"summary": result.summary}
    if result.undo is not None:
        told["undo"] = f"change-{result.undo}"
    return told


def _number(token: str) -> int:
    text = token.removeprefix("change-")
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise UsageError("that is no token of something that can be taken back")
    return int(text)
