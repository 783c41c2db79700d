"""A console that serves at a port of this machine, before a doorbell as a test writes it down."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from scripted_doorbell import Answer, ScriptedDoorbell
from typing_extensions import Self

from doorbell.config.console import ConsoleSection
from doorbell.console.access import Access
from doorbell.console.app import make_app
from doorbell.console.connections import Patience
from doorbell.console.doorbell_client import Doorbell
from doorbell.console.routes import ROUTES
from doorbell.console.routing import Entry, Role
from doorbell.console.server import Hooks, Server, listening

FORM = "application/x-www-form-urlencoded"
PAGE = {"accept": "text/html"}


@dataclass(frozen=True)
class Answered:
    """What came back.

    Attributes:
        status: of HTTP.
        headers: by name in lower case; of several of one name the last.
        body: the whole, or nothing of what has no end.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.body.decode()


class Console:
    """The console, from its socket inwards as it is in a house.

    Args:
        directory: for its state and the doorbell's socket.
        state: for its state alone.
        answers: of the doorbell.
        routes: the table.
        patience: with clients.
        is_shared: whether an address stands for many.
        context: to encrypt connections.
        **section: keys of ``[console]``.
    """

    def __init__(
        self,
        directory: Path,
        *,
        state: Path | None = None,
        answers: Mapping[str, Answer] | None = None,
        routes: Sequence[Entry] = ROUTES,
        patience: Patience | None = None,
        is_shared: Callable[[str], bool] | None = None,
        context: ssl.SSLContext | None = None,
        **section: Any,
    ) -> None:
        section = {"listen": "127.0.0.1:0", "directory": state or directory / "console", **section}
        self.section = ConsoleSection(**section)
        self.doorbell = ScriptedDoorbell(directory / "doorbell.sock", answers)
        self.offset = 0.0
        self.access = Access(self.section.state_directory, now=lambda: time.time() + self.offset)
        self.app = make_app(
            self.section, Doorbell(self.doorbell.path), self.access, routes=routes, machine="house"
        )
        self._socket = listening(self.section)
        self._server = Server(
            self.app,
            self._socket,
            context=context,
            is_shared=is_shared or self.app.state.host_policy.is_shared_address,
            patience=patience,
            hooks=Hooks(end=self._end),
        )
        self.port = int(self._socket.getsockname()[1])
        self.origin = f"http://127.0.0.1:{self.port}"
        self.picture = np.zeros((72, 128, 3), np.uint8)
        self.filming = True
        self._ended = threading.Event()
        self._filming = threading.Thread(target=self._film)
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> Self:
        self.doorbell.start()
        self._filming.start()
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._ended.set()
        self._filming.join()
        self.doorbell.stop()
        self.access.close()

    def _end(self) -> None:
        self.app.state.traffic.ending = True

    def _film(self) -> None:
        while not self._ended.wait(0.05):
            if self.filming:
                self.doorbell.show(self.picture)

    def device(self, role: Role, name: str = "a device") -> dict[str, str]:
        """Let a device in; the header with its cookie, or for a stream with its token."""
        _, secret = self.access.devices.add(name, role)
        if role == Role.STREAM:
            return {"authorization": f"Bearer {secret}"}
        return {"cookie": f"door={secret}"}

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answered:
        return self.ask("GET", path, headers)

    def post(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answered:
        """Send a form, as a script of our own pages does."""
        ours = {"origin": self.origin, "x-door": "1", "content-type": FORM}
        return self.ask("POST", path, {**ours, **(headers or {})}, urlencode(form or {}).encode())

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        whole: bool = True,
    ) -> Answered:
        """Send a request; without ``whole`` nothing is read but the headers of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answered(response.status, found, response.read() if whole else b"")

    def connect(self) -> socket.socket:
        """A connection at which anything may be sent."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def send(self, request: bytes, *, seconds: float = 10.0) -> bytes:
        """What is answered to bytes, until the console ends the connection."""
        with self.connect() as connection:
            connection.settimeout(seconds)
            connection.sendall(request)
            answer = b""
            while more := connection.recv(65536):
                answer += more
            return answer


def address(entry: Entry) -> str:
    """A path that a route answers."""
    path = entry.path.replace("{version:id}/{name:file}", "0123/console.css")
    path = path.replace("/icons/{name:file}", "/icons/192.png")
    for kind, value in {":id}": "abc", ":number}": "1", ":file}": "x.css"}.items():
        while kind in path:
            begin = path.rindex("{", 0, path.index(kind))
            path = path[:begin] + value + path[path.index(kind) + len(kind) :]
    return path


class Clock:
    """Wall time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def pair(console: Console, code: str, **fields: str) -> Answered:
    return console.post("/pair", PAGE, {"code": code, **fields})


def cookie_of(answered: Answered) -> dict[str, str]:
    return {"cookie": answered.headers["set-cookie"].partition(";")[0]}
