"""Who is at the door, said inside after the chime."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from doorbell.config import Config
from doorbell.domain import Person, Recognized, Ring, Unknown, Visitor
from doorbell.outputs.sound.channel import Channel, Urgency
from doorbell.outputs.sound.chime import ChimeChoice, Choice
from doorbell.outputs.sound.quiet import QuietTimes
from doorbell.outputs.sound.speech import speak
from doorbell.outputs.sound.synthesis import Sound
from doorbell.phrases import Language, at_the_door
from doorbell.status import Message, SettingsState

# Of a person: false where it is not said that they are at the door.
PREFERENCE = "announce"
# Visits whose visitor is remembered until the chime is over.
VISITS_REMEMBERED = 16


class Announcements:
    """The output that says inside who is at the door.

    It follows a chime on the same loudspeaker, so without a chime nothing is said; nor in the quiet
    hours, even where chimes are only low then. Who it is, is decided when the chime is over: a
    visitor who pressed may have been recognized by then.

    Args:
        config: of the door.
        channel: the loudspeaker inside, that of the chimes; used and closed by this.
        names_door: whether it is said at which door: where there are several.
        quiet: whether nothing may be said; None for one by ``config``.
        speak: a text to its sound; raises SoundError.
    """

    def __init__(
        self,
        config: Config,
        channel: Channel,
        *,
        names_door: bool = False,
        quiet: QuietTimes | None = None,
        speak: Callable[[str, Language], Sound] = speak,
    ) -> None:
        self._language = config.device.language
        self._door = config.device.name if names_door else None
        self._enabled = config.announcements.enabled
        self._channel = channel
        self._quiet = quiet or QuietTimes(config.chime)
        self._speak = speak
        self._visitors: OrderedDict[str, Visitor | None] = OrderedDict()

    def handle(self, message: Message) -> None:
        """Follow who is at the door, and whether the household wants to be told."""
        self._quiet.handle(message)
        match message:
            case Recognized(visit=visit) | Unknown(visit=visit):
                self._visitors[visit.visit_id] = visit.visitor
                while len(self._visitors) > VISITS_REMEMBERED:
                    self._visitors.popitem(last=False)
            case SettingsState(announcements=enabled):
                self._enabled = enabled
            case _:
                pass

    def follow(self, ring: Ring, choice: Choice) -> None:
        """Say who rings, after the chime that was chosen for it."""
        if isinstance(choice, ChimeChoice) and self._enabled:
            self._channel.submit(
                Urgency.ANNOUNCEMENT,
                lambda: self._announcement(ring, choice.volume),
                label="an announcement",
            )

    def reconfigure(self, config: Config) -> None:
        """Go by another configuration from now on; what people have set is told after this."""
        self._enabled = config.announcements.enabled
        self._quiet.reconfigure(config.chime)

    def close(self) -> None:
        """Let what is said end, for at most a second; idempotent."""
        self._channel.close()

    def _announcement(self, ring: Ring, volume: float) -> Sequence[tuple[Sound, float]]:
        if not self._enabled or self._quiet.reason_now() is not None:
            return ()
        visitor = None
        if ring.visit is not None:
            visitor = ring.visit.visitor or self._visitors.get(ring.visit.visit_id)
        if visitor is not None and not is_announced(visitor):
            return ()
        sentence = at_the_door(visitor, self._language, self._door)
        return [(self._speak(sentence, self._language), volume)]


def is_announced(visitor: Visitor) -> bool:
    """Whether it is said that somebody is at the door."""
    wanted = not isinstance(visitor, Person) or visitor.preferences.get(PREFERENCE) is not False
    return wanted and not visitor.ignored
