"""A picture that waits for the broker, with who is in it, as one run of bytes.

The JPEG comes first, so that an earlier doorbell, which takes all of it for the picture, still
shows it; what an earlier one left has nothing behind it, and nobody knows who is in it.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from doorbell.domain import Person, PicturedFace, Stranger, Visitor, VisitPicture
from doorbell.outputs.picture_files import face_document, face_from

_MARK = b"DoBeFace"
_LENGTH = struct.Struct(">I")


def pack_picture(picture: VisitPicture) -> bytes:
    """Write a picture with who is in it."""
    if picture.faces is None:
        return picture.jpeg
    faces = [
        {**face_document(face), **_visitor_document(face.visitor), "similarity": face.similarity}
        for face in picture.faces
    ]
    told = json.dumps(faces).encode()
    return b"".join((picture.jpeg, told, _LENGTH.pack(len(told)), _MARK))


def unpack_picture(data: bytes) -> VisitPicture:
    """Read one; without faces where there are none, or where they are damaged."""
    end = len(data) - len(_MARK) - _LENGTH.size
    if end < 0 or not data.endswith(_MARK):
        return VisitPicture(data)
    (size,) = _LENGTH.unpack_from(data, end)
    start = max(0, end - size)
    try:
        faces = tuple(_face_from(each) for each in json.loads(data[start:end]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return VisitPicture(data[:start])
    return VisitPicture(data[:start], faces)


def _visitor_document(visitor: Visitor | None) -> dict[str, Any]:
    match visitor:
        case Person(person_id=number, name=name):
            return {"person_id": number, "person": name}
        case Stranger(stranger_id=number):
            return {"stranger_id": number}
        case None:
            return {}


def _face_from(document: dict[str, Any]) -> PicturedFace:
    visitor: Visitor | None = None
    if "person_id" in document:
        visitor = Person(int(document["person_id"]), str(document["person"]))
    elif "stranger_id" in document:
        visitor = Stranger(int(document["stranger_id"]), 0.0, 0.0, 1)
    similarity = document["similarity"]
    return face_from(document, visitor, None if similarity is None else float(similarity))
