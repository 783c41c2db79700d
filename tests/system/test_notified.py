"""What the running doorbell gives to the notifier, and the answers that come back from phones."""

from __future__ import annotations

import http.client
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from command_line import sample

from doorbell.control.client import Client
from doorbell.errors import ControlError, NotRunningError, RefusedError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.testbed.console_process import ConsoleProcess
from doorbell.testbed.daemon_process import WATCHING, DaemonProcess, run_command
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

CONFIG = """
[notifications]
enabled = true
[[notifications.targets]]
name = "anna"
webhook = "https://phone.example.org/"
secret_file = "/nowhere"
picture = true
tell = ["ring", "stranger"]
"""
KILLS = 2


@dataclass
class House:
    directory: Path
    daemon: DaemonProcess = field(init=False)

    def start(self) -> None:
        command = run_command(
            "camera.uri=simulated:",
            "camera.loop=true",
            *("camera.width=640", "camera.height=360", "camera.frames_per_second=10"),
            "visits.cooldown_seconds=0",
            f"storage.directory={self.directory}",
            "chime.enabled=false",
            "control.users=[]",
            config=self.directory / "doorbell.toml",
        )
        self.daemon = DaemonProcess(command, self.directory / "log")
        assert self.daemon.says(WATCHING), self.daemon.log_end
        assert eventually(self.socket.exists)

    @property
    def socket(self) -> Path:
        return self.directory / "doorbell.sock"

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        with Client.connect(self.socket, 40.0) as client:
            return client.ask(verb, **arguments).document

    def stranger(self) -> dict[str, Any]:
        """A notice of a stranger who came."""
        found: list[dict[str, Any]] = []

        def comes() -> bool:
            told = self.ask("notices.take", wait_seconds=1.0)["notices"]
            found.extend(each for each in told if each["kind"] == "stranger")
            return bool(found)

        assert eventually(comes, 60.0), self.daemon.log_end
        return found[0]


@pytest.fixture(scope="module")
def house(
    models_directory: Path,  # noqa: ARG001 - built for the daemon
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house")
    (directory / "doorbell.toml").write_text(CONFIG)
    with Gallery.open(directory / "gallery.sqlite") as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(1))])
    house = House(directory)
    house.start()
    yield house
    house.daemon.close()


@pytest.fixture(scope="module")
def notice(house: House) -> dict[str, Any]:
    return house.stranger()


def test_a_visit_is_given_to_the_notifier_with_its_picture_and_answers(
    house: House, notice: dict[str, Any]
) -> None:
    assert notice["title"] == "A stranger is at the door"
    assert notice["link"] == f"/visits/{notice['visit_id']}"
    assert notice["visitor"]["kind"] == "stranger"
    assert not notice["pressed"]
    labels = {each["label"]: each["token"] for each in notice["answers"]}
    assert {"It's Anna", "Nobody I know", "Ignore"} <= labels.keys()
    assert all(len(token) < 64 for token in labels.values())
    with Client.connect(house.socket) as client:
        picture = client.ask("notices.picture", number=notice["number"], max_width=200).blob
    assert picture.startswith(b"\xff\xd8")
    house.ask("ring")  # somebody presses: that is told, whoever was told before
    rung = house.ask("notices.take", journal=None, after=notice["number"], wait_seconds=5.0)
    assert any(each["pressed"] for each in rung["notices"])


def test_what_is_kept_by_the_notifier_is_deleted_and_nothing_else(house: House) -> None:
    house.ask("notices.test", target="anna")
    taken = house.ask("notices.take", wait_seconds=5.0)
    journal, last = taken["journal"], taken["notices"][-1]["number"]
    again = house.ask("notices.take", journal="another", after=last)
    assert [each["number"] for each in again["notices"]][: len(taken["notices"])] == [
        each["number"] for each in taken["notices"]
    ]
    house.ask("notices.take", journal=journal, after=last)
    left = house.ask("notices.take")["notices"]
    assert all(each["number"] > last for each in left)
    with pytest.raises(RefusedError, match="there is no target"):
        house.ask("notices.test", target="ben")


def test_how_targets_are_is_shown_to_who_asks(house: House) -> None:
    [target] = house.ask("status")["notifications"]["targets"]
    assert (target["name"], target["picture"], target["to"]) == ("anna", True, None)
    report = {"name": "anna", "to": "webhook at phone.example.org", "pictures": True}
    house.ask("notices.report", targets=[report | {"waiting": 3, "problem": "no route"}])
    told = house.ask("status")["notifications"]
    assert told["silent_seconds"] < 60
    assert told["targets"][0]["problem"] == "no route"
    assert told["targets"][0]["waiting"] == 3


def test_an_answer_by_http_is_given_once_and_noted(
    house: House, notice: dict[str, Any], tmp_path: Path
) -> None:
    token = {each["label"]: each["token"] for each in notice["answers"]}["It's Anna"]
    visit = notice["visit_id"]

    def asked(method: str, token: str) -> tuple[int, str, dict[str, str]]:
        with closing(http.client.HTTPConnection("127.0.0.1", console.port, timeout=20)) as link:
            # As ntfy's web app does, which is another site.
            headers = {"Origin": "https://ntfy.example.org", "Sec-Fetch-Site": "cross-site"}
            if method == "GET":
                headers |= {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
                headers["Accept"] = "text/html"
            link.request(method, f"/act?token={token}", b"" if method == "POST" else None, headers)
            answer = link.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())

    with ConsoleProcess(tmp_path, house.socket) as console:
        status, page, headers = asked("GET", token)
        assert status == 200
        assert "It&#39;s Anna" in page
        assert "access-control-allow-origin" not in headers
        assert house.ask("visits.get", visit=visit)["visit"]["visitor"]["kind"] == "stranger"
        status, told, headers = asked("POST", token)
        assert status == 200, told
        assert headers["access-control-allow-origin"] == "*"
        visitor = house.ask("visits.get", visit=visit)["visit"]["visitor"]
        assert visitor["label"] == "Anna"
        house.ask("visits.correct", visit=visit, person_id=None)
        for altered in (token, token[:-1] + ("A" if token[-1] != "A" else "B"), "x", ""):
            status, told, _ = asked("POST", altered)
            assert status == (410 if altered == token else 404)
            assert "Anna" not in told
        assert house.ask("visits.get", visit=visit)["visit"]["visitor"] != visitor
        for _ in range(10):
            status, _, _ = asked("GET", "guessed")
        assert status == 429
        assert (None, "act", f"visit {visit}") in audit_of(console.directory)


def audit_of(directory: Path) -> list[tuple[Any, ...]]:
    [path] = directory.glob("*.sqlite")
    with closing(sqlite3.connect(path)) as state:
        return state.execute("SELECT device_id, action, subject FROM audit").fetchall()


def test_a_kill_at_any_moment_loses_no_notice_that_anybody_else_had_heard_of(house: House) -> None:
    moments = random.Random(15)  # noqa: S311 - moments, not secrets
    got: dict[str, dict[str, Any]] = {}
    mark: dict[str, Any] = {"journal": None, "after": 0}

    def take(wait_seconds: float = 0.0) -> None:
        told = house.ask("notices.take", **mark, wait_seconds=wait_seconds)
        got.update({each["notice_id"]: each for each in told["notices"]})
        numbers = [each["number"] for each in told["notices"]]
        mark.update(journal=told["journal"], after=numbers[-1] if numbers else mark["after"])

    rang: set[str] = set()

    def listen() -> None:
        with suppress(NotRunningError, ControlError), Client.connect(house.socket, 40.0) as client:
            for event in client.events():
                if event["event"] == "ring":
                    rang.add(event["occurred_at"])

    for _ in range(KILLS):
        listening = threading.Thread(target=listen)
        listening.start()
        time.sleep(0.2)
        for _ in range(3):
            with suppress(RefusedError):
                house.ask("ring")
        take()
        time.sleep(moments.uniform(0.0, 0.5))
        with suppress(RefusedError):
            house.ask("ring")
        house.daemon.kill()
        listening.join()
        house.start()
    take()
    assert len(rang) >= KILLS
    assert rang <= {each["occurred_at"] for each in got.values()}
