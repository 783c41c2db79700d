"""Lets a process of its own look at photos that anybody may have sent; see ``photo_process``.

It is started when there is something to look at, stays for a minute, and is ended where it takes
too long: whoever asked is told so, and the next request gets a new one.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import doorbell
from doorbell.config import Config
from doorbell.control.wire import Document
from doorbell.domain import Frame
from doorbell.errors import EnrollmentError
from doorbell.household.enrollment_watch import WatchedFace
from doorbell.household.photo_messages import (
    MAX_REPLY_BYTES,
    Message,
    Seen,
    SeenPhoto,
    read_message,
    read_photo_message,
    read_seen_message,
    read_watched_message,
    write_message,
)
from doorbell.models.store import models_directory

log = logging.getLogger(__name__)

# The kernel ends it after 20 seconds of a processor; where others have that, it takes longer.
REPLY_SECONDS = 50.0
# A slow board compiles the networks the first time.
START_SECONDS = 120.0
COMMAND = (sys.executable, "-m", "doorbell.household.photo_process")
# What it may know of the environment: where programs and libraries are. No secret is among these.
ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "TZ")

TOO_LONG = "this photo took too long to look at and was given up; try another one"
GONE = "this photo could not be looked at: it is damaged or too large; try another one"


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
        self._settings = _settings(config)
        self._reply_seconds = reply_seconds
        self._command = tuple(command)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def close(self) -> None:
        """End the process; idempotent."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()
        with self._lock:
            self._end()

    def prepare(self) -> None:
        """Start the process for a photo that will come soon, and wait for nothing.

        What is wrong with it is said of the photo.
        """
        if self.pid is None and not self._lock.locked():
            threading.Thread(target=self._start, name="photos-start", daemon=True).start()

    def examine(self, content: bytes) -> SeenPhoto:
        """Look at a photo.

        Args:
            content: of its file, whatever that is.

        Raises:
            EnrollmentError: it is no photo, or could not be looked at; why, in a sentence.
        """
        with self._lock:
            return read_photo_message(*self._ask({"do": "examine"}, content))

    def watch(self) -> Seen:
        """Begin to look at whoever stands before the camera.

        Raises:
            EnrollmentError: it cannot be.
        """
        with self._lock:
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
        with self._lock:
            return read_seen_message(self._ask(request, frame.pixels.tobytes())[0])

    def finish(self, source: str) -> WatchedFace:
        """Who was seen since ``watch``.

        Raises:
            EnrollmentError: nobody whom it would do to enroll.
        """
        with self._lock:
            return read_watched_message(self._ask({"do": "finish", "source": source})[0])

    def _ask(self, request: Document, blob: bytes = b"") -> Message:
        process = self._started()
        try:
            reply = self._exchange(process, request, blob, self._reply_seconds)
        except EnrollmentError:
            ended_itself = process.poll() == 0  # for nobody had asked for a minute
            self._end()
            if not ended_itself:
                raise
            reply = self._exchange(self._started(), request, blob, self._reply_seconds)
        if isinstance(error := reply[0].get("error"), str):
            raise EnrollmentError(error[:1000])
        return reply

    def _start(self) -> None:
        with self._lock, suppress(EnrollmentError):
            self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise EnrollmentError("the doorbell stops; try again when it is back")
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        self._process = process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what it says may be of a photo
            env={
                **{name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
                "MALLOC_ARENA_MAX": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd=Path(doorbell.__file__).parent.parent,
            start_new_session=True,
        )
        # What ends by itself is not left as a zombie until the next photo comes.
        threading.Thread(target=process.wait, name="photos-wait", daemon=True).start()
        try:
            ready, _ = self._exchange(process, self._settings, b"", START_SECONDS)
        except EnrollmentError as exc:
            self._end()
            raise EnrollmentError(
                "what looks at photos cannot be started; doorbell check may say why"
            ) from exc
        if ready.get("ready") is not True:
            self._end()
            raise EnrollmentError(str(ready.get("error", ""))[:1000] or GONE)
        return process

    def _exchange(
        self, process: subprocess.Popen[bytes], request: Document, blob: bytes, seconds: float
    ) -> Message:
        """One request and its answer; whoever takes too long is ended."""
        if process.stdin is None or process.stdout is None:
            raise EnrollmentError(GONE)
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, give_up)
        timer.start()
        try:
            write_message(process.stdin, request, blob)
            reply = read_message(process.stdout, MAX_REPLY_BYTES)
        except (OSError, ValueError) as exc:
            raise EnrollmentError(TOO_LONG if late.is_set() else GONE) from exc
        except EnrollmentError as exc:
            raise EnrollmentError(TOO_LONG if late.is_set() else GONE) from exc
        finally:
            timer.cancel()
        if reply is None:
            raise EnrollmentError(TOO_LONG if late.is_set() else GONE)
        return reply

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


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
