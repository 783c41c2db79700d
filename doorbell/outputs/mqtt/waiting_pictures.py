"""Who is in the pictures that wait for the broker."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from doorbell.domain import PicturedFace, VisitPicture
from doorbell.outputs.mqtt.image_record import ShownPicture
from doorbell.outputs.mqtt.messages import EventSubject
from doorbell.outputs.mqtt.outbox import Outbox
from doorbell.outputs.mqtt.packed_picture import unpack_picture
from doorbell.status import VisitsForgotten


class WaitingPictures:
    """The pictures in an outbox; under the caller's lock.

    Args:
        outbox: where they wait. Each is read once, when somebody asks.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._faces: dict[int, tuple[PicturedFace, ...] | None] = {}

    def faces(self) -> Mapping[int, tuple[PicturedFace, ...] | None]:
        """Who is in each, by the number of its event; None where nobody knows."""
        waiting = self._outbox.with_pictures()
        for number in waiting - self._faces.keys():
            event = self._outbox.read(number)
            if event is not None and event.picture is not None:
                self._faces[number] = unpack_picture(event.picture).faces
        self._faces = {n: faces for n, faces in self._faces.items() if n in waiting}
        return self._faces

    def forget(self, forgotten: VisitsForgotten) -> None:
        """Drop those that may show whoever was forgotten; their events wait on."""
        subjects = self._outbox.subjects()
        self.drop(
            {
                number
                for number, faces in self.faces().items()
                if ShownPicture.of(
                    VisitPicture(b"", faces), subjects.get(number, EventSubject()).visit_id
                ).may_show(forgotten)
            }
        )

    def drop(self, numbers: Collection[int]) -> None:
        """Drop those of some events, and leave nothing of them on the disk."""
        if numbers:
            self._outbox.drop_pictures(numbers)
