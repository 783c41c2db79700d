"""Photos, video or live frames to embeddings to the gallery, by the path that visitors take.

A picture that would teach the gallery something wrong is refused, with the reason and a hint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from doorbell.config import Config
from doorbell.domain import Frame
from doorbell.errors import EnrollmentError
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment_strength import Coverage
from doorbell.household.enrollment_watch import EnrollmentWatch
from doorbell.household.examination import box_text, examine_photo
from doorbell.household.registration import (
    Candidate,
    EnrollmentReport,
    PictureResult,
    Registrar,
)
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.pipeline.perception import Perception

# Of a video at most so much is looked at: ten minutes at 30 frames a second.
MAX_FRAMES = 18_000


class Enroller:
    """Teaches the gallery people."""

    def __init__(self, perception: Perception, gallery: Gallery, config: Config) -> None:
        self._perception = perception
        self._registrar = Registrar(gallery, perception.model_id)
        self._config = config

    def enroll_photos(
        self, name: str, paths: Sequence[Path], *, force: bool = False
    ) -> EnrollmentReport:
        """Enroll a person from photos; the good ones are stored together, the others refused.

        Args:
            name: of the person, new or known.
            paths: picture files.
            force: take small, blurred, turned or dark faces too, and those that look like another
                person. No face and several faces are refused all the same.

        Raises:
            InvalidNameError: the name cannot be stored.
            GalleryError: the gallery cannot be written.
        """
        results: dict[int, PictureResult] = {}
        photos: dict[int, Candidate] = {}
        for place, path in enumerate(paths):
            try:
                photo = self._read(path)
            except EnrollmentError as exc:
                message, _, hint = str(exc).partition("; ")
                results[place] = PictureResult(str(path), False, message, hint)
                continue
            first = next((p for p in photos.values() if p.digest == photo.digest), None)
            if first is not None:
                message = f"the same photo as {first.source}"
                results[place] = PictureResult(str(path), False, message)
                continue
            photos[place] = photo
        report = self._registrar.enroll(name, list(photos.values()), force=force)
        results.update(zip(photos, report.results, strict=True))
        return EnrollmentReport(
            report.person,
            report.added,
            tuple(results[place] for place in sorted(results)),
            report.strength,
        )

    def enroll_frames(
        self,
        name: str,
        frames: Iterable[Frame],
        *,
        source: str,
        force: bool = False,
        coverage: Coverage | None = None,
    ) -> EnrollmentReport:
        """Enroll the main person of a video or of the live camera.

        The main person is the face seen largest and longest; the samples kept differ from each
        other, so that several poses are known.

        Args:
            name: of the person, new or known.
            frames: in order of time; at most ``MAX_FRAMES`` are looked at.
            source: what they come from, for messages.
            force: enroll somebody who looks like another person, or unlike the person's own
                pictures, too.
            coverage: told of each usable frame of the main person as it comes, for who guides.

        Raises:
            EnrollmentError: no face was usable, or it looks like another person's.
            InvalidNameError: the name cannot be stored.
        """
        watch = EnrollmentWatch(self._perception, self._config, coverage)
        for frame in islice(frames, MAX_FRAMES):
            watch.add(frame)
        return self._registrar.enroll_watched(
            name, watch.finish(source), source=source, force=force
        )

    def _read(self, path: Path) -> Candidate:
        """Find the one face of a photo.

        Raises:
            EnrollmentError: the file is no picture, or it shows no face or several.
        """
        content = read_photo(path)
        photo = examine_photo(self._perception, decode_photo(content, str(path)))
        face = photo.only_face()
        return Candidate(
            str(path),
            hashlib.sha256(content).hexdigest(),
            face,
            f"the face at {box_text(face.face)}",
            photo.turned_degrees,
        )
