"""Which button of a Telegram message was pressed: asked for while any can be.

A bot's updates are asked for by one thread, whatever number of its chats are told: Telegram ends
the one that asks when another does. Answers count from these chats alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from doorbell.domain import ANSWERABLE_SECONDS, TOKEN_CHARACTERS
from doorbell.errors import ControlError, RefusedError
from doorbell.notifier.backoff import Backoff
from doorbell.notifier.file import NotifierFileError
from doorbell.notifier.notices import Doorbell
from doorbell.notifier.sending import NotSentError
from doorbell.notifier.store import NotifierStore
from doorbell.notifier.telegram import TOAST_CHARACTERS, UPDATES, Bot, Chat

# How long Telegram waits for a button to be pressed.
POLL_SECONDS = 25
# While none can be pressed.
IDLE_SECONDS = 600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Press:
    """A button that was pressed, or another update of a bot.

    Attributes:
        number: of the update.
        token: of the button; None where there is none that may be ours.
        chat: by which numbers and names the chat may be configured.
        query, chat_id, message_id: Telegram's, to answer with.
    """

    number: int
    token: str | None = field(repr=False)
    chat: frozenset[str]
    query: object
    chat_id: object
    message_id: object


def read_presses(document: Mapping[str, Any]) -> list[Press]:
    """Read what ``getUpdates`` answers; see https://core.telegram.org/bots/api#callbackquery.

    Raises:
        NotSentError: Telegram does not answer so.
    """
    result = document.get("result")
    presses = []
    for update in result if isinstance(result, list) else [None]:
        number = update.get("update_id") if isinstance(update, dict) else None
        if type(number) is not int or not 0 <= number < 2**62:
            raise NotSentError("what was answered is not what Telegram answers: check the address")
        query = _object(update, "callback_query")
        message = _object(query, "message")
        chat = _object(message, "chat")
        token = query.get("data")
        is_token = isinstance(token, str) and 0 < len(token) <= TOKEN_CHARACTERS
        presses.append(
            Press(
                number,
                token if is_token else None,
                _names_of(chat),
                query.get("id"),
                chat.get("id"),
                message.get("message_id"),
            )
        )
    return presses


def _names_of(chat: Mapping[str, Any]) -> frozenset[str]:
    """Its number, and its name where it has one, in which Telegram takes A for a."""
    found = {str(chat.get("id"))}
    name = chat.get("username")
    if isinstance(name, str):
        found.add(f"@{name}".casefold())
    return frozenset(found)


def _object(document: object, key: str) -> Mapping[str, Any]:
    found = document.get(key) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


class TelegramAnswers:
    """Asks for a bot's updates and does what they say; on a thread of its own.

    Args:
        chat: one of the bot's; ``add`` others.
        doorbell: who does it.
        store: keeps which update comes next, and until when buttons can be pressed.
        now: seconds since the epoch.
        poll_seconds: how long Telegram is to wait.
    """

    def __init__(
        self,
        chat: Chat,
        doorbell: Doorbell,
        store: NotifierStore,
        *,
        now: Callable[[], float] = time.time,
        poll_seconds: int = POLL_SECONDS,
    ) -> None:
        self._name = chat.bot
        self._bot = Bot(chat)
        self._chats = frozenset({chat.chat.casefold()})
        self._doorbell = doorbell
        self._store = store
        self._now = now
        self._poll_seconds = poll_seconds
        self._backoff = Backoff()
        self._stopped = threading.Event()
        self._opened = threading.Event()

    def run(self) -> None:
        """Ask until ``stop``."""
        while not self._stopped.is_set():
            self._opened.clear()
            pause = self.step()
            if pause:
                self._opened.wait(pause)

    def add(self, chat: Chat) -> None:
        """Let answers count from another chat of the bot too."""
        self._chats |= {chat.chat.casefold()}

    def open_buttons(self) -> None:
        """A message with buttons is about to be sent."""
        self._store.open_buttons(self._name, self._now() + ANSWERABLE_SECONDS)
        self._opened.set()

    def stop(self) -> None:
        """Ask no more; a request that is under way is not waited for."""
        self._stopped.set()
        self._opened.set()

    def step(self) -> float:
        """Ask once, if a button can be pressed; for how many seconds not to ask again."""
        try:
            next_update, open_until = self._store.bot(self._name)
            if self._now() >= open_until:
                return IDLE_SECONDS
            told = self._bot.call(
                "getUpdates",
                {
                    "offset": next_update,
                    "timeout": self._poll_seconds,
                    "allowed_updates": UPDATES,
                },
                wait_seconds=self._poll_seconds,
            )
            for press in read_presses(told):
                if self._stopped.is_set():
                    break
                self._take(press)
                self._store.note_update(self._name, press.number + 1)
        except NotSentError as exc:
            log.warning("Telegram does not say which buttons are pressed: %s", exc)
            return max(self._backoff.failed(), exc.retry_seconds)
        except (ControlError, NotifierFileError) as exc:  # the update comes again
            log.warning("a button that was pressed waits: %s", exc)
            return self._backoff.failed()
        self._backoff.succeeded()
        return 0.0

    def _take(self, press: Press) -> None:
        if press.token is None or not press.chat & self._chats:
            log.warning("a button was pressed in a chat that is not told of the door")
            return
        try:
            said = self._doorbell.act(press.token)
        except RefusedError as exc:
            if exc.kind in ("too_fast", "stopping"):
                raise
            said = str(exc)
        self._show(press, said)

    def _show(self, press: Press, said: str) -> None:
        """Say what was done, and take the buttons away; it is done already, whatever comes."""
        try:
            self._bot.call(
                "answerCallbackQuery",
                {"callback_query_id": press.query, "text": said[:TOAST_CHARACTERS]},
            )
            self._bot.call(
                "editMessageReplyMarkup",
                {"chat_id": press.chat_id, "message_id": press.message_id},
            )
        except NotSentError as exc:
            log.info("Telegram does not show what an answer did: %s", exc)


class TelegramBots:
    """Every bot that somebody is told by, each with a thread of its own.

    Args:
        doorbell: who does what a button says.
        store: see ``TelegramAnswers``.
        now: seconds since the epoch.
        poll_seconds: how long Telegram is to wait.
    """

    def __init__(
        self,
        doorbell: Doorbell,
        store: NotifierStore,
        *,
        now: Callable[[], float] = time.time,
        poll_seconds: int = POLL_SECONDS,
    ) -> None:
        self._doorbell = doorbell
        self._store = store
        self._now = now
        self._poll_seconds = poll_seconds
        self._lock = threading.Lock()
        self._bots: dict[tuple[str, str], TelegramAnswers] = {}
        self._threads: list[threading.Thread] = []
        self._closed = False

    def add(self, chat: Chat) -> Callable[[], None]:
        """Let answers count from a chat; what is to be called before buttons go there."""
        with self._lock:
            answers = self._bots.get((chat.api, chat.token))
            if answers is not None:
                answers.add(chat)
                return answers.open_buttons
            answers = TelegramAnswers(
                chat,
                self._doorbell,
                self._store,
                now=self._now,
                poll_seconds=self._poll_seconds,
            )
            self._bots[chat.api, chat.token] = answers
            thread = threading.Thread(target=answers.run, name="telegram", daemon=True)
            if not self._closed:
                self._threads.append(thread)
                thread.start()
        return answers.open_buttons

    def close(self) -> None:
        """Let no answer count any more."""
        with self._lock:
            self._closed = True
            for answers in self._bots.values():
                answers.stop()

    def join(self) -> None:
        """Wait for what was asked for when ``close`` was called."""
        for thread in self._threads:
            thread.join()
