"""Answers to notifications, whatever token comes back, and notices as a file may have them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from doorbell.control.requests import parse_request
from doorbell.domain import AnswerToken, Notice, Ring, Visit
from doorbell.errors import DoorbellError
from doorbell.outputs.notices.notice import decode, encode
from doorbell.outputs.notices.output import Notices

MAX_BYTES = 600
MAX_SECONDS = 1.0

CODES = ("p1", "p999999999999999999", "n", "i", "rcoming", "r", "", "p", "p-1", "x")


@cache
def _asked() -> tuple[Notices, Notice]:
    """What has asked for answers to one notice."""
    notices = Notices(Path(tempfile.mkdtemp(prefix="fuzz-")) / "notices.sqlite")
    notices.handle(Ring("e", 1e9, Visit("v1", 1e9, 1e9), pressed=True))
    [(_, notice, _)] = notices.take(None, 0, wait_seconds=0.0, limit=1)[1]
    return notices, notice


@cache
def _ours() -> frozenset[str]:
    notices, notice = _asked()
    return frozenset(str(notices.token(notice, code)) for code in CODES)


def seeds() -> Iterator[bytes]:
    """Tokens of ours, altered ones, and notices."""
    for token in sorted(_ours()):
        yield token.encode()
        yield token[:-1].encode()
        yield token.encode() + b"="
        yield token.swapcase().encode()
        yield token.replace(".", "..").encode()
    for text in ("", ".", "..", "...", "a.b.c", "\u0661.p\u0661.x", "a" * 63, "." * 63):
        yield text.encode()
    yield encode(_asked()[1])
    yield encode(Notice("forgotten", 1e9, visits=("v1",), beside=("v2",)))
    yield from (b"{}", b"[]", b"null", b"[" * 500, b'{"visits": 5, "beside": null}')
    yield from (b"\xff.n.\xff", b"a.n.\x00")


def check(content: bytes) -> None:
    """Take it for a token, for requests with one, and for a notice."""
    text = content.decode("utf-8", "surrogateescape")
    notices, _ = _asked()
    token = AnswerToken.parse(text)
    if token is not None:
        if str(token) != text:
            raise AssertionError(f"{text!r} is another token when written down")
        if (notices.look(token) is not None) != (text in _ours()):
            raise AssertionError(f"{text!r} was taken for one of ours, or not")
    with suppress(DoorbellError):
        parse_request({"do": "notices.act", "token": text})
    try:
        notice = decode(content)
    except ValueError:
        return
    if decode(encode(notice)) != notice:
        raise AssertionError(f"{content!r} is another notice when it is kept")
