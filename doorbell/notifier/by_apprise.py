"""Every other service, by Apprise: https://github.com/caronc/apprise.

Apprise says in its log why something was not sent, with addresses that may hold a token. Its log is
silenced; the code of the answer alone is taken out of it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from apprise import Apprise, AppriseAsset, AppriseAttachment, NotifyFormat
from apprise.plugins import NotifyBase
from apprise.result import AppriseResult

from doorbell.errors import ConfigError
from doorbell.notifier.http import CONNECT_SECONDS, TIMEOUT_SECONDS
from doorbell.notifier.sending import Message, NotSentError

# Whatever these say may hold an address with a token, or a header.
_TELLTALES = ("apprise", "requests", "urllib3", "asyncio", "paho", "slixmpp")
# Services whose addresses name their host, which is then shown; of others it may be a token.
_WITH_HOST = frozenset(
    {"form", "gotify", "json", "mailto", "matrix", "mqtt", "nctalk", "ncloud", "signal", "xml"}
)
_STATUS = re.compile(r"error=(\d{3})\b")


def silence() -> None:
    """Let nothing of what Apprise and its own libraries say reach the log."""
    for name in _TELLTALES:
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.handlers[:] = [logging.NullHandler()]


def plugin_of(name: str, address: str) -> NotifyBase:
    """Read an address.

    Args:
        name: of the target, for messages.
        address: one of Apprise's.

    Raises:
        ConfigError: it is none, or of a service that needs another package. What it is, is not
            said: it holds a password.
    """
    silence()
    asset = AppriseAsset(app_id="Doorbell", app_desc="Doorbell", http_redirects=False)
    plugin = Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    if not isinstance(plugin, NotifyBase):
        raise ConfigError(
            f"the address of the notification target {name} is none that Apprise "
            "understands: compare it with https://appriseit.com/services"
        )
    plugin.redirects = False  # also where the address says otherwise
    # Its own four seconds are too few for many a server of messengers, which would get it again.
    plugin.socket_read_timeout = max(plugin.socket_read_timeout, TIMEOUT_SECONDS)
    plugin.socket_connect_timeout = max(plugin.socket_connect_timeout, CONNECT_SECONDS)
    return plugin


class ByApprise:
    """``Sender`` to whatever Apprise knows.

    Args:
        plugin: of ``plugin_of``.
    """

    takes_answers = False

    def __init__(self, plugin: NotifyBase) -> None:
        self._apprise = Apprise()
        self._apprise.add(plugin)
        self.takes_pictures = bool(plugin.attachment_support)
        self.to = _described(plugin)

    def send(self, message: Message) -> None:
        """See ``Sender``."""
        with _attached(message.picture) as attachment:
            result = self._apprise.notify(
                body=message.text_with_link,
                title=message.notice.title,
                body_format=NotifyFormat.TEXT,
                attach=attachment,
            )
        if not result:
            raise NotSentError(f"{self.to} does not take it{_code(result)}")


@contextmanager
def _attached(picture: bytes | None) -> Iterator[AppriseAttachment | None]:
    """A picture as a file, which some services take alone; in memory, so that no kill leaves it."""
    if picture is None:
        yield None
        return
    with os.fdopen(os.memfd_create("visit.jpg"), "wb") as file:
        file.write(picture)
        file.flush()
        path = f"file:///proc/self/fd/{file.fileno()}?name=visit.jpg&mime=image/jpeg"
        yield AppriseAttachment(path)


def _code(result: AppriseResult | bool | None) -> str:
    """The code that was answered, where Apprise tells it."""
    if not isinstance(result, AppriseResult):
        return ""
    for service in result:
        for entry in service.logs():
            if found := _STATUS.search(entry.message):
                return f" (it answers {found[1]})"
    return ""


def _described(plugin: NotifyBase) -> str:
    schema = min(plugin.schemas(), default="")  # type: ignore[no-untyped-call]  # Apprise's own
    what = "e-mail" if schema.startswith("mailto") else str(plugin.service_name)
    host = getattr(plugin, "host", None)
    return f"{what} at {host}" if host and schema.rstrip("s") in _WITH_HOST else what
