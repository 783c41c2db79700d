"""Messages on the control socket: a JSON object, bytes that belong to it, and open files.

A message is two unsigned 32-bit numbers, big-endian (the length of the JSON, and of the bytes), the
JSON in UTF-8, and the bytes. Files travel with its first byte.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeAlias

from doorbell.errors import ControlError

Document: TypeAlias = dict[str, Any]

# A photo of 12 MB and an export fit in; what is larger is none of ours.
MAX_BLOB_BYTES = 64_000_000
MAX_PHOTO_BYTES = 12_000_000
MAX_REQUEST_BYTES = 65_536
MAX_REPLY_BYTES = 4_000_000
_HEAD = struct.Struct(">II")
_MAX_FILES = 1
# How long the rest of a message may take whose first byte has come.
REST_SECONDS = 5.0
_PART_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        document: its JSON object.
        blob: the bytes that belong to it, such as a picture.
        files: descriptors that came with it; whoever received them closes them.
    """

    document: Document
    blob: bytes = b""
    files: tuple[int, ...] = ()


def packed(document: Document, blob: bytes = b"") -> bytes:
    """The bytes of a message."""
    text = _text(document)
    return _HEAD.pack(len(text), len(blob)) + text + blob


def send(peer: socket.socket, document: Document, blob: bytes = b"") -> None:
    """Send a message, waiting as long as the socket's time-out allows.

    Raises:
        OSError: the other end is gone, or does not read.
    """
    text = _text(document)
    peer.sendall(_HEAD.pack(len(text), len(blob)) + text)
    if blob:  # which may be large, and is not copied
        peer.sendall(blob)


def send_now(peer: socket.socket, document: Document, files: Sequence[int] = ()) -> bool:
    """Send a message if it can be taken at once; whether it was.

    Args:
        peer: a socket without a time-out: with one, Python would wait for that long first.
        document: what is sent.
        files: descriptors that go with it.

    Raises:
        OSError: the other end is gone, or has taken a part of it only.
    """
    if peer.gettimeout():
        raise ValueError("a socket with a time-out waits before it sends")
    message = packed(document)
    try:
        if files:
            sent = socket.send_fds(peer, [message], files, socket.MSG_DONTWAIT)
        else:
            sent = peer.send(message, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    if sent != len(message):
        raise BrokenPipeError("the message was taken in part")
    return True


def receive(
    peer: socket.socket,
    *,
    max_json: int = MAX_REPLY_BYTES,
    max_blob: int = MAX_BLOB_BYTES,
    take_files: bool = False,
    rest_seconds: float = REST_SECONDS,
    admit: Callable[[], None] = lambda: None,
) -> Message | None:
    """Wait for the next message; None where the other end has closed.

    Args:
        peer: a stream socket.
        max_json: how much of the JSON is taken, in bytes.
        max_blob: how much of the bytes.
        take_files: whether descriptors are; else those that come are closed.
        rest_seconds: how long the rest may take once the first byte is there, however slowly it
            comes; where the socket's time-out is longer, as long as that.
        admit: called before bytes are taken, which it may refuse by an error.

    Raises:
        ControlError: it is no message, or too large: nothing more can be read from the socket.
        OSError: the other end is gone; ``TimeoutError`` where the socket's time-out is over.
    """
    first, files, _, _ = socket.recv_fds(peer, _HEAD.size, _MAX_FILES)
    kept, patience = False, peer.gettimeout()
    try:
        if not first:
            return None
        end = time.monotonic() + max(patience or 0.0, rest_seconds)
        head = first + _exactly(peer, _HEAD.size - len(first), end)
        json_bytes, blob_bytes = _HEAD.unpack(head)
        if json_bytes > max_json or blob_bytes > max_blob:
            raise ControlError(
                f"a message of {json_bytes} and {blob_bytes} bytes, where {max_json} and "
                f"{max_blob} are allowed"
            )
        text = _exactly(peer, json_bytes, end)
        if blob_bytes:
            admit()
        blob = _exactly(peer, blob_bytes, end)
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise ControlError("a message that is no JSON") from exc
        if not isinstance(document, dict):
            raise ControlError("a message that is no JSON object")
        kept = take_files
        return Message(document, blob, tuple(files) if take_files else ())
    finally:
        peer.settimeout(patience)
        if not kept:
            for each in files:
                os.close(each)


def _text(document: Document) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _exactly(peer: socket.socket, count: int, end_seconds: float) -> bytes:
    """So many bytes, until that monotonic time; memory is taken for what has come alone."""
    parts = BytesIO()
    while (left := count - parts.tell()) > 0:
        patience = end_seconds - time.monotonic()
        if patience <= 0.0:
            raise TimeoutError("the rest of a message did not come in time")
        peer.settimeout(patience)
        part = peer.recv(min(left, _PART_BYTES))
        if not part:
            raise ConnectionResetError("the other end closed in the middle of a message")
        parts.write(part)
    return parts.getvalue()
