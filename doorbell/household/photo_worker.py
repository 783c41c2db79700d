"""Lets a process of its own look at photos that anybody may have sent; see ``photo_process``.

It is started when there is something to look at, stays for a minute, and is ended where it takes
too long: whoever asked is told so, and the next request gets a new one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from doorbell.config import Config
from doorbell.control.wire import Document
from doorbell.domain import Frame
from doorbell.errors import EnrollmentError
from doorbell.household.confined_process import ConfinedProcess, Words
from doorbell.household.enrollment_watch import WatchedFace
from doorbell.household.photo_messages import (
    MAX_REPLY_BYTES,
    Seen,
    SeenPhoto,
    read_photo_message,
    read_seen_message,
    read_watched_message,
)
from doorbell.household.pipe_messages import Message
from doorbell.models.store import models_directory

# The kernel ends it after 20 seconds of a processor; where others have that, it takes longer.
REPLY_SECONDS = 50.0
COMMAND = (sys.executable, "-m", "doorbell.household.photo_process")
TOO_LONG = "this photo took too long to look at and was given up; try another one"
GONE = "this photo could not be looked at: it is damaged or too large; try another one"

WORDS = Words(
    too_long=TOO_LONG,
    gone=GONE,
    not_started="what looks at photos cannot be started; doorbell check may say why",
    closed="the doorbell stops; try again when it is back",
)


class PhotoWorker:
    """One such process, or none while there is nothing to do; threads take turns with it.

    Args:
        config: of the doorbell; only how faces are found is passed on.
        reply_seconds: how long one answer may take.
        command: that starts it.
    """

    def __init__(
        self,
        config: Config,
        *,
        reply_seconds: float = REPLY_SECONDS,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._reply_seconds = reply_seconds
        self._process = ConfinedProcess(
            command,
            _settings(config),
            error=EnrollmentError,
            words=WORDS,
            max_reply=MAX_REPLY_BYTES,
        )

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return self._process.pid

    def close(self) -> None:
        """End the process; idempotent."""
        self._process.close()

    def prepare(self) -> None:
        """Start the process for a photo that will come soon, and wait for nothing.

        What is wrong with it is said of the photo.
        """
        self._process.prepare()

    def examine(self, content: bytes) -> SeenPhoto:
        """Look at a photo.

        Args:
            content: of its file, whatever that is.

        Raises:
            EnrollmentError: it is no photo, or could not be looked at; why, in a sentence.
        """
        return read_photo_message(*self._ask({"do": "examine"}, content))

    def watch(self) -> Seen:
        """Begin to look at whoever stands before the camera.

        Raises:
            EnrollmentError: it cannot be.
        """
        return read_seen_message(self._ask({"do": "watch"})[0])

    def add(self, frame: Frame) -> Seen:
        """Take in a frame.

        Raises:
            EnrollmentError: the process is gone, and what it had seen with it.
        """
        height, width = frame.pixels.shape[:2]
        request = {
            "do": "frame",
            "width": width,
            "height": height,
            "time_seconds": frame.time_seconds,
            "captured_at": frame.captured_at,
            "index": frame.index,
        }
        return read_seen_message(self._ask(request, frame.pixels.tobytes())[0])

    def finish(self, source: str) -> WatchedFace:
        """Who was seen since ``watch``.

        Raises:
            EnrollmentError: nobody whom it would do to enroll.
        """
        return read_watched_message(self._ask({"do": "finish", "source": source})[0])

    def _ask(self, request: Document, blob: bytes = b"") -> Message:
        return self._process.ask(request, blob, self._reply_seconds)


def _settings(config: Config) -> Document:
    """How faces are found, on the processor: a driver of a GPU takes what is refused there."""
    inference = config.inference.model_copy(
        update={
            "backend": "openvino",
            "threads": config.inference.threads or 1,
            "models_directory": models_directory(config.inference),
        }
    )
    whole = config.model_copy(update={"inference": inference})
    return whole.model_dump(
        mode="json", include={"inference", "detection", "tracking", "recognition"}
    )
