"""ntfy, with buttons: https://docs.ntfy.sh/publish.

Apprise's plugin reads the address. It is not sent through it: it takes buttons of its address
alone, and does not say what was answered.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any

from apprise.plugins.ntfy import NotifyNtfy, NtfyAuth, NtfyMode, NtfyPriority

from doorbell.errors import ConfigError
from doorbell.notifier.http import post, require_taken
from doorbell.notifier.sending import MOST_ANSWERS, Message

CLOUD = "ntfy.sh"
_PRIORITIES = {
    NtfyPriority.MIN: 1,
    NtfyPriority.LOW: 2,
    NtfyPriority.NORMAL: 3,
    NtfyPriority.HIGH: 4,
    NtfyPriority.MAX: 5,
}


class Ntfy:
    """``Sender`` to one topic.

    Args:
        name: of the target, for messages.
        plugin: the address as Apprise has read it.
        console: where the console answers; None where no phone can reach one.

    Raises:
        ConfigError: it names no topic, or several.
    """

    takes_pictures = True

    def __init__(self, name: str, plugin: NotifyNtfy, console: str | None) -> None:
        if len(plugin.topics) != 1:
            raise ConfigError(
                f"the ntfy address of the notification target {name} has {len(plugin.topics)} "
                "topics: give it one, and others a target of their own"
            )
        (self._topic,) = plugin.topics
        if plugin.mode == NtfyMode.CLOUD:
            self._host, self._server = CLOUD, f"https://{CLOUD}"
        else:
            self._host = str(plugin.host)
            self._server = f"{'https' if plugin.secure else 'http'}://{plugin.host}"
            if plugin.port:
                self._server += f":{plugin.port}"
        self._headers = _authorization(plugin)
        self._priority = _PRIORITIES[str(plugin.priority)]
        self._verify = bool(plugin.verify_certificate)
        self._console = console
        self.takes_answers = console is not None
        self.to = f"ntfy at {self._host}"

    def send(self, message: Message) -> None:
        """See ``Sender``."""
        if message.picture is None:
            url = self._server
            body = json.dumps(self._document(message)).encode()
            headers = {"Content-Type": "application/json"}
        else:
            url = f"{self._server}/{self._topic}"
            body = message.picture
            headers = self._described(message)
        response = post(url, body, {**self._headers, **headers}, verify=self._verify)
        require_taken(response, self._host)

    def _document(self, message: Message) -> dict[str, Any]:
        """As its JSON: https://docs.ntfy.sh/publish/#publish-as-json."""
        document: dict[str, Any] = {
            "topic": self._topic,
            "title": message.notice.title,
            "message": message.text,
            "priority": self._priority,
            # Whoever sends the same again replaces it, from ntfy 2.16 on; earlier ones ignore it.
            "sequence_id": _sequence(message),
        }
        if message.link:
            document["click"] = message.link
        if actions := self._actions(message):
            document["actions"] = actions
        return document

    def _described(self, message: Message) -> dict[str, str]:
        """As headers, beside a picture."""
        headers = {
            "Filename": "visit.jpg",
            "X-Title": _word(message.notice.title),
            "X-Message": _word(message.text),
            "X-Priority": str(self._priority),
            "X-Sequence-ID": _sequence(message),
        }
        if message.link:
            headers["X-Click"] = message.link
        if actions := self._actions(message):
            headers["X-Actions"] = json.dumps(actions)  # in ASCII
        return headers

    def _actions(self, message: Message) -> list[dict[str, Any]]:
        if self._console is None:
            return []
        return [
            {
                "action": "http",
                "label": answer.label,
                "url": f"{self._console}/act?token={answer.token}",
                "method": "POST",
                "clear": True,
            }
            for answer in message.answers[:MOST_ANSWERS]
        ]


def _sequence(message: Message) -> str:
    """The notice's id, in the characters that ntfy takes."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", message.notice.notice_id)[:64]


def _authorization(plugin: NotifyNtfy) -> dict[str, str]:
    if plugin.auth == NtfyAuth.TOKEN and plugin.token:
        return {"Authorization": f"Bearer {plugin.token}"}
    if plugin.user:
        pair = f"{plugin.user}:{plugin.password or ''}"
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode('ascii')}"}
    return {}


def _word(text: str) -> str:
    """Text in a header, as ntfy reads it: https://www.rfc-editor.org/rfc/rfc2047."""
    return f"=?UTF-8?B?{b64encode(text.encode()).decode('ascii')}?="
