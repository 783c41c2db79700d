"""Two at the door together; one is forgotten, by whomever and whenever: no picture shows them."""

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from doorstep import at_the_door

from doorbell.camera.simulated.script import SceneScript
from doorbell.config import load_config
from doorbell.domain import Float32Array, UInt8Array
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.imaging.photos import decode_photo
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import DOORBELL, DaemonProcess, run_command
from doorbell.testbed.scenes import KNOWN, STRANGER, Visitor, simulated, write_scene
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

NAME = "Žofie Nováková"
LIKE = 0.3  # cosine of a face in the scene with its portrait: 0.4 and more; of the two men's: 0.1
PEOPLE = {KNOWN: "obama", STRANGER: "biden"}


@pytest.fixture(scope="module")
def shown(perception: Perception, models_directory: Path) -> Callable[[bytes], set[str]]:
    """Whose faces can be seen in a picture."""

    def faces(pixels: UInt8Array) -> list[Float32Array]:
        crops = [perception.crop_face(pixels, face) for face in perception.detect_still(pixels)]
        samples = [sample for sample in perception.embed(crops) if sample is not None]
        return [sample.embedding for sample in samples]

    known = {who: faces(at_the_door(of, models_directory))[0] for who, of in PEOPLE.items()}

    def shown(jpeg: bytes) -> set[str]:
        pixels = decode_photo(jpeg, "picture")
        return {
            who for face in faces(pixels) for who, of in known.items() if float(of @ face) > LIKE
        }

    return shown


@pytest.mark.parametrize(
    "way",
    [
        "beside the daemon",
        pytest.param("by the daemon", marks=pytest.mark.long),
        pytest.param("while it is off", marks=pytest.mark.long),
    ],
)
def test_no_picture_anywhere_shows_whoever_was_forgotten(
    tmp_path: Path,
    *,
    models_directory: Path,
    faces: Path,
    perception: Perception,
    broker: Mosquitto,
    shown: Callable[[bytes], set[str]],
    way: str,
) -> None:
    state = tmp_path / "state"
    with Gallery.open(state / "gallery.sqlite") as gallery:
        enroller = Enroller(perception, gallery, load_config(None))
        enroller.enroll_photos(NAME, [face_path("obama2", models_directory)])
    both = (
        replace(Visitor(0.3, 1.5, 5.0, from_x=0.1).appearance(faces), door_x=0.3),
        replace(Visitor(1.3, 1.5, 6.0, from_x=0.9, who=STRANGER).appearance(faces), door_x=0.7),
    )
    camera = write_scene(tmp_path / "both.toml", SceneScript(both, 300.0))
    settings = [
        f"storage.directory={state}",
        *("mqtt.enabled=true", "mqtt.host=127.0.0.1", f"mqtt.port={broker.port}"),
        "mqtt.allow_forget=true",
    ]
    watch = [
        *(f"camera.uri={camera}", "camera.width=960", "camera.height=540"),
        *("camera.frames_per_second=10", "visits.absence_seconds=2", "chime.enabled=false"),
    ]

    def pictures() -> dict[str, set[str]]:
        found = {}
        for path in (state / "pictures").glob("*.jpg"):
            with suppress(FileNotFoundError):  # deleted this very moment
                found[path.stem] = shown(path.read_bytes())
        return found

    def image() -> bytes:
        with Subscriber(broker.port) as later:
            time.sleep(0.5)
            return bytes((later.of("image") or [b""])[-1])

    def forget() -> None:
        words = ["people", "forget", NAME, "--yes"]
        for setting in settings:
            words += ["--set", setting]
        told = subprocess.run([*DOORBELL, *words], check=True, capture_output=True, text=True)
        assert ("the doorbell does not run" in told.stdout) is (way == "while it is off")

    with Subscriber(broker.port) as listener:
        with DaemonProcess(run_command(*settings, *watch), tmp_path / "log"):
            assert eventually(
                lambda: [e["event_type"] for e in listener.documents("event")].count("left") == 2,
                30,
            ), (tmp_path / "log").read_text()
            of = {e["visit_id"]: e["person"] for e in listener.documents("event")}
            (other,) = (visit_id for visit_id, person in of.items() if person is None)
            assert eventually(lambda: len(pictures()) == 2)
            assert pictures()[other] == {KNOWN, STRANGER}
            if way == "by the daemon":
                listener.publish("doorbell/front-door/forget", json.dumps({"name": NAME}).encode())
            elif way == "beside the daemon":
                forget()
            if way != "while it is off":
                assert eventually(lambda: pictures() == {other: {STRANGER}}, 5)
                assert eventually(lambda: KNOWN not in (shown(image()) if image() else {}), 5)
        if way == "while it is off":
            forget()
            nobody = simulated(tmp_path, faces, Visitor(enters=290.0, approach=1.0))
            again = [*settings, *watch[1:], f"camera.uri={nobody}"]
            with DaemonProcess(run_command(*again), tmp_path / "log2"):
                assert eventually(lambda: image() == b"", 15)
    assert pictures() == {other: {STRANGER}}
