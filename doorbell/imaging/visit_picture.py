"""The picture of a visit: clean bytes and who is in it, to the picture that people are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from doorbell.domain import (
    Face,
    Person,
    PicturedFace,
    Stranger,
    UInt8Array,
    Verdict,
    Visit,
    VisitPicture,
)
from doorbell.imaging.annotation import FaceNote, annotate, encode_jpeg
from doorbell.imaging.covering import cover

# What is kept. Painting over a face encodes the rest once more, at a quality that loses nothing.
QUALITY, QUALITY_AGAIN = 90, 95


def face_in_picture(face: Face) -> PicturedFace:
    """A detected face as it stands in a picture, of nobody yet."""
    left, top, right, bottom = (round(float(edge), 1) for edge in face.box_xyxy)
    keypoints = tuple((round(float(x), 1), round(float(y), 1)) for x, y in face.keypoints_xy)
    return PicturedFace((left, top, right, bottom), keypoints)


def told_by(face: PicturedFace, visit: Visit | None) -> PicturedFace:
    """The face with what its visit says now of who it is; None where there is no such visit."""
    visitor = None if visit is None else visit.visitor
    if visit is None or visitor is None or visit.corrected:
        return replace(face, visitor=visitor, similarity=None)
    # At a first visit there is nobody yet whom a stranger's face could be similar to.
    is_first = isinstance(visitor, Stranger) and visitor.visits <= 1
    return replace(face, visitor=visitor, similarity=None if is_first else visit.similarity)


def draw_picture(picture: VisitPicture, *, width: int = 0, quality: int = QUALITY) -> bytes:
    """Draw boxes, keypoints and names; bytes that need no change, or are no JPEG, stay as they are.

    Args:
        picture: the clean one.
        width: of the result, in pixels, if the picture is wider; 0 for its own.
        quality: of the JPEG, 1 to 100.
    """
    drawn = [face for face in picture.faces or () if face.is_drawn]
    pixels = decode_jpeg(picture.jpeg)
    if pixels is None:
        return picture.jpeg
    scale = min(1.0, width / pixels.shape[1]) if width else 1.0
    if scale == 1.0 and not drawn:
        return picture.jpeg
    if scale < 1.0:
        size = (width, max(1, round(pixels.shape[0] * scale)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return encode_jpeg(annotate(pixels, [_note(face, scale) for face in drawn]), quality)


def is_drawn_as_it_is(picture: VisitPicture, width: int) -> bool:
    """Whether drawing needs no time: nothing is to be drawn, and it is small enough or no JPEG."""
    if any(face.is_drawn for face in picture.faces or ()):
        return False
    wide = jpeg_width(picture.jpeg)
    return wide is None or wide <= width


def jpeg_width(jpeg: bytes) -> int | None:
    """How wide a picture is; None where it is no JPEG."""
    size = jpeg_size(jpeg)
    return None if size is None else size[0]


def jpeg_size(jpeg: bytes) -> tuple[int, int] | None:
    """Width and height, from the frame header (ITU T.81, B.2.2); None where it is no JPEG."""
    place = 2
    while jpeg.startswith(b"\xff\xd8") and place + 9 <= len(jpeg) and jpeg[place] == 0xFF:
        marker = jpeg[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (
                int.from_bytes(jpeg[place + at : place + at + 2], "big") for at in (5, 7)
            )
            return width, height
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
    return None


def cover_faces(
    picture: VisitPicture, is_to_go: Callable[[PicturedFace], bool]
) -> VisitPicture | None:
    """Paint over faces for good, in the pixels; those that are left stay.

    Returns:
        The same where nobody is to go; None where it cannot be done: nobody knows who is in the
        picture, or it is no JPEG.
    """
    if picture.faces is None:
        return None
    gone = [face for face in picture.faces if is_to_go(face)]
    if not gone:
        return picture
    pixels = decode_jpeg(picture.jpeg)
    if pixels is None:
        return None
    covered = cover(pixels, [face.box_xyxy for face in gone])
    left = tuple(face for face in picture.faces if face not in gone)
    return VisitPicture(encode_jpeg(covered, QUALITY_AGAIN), left)


def decode_jpeg(jpeg: bytes) -> UInt8Array | None:
    """(height, width, 3) uint8, RGB; None where it is no JPEG."""
    if not jpeg.startswith(b"\xff\xd8"):
        return None
    try:
        decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if decoded is None else np.asarray(decoded[..., ::-1], np.uint8)


def _note(face: PicturedFace, scale: float) -> FaceNote:
    box = np.asarray(face.box_xyxy, np.float32) * scale
    keypoints = np.asarray(face.keypoints_xy, np.float32).reshape(-1, 2) * scale
    shown = Face(np.asarray(box, np.float32), np.asarray(keypoints, np.float32), 1.0)
    visitor = face.visitor if face.is_certain else None
    if visitor is None:
        return FaceNote(shown)
    verdict = Verdict.KNOWN if isinstance(visitor, Person) else Verdict.UNKNOWN
    return FaceNote(shown, verdict, visitor.label, face.similarity)
