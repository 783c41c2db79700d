"""What is asked of photos, portraits and the door, with the process that looks at photos."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photographs import blurred, hostile_files, jpeg, portrait_pixels, side_by_side

from doorbell.config import Config, StorageSection, load_config
from doorbell.control.requests import parse_request
from doorbell.control.wire import receive
from doorbell.daemon.control.enrolling import EnrollingRequests, Patience
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.control.output import ControlOutput
from doorbell.daemon.control.server import Answer
from doorbell.domain import Frame, UInt8Array, Visit, VisitPicture
from doorbell.errors import RefusedError, UnknownPersonError, UsageError
from doorbell.household.photo_store import KEPT_SECONDS, MOST_PHOTOS, PhotoStore
from doorbell.household.photo_worker import PhotoWorker
from doorbell.imaging.annotation import encode_jpeg
from doorbell.imaging.visit_picture import decode_jpeg, face_in_picture, jpeg_size
from doorbell.outputs.picture_files import picture_path, write_visit_picture
from doorbell.pipeline.perception import Perception
from doorbell.storage.encryption import NO_CIPHER
from doorbell.testbed.waiting import eventually


class House:
    """A household whose doorbell is asked."""

    def __init__(self, config: Config, worker: PhotoWorker, **patience: float) -> None:
        self.executor = GalleryExecutor(config.storage)
        self.output = ControlOutput(18)
        self.storage = config.storage
        self.worker = worker
        asked = EnrollingRequests(
            config, self.executor, self.output, lambda _: worker, Patience(**patience)
        )
        self._handlers: dict[str, Any] = {
            "photo.preview": asked.preview,
            "photo.enroll": asked.enroll,
            "door_enroll": asked.at_the_door,
            "portrait.get": asked.portrait,
            "portrait.set": asked.choose_portrait,
            "portrait.delete": asked.delete_portrait,
        }
        self._examine: Any = asked.examine

    def ask(self, verb: str, blob: bytes = b"", **arguments: Any) -> Answer:
        request = parse_request({"do": verb, **arguments})
        answer: Answer = (
            self._examine(request, blob)
            if verb == "photo.examine"
            else self._handlers[verb](request)
        )
        return answer

    def told(self, verb: str, blob: bytes = b"", **arguments: Any) -> dict[str, Any]:
        return self.ask(verb, blob, **arguments).document

    def enroll(self, name: str, content: bytes, **more: Any) -> dict[str, Any]:
        photo = self.told("photo.examine", content, name=name)
        chosen = [{"photo_id": photo["photo_id"], "face": 0}]
        return self.told("photo.enroll", name=name, photos=chosen, **more)


@pytest.fixture(scope="module")
def worker(models_directory: Path) -> Iterator[PhotoWorker]:
    config = load_config(None, [f"inference.models_directory={models_directory}"])
    with closing(PhotoWorker(config, reply_seconds=100.0)) as worker:
        yield worker


@pytest.fixture
def house(tmp_path: Path, worker: PhotoWorker) -> Iterator[House]:
    storage = StorageSection(directory=tmp_path)
    house = House(Config(storage=storage), worker, watch_seconds=4.0, frame_seconds=1.0)
    with closing(house.executor):
        yield house


@pytest.fixture(scope="module")
def pictures(models_directory: Path) -> dict[str, UInt8Array]:
    names = ("obama", "obama2", "macron", "ardern", "biden")
    return {name: portrait_pixels(name, models_directory) for name in names}


def test_a_good_photo_is_accepted_and_enrolls(
    house: House, pictures: dict[str, UInt8Array]
) -> None:
    photo = house.told("photo.examine", jpeg(pictures["obama"]), name="Barack")
    assert photo["accepted"], photo["message"]
    assert (photo["reason"], photo["hint"], photo["who"]) == ("", "", None)
    (face,) = photo["faces"]
    assert face["accepted"]
    assert face["checks"]["size"]["passed"]
    assert all(0.0 <= edge <= 1.0 for edge in face["box"])
    chosen = [{"photo_id": photo["photo_id"], "face": 0}]
    done = house.told("photo.enroll", name="Barack", photos=chosen, consent="yes")
    assert (done["person"]["name"], done["added"], done["strength"]) == ("Barack", 1, "weak")
    assert done["person"]["consent"]["words"] == "yes"
    assert done["missing"]
    assert [each["accepted"] for each in done["results"]] == [True]
    with pytest.raises(UsageError, match="not kept any more"):
        house.told("photo.enroll", name="Barack", photos=chosen)


def test_who_gets_ready_for_a_photo_has_it_wait_for_no_start(
    models_directory: Path, pictures: dict[str, UInt8Array]
) -> None:
    config = load_config(None, [f"inference.models_directory={models_directory}"])
    with closing(PhotoWorker(config, reply_seconds=100.0)) as worker:
        assert worker.pid is None
        worker.prepare()
        assert eventually(lambda: worker.pid is not None)
        started = worker.pid
        worker.prepare()
        assert worker.examine(jpeg(pictures["obama"])).photo.faces
        assert worker.pid == started
    worker.prepare()  # of a doorbell that stops: nothing, and no complaint
    assert worker.pid is None


def processor_seconds(worker: PhotoWorker) -> float:
    """What the process has computed; it is nobody's fault that others run beside it."""
    fields = Path(f"/proc/{worker.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_each_verdict_takes_less_than_three_seconds_and_has_its_reason(
    house: House, pictures: dict[str, UInt8Array]
) -> None:
    house.enroll("Barack", jpeg(pictures["obama"]))
    wall = np.asarray(np.full((600, 800, 3), 120, np.uint8))
    small = np.asarray(np.full((900, 1200, 3), 90, np.uint8))
    tiny = pictures["macron"][::12, ::12]
    small[300 : 300 + tiny.shape[0], 400 : 400 + tiny.shape[1]] = tiny
    expected = {
        "blur": jpeg(blurred(pictures["biden"])),
        "several": jpeg(side_by_side(pictures["macron"], pictures["ardern"])),
        "no_face": jpeg(wall),
        "nobody_else": jpeg(pictures["obama2"]),
        "picture": b"<svg/>",
    }
    for reason, content in expected.items():
        began = processor_seconds(house.worker)
        photo = house.told("photo.examine", content, name="Else")
        took = processor_seconds(house.worker) - began
        assert (photo["reason"], photo["accepted"]) == (reason, False), photo["message"]
        assert photo["message"]
        assert photo["hint"]
        assert "--force" not in photo["hint"]
        assert took < 3.0, reason
    assert house.told("photo.examine", expected["nobody_else"])["who"] == "Barack"
    assert house.told("photo.examine", expected["nobody_else"], name="barack")["accepted"]


def test_of_two_faces_the_one_that_was_tapped_is_enrolled(
    house: House, pictures: dict[str, UInt8Array]
) -> None:
    both = jpeg(side_by_side(pictures["macron"], pictures["ardern"]))
    photo = house.told("photo.examine", both, name="Jacinda")
    assert (photo["reason"], len(photo["faces"])) == ("several", 2)
    right = max(photo["faces"], key=lambda face: face["box"][0])
    assert right["accepted"]
    chosen = [{"photo_id": photo["photo_id"], "face": right["face"]}]
    assert house.told("photo.enroll", name="Jacinda", photos=chosen)["added"] == 1
    like = house.told("photo.examine", jpeg(pictures["ardern"]), name="Else")
    assert (like["reason"], like["who"]) == ("nobody_else", "Jacinda")
    assert house.told("photo.examine", jpeg(pictures["macron"]), name="Else")["accepted"]


def test_somebody_else_is_not_added_to_a_person(
    house: House, pictures: dict[str, UInt8Array]
) -> None:
    person = house.enroll("Barack", jpeg(pictures["obama"]))["person"]["person_id"]
    photo = house.told("photo.examine", jpeg(pictures["macron"]), person_id=person)
    assert photo["reason"] == "same_person"
    chosen = [{"photo_id": photo["photo_id"], "face": 0}]
    refused = house.told("photo.enroll", person_id=person, photos=chosen)
    assert (refused["person"], refused["added"]) == (None, 0)
    assert refused["results"][0]["reason"] == "same_person"
    forced = house.told("photo.enroll", person_id=person, photos=chosen, force=True)
    assert forced["added"] == 1


@pytest.mark.parametrize("kind", hostile_files())
def test_every_hostile_file_gets_a_sentence(house: House, kind: str) -> None:
    photo = house.told("photo.examine", hostile_files()[kind], name="Anna")
    assert (photo["photo_id"], photo["accepted"], photo["reason"]) == (None, False, "picture")
    assert photo["faces"] == []
    assert photo["message"]


def test_a_photo_is_shown_as_small_as_is_asked(
    house: House, pictures: dict[str, UInt8Array]
) -> None:
    photo = house.told("photo.examine", jpeg(pictures["obama"]))["photo_id"]
    assert jpeg_size(house.ask("photo.preview", photo_id=photo).blob) == (480, 600)
    small = house.ask("photo.preview", photo_id=photo, max_width=400).blob
    assert max(jpeg_size(small) or ()) == 320
    with pytest.raises(UsageError, match="choose it once more"):
        house.ask("photo.preview", photo_id="0" * 32)


def test_a_portrait_comes_with_a_consent_and_goes_with_its_person(
    house: House, pictures: dict[str, UInt8Array]
) -> None:
    photo = house.told("photo.examine", jpeg(pictures["obama"]), name="Barack")
    face = {"photo_id": photo["photo_id"], "face": 0}
    with pytest.raises(UsageError, match="a portrait takes a consent"):
        house.told("photo.enroll", name="Barack", photos=[face], portrait=face)
    done = house.told(
        "photo.enroll", name="Barack", photos=[face], portrait=face, consent="a portrait too"
    )
    person = done["person"]["person_id"]
    assert done["person"]["portrait"]
    portrait = house.ask("portrait.get", person_id=person).blob
    assert jpeg_size(portrait) == (256, 256)
    assert jpeg_size(house.ask("portrait.get", person_id=person, max_width=64).blob) == (64, 64)
    other = house.told("photo.examine", jpeg(pictures["obama2"]), person_id=person)
    house.told("portrait.set", person_id=person, photo_id=other["photo_id"])
    assert house.ask("portrait.get", person_id=person).blob != portrait
    house.told("portrait.delete", person_id=person)
    for verb in ("portrait.get", "portrait.delete"):
        with pytest.raises(RefusedError) as refused:
            house.ask(verb, person_id=person)
        assert refused.value.kind == "not_found"
    with pytest.raises(UnknownPersonError):
        house.ask("portrait.get", person_id=person + 1)


def test_a_portrait_of_a_visit_shows_who_it_was_and_nobody_else(
    house: House, pictures: dict[str, UInt8Array], perception: Perception
) -> None:
    person = house.enroll("Jacinda", jpeg(pictures["ardern"]), consent="yes")["person"]
    both = side_by_side(pictures["macron"], pictures["ardern"])
    other, own = sorted(perception.detect_still(both), key=lambda face: float(face.box_xyxy[0]))
    known = house.executor.run(lambda gallery: gallery.people.get("Jacinda"))
    house.executor.run(lambda gallery: gallery.visits.save(Visit("v1", 1.0, 2.0, 3.0, known)))
    house.executor.run(lambda gallery: gallery.visits.save(Visit("v2", 1.0, 2.0, 3.0)))

    def pictured(face: Any, visit_id: str) -> Any:
        return replace(face_in_picture(face), visit_id=visit_id, is_certain=True)

    picture = VisitPicture(encode_jpeg(both), (pictured(other, "v2"), pictured(own, "v1")))
    for visit in ("v1", "v2"):
        path = picture_path(house.storage.pictures_directory, visit)
        write_visit_picture(path, picture, NO_CIPHER)
    house.told("portrait.set", person_id=person["person_id"], visit="v1")
    pixels = decode_jpeg(house.ask("portrait.get", person_id=person["person_id"]).blob)
    assert pixels is not None
    assert len(perception.detect_still(pixels)) == 1
    with pytest.raises(UsageError, match="that visit was not Jacinda's"):
        house.told("portrait.set", person_id=person["person_id"], visit="v2")


def test_photos_are_kept_for_some_minutes_and_only_so_many(
    house: House, pictures: dict[str, UInt8Array]
) -> None:
    seen = house.worker.examine(jpeg(pictures["obama"]))
    now = [0.0]
    photo_store = PhotoStore(lambda: now[0])
    kept = []
    for number in range(MOST_PHOTOS + 1):
        now[0] += 1.0
        kept.append(photo_store.put(bytes([number]), seen).photo_id)
    with pytest.raises(UsageError):
        photo_store.get(kept[0])
    assert photo_store.get(kept[1]).photo_id == kept[1]
    now[0] = 2.0 + KEPT_SECONDS
    with pytest.raises(UsageError):
        photo_store.get(kept[1])
    assert photo_store.get(kept[-1]).photo_id == kept[-1]


def test_nothing_of_a_photo_is_ever_on_the_disk(
    house: House, pictures: dict[str, UInt8Array], tmp_path: Path
) -> None:
    content = jpeg(pictures["obama"])
    house.told("photo.examine", content, name="Barack")
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert content[-500:] not in held
    assert b"JFIF" not in held


class Camera(threading.Thread):
    """Shows one picture after the other to whoever watches."""

    def __init__(self, output: ControlOutput, pictures: list[UInt8Array]) -> None:
        super().__init__(daemon=True)
        self.output, self.pictures, self.stopped = output, pictures, threading.Event()

    def run(self) -> None:
        index = 0
        while not self.stopped.wait(0.05):
            pixels = self.pictures[index // 8 % len(self.pictures)]
            self.output.show(Frame(pixels, index / 10, float(index), index), tuple, "")
            index += 1


def followed(house: House, **arguments: Any) -> list[dict[str, Any]]:
    answer = house.ask("door_enroll", **arguments)
    ours, theirs = socket.socketpair()
    assert answer.more is not None
    told: list[dict[str, Any]] = []
    with ours, theirs:
        thread = threading.Thread(target=answer.more, args=(theirs,))
        thread.start()
        while not told or told[-1]["event"] == "pose":
            message = receive(ours)
            assert message is not None
            told.append(message.document)
        thread.join(10)
    return told


def test_at_the_door_it_says_what_is_still_to_be_seen(
    house: House, pictures: dict[str, UInt8Array]
) -> None:
    camera = Camera(house.output, [pictures["obama"]])
    camera.start()
    told = followed(house, name="Barack", consent="asked")
    assert told[0] == {
        "event": "pose",
        "seen": [],
        "missing": ["straight", "left", "right", "up", "down"],
        "say": "look at the camera",
    }
    assert any("straight" in each.get("seen", ()) for each in told)
    assert told[-1]["event"] == "done", told[-1]
    assert told[-1]["person"]["name"] == "Barack"
    assert told[-1]["person"]["consent"]["words"] == "asked"
    somebody = followed(house, name="Else")
    assert somebody[-1]["event"] == "failed"
    assert somebody[-1]["error"].startswith("this face looks like Barack")
    camera.stopped.set()


def test_who_goes_away_at_the_door_makes_room_for_the_next(
    house: House, pictures: dict[str, UInt8Array]
) -> None:
    camera = Camera(house.output, [pictures["obama"]])
    camera.start()
    answer = house.ask("door_enroll", name="Barack")
    assert answer.more is not None
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=answer.more, args=(theirs,))
    thread.start()
    assert receive(ours) is not None
    assert followed(house, name="Else")[-1]["error"].startswith("somebody is being enrolled")
    ours.close()
    thread.join(10)
    assert not thread.is_alive()
    theirs.close()
    camera.stopped.set()
    assert house.executor.run(lambda gallery: gallery.people.all()) == []


def test_a_camera_that_gives_nothing_is_told(house: House) -> None:
    told = followed(house, name="Barack")
    assert told[-1] == {
        "event": "failed",
        "error": "the camera gives no picture; see how the doorbell is",
    }
