"""Requests that read visits: lists, one with its picture, and who is likely to have come."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from doorbell.config import StorageSection
from doorbell.control import requests
from doorbell.control.wire import Document
from doorbell.daemon.control.documents import face_document, visit_document, visitor_document
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.control.server import Answer
from doorbell.domain import (
    Person,
    Stranger,
    UInt8Array,
    Visit,
    Visitor,
    VisitPicture,
)
from doorbell.errors import RefusedError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.visits import VisitorKind
from doorbell.household.doors import stored_as, with_door
from doorbell.household.visit_pictures import (
    as_known_now,
    has_picture,
    own_faces,
    read_picture_of,
)
from doorbell.imaging.annotation import encode_jpeg
from doorbell.imaging.fitting import fit_width
from doorbell.imaging.visit_picture import decode_jpeg
from doorbell.recognition.templates import directions
from doorbell.storage.encryption import Cipher, open_cipher

# People to choose from for who came, the likeliest first.
LIKELY = 6
# Cards of visitors whom somebody should name.
WAITING, WAITING_DAYS = 20, 7
# What is looked through for one day, and for those cards.
LOOKED_THROUGH = 1000
# How much of a picture is shown around a face, in widths of the face on each side.
FACE_MARGIN = 0.6
JPEG_QUALITY = 85
SECONDS_PER_DAY = 86400.0


class VisitRequests:
    """Answers what is asked of visits.

    Args:
        storage: where pictures are, and their key.
        executor: reads the gallery.
        now: wall time, seconds since the epoch.
        first_door_id: where visits were that an earlier doorbell has stored without a door.
    """

    def __init__(
        self,
        storage: StorageSection,
        executor: GalleryExecutor,
        now: Callable[[], float],
        first_door_id: str = "",
    ) -> None:
        self._first_door_id = first_door_id
        self._storage = storage
        self._executor = executor
        self._now = now
        self._cipher: Cipher = open_cipher(storage.key_file)

    def listed(self, request: requests.ListVisits) -> Answer:
        """Visits, newest first."""
        return self._executor.read(lambda gallery: self._list(gallery, request))

    def today(self, request: requests.Today) -> Answer:
        """Who came, by visitor, and whom somebody should name."""
        return self._executor.read(lambda gallery: self._today(gallery, request))

    def get(self, request: requests.GetVisit) -> Answer:
        """One visit."""
        return self._executor.read(lambda gallery: self._get(gallery, request.visit))

    def picture(self, request: requests.VisitPicture) -> Answer:
        """Its picture."""
        picture = self._executor.read(lambda gallery: self._picture(gallery, request.visit))
        if picture is None:
            raise RefusedError("no picture of this visit is kept", "not_found")
        pixels = decode_jpeg(picture.jpeg)
        if pixels is None:
            raise RefusedError("the picture of this visit is damaged", "failed")
        own = own_faces(picture, request.visit) if request.crop == "face" else []
        if own:
            pixels = _around(pixels, own[0].box_xyxy)
        elif pixels.shape[1] <= request.max_width and request.crop == "whole":
            return Answer({"type": "image/jpeg"}, picture.jpeg)
        return Answer(
            {"type": "image/jpeg"}, encode_jpeg(fit_width(pixels, request.max_width), JPEG_QUALITY)
        )

    def document(self, visit: Visit) -> Document:
        """The document of a visit."""
        visit = with_door(visit, self._first_door_id)
        return visit_document(visit, lambda visit_id: has_picture(visit_id, self._storage))

    def likely(self, gallery: Gallery, visit_id: str) -> list[Document]:
        """Everybody enrolled, the most alike first; without faces of the visit as they come."""
        samples = gallery.visits.samples(visit_id)
        if not samples:
            people = gallery.people.all()[:LIKELY]
            return [_likely_document(person, None) for person in people]
        mean = np.sum([sample.embedding * sample.quality for sample in samples], axis=0)  # (128,)
        signature = directions(np.asarray(mean, np.float32))
        templates = gallery.templates_like(samples[0].model_id, signature, people=LIKELY)
        return [
            _likely_document(person, similarity)
            for person, similarity in templates.people_like(signature, LIKELY)
        ]

    def _list(self, gallery: Gallery, request: requests.ListVisits) -> Answer:
        name = None
        if request.person_id is not None:
            name = gallery.people.by_id(request.person_id).name
        found = gallery.visits.newest(
            request.limit + 1,
            since=None if request.since is None else request.since.timestamp(),
            until=None if request.until is None else request.until.timestamp(),
            before=request.before,
            name=name,
            stranger_id=request.stranger_id,
            kind=request.kind,
            doors=self._doors(request.door_id),
        )
        more = found[request.limit - 1].visit_id if len(found) > request.limit else None
        listed = [self.document(visit) for visit in found[: request.limit]]
        return Answer({"visits": listed, "more": more})

    def _today(self, gallery: Gallery, request: requests.Today) -> Answer:
        visitors: dict[tuple[str, int | str], Document] = {}
        doors, since = self._doors(request.door_id), request.since.timestamp()
        for visit in gallery.visits.newest(LOOKED_THROUGH, since=since, doors=doors):
            document = self.document(visit)
            entry = visitors.setdefault(
                _who(visit),
                {
                    "visitor": visitor_document(visit.visitor),
                    "visits": 0,
                    "last_at": document["started_at"],
                    "visit_id": visit.visit_id,
                    "has_picture": document["has_picture"],
                },
            )
            entry["visits"] += 1
        waiting = self._waiting(gallery, doors)
        return Answer({"visitors": list(visitors.values()), "waiting": waiting})

    def _doors(self, door_id: str | None) -> tuple[str, ...] | None:
        return None if door_id is None else stored_as(door_id, self._first_door_id)

    def _waiting(self, gallery: Gallery, doors: tuple[str, ...] | None) -> list[Document]:
        """The newest visit of each stranger who is not ignored, and of nobody at all."""
        since = self._now() - WAITING_DAYS * SECONDS_PER_DAY
        found: dict[tuple[str, int | str], Document] = {}
        kinds: tuple[VisitorKind, ...] = ("stranger", "undecided")
        for kind in kinds:
            for visit in gallery.visits.newest(
                LOOKED_THROUGH // 5, since=since, kind=kind, doors=doors
            ):
                ignored = visit.visitor is not None and visit.visitor.ignored
                if not ignored and not (kind == "undecided" and visit.corrected):
                    found.setdefault(_who(visit), self.document(visit))
        newest_first = sorted(
            found.values(), key=lambda each: str(each["started_at"]), reverse=True
        )
        waiting = newest_first[:WAITING]
        for document in waiting:
            document["likely"] = self.likely(gallery, document["visit_id"])
        return waiting

    def _get(self, gallery: Gallery, visit_id: str) -> Answer:
        visit = gallery.visits.get(visit_id)
        picture = self._picture(gallery, visit_id)
        return Answer(
            {
                "visit": self.document(visit),
                "picture": None if picture is None else _picture_document(picture),
                "likely": self.likely(gallery, visit_id),
            }
        )

    def _picture(self, gallery: Gallery, visit_id: str) -> VisitPicture | None:
        picture = read_picture_of(visit_id, self._storage, self._cipher)
        return None if picture is None else as_known_now(gallery, picture, self._storage)


def _likely_document(person: Person, similarity: float | None) -> Document:
    return {
        "person_id": person.person_id,
        "name": person.name,
        "similarity": None if similarity is None else round(similarity, 3),
    }


def _who(visit: Visit) -> tuple[str, int | str]:
    """What visits of one visitor are grouped by."""
    who: Visitor | None = visit.visitor
    match who:
        case Person(person_id=number):
            return "person", number
        case Stranger(stranger_id=number):
            return "stranger", number
        case None:
            return "visit", visit.visit_id


def _picture_document(picture: VisitPicture) -> Document | None:
    pixels = decode_jpeg(picture.jpeg)
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    faces = [face for face in picture.faces or () if face.is_drawn]
    return {
        "width": width,
        "height": height,
        "faces": [face_document(face, width, height) for face in faces],
    }


def _around(pixels: UInt8Array, box: tuple[float, float, float, float]) -> UInt8Array:
    """A square around a face, as far as the picture goes."""
    left, top, right, bottom = box
    half = (0.5 + FACE_MARGIN) * max(right - left, bottom - top)
    x, y = (left + right) / 2.0, (top + bottom) / 2.0
    height, width = pixels.shape[:2]
    first, last = max(round(x - half), 0), min(round(x + half), width)
    upper, lower = max(round(y - half), 0), min(round(y + half), height)
    return pixels[upper:lower, first:last]
