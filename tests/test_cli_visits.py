"""Visits: listed, corrected where the doorbell was wrong, and the correction undone."""

import json
from pathlib import Path

import pytest
from command_line import Cli, sample

from doorbell.domain import Visit
from doorbell.gallery.gallery import Gallery
from doorbell.outputs.pictures import picture_path


def test_lists_visits(cli: Cli, storage: Path) -> None:
    found = json.loads(cli("visits", "--json").stdout)
    assert [visit["visit_id"] for visit in found] == ["v3", "v2", "v1"]
    assert found[1] == {
        "visit_id": "v2",
        "door_id": "front-door",
        "started_at": "1970-01-01T00:33:20.000+00:00",
        "last_seen_at": "1970-01-01T00:34:30.000+00:00",
        "ended_at": "1970-01-01T00:34:35.000+00:00",
        "person": "Anna",
        "person_id": 1,
        "stranger": None,
        "similarity": 0.8125,
        "corrected": False,
        "picture": str(picture_path(storage / "pictures", "v2")),
    }
    assert (found[0]["ended_at"], found[0]["similarity"], found[0]["picture"]) == (None,) * 3
    assert found[2]["stranger"] == "stranger-1"
    rows = cli("visits").stdout.splitlines()
    assert "at the door" in rows[2]
    assert "1 min 15 s" in rows[3]
    assert "15 s  " in rows[4]
    assert len(json.loads(cli("visits", "--limit", "1", "--json").stdout)) == 1
    assert len(json.loads(cli("visits", "--person", "anna", "--json").stdout)) == 1
    assert cli("visits", "--since", "2026-11-22T18:30").stdout == "no visit is remembered\n"
    assert cli("visits", "--since", "yesterday").exit_code == 2
    assert cli("visits", "--limit", "0").exit_code == 2


def test_doors_are_named_where_there_are_several_and_visits_listed_by_them(
    cli: Cli, storage: Path
) -> None:
    assert "door" not in cli("visits", "list", "--door", "front-door").stdout.splitlines()[0]
    one = cli("visits").stdout
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        gallery.visits.save(Visit("v4", 4000.0, 4001.0, 4005.0, door_id="side-door"))
        gallery.visits.save(Visit("v5", 5000.0, 5001.0, 5005.0, door_id="front-door"))
    heading, _, *rows = cli("visits").stdout.splitlines()
    assert heading.split()[:3] == ["visit", "door", "began"]
    assert [row.split()[:2] for row in rows] == [
        ["v5", "front-door"],
        ["v4", "side-door"],
        *([f"v{number}", "front-door"] for number in (3, 2, 1)),
    ]
    assert "front-door" not in one

    def listed(*words: str) -> list[tuple[str, str]]:
        found = json.loads(cli("visits", "list", *words, "--json").stdout)
        return [(visit["visit_id"], visit["door_id"]) for visit in found]

    assert listed("--door", "side-door") == [("v4", "side-door")]
    at_the_front = [(f"v{number}", "front-door") for number in (5, 3, 2, 1)]
    assert listed("--door", "front-door") == at_the_front
    assert listed("--door", "front-door", "--limit", "2") == at_the_front[:2]
    assert listed("--door", "front-door", "--person", "Anna") == [("v2", "front-door")]
    refused = cli("visits", "list", "--door", "back")
    assert (refused.exit_code, refused.stderr) == (
        2,
        "doorbell: there is no door 'back'; give one of: front-door, side-door\n",
    )


def visit_of(cli: Cli, visit_id: str) -> dict[str, object]:
    (visit,) = (
        each
        for each in json.loads(cli("visits", "list", "--json").stdout)
        if each["visit_id"] == visit_id
    )
    assert isinstance(visit, dict)
    return visit


def test_a_wrong_name_is_corrected_and_that_is_undone(cli: Cli, storage: Path) -> None:
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        gallery.visits.save(gallery.visits.get("v2"), [sample(9)])
    assert cli("visits", "correct", "v2", "李小龍").stdout.splitlines() == [
        "visit v2 is now 李小龍's",
        "1 face of it will not be taken for Anna again",
        "nothing became a sample of 李小龍; to do so: add --learn",
    ]
    corrected = visit_of(cli, "v2")
    assert (corrected["person"], corrected["similarity"]) == ("李小龍", None)
    assert corrected["corrected"] is True
    assert "corrected" in cli("visits").stdout
    unlike = cli("visits", "correct", "v2", "李小龍", "--learn")
    assert "this visit are unlike 李小龍's other pictures" in unlike.stderr
    assert "--force goes with --learn" in cli("visits", "correct", "v2", "Anna", "--force").stderr
    learned = cli("visits", "correct", "v2", "李小龍", "--learn", "--force").stdout
    assert "李小龍 has 1 new sample from it" in learned
    assert json.loads(cli("people", "show", "李小龍", "--json").stdout)["samples"] == 2
    assert cli("visits", "undo").stdout.startswith("visit v2 is 李小龍's again")
    assert cli("visits", "undo").stdout == "visit v2 is Anna's again; what it taught is undone\n"
    assert visit_of(cli, "v2")["similarity"] == 0.8125
    nothing = cli("visits", "undo")
    assert (nothing.exit_code, nothing.stderr) == (2, "doorbell: there is no correction to undo\n")


def test_a_visit_is_given_to_a_stranger_known_by_face_or_new(cli: Cli, storage: Path) -> None:
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        gallery.visits.save(gallery.visits.get("v2"), [sample(5)])
    assert "is now stranger-2's" in cli("visits", "correct", "v2", "--stranger").stdout
    assert visit_of(cli, "v2")["stranger"] == "stranger-2"
    # Of the last visit no face was kept.
    assert "is now stranger-3's" in cli("visits", "correct", "last", "--stranger").stdout
    assert cli("visits", "correct", "v2", "--stranger").exit_code == 2


def test_what_is_no_face_is_listed_no_more(cli: Cli) -> None:
    told = cli("visits", "correct", "v1", "--not-a-face").stdout
    assert told.startswith("visit v1 is no longer listed\nno face of it was kept")
    assert [each["visit_id"] for each in json.loads(cli("visits", "--json").stdout)] == ["v3", "v2"]
    assert cli("visits", "undo").stdout.startswith("visit v1 is stranger-1's again")
    assert len(json.loads(cli("visits", "--json").stdout)) == 3


def test_what_is_no_face_is_marked_listed_and_forgotten(cli: Cli, storage: Path) -> None:
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        for visit_id, axis in (("v1", 7), ("v3", 8)):
            gallery.visits.save(gallery.visits.get(visit_id), [sample(axis)])
    assert cli("visits", "not-faces").stdout == "nothing was said to be no face\n"
    told = cli("visits", "not-a-face", "v1").stdout
    assert (
        told == "visit v1 is no longer listed\nwhat looks like its 1 face is not announced again\n"
    )
    cli("visits", "correct", "v2", "--stranger")  # another kind of correction
    cli("visits", "not-a-face", "v3")
    found = json.loads(cli("visits", "not-faces", "--json").stdout)
    assert found == [
        {
            "number": 1,
            "visit_id": "v1",
            "started_at": "1970-01-01T00:16:40.000+00:00",
            "faces": 1,
        },
        {
            "number": 3,
            "visit_id": "v3",
            "started_at": "1970-01-01T00:50:00.000+00:00",
            "faces": 1,
        },
    ]
    rows = cli("visits", "not-faces").stdout.splitlines()
    assert "1 face" in rows[-1]
    refused = cli("visits", "not-faces", "--forget", "2")
    assert (refused.exit_code, "number 2" in refused.stderr) == (2, True)
    assert "may be a face again" in cli("visits", "not-faces", "--forget", "1").stdout
    assert [each["number"] for each in json.loads(cli("visits", "not-faces", "--json").stdout)] == [
        3
    ]
    assert visit_of(cli, "v1")["stranger"] == "stranger-1"
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        kept = gallery.visits.samples("v1")
        assert len(kept) == 1, "the visit's own faces stay with it"
    cli("visits", "undo")
    assert json.loads(cli("visits", "not-faces", "--json").stdout) == []
    assert visit_of(cli, "v2")["stranger"] is not None, "the correction between stands"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["last"], "give one of NAME"),
        (["last", "Anna", "--stranger"], "give one of NAME"),
        (["last", "--stranger", "--not-a-face"], "give one of NAME"),
        (["last", "--stranger", "--learn"], "--learn needs a NAME"),
        (["last", "Ana"], "did you mean Anna?"),
        (["last", "Anna", "--learn"], "nothing can be learned from this visit"),
        (["v2", "Anna"], "doorbell visits correct v2 'Anna' --learn"),
        (["v", "Anna"], "no visit is called 'v'"),
    ],
    ids=lambda each: "-".join(each) if isinstance(each, list) else "",
)
def test_a_correction_that_makes_no_sense_is_refused(
    cli: Cli, words: list[str], message: str
) -> None:
    result = cli("visits", "correct", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert cli("visits", "undo").exit_code == 2


def test_the_picture_of_a_visit_is_written_with_the_names_of_now(cli: Cli, storage: Path) -> None:
    output = storage / "anna.jpg"
    told = cli("visits", "picture", "v2", "--output", str(output))
    assert told.exit_code == 0, told.stderr
    assert told.stdout == f"{output} shows visit v2: Anna\n"
    assert output.read_bytes() == b"jpeg"  # of an earlier version: as it is
    again = cli("visits", "picture", "last", "--output", str(output))
    assert (again.exit_code, "no picture of the visit v3 is kept" in again.stderr) == (2, True)
