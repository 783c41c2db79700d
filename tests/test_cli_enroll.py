"""Enrolling from photos, a video and the camera, and what is said of each picture."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import Cli
from photographs import jpeg, portrait_pixels


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Anna"], "give either photos, --video FILE or --camera"),
        (["Anna", "a.jpg", "--camera"], "give either"),
        (["Anna", "--video", "gone.mp4"], "does not exist"),
        (["\x07", "a.jpg"], "control character"),
    ],
)
def test_an_enrollment_that_cannot_be_is_a_wrong_request(
    cli: Cli, words: Sequence[str], message: str
) -> None:
    result = cli("enroll", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_enrolls_the_good_photos_and_says_what_is_wrong_with_the_others(
    cli: Cli, storage: Path, models_directory: Path
) -> None:
    photo, no_photo, copied = (storage / name for name in ("obama.jpg", "notes.jpg", "copy.jpg"))
    photo.write_bytes(jpeg(portrait_pixels("obama", models_directory, width=320)))
    no_photo.write_text("milk, bread")
    copied.write_bytes(photo.read_bytes())
    result = cli("enroll", "Barack", str(photo), str(no_photo), str(copied))
    assert result.exit_code == 0
    assert f"{photo}: good" in result.stdout
    assert "Barack is enrolled; 1 sample added" in result.stdout
    refused = result.stderr.splitlines()
    assert refused[0] == f"{no_photo} is not a picture; give a JPEG or PNG file"
    assert refused[1] == f"{copied}: the same photo as {photo}"
    again = cli("enroll", "barack", str(copied))
    assert again.exit_code == 0
    assert "enrolled before and is not stored twice" in again.stderr
    assert "0 samples added" in again.stdout
    other = cli("enroll", "Joe", str(photo))
    assert other.exit_code == 1
    assert "looks like Barack" in other.stderr
    assert cli("enroll", "Joe", str(storage / "gone.jpg")).exit_code == 1
    names = [person["name"] for person in json.loads(cli("people", "list", "--json").stdout)]
    assert names == ["Anna", "李小龍", "Barack"]


@pytest.mark.long
def test_shows_what_each_photo_was_judged_by_as_a_table_and_as_json(
    cli: Cli, models_directory: Path
) -> None:
    photos = [str(models_directory / f"faces/{name}.jpg") for name in ("obama", "macron", "obama2")]
    table = cli("enroll", "Barack", *photos).stdout
    assert "same person" in table
    marks = {line.split()[0]: line.split()[-1] for line in table.splitlines() if ".jpg " in line}
    assert marks == {"obama.jpg": "✔", "macron.jpg": "✘", "obama2.jpg": "✔"}
    assert "strength: fair" in table
    assert "still helps: turn a little to the left" in table
    document = json.loads(cli("enroll", "Joe", photos[0], photos[1], "--json").stdout)
    assert (document["person"], document["added"]) == ("Joe", 1)
    assert document["strength"]["level"] == "weak"
    refused, taken = document["pictures"]
    assert (refused["accepted"], taken["accepted"]) == (False, True)
    assert refused["message"].startswith("this face looks like Barack")
    assert not refused["checks"]["nobody_else"]["passed"]
    assert refused["checks"]["size"] == {"passed": True, "value": pytest.approx(237, rel=0.1)}
    assert set(taken["checks"]) == {"size", "blur", "pose", "light", "nobody_else"}


def test_enrolls_from_the_camera_and_from_a_video(
    cli: Cli, storage: Path, models_directory: Path
) -> None:
    portrait = cv2.imread(str(next(models_directory.glob("faces/obama.*"))))
    assert portrait is not None
    height, width = portrait.shape[:2]
    video = storage / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10, (width, height))
    for step in range(6):
        writer.write(np.roll(portrait, 2 * step, axis=1))
    writer.release()
    filmed = cli("enroll", "Neighbour", "--video", str(video))
    assert filmed.exit_code == 0
    assert "Neighbour is enrolled" in filmed.stdout
    assert "enrolled before" in cli("enroll", "Neighbour", "--video", str(video)).stderr
    camera = ["--camera", "--set", f"camera.uri={video}"]
    looked_alike = cli("enroll", "Ben", *camera)
    assert looked_alike.exit_code == 1
    assert "looks like Neighbour" in looked_alike.stderr
    live = cli("enroll", "Neighbour", *camera)
    assert live.exit_code == 0
    assert "look at the camera" in live.stderr
