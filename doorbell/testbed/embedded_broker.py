"""A small MQTT broker inside this process, for the demonstration.

A household runs a broker of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import threading
import warnings
from typing import Any

from doorbell.errors import BrokerError

HOST = "127.0.0.1"
START_SECONDS = 10.0
STOP_SECONDS = 5.0


class EmbeddedBroker:
    """A running broker, on a thread with an event loop of its own.

    The loggers ``amqtt`` and ``transitions`` are silenced in this process.

    Args:
        port: TCP port; 0 takes a free one.

    Attributes:
        port: where it listens, at 127.0.0.1.

    Raises:
        BrokerError: the port is taken, or the optional package is not installed.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port or _free_port()
        self._running = threading.Event()
        self._failure: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._thread.start()
        if not self._running.wait(START_SECONDS) or self._failure is not None:
            reason = self._failure or f"not ready after {START_SECONDS:.0f} s"
            self.close()
            raise BrokerError(
                f"the embedded broker cannot listen on {HOST}:{self.port}: {reason}; "
                "give another port"
            ) from self._failure

    def close(self) -> None:
        """Disconnect everybody and stop, within five seconds; idempotent."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as exc:  # noqa: BLE001 the top of a thread; the constructor says it
            self._failure = exc
        finally:
            self._collect_connections()
            self._running.set()

    @staticmethod
    def _collect_connections() -> None:
        """Close the sockets of clients still connected, which amqtt leaves to chance."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        broker = _amqtt_broker(self.port)
        await broker.start()
        self._running.set()
        await self._stopping.wait()
        await broker.shutdown()


def _amqtt_broker(port: int) -> Any:
    try:
        from amqtt.broker import Broker
    except ImportError as exc:
        raise BrokerError(
            "it needs the package amqtt: `pip install '.[demo]'` in the checkout"
        ) from exc
    # One line for every packet, and warnings for clients that leave.
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    return Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
