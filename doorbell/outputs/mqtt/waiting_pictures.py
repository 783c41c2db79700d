"""Who is in the pictures that wait for the broker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from doorbell.outputs.mqtt.image_record import ShownPicture
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
        self._shown: dict[int, ShownPicture] = {}

    def shown(self) -> Mapping[int, ShownPicture]:
        """Who is in each, by the number of its event."""
        waiting = self._outbox.with_pictures()
        for number in waiting - self._shown.keys():
            event = self._outbox.read(number)
            if event is not None and event.picture is not None:
                subject = self._outbox.subjects().get(number)
                visit_id = None if subject is None else subject.visit_id
                self._shown[number] = ShownPicture.of(unpack_picture(event.picture), visit_id)
        self._shown = {n: shown for n, shown in self._shown.items() if n in waiting}
        return self._shown

    def forget(self, forgotten: VisitsForgotten) -> None:
        """Drop those that may show whoever was forgotten; their events wait on."""
        self.drop(lambda shown: shown.may_show(forgotten))

    def drop(self, is_to_go: Callable[[ShownPicture], bool]) -> Collection[int]:
        """Drop some, and leave nothing of them on the disk; the numbers of their events."""
        numbers = {number for number, shown in self.shown().items() if is_to_go(shown)}
        if numbers:
            self._outbox.drop_pictures(numbers)
        return numbers
