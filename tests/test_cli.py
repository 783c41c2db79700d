import json
import logging
import os
import re
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from doorbell.cli import main
from doorbell.cli.options import find_config
from doorbell.domain import FaceSample, Visit
from doorbell.errors import ConfigError
from doorbell.outputs.chimes import chime_names
from doorbell.outputs.pictures import picture_path
from doorbell.recognition.embedder import SFACE_ID
from doorbell.recognition.gallery import EnrolledSample, Gallery

DOORBELL = Path(sys.executable).with_name("doorbell")
Cli = Callable[..., Result]


def sample(axis: int) -> FaceSample:
    embedding = np.zeros(128, np.float32)
    embedding[axis] = 1.0
    return FaceSample(embedding, SFACE_ID, 0.5)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A gallery with two people, two strangers and three visits, one with a picture."""
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        anna = gallery.enroll("Anna", [EnrolledSample(sample(i)) for i in range(2)]).person
        gallery.enroll("李小龍", [EnrolledSample(sample(3))])
        stranger = gallery.add_stranger([sample(4)], 1000.0)
        gallery.add_stranger([sample(5)], 2000.0)
        gallery.save_visit(Visit("v1", 1000.0, 1010.0, 1015.0, stranger, 0.5, 4, 0.75))
        gallery.save_visit(Visit("v2", 2000.0, 2070.0, 2075.0, anna, 0.8125, 6, 0.5))
        gallery.save_visit(Visit("v3", 3000.0, 3001.0))
    picture = picture_path(tmp_path / "pictures", "v2")
    picture.parent.mkdir()
    picture.write_bytes(b"jpeg")
    return tmp_path


@pytest.fixture
def cli(storage: Path) -> Iterator[Cli]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def call(*words: str, typed: str = "") -> Result:
        result = CliRunner().invoke(
            main, [*words, "--set", f"storage.directory={storage}"], input=typed
        )
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    yield call
    root.handlers[:] = handlers
    root.setLevel(level)


def every_command(
    command: click.Command = main, words: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from every_command(child, (*words, name))


@pytest.mark.parametrize("words", [*every_command()], ids=lambda words: "-".join(words) or "main")
def test_every_command_has_help_with_an_example(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0
    example = result.stdout.split("Example:\n")[1]
    assert example.startswith(f"    doorbell {' '.join(words)}".rstrip())


def test_help_comes_without_what_only_the_daemon_needs() -> None:
    code = (
        "import sys, doorbell.cli; "
        "print([name for name in ('cv2', 'openvino', 'rich', 'pydantic', 'numpy', 'sqlite_utils') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "[]"


def test_lists_people(cli: Cli) -> None:
    lines = cli("people", "list").stdout.splitlines()
    assert lines[0].split() == [
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
    assert lines[2].split() == ["Anna", "2", "fair", "1", *when.split(), "default", "no"]
    assert lines[3].split() == ["李小龍", "1", "weak", "0", "default", "no"]


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
    assert cli("people", "merge", "Berta", "李小龍").stdout == "Berta is now part of 李小龍\n"
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


def test_lists_visits(cli: Cli, storage: Path) -> None:
    found = json.loads(cli("visits", "--json").stdout)
    assert [visit["visit_id"] for visit in found] == ["v3", "v2", "v1"]
    assert found[1] == {
        "visit_id": "v2",
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
        gallery.save_visit(gallery.visit("v2"), [sample(9)])
    assert cli("visits", "correct", "v2", "李小龍").stdout.splitlines() == [
        "visit v2 is now 李小龍's",
        "1 face of it will not be taken for Anna again",
        "nothing became a sample of 李小龍; to do so: add --learn",
    ]
    corrected = visit_of(cli, "v2")
    assert (corrected["person"], corrected["similarity"]) == ("李小龍", None)
    assert corrected["corrected"] is True
    assert "corrected" in cli("visits").stdout
    learned = cli("visits", "correct", "v2", "李小龍", "--learn").stdout
    assert "李小龍 has 1 new sample from it" in learned
    assert json.loads(cli("people", "show", "李小龍", "--json").stdout)["samples"] == 2
    assert cli("visits", "undo").stdout.startswith("visit v2 is 李小龍's again")
    assert cli("visits", "undo").stdout == "visit v2 is Anna's again; what it taught is undone\n"
    assert visit_of(cli, "v2")["similarity"] == 0.8125
    nothing = cli("visits", "undo")
    assert (nothing.exit_code, nothing.stderr) == (2, "doorbell: there is no correction to undo\n")


def test_a_visit_is_given_to_a_stranger_known_by_face_or_new(cli: Cli, storage: Path) -> None:
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        gallery.save_visit(gallery.visit("v2"), [sample(5)])
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


def test_strangers_are_shown_with_a_picture_and_merged(cli: Cli, storage: Path) -> None:
    with Gallery.open(storage / "gallery.sqlite") as gallery:
        stranger = gallery.note_stranger_visit(1, 4000.0, [])
        for name, start in (("v4", 4000.0), ("v5", 5000.0)):
            gallery.save_visit(Visit(name, start, start + 1, visitor=stranger))
    picture = picture_path(storage / "pictures", "v4")
    picture.write_bytes(b"jpeg")
    assert json.loads(cli("strangers", "show", "1", "--json").stdout)["picture"] == str(picture)
    assert str(picture) in cli("strangers", "show", "stranger-1").stdout
    assert "none is kept" in cli("strangers", "show", "2").stdout
    assert cli("strangers", "merge", "1", "2").stdout == "stranger-2 is now part of stranger-1\n"
    (found,) = json.loads(cli("strangers", "list", "--json").stdout)
    assert (found["stranger_id"], found["visits"], found["visits_week"]) == (1, 3, 3)
    assert cli("strangers", "merge", "1", "1").exit_code == 2


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


def test_a_damaged_gallery_ends_with_3_and_is_left_alone(cli: Cli, storage: Path) -> None:
    path = storage / "gallery.sqlite"
    path.write_bytes(b"no gallery" * 1000)
    for words in (["people", "list"], ["people", "forget", "Anna", "--yes"], ["visits"]):
        result = cli(*words)
        assert result.exit_code == 3
        assert f"the gallery {path} is damaged" in result.stderr
        assert path.read_bytes() == b"no gallery" * 1000


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "device.id=a b", "people", "list"],
        ["people", "list", "--set", "device.id=a b"],
        ["--config", "gone.toml", "people", "list"],
        ["people", "list", "--config", "gone.toml"],
    ],
)
def test_options_may_stand_before_or_after_the_verb(cli: Cli, words: Sequence[str]) -> None:
    result = cli(*words)
    assert result.exit_code == 2
    assert "device.id" in result.stderr or "gone.toml" in result.stderr


def test_an_option_after_the_verb_wins(cli: Cli, tmp_path: Path) -> None:
    good = tmp_path / "good.toml"
    good.write_text("")
    assert cli("--config", "gone.toml", "people", "list", "--config", str(good)).exit_code == 0


def test_the_configuration_is_found(tmp_path: Path) -> None:
    first, second = tmp_path / "etc" / "doorbell.toml", tmp_path / "home.toml"
    assert find_config({}, [first, second]) is None
    second.touch()
    assert find_config({}, [first, second]) == second
    first.parent.mkdir()
    first.touch()
    assert find_config({}, [first, second]) == first
    assert find_config({"DOORBELL_CONFIG": "mine.toml"}, [first, second]) == Path("mine.toml")
    # As good as unreadable for everybody, root included: the path leads through too many links.
    first.unlink()
    first.symlink_to(first)
    with pytest.raises(ConfigError, match="--config"):
        find_config({}, [first, second])


def test_verbose_logs_everything(cli: Cli) -> None:
    cli("people", "list", "-v")
    assert logging.getLogger().level == logging.DEBUG
    cli("people", "list")
    assert logging.getLogger().level == logging.WARNING


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
    photo = next(models_directory.glob("faces/obama.*"))
    no_photo, copied = storage / "notes.jpg", storage / "copy.jpg"
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
    assert refused["checks"]["size"] == {"passed": True, "value": pytest.approx(280, rel=0.1)}
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
    looked_alike = cli("enroll", "Somebody", *camera)
    assert looked_alike.exit_code == 1
    assert "looks like Neighbour" in looked_alike.stderr
    live = cli("enroll", "Neighbour", *camera)
    assert live.exit_code == 0
    assert "look at the camera" in live.stderr


@pytest.mark.parametrize(
    ("verb", "uri"),
    [
        (["run"], "/no/such/video.mkv"),  # a missing device is waited for, as the button rings
        (["enroll", "Anna", "--camera"], "/dev/video99"),
    ],
)
@pytest.mark.usefixtures("models_directory")
def test_a_camera_that_is_not_there_ends_with_3(cli: Cli, verb: Sequence[str], uri: str) -> None:
    result = cli(*verb, "--set", f"camera.uri={uri}")
    assert result.exit_code == 3
    assert uri in result.stderr


def test_models_that_are_there_are_not_built_again_and_verified(
    cli: Cli, models_directory: Path
) -> None:
    built = {path: path.stat().st_mtime_ns for path in models_directory.glob("*.onnx")}
    assert built
    result = cli("models", "build")
    assert result.exit_code == 0
    assert str(models_directory) in result.stdout
    assert {path: path.stat().st_mtime_ns for path in built} == built
    assert f"{len(built)} files" in cli("models", "verify").stdout


def test_models_are_built_without_the_simulated_camera_s_portraits_where_asked(
    cli: Cli, models_directory: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "models"
    shutil.copytree(models_directory, directory, ignore=shutil.ignore_patterns("faces"))

    built = cli(
        "models", "build", "--no-portraits", "--set", f"inference.models_directory={directory}"
    )

    assert built.exit_code == 0
    assert not (directory / "faces").exists()


@pytest.mark.usefixtures("models_directory")
def test_check_finds_what_will_not_do(cli: Cli) -> None:
    settings = ["--set", "camera.uri=/dev/video99", "--set", "chime.enabled=false"]
    told = cli("check", *settings)
    assert told.exit_code == 3
    assert "BAD camera" in told.stdout
    findings = {
        finding["part"]: finding for finding in json.loads(cli("check", "--json", *settings).stdout)
    }
    assert not findings["camera"]["ok"]
    assert "/dev/video99" in findings["camera"]["message"]
    assert findings["gallery"]["ok"]
    assert re.match(
        r"detect [\d.]+, align [\d.]+, embed [\d.]+, decide [\d.]+ ms; of a simulated visitor",
        findings["latency"]["message"],
    )


@pytest.mark.system
def test_the_installed_command_ends_with_the_code_of_its_error(storage: Path) -> None:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DOORBELL_CONFIG": str(storage / "doorbell.toml")}
        return subprocess.run(
            [DOORBELL, *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    (storage / "doorbell.toml").write_text(f'storage.directory = "{storage}"\n')
    listed = call("people", "list", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert len(json.loads(listed.stdout)) == 2
    forgotten = call("people", "forget", "Ana")
    assert forgotten.returncode == 2
    assert forgotten.stderr == "doorbell: nobody named 'Ana' is enrolled; did you mean Anna?\n"
    missing = call("models", "verify", "--set", f"inference.models_directory={storage}")
    assert missing.returncode == 3
    assert "doorbell models build" in missing.stderr
