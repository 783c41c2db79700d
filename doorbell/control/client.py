"""Asking the running doorbell: requests, events as they happen, and the frames that it sees."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import Self

from doorbell.control.address import at_address
from doorbell.control.wire import Document, Message, receive, send
from doorbell.domain import UInt8Array
from doorbell.errors import ControlError, NotRunningError, RefusedError
from doorbell.imaging.frame_ring import RingReader, RingShape

# A command waits for the main thread, and for a gallery that another process writes.
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered.

    Attributes:
        document: the answer.
        blob: the bytes that belong to it; none where there are none.
    """

    document: Document
    blob: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, eq=False, slots=True)
class LiveFrame:
    """A frame as the daemon has seen it.

    Attributes:
        sequence: its number; one that is larger is newer.
        captured_at: wall time, seconds since the epoch.
        time_seconds: of the stream.
        pixels: (height, width, 3) uint8, RGB.
        faces: where in it whose face is; see ``requests.Frames``.
    """

    sequence: int
    captured_at: float
    time_seconds: float
    pixels: UInt8Array = field(repr=False)
    faces: tuple[Mapping[str, Any], ...] = ()


class Client:
    """A connection to the running doorbell; for one thread at a time.

    Args:
        peer: a connected socket, which is closed with the client.
    """

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer

    @classmethod
    def connect(cls, path: Path, timeout_seconds: float = TIMEOUT_SECONDS) -> Self:
        """Connect.

        Args:
            path: of the control socket.
            timeout_seconds: how long an answer may take.

        Raises:
            NotRunningError: nobody listens there.
            ControlError: this user may not ask.
        """
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(timeout_seconds)
        try:
            with at_address(path) as address:
                peer.connect(address)
        except PermissionError as exc:
            peer.close()
            raise ControlError(
                f"may not ask the doorbell at {path}; run this as the doorbell's user "
                "(sudo -u doorbell ...)"
            ) from exc
        except OSError as exc:
            peer.close()
            raise NotRunningError(f"the doorbell is not running: nobody answers at {path}") from exc
        return cls(peer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; idempotent."""
        self._peer.close()

    def ask(self, verb: str, blob: bytes = b"", **arguments: Any) -> Reply:
        """Ask for something, and wait for the answer.

        Args:
            verb: which request; see ``doorbell.control.requests``.
            blob: the bytes that belong to it.
            **arguments: of the request.

        Raises:
            RefusedError: it was not done, and why.
            NotRunningError: the doorbell has stopped.
            ControlError: it does not answer in time, or not as it should.
        """
        answer = self._exchange({"do": verb, **arguments}, blob)
        return Reply(answer.document, answer.blob)

    def events(self) -> Iterator[Document]:
        """What happens from now on, each with its ``event``; ``alive`` once a second.

        Raises:
            NotRunningError: the doorbell has stopped.
            ControlError: as in ``ask``.
        """
        self._exchange({"do": "events"})
        return self._documents()

    def subscribe(self, verb: str, **arguments: Any) -> Iterator[Document]:
        """What a request tells until it has ended; see ``doorbell.control.requests``.

        Raises:
            ControlError: as in ``ask``.
        """
        for told in self._subscribed({"do": verb, **arguments}):
            yield told.document

    def listen(self, door_id: str | None = None) -> Iterator[Reply]:
        """What the microphone at the door hears; see ``requests.Listen``.

        Args:
            door_id: at which door, where there are several.

        Raises:
            ControlError: as in ``ask``.
        """
        for told in self._subscribed({"do": "talk.listen", "door_id": door_id}):
            yield Reply(told.document, told.blob)

    def frames(
        self,
        *,
        door_id: str | None = None,
        max_width: int | None = None,
        per_second: float = 10.0,
    ) -> FrameStream:
        """The frames from now on; the connection is for nothing else then.

        Args:
            door_id: of which door; None for the first.
            max_width: pixels; a wider frame comes at a half, a third, ... of its size. None for
                frames as they are.
            per_second: at most so many.

        Raises:
            ControlError: as in ``ask``.
        """
        asked = {"door_id": door_id, "max_width": max_width, "per_second": per_second}
        self._exchange({"do": "frames", **asked})
        return FrameStream(self._peer)

    def _exchange(self, document: Document, blob: bytes = b"") -> Message:
        try:
            send(self._peer, document, blob)
        except TimeoutError as exc:
            raise _gone(exc) from exc
        except OSError:  # it has closed, and may have said why
            pass
        answer = self._next()
        if not answer.document.get("ok"):
            raise RefusedError(
                str(answer.document.get("error", "")), str(answer.document.get("kind", "refused"))
            )
        return answer

    def _subscribed(self, document: Document) -> Iterator[Message]:
        self._exchange(document)
        while True:
            told = self._next()
            yield told
            if told.document.get("event") in ("done", "failed"):
                return

    def _documents(self) -> Iterator[Document]:
        while True:
            yield self._next().document

    def _next(self) -> Message:
        try:
            answer = receive(self._peer)
        except OSError as exc:
            raise _gone(exc) from exc
        if answer is None:
            raise NotRunningError("the doorbell has stopped")
        return answer


class FrameStream:
    """Frames as the daemon sees them; the newest one, never an older one.

    Args:
        peer: the connection, subscribed to frames.
    """

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._ring: RingReader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and give the memory back; idempotent."""
        self._peer.close()
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def next(self, timeout_seconds: float) -> LiveFrame | None:
        """Wait for a frame that is newer than the last one; None where there is none in time.

        Raises:
            NotRunningError: the doorbell has stopped.
            ControlError: it does not speak as it should.
        """
        end = time.monotonic() + timeout_seconds
        while True:
            newest = self._receive(max(end - time.monotonic(), 0.001))
            if newest is None:
                return None
            while (later := self._receive(0.0)) is not None:
                newest = later
            frame = self._read(newest)
            if frame is not None:
                return frame

    def _receive(self, timeout_seconds: float) -> Document | None:
        """The next message of a frame; that of another ring is taken up at once."""
        self._peer.settimeout(timeout_seconds)
        try:
            message = receive(self._peer, take_files=True)
        except (BlockingIOError, TimeoutError):
            return None
        except OSError as exc:
            raise _gone(exc) from exc
        if message is None:
            raise NotRunningError("the doorbell has stopped")
        document = message.document
        if document.get("event") == "ring_of_frames" and len(message.files) == 1:
            if self._ring is not None:
                self._ring.close()
            shape = RingShape(int(document["width"]), int(document["height"]))
            try:
                self._ring = RingReader(message.files[0], shape)
            except ValueError as exc:
                raise ControlError(str(exc)) from exc
            return self._receive(timeout_seconds)
        return document

    def _read(self, document: Document) -> LiveFrame | None:
        if self._ring is None:
            raise ControlError("a frame without the memory that it is in")
        try:
            pixels = self._ring.read(int(document["slot"]), int(document["seq"]))
        except ValueError as exc:
            raise ControlError(str(exc)) from exc
        if pixels is None:
            return None
        return LiveFrame(
            sequence=int(document["seq"]),
            captured_at=float(document["captured_at"]),
            time_seconds=float(document["time_seconds"]),
            pixels=pixels,
            faces=tuple(document["faces"]),
        )


def is_running(path: Path) -> bool:
    """Whether a doorbell answers there, or would if it may."""
    try:
        Client.connect(path).close()
    except NotRunningError:
        return False
    except ControlError:
        return True
    return True


def _gone(error: OSError) -> ControlError:
    if isinstance(error, TimeoutError):
        return ControlError("the doorbell does not answer in time; its log may say why")
    return NotRunningError("the doorbell has stopped")
