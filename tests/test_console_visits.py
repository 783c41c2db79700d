from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from console_documents import HOSTILE_NAMES, stranger, visit
from console_household import Household, Pages, Seen
from console_server import Console

from doorbell.console.routing import Role


@pytest.fixture
def pages(imagined: Console) -> Pages:
    return Pages(imagined, Household(), Role.MEMBER)


def test_visits_are_listed_by_day_with_who_and_when(pages: Pages) -> None:
    seen = Seen(pages.get("/visits").text)

    assert "today stranger-7" in seen.text
    assert "Anna" in seen.text
    assert "at the door now" in seen.text
    assert "Not recognized" in seen.text
    assert "corrected" in seen.text
    assert seen.all("a", href="/visits/anna")
    assert seen.all("img", src="/visits/anna/picture?crop=face&w=192")
    assert not seen.all("img", src="/visits/nobody/picture?crop=face&w=192")


def test_whoever_is_ignored_is_listed_greyed(pages: Pages) -> None:
    seen = Seen(pages.get("/visits").text)

    [row] = seen.all("a", href="/visits/neighbour")
    assert row["class"] == "list-row ignored"
    assert "ignored" in seen.text


def test_older_visits_are_on_the_next_page(pages: Pages) -> None:
    [more] = Seen(pages.get("/visits?who=stranger").text).all("a", rel="next")
    assert more["href"] == "/visits?who=stranger&day=&before=cursor-1"

    older = Seen(pages.get(str(more["href"])).text)
    assert pages.asked("visits.list")[-1] == {
        "limit": 50,
        "kind": "stranger",
        "before": "cursor-1",
    }
    assert not older.all("a", rel="next")
    assert "Newest visits" in older.text


@pytest.mark.parametrize(
    ("who", "wanted"),
    [
        ("person", {"kind": "person"}),
        ("undecided", {"kind": "undecided"}),
        ("person-1", {"person_id": 1}),
        ("stranger-7", {"stranger_id": 7}),
        ("", {}),
        ("everybody", {}),
        ("person-0", {}),
        ("undecided-3", {}),
        ("person-99999999999999999999", {}),
    ],
)
def test_visits_of_somebody_are_asked_for(
    pages: Pages, who: str, wanted: dict[str, object]
) -> None:
    assert pages.get(f"/visits?who={who}").status == 200
    assert pages.asked("visits.list") == [{"limit": 50, **wanted}]


def test_visits_of_a_day_are_those_of_the_house(pages: Pages) -> None:
    assert pages.get("/visits?day=2026-03-29").status == 200

    [asked] = pages.asked("visits.list")
    ends = [
        datetime.fromisoformat(asked[key].replace("Z", "+00:00")).astimezone()
        for key in ("since", "until")
    ]
    assert [(end.day, end.hour, end.minute) for end in ends] == [(29, 0, 0), (30, 0, 0)]


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "0001-01-01", "9999-12-31"])
def test_a_day_that_makes_no_sense_is_none(pages: Pages, day: str) -> None:
    assert pages.get(f"/visits?day={day}").status == 200
    assert pages.asked("visits.list") == [{"limit": 50}]


def test_a_list_without_visits_says_what_to_do(pages: Pages) -> None:
    pages.household.visits.clear()

    assert "No visits yet" in Seen(pages.get("/visits").text).text
    assert "No such visit" in Seen(pages.get("/visits?who=person").text).text
    assert "No older visits" in Seen(pages.get("/visits?before=cursor").text).text


def test_a_visit_shows_who_it_was_and_how_alike(pages: Pages) -> None:
    seen = Seen(pages.get("/visits/anna").text)

    assert "very much alike" in seen.text
    assert "Not Anna" in seen.text
    assert seen.all("a", href="/people/1")
    [box] = seen.all("rect")
    assert {key: box[key] for key in ("x", "y", "width", "height")} == {
        "x": "30.00%",
        "y": "20.00%",
        "width": "15.00%",
        "height": "30.00%",
    }


def test_boxes_leave_no_picture(pages: Pages) -> None:
    pages.household.faces[0]["box"] = [-0.5, 0.9, 1.5, 2.0]

    [box] = Seen(pages.get("/visits/anna").text).all("rect")

    assert (box["x"], box["width"], box["height"]) == ("0.00%", "100.00%", "10.00%")


def test_a_visit_without_a_picture_says_why(pages: Pages) -> None:
    seen = Seen(pages.get("/visits/nobody").text)

    assert "No picture of this visit" in seen.text
    assert not seen.all("rect")


def test_a_visit_that_is_forgotten_is_not_found(pages: Pages) -> None:
    answer = pages.get("/visits/gone")

    assert answer.status == 404
    assert "there is no such visit" in answer.text


def test_a_picture_is_made_in_few_sizes(pages: Pages) -> None:
    answer = pages.get("/visits/anna/picture?crop=face&w=100")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    for query in ("w=5000", "w=-1", "w=x", "crop=../..&w=9999999"):
        pages.get(f"/visits/anna/picture?{query}")

    asked = [(each["crop"], each["max_width"]) for each in pages.asked("visits.picture")]
    assert asked == [
        ("face", 192),
        ("whole", 1920),
        ("whole", 1280),
        ("whole", 1280),
        ("whole", 1280),
    ]


def test_a_wrong_name_is_put_right_in_two_taps(pages: Pages) -> None:
    seen = Seen(pages.get("/visits/anna").text)
    assert seen.all("form", action="/visits/anna/correct")
    assert seen.all("button", name="person_id", value="2")
    assert not seen.all("button", name="person_id", value="1"), "Anna is whom it was taken for"

    answer = pages.post("/visits/anna/correct", person_id="2")

    assert (answer.status, answer.headers["location"]) == (303, "/visits/anna")
    assert pages.asked("visits.correct") == [{"visit": "anna", "person_id": 2, "learn": False}]
    next_page = Seen(pages.get("/visits/anna").text)
    assert "That was Berta." in next_page.text
    assert next_page.all("form", action="/undo")


def test_learning_is_off_and_says_why(pages: Pages) -> None:
    seen = Seen(pages.get("/visits/anna").text)
    [switch] = seen.all("input", name="learn")
    assert "checked" not in switch
    assert "Off, because" in seen.text

    pages.post("/visits/anna/correct", person_id="2", learn="on")
    pages.post("/visits/anna/correct", person_id="nobody", learn="on")

    assert pages.asked("visits.correct") == [
        {"visit": "anna", "person_id": 2, "learn": True},
        {"visit": "anna", "person_id": None, "learn": False},
    ]


@pytest.mark.parametrize("chosen", ["", "Anna", "-1", "1e3", "²"])
def test_nobody_in_particular_is_no_correction(pages: Pages, chosen: str) -> None:
    answer = pages.post("/visits/anna/correct", person_id=chosen)

    assert answer.status == 422
    assert "Choose who it was." in answer.text
    assert pages.asked("visits.correct") == []


def test_undo_takes_back_what_the_notice_said_once(pages: Pages) -> None:
    told = json.loads(pages.post_json("/visits/anna/correct", person_id="2").body)
    assert told["summary"] == "That was Berta."

    answer = pages.post("/undo", key=told["undo"], to="/visits/anna")

    assert (answer.status, answer.headers["location"]) == (303, "/visits/anna")
    assert pages.asked("undo") == [{"token": "change-5"}]
    again = pages.post("/undo", key=told["undo"])
    assert (again.status, len(pages.asked("undo"))) == (422, 1)
    assert "cannot be taken back any more" in again.text


def test_a_device_cannot_take_back_what_another_did(pages: Pages) -> None:
    told = json.loads(pages.post_json("/visits/anna/correct", person_id="2").body)
    pages.headers = {**pages.console.device(Role.MEMBER), "accept": "text/html"}

    assert pages.post("/undo", key=told["undo"]).status == 422
    assert pages.asked("undo") == []


def test_what_is_no_face_leaves_the_list(pages: Pages) -> None:
    answer = pages.post("/visits/anna/no-face")

    assert (answer.status, answer.headers["location"]) == (303, "/visits")
    assert pages.asked("visits.no_face") == [{"visit": "anna"}]


def test_a_stranger_is_named_by_a_new_name_or_an_old_one(pages: Pages) -> None:
    seen = Seen(pages.get("/visits/now").text)
    assert seen.all("form", action="/strangers/7/name")

    answer = pages.post("/strangers/7/name", name="  Carla ", to="/visits/now")
    pages.post("/strangers/7/name", person_id="2")

    assert (answer.status, answer.headers["location"]) == (303, "/visits/now")
    assert pages.asked("strangers.name") == [
        {"stranger_id": 7, "force": False, "name": "Carla"},
        {"stranger_id": 7, "force": False, "person_id": 2},
    ]
    notice = Seen(pages.get("/visits").text)
    assert "stranger-7 is now Berta." in notice.text


def test_a_stranger_who_is_not_alike_is_named_only_after_that_was_said(pages: Pages) -> None:
    sentence = "the faces of stranger-7 are not like Anna's"
    advice = "; nothing was changed: use --force if they really are Anna's"
    pages.household.refusals["strangers.name"] = ("refused", sentence + advice)

    answer = pages.post("/strangers/7/name", name="Anna", to="/visits/now")

    seen = Seen(answer.text)
    assert answer.status == 422
    assert sentence in seen.text
    assert "--force" not in seen.text
    for name, value in {"force": "on", "name": "Anna", "to": "/visits/now"}.items():
        assert seen.all("input", type="hidden", name=name, value=value)
    pages.household.refusals.clear()
    pages.post("/strangers/7/name", name="Anna", to="/visits/now", force="on")
    asked = pages.asked("strangers.name")[-1]
    assert asked == {"stranger_id": 7, "force": True, "name": "Anna"}


def test_a_stranger_needs_a_name(pages: Pages) -> None:
    assert pages.post("/strangers/7/name", name="  ").status == 422
    assert pages.asked("strangers.name") == []


def test_a_form_leads_to_our_own_pages_only(pages: Pages) -> None:
    for to in ("https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example"):
        answer = pages.post("/strangers/7/name", name="Carla", to=to)
        assert (answer.status, answer.headers["location"]) == (303, "/")


def test_a_visitor_is_ignored_from_now_on_and_rings_again(pages: Pages) -> None:
    assert Seen(pages.get("/visits/now").text).all("button", name="ignored", value="on")
    assert Seen(pages.get("/visits/neighbour").text).all("button", name="ignored", value="off")
    assert not Seen(pages.get("/visits/nobody").text).all("button", name="ignored")

    for ignored in ("on", "off"):
        assert pages.post("/visits/now/ignore", ignored=ignored).status == 303

    assert pages.asked("visits.ignore") == [
        {"visit": "now", "ignored": True},
        {"visit": "now", "ignored": False},
    ]


def test_a_refusal_is_said(pages: Pages) -> None:
    sentence = "the faces of this visit are not like Berta's"
    pages.household.refusals["visits.correct"] = ("refused", sentence)

    page = pages.post("/visits/anna/correct", person_id="2", learn="on")
    told = pages.post_json("/visits/anna/correct", person_id="2", learn="on")

    assert (page.status, told.status) == (422, 422)
    assert sentence in Seen(page.text).text
    assert json.loads(told.body) == {"error": sentence}


def test_forms_work_without_scripts(pages: Pages) -> None:
    """Each form is sent with what stands in it, as a browser without scripts does."""
    seen = Seen(pages.get("/visits/now").text)
    csrf = {str(each["value"]) for each in seen.all("input", name="csrf")}
    assert len(csrf) == 1

    without = {key: value for key, value in pages.headers.items() if key != "x-door"}
    browser = {
        **without,
        "origin": pages.console.origin,
        "content-type": "application/x-www-form-urlencoded",
    }
    body = f"csrf={csrf.pop()}&person_id=2".encode()
    answer = pages.console.ask("POST", "/visits/now/correct", browser, body)

    assert (answer.status, answer.headers["location"]) == (303, "/visits/now")


@pytest.mark.parametrize("number", range(len(HOSTILE_NAMES)))
def test_a_name_is_only_ever_text(pages: Pages, number: int) -> None:
    name = HOSTILE_NAMES[number]
    pages.household.faces[0]["label"] = name
    benign = Seen(pages.get("/visits/anna").text)

    for path in (f"/visits/hostile-{number}", "/visits"):
        seen = Seen(pages.get(path).text)
        assert " ".join(name.split()) in seen.text
        assert not seen.all("img", onerror="alert(1)")
        assert not any(key.startswith("on") for _, found in seen.elements for key in found)
        assert len(seen.all("script")) == len(benign.all("script"))
    assert not any("style" in found for _, found in benign.elements)


def test_a_visit_before_midnight_stands_under_its_own_day(pages: Pages) -> None:
    midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    pages.household.visits = {
        name: visit(name, stranger(1), started_at=(midnight + offset).isoformat())
        for name, offset in {"late": timedelta(seconds=-1), "early": timedelta()}.items()
    }

    headings = Seen(pages.get("/visits").text)

    assert len(headings.all("h2")) == 2
    assert headings.text.index("today") < headings.text.index("yesterday")
