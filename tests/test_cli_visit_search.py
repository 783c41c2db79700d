"""Searching for a face by command: by a photo, and by a visit."""

import json
from pathlib import Path

import pytest
from command_line import Cli, sample
from galleries import OnServer, on_postgres
from photographs import jpeg, portrait_pixels, side_by_side

from doorbell.domain import Visit
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.pipeline.perception import Perception


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "give either a PICTURE or --visit VISIT"),
        (["a.jpg", "--visit", "last"], 2, "give either"),
        (["gone.jpg"], 1, "gone.jpg"),
        (["--visit", "nowhere"], 2, "no visit is called 'nowhere'"),
        (["--visit", "v3"], 2, "no face is kept with visit v3"),
    ],
)
def test_what_cannot_be_searched_by_is_said(
    cli: Cli, words: list[str], code: int, message: str
) -> None:
    result = cli("visits", "search", *words)
    assert result.exit_code == code
    assert message in result.stderr


def test_a_file_that_is_no_picture_is_named(cli: Cli, tmp_path: Path) -> None:
    letter = tmp_path / "letter.jpg"
    letter.write_text("dear visitor", encoding="ascii")
    result = cli("visits", "search", str(letter))
    assert result.exit_code == 1
    assert f"{letter}: this photo is not a picture; give a JPEG or PNG file" in result.stderr


def test_a_visit_finds_others_of_a_face_like_it_at_every_door(cli: Cli, storage: Path) -> None:
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        gallery.visits.save(gallery.visits.get("v3"), [sample(4)])
        stranger = gallery.strangers.get(1)
        gallery.visits.save(Visit("v4", 4000.0, 4001.0, 4005.0, stranger, door_id="side-door"))
        gallery.visits.save(Visit("v5", 5000.0, 5001.0, 5005.0), [sample(4)])
    heading, _, *rows = cli("visits", "search", "--visit", "v3").stdout.splitlines()
    assert heading.split() == ["who", "similarity", "the", "same", "visit", "door", "began"]
    assert [row.split()[:-2] for row in rows] == [
        ["stranger-1", "1.00", "yes", "v4", "side-door"],
        ["v1", "front-door"],
        ["nobody", "known", "1.00", "yes", "v5", "front-door"],
    ]
    document = json.loads(cli("visits", "search", "--visit", "v3", "--json").stdout)
    assert document["every_visit"] is True
    [face] = document["faces"]
    assert face["box"] is None
    assert [
        (each["person"], each["stranger"], each["similarity"], each["is_same"])
        for each in face["alike"]
    ] == [(None, "stranger-1", 1.0, True), (None, None, 1.0, True)]
    assert [visit["door_id"] for visit in face["alike"][0]["visits"]] == ["side-door", "front-door"]
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        gallery.visits.save(gallery.visits.get("v5"), [sample(60)])
    nobody = cli("visits", "search", "--visit", "v5")
    assert nobody.stdout == "nobody who is enrolled or came has a face like this\n"


def test_a_photo_finds_each_of_its_faces_and_leaves_nothing(
    cli: Cli, storage: Path, models_directory: Path, perception: Perception, tmp_path: Path
) -> None:
    known = portrait_pixels("obama2", models_directory, width=240)
    [face] = perception.detect_still(known)
    [found] = perception.embed([perception.crop_face(known, face)], mirrored=True)
    assert found is not None
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        barack = gallery.people.enroll("Barack", [EnrolledSample(found)]).person
        gallery.visits.save(Visit("v6", 6000.0, 6001.0, 6005.0, barack))
    photo = tmp_path / "two.jpg"
    two = [portrait_pixels(name, models_directory, width=240) for name in ("ardern", "obama")]
    photo.write_bytes(jpeg(side_by_side(*two)))
    before = sorted(path.name for path in storage.iterdir())
    lines = cli("visits", "search", str(photo)).stdout.splitlines()
    assert lines[0].startswith("the face at (")
    assert lines[1] == "nobody who is enrolled or came has a face like this"
    assert lines[2].startswith("the face at (")
    row = lines[-1].split()
    assert (row[0], row[2:4]) == ("Barack", ["yes", "v6"])
    assert float(row[1]) > 0.5
    assert sorted(path.name for path in storage.iterdir()) == before


@on_postgres
def test_it_is_said_that_the_account_of_a_door_sees_its_own_visits(cli: Cli) -> None:
    place = OnServer()
    with place.open() as household:
        for number, door in enumerate(("front", "garden", "garden")):
            visit = Visit(f"visit-{number}", number, number, number, door_id=door)
            household.visits.save(visit, [sample(4)])
    ids = {}
    for name, is_household in (("garden_door", False), ("household", True)):
        section = place.account(name, "garden", is_household=is_household)
        url = f"gallery.url={section.url}"
        found = cli("visits", "search", "--visit", "visit-2", "--json", "--set", url)
        document = json.loads(found.stdout)
        ids[document["every_visit"]] = [
            visit["visit_id"]
            for alike in document["faces"][0]["alike"]
            for visit in alike["visits"]
        ]
        told = cli("visits", "search", "--visit", "visit-2", "--set", url).stderr
        assert ("only visits at the doors of" in told) is not document["every_visit"]
    assert ids == {False: ["visit-1"], True: ["visit-0", "visit-1"]}
