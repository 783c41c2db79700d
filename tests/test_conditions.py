"""``doorbell evaluate conditions``: a household at its own door in every condition."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from doorbell.cli import main
from doorbell.config import load_config
from doorbell.domain import Face, FaceSample, Frame, Person, Track, UInt8Array
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.measure.accuracy.conditions import Trials, measure_conditions
from doorbell.measure.accuracy.methods import measure, open_method, product_method
from doorbell.measure.accuracy.remembering import RememberingPerception
from doorbell.measure.accuracy.replay import NOT_SEEN, PlayedVisit, ShownVisitor
from doorbell.measure.accuracy.skin_tone import (
    person_angles,
    third_bounds,
    third_of,
    typology_angle,
)
from doorbell.measure.accuracy.stills import ProductRecognizer, Recognizer, Subject
from doorbell.models.store import face_path
from doorbell.pipeline.perception import FaceCrop, Perception
from doorbell.recognition.alignment import TEMPLATE

PEOPLE = ("ardern", "biden", "macron", "obama", "obama2")


def say_nothing(work: str, done: int, total: int) -> None:
    del work, done, total


@pytest.fixture(scope="session")
def household(tmp_path_factory: pytest.TempPathFactory, models_directory: Path) -> Path:
    """Two who live here, one of them with a photograph that shows nobody, and two strangers."""
    folder = tmp_path_factory.mktemp("household")
    (folder / "images").mkdir()
    for name in PEOPLE:
        pixels = decode_photo(read_photo(face_path(name, models_directory)), name)
        small = cv2.resize(pixels, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
        Image.fromarray(small).save(folder / "images" / f"{name}.png")
        lit = np.clip(small * 0.85, 0, 255).astype(np.uint8)
        Image.fromarray(lit).save(folder / "images" / f"{name}-later.png")
    Image.fromarray(np.full((80, 80, 3), 90, np.uint8)).save(folder / "images" / "wall.png")
    members = {
        "Barack Obama": {"enroll": ["obama"], "probe": ["obama2", "obama-later"]},
        "Joe Biden": {"enroll": ["wall", "biden"], "probe": ["biden-later", "wall"]},
        "Jacinda Ardern": {"enroll": ["ardern"], "probe": ["ardern-later"]},
    }
    strangers = ["macron", "macron-later"]
    (folder / "household.json").write_text(json.dumps({"members": members, "strangers": strangers}))
    return folder


@pytest.fixture
def call(models_directory: Path) -> Iterator[Callable[..., Result]]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*words: object) -> Result:
        models = f"inference.models_directory={models_directory}"
        return CliRunner().invoke(main, ["evaluate", *map(str, words), "--set", models])

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)


def test_members_are_named_at_their_own_door_and_strangers_at_none(
    perception: Perception, household: Path
) -> None:
    method = product_method(perception, load_config(None))
    trials = Trials(household=2, conditions=("daylight", "h264"))
    report = measure("conditions", household, method, say_nothing, trials)
    figures = report.figures
    assert (figures["members"], figures["households"], figures["photos"]) == (3, 2, 6)
    assert [*figures["conditions"]] == ["daylight", "h264"]
    for row in [figures["mean"], *figures["conditions"].values()]:
        assert row["named_of_five"] == row["named_of_one"] == row["possible"] == 1.0
        assert row["strangers"] == row["wrong_names"] == 0
    # Four photos of members at two doors each; two of strangers at four.
    daylight = figures["conditions"]["daylight"]
    assert (daylight["member_trials"], daylight["stranger_trials"]) == (8, 8)
    assert figures["mean"]["member_trials"] == 16
    assert sum(tone["people"] for tone in figures["skin_tone"].values()) == 3
    assert "photos without a face, left out: 1" in report.notes
    assert any("wall.png" in note for note in report.notes)


@pytest.mark.long
def test_nobody_is_named_where_no_frame_is_good_enough_for_the_door(
    perception: Perception, household: Path
) -> None:
    config = load_config(None, ["recognition.min_quality=1.0"])
    trials = Trials(probes=1, strangers=1, conditions=("daylight",))
    method = product_method(perception, config)
    row = measure("conditions", household, method, say_nothing, trials).figures["mean"]
    assert row["named_of_five"] == row["named_of_one"] == row["possible"] == 0.0
    assert (row["member_trials"], row["stranger_trials"]) == (6, 2)


@pytest.mark.long
def test_opencv_is_shown_the_same(models_directory: Path, household: Path) -> None:
    config = load_config(None, [f"inference.models_directory={models_directory}"])
    trials = Trials(probes=1, strangers=1, conditions=("daylight",))
    with open_method(config, "opencv", say_nothing) as method:
        figures = measure("conditions", household, method, say_nothing, trials).figures
    assert figures["mean"]["named_of_five"] == figures["mean"]["possible"] == 1.0
    assert figures["mean"]["member_trials"] == 6


class OneNameDoor:
    """Names every visitor after the first person enrolled, and is the less sure the later."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._names: list[str] = []
        self._shown = 0

    @property
    def recognizer(self) -> Recognizer:
        return self._recognizer

    def enroll_photos(self, name: str, photos: Sequence[Path]) -> list[str]:
        self._names.append(name)
        return [f"{photo} was refused" for photo in photos if photo.stem == "wall"]

    def enroll_video(self, name: str, video: Path) -> None:
        raise NotImplementedError

    def nearest(self, sample: FaceSample) -> tuple[Person, float] | None:
        raise NotImplementedError

    def name_on_photo(self, subject: Subject) -> Person | None:
        raise NotImplementedError

    def show(self, frames: Sequence[Frame]) -> ShownVisitor:
        assert len(frames) == 8
        self._shown += 1
        return ShownVisitor(self._names[0], self._names[0], 1 - 0.1 * self._shown)

    def run(self, video: Path) -> list[PlayedVisit]:
        raise NotImplementedError


def test_wrong_names_and_named_strangers_are_counted(
    perception: Perception, household: Path
) -> None:
    finder = ProductRecognizer(perception)
    doors: list[OneNameDoor] = []

    def open_door() -> nullcontext[OneNameDoor]:
        doors.append(OneNameDoor(finder))
        return nullcontext(doors[-1])

    trials = Trials(conditions=("daylight",))
    report = measure_conditions(household, trials, finder, open_door, say_nothing)
    [row] = report.figures["conditions"].values()
    assert len(doors) == 2
    assert row == {
        "named_of_five": 0.5,  # both photos of the first of three, out of four with a face
        "named_of_one": 0.5,
        "possible": 0.5,  # strangers came last, and least alike
        "strangers": 1.0,
        "wrong_names": 4,
        "member_trials": 8,
        "stranger_trials": 4,
    }
    assert "gap above 0.10 in daylight" in "\n".join(report.notes)
    cells = [row for table in report.tables for row in table.rows if row[0] == "daylight"]
    assert cells[0] == ("daylight", "0.50", "0.50", "0.50", "1000.0", "4", "8 + 4")


@pytest.mark.long
def test_a_table_is_printed(call: Callable[..., Result], household: Path) -> None:
    words = ("--probes", 1, "--strangers", 1, "--conditions", "2m")
    printed = call("conditions", household, *words)
    assert printed.exit_code == 0, printed.output
    assert re.search(r"2 m \(40 px\) +1\.00 +1\.00 +1\.00 +0\.0 +0 +6 \+ 2", printed.stdout)
    assert re.search(r"mean +1\.00", printed.stdout)
    assert "the worst" in printed.stdout
    assert "lightest third" in printed.stdout


@pytest.mark.long
def test_json_stays_alone_on_stdout(call: Callable[..., Result], household: Path) -> None:
    words = ("--probes", 1, "--strangers", 0, "--conditions", "mask, 4m", "--seed", 3, "--json")
    tree = json.loads(call("conditions", household, *words).stdout)
    assert [*tree["conditions"]] == ["mask", "4m"]
    assert [*tree["mean"]] == [*tree["conditions"]["mask"]]
    assert (tree["seed"], tree["mean"]["member_trials"]) == (3, 12)


def test_what_is_asked_for_in_vain_is_a_usage_error(
    call: Callable[..., Result], household: Path, tmp_path: Path
) -> None:
    fog = call("conditions", household, "--conditions", "fog")
    assert (fog.exit_code, "there is no condition 'fog'" in fog.stderr) == (2, True)
    pairs = call("pairs", household, "--probes", 2)
    assert (pairs.exit_code, "are for conditions, not for pairs" in pairs.stderr) == (2, True)
    empty = call("conditions", tmp_path)
    assert (empty.exit_code, "has no household.json" in empty.stderr) == (2, True)


@pytest.mark.long
@pytest.mark.parametrize(("keys", "code"), [("daylight,h264", 0), ("h264", 2)])
def test_without_pyav_the_stream_is_left_out_and_how_to_get_it_is_said(
    models_directory: Path, household: Path, keys: str, code: int
) -> None:
    program = "import sys; sys.modules['av'] = None; from doorbell.cli import main; main()"
    words = ["evaluate", "conditions", str(household), "--probes", "1", "--strangers", "0"]
    words += ["--conditions", keys, "--set", f"inference.models_directory={models_directory}"]
    ended = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == code, ended.stderr
    assert "pip install '.[conditions]'" in ended.stdout + ended.stderr
    assert ("daylight" in ended.stdout) == (code == 0)


class CountingPerception(Perception):
    """Finds one face in every frame, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @property
    def model_id(self) -> str:
        return "counted"

    def detect(
        self,
        pixels: UInt8Array,
        tracks: Sequence[Track],
        *,
        device_address: int | None = None,
        worth: int = 1,
    ) -> list[Face]:
        del pixels, tracks, device_address, worth
        self.asked.append("detect")
        points = np.zeros((6, 2), np.float32)
        points[:4] = TEMPLATE
        return [Face(np.array([20, 20, 90, 100], np.float32), points, 0.9)]

    def portray(
        self, pixels: UInt8Array, face: Face, *, device_address: int | None = None
    ) -> FaceCrop:
        del device_address
        self.asked.append("portray")
        return self.crop_face(pixels, face)

    def embed(
        self, portraits: Sequence[FaceCrop], *, mirrored: bool = False
    ) -> list[FaceSample | None]:
        del mirrored
        self.asked += ["embed"] * len(portraits)
        return [FaceSample(np.ones(128, np.float32), "counted", 0.5) for _ in portraits]


def test_a_frame_is_looked_at_once_however_many_doors_it_is_shown_to() -> None:
    counting = CountingPerception()
    remembering = RememberingPerception(counting)
    frames = [np.full((112, 112, 3), grey, np.uint8) for grey in (10, 20, 30)]
    answers: list[Any] = []
    for _ in range(3):
        for pixels in frames:
            [face] = remembering.detect(pixels, [])
            portrait = remembering.portray(pixels, face)
            answers.append((face, portrait, *remembering.embed([portrait])))
    assert all(counting.asked.count(each) == 3 for each in ("detect", "portray", "embed"))
    assert answers[:3] == answers[3:6] == answers[6:]
    assert len({face for face, _, _ in answers}) == 3
    for grey in range(100):  # what is old is forgotten
        remembering.detect(np.full((112, 112, 3), grey, np.uint8), [])
    assert remembering.detect(frames[0], []) != [answers[0][0]]


def test_whatever_is_asked_of_the_networks_is_answered_by_those_who_remember(
    perception: Perception,
) -> None:
    asked = {name for name in vars(Perception) if not name.startswith("_")}
    assert asked - vars(RememberingPerception).keys() == set()
    remembering = RememberingPerception(perception)
    remembering.warm_up()
    pixels = np.full((240, 320, 3), 90, np.uint8)
    assert remembering.candidates(pixels, []) is not None


def test_a_photo_of_too_small_a_face_is_nobody_of_the_household(
    perception: Perception, household: Path, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    obama = Image.open(household / "images" / "obama.png")
    obama.save(tmp_path / "images" / "near.png")
    obama.resize((obama.width // 2, obama.height // 2)).save(tmp_path / "images" / "far.png")
    members = {"Barack Obama": {"enroll": ["near"], "probe": ["near", "far"]}}
    (tmp_path / "household.json").write_text(json.dumps({"members": members, "strangers": []}))

    def named(setting: str) -> float:
        method = product_method(perception, load_config(None, [setting]))
        figures = measure("household", tmp_path, method, say_nothing).figures
        assert figures["rank1"] == 1.0
        return float(figures["operating_tpir"])

    assert named("recognition.min_face_pixels=18") == 1.0
    assert named("recognition.min_face_pixels=60") == 0.5


def skin(lightness: float, yellowness: float) -> tuple[UInt8Array, Any]:
    """A face of one colour, and its keypoints."""
    lab = np.full((112, 112, 3), (lightness, 12, yellowness), np.float32)
    pixels = np.round(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255).astype(np.uint8)
    points = np.zeros((6, 2), np.float32)
    points[:4] = TEMPLATE
    return pixels, points


@pytest.mark.parametrize("lightness", [35.0, 50.0, 70.0])
def test_the_tone_of_skin_is_the_angle_of_lightness_over_yellowness(lightness: float) -> None:
    expected = np.degrees(np.arctan2(lightness - 50, 18.0))
    assert typology_angle(*skin(lightness, 18.0)) == pytest.approx(expected, abs=2)


def test_a_photograph_without_colour_tells_no_tone() -> None:
    grey, points = skin(60.0, 18.0)
    grey[:] = grey.mean(axis=2, keepdims=True).astype(np.uint8)
    assert typology_angle(grey, points) is None
    assert person_angles({"a": [None, 10.0, 30.0], "b": [None]}) == {"a": 20.0}


def test_people_are_parted_in_thirds() -> None:
    bounds = third_bounds([30.0, -10.0, 10.0, 20.0, 0.0, 40.0])
    assert bounds is not None
    thirds = [third_of(angle, bounds) for angle in (-10.0, 0.0, 10.0, 20.0, 30.0, 40.0)]
    assert thirds == [
        *["darkest third"] * 2,
        *["middle third"] * 2,
        *["lightest third"] * 2,
    ]
    assert third_bounds([1.0, 2.0]) is None


def test_a_visitor_without_a_usable_face_is_like_nobody(perception: Perception) -> None:
    method = product_method(perception, load_config(None))
    wall = [Frame(np.full((120, 120, 3), 90, np.uint8), i / 15, i / 15, i) for i in range(8)]
    with method.open_replay() as door:
        assert door.show(wall) == ShownVisitor(None, None, NOT_SEEN)
