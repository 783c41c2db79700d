"""What household and home automation ask the daemon for, and what has become of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

# The chimes that the doorbell can play by itself; their notes are in ``outputs.sound.synthesis``.
CHIME_NAMES = (
    "westminster",
    "ding-dong",
    "alert",
    "gong",
    "sunrise",
    "cascade",
    "crystal",
    "horn",
)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What has become of a command.

    Attributes:
        command: its verb, such as ``ring`` or ``enroll``.
        done: whether it was carried out; else it was refused, and nothing has changed.
        summary: what was done, or why not and what to do about it; words for people.
        undo: what to give as an ``UndoCommand``'s number to take it back; None where it cannot.
        door_id: as of the command.
        request_id: as of the command.
    """

    command: str
    done: bool
    summary: str
    door_id: str = ""
    request_id: str | None = None
    undo: int | None = None


def _unheard(_result: CommandResult) -> None:
    """Take the answer to a command whose sender wants none, as a button does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorCommand:
    """What every command, called by its verb, carries.

    Attributes:
        door_id: for which door, as configured.
        request_id: the sender's own name for it, which comes back with the answer.
        reply: takes the one answer, on the main thread; hands off and never waits or raises.
    """

    verb: ClassVar[str]
    door_id: str = ""
    request_id: str | None = None
    reply: Callable[[CommandResult], None] = field(default=_unheard, compare=False, repr=False)

    def answer(self, summary: str, *, done: bool, undo: int | None = None) -> None:
        """Tell the sender what has become of it."""
        self.reply(CommandResult(self.verb, done, summary, self.door_id, self.request_id, undo))


@dataclass(frozen=True, slots=True)
class RingCommand(DoorCommand):
    """Somebody pressed: ring for whoever is at the door."""

    verb: ClassVar[str] = "ring"


@dataclass(frozen=True, slots=True)
class MuteCommand(DoorCommand):
    """Silence the chimes, or let them sound again.

    Attributes:
        muted: whether to silence them.
        minutes: for how long; None until somebody lets them sound again.
    """

    verb: ClassVar[str] = "mute"
    muted: bool
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class VolumeCommand(DoorCommand):
    """Let the chimes sound so loud, 0 (silent) to 1."""

    verb: ClassVar[str] = "volume"
    volume: float


@dataclass(frozen=True, slots=True)
class ChimeCommand(DoorCommand):
    """Let that built-in chime be the default one; None for the configuration's."""

    verb: ClassVar[str] = "chime"
    chime: str | None


@dataclass(frozen=True, slots=True)
class QuietHoursCommand(DoorCommand):
    """Keep the quiet hours of the configuration, or don't."""

    verb: ClassVar[str] = "quiet_hours"
    on: bool


@dataclass(frozen=True, slots=True)
class PrivacyCommand(DoorCommand):
    """Make no pictures, or make them again."""

    verb: ClassVar[str] = "privacy"
    on: bool


@dataclass(frozen=True, slots=True)
class SettingsCommand(DoorCommand):
    """Change several settings at once.

    Attributes:
        changes: by their names; None follows the configuration again.
    """

    verb: ClassVar[str] = "settings"
    changes: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AnnouncementsCommand(DoorCommand):
    """Say inside who is at the door, or don't."""

    verb: ClassVar[str] = "announcements"
    on: bool


@dataclass(frozen=True, slots=True)
class ReplyCommand(DoorCommand):
    """Say a quick reply at the door.

    Attributes:
        reply_id: its identifier.
    """

    verb: ClassVar[str] = "say"
    reply_id: str


@dataclass(frozen=True, slots=True)
class NameCommand(DoorCommand):
    """Say who a stranger is.

    Attributes:
        stranger_id: who.
        name: of somebody new, or enrolled.
        force: whether or not they look like that person.
    """

    verb: ClassVar[str] = "name"
    stranger_id: int
    name: str
    force: bool = False


@dataclass(frozen=True, slots=True)
class CorrectCommand(DoorCommand):
    """Say who a visit was in truth.

    Attributes:
        visit: its identifier, or ``last``.
        person: the name of somebody enrolled; None for nobody of the household's acquaintance.
        learn: whether the faces of the visit become samples of the person.
    """

    verb: ClassVar[str] = "correct"
    visit: str
    person: str | None
    learn: bool = False


@dataclass(frozen=True, slots=True)
class NoFaceCommand(DoorCommand):
    """Say that a visit was of no face.

    Attributes:
        visit: its identifier, or ``last``.
    """

    verb: ClassVar[str] = "no_face"
    visit: str


@dataclass(frozen=True, slots=True)
class UndoCommand(DoorCommand):
    """Take a correction or naming back.

    Attributes:
        number: of the correction; it has to be the newest of its kind.
    """

    verb: ClassVar[str] = "undo"
    number: int


@dataclass(frozen=True, slots=True)
class IgnoreCommand(DoorCommand):
    """Never ring for whoever a visit was of, or ring again.

    Attributes:
        visit: its identifier, or ``last``.
        ignored: whether to ignore them.
    """

    verb: ClassVar[str] = "ignore"
    visit: str
    ignored: bool = True


@dataclass(frozen=True, slots=True)
class EnrollCommand(DoorCommand):
    """Enroll the one visitor in sight under a name."""

    verb: ClassVar[str] = "enroll"
    name: str


@dataclass(frozen=True, slots=True)
class ForgetCommand(DoorCommand):
    """Delete a person, with every sample, visit and picture."""

    verb: ClassVar[str] = "forget"
    name: str


Command: TypeAlias = (
    RingCommand
    | MuteCommand
    | VolumeCommand
    | ChimeCommand
    | QuietHoursCommand
    | PrivacyCommand
    | AnnouncementsCommand
    | SettingsCommand
    | EnrollCommand
    | ForgetCommand
    | NameCommand
    | CorrectCommand
    | IgnoreCommand
    | NoFaceCommand
    | UndoCommand
)
"""What the main thread carries out."""
AnyCommand: TypeAlias = Command | ReplyCommand
