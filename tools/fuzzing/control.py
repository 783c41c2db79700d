"""The control socket: whatever a peer sends, as messages and as requests."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

from doorbell.control.requests import REQUESTS, parse_request
from doorbell.control.wire import packed, receive
from doorbell.errors import DoorbellError

MAX_BYTES = 4000
MAX_SECONDS = 1.0

# Right ones and wrong ones of every kind.
VALUES: tuple[object, ...] = (
    7,
    -1,
    True,
    None,
    "Anna",
    "07:00",
    "a" * 300,
    [],
    {},
    1e300,
    "2026-11-28T10:00:00Z",
)


def seeds() -> Iterator[bytes]:
    """Give each request its arguments, right ones and wrong ones, and messages that break off."""
    for verb, kind in REQUESTS.items():
        yield packed({"do": verb})
        for value in VALUES:
            yield packed({"do": verb, **dict.fromkeys(kind.model_fields, value)})
    yield packed({"do": "status"}) * 5
    yield packed({"do": "status"}, b"\xff\xd8" * 50)
    yield packed({"do": "mute", "muted": True, "until": "07:00"})[:-4]
    for text in ("[]", "null", '"x"', "[" * 900, '{"do": ' * 300, json.dumps({"do": "\ud800"})):
        yield len(text).to_bytes(4, "big") + bytes(4) + text.encode("ascii", "replace")
    yield b"\xff" * 8
    yield b"\x00" * 64


def check(content: bytes) -> None:
    """Send it, close, and read it as the daemon does."""
    sender, receiver = socket.socketpair()
    with sender, receiver:
        sender.sendall(content)
        sender.shutdown(socket.SHUT_WR)
        receiver.settimeout(0.5)
        try:
            while (message := receive(receiver, max_json=2000, max_blob=2000)) is not None:
                _read(message.document)
        except (DoorbellError, ConnectionResetError):
            return


def _read(document: dict[str, object]) -> None:
    try:
        parse_request(document)
    except DoorbellError as exc:
        str(exc).encode()
