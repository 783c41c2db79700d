"""An output of one of several doors."""

from __future__ import annotations

from doorbell.outputs import Sink
from doorbell.status import Message, VisitCorrected


class OfDoor:
    """Passes on what is told of one door and of the house, and nothing of other doors.

    Args:
        door_id: of the door.
        sink: takes it; closed by this.
    """

    def __init__(self, door_id: str, sink: Sink) -> None:
        self._door_id = door_id
        self._sink = sink

    def handle(self, message: Message) -> None:
        """Pass a message on, or leave it to the outputs of another door."""
        of = message.visit if isinstance(message, VisitCorrected) else message
        if getattr(of, "door_id", "") in ("", self._door_id):
            self._sink.handle(message)

    def close(self) -> None:
        """Close the output; idempotent."""
        self._sink.close()
