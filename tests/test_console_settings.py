from __future__ import annotations

import json
from typing import Any

import pytest
from console_documents import status
from console_household import Household, Pages, Seen
from console_server import Console

from doorbell.console.routing import Role


def settings_of(pages: Pages) -> dict[str, Any]:
    settings: dict[str, Any] = pages.household.status["settings"]
    return settings


@pytest.mark.parametrize(
    ("form", "changes"),
    [
        ({"section": "sound", "volume": "35"}, {"volume": 0.35}),
        ({"section": "chime", "chosen": "gong"}, {"default_chime": "gong"}),
        ({"section": "chime", "chosen": ""}, {"default_chime": None}),
        (
            {
                "section": "quiet",
                "quiet_hours": "on",
                "quiet_from": "21:30",
                "quiet_to": "07:00",
            },
            {"quiet_hours": True, "quiet_from": "21:30", "quiet_to": "07:00"},
        ),
        (
            {"section": "quiet", "quiet_from": "21:30", "quiet_to": "07:00"},
            {"quiet_hours": False, "quiet_from": "21:30", "quiet_to": "07:00"},
        ),
        ({"section": "quiet", "quiet_from": "", "quiet_to": ""}, {"quiet_hours": False}),
        ({"section": "privacy", "privacy": "on"}, {"privacy": True}),
        ({"section": "privacy"}, {"privacy": False}),
        ({"section": "announcements", "announcements": "on"}, {"announcements": True}),
        ({"section": "announcements"}, {"announcements": False}),
        (
            {
                "section": "replies",
                "reply_after_seconds": "20",
                "unanswered_reply": "recording-0a1b2c3d",
            },
            {"reply_after_seconds": 20, "unanswered_reply": "recording-0a1b2c3d"},
        ),
        (
            {
                "section": "keeping",
                "pictures_days": "3",
                "visits_days": "0",
                "strangers_days": "30",
            },
            {"pictures_days": 3, "visits_days": 0, "strangers_days": 30},
        ),
    ],
)
def test_each_section_changes_its_own(
    pages: Pages, form: dict[str, str], changes: dict[str, Any]
) -> None:
    answer = pages.post("/settings", **form)

    assert (answer.status, answer.headers["location"]) == (303, "/settings")
    assert pages.asked("settings.change") == [changes]


@pytest.mark.parametrize(
    "form",
    [
        {"section": "sound", "volume": "101"},
        {"section": "sound", "volume": "-1"},
        {"section": "sound", "volume": "٣"},
        {"section": "quiet", "quiet_hours": "on", "quiet_from": "25:00", "quiet_to": "07:00"},
        {"section": "quiet", "quiet_hours": "on", "quiet_from": "22:00"},
        {"section": "keeping", "pictures_days": "3", "visits_days": "", "strangers_days": "1"},
        {"section": "replies", "reply_after_seconds": "61", "unanswered_reply": "coming"},
        {"section": "replies", "reply_after_seconds": "5", "unanswered_reply": "../coming"},
        {"section": "camera", "uri": "rtsp://elsewhere.example/"},
        {},
    ],
)
def test_what_cannot_be_set_is_refused_here(pages: Pages, form: dict[str, str]) -> None:
    assert pages.post("/settings", **form).status == 422
    assert pages.post_json("/settings", **form).status == 422
    assert pages.asked("settings.change") == []


def test_a_refusal_stands_in_its_section(pages: Pages) -> None:
    pages.household.refusals["settings.change"] = ("refused", "pictures_days: at most 3650")

    answer = pages.post(
        "/settings", section="keeping", pictures_days="9999", visits_days="1", strangers_days="1"
    )

    assert answer.status == 422
    assert "pictures_days: at most 3650" in Seen(answer.text).text


def test_only_an_owner_is_offered_settings_and_may_change_them(imagined: Console) -> None:
    member = Pages(imagined, Household(), Role.MEMBER)

    seen = Seen(member.get("/settings").text)

    assert not seen.all("form", action="/settings")
    assert not seen.all("a", href="/devices")
    assert seen.all("form", action="/mute")
    assert member.post("/settings", section="privacy").status == 403
    assert member.post("/mute", minutes="60").status == 303


@pytest.mark.parametrize(
    ("form", "asked", "said"),
    [
        ({"minutes": "60"}, {"muted": True, "minutes": 60.0}, "Quiet for an hour."),
        ({"minutes": "15"}, {"muted": True, "minutes": 15.0}, "Quiet for 15 minutes."),
        ({"until": "07:00"}, {"muted": True, "until": "07:00"}, "Quiet until 07:00."),
        ({"muted": "on"}, {"muted": True}, "Quiet until somebody lets the chimes sound again."),
        ({"muted": "off", "minutes": "60"}, {"muted": False}, "The chimes sound again."),
    ],
)
def test_the_chimes_are_silenced(
    pages: Pages, form: dict[str, str], asked: dict[str, Any], said: str
) -> None:
    told = pages.post_json("/mute", **form)
    answer = pages.post("/mute", **form, to="/settings")

    assert json.loads(told.body)["summary"] == said
    assert (answer.status, answer.headers["location"]) == (303, "/settings")
    assert pages.asked("mute") == [asked, asked]


@pytest.mark.parametrize(
    "form", [{"minutes": "0"}, {"minutes": "1e9"}, {"minutes": "nan"}, {"until": "7"}]
)
def test_a_time_that_makes_no_sense_silences_nothing(pages: Pages, form: dict[str, str]) -> None:
    assert pages.post("/mute", **form).status == 422
    assert pages.asked("mute") == []


@pytest.mark.parametrize(
    ("quiet_now", "quiet_hours", "words"),
    [
        (True, True, "Silent now, until 06:30."),
        (False, True, "Not silent now; the next quiet hours begin at 22:00."),
        (False, False, "Off: the chimes sound at night too."),
    ],
)
def test_quiet_hours_say_what_they_mean_now(
    pages: Pages, quiet_now: bool, quiet_hours: bool, words: str
) -> None:
    pages.household.status["quiet_now"] = quiet_now
    settings_of(pages)["quiet_hours"] = quiet_hours

    assert words in Seen(pages.get("/settings").text).text


def test_until_the_morning_is_until_quiet_hours_end(pages: Pages) -> None:
    assert Seen(pages.get("/settings").text).all("button", name="until", value="06:30")

    settings_of(pages).update(quiet_hours=False, quiet_from=None, quiet_to=None)

    assert Seen(pages.get("/settings").text).all("button", name="until", value="07:00")


def test_silenced_chimes_can_be_let_sound(pages: Pages) -> None:
    settings_of(pages).update(muted=True, muted_until="2026-11-28T21:00:00Z")

    seen = Seen(pages.get("/settings").text)

    assert "silent until" in seen.text
    assert seen.all("button", name="muted", value="off")
    assert not seen.all("button", name="minutes")


def test_settings_of_a_doorbell_that_has_only_begun(pages: Pages) -> None:
    pages.household.status["settings"] = None

    answer = pages.get("/settings")

    assert answer.status == 200
    assert "The doorbell is starting" in answer.text


@pytest.mark.parametrize("path", ["/", "/wall"])
def test_the_door_of_a_doorbell_that_has_only_begun(pages: Pages, path: str) -> None:
    pages.household.status = status(
        camera=None, sound=None, statistics=None, settings=None, people=None, strangers=None
    )

    assert pages.get(path).status == 200


def test_it_rings_and_chimes_sound(pages: Pages) -> None:
    assert pages.post("/ring").headers["location"] == "/"
    assert pages.post("/chime/play", chime="gong").headers["location"] == "/settings"
    sound = pages.get("/chimes/gong.wav")

    assert (sound.headers["content-type"], sound.body) == ("audio/wav", b"RIFF a sound")
    assert pages.asked("ring") == [{}]
    assert pages.asked("chime.play") == [{"chime": "gong"}]
    assert pages.asked("chime.sound") == [{"chime": "gong"}]


def test_a_chime_that_does_not_sound_says_why_and_the_next_can_be_tried(pages: Pages) -> None:
    pages.household.refusals["chime.play"] = ("refused", "the chime does not sound: quiet hours")

    answer = pages.post("/chime/play", chime="gong", to="/people/1")

    assert (answer.status, answer.headers["location"]) == (303, "/people/1")
    assert "the chime does not sound: quiet hours" in pages.get("/people/1").text
    assert pages.post_json("/chime/play", chime="gong").status == 422


def test_the_camera_is_aimed_by_the_size_of_faces(pages: Pages) -> None:
    pages.household.status["min_face_pixels"] = 24

    seen = Seen(pages.get("/settings/aim").text)

    assert "recognized from 24 pixels on" in seen.text
    [view] = seen.all("figure", id="live-view")
    assert view["data-aiming"] == "true"


def test_health_says_of_each_part_how_it_is(pages: Pages) -> None:
    seen = Seen(pages.get("/health").text)

    for words in ("Camera good", "Sound good", "Home automation good", "Disk good"):
        assert words in seen.text
    assert "14.9 a second" in seen.text


def test_health_says_what_is_wrong_and_where_to_mend_it(pages: Pages) -> None:
    pages.household.status = status(
        camera={
            "condition": "lost",
            "reason": "the cable is out",
            "since_at": "2026-11-28T21:00:00Z",
            "gives_frames": False,
        },
        sound={"works": False, "reason": "no card 1"},
        door_speaker={"works": False, "reason": "no card 2"},
        storage=[{"part": "pictures", "reason": "the disk is full"}],
        broker={"enabled": True, "connected": False, "problem": "refused the password"},
        people=0,
    )

    seen = Seen(pages.get("/health").text)

    for words in (
        "the cable is out",
        "no card 1",
        "no card 2",
        "the disk is full",
        "refused the password",
    ):
        assert words in seen.text
    assert seen.text.count("needs help") >= 5
    for to in ("/settings/aim", "/settings#keeping", "/people/new"):
        assert seen.all("a", href=to)


def test_health_of_a_doorbell_that_has_only_begun(pages: Pages) -> None:
    pages.household.status = status(
        camera=None, sound=None, door_speaker=None, statistics=None, people=None
    )

    seen = Seen(pages.get("/health").text)

    assert "has not given a picture yet" in seen.text
    assert "Loudspeaker at the door" not in seen.text
    silent = {"works": None, "reason": ""}
    pages.household.status = status(sound=silent, door_speaker=silent)
    seen = Seen(pages.get("/health").text)
    assert "Sound good no chime was played yet" in seen.text
    assert "Loudspeaker at the door good nothing was said yet" in seen.text


def test_a_check_tells_what_it_found_and_when(pages: Pages) -> None:
    answer = pages.post("/health/check")
    assert (answer.status, answer.headers["location"]) == (303, "/health#checked")

    seen = Seen(pages.get("/health").text)

    assert "Checked today" in seen.text
    assert "nobody answers at host:1883" in seen.text
    assert "stand at the door and check again" in seen.text
    assert "could be better" in seen.text


def test_who_may_only_look_is_told_no_address_of_the_house(imagined: Console) -> None:
    seen = {}
    for role in (Role.VIEWER, Role.MEMBER):
        pages = Pages(imagined, Household(), role)
        imagined.doorbell.answers["visits.today"] = lambda _: {"visitors": [], "waiting": []}
        pages.household.status = status(
            camera={
                "condition": "lost",
                "reason": "rtsp://10.0.0.9/stream does not answer",
                "since_at": "2026-11-28T10:00:00Z",
                "gives_frames": False,
            },
            broker={"enabled": True, "connected": False, "problem": "nobody at 10.0.0.5"},
        )
        seen[role] = Seen(pages.get("/").text).text

    assert "10.0.0" not in seen[Role.VIEWER]
    assert "gives no picture" in seen[Role.VIEWER]
    assert "10.0.0.9" in seen[Role.MEMBER]


def test_sentences_of_the_doorbell_are_marked_as_english(pages: Pages) -> None:
    pages.post("/health/check")

    page = pages.get("/health", **{"accept-language": "de"}).text

    assert '<html lang="de"' in page
    assert Seen(page).all("p", lang="en")


def test_every_page_says_when_the_doorbell_is_not_running(imagined: Console) -> None:
    pages = Pages(imagined, Household())
    imagined.doorbell.stop()
    try:
        for path in ("/visits", "/visits/anna", "/people", "/people/1", "/settings", "/health"):
            answer = pages.get(path)
            assert (answer.status, answer.headers["retry-after"]) == (503, "3")
            assert Seen(answer.text).all("meta", **{"http-equiv": "refresh"})
        changed = pages.post("/mute", minutes="60")
        assert changed.status == 503
        assert not Seen(changed.text).all("meta", **{"http-equiv": "refresh"})
    finally:
        imagined.doorbell.start()
    assert pages.get("/visits").status == 200
