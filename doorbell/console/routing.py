"""Who may ask for what: roles, and the entries of the one table of routes."""

from __future__ import annotations

import enum
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from doorbell.control.requests.talk import MAX_TALK_BYTES
from doorbell.control.wire import MAX_PHOTO_BYTES

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
Method: TypeAlias = Literal["GET", "POST"]

FORM_BYTES = 64 * 1024
_BODY_BYTES = {"form": FORM_BYTES, "photo": MAX_PHOTO_BYTES, "sound": MAX_TALK_BYTES}


class Role(enum.IntEnum):
    """What a device may do; each role may do what those before it may.

    ``STREAM`` is that of a token for other systems: the picture of now, and nothing else.
    """

    PUBLIC = 0
    STREAM = 1
    VIEWER = 2
    MEMBER = 3
    OWNER = 4


class _Identifier(Convertor[str]):
    """A visit's identifier, or the name of a chime: no separator, no dot."""

    regex = "[A-Za-z0-9_-]{1,64}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _Number(Convertor[int]):
    """A person's or stranger's number, as SQLite can hold it."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


class _FileName(Convertor[str]):
    """A file of our own, in one folder: no separator, and no dot at the beginning."""

    regex = "[a-z0-9_-][a-z0-9_.-]{0,63}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", _Identifier())
register_url_convertor("number", _Number())
register_url_convertor("file", _FileName())


@dataclass(frozen=True, slots=True)
class Entry:
    """A route: a path and a method, and the role that it takes.

    Attributes:
        path: as Starlette writes it, with ``{visit:id}``, ``{person:number}`` or ``{name:file}``.
        method: GET also answers HEAD, and changes nothing.
        role: the least one.
        endpoint: what answers.
        body: what a POST takes: a form, or a picture or what somebody said as it is.
            A recording is sent as a picture is.
        stream: an answer without an end: one of those that are counted together under this name.
        cached: whether a browser may keep the answer, which is the same for everybody.
        by_token: whether a token in the address alone says what may be done: it may be asked for
            from anywhere, without a session, a form of ours or a body.
        is_noted: whether a POST is written down, with who did it.
    """

    path: str
    method: Method
    role: Role
    endpoint: Endpoint
    body: Literal["form", "photo", "sound"] = "form"
    stream: Literal["live", "events", "listen"] | None = None
    cached: bool = False
    by_token: bool = False
    is_noted: bool = True

    @property
    def action(self) -> str:
        """The path in words, for the audit: "people rename"."""
        words = re.sub(r"\{[^}]*\}", " ", self.path).replace("/", " ")
        return " ".join(words.split())

    @property
    def max_body_bytes(self) -> int:
        """How large a body may be."""
        if self.method == "GET":
            return 0
        return _BODY_BYTES[self.body]


@dataclass(frozen=True, slots=True)
class Found:
    """What a table has for a path.

    Attributes:
        entry: of the path and method; None where the path takes other methods.
        methods: that the path takes, none for an unknown path.
    """

    entry: Entry | None
    methods: tuple[str, ...]


class Table:
    """The routes by path and method.

    Raises:
        ValueError: two entries for one path and method.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        by_path: dict[str, dict[str, Entry]] = {}
        for entry in entries:
            methods = by_path.setdefault(entry.path, {})
            if entry.method in methods:
                msg = f"{entry.method} {entry.path} stands in the table twice"
                raise ValueError(msg)
            methods[entry.method] = entry
        self._paths = [(compile_path(path)[0], methods) for path, methods in by_path.items()]

    def find(self, path: str, method: str) -> Found:
        """What there is for a request; ``path`` is without the prefix of a proxy."""
        for pattern, methods in self._paths:
            if pattern.fullmatch(path):
                return Found(methods.get("GET" if method == "HEAD" else method), _offered(methods))
        return Found(None, ())


def _offered(methods: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
