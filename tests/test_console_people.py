from __future__ import annotations

import json
from typing import Any

import pytest
from console_documents import HOSTILE_NAMES
from console_household import Household, Pages, Seen
from console_server import Console

from doorbell.console.routing import Role


def test_people_are_shown_by_their_faces(pages: Pages) -> None:
    seen = Seen(pages.get("/people").text)

    assert [each["src"] for each in seen.all("img")] == ["/people/1/portrait"]
    assert len(seen.all("svg", viewbox="0 0 96 96")) == len(pages.household.people) - 1
    assert "strong: known in most light" in seen.text
    assert "not seen yet" in seen.text
    [ignored] = seen.all("a", href="/people/2")
    assert ignored["class"] == "card face-card ignored"


def test_a_household_of_nobody_says_how_to_begin(pages: Pages) -> None:
    pages.household.people.clear()

    seen = Seen(pages.get("/people").text)

    assert "The doorbell knows nobody yet" in seen.text
    assert seen.all("a", href="/people/new")


def test_a_person_is_shown_with_what_helps(pages: Pages) -> None:
    seen = Seen(pages.get("/people/3").text)

    assert "fair: known in good light" in seen.text
    assert "turn a little to the left" in seen.text
    assert "2 more photos of another day and light" in seen.text
    assert seen.all("a", href="/visits/hostile-0")


def test_a_portrait_is_only_kept_if_they_agreed(pages: Pages) -> None:
    refused = pages.post("/people/1/portrait", visit="anna")
    kept = pages.post("/people/1/portrait", visit="anna", agreed="on")
    deleted = pages.post("/people/1/portrait/delete")

    assert (refused.status, kept.status, deleted.status) == (422, 303, 303)
    assert "only if they agreed" in refused.text
    assert pages.asked("portrait.set") == [{"person_id": 1, "visit": "anna"}]
    assert pages.asked("portrait.delete") == [{"person_id": 1}]
    assert pages.asked("people.consent") == [], "it was noted already what Anna agreed to"
    assert pages.get("/people/1/portrait").headers["content-type"] == "image/jpeg"


def test_it_is_noted_that_they_agreed_to_a_portrait(pages: Pages) -> None:
    pages.household.refusals["portrait.set"] = ("refused", "the picture shows no face of hers")
    assert pages.post("/people/2/portrait", visit="berta", agreed="on").status == 422
    assert pages.asked("people.consent") == []
    pages.household.refusals.clear()

    assert pages.post("/people/2/portrait", visit="berta", agreed="on").status == 303

    words = "agreed that a portrait is kept"
    assert pages.asked("people.consent") == [{"person_id": 2, "words": words}]


def test_a_person_gets_another_name(pages: Pages) -> None:
    answer = pages.post("/people/1/rename", name=" Anne ")

    assert (answer.status, answer.headers["location"]) == (303, "/people/1")
    assert pages.asked("people.rename") == [{"person_id": 1, "name": "Anne"}]
    assert "The name is changed." in pages.get("/people/1").text


def test_what_is_refused_is_said_at_its_field_and_nothing_typed_is_lost(pages: Pages) -> None:
    pages.household.refusals["people.rename"] = ("refused", "somebody else is called 'Berta'")

    answer = pages.post("/people/1/rename", name="Berta <2>")

    seen = Seen(answer.text)
    assert answer.status == 422
    assert "somebody else is called 'Berta'" in seen.text
    [field] = seen.all("input", name="name", value="Berta <2>")
    assert field["aria-describedby"] == "wrong-name"
    told = pages.post_json("/people/1/rename", name="Berta")
    assert json.loads(told.body) == {"error": "somebody else is called 'Berta'"}


def test_a_chime_is_chosen_by_listening(pages: Pages) -> None:
    seen = Seen(pages.get("/people/1").text)
    assert seen.all("a", href="/chimes/gong.wav")
    assert seen.all("button", formaction="/chime/play", value="gong")
    [chosen] = [each for each in seen.all("input", name="chosen") if "checked" in each]
    assert chosen["value"] == "gong"

    pages.post("/people/1/chime", chosen="alert")
    pages.post("/people/1/chime", chosen="")

    assert pages.asked("people.chime") == [
        {"person_id": 1, "chime": "alert"},
        {"person_id": 1, "chime": None},
    ]


def test_a_sound_file_set_on_the_doorbell_stays(pages: Pages) -> None:
    pages.household.people[1]["chime"] = "/home/anna/bell.wav"

    page = pages.get("/people/1").text
    answer = pages.post("/people/1/chime", chosen="as-it-is")

    assert "/home/anna" not in page
    assert Seen(page).all("input", name="chosen", value="as-it-is")
    assert (answer.status, pages.asked("people.chime")) == (303, [])


@pytest.mark.parametrize(
    "preferences",
    [
        {},
        {"light": "warm", "volume": 3, "vip": True, "nothing": None, "half": 0.5},
        {"a number as text": "3", "a truth as text": "true", "quoted": '"'},
        {"list": ["a", {"b": 1}], "empty": "", "spaces": " x ", 'key " <b>': "{{ x }}"},
    ],
)
def test_preferences_that_are_not_touched_stay_the_same(
    pages: Pages, preferences: dict[str, Any]
) -> None:
    pages.household.people[1]["preferences"] = preferences
    fields = Seen(pages.get("/people/1").text).all("input")
    form = {
        str(each["name"]): str(each["value"])
        for each in fields
        if str(each.get("name")).startswith(("key-", "value-"))
    }

    pages.post("/people/1/preferences", **form)

    assert pages.asked("people.preferences") == [{"person_id": 1, "preferences": preferences}]


def test_somebody_is_announced_unless_a_preference_says_no(pages: Pages) -> None:
    kept = pages.household.people[1]["preferences"]

    def is_on() -> bool:
        [switch] = Seen(pages.get("/people/1").text).all("input", name="announced")
        return "checked" in switch

    assert is_on()
    pages.post("/people/1/announced")
    pages.household.people[1]["preferences"] = {**kept, "announce": False}
    assert not is_on()
    pages.post("/people/1/announced", announced="on")
    assert pages.asked("people.preferences") == [
        {"person_id": 1, "preferences": {**kept, "announce": False}},
        {"person_id": 1, "preferences": kept},
    ]


def test_preferences_are_rows_of_a_form(pages: Pages) -> None:
    form = {"key-0": "light", "value-0": "cold", "key-1": " ", "value-1": "x", "key-9": "n"}

    pages.post("/people/1/preferences", **form, **{"value-9": "[1, 2]"})
    twice = pages.post("/people/1/preferences", **{"key-0": "a", "key-1": "a", "value-1": "<u>"})

    assert pages.asked("people.preferences") == [
        {"person_id": 1, "preferences": {"light": "cold", "n": [1, 2]}}
    ]
    assert twice.status == 422
    assert Seen(twice.text).all("input", name="value-1", value="<u>")


def test_deeply_nested_preferences_do_no_harm(pages: Pages) -> None:
    answer = pages.post("/people/1/preferences", **{"key-0": "a", "value-0": "[" * 20_000})

    assert answer.status == 303
    assert pages.asked("people.preferences")[0]["preferences"] == {"a": "[" * 20_000}


def test_consent_is_noted_in_words(pages: Pages) -> None:
    assert "asked at dinner, said yes" in Seen(pages.get("/people/1").text).text
    assert "Nothing is noted." in Seen(pages.get("/people/2").text).text

    assert pages.post("/people/2/consent", words="").status == 422
    assert pages.post("/people/2/consent", words="by phone").status == 303

    assert pages.asked("people.consent") == [{"person_id": 2, "words": "by phone"}]


def test_a_person_is_ignored_and_rings_again(pages: Pages) -> None:
    for ignored in ("on", "off"):
        assert pages.post("/people/1/ignore", ignored=ignored).status == 303

    assert pages.asked("people.ignore") == [
        {"person_id": 1, "ignored": True},
        {"person_id": 1, "ignored": False},
    ]


def test_the_other_entry_of_a_person_goes_into_theirs(pages: Pages) -> None:
    assert Seen(pages.get("/people/1").text).all("input", name="other", value="2")

    answer = pages.post("/people/1/merge", other="2")

    assert (answer.status, answer.headers["location"]) == (303, "/people/1")
    assert pages.asked("people.merge") == [{"person_id": 2, "into": 1, "force": False}]


@pytest.mark.parametrize("other", ["", "1", "Berta"])
def test_merging_needs_somebody_else(pages: Pages, other: str) -> None:
    assert pages.post("/people/1/merge", other=other).status == 422
    assert pages.asked("people.merge") == []


def test_people_who_are_not_alike_are_merged_only_after_that_was_said(pages: Pages) -> None:
    assert not Seen(pages.get("/people/1").text).all("input", name="force")
    pages.household.refusals["people.merge"] = (
        "refused",
        "the faces of Berta are not like Anna's; nothing was changed: use --force if they are",
    )

    answer = pages.post("/people/1/merge", other="2")

    seen = Seen(answer.text)
    assert answer.status == 422
    assert "the faces of Berta are not like Anna's" in seen.text
    assert "--force" not in seen.text
    assert seen.all("input", name="other", value="2", type="hidden")
    assert seen.all("input", name="force", value="on")
    del pages.household.refusals["people.merge"]
    assert pages.post("/people/1/merge", other="2", force="on").status == 303
    assert pages.asked("people.merge")[-1] == {"person_id": 2, "into": 1, "force": True}


def test_forgetting_takes_the_name_and_says_what_goes(pages: Pages) -> None:
    seen = Seen(pages.get("/people/1").text)
    assert "Backups made before today still hold them" in seen.text
    pages.household.refusals["people.forget"] = ("refused", "to forget Anna, type that name")
    assert "type that name" in Seen(pages.post("/people/1/forget", name="Ana").text).text
    pages.household.refusals.clear()

    assert pages.post("/people/1/forget", name="").status == 422
    answer = pages.post("/people/1/forget", name="Anna")

    assert (answer.status, answer.headers["location"]) == (303, "/people")
    assert pages.asked("people.forget")[-1] == {"person_id": 1, "name": "Anna"}


def test_an_export_is_a_file_to_download(pages: Pages) -> None:
    answer = pages.post("/people/1/export")

    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="doorbell-1.zip"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.body == b"PK a zip"


def test_a_member_is_not_offered_what_only_an_owner_may(imagined: Console) -> None:
    member = Pages(imagined, Household(), Role.MEMBER)

    seen = Seen(member.get("/people/1").text)

    for action in ("merge", "forget", "export"):
        assert not seen.all("form", action=f"/people/1/{action}")
        assert member.post(f"/people/1/{action}", name="Anna", other="2").status == 403
    assert member.post("/people/1/rename", name="Anne").status == 303


def test_somebody_who_is_gone_is_not_found(pages: Pages) -> None:
    pages.household.refusals["people.rename"] = ("not_found", "nobody enrolled has the number 9")

    assert pages.get("/people/99").status == 404
    assert pages.post("/people/9/rename", name="Nora").status == 404


@pytest.mark.parametrize("number", range(len(HOSTILE_NAMES)))
def test_a_name_is_only_ever_text(pages: Pages, number: int) -> None:
    name, person_id = HOSTILE_NAMES[number], 3 + number
    pages.household.people[1]["consent"] = {"words": name, "noted_at": "2026-01-02T03:04:05Z"}
    benign = {path: Seen(pages.get(path).text) for path in ("/people/2", "/people")}

    for path in (f"/people/{person_id}", "/people/1", "/people"):
        seen = Seen(pages.get(path).text)
        assert " ".join(name.split()) in seen.text
        assert not any(key.startswith("on") for _, found in seen.elements for key in found)
        assert not any("style" in found for _, found in seen.elements)
        like = benign["/people" if path == "/people" else "/people/2"]
        assert len(seen.all("script")) == len(like.all("script"))


def test_enrolling_at_the_door_gives_no_advice_for_the_command_line(pages: Pages) -> None:
    pages.household.refusals["door_enroll"] = (
        "refused",
        "this face looks like Anna (similarity 0.71); enroll it as Anna, or use --force if not",
    )

    answer = pages.post("/enroll/door", name="Dora")

    assert json.loads(answer.text) == {
        "event": "failed",
        "error": "This face looks like Anna (similarity 0.71); enroll it as Anna.",
    }


def test_opening_the_page_for_photos_has_the_doorbell_get_ready(pages: Pages) -> None:
    assert pages.get("/people/new").status == 200
    assert pages.asked("photo.prepare") == [{}]

    pages.household.refusals["photo.prepare"] = ("too_fast", "wait a moment")

    assert pages.get("/people/new").status == 200
