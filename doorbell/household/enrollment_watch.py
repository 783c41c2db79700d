"""Frames of a video or of the live camera to the samples of whoever stands before it.

Frames in; it knows no gallery and no person, so that it can run in a process of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from doorbell.config import Config
from doorbell.domain import FaceSample, Frame, UInt8Array
from doorbell.errors import EnrollmentError
from doorbell.household.enrollment_samples import SeenTrack, distinct
from doorbell.household.enrollment_strength import Coverage
from doorbell.household.examination import SURE_SCORE
from doorbell.pipeline.perception import FaceCrop, Perception
from doorbell.pipeline.tracking import Tracker
from doorbell.pipeline.turning import TURNED_MARGIN, UPRIGHT_QUALITY, find_upright
from doorbell.recognition.quality import Quality

# Frames are taken whose face the border cuts no further than this, and of these such as tell at
# least so much of what the best one tells.
MIN_IN_FRAME = 0.8
NEAR_BEST = 0.8

# So many frames whose faces tell little are turned: a video may be upside down.
TURNED_FRAMES = 4


@dataclass(frozen=True, eq=False, slots=True)
class WatchedFace:
    """The main person of some frames: the face seen largest and longest.

    Attributes:
        digest: by which the same frames are known when they come twice.
        samples: that differ from each other, so that several poses are known.
        qualities: of the frames that are usable, some of them.
        usable: how many those were.
    """

    digest: str
    samples: tuple[FaceSample, ...]
    qualities: tuple[Quality, ...]
    usable: int


class EnrollmentWatch:
    """Follows faces through frames, and chooses samples of the main one at the end.

    Attributes:
        coverage: which ways the main person has been seen turned.
    """

    def __init__(
        self, perception: Perception, config: Config, coverage: Coverage | None = None
    ) -> None:
        self.coverage = coverage or Coverage()
        self._perception = perception
        self._config = config
        self._tracker = Tracker(config.tracking)
        self._seen: dict[int, SeenTrack] = {}
        self._kept: list[UInt8Array] = []  # some frames, spread over the time
        self._place, self._step = 0, 1
        self._digest = hashlib.sha256()

    def add(self, frame: Frame) -> None:
        """Take in the next frame, in order of time."""
        if self._place % self._step == 0:
            self._kept.append(frame.pixels)
            if len(self._kept) == 2 * TURNED_FRAMES:
                self._kept, self._step = self._kept[::2], 2 * self._step
        self._place += 1
        self._digest.update(frame.pixels[::8, ::8].tobytes())
        faces = self._perception.detect(
            frame.pixels, self._tracker.tracks, device_address=frame.device_address
        )
        tracks = self._tracker.update(faces, frame.time_seconds)
        for track, face in zip(tracks, faces, strict=True):
            entry = self._seen.setdefault(track.track_id, SeenTrack())
            entry.area += face.width_pixels * face.height_pixels
            portrait = self._perception.portray(
                frame.pixels, face, device_address=frame.device_address
            )
            if self._is_usable(portrait):
                entry.add(portrait)
                if entry is max(self._seen.values(), key=lambda each: each.area):
                    self.coverage.add(portrait.quality.pose)

    def finish(self, source: str) -> WatchedFace:
        """Choose the samples.

        Args:
            source: what the frames came from, for messages.

        Raises:
            EnrollmentError: no face was usable, or the frames are not upright.
        """
        usable, chosen, qualities = 0, [], []
        for entry in sorted(self._seen.values(), key=lambda each: -each.area):
            usable, chosen = entry.usable, distinct(self._good_samples(entry.spread))
            if chosen:
                qualities = [portrait.quality for portrait in entry.portraits]
                break
        self._refuse_turned(source, chosen)
        if not chosen:
            raise EnrollmentError(
                f"{source} shows no face good enough to enroll ({len(self._seen)} seen); "
                "come nearer, face the camera and see to it that light falls on the face"
            )
        return WatchedFace(self._digest.hexdigest(), tuple(chosen), tuple(qualities), usable)

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

    def _refuse_turned(self, source: str, samples: Sequence[FaceSample]) -> None:
        """Refuse a video that lies on its side or stands on its head."""
        quality = max((sample.quality for sample in samples), default=0.0)
        if quality >= UPRIGHT_QUALITY:
            return
        for pixels in self._kept[:: max(len(self._kept) // TURNED_FRAMES, 1)]:
            seen = find_upright(self._perception, pixels)
            if seen.degrees and seen.quality >= max(quality + TURNED_MARGIN, UPRIGHT_QUALITY):
                how = "is upside down" if seen.degrees == 180 else "lies on its side"
                raise EnrollmentError(
                    f"{source} {how}; turn it by {seen.degrees} degrees clockwise and enroll again"
                )
