"""A signed webhook: JSON by POST, with a signature over a time stamp and the body.

See docs/notifier.md for how a receiver verifies it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doorbell.clock import iso_utc
from doorbell.config.secrets import read_secret
from doorbell.errors import ConfigError
from doorbell.notifier.http import host_of, post, require_taken
from doorbell.notifier.sending import Message


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """What a receiver compares: HMAC-SHA256 over the time stamp, a point and the body."""
    signed = hmac.new(secret, timestamp.encode("ascii") + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


class Webhook:
    """``Sender`` to a web address.

    Args:
        name: of the target, for messages.
        url: the address.
        secret_file: with what requests are signed with.
        now: seconds since the epoch.

    Raises:
        ConfigError: the secret cannot be read, or the address has a password in it.
    """

    takes_pictures = True
    takes_answers = False

    def __init__(
        self, name: str, url: str, secret_file: Path, now: Callable[[], float] = time.time
    ) -> None:
        host = host_of(url)
        if host is None:
            raise ConfigError(
                f"the webhook of the notification target {name} needs a host, and no user or "
                "password before it: its requests are signed"
            )
        self._url = url
        self._host = host
        self._secret = read_secret("secret_file", secret_file).encode()
        self._now = now
        self.to = f"webhook at {host}"

    def send(self, message: Message) -> None:
        """See ``Sender``."""
        body = json.dumps(_document(message), ensure_ascii=False).encode()
        timestamp = str(int(self._now()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Doorbell-Id": message.notice.notice_id,
            "Doorbell-Timestamp": timestamp,
            "Doorbell-Signature": signature(self._secret, timestamp, body),
        }
        require_taken(post(self._url, body, headers), self._host)


def _document(message: Message) -> dict[str, Any]:
    notice = message.notice
    visitor = notice.visitor
    picture = message.picture
    return {
        "id": notice.notice_id,
        "kind": notice.kind,
        "occurred_at": iso_utc(notice.occurred_at),
        "late": message.is_late,
        "title": notice.title,
        "message": message.text,
        "pressed": notice.pressed,
        "visit_id": notice.visit_id,
        "visitor": None
        if visitor is None
        else {"kind": visitor.kind, "label": visitor.label, "name": visitor.name},
        "link": message.link or None,
        "picture": None if picture is None else b64encode(picture).decode("ascii"),
    }
