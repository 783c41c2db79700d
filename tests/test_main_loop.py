"""The loop of the main thread: what outputs hear of it, and what it does when it is asked."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from doorstep import at_the_door

from doorbell.camera.latest import LatestFrame
from doorbell.config import load_config
from doorbell.daemon.door import Door
from doorbell.daemon.loop import MainLoop
from doorbell.daemon.main_thread import Inbox
from doorbell.daemon.systemd import ServiceNotifier
from doorbell.domain import (
    CommandResult,
    CorrectCommand,
    EnrollCommand,
    Event,
    FaceSample,
    ForgetCommand,
    Frame,
    IgnoreCommand,
    MuteCommand,
    NameCommand,
    Person,
    PrivacyCommand,
    Recognized,
    Ring,
    RingCommand,
    UInt8Array,
    Unknown,
    Visit,
)
from doorbell.gallery.database import GalleryFile
from doorbell.gallery.gallery import EnrolledSample, Forgotten, Gallery
from doorbell.gallery.people import PeopleStore
from doorbell.gallery.store import Changes
from doorbell.gallery.vector_place import VectorPlace
from doorbell.household.enrollment import Enroller
from doorbell.models.store import face_path
from doorbell.pipeline.latency import Latency
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.pipeline import Pipeline
from doorbell.status import (
    CameraState,
    ClockStep,
    DoorAnswered,
    DoorSpeakerState,
    KnownVisitors,
    Message,
    MicrophoneState,
    MuteState,
    RepliesState,
    SettingsState,
    SoundState,
    State,
    Statistics,
    StorageState,
    VisitCorrected,
    VisitsForgotten,
)
from doorbell.stopping import Stop
from doorbell.testbed.waiting import eventually

FACE = FaceSample(np.eye(128, dtype=np.float32)[0], "any", 0.5)


class Street:
    """A camera before which nobody is, or somebody in a changing light."""

    def __init__(self, visitor: UInt8Array | None = None) -> None:
        self._index = 0
        self._visitor = visitor

    def read(self) -> Frame:
        time.sleep(0.02)
        self._index += 1
        pixels = np.full((360, 640, 3), 90, np.uint8)
        if self._visitor is not None:
            height, width = self._visitor.shape[:2]
            pixels[-height:, 100 : 100 + width] = self._visitor
        lit = cv2.convertScaleAbs(pixels, alpha=1.0, beta=6 * np.sin(self._index))
        return Frame(np.asarray(lit, np.uint8), time.monotonic(), time.time(), self._index)

    def close(self) -> None:
        """Nothing to release."""


class Heard:
    """A sink that keeps every message."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._also: Callable[[Message], None] | None = None

    def also(self, act: Callable[[Message], None]) -> None:
        """Do that too for each message to come, on the loop's thread."""
        self._also = act

    def handle(self, message: Message) -> None:
        self.messages.append(message)
        if self._also is not None:
            self._also(message)

    def close(self) -> None:
        """Nothing to release."""

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.messages if isinstance(message, kind)]


@dataclass
class House:
    """A running loop with a sink beside it that hears everything."""

    gallery: Gallery
    heard: Heard = field(default_factory=Heard)
    inbox: Inbox = field(default_factory=queue.SimpleQueue)


@contextmanager
def watching(
    perception: Perception,
    gallery: Gallery,
    during: Callable[[House], None],
    house: House | None = None,
    visitor: UInt8Array | None = None,
) -> Iterator[House]:
    """Run the loop on this thread, as its gallery is; ``during`` it on another."""
    house, stop = house or House(gallery), Stop()
    settings = ["device.id=back-door", f"storage.directory={Path(gallery.file.name).parent}"]
    settings += ["recognition.min_live=0"]  # a photograph
    config = load_config(None, settings)
    faults: list[BaseException] = []

    def act() -> None:
        try:
            during(house)
        except BaseException as exc:
            faults.append(exc)
            raise
        finally:
            stop.set()

    with (
        closing(
            LatestFrame(partial(Street, visitor), reopen_max_seconds=1.0, lossless=False)
        ) as camera,
        closing(ServiceNotifier()) as notifier,
    ):
        door = Door(
            config,
            camera=camera,
            pipeline=Pipeline(perception, gallery, config),
            latency=Latency(),
        )
        loop = MainLoop(
            [door],
            gallery=gallery,
            sinks=[house.heard],
            notifier=notifier,
            inbox=house.inbox,
            config=config,
        )
        acting = threading.Thread(target=act)
        acting.start()
        loop.run(stop)
        acting.join()
    assert faults == []
    yield house


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        anna = gallery.people.enroll("Anna", [EnrolledSample(FACE)]).person
        gallery.visits.save(Visit("v1", 1000.0, 1010.0, 1015.0, anna))
        yield gallery


def test_a_sink_hears_every_state_and_the_events(perception: Perception, gallery: Gallery) -> None:
    def act(house: House) -> None:
        assert eventually(lambda: house.heard.of(KnownVisitors) != [])
        house.inbox.put(SoundState(works=False, reason="no device"))  # as an output tells
        house.inbox.put(StorageState("pictures", "the disk is full"))
        house.inbox.put(MuteCommand(True))
        house.inbox.put(RingCommand())
        house.inbox.put(CorrectCommand("v1", None))
        house.inbox.put(ForgetCommand("Anna"))
        assert eventually(lambda: house.heard.of(VisitsForgotten) != [])

    with watching(perception, gallery, act) as house:
        kinds = {type(message) for message in house.heard.messages}
    # The clock is not set in a test; see tests/test_clock.py.
    # What is told of sounds and replies comes from their output; see tests/test_door_voice.py.
    sounds = {DoorAnswered, DoorSpeakerState, MicrophoneState, RepliesState}
    assert kinds == {*get_args(State), Ring} - {ClockStep} - sounds
    muted = [MuteState(muted, "back-door") for muted in (False, True)]  # the first at the start
    assert house.heard.of(MuteState) == muted
    assert SoundState(works=False, reason="no device") in house.heard.messages
    assert StorageState("gallery", None) in house.heard.messages
    of_one_door = (CameraState, MuteState, Statistics, Ring)
    told = [message for message in house.heard.messages if isinstance(message, of_one_door)]
    assert {type(message) for message in told} == set(of_one_door)
    assert {message.door_id for message in told} == {"back-door"}


def test_who_is_forgotten_by_command_is_known_to_every_output_in_the_same_turn(
    perception: Perception, gallery: Gallery
) -> None:
    def act(house: House) -> None:
        assert eventually(lambda: house.heard.of(KnownVisitors) != [])
        house.inbox.put(ForgetCommand("Anna"))
        house.inbox.put(MuteCommand(True))  # the very next thing
        assert eventually(lambda: len(house.heard.of(MuteState)) == 2)

    with watching(perception, gallery, act) as house:
        heard = house.heard.messages
    place = heard.index(VisitsForgotten(("v1",)))
    assert heard[place + 1 : place + 3] == [
        KnownVisitors((), set(), gone=1),
        MuteState(True, "back-door"),
    ]


class DefectivePeople(PeopleStore):
    """A store with a defect."""

    def forget(self, name: str) -> Forgotten:
        raise KeyError(name)


class DefectiveGallery(Gallery):
    """One with a defect in a store."""

    def __init__(self, file: GalleryFile, place: VectorPlace) -> None:
        super().__init__(file, place)
        self.people = DefectivePeople(Changes(file))


def test_every_command_is_answered_and_a_defect_ends_nothing(
    perception: Perception, gallery: Gallery, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[CommandResult] = []
    commands = (
        MuteCommand(True, request_id="1", reply=told.append),
        RingCommand(request_id="2", reply=told.append),
        EnrollCommand("Ben", door_id="back-door", request_id="3", reply=told.append),
        ForgetCommand("Nobody", reply=told.append),
        ForgetCommand("Anna", request_id="5", reply=told.append),
    )

    def act(house: House) -> None:
        for command in commands:
            house.inbox.put(command)
        assert eventually(lambda: len(told) == len(commands))

    with watching(perception, gallery, act):
        pass
    results = [(each.command, each.request_id, each.done) for each in told]
    assert results == [
        ("mute", "1", True),
        ("ring", "2", True),
        ("enroll", "3", False),
        ("forget", None, False),
        ("forget", "5", True),
    ]
    assert told[2].door_id == "back-door"
    assert "0 usable faces are in sight" in told[2].summary
    assert "Nobody" in told[3].summary
    assert told[4].summary == "forgot whom you named (deleted samples: 1, visits: 1)"

    told.clear()
    with DefectiveGallery.open(tmp_path / "gallery.sqlite") as defective:

        def act_again(house: House) -> None:
            house.inbox.put(commands[4])
            house.inbox.put(commands[0])
            assert eventually(lambda: len(told) == 2)

        with watching(perception, defective, act_again):
            pass
    assert [(each.command, each.done) for each in told] == [("forget", False), ("mute", True)]
    assert "its log says more" in told[0].summary
    assert "KeyError" in caplog.text


def test_nobody_waits_for_an_answer_from_a_doorbell_that_stops(
    perception: Perception, gallery: Gallery
) -> None:
    told: list[CommandResult] = []

    def ask_while_it_stops(message: Message) -> None:
        if isinstance(message, Statistics):  # the last one: none is due before
            house.inbox.put(MuteCommand(True, reply=told.append))

    def act(running: House) -> None:
        running.heard.also(ask_while_it_stops)

    house = House(gallery)
    with watching(perception, gallery, act, house):
        pass
    assert [(each.command, each.done) for each in told] == [("mute", False)]


def test_who_is_known_is_told_once_and_again_where_another_process_has_changed_it(
    perception: Perception, gallery: Gallery, tmp_path: Path
) -> None:
    def act(house: House) -> None:
        assert eventually(lambda: house.heard.of(KnownVisitors) != [])
        time.sleep(2.5)  # looked at again meanwhile
        assert len(house.heard.of(KnownVisitors)) == 1
        with Gallery.open(tmp_path / "gallery.sqlite") as other:
            other.people.rename("Anna", "Ann")
        assert eventually(lambda: len(house.heard.of(KnownVisitors)) == 2)

    with watching(perception, gallery, act) as house:
        known = house.heard.of(KnownVisitors)[-1]
    assert isinstance(known, KnownVisitors)
    assert [person.name for person in known.people] == ["Ann"]


@pytest.mark.parametrize("stopping", [False, True], ids=["running", "stopping"])
def test_what_another_process_forgets_is_told_to_every_output(
    perception: Perception, gallery: Gallery, tmp_path: Path, *, stopping: bool
) -> None:
    now = time.time()
    anna = gallery.people.get("Anna")
    visits = {"gone": (now - 60, anna), "beside": (now - 50, None), "earlier": (now - 7200, None)}
    for visit_id, (at, visitor) in visits.items():
        gallery.visits.save(Visit(visit_id, at, at + 20, at + 20, visitor))

    def act(house: House) -> None:
        assert eventually(lambda: house.heard.of(KnownVisitors) != [])
        with Gallery.open(tmp_path / "gallery.sqlite") as other:
            other.people.forget("Anna")
        if not stopping:
            assert eventually(lambda: len(house.heard.of(KnownVisitors)) == 2)

    with watching(perception, gallery, act) as house:
        told = house.heard.of(VisitsForgotten)
    assert told[-1] == VisitsForgotten(("gone",), beside=("beside",))  # before it went what is old
    assert isinstance(house.heard.messages[-1], Statistics)


def test_who_is_forgotten_by_another_process_while_at_the_door_is_told_as_nobody_else(
    perception: Perception, gallery: Gallery, tmp_path: Path, models_directory: Path
) -> None:
    enroller = Enroller(perception, gallery, load_config(None))
    enroller.enroll_photos("Berta", [face_path("obama2", models_directory)])

    def act(house: House) -> None:
        assert eventually(lambda: house.heard.of(Recognized) != [], 20)
        with Gallery.open(tmp_path / "gallery.sqlite") as other:
            other.people.forget("Berta")
        assert eventually(lambda: house.heard.of(Unknown) != [], 20)

    portrait = at_the_door("obama", models_directory)
    with watching(perception, gallery, act, visitor=portrait) as house:
        heard = house.heard.messages
    ends = [each.visit for each in heard if isinstance(each, Recognized | Unknown)]
    assert isinstance(ends[0].visitor, Person)
    assert ends[0].visit_id == ends[-1].visit_id
    forgotten = heard.index(VisitsForgotten((ends[0].visit_id,)))
    named = [
        place
        for place, each in enumerate(heard)
        if isinstance(each, Event) and each.visit and isinstance(each.visit.visitor, Person)
    ]
    assert max(named) < forgotten < heard.index(house.heard.of(Unknown)[0])


def test_a_visit_is_corrected_a_stranger_named_and_somebody_ignored_by_command(
    perception: Perception, gallery: Gallery
) -> None:
    told: list[CommandResult] = []
    other = replace(FACE, embedding=np.eye(128, dtype=np.float32)[5])
    stranger = gallery.strangers.add([other], 1000.0)
    gallery.visits.save(Visit("v2", 2000.0, 2010.0, 2015.0, stranger))

    def act(house: House) -> None:
        for command in (
            NameCommand(stranger.stranger_id, "Ben", reply=told.append),
            CorrectCommand("last", "Anna", reply=told.append),
            CorrectCommand("v1", None, reply=told.append),
            IgnoreCommand("last", reply=told.append),
            CorrectCommand("v9", "Anna", reply=told.append),
            NameCommand(99, "Cem", reply=told.append),
        ):
            house.inbox.put(command)
        assert eventually(lambda: len(told) == 6)

    with watching(perception, gallery, act) as house:
        corrected = [
            each.visit for each in house.heard.messages if isinstance(each, VisitCorrected)
        ]
        anna = gallery.people.get("Anna")
    assert [each.done for each in told] == [True] * 4 + [False] * 2
    assert [each.summary for each in told[:4]] == [
        "stranger-1 is now Ben",
        "visit v2 was of Anna",
        "visit v1 was of stranger-2",
        "Anna never rings",
    ]
    assert anna.ignored
    assert [(each.visit_id, each.visitor and each.visitor.label) for each in corrected] == [
        ("v2", "Ben"),
        ("v2", "Anna"),
        ("v1", "stranger-2"),
    ]
    people = [each for each in house.heard.messages if isinstance(each, KnownVisitors)][-1].people
    assert [(each.name, each.ignored) for each in people] == [("Anna", True), ("Ben", False)]
    assert isinstance(anna, Person)


def test_what_was_set_holds_in_the_next_run(perception: Perception, gallery: Gallery) -> None:
    def change(house: House) -> None:
        house.inbox.put(MuteCommand(True, minutes=60))
        house.inbox.put(PrivacyCommand(True))
        assert eventually(lambda: len(house.heard.of(SettingsState)) == 3)

    with watching(perception, gallery, change):
        pass
    heard = Heard()
    with watching(perception, gallery, lambda _house: time.sleep(0.3), House(gallery, heard)):
        pass
    # Before anything else: a ring in the first frame would wake the baby.
    assert heard.messages[0] == MuteState(True, "back-door")
    [settings] = [each for each in heard.messages if isinstance(each, SettingsState)]
    assert (settings.muted, settings.privacy) == (True, True)
    assert settings.muted_until is not None
    assert 3500 < settings.muted_until - time.time() <= 3600
