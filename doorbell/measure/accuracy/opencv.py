"""What the product is compared with: YuNet and SFace as OpenCV ships them, by the same commands.

Shares with the product only the weights of SFace, and of YuNet, which looks at photographs there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from doorbell.domain import Face, FaceSample, Float32Array, Frame, Person, Track, UInt8Array
from doorbell.errors import EnrollmentError
from doorbell.measure.accuracy.jitter import FoundBoxes
from doorbell.measure.accuracy.remembering import keep
from doorbell.measure.accuracy.replay import NOT_SEEN, PlayedVisit, ShownVisitor, read_frames
from doorbell.measure.accuracy.stills import Recognizer, Subject, find_subjects
from doorbell.pipeline.perception import FaceCrop
from doorbell.recognition.alignment import part_in_frame
from doorbell.recognition.quality import expected_similarity, measure_quality
from doorbell.recognition.veil import Unveiled

MODEL_ID = "opencv-sface"

# OpenCV's documentation of FaceRecognizerSF: the same person from this cosine on.
SAME_PERSON = 0.363

# Measured 2026-11-22 on outdoor photographs: with 0.9, OpenCV's default, half of the faces of 32
# pixels and up are found; with this one 0.91 of them, at less than one false face a picture.
SCORE_THRESHOLD = 0.6
NMS_THRESHOLD = 0.3  # OpenCV's default
TOP_K = 5000  # OpenCV's default

# A photo smaller than this is looked at twice as large, which finds more of its small faces.
DOUBLED_BELOW_PIXELS = 640


class OpenCvRecognizer:
    """``FaceDetectorYN`` and ``FaceRecognizerSF``."""

    def __init__(self, yunet: Path, sface: Path) -> None:
        # OpenCV 5 warns of what it makes of any network.
        if hasattr(cv2, "setLogLevel"):  # OpenCV 4
            cv2.setLogLevel(2)
        else:
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._detector = cv2.FaceDetectorYN.create(
            str(yunet), "", (320, 320), SCORE_THRESHOLD, NMS_THRESHOLD, TOP_K
        )
        self._embedder = cv2.FaceRecognizerSF.create(str(sface), "")
        self._seen: dict[Frame, FaceSample | None] = {}

    def look(self, pixels: UInt8Array) -> list[FaceCrop]:
        """Find the faces of a photo."""
        return self.look_at(pixels, 2 if max(pixels.shape[:2]) < DOUBLED_BELOW_PIXELS else 1)

    def look_at(self, pixels: UInt8Array, factor: int) -> list[FaceCrop]:
        """Find the faces of a picture enlarged by a factor."""
        bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        enlarged = bgr if factor == 1 else cv2.resize(bgr, None, fx=factor, fy=factor)
        self._detector.setInputSize((enlarged.shape[1], enlarged.shape[0]))
        rows = self._detector.detect(enlarged)[1]
        portraits = []
        for row in np.empty((0, 15), np.float32) if rows is None else rows:
            row[:14] /= factor
            crop = np.asarray(self._embedder.alignCrop(bgr, row)[:, :, ::-1], np.uint8)
            face = _face(row)
            in_frame = part_in_frame(bgr.shape[1], bgr.shape[0], face.keypoints_xy)
            portraits.append(
                FaceCrop(face, crop, measure_quality(face, crop, in_frame, Unveiled(crop, 0.0)))
            )
        return portraits

    def embed(self, portraits: Sequence[FaceCrop]) -> list[FaceSample | None]:
        """Embed faces one by one: OpenCV takes no batch."""
        samples: list[FaceSample | None] = []
        for portrait in portraits:
            vector = self._embedder.feature(np.ascontiguousarray(portrait.crop[:, :, ::-1]))[0]
            length = float(np.linalg.norm(vector))
            quality = expected_similarity(portrait.quality, length)
            samples.append(FaceSample(np.asarray(vector / length, np.float32), MODEL_ID, quality))
        return samples

    def largest(self, frame: Frame) -> FaceSample | None:
        """The largest face of a frame; of the latest frames it is remembered."""
        if frame not in self._seen:
            portraits = self.look_at(frame.pixels, 1)
            largest = max(portraits, key=_area, default=None)
            keep(self._seen, frame, None if largest is None else self.embed([largest])[0])
        return self._seen[frame]


def _area(portrait: FaceCrop) -> float:
    return portrait.face.width_pixels * portrait.face.height_pixels


def _face(row: Float32Array) -> Face:
    """A row of YuNet: x, y, width, height, five points, score; ears are put at the box's sides."""
    points = row[4:14].reshape(5, 2)  # eyes, nose tip, corners of the mouth
    eye_height = points[:2, 1].mean()
    ears = np.array([[row[0], eye_height], [row[0] + row[2], eye_height]], np.float32)
    mouth = points[3:].mean(axis=0, keepdims=True)
    return Face(
        np.concatenate([row[:2], row[:2] + row[2:4]]).astype(np.float32),
        np.concatenate([points[:3], mouth, ears]).astype(np.float32),
        float(row[14]),
    )


class OpenCvLooker:
    """YuNet's boxes in video; the tracks are of the product's tracker."""

    def __init__(self, recognizer: OpenCvRecognizer) -> None:
        self._recognizer = recognizer

    def look(self, pixels: UInt8Array, tracks: Sequence[Track]) -> FoundBoxes:
        """Look at the whole frame, whatever is followed."""
        del tracks
        faces = [portrait.face for portrait in self._recognizer.look_at(pixels, 1)]
        boxes = np.array([face.box_xyxy for face in faces], np.float32).reshape(-1, 4)
        return FoundBoxes(faces, {"nms": boxes})


class OpenCvReplay:
    """A door that names whoever is nearest in the first frame that passes the threshold."""

    def __init__(self, recognizer: OpenCvRecognizer) -> None:
        self._recognizer = recognizer
        self._means: dict[str, Float32Array] = {}

    @property
    def recognizer(self) -> Recognizer:
        """OpenCV's networks."""
        return self._recognizer

    def enroll_photos(self, name: str, photos: Sequence[Path]) -> list[str]:
        """Enroll the main face of each photo."""
        subjects = find_subjects(self._recognizer, photos, _say_nothing)
        vectors = [s.sample.embedding for s in subjects.values() if s is not None]
        if vectors:
            self._enroll(name, vectors)
        return [f"{path}: no face found" for path, subject in subjects.items() if subject is None]

    def enroll_video(self, name: str, video: Path) -> None:
        """Enroll the largest face of every frame."""
        largest = (self._recognizer.largest(frame) for frame in read_frames(video))
        vectors = [sample.embedding for sample in largest if sample is not None]
        if not vectors:
            raise EnrollmentError(f"{video} shows no face")
        self._enroll(name, vectors)

    def nearest(self, sample: FaceSample) -> tuple[Person, float] | None:
        """Whose mean is most alike."""
        if not self._means:
            return None
        similarities = np.array([*self._means.values()], np.float32) @ sample.embedding  # (p,)
        place = int(np.argmax(similarities))
        return Person(place + 1, [*self._means][place]), float(similarities[place])

    def name_on_photo(self, subject: Subject) -> Person | None:
        """The nearest person, if near enough."""
        return self._name(subject.sample)

    def show(self, frames: Sequence[Frame]) -> ShownVisitor:
        """Take the best frame: the one most like anybody enrolled."""
        samples = [self._recognizer.largest(frame) for frame in frames]
        found = [near for s in samples if s is not None and (near := self.nearest(s)) is not None]
        if not found:
            return ShownVisitor(None, None, NOT_SEEN)
        person, similarity = max(found, key=lambda near: near[1])
        named = person.name if similarity >= SAME_PERSON else None
        return ShownVisitor(named, person.name, similarity)

    def run(self, video: Path) -> list[PlayedVisit]:
        """Look at the largest face of each frame until one is named: one visit."""
        first_face_seconds: float | None = None
        for frame in read_frames(video):
            sample = self._recognizer.largest(frame)
            if sample is None:
                continue
            if first_face_seconds is None:
                first_face_seconds = frame.time_seconds
            person = self._name(sample)
            if person is not None:
                waited = frame.time_seconds - first_face_seconds
                return [PlayedVisit((person.name,), waited, is_main=True)]
        return [PlayedVisit((), None, is_main=True)]

    def _enroll(self, name: str, vectors: Sequence[Float32Array]) -> None:
        mean = np.mean(vectors, axis=0)
        self._means[name] = np.asarray(mean / np.linalg.norm(mean), np.float32)

    def _name(self, sample: FaceSample) -> Person | None:
        nearest = self.nearest(sample)
        return nearest[0] if nearest is not None and nearest[1] >= SAME_PERSON else None


def _say_nothing(work: str, done: int, total: int) -> None:
    del work, done, total
