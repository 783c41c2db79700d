"""The picture that the broker keeps: drawn off the main thread, in a size of its own.

What comes is clean and says who is in it. What is published has boxes and names; it is published
once, and again only if it has changed. Whoever is forgotten goes from what the broker keeps at
once, and the picture comes back without them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from doorbell.config import MqttSection
from doorbell.domain import VisitPicture
from doorbell.imaging.visit_picture import cover_faces, draw_picture, is_drawn_as_it_is
from doorbell.outputs.mqtt.connection import BrokerConnection
from doorbell.outputs.mqtt.gallery_view import FacesNow, gone_among, of_visit
from doorbell.outputs.mqtt.image_record import ImageRecord, ShownPicture
from doorbell.outputs.mqtt.messages import EventSubject
from doorbell.outputs.mqtt.retained import RetainedMessages
from doorbell.outputs.worker import Worker
from doorbell.status import VisitsForgotten

# More of them are waiting after an outage only, and only the last one stays to be seen.
PICTURES_WAITING = 8
CLOSE_SECONDS = 0.5

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Show:
    """A picture to be drawn and published, and how many were forgotten before it came."""

    picture: VisitPicture
    subject: EventSubject
    after: int


@dataclass(frozen=True, slots=True)
class _Then:
    """What follows the pictures before it."""

    do: Callable[[], None]


class RetainedImage:
    """The last picture, as the broker shows it; from any thread.

    Args:
        section: ``[mqtt]``: size and quality.
        connection: whose lock is held wherever what is shown changes.
        retained: what publishes it, and keeps it.
        record: who is in what the broker keeps, for the next run.
    """

    def __init__(
        self,
        section: MqttSection,
        connection: BrokerConnection,
        retained: RetainedMessages,
        record: ImageRecord,
    ) -> None:
        self._section = section
        self._connection = connection
        self._retained = retained
        self._record = record
        shown = record.read()  # by an earlier run
        # The last two: the broker may have been gone before it had the last.
        self._shown: deque[ShownPicture] = deque(shown or (), maxlen=2)
        self._current: tuple[VisitPicture, EventSubject] | None = None
        self._forgotten: list[VisitsForgotten] = []
        self._jobs: deque[_Show | _Then] = deque()
        self._fault_said = False
        if shown == ():
            retained.hide_picture()
        self._worker = Worker[None](
            "mqtt-image", self._work, capacity=PICTURES_WAITING, must_be_done=(type(None),)
        )

    def show(self, picture: VisitPicture, subject: EventSubject) -> None:
        """Publish the picture of an event, once it is drawn."""
        with self._connection.lock:
            job = _Show(picture, subject, len(self._forgotten))
            if not self._jobs and is_drawn_as_it_is(picture, self._section.image_width):
                self._publish(job, picture, picture.jpeg)
            else:
                self._submit(job)

    def then(self, do: Callable[[], None]) -> None:
        """Do something once the pictures that came before are published; at once if they are."""
        with self._connection.lock:
            if self._jobs:
                self._submit(_Then(do))
            else:
                do()

    def forget(self, forgotten: VisitsForgotten) -> None:
        """Take back what shows whoever was forgotten, and publish it anew without them."""
        with self._connection.lock:
            self._forgotten.append(forgotten)
            if any(each.may_show(forgotten) for each in self._shown):
                self._hide()
                if self._current is not None:
                    picture, subject = self._current
                    self._current = None
                    self._submit(_Show(picture, subject, len(self._forgotten) - 1))

    def follow(self, faces_now: FacesNow, *, anybody_gone: bool) -> None:
        """Show the names of now, and nobody who was forgotten; not under the lock.

        Args:
            faces_now: asks the gallery, in its own time.
            anybody_gone: whether somebody was forgotten: it may be whoever nobody can tell.
        """
        with self._connection.lock:
            current = self._current
            drawn = [(job.picture, job.subject) for job in self._jobs if isinstance(job, _Show)]
            pictures = drawn if current is None else [*drawn, current]
            shown = [ShownPicture.of(each, subject.visit_id) for each, subject in pictures]
            if current is None:
                shown += self._shown  # by an earlier run
        faces = [face for picture, _ in pictures for face in picture.faces or ()]
        visits = {visit for each in shown for visit in (each.visit_id, *each.visit_ids) if visit}
        found = gone_among([*faces, *map(of_visit, sorted(visits))], faces_now)
        gone = {visit_id for visit_id, _ in found if visit_id is not None}
        beside = {each.visit_id for each in shown if each.has_others} if anybody_gone else set()
        if gone or beside:
            visit_ids = tuple(sorted(visit_id for visit_id in beside if visit_id is not None))
            self.forget(VisitsForgotten(tuple(sorted(gone)), visit_ids))
        elif current is not None:
            self._name_anew(current, faces_now)

    def close(self) -> None:
        """Publish what waits, for a moment; idempotent, not under the lock."""
        self._worker.close(CLOSE_SECONDS)

    def _name_anew(self, current: tuple[VisitPicture, EventSubject], faces_now: FacesNow) -> None:
        picture, subject = current
        faces = faces_now(picture.faces or ())
        with self._connection.lock:
            if self._current is current and faces != (picture.faces or ()):
                self._current = (replace(picture, faces=faces), subject)
                self._submit(_Show(*self._current, len(self._forgotten)))

    def _submit(self, job: _Show | _Then) -> None:
        """Under the lock. Of too many pictures the oldest go, but for the one in hand."""
        self._jobs.append(job)
        pictures = [
            place for place, each in enumerate(self._jobs) if place and isinstance(each, _Show)
        ]
        if len(pictures) > PICTURES_WAITING:
            del self._jobs[pictures[0]]
        self._worker.submit(None)

    def _work(self, _: None) -> None:
        with self._connection.lock:
            job = self._jobs[0] if self._jobs else None
        if job is None:
            return
        try:
            if isinstance(job, _Show):
                self._draw(job)
        except Exception:
            level = logging.DEBUG if self._fault_said else logging.ERROR
            self._fault_said = True
            log.log(level, "a defect in the picture for the broker", exc_info=True)
        with self._connection.lock:
            self._jobs.popleft()
            if isinstance(job, _Then):
                job.do()

    def _draw(self, job: _Show) -> None:
        while True:
            forgotten = self._forgotten[job.after :]
            picture = _without(job, forgotten)
            if picture is None:
                return
            named = self._retained.with_names_of_now(picture)
            jpeg = draw_picture(
                named, width=self._section.image_width, quality=self._section.image_quality
            )
            with self._connection.lock:
                if len(self._forgotten) == job.after + len(forgotten):
                    self._publish(job, named, jpeg)
                    return

    def _publish(self, job: _Show, picture: VisitPicture, jpeg: bytes) -> None:
        """Under the lock; the next run learns first who is in it."""
        self._current = (picture, job.subject)
        shown = ShownPicture.of(picture, job.subject.visit_id)
        if not self._shown or shown != self._shown[-1]:
            self._shown.append(shown)
            self._record.write(self._shown)
        self._retained.show_picture(jpeg, job.subject)

    def _hide(self) -> None:
        self._shown.clear()
        self._record.write(())
        self._retained.hide_picture()


def _without(job: _Show, forgotten: list[VisitsForgotten]) -> VisitPicture | None:
    """A picture without whoever was forgotten since it came; None where nothing can be shown."""
    picture: VisitPicture | None = job.picture
    visit_id = job.subject.visit_id
    for each in forgotten:
        if picture is None or visit_id in each.visit_ids:
            return None
        is_beside = visit_id is None or visit_id in each.beside
        if picture.faces is None and not is_beside:
            continue
        picture = cover_faces(
            picture,
            lambda face, gone=each.visit_ids, beside=is_beside: (  # type: ignore[misc]
                face.visit_id in gone or (beside and not face.is_certain)
            ),
        )
    return picture
