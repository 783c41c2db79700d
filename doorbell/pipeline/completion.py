"""What is announced of visits becomes whole: events with pictures, visits kept in the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from doorbell.domain import Event, Left, Recognized, Ring, Unknown, VisitPicture
from doorbell.pipeline.best_pictures import VisitPictures
from doorbell.pipeline.visit_recorder import VisitRecorder
from doorbell.visits.announcement import Announcement


class Completion:
    """Completes what is announced at one door.

    Args:
        door_id: of the door.
        recorder: keeps the visits.
        pictures: has the best picture of each.
    """

    def __init__(self, door_id: str, recorder: VisitRecorder, pictures: VisitPictures) -> None:
        self._door_id = door_id
        self._recorder = recorder
        self._pictures = pictures

    def complete(
        self, told: Sequence[Announcement], stopped_at: float | None = None
    ) -> list[Event]:
        """Put pictures to events, and visits into the gallery.

        Args:
            told: of one moment, in order.
            stopped_at: the wall time at which the daemon stops, with its visitors at the door.

        Returns:
            The events of all that is told, in that order.
        """
        rang = {
            each.event.visit.visit_id: each.event.occurred_at
            for each in told
            if isinstance(each.event, Ring) and each.event.visit is not None
        }
        completed: list[Event] = []
        kept, picture = None, None
        for each in told:
            event, entry = replace(each.event, door_id=self._door_id), each.of
            if entry is None or event.visit is None:
                completed.append(event)
                continue
            if each.mistaken is not None:
                # The visit is saved under its person first: forgetting takes visits along.
                self._recorder.save(event.visit)
                self._recorder.withdraw(each.mistaken)
            if event.visit != kept:  # a ring follows the announcement of the same visit
                decided = isinstance(event, Recognized | Unknown | Left)
                rang_at = rang.get(event.visit.visit_id)
                if rang_at is None and entry.rang and isinstance(event, Recognized | Unknown):
                    rang_at = event.occurred_at  # before it was known for whom
                self._recorder.save(
                    event.visit,
                    entry.samples if decided else (),
                    rang_at=rang_at,
                    stopped_at=stopped_at,
                )
                kept, picture = event.visit, self._pictures.take(entry, event.visit)
            completed.append(with_picture(event, picture))
            if isinstance(event, Left):
                entry.close()
        return completed


def with_picture(event: Event, picture: VisitPicture | None) -> Event:
    """The event with a picture, where there is one."""
    if picture is None:
        return event
    return replace(event, picture_jpeg=picture.jpeg, picture_faces=picture.faces)
