"""A house whose daemon, camera, broker and console are real processes, and who lives in it."""

import re
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
from command_line import sample

from doorbell.camera.simulated.script import STRANGER_PORTRAIT
from doorbell.config import load_config
from doorbell.domain import FaceSample, Visit
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.household.enrollment import Enroller
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import WATCHING, DaemonProcess, run_command
from doorbell.testbed.network_camera import NetworkCamera
from doorbell.testbed.scenes import Who
from doorbell.testbed.sound_card import SoundCard
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

KNOWN_NAME = "Barack Obama"
# Who the stranger at the door is to the household, so little like its picture of him that the
# doorbell does not recognize him: between what naming asks for and what recognizing does.
STRANGER_NAME = "Ben"
LIKENESS = 0.4
# What somebody may have typed, or have been sent, as a name; each fits into a gallery.
MARKUP = "<img src=x onerror=alert(1)>\"'&amp;{{7*7}}"
RIGHT_TO_LEFT = "\u0645\u064f\u062d\u064e\u0645\u064e\u0651\u062f \u05d0\u05d1\u05e8\u05d4\u05dd"
LONG = "Wolfeschlegelsteinhausenbergerdorff" + "x" * 29  # 64 characters without a space
EMOJI = "Zoë \U0001f469\U0001f3fd\u200d\U0001f680 <b>"
HOSTILE = (MARKUP, RIGHT_TO_LEFT, LONG, EMOJI)
PLAIN = ("Anna", "Berta", "Carla", "Dieter")
SETTINGS = {
    "camera.timeout_seconds": 1.0,
    "visits.absence_seconds": 1.5,
    "visits.cooldown_seconds": 0.0,
    "chime.cooldown_seconds": 0.0,
    "mqtt.enabled": "true",
    "mqtt.host": "127.0.0.1",
    "inference.threads": 1,
    "notifications.enabled": "true",
    "notifications.targets": '[{name="phone", address_file="/nowhere", picture=true}]',
}
VISIT_SECONDS = 30.0
# Of the gallery, what people would call its contents.
CONTENTS = ("people", "samples", "strangers", "stranger_samples", "visits")


class House:
    """A house with ``KNOWN_NAME``, ``STRANGER_NAME`` and four people, who came.

    As a context manager everything runs inside the block.

    Args:
        folder: for everything, empty.
        faces: the folder of portraits.
        perception: enrolls ``KNOWN_NAME`` from another photo than the camera shows.
        people: the names of the four.
        name: of the doorbell.
        settings: beside those of every house.

    Attributes:
        subscriber: who hears everything at the broker.
        control: the daemon's control socket.
    """

    def __init__(
        self,
        folder: Path,
        faces: Path,
        perception: Perception,
        *,
        people: Sequence[str] = HOSTILE,
        name: str = MARKUP,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self.folder = folder
        self._name = name
        self._settings = settings or {}
        self.storage = folder / "storage"
        self.storage.mkdir(mode=0o700)
        self.control = self.storage / "doorbell.sock"
        self._stack = ExitStack()
        self._furnish(faces, perception, people)
        self.card = SoundCard(folder)
        self.camera = NetworkCamera(folder, faces)
        self.camera.number()
        self.broker = Mosquitto(folder, "allow_anonymous true")

    def __enter__(self) -> "House":
        self._stack.callback(self.broker.stop)
        self.broker.start()
        self.subscriber = self._stack.enter_context(Subscriber(self.broker.port))
        self._stack.callback(self.camera.unplug)
        self.camera.plug()
        self.restart()
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.close()
        self._stack.close()

    def restart(self) -> None:
        """Start the daemon, which has ended or was never started."""
        settings = {
            **SETTINGS,
            "camera.uri": self.camera.uri,
            "storage.directory": self.storage,
            "mqtt.port": self.broker.port,
            "device.name": self._name,
            **self._settings,
        }
        command = run_command(*(f"{key}={value}" for key, value in settings.items()))
        log = self.folder / "log"
        self.daemon = DaemonProcess(command, log, environment=self.card.environment)
        assert self.daemon.says(WATCHING), self.daemon.log_end
        assert eventually(self.control.exists)

    def comes(self, who: Who) -> dict[str, Any]:
        """Somebody comes to the door; the event that told who it is."""
        return self.await_event(lambda: self.camera.comes(who), "recognized", "unknown")

    def goes(self) -> None:
        """Whoever is there goes; back once it was told."""
        self.await_event(self.camera.goes, "left")

    def await_event(self, cause: Callable[[], object], *kinds: str) -> dict[str, Any]:
        """Let something happen, and wait for the event that tells it; with ``heard_at``."""
        heard = len(self.subscriber.heard("event"))
        cause()

        def told() -> list[dict[str, Any]]:
            documents = self.subscriber.documents("event")[heard:]
            return [each for each in documents if each["event_type"] in kinds]

        assert eventually(lambda: bool(told()), VISIT_SECONDS), self.daemon.log_end
        message = next(
            each
            for each in self.subscriber.heard("event")[heard:]
            if re.search(rb'"event_type": ?"(%s)"' % "|".join(kinds).encode(), each.payload)
        )
        return {**told()[0], "heard_at": message.at}

    def contents(self) -> str:
        """Everything that people would call the gallery's contents, line by line."""
        with closing(sqlite3.connect(self.storage / "gallery.sqlite")) as database:
            lines = list(database.iterdump())
        wanted = tuple(f'INSERT INTO "{table}"' for table in CONTENTS)
        return "\n".join(line for line in lines if line.startswith(wanted))

    def _furnish(self, faces: Path, perception: Perception, people: Sequence[str]) -> None:
        now = time.time()
        with Gallery.open(self.storage / "gallery.sqlite") as gallery:
            enroller = Enroller(perception, gallery, load_config(None))
            enroller.enroll_photos(KNOWN_NAME, [face_path("obama2", faces.parent)])
            unlike = EnrolledSample(_unlike(faces / STRANGER_PORTRAIT, perception))
            gallery.people.enroll(STRANGER_NAME, [unlike])
            for number, name in enumerate(people):
                person = gallery.people.enroll(name, [EnrolledSample(sample(number))]).person
                began = now - 3600.0 * (number + 1)
                visit = Visit(f"seed-{number}", began, began + 9, began + 15, person, 0.6, 9, 0.7)
                gallery.visits.save(visit)
            stranger = gallery.strangers.add([sample(20)], now - 90_000)
            gallery.visits.save(
                Visit("seed-9", now - 90_000, now - 89_995, now - 89_990, stranger, 0.1, 5, 0.6)
            )


def _unlike(photo: Path, perception: Perception) -> FaceSample:
    """A sample that is as much as ``LIKENESS`` like the face of a photo."""
    pixels = decode_photo(read_photo(photo), photo.name)
    [face] = perception.detect_still(pixels)
    [found] = perception.embed([perception.crop_face(pixels, face)], mirrored=True)
    assert found is not None
    other = np.random.default_rng(3).normal(size=found.embedding.shape)
    other -= found.embedding * float(other @ found.embedding)
    other /= np.linalg.norm(other)
    mixed = LIKENESS * found.embedding + np.sqrt(1 - LIKENESS**2) * other
    return FaceSample(np.asarray(mixed, np.float32), found.model_id, 0.5)
