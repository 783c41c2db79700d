"""Answers to notifications, asked of the doorbell: what is offered, done once, and refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from doorbell.config import StorageSection
from doorbell.config.notifications import TargetSection
from doorbell.control import requests
from doorbell.control.requests.notifications import TargetReport
from doorbell.daemon.control.commands import Commands
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.control.latest import Latest
from doorbell.daemon.control.notices import NoticeRequests
from doorbell.daemon.control.visits import VisitRequests
from doorbell.domain import (
    AnyCommand,
    CorrectCommand,
    IgnoreCommand,
    Reply,
    ReplyCommand,
    Ring,
    Stranger,
    Visit,
)
from doorbell.errors import RefusedError, UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.outputs.notices.output import Notices
from doorbell.status import Message, RepliesState, SettingsState

TARGET = TargetSection(name="anna", address_file=Path("/nowhere"), picture=True)
AT_THE_DOOR = Ring(
    "e", 1e9, Visit("v1", 1e9, 1e9, visitor=Stranger(1, 0.0, 0.0, 1)), door_id="garden"
)


class House:
    """What answers, with a main thread that notes commands and does or refuses them."""

    def __init__(self, storage: Path) -> None:
        section = StorageSection(directory=storage)
        self.done: list[AnyCommand] = []
        self.refuses = ""
        self.seconds = 1000.0
        self.latest = {door_id: Latest() for door_id in ("front", "garden", "cellar")}
        self.executor = GalleryExecutor(section)
        self.notices = Notices(section.notices_path, targets=(TARGET,))
        self.requests = NoticeRequests(
            self.notices,
            latest=self.latest,
            visits=VisitRequests(section, self.executor, lambda: self.seconds),
            executor=self.executor,
            commands=Commands(["front", "garden", "cellar"], self._put, self.executor),
            doors=["front", "garden", "cellar"],
            silent_doors={"cellar"},
            now=lambda: self.seconds,
        )

    def close(self) -> None:
        self.notices.close()
        self.executor.close()

    def _put(self, command: AnyCommand) -> None:
        if not self.refuses:
            self.done.append(command)
        command.answer(self.refuses or "done", done=not self.refuses)

    def note(self, message: Message) -> None:
        """Every door is told."""
        for latest in self.latest.values():
            latest.note(message)

    def taken(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self.requests.take(requests.TakeNotices()).document["notices"]
        return told

    def answers(self) -> dict[str, str]:
        [notice] = self.taken()
        return {each["label"]: each["token"] for each in notice["answers"]}


@pytest.fixture
def house(storage: Path) -> Iterator[House]:
    with closing(House(storage)) as house:
        house.notices.handle(AT_THE_DOOR)
        yield house


def test_who_is_likely_and_what_can_be_said_is_offered_in_this_order(house: House) -> None:
    assert list(house.answers()) == ["It's Anna", "Nobody I know", "Ignore", "It's 李小龍"]
    house.note(RepliesState((Reply("coming", "Coming!"), Reply("wait", "Wait"))))
    assert list(house.answers())[2] == "Say: Coming!"
    house.note(SettingsState(0.5, unanswered_reply="wait"))
    assert list(house.answers())[2] == "Say: Wait"


def test_the_reply_that_is_offered_is_that_of_the_door(house: House) -> None:
    house.note(RepliesState((Reply("coming", "Coming!"), Reply("wait", "Wait"), Reply("no", "No"))))
    house.latest["front"].note(SettingsState(0.5, unanswered_reply="wait"))
    house.latest["garden"].note(SettingsState(0.5, unanswered_reply="no"))
    assert list(house.answers())[2] == "Say: No"


def test_each_answer_is_the_command_that_it_names(house: House) -> None:
    house.note(RepliesState((Reply("coming", "Coming!"),)))
    for label, token in house.answers().items():
        seen = house.requests.look(requests.LookAtAnswer(token=token)).document
        told_at = datetime.fromisoformat(seen.pop("occurred_at")).timestamp()
        assert abs(time.time() - told_at) < 60.0
        assert seen == {
            "label": label,
            "title": "A stranger is at the door",
            "visit_id": "v1",
            "usable": True,
            "why": None,
        }
        given = house.requests.give(requests.GiveAnswer(token=token)).document
        assert given == {"summary": label, "visit_id": "v1"}
    told = [(type(each), getattr(each, "visit", None)) for each in house.done]
    assert told == [
        (CorrectCommand, "v1"),
        (CorrectCommand, "v1"),
        (ReplyCommand, None),
        (IgnoreCommand, "v1"),
        (CorrectCommand, "v1"),
    ]
    people = [each.person for each in house.done if isinstance(each, CorrectCommand)]
    assert people == ["Anna", None, "李小龍"]
    assert [each.door_id for each in house.done if isinstance(each, ReplyCommand)] == ["garden"]


def test_a_reply_is_offered_only_of_a_door_where_it_can_be_said(house: House) -> None:
    house.note(RepliesState((Reply("coming", "Coming!"),)))
    house.notices.handle(Ring("e2", 1e9, door_id="cellar"))
    house.notices.handle(Ring("e3", 1e9, door_id="garden"))
    links = [notice["link"] for notice in house.taken()]
    assert links == ["/visits/v1", "/?door=cellar", "/?door=garden"]
    offered = [[each["label"] for each in notice["answers"]] for notice in house.taken()[1:]]
    assert offered == [[], ["Say: Coming!"]]


def test_phones_that_answer_in_one_moment_do_it_once(house: House) -> None:
    token = house.answers()["Ignore"]
    start, refused = threading.Barrier(8), []

    def press() -> None:
        start.wait()
        try:
            house.requests.give(requests.GiveAnswer(token=token))
        except RefusedError as exc:
            refused.append(exc.kind)

    phones = [threading.Thread(target=press) for _ in range(8)]
    for phone in phones:
        phone.start()
    for phone in phones:
        phone.join()
    assert len(house.done) == 1
    assert refused == ["used"] * 7


def test_what_was_refused_may_be_answered_again(house: House) -> None:
    token = house.answers()["Nobody I know"]
    house.refuses = "the gallery is locked"
    with pytest.raises(RefusedError, match="the gallery is locked"):
        house.requests.give(requests.GiveAnswer(token=token))
    house.refuses = ""
    house.requests.give(requests.GiveAnswer(token=token))
    assert len(house.done) == 1


def test_somebody_who_is_not_enrolled_any_more_is_nobody_s_answer(
    house: House, storage: Path
) -> None:
    token = house.answers()["It's Anna"]
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        gallery.people.forget("Anna")
    with pytest.raises(RefusedError, match="not enrolled any more"):
        house.requests.give(requests.GiveAnswer(token=token))
    assert house.done == []


def test_of_a_token_that_is_not_ours_nothing_is_said(house: House) -> None:
    token = house.answers()["Ignore"]
    for wrong in ("a", "a.b.c", token[:-1] + ("A" if token[-1] != "A" else "B"), token.upper()):
        with pytest.raises(RefusedError, match="no answer that this doorbell") as caught:
            house.requests.look(requests.LookAtAnswer(token=wrong))
        assert caught.value.kind == "not_found"
        with pytest.raises(RefusedError, match="no answer that this doorbell") as caught:
            house.requests.give(requests.GiveAnswer(token=wrong))
        assert caught.value.kind == "not_found"
    assert house.done == []


def test_how_the_notifier_and_its_targets_are_is_known_with_its_age(house: House) -> None:
    house.seconds += 50.0
    assert house.requests.status()["silent_seconds"] == 50
    house.taken()
    report = TargetReport(name="anna", to="ntfy at ntfy.sh", pictures=True, waiting=2)
    other = TargetReport(name="gone", to="Telegram", pictures=False)
    house.requests.report(requests.ReportTargets(targets=[report, other]))
    house.seconds += 7.0
    told = house.requests.status()
    assert (told["silent_seconds"], told["reported_seconds"]) == (7, 7)
    [anna] = told["targets"]
    assert (anna["to"], anna["waiting"], anna["picture"]) == ("ntfy at ntfy.sh", 2, True)


def test_only_a_target_that_there_is_can_be_tried(house: House) -> None:
    with pytest.raises(UsageError, match="there is no target 'ben'; there is anna"):
        house.requests.test(requests.TestNotification(target="ben"))
    house.requests.test(requests.TestNotification(target="anna"))
    assert [each["kind"] for each in house.taken()] == ["ring", "test"]
    assert house.taken()[1]["answers"] == []
    with pytest.raises(RefusedError, match="no picture"):
        house.requests.picture(requests.NoticePicture(number=1))
