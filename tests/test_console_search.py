"""The pages that search for a face: by a picture, and by a visit."""

from __future__ import annotations

from typing import Any

import pytest
from console_documents import HOSTILE_NAMES, found_alike, visit
from console_household import Household, Pages, Seen
from console_server import PAGE, Answered, Console
from console_two_doors import DOORS, TwoDoors

from doorbell.console.pages.audit_words import action_words
from doorbell.console.routing import Role

VERDICT: dict[str, Any] = {"accepted": True, "reason": "", "message": "", "hint": "", "who": None}


@pytest.fixture
def pages(imagined: Console) -> Pages:
    return Pages(imagined, TwoDoors(), Role.MEMBER)


def send(pages: Pages, content: bytes = b"a photo", **told: Any) -> Answered:
    """Send a picture, as the script of the page does."""
    asked = {**VERDICT, "every_visit": True, "faces": [{"alike": found_alike()}], **told}
    pages.console.doorbell.answers["photo.search"] = lambda _: asked
    headers = {**pages.headers, **PAGE, "origin": pages.console.origin, "x-door": "1"}
    return pages.console.ask("POST", "/visits/search", headers, content)


def test_the_page_has_the_doorbell_get_ready_and_finds_nobody_yet(pages: Pages) -> None:
    seen = Seen(pages.get("/visits/search").text)
    assert pages.asked("photo.prepare") == [{}]
    assert seen.all("input", type="file", accept="image/*")
    assert "Nobody with a face like this" not in seen.text
    assert Seen(pages.get("/visits").text).all("a", href="/visits/search")
    pages.household.refusals["photo.prepare"] = ("too_fast", "wait a moment")
    assert pages.get("/visits/search").status == 200


def test_whoever_is_found_leads_to_person_stranger_and_visits_at_their_doors(
    pages: Pages,
) -> None:
    seen = Seen(send(pages).text)
    assert seen.all("a", href="/people/3")
    assert seen.all("a", href="/visits?who=stranger-7")
    for visit_id in ("hers", "earlier", "unknown"):
        assert seen.all("a", href=f"/visits/{visit_id}")
    assert not seen.all("img", src="x")
    assert HOSTILE_NAMES[0] in seen.text
    assert DOORS[1]["name"] in seen.text
    assert "back-gate" in seen.text  # of another machine
    assert "the same very much alike (similarity 0.71)" in seen.text
    assert "perhaps the same somewhat alike (similarity 0.40)" in seen.text
    assert "No visit of theirs is kept" in seen.text
    assert "Face 1 of" not in seen.text
    assert "doors of this machine" not in seen.text
    noted = pages.console.access.audit.newest(1)[0]
    assert (noted.action, noted.subject) == ("visits search", "")
    assert action_words(str)[noted.action] == "searched for a face"


def test_of_several_faces_each_has_its_heading(pages: Pages) -> None:
    seen = Seen(
        send(pages, faces=[{"alike": []}, {"alike": found_alike()}], every_visit=False).text
    )
    assert "Face 1 of 2, from the left Nobody with a face like this" in seen.text
    assert "Face 2 of 2, from the left" in seen.text
    assert "Only visits at the doors of this machine are seen here" in seen.text


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("no_face", "No face is found. Take the face from the front"),
        ("crowd", "Too many faces are found."),
        ("picture", "This photo is empty. Copy the photo again."),
    ],
)
def test_a_picture_that_cannot_be_searched_by_is_said(pages: Pages, reason: str, said: str) -> None:
    verdict = {"accepted": False, "reason": reason, "faces": []}
    words = {"message": "this photo is empty", "hint": "copy the photo again"}
    seen = Seen(send(pages, b"no photo", **verdict, **words).text)
    assert said in seen.text
    assert "Nobody with a face like this" not in seen.text


def test_a_picture_is_as_large_as_any_photo_and_comes_from_our_own_pages(pages: Pages) -> None:
    ours = {**pages.headers, "origin": pages.console.origin, "x-door": "1"}
    large = {**ours, "content-length": "12000001"}
    assert pages.console.ask("POST", "/visits/search", large).status == 413
    foreign = {**ours, "origin": "https://elsewhere.example"}
    assert pages.console.ask("POST", "/visits/search", foreign, b"a photo").status == 403
    assert pages.asked("photo.search") == []
    viewer = Pages(pages.console, Household(), Role.VIEWER)
    assert viewer.get("/visits/search").status == 403
    assert send(viewer).status == 403


def test_a_visit_s_page_leads_to_visits_of_a_face_like_it(pages: Pages) -> None:
    assert Seen(pages.get("/visits/anna").text).all("a", href="/visits/anna/search")
    seen = Seen(pages.get("/visits/anna/search").text)
    assert pages.asked("visits.search") == [{"visit": "anna"}]
    assert "Visits of a face like this" in seen.text
    assert seen.all("a", href="/visits/anna")
    assert seen.all("a", href="/people/3")
    assert not seen.all("input", type="file")
    told = {"visit": visit("anna"), "has_faces": False, "every_visit": True, "alike": []}
    pages.console.doorbell.answers["visits.search"] = lambda _: told
    seen = Seen(pages.get("/visits/anna/search").text)
    assert "No face of this visit is kept" in seen.text
    assert "Nobody with a face like this" not in seen.text
