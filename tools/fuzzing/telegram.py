"""What a server that may be anybody's answers to a bot that asks which button was pressed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

from doorbell.domain import TOKEN_CHARACTERS
from doorbell.notifier.http import Response
from doorbell.notifier.sending import NotSentError
from doorbell.notifier.telegram_answers import read_presses

MAX_BYTES = 4000
MAX_SECONDS = 1.0


def seeds() -> Iterator[bytes]:
    """An answer as it should be, and others."""
    query = {
        "id": "1",
        "from": {"id": 7},
        "message": {"message_id": 5, "chat": {"id": -100, "username": "door"}},
        "data": "1.p1.mac",
    }
    updates: tuple[dict[str, object], ...] = (
        {"callback_query": query},
        {"message": {}},
        {"callback_query": 5},
        {},
    )
    for update in updates:
        yield json.dumps({"ok": True, "result": [{"update_id": 9, **update}]}).encode()
    results: tuple[object, ...] = (
        *({}, [], [5]),
        *([{"update_id": number}] for number in (-1, 2**70, True)),
    )
    for result in results:
        yield json.dumps({"ok": True, "result": result}).encode()
    yield from (b"", b"null", b"[]", b"[" * 3000, b'{"result": ' * 300, b"\xff")


def check(content: bytes) -> None:
    """Read it, and ask for no update twice."""
    with suppress(NotSentError):
        for press in read_presses(Response(200, content).document):
            if press.number < 0 or len(press.token or "") > TOKEN_CHARACTERS:
                raise AssertionError(f"{press} is none that was asked for")
