"""Who is told, on the page; and answers to notifications, which a token alone lets in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from console_documents import target
from console_household import Household, Pages, household_console
from console_server import PAGE, Console

from doorbell.console.routing import Role

ANSWER = "/act?token=a.p1.mac"
# As browsers send what a page of another site makes them ask for.
CROSS = {"origin": "https://ntfy.example.org", "sec-fetch-site": "cross-site"}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Console]:
    """A console for one test alone: wrong tokens of an address are counted."""
    with household_console(tmp_path) as running:
        yield running


def test_where_pictures_go_and_what_is_told_stands_in_words(pages: Pages) -> None:
    seen = pages.get("/notifications")
    assert "ntfy at ntfy.example.org" in seen.text
    assert "None are sent there." in seen.text
    assert "the bell rings, somebody known comes" in seen.text
    told = pages.household.status["notifications"]
    told["targets"] = [
        target("ben", picture=True, actions=False, people=["<b>"], not_about="Ben", to=None),
        target("office", problem="no route to host", quiet_from="22:00", quiet_to="07:00"),
    ]
    told["silent_seconds"] = 999
    seen = pages.get("/notifications")
    assert "The picture of the visitor is sent there, too." in seen.text
    assert "&lt;b&gt;" in seen.text
    assert "no route to host" in seen.text
    assert "from 22:00 to 07:00" in seen.text
    assert "The notifier does not run" in seen.text
    assert "the notifier does not run" in pages.get("/health").text
    pages.household.status["notifications"] = {
        "enabled": False,
        "silent_seconds": None,
        "reported_seconds": None,
        "targets": [],
    }
    assert "Nothing leaves this house" in pages.get("/notifications").text
    assert "Notifications" not in pages.get("/health").text.partition('id="now"')[2]


def test_a_target_is_tried(pages: Pages) -> None:
    answer = pages.post("/notifications/test", target="anna")
    assert (answer.status, answer.headers["location"]) == (303, "/notifications")
    assert pages.asked("notices.test") == [{"target": "anna"}]
    assert "anna is told. See whether it arrives." in pages.get("/notifications").text


def test_an_answer_is_shown_without_a_session_and_changes_nothing(pages: Pages) -> None:
    for headers in (PAGE, PAGE | CROSS | {"sec-fetch-mode": "navigate"}):
        seen = pages.console.get(ANSWER, headers)
        assert seen.status == 200
        assert "It&#39;s Anna" in seen.text
        assert "A &lt;stranger&gt; is at the door" in seen.text
        assert pages.household.answers_asked["a.p1.mac"]["occurred_at"] in seen.text
        assert "access-control-allow-origin" not in seen.headers
        assert "visits/now" not in seen.text
        assert seen.headers["cache-control"] == "no-store"
    assert pages.asked("notices.act") == []
    # Who has access is led on to the visit.
    member = pages.console.device(Role.MEMBER)
    assert "visits/now" in pages.console.get(ANSWER, PAGE | member).text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        CROSS,
        CROSS | {"content-type": "application/json"},
        PAGE | {"origin": "null", "content-type": "application/x-www-form-urlencoded"},
    ],
)
def test_an_answer_is_given_once_from_anywhere_and_noted(
    own: Console, headers: dict[str, str]
) -> None:
    household = Household()
    own.doorbell.answers = household.answers()
    given = own.ask("POST", ANSWER, headers, b"csrf=none&token=other")
    assert given.status == 200, given.text
    assert given.headers["access-control-allow-origin"] == "*"
    if "accept" not in headers:
        assert json.loads(given.text) == {"summary": "It's Anna"}
    again = own.ask("POST", ANSWER, headers, b"")
    assert again.status == 410
    assert "Anna" not in again.text
    assert own.get(ANSWER, PAGE).status == 410
    [noted] = own.access.audit.newest(5)
    assert (noted.device_id, noted.action, noted.subject) == (None, "act", "visit now")


def test_an_answer_from_a_device_is_noted_as_its_own(own: Console) -> None:
    own.doorbell.answers = Household().answers()
    member = own.device(Role.MEMBER, "Anna's phone")
    assert own.ask("POST", ANSWER, PAGE | member, b"").status == 200
    [noted] = own.access.audit.newest(5)
    assert (noted.device_name, noted.action, noted.subject) == ("Anna's phone", "act", "visit now")
    owner = own.device(Role.OWNER)
    assert "answered a notification" in own.get("/devices", PAGE | owner).text


@pytest.mark.parametrize("token", ["", "a", "a.p1.macX", "a" * 4000, "%00", "a.p1.mac&token=b"])
def test_of_a_wrong_token_nothing_is_said(own: Console, token: str) -> None:
    own.doorbell.answers = Household().answers()
    answers = [
        own.ask(method, f"/act?token={token}", PAGE, body)
        for method, body in (("GET", None), ("POST", b""))
    ]
    assert {answer.status for answer in answers} == {404}
    assert {"This link leads to nothing." in answer.text for answer in answers} == {True}
    assert own.access.audit.newest(5) == []


def test_who_guesses_tokens_is_slowed_down(own: Console) -> None:
    own.doorbell.answers = Household().answers()
    for _ in range(10):
        assert own.get("/act?token=guess").status == 404
    asked = len(own.doorbell.asked)
    for answer in (own.get("/act?token=guess"), own.ask("POST", ANSWER, {}, b"")):
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) > 0
    assert len(own.doorbell.asked) == asked


def test_other_pages_still_take_nothing_from_elsewhere(pages: Pages) -> None:
    member = pages.console.device(Role.MEMBER)
    answer = pages.console.ask("POST", "/ring", member | CROSS | {"x-door": "1"}, b"")
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers
