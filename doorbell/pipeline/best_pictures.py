"""The picture that shows each visit best, with who is in it, taken when an event leaves.

Leaves clean JPEG bytes, of those visitors alone whose pictures may be made; boxes and names are
drawn when they are shown. A visit holds its picture itself. Knows no file and no gallery.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from doorbell.domain import (
    Body,
    Face,
    FaceSample,
    Frame,
    Person,
    PicturedFace,
    UInt8Array,
    Visit,
    VisitPicture,
)
from doorbell.imaging.annotation import encode_jpeg
from doorbell.imaging.covering import cover
from doorbell.imaging.visit_picture import face_in_picture, told_by
from doorbell.recognition.calibration import others_reach
from doorbell.visits.observation import Observation
from doorbell.visits.open_visit import OpenVisit, Picture, ShownFace

Whose: TypeAlias = Literal["all", "people", "none"]

# A later picture replaces the best one only if it is better by this factor: copies cost time.
PICTURE_GAIN = 1.15

# A picture in which somebody beside the visitor cannot be told is worth so much of one in which
# everybody can: a later one is better by more than ``PICTURE_GAIN``.
UNTOLD_COMPANY = 0.8

# A face is the visitor's if it is this like the visitor's mean, of when they were named. Measured
# 2026-11-28 on ten clips of five people: one of 591 frames is less like the mean of the first three
# of its own track (0.37; one in a hundred below 0.55), none of 4,538 of others is as like (0.41 at
# most). A track itself takes samples from 0.15 on: enough to tell strangers, not look-alikes.
OWN_SIMILARITY = 0.5

# And this like the person who is named, whose photographs are of another day and light. Measured as
# above on Labeled Faces in the Wild: two of 263 photographs are less like the mean of five others
# of the same person (0.18 at most), two of 8,364 as like somebody else. Of a frame that promises
# less, as in the dark, so much of what it promises is enough, but not less than one in twenty other
# people would reach (``calibration``); it is like the visitor's mean besides.
PERSON_SIMILARITY = 0.4
PROMISED_PART, OTHERS_PART = 0.6, 0.05

# A press with nobody in sight shows the latest frame, if it is of these last seconds.
LATEST_SECONDS = 5.0


def _no_bodies(_pixels: UInt8Array) -> Sequence[Body]:
    """Find nobody by their figure."""
    return ()


class VisitPictures:
    """Finds the frame that shows each open visit best, and who is in it.

    A face stands for a visitor only where its own sample in that frame does: tracks go over to
    whoever takes a visitor's place before that is noticed.

    Args:
        whose: of whose visits pictures are made: with ``people`` only enrolled visitors are shown,
            and every other face in sight is painted over.
        similarity: how like a person one face is by itself, as a cosine.
        find_bodies: finds people by their figure in a picture; with ``people`` those of others are
            painted over whole.
    """

    def __init__(
        self,
        whose: Whose,
        similarity: Callable[[Person, FaceSample], float],
        find_bodies: Callable[[UInt8Array], Sequence[Body]] = _no_bodies,
    ) -> None:
        self._whose = whose
        self._find_bodies = find_bodies
        self._similarity = similarity
        self.private = False  # then none is made
        self._latest: Frame | None = None

    def see(
        self,
        frame: Frame,
        seen: Sequence[tuple[Observation, OpenVisit | None]],
        others: Sequence[Face] = (),
        figures: Sequence[OpenVisit] = (),
    ) -> None:
        """Take in one frame: each visit keeps it that it shows better than the one before.

        Args:
            frame: the next one.
            seen: what was seen of each track in it, with the visit that it belongs to, if any.
            others: faces in it that are believed only if they are found again.
            figures: visits whose visitor's figure was found in it; without a face that is shown.
        """
        if self._whose == "none" or self.private:
            self._latest = None
            return
        self._latest = frame
        faces = [ShownFace(each.track, each.sample, entry) for each, entry in seen]
        for own in faces:
            entry = own.visit
            if entry is None:
                continue
            best, shown = entry.picture, None if entry.picture is None else entry.picture.own
            told = own.sample is not None
            if shown is None:
                best = None  # any face is better than a figure
            elif shown.sample is not None and not told:
                continue
            elif not self._shows(shown, entry.visit):
                best = entry.picture = None  # the visitor was named meanwhile, and it is not they
            # People want to see a face large; recognition is content with less.
            quality = 1.0 if own.sample is None else own.sample.quality
            worth = quality * own.track.face.width_pixels
            if any(each.sample is None for each in faces if each is not own):
                worth *= UNTOLD_COMPANY
            first_told = told and shown is not None and shown.sample is None
            if best is not None and not first_told and worth <= best.worth * PICTURE_GAIN:
                continue
            if self._shows(own, entry.visit):
                beside = tuple(each for each in faces if each is not own)
                entry.picture = Picture(frame.pixels, own, beside, tuple(others), worth)
        for entry in figures:
            best, height = entry.picture, 0.0 if entry.body is None else entry.body.height_pixels
            if best is None or (best.own is None and height > best.worth * PICTURE_GAIN):
                entry.picture = Picture(frame.pixels, None, tuple(faces), tuple(others), height)

    def take(self, entry: OpenVisit, visit: Visit) -> VisitPicture | None:
        """A visit's best picture and who is in it; None where there is to be none.

        Args:
            entry: the visit with its picture.
            visit: as it stands in the event.
        """
        picture = entry.picture
        if picture is None or self.private or not self._may_show(visit):
            return None
        if picture.own is None:
            if visit.visitor is not None:  # of whom a figure says nothing
                return None
        elif not self._shows(picture.own, visit):
            return None
        faces: list[PicturedFace] = []
        shown_faces: list[Face] = []
        covered = [] if self._whose == "all" else list(picture.others)
        for shown in (*([] if picture.own is None else [picture.own]), *picture.beside):
            of_face = visit if shown is picture.own else self._visit_of(shown)
            if self._may_show(of_face):
                faces.append(_pictured(shown, of_face))
                shown_faces.append(shown.track.face)
            else:
                covered.append(shown.track.face)
        pixels = picture.pixels
        if covered:
            pixels = cover(pixels, [face.box_xyxy for face in covered])
        if self._whose == "people":
            pixels = _cover_bodies(pixels, self._find_bodies(picture.pixels), shown_faces)
        else:
            faces += [replace(face_in_picture(face), is_drawn=False) for face in picture.others]
        return VisitPicture(encode_jpeg(pixels), tuple(faces))

    def take_latest(self, wall_time: float, faces: Sequence[Face]) -> VisitPicture | None:
        """The latest frame, where it is recent and whoever is in it may be shown.

        Args:
            wall_time: now.
            faces: those in sight.
        """
        latest = self._latest
        if self._whose != "all" or latest is None or self.private:
            return None
        if abs(wall_time - latest.captured_at) > LATEST_SECONDS:
            return None
        return VisitPicture(encode_jpeg(latest.pixels), tuple(map(face_in_picture, faces)))

    def forget(
        self, entries: Iterable[OpenVisit], is_forgotten: Callable[[str], bool], *, anybody: bool
    ) -> None:
        """Paint over whoever was forgotten in the pictures of visits that go on.

        Args:
            entries: the visits.
            is_forgotten: whether a visit was, by its identifier.
            anybody: whether somebody was: it may be whoever nobody can tell.
        """
        if anybody:
            self._latest = None
        for entry in entries:
            if entry.picture is None:
                continue
            gone = [
                each
                for each in entry.picture.beside
                if self._is_gone(each, is_forgotten) or (anybody and self._visit_of(each) is None)
            ]
            others = entry.picture.others if anybody else ()
            if gone or others:
                boxes = [each.track.face.box_xyxy for each in gone]
                boxes += [face.box_xyxy for face in others]
                entry.picture = replace(
                    entry.picture,
                    pixels=cover(entry.picture.pixels, boxes),
                    beside=tuple(each for each in entry.picture.beside if each not in gone),
                    others=() if anybody else entry.picture.others,
                )

    @staticmethod
    def _is_gone(shown: ShownFace, is_forgotten: Callable[[str], bool]) -> bool:
        return shown.visit is not None and is_forgotten(shown.visit.visit.visit_id)

    def _visit_of(self, shown: ShownFace) -> Visit | None:
        """Whose face it is, as far as the frame itself says so."""
        visit = None if shown.visit is None else shown.visit.visit
        return visit if visit is not None and self._shows(shown, visit) else None

    def _shows(self, shown: ShownFace, visit: Visit) -> bool:
        """Whether a face is the visitor's, by what was seen of it in that frame alone."""
        if shown.visit is None:
            return False
        if shown.sample is None:  # as long as nobody knows who it is, nobody is mistaken
            return visit.visitor is None
        signature = shown.visit.signature
        if signature is not None and float(signature @ shown.sample.embedding) < OWN_SIMILARITY:
            return False
        if visit.corrected or not isinstance(visit.visitor, Person):
            return True
        quality = shown.sample.quality
        least = max(PROMISED_PART * quality, others_reach(quality, OTHERS_PART))
        return self._similarity(visit.visitor, shown.sample) >= min(PERSON_SIMILARITY, least)

    def _may_show(self, visit: Visit | None) -> bool:
        if self._whose == "all":
            return True
        return visit is not None and isinstance(visit.visitor, Person)


def _cover_bodies(pixels: UInt8Array, bodies: Sequence[Body], shown: Sequence[Face]) -> UInt8Array:
    """Paint over whoever is not shown, on a copy, and leave the shown faces in front of them.

    Each shown face has one figure, the one whose head it is nearest to.
    """
    others = list(bodies)
    for face in shown:
        own = min(
            (body for body in others if body.holds(face)),
            key=lambda body: _distance_from_head(face, body),
            default=None,
        )
        if own is not None:
            others.remove(own)
    if not others:
        return pixels
    covered = cover(pixels, [body.box_xyxy for body in others], margin=0.0)
    for face in shown:
        left, top, right, bottom = (max(0, round(float(edge))) for edge in face.box_xyxy)
        covered[top:bottom, left:right] = pixels[top:bottom, left:right]
    return covered


def _distance_from_head(face: Face, body: Body) -> float:
    """From the middle of a figure's upper edge to a face's, in heights of the figure."""
    left, top, right, _ = (float(edge) for edge in body.box_xyxy)
    x, upper = float(face.box_xyxy[0::2].mean()), float(face.box_xyxy[1])
    return math.hypot(x - (left + right) / 2, upper - top) / max(body.height_pixels, 1.0)


def _pictured(shown: ShownFace, of_face: Visit | None) -> PicturedFace:
    """A face of a picture, with the visit that it is followed in, and the one that it shows."""
    followed_in = None if shown.visit is None else shown.visit.visit.visit_id
    face = replace(
        face_in_picture(shown.track.face),
        visit_id=followed_in if of_face is None else of_face.visit_id,
        is_certain=of_face is not None,
    )
    return told_by(face, of_face)
