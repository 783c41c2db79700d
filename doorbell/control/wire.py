"""Messages on the control socket: a JSON object, bytes that belong to it, and open files.

A message is two unsigned 32-bit numbers, big-endian (the length of the JSON, and of the bytes), the
JSON in UTF-8, and the bytes. Files travel with its first byte.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
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
_REST_SECONDS = 5.0


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
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return _HEAD.pack(len(text), len(blob)) + text + blob


def send(peer: socket.socket, document: Document, blob: bytes = b"") -> None:
    """Send a message, waiting as long as the socket's time-out allows.

    Raises:
        OSError: the other end is gone, or does not read.
    """
    peer.sendall(packed(document, blob))


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
) -> Message | None:
    """Wait for the next message; None where the other end has closed.

    Args:
        peer: a stream socket.
        max_json: how much of the JSON is taken, in bytes.
        max_blob: how much of the bytes.
        take_files: whether descriptors are; else those that come are closed.

    Raises:
        ControlError: it is no message, or too large: nothing more can be read from the socket.
        OSError: the other end is gone; ``TimeoutError`` where the socket's time-out is over.
    """
    first, files, _, _ = socket.recv_fds(peer, _HEAD.size, _MAX_FILES)
    kept, patience = False, peer.gettimeout()
    try:
        if not first:
            return None
        if patience is not None:
            peer.settimeout(max(patience, _REST_SECONDS))
        json_bytes, blob_bytes = _HEAD.unpack(first + _exactly(peer, _HEAD.size - len(first)))
        if json_bytes > max_json or blob_bytes > max_blob:
            raise ControlError(
                f"a message of {json_bytes} and {blob_bytes} bytes, where {max_json} and "
                f"{max_blob} are allowed"
            )
        text, blob = _exactly(peer, json_bytes), _exactly(peer, blob_bytes)
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


def _exactly(peer: socket.socket, count: int) -> bytes:
    parts = bytearray(count)
    view, got = memoryview(parts), 0
    while got < count:
        received = peer.recv_into(view[got:], count - got)
        if received == 0:
            raise ConnectionResetError("the other end closed in the middle of a message")
        got += received
    return bytes(parts)
