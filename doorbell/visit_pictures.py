"""The picture that shows each visit best, drawn when an event leaves.

Enters: frames, and which track belongs to which visit. Leaves: JPEG bytes, of those visitors alone
whose pictures may be made. Knows no file and no gallery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from doorbell.annotation import FaceNote, annotate, encode_jpeg
from doorbell.domain import Face, Frame, Person, Track, UInt8Array, Verdict, Visit

Whose: TypeAlias = Literal["all", "people", "none"]

# A later picture replaces the best one only if it is better by this factor: copies cost time.
PICTURE_GAIN = 1.15

# A press with nobody in sight shows the latest frame, if it is of these last seconds.
LATEST_SECONDS = 5.0

# Boxes end at the forehead and the chin: this much of them is painted over on each side as well.
COVER_MARGIN = 0.4
_COVER = 96  # grey


@dataclass(frozen=True, eq=False, slots=True)
class _Picture:
    """The frame that shows a visit best, and every face in it."""

    pixels: UInt8Array
    tracks: tuple[Track, ...]
    others: tuple[Face, ...]
    worth: float


class VisitPictures:
    """Remembers a frame for each open visit.

    Args:
        whose: of whose visits pictures are made: with ``people`` only enrolled visitors are shown,
            and every other face in sight is painted over.
    """

    def __init__(self, whose: Whose) -> None:
        self._whose = whose
        self._best: dict[str, _Picture] = {}
        self._latest: Frame | None = None
        self._visit_of_track: dict[int, Visit] = {}

    def see(
        self,
        frame: Frame,
        visits: Sequence[tuple[Track, Visit | None]],
        worths: Mapping[int, float],
        others: Sequence[Face] = (),
    ) -> None:
        """Take in one frame.

        Args:
            frame: the next one.
            visits: the tracks found in it, with the visit that each belongs to, if any.
            worths: how well a face is shown, by track; nothing for those that nobody judged.
            others: faces in it that are believed only if they are found again.
        """
        if self._whose == "none":
            return
        self._latest = frame
        tracks = tuple(track for track, _ in visits)
        for track, visit in visits:
            if visit is None:
                continue
            self._visit_of_track[track.track_id] = visit
            worth = worths.get(track.track_id, 0.0)
            best = self._best.get(visit.visit_id)
            if best is None or worth > best.worth * PICTURE_GAIN:
                self._best[visit.visit_id] = _Picture(frame.pixels, tracks, tuple(others), worth)

    def draw(self, visit: Visit) -> bytes | None:
        """A visit's best picture with boxes, keypoints and labels; None where there is to be none.

        Args:
            visit: as it stands.
        """
        picture = self._best.get(visit.visit_id)
        if picture is None or not self._may_show(visit):
            return None
        notes: list[FaceNote] = []
        covered = [] if self._whose == "all" else list(picture.others)
        for track in picture.tracks:
            of_track = self._visit_of_track.get(track.track_id)
            if of_track is not None and of_track.visit_id == visit.visit_id:
                of_track = visit
            if self._may_show(of_track):
                notes.append(_note(track.face, of_track))
            else:
                covered.append(track.face)
        return encode_jpeg(annotate(_cover(picture.pixels, covered), notes))

    def draw_latest(self, wall_time: float, faces: Sequence[Face]) -> bytes | None:
        """The latest frame, where it is recent and whoever is in it may be shown.

        Args:
            wall_time: now.
            faces: those in sight.
        """
        latest = self._latest
        if self._whose != "all" or latest is None:
            return None
        if abs(wall_time - latest.captured_at) > LATEST_SECONDS:
            return None
        return encode_jpeg(annotate(latest.pixels, [FaceNote(face) for face in faces]))

    def forget(self, gone_visit_ids: Sequence[str], live_track_ids: Sequence[int]) -> None:
        """Let go of visits that have ended, and of tracks that no picture shows any more."""
        for visit_id in gone_visit_ids:
            self._best.pop(visit_id, None)
        shown = {track.track_id for each in self._best.values() for track in each.tracks}
        kept = shown.union(live_track_ids)
        self._visit_of_track = {k: v for k, v in self._visit_of_track.items() if k in kept}

    def forget_visitor(self, visit_id: str) -> None:
        """Let go of what an open visit was shown by, and of its visitor's name elsewhere."""
        self._best.pop(visit_id, None)
        self._visit_of_track = {
            track_id: visit
            for track_id, visit in self._visit_of_track.items()
            if visit.visit_id != visit_id
        }

    def _may_show(self, visit: Visit | None) -> bool:
        if self._whose == "all":
            return True
        return visit is not None and isinstance(visit.visitor, Person)


def _cover(pixels: UInt8Array, faces: Sequence[Face]) -> UInt8Array:
    """Paint over faces, on a copy."""
    if not faces:
        return pixels
    covered: UInt8Array = pixels.copy()
    for face in faces:
        left, top, right, bottom = face.box_xyxy
        margin_x = COVER_MARGIN * face.width_pixels
        margin_y = COVER_MARGIN * face.height_pixels
        edges = (left - margin_x, top - margin_y, right + margin_x, bottom + margin_y)
        x0, y0, x1, y1 = (max(0, round(float(edge))) for edge in edges)
        covered[y0:y1, x0:x1] = np.uint8(_COVER)
    return covered


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
