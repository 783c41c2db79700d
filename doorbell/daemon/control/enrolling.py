"""Enrolling from elsewhere than the command line: by phone, and at the door's camera; portraits.

Photos are looked at by a process of its own (``household.photo_worker``); here nothing is decoded
that came from outside. What was examined waits in memory.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from doorbell.config import Config
from doorbell.control import requests
from doorbell.control.client import FrameStream
from doorbell.control.wire import Document, send
from doorbell.daemon.control.documents import person_document, verdict_document
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.control.output import ControlOutput
from doorbell.daemon.control.server import Answer
from doorbell.domain import Frame
from doorbell.errors import DoorbellError, EnrollmentError, RefusedError, UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.names import clean_consent, clean_name
from doorbell.household.enrollment_strength import GUIDANCE, Strength
from doorbell.household.listing import known_person
from doorbell.household.photo_messages import PREVIEW_PIXELS, Seen, SeenPhoto
from doorbell.household.photo_store import (
    PhotoStore,
    StoredPhoto,
    Verdict,
    enroll_stored,
    judge_faces,
    judge_photo,
    judge_refused,
)
from doorbell.household.photo_worker import PhotoWorker
from doorbell.household.portraits import portrait_of_photo, portrait_of_visit
from doorbell.household.registration import EnrollmentReport, Registrar
from doorbell.imaging.portrait import smaller_portrait
from doorbell.recognition.embedder import SFACE_ID

log = logging.getLogger(__name__)

FRAMES_PER_SECOND = 6.0
# Whoever follows hears something as often as this: so it is noticed when they have gone.
TELL_SECONDS = 1.0

OCCUPIED = "somebody is being enrolled at the door already; wait a moment"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the door is watched, and for how long a camera may give no frame, in seconds.

    The first is long enough to walk there, be told five poses and take them.
    """

    watch_seconds: float = 60.0
    frame_seconds: float = 10.0


class EnrollingRequests:
    """Answers what is asked about photos, portraits and enrolling at the door.

    Args:
        config: of the doorbell.
        executor: reads and changes the gallery.
        output: hands out the camera's frames.
        worker: makes what looks at pictures.
        patience: at the door.
    """

    def __init__(
        self,
        config: Config,
        executor: GalleryExecutor,
        output: ControlOutput,
        worker: Callable[[Config], PhotoWorker] = PhotoWorker,
        patience: Patience = Patience(),
    ) -> None:
        self._patience = patience
        self._storage = config.storage
        self._executor = executor
        self._output = output
        self._photos = worker(config)
        self._door = worker(config)
        self._photo_store = PhotoStore()
        self._at_the_door = threading.Lock()

    def close(self) -> None:
        """End what looks at pictures; idempotent."""
        self._photos.close()
        self._door.close()

    def prepare(self, _request: requests.PreparePhotos) -> Answer:
        """Get ready to look at photos."""
        self._photos.prepare()
        return Answer()

    def look_at(self, content: bytes) -> SeenPhoto:
        """Look at a photo that is not to be enrolled by; nothing of it is kept.

        Raises:
            EnrollmentError: as ``PhotoWorker.examine``.
        """
        return self._photos.examine(content)

    def examine(self, request: requests.ExaminePhoto, content: bytes) -> Answer:
        """Say what is to be said of a photo."""
        try:
            photo = self._photo_store.put(content, self.look_at(content))
        except EnrollmentError as exc:
            told = verdict_document(judge_refused(exc))
            return Answer({"photo_id": None, "width": None, "height": None, "faces": [], **told})

        def judged(gallery: Gallery) -> Answer:
            name = _name(gallery, request.name, request.person_id, may_be_missing=True)
            return Answer(_photo_document(photo, judge_faces(gallery, name, photo)))

        return self._executor.run(judged)

    def preview(self, request: requests.PhotoPreview) -> Answer:
        """Show a photo."""
        previews = self._photo_store.get(request.photo_id).seen.previews
        widest = request.max_width or PREVIEW_PIXELS[0]
        fitting = [
            jpeg for side, jpeg in zip(PREVIEW_PIXELS, previews, strict=False) if side <= widest
        ]
        return Answer({"type": "image/jpeg"}, (fitting or previews[-1:])[0])

    def enroll(self, request: requests.EnrollPhotos) -> Answer:
        """Enroll by examined photos."""
        chosen = [(self._photo_store.get(each.photo_id), each.face) for each in request.photos]
        if not chosen:
            raise UsageError("no photo was chosen")
        picked = request.portrait
        portrait = None
        if picked is not None:
            portrait = portrait_of_photo(self._photo_store.get(picked.photo_id), picked.face)
        consent = None if request.consent is None else clean_consent(request.consent)

        def enrolled(gallery: Gallery) -> Answer:
            name = _name(gallery, request.name, request.person_id)
            if portrait is not None and consent is None and not _has_agreed(gallery, name):
                raise UsageError("a portrait takes a consent: note it too")
            report, verdicts = enroll_stored(gallery, name, chosen, force=request.force)
            results = [
                {"photo_id": photo.photo_id, "face": face, **verdict_document(verdict)}
                for (photo, face), verdict in zip(chosen, verdicts, strict=True)
            ]
            return Answer(_finished(gallery, report, consent, results, portrait))

        answer = self._executor.run(enrolled)
        if answer.document["person"] is not None:
            self._photo_store.drop([each.photo_id for each in request.photos])
        return answer

    def at_the_door(self, request: requests.EnrollAtDoor) -> Answer:
        """Enroll whoever stands before the camera, telling what is still to be seen."""
        consent = None if request.consent is None else clean_consent(request.consent)
        name = self._executor.read(lambda gallery: _name(gallery, request.name, request.person_id))

        def follow(peer: socket.socket) -> None:
            with suppress(OSError):  # whoever asked has gone: nobody is enrolled
                if not self._at_the_door.acquire(blocking=False):
                    send(peer, {"event": "failed", "error": OCCUPIED})
                    return
                try:
                    self._follow(peer, name, consent, request.door_id)
                finally:
                    self._at_the_door.release()

        return Answer(more=follow)

    def portrait(self, request: requests.GetPortrait) -> Answer:
        """Show a portrait."""
        jpeg = self._executor.run(lambda gallery: gallery.portraits.of(request.person_id))
        if jpeg is None:
            raise RefusedError("there is no portrait of that person", "not_found")
        width = request.max_width
        shown = jpeg if width is None else smaller_portrait(jpeg, width)
        return Answer({"type": "image/jpeg"}, shown)

    def choose_portrait(self, request: requests.ChoosePortrait) -> Answer:
        """Give somebody a portrait."""
        if (request.visit is None) == (request.photo_id is None):
            raise UsageError("a portrait is of a visit or of a photo: give one of them")
        photo = None if request.photo_id is None else self._photo_store.get(request.photo_id)

        def chosen(gallery: Gallery) -> Answer:
            person = gallery.people.by_id(request.person_id)
            jpeg = (
                portrait_of_visit(gallery, person.person_id, request.visit or "", self._storage)
                if photo is None
                else portrait_of_photo(photo, request.face)
            )
            gallery.portraits.choose(person.person_id, jpeg, time.time())
            return Answer({"summary": f"{person.name} has a new portrait"})

        return self._executor.run(chosen)

    def delete_portrait(self, request: requests.DeletePortrait) -> Answer:
        """Delete somebody's portrait."""

        def deleted(gallery: Gallery) -> Answer:
            name = gallery.people.by_id(request.person_id).name
            if not gallery.portraits.delete(request.person_id):
                raise RefusedError(f"there is no portrait of {name}", "not_found")
            return Answer({"summary": f"the portrait of {name} is deleted"})

        return self._executor.run(deleted)

    def _follow(
        self, peer: socket.socket, name: str, consent: str | None, door_id: str | None
    ) -> None:
        try:
            seen = self._door.watch()
            told, told_at = None, 0.0
            for frame in self._frames(door_id):
                if seen != told or time.monotonic() > told_at + TELL_SECONDS:
                    send(peer, _pose(seen))
                    told, told_at = seen, time.monotonic()
                if not seen.missing:
                    break
                seen = self._door.add(frame)
            if seen != told:
                send(peer, _pose(seen))
            watched = self._door.finish("the camera")

            def enrolled(gallery: Gallery) -> Document:
                report = Registrar(gallery, SFACE_ID).enroll_watched(
                    name, watched, source="the camera at the door"
                )
                results = [
                    {"accepted": each.accepted, "message": each.message, "hint": each.hint}
                    for each in report.results
                ]
                return _finished(gallery, report, consent, results)

            send(peer, {"event": "done", **self._executor.run(enrolled)})
        except DoorbellError as exc:
            send(peer, {"event": "failed", "error": str(exc)})

    def _frames(self, door_id: str | None) -> Iterator[Frame]:
        """What the camera sees, the newest each time; some time long."""
        end, count = time.monotonic() + self._patience.watch_seconds, 0
        with self._watching(door_id) as stream:
            while time.monotonic() < end:
                live = stream.next(self._patience.frame_seconds)
                if live is None:
                    raise EnrollmentError("the camera gives no picture; see how the doorbell is")
                yield Frame(live.pixels, live.time_seconds, live.captured_at, count)
                count += 1

    @contextmanager
    def _watching(self, door_id: str | None) -> Iterator[FrameStream]:
        """The frames as who watches at the socket gets them."""
        ours, theirs = socket.socketpair()
        with theirs, FrameStream(ours) as stream:
            gone = self._output.watch(
                theirs,
                None,
                door_id=door_id,
                max_width=None,
                per_second=FRAMES_PER_SECOND,
            )
            try:
                yield stream
            finally:
                self._output.leave(gone)


def _name(
    gallery: Gallery, name: str | None, person_id: int | None, *, may_be_missing: bool = False
) -> str:
    if name is not None and person_id is not None:
        raise UsageError("give either a name or the person_id of somebody enrolled")
    if person_id is not None:
        return gallery.people.by_id(person_id).name
    if name is None and may_be_missing:
        return ""
    return clean_name(name or "")


def _has_agreed(gallery: Gallery, name: str) -> bool:
    return any(
        each.person.name == name and each.consent is not None for each in gallery.people.summaries()
    )


def _finished(
    gallery: Gallery,
    report: EnrollmentReport,
    consent: str | None,
    results: list[Document],
    portrait: bytes | None = None,
) -> Document:
    """Note what came with an enrollment, and describe it."""
    person, strength = report.person, report.strength
    if person is not None and consent is not None:
        gallery.people.note_consent(person.name, consent, time.time())
    if person is not None and portrait is not None:
        gallery.portraits.choose(person.person_id, portrait, time.time())
    return {
        "person": None
        if person is None
        else person_document(
            known_person(gallery, person.name),
            portrait=person.person_id in gallery.portraits.owners(),
        ),
        "added": report.added,
        **_strength_document(strength),
        "results": results,
    }


def _strength_document(strength: Strength | None) -> Document:
    if strength is None:
        return {"strength": None, "missing": []}
    return {"strength": strength.level.value, "missing": list(strength.missing)}


def _photo_document(photo: StoredPhoto, verdicts: list[Verdict]) -> Document:
    seen = photo.seen
    return {
        "photo_id": photo.photo_id,
        "width": seen.width,
        "height": seen.height,
        **verdict_document(judge_photo(photo, verdicts)),
        "faces": [
            {
                "face": place,
                "box": [
                    round(float(edge) / side, 4)
                    for edge, side in zip(
                        face.face.box_xyxy, (seen.width, seen.height) * 2, strict=True
                    )
                ],
                **verdict_document(verdict),
                "checks": {
                    check.name: {"passed": check.passed, "value": round(check.value, 3)}
                    for check in verdict.checks
                },
            }
            for place, (face, verdict) in enumerate(zip(seen.photo.faces, verdicts, strict=True))
        ],
    }


def _pose(seen: Seen) -> Document:
    say = GUIDANCE[seen.missing[0]] if seen.missing else "thank you, that is all"
    return {
        "event": "pose",
        "seen": list(seen.seen),
        "missing": list(seen.missing),
        "say": say,
    }
