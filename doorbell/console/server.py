"""The console as a process: the web server around the application."""

from __future__ import annotations

import logging
import socket
import ssl
from contextlib import closing
from pathlib import Path

import uvicorn
from sdnotify import SystemdNotifier  # type: ignore[import-untyped]  # the package ships no types

from doorbell.config.console import ConsoleSection
from doorbell.console.access import Access
from doorbell.console.app import make_app
from doorbell.console.connections import BoundedConnection
from doorbell.console.link import Doorbell
from doorbell.errors import ConfigError

KEEP_ALIVE_SECONDS = 15
# Of requests that are being answered when the console is to end; streams have no end of their own.
GRACE_SECONDS = 2
HEADER_BYTES = 32 * 1024

log = logging.getLogger(__name__)


def run_console(section: ConsoleSection, control_socket: Path) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        section: of the configuration.
        control_socket: of the daemon.

    Raises:
        ConfigError: the address cannot be listened at.
        AccessFileError: the file of who has access cannot be used.
    """
    with closing(Access(section.state_directory)) as access, closing(listening(section)) as sock:
        access.tidy()
        app = make_app(section, Doorbell(control_socket), access)
        address = address_of(section, sock.getsockname()[1])
        server = Server(server_config(app), address)
        log.info("the console is at %s", address)
        server.run([sock])


class Server(uvicorn.Server):
    """uvicorn, which tells systemd when it is ready."""

    def __init__(self, config: uvicorn.Config, address: str) -> None:
        super().__init__(config)
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        print(f"The console is at {self._address}", flush=True)  # noqa: T201
        SystemdNotifier().notify("READY=1")


def server_config(app: object, context: ssl.SSLContext | None = None) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        loop="asyncio",
        http=BoundedConnection,
        ws="none",
        lifespan="on",
        log_config=None,
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


def address_of(section: ConsoleSection, port: int | None = None) -> str:
    """Where a browser finds the console: by its first name, its machine's, or its address."""
    scheme = "https" if section.has_tls else "http"
    if section.names:
        host = section.names[0]
    elif section.is_loopback:
        host = "localhost"
    else:
        host = f"{socket.gethostname().partition('.')[0].lower()}.local"
    number = section.port if port is None else port
    usual = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}" + ("" if number == usual else f":{number}")
