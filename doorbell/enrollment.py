"""Photos, video or live frames to embeddings to the gallery, by the path that visitors take.

Enters: pictures and a name. Leaves: samples in the gallery, and for every picture what became of
it. A picture that would teach the gallery something wrong is refused, with the reason and a hint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from doorbell.config import Config
from doorbell.domain import Face, FaceSample, Frame, Person, UInt8Array
from doorbell.errors import EnrollmentError
from doorbell.perception import Perception, Portrait
from doorbell.photos import decode_photo, read_photo
from doorbell.recognition.decision import Centroids
from doorbell.recognition.gallery import Gallery
from doorbell.recognition.gallery_rows import EnrolledSample, name_key
from doorbell.tracking import Tracker

# What the detector is less sure of than this beside a surer face is no second person. Measured
# 2026-11-22 on outdoor photographs: nineteen in twenty mistakes score below 0.72.
SURE_SCORE = 0.75

# Below these a picture is refused unless it is forced. Measured 2026-11-22: of 470 press portraits
# of 250 pixels none has a sharpness below 0.11, and five portraits scaled down to faces 50 pixels
# wide keep 0.21; blurred by 3 % of the width of the face they have 0.076 to 0.109, and their
# similarity to themselves has fallen to 0.73 to 0.79.
MIN_ENROLL_PIXELS = 56
MIN_SHARPNESS = 0.11
MAX_YAW_DEGREES = 34.0
MIN_BRIGHTNESS, MAX_BRIGHTNESS = 25.0, 235.0

# Of a video or the live camera: samples kept, and how alike two of them may be.
KEPT_SAMPLES = 8
TOO_ALIKE = 0.97
# Portraits of one track that are embedded to choose those samples from, spread over its time.
EMBEDDED_PORTRAITS = 40
# A sample this unlike the mean of its own track shows a hand or another face.
OUTLIER_SIMILARITY = 0.6


@dataclass(frozen=True, slots=True)
class PictureResult:
    """What became of one picture.

    Attributes:
        source: file name as the user gave it.
        accepted: whether its face is in the gallery now.
        message: what the user is told.
        hint: what to do about it; empty where nothing is to be done.
    """

    source: str
    accepted: bool
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class EnrollmentReport:
    """The result of one enrollment.

    Attributes:
        person: who; None if every picture was refused.
        added: samples stored.
        results: one per picture, in order.
    """

    person: Person | None
    added: int
    results: tuple[PictureResult, ...]


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
        samples: list[EnrolledSample] = []
        sources: dict[str, str] = {}
        results: list[PictureResult] = []
        for path in paths:
            try:
                content = read_photo(path)
                digest = hashlib.sha256(content).hexdigest()
                portrait, sample = self._judge(decode_photo(content, str(path)), force=force)
                self._compare_with_others(name, sample, force=force)
            except EnrollmentError as exc:
                message, _, hint = str(exc).partition("; ")
                results.append(PictureResult(str(path), False, message, hint))
                continue
            if digest in sources:
                results.append(
                    PictureResult(str(path), False, f"the same photo as {sources[digest]}")
                )
                continue
            sources[digest] = str(path)
            samples.append(EnrolledSample(sample, digest))
            results.append(PictureResult(str(path), True, _praise(portrait)))
        if not samples:
            return EnrollmentReport(None, 0, tuple(results))
        outcome = self._gallery.enroll(name, samples)
        stored_before = {sources[digest] for digest in outcome.duplicates}
        results = [
            PictureResult(r.source, False, "this photo was enrolled before and is not stored twice")
            if r.accepted and r.source in stored_before
            else r
            for r in results
        ]
        return EnrollmentReport(outcome.person, outcome.added, tuple(results))

    def enroll_frames(
        self, name: str, frames: Iterable[Frame], *, source: str, force: bool = False
    ) -> EnrollmentReport:
        """Enroll the main person of a video or of the live camera.

        The main person is the face seen largest and longest; the samples kept differ from each
        other, so that several poses are known.

        Args:
            name: of the person, new or known.
            frames: in order of time.
            source: what they come from, for messages.
            force: enroll somebody who looks like another person too.

        Raises:
            EnrollmentError: no face was usable, or it looks like another person's.
            InvalidNameError: the name cannot be stored.
        """
        tracker = Tracker(self._config.tracking)
        seen: dict[int, _SeenTrack] = {}
        digest = hashlib.sha256()  # by which the same video is known when it comes twice
        for frame in frames:
            digest.update(frame.pixels[::8, ::8].tobytes())
            faces = self._perception.detect(frame.pixels, tracker.tracks)
            for track in tracker.update(faces, frame.time_seconds):
                entry = seen.setdefault(track.track_id, _SeenTrack())
                entry.area += track.face.width_pixels * track.face.height_pixels
                portrait = self._perception.portray(frame.pixels, track.face)
                if self._is_usable(portrait):
                    entry.add(portrait)
        usable, chosen = 0, []
        for entry in sorted(seen.values(), key=lambda e: -e.area):
            usable, chosen = entry.usable, _distinct(self._embed_some(entry.portraits))
            if chosen:
                break
        if not chosen:
            raise EnrollmentError(
                f"{source} shows no face good enough to enroll ({len(seen)} seen); "
                "come nearer, face the camera and see to it that light falls on the face"
            )
        for sample in chosen:
            self._compare_with_others(name, sample, force=force)
        video = digest.hexdigest()
        outcome = self._gallery.enroll(
            name, [EnrolledSample(sample, f"{video}-{i}") for i, sample in enumerate(chosen)]
        )
        message = f"{outcome.added} of {usable} usable frames kept"
        if outcome.duplicates:
            message = f"{len(outcome.duplicates)} frames were enrolled before; {message}"
        return EnrollmentReport(
            outcome.person, outcome.added, (PictureResult(source, outcome.added > 0, message),)
        )

    def _is_usable(self, portrait: Portrait) -> bool:
        return (
            portrait.quality.size_pixels >= self._config.recognition.min_face_pixels
            and portrait.quality.value >= self._config.recognition.min_quality
        )

    def _embed_some(self, portraits: Sequence[Portrait]) -> list[FaceSample]:
        """Embed at most some of the portraits, spread over all."""
        picked = portraits[:: max(len(portraits) // EMBEDDED_PORTRAITS, 1)]
        return [sample for sample in self._perception.embed(picked) if sample is not None]

    def _judge(self, pixels: UInt8Array, *, force: bool) -> tuple[Portrait, FaceSample]:
        """Find the one face of a photo and say whether it will do."""
        portraits = [
            self._perception.portray(pixels, face) for face in self._perception.detect_still(pixels)
        ]
        samples = self._perception.embed(portraits)
        faces = [
            (portrait, sample)
            for portrait, sample in zip(portraits, samples, strict=True)
            if sample is not None
        ]
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
        portrait, sample = faces[0]
        if not force:
            _refuse_poor(portrait)
        return portrait, sample

    def _compare_with_others(self, name: str, sample: FaceSample, *, force: bool) -> None:
        """Refuse a face that looks like somebody else: both would be named wrongly."""
        if force:
            return
        centroids = Centroids.of(self._gallery.templates(self._perception.model_id))
        if not centroids.people:
            return
        similarities = centroids.people_vectors @ sample.embedding  # (p,)
        nearest = int(np.argmax(similarities))
        other = centroids.people[nearest]
        if similarities[nearest] >= self._config.recognition.known_similarity and name_key(
            other.name
        ) != name_key(name):
            raise EnrollmentError(
                f"this face looks like {other.name} (similarity {similarities[nearest]:.2f}); "
                f"enroll it as {other.name}, or use --force if it really is somebody else"
            )


class _SeenTrack:
    """The usable portraits of one track, thinned out evenly as they become too many to keep."""

    def __init__(self) -> None:
        self.area = 0.0
        self.usable = 0
        self.portraits: list[Portrait] = []
        self._step = 1

    def add(self, portrait: Portrait) -> None:
        if self.usable % self._step == 0:
            self.portraits.append(portrait)
        self.usable += 1
        if len(self.portraits) == 4 * EMBEDDED_PORTRAITS:
            self.portraits = self.portraits[::2]
            self._step *= 2


def _distinct(samples: list[FaceSample]) -> list[FaceSample]:
    """Choose samples that differ: the best first, then always the one least like those chosen."""
    if not samples:
        return []
    vectors = np.stack([sample.embedding for sample in samples])  # (n, 128)
    mean = vectors.mean(axis=0)
    typical = vectors @ (mean / np.linalg.norm(mean)) >= OUTLIER_SIMILARITY
    remaining = [i for i in range(len(samples)) if typical[i]]
    if not remaining:
        return []
    chosen = [max(remaining, key=lambda i: samples[i].quality)]
    while len(chosen) < KEPT_SAMPLES:
        likeness = (vectors[remaining] @ vectors[chosen].T).max(axis=1)
        farthest = int(np.argmin(likeness))
        if likeness[farthest] > TOO_ALIKE:
            break
        chosen.append(remaining[farthest])
    return [samples[i] for i in chosen]


def _refuse_poor(portrait: Portrait) -> None:
    quality = portrait.quality
    where = f"the face at {_box_text(portrait.face)}"
    if quality.size_pixels < MIN_ENROLL_PIXELS:
        raise EnrollmentError(
            f"{where} is only {quality.size_pixels:.0f} pixels wide, {MIN_ENROLL_PIXELS} are "
            "needed; go nearer or use the photo in its full size"
        )
    if quality.sharpness < MIN_SHARPNESS:
        raise EnrollmentError(
            f"{where} is blurred (sharpness {quality.sharpness:.2f}, {MIN_SHARPNESS:.2f} needed); "
            "take a sharper photo, or use --force"
        )
    if abs(quality.pose.yaw_degrees) > MAX_YAW_DEGREES:
        raise EnrollmentError(
            f"{where} looks to the side (yaw {quality.pose.yaw_degrees:+.0f} degrees, "
            f"at most {MAX_YAW_DEGREES:.0f}); "
            "look at the camera, or use --force"
        )
    if not MIN_BRIGHTNESS <= quality.brightness <= MAX_BRIGHTNESS:
        dark = quality.brightness < MIN_BRIGHTNESS
        raise EnrollmentError(
            f"{where} is too {'dark' if dark else 'bright'} (mean grey {quality.brightness:.0f}); "
            "see to even light, or use --force"
        )


def _box_text(face: Face) -> str:
    left, top, right, bottom = (round(float(value)) for value in face.box_xyxy)
    return f"({left}, {top})-({right}, {bottom})"


def _praise(portrait: Portrait) -> str:
    return f"good: {portrait.quality.size_pixels:.0f} pixels, quality {portrait.quality.value:.2f}"
