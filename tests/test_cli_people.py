"""Those who are enrolled and the strangers: listed, renamed, merged, forgotten, given a chime."""

import json
import wave
from datetime import datetime
from pathlib import Path

import pytest
from command_line import Cli, sample

from doorbell.domain import Visit
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.lock import only_daemon
from doorbell.outputs.pictures import picture_path
from doorbell.outputs.sound.synthesis import chime_names


def test_lists_people(cli: Cli) -> None:
    lines = cli("people", "list").stdout.splitlines()
    assert lines[0].split() == [
        "#",
        "name",
        "samples",
        "strength",
        "visits",
        "last",
        "seen",
        "chime",
        "consent",
    ]
    when = datetime.fromtimestamp(2070).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    assert lines[2].split() == ["1", "Anna", "2", "fair", "1", *when.split(), "default", "no"]
    assert lines[3].split() == ["2", "李小龍", "1", "weak", "0", "default", "no"]


def test_says_who_gains_by_being_enrolled_again(cli: Cli, storage: Path) -> None:
    told = ["doorbell enroll Anna PHOTO...", "doorbell enroll '李小龍' PHOTO..."]
    lines = cli("people", "list").stderr.splitlines()
    assert [line.strip() for line in lines[-2:]] == told
    assert cli("people", "show", "Anna").stdout.splitlines()[-1].endswith(told[0])
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(7), None, {"hood": sample(8)})])
    assert [line.strip() for line in cli("people", "list").stderr.splitlines()[1:]] == told[1:]
    again = [each["enroll_again"] for each in json.loads(cli("people", "list", "--json").stdout)]
    assert again == [None, told[1]]
    assert "PHOTO" not in cli("people", "show", "Anna").stdout


def test_lists_people_as_json(cli: Cli) -> None:
    people = json.loads(cli("people", "list", "--json").stdout)
    assert people[0] == {
        "person_id": 1,
        "name": "Anna",
        "samples": 2,
        "strength": "fair",
        "visits": 1,
        "last_seen_at": "1970-01-01T00:34:30.000+00:00",
        "chime": None,
        "preferences": {},
        "consent": None,
        "enroll_again": "doorbell enroll Anna PHOTO...",
        "ignored": False,
    }
    assert people[1]["name"] == "李小龍"
    assert people[1]["last_seen_at"] is None
    assert json.loads(cli("people", "show", "anna", "--json").stdout) == people[0]


def test_shows_one_person(cli: Cli) -> None:
    shown = cli("people", "show", "李小龍").stdout.splitlines()
    assert shown[0] == "李小龍"
    assert shown[2].split()[:2] == ["strength", "weak;"]
    assert shown[4].split() == ["last", "seen", "never"]


def test_an_unknown_person_is_answered_with_the_nearest_names(cli: Cli) -> None:
    for verb in (["show"], ["forget"], ["rename", "Otto"], ["merge", "Anna"], ["chime", "gong"]):
        result = cli("people", verb[0], "Ana", *verb[1:])
        assert result.exit_code == 2
        assert result.stderr == "doorbell: nobody named 'Ana' is enrolled; did you mean Anna?\n"
    assert cli("visits", "--person", "Ana").exit_code == 2


def test_renames_and_merges(cli: Cli) -> None:
    assert cli("people", "rename", "anna", "Berta").stdout == "Anna is now Berta\n"
    taken = cli("people", "rename", "Berta", "李小龍")
    assert taken.exit_code == 2
    assert "doorbell people merge 'Berta' '李小龍'" in taken.stderr
    unlike = cli("people", "merge", "Berta", "李小龍")
    assert (unlike.exit_code, unlike.stdout) == (2, "")
    assert "(similarity 0.00, 0.25 needed)" in unlike.stderr
    forced = cli("people", "merge", "Berta", "李小龍", "--force").stdout
    assert forced == "Berta is now part of 李小龍\n"
    (person,) = json.loads(cli("people", "list", "--json").stdout)
    assert (person["name"], person["samples"], person["visits"]) == ("李小龍", 3, 1)


def test_forgetting_asks_and_deletes_pictures_too(cli: Cli, storage: Path) -> None:
    picture = picture_path(storage / "pictures", "v2")
    refused = cli("people", "forget", "anna", typed="n\n")
    assert refused.exit_code == 1
    assert "Forget Anna with every sample" in refused.stdout
    assert picture.exists()
    forgotten = cli("people", "forget", "anna", typed="y\n")
    assert "forgot Anna: 2 samples and 1 visit with their pictures are deleted" in forgotten.stdout
    assert not picture.exists()
    assert cli("people", "forget", "李小龍", "--yes").exit_code == 0
    assert "nobody is enrolled" in cli("people", "list").stdout


def test_sets_a_chime(cli: Cli, storage: Path) -> None:
    def chime() -> str | None:
        found: str | None = json.loads(cli("people", "show", "Anna", "--json").stdout)["chime"]
        return found

    help_text = " ".join(cli("people", "chime", "--help").stdout.split())
    for name in chime_names():
        assert name in help_text
    assert cli("people", "chime", "Anna", "gong").stdout == "Anna rings with gong\n"
    assert chime() == "gong"
    assert cli("people", "chime", "Anna", "--default").exit_code == 0
    assert chime() is None
    no_chime = cli("people", "chime", "Anna", "gnog")
    assert no_chime.exit_code == 2
    assert "there is no chime 'gnog'" in no_chime.stderr
    assert cli("people", "chime", "Anna", str(storage / "gone.wav")).exit_code == 2
    assert cli("people", "chime", "Anna").exit_code == 2
    assert cli("people", "chime", "Anna", "gong", "--default").exit_code == 2
    assert chime() is None


def test_a_wav_file_is_found_from_wherever_the_daemon_runs(
    cli: Cli, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wave.open(str(storage / "anna.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes(bytes(3200))
    monkeypatch.chdir(storage)
    assert cli("people", "chime", "Anna", "anna.wav").exit_code == 0
    shown = json.loads(cli("people", "show", "Anna", "--json").stdout)
    assert shown["chime"] == str(storage / "anna.wav")


def test_preferences_that_are_too_large_or_too_deep_are_refused_in_few_words(cli: Cli) -> None:
    for wrong in (
        '{"a": "' + "x" * 100_000 + '"}',
        '{"a":' * 99_999,
        '{"a":' * 500 + "0" + "}" * 500,
    ):
        result = cli("people", "preferences", "Anna", wrong)
        assert result.exit_code == 2
        assert len(result.stderr) < 400
    assert json.loads(cli("people", "show", "Anna", "--json").stdout)["preferences"] == {}


def test_sets_preferences(cli: Cli) -> None:
    assert cli("people", "preferences", "Anna", '{"tv": "news"}').exit_code == 0
    shown = json.loads(cli("people", "show", "Anna", "--json").stdout)
    assert shown["preferences"] == {"tv": "news"}
    for wrong in ("{tv: news}", "[1]", '{"tv": NaN}'):
        result = cli("people", "preferences", "Anna", wrong)
        assert result.exit_code == 2
        assert "JSON" in result.stderr


def test_lists_names_and_forgets_strangers(cli: Cli) -> None:
    found = json.loads(cli("strangers", "list", "--json").stdout)
    assert found[0] == {
        "stranger_id": 1,
        "label": "stranger-1",
        "first_seen_at": "1970-01-01T00:16:40.000+00:00",
        "last_seen_at": "1970-01-01T00:16:40.000+00:00",
        "visits": 1,
        "visits_week": 1,
        "picture": None,
        "ignored": False,
    }
    assert json.loads(cli("strangers", "show", "1", "--json").stdout) == found[0]
    assert "stranger-2" in cli("strangers", "list").stdout
    assert cli("strangers", "name", "stranger-1", "Ben").stdout == "stranger-1 is now Ben\n"
    assert cli("strangers", "forget", "2", typed="y\n").exit_code == 0
    assert cli("strangers", "list").stdout == "no stranger is remembered\n"
    again = cli("strangers", "name", "1", "Ben")
    assert again.exit_code == 2
    assert "there is no stranger-1" in again.stderr
    assert "not like 7 or stranger-7" in cli("strangers", "name", "Ben", "1").stderr


def test_strangers_are_shown_with_a_picture_and_merged(cli: Cli, storage: Path) -> None:
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        stranger = gallery.strangers.note_visit(1, 4000.0, [])
        for name, start in (("v4", 4000.0), ("v5", 5000.0)):
            gallery.visits.save(Visit(name, start, start + 1, visitor=stranger))
    picture = picture_path(storage / "pictures", "v4")
    picture.write_bytes(b"jpeg")
    assert json.loads(cli("strangers", "show", "1", "--json").stdout)["picture"] == str(picture)
    assert str(picture) in cli("strangers", "show", "stranger-1").stdout
    assert "none is kept" in cli("strangers", "show", "2").stdout
    assert "are unlike stranger-2's" in cli("strangers", "merge", "1", "2").stderr
    forced = cli("strangers", "merge", "1", "2", "--force").stdout
    assert forced == "stranger-2 is now part of stranger-1\n"
    (found,) = json.loads(cli("strangers", "list", "--json").stdout)
    assert (found["stranger_id"], found["visits"], found["visits_week"]) == (1, 3, 3)
    assert cli("strangers", "merge", "1", "1").exit_code == 2
    assert cli("people", "undo").stdout == "stranger-2 is no longer part of stranger-1\n"


def test_markup_in_a_name_is_shown_as_it_is(cli: Cli) -> None:
    cli("people", "rename", "Anna", "[red]Anna[/]")
    assert "[red]Anna[/]" in cli("people", "list").stdout


@pytest.mark.parametrize("name", ["", "An\x1bna", "x" * 200])
def test_a_name_that_cannot_be_stored_is_a_wrong_request(cli: Cli, name: str) -> None:
    for words in (["people", "rename", "Anna", name], ["strangers", "name", "1", name]):
        result = cli(*words)
        assert result.exit_code == 2
        assert result.stderr.startswith("doorbell: the name ")
        assert "\x1b" not in result.stderr


def test_what_only_the_doorbell_can_take_back_is_said(cli: Cli, storage: Path) -> None:
    told = "the broker may still show"
    assert told not in cli("people", "forget", "李小龍", "--yes").stdout  # speaks to none
    enabled = ("--set", "mqtt.enabled=true")
    with only_daemon(storage):
        assert told not in cli("strangers", "forget", "2", "--yes", *enabled).stdout
    forgotten = cli("people", "forget", "Anna", "--yes", *enabled)
    assert f"{told} Anna, and Home Assistant" in forgotten.stdout
    assert "start it once" in forgotten.stdout
    assert told in cli("strangers", "forget", "1", "--yes", *enabled).stdout


def test_who_was_named_is_a_stranger_again(cli: Cli) -> None:
    before = cli("strangers", "list", "--json").stdout, cli("people", "list", "--json").stdout
    refused = cli("strangers", "name", "1", "Anna")
    assert refused.exit_code == 2
    assert "stranger-1 are unlike Anna's other pictures (similarity 0.00" in refused.stderr
    assert cli("strangers", "name", "1", "Anna", "--force").exit_code == 0
    assert cli("people", "undo").stdout == "stranger-1 is no longer part of Anna\n"
    assert cli("strangers", "list", "--json").stdout == before[0]
    assert cli("people", "list", "--json").stdout == before[1]
    assert "no naming or merging to undo" in cli("people", "undo").stderr


def test_samples_are_listed_without_their_numbers_of_a_face_and_one_is_removed(cli: Cli) -> None:
    listed = json.loads(cli("people", "samples", "Anna", "--json").stdout)
    assert [each["number"] for each in listed] == [1, 2]
    assert listed[0].keys() == {
        "number",
        "added_at",
        "source",
        "quality",
        "likeness",
        "stands_out",
    }
    table = cli("people", "samples", "anna").stdout
    assert table.count("stands out") == 2  # of two that are unlike either may be the wrong one
    assert cli("people", "samples", "Anna", "--remove", "3", "-y").exit_code == 2  # another's
    assert cli("people", "samples", "Anna", "--remove", "2", typed="n\n").exit_code == 1
    removed = cli("people", "samples", "Anna", "--remove", "2", typed="y\n").stdout
    assert "sample 2 is removed; Anna has 1 sample left" in removed
    last = cli("people", "samples", "Anna", "--remove", "1", "-y")
    assert "is the only one of Anna" in last.stderr
