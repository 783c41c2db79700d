"""Who each live track is: tracked faces in, what is known of each of them out.

Embeds the faces that are worth it, gathers evidence and decides anew. Knows neither visits nor
events, and stores nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from doorbell.config import Config
from doorbell.domain import Face, Float32Array, Frame, Match, Stranger, Track, Verdict
from doorbell.latency import Stage, Stopwatch
from doorbell.open_visit import Observation
from doorbell.perception import Perception, Portrait
from doorbell.recognition.candidates import NOBODY, Candidates
from doorbell.recognition.corrections import is_no_face
from doorbell.recognition.decision import Evidence, decide, nearest_stranger
from doorbell.recognition.pose import head_pose, is_looking
from doorbell.recognition.templates import Templates
from doorbell.tracking import Tracker

UNDECIDED = Match(Verdict.UNDECIDED, None, 0.0, 0)

# Once somebody is named the face is still looked at, to notice a track that jumps to another face.
EMBEDDINGS_PER_SECOND_WHEN_KNOWN = 2.0


@dataclass(slots=True)
class _Followed:
    """What is known of one live track."""

    evidence: Evidence
    match: Match = UNDECIDED
    tries: int = 0
    tried_seconds: float = -math.inf
    is_no_face: bool = False  # so the household said of what looks like it
    candidates: Candidates = NOBODY
    compared: tuple[int, int] = (0, 0)  # how many frames with which revision of the templates


class Recognizer:
    """Recognizes the tracks of one door.

    Args:
        perception: cuts out and embeds faces.
        tracker: has the live tracks; one that jumped to another face is dropped there.
        config: its sections on recognition and attention.
        templates: tells who is known.
        stopwatch: times the stages of each frame.
    """

    def __init__(
        self,
        perception: Perception,
        tracker: Tracker,
        config: Config,
        templates: Callable[[], Templates],
        stopwatch: Stopwatch,
    ) -> None:
        self._perception = perception
        self._tracker = tracker
        self._section = config.recognition
        self._attention = config.attention
        self._read_templates = templates
        self._stopwatch = stopwatch
        self._followed: dict[int, _Followed] = {}

    @property
    def usable(self) -> list[Observation]:
        """Every live track of which a frame was good enough to be recognized by."""
        return [
            self.observation(track)
            for track in self._tracker.tracks
            if (followed := self._followed.get(track.track_id)) is not None
            and followed.evidence.frames
            and not followed.is_no_face
        ]

    def step(
        self, frame: Frame, tracks: Sequence[Track], faces: Sequence[Face]
    ) -> dict[int, Portrait]:
        """Embed the faces that are worth it, and decide anew.

        Args:
            frame: the next one of the camera.
            tracks: found in it.
            faces: of these, in the same order, as they were detected.

        Returns:
            By track, the faces that were good enough to be embedded.
        """
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
        self._embed(portraits, now)
        templates = self._read_templates()
        for followed in self._followed.values():
            self._compare(followed, templates)
            followed.match = decide(followed.evidence, followed.candidates, self._section, now)
            followed.is_no_face = is_no_face(followed.candidates, self._section.stranger_similarity)
        return portraits

    def observation(self, track: Track) -> Observation:
        """Tell what is known of a live track."""
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

    def is_no_face(self, track: Track) -> bool:
        """Whether it looks like what the household said is no face."""
        followed = self._followed.get(track.track_id)
        return followed is not None and followed.is_no_face

    def nearest_stranger(self, signature: Float32Array | None) -> Stranger | None:
        """The stranger met before whose face this is, (128,) float32, if there is one."""
        if signature is None:
            return None
        return nearest_stranger(self._read_templates().candidates(signature), self._section)

    def forget(self, track_id: int) -> None:
        """Keep nothing of what was seen of a track before."""
        self._followed.pop(track_id, None)

    def _compare(self, followed: _Followed, templates: Templates) -> None:
        """Find out whose the face may be, unless neither it nor anybody else has changed."""
        signature = followed.evidence.signature
        compared = followed.evidence.frames, templates.revision
        if signature is not None and compared != followed.compared:
            followed.candidates = templates.candidates(signature)
            followed.compared = compared

    def _embed(self, portraits: dict[int, Portrait], now: float) -> None:
        """Add to the evidence of each track, all faces in one batch."""
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

    def _pause(self, followed: _Followed) -> float:
        """How long after its last embedding a face is embedded again."""
        if followed.match.verdict is Verdict.KNOWN:
            return 1 / EMBEDDINGS_PER_SECOND_WHEN_KNOWN
        if followed.tries < self._section.min_frames:
            return 0.0  # nothing can be decided before
        return 1 / self._section.embeddings_per_second
