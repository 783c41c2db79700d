"""A household that tests imagine: what its doorbell answers, and a device that opens its pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from console_documents import (
    HOSTILE_NAMES,
    REPLIES,
    ago,
    found_alike,
    jpeg,
    person,
    status,
    stranger,
    visit,
)
from console_server import PAGE, Answered, Console
from scripted_doorbell import Answer

from doorbell.console.routing import Role
from doorbell.control.wire import Document


class Household:
    """Answers for a household that a test may change.

    Attributes:
        people, visits: documents by what they are known by.
        faces: in the picture of each visit.
        refusals: by verb, the kind and the sentence with which it is refused.
        answers_asked: by token, what is known of an answer to a notification.
    """

    def __init__(self) -> None:
        anna = person(
            1,
            "Anna",
            strength="strong",
            missing=[],
            chime="gong",
            preferences={"light": "warm", "volume": 3, "vip": True},
            consent={"words": "asked at dinner, said yes", "noted_at": ago(days=40)},
            portrait=True,
        )
        berta = person(2, "Berta", ignored=True, strength="weak", last_seen_at=None, visits=0)
        hostile = [person(3 + n, name) for n, name in enumerate(HOSTILE_NAMES)]
        self.people = {each["person_id"]: each for each in (anna, berta, *hostile)}
        listed = (
            visit("now", stranger(7), ended_at=None),
            visit("anna", anna, started_at=ago(hours=1)),
            visit("right", anna, started_at=ago(hours=2), corrected=True),
            visit("nobody", started_at=ago(hours=26), has_picture=False),
            visit("berta", berta, started_at=ago(hours=27)),
            visit("neighbour", stranger(4, ignored=True), started_at=ago(days=3)),
            *(
                visit(f"hostile-{n}", each, started_at=ago(days=9))
                for n, each in enumerate(hostile)
            ),
        )
        self.visits = {each["visit_id"]: each for each in listed}
        self.faces: list[Document] = [
            {
                "box": [0.3, 0.2, 0.45, 0.5],
                "label": "Anna",
                "kind": "person",
                "visit_id": "anna",
                "certain": True,
            }
        ]
        self.status = status()
        self.refusals: dict[str, tuple[str, str]] = {}
        asked = {
            "label": "It's Anna",
            "title": "A <stranger> is at the door",
            "occurred_at": ago(hours=2),
            "visit_id": "now",
            "usable": True,
            "why": None,
        }
        self.answers_asked: dict[str, Document] = {"a.p1.mac": asked}
        self.findings: list[Document] = [
            {"part": "camera", "ok": True, "message": "1280 x 720 pixels", "advice": []},
            {
                "part": "gallery",
                "ok": True,
                "message": "5 people",
                "advice": ["stand at the door and check again"],
            },
            {"part": "broker", "ok": False, "message": "nobody answers at host:1883", "advice": []},
        ]

    def answers(self) -> dict[str, Answer]:
        """For ``ScriptedDoorbell``."""
        reads: dict[str, Answer] = {
            "status": lambda _: self.status,
            "visits.list": self._list,
            "visits.today": lambda _: {"visitors": [], "waiting": []},
            "visits.get": self._get,
            "visits.search": self._search,
            "visits.picture": lambda request: ({}, jpeg(request["max_width"])),
            "people.list": lambda _: {"people": list(self.people.values())},
            "people.get": self._person,
            "people.export": lambda _: ({"type": "application/zip"}, b"PK a zip"),
            "portrait.get": lambda _: ({}, jpeg(64, 64)),
            "chime.sound": lambda _: ({}, b"RIFF a sound"),
            "replies.list": lambda _: {
                "replies": REPLIES,
                "most_recordings": 30,
                "longest_seconds": 20.0,
                "longest_label": 60,
            },
            "replies.sound": lambda _: ({}, b"RIFF a reply"),
            "check": lambda _: {"findings": self.findings},
            "photo.prepare": lambda _: {},
            "notices.look": self._look,
        }
        changes = (
            "ring", "mute", "settings.change", "chime.play", "visits.correct", "visits.no_face",
            "visits.ignore", "strangers.name", "undo", "people.rename", "people.chime",
            "people.preferences", "people.consent", "people.ignore", "people.merge",
            "people.forget", "portrait.set", "portrait.delete", "door_enroll", "replies.play",
            "replies.add", "replies.rename", "replies.delete", "notices.test",
        )  # fmt: skip
        reads["notices.act"] = self._act
        told = dict.fromkeys(changes, self._change)
        return {verb: self._unless_refused(found) for verb, found in {**reads, **told}.items()}

    def _unless_refused(self, answer: Answer) -> Answer:
        def answered(request: dict[str, Any]) -> dict[str, Any] | tuple[dict[str, Any], bytes]:
            if request["do"] in self.refusals:
                kind, error = self.refusals[request["do"]]
                return {"ok": False, "kind": kind, "error": error}
            return answer(request)

        return answered

    def _change(self, request: dict[str, Any]) -> Document:
        told: Document = {"summary": f"done: {request['do']}"}
        return {**told, "undo": "change-5"} if request["do"].startswith("visits.") else told

    def _look(self, request: dict[str, Any]) -> Document:
        found = self.answers_asked.get(request["token"])
        if found is None:
            return {"ok": False, "kind": "not_found", "error": "that is no answer"}
        return found

    def _act(self, request: dict[str, Any]) -> Document:
        found = self._look(request)
        if not found.get("usable"):
            return {"ok": False, "kind": "used", "error": "that was given already"}
        self.answers_asked[request["token"]] = found | {"usable": False, "why": "given"}
        return {"summary": found["label"], "visit_id": found["visit_id"]}

    def _list(self, request: dict[str, Any]) -> Document:
        visits = sorted(self.visits.values(), key=lambda each: each["started_at"], reverse=True)
        for key in ("person_id", "stranger_id"):
            if key in request:
                visits = [each for each in visits if each["visitor"]["id"] == request[key]]
        if "kind" in request:
            visits = [each for each in visits if each["visitor"]["kind"] == request["kind"]]
        return {"visits": visits, "more": None if "before" in request else "cursor-1"}

    def _get(self, request: dict[str, Any]) -> Document:
        found = self.visits.get(request["visit"])
        if found is None:
            return {"ok": False, "kind": "not_found", "error": "there is no such visit"}
        likely = [
            {"person_id": each["person_id"], "name": each["name"], "similarity": 0.4}
            for each in list(self.people.values())[:3]
        ]
        picture = {"width": 1280, "height": 720, "faces": self.faces}
        return {
            "visit": found,
            "picture": picture if found["has_picture"] else None,
            "likely": likely,
        }

    def _search(self, request: dict[str, Any]) -> Document:
        found = self._get(request)
        if "visit" not in found:
            return found
        told = {"has_faces": True, "every_visit": True, "alike": found_alike()}
        return {"visit": found["visit"], **told}

    def _person(self, request: dict[str, Any]) -> Document:
        found = self.people.get(request["person_id"])
        if found is None:
            error = "nobody enrolled has that number; list them anew"
            return {"ok": False, "kind": "not_found", "error": error}
        visits = [
            each
            for each in self.visits.values()
            if each["visitor"]["kind"] == "person" and each["visitor"]["id"] == found["person_id"]
        ]
        return {"person": found, "visits": visits}


class Pages:
    """A device that opens pages and sends forms.

    Attributes:
        console: that serves them.
        household: whose they are.
        headers: of the device.
    """

    def __init__(self, console: Console, household: Household, role: Role = Role.OWNER) -> None:
        self.console, self.household = console, household
        self.headers = {**console.device(role), **PAGE}
        console.doorbell.answers.clear()
        console.doorbell.answers.update(household.answers())
        console.doorbell.asked.clear()

    def get(self, path: str, **headers: str) -> Answered:
        return self.console.get(path, {**self.headers, **headers})

    def post(self, path: str, **form: str) -> Answered:
        return self.console.post(path, self.headers, form)

    def post_json(self, path: str, **form: str) -> Answered:
        return self.console.post(path, {**self.headers, "accept": "application/json"}, form)

    def asked(self, verb: str) -> list[dict[str, Any]]:
        """What the doorbell was asked, without the verb."""
        requests = [each for each in self.console.doorbell.asked if each["do"] == verb]
        return [{k: v for k, v in each.items() if k != "do"} for each in requests]


class Seen(HTMLParser):
    """What a browser makes of a page: elements with their attributes, and its text.

    Attributes:
        elements: tag and attributes, in order.
        text: of the whole page, in one line.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._text: list[str] = []
        self.feed(page)
        self.text = " ".join(" ".join(self._text).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """The attributes of the elements of a kind that have those."""
        return [
            found
            for kind, found in self.elements
            if kind == tag and attributes.items() <= found.items()
        ]


@contextmanager
def household_console(directory: Path) -> Iterator[Console]:
    with Console(directory, answers=Household().answers()) as console:
        yield console


@pytest.fixture(scope="module")
def imagined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The console of that household; each ``Pages`` begins anew with one."""
    with household_console(tmp_path_factory.mktemp("console")) as console:
        yield console


@pytest.fixture
def pages(imagined: Console) -> Pages:
    """As its owner opens them."""
    return Pages(imagined, Household())
