"""What was told last of a door and of the house, for whoever asks on the control socket."""

from __future__ import annotations

from doorbell.domain import Event, Reply, Visit
from doorbell.status import (
    CameraState,
    DoorSpeakerState,
    KnownVisitors,
    Message,
    MicrophoneState,
    MuteState,
    RepliesState,
    SettingsState,
    SoundState,
    Statistics,
    StorageState,
    VisitCorrected,
    VisitsForgotten,
)


class Latest:
    """What was told last of one door and of the house; read by any thread."""

    def __init__(self) -> None:
        self.camera: CameraState | None = None
        self.sound: SoundState | None = None
        self.door_speaker: DoorSpeakerState | None = None
        self.microphone: MicrophoneState | None = None
        self.replies: tuple[Reply, ...] = ()
        self.statistics: Statistics | None = None
        self.settings: SettingsState | None = None
        self.storage: dict[str, str | None] = {}
        self.at_the_door: dict[str, Visit] = {}

    def note(self, message: Message) -> str | None:  # noqa: PLR0911, PLR0912 - one for each kind
        """Take it in; what has changed by it, in one word, or None."""
        match message:
            case CameraState():
                self.camera = message
                return "camera"
            case SoundState():
                self.sound = message
                return "sound"
            case DoorSpeakerState():
                self.door_speaker = message
                return "sound"
            case MicrophoneState():
                self.microphone = message
                return "microphone"
            case RepliesState(replies=replies):
                self.replies = replies
                return "replies"
            case Statistics():
                self.statistics = message
            case SettingsState():
                self.settings = message
                return "settings"
            case MuteState():
                return "settings"
            case StorageState(part=part, problem=problem):
                self.storage = {**self.storage, part: problem}
                return "storage"
            case KnownVisitors():
                return "people"
            case VisitCorrected(visit=visit):
                if visit.visit_id in self.at_the_door:
                    self.at_the_door = {**self.at_the_door, visit.visit_id: visit}
                return "visits"
            case VisitsForgotten(visit_ids=gone):
                left = {k: v for k, v in self.at_the_door.items() if k not in gone}
                self.at_the_door = left
                return "visits"
            case _ if isinstance(message, Event) and message.visit is not None:
                self._note_visit(message.visit)
        return None

    def _note_visit(self, visit: Visit) -> None:
        if visit.ended_at is None:
            self.at_the_door = {**self.at_the_door, visit.visit_id: visit}
        else:
            left = {k: v for k, v in self.at_the_door.items() if k != visit.visit_id}
            self.at_the_door = left
