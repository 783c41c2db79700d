"""Who each live track is: tracked faces in, what is known of each of them out.

Embeds the faces that are worth it, gathers evidence and decides anew. Knows neither visits nor
events, stores nothing, and changes no track: it tells which have jumped to another face.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from doorbell.config import Config
from doorbell.detection.motion import REMEMBERED_FRAMES
from doorbell.domain import (
    Face,
    FaceSample,
    Float32Array,
    Frame,
    Match,
    Person,
    Stranger,
    Track,
    Verdict,
)
from doorbell.pipeline.continuity import Continuity
from doorbell.pipeline.latency import Stage, Stopwatch
from doorbell.pipeline.perception import FaceCrop, Perception
from doorbell.recognition.appearance import measure_appearance
from doorbell.recognition.candidates import NOBODY, Candidates
from doorbell.recognition.decision import Evidence, decide, nearest_stranger
from doorbell.recognition.liveness import Liveness, withhold
from doorbell.recognition.negatives import is_no_face
from doorbell.recognition.pose import head_pose, is_looking
from doorbell.recognition.templates import Templates
from doorbell.visits.observation import Observation

UNDECIDED = Match(Verdict.UNDECIDED, None, 0.0, 0)

# Once somebody is named the face is still looked at, and at once where its appearance has changed.
EMBEDDINGS_PER_SECOND_WHEN_KNOWN = 2.0

# By then what a face's coming moved is over, before a camera too slow for ``REMEMBERED_FRAMES``.
SETTLED_SECONDS = 0.5

# Where another face is embedded, who is named is too after this part of their pause: a picture says
# of a face only what was seen in that very frame.
COMPANY_PAUSE = 0.5


@dataclass(frozen=True, eq=False, slots=True)
class Embedded:
    """What embedding the faces of one frame gave.

    Attributes:
        samples: by track, those taken as the track's.
        jumped: tracks that have gone over to somebody else's face, to go on as new ones.
        any_face: whether any face was embedded, taken or not.
    """

    samples: Mapping[int, FaceSample]
    jumped: frozenset[int]
    any_face: bool


@dataclass(slots=True)
class _Followed:
    """What is known of one live track."""

    evidence: Evidence
    liveness: Liveness = field(default_factory=Liveness)
    has_moved: bool = False  # since what its coming moved is forgotten
    match: Match = UNDECIDED
    tries: int = 0
    tried_seconds: float = -math.inf
    is_no_face: bool = False  # so the household said of what looks like it
    candidates: Candidates = NOBODY
    compared: tuple[int, int] = (0, 0)  # how many frames with which revision of the templates
    continuity: Continuity = field(default_factory=Continuity)


class Recognizer:
    """Recognizes the tracks of one door.

    Args:
        perception: cuts out and embeds faces.
        config: its sections on recognition, tracking and attention.
        templates: tells who is known.
        stopwatch: times the stages of each frame.
    """

    def __init__(
        self,
        perception: Perception,
        config: Config,
        templates: Callable[[], Templates],
        stopwatch: Stopwatch,
    ) -> None:
        self._perception = perception
        self._section = config.recognition
        self._attention = config.attention
        self._first_tries = max(config.recognition.min_frames, config.tracking.confirm_hits)
        self._read_templates = templates
        self._stopwatch = stopwatch
        self._followed: dict[int, _Followed] = {}

    def usable(self, live: Iterable[Track]) -> list[Observation]:
        """Those of the live tracks of which a frame was good enough to be recognized by."""
        return [
            self.observation(track)
            for track in live
            if (followed := self._followed.get(track.track_id)) is not None
            and followed.evidence.frames
            and not followed.is_no_face
            and not followed.continuity.in_doubt
        ]

    def step(
        self, frame: Frame, live: Iterable[Track], tracks: Sequence[Track], faces: Sequence[Face]
    ) -> Embedded:
        """Embed the faces that are worth it, and decide anew.

        Args:
            frame: the next one of the camera.
            live: every live track; what is known of others is forgotten.
            tracks: found in the frame.
            faces: of these, in the same order, as they were detected.
        """
        now = frame.time_seconds
        kept = {track.track_id for track in live}
        self._followed = {key: value for key, value in self._followed.items() if key in kept}
        self._stopwatch.lap(Stage.DECIDE)
        portraits = self._portraits(frame, tracks, faces)
        samples = self._embed(portraits, now)
        jumped = self._gone_over(tracks, now)
        templates = self._read_templates()
        for followed in self._followed.values():
            self._compare(followed, templates)
            match = decide(followed.evidence, followed.candidates, self._section, now)
            followed.match = withhold(match, followed.liveness.score, self._section.min_live)
            followed.is_no_face = is_no_face(followed.candidates, self._section.stranger_similarity)
        taken = {key: value for key, value in samples.items() if key not in jumped}
        return Embedded(taken, jumped, any_face=bool(portraits))

    def similarity(self, person: Person, sample: FaceSample) -> float:
        """How like a person one face is by itself.

        Returns:
            The cosine, where the person is one of the two whom the face is most like; else -1.
        """
        for likely, similarity in self._read_templates().people_like(sample.embedding, 2):
            if likely.person_id == person.person_id:
                return similarity
        return -1.0

    def observation(self, track: Track, sample: FaceSample | None = None) -> Observation:
        """Tell what is known of a live track.

        Args:
            track: as it stands.
            sample: of its face in this frame, if one was taken.
        """
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
            sample,
            followed.continuity.appearance,
            live=followed.liveness.score,
            is_print=self._is_print(followed),
        )

    def is_no_face(self, track: Track) -> bool:
        """Whether it looks like what the household said is no face."""
        followed = self._followed.get(track.track_id)
        return followed is not None and followed.is_no_face

    def is_hung_up(self, track: Track) -> bool:
        """Whether it is a picture that nobody holds: it has not moved since it is followed."""
        followed = self._followed.get(track.track_id)
        return followed is not None and not followed.has_moved and self._is_print(followed)

    def _is_print(self, followed: _Followed) -> bool:
        return followed.liveness.score < self._section.min_live

    def is_in_doubt(self, track: Track) -> bool:
        """Whether the track may have gone over to somebody else's face."""
        followed = self._followed.get(track.track_id)
        return followed is not None and followed.continuity.in_doubt

    def nearest_stranger(self, signature: Float32Array | None) -> Stranger | None:
        """The stranger met before whose face this is, (128,) float32, if there is one."""
        if signature is None:
            return None
        return nearest_stranger(self._read_templates().candidates(signature), self._section)

    def forget(self, track_id: int) -> None:
        """Keep nothing of what was seen of a track before."""
        self._followed.pop(track_id, None)

    def _portraits(
        self, frame: Frame, tracks: Sequence[Track], faces: Sequence[Face]
    ) -> dict[int, FaceCrop]:
        """By track, the faces that are due and large enough to be embedded."""
        now = frame.time_seconds
        portraits: dict[int, FaceCrop] = {}
        waiting: list[tuple[Track, Face]] = []
        for track, face in zip(tracks, faces, strict=True):
            followed = self._followed.setdefault(
                track.track_id, _Followed(Evidence(track.first_seen_seconds))
            )
            followed.continuity.look(measure_appearance(frame.pixels, face), now)
            if followed.match.verdict is not Verdict.KNOWN:  # whoever has passed is let be
                followed.liveness.see(frame.pixels, face, now)
            if not followed.has_moved and _is_settled(track):
                followed.has_moved = self._perception.is_moving(face, track.hits - 1)
            if now - followed.tried_seconds >= self._pause(followed) - 1e-6:
                self._portray(frame, track, face, portraits)
            elif followed.match.verdict is Verdict.KNOWN:
                waiting.append((track, face))
        if portraits:
            for track, face in waiting:
                followed = self._followed[track.track_id]
                if now - followed.tried_seconds >= COMPANY_PAUSE * self._pause(followed) - 1e-6:
                    self._portray(frame, track, face, portraits)
        return portraits

    def _portray(
        self, frame: Frame, track: Track, face: Face, portraits: dict[int, FaceCrop]
    ) -> None:
        """Add a face to those that are embedded, where it is large enough."""
        if min(face.width_pixels, face.height_pixels) < self._section.min_face_pixels:
            return
        portraits[track.track_id] = self._perception.portray(
            frame.pixels, face, device_address=frame.device_address
        )
        self._stopwatch.lap(Stage.ALIGN)

    def _compare(self, followed: _Followed, templates: Templates) -> None:
        """Find out whose the face may be, unless neither it nor anybody else has changed."""
        signature = followed.evidence.signature
        compared = followed.evidence.frames, templates.revision
        if signature is not None and compared != followed.compared:
            followed.candidates = templates.candidates(signature)
            followed.compared = compared

    def _embed(self, portraits: Mapping[int, FaceCrop], now: float) -> dict[int, FaceSample]:
        """Add to the evidence of each track, all faces in one batch; by track, what was added."""
        samples = self._perception.embed(list(portraits.values()))
        if portraits:
            self._stopwatch.lap(Stage.EMBED)
        taken: dict[int, FaceSample] = {}
        for track_id, sample in zip(portraits, samples, strict=True):
            followed = self._followed[track_id]
            followed.tries += 1
            followed.tried_seconds = now
            followed.continuity.note_embedding()
            if sample is None or sample.quality < self._section.min_quality:
                continue
            if self._take(followed, sample, now):
                taken[track_id] = sample
        return taken

    def _take(self, followed: _Followed, sample: FaceSample, now: float) -> bool:
        """Add to the evidence what is the track's; whether the face in this frame is."""
        evidence = followed.evidence
        decided = followed.match.verdict is not Verdict.UNDECIDED
        taken = followed.continuity.take(sample, evidence, now, decided=decided)
        added = [evidence.add(each) for each in taken]
        return bool(added) and added[-1]

    def _gone_over(self, tracks: Iterable[Track], now: float) -> frozenset[int]:
        """Forget what is known of tracks that show somebody else's face by now."""
        jumped = frozenset(
            track.track_id
            for track in tracks
            if self._followed[track.track_id].evidence.is_broken
            or self._followed[track.track_id].continuity.is_over(now)
        )
        for track_id in jumped:
            del self._followed[track_id]
        return jumped

    def _pause(self, followed: _Followed) -> float:
        """How long after its last embedding a face is embedded again."""
        if followed.tries < self._first_tries:
            return 0.0  # nothing can be decided, or told and shown, before
        if followed.continuity.is_changed:
            return 0.0
        if followed.match.verdict is Verdict.KNOWN:
            return 1 / EMBEDDINGS_PER_SECOND_WHEN_KNOWN
        return 1 / self._section.embeddings_per_second


def _is_settled(track: Track) -> bool:
    """Whether what moves in a face's place no longer moves because the face has come."""
    if track.hits > REMEMBERED_FRAMES:
        return True
    return track.hits > 1 and track.last_seen_seconds - track.first_seen_seconds >= SETTLED_SECONDS
