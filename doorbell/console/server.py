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
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import uvicorn
from sdnotify import SystemdNotifier  # type: ignore[import-untyped]  # the package ships no types
from starlette.types import ASGIApp

from doorbell.config.console import ConsoleSection, address_of
from doorbell.console.access import Access
from doorbell.console.app import make_app
from doorbell.console.authority import OwnCertificate
from doorbell.console.connections import Patience, connections_with
from doorbell.console.gate import HEADER_BYTES
from doorbell.console.link import Doorbell
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

        context = None if encryption is None else encryption.context
        Server(server_config(app, context), ready, keep_up, end).run([sock])


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


class Server(uvicorn.Server):
    """uvicorn, which says when it is ready, and keeps things up now and then.

    Args:
        config: of uvicorn.
        ready: called when it listens.
        keep_up: called every ten minutes.
        end: called when it is to end, before what goes on is waited for.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        keep_up: Callable[[], None],
        end: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._keep_up = keep_up
        self._end = end
        self._upkeep: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._upkeep = asyncio.create_task(self._keep_up_for_ever())
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen no more, and end what goes on."""
        self._end()
        if self._upkeep is not None:
            self._upkeep.cancel()
            with suppress(asyncio.CancelledError):
                await self._upkeep
        await super().shutdown(sockets)

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
                self._keep_up()
            except DoorbellError as exc:
                log.error("%s", exc)


def server_config(
    app: ASGIApp, context: ssl.SSLContext | None = None, patience: Patience | None = None
) -> uvicorn.Config:
    """How the application is served.

    Args:
        app: the application.
        context: of connections; None to leave them unencrypted.
        patience: with clients.
    """
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=connections_with(patience or Patience()),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",  # what strangers send in vain would fill the log
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=64,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=HEADER_BYTES,
        ssl_context_factory=None if context is None else (lambda _config, _default: context),
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
