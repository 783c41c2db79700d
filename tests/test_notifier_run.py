"""The notifier as a whole, in this process: what it does when it starts, and at a hang-up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from notice_journal import ANNA, Journal, jpeg, notice
from notification_receivers import WebhookReceiver

from doorbell.clock import BootTime
from doorbell.config import Config
from doorbell.notifier.file import NotifierFileError
from doorbell.notifier.run import Notifier
from doorbell.notifier.store import NotifierStore


def house(tmp_path: Path, receiver: WebhookReceiver) -> Config:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    secret.chmod(0o600)
    target: dict[str, Any] = {
        "name": "anna",
        "webhook": receiver.url,
        "secret_file": secret,
        "picture": True,
    }
    return Config.model_validate({"notifications": {"enabled": True, "targets": [target]}})


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class Full(NotifierStore):
    """A file on a disk that is full for a while."""

    full = False

    def tidy(self, targets: Collection[str], now: float) -> Mapping[str, int]:
        if self.full:
            raise NotifierFileError("the disk is full")
        return super().tidy(targets, now)


def test_a_hang_up_with_a_full_disk_silences_nobody(tmp_path: Path) -> None:
    journal = Journal(wait_seconds=0.02)
    with (
        WebhookReceiver() as receiver,
        closing(Full(tmp_path / "store")) as store,
        closing(Notifier(house(tmp_path, receiver), journal, store)) as notifier,
    ):
        store.full = True
        with pytest.raises(NotifierFileError):
            notifier.follow(house(tmp_path, receiver))
        journal.tell(notice("a"))
        wait_until(lambda: receiver.ids == ["a"])
        assert notifier.is_alive()


class Slow(Journal):
    """A doorbell that answers when it is let."""

    def __init__(self) -> None:
        super().__init__(wait_seconds=0.02)
        self.let = threading.Event()

    def take(self, journal: str | None, after: int, *, wait: bool = True) -> Any:
        self.let.wait(20.0)
        return super().take(journal, after, wait=wait)


def test_who_was_forgotten_while_the_notifier_was_away_goes_nowhere(tmp_path: Path) -> None:
    journal = Slow()
    gone = notice("gone", visit_id="v", visitor=ANNA, number=1, occurred_at=time.time())
    kept = notice("kept", number=2, occurred_at=time.time())
    with WebhookReceiver() as receiver, closing(NotifierStore(tmp_path / "store")) as store:
        for each in (gone, kept):
            store.keep(each, jpeg(), ["anna"], journal="j1", now=BootTime.now())
        journal.last = 2
        journal.tell(notice("f", "forgotten", visits=("v",)))
        with closing(Notifier(house(tmp_path, receiver), journal, store)):
            time.sleep(0.2)
            assert receiver.requests == []
            journal.let.set()
            wait_until(lambda: receiver.ids == ["kept"])
            wait_until(lambda: not store.waiting_ids("anna"))

        assert receiver.ids == ["kept"]
