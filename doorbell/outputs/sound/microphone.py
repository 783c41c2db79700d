"""The microphone at the door: open while somebody listens, and nothing of it is ever kept.

``arecord`` (alsa-utils) reads the device in a process of its own, so a device that hangs, or a
driver that crashes, ends the listening and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from typing_extensions import Self

from doorbell.control.requests.talk import TALK_RATE
from doorbell.errors import RefusedError, SoundError
from doorbell.outputs import Publish, publish_nowhere
from doorbell.outputs.sound.alsa import cannot_be_used, last_words
from doorbell.status import MicrophoneState

log = logging.getLogger(__name__)

BYTES_PER_SECOND = 2 * TALK_RATE
PIECE_BYTES = BYTES_PER_SECOND // 10
# Who takes longer than this for a second of sound misses the oldest of it.
WAITING_PIECES = 10
LISTENERS = 4
# A device that gives nothing for so long hangs.
HANG_SECONDS = 3.0
KILL_SECONDS = 2.0
# The room still sounds for a moment when the loudspeaker has ended.
ECHO_SECONDS = 0.3
# A device without a clock of its own (ALSA's null and file plugins) gives as much as is taken.
AHEAD_SECONDS = 0.5
STDERR_BYTES = 600

COMMAND = ("arecord", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(TALK_RATE), "-F", "50000")


class Listening:
    """What one listener hears; as a context manager it ends with the block."""

    def __init__(self, leave: Callable[[Listening], None]) -> None:
        self._leave = leave
        self._pieces: deque[bytes] = deque(maxlen=WAITING_PIECES)
        self._changed = threading.Condition()
        self._why: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave(self)

    def next(self) -> bytes:
        """The next tenth of a second: 16-bit little-endian samples, mono, 16 kHz.

        Nothing where it is withheld, because something sounds at the door.

        Raises:
            SoundError: the microphone gives nothing any more, and why.
        """
        with self._changed:
            while not self._pieces:
                if self._why is not None:
                    raise SoundError(self._why)
                self._changed.wait(HANG_SECONDS)
            return self._pieces.popleft()

    def put(self, piece: bytes) -> None:
        """Hand a piece on; never waits."""
        with self._changed:
            self._pieces.append(piece)
            self._changed.notify()

    def end(self, why: str) -> None:
        """Say why there is no more."""
        with self._changed:
            self._why = why
            self._changed.notify()


class Microphone:
    """Opens the device with the first listener and closes it with the last.

    Args:
        device: of ALSA; None for its default one.
        door_id: of the door that it is at.
        publish: told that it is closed, when it opens, and when it has closed; on any thread.
        is_sounding: whether something sounds at the door; nobody hears the microphone then.
        environment: of ``arecord``; None for our own.
        hang_seconds: for how long a device may give nothing.
    """

    def __init__(
        self,
        device: str | None = None,
        *,
        door_id: str = "",
        publish: Publish = publish_nowhere,
        is_sounding: Callable[[], bool] = lambda: False,
        environment: Mapping[str, str] | None = None,
        hang_seconds: float = HANG_SECONDS,
    ) -> None:
        self._device = device
        self._door_id = door_id
        self._publish = publish
        self._is_sounding = is_sounding
        # What arecord says is shown to people.
        self._environment = {**(environment or os.environ), "LC_ALL": "C"}
        self._hang_seconds = hang_seconds
        self._lock = threading.Lock()
        self._listeners: tuple[Listening, ...] = ()
        self._capture: _Capture | None = None
        self._withheld_until = 0.0
        self._closed = False
        publish(MicrophoneState(False, door_id))

    def listen(self) -> Listening:
        """Begin to listen.

        Raises:
            RefusedError: as many listen as may.
            SoundError: it cannot be opened.
        """
        listening = Listening(self._leave)
        with self._lock:
            if self._closed:
                raise SoundError("the doorbell is about to stop")
            if len(self._listeners) >= LISTENERS:
                raise RefusedError("too many listen at the door at once", "too_fast")
            if self._capture is None:
                self._open()
            self._listeners = (*self._listeners, listening)
        return listening

    def close(self) -> None:
        """Let every listener go; idempotent."""
        with self._lock:
            self._closed = True
            self._end("the doorbell has stopped")

    def _leave(self, listening: Listening) -> None:
        with self._lock:
            self._listeners = tuple(each for each in self._listeners if each is not listening)
            if not self._listeners:
                self._end("")

    def _open(self) -> None:
        """Open the device; called with the lock.

        Raises:
            SoundError: there is no ``arecord``.
        """
        self._publish(MicrophoneState(True, self._door_id))
        try:
            self._capture = _Capture(
                self._device, self._environment, self._hang_seconds, self._hand_on, self._failed
            )
        except OSError as exc:
            self._publish(MicrophoneState(False, self._door_id))
            raise SoundError(
                f"cannot start arecord ({exc.strerror}); install it with: apt install alsa-utils"
            ) from exc

    def _end(self, why: str) -> None:
        """Close the device and let everybody go; called with the lock."""
        listeners, self._listeners = self._listeners, ()
        for listening in listeners:
            listening.end(why)
        if self._capture is not None:
            self._capture.stop()
            self._capture = None
            self._publish(MicrophoneState(False, self._door_id))

    def _hand_on(self, piece: bytes) -> None:
        """Hand a piece to everybody, or nothing while it would be what is said at the door."""
        now = time.monotonic()
        if self._is_sounding():
            self._withheld_until = now + ECHO_SECONDS
        heard = b"" if now < self._withheld_until else piece
        for listening in self._listeners:
            listening.put(heard)

    def _failed(self, capture: _Capture, why: str) -> None:
        log.warning("nobody can listen at the door: %s", why)
        with self._lock:
            if self._capture is capture:
                self._end(why)


class _Capture:
    """``arecord`` and the thread that reads it."""

    def __init__(
        self,
        device: str | None,
        environment: Mapping[str, str],
        hang_seconds: float,
        hand_on: Callable[[bytes], None],
        failed: Callable[[_Capture, str], None],
    ) -> None:
        self._device = device
        self._hang_seconds = hang_seconds
        self._hand_on = hand_on
        self._failed = failed
        self._stopped = threading.Event()
        self._process = subprocess.Popen(
            (*COMMAND, "-D", device or "default"),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # out of the terminal's reach
        )
        self._thread = threading.Thread(target=self._run, name="microphone", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the device; from any thread."""
        self._stopped.set()
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # in a driver's hands until it lets go
            self._process.wait(KILL_SECONDS)

    def _run(self) -> None:
        with self._process.stdout as sound, self._process.stderr as said:  # type: ignore[union-attr]
            why = self._read(sound.fileno(), said.fileno())
        if not self._stopped.is_set():
            self._failed(self, why)

    def _read(self, sound: int, said: int) -> str:
        """Hand pieces on until there are no more; why."""
        piece, words = b"", b""
        began, taken = time.monotonic(), 0
        with selectors.DefaultSelector() as waiting:
            for each in (sound, said):
                os.set_blocking(each, False)
                waiting.register(each, selectors.EVENT_READ)
            heard_at = began
            while not self._stopped.is_set():
                ready = {key.fd for key, _ in waiting.select(self._hang_seconds)}
                now = time.monotonic()
                if said in ready:
                    words = (words + (more := os.read(said, 4096)))[-STDERR_BYTES:]
                    if not more:
                        waiting.unregister(said)
                    if b"rate is not accurate" in words:
                        return (
                            f"this microphone has no {TALK_RATE} Hz; put plughw: in place of hw: "
                            "in talk.microphone_device"
                        )
                if sound in ready:
                    heard_at = now
                    received = os.read(sound, PIECE_BYTES - len(piece))
                    if not received:
                        return cannot_be_used(
                            "microphone", self._device, last_words(words), program="arecord"
                        )
                    piece, taken = piece + received, taken + len(received)
                    if len(piece) == PIECE_BYTES:
                        self._hand_on(piece)
                        piece = b""
                    ahead = taken / BYTES_PER_SECOND - (now - began)
                    if ahead > AHEAD_SECONDS:
                        self._stopped.wait(ahead - AHEAD_SECONDS)
                elif now - heard_at >= self._hang_seconds:
                    return (
                        f"the microphone has given nothing for {self._hang_seconds:.0f} s; check "
                        "its cable, or unplug it and plug it in again"
                    )
        return ""
