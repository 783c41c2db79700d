"""What is said at the door: quick replies, and what somebody in the house says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Literal, Protocol

from doorbell.config import Config
from doorbell.domain import Recognized, Reply, ReplyCommand, Ring, Unknown
from doorbell.errors import DoorbellError, SoundError
from doorbell.outputs import Publish, publish_nowhere
from doorbell.outputs.sound.channel import Channel, Urgency
from doorbell.outputs.sound.quiet import QuietTimes
from doorbell.outputs.sound.synthesis import Sound, attention
from doorbell.outputs.sound.unanswered import UnansweredRings
from doorbell.status import DoorAnswered, Message, MuteState, SettingsState

log = logging.getLogger(__name__)


class Library(Protocol):
    """The quick replies that there are; asked from any thread."""

    def check(self, reply_id: str) -> Reply:
        """One of them that can be said, as far as is known; at once.

        Raises:
            UsageError: there is none of that identifier.
            SoundError: it surely cannot.
        """

    def load(self, reply_id: str) -> Sound:
        """Its sound; may take seconds.

        Raises:
            UsageError: there is none of that identifier.
            SoundError: it cannot be read or spoken.
        """


class DoorVoice:
    """The output that speaks at the door, each time after two short notes.

    Args:
        config: of the daemon.
        channel: the loudspeaker at the door; used and closed by this.
        library: the quick replies.
        publish: told that somebody has answered the bell; on any thread.
        quiet: whether nothing may be said by itself; None for one by ``config``.
        now_seconds: by a clock that nobody sets.
    """

    def __init__(
        self,
        config: Config,
        channel: Channel,
        library: Library,
        *,
        publish: Publish = publish_nowhere,
        quiet: QuietTimes | None = None,
        now_seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._config = config
        self._channel = channel
        self._library = library
        self._publish = publish
        self._quiet = quiet or QuietTimes(config.chime)
        self._after_seconds = config.replies.after_seconds
        self._unanswered_reply = config.replies.unanswered
        self._rang_for: str | None = None  # the visit whose visitor may not be known yet
        self._rings = UnansweredRings(self._reply_by_itself, now_seconds=now_seconds)

    @property
    def is_sounding(self) -> bool:
        """Whether something sounds at the door or is about to; from any thread."""
        return self._channel.is_sounding

    def handle(self, message: Message) -> None:
        """Follow what happens at the door."""
        self._quiet.handle(message)
        match message:
            case Ring():
                self._ring(message)
            case DoorAnswered() | MuteState(muted=True):
                self._rings.answered()
            case Recognized(visit=visit) | Unknown(visit=visit) if visit.visit_id == self._rang_for:
                if visit.visitor is not None and visit.visitor.ignored:
                    self._rings.answered()
            case SettingsState():
                self._after_seconds = message.reply_after_seconds
                self._unanswered_reply = message.unanswered_reply
            case _:
                pass

    def carry_out(self, command: ReplyCommand) -> None:
        """Say a quick reply, soon, and answer the command; on any thread."""
        try:
            self._check_enabled()
            reply = self._library.check(command.reply_id)
        except DoorbellError as exc:
            command.answer(str(exc), done=False)
            return
        self._answered("replied")
        self._reply(reply)
        command.answer(f"said at the door: {reply.label}", done=True)

    def talk(self, samples: Sound) -> str:
        """Say at the door what somebody in the house has said, soon; on any thread.

        Returns:
            What was done, in words for people.

        Raises:
            SoundError: talking is off.
        """
        self._check_enabled()
        self._answered("talked")
        self._say(Urgency.TALK, lambda: samples, label="what was said")
        return "said at the door"

    def reconfigure(self, config: Config) -> None:
        """Go by another configuration from now on; what people have set is told after this."""
        self._config = config
        self._quiet.reconfigure(config.chime)

    def close(self) -> None:
        """Let what is said end, for at most a second; idempotent."""
        self._rings.close()
        self._channel.close()

    def _ring(self, ring: Ring) -> None:
        visitor = ring.visit.visitor if ring.visit else None
        if not self._config.talk.enabled or (visitor is not None and visitor.ignored):
            return
        if self._rings.ring(self._after_seconds):
            self._rang_for = ring.visit.visit_id if ring.visit else None

    def _answered(self, how: Literal["talked", "replied"]) -> None:
        # At once: the timer does not wait for the bus.
        self._rings.answered()
        self._publish(DoorAnswered(how, door_id=self._config.device.id))

    def _reply_by_itself(self) -> None:
        if not self._after_seconds:  # switched off meanwhile
            return
        if (reason := self._quiet.reason_now()) is not None:
            log.info("nobody has answered the ring, and nothing is said: %s", reason)
            return
        try:
            reply = self._library.check(self._unanswered_reply)
        except DoorbellError as exc:
            log.warning("nobody has answered the ring, and nothing is said: %s", exc)
            return
        log.info("nobody has answered the ring: the reply %s is said", reply.reply_id)
        self._reply(reply)

    def _reply(self, reply: Reply) -> None:
        load = partial(self._library.load, reply.reply_id)
        self._say(Urgency.REPLY, load, label=f"the reply {reply.reply_id}")

    def _check_enabled(self) -> None:
        if not self._config.talk.enabled:
            raise SoundError("nothing is said at the door; set talk.enabled")

    def _say(self, urgency: Urgency, load: Callable[[], Sound], *, label: str) -> None:
        def parts() -> Sequence[tuple[Sound, float]]:
            volume = self._config.talk.volume
            return [(attention(), volume), (load(), volume)]

        self._channel.submit(urgency, parts, label=label)
