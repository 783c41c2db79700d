"""Photos, video or live frames to embeddings to the gallery, by the path that visitors take.

A picture that would teach the gallery something wrong is refused, with the reason and a hint.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np

from doorbell.config import Config
from doorbell.domain import Face, FaceSample, Float32Array, Frame, Person, UInt8Array
from doorbell.errors import EnrollmentError, UnknownPersonError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.names import name_key
from doorbell.gallery.records import EnrolledSample
from doorbell.household.enrollment_checks import (
    Check,
    check_others,
    check_quality,
    check_same_person,
    likeness_to_own,
)
from doorbell.household.enrollment_samples import SeenTrack, distinct
from doorbell.household.enrollment_strength import Coverage, Strength, strength
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.pipeline.perception import FaceCrop, Perception
from doorbell.pipeline.tracking import Tracker
from doorbell.pipeline.turning import MAX_FACES, TURNED_MARGIN, UPRIGHT_QUALITY, find_upright
from doorbell.recognition.quality import Quality
from doorbell.recognition.templates import no_embeddings

# What the detector is less sure of than this beside a surer face is no second person. Measured
# 2026-11-22 on outdoor photographs: nineteen in twenty mistakes score below 0.72.
SURE_SCORE = 0.75

# Of a video, frames are taken whose face the border cuts no further than this, and of these such as
# tell at least so much of what the best one tells.
MIN_IN_FRAME = 0.8
NEAR_BEST = 0.8

# What is said of photos that were enrolled before.
KEPT_ONCE = "this photo was enrolled before and is not stored twice"
COMPLETED = "enrolled before; now also known by it in a hood, in sunglasses and by infrared"

# So many frames of a video whose faces tell little are turned: it may be upside down.
TURNED_FRAMES = 4
# Of a video at most so much is looked at: ten minutes at 30 frames a second.
MAX_FRAMES = 18_000


@dataclass(frozen=True, slots=True)
class PictureResult:
    """What became of one picture.

    Attributes:
        source: file name as the user gave it.
        accepted: whether its face is in the gallery now.
        message: what the user is told.
        hint: what to do about it; empty where nothing is to be done.
        checks: what was looked at; none where there is not exactly one face.
    """

    source: str
    accepted: bool
    message: str
    hint: str = ""
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class EnrollmentReport:
    """The result of one enrollment.

    Attributes:
        person: who; None if every picture was refused.
        added: samples stored.
        results: one per picture, in order.
        strength: how well the person is known now; None if every picture was refused.
    """

    person: Person | None
    added: int
    results: tuple[PictureResult, ...]
    strength: Strength | None = None


@dataclass(frozen=True, eq=False, slots=True)
class _Photo:
    """A photo that shows one face."""

    path: Path
    digest: str
    portrait: FaceCrop
    sample: FaceSample
    checks: list[Check]
    turned_degrees: int = 0

    @property
    def problem(self) -> Check | None:
        """The first check that failed."""
        return next((check for check in self.checks if not check.passed), None)


class Enroller:
    """Teaches the gallery people."""

    def __init__(self, perception: Perception, gallery: Gallery, config: Config) -> None:
        self._perception = perception
        self._gallery = gallery
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
        photos: dict[int, _Photo] = {}
        for place, path in enumerate(paths):
            try:
                photo = self._read(name, path)
            except EnrollmentError as exc:
                message, _, hint = str(exc).partition("; ")
                results[place] = PictureResult(str(path), False, message, hint)
                continue
            first = next((p for p in photos.values() if p.digest == photo.digest), None)
            if first is not None:
                message = f"the same photo as {first.path}"
                results[place] = PictureResult(str(path), False, message)
                continue
            photos[place] = photo
        self._compare_with_own(name, [p for p in photos.values() if force or p.problem is None])
        for place, photo in photos.items():
            results[place] = _result(photo, force=force)
        chosen = [photos[place] for place in sorted(photos) if results[place].accepted]
        if not chosen:
            return EnrollmentReport(None, 0, tuple(results[place] for place in sorted(results)))
        outcome = self._gallery.people.enroll(
            name,
            [
                EnrolledSample(
                    photo.sample, photo.digest, self._perception.embed_variants(photo.portrait)
                )
                for photo in chosen
            ],
            added_at=time.time(),
        )
        for place, photo in photos.items():
            if results[place].accepted and photo.digest in outcome.duplicates:
                is_completed = photo.digest in outcome.completed
                message = COMPLETED if is_completed else KEPT_ONCE
                results[place] = replace(
                    results[place], accepted=is_completed, message=message, hint=""
                )
        return EnrollmentReport(
            outcome.person,
            outcome.added,
            tuple(results[place] for place in sorted(results)),
            self._strength(outcome.person, [photo.portrait.quality for photo in chosen]),
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
        tracker = Tracker(self._config.tracking)
        seen: dict[int, SeenTrack] = {}
        kept, step = [], 1  # some frames, spread over the video
        digest = hashlib.sha256()  # by which the same video is known when it comes twice
        for place, frame in enumerate(islice(frames, MAX_FRAMES)):
            if place % step == 0:
                kept.append(frame.pixels)
                if len(kept) == 2 * TURNED_FRAMES:
                    kept, step = kept[::2], 2 * step
            digest.update(frame.pixels[::8, ::8].tobytes())
            faces = self._perception.detect(
                frame.pixels, tracker.tracks, device_address=frame.device_address
            )
            tracks = tracker.update(faces, frame.time_seconds)
            for track, face in zip(tracks, faces, strict=True):
                entry = seen.setdefault(track.track_id, SeenTrack())
                entry.area += face.width_pixels * face.height_pixels
                portrait = self._perception.portray(
                    frame.pixels, face, device_address=frame.device_address
                )
                if self._is_usable(portrait):
                    entry.add(portrait)
                    if coverage is not None and entry is max(seen.values(), key=lambda e: e.area):
                        coverage.add(portrait.quality.pose)
        usable, chosen, qualities = 0, [], []
        for entry in sorted(seen.values(), key=lambda e: -e.area):
            usable, chosen = entry.usable, distinct(self._good_samples(entry.spread))
            if chosen:
                qualities = [portrait.quality for portrait in entry.portraits]
                break
        self._refuse_turned(source, kept[:: max(len(kept) // TURNED_FRAMES, 1)], chosen)
        if not chosen:
            raise EnrollmentError(
                f"{source} shows no face good enough to enroll ({len(seen)} seen); "
                "come nearer, face the camera and see to it that light falls on the face"
            )
        if not force:
            self._refuse_mistaken(name, chosen)
        video = digest.hexdigest()
        outcome = self._gallery.people.enroll(
            name,
            [EnrolledSample(sample, f"{video}-{i}") for i, sample in enumerate(chosen)],
            added_at=time.time(),
        )
        message = f"{outcome.added} of {usable} usable frames kept"
        if outcome.duplicates:
            message = f"{len(outcome.duplicates)} frames were enrolled before; {message}"
        return EnrollmentReport(
            outcome.person,
            outcome.added,
            (PictureResult(source, outcome.added > 0, message),),
            self._strength(outcome.person, qualities),
        )

    def _is_usable(self, portrait: FaceCrop) -> bool:
        return (
            portrait.quality.size_pixels >= self._config.recognition.min_face_pixels
            and portrait.quality.in_frame >= MIN_IN_FRAME
            and portrait.face.score >= SURE_SCORE  # else the keypoints tell no pose
        )

    def _good_samples(self, portraits: Sequence[FaceCrop]) -> list[FaceSample]:
        """The samples of one face that are not much worse than its best."""
        found = self._perception.embed(portraits, mirrored=True)
        samples = [sample for sample in found if sample is not None]
        best = max((sample.quality for sample in samples), default=0.0)
        least = max(NEAR_BEST * best, self._config.recognition.min_quality)
        return [sample for sample in samples if sample.quality >= least]

    def _read(self, name: str, path: Path) -> _Photo:
        """Find the one face of a photo and check it by itself.

        Raises:
            EnrollmentError: the file is no picture, or it shows no face or several.
        """
        content = read_photo(path)
        portrait, sample, turned = self._one_face(decode_photo(content, str(path)))
        checks = check_quality(portrait.quality, f"the face at {_box_text(portrait.face)}")
        others = self._check_others(name, sample)
        return _Photo(
            path,
            hashlib.sha256(content).hexdigest(),
            portrait,
            sample,
            checks if others is None else [*checks, others],
            turned,
        )

    def _one_face(self, pixels: UInt8Array) -> tuple[FaceCrop, FaceSample, int]:
        """The face of a photo, and by how many degrees it had to be turned."""
        seen = find_upright(self._perception, pixels)
        if seen.found > MAX_FACES:
            raise EnrollmentError(f"{seen.found} faces found; cut the photo to the one to enroll")
        faces = list(seen.faces)
        if not faces:
            raise EnrollmentError(
                "no face found; take a photo of the face from the front, in even light, "
                "that fills at least a tenth of the picture"
            )
        faces = [pair for pair in faces if pair[0].face.score >= SURE_SCORE] or faces
        if len(faces) > 1:
            boxes = ", ".join(_box_text(portrait.face) for portrait, _ in faces)
            raise EnrollmentError(
                f"{len(faces)} faces found, at {boxes}; cut the photo to the one to enroll"
            )
        return *faces[0], seen.degrees

    def _refuse_turned(
        self, source: str, kept: Sequence[UInt8Array], samples: Sequence[FaceSample]
    ) -> None:
        """Refuse a video that lies on its side or stands on its head."""
        quality = max((sample.quality for sample in samples), default=0.0)
        if quality >= UPRIGHT_QUALITY:
            return
        for pixels in kept:
            seen = find_upright(self._perception, pixels)
            if seen.degrees and seen.quality >= max(quality + TURNED_MARGIN, UPRIGHT_QUALITY):
                how = "is upside down" if seen.degrees == 180 else "lies on its side"
                raise EnrollmentError(
                    f"{source} {how}; turn it by {seen.degrees} degrees clockwise and enroll again"
                )

    def _check_others(self, name: str, sample: FaceSample) -> Check | None:
        templates = self._gallery.templates(self._perception.model_id)
        for person, similarity in templates.people_like(sample.embedding, 2):
            if name_key(person.name) != name_key(name):
                return check_others(similarity, person.name)
        return None

    def _compare_with_own(self, name: str, photos: Sequence[_Photo]) -> None:
        """Add to the checks of photos whether they show one person, the one enrolled if any is."""
        likeness = likeness_to_own([p.sample.embedding for p in photos], self._stored(name))
        for photo, similarity in zip(photos, likeness, strict=True):
            if similarity is not None:
                check = check_same_person(similarity, photo.sample.quality, name)
                photo.checks.append(check)

    def _refuse_mistaken(self, name: str, samples: Sequence[FaceSample]) -> None:
        """Refuse a video of somebody else."""
        checks = [self._check_others(name, sample) for sample in samples]
        stored = self._stored(name)
        if len(stored):
            mean = np.mean([sample.embedding for sample in samples], axis=0)
            [similarity] = likeness_to_own([mean / np.linalg.norm(mean)], stored)
            if similarity is not None:
                quality = median(sample.quality for sample in samples)
                checks.append(check_same_person(similarity, quality, name))
        for check in checks:
            if check is not None and not check.passed:
                raise EnrollmentError(f"{check.problem}; {check.hint}")

    def _stored(self, name: str) -> Float32Array:
        """(n, 128) float32: what the gallery has of the person, if anything."""
        try:
            samples = self._gallery.people.samples(name, self._perception.model_id)
        except UnknownPersonError:
            return no_embeddings()
        return np.array([sample.embedding for sample in samples], np.float32).reshape(-1, 128)

    def _strength(self, person: Person, qualities: Sequence[Quality]) -> Strength:
        return strength(
            self._gallery.people.samples(person.name, self._perception.model_id), qualities
        )


def _result(photo: _Photo, *, force: bool) -> PictureResult:
    source, checks, problem = str(photo.path), tuple(photo.checks), photo.problem
    turned = photo.turned_degrees
    how = f"; turned by {turned} degrees to be upright" if turned else ""
    if problem is None:
        return PictureResult(source, True, _praise(photo) + how, checks=checks)
    if force:
        return PictureResult(source, True, f"forced: {problem.problem}{how}", checks=checks)
    return PictureResult(source, False, problem.problem + how, problem.hint, checks)


def _box_text(face: Face) -> str:
    left, top, right, bottom = (round(float(value)) for value in face.box_xyxy)
    return f"({left}, {top})-({right}, {bottom})"


def _praise(photo: _Photo) -> str:
    size, quality = photo.portrait.quality.size_pixels, photo.sample.quality
    return f"good: {size:.0f} pixels, quality {quality:.2f}"
