"""Connections of the web server: none that keeps it waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client is waited for.

    Attributes:
        header_seconds: from a connection, or the first byte of a request, to its headers' end.
        write_seconds: for a client that takes nothing of an answer.
    """

    header_seconds: float = 10.0
    write_seconds: float = 30.0


BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 5\r\n"
    b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
    b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n"
    b"connection: close\r\ncontent-length: 5\r\n\r\nbusy\n"
)
_BAD = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n"
    b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
    b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n"
    b"connection: close\r\ncontent-length: 12\r\n\r\nbad request\n"
)


class BoundedConnection(H11Protocol):
    """One connection, which is closed when its request does not come, or its answer is not taken.

    uvicorn bounds how long a connection may lie idle after an answer, but not how long the headers
    of a request may take.
    """

    patience = Patience()
    _is_lost = False
    _ended: Callable[[], None] | None = None
    _deadline: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait_for_headers()

    def when_lost(self, ended: Callable[[], None]) -> None:
        """Have something called when the connection is lost; at once if it is already."""
        if self._is_lost:
            ended()
        else:
            self._ended = ended

    def data_received(self, data: bytes) -> None:
        """Take bytes; once the headers are there, nothing is waited for here any more."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._deadline is None and not self.transport.is_closing():
            self._wait_for_headers()

    def on_response_complete(self) -> None:
        """Note that the answer is given: what is left of the request has to come soon."""
        super().on_response_complete()
        unfinished = self.conn.their_state is not self.conn.our_state
        begun = bool(self.conn.trailing_data[0])
        if (unfinished or begun) and self._deadline is None and not self.transport.is_closing():
            self._wait_for_headers()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        del msg
        self.transport.write(_BAD)
        self.transport.close()

    def pause_writing(self) -> None:
        """Note that the client takes nothing."""
        super().pause_writing()
        self._stall = self.loop.call_later(self.patience.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that it does again."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        if self._stall is not None:
            self._stall.cancel()
        super().connection_lost(exc)
        self._is_lost = True
        if self._ended is not None:
            self._ended()

    def _wait_for_headers(self) -> None:
        self._deadline = self.loop.call_later(self.patience.header_seconds, self._too_late)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        self.transport.close()


def connections_with(patience: Patience) -> type[BoundedConnection]:
    """Connections that wait as long as that."""
    return type("BoundedConnection", (BoundedConnection,), {"patience": patience})
