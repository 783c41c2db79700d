"""Messages between the daemon, the starter and the cameras' processes: JSON, a datagram each.

Linux keeps them apart and in order on such sockets, and tells each end when the other has gone.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

MAX_BYTES = 65_536
_INT = struct.Struct("i")


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(link: socket.socket, document: Mapping[str, Any], descriptor: int | None = None) -> None:
    """Send a message, and perhaps a descriptor with it, once there is room for it.

    Raises:
        OSError: the other end is gone.
    """
    data = json.dumps(document).encode()
    if descriptor is None:
        link.send(data)
    else:
        socket.send_fds(link, [data], [descriptor])


def send_now(link: socket.socket, document: Mapping[str, Any]) -> None:
    """Send a message if there is room for it now, and else leave it out.

    Raises:
        OSError: the other end is gone.
    """
    with suppress(BlockingIOError):
        link.send(json.dumps(document).encode(), socket.MSG_DONTWAIT)


def receive(link: socket.socket) -> tuple[dict[str, Any], int | None] | None:
    """Take the next message and what came with it; None where the other end has gone.

    Raises:
        BlockingIOError: there is none now.
        ValueError: it is no message.
    """
    flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC  # which socket.recv_fds() leaves out
    try:
        data, ancillary, _, _ = link.recvmsg(MAX_BYTES, socket.CMSG_LEN(_INT.size), flags)
    except ConnectionResetError:
        return None
    if not data:
        return None
    descriptor = None
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            [descriptor] = _INT.unpack(content[: _INT.size])
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        return document, descriptor
    if descriptor is not None:
        os.close(descriptor)
    raise ValueError(f"what is no message: {data[:100]!r}")
