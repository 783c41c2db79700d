"""Photos that were examined and wait for somebody to be enrolled by them; in memory alone.

What is said of a face has a reason of one word, by which a page can say it in its own language:
``picture`` (it is none), ``no_face``, ``several``, ``crowd``, ``size``, ``blur``, ``pose``,
``light``, ``same_person`` (unlike the person's other pictures), ``nobody_else`` (like somebody
else); empty where nothing is wrong.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from doorbell.errors import EnrollmentError, UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment_checks import Check
from doorbell.household.examination import NO_FACE
from doorbell.household.photo_messages import SeenPhoto
from doorbell.household.registration import Candidate, EnrollmentReport, Registrar, praise
from doorbell.pipeline.turning import MAX_FACES
from doorbell.recognition.embedder import SFACE_ID

MOST_PHOTOS = 20
KEPT_SECONDS = 600.0


@dataclass(frozen=True, eq=False, slots=True)
class StoredPhoto:
    """An examined photo.

    Attributes:
        photo_id: by which it is asked for.
        digest: of its file, in hexadecimal.
        seen: what is in it.
    """

    photo_id: str
    digest: str
    seen: SeenPhoto


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a photo, or of one face in it.

    Attributes:
        accepted: whether it would be enrolled.
        message: what is told.
        hint: what to do about it; may be empty.
        reason: see above.
        who: whom it looks like, where that is the reason.
        checks: what was looked at.
    """

    accepted: bool
    message: str
    hint: str = ""
    reason: str = ""
    who: str | None = None
    checks: tuple[Check, ...] = ()


class PhotoStore:
    """The last photos, for some minutes; any thread.

    Args:
        now: seconds of a clock that only goes forward.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._photos: dict[str, tuple[float, StoredPhoto]] = {}

    def put(self, content: bytes, seen: SeenPhoto) -> StoredPhoto:
        """Keep what was seen in a photo; of too many the oldest goes."""
        photo = StoredPhoto(secrets.token_hex(16), hashlib.sha256(content).hexdigest(), seen)
        with self._lock:
            self._drop_old()
            while len(self._photos) >= MOST_PHOTOS:
                del self._photos[next(iter(self._photos))]
            self._photos[photo.photo_id] = (self._now(), photo)
        return photo

    def get(self, photo_id: str) -> StoredPhoto:
        """A photo.

        Raises:
            UsageError: it is not there, or no more.
        """
        with self._lock:
            self._drop_old()
            if photo_id not in self._photos:
                raise UsageError("that photo is not kept any more; choose it once more")
            return self._photos[photo_id][1]

    def drop(self, photo_ids: Sequence[str]) -> None:
        """Keep some no longer."""
        with self._lock:
            for photo_id in photo_ids:
                self._photos.pop(photo_id, None)

    def _drop_old(self) -> None:
        oldest = self._now() - KEPT_SECONDS
        self._photos = {k: each for k, each in self._photos.items() if each[0] > oldest}


def judge_faces(gallery: Gallery, name: str, photo: StoredPhoto) -> list[Verdict]:
    """What is to be said of each face of a photo.

    Args:
        gallery: of everybody known.
        name: of who is to be enrolled, new or known; may be empty.
        photo: theirs.
    """
    registrar, verdicts = Registrar(gallery, SFACE_ID), []
    for place in range(len(photo.seen.photo.faces)):
        candidate = candidate_of(photo, place)
        registrar.check(name, candidate)
        if name and candidate.problem is None:
            registrar.compare_with_own(name, [candidate])
        verdicts.append(_verdict(candidate))
    return verdicts


def judge_photo(photo: StoredPhoto, faces: Sequence[Verdict]) -> Verdict:
    """What is to be said of a whole photo."""
    found = photo.seen.photo.found
    if found > MAX_FACES:
        return Verdict(False, f"{found} faces found", "cut the photo to the one to enroll", "crowd")
    if not faces:
        message, _, hint = NO_FACE.partition("; ")
        return Verdict(False, message, hint, "no_face")
    if len(faces) > 1:
        return Verdict(False, f"{len(faces)} faces found", "choose the one to enroll", "several")
    return faces[0]


def judge_refused(error: EnrollmentError) -> Verdict:
    """What is to be said of a file in which nothing can be looked for."""
    message, _, hint = str(error).partition("; ")
    return Verdict(False, message, hint, "picture")


def enroll_stored(
    gallery: Gallery, name: str, chosen: Sequence[tuple[StoredPhoto, int]], *, force: bool
) -> tuple[EnrollmentReport, list[Verdict]]:
    """Enroll somebody by faces of photos.

    Args:
        gallery: where they are enrolled.
        name: of them, new or known.
        chosen: photos, and the number of the face in each.
        force: take poor pictures too, and a face that looks like somebody else's.

    Returns:
        What became of it, and one verdict for each.

    Raises:
        UsageError: a photo has no such face, or comes twice.
        InvalidNameError: the name cannot be stored.
    """
    if len({photo.digest for photo, _ in chosen}) < len(chosen):
        raise UsageError("one photo was chosen twice: choose one face of each")
    candidates = [candidate_of(photo, face) for photo, face in chosen]
    report = Registrar(gallery, SFACE_ID).enroll(name, candidates, force=force)
    verdicts = []
    for candidate, result in zip(candidates, report.results, strict=True):
        judged = _verdict(candidate)
        is_refused = not result.accepted and candidate.problem is not None
        verdicts.append(
            judged
            if is_refused
            else Verdict(result.accepted, result.message, result.hint, checks=result.checks)
        )
    return report, verdicts


def candidate_of(photo: StoredPhoto, face: int) -> Candidate:
    """One face of a photo, to be checked.

    Raises:
        UsageError: it has no such face.
    """
    faces = photo.seen.photo.faces
    if not 0 <= face < len(faces):
        raise UsageError(f"that photo has no face {face + 1}")
    turned = photo.seen.photo.turned_degrees
    return Candidate(photo.photo_id, photo.digest, faces[face], "the face", turned)


def _verdict(candidate: Candidate) -> Verdict:
    problem, checks = candidate.problem, tuple(candidate.checks)
    if problem is None:
        return Verdict(True, praise(candidate), checks=checks)
    return Verdict(False, problem.problem, problem.hint, problem.name, problem.who, checks)
