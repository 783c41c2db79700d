"""What notifications are sent to, on this machine: web hooks, an ntfy server, Telegram's bots."""

from __future__ import annotations

import email.policy
import json
import re
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import Self

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Received:
    """A request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


@dataclass
class Reply:
    """What is answered; a status of 0 closes the connection without an answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


class Receiver:
    """An HTTP server that answers as a test has written it down.

    Attributes:
        requests: what came, in order, also where it was refused.
        taken: what was answered with success.
        outage: what is answered instead, while there is one.
    """

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Received] = []
        self.taken: list[Received] = []
        self.outage: Reply | None = None
        self.lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._serve(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                del format, args

        self._server = ThreadingHTTPServer((HOST, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def ids(self) -> list[str]:
        """Which notices were taken, in order."""
        return [self.id_of(each) for each in self.taken]

    def id_of(self, received: Received) -> str:
        """Which notice a request is of."""
        raise NotImplementedError

    def answer(self, received: Received) -> Reply:
        """Take a request."""
        del received
        return Reply()

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Speak HTTPS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        received = Received(handler.path, dict(handler.headers.items()), body)
        with self.lock:
            self.requests.append(received)
        reply = self.outage or self.answer(received)
        if reply.status == 0:
            handler.close_connection = True
            return
        if 200 <= reply.status < 300 and self.outage is None:
            with self.lock:
                self.taken.append(received)
        with suppress(OSError):
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(reply.body)))
            handler.end_headers()
            handler.wfile.write(reply.body)


class WebhookReceiver(Receiver):
    """Takes the doorbell's own webhook."""

    def id_of(self, received: Received) -> str:
        return received.headers["Doorbell-Id"]


class JsonReceiver(Receiver):
    """Takes what Apprise's JSON plugin sends; the notice is known by its message."""

    def id_of(self, received: Received) -> str:
        return str(received.document["message"]).split()[0]


class NtfyServer(Receiver):
    """ntfy's way to publish, as https://docs.ntfy.sh/publish has it.

    Attributes:
        token: that is asked for; None for everybody.
    """

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        super().__init__()

    def answer(self, received: Received) -> Reply:
        if self.token and received.headers.get("Authorization") != f"Bearer {self.token}":
            return Reply(401, b'{"code":40101,"http":401,"error":"unauthorized"}')
        try:
            self.message(received)
        except (AssertionError, KeyError, ValueError):
            return Reply(400, b'{"code":40000,"http":400,"error":"invalid request"}')
        return Reply(200, b'{"id":"x","event":"message"}')

    def id_of(self, received: Received) -> str:
        return str(self.message(received)["sequence_id"])

    def message(self, received: Received) -> dict[str, Any]:
        """A message as a phone gets it, by JSON or by headers beside a file."""
        headers = {name.lower(): value for name, value in received.headers.items()}
        if received.path == "/":
            told = received.document
        else:
            assert re.fullmatch(r"/[-_A-Za-z0-9]{1,64}", received.path)
            told = {
                "topic": received.path[1:],
                "title": str(make_header(decode_header(headers["x-title"]))),
                "message": str(make_header(decode_header(headers["x-message"]))),
                "sequence_id": headers["x-sequence-id"],
                "click": headers.get("x-click"),
                "actions": json.loads(headers.get("x-actions", "[]")),
                "filename": headers["filename"],
                "attachment": received.body,
            }
        assert re.fullmatch(r"[-_A-Za-z0-9]{1,64}", told["topic"])
        assert re.fullmatch(r"[-_A-Za-z0-9]{1,64}", told["sequence_id"])
        assert len(told.get("actions") or []) <= 3
        return told


class TelegramServer(Receiver):
    """Telegram's Bot API, for one bot."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.updates: list[dict[str, Any]] = []
        self.rubbish: list[Reply] = []  # what is answered first to who asks for updates
        self.changed = threading.Condition()
        super().__init__()

    def answer(self, received: Received) -> Reply:
        prefix, _, method = received.path.rpartition("/")
        if prefix != f"/bot{self.token}":
            return _not_ok(401, "Unauthorized")
        call: Callable[[Received], Reply] | None = getattr(self, f"_{method}", None)
        return _not_ok(404, "Not Found") if call is None else call(received)

    def calls(self, *methods: str) -> list[dict[str, Any]]:
        """The arguments of what was taken, of some methods."""
        with self.lock:
            taken = list(self.taken)
        return [
            {"method": method, **arguments_of(each)}
            for each in taken
            if (method := each.path.rpartition("/")[2]) in methods
        ]

    @property
    def ids(self) -> list[str]:
        told = self.calls("sendMessage", "sendPhoto")
        return [_second_line(each.get("text") or each["caption"]) for each in told]

    def press(self, chat: int, token: str) -> None:
        """Somebody presses a button."""
        with self.changed:
            number = 1000 + len(self.updates)
            query = {
                "id": f"query-{number}",
                "from": {"id": 7, "is_bot": False, "first_name": "Anna"},
                "message": {"message_id": 5, "date": 0, "chat": {"id": chat, "type": "private"}},
                "data": token,
            }
            self.updates.append({"update_id": number, "callback_query": query})
            self.changed.notify_all()

    def _sendMessage(self, received: Received) -> Reply:  # noqa: N802 - Telegram's name
        return _ok() if received.document["text"] else _not_ok(400, "message text is empty")

    def _sendPhoto(self, received: Received) -> Reply:  # noqa: N802 - Telegram's name
        photo = arguments_of(received)["photo"]
        return _ok() if photo.startswith(b"\xff\xd8") else _not_ok(400, "IMAGE_PROCESS_FAILED")

    def _answerCallbackQuery(self, received: Received) -> Reply:  # noqa: N802 - Telegram's name
        del received
        return _ok()

    def _editMessageReplyMarkup(self, received: Received) -> Reply:  # noqa: N802 - Telegram's name
        del received
        return _ok()

    def _getUpdates(self, received: Received) -> Reply:  # noqa: N802 - Telegram's name
        if self.rubbish:
            return self.rubbish.pop(0)
        offset, wait = received.document["offset"], received.document["timeout"]
        with self.changed:
            self.changed.wait_for(lambda: self._after(offset), min(wait, 0.5))
            return _ok(self._after(offset))

    def _after(self, offset: int) -> list[dict[str, Any]]:
        return [each for each in self.updates if each["update_id"] >= offset]


def arguments_of(received: Received) -> dict[str, Any]:
    """The arguments of a method of Telegram's, as JSON or as a form."""
    kind = received.headers["Content-Type"]
    if kind == "application/json":
        return received.document
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    form = BytesParser(policy=email.policy.HTTP).parsebytes(head + received.body)
    found: dict[str, Any] = {}
    for part in form.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        found[name] = payload if part.get_filename() else payload.decode()
    return found


def _second_line(text: str) -> str:
    return text.splitlines()[1].split()[0]


def _ok(result: object = True) -> Reply:
    return Reply(200, json.dumps({"ok": True, "result": result}).encode())


def _not_ok(status: int, description: str) -> Reply:
    told = {"ok": False, "error_code": status, "description": description}
    return Reply(status, json.dumps(told).encode())
