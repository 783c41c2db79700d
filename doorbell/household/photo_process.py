"""The process that looks at photos which anybody may have sent; started by ``photo_worker``.

It reads requests from its standard input and answers on its standard output: first it is told how
to find faces, then it loads the networks, gives up everything that it does not need, and looks at
one photo after the other. It knows no gallery, no key and no person.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from doorbell.config import Config
from doorbell.control.wire import Document
from doorbell.domain import Face, Frame, UInt8Array
from doorbell.errors import DoorbellError, EnrollmentError
from doorbell.household import confinement
from doorbell.household.enrollment_watch import EnrollmentWatch
from doorbell.household.examination import examine_photo
from doorbell.household.photo_messages import (
    MAX_BLOB_BYTES,
    PREVIEW_PIXELS,
    SeenPhoto,
    photo_message,
    watched_message,
)
from doorbell.household.pipe_messages import (
    IDLE_SECONDS,
    Message,
    read_message,
    serve,
    write_message,
)
from doorbell.imaging.annotation import encode_jpeg
from doorbell.imaging.photos import FORMATS, decode_photo
from doorbell.imaging.portrait import crop_portrait
from doorbell.pipeline.perception import Perception, open_perception
from doorbell.pipeline.turning import turn

PREVIEW_QUALITY = 80
# What a photo is called in messages.
PHOTO = "this photo"
NO_MEMORY = f"{PHOTO} takes more memory than there is for it; save it smaller"


def main() -> None:
    """Serve until nobody asks any more, or for a minute."""
    confinement.refuse_outside()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    first = read_message(requests, 0)
    if first is None:
        return
    try:
        config = Config.model_validate(first[0])
        cv2.setNumThreads(1)
        perception = open_perception(config)
        _warm_up(perception, config)
        confinement.be_modest()  # now that nobody waits for it to start
        confinement.limit_resources()
        confinement.refuse_files()
    except DoorbellError as exc:
        write_message(answers, {"error": str(exc)})
        return
    write_message(answers, {"ready": True})
    serve(
        Photos(perception, config).answer,
        requests,
        answers,
        max_blob=MAX_BLOB_BYTES,
        no_memory=NO_MEMORY,
        idle_seconds=IDLE_SECONDS,
    )


class Photos:
    """Looks at photos, and at whoever stands before the camera."""

    def __init__(self, perception: Perception, config: Config) -> None:
        self._perception = perception
        self._config = config
        self._watch: EnrollmentWatch | None = None

    def answer(self, request: Document, blob: bytes) -> Message:
        """Do what is asked for.

        Raises:
            DoorbellError: it cannot be done, and why.
        """
        match request:
            case {"do": "examine"}:
                return photo_message(self._examine(blob))
            case {"do": "watch"}:
                self._watch = EnrollmentWatch(self._perception, self._config)
                return self._seen(self._watch), b""
            case {"do": "frame"} if self._watch is not None:
                self._watch.add(_frame(request, blob))
                return self._seen(self._watch), b""
            case {"do": "finish", "source": str(source)} if self._watch is not None:
                watch, self._watch = self._watch, None
                return watched_message(watch.finish(source))
            case _:
                raise EnrollmentError("a request that is none")

    def _examine(self, content: bytes) -> SeenPhoto:
        pixels = decode_photo(content, PHOTO)
        photo = examine_photo(self._perception, pixels)
        pixels = turn(pixels, photo.turned_degrees)
        return SeenPhoto(
            photo,
            pixels.shape[1],
            pixels.shape[0],
            previews(pixels),
            tuple(crop_portrait(pixels, each.face.box_xyxy) for each in photo.faces),
        )

    @staticmethod
    def _seen(watch: EnrollmentWatch) -> Document:
        return {"seen": list(watch.coverage.seen), "missing": list(watch.coverage.missing)}


def previews(pixels: UInt8Array) -> tuple[bytes, ...]:
    """JPEGs of a photo, none larger than it is, the largest first."""
    made = []
    for side in PREVIEW_PIXELS:
        height, width = pixels.shape[:2]
        scale = side / max(height, width)
        if scale < 1.0:
            size = max(round(width * scale), 1), max(round(height * scale), 1)
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        made.append(encode_jpeg(pixels, PREVIEW_QUALITY))
    return tuple(made)


def _frame(request: Document, blob: bytes) -> Frame:
    shape = (int(request["height"]), int(request["width"]), 3)
    pixels = np.frombuffer(blob, np.uint8).reshape(shape)
    return Frame(
        pixels,
        time_seconds=float(request["time_seconds"]),
        captured_at=float(request["captured_at"]),
        index=int(request["index"]),
    )


def _warm_up(perception: Perception, config: Config) -> None:
    """Do everything once: what is imported or opened later could not be."""
    Image.init()
    square: UInt8Array = np.random.default_rng(0).integers(0, 256, (320, 320, 3), np.uint8)
    for name in FORMATS:
        encoded = io.BytesIO()
        exif: Any = Image.Exif()
        exif[0x0112] = 6  # lies on its side
        Image.fromarray(square).save(encoded, name, exif=exif)
        decode_photo(encoded.getvalue(), PHOTO)
    examine_photo(perception, square)
    box, eye = np.array([80, 80, 240, 240], np.float32), 120.0
    keypoints: Sequence[tuple[float, float]] = (
        (eye, 130.0),
        (200.0, 130.0),
        (160.0, 170.0),
        (160.0, 200.0),
        (90.0, 140.0),
        (230.0, 140.0),
    )
    portrait = perception.crop_face(square, Face(box, np.array(keypoints, np.float32), 1.0))
    perception.embed([portrait], mirrored=True)
    perception.embed_variants(portrait)
    crop_portrait(square, portrait.face.box_xyxy)
    previews(square)
    watch = EnrollmentWatch(perception, config)
    watch.add(Frame(square, 0.0, 0.0, 0))
    perception.portray(square, portrait.face)


if __name__ == "__main__":
    main()
