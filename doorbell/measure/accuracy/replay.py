"""A door whose household is enrolled from labelled pictures, and who is named at it.

``ProductReplay`` goes the way of the daemon, with a gallery of its own that nobody else sees.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from doorbell.camera import open_camera
from doorbell.config import CameraSection, Config, RecognitionSection
from doorbell.domain import FaceSample, Frame, Left, Match, Person, Recognized, Track
from doorbell.errors import EndOfStreamError
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.measure.accuracy.stills import ProductRecognizer, Recognizer, Subject
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.pipeline import Pipeline
from doorbell.recognition.candidates import NOBODY
from doorbell.recognition.decision import Evidence, decide
from doorbell.recognition.templates import Templates

# The similarity where there is no usable face, or nobody to be similar to.
NOT_SEEN = -1.0


@dataclass(frozen=True, slots=True)
class PlayedVisit:
    """A visit as a clip showed it.

    Attributes:
        names: of the people it was announced as.
        seconds: of video from the first frame with a face to the first name; None without a name.
        is_main: whether its face was the one seen largest and longest.
    """

    names: tuple[str, ...]
    seconds: float | None
    is_main: bool


@dataclass(frozen=True, slots=True)
class ShownVisitor:
    """What the door made of somebody shown in a few frames.

    Attributes:
        named: as whom the visitor was announced; None for a stranger or in doubt.
        nearest: who enrolled is most alike; None where nobody is, or no face was usable.
        similarity: with that person, of all usable frames together; -1 without one.
    """

    named: str | None
    nearest: str | None
    similarity: float


class Replay(Protocol):
    """A door, its camera's method of recognition and its gallery."""

    @property
    def recognizer(self) -> Recognizer:
        """What finds and embeds faces here."""

    def enroll_photos(self, name: str, photos: Sequence[Path]) -> list[str]:
        """Enroll a person; why photos were refused."""

    def enroll_video(self, name: str, video: Path) -> None:
        """Enroll a person.

        Raises:
            EnrollmentError: the video shows no usable face, or one like another person's.
        """

    def nearest(self, sample: FaceSample) -> tuple[Person, float] | None:
        """Who enrolled is most alike, and the cosine; None where nobody is enrolled."""

    def name_on_photo(self, subject: Subject) -> Person | None:
        """Whom a single photo would be announced as; None for a stranger or in doubt."""

    def show(self, frames: Sequence[Frame]) -> ShownVisitor:
        """Show a visitor; of several faces the one that is largest and most often found counts."""

    def run(self, video: Path) -> list[PlayedVisit]:
        """Let a video happen at the door, from an empty porch to an empty porch."""


class ProductReplay:
    """The daemon's own path: ``Enroller``, ``Gallery``, ``decide`` and ``Pipeline``."""

    def __init__(self, perception: Perception, gallery: Gallery, config: Config) -> None:
        self._perception = perception
        self._gallery = gallery
        storage = config.storage.model_copy(update={"pictures": "none"})
        self._config = config.model_copy(update={"storage": storage})
        self._enroller = Enroller(perception, gallery, config)

    @property
    def recognizer(self) -> Recognizer:
        """The networks of the product."""
        return ProductRecognizer(self._perception)

    def enroll_photos(self, name: str, photos: Sequence[Path]) -> list[str]:
        """Enroll as ``doorbell enroll`` does: poor photos are refused."""
        report = self._enroller.enroll_photos(name, photos)
        return [
            f"{result.source}: {result.message}" for result in report.results if not result.accepted
        ]

    def enroll_video(self, name: str, video: Path) -> None:
        """Enroll as ``doorbell enroll --video`` does."""
        self._enroller.enroll_frames(name, read_frames(video), source=str(video))

    def nearest(self, sample: FaceSample) -> tuple[Person, float] | None:
        """Whose template is most alike."""
        found = self._templates().people_like(sample.embedding, 1)
        return found[0] if found else None

    def name_on_photo(self, subject: Subject) -> Person | None:
        """What the decision says of a single photo, if the door would look at such a face."""
        section = self._config.recognition
        if min(subject.face.width_pixels, subject.face.height_pixels) < section.min_face_pixels:
            return None
        if subject.sample.quality < section.min_quality:
            return None
        visitor = decide_on_photo(subject.sample, self._templates(), section).visitor
        return visitor if isinstance(visitor, Person) else None

    def show(self, frames: Sequence[Frame]) -> ShownVisitor:
        """Step the pipeline through the frames, which were photographs and can't prove life."""
        recognition = self._config.recognition.model_copy(update={"min_live": 0.0})
        config = self._config.model_copy(update={"recognition": recognition})
        pipeline = Pipeline(self._perception, self._gallery, config)
        names: dict[str, str] = {}
        for frame in frames:
            names |= {
                event.visit.visit_id: event.visit.visitor.label
                for event in pipeline.step(frame)
                if isinstance(event, Recognized) and event.visit.visitor is not None
            }
        in_sight, observed = pipeline.in_sight, pipeline.observed
        if frames:
            pipeline.finish(frames[-1].captured_at)  # else whoever is shown next goes on with it
        if not in_sight:
            return ShownVisitor(None, None, NOT_SEEN)
        main, visit = max(in_sight, key=lambda seen: _presence(seen[0]))
        named = None if visit is None else names.get(visit.visit_id)
        [signature] = [o.signature for o in observed if o.track.track_id == main.track_id]
        found = [] if signature is None else self._templates().people_like(signature, 1)
        if not found:
            return ShownVisitor(named, None, NOT_SEEN)
        [(person, similarity)] = found
        return ShownVisitor(named, person.name, similarity)

    def run(self, video: Path) -> list[PlayedVisit]:
        """Step the pipeline through the video at the video's own time."""
        pipeline = Pipeline(self._perception, self._gallery, self._config)
        first_face_seconds: float | None = None
        areas: dict[str, float] = defaultdict(float)
        named: dict[str, list[tuple[str, float]]] = defaultdict(list)
        gone: list[Left] = []
        wall_time = 0.0
        for frame in read_frames(video):
            events = pipeline.step(frame)
            wall_time = frame.captured_at
            for track, visit in pipeline.in_sight:
                if track.last_seen_seconds < frame.time_seconds:
                    continue
                if first_face_seconds is None:
                    first_face_seconds = frame.time_seconds
                if visit is not None:
                    areas[visit.visit_id] += track.face.width_pixels * track.face.height_pixels
            for event in events:
                if isinstance(event, Recognized) and event.visit.visitor is not None:
                    waited = frame.time_seconds - (first_face_seconds or 0.0)
                    named[event.visit.visit_id].append((event.visit.visitor.label, waited))
            gone += [event for event in events if isinstance(event, Left)]
        gone += [event for event in pipeline.finish(wall_time) if isinstance(event, Left)]
        for event in gone:  # one visitor who was taken for two
            if event.visit.continued_by is not None:
                areas[event.visit.continued_by] += areas.pop(event.visit.visit_id, 0.0)
                named[event.visit.continued_by] += named.pop(event.visit.visit_id, [])
        main = max(areas, key=lambda visit_id: areas[visit_id], default=None)
        return [
            PlayedVisit(
                tuple(name for name, _ in named[visit_id]),
                min((seconds for _, seconds in named[visit_id]), default=None),
                visit_id == main,
            )
            for visit_id in areas
        ]

    def _templates(self) -> Templates:
        return self._gallery.templates(self._perception.model_id)


def decide_on_photo(sample: FaceSample, templates: Templates, section: RecognitionSection) -> Match:
    """What would be said of somebody of whom every frame is this one photo.

    One frame never decides at the door, so the photo stands for as many as are called for.
    """
    evidence = Evidence(0.0)
    for _ in range(section.min_frames):
        evidence.add(sample)
    signature = evidence.signature
    candidates = NOBODY if signature is None else templates.candidates(signature)
    return decide(evidence, candidates, section, 0.0)


def _presence(track: Track) -> float:
    """How much of a track was seen: its size times the frames that it was found in."""
    return track.hits * track.face.width_pixels * track.face.height_pixels


def read_frames(video: Path) -> Iterator[Frame]:
    """Every frame of a video, as fast as they are taken.

    Raises:
        CameraError: it cannot be read.
    """
    section = CameraSection(uri=str(video.resolve()), realtime=False)
    with closing(open_camera(section)) as camera, suppress(EndOfStreamError):
        while True:
            yield camera.read()
