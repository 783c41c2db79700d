"""Requests that search for a face: by the picture of one, or by a visit."""

from __future__ import annotations

from collections.abc import Callable

from doorbell.config import RecognitionSection
from doorbell.control import requests
from doorbell.control.wire import Document
from doorbell.daemon.control.documents import alike_document, verdict_document
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.control.server import Answer
from doorbell.daemon.control.visits import VisitRequests
from doorbell.errors import EnrollmentError
from doorbell.gallery.gallery import Gallery
from doorbell.household.face_search import (
    Alike,
    faces_in,
    judge_searched,
    search_face,
    search_visit,
)
from doorbell.household.photo_messages import SeenPhoto
from doorbell.household.photo_store import judge_refused


class SearchRequests:
    """Answers who has come with a face like this.

    Args:
        section: from when on two faces are taken for one.
        executor: reads the gallery.
        visits: describes visits.
        look_at: looks at a photo, in a process of its own.

    Attributes:
        visits: as given.
    """

    def __init__(
        self,
        section: RecognitionSection,
        executor: GalleryExecutor,
        visits: VisitRequests,
        look_at: Callable[[bytes], SeenPhoto],
    ) -> None:
        self._section = section
        self._executor = executor
        self.visits = visits
        self._look_at = look_at

    def by_photo(self, _request: requests.SearchPhoto, content: bytes) -> Answer:
        """By each face of a photo."""
        try:
            photo = self._look_at(content).photo
        except EnrollmentError as exc:
            told = verdict_document(judge_refused(exc))
            return Answer({**told, "every_visit": True, "faces": []})
        verdict = judge_searched(photo)
        faces = faces_in(photo) if verdict.accepted else ()

        def search(gallery: Gallery) -> Answer:
            found = [search_face(gallery, [each.sample], self._section) for each in faces]
            return Answer(
                {
                    **verdict_document(verdict),
                    "every_visit": gallery.sees_every_visit(),
                    "faces": [{"alike": self._documents(each)} for each in found],
                }
            )

        return self._executor.read(search)

    def by_visit(self, request: requests.SearchVisits) -> Answer:
        """By the faces that are kept with a visit."""

        def search(gallery: Gallery) -> Answer:
            visit = gallery.visits.get(request.visit)
            has_faces = bool(gallery.visits.samples(request.visit))
            found = search_visit(gallery, request.visit, self._section) if has_faces else ()
            return Answer(
                {
                    "visit": self.visits.document(visit),
                    "has_faces": has_faces,
                    "every_visit": gallery.sees_every_visit(),
                    "alike": self._documents(found),
                }
            )

        return self._executor.read(search)

    def _documents(self, found: tuple[Alike, ...]) -> list[Document]:
        return [alike_document(each, self.visits.document) for each in found]
