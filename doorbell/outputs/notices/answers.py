"""Answers in a notification: signed, each of one notice and its visit.

The code of authentication is HMAC-SHA256, cut to 128 bits (RFC 2104, 5), with a key of the daemon's
alone, so that a token fits a link and Telegram's button.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
from pathlib import Path

from doorbell.domain import AnswerToken
from doorbell.storage.files import make_private_directory, write_whole

KEY_BYTES = 32
MAC_BYTES = 16
_PURPOSE = b"an answer to a notification of the doorbell"

log = logging.getLogger(__name__)


class Signer:
    """Makes tokens, and knows its own.

    Args:
        path: of the key, made if missing, for its owner alone. Where the disk refuses it, answers
            are good until the doorbell stops.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._key = path.read_bytes()
        except OSError:
            self._key = b""
        if len(self._key) != KEY_BYTES:
            self._key = secrets.token_bytes(KEY_BYTES)
            try:
                make_private_directory(path.parent)
                write_whole(path, self._key)
            except OSError as exc:
                log.warning(
                    "answers to notifications are good until the doorbell stops: cannot write %s: "
                    "%s; check the free space and who may write there",
                    path,
                    exc.strerror,
                )

    def token(self, notice_id: str, visit_id: str, code: str) -> AnswerToken:
        """The token of an answer."""
        return AnswerToken(notice_id, code, self._mac(notice_id, visit_id, code))

    def is_ours(self, token: AnswerToken, visit_id: str) -> bool:
        """Whether we made a token, for that visit."""
        made = self._mac(token.notice_id, visit_id, token.code)
        return hmac.compare_digest(made.encode(), token.mac.encode())

    def _mac(self, notice_id: str, visit_id: str, code: str) -> str:
        signed = "\n".join((notice_id, visit_id, code)).encode()
        mac = hmac.new(self._key, _PURPOSE + b"\n" + signed, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(mac[:MAC_BYTES]).rstrip(b"=").decode()
