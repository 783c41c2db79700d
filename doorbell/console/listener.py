"""Accepts connections: so many at a time, and of one address not all of them.

uvicorn counts a connection only when it is encrypted; whoever opens many and encrypts none would
take all that the process may open.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from doorbell.console.connections import BUSY, BoundedConnection, Patience

# A browser opens up to six; a household's devices together seldom more than these.
MAX_CONNECTIONS = 32
MAX_OF_AN_ADDRESS = 16
# Where the process may open no more files.
PAUSE_SECONDS = 0.5
BACKLOG = 64

log = logging.getLogger(__name__)


class Listener:
    """Accepts connections at a socket and hands each to a protocol.

    Args:
        sock: bound, not yet listening.
        connection: makes the protocol of one, told what to call when it has ended.
        context: to encrypt them; None to leave them as they are.
        is_shared: whether many share an address: a proxy's, or this machine's.
        patience: how long encryption may take to be agreed on.
    """

    def __init__(
        self,
        sock: socket.socket,
        connection: Callable[[], BoundedConnection],
        context: ssl.SSLContext | None,
        is_shared: Callable[[str], bool],
        patience: Patience,
    ) -> None:
        self._socket = sock
        self._connection = connection
        self._context = context
        self._is_shared = is_shared
        self._patience = patience
        self._present: Counter[str] = Counter()
        self._handshakes: set[asyncio.Task[None]] = set()

    async def accept(self) -> None:
        """Accept connections until this is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                peer, address = await loop.sock_accept(self._socket)
            except OSError as exc:
                if exc.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    await asyncio.sleep(PAUSE_SECONDS)
                    continue
                if self._socket.fileno() < 0:
                    return
                continue  # the other end is gone already
            if self._is_full(address[0]):
                self._reject(peer)
                continue
            self._present[address[0]] += 1
            task = asyncio.create_task(self._handshake(peer, address[0]))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    def listen(self) -> None:
        """Begin to listen: whoever comes waits to be accepted."""
        self._socket.setblocking(False)
        self._socket.listen(BACKLOG)

    async def close(self) -> None:
        """End the handshakes that go on."""
        for task in self._handshakes:
            task.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _is_full(self, address: str) -> bool:
        if self._present.total() >= MAX_CONNECTIONS:
            return True
        return self._present[address] >= MAX_OF_AN_ADDRESS and not self._is_shared(address)

    def _reject(self, peer: socket.socket) -> None:
        with peer, suppress(OSError):
            if self._context is None:
                peer.setblocking(False)
                peer.send(BUSY)

    async def _handshake(self, peer: socket.socket, address: str) -> None:
        def ended() -> None:
            self._present[address] -= 1
            if self._present[address] <= 0:
                del self._present[address]

        connection = self._connection()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                peer,
                ssl=self._context,
                ssl_handshake_timeout=self._patience.header_seconds if self._context else None,
            )
        except (OSError, asyncio.TimeoutError) as exc:  # ssl.SSLError is an OSError
            log.debug("a connection of %s was not made: %s", address, exc)
            ended()
        except BaseException:
            ended()
            raise
        else:
            connection.when_lost(ended)
