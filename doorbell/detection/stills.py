"""Faces of a single picture: four networks look everywhere, and agree.

A visitor in a stream is found in one of many frames; a picture gives one chance. Each network errs
in its own way, so a face is what they find together: its agreement is the weighted mean of the best
scores that each gave to it, 0 for one that saw nothing. Knows neither streams nor people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from doorbell.config import DetectionSection
from doorbell.detection.blazeface import BlazeFace, Candidates, blend, clusters, iou, mean_face
from doorbell.detection.regions import several_looks, still_regions
from doorbell.domain import Face, Float32Array, UInt8Array

# From which score on a network has a say: its doubtful sightings count where others share them.
HEARD_SCORE = 0.15

# The part of close looks in a face's keypoints.
CLOSE_LOOKS_PART = 0.25
# How many faces are looked at closely: in a crowd the small ones, which nobody is recognized by,
# would take longer than all the rest.
CLOSELY_SEEN_FACES = 16

# Keypoints from here on are ears.
EARS = 4

# By which a face seen closely is known to be the one that was to be looked at.
SAME_FACE_IOU = 0.4
# Width of each network's smallest tiles, in pixels of the picture. Measured 2026-11-22 on 100
# street scenes 416 pixels wide: among pairs and triples of 64 to 288 pixels these find most faces
# of 20 to 32 pixels at one mistake a picture.
BACK_TILE_PIXELS = 208
FULL_TILE_PIXELS = 128
SHORT_TILE_PIXELS = 96
YUNET_TILE_PIXELS = 320
TILE_OVERLAP = 0.5
# YuNet has as much of a say as BlazeFace's three networks together. Measured 2026-11-28 on the same
# street scenes at 0.8 mistakes a picture: of faces of 20 to 32 pixels 0.75 are found where all four
# count alike, 0.79 where it counts twice and 0.81 where it counts three times; 0.63 without it.
YUNET_WEIGHT = 3.0


@dataclass(frozen=True, slots=True)
class Source:
    """One network.

    Attributes:
        detector: finds candidates.
        tile_pixels: the width of its smallest tiles in pixels of the picture.
        weight: of its scores in the agreement.
        sees_ears: whether it looks for them, rather than put them where faces have them.
    """

    detector: BlazeFace
    tile_pixels: int
    weight: float = 1.0
    sees_ears: bool = True


class StillDetector:
    """Finds the faces of single pictures."""

    def __init__(
        self, sources: Sequence[Source], close_look: BlazeFace, section: DetectionSection
    ) -> None:
        """Join networks.

        Args:
            sources: whose agreement decides.
            close_look: the short-range network, which then looks at each face by itself, as it does
                at one that is followed: people are enrolled as they are later seen.
            section: says how much agreement it takes.
        """
        self._sources = sources
        weights = np.array([source.weight for source in sources])
        self._shares = weights / weights.sum()  # (s,)
        self._sees_ears = np.array([source.sees_ears for source in sources])
        self._close_look = close_look
        self._section = section

    def close(self) -> None:
        """Release the networks; idempotent."""
        for source in self._sources:
            source.detector.close()
        self._close_look.close()

    def detect(self, pixels: UInt8Array) -> list[Face]:
        """Find the faces of a picture, (height, width, 3) uint8 RGB.

        Returns:
            Faces in pixels of the picture, best score first; the score is the surest source's.
        """
        height, width = pixels.shape[:2]
        found = [
            source.detector.candidates(
                pixels, still_regions(width, height, source.tile_pixels, TILE_OVERLAP)
            )
            for source in self._sources
        ]
        origins = np.repeat(np.arange(len(found)), [len(each.scores) for each in found])  # (n,)
        faces = self._agreed(Candidates.joined(found), origins)
        return sorted(self._sharpened(pixels, faces), key=lambda face: -face.score)

    def _agreed(self, candidates: Candidates, origins: NDArray[np.int64]) -> list[Face]:
        """The faces that enough sources see."""
        faces = []
        for cluster in clusters(candidates, self._section.blend_iou):
            best = np.zeros(len(self._sources))
            np.maximum.at(best, origins[cluster], candidates.scores[cluster])
            if best @ self._shares >= self._section.still_agreement:
                # Squared, because the doubtful sightings of small tiles are many. Then each network
                # has its share, however many of its tiles showed the face.
                weights = candidates.scores[cluster] ** 2
                whose = origins[cluster]
                weights = weights * self._shares[whose] / np.bincount(whose, weights)[whose]
                face = mean_face(candidates, cluster, weights, float(best.max()))
                seen = self._sees_ears[whose]
                if seen.any() and not seen.all():
                    of_seen = mean_face(candidates, cluster[seen], weights[seen], face.score)
                    keypoints = np.concatenate(
                        [face.keypoints_xy[:EARS], of_seen.keypoints_xy[EARS:]]
                    )
                    face = replace(face, keypoints_xy=keypoints)
                faces.append(face)
        return faces

    def _sharpened(self, pixels: UInt8Array, faces: list[Face]) -> list[Face]:
        """Each face with keypoints that close looks share in; as it was where they show none."""
        if not faces:
            return []
        largest = sorted(faces, key=lambda face: -face.width_pixels)[:CLOSELY_SEEN_FACES]
        regions = [region for face in largest for region in several_looks(face)]
        seen = blend(self._close_look.candidates(pixels, regions), self._section.blend_iou)
        if not seen:
            return faces
        boxes: Float32Array = np.stack([face.box_xyxy for face in seen])  # (s, 4)
        return [_with_keypoints(face, seen, iou(face.box_xyxy, boxes)) for face in faces]


def _with_keypoints(face: Face, seen: Sequence[Face], overlaps: Float32Array) -> Face:
    """Average the keypoints with those of the face seen in the same place, if there is one.

    The box stays: on street scenes the mean of the networks is nearer.
    """
    nearest = int(np.argmax(overlaps))
    if overlaps[nearest] <= SAME_FACE_IOU:
        return face
    closer = seen[nearest].keypoints_xy - face.keypoints_xy
    keypoints = face.keypoints_xy + np.float32(CLOSE_LOOKS_PART) * closer
    return replace(face, keypoints_xy=keypoints)
