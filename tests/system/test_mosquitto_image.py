"""The picture at a real mosquitto: in its own size, once, and without whoever was forgotten."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import sample
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from doorbell.config import Config, load_config
from doorbell.domain import Left, PicturedFace, Recognized, Ring, UInt8Array, Visit
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.household.forgetting import forget_person
from doorbell.household.visit_files import forget_in_files, waits_for_daemon
from doorbell.household.visit_pictures import faces_now
from doorbell.imaging.annotation import encode_jpeg
from doorbell.imaging.visit_picture import decode_jpeg, told_by
from doorbell.outputs.mqtt.gallery_view import GalleryView
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.status import ClockState, KnownVisitors
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

COLOURS = {"Rosa": (200, 30, 30), "Emil": (30, 30, 200)}
PLACES = {"Rosa": 480, "Emil": 1440}  # column of the face's middle in the camera's picture
GREEN = (64, 200, 140)
NOW = 1_700_000_000.0


def picture(*who: str, grey: int = 235) -> bytes:
    pixels = np.full((1080, 1920, 3), grey, np.uint8)
    for each in who:
        pixels[300:700, PLACES[each] - 150 : PLACES[each] + 150] = COLOURS[each]
    return encode_jpeg(pixels)


def face(who: str, visit: Visit | None) -> PicturedFace:
    x = PLACES[who]
    of = None if visit is None else visit.visit_id
    known = PicturedFace(
        (x - 150, 300, x + 150, 700), ((x, 600),) * 6, of, is_certain=visit is not None
    )
    return told_by(known, visit)


def shown(jpeg: bytes) -> set[str]:
    """Whose faces can be seen in what was published."""
    pixels = pixels_of(jpeg)
    scale = pixels.shape[1] / 1920
    return {
        who
        for who, x in PLACES.items()
        if np.abs(pixels[round(450 * scale), round(x * scale)].astype(int) - COLOURS[who]).max()
        < 40
    }


def pixels_of(jpeg: bytes) -> UInt8Array:
    pixels = decode_jpeg(jpeg)
    assert pixels is not None
    return pixels


class House:
    """Rosa and Emil, at the door together, and a doorbell with a broker."""

    def __init__(self, folder: Path, port: int) -> None:
        self.config: Config = load_config(
            None,
            [
                f"storage.directory={folder / 'state'}",
                *("mqtt.enabled=true", "mqtt.host=127.0.0.1", f"mqtt.port={port}"),
                "mqtt.image_width=640",
            ],
        )
        self.gallery = Gallery.of(self.config.storage)
        self.visits = {}
        for number, name in enumerate(COLOURS):
            person = self.gallery.people.enroll(name, [EnrolledSample(sample(number))]).person
            visit = Visit(f"of-{name}", NOW, NOW + 9, NOW + 9, person, 0.7, 4, 0.5)
            self.gallery.visits.save(visit)
            self.visits[name] = visit

    @property
    def known(self) -> KnownVisitors:
        people = tuple(self.gallery.people.all())
        return KnownVisitors(people, set(), gone=2 - len(people))

    @contextmanager
    def running(self, *, connects: bool = True) -> Iterator[Mqtt]:
        with closing(
            Mqtt(
                self.config.device,
                self.config.mqtt,
                outbox_path=self.config.storage.outbox_path,
                known=self.known,
                gallery=GalleryView(
                    faces_now=partial(faces_now, self.gallery, self.config.storage)
                ),
                on_command=lambda _: None,
            )
        ) as mqtt:
            assert not connects or eventually(lambda: mqtt.connected)
            yield mqtt

    def comes(self, mqtt: Mqtt, name: str, jpeg: bytes, *faces: PicturedFace, **of: Any) -> None:
        """A person comes and goes, with one picture."""
        visit = self.visits[name]
        for number, kind in enumerate((Recognized, Ring, Left)):
            event = kind(f"{name}-{number}", NOW, visit, jpeg, picture_faces=faces, **of)
            mqtt.handle(event)

    def both(self, mqtt: Mqtt, name: str = "Emil") -> None:
        faces = [face(each, visit) for each, visit in self.visits.items()]
        self.comes(mqtt, name, picture(*COLOURS), *faces)

    def forget(self, name: str, forget_visits: Callable[..., None] | None = None) -> None:
        beside = partial(forget_in_files, self.gallery, self.config)
        forget_person(self.gallery, name, self.config.storage, forget_visits or beside)


@pytest.fixture
def house(tmp_path: Path, broker: Mosquitto) -> Iterator[House]:
    house = House(tmp_path, broker.port)
    yield house
    house.gallery.close()


def take_session(port: int) -> None:
    """Connect as the doorbell for a moment, so that the broker ends the doorbell's connection."""
    client = Client(CallbackAPIVersion.VERSION2, "doorbell-front-door")
    client.connect("127.0.0.1", port)
    client.loop_start()
    time.sleep(0.3)
    client.disconnect()
    client.loop_stop()


def images(listener: Subscriber) -> list[bytes]:
    return [bytes(payload) for payload in listener.of("image")]


def test_it_is_drawn_in_its_own_size_once_a_visit(house: House, broker: Mosquitto) -> None:
    with Subscriber(broker.port) as listener, house.running() as mqtt:
        house.both(mqtt)
        assert eventually(lambda: len(images(listener)) == 1)
        # Another frame of the same visit is another picture.
        house.comes(mqtt, "Emil", picture("Emil"), face("Emil", house.visits["Emil"]))
        assert eventually(lambda: len(images(listener)) == 2)
        house.comes(mqtt, "Emil", picture("Emil"), face("Emil", house.visits["Emil"]))
        time.sleep(0.3)
        first, second = images(listener)
    pixels = pixels_of(first)
    assert pixels.shape == (360, 640, 3)
    assert (shown(first), shown(second)) == ({"Rosa", "Emil"}, {"Emil"})
    near = np.abs(pixels.astype(int) - GREEN).max(axis=2) < 30
    assert near[:, :320].sum() > 100  # boxes and names of both
    assert near[:, 320:].sum() > 100


def test_the_trigger_comes_after_the_picture(house: House, broker: Mosquitto) -> None:
    with Subscriber(broker.port) as listener, house.running() as mqtt:
        house.both(mqtt)
        assert eventually(lambda: listener.of("trigger") == [b"person-2"])
        topics = listener.topics()
        assert topics.index("image") < topics.index("trigger")


def test_a_broker_that_has_it_is_not_sent_it_again(house: House, broker: Mosquitto) -> None:
    """Nor one that home automation has come back to; one that has lost it is."""
    with Subscriber(broker.port) as listener, house.running() as mqtt:
        house.both(mqtt)
        assert eventually(lambda: len(images(listener)) == 1)
        listener.publish("homeassistant/status", b"online")
        for _ in range(2):
            time.sleep(0.2)
            take_session(broker.port)  # the connection is lost
            assert eventually(lambda: not mqtt.connected)
            assert eventually(lambda: mqtt.connected, 15)
        time.sleep(2.2)
        mqtt.handle(ClockState(1.0, None))
        time.sleep(0.2)
        assert len(images(listener)) == 1
        listener.publish("doorbell/front-door/image", b"", retain=True)
        broker.stop()
        assert eventually(lambda: not mqtt.connected)
        broker.start()
        assert eventually(lambda: mqtt.connected, 15)
        with Subscriber(broker.port) as later:
            time.sleep(2.2)
            mqtt.handle(ClockState(1.0, None))
            assert eventually(lambda: len(images(later)) == 1)


@pytest.mark.parametrize("way", ["by the daemon", "beside it", "while it is off"])
def test_whoever_is_forgotten_is_in_no_picture_at_the_broker(
    house: House, broker: Mosquitto, way: str
) -> None:
    with Subscriber(broker.port) as listener:
        with house.running() as mqtt:
            house.both(mqtt)
            assert eventually(lambda: len(images(listener)) == 1)
            if way == "by the daemon":
                house.forget("Rosa", mqtt.handle)
            elif way == "beside it":
                house.forget("Rosa", lambda _forgotten: None)
                mqtt.handle(house.known)
            if way != "while it is off":
                assert eventually(lambda: len(images(listener)) == 3)
                assert images(listener)[1] == b""
                assert shown(images(listener)[2]) == {"Emil"}
        if way == "while it is off":
            assert waits_for_daemon(house.config)
            house.forget("Rosa")
            with house.running():
                assert eventually(lambda: images(listener)[1:] == [b""])
            with house.running():
                time.sleep(0.3)
    held = [
        path.name
        for path in house.config.storage.directory.iterdir()
        if path.suffix == ".json" and b"of-Rosa" in path.read_bytes()
    ]
    assert held == []


def test_it_is_taken_back_once(house: House, broker: Mosquitto) -> None:
    """Their own picture goes, by whom it is about and by who is in it."""
    with Subscriber(broker.port) as listener, house.running() as mqtt:
        house.both(mqtt, "Rosa")
        assert eventually(lambda: len(images(listener)) == 1)
        house.forget("Rosa", lambda _forgotten: None)
        mqtt.handle(house.known)
        assert eventually(lambda: listener.documents("visitor")[-1]["visitor"] == "unknown")
        time.sleep(0.5)
        assert images(listener)[1:] == [b""]


def test_somebody_whom_nobody_can_tell_goes_with_whoever_is_forgotten(
    house: House, broker: Mosquitto
) -> None:
    with Subscriber(broker.port) as listener:
        with house.running() as mqtt:
            emil = face("Emil", house.visits["Emil"])
            house.comes(mqtt, "Emil", picture(*COLOURS), emil, face("Rosa", None))
            assert eventually(lambda: len(images(listener)) == 1)
        house.forget("Rosa")
        with house.running():
            assert eventually(lambda: images(listener)[1:] == [b""])


def test_names_at_the_broker_are_those_of_now(house: House, broker: Mosquitto) -> None:
    with Subscriber(broker.port) as listener, house.running() as mqtt:
        house.both(mqtt)
        assert eventually(lambda: len(images(listener)) == 1)
        mqtt.handle(house.known)  # nothing has changed
        house.gallery.people.rename("Rosa", "Rosamunde")
        mqtt.handle(house.known)
        assert eventually(lambda: len(images(listener)) == 2)
        house.gallery.corrections.to_stranger("of-Rosa", None)
        mqtt.handle(house.known)
        assert eventually(lambda: len(images(listener)) == 3)
        pixels = pixels_of(images(listener)[2])
    near = np.abs(pixels.astype(int) - (245, 170, 20)).max(axis=2) < 30  # amber: a stranger
    assert near[:, :320].sum() > 100
    assert near[:, 320:].sum() == 0


def test_a_visit_that_begins_anew_brings_nobody_back(house: House, broker: Mosquitto) -> None:
    """Who was forgotten while at the door is somebody from then on, in the same visit."""
    with Subscriber(broker.port) as listener, house.running() as mqtt:
        house.both(mqtt)
        assert eventually(lambda: len(images(listener)) == 1)
        house.forget("Rosa", lambda _forgotten: None)
        house.gallery.visits.save(Visit("of-Rosa", NOW, NOW + 20))
        mqtt.handle(house.known)
        assert eventually(lambda: len(images(listener)) == 3)
        assert images(listener)[1] == b""
        assert shown(images(listener)[2]) == {"Emil"}


def test_a_picture_in_hand_when_somebody_is_forgotten_is_not_published(
    house: House, broker: Mosquitto
) -> None:
    with Subscriber(broker.port) as listener, house.running() as mqtt:
        for grey in range(100, 200, 10):  # drawn for a while
            faces = [face(each, visit) for each, visit in house.visits.items()]
            house.comes(mqtt, "Rosa", picture(*COLOURS, grey=grey), *faces)
        house.forget("Rosa", lambda _forgotten: None)
        mqtt.handle(house.known)
        time.sleep(0.3)  # what went before is on its way to the listener
        count = len(images(listener))
        time.sleep(1.5)
        assert {each for each in images(listener)[count:] if each} == set()
        with Subscriber(broker.port) as later:
            time.sleep(0.3)
            assert images(later) == []


@pytest.mark.parametrize("way", ["by the daemon", "beside it", "while it is off"])
def test_what_waits_for_the_broker_shows_nobody_who_was_forgotten(tmp_path: Path, way: str) -> None:
    broker = Mosquitto(tmp_path, "allow_anonymous true")
    house = House(tmp_path, broker.port)
    with closing(house.gallery):
        with house.running(connects=False) as mqtt:
            house.both(mqtt)
            emil = face("Emil", house.visits["Emil"])
            house.comes(mqtt, "Emil", picture("Emil", grey=200), emil)
            if way == "by the daemon":
                house.forget("Rosa", mqtt.handle)
            elif way == "beside it":
                house.forget("Rosa", lambda _forgotten: None)
                mqtt.handle(house.known)
        if way == "while it is off":
            house.forget("Rosa")
        outbox = house.config.storage.outbox_path
        with closing(sqlite3.connect(outbox)) as database:
            waiting = database.execute("SELECT jpeg FROM pictures").fetchall()
        assert [shown(jpeg) for (jpeg,) in waiting] == [{"Emil"}]
        assert b"of-Rosa" not in outbox.read_bytes()
        broker.start()
        with Subscriber(broker.port) as listener, house.running():
            assert eventually(lambda: len(listener.of("event")) == 6)
            assert eventually(lambda: [shown(each) for each in images(listener) if each] != [])
            # Nobody knows what the broker kept of before: it is taken back.
            assert [each for each in images(listener) if not each] == [b""] * (
                way == "while it is off"
            )
            assert [shown(each) for each in images(listener) if each] == [{"Emil"}]
        broker.stop()


def test_the_event_does_not_wait_for_its_picture(house: House, broker: Mosquitto) -> None:
    with Subscriber(broker.port) as listener, house.running() as mqtt:
        faces = [face(each, visit) for each, visit in house.visits.items()]
        jpeg = picture(*COLOURS)
        started = time.monotonic()
        house.comes(mqtt, "Emil", jpeg, *faces)
        took = time.monotonic() - started
        assert eventually(lambda: len(images(listener)) == 1)
        assert [topic for topic in listener.topics() if topic in ("event", "image")][:2] == [
            "event",
            "event",
        ]
    assert took < 0.1
