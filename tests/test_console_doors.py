"""The pages of a house with two doors: each shows one, and what is done there is done at that."""

from __future__ import annotations

import pytest
from console_household import Household, Pages, Seen
from console_server import Console
from console_two_doors import LONG_NAME, TwoDoors


@pytest.fixture
def pages(imagined: Console) -> Pages:
    return Pages(imagined, TwoDoors())


PATHS = ["/", "/wall", "/settings", "/settings/aim", "/replies"]


@pytest.mark.parametrize("path", PATHS)
def test_each_page_of_a_door_leads_to_that_of_the_other(pages: Pages, path: str) -> None:
    for query, current in (("", "front"), ("?door=garden", "garden")):
        seen = Seen(pages.get(f"{path}{query}").text)
        links = {
            each["href"]: each.get("aria-current") for each in seen.all("a", **{"class": "chip"})
        }
        assert links == {
            path: "page" if current == "front" else None,
            f"{path}?door=garden": "page" if current == "garden" else None,
        }
        [body] = seen.all("body")
        assert body["data-door"] == current
        assert LONG_NAME in seen.text
        for figure in seen.all("figure", id="live-view"):
            assert figure["data-address"] == f"/live?door={current}"


def test_what_is_done_on_the_page_of_a_door_is_done_there(pages: Pages) -> None:
    forms = Seen(pages.get("/?door=garden").text)
    # Ring, and let it sound again: of each the door, and where to go on.
    assert len(forms.all("input", name="door", value="garden")) == 2
    for path, form, verb in (
        ("/ring", {}, "ring"),
        ("/mute", {"minutes": "60"}, "mute"),
        ("/replies/say", {"reply": "coming"}, "replies.play"),
        ("/chime/play", {"chime": "gong"}, "chime.play"),
        ("/settings", {"section": "privacy"}, "settings.change"),
    ):
        answered = pages.post(path, door="garden", **form)
        assert answered.status == 303, path
        assert answered.headers["location"].endswith("?door=garden"), path
        [asked] = pages.asked(verb)
        assert asked["door_id"] == "garden", path
    pages.post("/answered?door=garden")
    assert pages.asked("door.answer") == [{"how": "watched", "door_id": "garden"}]


def test_where_to_go_on_may_name_a_door_and_no_other_site(pages: Pages) -> None:
    for to, expected in (
        ("/wall?door=garden", "/wall?door=garden"),
        ("/wall?door=//elsewhere.example", "/"),
        ("/wall?to=garden", "/"),
        ("//elsewhere.example?door=garden", "/"),
    ):
        assert pages.post("/ring", door="garden", to=to).headers["location"] == expected


def test_a_door_that_there_is_not_has_no_page_and_no_picture(pages: Pages) -> None:
    for path in ("/", "/wall", "/settings", "/live", "/frame.jpg", "/stream.mjpeg"):
        answered = pages.get(f"{path}?door=cellar")
        assert answered.status == 404, path
    assert pages.get(f"/?door={'x' * 500}").status == 404


@pytest.mark.parametrize("path", ["/visits", "/people", "/health"])
def test_a_page_of_the_house_leads_to_no_door_that_there_is_not(pages: Pages, path: str) -> None:
    assert "cellar" not in pages.get(f"{path}?door=cellar").text
    assert "door=garden" in pages.get(f"{path}?door=garden").text


def test_visits_are_named_by_their_door_and_listed_by_it(pages: Pages) -> None:
    listed = Seen(pages.get("/visits").text)
    assert listed.text.count(LONG_NAME) > 1
    assert pages.asked("visits.list")[0].keys() == {"limit"}
    seen = Seen(pages.get("/visits?door=garden&who=person").text)
    assert pages.asked("visits.list")[1]["door_id"] == "garden"
    assert seen.all("option", value="garden", selected="") or seen.all("option", value="garden")
    [older] = seen.all("a", rel="next")
    assert "door=garden" in str(older["href"])
    pages.get("/visits?door=cellar")
    assert "door_id" not in pages.asked("visits.list")[2]
    door = LONG_NAME if pages.household.visits["anna"]["door_id"] == "garden" else "Front"
    assert door in Seen(pages.get("/visits/anna").text).text


def test_health_is_that_of_every_door_and_of_the_house_once(pages: Pages) -> None:
    pages.household.findings.append(
        {"part": f"camera ({LONG_NAME})", "ok": False, "message": "no cable", "advice": []}
    )
    pages.post("/health/check")
    seen = Seen(pages.get("/health").text)
    text = seen.text
    for words in ("Camera (Front door)", "Sound (Front door)"):
        assert text.count(words) == 1
    assert text.count(f"Camera ({LONG_NAME})") == 2  # now, and what the check has found
    assert text.count("no cable") == 2
    assert len(seen.all("a", href="/settings/aim?door=garden")) == 2
    assert text.count("Disk") == 1


def test_whoever_is_enrolled_at_the_door_chooses_at_which(pages: Pages) -> None:
    seen = Seen(pages.get("/people/new").text)
    assert [each["value"] for each in seen.all("option")] == ["front", "garden"]
    pages.household.refusals["door_enroll"] = ("refused", "somebody is being enrolled")
    pages.post("/enroll/door", name="Clara", door="garden")
    [asked] = pages.asked("door_enroll")
    assert asked["door_id"] == "garden"


def test_a_chime_is_tried_at_the_door_whose_page_was_looked_at_or_is_chosen(pages: Pages) -> None:
    def links(path: str) -> set[str]:
        return {str(each["href"]) for each in Seen(pages.get(path).text).all("a")}

    assert "/people?door=garden" in links("/?door=garden")
    assert "/people/1?door=garden" in links("/people?door=garden")
    assert "/people/new?person=1&door=garden" in links("/people/1?door=garden")
    for query, chosen in (("", "front"), ("?door=garden", "garden")):
        seen = Seen(pages.get(f"/people/1{query}").text)
        doors = {each["value"]: "selected" in each for each in seen.all("option")}
        assert doors == {each: each == chosen for each in ("front", "garden")}
        [form] = [
            each for each in seen.all("form") if str(each["action"]).startswith("/people/1/chime")
        ]
        kept = pages.post(str(form["action"]), chosen="gong", door=chosen)
        assert kept.headers["location"] == f"/people/1?door={chosen}"
    tried = pages.post("/chime/play", chime="gong", to="/people/1", door="garden")
    assert tried.headers["location"] == "/people/1?door=garden"
    assert pages.asked("chime.play") == [{"chime": "gong", "door_id": "garden"}]


def test_with_one_door_nothing_is_said_of_doors(imagined: Console) -> None:
    pages = Pages(imagined, Household())
    for path in (*PATHS, "/visits", "/people", "/people/1", "/people/new", "/visits/anna"):
        page = pages.get(path).text
        assert "?door=" not in page, path
        assert 'name="door"' not in page, path
        assert not Seen(page).all("nav", **{"class": "chips"}), path
    pages.post("/ring")
    assert pages.asked("ring") == [{}]
