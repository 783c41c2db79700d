"""One frame in, events out: detection, tracking, recognition, decision and visits in their order.

No threads, no clock of its own, no outputs. Everything it remembers between frames is here or in
the parts it was given.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from doorbell.annotation import FaceNote, annotate, encode_jpeg
from doorbell.config import Config
from doorbell.domain import (
    Event,
    Face,
    FaceSample,
    Frame,
    Left,
    Match,
    Person,
    Recognized,
    Stranger,
    Track,
    UInt8Array,
    Unrecognized,
    Verdict,
    Visit,
)
from doorbell.errors import EnrollmentError, GalleryError, UnknownStrangerError, UsageError
from doorbell.latency import Latency, Stage, Stopwatch
from doorbell.perception import Perception, Portrait
from doorbell.recognition.corrections import is_no_face
from doorbell.recognition.decision import Centroids, Evidence, decide, nearest_stranger
from doorbell.recognition.gallery import Gallery
from doorbell.recognition.gallery_rows import EnrolledSample, EnrollmentOutcome, Templates, name_key
from doorbell.recognition.pose import head_pose, is_looking
from doorbell.recognition.strangers import merge_alike
from doorbell.tracking import Tracker
from doorbell.visits import Observation, Visits

log = logging.getLogger(__name__)

UNDECIDED = Match(Verdict.UNDECIDED, None, 0.0, 0)

# Once somebody is named the face is still looked at, to notice a track that jumps to another face.
EMBEDDINGS_PER_SECOND_WHEN_KNOWN = 2.0

# A later picture replaces the best one only if it is better by this factor: copies cost time.
PICTURE_GAIN = 1.15

# A press with nobody in sight shows the latest frame, if it is of these last seconds.
LATEST_SECONDS = 5.0


@dataclass(slots=True)
class _Followed:
    """What is known of one live track."""

    evidence: Evidence
    match: Match = UNDECIDED
    tries: int = 0
    tried_seconds: float = -math.inf
    is_no_face: bool = False  # so the household said of what looks like it


@dataclass(frozen=True, eq=False, slots=True)
class _Picture:
    """The frame that shows a visit best, and every face in it."""

    pixels: UInt8Array
    tracks: tuple[Track, ...]
    worth: float


class Pipeline:
    """Watches one door.

    Args:
        perception: finds and embeds faces.
        gallery: who is known.
        config: its sections on everything between faces and events.
        stopwatch: times the stages of each frame; None to time nothing.
    """

    def __init__(
        self,
        perception: Perception,
        gallery: Gallery,
        config: Config,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self._perception = perception
        self._stopwatch = stopwatch or Stopwatch(Latency(), lambda: 0.0)
        self._gallery = gallery
        self._section = config.recognition
        self._with_pictures = config.storage.pictures
        self._tracker = Tracker(config.tracking)
        self._attention = config.attention
        self._visits = Visits(
            config.visits,
            self._introduce,
            ring_after_seconds=config.attention.ring_after_seconds,
        )
        self._followed: dict[int, _Followed] = {}
        self._pictures: dict[str, _Picture] = {}
        self._latest: Frame | None = None
        self._samples: dict[int, tuple[str, tuple[FaceSample, ...]]] = {}  # visit's, by track
        self._visit_of_track: dict[int, Visit] = {}
        self._unconfirmed_strangers: dict[str, Stranger] = {}
        self._templates: Templates | None = None
        self._heeded: Templates | None = None
        self._centroids: Centroids | None = None

    @property
    def open_visits(self) -> tuple[Visit, ...]:
        """Visits going on now."""
        return self._visits.open_visits

    @property
    def in_sight(self) -> tuple[tuple[Track, Visit | None], ...]:
        """Every live track with the open visit it belongs to, if to any yet."""
        return tuple(
            (track, self._visits.visit_of(track.track_id)) for track in self._tracker.tracks
        )

    def step(self, frame: Frame) -> list[Event]:
        """Take in one frame.

        Args:
            frame: the next one of the camera; time never runs backwards.

        Returns:
            What happened, in order, with pictures.
        """
        self._stopwatch.start()
        self._latest = frame if self._with_pictures else None
        faces = self._perception.detect(
            frame.pixels, self._tracker.tracks, device_address=frame.device_address
        )
        self._stopwatch.lap(Stage.DETECT)
        tracks = self._tracker.update(faces, frame.time_seconds)
        portraits = self._recognize(frame, tracks, faces)
        confirmed = [
            track
            for track in tracks
            if self._tracker.is_confirmed(track) and not self._is_no_face(track)
        ]
        observations = [self._observation(track) for track in confirmed]
        self._heed_corrections()
        events = self._visits.update(observations, frame.time_seconds, frame.captured_at)
        self._keep_samples(observations)
        self._keep_pictures(frame, confirmed, portraits)
        completed = self._complete(events)
        self._stopwatch.lap(Stage.DECIDE)
        self._stopwatch.finish()
        return completed

    def press(self, time_seconds: float, wall_time: float) -> list[Event]:
        """Ring because somebody pressed, whoever is known to be there by now.

        Needs no frame, so that it rings without a camera too.
        """
        ring = self._visits.press(time_seconds, wall_time)
        [event] = self._complete([ring])
        if event.visit is None:
            event = replace(event, picture_jpeg=self._draw_latest(wall_time))
        return [event]

    def finish(self, wall_time: float) -> list[Event]:
        """End every visit: there are no more frames."""
        self._heed_corrections()
        return self._complete(self._visits.finish(wall_time))

    def tidy_strangers(self) -> None:
        """Make one of strangers who prove to be the same person; now and then is enough."""
        for newer, older in merge_alike(self._gallery, self._perception.model_id, self._section):
            log.info("%s is %s", newer.label, older.label)

    def enroll_visible(self, name: str) -> EnrollmentOutcome:
        """Enroll the one visitor in sight from what was seen of the visit so far.

        Raises:
            EnrollmentError: nobody is in sight, several are, no frame was good enough, or it is
                somebody enrolled under another name.
            InvalidNameError: the name cannot be stored.
        """
        live = [
            self._followed[t.track_id] for t in self._tracker.tracks if t.track_id in self._followed
        ]
        seen = [each for each in live if each.evidence.frames and not each.is_no_face]
        if len(seen) != 1:
            raise EnrollmentError(
                f"cannot enroll {name!r}: {len(seen)} usable faces are in sight, and it takes "
                "exactly one; stand alone before the camera, a step nearer"
            )
        known = seen[0].match.visitor
        if isinstance(known, Person) and name_key(known.name) != name_key(name):
            raise EnrollmentError(
                f"cannot enroll {name!r}: the visitor in sight is {known.name}; to change a name: "
                f"doorbell people rename {known.name!r} {name!r}"
            )
        samples = [EnrolledSample(sample) for sample in seen[0].evidence.best_samples]
        return self._gallery.enroll(name, samples)

    def _recognize(
        self, frame: Frame, tracks: Sequence[Track], faces: Sequence[Face]
    ) -> dict[int, Portrait]:
        """Embed the faces that are worth it, and decide anew for those."""
        now = frame.time_seconds
        live = {track.track_id for track in self._tracker.tracks}
        self._followed = {key: value for key, value in self._followed.items() if key in live}
        portraits: dict[int, Portrait] = {}
        self._stopwatch.lap(Stage.DECIDE)
        for track, face in zip(tracks, faces, strict=True):
            followed = self._followed.setdefault(
                track.track_id, _Followed(Evidence(track.first_seen_seconds))
            )
            if now - followed.tried_seconds < self._pause(followed) - 1e-6:
                continue
            if min(face.width_pixels, face.height_pixels) < self._section.min_face_pixels:
                continue
            portrait = self._perception.portray(frame.pixels, face)
            self._stopwatch.lap(Stage.ALIGN)
            if portrait.quality.value >= self._section.min_quality:
                portraits[track.track_id] = portrait
        samples = self._perception.embed(list(portraits.values()))
        if portraits:
            self._stopwatch.lap(Stage.EMBED)
        for track_id, sample in zip(portraits, samples, strict=True):
            followed = self._followed[track_id]
            followed.tries += 1
            followed.tried_seconds = now
            if sample is None:
                continue
            followed.evidence.add(sample)
            if followed.evidence.is_broken:
                self._tracker.drop(track_id)
                del self._followed[track_id]
        for followed in self._followed.values():
            followed.match = decide(followed.evidence, self._everybody(), self._section, now)
            followed.is_no_face = is_no_face(
                followed.evidence.signature,
                self._gallery.templates(self._perception.model_id).non_face_embeddings,
                self._everybody().people_vectors,
                self._section.stranger_similarity,
            )
        return portraits

    def _pause(self, followed: _Followed) -> float:
        """How long after its last embedding a face is embedded again."""
        if followed.match.verdict is Verdict.KNOWN:
            return 1 / EMBEDDINGS_PER_SECOND_WHEN_KNOWN
        if followed.tries < self._section.min_frames:
            return 0.0  # nothing can be decided before
        return 1 / self._section.embeddings_per_second

    def _everybody(self) -> Centroids:
        templates = self._gallery.templates(self._perception.model_id)
        if self._centroids is None or templates is not self._templates:
            self._templates, self._centroids = templates, Centroids.of(templates)
        return self._centroids

    def _heed_corrections(self) -> None:
        """Take over what the household has said of visits that are going on."""
        templates = self._gallery.templates(self._perception.model_id)
        if templates is self._heeded:
            return
        self._heeded = templates
        for visit in self._visits.open_visits:
            with suppress(UsageError):  # forgotten while it goes on
                kept = self._gallery.visit(visit.visit_id)
                if kept.corrected or visit.corrected:
                    self._visits.correct(visit.visit_id, kept.visitor, corrected=kept.corrected)

    def _is_no_face(self, track: Track) -> bool:
        followed = self._followed.get(track.track_id)
        return followed is not None and followed.is_no_face

    def _keep_samples(self, observations: Sequence[Observation]) -> None:
        for seen in observations:
            visit = self._visits.visit_of(seen.track.track_id)
            if visit is not None and seen.samples:
                self._samples[seen.track.track_id] = visit.visit_id, seen.samples

    def _samples_of(self, visit_id: str) -> list[FaceSample]:
        return [
            sample
            for of_visit, samples in self._samples.values()
            if of_visit == visit_id
            for sample in samples
        ]

    def _observation(self, track: Track) -> Observation:
        followed = self._followed.get(track.track_id)
        if followed is None:
            return Observation(track, UNDECIDED, None)
        evidence = followed.evidence
        pose = head_pose(track.face.keypoints_xy)
        return Observation(
            track,
            followed.match,
            evidence.signature,
            evidence.best_samples,
            pose,
            is_looking(pose, self._attention),
        )

    def _introduce(self, seen: Observation, wall_time: float) -> Stranger:
        """Give a stranger the identifier of earlier visits, or a new one."""
        known = seen.match.visitor or nearest_stranger(
            seen.signature, self._everybody(), self._section
        )
        if isinstance(known, Stranger):
            try:
                return self._gallery.note_stranger_visit(known.stranger_id, wall_time, seen.samples)
            except UnknownStrangerError:
                log.info("%s was forgotten while at the door", known.label)
        return self._gallery.add_stranger(seen.samples, wall_time)

    def _keep_pictures(
        self, frame: Frame, tracks: Sequence[Track], portraits: Mapping[int, Portrait]
    ) -> None:
        """Remember the frame that shows each visit best."""
        for track in tracks:
            visit = self._visits.visit_of(track.track_id)
            if visit is None:
                continue
            self._visit_of_track[track.track_id] = visit
            if not self._with_pictures:
                continue
            portrait = portraits.get(track.track_id)
            # People want to see a face large; recognition is content with less.
            worth = 0.0 if portrait is None else portrait.quality.value * track.face.width_pixels
            best = self._pictures.get(visit.visit_id)
            if best is None or worth > best.worth * PICTURE_GAIN:
                self._pictures[visit.visit_id] = _Picture(frame.pixels, tuple(tracks), worth)

    def _complete(self, events: Sequence[Event]) -> list[Event]:
        """Put pictures to events and visits into the gallery."""
        completed: list[Event] = []
        kept, drawn = None, None
        for event in events:
            if event.visit is not None:
                self._correct_strangers(event)
                if event.visit != kept:  # a ring follows the announcement of the same visit
                    decided = isinstance(event, Recognized | Unrecognized | Left)
                    samples = self._samples_of(event.visit.visit_id) if decided else ()
                    self._save(event.visit, samples)
                    kept, drawn = event.visit, self._draw(event.visit)
                completed.append(replace(event, picture_jpeg=drawn))
            else:
                completed.append(event)
        for event in events:
            if isinstance(event, Left):
                self._pictures.pop(event.visit.visit_id, None)
                self._samples = {
                    track_id: of_visit
                    for track_id, of_visit in self._samples.items()
                    if of_visit[0] != event.visit.visit_id
                }
                self._unconfirmed_strangers.pop(event.visit.visit_id, None)
        self._forget_old_tracks()
        return completed

    def _correct_strangers(self, event: Event) -> None:
        """Take back the identifier of a new stranger who turns out to be a person."""
        match event:
            case Unrecognized(visit=Visit(visitor=Stranger(visits=1) as stranger)):
                self._unconfirmed_strangers[event.visit.visit_id] = stranger
            case Recognized() | Left(visit=Visit(continued_by=str())):
                mistaken = self._unconfirmed_strangers.pop(event.visit.visit_id, None)
                if mistaken is not None:
                    # The visit is saved under its person first: forgetting takes visits along.
                    self._save(event.visit)
                    # Named or forgotten from the command line meanwhile, there is none.
                    with suppress(UnknownStrangerError):
                        self._gallery.forget_stranger(mistaken.stranger_id)
            case _:
                pass

    def _save(self, visit: Visit, samples: Sequence[FaceSample] = ()) -> None:
        try:
            self._gallery.save_visit(visit, samples)
        except GalleryError as exc:
            log.error("visit %s is announced but not kept: %s", visit.visit_id, exc)

    def _draw(self, visit: Visit) -> bytes | None:
        picture = self._pictures.get(visit.visit_id)
        if picture is None:
            return None
        notes = []
        for track in picture.tracks:
            of_track = self._visit_of_track.get(track.track_id)
            if of_track is not None and of_track.visit_id == visit.visit_id:
                of_track = visit
            notes.append(_note(track.face, of_track))
        return encode_jpeg(annotate(picture.pixels, notes))

    def _draw_latest(self, wall_time: float) -> bytes | None:
        latest = self._latest
        if latest is None or abs(wall_time - latest.captured_at) > LATEST_SECONDS:
            return None
        notes = [FaceNote(track.face) for track in self._tracker.tracks]
        return encode_jpeg(annotate(latest.pixels, notes))

    def _forget_old_tracks(self) -> None:
        drawn = {track.track_id for p in self._pictures.values() for track in p.tracks}
        kept = drawn | {track.track_id for track in self._tracker.tracks}
        self._visit_of_track = {k: v for k, v in self._visit_of_track.items() if k in kept}


def _note(face: Face, visit: Visit | None) -> FaceNote:
    visitor = None if visit is None else visit.visitor
    if visit is None or visitor is None:
        return FaceNote(face)
    if isinstance(visitor, Person):
        similarity = None if visit.corrected else visit.similarity
        return FaceNote(face, Verdict.KNOWN, visitor.label, similarity)
    # At a first visit there is nobody yet whom the face could be similar to.
    similarity = visit.similarity if visitor.visits > 1 and not visit.corrected else None
    return FaceNote(face, Verdict.UNKNOWN, visitor.label, similarity)
