from __future__ import annotations

from console_documents import HOSTILE_NAMES
from console_household import Pages, Seen

OWN = "recording-0a1b2c3d"


def test_replies_are_said_listened_to_and_changed(pages: Pages) -> None:
    seen = Seen(pages.get("/replies").text)
    assert [each["value"] for each in seen.all("button", name="reply")] == ["coming", OWN]
    assert HOSTILE_NAMES[0] in seen.text
    assert pages.get("/replies/coming.wav").headers["content-type"] == "audio/wav"
    said = pages.post("/replies/say", reply="coming")
    pages.post(f"/replies/{OWN}/rename", name=" Back soon ")
    pages.post(f"/replies/{OWN}/delete")
    assert (said.status, said.headers["location"]) == (303, "/replies")
    assert pages.asked("replies.play") == [{"reply_id": "coming"}]
    assert pages.asked("replies.rename") == [{"reply_id": OWN, "label": "Back soon"}]
    assert pages.asked("replies.delete") == [{"reply_id": OWN}]


def test_what_is_refused_is_said_in_the_reader_s_words(pages: Pages) -> None:
    pages.household.refusals["replies.rename"] = (
        "refused",
        "there is a reply 'X' already; give it another name",
    )
    pages.household.refusals["replies.play"] = (
        "refused",
        "there is no reply 'gone'; see which there are with: doorbell reply list",
    )
    again = pages.post(f"/replies/{OWN}/rename", name="X")
    assert again.status == 422
    assert "There is a reply of this name already." in Seen(again.text).text
    assert pages.post(f"/replies/{OWN}/rename", name=" ").status == 422
    assert pages.post("/replies/say", reply="gone").status == 303
    assert "doorbell reply list" not in Seen(pages.get("/replies").text).text


def test_a_page_says_where_nothing_can_be_said_or_heard(pages: Pages) -> None:
    pages.household.status["talk"] = {"enabled": False}
    pages.household.status["door_speaker"] = {"works": False, "reason": "the device refused"}
    seen = Seen(pages.get("/replies").text)
    assert "Nothing is said at the door" in seen.text
    assert seen.all("button", name="reply") == []
    assert "What was said last was not heard at the door. the device refused" in seen.text
