"""Telegram's bots: messages with buttons, and which of them was pressed.

See https://core.telegram.org/bots/api. Every address of it holds the bot's token, so that none is
ever shown.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from doorbell.errors import ConfigError
from doorbell.notifier.http import (
    LONGEST_RETRY_SECONDS,
    TIMEOUT_SECONDS,
    Response,
    host_of,
    post,
    require_taken,
)
from doorbell.notifier.notices import Answer
from doorbell.notifier.sending import Message, NotSentError

API = "https://api.telegram.org"
# Of a caption, after which Telegram refuses it, and of a text.
CAPTION_CHARACTERS, TEXT_CHARACTERS = 1024, 4096
# Of what is shown at the top when a button was pressed.
TOAST_CHARACTERS = 200
# Nothing else is asked for: what people write to the bot stays unread.
UPDATES = ("callback_query",)

_ADDRESS = re.compile(
    r"tgram://(?:bot)?(?P<bot>[0-9]+):(?P<key>[A-Za-z0-9_-]+)/(?P<chat>-?[0-9]+|@?[A-Za-z0-9_]+)/?"
    r"(\?.*)?"
)


@dataclass(frozen=True, slots=True)
class Chat:
    """Where a bot writes to.

    Attributes:
        bot: its number, which is no secret.
        token: its token, which is one.
        chat: the chat's number, or the name of a channel, as in ``@door``.
        api: where the bot's server is.
    """

    bot: str
    token: str = field(repr=False)
    chat: str
    api: str = API

    @classmethod
    def read(cls, name: str, address: str) -> Chat:
        """Read ``tgram://TOKEN/CHAT``, or ``tgram://TOKEN/CHAT?api=http://...`` for an own server.

        Args:
            name: of the target, for messages.
            address: one of Apprise's.

        Raises:
            ConfigError: it is another, or has several chats.
        """
        found = _ADDRESS.fullmatch(address.strip())
        if found is None:
            raise ConfigError(
                f"the Telegram address of the notification target {name} is not of the form "
                "tgram://TOKEN/CHAT, with one chat: give others a target of their own"
            )
        chat = found["chat"]
        if not chat.lstrip("-").isdecimal():
            chat = f"@{chat.removeprefix('@')}"
        api = parse_qs(urlsplit(address).query).get("api", [API])[-1]
        if host_of(api) is None:
            raise ConfigError(
                f"api= in the Telegram address of the notification target {name} is not of the "
                "form http://HOST:PORT"
            )
        return cls(found["bot"], f"{found['bot']}:{found['key']}", chat, api.rstrip("/"))

    @property
    def host(self) -> str:
        """Of the bot's server."""
        return host_of(self.api) or ""


class Bot:
    """The methods of a bot that are used here.

    Args:
        chat: whose bot and server.
    """

    def __init__(self, chat: Chat) -> None:
        self._token = chat.token
        self._base = f"{chat.api}/bot{chat.token}"
        self._host = chat.host

    def call(
        self, method: str, arguments: Mapping[str, Any], *, wait_seconds: float = 0.0
    ) -> dict[str, Any]:
        """Call a method; what was answered.

        Raises:
            NotSentError: it refuses, or does not answer.
        """
        return self._answer(
            method,
            json.dumps(arguments).encode(),
            "application/json",
            wait_seconds,
        )

    def send_photo(self, arguments: Mapping[str, str], picture: bytes) -> dict[str, Any]:
        """Call ``sendPhoto`` with a JPEG.

        Raises:
            NotSentError: as ``call``.
        """
        boundary = secrets.token_hex(16)
        body = _form(arguments, picture, boundary)
        return self._answer("sendPhoto", body, f"multipart/form-data; boundary={boundary}", 0.0)

    def _answer(
        self, method: str, body: bytes, content_type: str, wait_seconds: float
    ) -> dict[str, Any]:
        response = post(
            f"{self._base}/{method}",
            body,
            {"Content-Type": content_type},
            timeout_seconds=TIMEOUT_SECONDS + wait_seconds,
        )
        document = response.document
        said = str(document.get("description", ""))[:100].replace(self._token, "***")
        parameters = document.get("parameters")
        asked = parameters.get("retry_after") if isinstance(parameters, dict) else None
        if isinstance(asked, int):
            seconds = min(float(max(asked, 0)), LONGEST_RETRY_SECONDS)
            response = Response(response.status, response.body, seconds)
        require_taken(response, self._host, said)
        if not document.get("ok"):
            raise NotSentError(f"{self._host} is no server of Telegram's bots: check the address")
        return document


class Telegram:
    """``Sender`` to one chat.

    Args:
        chat: which.
        opened: told before a message with buttons goes there.
    """

    takes_pictures = True
    takes_answers = True

    def __init__(self, chat: Chat, opened: Callable[[], None] = lambda: None) -> None:
        self._chat = chat
        self._opened = opened
        self._bot = Bot(chat)
        self.to = "Telegram" if chat.api == API else f"Telegram by {chat.host}"

    def send(self, message: Message) -> None:
        """See ``Sender``."""
        text = f"{message.notice.title}\n{message.text_with_link}".strip()
        keyboard = keyboard_of(message.answers)
        if keyboard:
            self._opened()
        if message.picture is None:
            arguments: dict[str, Any] = {
                "chat_id": self._chat.chat,
                "text": text[:TEXT_CHARACTERS],
                "link_preview_options": {"is_disabled": True},
            }
            if keyboard:
                arguments["reply_markup"] = keyboard
            self._bot.call("sendMessage", arguments)
            return
        fields = {"chat_id": self._chat.chat, "caption": text[:CAPTION_CHARACTERS]}
        if keyboard:
            fields["reply_markup"] = json.dumps(keyboard)
        self._bot.send_photo(fields, message.picture)


def keyboard_of(answers: Sequence[Answer]) -> dict[str, Any] | None:
    """Buttons below a message, one in each row; None where there are none."""
    if not answers:
        return None
    return {
        "inline_keyboard": [
            [{"text": answer.label, "callback_data": answer.token}] for answer in answers
        ]
    }


def _form(fields: Mapping[str, str], picture: bytes, boundary: str) -> bytes:
    """https://www.rfc-editor.org/rfc/rfc7578."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = (
        f"--{boundary}\r\nContent-Disposition: form-data; "
        'name="photo"; filename="visit.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    return b"".join((*parts, head.encode(), picture, f"\r\n--{boundary}--\r\n".encode()))
