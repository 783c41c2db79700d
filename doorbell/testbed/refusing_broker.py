"""A broker that ends the connection at a message that it does not take, as many in the cloud do.

It stands before a mosquitto, which only leaves out what a client may not publish.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import Self

from doorbell.testbed.embedded_broker import HOST

PUBLISH, SUBSCRIBE = 3, 8  # packet types of MQTT 3.1.1 and 5
CHUNK_BYTES = 65536
ACCEPT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Packet:
    """What a client wants.

    Attributes:
        kind: ``PUBLISH``, ``SUBSCRIBE`` or another of the protocol.
        topic: of what is published, or the first that is subscribed to; empty for others.
        size: in bytes, without the fixed header.
    """

    kind: int
    topic: str
    size: int


class RefusingBroker:
    """Passes everything on to a broker but what it refuses; there it ends the connection.

    As a context manager it is closed at the end of the block.

    Args:
        port: of the broker behind it, at 127.0.0.1.
        refuses: whether a packet is refused; asked on a thread for each client.

    Attributes:
        port: where it listens, at 127.0.0.1.
        connections: how many there were.
    """

    def __init__(self, port: int, refuses: Callable[[Packet], bool]) -> None:
        self.connections = 0
        self._behind = port
        self._refuses = refuses
        self._open: set[socket.socket] = set()
        self._closing = False
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(ACCEPT_SECONDS)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def disconnect(self) -> None:
        """End every connection, as a network that fails."""
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End every connection, and take no more."""
        self._closing = True
        self._thread.join()
        self._listener.close()
        self.disconnect()

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            client.settimeout(None)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            client,
            socket.create_connection((HOST, self._behind)) as behind,
        ):
            ends = {client, behind}
            self._open |= ends
            back = threading.Thread(target=_pass_on, args=(behind, client), daemon=True)
            back.start()
            try:
                self._pass_packets(client, behind)
            finally:
                self._open -= ends
                for each in ends:
                    with contextlib.suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)
                back.join()

    def _pass_packets(self, client: socket.socket, behind: socket.socket) -> None:
        with client.makefile("rb") as reader:
            while header := reader.read(1):
                length, shift = 0, 0
                while True:
                    digit = reader.read(1)
                    if not digit:
                        return  # it broke off
                    header += digit
                    length |= (digit[0] & 127) << shift
                    shift += 7
                    if digit[0] < 128:
                        break
                body = reader.read(length)
                if self._refuses(_read_packet(header[0], body)):
                    return
                behind.sendall(header + body)


def _read_packet(first: int, body: bytes) -> Packet:
    kind = first >> 4
    start = {PUBLISH: 0, SUBSCRIBE: 2}.get(kind)
    if start is None:
        return Packet(kind, "", len(body))
    end = start + 2 + int.from_bytes(body[start : start + 2], "big")
    return Packet(kind, body[start + 2 : end].decode(), len(body))


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
