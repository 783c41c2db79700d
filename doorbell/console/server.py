"""The console as a process: the web server around the application."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from sdnotify import SystemdNotifier  # type: ignore[import-untyped]  # the package ships no types
from starlette.types import ASGIApp

from doorbell.config.console import ConsoleSection, address_of
from doorbell.console.access import Access
from doorbell.console.access_middleware import HEADER_BYTES
from doorbell.console.app import make_app
from doorbell.console.authority import OwnCertificate
from doorbell.console.connections import BoundedConnection, Patience, connections_with
from doorbell.console.doorbell_client import Doorbell
from doorbell.console.listener import Listener
from doorbell.console.tls import given_files, load_certificate, names_of, server_context
from doorbell.errors import ConfigError, DoorbellError

KEEP_ALIVE_SECONDS = 15
# Of requests that are being answered when the console is to end; streams have no end of their own.
GRACE_SECONDS = 2
ENDING = (signal.SIGINT, signal.SIGTERM)
# How often is looked whether a certificate is to be renewed, and what is kept no longer.
UPKEEP_SECONDS = 600.0

log = logging.getLogger(__name__)


def run_console(
    section: ConsoleSection,
    control_socket: Path,
    announce: Callable[[str], None] = lambda _address: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        section: of the configuration.
        control_socket: of the daemon.
        announce: told the address when pages can be fetched there.

    Raises:
        ConfigError: the address cannot be listened at, or the certificate not be used.
        AccessFileError: the file of who has access cannot be used.
    """
    with closing(Access(section.state_directory)) as access, closing(listening(section)) as sock:
        access.tidy()
        encryption = Encryption(section) if section.has_tls else None
        authority = None if encryption is None else encryption.authority_pem
        app = make_app(section, Doorbell(control_socket), access, authority=authority)

        def ready() -> None:
            announce(address_of(section, sock.getsockname()[1]))
            _tell_systemd("READY=1")

        def keep_up() -> None:
            access.tidy()
            if encryption is not None:
                encryption.renew()

        def end() -> None:
            app.state.traffic.ending = True
            _tell_systemd("STOPPING=1")

        Server(
            app,
            sock,
            context=None if encryption is None else encryption.context,
            is_shared=app.state.host_policy.is_shared_address,
            hooks=Hooks(ready, keep_up, end),
        ).run()


class Encryption:
    """The certificate of the console: the one that is configured, or one of our own making.

    Attributes:
        context: of connections.
        authority_pem: the certificate of our own authority; None where files are given.

    Raises:
        ConfigError: the certificate cannot be used.
    """

    def __init__(self, section: ConsoleSection) -> None:
        self._section = section
        self.authority_pem: bytes | None = None
        given = given_files(section)
        if given is not None:
            self.context = server_context(*given)
            return
        own = self._own()
        own.renew()
        self.context = server_context(own.files.certificate, own.files.key)
        self.authority_pem = own.authority_pem

    def renew(self) -> None:
        """Renew our own certificate where that is due; take up given files that were replaced."""
        given = given_files(self._section)
        if given is not None:
            load_certificate(self.context, *given)
            return
        own = self._own()
        if own.renew():
            load_certificate(self.context, own.files.certificate, own.files.key)

    def _own(self) -> OwnCertificate:
        return OwnCertificate(self._section.state_directory, names_of(self._section))


@dataclass(frozen=True)
class Hooks:
    """What is called of a server's life.

    Attributes:
        ready: when it listens.
        keep_up: every ten minutes.
        end: when it is to end, before what goes on is waited for.
    """

    ready: Callable[[], None] = lambda: None
    keep_up: Callable[[], None] = lambda: None
    end: Callable[[], None] = lambda: None


class Server(uvicorn.Server):
    """uvicorn, with a listener before it.

    Args:
        app: the application.
        sock: that is listened at.
        context: to encrypt connections; None to leave them as they are.
        is_shared: whether an address stands for many; see ``Listener``.
        patience: with clients.
        hooks: what is called.
    """

    def __init__(
        self,
        app: ASGIApp,
        sock: socket.socket,
        *,
        context: ssl.SSLContext | None = None,
        is_shared: Callable[[str], bool],
        patience: Patience | None = None,
        hooks: Hooks,
    ) -> None:
        patience = patience or Patience()
        super().__init__(_config(app))
        self._protocol = connections_with(patience)
        self._listener = Listener(sock, self._connection, context, is_shared, patience)
        self._socket = sock
        self._hooks = hooks
        self._tasks: list[asyncio.Task[None]] = []

    def _connection(self) -> BoundedConnection:
        return self._protocol(self.config, self.server_state, self.lifespan.state)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        del sockets  # the listener has ours
        self._listener.listen()
        await super().startup([])
        self._tasks = [
            asyncio.create_task(self._listener.accept()),
            asyncio.create_task(self._keep_up_for_ever()),
        ]
        self._hooks.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen no more, and end what goes on."""
        del sockets
        self._hooks.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.close()
        await self._listener.close()
        await super().shutdown([])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at SIGTERM and Ctrl-C; unlike uvicorn, not by the signal itself, but in order."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        earlier = {each: signal.signal(each, self.handle_exit) for each in ENDING}
        try:
            yield
        finally:
            for each, handler in earlier.items():
                signal.signal(each, handler)

    async def _keep_up_for_ever(self) -> None:
        while True:
            await asyncio.sleep(UPKEEP_SECONDS)
            try:
                self._hooks.keep_up()
            except (DoorbellError, OSError) as exc:
                log.error("%s", exc)


def _config(app: ASGIApp) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",  # what strangers send in vain would fill the log
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=HEADER_BYTES,
    )


def listening(section: ConsoleSection) -> socket.socket:
    """The socket that is listened at.

    Raises:
        ConfigError: it is taken, or no address of this machine.
    """
    family = socket.AF_INET6 if ":" in section.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, section.host != "::")
        sock.bind((section.host, section.port))
    except OSError as exc:
        sock.close()
        raise ConfigError(
            f"console.listen = {section.listen!r} cannot be listened at: {exc.strerror}; is "
            "another console running, or is it no address of this machine?"
        ) from exc
    return sock


def _tell_systemd(state: str) -> None:
    """Tell the service manager, if one listens."""
    if not os.environ.get("NOTIFY_SOCKET"):
        return
    notifier = SystemdNotifier()
    try:
        notifier.notify(state)
    finally:
        if notifier.socket is not None:
            notifier.socket.close()
