"""Commands that change who is known: done at once in the gallery's file, or later on a server."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeAlias

from doorbell.config import Config
from doorbell.daemon.door import Door
from doorbell.daemon.identification import IdentifyingCommand, identify
from doorbell.daemon.main_thread import Call, Inbox
from doorbell.daemon.shared_gallery import SharedGallery
from doorbell.domain import (
    Command,
    CorrectCommand,
    EnrollCommand,
    ForgetCommand,
    NameCommand,
    NoFaceCommand,
)
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.link.machines import FOLLOW_SECONDS, behind
from doorbell.household.doors import stored_doors
from doorbell.household.forgetting import forget_person
from doorbell.household.undoing import newest_change
from doorbell.status import State

GalleryCommand: TypeAlias = "EnrollCommand | ForgetCommand | IdentifyingCommand"

# What a command has done, and the number to take it back by.
Done: TypeAlias = tuple[str, int | None]

_Publish: TypeAlias = Callable[[State], None]
_Change: TypeAlias = Callable[[Gallery, _Publish], Done]


class GalleryChanges:
    """Carries the household's commands out; used by the main thread.

    Args:
        gallery: who is known; what the doors decide by.
        shared: where that is a copy of one on a server, what is done there; else None.
        publish: tells outputs of visits that are gone, or of somebody else; on the main thread.
        inbox: of the main thread.
        say_done: says what has become of a command, which is asked for by a call that may raise.
    """

    def __init__(
        self,
        gallery: Gallery,
        shared: SharedGallery | None,
        publish: _Publish,
        inbox: Inbox,
        say_done: Callable[[Command, Callable[[], Done]], None],
    ) -> None:
        self._gallery = gallery
        self._shared = shared
        self._publish = publish
        self._inbox = inbox
        self._say_done = say_done
        self._in_hand: list[Command] = []

    def carry_out(self, command: GalleryCommand, door: Door, config: Config) -> Done | None:
        """Do what a command asks for; None where that is said later.

        Args:
            command: what is asked for.
            door: at which, where it is of somebody in sight or of the last visit.
            config: of the house.

        Raises:
            DoorbellError: it is refused.
        """
        change = _change(command, door, config)
        if self._shared is None:
            return change(self._gallery, self._publish)

        def say(changed: Future[Done]) -> None:
            self._inbox.put(Call(partial(self._finish, command, changed)))

        changed = self._shared.household.begin(lambda gallery: change(gallery, self._inbox.put))
        self._in_hand.append(command)
        changed.add_done_callback(say)
        return None

    def leave(self) -> None:
        """Leave nobody waiting for an answer: the daemon stops."""
        for command in self._in_hand:
            command.answer("the doorbell stops; what was asked may still be done", done=False)
        self._in_hand.clear()

    def _finish(self, command: Command, changed: Future[Done]) -> None:
        self._in_hand.remove(command)
        self._say_done(command, changed.result)


def _change(command: GalleryCommand, door: Door, config: Config) -> _Change:
    """What changes the gallery as a command asks for, with all that it takes from the door."""
    match command:
        case EnrollCommand(name=name):
            samples = door.pipeline.visible_samples(name)

            def enroll(gallery: Gallery, _publish: _Publish) -> Done:
                enrolled = gallery.people.enroll(name, samples)
                return f"enrolled {enrolled.person.name} (added samples: {enrolled.added})", None

            return enroll
        case ForgetCommand(name=name):

            def forget(gallery: Gallery, publish: _Publish) -> Done:
                outcome = forget_person(gallery, name, config.storage, publish)
                # Without the name: whoever hears or logs it would keep what is to be forgotten.
                deleted = f"samples: {outcome.samples}, visits: {len(outcome.visit_ids)}"
                left = ", ".join(each.name for each in behind(gallery.file, FOLLOW_SECONDS))
                not_yet = f"; not yet forgotten on: {left}" if left else ""
                return f"forgot whom you named (deleted {deleted}){not_yet}", None

            return forget
        case _:
            stored_as = stored_doors(config, door.door_id)

            def change(gallery: Gallery, publish: _Publish) -> Done:
                done = identify(command, gallery, config.recognition, publish, stored_as)
                undoable = isinstance(command, NameCommand | CorrectCommand | NoFaceCommand)
                return done, newest_change(gallery) if undoable else None

            return change
